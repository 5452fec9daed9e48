"""`manage.py retention`: remove what the retention rules say, or only show what would go."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal import retention


class Command(BaseCommand):
    help = "Remove what is older than its retention rule keeps it. With --preview only count it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--preview", action="store_true", help="write nothing, and say what would go")
        parser.add_argument("--kind", default="", help="only this kind")
        parser.add_argument("--limit", type=int, default=retention.LIMIT, help="rows of a kind at most")

    def handle(self, *args: Any, **options: Any) -> None:
        now, only = timezone.now(), options["kind"]
        if only and only not in retention.KINDS:
            raise CommandError(f"There is no kind {only}. Known: {', '.join(retention.KINDS)}.")
        for rule in retention.rules():
            if only and rule.kind != only:
                continue
            kept = "for ever" if rule.keep_days is None else f"{rule.keep_days} days"
            if options["preview"]:
                seen = retention.preview(rule, now)
                oldest = f", the oldest from {seen.oldest:%Y-%m-%d}" if seen.oldest else ""
                self.stdout.write(f"{rule.kind} ({kept}): would remove {seen.count}{oldest}")
            else:
                done = retention.run(rule, now, limit=options["limit"])
                self.stdout.write(f"{rule.kind} ({kept}): removed {done}")
