"""Staff decide about what was written in a channel by somebody it does not know, and may remember who that is."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from incidents import actions
from incidents.clockwork import differences
from incidents.intake import held, inbox
from incidents.intake.chat import replies
from incidents.models import InboundMessage, Incident, Message
from portal import outbox
from portal.models import ChatIdentity, OutboxMessage
from tests.chat_senders import channel, event, knows, slack, thread
from tests.conftest import T0
from tests.factories import CANARY, clock, incident


def at(minutes):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture(autouse=True)
def traveller(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def made(a1, g1):
    return incident(a1, T0)


@pytest.fixture
def room(acme, made):
    found = channel(acme)
    thread(found, made.reference, "1.1")
    return found


@pytest.fixture
def row(room, traveller):
    """Somebody whom the channel does not know answered in the incident's thread."""
    traveller.move_to(at(5))
    return held_in(room, "It is *worse* &lt;b&gt;.")


def held_in(room, text, user="U0ADA", **more):
    slack(room, event(text, user=user, **{"thread_ts": "1.1"} | more))
    inbox.sweep(timezone.now())
    found = InboundMessage.objects.order_by("pk").last()
    assert found.state == "held"
    return found


def page(row, name="change", *more):
    return reverse(f"admin:incidents_inboundmessage_{name}", args=[row.pk, *more])


def decide(client, row, decision, **data):
    return client.post(page(row, "decide", decision), data)


# --- the decisions ---


def test_added_as_a_reply_it_counts_from_its_receipt(client, made, room, a1, g1, traveller):
    actions.ask_customer(made, by=g1, now=at(2), channel="admin", text="Where?")
    traveller.move_to(at(5))
    row = held_in(room, "It is *worse*.")
    traveller.move_to(at(30))
    client.force_login(g1)
    assert decide(client, row, "reply", incident=made.reference, person=a1.pk).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.outcome, row.decided_by, row.decided_at) == ("done", "replied", g1, at(30))
    message = made.messages.get(inbound=row)
    assert (message.author, message.text, message.received_at) == (a1, "It is **worse**.", at(5))
    assert message.channel == "chat"
    assert clock(made, "target_action").due_at == at(240 + 3)
    assert differences(Incident.objects.get()) == []
    assert ChatIdentity.objects.count() == 0


def test_who_is_remembered_writes_by_themselves_from_then_on(client, row, room, made, a1, g1):
    client.force_login(g1)
    answer = decide(client, row, "reply", incident=made.reference, person=a1.pk, is_remembered="on")
    assert answer.status_code == 302
    identity = ChatIdentity.objects.get()
    assert (identity.endpoint, identity.external_id, identity.person) == (room, "U0ADA", a1)
    assert (identity.created_by, identity.created_at) == (g1, at(5))
    slack(room, event("And worse.", thread_ts="1.1"))
    inbox.sweep(at(6))
    assert list(made.messages.order_by("pk").values_list("author", "text")) == [
        (a1.pk, "It is **worse** <b>."),
        (a1.pk, "And worse."),
    ]


def test_it_is_remembered_and_added_together_or_not_at_all(row, made, a1, g1, monkeypatch):
    def refuse(*args, **more):
        raise actions.Refused("no")

    monkeypatch.setattr(actions, "reply", refuse)
    with pytest.raises(actions.Refused):
        held.add_reply(row, incident=made, person=a1, by=g1, now=at(6), is_remembered=True)
    assert ChatIdentity.objects.count() == 0
    row.refresh_from_db()
    assert (row.state, row.decided_by) == ("held", None)


def test_nobody_s_words_become_somebody_else_s_in_passing(client, row, room, made, a1, a2, g1):
    """An id that the channel knows stays who they are, whatever a decision on one message says."""
    knows(room, "U0ADA", a2)
    client.force_login(g1)
    answer = decide(client, row, "reply", incident=made.reference, person=a1.pk, is_remembered="on")
    assert answer.status_code == 400
    assert "knows this writer as Ali Two" in answer.content.decode()
    assert (ChatIdentity.objects.get().person, made.messages.count()) == (a2, 0)
    assert (
        decide(client, row, "reply", incident=made.reference, person=a2.pk, is_remembered="on").status_code
        == 302
    )


