"""When each piece of clockwork last ran."""

from __future__ import annotations

from datetime import datetime

from portal.models import Heartbeat


def beat(name: str, now: datetime) -> None:
    """Note that the clockwork `name` has run at `now`."""
    Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": now})


def age(name: str, now: datetime) -> float | None:
    """Seconds since `name` last ran, never negative; None if it never has."""
    found = Heartbeat.objects.filter(name=name).first()
    return max(0.0, (now - found.beat_at).total_seconds()) if found else None
