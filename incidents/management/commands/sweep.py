"""The clockwork by hand: one pass over inbox, clocks and outbox."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from incidents.intake import inbox
from incidents.intake.alarms.heartbeat import sweep_silence
from incidents.report_mail import send_monthly_reports
from incidents.summaries import send_daily_summaries
from incidents.sweep import sweep
from portal import announcing, outbox, status_mails


class Command(BaseCommand):
    help = "One pass of the clockwork: inbox, clocks, scheduled updates, closings, summaries, announcements, service states, outbox."

    def handle(self, *args: Any, **options: Any) -> None:
        read = inbox.sweep(timezone.now())
        done = sweep(timezone.now())
        done["silent sources"] = sweep_silence(timezone.now())
        done["summaries"] = send_daily_summaries(timezone.now())
        done["monthly reports"] = send_monthly_reports(timezone.now())
        done["announcements"] = announcing.publish_due(timezone.now())
        done["service states told"] = status_mails.tell_status(timezone.now())
        report = outbox.sweep(timezone.now())
        # What the outbox has just delivered may decide verdicts.
        done["accepted"] += sweep(timezone.now())["accepted"]
        self.stdout.write("inbox: " + (", ".join(f"{n} {state}" for state, n in read.items()) or "0"))
        for name, count in done.items():
            self.stdout.write(f"{name}: {count}")
        self.stdout.write(f"outbox: {report}")
