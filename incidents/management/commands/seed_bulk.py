"""A large, realistic history for yardsticks: organisations, people, incidents with their timelines and clocks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from incidents.bulk import tables, world
from incidents.bulk.around import Around
from incidents.bulk.lives import Course
from incidents.bulk.seeding import CHUNK, Plan, taken_ids
from incidents.models import Incident
from portal import processes

YEARS = timedelta(days=3652)
EVERY = 10  # seconds between two lines of progress


class Command(BaseCommand):
    help = (
        "Fill a database with a history of many incidents, for measuring; deterministic by --seed and --now."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--incidents", type=int, default=1_000_000)
        parser.add_argument("--organisations", type=int, default=2_000)
        parser.add_argument("--people", type=int, default=20_000)
        parser.add_argument("--open", type=float, default=1.0, help="How many of them are open, in percent.")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--now", type=datetime.fromisoformat, help="When the history ends (ISO, with zone)."
        )
        parser.add_argument("--jobs", type=int, default=1, help="Processes that write side by side.")
        parser.add_argument("--password", help="What every seeded person signs in with; without: nobody can.")
        parser.add_argument("--add", action="store_true", help="Although there are incidents already.")
        parser.add_argument("--yes", action="store_true", help="Although DEBUG is false.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.refuse(options)
        now = (options["now"] or timezone.now()).replace(microsecond=0)
        began, started = now - YEARS, time.monotonic()
        random = Random(options["seed"])  # noqa: S311
        size = world.Size(options["organisations"], options["people"], options["password"])
        with transaction.atomic():
            built = world.build(size, random, began, now)
        self.stdout.write(f"{size.organisations:,} organisations and {size.people:,} people are there.")
        course = Course(options["incidents"], began, now, options["open"] / 100)
        plan = Plan(course, options["seed"], taken_ids())
        written = self.write(plan, built, options["jobs"])
        written += Around(built, random, began, now).write(plan.course.count)
        tables.set_sequences()
        self.index()
        tables.analyse()
        self.report(written, time.monotonic() - started, plan.course.count)

    def refuse(self, options: dict[str, Any]) -> None:
        if not settings.DEBUG and not options["yes"]:
            raise CommandError(
                "This is production (DEBUG is false). Add --yes if you really want to fill it."
            )
        if Incident.objects.exists() and not options["add"]:
            raise CommandError("There are incidents already. Add --add to put the history beside them.")
        if min(options["incidents"], options["organisations"], options["jobs"]) < 1:
            raise CommandError("Ask for one incident, one organisation and one process at least.")

    def write(self, plan: Plan, built: world.World, jobs: int) -> Counter[str]:
        """Every chunk, with a line of progress now and then."""
        total, done = Counter[str](), 0
        started = said = time.monotonic()
        for written in self.chunks(plan, built, jobs):
            total += written
            done = min(plan.course.count, done + CHUNK)
            if time.monotonic() - said > EVERY or done == plan.course.count:
                said = time.monotonic()
                rate = done / (said - started)
                self.stdout.write(f"{done:,} of {plan.course.count:,} incidents, {rate:,.0f} a second.")
        return total

    def chunks(self, plan: Plan, built: world.World, jobs: int) -> Iterator[Counter[str]]:
        calls = ((plan, built, first) for first in range(0, plan.course.count, CHUNK))
        return processes.each("incidents.bulk.seeding:write_chunk", calls, jobs)

    def index(self) -> None:
        """COPY tells nobody of new rows: the search's own tables, where there are some, are filled anew."""
        if "index_search" in get_commands():
            call_command("index_search", stdout=self.stdout)

    def report(self, written: Counter[str], seconds: float, count: int) -> None:
        for table, rows in sorted(written.items()):
            self.stdout.write(f"{rows:>12,} {table}")
        self.stdout.write(f"{count:,} incidents in {seconds:,.0f} s, {count / seconds:,.0f} a second.")
