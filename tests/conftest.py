"""The cast. Acme is the organisation at hand; Nordwind is the stranger, with data of the same shape.

a1 member, a2 manager and P1 contact, a3 viewer of Acme; b1 of Nordwind, whose every object carries the
canary; g1 and g2 agents, m1 duty manager, h1 head of support, root administrator.
"""

from __future__ import annotations

import gc
import os
from datetime import UTC, datetime

import pytest
from django.core.cache import cache

from portal.calendars import forget_calendars
from tests import factories, flush

flush.install()

T0 = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)  # a Tuesday, 13:00 in Istanbul


def pytest_collection_finish(session):
    """What is loaded by now stays for good: looking through it again and again for garbage is a tenth of the run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


def pytest_sessionfinish(session, exitstatus):
    """CI fails on a skip: a test that did not run proves nothing."""
    if os.environ.get("FAIL_ON_SKIP") != "1":
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and exitstatus == 0:
        session.exitstatus = 1


@pytest.fixture(autouse=True)
def _quick_and_clean(settings, tmp_path_factory):
    """Cheap passwords, no state of an earlier test, files and mails in a folder of the run."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.MEDIA_ROOT = tmp_path_factory.getbasetemp() / "uploads"
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    settings.CELERY_BROKER_URL = "memory://"
    # Of each process its own: tests side by side would empty and fill one Redis for each other.
    settings.CACHES = settings.CACHES | {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "tests"}
    }
    settings.RATE_LIMITS = {}  # tests of limits set their own
    cache.clear()
    forget_calendars()


@pytest.fixture
def acme(db):
    return factories.organisation("Acme")


@pytest.fixture
def nordwind(db):
    return factories.organisation("Nordwind")


@pytest.fixture
def a1(acme):
    return factories.person("a1@acme.example", "Ada One", acme, "member")


@pytest.fixture
def a2(acme):
    return factories.person("a2@acme.example", "Ali Two", acme, "manager", is_p1_contact=True)


@pytest.fixture
def a3(acme):
    return factories.person("a3@acme.example", "Ann Three", acme, "viewer")


@pytest.fixture
def b1(nordwind):
    return factories.person(
        "b1@nordwind.example", f"Bo {factories.CANARY}", nordwind, "manager", is_p1_contact=True
    )


@pytest.fixture
def g1(db):
    return factories.agent("g1@briqmind.example", "Gül One")


@pytest.fixture
def g2(db):
    return factories.agent("g2@briqmind.example", "Gus Two")


@pytest.fixture
def m1(db):
    return factories.agent("m1@briqmind.example", "Mia Duty", "duty_manager")


@pytest.fixture
def h1(db):
    return factories.agent("h1@briqmind.example", "Han Head", "head_of_support")


@pytest.fixture
def root(db):
    return factories.agent("root@briqmind.example", "Rut Admin", "administrator", is_superuser=True)
