"""What time does to open bridges: who is silent has left, and one that everybody has left closes after the end.

Only open bridges have an `attention_at`: what this costs grows with them, and with nothing else.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Max, Min

from incidents import actions
from incidents.actions.bridge_base import ABANDONED, SILENCE, count_roster
from incidents.actions.bridge_rca import locked_draft
from incidents.models import Bridge, Incident
from incidents.sweep import each

BATCH = 200
EMPTY = timedelta(minutes=1)  # how often an empty bridge is looked at


def sweep_bridges(now: datetime) -> dict[str, int]:
    """Look at every bridge that is due; returns how many were changed. Running it again changes nothing more."""
    now = now.replace(microsecond=0)
    due = Bridge.objects.filter(attention_at__lte=now).order_by("attention_at", "pk")
    ids = list(due.values_list("pk", flat=True)[:BATCH])
    return {"bridges": each(ids, lambda pk: attend(pk, now))}


def attend(pk: int, now: datetime) -> bool:
    """Note who has left, then close the bridge or set its next look. False when another process did or does it."""
    with transaction.atomic():
        incident = Bridge.objects.values_list("incident", flat=True).get(pk=pk)
        locked_draft(incident)  # before the incident's own lock: in that order publishing takes them
        bridge = _locked(pk)
        if bridge is None or bridge.closed_at is not None:
            return False
        has_left = _note_silent(bridge, now)
        if _is_abandoned(bridge, now):
            actions.close_bridge(bridge, summary="", by=None, now=now, channel="clockwork")
            return True
        Bridge.objects.filter(pk=pk).update(attention_at=_next_look(bridge, now))
    return has_left


def _locked(pk: int) -> Bridge | None:
    """The bridge under the lock of its incident, which every verb takes first."""
    skip = connection.features.has_select_for_update_skip_locked
    rows = Incident.objects.select_for_update(skip_locked=skip, of=("self",) if skip else ())
    incident = rows.filter(bridges=pk).first()
    if incident is None:
        return None
    bridge = Bridge.objects.get(pk=pk)
    bridge.incident = incident
    return bridge


def _note_silent(bridge: Bridge, now: datetime) -> bool:
    """Whoever is not heard of has left when last heard of."""
    silent = bridge.presences.filter(left_at=None, seen_at__lte=now - SILENCE)
    if not silent.update(left_at=F("seen_at")):
        return False
    count_roster(bridge)
    return True


def _is_abandoned(bridge: Bridge, now: datetime) -> bool:
    if bridge.incident.is_unresolved or bridge.presences.filter(left_at=None).exists():
        return False
    last = bridge.presences.aggregate(last=Max("left_at"))["last"] or bridge.opened_at
    return last <= now - ABANDONED


def _next_look(bridge: Bridge, now: datetime) -> datetime:
    """When the first of those present has been silent for too long; nobody there: a minute later."""
    oldest = bridge.presences.filter(left_at=None).aggregate(seen=Min("seen_at"))["seen"]
    return oldest + SILENCE if oldest else now + EMPTY
