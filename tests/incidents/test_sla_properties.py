"""The rules of the clocks as properties of random lives: any facts, in any order that could be recorded.

The calendar has office hours with a lunch break, a holiday and a weekend, in a zone whose clocks change
within the covered weeks, so that no property holds by being easy.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents import receipts as papers
from incidents.promise import DELIVERY_GRACE, Deliverable, Fact, Kind, Promise, Rule, State, Target
from incidents.sla import replay
from portal import business_time
from portal.business_time import Calendar, SpecialDay, always_open
from tests.incidents.test_sla import PROMISE

T0 = datetime(2026, 3, 26, 13, 0, tzinfo=UTC)  # Thursday before the clocks change in Berlin
OFFICE = ((9 * 3600, 12 * 3600), (13 * 3600, 18 * 3600))
BERLIN = Calendar(
    zone="Europe/Berlin",
    week=(OFFICE,) * 5 + ((), ()),
    special_days={
        date(2026, 3, 30): SpecialDay(date(2026, 3, 30), "Founders' Day", ()),
        date(2026, 3, 31): SpecialDay(date(2026, 3, 31), "Half day", ((9 * 3600, 13 * 3600),)),
    },
    covers_from=date(2026, 1, 1),
    covers_until=date(2027, 12, 31),
)
PROMISES = {
    "p": Promise(PROMISE.targets, business=BERLIN, always=always_open("Europe/Berlin")),
    "faster": Promise(
        {
            **PROMISE.targets,
            ("P1", "target_action"): Target(
                Rule.WITHIN_MINUTES, 120, is_around_the_clock=True, deliverable=Deliverable.INTERVENTION
            ),
        },
        business=BERLIN,
        always=always_open("Europe/Berlin"),
    ),
}
KINDS = [
    ("staff_replied", {"is_public_answer": True}),
    ("customer_replied", {}),
    ("question_asked", {"is_public_answer": True}),
    ("intervention_started", {}),
    ("action_plan_filed", {"is_public_answer": True}),
    ("solution_documented", {"is_public_answer": True}),
    ("release_planned", {}),
    ("release_moved", {}),
    ("release_withdrawn", {}),
    ("release_shipped", {}),
    ("status_update_published", {"is_public_answer": True}),
    ("status_update_accepted", {}),
    ("level_validated", {}),
    ("lowering_voided", {}),
    ("promise_changed", {"promise": "faster"}),
    ("resolved", {"is_public_answer": True}),
    ("reopened", {}),
    ("rca_requested", {}),
    ("rca_published", {}),
    ("withdrawn", {}),
]
GAPS = st.sampled_from([0, 1, 59, 299, 300, 301, 899, 900, 901, 1800, 3600, 14_400, 40_000, 90_000])
STEP = st.tuples(
    st.sampled_from(KINDS),
    GAPS,
    st.sampled_from(["P1", "P2", "P3"]),
    st.integers(0, 3),  # which earlier fact it speaks of
    st.sampled_from([0, 0, 0, 30, 600, 8000]),  # how long after its receipt it was written down
    st.sampled_from([60, 900, 1800, 100_000]),  # the next update is told for then
)
modest = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def lives(draw):
    """Facts in recorded order, each received no later than it was recorded; and an end to look from."""
    level = draw(st.sampled_from(["P1", "P2", "P3"]))
    now = T0 + timedelta(seconds=draw(st.integers(0, 6 * 86400)))
    facts = [Fact("opened", now, now, level=level, promise="p")]
    is_resolved, refs = False, {"level_validated": [0], "status_update_published": [0]}
    for number, ((kind, more), gap, level, back, delay, told) in enumerate(draw(st.lists(STEP, max_size=14))):
        now += timedelta(seconds=gap)
        if not allowed(kind, is_resolved):
            continue
        is_resolved = {"resolved": True, "reopened": False, "withdrawn": True}.get(kind, is_resolved)
        late = delay if kind in ("customer_replied", "status_update_accepted") else 0
        made = Fact(kind, now, now + timedelta(seconds=late), **more)
        now = made.recorded_at
        if kind in ("release_planned", "release_moved"):
            made = replace(made, release_on=now.date() + timedelta(days=back))
        if kind == "status_update_published":
            made = replace(made, next_update_at=now + timedelta(seconds=told))
        if kind in ("level_validated", "status_update_published", "question_asked"):
            refs.setdefault(kind, []).append(number)
            made = replace(made, ref=number, level=level)
        if kind == "lowering_voided":
            made = replace(made, ref=refs["level_validated"][-1])
        if kind == "status_update_accepted":
            published = refs["status_update_published"]
            made = replace(made, ref=published[-1 - back % len(published)])
        facts.append(made)
    return facts, now + timedelta(seconds=draw(GAPS))


def allowed(kind, is_resolved):
    """What `rules.py` refuses in any case: an ended incident can only be reopened or explained."""
    ended = {"reopened", "rca_requested", "rca_published", "level_validated", "customer_replied"}
    return kind in ended - {"customer_replied", "level_validated"} if is_resolved else kind != "reopened"


def picture(ledger):
    """Everything of the clocks that is stored."""
    return {
        clock.key: (
            clock.state,
            clock.started_at,
            clock.due_at,
            clock.first_due_at,
            clock.met_at,
            clock.breached_at,
            clock.ended_at,
            None if clock.ended_at is None else tuple(papers.receipts(clock, ledger.pauses, clock.ended_at)),
        )
        for clock in ledger.clocks
    }


@modest
@given(lives(), st.lists(st.integers(0, 10 * 86400), max_size=12))
def test_the_clocks_do_not_depend_on_when_anybody_looked(life, looks):
    facts, now = life
    glances = sorted(T0 + timedelta(seconds=look) for look in looks)
    watched = replay_watched(facts, glances, now)
    assert picture(watched) == picture(replay(facts, PROMISES, now))


def replay_watched(facts, glances, now):
    """As `replay`, with the clockwork passing by between the facts."""
    from incidents.sla import Ledger

    ledger = Ledger(PROMISES)
    before = facts[0].recorded_at
    for fact in facts:
        for glance in glances:
            if before <= glance <= fact.recorded_at:
                ledger.settle(glance)
        ledger.settle(fact.recorded_at)
        ledger.apply(fact)
        before = fact.recorded_at
    for glance in glances:
        if before <= glance <= now:
            ledger.settle(glance)
    ledger.settle(now)
    return ledger


@modest
@given(lives())
def test_a_verdict_once_written_never_moves_and_a_closed_clock_never_changes(life):
    facts, now = life
    moments = [*(fact.recorded_at for fact in facts[1:]), now]
    pictures = [picture(replay(facts[: count + 1], PROMISES, moment)) for count, moment in enumerate(moments)]
    for earlier, later in pairwise(pictures):
        for key, was in earlier.items():
            _, _, _, _, met_at, breached_at, ended_at, _ = was
            assert key in later
            if ended_at is not None:
                assert later[key] == was
            if met_at is not None:
                assert later[key][4] == met_at
            if breached_at is not None:
                assert (later[key][0], later[key][5]) == (State.BREACHED, breached_at)
            assert later[key][1] == was[1]


@modest
@given(lives())
def test_receipts_account_for_every_second(life):
    facts, now = life
    ledger = replay(facts, PROMISES, now)
    for clock in ledger.clocks:
        end = max(clock.ended_at or now, clock.started_at)
        shown = papers.receipts(clock, ledger.pauses, now)
        assert sum(receipt.seconds for receipt in shown) == (end - clock.started_at).total_seconds()
        assert all(one.end == two.start for one, two in pairwise(shown))
        assert all(receipt.seconds > 0 and (receipt.is_counted == (not receipt.reason)) for receipt in shown)


@modest
@given(lives())
def test_at_its_due_time_a_budget_is_exactly_used_and_pauses_never_shorten_it(life):
    facts, now = life
    ledger = replay(facts, PROMISES, now)
    for clock in ledger.clocks:
        if clock.due_at is None:
            continue
        assert clock.due_at >= clock.base_due_at
        is_whole = clock.state != State.PAUSED and clock.ended_at is None and clock.due_at <= now
        if is_whole and clock.kind == Kind.TARGET_ACTION and clock.is_pausable:
            counted = [r.seconds for r in until(papers.receipts(clock, ledger.pauses, now), clock.due_at)]
            assert sum(counted) == business_time.between(
                clock.calendar, clock.started_at, max(clock.base_due_at, clock.started_at)
            )


def until(shown, end):
    """The counted stretches before `end`."""
    for receipt in shown:
        if receipt.is_counted and receipt.start < end:
            yield replace(receipt, end=min(receipt.end, end))


@modest
@given(lives())
def test_a_breach_lies_at_its_due_time_and_only_in_the_past(life):
    facts, now = life
    for clock in replay(facts, PROMISES, now).clocks:
        if clock.state == State.BREACHED:
            assert clock.breached_at == clock.due_at
            assert clock.breached_at < now
        else:
            assert clock.breached_at is None
        if clock.state == State.MET:
            assert clock.met_at == clock.ended_at
            assert clock.due_at is None or clock.met_at <= clock.due_at
        if clock.state in (State.RUNNING, State.PAUSED):
            assert clock.ended_at is None
            assert clock.met_at is None


@modest
@given(lives())
def test_at_most_one_clock_of_a_kind_runs_and_their_keys_are_unique(life):
    facts, now = life
    ledger = replay(facts, PROMISES, now)
    assert len({clock.key for clock in ledger.clocks}) == len(ledger.clocks)
    for kind in Kind:
        assert len(ledger.open(kind)) <= 1
    ordinals = {}
    for clock in ledger.clocks:
        ordinals.setdefault((clock.kind, clock.cycle, clock.level), []).append(clock.ordinal)
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in ordinals.values())


@modest
@given(lives())
def test_updates_are_due_until_the_resolution_and_their_intervals_follow_one_another(life):
    facts, now = life
    ledger = replay(facts, PROMISES, now)
    ends = [fact for fact in facts if fact.kind in ("resolved", "withdrawn", "reopened")]
    has_ended = bool(ends) and ends[-1].kind != "reopened"
    has_interval = ledger.promise.target(ledger.level, Kind.STATUS_UPDATE) is not None
    if has_ended:
        assert not ledger.open(Kind.FIRST_RESPONSE, Kind.TARGET_ACTION, Kind.STATUS_UPDATE)
    elif has_interval:
        assert ledger.running_update is not None
    for cycle in range(1, ledger.cycle + 1):
        intervals = [c for c in ledger.clocks if c.kind == Kind.STATUS_UPDATE and c.cycle == cycle]
        for one, two in pairwise(intervals):
            if one.state == State.BREACHED and one.level == two.level:
                assert two.started_at in (one.due_at, *[fact.at for fact in facts])


@modest
@given(lives())
def test_only_the_right_deliverable_meets(life):
    facts, now = life
    right = {
        Kind.FIRST_RESPONSE: lambda clock, fact: fact.is_public_answer,
        Kind.TARGET_ACTION: lambda clock, fact: (
            DELIVERS.get(fact.kind) in (clock.target.deliverable, "any")
            and not (fact.kind == "resolved" and clock.target.deliverable == Deliverable.RELEASE_OR_SOLUTION)
        ),
        Kind.STATUS_UPDATE: lambda clock, fact: fact.kind == "status_update_published",
        Kind.RCA: lambda clock, fact: fact.kind == "rca_published",
    }
    for clock in replay(facts, PROMISES, now).clocks:
        if clock.met_at is not None:
            assert any(fact.at == clock.met_at and right[clock.kind](clock, fact) for fact in facts)
        if clock.kind == Kind.STATUS_UPDATE and clock.state == State.MET:
            accepted = [fact.at for fact in facts if fact.kind == "status_update_accepted"]
            assert any(clock.met_at <= at <= clock.met_at + DELIVERY_GRACE for at in accepted)


DELIVERS = {
    "intervention_started": Deliverable.INTERVENTION,
    "action_plan_filed": Deliverable.ACTION_PLAN,
    "solution_documented": Deliverable.RELEASE_OR_SOLUTION,
    "release_shipped": Deliverable.RELEASE_OR_SOLUTION,
    "resolved": "any",
}


@modest
@given(lives())
def test_warnings_lie_before_the_due_time_and_in_order(life):
    facts, now = life
    ledger = replay(facts, PROMISES, now)
    for clock in ledger.clocks:
        instants = [instant for _, instant in papers.warnings(clock, ledger.pauses)]
        assert instants == sorted(instants)
        if clock.is_open and clock.state != State.PAUSED and clock.due_at:
            assert all(clock.started_at <= instant <= clock.due_at for instant in instants)


@pytest.mark.parametrize("kind", ["acknowledged", "note_written", "customer_joined", "assigned"])
@modest
@given(life=lives(), place=st.integers(0, 14))
def test_facts_that_no_rule_names_change_no_clock(kind, life, place):
    facts, now = life
    place = min(place, len(facts) - 1)
    at = facts[place].recorded_at
    more = [*facts[: place + 1], Fact(kind, at, at), *facts[place + 1 :]]
    assert picture(replay(more, PROMISES, now)) == picture(replay(facts, PROMISES, now))
