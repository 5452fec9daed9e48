"""Scenario 2: a P2 received on the eve of a holiday, after the close. Istanbul, 09:00 to 18:00."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail

from incidents import actions
from incidents.models import Incident
from tests.journeys.stage import Stage, browser_of, heard, mails_to
from tests.journeys.test_scenario_1 import check_headers, check_proof, mail_kinds

# Friday 22 May 2026, 19:00 in Istanbul: after the close, before a weekend, the 25th is a working day,
# the 26th is the eve of the Feast of Sacrifice (a half day), the 27th to the 30th are holidays.
FRIDAY = datetime(2026, 5, 22, 16, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 5, 26, 16, 0, tzinfo=UTC)
SLOW = {"title": "Answers take a minute", "claimed_level": "P2", "services": ["inference-api"]}
STEP = {"text": "Add two nodes", "owner": "Gül One", "due_on": "2026-06-02"}


@pytest.fixture
def eve(stage):
    """The same stage on the eve of the feast."""
    return Stage(stage.traveller, stage.door, TUESDAY)


def test_a_p2_over_a_holiday(eve, a1, a2, b1, g1, g2, m1):
    reference = eve.file(a1, **SLOW)
    # The first business day whose close lies after the receipt: Monday 1 June, 18:00 in Istanbul.
    due = {clock["kind"]: clock["due_at"] for clock in eve.read(a1, reference)["clocks"]}
    assert due == {
        "first_response": "2026-05-26T17:00:00Z",
        "target_action": "2026-06-01T15:00:00Z",
        "status_update": "2026-06-01T10:00:00Z",
    }
    assert heard(0, a1, g1, g2, m1)
    check_headers(mails_to(a1)[0], reference)
    assert "1 Jun 2026, 18:00 UTC+3" in mails_to(a1)[0].body
    assert "1 Jun 2026" in eve.page(a1, reference)

    eve.at(31)
    assert mail_kinds("staff_clock_warned") == {g1.email, g2.email, m1.email}  # half of the hour is gone
    before = len(mail.outbox)
    eve.at(40)
    eve.do("reply", g1, reference, text="We are looking at it.")
    eve.do("assign", g1, reference, assignee=g1.pk if eve.door.channel == "portal" else g1.email)
    states = {c["kind"]: c["state"] for c in eve.read(a1, reference)["clocks"]}
    assert states == {"first_response": "met", "target_action": "running", "status_update": "running"}

    before = len(mail.outbox)
    for hours in (10, 30, 60, 100, 130):  # until Monday 05:00 in Istanbul: closed hours
        eve.at(hours * 60)
    assert heard(before)
    for kind in ("target_action", "status_update"):
        clock = eve.clocks(a1, reference, kind)[0]
        assert not any(receipt["counted"] for receipt in clock["receipts"])
        reasons = {receipt["reason"] for receipt in clock["receipts"]}
        assert "closed hours" in reasons
        assert reasons == {"closed hours", "Eid al-Adha"}
        total = sum(seconds(receipt) for receipt in clock["receipts"])
        assert total == 130 * 3600

    for wrong in ([], [STEP | {"owner": ""}], [STEP | {"due_on": ""}]):
        eve.do("file_action_plan", g1, reference, 400, steps=wrong, next_review_at=eve.time(8 * 1440))
    monday = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
    eve.go(monday + timedelta(hours=1))
    eve.do("ask_customer", g1, reference, text="Which models are slow?")
    read = eve.read(a1, reference)
    assert read["status"] == "waiting_for_customer"
    assert eve.clocks(a1, reference, "target_action")[0]["state"] == "paused"
    assert eve.clocks(a1, reference, "status_update")[0]["state"] == "running"
    assert "Which models are slow?" in mails_to(a1)[-1].body
    eve.go(monday + timedelta(hours=2, seconds=17))
    eve.do("reply", a1, reference, text="All of them.")
    target = eve.clocks(a1, reference, "target_action")[0]
    # An hour and 17 seconds of business time were paused: the same after the next opening.
    assert (target["state"], target["due_at"]) == ("running", "2026-06-02T07:00:17Z")
    assert any(r["reason"] == "waiting for customer" and seconds(r) == 3617 for r in target["receipts"])

    eve.go(monday + timedelta(hours=3))
    before = len(mail.outbox)
    eve.do(
        "file_action_plan", g1, reference, steps=[STEP], next_review_at=datetime(2026, 6, 3, 9, tzinfo=UTC)
    )
    assert heard(before, a1)
    check_headers(mails_to(a1)[-1], reference, is_automatic=False)
    assert all(part in mails_to(a1)[-1].body for part in ("Add two nodes", "Gül One", "2 Jun 2026"))
    target = eve.clocks(a1, reference, "target_action")[0]
    assert (target["state"], target["met_at"]) == ("met", "2026-06-01T09:00:00Z")
    assert "Add two nodes" in eve.page(a1, reference)
    eve.do("resolve", g1, reference, cause="Too few nodes.", remedy="Two more.")
    assert eve.clocks(a1, reference, "rca") == []  # on request only, for a P2
    eve.do("confirm", a1, reference)
    check_proof(eve, reference, (a1, a2), b1)


def seconds(receipt):
    from django.utils.dateparse import parse_datetime

    return (parse_datetime(receipt["until"]) - parse_datetime(receipt["from"])).total_seconds()


def test_raised_on_a_saturday_the_clocks_count_from_the_raise(stage, a1, a2, g1):
    friday = Stage(stage.traveller, stage.door, FRIDAY)
    reference = friday.file(a1, **SLOW)
    friday.at(10)
    friday.do("reply", g1, reference, text="We see it.")
    raised = 20 * 60  # Saturday 15:00 in Istanbul
    friday.at(raised)
    before = len(mail.outbox)
    friday.do("validate_level", g1, reference, level="P1", reason="Now everything is down.")
    assert heard(before, a1, a2)  # now a P1: its contact hears too
    due = {
        c["kind"]: friday.minute(c["due_at"]) - raised
        for c in friday.read(a1, reference)["clocks"]
        if c["level"] == "P1"
    }
    assert due == {"target_action": 240, "status_update": 30}
    friday.do("start_intervention", g1, reference)
    assert [c["state"] for c in friday.clocks(a1, reference, "target_action")] == ["replaced", "met"]


def test_a_late_plan_is_a_breach_that_stays(stage, a1, g1, m1):
    reference = stage.file(a1, **SLOW)
    stage.at(20)
    stage.do("reply", g1, reference, text="We see it.")
    stage.at(5 * 60 + 1)  # 18:01 in Istanbul
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], target["breached_at"]) == ("breached", "2026-03-03T15:00:00Z")
    assert m1.email in mail_kinds("staff_clock_breached")
    stage.at(6 * 60)
    stage.do("file_action_plan", g1, reference, steps=[STEP], next_review_at=stage.time(7 * 1440))
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], stage.minute(target["met_at"])) == ("breached", 360)


def test_an_rca_of_a_p2_on_request(stage, a1, g1):
    reference = stage.file(a1, **SLOW)
    stage.do("resolve", g1, reference, cause="c", remedy="r")
    if stage.door.channel == "portal":
        assert browser_of(a1).post(f"/incidents/{reference}/rca/").status_code == 302
    else:
        incident = Incident.objects.by_reference(reference).get()
        actions.request_rca(incident, by=a1, now=stage.time(0), channel="api")
    stage.work()
    assert stage.clocks(a1, reference, "rca")[0]["due_at"] == "2026-03-10T15:00:00Z"
    assert mail_kinds("staff_rca_requested") >= {g1.email}
