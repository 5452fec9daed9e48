"""What each organisation felt of each service, and when: the one source of status and uptime."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import Organisation, TypedModelMeta
from portal.models.catalog import Service


class Impact(models.TextChoices):
    NONE = "none", _("No impact")
    REDUCED_REDUNDANCY = "reduced_redundancy", _("Reduced redundancy")
    DEGRADED = "degraded", _("Degraded")
    OUTAGE = "outage", _("Outage")


class ServiceImpactQuerySet(models.QuerySet["ServiceImpact"]):
    def open(self) -> ServiceImpactQuerySet:
        return self.filter(until_at=None)


class ServiceImpact(models.Model):
    """Service × organisation × impact over [from_at, until_at); `source` is a reference such as INC-1042."""

    Impact = Impact

    service = models.ForeignKey(Service, models.PROTECT, related_name="impacts", verbose_name=_("service"))
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="impacts", verbose_name=_("organisation")
    )
    impact = models.CharField(_("impact"), max_length=20, choices=Impact.choices)
    from_at = models.DateTimeField(_("from"))
    until_at = models.DateTimeField(_("until"), null=True, blank=True)
    source = models.CharField(_("source"), max_length=40)
    is_planned = models.BooleanField(_("planned"), default=False)
    level = models.CharField(
        _("level"), max_length=2, blank=True, help_text=_("The level of the incident behind it, such as P1.")
    )

    objects = ServiceImpactQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-from_at"]
        verbose_name = _("service impact")
        verbose_name_plural = _("service impacts")
        indexes = [
            models.Index(fields=["organisation", "service", "-from_at"], name="impact_by_service"),
            models.Index(fields=["source"], name="impact_by_source"),
        ]

    def __str__(self) -> str:
        return f"{self.service} · {self.get_impact_display()} · {self.source}"
