"""Wake-ups of the kernel: each re-reads the rows that decide."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from portal import calendars, outbox


@shared_task
def sweep_outbox() -> str:
    return str(outbox.sweep(timezone.now()))


@shared_task
def deliver_outbox() -> str:
    """The nudge after a commit: the same sweep, at once."""
    return str(outbox.sweep(timezone.now()))


@shared_task
def extend_calendars() -> int:
    return calendars.extend_all(timezone.now())
