"""Alarms and maintenance windows: recorded while the work is under way, opened when it outlasts what was agreed.

What a window recorded and what fires still when the agreed time is over, or when the work ends, opens an
incident that counts from that instant: once, however often and late somebody looks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from incidents import actions
from incidents.intake.alarms import incident_texts
from incidents.intake.alarms.formats import Alert
from incidents.intake.alarms.opening import open_for_alarm
from incidents.models import Alarm, AlarmSource, InboundMessage, Incident
from incidents.overruns import owe_rcas
from maintenance.actions import record_alarm, unopened
from maintenance.models import MaintenanceWindow, WindowAlarm
from portal.models import Service

logger = logging.getLogger(__name__)
JOINED_SHOWN = 20


def key_of(source: AlarmSource) -> str:
    """How a window names the source."""
    return str(source.pk)


def record(source: AlarmSource, alarm: Alarm, message: InboundMessage, at: datetime, now: datetime) -> bool:
    """Let a window that covers the alarm record that it fires or, by its source, is over; whether one did."""
    recorded = record_alarm(
        _service_of(source, alarm),
        source.organisation,
        source=key_of(source),
        fingerprint=alarm.fingerprint,
        title=alarm.title,
        is_firing=alarm.status == Alarm.Status.FIRING,
        inbound=message.pk,
        at=at,
        now=now,
    )
    return recorded is not None


def _service_of(source: AlarmSource, alarm: Alarm) -> Service | None:
    """The service that the alarm is about: the source's, or the one that its labels name."""
    if source.organisation is None:
        return source.service
    slug = next((value for name, value in alarm.labels.items() if name.lower() == "service"), "")
    return Service.objects.used_by(source.organisation).filter(slug=slug).first() if slug else None


# --- what outlasts the agreed time ---


def outlasting() -> QuerySet[WindowAlarm]:
    """Recorded alarms that fire still though their window's agreed time, or its work, is over."""
    is_over = Q(window__overrun_at__isnull=False) | Q(window__ended_at__isnull=False)
    return WindowAlarm.objects.filter(is_over, opened="", is_firing=True)


def sweep_windows(now: datetime) -> dict[str, int]:
    """Open what outlasts its window, and write down the RCAs that are owed; how many of each."""
    now = now.replace(microsecond=0)
    pairs = outlasting().order_by("window", "source").values_list("window", "source").distinct()
    opened = sum(_open_safely(window, source, now) for window, source in list(pairs))
    return {"overruns": opened, "window RCAs": owe_rcas(now)}


def _open_safely(window: int, source: str, now: datetime) -> bool:
    try:
        return _open_all(window, source, now)
    except Exception:
        logger.exception("alarms of window %s are left to the next sweep", window)
        return False


def _open_all(window: int, source_key: str, now: datetime) -> bool:
    """Open for every alarm of one source that outlasts one window, in one transaction."""
    with transaction.atomic():
        # As whoever reads alarms does: first the source, then the window.
        locked = AlarmSource.objects.select_for_update(of=("self",), no_key=True)
        source = locked.select_related("organisation", "service").filter(pk=int(source_key)).first()
        if source is None:
            return False
        found = MaintenanceWindow.objects.select_for_update(of=("self",)).get(pk=window)
        rows = list(outlasting().filter(window=found, source=source_key).order_by("pk"))
        pairs = [(row, alarm) for row in rows if (alarm := _current(source, row.fingerprint))]
        if source.storm_threshold <= len(pairs):
            _open_storm(source, found, pairs, now)
        else:
            for row, alarm in pairs:
                _open(source, found, row, alarm, now)
    return bool(pairs)


def _current(source: AlarmSource, fingerprint: str) -> Alarm | None:
    return Alarm.objects.filter(
        source=source, fingerprint=fingerprint, is_current=True, incident=None
    ).first()


def open_outlasting(source: AlarmSource, alarm: Alarm, now: datetime) -> Incident | None:
    """The incident of an alarm that outlasts its window, if it is owed: it fired again before a sweep looked.

    Within the transaction of whoever reads alarms, who holds the source.
    """
    recorded = unopened(key_of(source), alarm.fingerprint)
    if recorded is None or not outlasting().filter(pk=recorded.pk).exists():
        return None
    return _open(source, recorded.window, recorded, alarm, now)


def _open(
    source: AlarmSource, window: MaintenanceWindow, row: WindowAlarm, alarm: Alarm, now: datetime
) -> Incident:
    alert = Alert(alarm.fingerprint, True, alarm.title, alarm.description, alarm.labels)
    incident = open_for_alarm(
        source,
        alarm,
        alert,
        texts=incident_texts.of(alert),
        level=alarm.level,
        now=now,
        received_at=_end_of(window),
        window=window,
    )
    _note(row, alarm, incident)
    return incident


def _open_storm(
    source: AlarmSource,
    window: MaintenanceWindow,
    pairs: Sequence[tuple[WindowAlarm, Alarm]],
    now: datetime,
) -> None:
    """One incident for all: what many alarms at once say is one thing."""
    first = pairs[0][1]
    incident = open_for_alarm(
        source,
        first,
        Alert(first.fingerprint, True, first.title, first.description, first.labels),
        texts=incident_texts.storm(source),
        level=min(alarm.level for _row, alarm in pairs),
        now=now,
        received_at=_end_of(window),
        window=window,
    )
    for number, (row, alarm) in enumerate(pairs):
        _note(row, alarm, incident)
        if number < JOINED_SHOWN:
            actions.join_alarm(incident, alarm=alarm, now=now, received_at=now)


def _end_of(window: MaintenanceWindow) -> datetime:
    """From when on it counts: the agreed end that passed, or the end of the work."""
    end = window.overrun_at or window.ended_at
    assert end is not None  # nothing outlasts a window before
    return end


def _note(row: WindowAlarm, alarm: Alarm, incident: Incident) -> None:
    alarm.incident = incident
    alarm.save(update_fields=["incident"])
    row.opened = incident.reference
    row.save(update_fields=["opened"])
