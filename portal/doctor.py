"""What `manage.py doctor` looks at: each check says what was seen and what to do, and none fails for another.

Rooms add theirs with `register_check`. Nothing is changed by looking, but for what is put and taken away again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from portal.logs import hidden, on_one_line

logger = logging.getLogger(__name__)
OK, WARN, FAIL = "ok", "warn", "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line: `state` is ok, warn or FAIL; `seen` is what is there, `todo` what to do about it ("" if nothing)."""

    check: str
    state: str
    seen: str
    todo: str = ""


@dataclass(frozen=True)
class Verdict:
    state: str
    seen: str
    todo: str = ""


@dataclass(frozen=True)
class Check:
    """`look(now)` yields verdicts; what it raises becomes a FAIL with `todo`."""

    name: str
    look: Callable[[datetime], Iterable[Verdict]]
    todo: str


_checks: dict[str, Check] = {}


def register_check(check: Check) -> None:
    """Have the doctor look at one more thing, in place of a check of the same name. For an app's ready()."""
    _checks[check.name] = check


def examine(now: datetime) -> Iterator[Finding]:
    """Every check, in the order of their registration, each as soon as it is done. Never raises."""
    for check in list(_checks.values()):
        yield from _findings(check, now)


def _findings(check: Check, now: datetime) -> Iterator[Finding]:
    try:
        for verdict in check.look(now):
            yield Finding(check.name, verdict.state, plain(verdict.seen), verdict.todo)
    except Exception as error:  # whatever a driver raises: the others are looked at all the same
        logger.debug("the check %s failed", check.name, exc_info=True)
        yield Finding(check.name, FAIL, plain(f"{type(error).__name__}: {error}"), check.todo)


def plain(words: str) -> str:
    """On one line and without secrets: drivers repeat addresses with their passwords."""
    return on_one_line(hidden(" ".join(words.split())))[:300]
