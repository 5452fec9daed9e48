"""The doctor says of each thing what it saw and what to do; one that fails hides no other, and nothing is changed."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import override_settings
from django.utils import translation

from incidents import doctor_checks as room
from incidents.intake import mailbox
from incidents.models import InboundMessage
from portal import doctor, doctor_checks, doctor_figures, figures, heartbeat, restored, timeline
from portal.calendars import ensure_default_calendar
from portal.doctor import FAILS, LOOK, OK, Check, Verdict
from portal.models import CalendarVersion, Endpoint, OutboxMessage
from tests.conftest import T0
from tests.factories import incident

ALL = {
    *("database", "migrations", "indexes", "triggers", "extensions", "broker", "workers", "mail", "zones"),
    *("storage", "settings", "secrets", "cache", "scanner", "static files", "mailbox"),
    *("heartbeats", "restored copy", "outbox", "receivers", "audit", "time", "holidays", "space"),
    *("clocks", "inbox"),
}


def states(verdicts):
    return [verdict.state for verdict in verdicts]


def one(verdicts):
    [verdict] = verdicts
    return verdict


@pytest.fixture
def alone(monkeypatch):
    """No check but those that the test registers."""
    monkeypatch.setattr(doctor, "_checks", {})


@pytest.fixture
def clockwork(db, settings):
    """Everything ran just now."""
    settings.IMAP_URL = settings.CLAMAV_URL = ""
    for name in figures.RUNS:
        heartbeat.beat(name, T0)


# --- the command ---


def run(*args):
    out = StringIO()
    try:
        call_command("doctor", *args, stdout=out)
    except CommandError as error:
        return 1, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


def test_everything_that_the_product_stands_on_is_looked_at():
    assert set(doctor._checks) == ALL


def test_each_finding_is_a_line_and_what_to_do_stands_beneath(alone):
    doctor.register_check(Check("disk", lambda now: [Verdict(LOOK, "nearly full", "Make room.")], ""))
    assert run() == (0, "look  disk           nearly full\n                     → Make room.\n", "")


def test_it_ends_with_an_error_if_anything_fails_and_names_it(alone):
    doctor.register_check(Check("disk", lambda now: [Verdict(FAILS, "full"), Verdict(FAILS, "too")], ""))
    doctor.register_check(Check("mail", lambda now: [Verdict(OK, "well")], ""))
    code, said, error = run()
    assert (code, error) == (1, "Not well: disk.")
    assert "ok    mail           well" in said


def test_a_check_that_raises_fails_in_its_own_words_and_hides_no_other(alone):
    def away(now):
        yield Verdict(OK, "began")
        raise OperationalError("no route to\n postgres://portal:hunter2@db.internal")

    doctor.register_check(Check("database", away, "Start the database."))
    doctor.register_check(Check("mail", lambda now: [Verdict(OK, "well")], ""))
    found = list(doctor.examine(T0))
    assert [finding.state for finding in found] == [OK, FAILS, OK]
    assert found[1].seen == "OperationalError: no route to postgres://portal:…@db.internal"
    assert found[1].todo == "Start the database."


def test_machines_read_json(alone):
    doctor.register_check(Check("disk", lambda now: [Verdict(FAILS, "full", "Make room.")], ""))
    code, said, _error = run("--json")
    assert code == 1
    assert json.loads(said) == [{"check": "disk", "state": "fails", "seen": "full", "todo": "Make room."}]


def test_it_speaks_one_language_whatever_the_installation_speaks(clockwork, alone):
    doctor_figures.register()
    with translation.override("tr"):
        said = run()[1]
    assert re.search(r"late: .*clocks \(\d+ h ", said)  # “sa.” in Turkish


def test_a_test_mail_is_sent_only_where_it_is_asked_for(alone, mailoutbox):
    run()
    assert mailoutbox == []
    assert run("--mail", "ops@example.com")[0] == 0
    assert [mail.to for mail in mailoutbox] == [["ops@example.com"]]


def test_a_test_mail_that_fails_is_a_failure(alone):
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_PORT=1):
        code, said, _error = run("--mail", "ops@example.com")
    assert code == 1
    assert "Mend the address or EMAIL_URL" in said


def test_the_real_checks_run_to_their_end_and_leave_nothing_behind(
    clockwork, settings, tmp_path, monkeypatch
):
    settings.MEDIA_ROOT, settings.DEBUG = tmp_path, True
    monkeypatch.setattr(
        doctor_checks.app.control, "inspect", lambda timeout: SimpleNamespace(active_queues=dict)
    )
    found = list(doctor.examine(T0))
    assert found[0].check == "database"
    assert {finding.check for finding in found if finding.state == FAILS} == {"workers"}
    assert list(tmp_path.rglob("*")) == []


def test_cheap_ones_ask_nothing_but_the_database(clockwork):
    cheap = {finding.check for finding in doctor.examine(T0, only_cheap=True)}
    assert cheap == ALL & {
        *("heartbeats", "restored copy", "outbox", "receivers", "audit", "time", "holidays", "space"),
        *("clocks", "inbox"),
    }


# --- the database ---


def test_a_migration_that_is_missing_is_named(db, monkeypatch):
    monkeypatch.setattr(doctor_checks, "unapplied_migrations", lambda: ["incidents.0099_x"])
    verdict = one(doctor_checks.migrations(T0))
    assert (verdict.state, "incidents.0099_x" in verdict.seen) == (FAILS, True)


def test_a_trigger_that_was_dropped_is_missed(db):
    table = doctor_checks.guarded_models()[0]._meta.db_table
    assert one(doctor_checks.triggers(T0)).state == OK
    if connection.vendor == "sqlite":
        name, on = next(iter(timeline._sqlite_triggers(connection, table))), ""
    else:
        name, on = next(iter(timeline._POSTGRESQL_EVENTS)), f" ON {table}"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TRIGGER "{name}"{on}')
    verdict = one(doctor_checks.triggers(T0))
    assert (verdict.state, f"{table}: {name}" in verdict.seen) == (FAILS, True)


def test_an_index_whose_building_was_cut_off_is_named(db):
    if connection.vendor != "postgresql":
        assert list(doctor_checks.indexes(T0)) == []
        return
    assert one(doctor_checks.indexes(T0)).state == OK
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX half_built ON portal_heartbeat (beat_at)")
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half_built'::regclass")
    verdict = one(doctor_checks.indexes(T0))
    assert (verdict.state, "half_built" in verdict.seen, "DROP INDEX" in verdict.todo) == (FAILS, True, True)


def test_stored_secrets_that_the_key_does_not_open_are_told(a1, settings):
    Endpoint.objects.create(name="x", url="https://x.example/", person=a1)
    assert one(doctor_checks.stored_secrets(T0)).state == OK
    settings.SECRET_KEY = "another" * 9
    verdict = one(doctor_checks.stored_secrets(T0))
    assert (verdict.state, "SECRET_KEY_FALLBACKS" in verdict.todo) == (FAILS, True)


# --- broker and workers ---


@pytest.mark.parametrize(
    ("served", "state", "words"),
    [
        (None, FAILS, "no worker answers"),
        ({"one": ["clocks", "mail"]}, FAILS, "nobody takes from: webhooks, slow"),
        ({"one": ["clocks", "mail"], "two": ["webhooks", "slow"]}, OK, "every queue is served"),
    ],
)
def test_each_queue_must_be_served(monkeypatch, served, state, words):
    answer = served and {name: [{"name": queue} for queue in queues] for name, queues in served.items()}
    inspected = SimpleNamespace(active_queues=lambda: answer)
    monkeypatch.setattr(doctor_checks.app.control, "inspect", lambda timeout: inspected)
    verdict = one(doctor_checks.workers(T0))
    assert (verdict.state, words in verdict.seen) == (state, True)


def test_a_broker_must_give_back_what_was_left_there(monkeypatch):
    assert one(doctor_checks.broker(T0)).state == OK
    monkeypatch.setattr(
        doctor_checks.app, "connection_for_write", lambda **more: (_ for _ in ()).throw(OSError("refused"))
    )
    [finding] = doctor._findings(doctor._checks["broker"], T0)
    assert (finding.state, "CELERY_BROKER_URL" in finding.todo) == (FAILS, True)


# --- mail ---


class Server(socketserver.StreamRequestHandler):
    greeting = b"220 mail.example ESMTP"

    def handle(self):
        self.wfile.write(self.greeting + b"\r\n")
        for line in self.rfile:
            self.server.heard.append(line.split()[0].upper().decode())
            self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")


@pytest.fixture
def server(settings):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server) as made:
        made.heard, made.daemon_threads = [], True
        threading.Thread(target=made.serve_forever, daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.server_address[1]
        yield made
        made.shutdown()


def test_the_mail_server_is_greeted_and_gets_no_mail(server):
    assert one(doctor_checks.mail(T0)).state == OK
    assert server.heard == ["EHLO", "QUIT"]


def test_the_mail_server_s_clock_is_read_from_its_greeting(server, monkeypatch):
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    words = f"220 mail.example ESMTP ready at {hour_ago:%a, %d %b %Y %H:%M:%S} +0000".encode()
    monkeypatch.setattr(Server, "greeting", words)
    reached, clock = doctor_checks.mail(T0)
    assert (reached.state, clock.state, "time server" in clock.todo) == (OK, FAILS, True)


def test_a_mail_server_that_is_away_fails(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    [finding] = doctor._findings(doctor._checks["mail"], T0)
    assert (finding.state, "EMAIL_URL" in finding.todo) == (FAILS, True)


@pytest.mark.parametrize(("debug", "state"), [(True, LOOK), (False, FAILS)])
def test_mails_that_are_written_to_files_fail_in_production(settings, debug, state):
    settings.DEBUG = debug
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    assert states(doctor_checks.mail(T0)) == [state]


def test_a_mailbox_is_looked_into_where_there_is_one(settings, monkeypatch):
    settings.IMAP_URL = ""
    assert list(room.imap(T0)) == []
    settings.IMAP_URL = "imaps://in:hunter2@mail.example/INBOX"
    monkeypatch.setattr(mailbox, "opened", lambda url: nullcontext(object()))
    monkeypatch.setattr(mailbox, "waiting", lambda box: ["1"] * mailbox.BATCH)
    verdict = one(room.imap(T0))
    assert (verdict.state, "hunter2" in verdict.seen) == (LOOK, False)


# --- time, zones, holidays ---


@pytest.mark.parametrize(("skew", "state"), [(0.5, OK), (1.5, LOOK), (6.0, FAILS)])
def test_clocks_that_differ_are_told(skew, state):
    verdict = doctor_figures.skew_verdict(skew, "x")
    assert (verdict.state, bool(verdict.todo)) == (state, state != OK)


def test_the_database_s_clock_is_compared(db):
    assert one(doctor_figures.time(T0)).state == OK


def test_a_zone_that_this_edition_does_not_know_is_named(a1):
    assert one(doctor_checks.zones(T0)).state == OK
    type(a1).objects.filter(pk=a1.pk).update(time_zone="Mars/Olympus")
    verdict = one(doctor_checks.zones(T0))
    assert (verdict.state, "Mars/Olympus" in verdict.seen, "tzdata" in verdict.seen) == (FAILS, True, True)


@pytest.mark.parametrize(("months", "state"), [(30, OK), (12, LOOK), (3, FAILS)])
def test_the_shortest_calendar_decides_how_far_holidays_reach(db, months, state):
    ensure_default_calendar(T0)
    until = T0.date() + timedelta(days=31 * months)
    CalendarVersion.objects.update(covers_until=until)
    verdict = one(doctor_figures.holidays(T0))
    assert (verdict.state, str(until) in verdict.seen, bool(verdict.todo)) == (state, True, state != OK)


def test_no_calendar_at_all_wants_a_look(db):
    CalendarVersion.objects.all().delete()
    assert states(doctor_figures.holidays(T0)) == [LOOK]


# --- storage ---


def test_a_storage_that_gives_back_something_else_fails(monkeypatch):
    monkeypatch.setattr(default_storage, "open", lambda name: StringIO("something else"))
    assert states(doctor_checks.storage(T0)) == [FAILS]


def test_a_storage_that_cannot_be_written_fails(settings, tmp_path):
    (tmp_path / "file").write_text("x")
    settings.MEDIA_ROOT = tmp_path / "file"
    [finding] = doctor._findings(doctor._checks["storage"], T0)
    assert (finding.state, "MEDIA_ROOT" in finding.todo) == (FAILS, True)


@pytest.mark.parametrize(("gib", "state"), [(5, OK), (1, LOOK), (0.1, FAILS)])
def test_little_space_is_told_also_before_the_first_upload(settings, tmp_path, monkeypatch, gib, state):
    settings.MEDIA_ROOT = tmp_path / "not" / "yet"
    usage = SimpleNamespace(free=gib * 1024**3)
    monkeypatch.setattr(
        doctor_figures.shutil, "disk_usage", lambda folder: usage if folder == tmp_path else None
    )
    assert one(doctor_figures.space(T0)).state == state


# --- what runs ---


def test_a_sweep_that_is_late_is_named(clockwork):
    assert states(doctor_figures.heartbeats(T0)) == [OK]
    heartbeat.beat("clocks", T0 - timedelta(minutes=5))
    verdict = one(doctor_figures.heartbeats(T0))
    assert (verdict.state, verdict.seen) == (FAILS, "late: clocks (5 min ago)")


def message(person, state="queued", due=T0):
    return OutboxMessage.objects.create(
        kind="x",
        dedupe_key=f"{state}{due}",
        recipient=person,
        state=state,
        next_attempt_at=due,
        created_at=due,
    )


def test_an_outbox_that_waits_fails_and_what_was_set_aside_wants_a_look(a1):
    message(a1, due=T0 - timedelta(seconds=90))
    assert states(doctor_figures.outbox(T0)) == [OK]
    message(a1, due=T0 - timedelta(seconds=91))
    message(a1, state="set_aside")
    assert states(doctor_figures.outbox(T0)) == [FAILS, LOOK]


def test_a_restored_copy_is_told(db, monkeypatch):
    assert states(doctor_figures.copy(T0)) == [OK]
    monkeypatch.setattr(restored, "mark_of_database", lambda: "elsewhere")
    verdict = one(doctor_figures.copy(T0))
    assert (verdict.state, "release_outbox" in verdict.todo) == (FAILS, True)


def test_receivers_that_take_nothing_want_a_look(a1):
    assert states(doctor_figures.receivers(T0)) == [OK]
    Endpoint.objects.create(name="x", url="https://x.example/", person=a1, failing_since=T0)
    assert states(doctor_figures.receivers(T0)) == [LOOK]


def test_an_audit_without_a_seal_for_long_wants_a_look(db, monkeypatch):
    for age, state in ((900, OK), (901, LOOK)):
        monkeypatch.setattr(figures, "unsealed_seconds", lambda now, age=age: age)
        assert states(doctor_figures.seals(T0)) == [state]


def test_a_clock_that_no_sweep_looked_at_fails(a1):
    first = incident(a1, T0).clocks.order_by("attention_at").first().attention_at
    assert states(room.clocks(first + timedelta(seconds=90))) == [OK]
    assert states(room.clocks(first + timedelta(seconds=91))) == [FAILS]


def test_an_inbox_that_nobody_reads_fails(db):
    InboundMessage.objects.create(
        kind="mail", via="pipe", state="received", received_at=T0, next_attempt_at=T0, dedupe_key="1"
    )
    assert states(room.inbox(T0 + timedelta(seconds=90))) == [OK]
    assert states(room.inbox(T0 + timedelta(seconds=91))) == [FAILS]


# --- settings ---


def test_what_the_deployment_check_says_is_said_here(db, settings):
    settings.SITE_URL = "http://support.example.com"
    found = {verdict.seen.partition(":")[0]: verdict for verdict in doctor_checks.settings_summary(T0)}
    assert found["portal.W001"].state == LOOK
    assert "https://" in found["portal.W001"].todo


def test_pages_without_their_collected_files_fail(settings, tmp_path):
    settings.STATIC_ROOT, settings.DEBUG = tmp_path, False
    assert states(doctor_checks.static_files(T0)) == [FAILS]
    (tmp_path / "staticfiles.json").write_text("{}")
    assert states(doctor_checks.static_files(T0)) == [OK]


def test_a_cache_that_forgets_fails(settings):
    assert states(doctor_checks.caching(T0))[0] in (OK, LOOK)
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert states(doctor_checks.caching(T0)) == [FAILS]
