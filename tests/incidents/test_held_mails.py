"""Staff decide about held mails; and the whole mail is one click away, for those who may read it."""

from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from incidents import actions, inbox_desk
from incidents.clockwork import differences
from incidents.intake import held, inbox, mail, senders
from incidents.models import InboundMessage, Incident
from portal import outbox
from portal.models import OutboxMessage
from tests.conftest import T0
from tests.factories import CANARY, clock, incident
from tests.mails import PASS, arrive, token_of, written


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
def row(made, a1, a2):
    """A colleague answered a mail that was forwarded to them."""
    raw = written(a2, "It is worse.", to=token_of(made, a1), files=(("a.txt", b"log"), ("b.exe", b"MZ")))
    found = arrive(raw, at(5))
    assert found.state == "held"
    return found


def page(row, name="change", *more):
    return reverse(f"admin:incidents_inboundmessage_{name}", args=[row.pk, *more])


def decide(client, row, decision, **data):
    return client.post(page(row, "decide", decision), data)


# --- the decisions ---


def test_added_as_a_reply_it_counts_from_its_receipt(client, made, a1, a2, g1, traveller):
    actions.ask_customer(made, by=g1, now=at(2), channel="admin", text="Where?")
    files = (("a.txt", b"log"), ("b.exe", b"MZ"))
    row = arrive(written(a2, "It is worse.", to=token_of(made, a1), files=files), at(5))
    traveller.move_to(at(30))
    client.force_login(g1)
    answer = decide(client, row, "reply", incident=made.reference, person=a2.pk)
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.state, row.outcome, row.decided_by, row.decided_at) == ("done", "replied", g1, at(30))
    message = made.messages.get(inbound=row)
    assert (message.author, message.text, message.received_at) == (a2, "It is worse.", at(5))
    assert [file.name for file in message.attachments.all()] == ["a.txt"]
    assert "b.exe" in row.state_reason
    assert clock(made, "target_action").due_at == at(240 + 3)
    assert differences(Incident.objects.get()) == []


def test_added_as_a_note_it_counts_for_nothing_and_no_customer_hears(client, row, made, g1):
    mails = OutboxMessage.objects.count()
    client.force_login(g1)
    assert decide(client, row, "note", incident=made.reference).status_code == 302
    message = made.messages.get()
    assert (message.is_public, message.author, message.kind) == (False, g1, "note")
    assert "It is worse." in message.text
    assert "a2@acme.example" in message.text
    assert OutboxMessage.objects.count() == mails
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("done", "noted")


def test_opened_for_a_person_it_counts_from_its_receipt(client, a1, acme, g1, traveller):
    incident(a1, T0)
    row = arrive(written(a1, subject="[P1] Down"), at(5))
    traveller.move_to(at(30))
    client.force_login(g1)
    answer = decide(client, row, "open", organisation=acme.pk, person=a1.email, level="P1")
    assert answer.status_code == 302
    row.refresh_from_db()
    opened = row.incident
    assert (opened.reporter, opened.opened_at, opened.channel, opened.title) == (a1, at(5), "mail", "Down")
    assert opened.events.first().payload["on_behalf"] is True
    assert opened.events.first().payload["inbound"] == row.pk


def test_discarded_it_is_kept_with_the_reason(client, row, made, g1):
    client.force_login(g1)
    assert decide(client, row, "discard", reason=" ").status_code == 400
    assert decide(client, row, "discard", reason="Spam").status_code == 302
    row.refresh_from_db()
    assert (row.state, row.outcome, row.state_reason, row.decided_by) == ("done", "discarded", "Spam", g1)
    assert made.messages.count() == 0


def test_nobody_decides_twice(client, row, made, a2, g1, g2):
    held.discard(row, reason="Spam", by=g2, now=at(6))
    client.force_login(g1)
    answer = decide(client, row, "reply", incident=made.reference, person=a2.pk)
    assert answer.status_code == 409
    assert made.messages.count() == 0
    row.refresh_from_db()
    assert row.decided_by == g2


def test_a_decision_that_the_verb_refuses_leaves_it_held(row, made, a2, g1, monkeypatch):
    def refuse(*args, **more):
        raise actions.Refused("no")

    monkeypatch.setattr(actions, "reply", refuse)
    with pytest.raises(actions.Refused):
        held.add_reply(row, incident=made, person=a2, by=g1, now=at(6))
    row.refresh_from_db()
    assert (row.state, row.decided_by) == ("held", None)


