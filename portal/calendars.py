"""Business calendars on Django's side: holidays become rows once, and rows become pure calendars.

A promise refers to a calendar version, so a version never changes but for its horizon: `materialise`
only ever adds days beyond the old one. What the `holidays` package says later about an earlier day
takes effect with the next version.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypedDict, Unpack
from zoneinfo import ZoneInfo

import holidays
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from portal.business_time import Calendar, Span, SpecialDay
from portal.models import BusinessCalendar, CalendarVersion, OwnDay, SpecialDate
from portal.models.calendars import WEEKDAYS, parse_span, validate_spans

if TYPE_CHECKING:
    from portal.models import User

logger = logging.getLogger(__name__)

DEFAULT_NAME = "Business hours"
DEFAULT_WEEK = {day: ["09:00-18:00"] for day in WEEKDAYS[:5]}
YEARS_BACK = 2
YEARS_AHEAD = 3  # a new horizon is the last day of this year + 3: 36 months ahead at least
MIN_AHEAD = timedelta(days=731)  # 24 months, whatever leap day lies within
_ENGLISH = "en_US"
_CLOSES_AT = re.compile(r" \(from [^()]*\)")  # the package's own hour; ours is the version's half_day_until

DaySpans = tuple[date, str, list[str]]  # day, name, spans such as "09:00-13:00" (none: closed all day)


class VersionChanges(TypedDict, total=False):
    """What a new version may say differently from the one before it."""

    time_zone: str
    week: dict[str, list[str]]
    country: str
    subdivision: str
    half_day_until: str
    own_days: Sequence[DaySpans]


def new_version(
    calendar: BusinessCalendar, *, now: datetime, by: User | None, **changes: Unpack[VersionChanges]
) -> CalendarVersion:
    """The next version: the current one (or the default week) with `changes`, materialised.

    Own days are copied unless given. ValidationError, with nothing written, for a zone, week, day or
    country that cannot be.
    """
    with transaction.atomic():
        BusinessCalendar.objects.select_for_update().get(pk=calendar.pk)  # numbers are given in turn
        before = calendar.versions.order_by("-number").first()
        own_days = changes.pop("own_days", None)
        version = _unsaved(calendar, before, changes)
        version.created_at, version.created_by = now, by
        today = _today(version, now)
        version.covers_from = date(today.year - YEARS_BACK, 1, 1)
        version.covers_until = version.covers_from - timedelta(days=1)  # nothing is materialised yet
        version.save()
        _write_own_days(version, _own_days(before) if own_days is None else own_days)
        materialise(version, _horizon(today))
    return version


def materialise(version: CalendarVersion, covers_until: date) -> int:
    """Add the special dates after the version's horizon up to and including `covers_until`.

    Returns how many were added. Earlier rows are never touched; in two processes at once, or again,
    it adds nothing more. ValidationError for a country or region without known holidays.
    """
    days = _special_days(version, version.covers_until + timedelta(days=1), covers_until)
    with transaction.atomic():
        stored = CalendarVersion.objects.select_for_update().get(pk=version.pk)
        added = SpecialDate.objects.bulk_create(
            SpecialDate(version=version, day=day, name=name[:200], spans=spans)
            for day, (name, spans) in sorted(days.items())
            if day > stored.covers_until
        )
        version.covers_until = max(stored.covers_until, covers_until)
        version.save(update_fields=["covers_until"])
    return len(added)


def extend_horizon(version: CalendarVersion, now: datetime) -> bool:
    """Keep the version materialised for at least 24 months from `now`. Returns whether it was too short."""
    today = _today(version, now)
    if version.covers_until >= today + MIN_AHEAD:
        return False
    materialise(version, _horizon(today))
    return True


def extend_all(now: datetime) -> int:
    """Extend every version that runs short and return how many did. One that cannot be is logged."""
    latest_today = now.date() + timedelta(days=1)  # the date line is at most a day away from UTC
    extended = 0
    for version in CalendarVersion.objects.filter(covers_until__lt=latest_today + MIN_AHEAD):
        try:
            extended += extend_horizon(version, now)
        except ValidationError as error:
            logger.error("The horizon of %s stays at %s: %s", version, version.covers_until, error.messages)
    return extended


def ensure_default_calendar(now: datetime) -> BusinessCalendar:
    """The first calendar; on an empty database "Business hours", Mon–Fri 09:00–18:00, is made."""
    calendar = BusinessCalendar.objects.order_by("pk").first()
    if calendar is not None:
        return calendar
    with transaction.atomic():
        calendar, is_new = BusinessCalendar.objects.get_or_create(name=DEFAULT_NAME)
        if is_new:
            new_version(calendar, now=now, by=None, country=settings.SUPPORT_COUNTRY)
    return calendar


def as_calendar(version: CalendarVersion) -> Calendar:
    """The version as pure arithmetic reads it. Kept in the process: ask as often as you like."""
    week = tuple(tuple(parse_span(span) for span in version.week.get(day, ())) for day in WEEKDAYS)
    return _built(
        version.pk, version.created_at, version.time_zone, week, version.covers_from, version.covers_until
    )


@lru_cache(maxsize=128)
def _built(
    version_pk: int,
    created_at: datetime,  # tells a version from one that was rolled back and whose key came free again
    zone: str,
    week: tuple[tuple[Span, ...], ...],
    covers_from: date,
    covers_until: date,
) -> Calendar:
    rows = SpecialDate.objects.filter(version=version_pk, day__range=(covers_from, covers_until))
    special_days = {
        row.day: SpecialDay(row.day, row.name, tuple(parse_span(span) for span in row.spans)) for row in rows
    }
    return Calendar(zone, week, special_days, covers_from, covers_until)


def forget_calendars() -> None:
    """Empty the process's cache. Only a database whose keys start again (a test's) needs it."""
    _built.cache_clear()


def _today(version: CalendarVersion, now: datetime) -> date:
    return now.astimezone(ZoneInfo(version.time_zone)).date()


def _horizon(today: date) -> date:
    return date(today.year + YEARS_AHEAD, 12, 31)


def _unsaved(
    calendar: BusinessCalendar, before: CalendarVersion | None, changes: VersionChanges
) -> CalendarVersion:
    """The next version's checked fields, still without days. ValidationError if one cannot be."""
    version = CalendarVersion(calendar=calendar, week=DEFAULT_WEEK)
    if before is not None:
        version.number = before.number + 1
        for name in ("time_zone", "week", "country", "subdivision", "half_day_until"):
            setattr(version, name, getattr(before, name))
    for name, value in changes.items():
        setattr(version, name, value)
    version.country = version.country.upper()
    version.clean_fields(exclude=["covers_from", "covers_until"])
    _half_day_end(version)
    return version


