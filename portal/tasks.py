"""Wake-ups of the kernel: each re-reads the rows that decide."""

from __future__ import annotations

import threading

from celery import shared_task
from django.utils import timezone

from portal import (
    announcing,
    api_once,
    audit_seal,
    calendars,
    outbox,
    retention,
    status_mails,
    tokens,
)
from portal.channels.base import EMAIL, WEBHOOK

# A mail server that hangs would hold every thread of a worker; these many may wait for it, the others
# serve webhooks and clocks.
TURNS = {EMAIL: threading.Semaphore(2), WEBHOOK: threading.Semaphore(1)}


@shared_task
def sweep_outbox() -> str:
    return _sweep(EMAIL)


@shared_task
def deliver_outbox() -> str:
    """The nudge after a commit: the same sweep, at once."""
    return _sweep(EMAIL)


@shared_task
def sweep_webhooks() -> str:
    """By the clockwork and by the nudge after a commit: webhooks never wait for mails."""
    return _sweep(WEBHOOK)


def _sweep(channel: str) -> str:
    if not TURNS[channel].acquire(blocking=False):
        return "others are at it"
    try:
        return str(outbox.sweep(timezone.now(), channel=channel))
    finally:
        TURNS[channel].release()


@shared_task
def extend_calendars() -> int:
    return calendars.extend_all(timezone.now())


@shared_task
def tell_status() -> int:
    return status_mails.tell_status(timezone.now())


@shared_task
def publish_announcements() -> int:
    return announcing.publish_due(timezone.now())


@shared_task
def seal_audit() -> int:
    return audit_seal.seal_all(timezone.now())


@shared_task
def purge_api() -> int:
    """Answers that nobody repeats any more, and tokens that expired long ago."""
    now = timezone.now()
    return api_once.purge(now) + tokens.purge(now)


@shared_task
def run_retention() -> dict[str, int]:
    return retention.sweep(timezone.now())
