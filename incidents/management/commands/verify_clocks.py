"""Proof: replay every timeline and compare every rule-derived column with what is stored."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from incidents.clockwork import differences
from incidents.models import Incident


class Command(BaseCommand):
    help = "Replay each incident's facts and print every stored column that differs; exit 1 if any does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("references", nargs="*", help="Only these incidents, such as INC-1042.")

    def handle(self, *args: Any, **options: Any) -> None:
        total = found = 0
        for incident in self.incidents(options["references"]):
            total += 1
            for line in differences(incident):
                found += 1
                self.stdout.write(line)
        self.stdout.write(f"{total} incidents replayed, {found} differences.")
        if found:
            raise CommandError("The stored clocks are not what the facts give.", returncode=1)

    def incidents(self, references: list[str]) -> Any:
        if not references:
            return Incident.objects.order_by("pk").iterator(chunk_size=500)
        chosen = []
        for reference in references:
            incident = Incident.objects.by_reference(reference).first()
            if incident is None:
                raise CommandError(f"There is no incident {reference}.")
            chosen.append(incident)
        return chosen