@pytest.mark.parametrize("who", ["a3", "b1", "g2", "gone"])
def test_only_an_active_writer_of_the_organisation_is_made_its_author(request, row, made, a2, g1, who):
    if who == "gone":
        a2.is_active = False
        a2.save()
    person = a2 if who == "gone" else request.getfixturevalue(who)
    with pytest.raises(actions.Refused) as refused:
        held.add_reply(row, incident=made, person=person, by=g1, now=at(6))
    assert refused.value.field == "person"
    assert made.messages.count() == 0


def test_the_form_offers_only_writers_of_the_organisation(client, row, a1, a2, a3, b1, g1):
    client.force_login(g1)
    text = client.get(page(row)).content.decode()
    assert a1.name in text
    assert a2.name in text
    assert a3.name not in text
    assert CANARY not in text


def test_only_staff_decide(client, row, made, a2):
    with pytest.raises(actions.Refused):
        held.discard(row, reason="x", by=a2, now=at(6))
    client.force_login(a2)
    assert decide(client, row, "discard", reason="x").status_code in (302, 403)
    row.refresh_from_db()
    assert row.state == "held"


def test_no_page_of_the_inbox_relies_on_the_admins_door_alone(rf, row, a1):
    asked = rf.get("/")
    asked.user = a1
    with pytest.raises(PermissionDenied):
        inbox_desk.get_message(asked, row.pk)


def test_a_decision_needs_a_post_with_its_token(row, g1):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(g1)
    assert decide(strict, row, "discard", reason="x").status_code == 403
    assert strict.get(page(row, "decide", "discard")).status_code == 405
    assert strict.get(page(row, "again")).status_code == 405
    row.refresh_from_db()
    assert row.state == "held"


def test_an_unknown_decision_is_not_found(client, row, g1):
    client.force_login(g1)
    assert decide(client, row, "explode").status_code == 404


# --- the pages ---


def test_the_inbox_shows_what_waits_and_why(client, row, made, a1, g1):
    done = arrive(written(a1, "fine", subject="A fine mail", to=token_of(made, a1)), at(6))
    assert done.state == "done"
    client.force_login(g1)
    listed = reverse("admin:incidents_inboundmessage_changelist")
    text = client.get(listed).content.decode()
    assert row.sender in text
    assert "reply address that is not" in text
    assert "A fine mail" not in text
    assert "A fine mail" in client.get(f"{listed}?show=all").content.decode()
    assert "A fine mail" in client.get(f"{listed}?show=done").content.decode()
    assert "1 message waits for your decision." in client.get("/admin/").content.decode()


def test_the_page_of_a_mail_is_inert_and_says_what_each_decision_does(client, made, a1, a2, g1):
    evil = "<img src=x onerror=alert(1)>"
    row = arrive(
        written(a2, evil, subject=evil, to=token_of(made, a1), files=((f"{evil}.exe", b"x"),)), at(5)
    )
    client.force_login(g1)
    for address in (page(row), reverse("admin:incidents_inboundmessage_changelist")):
        text = client.get(address).content.decode()
        assert "<img src=x" not in text
        assert "&lt;img src=x" in text
    text = client.get(page(row)).content.decode()
    assert senders.NOT_THEIR_ADDRESS.replace("'", "&#x27;") in text
    for words in ("Add as a reply", "Add as internal note", "Open an incident", "Discard"):
        assert f">{words}</button>" in text


def test_the_raw_mail_is_a_download_that_nothing_renders(client, row, g1, a1):
    client.force_login(g1)
    answer = client.get(page(row, "raw"))
    assert b"It is worse." in b"".join(answer.streaming_content)
    assert answer["Content-Disposition"] == f'attachment; filename="mail-{row.pk}.eml"'
    assert (answer["X-Content-Type-Options"], answer["Content-Type"]) == (
        "nosniff",
        "application/octet-stream",
    )
    client.force_login(a1)
    assert client.get(page(row, "raw")).status_code in (302, 403)


def test_what_was_set_aside_is_read_again_by_a_click(client, a1, g1, monkeypatch):
    row = mail.receive(written(a1, verdict=PASS), via="pipe", received_at=T0)
    InboundMessage.objects.filter(pk=row.pk).update(state="set_aside", state_reason="ValueError: x")
    client.force_login(g1)
    assert "Read it again" in client.get(page(row)).content.decode()
    client.post(page(row, "again"))
    row.refresh_from_db()
    assert row.outcome == "opened"


