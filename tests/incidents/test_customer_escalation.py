"""The customer's Escalate button: the duty manager is named and paged, answers in words, or their head is paged."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail as sent

from incidents import actions, desk
from incidents.clockwork import recompute
from incidents.models import CommunicationPlan, CustomerEscalation, Incident, Shift
from incidents.sweep import sweep
from portal import outbox
from portal.models import Endpoint, OutboxMessage
from tests.conftest import T0
from tests.factories import CANARY, clock, incident


@pytest.fixture
def made(a1, a2, g1, m1, h1):
    Shift.objects.create(
        role="duty_manager", person=m1, from_at=T0 - timedelta(1), until_at=T0 + timedelta(1)
    )
    return incident(a1, T0, "P1")


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def escalate(made, by, minutes=20, reason="Payroll runs at six."):
    return actions.escalate(made, by=by, now=at(minutes), channel="portal", reason=reason)


def answer(made, by, minutes=30, text="I have called in two more engineers."):
    return actions.answer_escalation(made, by=by, now=at(minutes), channel="admin", text=text)


def queued(kind):
    return OutboxMessage.objects.filter(kind=kind).order_by("pk")


def told(kind, minutes):
    outbox.sweep(at(minutes))
    return {message.address for message in queued(kind).filter(state="sent")}


def test_the_duty_manager_is_named_paged_by_every_channel_and_has_a_time(made, a1, m1):
    pager = Endpoint.objects.create(name="Pager", url="https://pager.example.com/", person=m1)
    escalate(made, a1)
    [found] = CustomerEscalation.objects.all()
    assert (found.duty_manager, found.by, found.answer_due_at) == (m1, a1, at(50))
    pages = queued("staff_customer_escalated")
    assert [(m.recipient, m.channel, m.endpoint) for m in pages] == [
        (m1, "email", pager),
        (m1, "webhook", pager),
    ]
    assert all(m.priority == OutboxMessage.Priority.URGENT for m in pages)


def test_the_customers_people_are_told_by_whom_and_by_when(made, a1, a2):
    escalate(made, a1)
    assert told("customer_escalated", 21) == {a1.email, a2.email}
    [mail] = [m for m in sent.outbox if m.to == [a2.email] and "Escalated" in m.subject]
    assert "Escalated: the duty manager answers by Tue 3 Mar 2026, 13:50 UTC+3" in mail.subject
    assert "Mia Duty (duty manager)" in mail.body
    assert "Payroll runs at six." in mail.body
    assert "head of support is paged" in mail.body


def test_the_plan_says_in_how_many_minutes(made, a1):
    CommunicationPlan.objects.update(escalation_answer_minutes=7)
    escalate(made, a1)
    assert CustomerEscalation.objects.get().answer_due_at == at(27)


def test_without_a_shift_every_duty_manager_is_paged(made, a1, m1):
    Shift.objects.all().delete()
    escalate(made, a1)
    assert CustomerEscalation.objects.get().duty_manager is None
    assert [message.recipient for message in queued("staff_customer_escalated")] == [m1]


@pytest.mark.parametrize("who", ["a3", "g1", "m1", "b1"])
def test_only_the_customers_writers_escalate(made, request, who):
    with pytest.raises(actions.Refused) as refused:
        escalate(made, request.getfixturevalue(who))
    assert refused.value.kind == "permission"
    assert not CustomerEscalation.objects.exists()


def test_a_reason_is_needed_and_one_waits_at_a_time(made, a1, a2):
    with pytest.raises(actions.Refused) as refused:
        escalate(made, a1, reason=" ")
    assert refused.value.field == "reason"
    escalate(made, a1)
    with pytest.raises(actions.Refused, match="escalated already"):
        escalate(made, a2)
    assert CustomerEscalation.objects.count() == 1


def test_what_is_resolved_is_reopened_not_escalated(made, a1, g1):
    actions.resolve(made, by=g1, now=at(10), channel="admin", cause="Disk", remedy="New disk")
    with pytest.raises(actions.Refused, match="Reopen"):
        escalate(made, a1)


def test_it_meets_and_moves_no_clock(made, a1):
    before = {(c.kind, c.due_at, c.state) for c in made.clocks.all()}
    escalate(made, a1, minutes=5)
    assert {(c.kind, c.due_at, c.state) for c in made.clocks.all()} == before


def test_the_customers_words_end_waiting_for_them(made, a1, g1):
    actions.acknowledge(made, by=g1, now=at(5), channel="admin")
    actions.ask_customer(made, by=g1, now=at(10), channel="admin", text="Which region?")
    assert clock(made, "target_action").state == "paused"
    escalate(made, a1, minutes=25)
    made.refresh_from_db()
    assert (made.status, made.waiting_since) == ("acknowledged", None)
    ledger = recompute(Incident.objects.get(pk=made.pk), at(26))
    assert [(pause.start, pause.end) for pause in ledger.pauses] == [(at(10), at(25))]


def test_a_scheduled_update_is_held_for_it(made, a1, g1):
    actions.schedule_status_update(
        made, by=g1, now=at(5), channel="admin", publish_at=at(25), condition="in_progress", summary="On it"
    )
    escalate(made, a1)
    sweep(at(25))
    update = made.status_updates.get()
    assert (update.state, update.held_reason) == ("held", "The customer wrote after this update was written.")


def test_a_duty_managers_answer_is_a_first_response_and_closes_it(made, a1, m1):
    escalate(made, a1, minutes=5)
    answer(made, m1, minutes=9)
    assert clock(made, "first_response").met_at == at(9)
    assert clock(made, "target_action").state == "running"
    found = CustomerEscalation.objects.get()
    assert (found.answered_by, found.answered_at, found.answer.text) == (
        m1,
        at(9),
        "I have called in two more engineers.",
    )
    assert told("escalation_answered", 10) == {a1.email, "a2@acme.example"}
    made.refresh_from_db()
    assert made.status == "acknowledged"
    escalate(made, a1, minutes=60)  # and may be asked for again


def test_an_agent_does_not_answer_for_the_duty_manager(made, a1, g1):
    escalate(made, a1)
    with pytest.raises(actions.Refused) as refused:
        answer(made, g1)
    assert refused.value.kind == "permission"
    assert CustomerEscalation.objects.get().answered_at is None


def test_there_is_nothing_to_answer_without_one(made, m1):
    with pytest.raises(actions.Refused, match="Reply instead"):
        answer(made, m1)


def test_unanswered_the_head_of_support_is_paged_once_and_the_customer_told(made, a1, h1):
    escalate(made, a1)
    sweep(at(49))
    assert not queued("staff_escalation_raised").exists()
    for minutes in (50, 51, 200):
        sweep(at(minutes))
    assert [m.recipient for m in queued("staff_escalation_raised")] == [h1]
    assert {m.recipient.email for m in queued("escalation_raised")} == {a1.email, "a2@acme.example"}


def test_an_answered_or_resolved_one_is_not_raised(made, a1, a2, g1, m1):
    escalate(made, a1)
    answer(made, m1)
    other = incident(a2, T0, "P2")
    escalate(other, a2)
    actions.resolve(other, by=g1, now=at(25), channel="admin", cause="Disk", remedy="New disk")
    sweep(at(300))
    assert not queued("staff_escalation_raised").exists()


def test_pages_that_waited_are_not_sent_after_the_answer(made, a1, m1):
    escalate(made, a1)
    answer(made, m1)
    outbox.sweep(at(31))
    [page] = queued("staff_customer_escalated").filter(channel="email")
    assert (page.state, page.state_reason) == ("dropped", "the escalation has been answered meanwhile")


# --- doors ---


@pytest.fixture
def _at_20():
    with time_machine.travel(at(20), tick=False):
        yield


@pytest.mark.usefixtures("_at_20")
def test_the_page_names_the_duty_manager_before_and_says_what_happens_next(client, made, a1):
    client.force_login(a1)
    page = client.get(made.get_absolute_url()).content.decode()
    assert "The duty manager now: Mia Duty." in page
    form = client.get(f"{made.get_absolute_url()}escalation/").content.decode()
    assert "Mia Duty (duty manager) is paged at once" in form
    assert "within 30 minutes" in form
    assert "the head of support is paged" in form
    assert "sends no message" not in form


@pytest.mark.usefixtures("_at_20")
def test_by_the_portal(client, made, a1, m1):
    client.force_login(a1)
    to = f"{made.get_absolute_url()}escalation/"
    assert client.post(to, {"reason": ""}).status_code == 400
    answered = client.post(to, {"reason": "Payroll <script>alert(1)</script>"}, follow=True)
    page = answered.content.decode()
    assert "It is escalated: Mia Duty has been paged" in page
    assert "Mia Duty (duty manager) has been paged and answers by" in page
    assert "<script>alert" not in page
    assert "Escalate to the duty manager" not in page
    client.force_login(m1)
    shown = client.get(f"/admin/incidents/incident/{made.pk}/change/").content.decode()
    assert "Answer the escalation" in shown
    done = client.post(f"/admin/incidents/incident/{made.pk}/do/answer_escalation/", {"text": "I see to it."})
    assert done.status_code == 302
    assert CustomerEscalation.objects.get().answered_by == m1


@pytest.mark.usefixtures("_at_20")
def test_a_viewer_sees_no_button_and_a_stranger_nothing(client, made, a3, b1):
    client.force_login(a3)
    assert "Escalate to the duty manager" not in client.get(made.get_absolute_url()).content.decode()
    assert client.post(f"{made.get_absolute_url()}escalation/", {"reason": "x"}).status_code == 403
    client.force_login(b1)
    refused = client.post(f"{made.get_absolute_url()}escalation/", {"reason": CANARY})
    assert refused.status_code == 404
    assert not CustomerEscalation.objects.exists()


@pytest.mark.usefixtures("_at_20")
def test_the_queue_has_a_view_of_what_is_escalated(made, a1, a2, m1):
    incident(a2, at(1), "P2")
    escalate(made, a1)
    _label, view = desk.VIEWS["escalated"]
    assert list(view(Incident.objects.all(), m1, at(21))) == [made]
    answer(made, m1)
    assert not view(Incident.objects.all(), m1, at(31)).exists()


def test_two_sweeps_at_once_raise_it_once(made, a1, h1):
    escalate(made, a1)
    stale = CustomerEscalation.objects.get()
    assert actions.raise_escalation(stale, now=at(50))
    assert not actions.raise_escalation(stale, now=at(50))
    assert queued("staff_escalation_raised").count() == 1
