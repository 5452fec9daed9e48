"""What the viewers of one live bridge cost everybody else: `python -m bench.bridge --viewers 200`.

A new database, SQLite or a new one on the server of DATABASE_URL, with one open bridge and its people. The
web server is started as `manage.py run` starts it. One reader at a time asks for home, the incident, the list
and the API's incident, in turns without and with the viewers, each of whom polls every few seconds with the
ETag of their last answer; every few seconds somebody says something on the bridge. Read the ratios: absolute
times are those of the machine, which the clients share.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pathlib
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from bench.outbox import ROOT, database, free_port

TICKS = os.sysconf("SC_CLK_TCK")


# --- the world ---


@dataclass(frozen=True)
class World:
    """One organisation with an open bridge: its address, and what its people sign in with."""

    reference: str
    bridge: int
    sessions: list[str]
    token: str


def seed(viewers: int, others: int = 30) -> World:
    """A P1 with an open bridge and `viewers` people on it, among other open incidents."""
    from django.conf import settings
    from django.utils import timezone

    from incidents import actions
    from incidents.models import SupportPlan
    from portal.models import ApiToken
    from tests import factories

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody types one here
    now = timezone.now()
    acme = factories.organisation("Acme")
    people = [
        factories.person(f"p{n}@acme.example", f"Person {n:03}", acme, "member") for n in range(viewers)
    ]
    engineer = factories.agent("engineer@vendor.example", "Deniz Engineer")
    for number in range(others):
        factories.incident(people[0], now, "P3", f"Incident {number}")
    made = factories.incident(people[0], now, "P1", "Everything is down")
    SupportPlan.objects.update(has_bridge=True, conference_template="https://meet.example.com/{key}")
    bridge = actions.open_bridge(made, by=engineer, now=now, channel="bridge")
    for person in people:
        actions.join_bridge(bridge, by=person, now=now)
    for number in range(30):
        talk(bridge.pk, f"Note {number}: **node {number}** is back.")
    _row, token = ApiToken.objects.create(people[0], name="bench", scope=ApiToken.Scope.READ)
    return World(made.reference, bridge.pk, [session_of(person) for person in people], token)


def talk(bridge: int, text: str) -> None:
    """Say something on the bridge."""
    from django.utils import timezone

    from incidents import actions
    from incidents.models import Bridge

    there = Bridge.objects.select_related("incident").get(pk=bridge)
    actions.note_on_bridge(there, text=text, by=there.opened_by, now=timezone.now(), channel="bridge")


def session_of(person: object) -> str:
    from django.test import Client

    client = Client()
    client.force_login(person)
    return client.cookies["sessionid"].value


# --- the server ---


def database_url() -> str:
    """The address of the database that this process uses now."""
    from django.db import connection

    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


@contextlib.contextmanager
def web(folder: pathlib.Path) -> Iterator[tuple[int, int]]:
    """The web server as in production; yields its port and its process."""
    from portal.management.commands.run import Command

    port = free_port()
    env = os.environ | {"DEBUG": "false", "DATABASE_URL": database_url(), "VAR_DIR": str(folder)}
    env["RATE_LIMITS"] = "off"
    env |= {"DATABASE_POOL": "true", "SITE_URL": f"http://127.0.0.1:{port}"}
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(collect, cwd=ROOT, env=env, check=True)
    command = [sys.executable, "-m", "gunicorn", "portal.wsgi", *Command().gunicorn(port)]
    with subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True) as running:
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz")
            yield port, running.pid
        finally:
            os.killpg(running.pid, signal.SIGTERM)
            running.wait()


def wait_for(url: str) -> None:
    for _ in range(240):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.25)
    raise SystemExit(f"{url} never answered")


def cpu_seconds(group: int) -> float:
    """Processor time that a process and its children have used so far (Linux)."""
    total = 0.0
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:  # the process group
                total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


# --- the clients ---


@dataclass
class Tally:
    """What the clients of one phase saw: seconds by address, and answers by status."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    wall: float = 0.0
    cpu: float = 0.0

    def note(self, name: str, status: int, took: float) -> None:
        self.seconds.setdefault(name, []).append(took)
        self.statuses.setdefault(name, Counter())[status] += 1

    def at(self, name: str, share: float) -> float:
        """The time in ms within which this share of the answers came."""
        found = sorted(self.seconds.get(name, [])) or [float("nan")]
        return found[min(len(found) - 1, int(len(found) * share))] * 1000


