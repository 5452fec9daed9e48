"""What a clock has to show for itself: segments, budget used, warnings. PURE, like `sla`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from incidents.sla import Clock, Pause, shifted_by_pauses
from portal import business_time
from portal.business_time import Calendar, always_open

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Receipt:
    """One stretch of a clock's life: whether its seconds counted, and if not, why not."""

    start: datetime
    end: datetime
    is_counted: bool
    reason: str  # "", "closed hours", a holiday's name, "waiting for customer"
    question: int | None = None

    @property
    def seconds(self) -> int:
        return int((self.end - self.start).total_seconds())


def receipts(clock: Clock, pauses: Iterable[Pause], now: datetime) -> list[Receipt]:
    """Contiguous receipts from the clock's start to its end, or to `now` while it is owed."""
    end = max(clock.ended_at or now, clock.started_at)
    found = [
        Receipt(segment.start, segment.end, segment.is_open, segment.reason)
        for segment in business_time.segments(clock.calendar, clock.started_at, end)
    ]
    for pause in effective_pauses(clock, pauses):
        found = _overlay(found, pause, end)
    return _merged(found)


def effective_pauses(clock: Clock, pauses: Iterable[Pause]) -> list[Pause]:
    """The pauses that held the clock: those that began while budget was left."""
    if not clock.is_pausable or clock.base_due_at is None:
        return []
    held: list[Pause] = []
    for pause in clock.pauses if clock.pauses is not None else pauses:
        due, _ = shifted_by_pauses(clock, clock.base_due_at, held)
        if max(pause.start, clock.started_at) < due:
            held.append(pause)
    return held


def _overlay(found: list[Receipt], pause: Pause, end: datetime) -> list[Receipt]:
    pause_end = min(pause.end or end, end)
    result: list[Receipt] = []
    for receipt in found:
        start, stop = max(receipt.start, pause.start), min(receipt.end, pause_end)
        if start >= stop:
            result.append(receipt)
            continue
        parts = [
            Receipt(receipt.start, start, receipt.is_counted, receipt.reason, receipt.question),
            Receipt(start, stop, False, "waiting for customer", pause.ref),
            Receipt(stop, receipt.end, receipt.is_counted, receipt.reason, receipt.question),
        ]
        result += [part for part in parts if part.start < part.end]
    return result


def _merged(found: list[Receipt]) -> list[Receipt]:
    result: list[Receipt] = []
    for receipt in found:
        last = result[-1] if result else None
        if last and (last.is_counted, last.reason, last.question) == (
            receipt.is_counted,
            receipt.reason,
            receipt.question,
        ):
            result[-1] = Receipt(last.start, receipt.end, last.is_counted, last.reason, last.question)
        else:
            result.append(receipt)
    return result


def _budget_calendar(clock: Clock) -> tuple[Calendar, int]:
    """The calendar that the budget is measured in, and the budget in seconds."""
    assert clock.base_due_at is not None
    due = max(clock.base_due_at, clock.started_at)
    budget = business_time.between(clock.calendar, clock.started_at, due)
    if budget:
        return clock.calendar, budget
    # A due time told for closed hours: no business time lies before it, so elapsed time is measured.
    always = always_open(clock.calendar.zone)
    return always, business_time.between(always, clock.started_at, due)


def warnings(clock: Clock, pauses: Iterable[Pause]) -> list[tuple[int, datetime]]:
    """(percent, instant) of each warning that lies before the due time, in order."""
    found = ((percent, instant_of(clock, pauses, percent)) for percent in clock.target.warn_percents)
    return [(percent, instant) for percent, instant in found if instant is not None]


def instant_of(clock: Clock, pauses: Iterable[Pause], percent: int) -> datetime | None:
    """When `percent` of the budget is used: None while a pause holds it, without a budget, and for an
    instant that lay behind when the due time was set."""
    if clock.base_due_at is None or clock.base_due_at <= clock.started_at:
        return None
    calendar, budget = _budget_calendar(clock)
    instant = business_time.add(calendar, clock.started_at, budget * percent // 100)
    if clock.is_pausable:
        instant, is_held = shifted_by_pauses(clock, instant, pauses)
        if is_held:
            return None
    return instant if instant >= clock.due_set_at else None


def percent_used(clock: Clock, pauses: Iterable[Pause], now: datetime) -> int:
    """The share of the budget used at `now` (or at the clock's end), 0 to 999, in whole percent."""
    if clock.base_due_at is None or clock.base_due_at <= clock.started_at:
        return 0 if clock.breached_at is None else 100
    calendar, budget = _budget_calendar(clock)
    end = max(min(clock.ended_at or now, now), clock.started_at)
    used = business_time.between(calendar, clock.started_at, end)
    for pause in effective_pauses(clock, pauses):
        start, stop = max(pause.start, clock.started_at), min(pause.end or end, end)
        if start < stop:
            used -= business_time.between(calendar, start, stop)
    return min(999, used * 100 // budget)
