"""500 mails are due; the Celery worker is killed at twenty moments, and the broker is wiped: nothing is lost.

On the embedded database and broker, or on the servers that DATABASE_URL and CELERY_BROKER_URL name: there
the database is a new one, and the broker's own database is emptied.
"""

from __future__ import annotations

import collections
import contextlib
import email
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parent.parent.parent
DUE = 500
KILLS = 20
THREADS = 2
CELERY = [sys.executable, "-m", "celery", "-A", "portal"]
QUICK = ["--without-mingle", "--without-gossip", "--without-heartbeat"]

PREPARE = """
import django; django.setup()
from django.utils import timezone
from portal.models import OutboxMessage, User
boss = User.objects.create_user("boss@briqmind.example", name="Boss", is_staff=True, staff_role="administrator")
stuck = OutboxMessage.objects.create(kind="x", recipient=boss, dedupe_key="stuck", state="dropped")
people = [User(email=f"p{n}@briqmind.example", name=f"P{n}", is_staff=True, staff_role="agent") for n in range(DUE)]
User.objects.bulk_create(people)
OutboxMessage.objects.bulk_create(
    OutboxMessage(kind="outbox_alarm", recipient=person, dedupe_key=f"d{person.pk}", facts={"message": stuck.pk})
    for person in people
)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def world(tmp_path):
    """A database, a broker, a mail sink and an environment of their own, and the clockwork ticking."""
    port, inbox = free_port(), tmp_path / "inbox"
    environment = os.environ | {
        "DEBUG": "true",
        "VAR_DIR": str(tmp_path / "var"),
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "OUTBOX_LEASE_SECONDS": "3",
    }
    with contextlib.ExitStack() as stack:
        environment |= stack.enter_context(engines(tmp_path))
        sink = process([sys.executable, "-m", "tests.smtp_sink", "--port", str(port), "--dir", str(inbox)])
        stack.callback(end, sink)
        assert sink.stdout.readline().strip() == b"ready"
        prepare(environment)
        beat = process(
            [*CELERY, "beat", "-l", "ERROR", "--pidfile=", "-s", str(tmp_path / "beat")], environment
        )
        stack.callback(end, beat)
        yield environment, inbox


@contextlib.contextmanager
def engines(folder):
    """Where the rows and the wake-ups live: embedded, or a new database on the servers of the environment."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield {"DATABASE_URL": f"sqlite:///{folder / 'kills.sqlite3'}", "CELERY_BROKER_URL": "filesystem://"}
        return
    name = f"kills_{os.getpid()}_{free_port()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield {
            "DATABASE_URL": f"{server.rsplit('/', 1)[0]}/{name}",
            "CELERY_BROKER_URL": os.environ["CELERY_BROKER_URL"].rsplit("/", 1)[0] + "/9",
        }
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def wipe_broker(environment):
    """Throw away every wake-up that waits."""
    url = environment["CELERY_BROKER_URL"]
    if url.startswith("redis"):
        redis.Redis.from_url(url).flushdb()
        return
    queue = Path(environment["VAR_DIR"]) / "queue"
    shutil.rmtree(queue, ignore_errors=True)
    queue.mkdir(exist_ok=True)


def process(command, environment=None):
    quiet = subprocess.PIPE if environment is None else subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=quiet, stderr=None if environment is None else quiet
    )


def start_worker(environment):
    return process(
        [*CELERY, "worker", "-P", "threads", "-c", str(THREADS), "-l", "ERROR", *QUICK], environment
    )


def end(running):
    running.kill()
    running.wait()
    if running.stdout:
        running.stdout.close()


def prepare(environment):
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    code = PREPARE.replace("DUE", str(DUE))
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


def arrived(inbox):
    ids = [email.message_from_bytes(path.read_bytes())["Message-ID"] for path in inbox.glob("*.eml")]
    return collections.Counter(ids)


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def wait_for_another(inbox):
    """Until a mail arrives that is not there yet: the worker is in the middle of its work."""
    before = sum(arrived(inbox).values())
    wait_until(lambda: sum(arrived(inbox).values()) > before)


def report(inbox, **more):
    """Print and return (delivered, repeated, repeated under another Message-ID)."""
    seen = arrived(inbox)
    recipients = collections.Counter(
        email.message_from_bytes(path.read_bytes())["To"] for path in inbox.glob("*.eml")
    )
    repeats = sum(seen.values()) - len(seen)
    otherwise = len(seen) - len(recipients)
    figures = {"due": DUE, "delivered": len(recipients), "lost": DUE - len(recipients), "repeated": repeats}
    print(" ".join(f"{name}={value}" for name, value in (figures | more).items()))
    return len(recipients), repeats, otherwise


def test_a_worker_killed_at_twenty_moments_loses_nothing(world):
    environment, inbox = world
    rng = random.Random(7)
    kills = 0
    while kills < KILLS:
        worker = start_worker(environment)
        wait_for_another(inbox)
        time.sleep(rng.random() * 0.1)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        kills += 1
    interrupted = DUE - len(arrived(inbox))
    worker = start_worker(environment)
    since = time.monotonic()
    wait_until(lambda: len(arrived(inbox)) >= DUE)
    time.sleep(5)  # a repeat would come now: every lease has run out
    end(worker)
    recovery = f"{time.monotonic() - since - 5:.1f}s"
    delivered, repeats, otherwise = report(
        inbox, kills=kills, waiting_at_the_last_kill=interrupted, recovery=recovery
    )
    assert interrupted > 0
    assert delivered == DUE
    assert repeats <= kills * THREADS
    assert otherwise == 0


def test_a_wiped_broker_loses_nothing(world):
    environment, inbox = world
    worker = start_worker(environment)
    wait_until(lambda: len(arrived(inbox)) > 20)
    wipe_broker(environment)
    wait_until(lambda: len(arrived(inbox)) >= DUE)
    end(worker)
    assert report(inbox) == (DUE, 0, 0)