def test_added_as_a_note_it_says_whose_words_it_holds(client, row, made, g1):
    sent = OutboxMessage.objects.count()
    client.force_login(g1)
    assert decide(client, row, "note", incident=made.reference).status_code == 302
    message = made.messages.get()
    assert (message.is_public, message.author, message.kind, message.channel) == (False, g1, "note", "chat")
    assert message.text == "From U0ADA in the channel “#acme-support”:\n\nIt is **worse** <b>."
    assert OutboxMessage.objects.count() == sent
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("done", "noted")


def test_a_note_of_the_longest_text_fits(room, made, g1):
    row = held_in(room, "x" * 60_000)
    held.add_note(row, incident=made, by=g1, now=at(6))
    assert len(made.messages.get().text) <= 50_000


def test_discarded_it_is_kept_with_the_reason(client, row, made, g1):
    client.force_login(g1)
    assert decide(client, row, "discard", reason=" ").status_code == 400
    assert decide(client, row, "discard", reason="Not for us").status_code == 302
    row.refresh_from_db()
    assert (row.state, row.outcome, row.state_reason, row.decided_by) == (
        "done",
        "discarded",
        "Not for us",
        g1,
    )
    assert made.messages.count() == 0


def test_a_message_of_a_channel_opens_no_incident(client, row, acme, a1, g1):
    client.force_login(g1)
    data = {"organisation": acme.pk, "person": a1.email, "level": "P1"}
    assert decide(client, row, "open", **data).status_code == 404
    with pytest.raises(actions.Refused):
        held.open_incident(row, organisation=acme, person=a1, level="P1", by=g1, now=at(6))
    assert Incident.objects.count() == 1


def test_a_channel_s_words_never_leave_its_organisation(client, row, b1, a1, g1):
    theirs = incident(b1, T0)
    client.force_login(g1)
    for decision, more in (("reply", {"person": a1.pk}), ("note", {})):
        answer = decide(client, row, decision, incident=theirs.reference, **more)
        assert (answer.status_code, "There is no such incident." in answer.content.decode()) == (400, True)
    for act in (
        lambda: held.add_reply(row, incident=theirs, person=b1, by=g1, now=at(6), is_remembered=True),
        lambda: held.add_note(row, incident=theirs, by=g1, now=at(6)),
    ):
        with pytest.raises(actions.Refused) as refused:
            act()
        assert refused.value.field == "incident"
    assert (Message.objects.count(), ChatIdentity.objects.count()) == (0, 0)


@pytest.mark.parametrize("who", ["a3", "b1", "g2", "gone"])
def test_only_an_active_writer_of_the_organisation_is_made_its_author(request, row, made, a2, g1, who):
    if who == "gone":
        a2.is_active = False
        a2.save()
    person = a2 if who == "gone" else request.getfixturevalue(who)
    with pytest.raises(actions.Refused) as refused:
        held.add_reply(row, incident=made, person=person, by=g1, now=at(6), is_remembered=True)
    assert refused.value.field == "person"
    assert (made.messages.count(), ChatIdentity.objects.count()) == (0, 0)


def test_nobody_decides_twice_and_only_staff_do(client, row, made, a1, a2, g1, g2):
    with pytest.raises(actions.Refused):
        held.discard(row, reason="x", by=a2, now=at(6))
    held.discard(row, reason="Chatter", by=g2, now=at(6))
    client.force_login(g1)
    assert decide(client, row, "reply", incident=made.reference, person=a1.pk).status_code == 409
    assert made.messages.count() == 0


