"""How many threads of a process may be at the same work: what hangs holds so many, and the others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

Result = TypeVar("Result")
OTHERS = "others are at it"
TURNS: dict[str, threading.Semaphore] = {}
HOLDS: dict[str, int] = {}


def in_turns(name: str, count: int = 1) -> Callable[[Callable[[], Result]], Callable[[], Result | str]]:
    """Let `count` threads do the work called `name`, whatever tasks it is part of; who comes then turns away.

    Nothing is missed: what a wake-up is for stands in the database, and the next one looks again.
    """
    turns = TURNS.setdefault(name, threading.Semaphore(count))
    HOLDS.setdefault(name, count)

    def decorate(work: Callable[[], Result]) -> Callable[[], Result | str]:
        @wraps(work)
        def taken() -> Result | str:
            if not turns.acquire(blocking=False):
                return OTHERS
            try:
                return work()
            finally:
                turns.release()

        taken.work_name = name  # type: ignore[attr-defined]
        return taken

    return decorate
