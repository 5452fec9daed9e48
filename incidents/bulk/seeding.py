"""Incidents in chunks, each written in a transaction of its own: by one process, or by several at once.

A chunk is the same whoever writes it: it has dice of its own, and its rows' ids follow from the incidents'
numbers.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from random import Random

from django.db import models, transaction

from incidents.bulk import lives
from incidents.bulk.analyses import owe_rca
from incidents.bulk.beside import write_beside
from incidents.bulk.clocks import replay, write_clocks
from incidents.bulk.lives import Course
from incidents.bulk.setting import Ids, Setting
from incidents.bulk.story import Story
from incidents.bulk.tables import Rows
from incidents.bulk.world import World
from incidents.models import (
    RCA,
    ActionPlan,
    ActionPlanStep,
    Clock,
    DocumentedSolution,
    Escalation,
    Incident,
    IncidentEvent,
    LevelValidation,
    Message,
    PreventionAction,
    RCACopy,
    RCAEvent,
    RCAVersion,
    Release,
    StatusUpdate,
    Watcher,
)
from incidents.sla import Kind
from portal.models import OutboxMessage, ServiceImpact

CHUNK = 2_000
OF_INCIDENTS: tuple[type[models.Model], ...] = (
    RCA, ActionPlan, ActionPlanStep, Clock, DocumentedSolution, Escalation, Incident, IncidentEvent,
    LevelValidation, Message, OutboxMessage, PreventionAction, RCACopy, RCAEvent, RCAVersion, Release,
    ServiceImpact, StatusUpdate, Watcher, Incident.services.through,
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """The whole history: how its incidents spread over time, by which dice, and the ids that are taken."""

    course: Course
    seed: int
    bases: dict[str, int]  # by table


def taken_ids() -> dict[str, int]:
    """The highest id of each table that incidents write to."""
    return {
        model._meta.db_table: model._default_manager.aggregate(top=models.Max("pk"))["top"] or 0
        for model in OF_INCIDENTS
    }


def write_chunk(plan: Plan, world: World, first: int) -> Counter[str]:
    """Write the incidents `first`, `first + 1`, … of one chunk; returns how many rows of each table."""
    random, rows = Random(f"{plan.seed}:{first}"), Rows()  # noqa: S311
    for number in range(first, min(plan.course.count, first + CHUNK)):
        _incident(plan, world, random, rows, number)
    with transaction.atomic():
        return Counter(rows.write())


def _incident(plan: Plan, world: World, random: Random, rows: Rows, number: int) -> None:
    course = plan.course
    customer = world.customers[bisect(world.weights, random.random() * world.weights[-1])]
    setting = Setting(world, customer, random, rows, Ids(plan.bases, number), course.now)
    opened_at, stays_open = course.opened_at(number).replace(microsecond=0), course.stays_open(number)
    level = lives.level_at(course.now - opened_at, random.random(), stays_open=stays_open)
    story = Story(setting, plan.bases[Incident._meta.db_table] + number + 1, level, opened_at)
    lives.live(story, stays_open=stays_open)
    _finish(story, course.now)


def _finish(story: Story, now: datetime) -> None:
    """Clocks as of now while anything is owed, else as of the last word."""
    last = story.events[-1].recorded_at
    ledger = replay(story, last)
    if any(clock.is_owed for clock in ledger.clocks):
        last = now
        ledger.settle(now)
    if ledger.owed(Kind.RCA):
        owe_rca(story)
    derived = write_clocks(story, ledger, last)
    write_beside(story)
    story.write_events()
    story.write_row(last, derived)
