"""Wake-ups of incidents."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from incidents import report_mail, scans, search_index, summaries
from incidents.bridge_sweep import sweep_bridges as look_at_bridges
from incidents.intake import inbox, mailbox
from incidents.intake.alarms.heartbeat import sweep_silence
from incidents.intake.alarms.windows import sweep_windows as sweep_overruns
from incidents.rca_sweep import sweep_rca
from incidents.sweep import sweep
from portal.turns import in_turns


@shared_task
@in_turns("clocks")
def sweep_incidents() -> dict[str, int]:
    return sweep(timezone.now())


@shared_task
@in_turns("inbox", 2)
def sweep_inbox() -> dict[str, int]:
    return inbox.sweep(timezone.now())


@shared_task
@in_turns("mailbox")
def poll_mailbox() -> int:
    return mailbox.poll(timezone.now())


@shared_task
@in_turns("alarm sources")
def sweep_alarm_sources() -> int:
    return sweep_silence(timezone.now())


@shared_task
@in_turns("bridges")
def sweep_bridges() -> dict[str, int]:
    return look_at_bridges(timezone.now())


@shared_task
@in_turns("summaries")
def send_daily_summaries() -> int:
    return summaries.send_daily_summaries(timezone.now())


@shared_task
@in_turns("windows")
def sweep_windows() -> dict[str, int]:
    return sweep_overruns(timezone.now())


@shared_task
@in_turns("monthly reports")
def send_monthly_reports() -> int:
    return report_mail.send_monthly_reports(timezone.now())


@shared_task
@in_turns("RCAs")
def remind_of_rcas() -> dict[str, int]:
    return sweep_rca(timezone.now())


@shared_task
@in_turns("scans", 2)
def sweep_scans() -> dict[str, int]:
    return scans.sweep(timezone.now())


@shared_task
@in_turns("search")
def fill_search() -> int:
    """What was written beside the verbs, or by the release before, is found from the next morning on."""
    return sum(written for _bottom, written in search_index.fill())
