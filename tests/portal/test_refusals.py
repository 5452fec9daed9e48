"""What is refused leaves a line, what lies beside the product is not served, and nothing stays after a sign-out."""

from __future__ import annotations

import logging
import sys

import pytest
from django.test import Client

from portal.logs import SafeFormatter
from tests.conftest import T0
from tests.factories import incident

LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"


def said(*args, exc_info=None) -> str:
    record = logging.LogRecord("portal", logging.ERROR, "x.py", 1, *args, exc_info)
    record.created, record.msecs = 1_772_532_000.25, 250.0
    return SafeFormatter(LINE).format(record)


def test_a_line_bears_its_time_in_utc():
    assert said("hello", ()) == "2026-03-03T10:00:00.250Z ERROR portal hello"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x1b[2K", "\u2028", "\x85", "\u202e"])
def test_no_words_begin_an_entry_of_their_own(end):
    forged = f"Not Found: /a{end}2026-03-03T10:00:00.000Z INFO portal audit sealed"
    line = said("%s", (forged,))
    assert len(line.splitlines()) == 1
    assert end not in line
    assert "audit sealed" in line


def test_a_traceback_is_set_in_and_its_words_begin_no_entry():
    try:
        raise RuntimeError("first\n2026-03-03T10:00:00.000Z INFO portal forged")
    except RuntimeError:
        first, *others = said("failed", (), exc_info=sys.exc_info()).splitlines()
    assert first.endswith("failed")
    assert others
    assert all(line.startswith("  | ") for line in others)


def lines_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "portal.refused"]


def test_whoever_asks_for_what_is_others_leaves_a_line(client, b1, a1, caplog):
    made = incident(a1, T0)
    client.force_login(b1)
    client.get(f"/incidents/{made.reference}/?q=hush")
    path = f"/incidents/{made.reference}/"
    assert lines_of(caplog) == [f"404 GET {path} person={b1.pk} address=127.0.0.1"]


def test_a_role_that_does_not_suffice_and_a_wrong_token_leave_a_line(client, a1, caplog):
    client.force_login(a1)
    client.get("/audit/")
    Client().get("/api/v1/incidents/", headers={"Authorization": "Bearer wrong-token"})
    assert lines_of(caplog) == [
        f"403 GET /audit/ person={a1.pk} address=127.0.0.1",
        "401 GET /api/v1/incidents/ person=- address=127.0.0.1",
    ]


def test_a_form_without_its_csrf_token_leaves_a_line(a1, caplog):
    client = Client(enforce_csrf_checks=True)
    client.force_login(a1)
    assert client.post("/profile/", {}).status_code == 403
    assert lines_of(caplog) == [f"403 POST /profile/ person={a1.pk} address=127.0.0.1"]


def test_what_is_answered_leaves_none(client, a1, caplog):
    client.force_login(a1)
    assert client.get("/profile/").status_code == 200
    assert client.get("/metrics").status_code == 404
    assert lines_of(caplog) == []


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/api/v1/incidents/", "/healthz", "/admin/"])
def test_no_page_answers_a_trace(client, a1, path):
    client.force_login(a1)
    answer = client.trace(path, headers={"X-Mine": "hush"})
    assert (answer.status_code, answer.content) == (405, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/.git/config",
        "/.env",
        "/static/",
        "/static/css/",
        "/portal/settings.py",
        "/requirements.lock",
        "/static/../.env",
    ],
)
def test_nothing_that_lies_beside_the_product_is_served(client, a1, path):
    client.force_login(a1)
    assert client.get(path).status_code == 404


def test_signing_out_clears_what_this_browser_kept(client, a1):
    client.force_login(a1)
    assert "Clear-Site-Data" not in client.get("/profile/").headers
    assert client.post("/accounts/logout/").headers["Clear-Site-Data"] == '"cache", "storage"'
