"""What `manage.py doctor` looks at: each check says what was seen and what to do, and none fails for another.

Rooms add theirs with `register_check`. Nothing is changed by looking, but for what is put and taken away again.
The page of operation shows those checks that are cheap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise

from portal.logs import hidden, on_one_line

logger = logging.getLogger(__name__)
OK, LOOK, FAILS = "ok", "look", "fails"


@dataclass(frozen=True)
class Finding:
    """One line: `state` is ok, look or fails; `seen` is what is there, `todo` what to do about it ("" if nothing)."""

    check: str
    state: str
    seen: str
    todo: str = ""


@dataclass(frozen=True)
class Verdict:
    """A finding of a check that need not say its own name."""

    state: str
    seen: str
    todo: str = ""


@dataclass(frozen=True)
class Check:
    """`look(now)` yields verdicts; what it raises is a failure with `todo`. One that asks no other machine than the
    database, and that shortly, `is_cheap`: its words are translated.
    """

    name: str
    look: Callable[[datetime], Iterable[Verdict]]
    todo: str | Promise
    is_cheap: bool = False


_checks: dict[str, Check] = {}


def register_check(check: Check) -> None:
    """Have the doctor look at one more thing, in place of a check of the same name. For an app's ready()."""
    _checks[check.name] = check


def examine(now: datetime, *, only_cheap: bool = False) -> Iterator[Finding]:
    """Every check, each as soon as it is done: the database, other machines, then figures. Never raises."""
    for check in sorted(_checks.values(), key=lambda check: (check.is_cheap, check.name != "database")):
        if check.is_cheap or not only_cheap:
            yield from _findings(check, now)


def _findings(check: Check, now: datetime) -> Iterator[Finding]:
    try:
        for verdict in check.look(now):
            yield Finding(check.name, verdict.state, plain(verdict.seen), plain(verdict.todo))
    except Exception as error:  # whatever a driver raises: the others are looked at all the same
        logger.debug("the check %s failed", check.name, exc_info=True)
        yield Finding(check.name, FAILS, plain(f"{type(error).__name__}: {error}"), str(check.todo))


def plain(words: str) -> str:
    """On one line and without secrets: drivers repeat addresses with their passwords."""
    return on_one_line(hidden(" ".join(words.split())))[:300]
