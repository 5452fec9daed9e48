"""What the rooms do when somebody leaves an organisation. They say so in their app's ready(); the kernel asks.

A room says what must be handed over (`open_work`), and does it (`leave`), in the transaction of the removal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from portal.models import Organisation, User


@dataclass(frozen=True)
class Leaving:
    """Somebody who leaves an organisation; `to` takes over what they leave open. `by` None: an identity provider."""

    person: User
    organisation: Organisation
    to: User | None
    by: User | None
    now: datetime
    channel: str


@dataclass(frozen=True)
class Room:
    """How many things of theirs somebody must take over, and what happens when they leave. Raises Refused."""

    open_work: Callable[[User, Organisation], int]
    leave: Callable[[Leaving], None]


ROOMS: list[Room] = []


def register(room: Room) -> None:
    """Make a room's part known; once. For an app's ready()."""
    if room not in ROOMS:
        ROOMS.append(room)


def open_work(person: User, organisation: Organisation) -> int:
    """How many things are handed over when the person leaves."""
    return sum(room.open_work(person, organisation) for room in ROOMS)


def leave(leaving: Leaving) -> None:
    for room in ROOMS:
        room.leave(leaving)
