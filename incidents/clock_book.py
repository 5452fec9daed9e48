"""The clocks of one incident, and time passing over them. PURE, like `sla`, which says what a fact does.

A clock is started, held by pauses, settled (breached at its due time, however late anybody looks) and
ended here; why any of that happens is written in `sla`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from incidents.promise import (
    DELIVERY_GRACE,
    Clock,
    Kind,
    Pause,
    PendingUpdate,
    Promise,
    Rule,
    State,
    Target,
)
from portal import business_time

# What the next update is measured by where the plan names no interval: the time told to the customer.
TOLD = Target(rule=Rule.WITHIN_MINUTES, is_around_the_clock=True, warn_percents=(80,))


class ClockBook:
    """The clocks of one incident under one promise, at one level, in one cycle."""

    def __init__(self, promises: Mapping[str, Promise]) -> None:
        self.promises = promises
        self.promise_key = ""
        self.clocks: list[Clock] = []
        self.pauses: list[Pause] = []
        self.level = ""
        self.cycle = 0
        self.release_on: date | None = None

    # --- reading ---

    @property
    def promise(self) -> Promise:
        return self.promises[self.promise_key]

    def owed(self, *kinds: Kind) -> list[Clock]:
        return [clock for clock in self.clocks if clock.is_owed and clock.kind in kinds]

    def open(self, *kinds: Kind) -> list[Clock]:
        return [clock for clock in self.clocks if clock.is_open and clock.kind in kinds]

    @property
    def running_update(self) -> Clock | None:
        # Only the newest interval can still run, and an unattended P1 gathers thousands.
        newest = next((clock for clock in reversed(self.clocks) if clock.kind == Kind.STATUS_UPDATE), None)
        return newest if newest and newest.is_open else None

    # --- time passes ---

    def settle(self, until: datetime) -> None:
        """Breach, at its due time, everything that fell due strictly before `until`."""
        for clock in self.open(Kind.FIRST_RESPONSE, Kind.TARGET_ACTION, Kind.RCA):
            if clock.state == State.RUNNING and clock.due_at and clock.due_at < until:
                clock.state, clock.breached_at = State.BREACHED, clock.due_at
                self._keep_pauses(clock)
        while self._settle_update(until):
            pass

    def _settle_update(self, until: datetime) -> bool:
        """Close the running update interval if its verdict has fallen; True if another may follow."""
        clock = self.running_update
        if clock is None or clock.due_at is None:
            return False
        in_time = [update for update in clock.pending if update.at <= clock.due_at]
        accepted = [update for update in in_time if update.is_accepted]
        if accepted:
            self._meet_update(clock, min(accepted, key=lambda update: update.at))
            return True
        waits = any(until <= update.at + DELIVERY_GRACE for update in in_time)
        if clock.due_at >= until or waits:
            return False
        clock.state, clock.breached_at, clock.ended_at = State.BREACHED, clock.due_at, clock.due_at
        later = tuple(update for update in clock.pending if update.at > clock.due_at)
        self._start_update(clock.due_at, None, pending=later)
        return True

    def _meet_update(self, clock: Clock, update: PendingUpdate) -> None:
        self._meet(clock, update.at)
        later = tuple(other for other in clock.pending if other.at > update.at)
        self._start_update(update.at, update.next_update_at, pending=later)

    # --- clocks begin ---

    def _start(self, kind: Kind, at: datetime, *, no_later_than: datetime | None = None) -> Clock | None:
        target = self.promise.target(self.level, kind)
        if target is None:
            return None
        due = self.promise.due(target, at)
        if target.rule == Rule.PLANNED_RELEASE and self.release_on:
            due = business_time.end_of_release_day(self.promise.business, self.release_on)
        if due and no_later_than:
            due = min(due, no_later_than)
        clock = self._add(kind, target, at, due)
        self._repause(clock)
        return clock

    def _start_update(
        self,
        at: datetime,
        told: datetime | None,
        *,
        no_later_than: datetime | None = None,
        pending: tuple[PendingUpdate, ...] = (),
    ) -> None:
        """Start the next update interval: due as told to the customer, else one interval later."""
        target = self.promise.target(self.level, Kind.STATUS_UPDATE)
        interval_end = self.promise.due(target, at) if target else None
        due = told or interval_end
        if due is None:
            return
        limits = [limit for limit in (interval_end if told else None, no_later_than) if limit]
        clock = self._add(Kind.STATUS_UPDATE, target or TOLD, at, min([due, *limits]))
        clock.pending = pending

    def _add(self, kind: Kind, target: Target, at: datetime, due: datetime | None) -> Clock:
        clock = Clock(
            kind=kind,
            level=self.level,
            cycle=self.cycle,
            ordinal=self._next_ordinal(kind, self.cycle, self.level),
            target=target,
            calendar=self.promise.calendar(target),
            started_at=at,
            base_due_at=due,
            due_at=due,
            due_set_at=at,
            first_due_at=due,
        )
        self.clocks.append(clock)
        return clock

    def _next_ordinal(self, kind: Kind, cycle: int, level: str) -> int:
        key = (kind, cycle, level)
        taken = (c.ordinal for c in reversed(self.clocks) if (c.kind, c.cycle, c.level) == key)
        return next(taken, 0) + 1

    # --- clocks end ---

    def _end(self, clock: Clock, state: State, at: datetime) -> None:
        """Close a clock for good; a breached one stays breached, a held one keeps what the pause gave it."""
        if clock.state == State.PAUSED and clock.base_due_at is not None:
            held = [replace(pause, end=pause.end or max(at, pause.start)) for pause in self.pauses]
            clock.due_at, _ = shifted_by_pauses(clock, clock.base_due_at, held)
        clock.ended_at = at
        self._keep_pauses(clock)
        if clock.state != State.BREACHED:
            clock.state = state

    def _keep_pauses(self, clock: Clock) -> None:
        """A reply that is recorded late moves a pause: of a clock whose verdict has fallen it moves nothing."""
        if clock.is_pausable and clock.pauses is None:
            clock.pauses = tuple(replace(pause) for pause in self.pauses)

    def _meet(self, clock: Clock, at: datetime) -> None:
        """Record the deliverable, also when it comes after the breach."""
        clock.met_at = at
        self._end(clock, State.MET, at)

    def _replace_open(self, at: datetime) -> datetime | None:
        """End the running clocks as replaced; return when the next update was promised."""
        update = self.running_update
        for clock in self.open(Kind.FIRST_RESPONSE, Kind.TARGET_ACTION, Kind.STATUS_UPDATE):
            self._end(clock, State.REPLACED, at)
        return update.due_at if update else None

    def _cancel(self, at: datetime, *kinds: Kind) -> None:
        for clock in self.owed(*kinds):
            self._end(clock, State.CANCELLED, at)

    # --- waiting for the customer ---

    def _end_pause(self, at: datetime) -> None:
        for pause in self.pauses:
            if pause.end is None:
                pause.end = max(at, pause.start)
        self._repause_open()

    def _answer_question(self, at: datetime) -> None:
        """A pause ends at the first human reply received since its question, also if that is recorded late."""
        for pause in self.pauses:
            if pause.start <= at and (pause.end is None or at < pause.end):
                pause.end = at
        self._repause_open()

    def _repause_open(self) -> None:
        for clock in self.open(Kind.TARGET_ACTION):
            self._repause(clock)

    def _repause(self, clock: Clock) -> None:
        """Recompute the due time and the state of an open clock from the pauses."""
        if not clock.is_pausable or clock.base_due_at is None:
            return
        due, is_paused = shifted_by_pauses(clock, clock.base_due_at, self.pauses)
        clock.due_at = due
        clock.state = State.PAUSED if is_paused else State.RUNNING


def shifted_by_pauses(clock: Clock, instant: datetime, pauses: Iterable[Pause]) -> tuple[datetime, bool]:
    """Move an instant of the clock's budget by the counted time of the pauses that began before it.

    Returns the moved instant, and whether an unfinished pause holds the clock.
    """
    for pause in pauses:
        start = max(pause.start, clock.started_at)
        if start >= instant or (pause.end is not None and pause.end <= start):
            continue
        if pause.end is None:
            return instant, True
        paused = business_time.between(clock.calendar, start, pause.end)
        instant = business_time.add(clock.calendar, instant, paused)
    return instant, False
