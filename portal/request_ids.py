"""One id from a request to its mail: bound to every line that is logged on the way, and written on the outbox row.

A wake-up carries it to the worker as a header of the task; a message's row carries it from whoever wrote the row
to whoever delivers it.
"""

from __future__ import annotations

import re
import uuid
from contextlib import AbstractContextManager

from structlog.contextvars import bound_contextvars, get_contextvars

NAME = "request_id"
HEADER = "X-Request-ID"
PLAIN = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)


def new_id() -> str:
    return uuid.uuid4().hex


def current_id() -> str:
    """The id that lines of this thread bear now; "" outside of any work."""
    return str(get_contextvars().get(NAME, ""))


def plain_id(said: object) -> str:
    """What somebody else calls the work, if it is plain enough to be logged and mailed; else ""."""
    return said if isinstance(said, str) and PLAIN.fullmatch(said) else ""


def bound(request_id: str = "") -> AbstractContextManager[None]:
    """Lines logged within bear `request_id`; without one the present id, and without that a new one."""
    return bound_contextvars(**{NAME: request_id or current_id() or new_id()})
