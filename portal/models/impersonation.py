"""When somebody of the staff looked at the portal as a customer sees it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import TypedModelMeta


class Impersonation(models.Model):
    """A stretch of time in which `staff` saw the portal as `person`, and why. It only reads."""

    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("staff")
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("seen as")
    )
    reason = models.CharField(_("reason"), max_length=200)
    started_at = models.DateTimeField(_("started at"))
    expires_at = models.DateTimeField(_("expires at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("impersonation")
        verbose_name_plural = _("impersonations")

    def __str__(self) -> str:
        return f"{self.staff} → {self.person}"
