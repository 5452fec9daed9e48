"""The pure chain: which page is due when, what collapses, what stops it. Tables, no database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from incidents.escalation import Step, Stop, due_pages, next_page_at
from incidents.promise import Clock, Kind, Rule, State, Target
from portal.business_time import always_open

T0 = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
ALWAYS = always_open("Europe/Istanbul")
HALF = Step("P1", "first_response", "on_call", percent=50)
BREACH = Step("P1", "first_response", "duty_manager", repeat_minutes=5, max_pages=4)
LATER = Step("P1", "first_response", "head_of_support", after_minutes=20)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def clock(**changes):
    made = Clock(
        kind=Kind.FIRST_RESPONSE,
        level="P1",
        cycle=1,
        ordinal=1,
        target=Target(rule=Rule.WITHIN_MINUTES, amount=15, is_around_the_clock=True),
        calendar=ALWAYS,
        started_at=T0,
        base_due_at=at(15),
        due_at=at(15),
        due_set_at=T0,
    )
    return replace(made, **changes)


def breached(**changes):
    return clock(state=State.BREACHED, breached_at=at(15), **changes)


def due(found, minutes, *steps, paged=(), is_acted_on=False):
    pages = due_pages(found, steps, (), paged=paged, is_acted_on=is_acted_on, now=at(minutes))
    return [(page.step.key, page.number, (page.due_at - T0).total_seconds() / 60) for page in pages]


def following(found, minutes, *steps, paged=(), is_acted_on=False):
    moment = next_page_at(found, steps, (), paged=paged, is_acted_on=is_acted_on, now=at(minutes))
    return (moment - T0).total_seconds() / 60 if moment else None


def test_a_share_of_the_budget_pages_at_its_second():
    assert due(clock(), 7.49, HALF) == []
    assert due(clock(), 7.5, HALF) == [("50%:on_call", 1, 7.5)]
    assert following(clock(), 1, HALF) == 7.5


def test_a_page_goes_out_once():
    assert due(clock(), 9, HALF, paged={("50%:on_call", 1)}) == []
    assert following(clock(), 9, HALF, paged={("50%:on_call", 1)}) is None


def test_a_warning_is_never_sent_after_the_breach():
    assert due(breached(), 60, HALF) == []
    assert following(breached(), 60, HALF) is None


def test_a_warning_is_never_sent_for_a_clock_that_was_met():
    assert due(clock(state=State.MET, met_at=at(6), ended_at=at(6)), 60, HALF) == []


@pytest.mark.parametrize(
    ("minutes", "number", "due_at"), [(15, 1, 15), (19.9, 1, 15), (20, 2, 20), (29, 3, 25), (400, 4, 30)]
)
def test_repeats_come_every_so_many_minutes_up_to_the_cap(minutes, number, due_at):
    assert due(breached(), minutes, BREACH) == [("+0:duty_manager", number, due_at)]


def test_what_was_missed_collapses_into_the_newest_page():
    paged = {("+0:duty_manager", 1)}
    assert due(breached(), 360, BREACH, paged=paged) == [("+0:duty_manager", 4, 30)]
    assert due(breached(), 360, BREACH, paged={*paged, ("+0:duty_manager", 4)}) == []


def test_the_next_repeat_is_known_until_the_cap():
    assert following(breached(), 16, BREACH, paged={("+0:duty_manager", 1)}) == 20
    assert following(breached(), 31, BREACH, paged={("+0:duty_manager", 4)}) is None


def test_acting_stops_repeats_and_never_holds_back_the_first_page():
    assert due(breached(), 21, BREACH, paged={("+0:duty_manager", 1)}, is_acted_on=True) == []
    assert due(breached(), 21, BREACH, is_acted_on=True) == [("+0:duty_manager", 1, 15)]
    assert following(breached(), 16, BREACH, paged={("+0:duty_manager", 1)}, is_acted_on=True) is None


def test_what_stops_at_the_delivery_goes_on_although_somebody_acted():
    step = replace(BREACH, stop=Stop.DELIVERED)
    assert due(breached(), 21, step, is_acted_on=True) == [("+0:duty_manager", 2, 20)]
    delivered = breached(met_at=at(18), ended_at=at(18))
    assert due(delivered, 21, step, paged={("+0:duty_manager", 1)}) == []


def test_minutes_count_after_the_breach_and_end_with_the_delivery():
    assert due(breached(), 34, LATER) == []
    assert due(breached(), 35, LATER) == [("+20:head_of_support", 1, 35)]
    assert due(breached(met_at=at(30), ended_at=at(30)), 40, LATER) == []
    assert following(breached(), 16, LATER) == 35


def test_a_step_of_another_level_or_clock_is_no_concern():
    assert due(breached(), 60, replace(BREACH, level="P2"), replace(BREACH, kind="target_action")) == []


def test_looking_often_or_once_sends_the_same_last_page():
    """Whatever the sweep's rhythm, the newest page that counts has gone out, and none twice."""
    for rhythm in (0.5, 1, 3, 7, 400):
        paged, minutes = set(), 15
        while minutes < 415:
            for key, number, _ in due(breached(), minutes, BREACH, LATER, paged=paged):
                assert (key, number) not in paged
                paged.add((key, number))
            minutes += rhythm
        if rhythm < 400:
            assert {("+0:duty_manager", 4), ("+20:head_of_support", 1)} <= paged
