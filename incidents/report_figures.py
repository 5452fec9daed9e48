"""What a month's report counts, from the facts and clocks of each incident. PURE: no Django, no I/O, no hidden now.

Every figure belongs to exactly one month: a target to the month in which its verdict fell (met when it was
delivered, missed at its due time, however late that was noticed), a duration to the month in which it ended.
Periods are [start, until), aware; figures are whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median_low
from typing import Any

from incidents import receipts as papers
from incidents.promise import LEVELS, Clock, Fact, Kind, State
from incidents.sla import Ledger

OVER = ("resolved", "withdrawn", "marked_duplicate")
LEVEL_FACTS = ("level_validated", "lowering_voided")
KINDS = (Kind.FIRST_RESPONSE, Kind.TARGET_ACTION, Kind.STATUS_UPDATE, Kind.RCA)
DURATIONS = ("first_response", "intervention", "restored", "resolved")


@dataclass(frozen=True)
class Period:
    """A calendar month of a zone, and how far into it the present reaches."""

    start: datetime
    end: datetime
    until: datetime  # the end, or the present of a month that still runs

    @property
    def is_running(self) -> bool:
        return self.until < self.end

    def holds(self, at: datetime | None) -> bool:
        return at is not None and self.start <= at < self.until


@dataclass(frozen=True)
class Case:
    """One incident: its facts in recorded order, its clocks, and the clocks as if no level had been judged."""

    reference: str
    title: str
    claimed_level: str
    facts: Sequence[Fact]
    ledger: Ledger
    claimed: Ledger


# --- one incident ---


def open_spans(facts: Iterable[Fact]) -> list[tuple[datetime, datetime | None]]:
    """When it was open: [opened or reopened, resolved, withdrawn or found to be a duplicate)."""
    spans: list[tuple[datetime, datetime | None]] = []
    for fact in facts:
        is_open = bool(spans) and spans[-1][1] is None
        if fact.kind in ("opened", "reopened") and not is_open:
            spans.append((fact.at, None))
        elif fact.kind in OVER and is_open:
            spans[-1] = (spans[-1][0], fact.at)
    return spans


def is_open_at(facts: Iterable[Fact], at: datetime) -> bool:
    """Whether it was open at the instant: what ends then is over, what begins then is open."""
    return any(start <= at and (end is None or at < end) for start, end in open_spans(facts))


def level_at(case: Case, until: datetime) -> str:
    """The level as the verdicts before `until` left it; as claimed while there is none."""
    judged = [fact.level for fact in case.facts if fact.kind in LEVEL_FACTS and fact.at < until]
    return judged[-1] if judged else case.claimed_level


def verdict_at(clock: Clock) -> datetime | None:
    """When the verdict on a target fell; None while it is open, and for one that was replaced or cancelled."""
    if clock.breached_at is not None:
        return clock.breached_at
    return clock.met_at if clock.state == State.MET else None


def judged(ledger: Ledger, period: Period) -> list[Clock]:
    """The clocks whose verdict fell in the period."""
    return [clock for clock in ledger.clocks if period.holds(verdict_at(clock))]


def durations(facts: Iterable[Fact], period: Period) -> Iterable[tuple[str, int]]:
    """(what, seconds since the report or the reopening) of all that was reached in the period, once a cycle."""
    start: datetime | None = None
    seen: set[str] = set()
    for fact in facts:
        if fact.kind in ("opened", "reopened"):
            start, seen = fact.at, set()
        for what in _reached(fact):
            if start is not None and what not in seen:
                seen.add(what)
                if period.holds(fact.at):
                    yield what, int((fact.at - start).total_seconds())


def _reached(fact: Fact) -> Iterable[str]:
    if fact.is_public_answer:
        yield "first_response"
    if fact.kind == "intervention_started":
        yield "intervention"
    if fact.kind in ("restored", "resolved"):
        yield "restored"
    if fact.kind == "resolved":
        yield "resolved"


# --- targets ---


def target_row(case: Case, clock: Clock, period: Period) -> dict[str, Any]:
    """One target whose verdict fell: its times, and what each second until the verdict counted as."""
    at = verdict_at(clock)
    assert at is not None
    delivered = clock.met_at if clock.met_at and clock.met_at < period.until else None
    is_missed = clock.breached_at is not None
    over = min(clock.ended_at or period.until, period.until)
    late = int((over - at).total_seconds()) if is_missed else 0
    return {
        "reference": case.reference,
        "kind": str(clock.kind),
        "level": clock.level,
        "started_at": clock.started_at,
        "due_at": clock.due_at,
        "first_due_at": clock.first_due_at if clock.first_due_at != clock.due_at else None,
        "met_at": delivered,
        "is_missed": is_missed,
        "is_owed": is_missed and over == period.until,
        "late_seconds": late,
        **receipt_sums(case.ledger, clock, at),
    }


def receipt_sums(ledger: Ledger, clock: Clock, at: datetime) -> dict[str, Any]:
    """Seconds from the start to the verdict: what counted, and what did not, by reason."""
    found = papers.receipts(replace(clock, ended_at=max(at, clock.started_at)), ledger.pauses, at)
    reasons: dict[str, int] = {}
    for receipt in found:
        if not receipt.is_counted:
            reasons[receipt.reason] = reasons.get(receipt.reason, 0) + receipt.seconds
    counted = sum(receipt.seconds for receipt in found if receipt.is_counted)
    return {
        "counted_seconds": counted,
        "uncounted": [{"reason": reason, "seconds": seconds} for reason, seconds in reasons.items()],
    }


def kind_rows(cases: Sequence[Case], period: Period) -> list[dict[str, Any]]:
    """Met and missed by kind: as the vendor validated the levels, and as the customer claimed them."""
    rows = []
    for kind in KINDS:
        validated = _tally(kind, (judged(case.ledger, period) for case in cases))
        claimed = _tally(kind, (judged(case.claimed, period) for case in cases))
        rows.append(
            {
                "kind": str(kind),
                "met": validated[0],
                "missed": validated[1],
                "claimed_met": claimed[0],
                "claimed_missed": claimed[1],
            }
        )
    return rows


def _tally(kind: Kind, of_each: Iterable[list[Clock]]) -> tuple[int, int]:
    missed = [clock.breached_at is not None for clocks in of_each for clock in clocks if clock.kind == kind]
    return len(missed) - sum(missed), sum(missed)


# --- all of them ---


def incident_row(case: Case, period: Period) -> dict[str, Any]:
    """One line of the list: what became of the incident until the end of the period."""
    ends = [end for _start, end in open_spans(case.facts) if end and end < period.until]
    is_open = is_open_before(case, period.until)
    updates = [clock for clock in judged(case.ledger, period) if clock.kind == Kind.STATUS_UPDATE]
    missed = sum(clock.breached_at is not None for clock in updates)
    return {
        "reference": case.reference,
        "title": case.title,
        "claimed_level": case.claimed_level,
        "level": level_at(case, period.until),
        "opened_at": case.facts[0].at,
        "ended_at": ends[-1] if ends and not is_open else None,
        "is_open": is_open,
        "intervals_kept": len(updates) - missed,
        "intervals_missed": missed,
    }


def is_open_before(case: Case, until: datetime) -> bool:
    """Whether it was still open when the period ended: of facts at that very instant none counts yet."""
    return any(start < until and (end is None or end >= until) for start, end in open_spans(case.facts))


def incident_figures(cases: Sequence[Case], period: Period) -> dict[str, Any]:
    """How many there were, came, were resolved and remain; each level as claimed and as validated."""
    opened = [case for case in cases if period.holds(case.facts[0].at)]
    concerned = [case for case in cases if _concerns(case, period)]
    return {
        "open_at_start": sum(is_open_before(case, period.start) for case in cases),
        "opened": len(opened),
        "reopened": sum(_count(case, ("reopened",), period) for case in cases),
        "resolved": sum(_count(case, ("resolved",), period) for case in cases),
        "withdrawn": sum(_count(case, ("withdrawn", "marked_duplicate"), period) for case in cases),
        "open_at_end": sum(is_open_before(case, period.until) for case in cases),
        "levels": [
            {
                "level": level,
                "claimed": sum(case.claimed_level == level for case in opened),
                "validated": sum(level_at(case, period.until) == level for case in opened),
            }
            for level in LEVELS
        ],
        "rows": [incident_row(case, period) for case in concerned],
    }


def _concerns(case: Case, period: Period) -> bool:
    """Whether it was open at any moment of the period."""
    return any(
        start < period.until and (end is None or end >= period.start) for start, end in open_spans(case.facts)
    )


def _count(case: Case, kinds: tuple[str, ...], period: Period) -> int:
    """How often it happened in the period; a cause given later to what is resolved already is no second time."""
    ends = {(fact.kind, fact.at) for fact in case.facts if fact.kind in kinds}
    turns = {start for start, _end in open_spans(case.facts)} | {
        end for _start, end in open_spans(case.facts)
    }
    return sum(period.holds(at) for _kind, at in ends if at in turns)


def duration_rows(cases: Iterable[Case], period: Period) -> list[dict[str, Any]]:
    """Of each kind of duration: how many, the (lower) median and the longest, in seconds."""
    found: dict[str, list[int]] = {what: [] for what in DURATIONS}
    for case in cases:
        for what, seconds in durations(case.facts, period):
            found[what].append(seconds)
    return [
        {
            "what": what,
            "count": len(seconds),
            "median_seconds": median_low(seconds) if seconds else None,
            "longest_seconds": max(seconds, default=None),
        }
        for what, seconds in found.items()
    ]


def rca_rows(cases: Iterable[Case]) -> Iterable[dict[str, Any]]:
    """Every RCA that is or was owed for an incident: since when, until when, and when it was published."""
    for case in cases:
        for clock in case.ledger.clocks:
            if clock.kind == Kind.RCA and clock.state not in (State.CANCELLED, State.REPLACED):
                yield {
                    "reference": case.reference,
                    "owed_since": clock.started_at,
                    "due_at": clock.due_at,
                    "published_at": clock.met_at,
                }


def rca_figures(owed: Iterable[dict[str, Any]], period: Period) -> dict[str, Any]:
    """RCAs that fell due or were published: in time, late, and owed still when the period ended."""
    rows, still_owed = [], 0
    for row in owed:
        published = (
            row["published_at"] if row["published_at"] and row["published_at"] < period.until else None
        )
        due = row["due_at"]
        is_due = due is not None and due < period.until
        still_owed += row["owed_since"] < period.until and published is None
        if period.holds(due) or period.holds(published):
            is_late = is_due and (published is None or published > due)
            told = {
                "reference": row["reference"],
                "due_at": due,
                "published_at": published,
                "is_late": is_late,
            }
            rows.append(told)
    published_rows = [row for row in rows if period.holds(row["published_at"])]
    return {
        "due": sum(period.holds(row["due_at"]) for row in rows),
        "published": len(published_rows),
        "in_time": sum(not row["is_late"] for row in published_rows),
        "owed": still_owed,
        "rows": rows,
    }


def figures(
    cases: Sequence[Case], period: Period, window_rcas: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Everything that the incidents of one organisation say about the period, with the RCAs of its windows."""
    targets = [
        target_row(case, clock, period)
        for case in cases
        for clock in judged(case.ledger, period)
        if clock.kind != Kind.STATUS_UPDATE
    ]
    kinds = kind_rows(cases, period)
    updates = next(row for row in kinds if row["kind"] == Kind.STATUS_UPDATE)
    return {
        "incidents": incident_figures(cases, period),
        "targets": {"kinds": kinds, "rows": sorted(targets, key=lambda row: row["started_at"])},
        "cadence": {"kept": updates["met"], "missed": updates["missed"]},
        "durations": duration_rows(cases, period),
        "rcas": rca_figures([*rca_rows(cases), *window_rcas], period),
    }
