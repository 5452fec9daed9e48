"""The search's rows of incidents that have none, in batches beside any other work."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from incidents import search_index

EVERY = 10  # seconds between two lines of progress


class Command(BaseCommand):
    help = (
        "Give incidents that the search does not know yet their rows, the newest first. May be stopped and run "
        "again at any time, also while people work."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--anew", action="store_true", help="Make the rows of all incidents anew.")
        parser.add_argument(
            "--below", type=int, help="Go on with a pass that was stopped: below this id, as it said."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        said, total = time.monotonic(), 0
        for bottom, written in search_index.fill(is_anew=options["anew"], below=options["below"]):
            total += written
            if time.monotonic() - said > EVERY:
                said = time.monotonic()
                self.stdout.write(f"{total:,} rows written; go on with --below {bottom}.")
        self.stdout.write(f"{total:,} rows written; every incident can be found.")
