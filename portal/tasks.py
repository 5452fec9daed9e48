"""Wake-ups of the kernel: each re-reads the rows that decide."""

from __future__ import annotations

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
from portal.turns import in_turns


@shared_task
@in_turns("mails out", 2)
def sweep_outbox() -> str:
    return str(outbox.sweep(timezone.now(), channel=EMAIL))


@shared_task
@in_turns("mails out", 2)
def deliver_outbox() -> str:
    """The nudge after a commit: the same sweep, at once."""
    return str(outbox.sweep(timezone.now(), channel=EMAIL))


@shared_task
@in_turns("webhooks")
def sweep_webhooks() -> str:
    """By the clockwork and by the nudge after a commit: webhooks never wait for mails."""
    return str(outbox.sweep(timezone.now(), channel=WEBHOOK))


@shared_task
@in_turns("calendars")
def extend_calendars() -> int:
    return calendars.extend_all(timezone.now())


@shared_task
@in_turns("service status")
def tell_status() -> int:
    return status_mails.tell_status(timezone.now())


@shared_task
@in_turns("announcements")
def publish_announcements() -> int:
    return announcing.publish_due(timezone.now())


@shared_task
@in_turns("audit")
def seal_audit() -> int:
    return audit_seal.seal_all(timezone.now())


@shared_task
@in_turns("API")
def purge_api() -> int:
    """Answers that nobody repeats any more, and tokens that expired long ago."""
    now = timezone.now()
    return api_once.purge(now) + tokens.purge(now)


@shared_task
@in_turns("retention")
def run_retention() -> dict[str, int]:
    return retention.sweep(timezone.now())
