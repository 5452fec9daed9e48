"""`manage.py verify_audit`: recompute every seal and say what differs."""

from __future__ import annotations

from argparse import ArgumentParser
from time import perf_counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.audit_check import Checked, check


class Command(BaseCommand):
    help = (
        "Recompute the seals of the audit and of every timeline from the rows that stand there now. "
        "Ends with 1 if anything was changed, removed or put between."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--anchor",
            default="",
            metavar="SEAL",
            help="a seal that you kept elsewhere: it must be in the chain",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each table. CommandError (exit 1) for any difference."""
        began = perf_counter()
        report = check(options["anchor"].strip().lower())
        taken = perf_counter() - began
        for each in report.tables.values():
            self.stdout.write(line(each))
        rows = sum(each.rows for each in report.tables.values())
        self.stdout.write(f"{rows} rows in {taken:.1f} s ({rows / max(taken, 0.001):.0f} rows/s)")
        self.stdout.write(f"newest seal: {report.newest or 'none'}")
        if report.has_anchor is False:
            raise CommandError("The anchor is not in the chain: the seals were rewritten or cut.")
        if not report.is_whole:
            count = sum(each.differences for each in report.tables.values())
            raise CommandError(f"{count} differences: what was sealed is not what stands there.")


def line(each: Checked) -> str:
    text = f"{each.table}: {each.rows} rows, {each.seals} seals, {each.purged} purged, {each.unsealed} not sealed yet"
    if each.table in ("seals", "purges", "origins"):
        text = f"{each.table}: {each.rows} checked"
    return (
        f"{text}; DIFFERS: {each.first} ({each.differences} in all)"
        if each.differences
        else f"{text}; as sealed"
    )
