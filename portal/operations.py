"""`/operations/`: how the product does, for whoever is on duty. The figures are those of `/metrics`, the verdicts those
of `manage.py doctor` that are cheap; nothing is counted that grows with the years.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from incidents import figures as room
from incidents.models import Clock, InboundMessage, Level
from portal import claims, doctor, figures, queue_figures, request_times
from portal.access import may_use, person_of
from portal.metrics import Pairs
from portal.models import OutboxMessage, User

VIEWS = 12  # rows of request times


def may_read(user: User) -> bool:
    """Whether the person may see figures of all customers together."""
    return user.is_unlimited and may_use(user, "portal.heartbeat", "operations")


@login_required
@require_safe
def operations(request: HttpRequest) -> HttpResponse:
    """403 for whoever is not on duty for all customers."""
    if not may_read(person_of(request)):
        raise PermissionDenied(_("Duty managers who look after all customers see how the product does."))
    now = timezone.now()
    context = verdicts(now) | promises(now) | messages(now) | machinery(now)
    return render(request, "portal/operations.html", {"now": now, **context})


def verdicts(now: datetime) -> dict[str, Any]:
    """What the doctor finds, the worst first."""
    found = list(doctor.examine(now, only_cheap=True))
    order = (doctor.FAILS, doctor.LOOK, doctor.OK)
    by_state = {state: [finding for finding in found if finding.state == state] for state in order}
    return {
        "fails": by_state[doctor.FAILS],
        "looks": by_state[doctor.LOOK],
        "fine": by_state[doctor.OK],
        "to_do": by_state[doctor.FAILS] + by_state[doctor.LOOK],
    }


def promises(now: datetime) -> dict[str, Any]:
    """How late the clockwork is, and by kind and level what is overdue and what was broken within a day."""
    return {
        "clock_lag": round(room.lag(now)),
        "overdue": by_kind(room.overdue(now)),
        "breaches": by_kind(room.breaches(now)),
        "levels": Level.values,
        "storms": room.storms(now),
    }


def by_kind(pairs: Pairs) -> list[dict[str, Any]]:
    """A row for each kind of clock: its words, its count at each level in order, and their sum."""
    counts: dict[str, dict[str, int]] = {}
    for labels, count in pairs:
        counts.setdefault(labels["kind"], {})[labels["level"]] = int(count)
    kinds = [kind for kind in Clock.Kind.values if kind in counts]
    return [
        {
            "kind": Clock.Kind(kind).label,
            "counts": [counts[kind].get(level, 0) for level in Level.values],
            "sum": sum(counts[kind].values()),
        }
        for kind in kinds
    ]


def messages(now: datetime) -> dict[str, Any]:
    """What waits to go out and what came in, and how long."""
    held = {labels["state"]: int(count) for labels, count in room.held(now)}
    ended = {labels["state"]: int(count) for labels, count in figures.ended_last_hour(now)}
    return {
        "waiting": figures.waiting(now),
        "outbox_lag": round(claims.lag(now)),
        "sent_last_hour": ended.get(OutboxMessage.State.SENT, 0),
        "dropped_last_hour": ended.get(OutboxMessage.State.DROPPED, 0),
        "held": held[InboundMessage.State.HELD],
        "held_aside": held[InboundMessage.State.SET_ASIDE],
        "unread_seconds": round(room.unread_seconds(now)),
    }


def machinery(now: datetime) -> dict[str, Any]:
    """When each sweep last ran, what waits at the broker, and how long requests took here."""
    return {
        "beats": figures.beats(now),
        "queues": queue_figures.queues(),
        "times": request_times.request_times()[:VIEWS],
    }
