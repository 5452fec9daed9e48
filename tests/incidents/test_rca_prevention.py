"""Prevention actions after publication: moved, closed with evidence, dropped, reminded, found wanting."""

from datetime import date

import pytest
import time_machine
from django.core import mail

from incidents import actions
from incidents.actions import Refused
from incidents.models import RCA, RCARemark, Recurrence
from incidents.rca_reading import reading
from incidents.rca_sweep import reminder_of, sweep_rca
from portal import outbox
from portal.models import OutboxMessage
from tests.factories import agent, incident
from tests.incidents.rca_world import DUE, approved, at, one_action, published, rca_of, resolved, window_for

STAFF = {"channel": "admin"}


@pytest.fixture
def action(a1, a2, g1, g2):
    return published(rca_of(resolved(a1, g1)), g1, g2).actions.select_related("rca").get()


def refusal(verb, *args, **inputs) -> str:
    with pytest.raises(Refused) as caught:
        verb(*args, **{"now": at(300), **STAFF, **inputs})
    return caught.value.kind


def view(action):
    copy = action.rca.versions.first().copies.select_related("organisation", "version__rca").get()
    return reading(copy, date(2026, 3, 24)).actions[0]


def told(kind):
    return set(OutboxMessage.objects.filter(kind=kind).values_list("recipient__email", flat=True))


def test_a_slip_is_seen_with_its_reason_and_its_first_date(action, g1, a1, a2):
    actions.move_action(
        action, by=g1, now=at(300), due_on=date(2026, 3, 27), reason="Parts are late.", **STAFF
    )
    assert (action.due_on, action.first_due_on) == (date(2026, 3, 27), DUE)
    event = action.rca.events.get(kind="action_moved")
    assert event.is_public
    assert (event.facts.due_from, event.facts.due_on) == ("2026-03-20", "2026-03-27")
    assert "late" not in str(event.payload)
    assert RCARemark.objects.get(pk=event.facts.remark).text == "Parts are late."
    seen = view(action)
    assert (seen.due_on, seen.is_late, seen.first_due_on) == (date(2026, 3, 27), False, DUE)
    assert [(s.due_from, s.due_on, s.reason) for s in seen.slips] == [
        (DUE, date(2026, 3, 27), "Parts are late.")
    ]
    assert told("prevention_action_moved") == {"a1@acme.example", "a2@acme.example"}
    actions.move_action(action, by=g1, now=at(301), due_on=date(2026, 3, 30), reason="Again.", **STAFF)
    assert len(view(action).slips) == 2


def test_a_late_action_says_so(action):
    assert view(action).is_late


@pytest.mark.parametrize(
    "inputs",
    [
        {"due_on": date(2026, 3, 27), "reason": " "},
        {"due_on": DUE, "reason": "Same."},
        {"due_on": date(2026, 3, 1), "reason": "Past."},
    ],
)
def test_a_move_needs_a_reason_and_a_date_to_come(action, g1, inputs):
    assert refusal(actions.move_action, action, by=g1, **inputs) == "invalid"
    assert not RCARemark.objects.exists()


def test_closing_needs_evidence(action, g1, a1):
    assert refusal(actions.close_action, action, by=g1, evidence=" \n ") == "invalid"
    assert refusal(actions.close_action, action, by=a1, evidence="A test.") == "permission"
    actions.close_action(action, by=g1, now=at(300), evidence="Report OPS-7.", **STAFF)
    assert (action.state, action.closed_at, action.closed_by) == ("done", at(300), g1)
    assert view(action).evidence == "Report OPS-7."
    assert told("prevention_action_done") == {"a1@acme.example", "a2@acme.example"}
    for verb, more in [
        (actions.start_action, {}),
        (actions.close_action, {"evidence": "x"}),
        (actions.move_action, {"due_on": date(2026, 4, 1), "reason": "x"}),
        (actions.hand_over_action, {"owner": g1}),
    ]:
        assert refusal(verb, action, by=g1, **more) == "state"


def test_only_the_head_of_support_drops_an_action(action, g1, m1, h1):
    for who in (g1, m1):
        assert refusal(actions.drop_action, action, by=who, reason="Too dear.") == "permission"
    assert refusal(actions.drop_action, action, by=h1, reason="") == "invalid"
    actions.drop_action(action, by=h1, now=at(300), reason="The component is gone.", **STAFF)
    assert (action.state, view(action).dropped_because) == ("dropped", "The component is gone.")
    assert told("prevention_action_dropped")


def test_somebody_starts_it_and_hands_it_over(action, g1, g2, a1):
    actions.start_action(action, by=g1, now=at(300), **STAFF)
    assert action.state == "in_progress"
    assert refusal(actions.start_action, action, by=g1) == "state"
    assert refusal(actions.hand_over_action, action, by=g1, owner=a1) == "invalid"
    actions.hand_over_action(action, by=g1, now=at(301), owner=g2, **STAFF)
    assert (action.owner, view(action).owner) == (g2, "Gus Two")


