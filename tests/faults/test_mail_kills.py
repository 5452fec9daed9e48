"""A hundred mails wait in the inbox and the worker is killed over and over: none is lost, none is taken twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import psycopg
import pytest

from tests.faults.test_worker_kills import CELERY, ROOT, end, engines, process, start_worker, wait_until

pytestmark = pytest.mark.faults
MAILS = 100
KILLS = 6

PREPARE = """
import django; django.setup()
from django.utils import timezone
from incidents import actions
from incidents.defaults import plan_for
from incidents.intake import mail
from incidents.models import ReplyAddress
from portal.models import Membership, Organisation, User
acme = Organisation.objects.create(name="Acme", slug="acme")
ada = User.objects.create_user("a1@acme.example", name="Ada")
Membership.objects.create(user=ada, organisation=acme, role="member")
now = timezone.now()
plan_for(acme, now)
made = actions.open_incident(organisation=acme, reporter=ada, by=ada, now=now, channel="portal", title="Down",
                             claimed_level="P1")
to = ReplyAddress.objects.get_or_create(incident=made, recipient=ada)[0].address
for n in range(MAILS):
    raw = f"From: a1@acme.example\\nTo: {to}\\nSubject: x\\nMessage-ID: <{n}@x>\\n\\nMail number {n}.\\n".encode()
    for _ in range(2):
        mail.receive(raw, via="pipe", received_at=now)
"""
COUNT = """
import django; django.setup()
from django.db.models import Count
from incidents.models import InboundMessage, IncidentEvent, Message
states = dict(InboundMessage.objects.values_list("state").annotate(Count("pk")))
print(states.get("done", 0), InboundMessage.objects.count(), Message.objects.count(),
      Message.objects.values("text").distinct().count(), IncidentEvent.objects.filter(kind="customer_replied").count())
"""


def python(code, environment):
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return run.stdout.split()


def test_a_worker_killed_over_a_hundred_mails_loses_none_and_takes_none_twice(tmp_path):
    with engines(tmp_path) as found:
        environment = os.environ | {
            "DEBUG": "true",
            "VAR_DIR": str(tmp_path / "var"),
            "MEDIA_ROOT": str(tmp_path / "uploads"),
            "EMAIL_URL": "dummymail://",
            "SUPPORT_COUNTRY": "",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "OUTBOX_LEASE_SECONDS": "2",
        }
        environment |= found
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        python(PREPARE.replace("MAILS", str(MAILS)), environment)
        beat = process(
            [*CELERY, "beat", "-l", "ERROR", "--pidfile=", "-s", str(tmp_path / "beat")], environment
        )
        try:
            waiting = kill_in_the_middle(environment)
            since = time.monotonic()
            worker = start_worker(environment)
            wait_until(lambda: python(COUNT, environment)[0] == str(MAILS), seconds=60)
            recovery = time.monotonic() - since
            end(worker)
        finally:
            end(beat)
        done, rows, messages, texts, events = map(int, python(COUNT, environment))
        print(
            f"mails={MAILS} kills={KILLS} {waiting=} {done=} {rows=} {messages=} {texts=} {events=} {recovery=:.1f}s"
        )
        assert waiting > 0
        assert (done, rows, messages, texts, events) == (MAILS, MAILS, MAILS, MAILS, MAILS)


def kill_in_the_middle(environment) -> int:
    """Kill the worker each time that it has read some more; how many mails waited at the last kill."""
    rng = random.Random(7)
    for _ in range(KILLS):
        before = read_by_now(environment)
        worker = start_worker(environment)
        wait_until(lambda before=before: read_by_now(environment) > before + 3, seconds=30)
        time.sleep(rng.random() * 0.05)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    return MAILS - read_by_now(environment)


def read_by_now(environment) -> int:
    """Asked of the database itself: the product would take a second to start."""
    query, url = (
        "SELECT count(*) FROM incidents_inboundmessage WHERE state = 'done'",
        environment["DATABASE_URL"],
    )
    if url.startswith("postgres"):
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchone()[0]
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as connection:
        return connection.execute(query).fetchone()[0]
