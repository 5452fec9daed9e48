"""Proof: replay every timeline and compare every rule-derived column with what is stored."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from incidents.models import Incident
from incidents.proof import batches, prove, prove_one
from portal import processes

EVERY = 10  # seconds between two lines of progress


class Command(BaseCommand):
    help = "Replay each incident's facts and print every stored column that differs; exit 1 if any does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("references", nargs="*", help="Only these incidents, such as INC-1042.")
        parser.add_argument("--jobs", type=int, default=1, help="Processes that replay side by side.")

    def handle(self, *args: Any, **options: Any) -> None:
        found, total, started = 0, 0, time.monotonic()
        said = started
        for count, lines in self.proofs(options["references"], options["jobs"]):
            total += count
            found += len(lines)
            for line in lines:
                self.stdout.write(line)
            if time.monotonic() - said > EVERY:
                said = time.monotonic()
                self.stdout.write(f"{total} so far, {total / (said - started):.0f} a second.")
        self.stdout.write(f"{total} incidents replayed, {found} differences.")
        if found:
            raise CommandError("The stored clocks are not what the facts give.", returncode=1)

    def proofs(self, references: list[str], jobs: int) -> Iterable[tuple[int, list[str]]]:
        """How many were replayed and what differs, batch by batch."""
        if references:
            return [(1, prove_one(pk)) for pk in self.named(references)]
        if jobs == 1:
            return (prove(first, last) for first, last in batches())
        return processes.each("incidents.proof:prove", batches(), jobs)

    def named(self, references: list[str]) -> list[int]:
        chosen = []
        for reference in references:
            incident = Incident.objects.by_reference(reference).first()
            if incident is None:
                raise CommandError(f"There is no incident {reference}.")
            chosen.append(incident.pk)
        return chosen
