"""An organisation's own channel: posted to once of each notice, and nobody stays unheard when it fails."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail as django_mail

from incidents import actions, notify
from incidents.models import RCA, CommunicationPlan, CommunicationRule, SupportPlan
from incidents.preview import preview
from incidents.rca_notify import of_organisation
from incidents.sweep import sweep
from maintenance.models import Invitation
from portal import fallback, outbox
from portal.channels import webhook
from portal.channels.base import Permanent, Sent, Temporary
from portal.message_kinds import ENDPOINT_CLOSED, KINDS
from portal.models import Endpoint, Membership, OutboxMessage, User
from tests import factories
from tests.conftest import T0
from tests.incidents.rca_world import window_for

MINUTE = timedelta(minutes=1)
FIRST_THERE = ["webhook", "email"]
FIRST_MAIL = ["email", "webhook"]


@pytest.fixture
def plan(a1, acme):
    """Acme's own plan, without a rule."""
    factories.plan_for(acme, T0)
    made = CommunicationPlan.objects.create(name="Acme's")
    CommunicationRule.objects.create(plan=made, level="P3", topic="alarm", role="owner")  # not the standard
    SupportPlan.objects.filter(organisation=acme).update(communication_plan=made)
    return made


@pytest.fixture
def room(plan, acme):
    return factories.channel(acme, "slack")


@pytest.fixture
def clock():
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def posts(monkeypatch):
    """What the channel takes; put an exception in, and it fails by that."""
    found = {"fails": None, "took": []}

    def send(self, message, rendered):
        if found["fails"]:
            raise found["fails"]
        found["took"].append(message)
        return Sent("https://acme.example", rendered.subject, rendered.text, "", {}, "204")

    monkeypatch.setattr(webhook.Poster, "send", send)
    return found


def rule(plan, topic, role, channels=("email",), level="P1", **more):
    CommunicationRule.objects.create(
        plan=plan, level=level, topic=topic, role=role, channels=list(channels), **more
    )


def told(kind):
    """(channel, whom, who is told instead) of what was queued."""
    rows = OutboxMessage.objects.filter(kind=kind).select_related("recipient", "endpoint").order_by("pk")
    return [(row.channel, row.whom, names(row.instead)) for row in rows]


def names(people):
    return sorted(User.objects.filter(pk__in=people).values_list("name", flat=True))


def update(incident, g1, at=T0):
    return actions.publish_status_update(
        incident, by=g1, now=at, channel="admin", condition="in_progress", summary="Failover runs."
    )


# --- once ---


def test_however_many_rules_and_people_name_the_channel_it_is_posted_to_once(plan, room, a1, a2, a3, g1):
    rule(plan, "receipt", "room", ["webhook"])
    rule(plan, "receipt", "reporter", FIRST_THERE)
    rule(plan, "receipt", "p1_contacts", FIRST_THERE)
    User.objects.filter(pk=a3.pk).update(hears_all_incidents=True)
    rule(plan, "receipt", "subscribers")
    factories.incident(a1, T0)
    assert told("incident_opened") == [
        ("email", "Ann Three", []),
        ("webhook", room.name, ["Ada One", "Ali Two"]),
    ]


def test_a_rule_of_people_alone_posts_once_too(plan, room, a1, a2, g1):
    rule(plan, "receipt", "reporter", ["webhook"])
    rule(plan, "receipt", "p1_contacts", FIRST_THERE)
    factories.incident(a1, T0)
    assert told("incident_opened") == [("webhook", room.name, ["Ada One", "Ali Two"])]


def test_whoever_hears_by_both_at_once_gets_the_mail_and_is_not_told_instead(plan, room, a1, a2, g1):
    rule(plan, "receipt", "reporter", FIRST_MAIL, is_every_channel=True)
    rule(plan, "receipt", "p1_contacts", FIRST_THERE, is_every_channel=True)
    factories.incident(a1, T0)
    assert told("incident_opened") == [
        ("email", "Ada One", []),
        ("email", "Ali Two", []),
        ("webhook", room.name, []),
    ]


def test_whom_one_rule_mails_and_another_sends_to_the_channel_hears_by_both(plan, room, a2, g1):
    rule(plan, "receipt", "reporter")
    rule(plan, "receipt", "p1_contacts", FIRST_THERE)
    factories.incident(a2, T0)
    assert told("incident_opened") == [("email", "Ali Two", []), ("webhook", room.name, [])]


