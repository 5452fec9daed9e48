"""A person who used every door is forgotten: their name and addresses stand nowhere any more."""

from datetime import timedelta
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection

from incidents import actions
from incidents.models import Attachment, InboundMessage, Message, ReplyAddress, Watcher
from maintenance.models import CalendarFeed
from portal import audit, outbox, privacy_verbs
from portal.models import (
    ApiToken,
    AuditEntry,
    AuditOrigin,
    ChatIdentity,
    Endpoint,
    Invitation,
    Membership,
    StatusSubscription,
)
from tests.conftest import T0
from tests.factories import channel, incident, person
from tests.incidents.rca_world import published, rca_of, resolved
from tests.mails import PASS, arrive, written

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
        found, by=g1, now=T0 + timedelta(minutes=3), channel="admin", text=f"{NAME} is on holiday."
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
        content = row.raw.open().read().decode("utf-8", "replace")
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
