"""Business calendars as data: a calendar has versions; a version is a snapshot that promises refer to.

The pure arithmetic lives in `portal.business_time`; `portal.calendars` turns a version into it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.models.accounts import TypedModelMeta, default_time_zone, validate_time_zone

WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def parse_span(text: str) -> tuple[int, int]:
    """Seconds after local midnight of "09:00-12:30" (a day may end at 24:00). ValueError when malformed."""
    opening, closing = (part.strip().split(":") for part in text.split("-"))
    start, end = (int(hours) * 3600 + int(minutes) * 60 for hours, minutes in (opening, closing))
    if not 0 <= start < end <= 86400:
        raise ValueError(text)
    return start, end


def validate_week(week: Any) -> None:
    """A week is {"monday": ["09:00-12:30", "13:30-18:00"], …}: seven days, spans in order."""
    if not isinstance(week, dict) or set(week) - set(WEEKDAYS):
        raise ValidationError(_("A week names the days monday to sunday, each with its spans."))
    for day, spans in week.items():
        validate_spans(spans, label=day)


def validate_spans(spans: Any, label: str = "") -> None:
    try:
        parsed = [parse_span(span) for span in spans]
    except (ValueError, AttributeError, TypeError) as error:
        raise ValidationError(
            _("%(label)s: a span looks like 09:00-12:30 and lies within 00:00 and 24:00."),
            params={"label": label},
        ) from error
    if any(after[0] < before[1] for before, after in pairwise(parsed)):
        raise ValidationError(
            _("%(label)s: spans must be in order and not overlap."), params={"label": label}
        )


class BusinessCalendar(models.Model):
    """A named calendar. Edit it by making a new version: closed clocks never change."""

    name = models.CharField(_("name"), max_length=120, unique=True)

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("business calendar")
        verbose_name_plural = _("business calendars")

    def __str__(self) -> str:
        return self.name

    @property
    def current_version(self) -> CalendarVersion:
        version = self.versions.order_by("-number").first()
        if version is None:
            raise CalendarVersion.DoesNotExist(f"Calendar {self} has no version yet.")
        return version


class CalendarVersion(models.Model):
    """What the working week was agreed to be. Immutable but for its horizon, which is extended."""

    calendar = models.ForeignKey(
        BusinessCalendar, models.PROTECT, related_name="versions", verbose_name=_("calendar")
    )
    number = models.PositiveIntegerField(_("version"), default=1)
    time_zone = models.CharField(
        _("time zone"), max_length=64, default=default_time_zone, validators=[validate_time_zone]
    )
    week = models.JSONField(
        _("week"),
        validators=[validate_week],
        help_text=_("Several spans a day: {“monday”: [“09:00-12:30”, “13:30-18:00”], …}."),
    )
    country = models.CharField(
        _("country of the public holidays"),
        max_length=2,
        blank=True,
        help_text=_("ISO code such as TR. Empty: no public holidays."),
    )
    subdivision = models.CharField(_("region"), max_length=10, blank=True)
    half_day_until = models.CharField(
        _("half days end at"), max_length=5, default="13:00", help_text=_("Local time, such as 13:00.")
    )
    covers_from = models.DateField(_("materialised from"))
    covers_until = models.DateField(_("materialised until"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta(TypedModelMeta):
        ordering = ["calendar__name", "-number"]
        verbose_name = _("calendar version")
        verbose_name_plural = _("calendar versions")
        constraints = [
            models.UniqueConstraint(fields=["calendar", "number"], name="calendar_version_number"),
        ]

    def __str__(self) -> str:
        return f"{self.calendar.name} v{self.number}"


class OwnDay(models.Model):
    """A closed or half day that the vendor adds to the public holidays of a version."""

    version = models.ForeignKey(CalendarVersion, models.CASCADE, related_name="own_days")
    day = models.DateField(_("day"))
    name = models.CharField(_("name"), max_length=120)
    spans = models.JSONField(
        _("spans"), default=list, blank=True, help_text=_("Empty: closed all day. Or [“09:00-13:00”].")
    )

    class Meta(TypedModelMeta):
        ordering = ["day"]
        verbose_name = _("own day")
        verbose_name_plural = _("own days")
        constraints = [models.UniqueConstraint(fields=["version", "day"], name="one_own_day_each")]

    def __str__(self) -> str:
        return f"{self.day} {self.name}"


class SpecialDate(models.Model):
    """A materialised holiday, own day or half day of a calendar version: the row that arithmetic reads."""

    version = models.ForeignKey(CalendarVersion, models.CASCADE, related_name="special_dates")
    day = models.DateField(_("day"))
    name = models.CharField(_("name"), max_length=200)
    spans = models.JSONField(_("spans"), default=list, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["day"]
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        constraints = [models.UniqueConstraint(fields=["version", "day"], name="one_special_date_each")]

    def __str__(self) -> str:
        return f"{self.day} {self.name}"
