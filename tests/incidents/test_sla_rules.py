"""Every sentence of the rules of the clocks that `test_sla` leaves open, one table each. UTC; no database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from incidents import receipts as papers
from incidents.promise import Deliverable, Fact, Promise, Rule, Target
from incidents.sla import replay
from portal.business_time import Calendar, HorizonError, SpecialDay, always_open
from tests.incidents.test_sla import (
    CALENDAR,
    OFFICE,
    PROMISE,
    ROUND,
    T0,
    answer,
    at,
    fact,
    found,
    ledger,
    opened,
)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def states(made, *kinds):
    return [(str(c.kind), c.level, str(c.state)) for c in made.clocks if not kinds or c.kind in kinds]


def in_zone(zone, week=(OFFICE,) * 7, special_days=None, **targets):
    calendar = Calendar(zone, week, special_days or {}, date(2026, 1, 1), date(2028, 12, 31))
    named = {(level, kind): target for (level, kind), target in (targets.get("targets") or {}).items()}
    return Promise({**PROMISE.targets, **named}, business=calendar, always=always_open(zone))


def only(promise, level, kind, received):
    """The one clock of a kind that a report of that level at that instant starts."""
    start = Fact("opened", received, received, level=level, promise="p")
    return next(c for c in replay([start], {"p": promise}, received).clocks if c.kind == kind)


# --- 1. what a clock is ---


def test_a_return_to_a_level_counts_on_in_the_ordinal():
    facts = [
        opened("P2"),
        fact("level_validated", 5, level="P1", ref=1),
        fact("level_validated", 10, level="P2", ref=2),
        fact("level_validated", 15, level="P1", ref=3),
    ]
    clocks = found(ledger(*facts, now=16), "target_action")
    assert [(c.level, c.ordinal, str(c.state)) for c in clocks] == [
        ("P2", 1, "replaced"),
        ("P1", 1, "replaced"),
        ("P2", 2, "replaced"),
        ("P1", 2, "running"),
    ]


def test_a_clock_met_while_it_was_held_is_due_as_if_the_pause_had_ended_then():
    base = T0 + timedelta(hours=6)  # 16:00; close is 18:00
    facts = [
        opened("P2", base),
        fact("question_asked", 30, base, ref=1),
        fact("action_plan_filed", 300, base),
    ]
    clock = found(ledger(*facts, now=301, base=base), "target_action")[0]
    # Held from 16:30 to 21:00 of which 90 minutes were business time: the next morning from 09:00 on.
    assert (str(clock.state), clock.met_at, clock.due_at) == ("met", at(300, base), utc(2026, 3, 4, 10, 30))


# --- 2. target rules ---


@pytest.mark.parametrize(
    ("zone", "received", "close"),
    [
        ("UTC", utc(2026, 3, 3, 10), utc(2026, 3, 4)),
        ("Pacific/Kiritimati", utc(2026, 3, 3, 9, 59, 59), utc(2026, 3, 3, 10)),  # UTC+14: one second left
        ("Pacific/Kiritimati", utc(2026, 3, 3, 10), utc(2026, 3, 4, 10)),
        ("Pacific/Pago_Pago", utc(2026, 3, 3, 10, 59), utc(2026, 3, 3, 11)),  # UTC-11
        ("Pacific/Pago_Pago", utc(2026, 3, 3, 11), utc(2026, 3, 4, 11)),
        ("Europe/Berlin", utc(2026, 3, 28, 23, 30), utc(2026, 3, 29, 22)),  # a local day of 23 hours
        ("Australia/Lord_Howe", utc(2026, 4, 4, 13, 30), utc(2026, 4, 5, 13, 30)),  # 24 h 30 min
        ("UTC", utc(2028, 2, 28, 12), utc(2028, 2, 29)),
        ("UTC", utc(2028, 2, 29, 12), utc(2028, 3, 1)),
    ],
)
def test_the_same_day_around_the_clock_ends_at_local_midnight(zone, received, close):
    around = Target(Rule.SAME_BUSINESS_DAY, deliverable=Deliverable.ACTION_PLAN, **ROUND)
    promise = in_zone(zone, targets={("P2", "target_action"): around})
    assert only(promise, "P2", "target_action", received).due_at == close


@pytest.mark.parametrize(
    ("zone", "received", "due"),
    [
        # A night in which the clocks change: four hours are four elapsed hours.
        ("Europe/Berlin", utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 4, 30)),
        ("Europe/Berlin", utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 4, 30)),
        ("America/New_York", utc(2026, 11, 1, 5, 30), utc(2026, 11, 1, 9, 30)),
        ("Australia/Lord_Howe", utc(2026, 10, 3, 15, 0), utc(2026, 10, 3, 19, 0)),
        ("Africa/Casablanca", utc(2026, 2, 15, 1, 0), utc(2026, 2, 15, 5, 0)),
    ],
)
def test_around_the_clock_is_elapsed_time_across_a_change_of_the_clocks(zone, received, due):
    assert only(in_zone(zone), "P1", "target_action", received).due_at == due


@pytest.mark.parametrize(
    ("zone", "received_local", "due_local"),
    [
        # Open across the change itself, 00:00 to 24:00: four hours by the wall lose or gain the jump.
        ("Europe/Berlin", datetime(2026, 3, 29, 1, 0), datetime(2026, 3, 29, 6, 0)),
        ("Europe/Berlin", datetime(2026, 10, 25, 1, 0), datetime(2026, 10, 25, 4, 0)),
        ("Australia/Lord_Howe", datetime(2026, 10, 4, 1, 0), datetime(2026, 10, 4, 5, 30)),
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 1, 0), datetime(2026, 4, 5, 4, 30)),
        ("America/New_York", datetime(2026, 3, 8, 1, 0), datetime(2026, 3, 8, 6, 0)),
    ],
)
def test_a_span_over_the_change_counts_the_seconds_that_exist(zone, received_local, due_local):
    day = ((0, 86400),)
    promise = in_zone(zone, week=(day,) * 7)
    here = ZoneInfo(zone)
    made = only(promise, "P3", "first_response", received_local.replace(tzinfo=here).astimezone(UTC))
    assert made.due_at.astimezone(here).replace(tzinfo=None) == due_local


@pytest.mark.parametrize(
    ("received", "due"),
    [
        # 4 business hours from four hours before the close end at the close, not at the next opening.
        (utc(2026, 3, 3, 14), utc(2026, 3, 3, 18)),
        (utc(2026, 3, 3, 14, 0, 1), utc(2026, 3, 4, 9, 0, 1)),
        (utc(2026, 3, 3, 18), utc(2026, 3, 4, 13)),
        (utc(2026, 3, 4, 16), utc(2026, 3, 6, 11)),  # over Founders' Day
        (utc(2026, 3, 6, 17), utc(2026, 3, 9, 12)),  # over a weekend
    ],
)
def test_business_hours_of_a_first_response(received, due):
    assert only(PROMISE, "P3", "first_response", received).due_at == due


def test_half_days_and_several_spans_a_day_count_by_their_spans():
    lunch = ((9 * 3600, 12 * 3600), (13 * 3600, 18 * 3600))
    half = SpecialDay(date(2026, 3, 4), "Eve", ((9 * 3600, 13 * 3600),))
    promise = in_zone("UTC", week=(lunch,) * 5 + ((), ()), special_days={half.day: half})
    assert only(promise, "P3", "first_response", utc(2026, 3, 3, 11)).due_at == utc(2026, 3, 3, 16)
    assert only(promise, "P2", "target_action", utc(2026, 3, 3, 18)).due_at == utc(2026, 3, 4, 13)
    assert only(promise, "P3", "first_response", utc(2026, 3, 4, 12)).due_at == utc(2026, 3, 5, 12)
    made = only(promise, "P3", "first_response", utc(2026, 3, 4, 12))
    shown = papers.receipts(made, [], utc(2026, 3, 5, 12))
    assert [(r.is_counted, r.reason) for r in shown] == [
        (True, ""),
        (False, "Eve"),
        (False, "closed hours"),
        (True, ""),
    ]


@pytest.mark.parametrize(
    ("resolved", "due"),
    [
        (utc(2026, 3, 3, 12), utc(2026, 3, 11, 18)),  # Tuesday: Wed, Fri, Mon, Tue, Wed
        (utc(2026, 3, 3, 8), utc(2026, 3, 11, 18)),  # before the opening it is still today
        (utc(2026, 3, 7, 12), utc(2026, 3, 13, 18)),  # a Saturday: Mon to Fri
    ],
)
def test_an_rca_is_due_at_the_close_of_the_fifth_business_day_after(resolved, due):
    base = resolved - timedelta(minutes=20)
    made = ledger(opened("P1", base), fact("resolved", 20, base, is_public_answer=True), now=21, base=base)
    assert found(made, "rca")[0].due_at == due


def test_an_rca_of_a_p2_is_owed_from_the_request_on():
    facts = [opened("P2"), fact("resolved", 20, is_public_answer=True)]
    assert found(ledger(*facts, now=30), "rca") == []
    asked = ledger(*facts, fact("rca_requested", 24 * 60), now=24 * 60 + 1)
    assert found(asked, "rca")[0].due_at == utc(2026, 3, 12, 18)
    earlier = [opened("P2"), fact("rca_requested", 5), fact("resolved", 20, is_public_answer=True)]
    assert found(ledger(*earlier, now=30), "rca")[0].due_at == utc(2026, 3, 11, 18)
    done = ledger(*earlier, fact("rca_published", 60), now=70)
    assert (found(done, "rca")[0].state, found(done, "rca")[0].met_at) == ("met", at(60))


@pytest.mark.parametrize(
    ("later", "state", "due", "met"),
    [
        ([], "running", utc(2026, 3, 6, 18), None),
        ([fact("release_shipped", 600)], "met", utc(2026, 3, 6, 18), 600),
        ([fact("solution_documented", 600)], "met", utc(2026, 3, 6, 18), 600),
        ([fact("release_withdrawn", 600)], "running", None, None),
        (
            [fact("question_asked", 20, ref=1), fact("customer_replied", 900)],
            "running",
            utc(2026, 3, 6, 18),
            None,
        ),
        (
            [fact("release_moved", 3 * 1440 + 479, release_on=date(2026, 3, 20))],
            "running",
            utc(2026, 3, 20, 18),
            None,
        ),
        (
            [fact("release_moved", 4 * 1440, release_on=date(2026, 3, 20))],
            "breached",
            utc(2026, 3, 6, 18),
            None,
        ),
        ([fact("release_shipped", 4 * 1440)], "breached", utc(2026, 3, 6, 18), 4 * 1440),
    ],
)
def test_a_planned_release(later, state, due, met):
    facts = [opened("P3"), fact("release_planned", 10, release_on=date(2026, 3, 6)), *later]
    now = max(600, *[round((f.at - T0).total_seconds() / 60) for f in facts]) + 1
    clock = found(ledger(*facts, now=now), "target_action")[0]
    assert (str(clock.state), clock.due_at) == (state, due)
    assert clock.met_at == (at(met) if met else None)


def test_a_release_planned_again_after_its_withdrawal_keeps_the_first_date_in_reports():
    facts = [
        opened("P3"),
        fact("release_planned", 10, release_on=date(2026, 3, 6)),
        fact("release_withdrawn", 20),
        fact("release_planned", 30, release_on=date(2026, 3, 20)),
    ]
    clock = found(ledger(*facts, now=31), "target_action")[0]
    assert (clock.first_due_at, clock.due_at) == (utc(2026, 3, 6, 18), utc(2026, 3, 20, 18))


def test_asking_past_the_horizon_is_an_error_and_never_a_guess():
    with pytest.raises(HorizonError):
        only(PROMISE, "P3", "first_response", utc(2027, 12, 31, 17))


# --- 4. levels ---


@pytest.mark.parametrize(
    ("validated_at", "due"),
    [
        (60, utc(2026, 3, 3, 18)),  # from the receipt: today's close
        (7 * 60 + 59, utc(2026, 3, 3, 18)),
        (8 * 60, utc(2026, 3, 3, 18)),  # exactly at the close it is not yet past
        (8 * 60 + 1, utc(2026, 3, 4, 18)),  # past: it counts from the lowering
    ],
)
def test_a_lowered_target_already_past_counts_from_the_lowering(validated_at, due):
    facts = [opened("P1"), answer(1), fact("level_validated", validated_at, level="P2", ref=1)]
    clock = found(ledger(*facts, now=validated_at), "target_action", "P2")[0]
    assert (str(clock.state), clock.due_at) == ("running", due)


def test_a_raise_on_a_saturday_counts_from_the_raise():
    friday = utc(2026, 3, 6, 17)
    saturday = 20 * 60
    facts = [
        opened("P2", friday),
        fact("staff_replied", 5, friday, is_public_answer=True),
        fact("level_validated", saturday, friday, level="P1", ref=1),
    ]
    made = ledger(*facts, now=saturday + 1, base=friday)
    raised = at(saturday, friday)
    assert found(made, "target_action", "P1")[0].due_at == raised + timedelta(hours=4)
    assert found(made, "status_update", "P1")[0].due_at == raised + timedelta(minutes=30)
    assert found(made, "first_response", "P1") == []  # one was given, none is owed again


def test_only_running_or_paused_clocks_become_replaced():
    facts = [
        opened("P2"),
        fact("question_asked", 5, ref=1),
        fact("level_validated", 10, level="P1", ref=2),
        fact("level_validated", 20, level="P2", ref=3),
    ]
    made = ledger(*facts, now=21)
    assert states(made, "target_action") == [
        ("target_action", "P2", "replaced"),
        ("target_action", "P1", "replaced"),
        ("target_action", "P2", "paused"),  # the question still waits for its answer
    ]
    late = ledger(opened("P1"), fact("level_validated", 241, level="P2", ref=1), now=242)
    assert ("target_action", "P1", "breached") in states(late)


def test_a_contest_that_is_not_upheld_leaves_the_lowered_clocks():
    facts = [opened("P1"), fact("level_validated", 5, level="P2", ref=1), fact("contest_decided", 50)]
    made = ledger(*facts, now=51)
    assert ("target_action", "P2", "running") in states(made)
    assert ("target_action", "P1", "replaced") in states(made)


def test_what_was_delivered_meanwhile_counts_for_the_voided_lowering_too():
    facts = [
        opened("P1"),
        fact("level_validated", 5, level="P2", ref=1),
        answer(10),
        fact("intervention_started", 20),
        fact("lowering_voided", 300, ref=1),
    ]
    made = ledger(*facts, now=301)
    assert [(str(c.state), c.met_at) for c in found(made, "first_response", "P1") if c.ordinal == 2] == [
        ("met", at(10))
    ]
    assert [(str(c.state), c.met_at) for c in found(made, "target_action", "P1") if c.ordinal == 2] == [
        ("met", at(20))
    ]


# --- 5. deliverables ---

PUBLIC = {"is_public_answer": True}
MEETS = [  # a fact, whether it is a person's public answer, and what it meets at P1, P2 and P3
    ("staff_replied", PUBLIC, {"first_response"}, {"first_response"}, {"first_response"}),
    ("question_asked", PUBLIC, {"first_response"}, {"first_response"}, {"first_response"}),
    ("customer_replied", {}, set(), set(), set()),
    ("note_added", {}, set(), set(), set()),
    ("acknowledged", {}, set(), set(), set()),
    ("assigned", {}, set(), set(), set()),
    ("intervention_started", {}, {"target_action"}, set(), set()),
    (
        "action_plan_filed",
        PUBLIC,
        {"first_response"},
        {"first_response", "target_action"},
        {"first_response"},
    ),
    (
        "solution_documented",
        PUBLIC,
        {"first_response"},
        {"first_response"},
        {"first_response", "target_action"},
    ),
    ("release_shipped", {}, set(), set(), {"target_action"}),
    ("release_planned", {"release_on": date(2026, 3, 20)}, set(), set(), set()),
    ("restored", {}, set(), set(), set()),
    ("rca_published", {}, set(), set(), set()),
    (
        "resolved",
        PUBLIC,
        {"first_response", "target_action"},
        {"first_response", "target_action"},
        {"first_response"},
    ),
]


@pytest.mark.parametrize(
    ("kind", "more", "level", "meets"),
    [(row[0], row[1], level, row[n]) for row in MEETS for n, level in enumerate(("P1", "P2", "P3"), 2)],
)
def test_only_the_right_deliverable_meets(kind, more, level, meets):
    made = ledger(opened(level), fact(kind, 10, **more), now=11)
    assert {str(c.kind) for c in made.clocks if c.state == "met"} == meets


@pytest.mark.parametrize("kind", ["withdrawn", "marked_duplicate"])
def test_a_withdrawal_or_a_duplicate_cancels_and_meets_nothing(kind):
    made = ledger(opened("P1"), fact(kind, 10), now=500)
    assert {str(c.state) for c in made.clocks} == {"cancelled"}
    late = ledger(opened("P1"), fact(kind, 20), now=500)
    assert [str(c.state) for c in found(late, "first_response")] == ["breached"]
    assert found(late, "first_response")[0].ended_at == at(20)


# --- 6. pauses ---


def test_waiting_for_the_customer_pauses_only_the_target():
    made = ledger(opened("P2"), fact("question_asked", 5, ref=1), now=6)
    paused = {str(c.kind) for c in made.clocks if c.state == "paused"}
    assert paused == {"target_action"}
    assert found(made, "status_update")[0].state == "running"


@pytest.mark.parametrize(
    ("asked", "answered", "due"),
    [
        (10, 20, timedelta(minutes=250)),
        (10, 10, timedelta(minutes=240)),
        (0, 239, timedelta(minutes=479)),
    ],
)
def test_a_p1_target_moves_by_the_time_paused(asked, answered, due):
    facts = [opened("P1"), fact("question_asked", asked, ref=1), fact("customer_replied", answered)]
    assert found(ledger(*facts, now=answered), "target_action")[0].due_at == T0 + due


def test_pauses_are_counted_to_the_second():
    start, end = T0 + timedelta(seconds=61), T0 + timedelta(seconds=3723)
    facts = [
        opened("P1"),
        Fact("question_asked", start, start, ref=1),
        Fact("customer_replied", end, end),
    ]
    clock = found(replay(facts, {"p": PROMISE}, end), "target_action")[0]
    assert clock.due_at == T0 + timedelta(hours=4, seconds=3662)


def test_the_first_answer_ends_the_pause_and_a_second_question_starts_no_second_one():
    facts = [
        opened("P1"),
        fact("question_asked", 10, ref=1),
        fact("question_asked", 20, ref=2),
        fact("customer_replied", 30),
        fact("customer_replied", 40),
        fact("question_asked", 50, ref=3),
        fact("customer_replied", 60),
    ]
    made = ledger(*facts, now=61)
    assert found(made, "target_action")[0].due_at == at(270)
    assert [(p.start, p.end, p.ref) for p in made.pauses] == [(at(10), at(30), 1), (at(50), at(60), 3)]


def test_a_pause_is_received_when_we_accepted_it_even_if_written_down_later():
    reply = replace(fact("customer_replied", 30), recorded_at=at(90))
    made = ledger(opened("P1"), fact("question_asked", 10, ref=1), reply, now=91)
    assert found(made, "target_action")[0].due_at == at(260)


def test_a_pause_over_closed_hours_moves_a_business_target_by_nothing():
    base = utc(2026, 3, 3, 19)
    facts = [opened("P2", base), fact("question_asked", 10, base, ref=1), fact("customer_replied", 600, base)]
    assert found(ledger(*facts, now=601, base=base), "target_action")[0].due_at == utc(2026, 3, 4, 18)


# --- 7. status updates ---


@pytest.mark.parametrize(
    ("level", "received", "due"),
    [
        ("P1", utc(2026, 3, 7, 3), utc(2026, 3, 7, 3, 30)),
        ("P2", utc(2026, 3, 3, 10), utc(2026, 3, 3, 14)),
        ("P2", utc(2026, 3, 3, 16), utc(2026, 3, 4, 11)),
        ("P2", utc(2026, 3, 4, 20), utc(2026, 3, 6, 13)),
    ],
)
def test_the_first_update_is_due_one_interval_after_the_receipt(level, received, due):
    assert only(PROMISE, level, "status_update", received).due_at == due


@pytest.mark.parametrize(("told", "due"), [(35, 35), (50, 50), (400, 50), (None, 50)])
def test_the_next_update_is_due_as_told_and_never_later_than_the_interval(told, due):
    published = fact("status_update_published", 20, ref=4, next_update_at=at(told) if told else None)
    made = ledger(opened("P1"), published, fact("status_update_accepted", 21, ref=4), now=22)
    assert [(str(c.state), c.due_at) for c in found(made, "status_update")] == [
        ("met", at(30)),
        ("running", at(due)),
    ]


@pytest.mark.parametrize("kind", ["staff_replied", "note_added", "restored", "action_plan_filed"])
def test_nothing_else_is_a_status_update(kind):
    made = ledger(opened("P1"), fact(kind, 29, is_public_answer=True), now=31)
    assert str(found(made, "status_update")[0].state) == "breached"


def test_an_update_may_be_the_first_response():
    published = fact("status_update_published", 6, ref=4, next_update_at=at(36), is_public_answer=True)
    made = ledger(opened("P1"), published, now=7)
    assert found(made, "first_response")[0].met_at == at(6)


def test_a_p3_owes_no_update():
    assert found(ledger(opened("P3"), now=100_000), "status_update") == []


def test_an_update_after_the_due_time_is_late_and_starts_the_next_interval_from_what_it_told():
    published = fact("status_update_published", 50, ref=4, next_update_at=at(80))
    made = ledger(opened("P1"), published, fact("status_update_accepted", 50, ref=4), now=51)
    assert [(str(c.state), c.started_at, c.due_at) for c in found(made, "status_update")] == [
        ("breached", at(0), at(30)),
        ("met", at(30), at(60)),
        ("running", at(50), at(80)),
    ]


# --- 9, 10, 11 ---


def test_a_reopening_keeps_the_first_cycle_as_it_was():
    facts = [opened("P1"), answer(20), fact("resolved", 60, is_public_answer=True)]
    before = {c.key: (c.state, c.met_at, c.breached_at, c.due_at) for c in ledger(*facts, now=90).clocks}
    after = ledger(*facts, fact("reopened", 100), now=101)
    for clock in after.clocks:
        if clock.cycle == 1 and clock.kind != "rca":
            assert before[clock.key] == (clock.state, clock.met_at, clock.breached_at, clock.due_at)
    again = ledger(*facts, fact("reopened", 100), fact("resolved", 160, is_public_answer=True), now=161)
    assert [(c.cycle, str(c.state)) for c in found(again, "rca")] == [(1, "cancelled"), (2, "running")]


def test_open_clocks_move_under_another_promise_only_by_its_fact():
    slower = Promise(
        {**PROMISE.targets, ("P1", "target_action"): Target(Rule.WITHIN_MINUTES, 600, **ROUND)},
        business=CALENDAR,
        always=always_open("UTC"),
    )
    promises = {"p": PROMISE, "q": slower}
    facts = [opened("P1"), answer(20), fact("promise_changed", 30, promise="q")]
    made = replay(facts, promises, at(31))
    assert found(made, "target_action")[0].due_at == at(600)
    assert found(made, "first_response")[0].due_at == at(15)
    assert found(replay(facts[:2], promises, at(31)), "target_action")[0].due_at == at(240)


def test_a_late_record_of_an_early_fact_rewrites_no_closed_clock():
    late = replace(fact("status_update_accepted", 29, ref=4), recorded_at=at(60))
    facts = [opened("P1"), fact("status_update_published", 29, ref=4, next_update_at=at(59)), late]
    made = ledger(*facts, now=61)
    assert [str(c.state) for c in found(made, "status_update")][:1] == ["breached"]


def test_a_correction_names_the_clock_and_its_new_values():
    corrected = fact(
        "clock_corrected",
        60,
        correction={"key": ("first_response", 1, "P1", 1), "new": {"state": "met", "breached_at": None}},
    )
    clock = found(ledger(opened("P1"), answer(20), corrected, now=61), "first_response")[0]
    assert (str(clock.state), clock.breached_at, clock.met_at) == ("met", None, at(20))
