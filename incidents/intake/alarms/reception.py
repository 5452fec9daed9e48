"""What happens to a request of a source before it is answered: repeats are counted, the rest is stored.

Both are one transaction, so that whoever is told “accepted” need not send it again, and whoever is not
may. Afterwards a little is read at once; much is left to the worker.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import connection, transaction
from django.db.models import F

from incidents.intake import inbox
from incidents.intake.alarms import formats
from incidents.intake.alarms.formats import Alert
from incidents.intake.alarms.levels import is_worse, level_of
from incidents.models import Alarm, AlarmSource, InboundMessage
from portal.models import ServiceSubscription

logger = logging.getLogger(__name__)

READER = "incidents.tasks.sweep_inbox"
ROW = 50  # alerts a stored row: each is read in one transaction, which on SQLite keeps others waiting
LOOKUP = 500
AT_ONCE = 20  # incidents that may come of a request while its sender waits
NUDGES_APART_SECONDS = 1
NUDGE_PAUSE_SECONDS = 15
_turn, _reader = threading.Lock(), threading.Lock()


def in_turn() -> AbstractContextManager[object]:
    """Where one writer at a time has the whole database (SQLite), requests wait here: it lets them poll, and
    whoever polls unluckily waits for seconds."""
    return nullcontext() if connection.features.has_select_for_update else _turn


def receive(source: AlarmSource, payload: Any, alerts: list[Alert], now: datetime) -> None:
    """Take the alerts of one request. Returns once they are safe; raises when they could not be stored."""
    with in_turn(), transaction.atomic():
        left = _to_be_read(source, alerts, now)
        rows = [_store(source, payload, alerts, part, now) for part in _parts(left)]
    if not rows:
        return
    is_little = len(left) * _incidents_each(source) <= AT_ONCE
    if not (is_little and _read_at_once(rows[0], now)):
        transaction.on_commit(wake_reader, robust=True)


def _parts(positions: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(positions), ROW):
        yield positions[start : start + ROW]


def _store(
    source: AlarmSource, payload: Any, alerts: list[Alert], positions: list[int], now: datetime
) -> InboundMessage:
    row, _is_new = inbox.store(
        InboundMessage.Kind.ALARM,
        via="http",
        received_at=now,
        dedupe_key=f"alarm:{uuid.uuid4()}",
        payload=formats.part(payload, positions),
        source=source,
        sender=source.name,
        subject=alerts[positions[0]].title,
    )
    return row


def _incidents_each(source: AlarmSource) -> int:
    """How many incidents one alarm may open."""
    if source.service_id is None:
        return 1
    return 1 + ServiceSubscription.objects.filter(service=source.service_id).count()


def _read_at_once(row: InboundMessage, now: datetime) -> bool:
    """Read it while its sender waits, unless another request is at it: a rush is stored, and read by the worker.

    The sender waits no longer for what goes wrong now: the row is safe, and the next sweep reads it.
    """
    if not _reader.acquire(blocking=False):
        return False
    try:
        with in_turn():
            inbox.process(row.pk, now)
    except Exception:
        logger.exception("inbound message %s is left to the next sweep", row.pk)
    finally:
        _reader.release()
    return True


# --- repeats ---


def _to_be_read(source: AlarmSource, alerts: list[Alert], now: datetime) -> list[int]:
    """Count what only repeats what is known; the positions of the others."""
    left: list[int] = []
    for start in range(0, len(alerts), LOOKUP):
        part = alerts[start : start + LOOKUP]
        known = current_alarms(source, part)
        waits = any(not alert.is_firing for alert in part) and is_any_unread(source)
        repeats: Counter[int] = Counter()
        kept = {alerts[position].fingerprint for position in left}
        for position, alert in enumerate(part, start):
            alarm = known.get(alert.fingerprint)
            if alert.fingerprint in kept:
                left.append(position)  # in the order in which its sender tells them
            elif alert.is_firing and alarm is not None and is_repeat(alarm, alert, source):
                repeats[alarm.pk] += 1
            elif alert.is_firing or waits or (alarm is not None and alarm.status == Alarm.Status.FIRING):
                left.append(position)
                kept.add(alert.fingerprint)
        _count(repeats, now)
    return left


def current_alarms(source: AlarmSource, alerts: list[Alert]) -> dict[str, Alarm]:
    """The present alarm of each fingerprint, locked: always in the same order, so that nobody waits in a ring."""
    wanted = {alert.fingerprint for alert in alerts}
    rows = Alarm.objects.select_for_update(of=("self",)).select_related("incident")
    found = rows.filter(source=source, is_current=True, fingerprint__in=wanted).order_by("pk")
    return {alarm.fingerprint: alarm for alarm in found}


def is_repeat(alarm: Alarm, alert: Alert, source: AlarmSource) -> bool:
    """Whether a firing alert says no more than the alarm that is there: then it is counted."""
    # Without an incident: one that opens nothing, or is recorded on a window, which counts it itself.
    is_heard = alarm.incident.is_unresolved if alarm.incident is not None else not alarm.level
    is_as_before = alarm.status == Alarm.Status.FIRING and is_heard
    return is_as_before and not is_worse(
        level_of(alert, source.level_rules, source.default_level), alarm.level
    )


def is_any_unread(source: AlarmSource, *, before: InboundMessage | None = None) -> bool:
    """Whether something of the source is stored and not read yet: a resolve may be about that."""
    rows = InboundMessage.objects.filter(source=source, state__in=["received", "claimed"])
    return (rows.filter(pk__lt=before.pk) if before else rows).exists()


def _count(repeats: Counter[int], now: datetime) -> None:
    """One update for all that came equally often."""
    by_times: dict[int, list[int]] = {}
    for pk, times in repeats.items():
        by_times.setdefault(times, []).append(pk)
    for times, pks in by_times.items():
        Alarm.objects.filter(pk__in=pks).update(count=F("count") + times, last_at=now.replace(microsecond=0))


# --- the worker ---


class _Broker:
    """In a rush one wake-up is enough; and a broker that was away is not asked again for a while."""

    is_spared_until = 0.0


def wake_reader() -> None:
    """Wake a worker for what is stored. The rows decide: without it, the next sweep reads them."""
    if time.monotonic() < _Broker.is_spared_until:
        return
    _Broker.is_spared_until = time.monotonic() + NUDGES_APART_SECONDS
    try:
        current_app.send_task(READER, retry=False, expires=60)
    except Exception as error:  # whatever a broker's client raises
        _Broker.is_spared_until = time.monotonic() + NUDGE_PAUSE_SECONDS
        logger.warning("could not wake a worker (%s); the next sweep reads", error)