def test_a_mail_that_nothing_can_read_has_its_page_all_the_same(client, row, g1, monkeypatch, caplog):
    monkeypatch.setattr(mail, "parse", lambda *args, **more: 1 / 0)
    client.force_login(g1)
    assert "cannot be read here" in client.get(page(row)).content.decode()


def test_an_alarm_has_its_page_and_nothing_to_decide(client, g1):
    row, _ = inbox.store(
        "alarm", via="http", received_at=T0, dedupe_key="a", payload={"title": "<b>disk</b>"}
    )
    client.force_login(g1)
    text = client.get(page(row)).content.decode()
    assert "&lt;b&gt;disk" in text
    assert "Discard" not in text


# --- the whole mail ---


@pytest.fixture
def answered(made, a1):
    text = "New words.\n\n> an older line"
    return arrive(written(a1, text, to=token_of(made, a1), subject="Re: API down"), at(5))


def test_the_whole_mail_is_one_click_away_for_both_sides(client, answered, made, a1, a2, g1):
    [message] = made.messages.all()
    address = reverse("incidents:original", args=[made.reference, message.pk])
    for user in (a1, a2):
        client.force_login(user)
        assert address in client.get(made.get_absolute_url()).content.decode()
        assert "&gt; an older line" in client.get(address).content.decode()
    client.force_login(g1)
    text = client.get(f"/admin/incidents/incident/{made.pk}/change/").content.decode()
    assert page(answered) in text
    assert client.get(address)["Location"] == page(answered)


def test_the_whole_mail_is_nothing_for_strangers(client, answered, made, b1):
    client.force_login(b1)
    [message] = made.messages.all()
    assert client.get(reverse("incidents:original", args=[made.reference, message.pk])).status_code == 404
    assert client.get(reverse("incidents:report_original", args=[made.reference])).status_code == 404
    own = incident(b1, T0)
    assert client.get(reverse("incidents:original", args=[own.reference, message.pk])).status_code == 404


def test_the_whole_mail_of_staff_is_for_staff(client, made, a1, g1):
    quoted = "We look.\n\n> internal words"
    arrive(written(g1, quoted, to=token_of(made, g1), verdict=PASS, subject="Re: x"), at(5))
    [message] = made.messages.all()
    client.force_login(a1)
    assert client.get(reverse("incidents:original", args=[made.reference, message.pk])).status_code == 404
    text = client.get(made.get_absolute_url()).content.decode()
    assert "We look." in text
    assert "The whole mail" not in text


def test_the_whole_mail_of_an_internal_note_is_for_staff(client, row, made, a1, g1):
    held.add_note(row, incident=made, by=g1, now=at(6))
    [message] = made.messages.all()
    client.force_login(a1)
    assert client.get(reverse("incidents:original", args=[made.reference, message.pk])).status_code == 404


def test_the_whole_mail_of_a_message_that_was_made_internal_is_for_staff(client, answered, made, a1):
    made.messages.update(is_public=False)
    client.force_login(a1)
    [message] = made.messages.all()
    assert client.get(reverse("incidents:original", args=[made.reference, message.pk])).status_code == 404


def test_the_whole_report_is_one_click_away(client, a1, made):
    opened = arrive(written(a1, "Down.\n\n> quoted", subject="New", verdict=PASS), at(5)).incident
    address = reverse("incidents:report_original", args=[opened.reference])
    client.force_login(a1)
    assert address in client.get(opened.get_absolute_url()).content.decode()
    assert "&gt; quoted" in client.get(address).content.decode()
    assert client.get(reverse("incidents:report_original", args=[made.reference])).status_code == 404


def test_what_was_left_in_the_mail_is_said_to_staff_beside_the_message(client, made, a1, g1):
    arrive(written(a1, to=token_of(made, a1), files=(("setup.exe", b"MZ"),)), at(5))
    client.force_login(g1)
    assert "setup.exe" in client.get(f"/admin/incidents/incident/{made.pk}/change/").content.decode()


def test_nobody_is_asked_for_a_decision_that_has_been_made(client, row, made, g1):
    asked = OutboxMessage.objects.filter(kind="staff_mail_held", state="queued")
    assert asked.exists()
    client.force_login(g1)
    decide(client, row, "discard", reason="Spam.")
    outbox.sweep(at(30))
    reasons = OutboxMessage.objects.filter(kind="staff_mail_held").values_list("state", "state_reason")
    assert set(reasons) == {("dropped", "somebody has decided on the mail meanwhile")}