def _own_days(version: CalendarVersion | None) -> list[DaySpans]:
    return [] if version is None else list(version.own_days.values_list("day", "name", "spans"))


def _write_own_days(version: CalendarVersion, days: Sequence[DaySpans]) -> None:
    for day, name, spans in days:
        validate_spans(spans, label=f"{day} {name}")
        own = OwnDay(version=version, day=day, name=name, spans=spans)
        own.full_clean()  # a day that is named twice is refused here too
        own.save()


def _special_days(version: CalendarVersion, first: date, last: date) -> dict[date, tuple[str, list[str]]]:
    """Name and spans of each special date from `first` to `last`; own days win over public holidays."""
    days = {day: (name, spans) for day, name, spans in _public_days(version, first, last)}
    own_days = version.own_days.filter(day__range=(first, last)).values_list("day", "name", "spans")
    return days | {day: (name, spans) for day, name, spans in own_days}


def _public_days(version: CalendarVersion, first: date, last: date) -> Iterator[DaySpans]:
    """Half days, then whole ones: a day that is both is closed."""
    if not version.country:
        return
    half_day_end = _half_day_end(version)
    for category in (holidays.HALF_DAY, holidays.PUBLIC):
        for year in range(first.year, last.year + 1):
            for day, name in _holidays(version.country, version.subdivision, category, year):
                if not first <= day <= last:
                    continue
                if category == holidays.PUBLIC:
                    yield day, name, []
                else:
                    spans = _cut(version.week.get(WEEKDAYS[day.weekday()], []), half_day_end)
                    yield day, f"{_CLOSES_AT.sub('', name)} (half day)", spans


@lru_cache(maxsize=512)
def _holidays(country: str, subdivision: str, category: str, year: int) -> tuple[tuple[date, str], ...]:
    """What the package says of one year, in English where it can. ValidationError: it knows no such place."""
    try:
        place = holidays.country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError as error:
        raise ValidationError(
            _("No public holidays are known for “%(place)s”. Use a code such as TR, or DE with region BY."),
            params={"place": f"{country} {subdivision}".strip()},
        ) from error
    if category not in place.supported_categories:
        return ()
    language = _ENGLISH if _ENGLISH in place.supported_languages else None
    found = holidays.country_holidays(
        country, subdiv=subdivision or None, years=year, categories=category, language=language
    )
    return tuple(sorted((day, name) for day, name in found.items() if day.year == year))


def _half_day_end(version: CalendarVersion) -> int:
    try:
        return parse_span(f"00:00-{version.half_day_until}")[1]
    except ValueError as error:
        raise ValidationError({"half_day_until": _("Half days end at a time such as 13:00.")}) from error


def _cut(spans: Sequence[str], end: int) -> list[str]:
    """The part of `spans` before `end` (seconds after midnight)."""
    parsed = [parse_span(span) for span in spans]
    return [f"{_clock(start)}-{_clock(min(stop, end))}" for start, stop in parsed if start < end]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"
