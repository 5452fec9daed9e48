"""Headers, cookies, logs and the deployment check: what holds on every answer, whoever asks for what."""

from __future__ import annotations

import ast
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.urls import reverse
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser

from portal.logs import SafeFormatter, hidden
from tests.conftest import T0

ROOT = Path(__file__).resolve().parents[2]
STRICT = {"'unsafe-inline'", "'unsafe-eval'", "'unsafe-hashes'", "*", "http:", "https:", "data:", "blob:"}


def policy(answer) -> dict[str, set[str]]:
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";") if part.strip()]
    return {name: set(values) for name, *values in parts}


PAGES = [
    "/",
    "/incidents/",
    "/incidents/new/",
    "/maintenance/",
    "/status/",
    "/sla/",
    "/profile/",
    "/channels/",
]


@pytest.mark.parametrize("path", [*PAGES, "/accounts/login/", "/accounts/password/reset/", "/no-such-page/"])
def test_no_script_runs_on_a_customer_s_page_but_ours(client, a2, path):
    if not path.startswith("/accounts"):
        client.force_login(a2)
    rules = policy(client.get(path))
    for name in ("script-src", "default-src", "style-src", "form-action", "connect-src"):
        assert not rules.get(name, rules["default-src"]) & STRICT, name
    assert rules["object-src"] == rules["base-uri"] == rules["frame-ancestors"] == {"'none'"}


@pytest.mark.parametrize("name", ["index", "incidents_incident_changelist", "portal_user_changelist"])
def test_the_desk_takes_scripts_from_here_only(client, root, name):
    client.force_login(root)
    rules = policy(client.get(reverse(f"admin:{name}")))
    assert rules["script-src"] == {"'self'", "'unsafe-eval'"}
    assert rules["object-src"] == rules["base-uri"] == rules["frame-ancestors"] == {"'none'"}
    assert rules["default-src"] == rules["form-action"] == {"'self'"}


