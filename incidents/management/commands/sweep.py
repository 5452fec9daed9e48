"""The clockwork by hand: one pass over inbox, clocks and outbox."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from incidents import scans
from incidents.bridge_sweep import sweep_bridges
from incidents.intake import inbox
from incidents.intake.alarms.heartbeat import sweep_silence
from incidents.intake.alarms.windows import sweep_windows
from incidents.rca_sweep import sweep_rca
from incidents.report_mail import send_monthly_reports
from incidents.summaries import send_daily_summaries
from incidents.sweep import sweep
from maintenance.sweep import sweep as sweep_maintenance
from portal import announcing, api_once, audit_seal, outbox, status_mails, tokens


class Command(BaseCommand):
    help = "One pass of the clockwork over everything that is due: what came in, what is late, what goes out."

    def handle(self, *args: Any, **options: Any) -> None:
        read = inbox.sweep(timezone.now())
        scanned = scans.sweep(timezone.now())
        windows = sweep_maintenance(timezone.now())
        done = {"windows": windows} | sweep_windows(timezone.now()) | sweep(timezone.now())
        done["silent sources"] = sweep_silence(timezone.now())
        done |= sweep_bridges(timezone.now()) | sweep_rca(timezone.now())
        done["summaries"] = send_daily_summaries(timezone.now())
        done["announcements"] = announcing.publish_due(timezone.now())
        done["service states told"] = status_mails.tell_status(timezone.now())
        done["monthly reports"] = send_monthly_reports(timezone.now())
        done["API purged"] = api_once.purge(timezone.now()) + tokens.purge(timezone.now())
        report = outbox.sweep(timezone.now())
        # What the outbox has just delivered may decide verdicts.
        done["accepted"] += sweep(timezone.now())["accepted"]
        done["rows sealed"] = audit_seal.seal_all(timezone.now())
        self.stdout.write("inbox: " + (", ".join(f"{n} {state}" for state, n in read.items()) or "0"))
        self.stdout.write("scans: " + (", ".join(f"{n} {state}" for state, n in scanned.items()) or "0"))
        for name, count in done.items():
            self.stdout.write(f"{name}: {count}")
        self.stdout.write(f"outbox: {report}")
