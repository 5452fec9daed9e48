"""The clocks. Facts and a promise in, clocks out: no Django, no I/O, no hidden now.

`replay` folds an incident's facts, in recorded order, into a `Ledger` of clocks. Before each fact the
ledger settles: whatever fell due strictly before the fact was recorded is breached at its due time,
however late anybody noticed. Live code and `verify_clocks` call the same function, so they agree by
construction. Times are aware datetimes in whole seconds; budgets are minutes or business days.
Rules: design, "Rules of the clocks", 1 to 11.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from incidents.promise import (
    DELIVERY_GRACE,
    LEVELS,
    Clock,
    Deliverable,
    Fact,
    Kind,
    Pause,
    PendingUpdate,
    Promise,
    Rule,
    State,
    Target,
)
from portal import business_time

__all__ = [
    "DELIVERY_GRACE",
    "LEVELS",
    "Clock",
    "Deliverable",
    "Fact",
    "Kind",
    "Ledger",
    "Pause",
    "PendingUpdate",
    "Promise",
    "Rule",
    "State",
    "Target",
    "as_claimed",
    "replay",
    "shifted_by_pauses",
]


class Ledger:
    """The clocks of one incident, built fact by fact."""

    def __init__(self, promises: Mapping[str, Promise]) -> None:
        self.promises = promises
        self.promise_key = ""
        self.clocks: list[Clock] = []
        self.pauses: list[Pause] = []
        self.level = ""
        self.cycle = 0
        self.cycle_started_at: datetime | None = None
        self.delivered: dict[Deliverable, datetime] = {}
        self.is_first_response_given = False
        self.is_rca_requested = False
        self.resolved_at: datetime | None = None
        self.release_on: date | None = None
        self.lowering: tuple[int | None, Ledger] | None = None
        self.since_lowering: list[Fact] = []

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
        clock.meet(update.at)
        later = tuple(other for other in clock.pending if other.at > update.at)
        self._start_update(update.at, update.next_update_at, pending=later)

    # --- facts ---

    def apply(self, fact: Fact) -> None:
        """Let one fact act on the clocks. KeyError if it names an unknown promise."""
        handler = getattr(self, f"_on_{fact.kind}", None)
        if handler is not None:
            handler(fact)
        if fact.is_public_answer:
            self._answer(fact.at)
        if self.lowering and fact.kind != "level_validated":
            self.since_lowering.append(fact)

    def _answer(self, at: datetime) -> None:
        self.is_first_response_given = True
        for clock in self.owed(Kind.FIRST_RESPONSE):
            clock.meet(at)

    def _on_opened(self, fact: Fact) -> None:
        self.promise_key, self.level = fact.promise, fact.level
        self._start_cycle(fact.at)

    def _start_cycle(self, at: datetime) -> None:
        self.cycle += 1
        self.cycle_started_at = at
        self.is_first_response_given = self.is_rca_requested = False
        self.delivered, self.resolved_at, self.release_on = {}, None, None
        self._forget_lowering()
        self._start(Kind.FIRST_RESPONSE, at)
        self._start(Kind.TARGET_ACTION, at)
        self._start_update(at, None)

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
        due = min([due, *limits])
        if target is None:
            target = Target(rule=Rule.WITHIN_MINUTES, is_around_the_clock=True, warn_percents=(80,))
        clock = self._add(Kind.STATUS_UPDATE, target, at, due)
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

    # --- levels ---

    def _on_level_validated(self, fact: Fact) -> None:
        if fact.level == self.level:
            return
        if LEVELS.index(fact.level) < LEVELS.index(self.level):
            self._forget_lowering()
            self._raise(fact.level, fact.at)
        else:
            before = self._copy()
            self._lower(fact.level, fact.at)
            self.lowering, self.since_lowering = (fact.ref, before), []

    def _forget_lowering(self) -> None:
        self.lowering, self.since_lowering = None, []

    def _replace_open(self, at: datetime) -> datetime | None:
        """End the running clocks as replaced; return when the next update was promised."""
        update = self.running_update
        for clock in self.open(Kind.FIRST_RESPONSE, Kind.TARGET_ACTION, Kind.STATUS_UPDATE):
            clock.end(State.REPLACED, at)
        return update.due_at if update else None

    def _raise(self, level: str, at: datetime) -> None:
        response = next(iter(self.open(Kind.FIRST_RESPONSE)), None)
        promised_update = self._replace_open(at)
        self.level = level
        # An overdue first response is owed already: its breach stays, a second clock would forgive it.
        if not self.is_first_response_given and not self.owed(Kind.FIRST_RESPONSE):
            self._start(Kind.FIRST_RESPONSE, at, no_later_than=response.due_at if response else None)
        self._start(Kind.TARGET_ACTION, at)
        has_interval = self.promise.target(level, Kind.STATUS_UPDATE) is not None
        told = None if has_interval else promised_update
        self._start_update(at, told, no_later_than=promised_update)

    def _lower(self, level: str, at: datetime) -> None:
        receipt = self.cycle_started_at or at
        promised_update = self._replace_open(at)
        self.level = level
        if not self.is_first_response_given:
            self._start(Kind.FIRST_RESPONSE, receipt)
        self._start_lowered_target(receipt, at)
        if promised_update:
            self._stand_by_update(promised_update, at)
        elif self.promise.target(level, Kind.STATUS_UPDATE):
            self._start_update(at, None)

    def _start_lowered_target(self, receipt: datetime, at: datetime) -> None:
        clock = self._start(Kind.TARGET_ACTION, receipt)
        if clock is None:
            return
        given = self.delivered.get(clock.target.deliverable) if clock.target.deliverable else None
        if given and (clock.due_at is None or given <= clock.due_at):
            clock.meet(given)
        elif clock.due_at and clock.due_at < at and clock.state == State.RUNNING:
            self.clocks.remove(clock)
            if clock.target.rule == Rule.PLANNED_RELEASE:
                self.release_on = None
            self._start(Kind.TARGET_ACTION, at)

    def _stand_by_update(self, told: datetime, at: datetime) -> None:
        """The next update already told to the customer stands, whatever the new level's interval."""
        target = self.promise.target(self.level, Kind.STATUS_UPDATE)
        target = target or Target(rule=Rule.WITHIN_MINUTES, is_around_the_clock=True, warn_percents=(80,))
        self._add(Kind.STATUS_UPDATE, target, at, told)

    def _on_lowering_voided(self, fact: Fact) -> None:
        """A contest was upheld: continue as if the lowering had never happened (rule 4)."""
        if not self.lowering or self.lowering[0] != fact.ref:
            return
        before = self.lowering[1]
        settled = {clock.key for clock in before.clocks if not clock.is_open}
        for past in self.since_lowering:
            before.settle(past.recorded_at)
            before.apply(past)
        before.settle(fact.recorded_at)
        self._replace_open(fact.at)
        self.level = before.level
        for clock in before.clocks:
            if clock.key not in settled:
                ordinal = self._next_ordinal(clock.kind, clock.cycle, clock.level)
                self.clocks.append(replace(clock, ordinal=ordinal))
        self._forget_lowering()

    def _copy(self) -> Ledger:
        twin = copy.copy(self)
        twin.clocks = [copy.copy(clock) for clock in self.clocks]
        twin.pauses = [copy.copy(pause) for pause in self.pauses]
        twin.delivered = dict(self.delivered)
        twin._forget_lowering()
        return twin

    # --- deliverables ---

    def _deliver(self, deliverable: Deliverable, at: datetime) -> None:
        self.delivered.setdefault(deliverable, at)
        for clock in self.owed(Kind.TARGET_ACTION):
            if clock.target.deliverable == deliverable:
                clock.meet(at)

    def _on_intervention_started(self, fact: Fact) -> None:
        self._deliver(Deliverable.INTERVENTION, fact.at)

    def _on_action_plan_filed(self, fact: Fact) -> None:
        self._deliver(Deliverable.ACTION_PLAN, fact.at)

    def _on_solution_documented(self, fact: Fact) -> None:
        self._deliver(Deliverable.RELEASE_OR_SOLUTION, fact.at)

    def _on_release_shipped(self, fact: Fact) -> None:
        self._deliver(Deliverable.RELEASE_OR_SOLUTION, fact.at)

    def _on_release_planned(self, fact: Fact) -> None:
        self._plan_release(fact.release_on, fact.at)

    def _on_release_moved(self, fact: Fact) -> None:
        self._plan_release(fact.release_on, fact.at)

    def _on_release_withdrawn(self, fact: Fact) -> None:
        self._plan_release(None, fact.at)

    def _plan_release(self, on: date | None, at: datetime) -> None:
        self.release_on = on
        for clock in self.open(Kind.TARGET_ACTION):
            if clock.target.rule == Rule.PLANNED_RELEASE:
                due = business_time.end_of_release_day(clock.calendar, on) if on else None
                clock.base_due_at = clock.due_at = due
                clock.due_set_at = at
                clock.first_due_at = clock.first_due_at or due

    # --- waiting for the customer ---

    def _on_question_asked(self, fact: Fact) -> None:
        if not any(pause.end is None for pause in self.pauses):
            self.pauses.append(Pause(fact.at, fact.ref))
            self._repause_open()

    def _on_customer_replied(self, fact: Fact) -> None:
        self._end_pause(fact.at)

    def _end_pause(self, at: datetime) -> None:
        for pause in self.pauses:
            if pause.end is None:
                pause.end = max(at, pause.start)
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

    # --- status updates ---

    def _on_status_update_published(self, fact: Fact) -> None:
        clock = self.running_update
        if clock is None:
            if fact.next_update_at and self.resolved_at is None:
                self._start_update(fact.at, fact.next_update_at)
            return
        clock.pending += (PendingUpdate(fact.ref, fact.at, fact.next_update_at),)

    def _on_status_update_accepted(self, fact: Fact) -> None:
        clock = self.running_update
        if clock is None:
            return
        clock.pending = tuple(
            replace(update, is_accepted=True)
            if update.ref == fact.ref and fact.at <= update.at + DELIVERY_GRACE
            else update
            for update in clock.pending
        )
        self._settle_update(fact.recorded_at)

    # --- the end, and after ---

    def _on_resolved(self, fact: Fact) -> None:
        self.resolved_at = fact.at
        self._end_pause(fact.at)
        for clock in self.owed(Kind.FIRST_RESPONSE, Kind.TARGET_ACTION):
            if clock.target.deliverable == Deliverable.RELEASE_OR_SOLUTION:
                clock.end(State.CANCELLED, fact.at)
            else:
                clock.meet(fact.at)
        self._cancel(fact.at, Kind.STATUS_UPDATE)
        target = self.promise.target(self.level, Kind.RCA)
        if target and (self.is_rca_requested or not target.is_on_request):
            self._start(Kind.RCA, fact.at)

    def _cancel(self, at: datetime, *kinds: Kind) -> None:
        for clock in self.owed(*kinds):
            clock.end(State.CANCELLED, at)

    def _on_withdrawn(self, fact: Fact) -> None:
        self._end_pause(fact.at)
        self._cancel(fact.at, *Kind)

    def _on_marked_duplicate(self, fact: Fact) -> None:
        self._on_withdrawn(fact)

    def _on_reopened(self, fact: Fact) -> None:
        self._end_pause(fact.at)
        self._cancel(fact.at, *Kind)
        self._start_cycle(fact.at)

    def _on_rca_requested(self, fact: Fact) -> None:
        self.is_rca_requested = True
        if self.resolved_at and not self.owed(Kind.RCA):
            self._start(Kind.RCA, fact.at)

    def _on_rca_published(self, fact: Fact) -> None:
        for clock in self.owed(Kind.RCA):
            clock.meet(fact.at)

    # --- agreements and corrections ---

    def _on_promise_changed(self, fact: Fact) -> None:
        """Move open clocks under another promise; what was told about the next update stands."""
        self.promise_key = fact.promise
        for clock in self.open(Kind.FIRST_RESPONSE, Kind.TARGET_ACTION, Kind.RCA):
            target = self.promise.target(clock.level, clock.kind)
            if target is None:
                clock.end(State.CANCELLED, fact.at)
                continue
            clock.target, clock.calendar = target, self.promise.calendar(target)
            clock.base_due_at = clock.due_at = self.promise.due(target, clock.started_at)
            if target.rule == Rule.PLANNED_RELEASE and self.release_on:
                clock.base_due_at = business_time.end_of_release_day(clock.calendar, self.release_on)
                clock.due_at = clock.base_due_at
            clock.due_set_at = fact.at
            self._repause(clock)

    def _on_clock_corrected(self, fact: Fact) -> None:
        key = tuple(fact.correction["key"])
        for clock in self.clocks:
            if clock.key == key:
                for name, value in fact.correction["new"].items():
                    setattr(clock, name, value)


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


def replay(facts: Iterable[Fact], promises: Mapping[str, Promise], now: datetime) -> Ledger:
    """Fold the facts, in recorded order, into clocks settled up to `now`."""
    ledger = Ledger(promises)
    for fact in facts:
        ledger.settle(fact.recorded_at)
        ledger.apply(fact)
    ledger.settle(now)
    return ledger


def as_claimed(facts: Iterable[Fact]) -> list[Fact]:
    """The same facts without the vendor's verdicts on the level: for reporting both (rule 4)."""
    return [fact for fact in facts if fact.kind not in ("level_validated", "lowering_voided")]