def test_no_page_of_ours_holds_a_script_or_a_style_in_its_text():
    inline = re.compile(
        r"<script(?![^>]*(?:\bsrc=|type=\"application/json\"))|<style\b|\sstyle=|\son[a-z]+=|javascript:",
        re.IGNORECASE,
    )
    found = [
        (path.relative_to(ROOT).as_posix(), match[0])
        for path in sorted((ROOT / "templates").rglob("*.html"))
        if "emails" not in path.parts and "documents" not in path.parts
        for match in inline.finditer(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/incidents/", "/admin/", "/accounts/login/"])
def test_nobody_on_the_way_keeps_what_somebody_read(client, root, a2, path):
    client.force_login(root if path == "/admin/" else a2)
    kept = client.get(path).headers["Cache-Control"]
    assert "no-store" in kept or ("private" in kept and "no-cache" in kept)
    assert "public" not in kept


@pytest.mark.parametrize("path", ["/", "/api/v1/incidents/", "/admin/", "/no-such-page/", "/healthz"])
def test_every_answer_says_what_others_may_do_with_it(client, a2, path):
    client.force_login(a2)
    headers = client.get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Access-Control-Allow-Origin" not in headers


# --- a production's settings, read by a process of their own ---


def production(*args: str, **more: str) -> subprocess.CompletedProcess:
    """A Python of its own, set up as in production."""
    keep = {name: os.environ[name] for name in ("PATH", "VAR_DIR", "HOME") if name in os.environ}
    keep |= {
        "DEBUG": "false",
        "SECRET_KEY": "wE3-" + "kZ9vQ2_rT7" * 6,
        "SITE_URL": "https://support.example.com",
        "ALLOWED_HOSTS": "support.example.com",
        "EMAIL_URL": "smtp+tls://mail.example.com:587",
        "CLAMAV_URL": "unix:///run/clamav/clamd.ctl",
        "BREACHED_PASSWORDS_FILE": "/srv/known.txt",
    }
    return subprocess.run(
        [sys.executable, *args], cwd=ROOT, env=keep | more, capture_output=True, text=True, timeout=120
    )


def settings_of(names: list[str], **more: str) -> list:
    done = production(
        "-c", f"from portal import settings as s; print([getattr(s, n, None) for n in {names!r}])", **more
    )
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout)


def test_the_deployment_check_has_nothing_to_say_of_a_production():
    done = production("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("wrong", "warning"),
    [
        ({"SITE_URL": "http://support.example.com"}, "portal.W001"),
        ({"EMAIL_URL": ""}, "portal.W002"),
        ({"CLAMAV_URL": ""}, "portal.W004"),
        ({"BREACHED_PASSWORDS_FILE": ""}, "portal.W005"),
        ({"EMAIL_URL": "smtp://mail.example.com:25"}, "portal.W003"),
        ({"IMAP_URL": "imap://in:pw@mail.example.com/INBOX"}, "portal.W003"),
        ({"CELERY_BROKER_URL": "redis://broker.example.com/0"}, "portal.W003"),
        ({"DATABASE_URL": "postgres://p:pw@db.example.com/portal"}, "portal.W003"),
        ({"DATABASE_URL": "postgres://p:pw@db.example.com/portal?sslmode=require"}, "portal.W003"),
    ],
)
def test_the_deployment_check_names_what_is_missing(wrong, warning):
    done = production("manage.py", "check", "--deploy", "--fail-level", "WARNING", **wrong)
    assert done.returncode != 0
    assert warning in done.stderr


def test_what_a_database_address_says_of_tls_is_kept_beside_the_pool():
    url = "postgres://p:pw@db.example.com/portal?sslmode=verify-full"
    database = settings_of(["DATABASES"], DATABASE_URL=url)[0]["default"]
    assert database["OPTIONS"]["sslmode"] == "verify-full"
    assert database["OPTIONS"]["pool"]


def test_cookies_of_a_production_are_for_this_host_and_for_https_only():
    expected = {
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_NAME": "__Host-sessionid",
        "CSRF_COOKIE_SECURE": True,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_NAME": "__Host-csrftoken",
        "LANGUAGE_COOKIE_NAME": "__Host-language",
        "MESSAGE_STORAGE": "portal.own_cookies.Messages",
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 365 * 24 * 3600,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
    }
    assert settings_of(list(expected)) == list(expected.values())


def test_each_further_cookie_is_bound_to_this_host_too():
    names = "import django; django.setup(); from portal import known_browsers as k, own_cookies as o; "
    done = production(
        "-c", names + "print(k.COOKIE, o.HostCookie.cookie_name)", DJANGO_SETTINGS_MODULE="portal.settings"
    )
    assert done.stdout.split() == ["__Host-known_browser", "__Host-messages"], done.stderr


def test_what_the_cache_holds_is_data_and_never_an_object():
    [caches] = settings_of(["CACHES"], CACHE_URL="redis://localhost")
    assert caches["default"]["OPTIONS"]["SERIALIZER"].endswith("JSONSerializer")


@pytest.mark.parametrize("path", ["/api/v1/incidents/", "/api/nothing/", "/calendar/abc.ics"])
def test_a_program_that_asks_without_https_is_refused_and_not_led_on(client, a2, settings, path):
    settings.SECURE_SSL_REDIRECT = True
    client.force_login(a2)
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert "Location" not in answer.headers
    assert client.get(path, secure=True).status_code in (200, 404)


def test_a_page_without_https_is_led_to_it_and_says_so_for_a_year(client, a2, settings):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 365 * 24 * 3600
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    client.force_login(a2)
    assert client.get("/incidents/")["Location"] == "https://testserver/incidents/"
    for path in ("/incidents/", "/api/v1/incidents/", "/no-such-page/"):
        said = client.get(path, secure=True)["Strict-Transport-Security"]
        assert said == "max-age=31536000; includeSubDomains", path


def test_a_static_file_bears_the_policy_too(client, db):
    answer = client.get("/static/js/live.js")
    assert b"".join(answer)
    answer.close()
    assert policy(answer)["frame-ancestors"] == {"'none'"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: +4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
    ],
)
def test_a_request_whose_end_can_be_read_in_two_ways_is_refused_by_the_server(lengths):
    raw = f"POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\n0\r\n\r\n".encode()
    with pytest.raises(ParseException):
        next(RequestParser(Config(), iter([raw]), ("127.0.0.1", 1)))


