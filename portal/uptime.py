"""PURE arithmetic of service status: what was felt at each instant, and the figures that follow from it.

No Django, no clock, no I/O. Spans may overlap, for several incidents and windows can touch one service at
once; of each instant exactly one thing is true. With U the worst unplanned and P the worst planned impact
of the instant: a P that is at least as bad as U was agreed beforehand, so the instant counts as planned
with P; otherwise it counts as unplanned with U. All figures are whole seconds.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

NONE = "none"
OUTAGE = "outage"
WORST_FIRST = (OUTAGE, "degraded", "reduced_redundancy", NONE)
RANK = {impact: rank for rank, impact in enumerate(reversed(WORST_FIRST))}


@dataclass(frozen=True)
class Span:
    """One impact over [from_at, until_at), or from `from_at` on while `until_at` is None. Aware times."""

    impact: str
    from_at: datetime
    until_at: datetime | None
    is_planned: bool = False


@dataclass(frozen=True)
class Segment:
    """What was true over [start, end), in UTC and whole seconds; working is the unplanned impact "none"."""

    start: datetime
    end: datetime
    impact: str
    is_planned: bool

    @property
    def seconds(self) -> int:
        return int((self.end - self.start).total_seconds())


@dataclass(frozen=True)
class Figures:
    """Whole seconds per impact of one period, planned ones apart; every second is in exactly one of them."""

    unplanned: Mapping[str, int]
    planned: Mapping[str, int]

    @property
    def length_seconds(self) -> int:
        return sum(self.unplanned.values()) + sum(self.planned.values())

    @property
    def agreed_seconds(self) -> int:
        """The time in which the service was promised to run: the period without planned outages."""
        return self.length_seconds - self.planned[OUTAGE]

    @property
    def downtime_seconds(self) -> int:
        """Unplanned outage."""
        return self.unplanned[OUTAGE]

    @property
    def uptime_seconds(self) -> int:
        """Agreed time without an unplanned outage."""
        return self.agreed_seconds - self.downtime_seconds

    @property
    def planned_seconds(self) -> int:
        """Maintenance of whatever impact."""
        return sum(self.planned.values())

    @property
    def availability(self) -> Fraction | None:
        """Uptime by agreed time, exactly; None when no time was agreed."""
        return Fraction(self.uptime_seconds, self.agreed_seconds) if self.agreed_seconds else None

    @property
    def worst(self) -> tuple[str, bool]:
        """(impact, is it planned): the worst unplanned one, for maintenance must not hide a fault."""
        for seconds, is_planned in ((self.unplanned, False), (self.planned, True)):
            for impact in WORST_FIRST[:-1]:
                if seconds[impact]:
                    return impact, is_planned
        return NONE, False


def segments(spans: Iterable[Span], start: datetime, end: datetime) -> list[Segment]:
    """[start, end) cut where the truth changes: in order, without gap or overlap, neighbours differ.

    Open spans reach to `end`. Fractions of a second are cut. ValueError for an end before the start, a
    time without zone, or an impact that is none.
    """
    start, end = _second(start), _second(end)
    if end < start:
        raise ValueError(f"a period cannot end ({end}) before it starts ({start})")
    changes = _changes(spans, start, end)
    active: Counter[tuple[str, bool]] = Counter()
    found: list[Segment] = []
    bounds = sorted({start, end, *changes})
    for at, until in itertools.pairwise(bounds):
        active.update(changes.get(at, ()))
        truth = _truth(key for key, count in active.items() if count)
        if found and (found[-1].impact, found[-1].is_planned) == truth:
            found[-1] = Segment(found[-1].start, until, *truth)
        else:
            found.append(Segment(at, until, *truth))
    return found


def figures(spans: Iterable[Span], start: datetime, end: datetime) -> Figures:
    """The figures of [start, end). Errors as of `segments`."""
    return figures_of(segments(spans, start, end))


def figures_of(parts: Iterable[Segment]) -> Figures:
    """The figures of segments that `segments` or `cut` made."""
    seconds = {False: dict.fromkeys(WORST_FIRST, 0), True: dict.fromkeys(WORST_FIRST, 0)}
    for part in parts:
        seconds[part.is_planned][part.impact] += part.seconds
    return Figures(unplanned=seconds[False], planned=seconds[True])


def cut(parts: Sequence[Segment], bounds: Sequence[datetime]) -> Iterator[list[Segment]]:
    """The parts of each period between two neighbouring bounds (rising), say of each day."""
    bounds = [_second(at) for at in bounds]
    index = 0
    for start, end in itertools.pairwise(bounds):
        while index < len(parts) and parts[index].end <= start:
            index += 1
        within, last = [], index
        while last < len(parts) and parts[last].start < end:
            part = parts[last]
            at, until = max(part.start, start), min(part.end, end)
            if at < until:
                within.append(Segment(at, until, part.impact, part.is_planned))
            last += 1
        yield within


def _second(at: datetime) -> datetime:
    """In UTC, for two times of one zone would be subtracted by the hands of its clock."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no zone")
    return at.astimezone(UTC).replace(microsecond=0)


def _changes(
    spans: Iterable[Span], start: datetime, end: datetime
) -> dict[datetime, Counter[tuple[str, bool]]]:
    """What begins (+) and ends (−) at each instant within the period."""
    changes: dict[datetime, Counter[tuple[str, bool]]] = {}
    for span in spans:
        if span.impact not in RANK:
            raise ValueError(f"“{span.impact}” is no impact")
        at = max(_second(span.from_at), start)
        until = end if span.until_at is None else min(_second(span.until_at), end)
        if at < until:
            changes.setdefault(at, Counter())[span.impact, span.is_planned] += 1
            changes.setdefault(until, Counter())[span.impact, span.is_planned] -= 1
    return changes


def _truth(active: Iterable[tuple[str, bool]]) -> tuple[str, bool]:
    worst = {False: 0, True: 0}
    for impact, is_planned in active:
        worst[is_planned] = max(worst[is_planned], RANK[impact])
    is_planned = worst[True] >= worst[False] and worst[True] > 0
    return WORST_FIRST[len(WORST_FIRST) - 1 - worst[is_planned]], is_planned


def percent(share: Fraction) -> Decimal:
    """A share of one as a percentage with three decimals, cut: 100 only where nothing at all is missing."""
    return Decimal(share * 100_000 // 1) / 1000