def test_a_mail_that_fails_does_not_post_a_second_time(plan, room, a1, a2, g1):
    rule(plan, "receipt", "reporter", FIRST_MAIL)
    rule(plan, "receipt", "room", ["webhook"])
    factories.incident(a1, T0)
    mail = OutboxMessage.objects.get(kind="incident_opened", recipient=a1)
    assert (mail.endpoint, mail.next_channels) == (room, ["webhook"])
    fallback.fall_back(mail, T0)
    assert told("incident_opened") == [("email", "Ada One", []), ("webhook", room.name, [])]


def test_where_the_channel_was_not_named_a_mail_that_fails_posts_there(plan, room, a1, a2, g1):
    rule(plan, "receipt", "reporter", FIRST_MAIL)
    rule(plan, "receipt", "p1_contacts", FIRST_MAIL)
    factories.incident(a1, T0)
    for mail in OutboxMessage.objects.filter(kind="incident_opened"):
        fallback.fall_back(mail, T0)
    assert told("incident_opened") == [
        ("email", "Ada One", []),
        ("email", "Ali Two", []),
        ("webhook", room.name, []),
    ]


# --- nobody stays unheard ---


def test_where_nobody_hears_by_mail_the_reporter_and_the_p1_contacts_are_told_instead(
    plan, room, a1, a2, a3, g1
):
    rule(plan, "receipt", "room", ["webhook"])
    factories.incident(a1, T0)
    assert told("incident_opened") == [("webhook", room.name, ["Ada One", "Ali Two"])]


def test_where_somebody_hears_by_mail_nobody_else_is_told_instead(plan, room, a1, a2, g1):
    rule(plan, "receipt", "room", ["webhook"])
    rule(plan, "receipt", "reporter")
    factories.incident(a1, T0)
    assert told("incident_opened") == [("email", "Ada One", []), ("webhook", room.name, [])]


@pytest.mark.parametrize("fails", [Temporary("500"), Permanent("404")])
def test_the_channel_down_each_of_them_gets_the_mail_once(plan, room, a1, a2, a3, g1, posts, clock, fails):
    rule(plan, "receipt", "room", ["webhook"])
    rule(plan, "receipt", "reporter", FIRST_THERE)
    rule(plan, "receipt", "p1_contacts", FIRST_THERE)
    incident = factories.incident(a1, T0)
    posts["fails"] = fails
    for minutes in range(3):
        clock.move_to(T0 + minutes * MINUTE)
        outbox.sweep(T0 + minutes * MINUTE)
    mails = [mail for mail in django_mail.outbox if incident.reference in mail.subject]
    assert sorted(mail.to[0] for mail in mails) == [a1.email, a2.email]
    sweep(T0 + 3 * MINUTE)
    assert not incident.events.filter(kind="not_reached").exists()


def test_a_channel_of_which_nobody_else_could_hear_is_a_matter_for_the_owner(plan, room, a1, g1):
    rule(plan, "receipt", "room", ["webhook"])
    incident = factories.incident(a1, T0)
    OutboxMessage.objects.filter(endpoint=room).update(state="set_aside", unreached_at=T0)
    sweep(T0 + MINUTE)
    assert incident.events.filter(kind="not_reached").count() == 1


def test_a_plan_without_a_channel_posts_nothing_and_its_people_get_mail(plan, room, a1, a2, acme, g1):
    SupportPlan.objects.filter(organisation=acme).update(has_dedicated_channel=False)
    rule(plan, "receipt", "room", ["webhook"])
    rule(plan, "receipt", "reporter", FIRST_THERE)
    factories.incident(a1, T0)
    assert told("incident_opened") == [("email", "Ada One", [])]


def test_a_plan_that_loses_its_channel_before_the_post_leaves_nobody_unheard(
    plan, room, a1, a2, acme, g1, posts, clock
):
    rule(plan, "receipt", "room", ["webhook"])
    factories.incident(a1, T0)
    SupportPlan.objects.filter(organisation=acme).update(has_dedicated_channel=False)
    message = OutboxMessage.objects.get(kind="incident_opened")
    assert KINDS["incident_opened"].why_not(message) == ENDPOINT_CLOSED
    outbox.sweep(T0)
    assert posts["took"] == []
    assert sorted(mail.to[0] for mail in django_mail.outbox if mail.to[0] != g1.email) == [a1.email, a2.email]


def test_whose_mail_had_its_automatic_answer_is_not_answered_instead(plan, room, a1, a2, g1):
    rule(plan, "receipt", "reporter", FIRST_THERE)
    rule(plan, "receipt", "room", ["webhook"])
    incident = factories.incident(a1, T0)
    earlier = {"kind": "x", "recipient": a1, "dedupe_key": "x", "facts": {"is_answer": True}}
    OutboxMessage.objects.create(**earlier, subject_key=incident.reference, created_at=T0)
    event = incident.events.get(kind="opened")
    event.channel = "mail"
    OutboxMessage.objects.filter(kind="incident_opened").delete()
    notify.announce(incident, [event], T0 + MINUTE)
    [(channel, whom, instead)] = told("incident_opened")
    assert (channel, whom) == ("webhook", room.name)
    assert "Ada One" not in instead


