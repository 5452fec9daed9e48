"""What waits at the broker: wake-ups by queue. They are hints; the database's rows decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from portal import health, schedule
from portal.celery import app

PATIENCE = 1.0  # seconds


@dataclass(frozen=True)
class Waiting:
    """Wake-ups of one queue, and the pieces of the clockwork whose work waits there; None: it cannot be told."""

    queue: str
    count: int | None
    pieces: list[str]


def queues() -> list[Waiting]:
    """Each queue; the broker is not asked where it accepts no connection within a second."""
    counts = _counts() if health.check_broker(settings.CELERY_BROKER_URL).ok else {}
    pieces: dict[str, list[str]] = {}
    for name, (_task, queue, _period) in schedule.WAKES.items():
        pieces.setdefault(queue, []).append(name)
    return [Waiting(queue.name, counts.get(queue.name), pieces[queue.name]) for queue in schedule.QUEUES]


def _counts() -> dict[str, int]:
    options: dict[str, object] = {
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        "max_retries": 0,
    }
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS | options
    found = {}
    try:
        with app.connection_for_read(transport_options=options, connect_timeout=PATIENCE) as line:
            for queue in schedule.QUEUES:
                with line.channel() as channel:
                    found[queue.name] = _waiting(channel, queue.name)
    except Exception:  # whatever a broker's client raises: readiness says what is wrong
        return found
    return found


def _waiting(channel: Any, queue: str) -> int:
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except Exception:  # an empty queue is none at some brokers
        return 0
