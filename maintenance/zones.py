"""A time zone as iCalendar tells it: a VTIMEZONE (RFC 5545 §3.6.5) with yearly rules where the zone has them.

Programs that know the zone's name use their own rules; the others need these, and not all of them
understand a list of dates. PURE: no database, no hidden now.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

YEARS_AHEAD = 12  # long enough to tell "the last Sunday" from "the fourth"
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True)
class Change:
    """From `onset` on (wall time that is still read by the old offset) clocks show the new offset."""

    onset: datetime
    old: timedelta
    new: timedelta
    name: str
    is_daylight: bool


@lru_cache(maxsize=256)
def vtimezone(zone: str, first_year: int, last_year: int) -> Timezone:
    """The zone (an IANA name) from the start of `first_year`; without an end where its rules are yearly,
    else until YEARS_AHEAD after `last_year`."""
    info = ZoneInfo(zone)
    begin = datetime(first_year - 1, 1, 1, tzinfo=UTC)
    years = range(begin.year, last_year + YEARS_AHEAD)
    kinds: dict[tuple[timedelta, timedelta, str, bool], list[datetime]] = {}
    for change in changes(info, begin, datetime(years.stop, 1, 1, tzinfo=UTC)):
        key = (change.old, change.new, change.name, change.is_daylight)
        kinds.setdefault(key, []).append(change.onset)
    made = Timezone()
    made.add("TZID", zone)
    if not kinds or not all(yearly_rule(onsets, years) for onsets in kinds.values()):
        made.add_component(_before(info, begin))
    for (old, new, name, is_daylight), onsets in kinds.items():
        component = TimezoneDaylight() if is_daylight else TimezoneStandard()
        _describe(component, onsets[0], old, new, name)
        rule = yearly_rule(onsets, years)
        if rule:
            component.add("RRULE", rule)
        else:
            for onset in onsets[1:]:  # a line each: not every program reads a list
                component.add("RDATE", onset)
        made.add_component(component)
    return made


def changes(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[Change]:
    """Every change of the zone's offset in [begin, end), in order."""
    at = begin
    while at < end:
        later = at + timedelta(days=1)
        old, new = _offset(zone, at), _offset(zone, later)
        if old != new:
            instant = _instant(zone, at, later)
            local = instant.astimezone(zone)
            yield Change(
                onset=(instant + old).replace(tzinfo=None),
                old=old,
                new=new,
                name=local.tzname() or "",
                is_daylight=bool(local.dst()),
            )
        at = later


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _instant(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second of the new offset, between two instants of different offsets."""
    old = _offset(zone, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=1) // 2)
        low, high = (middle, high) if _offset(zone, middle) == old else (low, middle)
    return high


def yearly_rule(onsets: Sequence[datetime], years: range) -> dict[str, object]:
    """The RRULE of onsets that come once each year by one rule, such as the last Sunday of March; else {}."""
    if [onset.year for onset in onsets] != list(years):
        return {}
    if len({(onset.month, onset.weekday(), onset.time()) for onset in onsets}) > 1:
        return {}
    weeks = {(onset.day - 1) // 7 + 1 for onset in onsets}
    are_last = all(onset.day + 7 > calendar.monthrange(onset.year, onset.month)[1] for onset in onsets)
    if not are_last and len(weeks) > 1:
        return {}
    nth = -1 if are_last else weeks.pop()
    return {"FREQ": "YEARLY", "BYMONTH": onsets[0].month, "BYDAY": f"{nth}{DAYS[onsets[0].weekday()]}"}


def _before(zone: ZoneInfo, begin: datetime) -> TimezoneStandard:
    """What holds until the first change."""
    component = TimezoneStandard()
    offset = _offset(zone, begin)
    name = begin.astimezone(zone).tzname() or ""
    _describe(component, datetime(1970, 1, 1), offset, offset, name)  # noqa: DTZ001 (wall time, as RFC 5545 has it)
    return component


def _describe(
    component: TimezoneStandard | TimezoneDaylight, onset: datetime, old: timedelta, new: timedelta, name: str
) -> None:
    component.DTSTART = onset
    component.TZOFFSETFROM = old
    component.TZOFFSETTO = new
    component.add("TZNAME", name)
