"""Scenario 1a: nobody reacts to a P1. With moved time, through the beat's own tasks, by both doors."""

from datetime import timedelta

import pytest
from django.core import mail

from incidents import actions
from incidents.models import Incident, IncidentEvent, Shift
from portal import outbox
from portal.models import Endpoint, Membership, OutboxMessage
from tests import factories
from tests.conftest import T0
from tests.journeys.stage import heard, mails_to
from tests.journeys.test_scenario_1 import check_proof, reported


@pytest.fixture
def rota(g1, g2, m1, h1):
    """g1 is on call with g2 as backup, m1 is the duty manager, h1 the head of support."""
    day = timedelta(days=1)
    Shift.objects.create(role="on_call", person=g1, backup=g2, from_at=T0 - day, until_at=T0 + day)
    Shift.objects.create(role="duty_manager", person=m1, from_at=T0 - day, until_at=T0 + day)


@pytest.fixture
def a4(acme):
    """The customer's escalation contact."""
    person = factories.person("a4@acme.example", "Asu Four", acme, "manager")
    Membership.objects.filter(user=person).update(is_escalation_contact=True)
    return person


def subjects_to(person, since=0):
    return [m.subject.split("] ")[1].split(",")[0] for m in mail.outbox[since:] if m.to == [person.email]]


def events(reference, kind):
    incident = Incident.objects.by_reference(reference).get()
    return list(IncidentEvent.objects.filter(incident=incident, kind=kind).order_by("pk"))


def test_a_p1_that_nobody_reacts_to(stage, rota, a1, a2, a4, b1, g1, g2, m1, h1):
    reference = reported(stage, a1)

    before = len(mail.outbox)
    stage.at(7.4)
    assert heard(before)
    stage.at(7.5)
    assert heard(before, g1)  # 50 %: on call again; the customer hears nothing yet
    before = len(mail.outbox)
    stage.at(12)
    assert heard(before, g2, m1)  # 80 %: the backup and the duty manager, one each
    before = len(mail.outbox)
    stage.at(15)
    assert heard(before)  # due in this very second, and not late

    stage.at(15 + 1 / 60)
    assert heard(before, g1, m1, a1, a2)
    response = stage.clocks(a1, reference, "first_response")[0]
    assert (response["state"], stage.minute(response["breached_at"])) == ("breached", 15)
    honest = mails_to(a1)[-1]
    for part in ("Late: First response", "13:15 UTC+3"):
        assert part in honest.subject
    for part in (
        "No engineer has answered yet.",
        "escalated to Mia Duty",
        "You hear from us again by",
        "13:30 UTC+3",
    ):
        assert part in honest.body, honest.body
    assert "working on it" not in honest.body
    assert honest.extra_headers["Auto-Submitted"] == "auto-generated"
    assert stage.clocks(a1, reference, "first_response")[0]["met_at"] is None  # an honest word is no response

    before = len(mail.outbox)
    stage.at(20)
    assert heard(before, m1)  # repeated every five minutes
    stage.at(25)
    assert heard(before, m1, m1, g1)  # and the owner: 80 % of the first interval

    before = len(mail.outbox)
    stage.at(30 + 1 / 60)
    assert subjects_to(a1, before) == ["Late: Status update"]  # one word an interval
    told = [c for c in stage.clocks(g1, reference, "status_update") if c["state"] == "breached"]
    assert [stage.minute(c["breached_at"]) for c in told] == [30]
    before = len(mail.outbox)
    stage.at(60 + 1 / 60)
    assert subjects_to(a1, before) == ["Late: Status update"]
    for minutes in range(70, 240, 10):
        stage.at(minutes)
    pages = subjects_to(m1).count("Breached: First response")
    assert pages <= 12  # capped

    before = len(mail.outbox)
    stage.at(240 + 1 / 60)
    assert {h1.email, m1.email, g1.email, a1.email, a2.email, a4.email} == {
        m.to[0] for m in mail.outbox[before:]
    }
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], stage.minute(target["breached_at"])) == ("breached", 240)
    assert Incident.objects.by_reference(reference).get().is_major
    assert "major incident" in mails_to(a4)[-1].body
    assert len([m for m in mail.outbox[before:] if m.to == [a1.email]]) == 1

    stage.at(260)
    stage.do("start_intervention", g1, reference)
    stage.do("publish_status_update", g1, reference, condition="in_progress", summary="Found it.")
    before = len(mail.outbox)
    stage.at(289)
    quiet = [s for s in (*subjects_to(h1, before), *subjects_to(m1, before)) if s.startswith("Breached")]
    assert quiet == []  # repeats have stopped
    assert stage.minute(stage.clocks(a1, reference, "first_response")[0]["met_at"]) == 260
    assert stage.minute(stage.clocks(a1, reference, "target_action")[0]["met_at"]) == 260
    stage.do("resolve", g1, reference, cause="A node died.", remedy="Replaced it.")
    stage.do("confirm", a1, reference)
    states = {
        c["kind"]: c["state"] for c in stage.read(a1, reference)["clocks"] if c["kind"] != "status_update"
    }
    assert (states["first_response"], states["target_action"]) == ("breached", "breached")
    check_proof(stage, reference, (a1, a2), b1)


