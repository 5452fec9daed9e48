"""Group D of the attacks: a restored copy mails nobody until it is released, and takes nobody's mail."""

from __future__ import annotations

import sqlite3
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from incidents.intake import mailbox
from portal import health, outbox, restored
from portal.models import Home, OutboxMessage
from portal.queueing import enqueue
from tests.conftest import T0


@pytest.fixture
def waiting(a1):
    """A message that is due, in a database that has sent before."""
    outbox.sweep(T0)
    enqueue("outbox_alarm", a1, now=T0, dedupe_key="one", facts={"message": 1})
    return OutboxMessage.objects.get()


@pytest.fixture
def restored_copy(waiting, monkeypatch):
    """The same rows, in another place."""
    monkeypatch.setattr(restored, "mark_of_database", lambda: "elsewhere")
    return waiting


def states():
    return list(OutboxMessage.objects.order_by("pk").values_list("state", flat=True))


def test_the_first_sweep_makes_a_new_database_the_home(db):
    assert restored.hold_reason(T0) == ""
    assert Home.objects.get().mark == restored.mark_of_database()
    assert restored.hold_reason(T0) == ""


def test_a_restored_copy_mails_nobody(restored_copy, mailoutbox):
    for _ in range(3):
        assert str(outbox.sweep(T0)) == "0 sent, 0 retried, 0 set aside, 0 dropped"
    assert (states(), mailoutbox) == (["queued"], [])


def test_a_restored_copy_takes_no_mail_from_the_mailbox(restored_copy, settings, monkeypatch):
    settings.IMAP_URL = "imaps://in:secret@mail.example.com/INBOX"
    monkeypatch.setattr(mailbox, "opened", lambda url: pytest.fail("The mailbox was opened."))
    assert mailbox.poll(T0) == 0


def test_readiness_says_that_it_is_held(restored_copy):
    check = health.check_outbox(T0)
    assert (check.ok, "release_outbox" in check.detail) == (False, True)


def test_a_release_lets_messages_go(restored_copy, mailoutbox):
    said = StringIO()
    call_command("release_outbox", stdout=said)
    assert "Released" in said.getvalue()
    assert restored.hold_reason(T0) == ""
    outbox.sweep(T0)
    assert states() != ["queued"]


def test_what_was_waiting_can_be_dropped_at_the_release(restored_copy, mailoutbox):
    said = StringIO()
    call_command("release_outbox", "--drop-waiting", stdout=said)
    assert "1 waiting messages were dropped" in said.getvalue()
    outbox.sweep(T0)
    assert (states(), mailoutbox) == (["dropped"], [])


def test_nothing_is_released_or_dropped_in_the_original(waiting):
    said = StringIO()
    call_command("release_outbox", "--drop-waiting", stdout=said)
    assert "Nothing was held" in said.getvalue()
    assert states() == ["queued"]


def test_a_copied_file_is_another_place(tmp_path, monkeypatch):
    original, copy = tmp_path / "portal.sqlite3", tmp_path / "copy.sqlite3"
    for path in (original, copy):
        sqlite3.connect(path).close()
    marks = set()
    for path in (original, original, copy):
        monkeypatch.setitem(connection.settings_dict, "NAME", str(path))
        marks.add(tuple(restored.mark_on_sqlite()))
    copy.replace(original)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(original))
    marks.add(tuple(restored.mark_on_sqlite()))
    assert len(marks) == 3
