"""What was promised about maintenance: how long before, and when it is recalled."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.models import Organisation
from portal.models.accounts import TypedModelMeta
from portal.models.service_impact import Impact


def standard_reminders() -> list[int]:
    """7 days, 24 hours and 1 hour before the start."""
    return [7 * 24 * 60, 24 * 60, 60]


def validate_reminders(value: object) -> None:
    """Raise ValidationError unless `value` is a list of different whole minutes of at most 60 days."""
    if (
        not isinstance(value, list)
        or len(set(map(str, value))) < len(value)
        or any(type(minutes) is not int or not 0 < minutes <= 60 * 24 * 60 for minutes in value)
    ):
        raise ValidationError(_("Name whole minutes before the start, such as [10080, 1440, 60]."))


class MaintenancePlanManager(models.Manager["MaintenancePlan"]):
    def of_each(self, organisations: Iterable[Organisation]) -> dict[int, MaintenancePlan]:
        """The plan of each organisation's support plan, by its id; the standard (unsaved) where it names none.

        `support_plans` is the relation by which the room above, incidents, points here.
        """
        pks = [organisation.pk for organisation in organisations]
        pairs = self.filter(support_plans__organisation__in=pks).values_list(
            "support_plans__organisation", "pk"
        )
        named = dict(pairs)
        plans = self.in_bulk(set(named.values()))
        return {pk: plans[named[pk]] if pk in named else MaintenancePlan() for pk in pks}


class MaintenancePlan(models.Model):
    """Notice periods per impact, and reminders. Its defaults are the standard."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    none_notice_minutes = models.PositiveIntegerField(_("notice for no impact (minutes)"), default=0)
    reduced_redundancy_notice_minutes = models.PositiveIntegerField(
        _("notice for reduced redundancy (minutes)"), default=2 * 24 * 60
    )
    degraded_notice_minutes = models.PositiveIntegerField(
        _("notice for degraded service (minutes)"), default=3 * 24 * 60
    )
    outage_notice_minutes = models.PositiveIntegerField(
        _("notice for an outage (minutes)"), default=5 * 24 * 60
    )
    reminder_minutes = models.JSONField(
        _("reminders, minutes before the start"),
        default=standard_reminders,
        blank=True,
        validators=[validate_reminders],
    )
    tells_start = models.BooleanField(_("told at the start"), default=True)
    tells_end = models.BooleanField(_("told at the end"), default=True)

    objects = MaintenancePlanManager()

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("maintenance plan")
        verbose_name_plural = _("maintenance plans")

    def __str__(self) -> str:
        return self.name

    def notice_minutes(self, impact: str) -> int:
        """How long before its start a window of this impact (a value of `Impact`) must be announced."""
        return int(getattr(self, f"{Impact(impact).value}_notice_minutes"))