def test_nothing_is_decided_on_what_was_ignored(room, made, g1, client):
    slack(room, event("lunch?"))
    ignored = InboundMessage.objects.get()
    with pytest.raises(actions.Refused):
        held.add_note(ignored, incident=made, by=g1, now=at(6))
    client.force_login(g1)
    shown = client.get(page(ignored)).content.decode()
    assert "Not meant for support: nothing of it is kept" in shown
    assert "Discard" not in shown


def test_staff_are_not_asked_about_what_has_been_decided(row, made, g1, g2):
    actions.assign(made, by=g2, now=at(5), channel="admin", assignee=g1)
    held.discard(row, reason="Chatter", by=g1, now=at(6))
    outbox.sweep(at(30))
    assert not OutboxMessage.objects.filter(kind="staff_mail_held", state__in=["sent", "queued"]).exists()


# --- the pages ---


def test_the_inbox_shows_who_what_where_and_which_incident(client, row, room, made, a1, a2, a3, b1, g1):
    client.force_login(g1)
    listed = client.get(reverse("admin:incidents_inboundmessage_changelist")).content.decode()
    for words in ("U0ADA", "It is worse &lt;b&gt;.", "#acme-support", made.reference):
        assert words in listed
    shown = client.get(page(row)).content.decode()
    for words in (
        "It is <strong>worse</strong> &lt;b&gt;.",
        "It is *worse* &amp;lt;b&amp;gt;.",
        "#acme-support",
        "Slack, Acme",
        "Nobody here is known by this name in the channel.",
        "Remember who this is",
        reverse("admin:incidents_incident_change", args=[made.pk]),
    ):
        assert words in shown
    for words in ("Add as a reply", "Add as internal note", "Discard"):
        assert f">{words}</button>" in shown
    for words in ("Open an incident", "Download the mail", "Our mail server", a3.name, CANARY):
        assert words not in shown
    assert a1.name in shown
    assert "1 message waits for your decision." in client.get("/admin/").content.decode()


def test_whom_the_channel_knows_is_chosen_already(client, row, room, a2, g1):
    knows(room, "U0ADA", a2)
    client.force_login(g1)
    assert f'<option value="{a2.pk}" selected>' in client.get(page(row)).content.decode()


def test_what_was_set_aside_is_read_again_by_a_click(client, room, made, a1, g1, monkeypatch):
    knows(room, "U0ADA", a1)
    slack(room, event("words", thread_ts="1.1"))
    with monkeypatch.context() as patch:
        patch.setattr(replies, "_reply", lambda *args: 1 / 0)
        for minutes in (0, 1, 10, 30):
            inbox.sweep(at(minutes))
    row = InboundMessage.objects.get()
    assert row.state == "set_aside"
    client.force_login(g1)
    assert "words" in client.get(page(row)).content.decode()
    client.post(page(row, "again"))
    row.refresh_from_db()
    assert (row.state, made.messages.get().text) == ("done", "words")


def test_the_incident_s_page_links_the_message_for_staff_and_no_mail_for_customers(client, row, made, a1, g1):
    held.add_reply(row, incident=made, person=a1, by=g1, now=at(6))
    [message] = made.messages.all()
    original = reverse("incidents:original", args=[made.reference, message.pk])
    client.force_login(a1)
    assert original not in client.get(made.get_absolute_url()).content.decode()
    assert client.get(original).status_code == 404
    client.force_login(g1)
    shown = client.get(f"/admin/incidents/incident/{made.pk}/change/").content.decode()
    assert page(row) in shown
    assert "The message in the inbox" in shown
    assert "Dedicated channel" in shown


def test_a_note_made_of_it_is_in_no_byte_for_a_customer(client, room, made, a1, g1):
    row = held_in(room, f"words {CANARY}")
    held.add_note(row, incident=made, by=g1, now=at(6))
    client.force_login(a1)
    for address in ("", "timeline/", "now/"):
        assert CANARY not in client.get(made.get_absolute_url() + address).content.decode()
    for noun in ("", "events/", "replies/", "notes/"):
        assert CANARY not in client.get(f"/api/v1/incidents/{made.reference}/{noun}").content.decode()
