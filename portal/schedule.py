"""What the clockwork wakes and how often, and which queue each wake-up waits in.

Queues part what must never wait for another: a webhook's receiver that hangs, a mailbox that is slow or a
report that is long hold up no mail and no clock. A wake-up that has waited for longer than its period is
thrown away, so that workers that come back find no mountain of them: the rows decide, and one is enough.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery.schedules import crontab
from kombu import Queue

Period = float | crontab

CLOCKS, MAIL, WEBHOOKS, SLOW = "clocks", "mail", "webhooks", "slow"

# name: (task, queue, every so many seconds or at these times)
WAKES: dict[str, tuple[str, str, Period]] = {
    "outbox": ("portal.tasks.sweep_outbox", MAIL, 3.0),
    "webhooks": ("portal.tasks.sweep_webhooks", WEBHOOKS, 3.0),
    "clocks": ("incidents.tasks.sweep_incidents", CLOCKS, 5.0),
    "maintenance": ("maintenance.tasks.sweep_maintenance", CLOCKS, 5.0),
    "windows": ("incidents.tasks.sweep_windows", CLOCKS, 5.0),
    "bridges": ("incidents.tasks.sweep_bridges", CLOCKS, 15.0),
    "alarm sources": ("incidents.tasks.sweep_alarm_sources", CLOCKS, 15.0),
    "service status": ("portal.tasks.tell_status", CLOCKS, 15.0),
    "announcements": ("portal.tasks.publish_announcements", CLOCKS, 15.0),
    "inbox": ("incidents.tasks.sweep_inbox", MAIL, 3.0),
    "scans": ("incidents.tasks.sweep_scans", SLOW, 15.0),
    "audit": ("portal.tasks.seal_audit", SLOW, 60.0),
    "RCAs": ("incidents.tasks.remind_of_rcas", SLOW, crontab(minute="*/5")),
    "summaries": ("incidents.tasks.send_daily_summaries", SLOW, crontab(minute="*/5")),
    "monthly reports": ("incidents.tasks.send_monthly_reports", SLOW, crontab(minute="*/10")),
    "API": ("portal.tasks.purge_api", SLOW, crontab(minute="23")),
    "retention": ("portal.tasks.run_retention", SLOW, crontab(hour="2", minute="41")),
    "search": ("incidents.tasks.fill_search", SLOW, crontab(hour="3", minute="53")),
    "calendars": ("portal.tasks.extend_calendars", SLOW, crontab(hour="3", minute="17")),
}
MAILBOX = ("incidents.tasks.poll_mailbox", SLOW)
NUDGES = {"portal.tasks.deliver_outbox": MAIL}  # woken by a commit only
SHORTEST_WAIT = timedelta(seconds=60)  # so that machines whose clocks differ a little throw away nothing
LONGEST_WAIT = timedelta(minutes=10)

QUEUES = [Queue(name) for name in (CLOCKS, MAIL, WEBHOOKS, SLOW)]


def beat(mailbox_seconds: float) -> dict[str, dict[str, Any]]:
    """Celery's schedule; the mailbox is asked every `mailbox_seconds`."""
    all_of_them = WAKES | {"mailbox": (*MAILBOX, mailbox_seconds)}
    return {
        name: {"task": task, "schedule": period, "options": {"expires": _expires(period)}}
        for name, (task, _queue, period) in all_of_them.items()
    }


def routes() -> dict[str, dict[str, str]]:
    """The queue of each task."""
    named = {task: queue for task, queue, _period in WAKES.values()} | dict([MAILBOX]) | NUDGES
    return {task: {"queue": queue} for task, queue in named.items()}


def _expires(period: Period) -> float:
    """Seconds after which a wake-up is thrown away: the next one is there by then."""
    seconds = LONGEST_WAIT.total_seconds() if isinstance(period, crontab) else period
    return max(SHORTEST_WAIT.total_seconds(), seconds)
