"""Files are held until the scanner has looked at them; the promise does not wait for it."""

import logging
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from incidents import actions, scans
from incidents.models import Attachment
from portal import outbox, privacy_export, scanning, wakeups
from portal.models import AuditEntry, OutboxMessage, User
from tests.clamd import EICAR, Clamd
from tests.conftest import T0
from tests.factories import incident
from tests.mails import PASS, arrive, written

Scan = Attachment.Scan


@pytest.fixture
def folder():
    """Short: a socket's path has at most 107 letters."""
    with tempfile.TemporaryDirectory(prefix="clamd-") as made:
        yield Path(made)


@pytest.fixture
def clamd(folder, settings):
    settings.CLAMAV_TIMEOUT_SECONDS = 2
    serving = Clamd(folder / "s")
    settings.CLAMAV_URL = serving.url
    yield serving
    serving.close()


def attach(made, by, content=b"just a log\n", name="log.txt", now=T0):
    return actions.add_attachment(
        made, by=by, now=now, channel="portal", files=[SimpleUploadedFile(name, content)]
    )[0]


def scanned(attachment, now=T0):
    scans.sweep(now)
    attachment.refresh_from_db()
    return attachment.scan


def page_of(attachment):
    return f"/incidents/{attachment.incident.reference}/attachments/{attachment.pk}/"


@pytest.fixture
def made(a1):
    return incident(a1, T0)


def test_without_a_scanner_files_are_served_at_once(made, a1, client):
    attachment = attach(made, a1)
    client.force_login(a1)
    assert attachment.scan == Scan.NOT_ASKED
    served = client.get(page_of(attachment))
    assert served.status_code == 200
    served.close()


def test_a_file_is_held_until_the_scanner_finds_it_clean(made, a1, client, clamd):
    attachment = attach(made, a1)
    client.force_login(a1)
    held = client.get(page_of(attachment))
    assert (held.status_code, attachment.scan) == (409, Scan.WAITING)
    assert "is being scanned" in held.content.decode()
    assert "just a log" not in held.content.decode()
    assert page_of(attachment) not in client.get(made.get_absolute_url()).content.decode()
    assert scanned(attachment) == Scan.CLEAN
    served = client.get(page_of(attachment))
    assert b"".join(served.streaming_content) == b"just a log\n"
    served.close()
    assert clamd.scanned == [b"just a log\n"]


def test_the_api_says_what_the_scanner_says(made, a1, clamd):
    attachment = attach(made, a1)
    api = APIClient()
    api.force_authenticate(a1)
    address = f"/api/v1/incidents/{made.reference}/attachments/"
    assert "waiting" in api.get(address).content.decode()
    scanned(attachment)
    assert '"scan":"clean"' in api.get(address).content.decode()


def test_an_infected_file_is_served_to_nobody_and_both_sides_hear(made, a1, g1, m1, root, client, clamd):
    attachment = attach(made, a1, EICAR)
    assert scanned(attachment) == Scan.INFECTED
    for person in (a1, g1, root):
        client.force_login(person)
        answer = client.get(page_of(attachment))
        assert answer.status_code == 409
        assert b"EICAR" not in answer.content
    client.force_login(a1)
    assert "Please send a clean copy" in client.get(made.get_absolute_url()).content.decode()
    told = OutboxMessage.objects.filter(kind="file_infected")
    assert {message.recipient for message in told} == {m1, root}
    outbox.sweep(T0 + timedelta(minutes=1))
    assert "Eicar-Test" in OutboxMessage.objects.get(kind="file_infected", recipient=m1).text


def test_staff_who_do_not_look_after_the_organisation_hear_nothing(made, a1, m1, h1, root, clamd):
    User.objects.filter(pk=m1.pk).update(is_limited=True)
    scanned(attach(made, a1, EICAR))
    told = OutboxMessage.objects.filter(kind="file_infected")
    assert {message.recipient for message in told} == {h1, root}
    User.objects.filter(pk=h1.pk).update(is_limited=True)  # since it was queued
    outbox.sweep(T0 + timedelta(minutes=1))
    assert OutboxMessage.objects.get(kind="file_infected", recipient=h1).state == "dropped"


