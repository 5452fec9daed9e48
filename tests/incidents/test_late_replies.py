"""What was received earlier and is recorded late: a pause ends at the receipt, and no closed clock changes."""

from datetime import timedelta

import pytest

from incidents import actions
from incidents.clockwork import differences
from tests.conftest import T0
from tests.factories import clock, incident


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def by(user, minutes):
    return {"by": user, "now": at(minutes), "channel": "admin" if user.is_agent else "mail"}


@pytest.fixture
def asked(a1, g1, settings):
    settings.SUPPORT_COUNTRY = ""
    made = incident(a1, T0)
    actions.ask_customer(made, text="Which region?", **by(g1, 10))
    return made


def due(made):
    return clock(made, "target_action").due_at


def test_a_pause_ends_at_the_receipt_of_a_reply_that_is_recorded_late(asked, a1):
    actions.reply(asked, text="Frankfurt", received_at=at(20), **by(a1, 90))
    assert due(asked) == at(240 + 10)
    assert asked.status == "acknowledged"
    assert asked.messages.last().received_at == at(20)
    assert differences(asked) == []
    held = [r for r in clock(asked, "target_action").receipts or [] if r["question"]]
    assert held == []


def test_what_fell_due_meanwhile_is_breached_at_its_due_time(asked, a1):
    actions.reply(asked, text="Frankfurt", received_at=at(20), **by(a1, 600))
    row = clock(asked, "target_action")
    assert (row.state, row.breached_at) == ("breached", at(250))
    assert differences(asked) == []


def test_the_earliest_of_two_replies_ends_the_pause(asked, a1):
    actions.reply(asked, text="Frankfurt", **by(a1, 40))
    assert due(asked) == at(240 + 30)
    actions.reply(asked, text="By mail before", received_at=at(20), **by(a1, 50))
    assert due(asked) == at(240 + 10)
    assert differences(asked) == []


def test_what_came_before_the_question_does_not_answer_it(asked, a1):
    actions.reply(asked, text="Any news?", received_at=at(5), **by(a1, 30))
    assert (asked.status, clock(asked, "target_action").state) == ("waiting_for_customer", "paused")
    actions.reply(asked, text="Frankfurt", **by(a1, 40))
    assert (asked.status, due(asked)) == ("acknowledged", at(240 + 30))
    assert differences(asked) == []


def test_a_clock_that_was_met_while_waiting_keeps_its_receipts(asked, a1, g1):
    actions.start_intervention(asked, **by(g1, 30))
    before = clock(asked, "target_action").receipts
    actions.reply(asked, text="Frankfurt", received_at=at(20), **by(a1, 40))
    assert clock(asked, "target_action").receipts == before
    assert differences(asked) == []


def test_a_clock_that_was_breached_keeps_the_pause_that_it_was_breached_under(asked, a1, g1):
    actions.reply(asked, text="Frankfurt", **by(a1, 40))
    actions.add_note(asked, text="late", **by(g1, 300))
    row = clock(asked, "target_action")
    assert (row.state, row.breached_at) == ("breached", at(270))
    actions.reply(asked, text="By mail before", received_at=at(20), **by(a1, 310))
    actions.start_intervention(asked, **by(g1, 320))
    row = clock(asked, "target_action")
    assert (row.breached_at, row.met_at) == (at(270), at(320))
    [held] = [r for r in row.receipts if r["question"]]
    assert (held["from"], held["until"]) == ("2026-03-03T10:10:00Z", "2026-03-03T10:40:00Z")
    assert differences(asked) == []


def test_a_reply_after_the_resolution_reopens_at_its_receipt(asked, a1, g1):
    actions.resolve(asked, cause="c", remedy="r", **by(g1, 60))
    actions.reply(asked, text="Down again", received_at=at(70), **by(a1, 100))
    assert (asked.status, asked.cycle) == ("reported", 2)
    row = clock(asked, "first_response")
    assert (row.started_at, row.state, row.breached_at) == (at(70), "breached", at(85))
    assert clock(asked, "rca").ended_at == at(70)
    assert differences(asked) == []


def test_a_reply_received_before_the_resolution_does_not_say_down_again(asked, a1, g1):
    actions.resolve(asked, cause="c", remedy="r", **by(g1, 60))
    actions.reply(asked, text="Still down", received_at=at(55), **by(a1, 65))
    assert (asked.status, asked.cycle) == ("resolved", 1)
    assert asked.events.last().kind == "customer_replied"
    assert differences(asked) == []


def test_a_receipt_in_the_future_is_now(asked, a1):
    actions.reply(asked, text="Frankfurt", received_at=at(500), **by(a1, 30))
    assert asked.messages.last().received_at == at(30)
    assert due(asked) == at(240 + 20)
