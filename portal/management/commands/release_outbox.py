"""`manage.py release_outbox`: let messages of a restored database go out."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from portal import restored


class Command(BaseCommand):
    help = (
        "A restored copy of the database sends nothing and fetches no mail until it is released. "
        "Release it only where it takes the place of the original."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--drop-waiting",
            action="store_true",
            help="do not send what was waiting when the backup was made; the original has sent it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what was held, drop what was waiting if that is wished, and release."""
        now = timezone.now()
        if not restored.hold_reason(now):
            self.stdout.write("Nothing was held: this database is the one it was.")
            return
        if options["drop_waiting"]:
            self.stdout.write(f"{restored.drop_waiting()} waiting messages were dropped.")
        restored.release(now)
        self.stdout.write("Released. Messages go out from now on.")
