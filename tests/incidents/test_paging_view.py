"""Who hears what, beside the incident and on every form: by name for staff, without addresses for customers."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape

from incidents import actions, paging_view
from incidents.desk import VIEWS
from incidents.models import CommunicationRule, EscalationStep, Incident, Shift
from incidents.staff_forms import STAFF_VERBS
from incidents.sweep import sweep
from incidents.timeline_view import timeline_items
from portal.models import Endpoint, Membership, OutboxMessage
from tests.conftest import T0
from tests.factories import incident, person

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _english():
    """Whatever language an earlier test left behind."""
    with translation.override("en"):
        yield


@pytest.fixture
def rota(g1, g2, m1):
    """Gül is on call with Gus as backup, Mia is duty manager."""
    for role, who, backup in (("on_call", g1, g2), ("duty_manager", m1, None)):
        Shift.objects.create(
            role=role, person=who, backup=backup, from_at=T0 - 600 * MINUTE, until_at=T0 + 600 * MINUTE
        )


def desk(client, who, made, at=T0):
    client.force_login(who)
    with time_machine.travel(at, tick=False):
        return client.get(reverse("admin:incidents_incident_change", args=[made.pk])).content.decode()


def said(page):
    return [(page.at, page.moments, [(str(role), [str(h) for h in people]) for role, people in page.roles])]


# --- the next page ---


def test_the_next_page_names_its_moment_its_people_and_their_channels(a1, rota, g1, g2, m1):
    made = incident(a1, T0)
    Endpoint.objects.create(name="Pager", url="https://pager.example/", person=m1)
    half = paging_view.next_page(made, T0)
    assert said(half) == [
        (T0 + 7.5 * MINUTE, ["50 % of First response"], [("on call", ["Gül One (e-mail)"])])
    ]
    sweep(T0 + 8 * MINUTE)
    made.refresh_from_db()
    later = paging_view.next_page(made, T0 + 8 * MINUTE)
    assert said(later) == [
        (
            T0 + 12 * MINUTE,
            ["80 % of First response"],
            [("backup", ["Gus Two (e-mail)"]), ("duty manager", ["Mia Duty (e-mail, webhook)"])],
        )
    ]


def test_after_the_warnings_the_next_page_is_the_breach(a1, rota):
    made = incident(a1, T0)
    sweep(T0 + 13 * MINUTE)
    made.refresh_from_db()
    found = paging_view.next_page(made, T0 + 13 * MINUTE)
    assert (found.at, found.moments, found.is_due) == (T0 + 15 * MINUTE, ["First response late"], False)


def test_a_page_that_waits_for_the_sweep_is_due_now(a1, rota):
    made = incident(a1, T0)
    assert paging_view.next_page(made, T0 + 8 * MINUTE).is_due


def test_the_next_page_goes_to_whoever_is_on_duty_then(a1, g1, g2, rota):
    Shift.objects.filter(role="on_call").update(until_at=T0 + 5 * MINUTE)
    later = T0 + 5 * MINUTE
    Shift.objects.create(role="on_call", person=g2, from_at=later, until_at=later + 60 * MINUTE)
    made = incident(a1, T0)
    [(_role, people)] = paging_view.next_page(made, T0).roles
    assert [heard.person for heard in people] == [g2]


def test_a_closed_incident_pages_nobody(client, a1, g1, rota):
    made = incident(a1, T0, level="P2")
    actions.resolve(made, by=g1, now=T0, channel="admin", cause="x", remedy="y")
    actions.confirm(made, by=a1, now=T0, channel="portal")
    assert paging_view.next_page(made, T0 + MINUTE) is None
    assert "No page is to come." in desk(client, g1, made)


def test_a_minute_after_a_breach_is_said_in_words(a1, rota):
    made = incident(a1, T0)
    plan = made.organisation.support_plan.communication_plan
    plan.steps.all().delete()
    EscalationStep.objects.create(
        plan=plan, level="P1", kind="first_response", role="team", after_minutes=20, channels=["email"]
    )
    assert paging_view.next_page(made, T0).moments == ["First response late by 20 min"]


# --- the last pages ---


def test_the_last_pages_say_what_became_of_each_message(client, a1, g1, rota):
    made = incident(a1, T0)
    sweep(T0 + 8 * MINUTE)
    [page] = paging_view.last_pages(made)
    assert page.words == "50 % of First response → on call"
    assert [(d.who, str(d.channel), d.word) for d in page.deliveries] == [(g1.name, "e-mail", "waiting")]
    message = OutboxMessage.objects.get(kind="staff_clock_warned")
    for fields, word, look in [
        ({"attempts": 2}, "tried again soon", "running"),
        ({"state": "claimed"}, "being sent", "running"),
        ({"state": "sent", "sent_at": T0 + 9 * MINUTE}, "sent", "met"),
        ({"unreached_at": T0 + 10 * MINUTE}, "did not arrive", "breached"),
        ({"state": "set_aside", "state_reason": "550 no such user"}, "failed", "breached"),
        ({"state": "dropped", "unreached_at": None}, "not sent", "cancelled"),
    ]:
        OutboxMessage.objects.filter(pk=message.pk).update(**fields)
        [delivery] = paging_view.last_pages(made)[0].deliveries
        assert (delivery.word, delivery.look) == (word, look), fields
    OutboxMessage.objects.filter(pk=message.pk).update(state="set_aside")
    text = desk(client, g1, made, T0 + 11 * MINUTE)
    assert ("failed" in text, "550 no such user" in text) == (True, True)


def test_messages_of_other_incidents_and_other_events_are_not_among_them(a1, g1, rota):
    made, other = incident(a1, T0), incident(a1, T0)
    sweep(T0 + 8 * MINUTE)
    found = [paging_view.last_pages(one)[0].deliveries for one in (made, other)]
    assert [len(deliveries) for deliveries in found] == [1, 1]


# --- on duty ---


def test_the_card_says_who_is_on_duty_until_when_and_where_nobody_is(client, a1, g1, g2, m1, rota):
    made = incident(a1, T0)
    Shift.objects.filter(role="duty_manager").delete()
    on_call, duty = paging_view.on_duty(T0)
    assert (on_call.people, on_call.backup, on_call.is_gap) == ([g1], g2, False)
    assert (duty.people, duty.until_at, duty.is_gap) == ([m1], None, True)
    text = desk(client, g1, made)
    assert ("Backup: Gus Two" in text, "nobody on the rota" in text) == (True, True)


# --- who would hear ---


def test_every_verb_that_tells_anybody_says_whom_and_how(client, a1, a2, g1, m1):
    made = incident(a1, T0)
    client.force_login(m1)
    for verb in STAFF_VERBS.values():
        page = client.get(reverse("admin:incidents_incident_do", args=[made.pk, verb.name])).content.decode()
        if not verb.event:
            assert "Internal: no customer" in page or "No message goes out" in page, verb.name
        else:
            assert "(e-mail)" in page, verb.name


def test_a_composer_names_six_and_folds_the_rest(client, acme, a1, g1):
    for number in range(8):
        one = person(f"p{number}@acme.example", f"Person {number}", acme, "member")
        one.hears_all_incidents = True
        one.save()
    made = incident(a1, T0)
    page = desk(client, g1, made)
    assert "and 3 more" in page
    for number in range(8):
        assert f"Person {number} (e-mail)" in page


def test_a_plan_that_names_nobody_is_said_before_the_button(client, a1, g1):
    made = incident(a1, T0)
    CommunicationRule.objects.filter(topic="answer").delete()
    assert "Nobody of the customer hears of it" in desk(client, g1, made)


def test_a_customer_reads_where_a_reply_goes_and_no_address(client, a1, g1, g2, m1, rota):
    made = incident(a1, T0)
    client.force_login(a1)
    with time_machine.travel(T0, tick=False):
        page = client.get(made.get_absolute_url()).content.decode()
        assert "Goes to: whoever is on call." in page
        assert not any(
            name in page for name in (g1.name, g2.name)
        )  # a duty manager is named by the Escalate button
        actions.assign(made, by=g1, now=T0, channel="admin", assignee=g2)
        page = client.get(made.get_absolute_url()).content.decode()
    assert f"Goes to: {escape(g2.name)}, who has it." in page
    assert not any(address in page for address in (g1.email, g2.email, m1.email))


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("reply", "whoever is on call"),
        ("reopen", "whoever is on call and the support team"),
        ("contest_lowering", "the duty manager"),
        ("withdraw", "whoever is on call"),
    ],
)
def test_each_word_of_a_customer_says_where_it_goes(a1, g1, g2, m1, rota, verb, words):
    made = incident(a1, T0)
    assert paging_view.goes_to(verb, made, T0, a1) == f"Goes to: {words}."


def test_a_reply_to_what_is_resolved_goes_where_a_reopening_goes(a1, g1, g2, rota):
    made = incident(a1, T0)
    actions.resolve(made, by=g1, now=T0, channel="admin", cause="x", remedy="y")
    assert "the support team" in paging_view.goes_to("reply", made, T0, a1)


def test_a_plan_that_tells_nobody_of_us_is_admitted(a1, g1, rota):
    made = incident(a1, T0)
    CommunicationRule.objects.filter(topic="customer_wrote").delete()
    assert "sends no message" in paging_view.goes_to("reply", made, T0, a1)


# --- in the timeline ---


def test_an_escalation_reads_as_a_fact_for_staff_and_is_not_for_customers(client, a1, g1, g2, m1, rota):
    made = incident(a1, T0)
    sweep(T0 + 8 * MINUTE)
    sweep(T0 + 16 * MINUTE)
    sweep(T0 + 21 * MINUTE)
    items = {item.sentence: item for item in timeline_items(made, g1)}
    for words in (
        "50 % of First response: paged Gül One (on call)",
        "First response late: paged Mia Duty (duty manager)",
        "First response late: paged Mia Duty again (duty manager, page 2)",
    ):
        assert (items[words].look, items[words].is_internal) == ("fact", True), list(items)
    seen = [item.sentence for item in timeline_items(made, a1)]
    assert "late: First response; escalated to Mia Duty" in seen
    assert not any("paged" in sentence for sentence in seen)
    client.force_login(a1)
    assert "Internal" not in client.get(made.get_absolute_url()).content.decode()


def test_what_people_note_looks_different_from_what_the_machine_notes(a1, g1):
    made = incident(a1, T0)
    actions.add_note(made, by=g1, now=T0, channel="admin", text="Node 2 again")
    sweep(T0 + 8 * MINUTE)
    looks = {item.kind: item.look for item in timeline_items(made, g1)}
    assert (looks["note_added"], looks["clock_warned"]) == ("internal", "fact")


# --- major incidents ---


def declare(made, by):
    actions.declare_major(made, by=by, now=T0, channel="admin", reason="Payments stand still.")


def test_a_major_incident_says_so_on_both_sides_and_in_the_lists(client, a1, g1, m1):
    made = incident(a1, T0)
    address = f"/admin/incidents/incident/{made.pk}/change/"
    pages = [(a1, made.get_absolute_url()), (a1, "/"), (a1, "/incidents/"), (g1, address), (g1, "/admin/")]
    pages += [(g1, "/admin/incidents/incident/"), (g1, "/admin/incidents/incident/?view=major")]
    for declared in (False, True):
        for who, to in pages:
            client.force_login(who)
            with time_machine.travel(T0, tick=False):
                page = client.get(to).content.decode()
            assert ("Major incident" in page) is declared, to
            assert ("an RCA is owed" in page) is (declared and to in (address, made.get_absolute_url())), to
        if not declared:
            declare(made, m1)
    [event] = made.events.filter(kind="declared_major")
    [item] = [item for item in timeline_items(made, a1) if item.event_id == event.pk]
    assert (item.look, item.message.text) == ("words", "Payments stand still.")


def test_the_view_of_majors_keeps_what_owes_an_rca(client, a1, a2, g1, m1):
    made, _plain = incident(a1, T0), incident(a1, T0)
    declare(made, m1)
    actions.resolve(made, by=g1, now=T0, channel="admin", cause="x", remedy="y")
    major = VIEWS["major"][1]
    assert list(major(Incident.objects.all(), g1, T0)) == [made]
    made.clocks.filter(kind="rca").update(ended_at=T0)
    assert list(major(Incident.objects.all(), g1, T0)) == []


def test_only_a_duty_manager_is_offered_to_declare_and_only_once(client, a1, g1, m1):
    made = incident(a1, T0)
    words = "Declare a major incident"
    address = reverse("admin:incidents_incident_do", args=[made.pk, "declare_major"])
    with time_machine.travel(T0, tick=False):
        assert (words in desk(client, g1, made), words in desk(client, m1, made)) == (False, True)
        client.force_login(g1)
        assert client.post(address, {"reason": "Down"}).status_code == 403
        client.force_login(m1)
        assert client.post(address, {"reason": "Down"}).status_code == 302
        assert client.post(address, {"reason": "Down"}).status_code == 409
        assert words not in desk(client, m1, made)
    assert made.events.filter(kind="declared_major").count() == 1


def test_a_membership_says_who_is_an_escalation_contact(client, h1, acme, a1):
    client.force_login(h1)
    page = client.get(reverse("admin:portal_organisation_change", args=[acme.pk])).content.decode()
    assert "is_escalation_contact" in page
    assert not Membership.objects.get(user=a1).is_escalation_contact
