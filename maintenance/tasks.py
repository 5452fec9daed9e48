"""Wake-ups of maintenance."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from maintenance.sweep import sweep
from portal.turns import in_turns


@shared_task
@in_turns("maintenance")
def sweep_maintenance() -> int:
    return sweep(timezone.now())
