"""Alarms in per second against a real gunicorn on loopback, as `manage.py run` starts it.

`python -m bench.alarms [IDENTICAL] [DIFFERENT]` (default 2000 and 2000) works on SQLite in a folder of the run or,
when DATABASE_URL says so, on the PostgreSQL database that it names (an empty one, for the counts at the end to be
the run's). It posts identical alarms by eight senders at once, then different ones, while another client asks for
a page every 200 ms; then 2,000 in one request, which a worker reads while single ones come in.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
SENDERS = 8
GUNICORN = "--workers 1 --threads 8 --log-level warning --keep-alive 5"
ORGANISATION = (
    'from portal.models import Organisation as O; O.objects.get_or_create(name="Bench", slug="bench")'
)
COUNTS = (
    "from incidents.models import Alarm as A, Incident as I, InboundMessage as M;from django.db.models import Sum;"
    "from portal.models import OutboxMessage as O;"
    "print(I.objects.count(), A.objects.count(), A.objects.aggregate(n=Sum('count'))['n'],"
    " M.objects.exclude(state='done').count(), O.objects.filter(kind='incident_opened').count())"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def manage(env: dict[str, str], *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *args], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.strip()


class Sender:
    """One keep-alive connection that posts alarms, and notes how long each took."""

    def __init__(self, port: int, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, fingerprint: str, count: int = 1) -> float:
        alerts = [
            {
                "status": "firing",
                "labels": {"alertname": "Bench", "severity": "critical", "instance": fingerprint},
                "annotations": {"summary": f"{fingerprint} is down"},
                "fingerprint": fingerprint if count == 1 else f"{fingerprint}-{n}",
            }
            for n in range(count)
        ]
        begun = time.perf_counter()
        self.connection.request(
            "POST", "/api/v1/alarms/alertmanager/", json.dumps({"alerts": alerts}), self.headers
        )
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 202:
            raise SystemExit(f"{answer.status}: {body[:300]!r}")
        return time.perf_counter() - begun


class Visitor(threading.Thread):
    """Somebody who looks at a page meanwhile: how long they wait."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.took, self.is_done = port, [0.0], False

    def run(self) -> None:
        while not self.is_done:
            begun = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            connection.request("GET", "/accounts/login/")
            connection.getresponse().read()
            self.took.append(time.perf_counter() - begun)
            time.sleep(0.2)


def measure(name: str, port: int, token: str, fingerprints: list[str]) -> None:
    visitor = Visitor(port)
    visitor.start()
    local = threading.local()

    def send(fingerprint: str) -> float:
        if not hasattr(local, "sender"):
            local.sender = Sender(port, token)
        return local.sender.post(fingerprint)

    begun = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as pool:
        took = sorted(pool.map(send, fingerprints))
    seconds = time.perf_counter() - begun
    visitor.is_done = True
    visitor.join()
    print(
        f"{name}: {len(took)} in {seconds:.1f} s, {len(took) / seconds:.0f} a second; "
        f"answered in {median(took) * 1000:.0f} ms, p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms, "
        f"at most {took[-1] * 1000:.0f} ms; a page at most {max(visitor.took) * 1000:.0f} ms",
        flush=True,
    )


def measure_one_request(port: int, token: str, count: int) -> None:
    visitor = Visitor(port)
    visitor.start()
    took = Sender(port, token).post("batch", count)
    time.sleep(1)
    visitor.is_done = True
    visitor.join()
    print(f"one request of {count} different: {took * 1000:.0f} ms", flush=True)


def drain(env: dict[str, str], port: int, token: str) -> None:
    """Read by the worker's sweep what was left to it, while known and new alarms come in."""
    sender, took = Sender(port, token), [0.0]
    begun = time.perf_counter()
    sweep = "from incidents.tasks import sweep_inbox; sweep_inbox()"
    worker = subprocess.Popen([sys.executable, "manage.py", "shell", "-v0", "-c", sweep], cwd=ROOT, env=env)
    while worker.poll() is None:
        took += [sender.post("same"), sender.post(f"meanwhile-{len(took)}")]
        time.sleep(0.1)
    seconds = time.perf_counter() - begun
    print(
        f"read by the worker in {seconds:.1f} s; meanwhile {len(took) - 1} alarms were answered "
        f"in {median(took) * 1000:.0f} ms, at most {max(took) * 1000:.0f} ms"
    )


def main() -> None:
    identical, different = [int(arg) for arg in [*sys.argv[1:], "2000", "2000"][:2]]
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"VAR_DIR": folder, "DEBUG": "true", "CELERY_BROKER_URL": "memory://"}
        env["RATE_LIMITS"] = "off"
        manage(env, "migrate", "-v0")
        manage(env, "shell", "-v0", "-c", ORGANISATION)
        name = f"bench {time.time_ns()}"
        token = manage(env, "create_alarm_source", name, "--kind", "alertmanager", "--organisation", "bench")
        port = free_port()
        web = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "portal.wsgi", *f"--bind 127.0.0.1:{port} {GUNICORN}".split()],
            cwd=ROOT,
            env=env,
        )
        try:
            for _ in range(100):
                time.sleep(0.1)
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
            print(f"database: {env.get('DATABASE_URL', 'sqlite').split(':')[0]}")
            Sender(port, token).post("same")  # the first request loads what all others use
            measure("identical", port, token, ["same"] * identical)
            measure("different", port, token, [f"fp-{n}" for n in range(different)])
            measure_one_request(port, token, 2000)
            drain(env, port, token)
            print(
                "incidents, alarms, counted, unread, opening mails:",
                manage(env, "shell", "-v0", "-c", COUNTS),
            )
        finally:
            web.terminate()
            web.wait(10)


if __name__ == "__main__":
    main()
