"""The monthly report as it was sent: what an auditor gets is what the customer got."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models import Organisation, User
from portal.models.accounts import TypedModelMeta


class MonthlyReportQuerySet(models.QuerySet["MonthlyReport"]):
    def visible_to(self, user: User) -> MonthlyReportQuerySet:
        """Those of the organisations of which `user` may see every incident."""
        return self.filter(organisation__in=Organisation.objects.seen_whole_by(user))


class MonthlyReport(models.Model):
    """One organisation's figures of one calendar month of its own zone, frozen when the month was reported."""

    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="reports", verbose_name=_("organisation")
    )
    month = models.DateField(_("month"), help_text=_("Its first day."))
    content = models.JSONField(_("content"))
    made_at = models.DateTimeField(_("made at"))

    objects = MonthlyReportQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-month", "organisation__name"]
        verbose_name = _("monthly report")
        verbose_name_plural = _("monthly reports")
        constraints = [
            models.UniqueConstraint(fields=["organisation", "month"], name="one_report_each_month")
        ]

    def __str__(self) -> str:
        return f"{self.organisation} · {self.month:%Y-%m}"