def test_answered_without_an_intervention(stage, rota, a1, a2, g1, m1, h1):
    reference = reported(stage, a1)
    stage.at(12)
    stage.do("publish_status_update", g1, reference, condition="acknowledged", summary="We see it.")
    stage.at(16)
    assert stage.clocks(a1, reference, "first_response")[0]["state"] == "met"
    assert "Breached: First response" not in subjects_to(m1)
    for minutes in range(40, 240, 25):
        stage.at(minutes)
        stage.do("publish_status_update", g1, reference, condition="in_progress", summary="Still looking.")
    stage.at(241)
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], stage.minute(target["breached_at"])) == ("breached", 240)
    assert "Breached: Intervention" in subjects_to(h1)
    assert subjects_to(a1)[-1] == "Late: Intervention"
    assert "Gül One" in mails_to(a1)[-1].body or "no owner yet" in mails_to(a1)[-1].body


def test_acknowledging_stops_the_repeats_and_meets_nothing(stage, rota, a1, g1, m1):
    reference = reported(stage, a1)
    stage.at(16)
    incident = Incident.objects.by_reference(reference).get()
    actions.acknowledge(incident, by=g1, now=stage.time(17), channel="admin")
    before = len(mail.outbox)
    stage.at(28)
    assert "Breached: First response" not in subjects_to(m1, before)
    assert stage.clocks(a1, reference, "first_response")[0]["met_at"] is None


def test_six_hours_without_workers_end_in_one_word_each(stage, rota, a1, a2, a4, g1, m1, h1):
    reference = reported(stage, a1)
    stage.at(3)
    before = len(mail.outbox)
    stage.at(345)
    assert stage.minute(stage.clocks(a1, reference, "first_response")[0]["breached_at"]) == 15
    assert stage.minute(stage.clocks(a1, reference, "target_action")[0]["breached_at"]) == 240
    missed = [c for c in stage.clocks(a1, reference, "status_update") if c["state"] == "breached"]
    assert [stage.minute(c["breached_at"]) for c in missed] == [30 * n for n in range(1, 12)]
    for person in (a1, a2, a4):
        assert len(subjects_to(person, before)) == 1  # one current word, none for the missed hours
    to_m1 = subjects_to(m1, before)
    assert sorted(to_m1) == ["Breached: First response", "Breached: Intervention", "Breached: Status update"]
    assert not [s for s in subjects_to(g1, before) if " due by " in s]  # no late warning
    body = mails_to(a1)[-1].body
    assert "No engineer has answered yet." in body
    before = len(mail.outbox)
    stage.at(345.5)
    assert heard(before)


def test_the_second_channel_takes_over_while_the_mail_server_is_away(stage, rota, a1, g1, m1, settings):
    pager = Endpoint.objects.create(name="Pager", url="https://pager.briqmind.example/hook")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    reference = stage.file(a1, title="API down", claimed_level="P1", services=["inference-api"])
    pages = OutboxMessage.objects.filter(channel="webhook", endpoint=pager, subject_key=reference)
    assert g1.pk in pages.values_list("recipient", flat=True)
    assert not mail.outbox
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    stage.at(20)
    stage.at(21)
    receipts = [m for m in mail.outbox if m.to == [a1.email] and "API down" in m.subject + m.body]
    assert len(receipts) >= 1
    ids = [m.extra_headers["Message-ID"] for m in mail.outbox]
    assert len(ids) == len(set(ids))  # mails follow, none twice


def test_a_page_that_bounces_reaches_the_next_person(stage, rota, a1, g1, g2, m1):
    reference = reported(stage, a1)
    page = OutboxMessage.objects.get(kind="staff_opened", recipient=g1, channel="email")
    stage.at(1)
    before = len(mail.outbox)
    outbox.bounced(page, at=stage.time(1), reason="550 5.1.1 no such user")
    stage.at(1.1)
    assert heard(before, g2)
    assert "could not be reached" in mails_to(g2)[-1].subject
    assert events(reference, "not_reached")[0].payload["people"] == [g2.pk]
    before = len(mail.outbox)
    stage.work()
    assert heard(before)


def test_a_p1_contact_who_cannot_be_reached_is_told_to_the_owner(stage, rota, a1, a2, g1):
    reference = reported(stage, a1)
    receipt = OutboxMessage.objects.get(kind="incident_opened", recipient=a2)
    before = len(mail.outbox)
    outbox.bounced(receipt, at=stage.time(1), reason="550 5.1.1 no such user")
    stage.at(2)
    assert heard(before, g1)
    assert "Ali Two" in mails_to(g1)[-1].body
    assert events(reference, "not_reached")[0].is_public is False
