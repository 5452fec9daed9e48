"""What every page needs to know."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from portal import health
from portal.access import is_agent


def brand(request: HttpRequest) -> dict[str, Any]:
    """The brand, the present, and for staff whether the clockwork is late (asked only where it is shown)."""
    now = timezone.now()
    return {
        "brand": settings.SUPPORT_BRAND,
        "now": now,
        "is_clockwork_late": SimpleLazyObject(lambda: _is_late(request, now)),
    }


def _is_late(request: HttpRequest, now: datetime) -> bool:
    user = getattr(request, "user", None)  # an error page may be rendered before anybody signed in
    return user is not None and is_agent(user) and health.is_clockwork_late(now)
