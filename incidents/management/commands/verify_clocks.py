"""Proof: replay every timeline and compare every rule-derived column with what is stored."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from incidents.clockwork import differences
from incidents.models import Incident


class Command(BaseCommand):
    help = "Replay each incident's facts and print every stored column that differs; exit 1 if any does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("references", nargs="*", help="Only these incidents, such as INC-1042.")

    def handle(self, *args: Any, **options: Any) -> None:
        total = found = 0
        for pk in self.incidents(options["references"]):
            total += 1
            for line in self.differences(pk):
                found += 1
                self.stdout.write(line)
        self.stdout.write(f"{total} incidents replayed, {found} differences.")
        if found:
            raise CommandError("The stored clocks are not what the facts give.", returncode=1)

    def differences(self, pk: int) -> list[str]:
        """Compare under the incident's lock: a sweep between reading its row and its clocks is no difference."""
        with transaction.atomic():
            return differences(Incident.objects.select_for_update(of=("self",)).get(pk=pk))

    def incidents(self, references: list[str]) -> Iterable[int]:
        if not references:
            return Incident.objects.order_by("pk").values_list("pk", flat=True)
        chosen = []
        for reference in references:
            incident = Incident.objects.by_reference(reference).first()
            if incident is None:
                raise CommandError(f"There is no incident {reference}.")
            chosen.append(incident.pk)
        return chosen
