"""What the API remembers of its callers: requests that must not be carried out twice."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import TypedModelMeta


class IdempotentRequest(models.Model):
    """A request with an `Idempotency-Key`, and the answer that a repeat of it gets (kept 24 hours)."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(_("key"), max_length=255)
    fingerprint = models.CharField(max_length=64, help_text=_("Digest of method, address and body."))
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(_("at"), db_index=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        constraints = [models.UniqueConstraint(fields=["person", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return self.key
