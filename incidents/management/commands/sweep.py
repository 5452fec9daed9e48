"""The clockwork by hand: one pass over inbox, clocks and outbox."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from incidents.intake import inbox
from incidents.intake.alarms.heartbeat import sweep_silence
from incidents.rca_sweep import sweep_rca
from incidents.summaries import send_daily_summaries
from incidents.sweep import sweep
from portal import outbox


class Command(BaseCommand):
    help = "One pass of the clockwork: inbox, clocks, scheduled updates, closings, RCA reminders, summaries, outbox."

    def handle(self, *args: Any, **options: Any) -> None:
        read = inbox.sweep(timezone.now())
        done = sweep(timezone.now())
        done["silent sources"] = sweep_silence(timezone.now())
        done |= sweep_rca(timezone.now())
        done["summaries"] = send_daily_summaries(timezone.now())
        report = outbox.sweep(timezone.now())
        # What the outbox has just delivered may decide verdicts.
        done["accepted"] += sweep(timezone.now())["accepted"]
        self.stdout.write("inbox: " + (", ".join(f"{n} {state}" for state, n in read.items()) or "0"))
        for name, count in done.items():
            self.stdout.write(f"{name}: {count}")
        self.stdout.write(f"outbox: {report}")