def test_a_clean_verdict_never_replaces_an_infected_one(made, a1, clamd):
    attachment = attach(made, a1, EICAR)
    scanned(attachment)
    stale = Attachment.objects.get(pk=attachment.pk)
    stale.file.open("wb").write(b"clean")
    scans._scan(stale, T0)
    attachment.refresh_from_db()
    assert attachment.scan == Scan.INFECTED


def test_only_an_administrator_deletes_an_infected_file(made, a1, h1, root, clamd):
    attachment, clean = attach(made, a1, EICAR), attach(made, a1)
    scanned(attachment)
    clean.refresh_from_db()
    assert not scans.remove_file(attachment, by=h1, now=T0)
    assert not scans.remove_file(clean, by=root, now=T0)
    path = Path(attachment.file.path)
    assert scans.remove_file(attachment, by=root, now=T0)
    assert not path.exists()
    assert AuditEntry.objects.get(kind="infected_file_removed").by == root


def test_a_scanner_that_is_down_stops_no_report_and_all_goes_through_later(
    made, a1, m1, clamd, settings, client
):
    clamd.close()
    clocks = list(made.clocks.values())
    attachment = attach(made, a1)  # taken, though nobody scans
    assert list(made.clocks.values()) == clocks
    assert scanned(attachment, T0 + timedelta(minutes=1)) == Scan.WAITING
    assert not OutboxMessage.objects.filter(kind="scanner_silent").exists()
    scans.sweep(T0 + timedelta(minutes=11))
    scans.sweep(T0 + timedelta(minutes=12))
    assert OutboxMessage.objects.filter(kind="scanner_silent", recipient=m1).count() == 1
    assert scans.silent_since(T0 + timedelta(minutes=11)) == T0
    again = Clamd(clamd.path)
    try:
        assert scanned(attachment, T0 + timedelta(minutes=20)) == Scan.CLEAN
    finally:
        again.close()
    assert scans.silent_since(T0 + timedelta(minutes=20)) is None


def test_while_it_is_away_it_is_asked_ever_less_often(clamd, db):
    assert scanning.is_time_to_ask(T0)
    scanning.note_asked(T0)
    scanning.note_answered(T0)
    assert scanning.is_time_to_ask(T0)
    scanning.note_asked(T0 + timedelta(minutes=8))
    assert not scanning.is_time_to_ask(T0 + timedelta(minutes=9))
    assert scanning.is_time_to_ask(T0 + timedelta(minutes=10))
    scanning.note_asked(T0 + timedelta(hours=8))
    assert not scanning.is_time_to_ask(T0 + timedelta(hours=8, minutes=4))
    assert scanning.is_time_to_ask(T0 + timedelta(hours=8, minutes=5))


def test_a_file_that_the_scanner_cannot_take_is_held_and_stops_no_other(made, a1, clamd, client):
    clamd.limit = 5000
    large, small = attach(made, a1, b"x" * 9000), attach(made, a1)
    assert scanned(large) == Scan.WAITING
    assert large.scan_note == scanning.TOO_LARGE
    small.refresh_from_db()
    assert small.scan == Scan.CLEAN
    client.force_login(a1)
    assert "could not look at it" in client.get(page_of(large)).content.decode()
    clamd.limit = 10**9
    Attachment.objects.filter(pk=large.pk).update(scanned_at=T0)
    assert scanned(large, T0 + timedelta(minutes=59)) == Scan.WAITING
    assert scanned(large, T0 + timedelta(minutes=60)) == Scan.CLEAN


@pytest.mark.parametrize("nonsense", [b"\xff\xfe\x00\n", b"what?\n", b"stream: something ERROR\n", b"\n"])
def test_nonsense_is_never_taken_for_clean(made, a1, clamd, nonsense):
    clamd.garbage = nonsense
    attachment = attach(made, a1)
    assert scanned(attachment) == Scan.WAITING
    assert attachment.scan_note


def test_a_scanner_that_answers_too_slowly_leaves_the_file_held(made, a1, clamd, settings):
    settings.CLAMAV_TIMEOUT_SECONDS = 1
    clamd.is_mute = True
    attachment = attach(made, a1)
    assert scanned(attachment) == Scan.WAITING
    assert attachment.scan_note == scanning.TOO_LONG