def test_an_unpublished_action_has_no_verbs(a1, g1, g2, h1):
    action = approved(rca_of(resolved(a1, g1)), g1, g2).actions.select_related("rca").get()
    for verb, by, more in [
        (actions.start_action, g1, {}),
        (actions.close_action, g1, {"evidence": "x"}),
        (actions.move_action, g1, {"due_on": date(2026, 4, 1), "reason": "x"}),
        (actions.drop_action, h1, {"reason": "x"}),
    ]:
        assert refusal(verb, action, by=by, **more) == "state"


def test_a_dropped_plan_publishes_no_further_version(action, g1, g2, h1):
    rca = action.rca
    actions.drop_action(action, by=h1, now=at(300), reason="Gone.", **STAFF)
    actions.revise_rca(rca, by=g1, now=at(301), **STAFF)
    assert refusal(actions.submit_rca, rca, by=g1) == "invalid"
    actions.save_rca(rca, by=g1, now=at(302), actions=[one_action(g1, text="Another way")], **STAFF)
    actions.submit_rca(rca, by=g1, now=at(303), **STAFF)


# --- recurrence ---


def test_a_repeated_incident_links_to_the_action(client, action, a1, b1, g1):
    later = incident(a1, at(2000), title="Down once more")
    theirs = incident(b1, at(2000), title="Also theirs")
    assert refusal(actions.link_recurrence, later, action, by=a1) == "permission"
    assert refusal(actions.link_recurrence, action.rca.incident, action, by=g1) == "invalid"
    for made in (later, theirs):
        actions.link_recurrence(made, action, by=g1, now=at(2010), **STAFF)
    assert refusal(actions.link_recurrence, later, action, by=g1) == "state"
    assert Recurrence.objects.count() == 2
    assert [made.reference for made in view(action).recurrences] == [later.reference]
    client.force_login(a1)
    page = client.get(f"/incidents/{action.rca.incident.reference}/rca/").content.decode()
    assert later.reference in page
    assert theirs.reference not in page
    assert "should have prevented this" in client.get(later.get_absolute_url()).content.decode()
    client.force_login(b1)  # their incident says nothing of another organisation's RCA
    assert "should have prevented" not in client.get(theirs.get_absolute_url()).content.decode()


def test_an_older_incident_is_no_recurrence(action, a1, g1):
    older = incident(a1, at(-500))
    assert refusal(actions.link_recurrence, older, action, by=g1) == "invalid"


# --- reminders ---


@pytest.mark.parametrize(
    ("today", "expected"),
    [(12, None), (13, 13), (18, 13), (19, 19), (20, 19), (21, 21), (25, 25)],
)
def test_which_reminder_is_due(today, expected):
    found = reminder_of(DUE, date(2026, 3, today))
    assert found == (date(2026, 3, expected) if expected else None)


def days(number):
    return at(240, days=number - 3)


def test_owners_are_reminded_once_each_day_that_asks_for_it(action, g1):
    subjects = []
    for number in range(10, 24):
        with time_machine.travel(days(number), tick=False):
            counts = [sweep_rca(days(number))["actions reminded"] for _ in range(3)]
            assert counts in ([1, 0, 0], [0, 0, 0])
            before = len(mail.outbox)
            outbox.sweep(days(number))
            for sent in mail.outbox[before:]:
                if sent.to == [g1.email] and "Prevention action" in sent.subject:
                    subjects.append((number, sent.subject.partition("] ")[2]))
    assert subjects == [
        (13, "Prevention action 1 is due Fri 20 Mar 2026"),
        (19, "Prevention action 1 is due Fri 20 Mar 2026"),
        (21, "Prevention action 1 is late"),
        (22, "Prevention action 1 is late"),
        (23, "Prevention action 1 is late"),
    ]


def test_after_an_outage_one_reminder_is_sent(action):
    assert sweep_rca(days(25))["actions reminded"] == 1
    assert sweep_rca(days(25))["actions reminded"] == 0
    assert OutboxMessage.objects.filter(kind="staff_action_due").count() == 1


def test_nothing_stale_is_sent(action, g1, g2):
    sweep_rca(days(19))
    actions.move_action(action, by=g2, now=days(19), due_on=date(2026, 4, 9), reason="Later.", **STAFF)
    reminder = OutboxMessage.objects.get(kind="staff_action_due")
    assert "another date" in outbox.KINDS[reminder.kind].why_not(reminder)
    assert sweep_rca(days(20))["actions reminded"] == 0
    assert (
        sweep_rca(at(240, days=31))["actions reminded"] == 1
    )  # 3 April: 7 days before the new date have come


