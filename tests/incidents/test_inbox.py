"""The inbox: stored once, read once, set aside with a reason; and the pipe that it is filled by."""

import io
import sys
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.models import QuerySet

from incidents.intake import inbox, mail
from incidents.intake.inbox import Result
from incidents.intake.parsed import Unacceptable
from incidents.management.commands import receive_mail
from incidents.models import InboundMessage, Message
from tests.conftest import T0
from tests.factories import incident
from tests.mails import PASS, arrive, token_of, written
from tests.portal.test_outbox import at_once


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def pipe(raw):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
        call_command("receive_mail")


def store(raw=b"From: a@b.example\n\nx"):
    return mail.receive(raw, via="pipe", received_at=T0)


@pytest.fixture
def handler(monkeypatch):
    """Puts another reader in place of the mails'."""

    def put(function):
        monkeypatch.setitem(inbox.HANDLERS, "mail", lambda message: function)

    return put


# --- once ---


@pytest.mark.parametrize("has_id", [True, False])
def test_the_same_mail_twice_is_one_message(a1, has_id):
    made = incident(a1, T0)
    raw = written(a1, to=token_of(made, a1))
    if not has_id:
        raw = raw.replace(b"Message-ID:", b"X-Was:")
    first = arrive(raw)
    again = arrive(b"Received: from x by y; now\nReturn-Path: <a1@acme.example>\n" + raw)
    by_imap = mail.receive(raw.replace(b"\n", b"\r\n") + b"\r\n", via="imap", received_at=at(9))
    assert first.pk == again.pk == by_imap.pk
    assert Message.objects.count() == 1


def test_what_differs_in_what_the_sender_wrote_is_another_message(db):
    raw = written("a@b.example", "same", message_id="<1@x>")
    others = [
        raw.replace(b"same", b"other"),
        raw.replace(b"<1@x>", b"<2@x>"),
        raw.replace(b"API down", b"API up"),
        raw.replace(b"a@b", b"c@b"),
        raw.replace(b"03 Mar", b"04 Mar"),
    ]
    assert len({mail.receive(one, via="pipe", received_at=T0).pk for one in [raw, *others]}) == 6


@pytest.mark.django_db(transaction=True)
def test_the_same_mail_at_once_in_threads_is_one_message_and_one_reply(a1):
    made = incident(a1, T0)
    raw = written(a1, to=token_of(made, a1))

    def deliver():
        message = mail.receive(raw, via="pipe", received_at=T0)
        inbox.process(message.pk, T0)

    at_once(4, deliver)
    [row] = InboundMessage.objects.all()
    assert (row.state, made.messages.count()) == ("done", 1)