async def get(port: int, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """One GET on a connection of its own: status and ETag; status 0 when nothing came."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        return 0, ""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    etags = [line.partition(": ")[2] for line in head if line.lower().startswith("etag:")]
    return int(head[0].split()[1]) if head[0] else 0, etags[0] if etags else ""


async def timed(tally: Tally, name: str, port: int, path: str, headers: dict[str, str]) -> str:
    began = time.perf_counter()
    status, etag = await get(port, path, headers)
    tally.note(name, status, time.perf_counter() - began)
    return etag


async def viewer(tally: Tally, port: int, world: World, session: str, every: float) -> None:
    path = f"/incidents/{world.reference}/bridge/live/?bridge={world.bridge}&open=1&here=1"
    etag = ""
    await asyncio.sleep(random.random() * every)
    while True:
        headers = {"Cookie": f"sessionid={session}"} | ({"If-None-Match": etag} if etag else {})
        etag = await timed(tally, "poll", port, path, headers) or etag
        await asyncio.sleep(every * (0.9 + 0.2 * random.random()))


async def reader(tally: Tally, port: int, world: World, until: float) -> None:
    """Normal traffic: one request at a time."""
    page = {"Cookie": f"sessionid={world.sessions[0]}"}
    asked = [
        ("home", "/", page),
        ("incident", f"/incidents/{world.reference}/", page),
        ("list", "/incidents/", page),
        ("API", f"/api/v1/incidents/{world.reference}/", {"Authorization": f"Bearer {world.token}"}),
    ]
    while time.perf_counter() < until:
        for name, path, headers in asked:
            await timed(tally, name, port, path, headers)
            await asyncio.sleep(0.05)


def talk_once(bridge: int, text: str) -> None:
    """The same from a thread, which must not keep a connection."""
    from django.db import connection

    try:
        talk(bridge, text)
    finally:
        connection.close()


async def speaker(world: World, every: float) -> None:
    number = 0
    while True:
        await asyncio.sleep(every)
        number += 1
        await asyncio.to_thread(talk_once, world.bridge, f"Said live: {number}")


async def phase(
    tally: Tally, port: int, group: int, world: World, *, seconds: float, every: float, speak: float
) -> None:
    """One stretch of normal traffic, with the viewers unless `every` is 0; everything goes into the tally."""
    began, cpu = time.perf_counter(), cpu_seconds(group)
    watching = [viewer(tally, port, world, session, every) for session in world.sessions if every]
    tasks = [asyncio.create_task(each) for each in [*watching, speaker(world, speak)]]
    await reader(tally, port, world, began + seconds)
    tally.wall += time.perf_counter() - began
    tally.cpu += cpu_seconds(group) - cpu
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# --- the report ---


def report(without: Tally, with_them: Tally, viewers: int) -> None:
    print(f"{'':10}{'without':>18}{f'with {viewers}':>20}{'ratio':>14}")
    print(f"{'ms':10}{'p50':>9}{'p95':>9}{'p50':>11}{'p95':>9}{'p50':>8}{'p95':>6}")
    for name in ("home", "incident", "list", "API"):
        a, b = [[each.at(name, share) for share in (0.5, 0.95)] for each in (without, with_them)]
        ratios = f"{b[0] / a[0]:8.2f}{b[1] / a[1]:6.2f}"
        print(f"{name:10}{a[0]:9.0f}{a[1]:9.0f}{b[0]:11.0f}{b[1]:9.0f}{ratios}")
    polls = with_them.statuses.get("poll", Counter())
    count = polls.total() or 1
    print(
        f"polls: {count / with_them.wall:.1f} a second, {100 * polls[304] / count:.0f} % answered 304;",
        end=" ",
    )
    print(f"p50 {with_them.at('poll', 0.5):.0f} ms, p95 {with_them.at('poll', 0.95):.0f} ms")
    for name, tally in (("without", without), ("with", with_them)):
        answers = sum((each for each in tally.statuses.values()), Counter())
        bad = {status: n for status, n in answers.items() if status not in (200, 304)}
        print(
            f"{name}: {answers.total() / tally.wall:.1f} answers a second,"
            f" {100 * tally.cpu / tally.wall:.0f} % of one processor for the web server, errors: {bad or 'none'}"
        )


async def measure(port: int, group: int, world: World, args: argparse.Namespace) -> None:
    without, with_them = Tally(), Tally()
    await phase(Tally(), port, group, world, seconds=3, every=0, speak=60)  # warm
    for _ in range(args.rounds):
        for tally, every in ((without, 0), (with_them, args.every)):
            stretch = {"seconds": args.seconds, "every": every, "speak": args.speak}
            await phase(tally, port, group, world, **stretch)
    report(without, with_them, len(world.sessions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--every", type=float, default=5, help="seconds between two polls of a viewer")
    parser.add_argument("--speak", type=float, default=15, help="seconds between two notes on the bridge")
    parser.add_argument("--seconds", type=float, default=30, help="length of one stretch")
    parser.add_argument("--rounds", type=int, default=2, help="stretches without and with the viewers")
    args = parser.parse_args()
    os.environ["SECRET_KEY"] = secrets.token_urlsafe(48)
    with tempfile.TemporaryDirectory() as name, database(pathlib.Path(name)):
        world = seed(args.viewers)
        with web(pathlib.Path(name)) as (port, group):
            asyncio.run(measure(port, group, world, args))


if __name__ == "__main__":
    main()
