"""One collected session, many forks: each child runs some tests in the parent's ready world and reports.

A child starts from the parent's memory (the database included, which is in memory), so nothing that a
mutant breaks outlives it, and one that hangs is killed.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _pytest.runner import runtestprotocol

from tests.mutation import switch


class Following:
    """Stands for the test that comes next: it shares nothing with any test but the session."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def listchain(self) -> list[Any]:
        return [self.session]


class Runner:
    """Runs collected tests again and again inside one session."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.items = {item.nodeid: item for item in session.items}
        self.following: Any = Following(session)

    def prepare(self) -> None:
        """Build what lives as long as the session (the database) by running a test that needs it."""
        item = next(i for i in self.session.items if {"db", "transactional_db"} & set(i.fixturenames))
        assert self.passes(item.nodeid), "the first test fails without any mutant"

    def passes(self, nodeid: str) -> bool:
        return not self.reports(nodeid)

    def reports(self, nodeid: str) -> list[Any]:
        """The failed reports of one run of the test. Nothing of the session is torn down."""
        found = runtestprotocol(self.items[nodeid], log=False, nextitem=self.following)
        return [report for report in found if report.failed]


def forked(
    jobs: list[tuple[Any, Callable[[], Any]]], processes: int, limit: float
) -> Iterator[tuple[Any, Any, float]]:
    """(name, what the job returned or None when it was killed or died, seconds) as each job ends."""
    waiting, running = list(reversed(jobs)), {}
    while waiting or running:
        while waiting and len(running) < processes:
            name, job = waiting.pop()
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                _child(job, writing)
            os.close(writing)
            running[pid] = (name, reading, time.monotonic())
        pid, _status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            name, reading, started = running.pop(pid)
            with os.fdopen(reading) as pipe:
                text = pipe.read()
            yield name, json.loads(text) if text else None, time.monotonic() - started
            continue
        for pid, (_name, _reading, started) in running.items():
            if time.monotonic() - started > limit:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _child(job: Callable[[], Any], writing: int) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        result = json.dumps(job())
        with os.fdopen(writing, "w") as pipe:
            pipe.write(result)
    finally:
        os._exit(0)


def recording(runner: Runner, nodeids: list[str], file: Path) -> Callable[[], str]:
    """A job: run the tests once as written; note what each reaches, and how long it takes."""

    def job() -> str:
        found = {}
        for nodeid in nodeids:
            switch.hits.clear()
            started = time.monotonic()
            failed = runner.reports(nodeid)
            found[nodeid] = {
                "seconds": round(time.monotonic() - started, 3),
                "hits": sorted(switch.hits),
                "passed": not failed,
                "why": str(failed[0].longrepr)[-600:] if failed else "",
            }
        file.write_text(json.dumps(found))
        return str(file)

    return job


def hunting(
    runner: Runner, number: int, tests: Callable[[], list[str]], seconds: float
) -> Callable[[], dict]:
    """A job: run the tests with one site on, until one fails that passes with it off."""

    def job() -> dict:
        ran, until = 0, time.monotonic() + seconds
        for nodeid in tests():
            if time.monotonic() > until:
                return {"killer": "", "ran": ran, "is_late": True}
            ran += 1
            switch.active = number
            failed = not runner.passes(nodeid)
            switch.active = -1
            if failed and runner.passes(nodeid):
                return {"killer": nodeid, "ran": ran}
        return {"killer": "", "ran": ran}

    return job
