"""The scanner of files: ClamAV's daemon behind a socket, asked by the worker and never by the door.

An upload is taken at once, for the promise comes first; its file is held until the scanner has looked at it.
What the scanner says of one file is a `Found`; that it does not answer at all is `Away`. Nothing of a file's
content is ever logged.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from clamav_client.clamd import (
    BufferTooLongError,
    ClamdNetworkSocket,
    ClamdUnixSocket,
    CommunicationError,
    ResponseError,
)
from django.conf import settings

from portal import heartbeat
from portal.models import Heartbeat

logger = logging.getLogger(__name__)

SCANNER, ASKED = "scanner", "scanner asked"  # when it last answered, and when it was last asked
TOO_LARGE = "larger than what the scanner takes"
TOO_LONG = "the scanner took too long over it"
PING_SECONDS = 5
NO_ANSWER = "the scanner could not read it"
STRANGE = re.compile(r"[^\w .:/()+-]", re.ASCII)
LONGEST_PAUSE = timedelta(minutes=5)
SILENT_AFTER = timedelta(minutes=10)


class Away(Exception):
    """The scanner does not answer: nothing is known of the file, and the next one need not be asked."""


@dataclass(frozen=True)
class Found:
    """What the scanner says: clean, or infected (with a name), or neither, for a reason of this file's own."""

    is_clean: bool = False
    infection: str = ""
    trouble: str = ""


def is_configured() -> bool:
    return bool(settings.CLAMAV_URL)


def scan(file: Any) -> Found:
    """Hand the file to the scanner, in portions. Away if it cannot be reached, or has died over it."""
    try:
        answers = _client(settings.CLAMAV_TIMEOUT_SECONDS).instream(file)
    except BufferTooLongError:
        return Found(trouble=TOO_LARGE)
    except ResponseError:
        return Found(trouble=NO_ANSWER)
    except (BrokenPipeError, ConnectionResetError) as error:  # so clamd does past its StreamMaxLength
        return _unless_away(error, TOO_LARGE)
    except (CommunicationError, OSError, ValueError) as error:
        return _unless_away(error, TOO_LONG)
    status, name = answers.get("stream", ("", None))
    if status == "OK":
        return Found(is_clean=True)
    if status == "FOUND":
        return Found(infection=STRANGE.sub("", name or "")[:150] or "unknown")
    return Found(trouble=NO_ANSWER) if answers else _unless_away(None, NO_ANSWER)


def _unless_away(error: Exception | None, trouble: str) -> Found:
    """The trouble is the file's own if the scanner still answers: it must not stop the others."""
    try:
        ping()
    except Exception as gone:
        raise Away(type(error or gone).__name__) from gone
    return Found(trouble=trouble)


def ping() -> None:
    """Ask whether anybody is there; raises whatever keeps them from answering."""
    client = _client(PING_SECONDS)
    try:
        client.ping()
    finally:
        client.clamd_socket.close()  # the library leaves it open where nobody was there


def _client(seconds: int) -> ClamdNetworkSocket:
    """A client for CLAMAV_URL: unix:///run/clamav/clamd.ctl or tcp://host:3310."""
    parts = urlsplit(settings.CLAMAV_URL)
    if parts.scheme == "unix":
        return ClamdUnixSocket(path=parts.path, timeout=seconds)
    return ClamdNetworkSocket(host=parts.hostname or "", port=parts.port or 3310, timeout=seconds)


# --- whether it is there ---


def is_time_to_ask(now: datetime) -> bool:
    """While it is away it is asked ever less often, up to every five minutes."""
    asked = _beat(ASKED)
    answered = _beat(SCANNER)
    if asked is None or (answered is not None and answered >= asked):
        return True
    away = asked - answered if answered else timedelta(0)
    return now - asked >= min(LONGEST_PAUSE, max(timedelta(seconds=10), away / 4))


def note_asked(now: datetime) -> None:
    heartbeat.beat(ASKED, now)


def note_answered(now: datetime) -> None:
    heartbeat.beat(SCANNER, now)


def _beat(name: str) -> datetime | None:
    found = Heartbeat.objects.filter(name=name).first()
    return found.beat_at if found else None
