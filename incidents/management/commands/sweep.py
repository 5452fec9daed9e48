"""The clockwork by hand: one pass over inbox, clocks and outbox."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from incidents.intake import inbox
from incidents.intake.alarms.heartbeat import sweep_silence
from incidents.intake.alarms.windows import sweep_windows
from incidents.summaries import send_daily_summaries
from incidents.sweep import sweep
from maintenance.sweep import sweep as sweep_maintenance
from portal import outbox


class Command(BaseCommand):
    help = "One pass of the clockwork: inbox, maintenance windows, clocks, scheduled updates, closings, summaries, outbox."

    def handle(self, *args: Any, **options: Any) -> None:
        read = inbox.sweep(timezone.now())
        windows = sweep_maintenance(timezone.now())
        done = {"windows": windows} | sweep_windows(timezone.now()) | sweep(timezone.now())
        done["silent sources"] = sweep_silence(timezone.now())
        done["summaries"] = send_daily_summaries(timezone.now())
        report = outbox.sweep(timezone.now())
        # What the outbox has just delivered may decide verdicts.
        done["accepted"] += sweep(timezone.now())["accepted"]
        self.stdout.write("inbox: " + (", ".join(f"{n} {state}" for state, n in read.items()) or "0"))
        for name, count in done.items():
            self.stdout.write(f"{name}: {count}")
        self.stdout.write(f"outbox: {report}")
