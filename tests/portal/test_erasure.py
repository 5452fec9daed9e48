"""A person who used every door is forgotten: their name and addresses stand nowhere any more."""

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from incidents import actions
from incidents.intake import held
from incidents.models import Attachment, InboundMessage, Message, ReplyAddress, Shift, Watcher
from maintenance.models import CalendarFeed, MaintenanceWindow
from portal import audit, outbox, privacy_verbs
from portal.models import (
    ApiToken,
    AuditEntry,
    AuditOrigin,
    ChatIdentity,
    Endpoint,
    Erasure,
    IdempotentRequest,
    Invitation,
    Membership,
    OutboxMessage,
    StatusSubscription,
    User,
)
from portal.scrubbing import Scrubber
from portal.verbs import Refused
from tests.conftest import T0
from tests.factories import PASSWORD, agent, channel, incident, person
from tests.incidents.rca_world import published, rca_of, resolved
from tests.incidents.test_stranger import Writes
from tests.mails import PASS, arrive, written
from tests.maintenance import world as windows

NAME, DISPLAY = "Zebulon Quixotefield", "Zebu Quixotefield"
ADDRESS, OTHER = "zebulon.quixotefield@acme.example", "zq-other@acme.example"
CANARIES = [NAME, "Zebulon", "Quixotefield", ADDRESS, OTHER, "ZQ-EXTERNAL-77", "203.0.113.77"]


def mailed(subject, text, *, sender, name, **headers):
    """A mail that came in and was read."""
    raw = written(sender, text, subject=subject, verdict=PASS, **headers)
    raw = raw.replace(f"From: {sender}".encode(), f"From: {name} <{sender}>".encode())
    row = arrive(raw, T0 + timedelta(minutes=6))
    assert row.state == "done", row.state_reason
    return row


@pytest.fixture
def zed(acme, a2):
    made = person(ADDRESS, NAME, acme, "member")
    EmailAddress.objects.create(user=made, email=ADDRESS, verified=True, primary=True)
    EmailAddress.objects.create(user=made, email=OTHER, verified=True)
    return made


@pytest.fixture
def lived(zed, acme, a1, a2, g1, root, b1, rf):
    """Everything that the person did, and that others wrote about them."""
    found = incident(
        zed, T0, title=f"Laptop of {NAME} is down", description=f"Call me.\n\n-- \n{NAME}\n{ADDRESS}"
    )
    actions.reply(
        found, by=zed, now=T0 + timedelta(minutes=1), channel="portal", text="See the file.",
        files=[SimpleUploadedFile("zebulon_quixotefield.log", b"a log of nobody in particular")],
    )  # fmt: skip
    actions.reply(
        found,
        by=a1,
        now=T0 + timedelta(minutes=2),
        channel="portal",
        text=f"**Zebulon**  quixotefield ({ADDRESS.upper()}) knows more.",
    )
    actions.add_note(
        found, by=g1, now=T0 + timedelta(minutes=3), channel="admin", text=f"{DISPLAY} is on holiday."
    )
    actions.publish_status_update(
        found, by=g1, now=T0 + timedelta(minutes=4), channel="admin", condition="acknowledged",
        summary=f"We work with {NAME}.", impact="None.", next_steps="Wait.", next_update_at=T0 + timedelta(minutes=30),
    )  # fmt: skip
    mailed("Everything is slow", f"It is.\n\n{NAME}\n{OTHER}", sender=ADDRESS, name=DISPLAY)
    mailed("Nothing works", f"Ask {NAME}.", sender=a1.email, name="Ada One", Cc=f"{NAME} <{OTHER}>")
    _belongings(zed, acme, a1, a2, root, rf)
    analysis = published(rca_of(resolved(zed, g1)), g1, root)
    actions.comment_rca(
        analysis,
        by=zed,
        now=T0 + timedelta(hours=5),
        channel="portal",
        organisation=acme,
        text=f"Thanks. {NAME}",
    )
    return found, analysis


def _belongings(zed, acme, a1, a2, root, rf):
    room = channel(acme)
    ChatIdentity.objects.create(
        endpoint=room, external_id="ZQ-EXTERNAL-77", external_name=NAME, person=zed, created_at=T0
    )
    Endpoint.objects.create(name=f"Pager of {NAME}", url=f"https://pager.example/{ADDRESS}", person=zed)
    Invitation.objects.create(
        organisation=acme,
        email=ADDRESS,
        token_digest="x",
        invited_by=a2,
        created_at=T0,
        expires_at=T0,
        accepted_at=T0,
        accepted_by=zed,
    )
    ApiToken.objects.create(zed, name=f"{NAME}'s script")
    Watcher.objects.create(incident=acme.incidents.first(), person=zed, added_by=a1, added_at=T0)
    CalendarFeed.objects.create(person=zed, token_digest="d" * 64, created_at=T0)
    request = rf.get("/", REMOTE_ADDR="203.0.113.77", HTTP_USER_AGENT=f"Browser of {NAME}")
    audit.record("signed_in", by=zed, now=T0, request=request)
    LogEntry.objects.create(user=root, object_repr=NAME, action_flag=2, change_message=f"Changed {ADDRESS}.")
    membership = zed.memberships.get()
    membership._change_reason = f"asked by {NAME}"
    membership.is_p1_contact = True
    membership.save()


