"""Alarms of affected services are recorded on the window while it is under way in its agreed time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from maintenance.actions.act import Act
from maintenance.actions.base import acting
from maintenance.models import MaintenanceWindow, WindowAlarm
from maintenance.models.timeline import AlarmRecorded, AlarmResolved
from portal.models import Organisation, Service


@dataclass(frozen=True)
class Heard:
    """One alarm as the room above heard it; `source` and `fingerprint` name it there."""

    service: Service | None
    organisation: Organisation | None
    source: str
    fingerprint: str
    title: str
    is_firing: bool
    inbound: int | None
    at: datetime


def record_alarm(
    service: Service | None,
    organisation: Organisation | None,
    *,
    source: str,
    fingerprint: str,
    title: str,
    is_firing: bool,
    inbound: int | None,
    at: datetime | None = None,
    now: datetime,
) -> WindowAlarm | None:
    """Record what an alarm of the service says, if a window suppresses it; None: it does as ever.

    `at` is its receipt, where that lies before `now`. An alarm of one organisation's own source is
    suppressed only by a window that the organisation was told of; one without a service by none. What was recorded is resolved by its
    source at any time, until it has opened an incident.
    """
    now = now.replace(microsecond=0)
    at = min((at or now).replace(microsecond=0), now)
    alarm = Heard(service, organisation, source, fingerprint, title, is_firing, inbound, at)
    if not is_firing:
        return _resolve(alarm, now)
    window = suppressing(service, organisation, at) if service is not None else None
    if window is None:
        return None
    with acting("record_alarm", window, by=None, now=now, channel="alarm") as act:
        return _fire(act, alarm) if _is_suppressed(act, at) else None


def suppressing(
    service: Service, organisation: Organisation | None, at: datetime
) -> MaintenanceWindow | None:
    """The window in whose agreed time `at` lies for the service; also one that it is time to start. Or None."""
    rows = MaintenanceWindow.objects.under_way(at).filter(affected__service=service)
    if organisation is not None:
        rows = rows.filter(involved__organisation=organisation)
    return next((window for window in rows.distinct().order_by("pk") if window.covers(at)), None)


def _is_suppressed(act: Act, at: datetime) -> bool:
    """Whether the work was under way in its agreed time: it may have been held, or called off."""
    window = act.window
    is_under_way = window.started_at is not None and window.started_at <= at
    return is_under_way and window.covers(at) and (window.ended_at is None or at < window.ended_at)


def _fire(act: Act, alarm: Heard) -> WindowAlarm:
    found = act.window.alarms.filter(source=alarm.source, fingerprint=alarm.fingerprint).first()
    if found is None:
        assert alarm.service is not None  # without one, no window is found
        made = WindowAlarm.objects.create(
            window=act.window,
            service=alarm.service,
            organisation=alarm.organisation,
            source=alarm.source,
            fingerprint=alarm.fingerprint,
            title=alarm.title[:200],
            first_at=alarm.at,
            last_at=alarm.at,
            inbound=alarm.inbound,
        )
        act.record_due(AlarmRecorded(alarm=made.pk), at=alarm.at)
        return made
    found.count += 1
    if alarm.at >= found.last_at:
        found.last_at, found.is_firing, found.inbound = alarm.at, True, alarm.inbound
    found.save()
    return found


def unopened(source: str, fingerprint: str) -> WindowAlarm | None:
    """What was recorded of an alarm that fires still, and has opened nothing; None without such a thing."""
    recorded = WindowAlarm.objects.filter(source=source, fingerprint=fingerprint, opened="", is_firing=True)
    return recorded.select_related("window").order_by("-pk").first()


def _resolve(alarm: Heard, now: datetime) -> WindowAlarm | None:
    found = unopened(alarm.source, alarm.fingerprint)
    if found is None or alarm.at < found.last_at:
        return None
    with acting("resolve_alarm", found.window, by=None, now=now, channel="alarm") as act:
        found.is_firing, found.last_at = False, alarm.at
        found.save(update_fields=["is_firing", "last_at"])
        act.record_due(AlarmResolved(alarm=found.pk), at=alarm.at)
    return found
