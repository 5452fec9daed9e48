"""Figures: requests by view, what waits by state and channel, what is late; none counts a history or names anybody."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from prometheus_client import REGISTRY

from incidents import figures as room
from incidents.models import Clock, InboundMessage
from portal import audit, audit_seal, figures, heartbeat, metrics
from portal.models import Endpoint, OutboxMessage
from tests.conftest import T0
from tests.factories import incident

HOUR = timedelta(hours=1)


def requests(view, method, status):
    labels = {"view": view, "method": method, "status": status}
    return REGISTRY.get_sample_value("portal_request_seconds_count", labels) or 0


def message(person, state="queued", due=T0, **columns):
    defaults = {"kind": "x", "dedupe_key": f"{state}{due}{columns}", "created_at": due, "recipient": person}
    return OutboxMessage.objects.create(state=state, next_attempt_at=due, **defaults | columns)


def said(now=T0):
    return metrics.exposition(now).decode()


# --- requests ---


@pytest.mark.parametrize(
    ("path", "view", "status"),
    [
        ("/profile/", "profile", "2xx"),
        ("/no-such/", "-", "4xx"),
        ("/incidents/INC-99999/", "incidents:detail", "4xx"),
    ],
)
def test_requests_are_counted_by_the_name_of_the_view_and_the_class_of_the_status(
    client, a1, path, view, status
):
    client.force_login(a1)
    before = requests(view, "GET", status)
    client.get(path)
    assert requests(view, "GET", status) == before + 1


def test_a_method_of_a_client_s_own_makes_no_series_of_its_own(client, db):
    before = requests("account_login", "other", "4xx")
    client.generic("BREW", "/accounts/login/")
    assert requests("account_login", "other", "4xx") == before + 1
    assert "BREW" not in said()


def test_several_processes_share_the_times_of_their_requests(tmp_path):
    one = (
        "import django; django.setup()\n"
        "from portal import metrics, request_watch as w\n"
        "w.SECONDS.labels('home', 'GET', '2xx').observe(0.1)\n"
        "print(metrics.generate_latest(metrics.of_requests()).decode())"
    )
    more = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    import os

    for count in ("1.0", "2.0"):
        done = subprocess.run(
            [sys.executable, "-c", one], env=os.environ | more, capture_output=True, text=True, timeout=120
        )
        expected = 'portal_request_seconds_count{method="GET",status="2xx",view="home"} ' + count
        assert expected in done.stdout, done.stderr


# --- the outbox ---


def test_what_waits_is_told_by_state_and_channel(a1):
    message(a1, due=T0 - HOUR)
    message(a1, due=T0 + HOUR)
    message(a1, state="claimed")
    message(a1, state="set_aside", due=T0 - 9 * HOUR, channel="webhook")
    message(a1, state="sent")
    found = {(one.state, one.channel): (one.count, one.due_since) for one in figures.waiting(T0)}
    assert found == {
        ("queued", "email"): (2, T0 - HOUR),
        ("claimed", "email"): (1, T0),
        ("set_aside", "webhook"): (1, None),
    }


def test_what_was_sent_is_counted_for_an_hour_only(a1):
    message(a1, state="sent", due=T0 - HOUR / 2)
    message(a1, state="sent", due=T0 - 2 * HOUR)
    assert list(figures.ended_last_hour(T0)) == [({"state": "sent"}, 1)]


# --- the clockwork ---


def test_a_piece_of_the_clockwork_is_late_after_its_time_and_when_it_never_ran(db, settings, monkeypatch):
    settings.IMAP_URL = settings.CLAMAV_URL = ""
    monkeypatch.setattr(figures, "migrated_at", lambda: T0 - timedelta(hours=2))
    heartbeat.beat("clocks", T0 - timedelta(seconds=90))
    heartbeat.beat("outbox", T0 - timedelta(seconds=91))
    heartbeat.beat("retention", T0 - timedelta(hours=25))
    heartbeat.beat("mailbox", T0 - timedelta(days=9))  # switched off since
    late = {beat.name: beat.is_late for beat in figures.beats(T0)}
    assert not late["clocks"]
    assert late["outbox"]
    assert late["inbox"]
    assert not late["retention"]
    assert not late["mailbox"]
    settings.IMAP_URL = "imaps://in@mail.example/INBOX"
    assert {beat.name: beat.is_late for beat in figures.beats(T0)}["mailbox"]


def test_what_never_ran_has_its_time_from_the_installation_on(db, settings, monkeypatch):
    settings.IMAP_URL = settings.CLAMAV_URL = ""

    def late(installed):
        monkeypatch.setattr(figures, "migrated_at", lambda: installed)
        return {beat.name for beat in figures.beats(T0) if beat.is_late}

    assert late(T0 - timedelta(seconds=90)) == set()
    assert late(T0 - timedelta(hours=1)) == {*figures.RUNS} - {"retention"}
    assert late(T0 - timedelta(days=2)) == {*figures.RUNS}
    assert late(None) == {*figures.RUNS}


def test_the_installation_is_as_old_as_its_newest_migration(db):
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    recorder.Migration.objects.all().delete()
    assert figures.migrated_at() is None
    for days in (3, 9):
        recorder.Migration.objects.create(app="x", name=f"{days}", applied=T0 - timedelta(days=days))
    assert figures.migrated_at() == T0 - timedelta(days=3)


def test_the_age_of_what_no_seal_covers_is_told(a1):
    audit_seal.seal_all(T0)
    assert figures.unsealed_seconds(T0) == 0
    audit.record("infected_file_removed", by=a1, now=T0 - timedelta(minutes=7), subject="attachment/1")
    assert figures.unsealed_seconds(T0) == 420
    audit_seal.seal_all(T0)
    assert figures.unsealed_seconds(T0) == 0


def test_endpoints_in_use_that_fail_are_counted(a1):
    for name, more in {
        "fails": {"failing_since": T0},
        "works": {},
        "off": {"failing_since": T0, "is_active": False},
        "given up": {"failing_since": T0, "disabled_at": T0},
    }.items():
        Endpoint.objects.create(name=name, url=f"https://x.example/{name}", person=a1, **more)
    assert figures.failing_endpoints() == 1


# --- promises ---


def test_the_lag_is_that_of_the_clock_that_waits_longest(a1):
    made = incident(a1, T0)
    first = made.clocks.order_by("attention_at").first().attention_at
    assert room.lag(first - HOUR) == 0
    assert room.lag(first + HOUR) == 3600


def test_overdue_clocks_and_breaches_are_told_by_kind_and_level(a1):
    made = incident(a1, T0)
    clock = made.clocks.exclude(due_at=None).order_by("due_at").first()
    assert list(room.overdue(clock.due_at)) == []
    labels = {"kind": clock.kind, "level": clock.level}
    assert (labels, 1) in list(room.overdue(clock.due_at + timedelta(seconds=1)))
    Clock.objects.filter(pk=clock.pk).update(breached_at=T0, state="breached")
    assert list(room.breaches(T0 + HOUR)) == [(labels, 1)]
    assert list(room.breaches(T0 + 24 * HOUR)) == []
    assert list(room.breaches(T0 - HOUR)) == []


def test_what_a_closed_incident_owed_is_not_overdue(a1):
    made = incident(a1, T0)
    type(made).objects.update(status="closed")
    assert list(room.overdue(T0 + 9000 * HOUR)) == []


def test_what_waits_in_the_inbox_is_told(db):
    for number, state in enumerate(("held", "held", "set_aside", "done", "received")):
        InboundMessage.objects.create(
            kind="mail", via="pipe", state=state, received_at=T0, next_attempt_at=T0, dedupe_key=str(number)
        )
    assert list(room.held(T0)) == [({"state": "held"}, 2), ({"state": "set_aside"}, 1)]
    assert room.unread_seconds(T0 + HOUR) == 3600


# --- all of them ---


def test_no_figure_names_anybody(a1, acme):
    made = incident(a1, T0, title="hush-title")
    message(a1)
    text = said(T0 + HOUR)
    for word in (a1.email, a1.name, acme.name, acme.slug, made.title, made.reference):
        assert word not in text


def test_a_scrape_asks_as_much_of_many_incidents_as_of_one(a1, settings, django_assert_max_num_queries):
    settings.IMAP_URL = settings.CLAMAV_URL = ""
    for number in range(5):
        incident(a1, T0, title=f"no {number}")
        message(a1, due=T0 + timedelta(seconds=number))
    for name in figures.RUNS:
        heartbeat.beat(name, T0)
    with django_assert_max_num_queries(25):
        said(T0 + HOUR)


def test_a_figure_that_fails_hides_no_other(db, monkeypatch, caplog):
    def broken(now):
        raise ValueError("no")

    monkeypatch.setitem(metrics._gauges, "broken", metrics.Gauge("broken", "x", broken))
    text = said(timezone.now())
    assert "portal_outbox_lag_seconds 0.0" in text
    assert not re.search(r"^broken", text, re.MULTILINE)
    assert "broken cannot be read" in caplog.text
