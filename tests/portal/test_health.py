"""Liveness asks nothing, readiness tells the truth, figures need a token, and none tells a secret."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test import Client

from portal import health, heartbeat, metrics
from portal.models import OutboxMessage, User

pytestmark = pytest.mark.urls("portal.health")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def working(db: None) -> None:
    """A clockwork that ran ten seconds ago."""
    heartbeat.beat("clocks", NOW - timedelta(seconds=10))


def queue(due_at: datetime, state: str = "queued") -> OutboxMessage:
    person, _ = User.objects.get_or_create(email="ada@example.com", defaults={"name": "Ada"})
    return OutboxMessage.objects.create(
        kind="receipt",
        recipient=person,
        dedupe_key=f"{state}{due_at}",
        next_attempt_at=due_at,
        created_at=due_at,
        state=state,
    )


class BrokenDatabase:
    """Every statement fails, as it does while the server is away."""

    def __call__(self, *details: Any) -> None:
        raise OperationalError("connection to db.internal as portal password=hunter2 failed")


def test_liveness_answers_without_the_database_even_with_a_session_cookie(client: Client) -> None:
    client.cookies["sessionid"] = "x" * 32  # no database is allowed in this test: asking would fail it
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert response["Content-Type"].startswith("text/plain")
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_is_read_only(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


def test_a_working_portal_is_ready(client: Client, working: None) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    checks = response.json()
    assert set(checks) == {"database", "broker", "sweep", "outbox"}
    assert all(set(check) == {"ok", "detail"} and check["ok"] for check in checks.values())
    assert checks["sweep"]["detail"] == "last ran 10 s ago, at most 90 s are allowed"


def test_a_clockwork_that_never_ran_is_not_ready(client: Client, db: None) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["sweep"] == {"ok": False, "detail": "has never run"}


@pytest.mark.parametrize(("seconds", "status"), [(90, 200), (91, 503)])
def test_readiness_ends_ninety_seconds_after_the_last_sweep(
    client: Client, db: None, seconds: int, status: int
) -> None:
    heartbeat.beat("clocks", NOW - timedelta(seconds=seconds))
    assert client.get("/readyz").status_code == status


@pytest.mark.parametrize(("seconds", "status"), [(90, 200), (91, 503)])
def test_readiness_ends_when_a_due_message_waits_for_more_than_ninety_seconds(
    client: Client, working: None, seconds: int, status: int
) -> None:
    queue(NOW - timedelta(seconds=seconds))
    response = client.get("/readyz")
    assert response.status_code == status
    assert response.json()["outbox"]["ok"] is (status == 200)


def test_a_database_that_is_away_is_told_without_its_address(client: Client, working: None) -> None:
    with connection.execute_wrapper(BrokenDatabase()):
        response = client.get("/readyz")
    assert response.status_code == 503
    checks = response.json()
    assert checks["database"] == {"ok": False, "detail": "does not answer"}
    assert not checks["sweep"]["ok"]
    assert not checks["outbox"]["ok"]
    assert checks["broker"]["ok"]
    assert "hunter2" not in response.text
    assert "db.internal" not in response.text


def test_a_missing_queue_folder_is_not_ready(
    client: Client, working: None, settings: Any, tmp_path: Path
) -> None:
    settings.CELERY_BROKER_URL = "filesystem://"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "gone")}
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["broker"] == {"ok": False, "detail": "the folder is not writable"}
    (tmp_path / "gone").mkdir()
    assert client.get("/readyz").status_code == 200
    assert list((tmp_path / "gone").iterdir()) == []


def test_a_broker_is_reachable_while_its_port_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://:hunter2@127.0.0.1:{server.getsockname()[1]}/0"
        assert health.check_broker(url) == health.Check(True, "redis accepts connections")
    assert health.check_broker(url) == health.Check(False, "redis does not accept connections")


def test_a_broker_on_a_unix_socket_is_asked_there(tmp_path: Path) -> None:
    path = tmp_path / "broker"
    url = f"redis+socket://{path}"
    assert not health.check_broker(url).ok
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert health.check_broker(url).ok


@pytest.mark.parametrize("url", ["redis://127.0.0.1:notaport/0", "nonsense", ""])
def test_a_malformed_broker_address_is_not_ready_and_not_repeated(url: str) -> None:
    check = health.check_broker(url)
    assert not check.ok
    assert "notaport" not in check.detail


def test_metrics_do_not_exist_without_a_token(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "s3cret"},
        {"Authorization": "Bearer s3crét"},
    ],
)
def test_metrics_need_the_token(client: Client, settings: Any, headers: dict[str, str]) -> None:
    settings.METRICS_TOKEN = "s3cret"
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert b"portal_" not in response.content


def test_metrics_tell_outbox_and_clockwork_in_figures(client: Client, working: None, settings: Any) -> None:
    settings.METRICS_TOKEN = "s3cret"
    queue(NOW - timedelta(seconds=30))
    queue(NOW + timedelta(hours=1))
    queue(NOW, state="set_aside")
    response = client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    assert 'portal_outbox_messages{channel="email",state="queued"} 2.0' in lines
    assert 'portal_outbox_messages{channel="email",state="set_aside"} 1.0' in lines
    assert 'portal_outbox_oldest_due_seconds{channel="email"} 30.0' in lines
    assert 'portal_ready{check="sweep"} 1.0' in lines
    assert "portal_outbox_lag_seconds 30.0" in lines
    assert 'portal_heartbeat_age_seconds{name="clocks"} 10.0' in lines
    assert "# TYPE portal_outbox_lag_seconds gauge" in lines


def test_a_room_adds_its_own_figures(
    client: Client, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.METRICS_TOKEN = "s3cret"
    monkeypatch.setattr(metrics, "_gauges", {})
    metrics.register_gauge(metrics.Gauge("open_clocks", "Open.", lambda now: [({"level": 'P"1\\'}, 12)]))
    response = client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
    expected = '# HELP open_clocks Open.\n# TYPE open_clocks gauge\nopen_clocks{level="P\\"1\\\\"} 12.0\n'
    assert response.text.startswith(expected)


def test_metrics_say_when_the_database_is_away(client: Client, db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = "s3cret"
    with connection.execute_wrapper(BrokenDatabase()):
        response = client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
    assert response.status_code == 503
    assert "hunter2" not in response.text
