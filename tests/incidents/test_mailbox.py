"""Mails by IMAP, from a server on loopback: stored before they are moved, once, and none blocks another."""

import ssl
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.db import DatabaseError

from incidents import tasks
from incidents.intake import inbox, mail, mailbox
from incidents.models import InboundMessage
from tests.conftest import T0
from tests.imap_sink import ImapServer
from tests.mails import PASS, written


def at(seconds):
    return T0 + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def server(db, settings):
    server = ImapServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    settings.IMAP_URL = f"imap://support%40acme.example:pass%20word@127.0.0.1:{server.port}/INBOX"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def count(server, folder):
    return len(server.folders.get(folder, {}))


def test_polling_is_off_without_an_address(db, settings):
    settings.IMAP_URL = ""
    assert tasks.poll_mailbox() == 0


@pytest.mark.parametrize("has_move", [True, False])
def test_a_mail_is_stored_with_its_internal_date_then_moved_then_read(server, a1, has_move):
    server.has_move = has_move
    server.put(written(a1, verdict=PASS), at=at(-300))
    assert tasks.poll_mailbox() == 1
    assert (count(server, "INBOX"), count(server, "Processed")) == (0, 1)
    row = InboundMessage.objects.get()
    assert (row.via, row.state, row.received_at) == ("imap", "received", at(-300))
    tasks.sweep_inbox()
    row.refresh_from_db()
    assert row.incident.opened_at == at(-300)
    assert "Seen" not in str(server.log)


def test_a_crash_between_storing_and_moving_stores_nothing_twice(server, a1, monkeypatch):
    server.put(written(a1, verdict=PASS))

    def crash(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mailbox, "put_away", crash)
        with pytest.raises(KeyboardInterrupt):
            mailbox.poll(T0)
    assert (InboundMessage.objects.count(), count(server, "INBOX")) == (1, 1)
    mailbox.poll(at(15))
    assert (InboundMessage.objects.count(), count(server, "INBOX")) == (1, 0)


def test_a_mail_is_committed_before_it_is_moved(server, a1, monkeypatch):
    server.put(written(a1, verdict=PASS))
    stored = []
    real = mailbox.put_away
    monkeypatch.setattr(
        mailbox, "put_away", lambda *args: (stored.append(InboundMessage.objects.count()), real(*args))
    )
    mailbox.poll(T0)
    assert stored == [1]


def test_what_cannot_be_stored_stays_and_the_next_one_goes_on(server, a1, monkeypatch, caplog):
    server.put(written(a1, "first"))
    server.put(written(a1, "second"))
    real = inbox.store

    def store(*args, **more):
        if b"first" in more["raw"]:
            raise DatabaseError("full")
        return real(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "store", store)
        assert mailbox.poll(T0) == 1
    assert (count(server, "INBOX"), count(server, "Processed")) == (1, 1)
    assert mailbox.poll(at(15)) == 1


def test_an_empty_mail_is_refused_and_one_that_the_server_cannot_give_stays(server, a1):
    server.put(b"\r\n")
    server.broken.add(server.put(written(a1, "broken")))
    server.put(written(a1, "good"))
    assert mailbox.poll(T0) == 1
    assert {name: count(server, name) for name in server.folders} == {
        "INBOX": 1,
        "Processed": 1,
        "Refused": 1,
    }


def test_a_mail_that_is_too_large_is_not_fetched_and_its_headers_are_kept(server, a1, settings):
    uid = server.put(written(a1, "x" * 5000, subject="Dump"))
    server.sizes[uid] = settings.MAIL_MAX_BYTES + 1
    mailbox.poll(T0)
    row = InboundMessage.objects.get()
    assert (row.state, row.state_reason, row.subject) == ("refused", mailbox.TOO_LARGE, "Dump")
    assert (count(server, "Refused"), row.size < 1000) == (1, True)
    assert not any("BODY.PEEK[]" in said for said in server.log)
    assert inbox.sweep(T0) == {}


def test_a_mail_that_cannot_be_moved_is_marked_and_not_fetched_again(server, a1):
    server.refuses_moves = True
    server.put(written(a1))
    assert mailbox.poll(T0) == 1
    assert mailbox.poll(at(15)) == 0
    assert count(server, "INBOX") == 1


def test_a_mail_that_can_neither_be_moved_nor_marked_keeps_back_no_other(server, a1):
    server.refuses_moves = server.refuses_marks = True
    for number in range(2):
        server.put(written(a1, f"text {number}"))
    mailbox.poll(T0)
    assert InboundMessage.objects.count() == 2


def test_new_uids_mean_nothing(server, a1):
    raw = written(a1)
    server.put(raw)
    mailbox.poll(T0)
    server.validity, server.next_uid = 2, 1
    server.put(raw)
    mailbox.poll(at(15))
    assert InboundMessage.objects.count() == 1
    assert count(server, "INBOX") == 0


def test_a_receipt_in_the_future_is_now(server, a1):
    server.put(written(a1), at=at(500))
    mailbox.poll(T0)
    assert InboundMessage.objects.get().received_at == T0


@pytest.mark.parametrize(
    "said", ["", "yesterday", "99-Foo-2026 10:00:00 +0000", "03-Mar-2026 09:59:00 -0000"]
)
def test_a_receipt_that_cannot_be_read_is_now_or_in_utc(said):
    assert mailbox.receipt_of(said, T0) == (at(-60) if said.startswith("03") else T0)


def test_what_another_poller_took_first_harms_nobody(server, a1, monkeypatch, caplog):
    for number in range(3):
        server.put(written(a1, f"text {number}"))
    real = mailbox.facts_of

    def raced(box, uid, now):
        found = real(box, uid, now)
        with server.lock:
            server.folders["INBOX"].pop(int(uid), None)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(mailbox, "facts_of", raced)
        assert mailbox.poll(T0) == 0
    assert InboundMessage.objects.count() == 0
    assert caplog.records == []


def test_a_server_that_refuses_the_password_is_an_error_to_see(server, settings):
    settings.IMAP_URL = settings.IMAP_URL.replace("pass%20word", "wrong")
    with pytest.raises(Exception, match="NO"):
        mailbox.poll(T0)


def test_the_pipe_and_the_mailbox_end_in_one_row(server, a1):
    raw = written(a1)
    server.put(raw)
    mail.receive(raw, via="pipe", received_at=T0)
    mailbox.poll(T0)
    assert InboundMessage.objects.count() == 1


def test_a_mail_server_must_prove_who_it_is(settings, monkeypatch):
    settings.IMAP_URL = "imaps://in:pw@mail.example.com/INBOX"
    asked = []

    def box(host, port, timeout, ssl_context):
        asked.append((host, port, ssl_context.verify_mode, ssl_context.check_hostname))
        raise OSError("far enough")

    monkeypatch.setattr(mailbox, "MailBox", box)
    with pytest.raises(OSError, match="far enough"), mailbox.opened(urlsplit(settings.IMAP_URL)):
        pass
    assert asked == [("mail.example.com", 993, ssl.CERT_REQUIRED, True)]
