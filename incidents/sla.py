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

from incidents.clock_book import TOLD, ClockBook, shifted_by_pauses
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


class Ledger(ClockBook):
    """The clocks of one incident, built fact by fact."""

    def __init__(self, promises: Mapping[str, Promise]) -> None:
        super().__init__(promises)
        self.cycle_started_at: datetime | None = None
        self.delivered: dict[Deliverable, datetime] = {}
        self.is_first_response_given = False
        self.is_rca_requested = self.is_major = False
        self.resolved_at: datetime | None = None
        self.lowering: tuple[int | None, Ledger] | None = None
        self.since_lowering: list[Fact] = []

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
            self._meet(clock, at)

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
            self._meet(clock, given)
        elif clock.due_at and clock.due_at < at and clock.state == State.RUNNING:
            self.clocks.remove(clock)
            if clock.target.rule == Rule.PLANNED_RELEASE:
                self.release_on = None
            self._start(Kind.TARGET_ACTION, at)

    def _stand_by_update(self, told: datetime, at: datetime) -> None:
        """The next update already told to the customer stands, whatever the new level's interval."""
        target = self.promise.target(self.level, Kind.STATUS_UPDATE)
        self._add(Kind.STATUS_UPDATE, target or TOLD, at, told)

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
                self._meet(clock, at)

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
        self._answer_question(fact.at)

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
                self._end(clock, State.CANCELLED, fact.at)
            else:
                self._meet(clock, fact.at)
        self._cancel(fact.at, Kind.STATUS_UPDATE)
        target = self.promise.target(self.level, Kind.RCA)
        if target and (self.is_rca_requested or self.is_major or not target.is_on_request):
            self._start(Kind.RCA, fact.at)

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

    def _on_declared_major(self, fact: Fact) -> None:
        """A major incident owes an RCA where the plan would give one only on request."""
        self.is_major = True
        is_given = any(c.kind == Kind.RCA and c.cycle == self.cycle and c.met_at for c in self.clocks)
        if self.resolved_at and not is_given and not self.owed(Kind.RCA):
            self._start(Kind.RCA, fact.at)

    def _on_rca_published(self, fact: Fact) -> None:
        for clock in self.owed(Kind.RCA):
            self._meet(clock, fact.at)

    # --- agreements and corrections ---

    def _on_promise_changed(self, fact: Fact) -> None:
        """Move open clocks under another promise; what was told about the next update stands."""
        self.promise_key = fact.promise
        for clock in self.open(Kind.FIRST_RESPONSE, Kind.TARGET_ACTION, Kind.RCA):
            target = self.promise.target(clock.level, clock.kind)
            if target is None:
                self._end(clock, State.CANCELLED, fact.at)
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
