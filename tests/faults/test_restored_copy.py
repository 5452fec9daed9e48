"""A backup made under load, restored in another place: equal, proven, and silent until it is released.

By deploy/backup.sh and deploy/restore.sh: on PostgreSQL into a new database, on SQLite into another file.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.faults.test_worker_kills import ROOT, end, engines, free_port, process, wait_until

pytestmark = pytest.mark.faults

FILING = """
import django; django.setup()
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from incidents import actions
from portal.models import Membership
import time
reporter = Membership.objects.filter(role="manager").order_by("pk").first()
number = 0
while True:
    number += 1
    actions.open_incident(
        organisation=reporter.organisation, reporter=reporter.user, by=reporter.user, now=timezone.now(),
        channel="portal", title=f"Load {number}", claimed_level="P2",
        files=[SimpleUploadedFile(f"load{number}.txt", b"line " * number)],
    )
    time.sleep(0.05)
"""
FACTS = """
import django; django.setup()
import hashlib, json
from incidents.models import Attachment, Clock, Incident, IncidentEvent, Message
from portal.models import OutboxMessage
last = LAST or Incident.objects.order_by("-pk").values_list("pk", flat=True).first()
incidents = Incident.objects.filter(pk__lte=last)
rows = {
    "last": last,
    "incidents": list(incidents.order_by("pk").values_list("pk", "title", "computed_at")),
    "events": IncidentEvent.objects.filter(incident__in=incidents).count(),
    "clocks": Clock.objects.filter(incident__in=incidents).count(),
    "messages": Message.objects.filter(incident__in=incidents).count(),
    "files": {a.pk: hashlib.sha256(a.file.open("rb").read()).hexdigest()
              for a in Attachment.objects.filter(incident__in=incidents)},
}
waiting = OutboxMessage.objects.filter(state="queued").count()
print(json.dumps([rows, waiting], default=str))
"""


def run(environment, *command):
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def facts(environment, last=None):
    return run(environment, "-c", FACTS.replace("LAST", repr(last)))


def surroundings(folder: Path, port: int, database: dict[str, str]) -> dict[str, str]:
    return os.environ | database | {
        "DEBUG": "true",
        "VAR_DIR": str(folder),
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "CELERY_BROKER_URL": "filesystem://",
    }  # fmt: skip


def script(environment, name, place):
    return subprocess.run(
        [ROOT / "deploy" / name, str(place)], env=environment, capture_output=True, text=True, timeout=300
    )


def back_up(environment, folder: Path) -> Path:
    """As docs/production.md has it, while others write."""
    done = script(environment, "backup.sh", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.strip())


def restore(environment, backup: Path) -> None:
    done = script(environment, "restore.sh", backup)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "release_outbox" in done.stdout


def empty_place(url: str, folder: Path) -> str:
    """The address of a database that has no table yet."""
    if url.startswith("sqlite"):
        return f"sqlite:///{folder / 'restored.sqlite3'}"
    name = f"restored_{os.getpid()}_{free_port()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url.rsplit('/', 1)[0]}/{name}"


def dropped(url: str) -> None:
    if url.startswith("postgres"):
        server, _, name = url.rpartition("/")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_restored_copy_is_equal_and_mails_nobody_until_it_is_released(tmp_path):
    port, inbox = free_port(), tmp_path / "inbox"
    with engines(tmp_path) as database:
        original = surroundings(tmp_path / "var", port, database)
        run(original, "manage.py", "migrate", "-v0")
        run(original, "manage.py", "load_demo")
        run(original, "manage.py", "release_outbox")  # looks, and makes it the home
        filing = process([sys.executable, "-c", FILING], original)
        time.sleep(8)
        started = time.monotonic()
        backup = back_up(original, tmp_path / "backups")
        took = time.monotonic() - started
        time.sleep(1)
        filing.send_signal(signal.SIGKILL)
        filing.wait()
        address = empty_place(database["DATABASE_URL"], tmp_path)
        try:
            copy = surroundings(tmp_path / "copy", port, {"DATABASE_URL": address})
            damaged(backup, copy, tmp_path / "damaged")
            started = time.monotonic()
            restore(copy, backup)
            restored_in = time.monotonic() - started
            refused = script(copy, "restore.sh", backup)
            assert (refused.returncode, "Nothing was changed" in refused.stderr) == (1, True)
            compared_and_silent(original, copy, inbox, port)
        finally:
            dropped(address)
        print(f"backed up under load in {took:.1f}s, restored in {restored_in:.1f}s")


def damaged(backup: Path, environment, place: Path) -> None:
    """One byte less: nothing of it is restored."""
    shutil.copytree(backup, place)
    files = place / "files.tar"
    files.write_bytes(files.read_bytes()[:-1])
    refused = script(environment, "restore.sh", place)
    assert (refused.returncode, "damaged" in refused.stderr) == (1, True)
    assert not (Path(environment["VAR_DIR"]) / "uploads").exists()


def compared_and_silent(original, copy, inbox, port):
    of_copy = facts(copy)
    last = int(of_copy.split('"last": ')[1].split(",")[0])
    rows, waiting = of_copy.rsplit(", ", 1)
    assert rows == facts(original, last).rsplit(", ", 1)[0]
    assert int(waiting.strip().rstrip("]")) > 0
    assert "Load" in rows
    run(copy, "manage.py", "verify_clocks")
    run(copy, "manage.py", "verify_audit")
    sink = process([sys.executable, "-m", "tests.smtp_sink", "--port", str(port), "--dir", str(inbox)])
    try:
        assert sink.stdout.readline().strip() == b"ready"
        for _ in range(2):
            run(copy, "manage.py", "sweep")
        assert list(inbox.glob("*.eml")) == []
        assert "Released" in run(copy, "manage.py", "release_outbox")
        run(copy, "manage.py", "sweep")
        wait_until(lambda: any(inbox.glob("*.eml")), 30)
    finally:
        end(sink)