def test_only_one_raw_file_is_kept_of_what_came_twice(db, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    raw = written("a@b.example")
    for _ in range(3):
        store(raw)
    assert len(list(tmp_path.glob("inbound/*"))) == 1


def test_whoever_loses_the_race_to_store_leaves_no_file(db, settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    raw = written("a@b.example")
    first = store(raw)
    with monkeypatch.context() as patch:
        patch.setattr(QuerySet, "first", lambda rows: None)  # as if it were not stored yet
        assert store(raw).pk == first.pk
    assert len(list(tmp_path.glob("inbound/*"))) == 1


def test_nothing_is_left_on_the_disk_of_what_could_not_be_stored(db, settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(InboundMessage.objects.__class__, "bulk_create", broken)
    with pytest.raises(DatabaseError):
        store(written("a@b.example"))
    assert list(tmp_path.glob("inbound/*")) == []


def broken(*args, **more):
    raise DatabaseError("the disk is full")


# --- read, retried, set aside ---


def test_a_mail_that_cannot_be_read_is_tried_again_then_set_aside_and_blocks_no_other(a1, handler, caplog):
    bad, good = store(b"From: x@y.example\n\nbad"), store(b"From: x@y.example\n\ngood")

    def read(message, now):
        if message.pk == bad.pk:
            raise ValueError("what is this")
        return Result(outcome="opened")

    handler(read)
    assert inbox.sweep(T0) == {"received": 1, "done": 1}
    for seconds in (10, 100, 1000):
        with time_machine.travel(at(seconds), tick=False):
            inbox.sweep(at(seconds))
    bad.refresh_from_db()
    assert (bad.state, bad.attempts, bad.state_reason) == ("set_aside", 4, "ValueError: what is this")
    good.refresh_from_db()
    assert good.state == "done"
    assert inbox.requeue(bad, now=at(2000))
    assert not inbox.requeue(bad, now=at(2000))


def test_a_mail_that_kills_its_worker_each_time_is_set_aside(db, handler):
    message = store()
    reads = []
    handler(lambda message, now: reads.append(now) or Result())
    for number in range(5):
        InboundMessage.objects.filter(pk=message.pk).update(
            state="claimed", attempts=number, lease_until=at(-1)
        )
        inbox.process(message.pk, T0)
    message.refresh_from_db()
    assert (message.state, message.state_reason) == ("set_aside", inbox.STOPPED)
    assert len(reads) == 4


def test_what_a_killed_reader_did_is_undone_and_done_once(a1, monkeypatch):
    made = incident(a1, T0)
    message = mail.receive(written(a1, to=token_of(made, a1)), via="pipe", received_at=T0)

    class Killed(BaseException):
        pass

    def die(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "_finish", die)
        with pytest.raises(Killed):
            inbox.process(message.pk, T0)
    assert made.messages.count() == 0
    assert inbox.process(message.pk, at(60)) == ""
    assert inbox.process(message.pk, at(121)) == "done"
    assert made.messages.count() == 1


def test_whose_lease_ran_out_undoes_what_they_did(a1, handler):
    made = incident(a1, T0)
    message = store()

    def slow(message, now):
        InboundMessage.objects.filter(pk=message.pk).update(lease=None)
        made.title = "changed"
        made.save()
        return Result()

    handler(slow)
    inbox.process(message.pk, T0)
    made.refresh_from_db()
    assert made.title == "API down"


def test_what_is_refused_for_ever_is_kept_with_its_reason(db, handler):
    def refuse(message, now):
        raise Unacceptable("no alarm of ours")

    handler(refuse)
    message = store()
    assert inbox.process(message.pk, T0) == "refused"
    message.refresh_from_db()
    assert message.state_reason == "no alarm of ours"


def test_the_oldest_receipt_is_read_first(db, handler):
    seen = []
    handler(lambda message, now: seen.append(message.received_at) or Result())
    for seconds in (-5, -50, -20):
        mail.receive(b"Subject: %d\n\nx" % seconds, via="pipe", received_at=at(seconds))
    inbox.sweep(T0)
    assert seen == sorted(seen)


def test_mails_are_parsed_outside_of_the_transaction(a1, monkeypatch):
    was_inside = []
    real = mail.parse
    depth = len(connection.savepoint_ids)

    def noted(raw, **more):
        was_inside.append(len(connection.savepoint_ids) > depth)
        return real(raw, **more)

    monkeypatch.setattr(mail, "parse", noted)
    arrive(written(a1, verdict=PASS))
    assert was_inside == [False]


# --- the pipe ---


def test_a_piped_mail_shows_at_once(a1):
    pipe(written(a1, verdict=PASS))
    assert InboundMessage.objects.get().outcome == "opened"


@pytest.mark.parametrize(("raw", "status"), [(b"", 65), (b" \n", 65), (b"Subject: x\n\n" + b"x" * 2000, 69)])
def test_what_is_refused_for_ever_says_why_and_stores_nothing(db, settings, raw, status):
    settings.MAIL_MAX_BYTES = 1000
    with pytest.raises(CommandError) as refused:
        pipe(raw)
    assert refused.value.returncode == status
    assert str(refused.value)
    assert InboundMessage.objects.count() == 0


def test_what_cannot_be_stored_is_to_be_sent_again(db, monkeypatch):
    monkeypatch.setattr(inbox, "store", broken)
    with pytest.raises(CommandError) as failed:
        pipe(b"Subject: x\n\nx")
    assert failed.value.returncode == 75


def test_what_is_stored_is_taken_whatever_its_reading_says(db, monkeypatch, capsys):
    monkeypatch.setattr(receive_mail.inbox, "process", broken)
    pipe(b"From: a@b.example\n\nx")
    assert InboundMessage.objects.get().state == "received"
    assert "read later" in capsys.readouterr().err


def test_a_mail_larger_than_allowed_is_not_kept_in_memory(settings):
    class Endless:
        given = 0

        def read(self, count):
            self.given += count
            return b"x" * count if self.given < 5_000_000 else b""

    assert len(receive_mail.read_bounded(Endless(), 1000)) == 1001


@pytest.mark.parametrize(
    "raw",
    [
        b"\n\n\n", b"no header at all", b"From \n\n", b":\n:\n\n", b"Subject: =?x?q?=\n\n",
        b"\xff\xfe\x00\x00", b"From: " + b"a" * 5000 + b"\n\nx", b"Subject: \x00\xed\xa0\x80\n\nx",
        b"Subject: =?utf-8?b?7aCA?=\n\nx", b"Subject: =?utf-99?q?x?=\n\nx", b"Subject: a\r\n\tb\r\n\r\nx",
    ],
)  # fmt: skip
def test_whatever_comes_is_stored_or_refused_with_a_reason(db, raw):
    if not raw.strip():
        with pytest.raises(Unacceptable, match="empty"):
            store(raw)
        return
    message = store(raw)
    message.refresh_from_db()
    with message.raw.open() as stored:
        assert stored.read() == raw


def test_a_hand_swept_inbox_says_what_it_read(a1, capsys):
    store(written(a1, verdict=PASS))
    call_command("sweep")
    assert "inbox: 1 done" in capsys.readouterr().out
