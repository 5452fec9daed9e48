"""Who wants a mail when the state of a service changes for an organisation of theirs."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import Organisation, TypedModelMeta
from portal.models.catalog import Service
from portal.models.service_impact import Impact


class StatusSubscription(models.Model):
    """`told_*` is the state that the person knows: the clockwork tells when the present one differs."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="status_subscriptions",
        verbose_name=_("person"),
    )
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="+", verbose_name=_("organisation")
    )
    service = models.ForeignKey(Service, models.CASCADE, related_name="+", verbose_name=_("service"))
    told_impact = models.CharField(
        _("state last told"), max_length=20, choices=Impact.choices, default=Impact.NONE
    )
    told_is_planned = models.BooleanField(_("told as maintenance"), default=False)
    told_at = models.DateTimeField(_("told at"))

    class Meta(TypedModelMeta):
        verbose_name = _("status subscription")
        verbose_name_plural = _("status subscriptions")
        constraints = [
            models.UniqueConstraint(
                fields=["person", "organisation", "service"], name="one_status_subscription_each"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} · {self.service} · {self.organisation}"
