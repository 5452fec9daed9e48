"""Databases of a given size, the production web server before each of them, and somebody who asks it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg

from bench.alarms import GUNICORN, ROOT, free_port

PATIENCE = 10  # seconds for one statement
PASSWORD = "bench-password-9"


# --- databases ---


@dataclass(frozen=True)
class Server:
    """The PostgreSQL server that DATABASE_URL leads to; the database that it names is left alone."""

    url: str

    def of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def run(self, statement: str) -> None:
        with psycopg.connect(self.of("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def has(self, name: str) -> bool:
        with psycopg.connect(self.of("postgres")) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", [name])
            return found.fetchone() is not None

    def drop(self, name: str) -> None:
        self.run(f'drop database if exists "{name}" with (force)')

    def copy(self, name: str, of: str) -> None:
        self.drop(name)
        self.run(f'create database "{name}" template "{of}"')


def environment(server: Server, name: str, folder: Path) -> dict[str, str]:
    """A production process on that database, without what keeps a client off that asks without a pause."""
    return os.environ | {
        "DATABASE_URL": server.of(name),
        "DEBUG": "false",
        "SECRET_KEY": "a-secret-of-the-bench-that-protects-nothing-at-all",
        "VAR_DIR": str(folder),
        "RATE_LIMITS": "off",
        "STAFF_SECOND_FACTOR": "false",
        "SIGN_IN_NOTICES": "false",
        "DJANGO_SETTINGS_MODULE": "bench.scale_settings",
    }


def manage(env: Mapping[str, str], *args: str) -> str:
    """What a command of manage.py prints; SystemExit with its errors if it fails."""
    return python(env, "manage.py", *args)


def python(env: Mapping[str, str], *args: str) -> str:
    done = subprocess.run(
        [sys.executable, *args], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{args}: {done.stderr[-3000:]}")
    return done.stdout.strip()


def prepare(server: Server, name: str, env: Mapping[str, str], *seed: str) -> bool:
    """The database, migrated and seeded; one that is there already is used as it is. Whether it was made."""
    is_new = not server.has(name)
    if is_new:
        server.run(f'create database "{name}"')
    manage(env, "migrate", "-v0", "--no-input")
    if not holds_incidents(server, name):
        began = time.monotonic()
        manage(env, "seed_bulk", "--yes", "--password", PASSWORD, "--jobs", "2", *seed)
        print(f"{name}: seeded in {time.monotonic() - began:.0f} s", flush=True)
    return is_new


def holds_incidents(server: Server, name: str) -> bool:
    with psycopg.connect(server.of(name)) as connection:
        return connection.execute("select exists (select 1 from incidents_incident)").fetchone()[0]


# --- the web server ---


@dataclass
class Site:
    """A web server on a database: whom to ask as, and what is in it (`facts`, from `bench.scale_inside`)."""

    name: str
    env: dict[str, str]
    port: int = 0
    facts: dict = field(default_factory=dict)
    process: subprocess.Popen | None = None
    browsers: dict[str, Browser] = field(default_factory=dict)
    filed: list[str] = field(default_factory=list)

    def rss(self) -> float:
        """Megabytes that the server's processes hold in memory."""
        pids = [self.process.pid, *children(self.process.pid)]
        return sum(resident(pid) for pid in pids) / 1024

    def sign_in(self) -> None:
        self.browsers = {who: self.browser(who) for who in ("customer", "staff", "api")}

    def browser(self, who: str) -> Browser:
        """A new connection of that person's: by a session, or by a token."""
        browser = Browser(self.port)
        if who == "api":
            browser.headers["Authorization"] = f"Bearer {self.facts['token']}"
        else:
            browser.sign_in(self.facts[who])
        return browser

    def browser_like(self, who: str) -> Browser:
        """Another connection of the same session."""
        browser = Browser(self.port)
        browser.headers, browser.cookies = dict(self.browsers[who].headers), dict(self.browsers[who].cookies)
        return browser


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in listed.split()]


def resident(pid: int) -> int:
    """Kilobytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


@contextmanager
def serving(site: Site, workers: int):
    """Gunicorn as `manage.py run` starts it, with the bench's empty pages. The static files are collected."""
    site.port = free_port()
    options = f"--bind 127.0.0.1:{site.port} {GUNICORN}".replace("--workers 1", f"--workers {workers}")
    command = [sys.executable, "-m", "gunicorn", "portal.wsgi", *options.split()]
    with ExitStack() as stack:
        log = stack.enter_context((Path(site.env["VAR_DIR"]) / f"web-{site.name}.log").open("wb"))
        started = subprocess.Popen(command, cwd=ROOT, env=impatient(site.env), stderr=log)
        site.process = stack.enter_context(started)
        stack.callback(site.process.terminate)
        wait_for(site.port)
        site.sign_in()
        yield site


def impatient(env: dict[str, str]) -> dict[str, str]:
    """A page that needs a statement of more than ten seconds has failed; the bench goes on without it."""
    options = urlencode({"options": f"-c statement_timeout={PATIENCE * 1000}"}, quote_via=quote)
    return env | {"DATABASE_URL": f"{env['DATABASE_URL']}?{options}"}


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"Nothing answers at port {port}.")


# --- who asks ---


class Failed(Exception):
    """The answer was an error."""


@dataclass
class Answer:
    status: int
    seconds: float
    headers: http.client.HTTPMessage
    body: bytes


class Browser:
    """One keep-alive connection with its cookies."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.headers: dict[str, str] = {"Accept-Language": "en"}
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """The answer, and how long it took until its last byte. `Failed` for one that is an error."""
        sent = self.headers | headers
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        began = time.perf_counter()
        answer = self._answer(method, path, body, sent)
        content = answer.read()
        took = time.perf_counter() - began
        for line in answer.headers.get_all("Set-Cookie") or []:
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        if answer.status >= 400:
            raise Failed(f"{method} {path}: {answer.status} {content[:300]!r}")
        return Answer(answer.status, took, answer.headers, content)

    def _answer(self, method: str, path: str, body: bytes | None, headers: dict[str, str]):
        """Once more where the server has closed a connection that was idle for long."""
        try:
            self.connection.request(method, path, body, headers)
            return self.connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.connection.close()
            self.connection.request(method, path, body, headers)
            return self.connection.getresponse()

    def post(self, path: str, form: Mapping[str, str], **headers: str) -> Answer:
        fields = dict(form) | {"csrfmiddlewaretoken": self.cookies.get("csrftoken", "")}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, urlencode(fields).encode(), **headers)

    def sign_in(self, email: str) -> None:
        self.ask("GET", "/accounts/login/")
        answer = self.post("/accounts/login/", {"login": email, "password": PASSWORD})
        if answer.status != 302 or "sessionid" not in self.cookies:
            raise SystemExit(f"{email} could not sign in: {answer.status}")
