"""One pass of the clockwork over windows: starts, reminders, questions, overruns. Its cost grows with what is due.

Each due window is locked and attended to on its own; running it twice, late, or in several processes
changes nothing more.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import connection, transaction

from maintenance import notify
from maintenance.actions.base import acting
from maintenance.actions.settling import remind
from maintenance.models import MaintenanceWindow
from portal import outbox
from portal.heartbeat import beat
from portal.models import OutboxMessage

logger = logging.getLogger(__name__)
BATCH = 100


def sweep(now: datetime) -> int:
    """Attend to every window that needs it at `now`; returns of how many something was recorded."""
    now = now.replace(microsecond=0)
    pass_on_unreached(now)
    total, seen = 0, set[int]()
    while True:
        due = MaintenanceWindow.objects.filter(attention_at__lte=now).exclude(pk__in=seen)
        ids = list(due.order_by("attention_at", "pk").values_list("pk", flat=True)[:BATCH])
        if not ids:
            break
        seen.update(ids)
        total += sum(_attend_safely(pk, now) for pk in ids)
    beat("maintenance", now)
    return total


def _attend_safely(pk: int, now: datetime) -> bool:
    try:
        return attend(pk, now)
    except Exception:
        logger.exception("maintenance window %s is left to the next sweep", pk)
        return False


def attend(pk: int, now: datetime) -> bool:
    """Do what is due of one window, unless another process is at it; whether anything was."""
    with transaction.atomic():
        skip = connection.features.has_select_for_update_skip_locked
        rows = MaintenanceWindow.objects.select_for_update(skip_locked=skip, of=("self",) if skip else ())
        window = rows.filter(pk=pk, attention_at__lte=now).first()
        if window is None:
            return False
        with acting("attend", window, by=None, now=now, channel="clockwork") as act:
            remind(act)
        return bool(act.events)


def pass_on_unreached(now: datetime) -> int:
    """Whoever is next in line hears of pages about windows that did not arrive: bounced, or set aside."""
    rows = outbox.unhandled_unreached().filter(subject_key__startswith="MW-")
    return sum(_pass_on_safely(pk, now) for pk in list(rows.values_list("pk", flat=True)[:BATCH]))


def _pass_on_safely(pk: int, now: datetime) -> bool:
    try:
        with transaction.atomic():
            claimed = OutboxMessage.objects.filter(pk=pk, is_unreached_handled=False)
            if not claimed.update(is_unreached_handled=True):
                return False
            return notify.pass_on(OutboxMessage.objects.select_related("recipient").get(pk=pk), now)
    except Exception:  # one message's trouble is not the others'
        logger.exception("outbox message %s is passed on by a later sweep", pk)
        return False