def test_what_is_closed_or_unpublished_reminds_nobody(action, a1, g1, g2):
    actions.close_action(action, by=g1, now=at(300), evidence="x", **STAFF)
    approved(rca_of(resolved(a1, g1)), g1, g2)
    assert sweep_rca(days(25))["actions reminded"] == 0


def test_where_the_owner_left_the_head_of_support_hears(a1, g1, g2, h1):
    gone = agent("gone@briqmind.example", "Gone Owner")
    rca = approved(rca_of(resolved(a1, g1)), g1, g2, acts=[one_action(gone)])
    actions.publish_rca(rca, by=g2, now=at(240), **STAFF)
    type(gone).objects.filter(pk=gone.pk).update(is_active=False)
    sweep_rca(days(19))
    assert told("staff_action_due") == {h1.email}


def test_the_rca_of_a_window_reminds_too(acme, g1, g2, h1, m1):
    window = window_for(acme, g1, m1)
    rca = RCA.objects.create(window=window, due_at=at(0, days=7))
    assert sweep_rca(at(0, days=5))["RCAs reminded"] == 0
    assert [sweep_rca(at(5, days=6))["RCAs reminded"] for _ in range(2)] == [1, 0]
    assert told("staff_rca_due") == {g1.email}
    assert sweep_rca(at(5, days=7))["RCAs reminded"] == 1
    assert told("staff_rca_due") == {g1.email, h1.email}
    message = OutboxMessage.objects.filter(kind="staff_rca_due").first()
    assert window.reference in outbox.KINDS[message.kind].render(message).subject
    published(rca, g1, g2)
    assert sweep_rca(at(5, days=9))["RCAs reminded"] == 0
    assert outbox.KINDS[message.kind].why_not(message) == "the RCA is published"


# --- what staff hear ---


def test_staff_hear_of_review_comment_and_acceptance(a1, a2, g1, g2, m1):
    made = resolved(a1, g1)
    rca = rca_of(made)
    approved(rca, g1, g2)
    assert told("staff_rca_submitted") == {m1.email}
    assert told("staff_rca_approved") == {g1.email}
    actions.return_rca(rca, by=g2, now=at(190), reason="Shorter.", **STAFF)
    assert told("staff_rca_returned") == {g1.email}
    actions.submit_rca(rca, by=g1, now=at(191), **STAFF)
    actions.approve_rca(rca, by=g2, now=at(192), **STAFF)
    actions.publish_rca(rca, by=g2, now=at(193), **STAFF)
    assert told("rca_published") == {a1.email, a2.email}
    copy = rca.versions.get().copies.get()
    actions.comment_rca(
        rca, by=a1, now=at(200), channel="portal", organisation=made.organisation, text="Why no alarm?"
    )
    actions.accept_rca(copy, by=a2, now=at(201), channel="portal")
    assert {g1.email, g2.email} <= told("staff_rca_commented")
    assert {g1.email, g2.email} <= told("staff_rca_accepted")
    for kind, words in [
        ("staff_rca_submitted", "asks for a review"),
        ("staff_rca_returned", "Shorter."),
        ("staff_rca_approved", "approved the RCA"),
        ("staff_rca_commented", "Why no alarm?"),
        ("staff_rca_accepted", "accepted version 1"),
    ]:
        message = OutboxMessage.objects.filter(kind=kind).first()
        sent = outbox.KINDS[kind].render(message)
        assert words in sent.text, kind
        assert sent.subject.startswith(f"[{made.reference}] ")
        assert not outbox.KINDS[kind].why_not(message)
        type(g1).objects.filter(pk=message.recipient_id).update(staff_role="", is_staff=False)
        message.recipient.refresh_from_db()
        assert "not staff" in outbox.KINDS[kind].why_not(message)
        type(g1).objects.filter(pk=message.recipient_id).update(staff_role="agent", is_staff=True)


def test_the_window_s_invited_hear(acme, a1, a2, g1, g2, m1):
    window = window_for(acme, g1, m1)
    for person in (a1, a2):
        window.invitations.create(person=person, organisation=acme, invited_at=at(-9000))
    type(a2).objects.filter(pk=a2.pk).update(hears_maintenance=False)
    published(RCA.objects.create(window=window, due_at=at(0, days=7)), g1, g2)
    assert told("rca_published") == {a1.email}
    message = OutboxMessage.objects.get(kind="rca_published")
    sent = outbox.KINDS[message.kind].render(message)
    assert sent.subject.startswith(f"[{window.reference}] ")
    assert sent.reply_to.startswith("maintenance+")
    assert f"/maintenance/{window.reference}/rca/" in sent.text
