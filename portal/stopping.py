"""A worker that is told to end: it begins nothing more, finishes what it is at, and has so long for that.

SIGTERM is Celery's warm shutdown, which waits for its threads without a bound. What is cut off then is safe
(a lease runs out, a transaction is rolled back), so the worker ends by itself before it would be killed.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from celery.signals import worker_shutting_down
from django.conf import settings

logger = logging.getLogger(__name__)
_asked = threading.Event()


def is_asked() -> bool:
    """Whether this process is to end: long sweeps look between two messages."""
    return _asked.is_set()


@worker_shutting_down.connect
def stop(**_more: Any) -> None:
    """Note it, and end in WORKER_STOP_SECONDS whatever may hang."""
    _asked.set()
    end = threading.Timer(settings.WORKER_STOP_SECONDS, give_up)
    end.daemon = True
    end.start()


def give_up() -> None:
    """What is under way is left to the leases. No exit handler: it would wait for the threads, too."""
    logger.warning("not finished after %s s: what is under way is left", settings.WORKER_STOP_SECONDS)
    os._exit(1)