def found_anywhere():
    """Every table's every row, as its bytes, and every stored file: where one of the canaries still stands."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                text = " ".join(
                    bytes(v).decode("utf-8", "replace") if isinstance(v, (bytes, memoryview)) else str(v)
                    for v in row
                )
                found += [(table, canary, text) for canary in CANARIES if canary.lower() in text.lower()]
    for row in InboundMessage.objects.exclude(raw=""):
        with row.raw.open() as stored:
            content = stored.read().decode("utf-8", "replace")
        found += [(row.raw.name, canary, content) for canary in CANARIES if canary.lower() in content.lower()]
    return found


def verified():
    out = StringIO()
    call_command("verify_clocks", stdout=out)
    return out.getvalue()


def figures():
    table = apps.get_model("incidents.Clock")
    return list(table.objects.order_by("pk").values())


def test_nothing_of_the_person_stands_anywhere_and_the_clocks_stay(lived, zed, root, client):
    found, _ = lived
    client.force_login(zed)
    client.get("/")
    outbox.sweep(T0 + timedelta(minutes=5))
    assert {canary for _, canary, _ in found_anywhere()} == set(CANARIES)
    before, said = figures(), verified()
    raws = {row.raw.name for row in InboundMessage.objects.exclude(raw="")}
    assert len(raws) == 2

    made = privacy_verbs.erase(zed, by=root, reason=f"{NAME} asked by letter", now=T0 + timedelta(days=1))

    assert found_anywhere() == []
    assert (figures(), verified()) == (before, said)
    zed.refresh_from_db()
    assert (zed.name, zed.email) == (f"Former user {zed.pk}", f"erased-{zed.pk}@erased.invalid")
    assert not zed.is_active
    assert not zed.has_usable_password()
    assert zed.erased_at
    for model in (Membership, ApiToken):
        assert not model.objects.filter(user=zed).exists()
    assert not EmailAddress.objects.filter(user=zed).exists()
    for model in (ChatIdentity, Watcher, StatusSubscription, CalendarFeed):
        assert not model.objects.filter(person=zed).exists()
    assert not ReplyAddress.objects.filter(recipient=zed).exists()
    assert not AuditOrigin.objects.filter(entry__by=zed).exists()
    assert not Invitation.objects.filter(accepted_by=zed).exists()
    found.refresh_from_db()
    assert found.reporter == zed
    assert found.title == f"Laptop of Former user {zed.pk} is down"
    assert Message.objects.filter(author=zed, text="See the file.").exists()
    assert Attachment.objects.get().file
    assert Attachment.objects.get().name == f"Former user {zed.pk}.log"
    assert client.get("/").status_code == 302  # nobody is signed in as them any more
    assert made.counts["incidents.Message"] >= 2
    assert made.counts["portal.Membership"] == 1
    assert AuditEntry.objects.get(kind="person_erased").subject == f"person/{zed.pk}"


# --- who may not be erased, and by whom ---


def erased(who, by, **more):
    return privacy_verbs.erase(who, by=by, **({"reason": "asked by letter", "now": T0} | more))


def is_refused(words, who, by, **more):
    with pytest.raises(Refused, match=words):
        erased(who, by, **more)
    who.refresh_from_db()
    assert (who.erased_at, who.is_active, Erasure.objects.exists()) == (None, True, False)
    return True


def test_only_an_administrator_erases_and_not_oneself_nor_a_superuser(a1, a2, h1, root):
    admin = agent("admin@briqmind.example", "Ayla Admin", "administrator")
    assert is_refused("Only administrators", a1, h1)
    assert is_refused("Only administrators", a1, a2)
    assert is_refused("cannot erase yourself", admin, admin)
    assert is_refused("superuser", root, admin)
    assert is_refused("Say why", a1, admin, reason=" ")


def test_the_last_manager_stays_until_there_is_another(a1, a2, root, acme):
    assert is_refused("only manager of Acme", a2, root)
    Membership.objects.filter(user=a1).update(role="manager")
    User.objects.filter(pk=a1.pk).update(is_active=False)
    assert is_refused("only manager of Acme", a2, root)  # one who cannot sign in is none
    User.objects.filter(pk=a1.pk).update(is_active=True)
    assert erased(a2, root)


def test_staff_hand_over_their_duties_first(a1, g1, g2, root):
    made = incident(a1, T0)
    actions.assign(made, by=g1, now=T0, channel="admin", assignee=g1)
    assert is_refused(f"assigned to {made.reference}", g1, root)
    actions.assign(made, by=g1, now=T0, channel="admin", assignee=g2)
    shift = Shift.objects.create(
        role="on_call",
        person=g2,
        backup=g1,
        from_at=T0 - timedelta(hours=1),
        until_at=T0 + timedelta(hours=1),
    )
    assert is_refused("on the rota", g1, root)
    shift.delete()
    window = windows.draft(g1)
    assert is_refused(f"owns {window.reference}", g1, root)
    MaintenanceWindow.objects.update(owner=g2)
    made = erased(g1, root)
    assert made.person.is_staff  # on which side they stood is part of what they did


def test_a_mail_that_nobody_has_decided_on_yet_is_decided_first(zed, a1, root):
    row = arrive(written("who@else.example", f"Please tell {NAME}."), T0)
    assert row.state == "held"
    assert is_refused(f"#{row.pk}", zed, root)
    InboundMessage.objects.update(state="done", outcome="discarded")
    assert erased(zed, root)
    row.refresh_from_db()
    assert not row.raw


def test_the_persons_own_mail_that_is_held_is_discarded_with_them(zed, root):
    row = arrive(written(ADDRESS, "Who am I?"), T0)
    assert row.state == "held"
    erased(zed, root)
    row.refresh_from_db()
    assert (row.state, row.outcome, bool(row.raw), row.sender) == ("done", "discarded", False, "")


# --- how it is done ---


def test_a_preview_counts_and_writes_nothing(lived, zed, root):
    before = found_anywhere()
    with connection.execute_wrapper(writes := Writes()):
        counts = privacy_verbs.preview(zed, by=root, now=T0)
    assert writes == []
    assert sorted(found_anywhere()) == sorted(before)
    assert counts["incidents.InboundMessage"] >= 2
    assert {"incidents.Incident", "portal.Membership", "incidents.RCAComment", "account.EmailAddress"} <= set(
        counts
    )


def test_twice_is_once(zed, root):
    first = erased(zed, root)
    assert erased(zed, root, reason="again") == first
    assert AuditEntry.objects.filter(kind="person_erased").count() == 1


STEPS = ["_shut_out", "scrub", "_of_rooms", "_empty", "_become_pseudonym"]


@pytest.mark.parametrize("step", STEPS)
def test_whoever_is_killed_in_the_middle_erases_once_more(lived, zed, root, monkeypatch, step):
    real, calls = getattr(privacy_verbs, step), []

    def killed(*args, **more):
        done = real(*args, **more)
        calls.append(1)
        if step not in ("scrub", "_empty") or len(calls) == 20:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patched:
        patched.setattr(privacy_verbs, step, killed)
        with pytest.raises(KeyboardInterrupt):
            erased(zed, root)
    assert not Erasure.objects.exists()
    erased(User.objects.get(pk=zed.pk), root)
    assert found_anywhere() == []


def test_files_go_when_the_administrator_says_so(lived, zed, root):
    attachment = Attachment.objects.get()
    path = attachment.file.path
    erased(zed, root, are_files_deleted=True)
    assert not Path(path).exists()
    attachment.refresh_from_db()
    assert (attachment.file.name, attachment.is_servable) == ("", False)


def test_further_names_are_replaced_too(zed, a1, root):
    made = incident(a1, T0, title="Ask Zebby about it")
    erased(zed, root, also=["Zebby"])
    made.refresh_from_db()
    assert made.title == f"Ask Former user {zed.pk} about it"


def test_others_keep_their_names_and_words(lived, zed, a1, acme, root):
    namesake = person("zebulon.b@acme.example", NAME, acme, "viewer")
    words = Message.objects.filter(author=a1).first().pk
    erased(zed, root)
    namesake.refresh_from_db()
    assert namesake.name == NAME
    assert Message.objects.get(pk=words).text.endswith("knows more.")


def test_a_name_of_one_word_does_not_take_words_with_it(acme, a1, root):
    mark = person("mark@acme.example", "Mark", acme, "member")
    made = incident(a1, T0, title="Please mark this: Mark said so, Markdown fails")
    erased(mark, root)
    made.refresh_from_db()
    assert made.title == f"Please mark this: Former user {mark.pk} said so, Markdown fails"


def test_nothing_is_mailed_to_the_person_any_more(zed, root):
    incident(zed, T0)
    assert OutboxMessage.objects.filter(recipient=zed, state="queued").exists()
    erased(zed, root)
    assert set(OutboxMessage.objects.filter(recipient=zed).values_list("state", flat=True)) == {"dropped"}


def test_a_session_and_a_token_open_nothing_any_more(zed, root, client):
    _row, token = ApiToken.objects.create(zed)
    api = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    client.force_login(zed)
    assert (api.get("/api/v1/incidents/").status_code, client.get("/").status_code) == (200, 200)
    erased(zed, root)
    assert (api.get("/api/v1/incidents/").status_code, client.get("/").status_code) == (401, 302)
    assert not Session.objects.exists()
    assert not client.login(username=ADDRESS, password=PASSWORD)


def test_an_answer_kept_for_a_repetition_goes_if_it_names_the_person(zed, a1, root):
    for key, body in (("one", f'{{"by": "{NAME}"}}'), ("two", "{}")):
        IdempotentRequest.objects.create(
            person=a1, key=key, fingerprint="f", body=body.encode(), created_at=T0
        )
    erased(zed, root)
    assert list(IdempotentRequest.objects.values_list("key", flat=True)) == ["two"]


def test_what_they_wrote_in_a_channel_is_theirs_too(zed, acme, root):
    room = channel(acme)
    ChatIdentity.objects.create(
        endpoint=room, external_id="U77", external_name="zed", person=zed, created_at=T0
    )
    for user in ("U77", "U88"):
        InboundMessage.objects.create(
            kind="chat", via="slack", endpoint=room, dedupe_key=user, received_at=T0, state="done", sender=user,
            payload={"id": user, "room": "r", "user": user, "text": "Hello from U77", "user_name": user},
        )  # fmt: skip
    erased(zed, root)
    theirs, others = InboundMessage.objects.order_by("pk")
    assert (theirs.payload, theirs.sender) == (None, "")
    assert others.payload["text"] == f"Hello from Former user {zed.pk}"


def test_names_are_found_however_a_mail_encodes_them(zed, a1, root):
    raw = written(a1, "x", subject="y", verdict=PASS)
    raw = raw.replace(
        b"\nSubject: y", b"\nCc: =?utf-8?b?WmVidWxvbiBRdWl4b3RlZmllbGQ=?= <q@else.example>\nSubject: y"
    )
    row = arrive(raw, T0)
    assert row.state == "done"
    erased(zed, root)
    row.refresh_from_db()
    assert not row.raw


@pytest.mark.parametrize(
    "text",
    [
        "ZEBULON QUIXOTEFIELD", "zebulon\nquixotefield", "*Zebulon* **Quixotefield**", "zebulon-quixotefield.log",
        "Zebulon.Quixotefield", "ZebulonQuixotefield", "<b>Zebulon</b> <i>Quixotefield</i>", "zebulon%20quixotefield",
        "<ZEBULON.QUIXOTEFIELD@acme.example>", "zebulon.quixotefield%40acme.example", ["a", {"b": NAME}],
    ],
)  # fmt: skip
def test_every_way_of_writing_the_name_is_found(zed, text):
    scrubber = Scrubber(privacy_verbs.names_of(zed))
    assert scrubber.finds(text)
    cleaned = str(scrubber.clean(text)).lower()
    assert "zebulon" not in cleaned
    assert "quixotefield" not in cleaned


@pytest.mark.parametrize(
    "text", ["Zebulon is a name", "Quixotefields", "xzebulon.quixotefield@acme.example", ""]
)
def test_what_only_resembles_the_name_stays(zed, text):
    assert Scrubber(privacy_verbs.names_of(zed)).clean(text) == text


def test_the_command_previews_refuses_and_erases(zed, h1, root, capsys):
    call_command("erase_person", ADDRESS, "--preview", by=root.email)
    assert "portal.Membership: 1" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Only administrators"):
        call_command("erase_person", ADDRESS, by=h1.email, reason="asked")
    with pytest.raises(CommandError, match="Nobody here"):
        call_command("erase_person", "no@body.example", by=root.email, reason="asked")
    assert not Erasure.objects.exists()
    call_command("erase_person", ADDRESS, by=root.email, reason="asked")
    assert Erasure.objects.get().person == zed


def test_a_mail_from_another_address_that_staff_took_as_theirs_goes_too(zed, g1, root):
    made = incident(zed, T0)
    row = arrive(written("private@home.example", "It is me."), T0 + timedelta(minutes=1))
    held.add_reply(row, incident=made, person=zed, by=g1, now=T0 + timedelta(minutes=2))
    erased(zed, root)
    row.refresh_from_db()
    assert (bool(row.raw), row.sender) == (False, "")
    assert Message.objects.get(inbound=row).text == "It is me."
