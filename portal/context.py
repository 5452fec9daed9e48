"""What every page needs to know."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from portal import heartbeat


def brand(request: HttpRequest) -> dict[str, Any]:
    """The brand, the present, and whether the clockwork is late (asked only where it is shown)."""
    now = timezone.now()
    return {
        "brand": settings.SUPPORT_BRAND,
        "now": now,
        "is_clockwork_late": SimpleLazyObject(lambda: _is_late(now)),
    }


def _is_late(now: Any) -> bool:
    age = heartbeat.age("clocks", now)
    return age is None or age > settings.READY_MAX_SWEEP_AGE_SECONDS
