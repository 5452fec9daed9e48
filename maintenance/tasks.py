"""Wake-ups of maintenance."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from maintenance.sweep import sweep


@shared_task
def sweep_maintenance() -> int:
    return sweep(timezone.now())
