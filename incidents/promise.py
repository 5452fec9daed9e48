"""What the clocks are made of: targets, promises, facts, pauses and the clock itself. PURE, like `sla`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from portal import business_time
from portal.business_time import Calendar

DELIVERY_GRACE = timedelta(minutes=5)
LEVELS = ("P1", "P2", "P3")


class Kind(StrEnum):
    FIRST_RESPONSE = "first_response"
    TARGET_ACTION = "target_action"
    STATUS_UPDATE = "status_update"
    RCA = "rca"


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    BREACHED = "breached"
    REPLACED = "replaced"
    CANCELLED = "cancelled"


class Rule(StrEnum):
    WITHIN_MINUTES = "within_minutes"
    SAME_BUSINESS_DAY = "same_business_day"
    BUSINESS_DAYS = "business_days"
    PLANNED_RELEASE = "planned_release"


class Deliverable(StrEnum):
    INTERVENTION = "intervention"
    ACTION_PLAN = "action_plan"
    RELEASE_OR_SOLUTION = "release_or_solution"


@dataclass(frozen=True)
class Target:
    """What is promised for one kind of clock at one level."""

    rule: Rule
    amount: int = 0  # minutes or business days, as the rule says
    is_around_the_clock: bool = False
    deliverable: Deliverable | None = None
    is_on_request: bool = False
    warn_percents: tuple[int, ...] = (50, 80)


@dataclass(frozen=True)
class Promise:
    """One policy version under one calendar version."""

    targets: Mapping[tuple[str, str], Target]  # by (level, kind)
    business: Calendar
    always: Calendar

    def target(self, level: str, kind: str) -> Target | None:
        return self.targets.get((level, kind))

    def calendar(self, target: Target) -> Calendar:
        return self.always if target.is_around_the_clock else self.business

    def due(self, target: Target, start: datetime) -> datetime | None:
        """When the target falls due for a start, before any pause; None until a release is planned."""
        calendar = self.calendar(target)
        if target.rule == Rule.WITHIN_MINUTES:
            return business_time.add(calendar, start, target.amount * 60)
        if target.rule == Rule.SAME_BUSINESS_DAY:
            return business_time.close_of_same_business_day(calendar, start)
        if target.rule == Rule.BUSINESS_DAYS:
            return business_time.close_of_nth_business_day(calendar, start, target.amount)
        return None


@dataclass(frozen=True)
class Fact:
    """Something that happened: `at` is its receipt, `recorded_at` when it was written down."""

    kind: str
    at: datetime
    recorded_at: datetime
    level: str = ""
    ref: int | None = None  # the validation, question or status update that the fact is about
    is_public_answer: bool = False  # a public message of a human staff member
    next_update_at: datetime | None = None
    release_on: date | None = None
    promise: str = ""
    correction: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Pause:
    """Waiting for the customer since the question `ref`, over [start, end)."""

    start: datetime
    ref: int | None
    end: datetime | None = None


@dataclass(frozen=True)
class PendingUpdate:
    """A published status update that no channel has accepted yet."""

    ref: int | None
    at: datetime
    next_update_at: datetime | None
    is_accepted: bool = False


@dataclass
class Clock:
    """One promise of one incident. `due_at` of a paused clock is the earliest it can be due."""

    kind: Kind
    level: str
    cycle: int
    ordinal: int
    target: Target
    calendar: Calendar
    started_at: datetime
    base_due_at: datetime | None  # before pauses
    due_at: datetime | None
    due_set_at: datetime  # warnings that lie before it were never due
    first_due_at: datetime | None = None
    state: State = State.RUNNING
    met_at: datetime | None = None
    breached_at: datetime | None = None
    ended_at: datetime | None = None
    pending: tuple[PendingUpdate, ...] = ()
    pauses: tuple[Pause, ...] | None = None  # as they stood when it was breached or closed

    @property
    def key(self) -> tuple[str, int, str, int]:
        return (self.kind, self.cycle, self.level, self.ordinal)

    @property
    def is_open(self) -> bool:
        """Still counting."""
        return self.state in (State.RUNNING, State.PAUSED)

    @property
    def is_owed(self) -> bool:
        """Still counting, or breached and not yet delivered."""
        return self.ended_at is None

    @property
    def is_pausable(self) -> bool:
        return self.kind == Kind.TARGET_ACTION and self.target.rule != Rule.PLANNED_RELEASE
