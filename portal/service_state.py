"""The state of services, read from `ServiceImpact` rows: now, by day, and over a period.

One query serves any number of organisations and services. Who may see what is the caller's matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from django.db.models import Q

from portal import uptime
from portal.models import Organisation, Service, ServiceImpact
from portal.uptime import Figures, Segment, Span

Key = tuple[int, int]  # primary keys of an organisation and of a service
STRIP_DAYS = 90


@dataclass(frozen=True)
class State:
    """What is true at an instant. `since` is None when it has been so for longer than was looked back."""

    impact: str
    is_planned: bool
    since: datetime | None
    causes: tuple[ServiceImpact, ...] = ()

    @property
    def word(self) -> str:
        """One word for labels and icons: "none", an impact, or "maintenance"."""
        return "maintenance" if self.is_planned else self.impact


@dataclass(frozen=True)
class Day:
    """One local day; the last one reaches to the present only."""

    day: date
    segments: tuple[Segment, ...]
    figures: Figures

    @property
    def impact(self) -> str:
        return self.figures.worst[0]

    @property
    def is_planned(self) -> bool:
        return self.figures.worst[1]


def impacts_of(
    organisations: Iterable[Organisation | int],
    start: datetime,
    end: datetime,
    services: Collection[Service | int] | None = None,
) -> dict[Key, list[ServiceImpact]]:
    """The rows that touch [start, end), oldest first, by organisation and service. One query."""
    rows = ServiceImpact.objects.filter(
        Q(until_at=None) | Q(until_at__gt=start), organisation__in=organisations, from_at__lt=end
    )
    if services is not None:
        rows = rows.filter(service__in=services)
    found: dict[Key, list[ServiceImpact]] = {}
    for row in rows.order_by("from_at", "pk"):
        found.setdefault((row.organisation_id, row.service_id), []).append(row)
    return found


def as_spans(rows: Iterable[ServiceImpact]) -> list[Span]:
    return [Span(row.impact, row.from_at, row.until_at, row.is_planned) for row in rows]


def spans_of(organisation: Organisation, service: Service, start: datetime, end: datetime) -> list[Span]:
    """What one organisation felt of one service in [start, end)."""
    rows = impacts_of([organisation], start, end, [service])
    return as_spans(rows.get((organisation.pk, service.pk), []))


def state_at(rows: Sequence[ServiceImpact], now: datetime, days: int = STRIP_DAYS) -> State:
    """The state at `now` of rows that touch the `days` before it."""
    now = now.replace(microsecond=0)
    start = min([now - timedelta(days=days), *(row.from_at for row in rows)])
    parts = uptime.segments(as_spans(rows), start, now + timedelta(seconds=1))
    last = parts[-1]
    active = [row for row in rows if row.from_at <= now and (row.until_at is None or row.until_at > now)]
    causes = sorted(active, key=lambda row: (-uptime.RANK[row.impact], row.from_at, row.pk))
    is_old = len(parts) == 1 and last.impact == uptime.NONE
    return State(last.impact, last.is_planned, None if is_old else last.start, tuple(causes))


def present_state(organisation: Organisation, service: Service, now: datetime) -> State:
    rows = impacts_of([organisation], now - timedelta(days=STRIP_DAYS), now + timedelta(seconds=1), [service])
    return state_at(rows.get((organisation.pk, service.pk), []), now)


def day_bounds(now: datetime, zone: tzinfo, days: int = STRIP_DAYS) -> list[datetime]:
    """The starts (UTC) of the last `days` local days, today's included, and `now` as the end of the last."""
    today = now.astimezone(zone).date()
    firsts = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    starts = [datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC) for day in firsts]
    return [*starts, max(now, starts[-1])]


def days_of(spans: Iterable[Span], now: datetime, zone: tzinfo, days: int = STRIP_DAYS) -> list[Day]:
    """One cell per local day of `zone`, oldest first."""
    bounds = day_bounds(now, zone, days)
    parts = uptime.segments(spans, bounds[0], bounds[-1])
    return [
        _day(start, end, zone, tuple(within))
        for (start, end), within in zip(itertools.pairwise(bounds), uptime.cut(parts, bounds), strict=True)
    ]


@lru_cache(maxsize=4096)  # on most days a service has simply worked: they are the same for all
def _day(start: datetime, end: datetime, zone: tzinfo, within: tuple[Segment, ...]) -> Day:
    return Day(start.astimezone(zone).date(), within, uptime.figures_of(within))


def strip(
    organisation: Organisation, service: Service, *, now: datetime, zone: tzinfo, days: int = STRIP_DAYS
) -> list[Day]:
    """The days of one service for one organisation."""
    bounds = day_bounds(now, zone, days)
    return days_of(spans_of(organisation, service, bounds[0], bounds[-1]), now, zone, days)
