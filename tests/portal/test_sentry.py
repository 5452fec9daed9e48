"""Errors go to Sentry only where a DSN is set, and with them no secret and nothing of a person."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal import sentry
from portal.request_ids import bound
from tests.portal.test_hardening import ROOT, production

# What a request and an error of it hold; none of it may leave, however it is written.
SECRETS = [
    *("in-the-path", "in-the-query", "in-the-form", "in-a-cookie", "in-a-header", "in-the-error"),
    *(
        "in-a-variable",
        "ada@acme.example",
        "10.9.8.7",
        "in-the-cause",
        "in-the-arguments",
        "Bearer in-a-line",
    ),
    *("in-the-extra", "in-a-file"),
]

FAILING = """
import logging, sys
import django
django.setup()
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import path
from sentry_sdk.transport import Transport
import sentry_sdk
from portal import sentry
from portal.celery import app

class Kept(Transport):
    sent = []
    def capture_envelope(self, envelope):
        self.sent.append(envelope.serialize())

def boom(request, token):
    password = "in-a-variable"
    try:
        raise KeyError("in-the-cause")
    except KeyError as error:
        raise ValueError(f"in-the-error {request.POST} ada@acme.example") from error

@app.task(name="tests.boom")
def fails(text):
    raise RuntimeError(text)

urlpatterns = [path("boom/<token>/", boom)]
settings.ROOT_URLCONF = "__main__"
settings.MIDDLEWARE = ["portal.request_watch.request_watch"]
settings.ALLOWED_HOSTS = ["*"]
sentry.start("https://key@sentry.example/1", "tests", transport=Kept)
client = Client(raise_request_exception=False, REMOTE_ADDR="10.9.8.7")
client.cookies["sessionid"] = "in-a-cookie"
upload = SimpleUploadedFile("in-a-file.txt", b"in-a-file")
said = client.post("/boom/in-the-path/?code=in-the-query", {"q": "in-the-form", "f": upload}, headers={"X-Api-Key": "in-a-header"})
print("status", said.status_code)
print("request_id", said["X-Request-ID"])
fails.apply(args=["in-the-arguments"])
sentry_sdk.set_user({"email": "ada@acme.example"})
logging.getLogger("portal").error("token=Bearer in-a-line %s", "in-the-error", extra={"said": "in-the-extra"})
print("sent", len(Kept.sent))
sys.stdout.flush()
sys.stdout.buffer.write(b"\\n".join(Kept.sent))
sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def sent():
    """What leaves the process when a request, a task and a line of the log tell of errors."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings", "SENTRY_DSN": ""}
    done = subprocess.run(
        [sys.executable, "-c", FAILING],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_failing_request_task_and_line_are_told(sent):
    assert "status 500" in sent
    assert "sent 0" not in sent
    for word in ('"ValueError"', '"KeyError"', '"RuntimeError"', '"function":"boom"', "__main__.boom"):
        assert word in sent, word


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_and_nothing_of_a_person_leaves(sent, secret):
    assert secret not in sent


def test_the_request_s_id_leads_to_the_log(sent):
    request_id = sent.partition("request_id ")[2].split()[0]
    assert sent.count(request_id) >= 2


def test_only_what_is_named_is_kept():
    event = {
        "level": "error",
        "user": {"email": "x"},
        "server_name": "db.internal",
        "extra": {"a": 1},
        "modules": {"django": "5"},
        "contexts": {"trace": {}},
        "breadcrumbs": {"values": []},
        "request": {"url": "https://x/reply", "data": "x"},
        "message": "whole",
        "something new": "x",
        "tags": {"password": "x"},
        "logentry": {"message": "token=%s", "params": ["x"], "formatted": "token=abcdefgh"},
    }
    with bound("abcdef-0123"):
        kept = sentry.scrubbed(event, {})
    assert kept == {
        "level": "error",
        "logentry": {"message": "token=%s"},
        "tags": {"request_id": "abcdef-0123"},
    }


def test_secrets_in_what_is_kept_are_hidden():
    kept = sentry.scrubbed({"logentry": {"message": "GET /x?token=0123456789abcdef"}}, {})
    assert "0123456789abcdef" not in str(kept)


def test_without_a_dsn_nothing_of_it_is_even_imported():
    done = production("-c", "import django, sys; django.setup(); print('sentry_sdk' in sys.modules)", **SETUP)
    assert done.stdout.strip() == "False", done.stderr


def test_a_dsn_turns_it_on():
    ask = "import django, sentry_sdk; django.setup(); print(sentry_sdk.get_client().options['environment'])"
    more = {"SENTRY_DSN": "https://key@sentry.example/1", "SENTRY_ENVIRONMENT": "staging"}
    done = production("-c", ask, **SETUP, **more)
    assert done.stdout.strip() == "staging", done.stderr


def test_an_address_that_is_none_is_refused_in_words():
    with pytest.raises(ImproperlyConfigured, match="SENTRY_DSN is no address"):
        sentry.start("nonsense", "tests")


def test_a_missing_package_is_told_in_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(ImproperlyConfigured, match="Install the extra"):
        sentry.start("https://key@sentry.example/1", "tests")


SETUP = {"DJANGO_SETTINGS_MODULE": "portal.settings"}
