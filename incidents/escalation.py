"""Which pages of an escalation chain are due. PURE: clocks and steps in, pages out; no Django, no hidden now.

A step pages at a share of a clock's budget, or so many minutes after its breach, and may be repeated up
to a cap until somebody acts. What came due while nobody looked collapses into its newest page; a warning
whose clock has breached meanwhile is not sent any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from incidents.receipts import instant_of
from incidents.sla import Clock, Pause, State


class Stop(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    DELIVERED = "delivered"


@dataclass(frozen=True)
class Step:
    """One link of a chain. `percent` None means `after_minutes` after the breach."""

    level: str
    kind: str
    role: str
    channels: tuple[str, ...] = ("email",)
    is_every_channel: bool = False
    percent: int | None = None
    after_minutes: int = 0
    repeat_minutes: int | None = None
    max_pages: int = 1
    stop: Stop = Stop.ACKNOWLEDGED
    makes_major: bool = False

    @property
    def key(self) -> str:
        """The step in words that outlive its row: `80%:backup`, `+5:duty_manager`."""
        when = f"{self.percent}%" if self.percent is not None else f"+{self.after_minutes}"
        return f"{when}:{self.role}"


@dataclass(frozen=True)
class Page:
    step: Step
    number: int
    due_at: datetime


Paged = Collection[tuple[str, int]]  # (step key, number) of the pages that went out for the clock


def due_pages(
    clock: Clock,
    steps: Iterable[Step],
    pauses: Iterable[Pause],
    *,
    paged: Paged,
    is_acted_on: bool,
    now: datetime,
) -> list[Page]:
    """The newest page of each step that is due at `now` and did not go out yet, in order of their due times.

    `is_acted_on` says whether somebody has taken the incident up in this cycle: then what stops at that is
    not repeated; a first page is never held back by it.
    """
    found = []
    for step in steps:
        page = _newest(clock, step, pauses, is_acted_on, now)
        if page and page.due_at <= now and not _went_out(page, paged):
            found.append(page)
    return sorted(found, key=lambda page: page.due_at)


def next_page_at(
    clock: Clock,
    steps: Iterable[Step],
    pauses: Iterable[Pause],
    *,
    paged: Paged,
    is_acted_on: bool,
    now: datetime,
) -> datetime | None:
    """When a sweep must look at the clock next for one of these steps, or None. In the past when it is due."""
    moments = []
    for step in steps:
        newest = _newest(clock, step, pauses, is_acted_on, now)
        if newest and not _went_out(newest, paged):
            moments.append(newest.due_at)
        elif newest and (after := _following(clock, step, newest, is_acted_on)):
            moments.append(after)
    return min(moments, default=None)


def _went_out(page: Page, paged: Paged) -> bool:
    return any(key == page.step.key and number >= page.number for key, number in paged)


def _newest(
    clock: Clock, step: Step, pauses: Iterable[Pause], is_acted_on: bool, now: datetime
) -> Page | None:
    """The step's page that counts at `now`: the latest that has come due, else the first to come."""
    if (step.level, step.kind) != (clock.level, str(clock.kind)):
        return None
    first = _first_at(clock, step, pauses)
    if first is None:
        return None
    number = 1
    if step.repeat_minutes and now > first and not _is_stopped(clock, step, is_acted_on):
        passed = int((now - first).total_seconds()) // (step.repeat_minutes * 60)
        number = min(step.max_pages, passed + 1)
    return Page(step, number, first + timedelta(minutes=(step.repeat_minutes or 0) * (number - 1)))


def _first_at(clock: Clock, step: Step, pauses: Iterable[Pause]) -> datetime | None:
    if step.percent is not None:
        return instant_of(clock, pauses, step.percent) if clock.state == State.RUNNING else None
    if clock.breached_at is None:
        return None
    at = clock.breached_at + timedelta(minutes=step.after_minutes)
    return None if clock.ended_at is not None and clock.ended_at < at else at


def _is_stopped(clock: Clock, step: Step, is_acted_on: bool) -> bool:
    return clock.ended_at is not None or (step.stop == Stop.ACKNOWLEDGED and is_acted_on)


def _following(clock: Clock, step: Step, page: Page, is_acted_on: bool) -> datetime | None:
    if not step.repeat_minutes or page.number >= step.max_pages or _is_stopped(clock, step, is_acted_on):
        return None
    return page.due_at + timedelta(minutes=step.repeat_minutes)