# --- a status update counts ---


@pytest.mark.parametrize("minutes", [1, 4])
def test_an_update_that_the_channel_alone_accepts_counts(plan, room, a1, g1, posts, clock, minutes):
    rule(plan, "status_update", "room", ["webhook"])
    incident = factories.incident(a1, T0)
    update(incident, g1, T0 + 10 * MINUTE)
    at = T0 + (10 + minutes) * MINUTE
    clock.move_to(at)
    outbox.sweep(at)
    assert [message.kind for message in posts["took"]] == ["status_update"]
    sweep(at)
    event = incident.events.get(kind="status_update_accepted")
    assert (event.payload["channel"], event.at) == ("webhook", at)
    sweep(T0 + 31 * MINUTE)
    assert factories.clock(incident, "status_update", ordinal=1).breached_at is None


@pytest.mark.parametrize(("minutes", "is_kept"), [(3, True), (6, False)])
def test_an_update_counts_when_the_mail_instead_is_accepted_in_time(
    plan, room, a1, a2, g1, posts, clock, minutes, is_kept
):
    rule(plan, "status_update", "room", ["webhook"])
    incident = factories.incident(a1, T0)
    posts["fails"] = Temporary("500")
    update(incident, g1, T0 + 29 * MINUTE)
    at = T0 + (29 + minutes) * MINUTE
    clock.move_to(at)
    outbox.sweep(at)
    sweep(at)
    assert incident.events.get(kind="status_update_accepted").payload["channel"] == "email"
    assert (factories.clock(incident, "status_update", ordinal=1).breached_at is None) == is_kept


# --- in words ---


def test_the_words_say_who_hears_where_and_who_if_it_fails(plan, room, a1, a2, a3, g1):
    incident = factories.incident(a1, T0)

    def heard():
        return [str(one) for one in notify.who_would_hear("status_update_published", incident, T0, g1)]

    rule(plan, "status_update", "room", ["webhook"])
    assert heard() == ["Acme on Slack (Ada One and 1 other by e-mail if it fails)"]
    rule(plan, "status_update", "reporter", FIRST_THERE)
    assert heard() == ["Acme on Slack (Ada One by e-mail if it fails)"]
    User.objects.filter(pk=a3.pk).update(hears_all_incidents=True)
    rule(plan, "status_update", "subscribers", FIRST_MAIL)
    assert heard() == ["Ann Three (e-mail)", "Acme on Slack (Ada One by e-mail if it fails)"]
    rule(plan, "status_update", "p1_contacts", FIRST_THERE)
    assert heard()[-1] == "Acme on Slack (Ada One and 1 other by e-mail if it fails)"
    Membership.objects.filter(user=a3).update(is_p1_contact=True)
    User.objects.filter(pk=a3.pk).update(hears_all_incidents=False)
    assert heard() == ["Acme on Slack (Ada One and 2 others by e-mail if it fails)"]
    shown = preview(
        actions.publish_status_update, incident, by=g1, now=T0, channel="admin",
        condition="in_progress", summary="Failover runs.",
    )  # fmt: skip
    assert shown.recipients == heard()


def test_a_channel_that_is_the_only_one_is_named_alone(plan, room, a1, g1):
    rule(plan, "status_update", "reporter")
    rule(plan, "status_update", "room", ["webhook"])
    incident = factories.incident(a1, T0)
    Endpoint.objects.filter(pk=room.pk).update(service="webhook")
    heard = notify.who_would_hear("status_update_published", incident, T0, g1)
    assert [str(one) for one in heard] == ["Ada One (e-mail)", "Acme on webhook"]


# --- RCA ---


def test_the_channel_hears_of_an_rca_of_a_window(acme, nordwind, a1, b1, g1, m1):
    window = window_for(acme, g1, m1)
    Invitation.objects.create(window=window, person=a1, organisation=acme, invited_at=T0)
    rca = RCA.objects.create(window=window)
    room = factories.channel(acme)
    factories.channel(nordwind)
    heard = of_organisation(rca, acme, T0)
    assert [(one.person, one.endpoint) for one in heard] == [(a1, None), (None, room)]
    Endpoint.objects.filter(pk=room.pk).update(hears_maintenance=False)
    assert [one.person for one in of_organisation(rca, acme, T0)] == [a1]
