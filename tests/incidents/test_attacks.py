"""Attacks of group T that no other file tries: mixed addresses, ways around a file's page, queued mails."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile

from incidents import actions
from incidents.models import Attachment, Message
from portal import outbox
from portal.models import Membership, OutboxMessage
from tests.conftest import T0
from tests.factories import CANARY, PASSWORD, incident

LATER = T0 + timedelta(minutes=2)


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(LATER, tick=False):
        yield


@pytest.fixture
def mine(a1):
    return incident(a1, T0, files=[SimpleUploadedFile("mine.txt", b"mine of ours, one line")])


@pytest.fixture
def theirs(b1):
    made = incident(b1, T0, title=CANARY, files=[SimpleUploadedFile(f"{CANARY}.txt", CANARY.encode())])
    actions.reply(made, text=f"{CANARY} still", by=b1, now=T0, channel="portal")
    return made


def read(answer):
    """(status, everything that was said), and the file behind it closed."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    for close in answer._resource_closers:  # not answer.close(): it ends the test's connection, too
        close()
    return answer.status_code, body.decode() + str(answer.headers)


def test_what_hangs_on_another_incident_is_not_found_under_mine(client, a1, mine, theirs):
    client.force_login(a1)
    attachment, message = theirs.attachments.get(), theirs.messages.get()
    own = mine.attachments.get()
    for path in (
        f"/incidents/{mine.reference}/attachments/{attachment.pk}/",
        f"/incidents/{mine.reference}/messages/{message.pk}/original/",
        f"/incidents/{theirs.reference}/attachments/{own.pk}/",
    ):
        for method in (client.get, client.head, client.post):
            status, said = read(method(path))
            assert (status in (404, 405), CANARY in said) == (True, False), path
    assert read(client.get(f"/incidents/{mine.reference}/attachments/{own.pk}/"))[0] == 200


def test_no_address_leads_to_a_stored_file_around_its_page(client, a1, mine, theirs, settings):
    client.force_login(a1)
    stored = theirs.attachments.get().file.name
    folder = settings.MEDIA_ROOT.name
    for prefix in ("", "media/", "uploads/", f"{folder}/", "static/", "static/../uploads/", "var/uploads/"):
        for path in (f"/{prefix}{stored}", f"/static/%2e%2e/{prefix}{stored}", f"/{prefix}..%2f{stored}"):
            status, said = read(client.get(path))
            assert (status, CANARY in said) == (404, False), path


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-3"},
        {"If-None-Match": "*"},
        {"If-Range": '"x"'},
        {"If-Modified-Since": "Wed, 03 Mar 2032 10:00:00 GMT"},
    ],
)
def test_no_header_opens_a_file_of_others(client, a1, b1, theirs, headers):
    path = f"/incidents/{theirs.reference}/attachments/{theirs.attachments.get().pk}/"
    client.force_login(b1)
    answer = client.get(path)
    assert read(answer)[0] == 200
    tag = answer.headers.get("ETag", "")
    client.force_login(a1)
    for more in (headers, {"If-None-Match": tag}):
        for method in (client.get, client.head):
            status, said = read(method(path, headers=more))
            assert (status, CANARY in said) == (404, False)


def test_an_old_address_of_a_file_is_dead_for_whoever_left(client, a1, mine):
    path = f"/incidents/{mine.reference}/attachments/{mine.attachments.get().pk}/"
    client.login(email=a1.email, password=PASSWORD)
    assert read(client.get(path))[0] == 200
    Membership.objects.filter(user=a1).delete()
    assert read(client.get(path))[0] == 302  # to sign in: the session is over
    client.force_login(a1)
    assert read(client.get(path))[0] == 404


# --- mails that are queued while something changes ---


@pytest.fixture
def queued(a1, g1, mine):
    """A mail to a1 about what an agent wrote, not sent yet."""
    OutboxMessage.objects.all().delete()
    actions.reply(mine, text=f"The {CANARY} is being looked at.", by=g1, now=LATER, channel="admin")
    return OutboxMessage.objects.get(recipient=a1, channel="email")


def sent(mailoutbox):
    outbox.sweep(LATER)
    return [(mail.to, str(mail.message())) for mail in mailoutbox]


def test_it_is_sent_where_nothing_changed(queued, mailoutbox, a1):
    [(_to, text)] = [(to, text) for to, text in sent(mailoutbox) if a1.email in str(to)]
    assert CANARY in text


def test_whoever_changed_the_organisation_meanwhile_is_told_nothing(queued, mailoutbox, a1, nordwind):
    Membership.objects.filter(user=a1).update(organisation=nordwind)
    assert not any(a1.email in str(to) for to, _text in sent(mailoutbox))
    queued.refresh_from_db()
    assert queued.state == "dropped"


def test_whoever_was_removed_meanwhile_is_told_nothing(queued, mailoutbox, a1):
    Membership.objects.filter(user=a1).delete()
    assert not any(a1.email in str(to) for to, _text in sent(mailoutbox))


def test_what_became_internal_meanwhile_is_told_to_no_customer(queued, mailoutbox, a1):
    Message.objects.filter(text__contains=CANARY).update(is_public=False)
    assert not any(a1.email in str(to) or CANARY in text for to, text in sent(mailoutbox))


def test_no_reply_of_mine_links_a_file_of_theirs(client, a1, mine, theirs):
    """A foreign key in a body is no way to it: the number of another's file is ignored."""
    client.force_login(a1)
    number = theirs.attachments.get().pk
    client.post(
        f"/incidents/{mine.reference}/replies/",
        {"text": "Look.", "attachments": number, "attachment": number, "files": number},
    )
    assert Attachment.objects.get(pk=number).incident == theirs
    assert mine.attachments.count() == 1
