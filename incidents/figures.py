"""The figures of incidents: how late the clockwork is, what is overdue, what was broken, what waits in the inbox.

Each is found by a partial index or within a bounded time, and none counts incidents that are long closed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet

from incidents.models import Alarm, AlarmSource, Clock, InboundMessage, Incident
from portal.metrics import Gauge, Pairs, register_gauge

DAY = timedelta(hours=24)
State = Clock.State
LAG, BREACHES, OPEN, OVERDUE, HELD, UNREAD, STORMS = (
    "portal_clock_lag_seconds",
    "portal_breaches_last_day",
    "portal_clocks_open",
    "portal_clocks_overdue",
    "portal_inbox_held",
    "portal_inbox_oldest_due_seconds",
    "portal_alarm_storms",
)


def lag(now: datetime) -> float:
    """Seconds by which a sweep should have looked at the clock that waits the longest; 0 if none does."""
    due = Clock.objects.filter(attention_at__lte=now).order_by("attention_at")
    oldest = due.values_list("attention_at", flat=True).first()
    return (now - oldest).total_seconds() if oldest else 0.0


def running(now: datetime) -> Pairs:
    """Clocks of open incidents that run or are paused: it grows with what is open."""
    open_ones = Incident.objects.unresolved().values("pk")
    return _counted(Clock.objects.filter(incident__in=open_ones, state__in=[State.RUNNING, State.PAUSED]))


def overdue(now: datetime) -> Pairs:
    """Clocks of open incidents that are past due and still owed."""
    late = Incident.objects.unresolved().filter(next_due_at__lt=now)
    owed = Q(state=State.RUNNING) | Q(state=State.BREACHED, ended_at=None)
    return _counted(Clock.objects.filter(owed, incident__in=late.values("pk"), due_at__lt=now))


def breaches(now: datetime) -> Pairs:
    """Promises that were broken within the last 24 hours."""
    return _counted(Clock.objects.filter(breached_at__gt=now - DAY, breached_at__lte=now))


def _counted(clocks: QuerySet[Clock]) -> Pairs:
    for kind, level, count in (
        clocks.order_by("kind", "level").values_list("kind", "level").annotate(Count("pk"))
    ):
        yield {"kind": kind, "level": level}, count


def held(now: datetime) -> Pairs:
    """What came in and waits for staff, by state."""
    states = [InboundMessage.State.HELD, InboundMessage.State.SET_ASIDE]
    rows = InboundMessage.objects.filter(state__in=states).order_by()
    counted = dict(rows.values_list("state").annotate(Count("pk")))
    return [({"state": str(state)}, counted.get(state, 0)) for state in states]


def unread_seconds(now: datetime) -> float:
    """How long the oldest message that came in waits to be read; 0 if none is due."""
    waiting = [InboundMessage.State.RECEIVED, InboundMessage.State.CLAIMED]
    due = InboundMessage.objects.filter(state__in=waiting, next_attempt_at__lte=now).order_by(
        "next_attempt_at"
    )
    oldest = due.values_list("next_attempt_at", flat=True).first()
    return (now - oldest).total_seconds() if oldest else 0.0


def storms(now: datetime) -> int:
    """Sources that send as many different alarms at present as make a storm; a query for each length of one."""
    active = AlarmSource.objects.filter(is_active=True).order_by("storm_minutes")
    found = 0
    for minutes in active.values_list("storm_minutes", flat=True).distinct():
        recent = Alarm.objects.filter(
            source__in=active.order_by().filter(storm_minutes=minutes).values("pk"),
            first_at__gt=now - timedelta(minutes=minutes),
        ).order_by()
        counted = recent.values("source", most=F("source__storm_threshold")).annotate(n=Count("pk"))
        found += sum(row["n"] >= row["most"] for row in counted)
    return found


def register() -> None:
    """Make the room's figures known to `/metrics`."""
    for name, words, read in (
        (LAG, "How late the clockwork is for the clock that waits longest.", lambda now: [({}, lag(now))]),
        (OPEN, "Clocks of open incidents that run or are paused.", running),
        (OVERDUE, "Clocks of open incidents that are past due and owed.", overdue),
        (BREACHES, "Promises broken within 24 hours.", breaches),
        (HELD, "What came in and waits for staff.", held),
        (UNREAD, "How long the oldest unread message waits.", lambda now: [({}, unread_seconds(now))]),
        (STORMS, "Sources that send a storm of alarms.", lambda now: [({}, storms(now))]),
    ):
        register_gauge(Gauge(name, words, read))
