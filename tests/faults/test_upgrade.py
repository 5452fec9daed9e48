"""The release before goes on serving while the newest migration is in place: people file, staff answer, mails go.

The release before is the last commit without the newest migration: its code comes from git, the schema from here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.test_worker_kills import ROOT, engines

pytestmark = pytest.mark.faults
APPS = ("portal", "incidents", "maintenance")

USE = """
import django; django.setup()
from django.conf import settings
settings.ALLOWED_HOSTS = ["testserver"]
from django.core import mail
from django.test import Client
from django.utils import timezone
from portal import outbox
from portal.demo import DEMO_PASSWORD
from portal.models import OutboxMessage

def signed_in(email):
    client = Client()
    client.post("/accounts/login/", {"login": email, "password": DEMO_PASSWORD})
    return client

ada, deniz = signed_in("ada@acme.example"), signed_in("deniz@briqmind.example")
filed = ada.post("/api/v1/incidents/", {"title": "It is down", "claimed_level": "P1", "organisation": "acme"}, "application/json")
assert filed.status_code == 201, filed.content
reference = filed.json()["reference"]
for client, words in ((deniz, "We look into it."), (ada, "Thank you.")):
    said = client.post(f"/api/v1/incidents/{reference}/replies/", {"text": words}, "application/json")
    assert said.status_code in (200, 201), said.content
for address in (f"/incidents/{reference}/", "/incidents/", "/status/"):
    assert ada.get(address).status_code == 200, address
assert deniz.get("/admin/").status_code == 200
waiting = OutboxMessage.objects.filter(state="queued", subject_key=reference).count()
report = outbox.sweep(timezone.now())
assert waiting and report.sent >= waiting, (waiting, report)
print("served", reference, report)
"""


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def before_the_newest_migration(folder: Path) -> Path:
    """The code of then. Commits at which branches with migrations of their own met could not be served."""
    paths = [f"{app}/migrations" for app in APPS]
    added = git("log", "-12", "--first-parent", "-m", "--diff-filter=A", "--format=%H", "--", *paths)
    for commit in added.split():
        place = folder / commit
        place.mkdir()
        tree = subprocess.run(["git", "archive", f"{commit}^1"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x"], cwd=place, input=tree.stdout, check=True)
        if all(is_whole(place / app / "migrations") for app in APPS):
            return place
    raise AssertionError("no commit before a migration could be served")


def is_whole(folder: Path) -> bool:
    """Whether migrations are numbered one by one: as branches are joined, one may be there twice or not yet."""
    numbers = sorted(int(path.name[:4]) for path in folder.glob("0*.py"))
    return numbers == list(range(1, len(numbers) + 1))


def run(place: Path, environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=place, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_release_before_serves_on_the_schema_of_this_one(tmp_path):
    former = before_the_newest_migration(tmp_path)
    with engines(tmp_path) as database:
        environment = os.environ | database | {
            "DEBUG": "true",
            "SECRET_KEY": "the same for both",
            "VAR_DIR": str(tmp_path / "var"),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "CELERY_BROKER_URL": "filesystem://",
        }  # fmt: skip
        run(former, environment, "manage.py", "migrate", "-v0")
        run(former, environment, "manage.py", "load_demo")
        run(ROOT, environment, "manage.py", "migrate", "-v0")
        for command in (["-c", USE], ["manage.py", "sweep"], ["manage.py", "verify_clocks"]):
            print(run(former, environment, *command))
        print(run(ROOT, environment, "-c", USE))
        run(ROOT, environment, "manage.py", "verify_clocks")
