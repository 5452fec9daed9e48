"""The rules of the clocks, as tables: facts in, clocks out. All times are UTC; no database."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from incidents import receipts as papers
from incidents.sla import Deliverable, Fact, Promise, Rule, Target, as_claimed, replay
from portal.business_time import Calendar, SpecialDay, always_open

T0 = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)  # Tuesday, business hours are 09:00-18:00 UTC
OFFICE = ((9 * 3600, 18 * 3600),)
CALENDAR = Calendar(
    zone="UTC",
    week=(OFFICE,) * 5 + ((), ()),
    special_days={date(2026, 3, 5): SpecialDay(date(2026, 3, 5), "Founders' Day", ())},
    covers_from=date(2026, 1, 1),
    covers_until=date(2027, 12, 31),
)
ROUND = {"is_around_the_clock": True}
PROMISE = Promise(
    targets={
        ("P1", "first_response"): Target(Rule.WITHIN_MINUTES, 15, **ROUND),
        ("P1", "target_action"): Target(
            Rule.WITHIN_MINUTES, 240, deliverable=Deliverable.INTERVENTION, **ROUND
        ),
        ("P1", "status_update"): Target(Rule.WITHIN_MINUTES, 30, warn_percents=(80,), **ROUND),
        ("P1", "rca"): Target(Rule.BUSINESS_DAYS, 5),
        ("P2", "first_response"): Target(Rule.WITHIN_MINUTES, 60, **ROUND),
        ("P2", "target_action"): Target(Rule.SAME_BUSINESS_DAY, deliverable=Deliverable.ACTION_PLAN),
        ("P2", "status_update"): Target(Rule.WITHIN_MINUTES, 240),
        ("P2", "rca"): Target(Rule.BUSINESS_DAYS, 5, is_on_request=True),
        ("P3", "first_response"): Target(Rule.WITHIN_MINUTES, 240),
        ("P3", "target_action"): Target(Rule.PLANNED_RELEASE, deliverable=Deliverable.RELEASE_OR_SOLUTION),
    },
    business=CALENDAR,
    always=always_open("UTC"),
)


def at(minutes, base=T0):
    return base + timedelta(minutes=minutes)


def fact(kind, minutes, base=T0, **more):
    return Fact(kind=kind, at=at(minutes, base), recorded_at=at(minutes, base), **more)


def opened(level, base=T0):
    return fact("opened", 0, base, level=level, promise="p")


def ledger(*facts, now=0, base=T0):
    return replay(facts, {"p": PROMISE}, at(now, base))


def found(ledger, kind, level=None):
    return [c for c in ledger.clocks if c.kind == kind and level in (None, c.level)]


def answer(minutes):
    return fact("staff_replied", minutes, is_public_answer=True)


@pytest.mark.parametrize(
    ("minutes", "now", "state"),
    [(15, 15, "met"), (14, 20, "met"), (16, 20, "breached"), (None, 15, "running"), (None, 16, "breached")],
)
def test_a_deliverable_in_the_due_second_meets_and_later_does_not(minutes, now, state):
    facts = [opened("P1"), *([answer(minutes)] if minutes else [])]
    clock = found(ledger(*facts, now=now), "first_response")[0]
    assert clock.state == state
    assert (clock.breached_at == at(15)) == (state == "breached")


def test_a_late_delivery_is_recorded_and_the_breach_stays():
    clock = found(ledger(opened("P1"), answer(40), now=60), "first_response")[0]
    assert (clock.state, clock.breached_at, clock.met_at) == ("breached", at(15), at(40))


@pytest.mark.parametrize(
    ("received", "due"),
    [
        (datetime(2026, 3, 3, 10, 0, tzinfo=UTC), datetime(2026, 3, 3, 18, 0, tzinfo=UTC)),
        (datetime(2026, 3, 3, 17, 59, 59, tzinfo=UTC), datetime(2026, 3, 3, 18, 0, tzinfo=UTC)),
        (datetime(2026, 3, 3, 18, 0, tzinfo=UTC), datetime(2026, 3, 4, 18, 0, tzinfo=UTC)),
        (
            datetime(2026, 3, 4, 20, 0, tzinfo=UTC),
            datetime(2026, 3, 6, 18, 0, tzinfo=UTC),
        ),  # a holiday between
        (datetime(2026, 3, 7, 12, 0, tzinfo=UTC), datetime(2026, 3, 9, 18, 0, tzinfo=UTC)),
    ],
)
def test_the_same_business_day_is_the_first_whose_close_lies_after_the_receipt(received, due):
    assert found(ledger(opened("P2", received), base=received), "target_action")[0].due_at == due


def test_a_pause_moves_a_same_business_day_target_by_the_business_time_paused():
    facts = [opened("P2"), fact("question_asked", 475, ref=7), fact("customer_replied", 490)]
    clock = found(ledger(*facts, now=500), "target_action")[0]
    # Asked 17:55, answered 18:10, close 18:00: five minutes after the next opening.
    assert clock.due_at == datetime(2026, 3, 4, 9, 5, tzinfo=UTC)


def test_a_pause_after_the_due_time_changes_nothing():
    facts = [opened("P1"), fact("question_asked", 250, ref=7), fact("customer_replied", 300)]
    clock = found(ledger(*facts, now=400), "target_action")[0]
    assert (clock.state, clock.due_at, clock.breached_at) == ("breached", at(240), at(240))


def test_a_raise_counts_from_the_raise_but_never_later_than_promised():
    facts = [opened("P2"), fact("level_validated", 50, level="P1", ref=1)]
    made = ledger(*facts, now=51)
    assert found(made, "first_response", "P2")[0].state == "replaced"
    assert found(made, "first_response", "P1")[0].due_at == at(60)
    assert found(made, "target_action", "P1")[0].due_at == at(290)
    assert found(made, "status_update", "P1")[0].due_at == at(80)


def test_a_lowering_counts_from_the_receipt_and_the_told_update_stands():
    facts = [opened("P1"), fact("level_validated", 10, level="P2", ref=1)]
    made = ledger(*facts, now=11)
    assert found(made, "first_response", "P2")[0].due_at == at(60)
    assert found(made, "status_update", "P2")[0].due_at == at(30)
    assert found(made, "target_action", "P2")[0].due_at == datetime(2026, 3, 3, 18, 0, tzinfo=UTC)


def test_a_breach_stays_through_a_level_change_and_a_first_response_counts_once():
    facts = [opened("P1"), answer(20), fact("level_validated", 25, level="P2", ref=1)]
    clocks = found(ledger(*facts, now=30), "first_response")
    assert [(c.level, c.state) for c in clocks] == [("P1", "breached")]


def test_an_upheld_contest_runs_as_if_the_lowering_had_never_happened():
    facts = [opened("P1"), fact("level_validated", 5, level="P2", ref=1), fact("lowering_voided", 50, ref=1)]
    made = ledger(*facts, now=51)
    again = found(made, "first_response", "P1")[1]
    assert (again.ordinal, again.state, again.breached_at) == (2, "breached", at(15))
    missed = [c.breached_at for c in found(made, "status_update", "P1") if c.state == "breached"]
    assert missed == [at(30)]


@pytest.mark.parametrize(
    ("accepted", "states"),
    [
        (29, ["met", "running"]),
        (34, ["met", "running"]),
        (35, ["breached", "running"]),
        (None, ["breached", "running"]),
    ],
)
def test_an_update_counts_when_a_channel_takes_it_within_five_minutes(accepted, states):
    facts = [opened("P1"), fact("status_update_published", 29, ref=4, next_update_at=at(59))]
    if accepted:
        facts.append(fact("status_update_accepted", accepted, ref=4))
    assert [c.state for c in found(ledger(*facts, now=40), "status_update")] == states


def test_until_the_channel_answers_the_verdict_waits():
    facts = [opened("P1"), fact("status_update_published", 29, ref=4, next_update_at=at(59))]
    assert [c.state for c in found(ledger(*facts, now=33), "status_update")] == ["running"]


def test_a_missed_interval_is_a_breach_of_its_own_and_the_next_starts_there():
    clocks = found(ledger(opened("P1"), now=95), "status_update")
    assert [(c.started_at, c.due_at, c.state) for c in clocks] == [
        (at(0), at(30), "breached"),
        (at(30), at(60), "breached"),
        (at(60), at(90), "breached"),
        (at(90), at(120), "running"),
    ]


def test_a_release_sets_moves_and_keeps_its_first_due_time():
    plan = fact("release_planned", 10, release_on=date(2026, 3, 6))
    moved = fact("release_moved", 20, release_on=date(2026, 3, 7))
    assert found(ledger(opened("P3"), now=5), "target_action")[0].due_at is None
    clock = found(ledger(opened("P3"), plan, moved, now=30), "target_action")[0]
    assert clock.first_due_at == datetime(2026, 3, 6, 18, 0, tzinfo=UTC)
    assert clock.due_at == datetime(2026, 3, 8, 0, 0, tzinfo=UTC)  # 24:00 on a closed Saturday


def test_a_resolution_meets_what_is_owed_starts_the_rca_and_reopening_cancels_it():
    facts = [opened("P1"), fact("resolved", 20, is_public_answer=True), fact("reopened", 100)]
    made = ledger(*facts, now=101)
    first_cycle = {(str(c.kind), str(c.state)) for c in made.clocks if c.cycle == 1}
    assert first_cycle == {
        ("first_response", "breached"),
        ("target_action", "met"),
        ("status_update", "cancelled"),
        ("rca", "cancelled"),
    }
    assert found(made, "rca")[0].due_at == datetime(2026, 3, 11, 18, 0, tzinfo=UTC)
    assert [c.due_at for c in found(made, "first_response") if c.cycle == 2] == [at(115)]


def test_both_verdicts_can_be_reported():
    facts = [opened("P1"), fact("level_validated", 5, level="P2", ref=1), answer(30)]
    validated = replay(facts, {"p": PROMISE}, at(60))
    claimed = replay(as_claimed(facts), {"p": PROMISE}, at(60))
    assert [c.state for c in found(validated, "first_response", "P2")] == ["met"]
    assert [c.state for c in found(claimed, "first_response", "P1")] == ["breached"]


def test_receipts_say_of_every_second_why_it_did_not_count():
    base = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)
    facts = [opened("P2", base), fact("question_asked", 30, base, ref=7), fact("customer_replied", 40, base)]
    made = ledger(*facts, now=60 * 48, base=base)
    clock = found(made, "target_action")[0]
    shown = papers.receipts(clock, made.pauses, at(60 * 48, base))
    assert sum(r.seconds for r in shown) == 48 * 3600
    assert [r.reason for r in shown if not r.is_counted][:3] == [
        "waiting for customer",
        "closed hours",
        "Founders' Day",
    ]
    assert all(a.end == b.start for a, b in itertools.pairwise(shown))


def test_warnings_lie_at_their_share_of_the_budget():
    made = ledger(opened("P1"), now=1)
    shares = papers.warnings(found(made, "first_response")[0], made.pauses)
    assert shares == [(50, at(7.5)), (80, at(12))]