def test_files_from_before_the_scanner_are_scanned_a_few_at_a_time(made, a1, settings, folder):
    old = [attach(made, a1, EICAR if number == 0 else b"old") for number in range(3)]
    serving = Clamd(folder / "s")
    settings.CLAMAV_URL = serving.url
    try:
        scans.sweep(T0)
    finally:
        serving.close()
    states = list(
        Attachment.objects.filter(pk__in=[a.pk for a in old]).order_by("pk").values_list("scan", flat=True)
    )
    assert states == [Scan.INFECTED, Scan.CLEAN, Scan.CLEAN]


def test_a_file_that_came_by_mail_is_held_too_and_so_is_the_mail_itself(a1, g1, made, client, clamd):
    raw = written(a1, "See the file.", verdict=PASS, subject="New trouble", files=(("log.txt", EICAR),))
    row = arrive(raw, T0 + timedelta(minutes=3))
    attachment = Attachment.objects.get(incident=row.incident)
    assert attachment.scan == Scan.WAITING
    client.force_login(g1)
    clamd.garbage = b"stream: Mail.Evil FOUND\n"
    answer = client.get(f"/admin/incidents/inboundmessage/{row.pk}/raw/")
    assert answer.status_code == 302


def test_a_held_file_is_not_in_the_export(made, a1, clamd):
    attach(made, a1, b"held for now")
    with privacy_export.export(a1, by=a1, now=T0) as exported:
        assert b"files/" not in exported.read()


def test_nothing_of_a_file_is_logged(made, a1, clamd, caplog):
    clamd.garbage = b"stream: secret-content-of-the-file ERROR\n"
    with caplog.at_level(logging.DEBUG):
        scanned(attach(made, a1, b"secret-content-of-the-file"))
    assert "secret-content" not in caplog.text
    assert "secret-content" not in Attachment.objects.get().scan_note


@pytest.mark.foreign
def test_the_real_clamd_finds_the_test_virus(made, a1, folder, settings):
    """Debian's clamav-daemon with a signature of our own: no download."""
    program = shutil.which("clamd") or "/usr/sbin/clamd"
    (folder / "db").mkdir()
    (folder / "db" / "own.ndb").write_text("Own.Test:0:*:" + EICAR.hex() + "\n")
    (folder / "clamd.conf").write_text(
        f"LocalSocket {folder}/s\nDatabaseDirectory {folder}/db\nForeground yes\nStreamMaxLength 1M\n"
        f"TemporaryDirectory {folder}\nLogFile {folder}/log\n"
    )
    daemon = subprocess.Popen(
        [program, "-c", str(folder / "clamd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        settings.CLAMAV_URL = f"unix://{folder}/s"
        wait_for(daemon)
        infected, clean, large = attach(made, a1, EICAR), attach(made, a1), attach(made, a1, b"y" * 3_000_000)
        scans.sweep(T0)
        for attachment in (infected, clean, large):
            attachment.refresh_from_db()
        assert (infected.scan, clean.scan, large.scan) == (Scan.INFECTED, Scan.CLEAN, Scan.WAITING)
        assert (infected.scan_note, large.scan_note) == ("Own.Test.UNOFFICIAL", scanning.TOO_LARGE)
    finally:
        daemon.terminate()
        daemon.wait(20)


def wait_for(daemon):
    ends = time.monotonic() + 60
    while time.monotonic() < ends and daemon.poll() is None:
        with suppress(Exception):
            scanning.ping()
            return
        time.sleep(0.2)
    raise AssertionError("clamd did not start")


def test_an_upload_wakes_the_worker_once(made, a1, clamd, monkeypatch, django_capture_on_commit_callbacks):
    woken = []
    monkeypatch.setattr(wakeups, "_wake", lambda task: woken.append(task.task))
    with django_capture_on_commit_callbacks(execute=True):
        attach(made, a1)
        attach(made, a1)
    assert woken.count("incidents.tasks.sweep_scans") == 1


def test_a_scanner_that_is_away_is_left_alone_for_a_while(made, a1, clamd, monkeypatch):
    asked = []

    def away(file):
        asked.append(file)
        raise scanning.Away("away")

    monkeypatch.setattr(scanning, "scan", away)
    attach(made, a1)
    attach(made, a1)
    scanning.note_answered(T0)
    for minutes in (8, 9, 9.5, 10):
        scans.sweep(T0 + timedelta(minutes=minutes))
    assert len(asked) == 2  # once a pass, and not at 9 nor at 9.5