# --- how often a person may ask ---


@pytest.mark.parametrize(
    ("limit", "ask"),
    [
        ("pages", lambda client: client.get("/profile/")),
        ("forms", lambda client: client.post("/incidents/new/")),
        ("documents", lambda client: client.get("/audit/csv/")),
    ],
)
def test_a_person_s_pages_forms_and_documents_have_a_limit_each(client, a2, a1, settings, limit, ask):
    settings.RATE_LIMITS = {limit: (2, 60)}
    client.force_login(a2)
    with time_machine.travel(T0, tick=False):
        assert [ask(client).status_code == 429 for _ in range(3)] == [False, False, True]
        assert ask(client).headers["Retry-After"] == "60"
        client.force_login(a1)
        assert ask(client).status_code != 429


def test_a_header_of_a_client_makes_no_plain_connection_safe_unless_a_proxy_is_ours():
    names = ["SECURE_PROXY_SSL_HEADER"]
    assert settings_of(names) == [None]
    assert settings_of(names, TRUSTED_PROXY_COUNT="1") == [("HTTP_X_FORWARDED_PROTO", "https")]


def test_no_production_starts_without_a_secret():
    done = production("-c", "import portal.settings", SECRET_KEY="")
    assert done.returncode != 0
    assert "SECRET_KEY is not set" in done.stderr


# --- what a log may hold ---

SPOKEN = {
    "GET /calendar/abcDEF123.ics 200": "abcDEF123",
    "GET /accounts/password/reset/key/3f-c2xyz-abcdef0123456789/": "c2xyz-abcdef0123456789",
    "GET /invitations/Zk3v9QmLr8sT2uVwXyZaBc/ 200": "Zk3v9QmLr8sT2uVwXyZaBc",
    "header Authorization: Bearer 8c9d0e1f2a3b4c5d": "8c9d0e1f2a3b4c5d",
    "the secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "bot xoxb-12345-abcdef": "12345-abcdef",
    "connect to postgres://portal:s3cr3t-pw@db/portal": "s3cr3t-pw",
    "imaps://in:hunter2hunter@mail/INBOX failed": "hunter2hunter",
    "{'password': 'correct-horse-9'}": "correct-horse-9",
    "client_secret=0123456789abcdef&x=1": "0123456789abcdef",
    "GET /accounts/oidc/acme/login/callback/?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj": "SplxlOBe",
    "cookie sessionid=abcdef0123456789": "abcdef0123456789",
    "reply+0123456789abcdef0123456789abcdef@support.example": "0123456789abcdef0123456789abcdef",
}


@pytest.mark.parametrize("line", SPOKEN)
def test_no_secret_stands_in_a_log(line):
    record = logging.LogRecord("portal", logging.ERROR, "x.py", 1, "%s", (line,), None)
    said = SafeFormatter("%(levelname)s %(message)s").format(record)
    assert SPOKEN[line] not in said
    assert said.startswith("ERROR ")


def test_no_secret_stands_in_a_logged_traceback():
    try:
        raise RuntimeError("Authorization: Bearer 8c9d0e1f2a3b4c5d")
    except RuntimeError:
        record = logging.LogRecord("portal", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    said = SafeFormatter("%(message)s").format(record)
    assert "8c9d0e1f2a3b4c5d" not in said
    assert "RuntimeError" in said


@pytest.mark.parametrize(
    "line",
    ["INC-1042: state resolved, code 550 5.1.1 unknown user", "3 tokens expired", "GET /incidents/?q=a"],
)
def test_a_line_without_a_secret_stays_as_it_is(line):
    assert hidden(line) == line


def test_every_line_of_the_product_goes_by_the_safe_formatter():
    for handler in settings.LOGGING["handlers"].values():
        formatter = settings.LOGGING["formatters"][handler["formatter"]]["()"]
        assert formatter in ("portal.logs.SafeFormatter", "portal.logs.JsonFormatter")
    for name in ("django.request", "django.server"):
        assert "tokens" in settings.LOGGING["loggers"][name]["filters"]
