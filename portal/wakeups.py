"""Wake a worker after the commit. The rows decide, so a broker that is away costs seconds, not messages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from celery import Signature, Task, current_app
from django.db import connection, transaction

from portal.channels.base import WEBHOOK
from portal.request_ids import NAME, current_id

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 15


class Broker:
    """A broker that was away is not asked again for a while: people wait for these answers."""

    is_spared_until = 0.0


def on_commit(channel: str) -> None:
    """Once a transaction and channel, however many messages it queues."""
    wake: Callable[[], None] = nudge_webhooks if channel == WEBHOOK else nudge
    if not any(entry[1] is wake for entry in connection.run_on_commit):
        transaction.on_commit(wake, robust=True)


def nudge() -> None:
    """Let a worker send the mails that are due."""
    from portal.tasks import deliver_outbox  # noqa: PLC0415 (tasks import the outbox)

    _wake(deliver_outbox)


def nudge_webhooks() -> None:
    """Let a worker send the webhooks that are due."""
    from portal.tasks import sweep_webhooks  # noqa: PLC0415 (tasks import the outbox)

    _wake(sweep_webhooks)


SCANS = "incidents.tasks.sweep_scans"  # by its name: the kernel knows no room


def scan_on_commit() -> None:
    """Once a transaction, however many files it stores."""
    if not any(entry[1] is nudge_scans for entry in connection.run_on_commit):
        transaction.on_commit(nudge_scans, robust=True)


def nudge_scans() -> None:
    """Let a worker have the new files scanned."""
    _wake(current_app.signature(SCANS))


def _wake(task: Task | Signature) -> None:
    if time.monotonic() < Broker.is_spared_until:
        return
    try:
        task.apply_async(retry=False, expires=60, headers={NAME: current_id()})
    except Exception as error:  # whatever a broker's client raises: the next sweep sends all the same
        Broker.is_spared_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("could not wake a worker (%s); the next sweep delivers", error)
