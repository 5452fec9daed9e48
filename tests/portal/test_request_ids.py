"""One id leads from a request over its wake-up and its row to its mail; lines say facts, no names, no secrets."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest
from django.core import mail
from django.utils import timezone
from structlog.contextvars import get_contextvars

from portal import fallback, outbox, wakeups
from portal.celery import app
from portal.logs import JsonFormatter, SafeFormatter
from portal.models import OutboxMessage
from portal.request_ids import bound, current_id
from tests.conftest import T0
from tests.portal.test_hardening import SPOKEN, production, settings_of

OWN = re.compile(r"[0-9a-f]{32}")


def access_lines(caplog):
    return [record for record in caplog.records if record.name == "portal.access"]


@pytest.fixture(autouse=True)
def _info(caplog):
    caplog.set_level(logging.INFO)


# --- whose id ---


def test_each_request_gets_an_id_of_its_own_and_says_it(client, db):
    first, second = (client.get("/accounts/login/")["X-Request-ID"] for _ in range(2))
    assert OWN.fullmatch(first)
    assert OWN.fullmatch(second)
    assert first != second


def test_the_id_of_a_client_is_not_believed(client, db):
    assert client.get("/accounts/login/", headers={"X-Request-ID": "a" * 32})["X-Request-ID"] != "a" * 32


def test_the_id_of_our_own_proxy_is_kept(client, db, settings):
    settings.TRUSTED_PROXY_COUNT = 1
    said = client.get("/accounts/login/", headers={"X-Request-ID": "7f3c-Abc09"})
    assert said["X-Request-ID"] == "7f3c-Abc09"


@pytest.mark.parametrize(
    "strange", ["short", "a" * 65, "with space", "line\nbreak00", "ünïcödé1", "<script>0", "under_score", ""]
)
def test_an_id_that_is_not_plain_is_replaced(client, db, settings, strange):
    settings.TRUSTED_PROXY_COUNT = 1
    said = client.get("/accounts/login/", HTTP_X_REQUEST_ID=strange)["X-Request-ID"]
    assert OWN.fullmatch(said)


def test_nothing_stays_bound_after_the_answer(client, db):
    client.get("/accounts/login/")
    assert get_contextvars() == {}


def test_what_the_other_middleware_refuses_has_an_id_and_a_line_too(client, db, caplog, settings):
    settings.SECURE_SSL_REDIRECT = True
    answer = client.get("/api/v1/incidents/")
    assert answer.status_code == 403
    assert OWN.fullmatch(answer["X-Request-ID"])
    assert [record.status for record in access_lines(caplog)] == [403]


# --- the line of a request ---


def test_a_request_leaves_one_line_of_facts(client, a1, caplog):
    client.force_login(a1)
    client.get("/profile/?q=hush")
    [line] = access_lines(caplog)
    assert (line.method, line.view, line.status, line.user_id) == ("GET", "profile", 200, a1.pk)
    assert line.ms > 0


def test_the_line_names_no_person_no_address_and_no_path(client, a1, caplog):
    client.force_login(a1)
    client.get("/status/some-service/?q=hush", headers={"User-Agent": "Spy"})
    [record] = access_lines(caplog)
    for formatter in (SafeFormatter("%(message)s"), JsonFormatter()):
        said = formatter.format(record)
        for word in (a1.email, a1.name, "127.0.0.1", "some-service", "hush", "Spy"):
            assert word not in said


def test_to_log_a_visitor_asks_nothing_of_the_database(client, caplog):
    client.cookies["sessionid"] = "x" * 32
    client.get("/healthz")  # a test without a database: asking who it is would fail
    assert access_lines(caplog) == []


# --- from request to mail ---


def test_a_message_bears_the_id_of_the_request_that_wrote_it(a1):
    with bound("abcdef-0123"):
        outbox.enqueue("outbox_alarm", a1, now=T0, dedupe_key="k", facts={"message": 1})
    assert OutboxMessage.objects.get().request_id == "abcdef-0123"


def test_outside_of_any_work_a_message_has_no_id(a1):
    outbox.enqueue("outbox_alarm", a1, now=T0, dedupe_key="k", facts={"message": 1})
    assert OutboxMessage.objects.get().request_id == ""


@pytest.fixture
def reported(client, a1):
    """An incident reported on the page; the id of that request."""
    client.force_login(a1)
    form = client.get("/incidents/new/").context["form"]
    data = {"organisation": form.fields["organisation"].initial, "token": form.initial["token"]}
    data |= {"title": "Login fails", "claimed_level": "P2", "impact": "degraded"}
    answer = client.post("/incidents/new/", data)
    assert answer.status_code == 302, answer.context["form"].errors
    return answer["X-Request-ID"]


def test_one_id_runs_from_a_request_to_its_mails_and_their_lines(reported, caplog):
    rows = OutboxMessage.objects.all()
    assert {row.request_id for row in rows} == {reported}
    caplog.clear()
    with bound("the-sweep-00"):
        outbox.sweep(timezone.now())
    assert mail.outbox
    assert {one.extra_headers["X-Request-ID"] for one in mail.outbox} == {reported}
    lines = [record for record in caplog.records if record.name == "portal.delivery_log"]
    assert {record.outbox_id for record in lines} == {row.pk for row in rows}
    assert {record.state for record in lines} == {"sent"}


def test_a_line_about_a_delivery_bears_the_id_of_the_row_and_not_of_the_sweep(reported, monkeypatch):
    seen = []
    monkeypatch.setattr(outbox, "note_outcome", lambda *details: seen.append(current_id()) or details[-1])
    with bound("the-sweep-00"):
        outbox.sweep(timezone.now())
    assert set(seen) == {reported}


def test_a_line_about_a_delivery_says_neither_address_nor_answer(reported, a1, caplog):
    outbox.sweep(timezone.now())
    for record in caplog.records:
        said = JsonFormatter().format(record)
        assert a1.email not in said
        assert "accepted by" not in said


def test_a_message_that_falls_back_keeps_the_id(a1):
    message = OutboxMessage.objects.create(
        kind="x",
        recipient=a1,
        channel="webhook",
        next_channels=["email"],
        dedupe_key="k",
        request_id="0123-4567",
    )
    with bound("the-sweep-00"):
        assert fallback.twin(message, T0).request_id == "0123-4567"


# --- over the wake-up ---


@app.task(name="tests.say_id")
def say_id() -> str:
    return current_id()


@pytest.fixture
def woken(monkeypatch):
    """The headers of each wake-up that the broker got."""
    found = []
    monkeypatch.setattr(wakeups.Broker, "is_spared_until", 0.0)
    monkeypatch.setattr(say_id, "apply_async", lambda **options: found.append(options["headers"]))
    return found


def test_a_wake_up_carries_the_id_to_the_worker(woken):
    with bound("abcdef-0123"):
        wakeups._wake(say_id)
    assert woken == [{"request_id": "abcdef-0123"}]
    done = say_id.apply(headers=woken[0])
    assert done.get(disable_sync_subtasks=False) == "abcdef-0123"
    assert current_id() == ""


def test_the_clockwork_s_own_work_has_an_id_each_time():
    first, second = (say_id.apply().get(disable_sync_subtasks=False) for _ in range(2))
    assert OWN.fullmatch(first)
    assert first != second


def test_an_id_in_a_wake_up_that_is_not_plain_is_replaced():
    assert OWN.fullmatch(say_id.apply(headers={"request_id": "a\nb" * 9}).get(disable_sync_subtasks=False))


# --- JSON ---


def entry(*args, level=logging.ERROR, exc_info=None, **extra):
    record = logging.LogRecord("portal", level, "x.py", 1, *args, exc_info)
    record.created = 1_772_532_000.25
    vars(record).update(extra)
    return JsonFormatter().format(record)


def test_an_entry_is_one_object_with_its_time_in_utc():
    with bound("abcdef-0123"):
        said = entry("hello %s", ("you",), outbox_id=7)
    assert json.loads(said) == {
        "event": "hello you",
        "level": "error",
        "logger": "portal",
        "outbox_id": 7,
        "request_id": "abcdef-0123",
        "time": "2026-03-03T10:00:00.250Z",
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x1b[2K", "\u2028", "\x85", "\u202e", '"}\n{"event": "x'])
def test_no_words_begin_an_entry_of_their_own(end):
    forged = f"Not Found: /a{end}audit sealed"
    for said in (entry("%s", (forged,)), entry("x", (), kind=forged)):
        assert len(said.splitlines()) == 1
        assert said.isascii()
        assert forged in json.loads(said).values()


@pytest.mark.parametrize("line", SPOKEN)
def test_no_secret_stands_in_json_either(line):
    for said in (entry("%s", (line,)), entry("x", (), kind=line), entry('a "quoted" %s', (line,))):
        assert SPOKEN[line] not in said
        json.loads(said)


def test_a_traceback_is_within_the_entry_and_without_secrets():
    try:
        raise RuntimeError("Authorization: Bearer 8c9d0e1f2a3b4c5d\nsecond")
    except RuntimeError:
        said = entry("failed", (), exc_info=sys.exc_info())
    assert len(said.splitlines()) == 1
    assert "8c9d0e1f2a3b4c5d" not in said
    assert "RuntimeError" in json.loads(said)["exception"]


def test_what_a_library_gives_along_is_not_let_in(rf):
    request = rf.get("/?q=hush")
    for said in (entry("x", (), request=request, server="db"), entry("x", (), request=request, kind="k")):
        assert "hush" not in said
        assert "db" not in json.loads(said).values()


def test_a_line_for_people_says_the_facts_too():
    record = logging.LogRecord("portal", logging.INFO, "x.py", 1, "request", (), None)
    record.view, record.ms = "home", 1.5
    with bound("abcdef-0123"):
        said = SafeFormatter("%(message)s").format(record)
    assert said.startswith("request ")
    assert set(said.split()[1:]) == {"request_id=abcdef-0123", "view=home", "ms=1.5"}


def test_an_operator_chooses_between_json_and_lines():
    assert settings_of(["LOG_FORMAT"]) == ["json"]
    assert settings_of(["LOG_FORMAT"], LOG_FORMAT="line") == ["line"]
    done = production("-c", "import portal.settings", LOG_FORMAT="xml")
    assert "LOG_FORMAT is json or line" in done.stderr
