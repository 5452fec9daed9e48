"""500 mails are due; the worker is killed at twenty moments, and the broker is wiped: nothing is lost."""

from __future__ import annotations

import collections
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

import pytest

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parent.parent.parent
DUE = 500
KILLS = 20

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
SEND = """
import django; django.setup()
import time
from django.utils import timezone
from portal import outbox
from portal.models import OutboxMessage
while OutboxMessage.objects.filter(state__in=["queued", "claimed"]).exists():
    outbox.sweep(timezone.now())
    time.sleep(0.2)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def world(tmp_path):
    """A database, a mail sink and an environment of their own."""
    port, inbox = free_port(), tmp_path / "inbox"
    sink = subprocess.Popen(
        [sys.executable, "-m", "tests.smtp_sink", "--port", str(port), "--dir", str(inbox)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert sink.stdout.readline().strip() == b"ready"
    environment = os.environ | {
        "DEBUG": "true",
        "VAR_DIR": str(tmp_path / "var"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'kills.sqlite3'}",
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "CELERY_BROKER_URL": "filesystem://",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "OUTBOX_LEASE_SECONDS": "3",
    }
    yield environment, inbox, tmp_path / "var"
    sink.kill()
    sink.wait()
    sink.stdout.close()


def python(environment, code, **more):
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, **more)


def prepare(environment):
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    assert python(environment, PREPARE.replace("DUE", str(DUE))).wait() == 0


def arrived(inbox):
    ids = [email.message_from_bytes(path.read_bytes())["Message-ID"] for path in inbox.glob("*.eml")]
    return collections.Counter(ids)


def test_a_worker_killed_at_twenty_moments_loses_nothing(world):
    environment, inbox, _var = world
    prepare(environment)
    rng = random.Random(7)
    kills = 0
    while kills < KILLS and sum(arrived(inbox).values()) < DUE - 20:
        worker = python(environment, SEND)
        before = sum(arrived(inbox).values())
        while worker.poll() is None and sum(arrived(inbox).values()) < before + 5:
            time.sleep(0.02)
        time.sleep(rng.random() * 0.2)
        if worker.poll() is None:
            worker.send_signal(signal.SIGKILL)
            kills += 1
        worker.wait()
    assert python(environment, SEND).wait(120) == 0
    seen = arrived(inbox)
    repeats = sum(count - 1 for count in seen.values())
    print(f"due {DUE}, delivered {len(seen)}, lost {DUE - len(seen)}, repeated {repeats}, kills {kills}")
    assert len(seen) == DUE
    assert kills >= 10
    assert repeats <= kills


def test_a_wiped_broker_loses_nothing(world):
    environment, inbox, var = world
    prepare(environment)
    celery = [sys.executable, "-m", "celery", "-A", "portal", "worker", "-B", "-P", "threads", "-c", "2"]
    worker = subprocess.Popen(
        [*celery, "-s", str(var / "beat"), "-l", "ERROR"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(600):
        time.sleep(0.1)
        if len(arrived(inbox)) > 20:
            shutil.rmtree(var / "queue", ignore_errors=True)
            (var / "queue").mkdir(exist_ok=True)
            break
    for _ in range(900):
        time.sleep(0.1)
        if len(arrived(inbox)) == DUE:
            break
    worker.terminate()
    worker.wait(30)
    seen = arrived(inbox)
    print(
        f"due {DUE}, delivered {len(seen)}, lost {DUE - len(seen)}, repeated {sum(seen.values()) - len(seen)}"
    )
    assert (len(seen), sum(seen.values())) == (DUE, DUE)
