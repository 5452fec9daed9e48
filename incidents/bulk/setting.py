"""Where a seeded life takes place: its world, its dice, the ids that its rows take, and the facts that it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from django.db import models

from incidents.bulk.tables import Rows
from incidents.bulk.world import Customer, World

STRIDE = 64  # ids of an incident's own rows: so many are kept free for each, whoever writes them


class NotYet(Exception):
    """The life goes on after the present; it stops here."""


@dataclass(slots=True)
class Event:
    """One fact, as `incidents.models.facts.as_fact` reads it."""

    pk: int
    kind: str
    by: int | None
    channel: str
    at: datetime
    recorded_at: datetime
    payload: dict[str, Any]


class Ids:
    """Ids of the rows of the incident with this number: the same whoever writes them, and in whatever order."""

    def __init__(self, bases: dict[str, int], number: int) -> None:
        self.bases, self.number = bases, number
        self.used: dict[type[models.Model], int] = {}

    def next(self, model: type[models.Model]) -> int:
        """The next id of a table. ValueError once an incident needs more of them than are kept free."""
        used = self.used.get(model, 0)
        if used >= STRIDE:
            raise ValueError(
                f"More than {STRIDE} rows of {model.__name__} for incident number {self.number}."
            )
        self.used[model] = used + 1
        return self.bases.get(model._meta.db_table, 0) + self.number * STRIDE + used + 1


@dataclass
class Setting:
    """Where a life takes place: the world, the organisation, and the dice."""

    world: World
    customer: Customer
    random: Random
    rows: Rows
    ids: Ids
    now: datetime
