"""Does the process live (`/healthz`), can the promise be kept (`/readyz`), and in figures (`/metrics`)?

All three answer from the web process alone and need no worker. Answers name no address, no password and
no error text of a driver. Rooms add their own figures with `portal.metrics.register_gauge`.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal import heartbeat, outbox, restored
from portal.metrics import Gauge, Pairs, exposition, register_gauge

SWEEP = "clocks"  # the heartbeat that the sweep of the clocks leaves
BROKER_TIMEOUT_SECONDS = 1
_BROKER_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "pyamqp": 5672}


@dataclass(frozen=True)
class Check:
    """One line of readiness: a fact in plain English, no secret in it."""

    ok: bool
    detail: str


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers. Asks nothing of anything else."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if the promise can be kept, else 503; both with {name: {ok, detail}}."""
    checks = readiness(timezone.now())
    status = 200 if all(check.ok for check in checks.values()) else 503
    return JsonResponse({name: vars(check) for name, check in checks.items()}, status=status)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures in Prometheus' text format for the bearer of METRICS_TOKEN; 404 where none is set."""
    if not settings.METRICS_TOKEN:
        return HttpResponse("Not found\n", status=404, content_type="text/plain; charset=utf-8")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        return HttpResponse(
            "A token is needed.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": "Bearer"},
        )
    try:
        figures, status = exposition(timezone.now()), 200
    except Error:
        figures, status = b"# the database does not answer\n", 503
    return HttpResponse(figures, status=status, content_type="text/plain; version=0.0.4; charset=utf-8")


def readiness(now: datetime) -> dict[str, Check]:
    """What the promise stands on, each with its verdict. Never raises for a part that is down."""
    database = check_database()
    unknown = Check(False, "unknown: the database does not answer")
    return {
        "database": database,
        "broker": check_broker(settings.CELERY_BROKER_URL),
        "sweep": _asked(check_sweep, now) if database.ok else unknown,
        "outbox": _asked(check_outbox, now) if database.ok else unknown,
    }


def is_clockwork_late(now: datetime) -> bool:
    """Whether staff must be told that sweep or outbox lag behind."""
    return not (check_sweep(now).ok and check_outbox(now).ok)


def check_database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return Check(False, "does not answer")
    return Check(True, f"{connection.vendor} answers")


def check_sweep(now: datetime) -> Check:
    age = heartbeat.age(SWEEP, now)
    if age is None:
        return Check(False, "has never run")
    limit = settings.READY_MAX_SWEEP_AGE_SECONDS
    return Check(age <= limit, f"last ran {age:.0f} s ago, at most {limit} s are allowed")


def check_outbox(now: datetime) -> Check:
    held = restored.hold_reason(now)
    if held:
        return Check(False, held)
    lag = outbox.lag(now)
    limit = settings.READY_MAX_OUTBOX_LAG_SECONDS
    return Check(lag <= limit, f"the oldest due message waits for {lag:.0f} s, at most {limit} s are allowed")


def check_broker(url: str) -> Check:
    """Whether wake-ups can be left at the broker: a writable folder, or a port that accepts in a second."""
    address = urlsplit(url.split(";")[0])
    scheme = address.scheme.split("+")[0]
    if scheme == "memory":
        return Check(True, "within the process")
    if scheme == "filesystem":
        return _check_folder(str(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"]))
    try:
        _connect(address.scheme, address.hostname, address.port, address.path)
    except (OSError, ValueError):
        return Check(False, f"{scheme} does not accept connections")
    return Check(True, f"{scheme} accepts connections")


def _check_folder(folder: str) -> Check:
    try:  # a nameless file: permissions alone say nothing of a full or read-only disk
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return Check(False, "the folder is not writable")
    return Check(True, "the folder is writable")


def _connect(scheme: str, host: str | None, port: int | None, path: str) -> None:
    """Open and close a connection. OSError if that cannot be done in time."""
    if scheme.endswith("+socket"):
        with socket.socket(socket.AF_UNIX) as unix:
            unix.settimeout(BROKER_TIMEOUT_SECONDS)
            unix.connect(unquote(path))
        return
    target = (host or "localhost", port or _BROKER_PORTS.get(scheme, 0))
    socket.create_connection(target, timeout=BROKER_TIMEOUT_SECONDS).close()


def _asked(check: Callable[[datetime], Check], now: datetime) -> Check:
    try:
        return check(now)
    except Error:
        return Check(False, "unknown: the database does not answer")


def _verdicts(now: datetime) -> Pairs:
    return [({"check": name}, float(check.ok)) for name, check in readiness(now).items()]


register_gauge(Gauge("portal_ready", "1 for each check of /readyz that is in order, else 0.", _verdicts))

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]
PATHS = frozenset({"/healthz", "/readyz", "/metrics"})  # what must answer while the database does not
