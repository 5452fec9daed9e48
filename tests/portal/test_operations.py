"""The page of operation: for whoever is on duty for all customers, with the figures of /metrics and the doctor's words."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from prometheus_client import CollectorRegistry, Histogram

from incidents.models import Clock, InboundMessage
from portal import (
    doctor_figures,
    figures,
    heartbeat,
    metrics,
    operations,
    queue_figures,
    request_times,
    request_watch,
    restored,
)
from portal.models import OutboxMessage
from tests.conftest import T0
from tests.factories import incident
from tests.portal.test_limited_staff import limited

HOUR = timedelta(hours=1)


@pytest.fixture
def page(client, m1, settings, monkeypatch):
    """Reads the page as the duty manager at a moment, the clockwork having just run."""
    monkeypatch.setattr(doctor_figures, "clock_skew", lambda: 0.0)  # the database does not travel in time
    settings.IMAP_URL = settings.CLAMAV_URL = ""

    def read(now=T0, is_running=True):
        if is_running:
            for name in figures.RUNS:
                heartbeat.beat(name, now)
        with time_machine.travel(now, tick=False):
            client.force_login(m1)
            answer = client.get("/operations/")
        assert answer.status_code == 200
        return answer

    return read


def words(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def message(person, state="queued", due=T0, **columns):
    defaults = {"kind": "x", "dedupe_key": f"{state}{due}{columns}", "created_at": due, "recipient": person}
    return OutboxMessage.objects.create(state=state, next_attempt_at=due, **defaults | columns)


# --- who ---


def test_the_duty_manager_and_those_above_read_it(client, m1, h1, root):
    for person in (m1, h1, root):
        client.force_login(person)
        assert client.get("/operations/").status_code == 200


def test_an_agent_and_a_customer_do_not(client, g1, a2):
    for person in (g1, a2):
        client.force_login(person)
        assert client.get("/operations/").status_code == 403


def test_who_looks_after_some_customers_sees_no_figures_of_all(client, acme):
    client.force_login(limited(acme, "administrator"))
    assert client.get("/operations/").status_code == 403


def test_a_visitor_is_led_to_the_sign_in(client, db):
    assert client.get("/operations/").url == "/accounts/login/?next=/operations/"


def test_it_is_read_only_and_nobody_keeps_it(client, m1, page):
    assert "no-store" in page()["Cache-Control"]
    client.force_login(m1)
    assert client.post("/operations/").status_code == 405


@pytest.mark.parametrize(("who", "is_led"), [("m1", True), ("g1", False)])
def test_the_desk_leads_those_who_may_there(request, client, who, is_led):
    client.force_login(request.getfixturevalue(who))
    assert ('href="/operations/"' in client.get("/admin/").content.decode()) is is_led


# --- the first line ---


def test_the_first_line_says_that_nothing_fails(page, monkeypatch):
    monkeypatch.setattr(operations.doctor, "examine", lambda now, only_cheap: iter(()))
    assert "Well Nothing fails, and nothing wants a look." in words(page())


def test_what_fails_comes_first_with_what_to_do(page, monkeypatch):
    monkeypatch.setattr(figures, "migrated_at", lambda: None)
    answer = page(is_running=False)
    said = words(answer)
    assert answer.context["fails"][0].check == "heartbeats"
    assert (
        said.index("1 check fails.")
        < said.index("What to do")
        < said.index("late: announcements (never ran)")
    )
    assert "→ Start workers and clockwork, and read their logs." in said
    assert "Promises" in said


def test_what_wants_a_look_is_said_and_what_is_well_is_folded_away(page, a1):
    message(a1, state="set_aside")
    answer = page()
    assert "3 check" not in words(answer)
    assert [finding.check for finding in answer.context["fails"]] == []
    assert "outbox" in [finding.check for finding in answer.context["looks"]]
    assert "heartbeats" in [finding.check for finding in answer.context["fine"]]


def test_a_restored_copy_is_told_here_too(page, monkeypatch):
    restored.hold_reason(T0)
    monkeypatch.setattr(restored, "mark_of_database", lambda: "elsewhere")
    assert "manage.py release_outbox" in words(page())


# --- the figures ---


def test_the_page_says_what_the_metrics_say(page, a1):
    made = incident(a1, T0)
    message(a1, due=T0 - timedelta(seconds=50))
    message(a1, state="set_aside", channel="webhook")
    clock = made.clocks.exclude(due_at=None).order_by("due_at").first()
    now = clock.due_at + HOUR
    Clock.objects.filter(pk=clock.pk).update(breached_at=now - HOUR / 2, state="breached")
    context = page(now).context
    gauges = {name: metrics.read_gauge(name, now) for name in metrics._gauges}
    assert context["clock_lag"] == round(gauges["portal_clock_lag_seconds"][0][1]) > 0
    assert context["outbox_lag"] == round(gauges["portal_outbox_lag_seconds"][0][1]) > 0
    for name in ("overdue", "breaches"):
        gauge = {"overdue": "portal_clocks_overdue", "breaches": "portal_breaches_last_day"}[name]
        assert sum(row["sum"] for row in context[name]) == sum(count for _labels, count in gauges[gauge]) > 0
    found = {(one.state, one.channel): one.count for one in context["waiting"]}
    assert found == {
        (labels["state"], labels["channel"]): count for labels, count in gauges["portal_outbox_messages"]
    }
    assert {beat.name for beat in context["beats"]} == {
        labels["name"] for labels, _late in gauges["portal_heartbeat_late"]
    }


def test_counts_stand_by_kind_and_level(page, a1):
    made = incident(a1, T0)
    Clock.objects.filter(pk__in=made.clocks.values("pk"), kind="first_response").update(breached_at=T0)
    [row] = page(T0 + HOUR).context["breaches"]
    column = operations.Level.values.index(made.level)
    assert (row["kind"], row["sum"], row["counts"][column]) == ("First response", 1, 1)
    assert sum(row["counts"]) == 1


def test_messages_stand_by_state_and_way_with_a_time_and_its_zone(page, a1):
    message(a1, due=T0 - HOUR)
    message(a1, state="set_aside", channel="webhook")
    said = words(page())
    assert "Queued E-mail 1 Tue 3 Mar 2026, 12:00 UTC+3 (1 h ago)" in said
    assert "Set aside Webhook 1 –" in said


def test_what_came_in_and_waits_is_told(page):
    for number, state in enumerate(("held", "held", "set_aside", "received")):
        InboundMessage.objects.create(
            kind="mail", via="pipe", state=state, received_at=T0, next_attempt_at=T0, dedupe_key=str(number)
        )
    said = words(page(T0 + timedelta(minutes=1)))
    assert "the oldest waits for 1 min" in said
    assert "2 held, 1 set aside" in said


def test_an_empty_portal_has_words_for_it(page):
    said = words(page())
    assert "No clock of an open incident is overdue." in said
    assert "No promise was broken within 24 hours." in said
    assert "No message waits, and none is set aside." in said


def test_a_sweep_is_late_in_time_or_not_asked_for(page):
    heartbeat.beat("mailbox", T0 - 90 * HOUR)
    heartbeat.beat("clocks", T0 - HOUR)
    for name in set(figures.RUNS) - {"clocks"}:
        heartbeat.beat(name, T0)
    said = words(page(is_running=False))
    assert re.search(r"clocks\s+late\s+Tue 3 Mar 2026, 12:00 UTC\+3", said)
    assert re.search(r"mailbox\s+not asked for", said)
    assert re.search(r"outbox\s+in time", said)


def test_no_name_of_a_customer_stands_on_it(page, a1, acme):
    made = incident(a1, T0, title="hush-title")
    message(a1)
    said = page(T0 + HOUR).content.decode()
    for word in (a1.email, a1.name, acme.name, made.title, made.reference):
        assert word not in said


def test_it_asks_as_much_of_many_as_of_one(page, a1, django_assert_max_num_queries):
    for number in range(6):
        incident(a1, T0, title=f"no {number}")
        message(a1, due=T0 + timedelta(seconds=number))
    for name in figures.RUNS:
        heartbeat.beat(name, T0 + HOUR)
    with django_assert_max_num_queries(50):
        page(T0 + HOUR, is_running=False)


# --- queues ---


def test_every_queue_says_what_waits_in_it():
    with queue_figures.app.connection_for_write() as line:
        queue = line.SimpleQueue("slow")
        try:
            queue.put("x")
            found = {one.queue: one for one in queue_figures.queues()}
        finally:
            queue.clear()
            queue.close()
    assert list(found) == ["clocks", "mail", "webhooks", "slow"]
    assert found["slow"].count == 1
    assert "outbox" in found["mail"].pieces


def test_a_broker_that_is_away_is_not_asked(settings, page, monkeypatch):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(queue_figures, "_counts", lambda: pytest.fail("It was asked."))
    assert {one.count for one in queue_figures.queues()} == {None}
    assert "clocks unknown" in words(page())


# --- request times ---


def test_request_times_are_summed_by_view():
    registry = CollectorRegistry()
    seconds = Histogram(
        request_times.NAME, "x", ["view", "method", "status"], registry=registry, buckets=(0.1, 1.0)
    )
    for _ in range(19):
        seconds.labels("home", "GET", "2xx").observe(0.05)
    seconds.labels("home", "POST", "5xx").observe(5)
    for _ in range(2):
        seconds.labels("slow", "GET", "2xx").observe(9)
    slow, home = request_times.summed(registry.collect())
    assert (slow.view, slow.count, slow.failed, slow.average_ms, slow.most_within_ms) == (
        "slow",
        2,
        0,
        9000,
        None,
    )
    assert (home.view, home.count, home.failed, home.most_within_ms) == ("home", 20, 1, 100)
    assert home.average_ms == round((19 * 0.05 + 5) / 20 * 1000)


def test_the_page_shows_the_requests_of_this_process(page, client):
    request_watch.SECONDS.clear()  # the page shows the views that took the most: other tests' would stand first
    client.get("/accounts/login/")
    assert "account_login" in words(page(timezone.now()))
