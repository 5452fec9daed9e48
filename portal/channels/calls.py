"""One HTTP request to an address outside, bounded in time and size: what every webhook and chat message goes by.

The address is checked by the guard, the line is ours alone: no redirect is followed, no proxy of the
environment is asked, no answer is unpacked. Receivers like to quote addresses, and these are secrets:
`hide` takes them out of whatever is kept.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from django.utils import timezone

from portal.channels import guard
from portal.channels.base import Gone, Permanent, Temporary, one_line
from portal.channels.limit import Guard

TOTAL_SECONDS = 10.0
ANSWER_BYTES = 64 * 1024
LONGEST_WAIT = 3600  # seconds that a receiver may ask us to stay away
COME_BACK = frozenset({408, 409, 425, 429})  # of the 4xx, those that ask for another try
ASK_TO_WAIT = frozenset({429, 503})
SHORT = 6  # characters: less than that is no secret, and stands in ordinary words


@dataclass(frozen=True)
class Answer:
    """What a receiver said: the status and its words, and so much of the body as anybody needs."""

    target: guard.Target
    status: int
    words: str
    body: bytes = field(default=b"", repr=False)
    retry_after: int | None = None  # seconds

    @property
    def said(self) -> str:
        return one_line(f"{self.status} {self.words}", 200)


class Call(http.client.HTTPConnection):
    """One request over a line that was opened by the guard, and never over another."""

    auto_open = 0  # it would resolve the name anew, unguarded


def call(url: str, content: bytes, headers: dict[str, str]) -> Answer:
    """POST to a checked address, all in TOTAL_SECONDS; whatever was answered is the caller's to judge.

    Raises Permanent for an address that nothing may go to, OSError or HTTPException if nothing proper
    was answered.
    """
    limit = Guard()
    try:
        with limit.limit(TOTAL_SECONDS):
            target = guard.check(url)
            with contextlib.closing(open_line(target, limit)) as line:
                answer = _ask(target, line, content, headers)
    except guard.Refused as error:
        raise Permanent(str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        if limit.is_over:
            raise TimeoutError(f"the receiver took longer than {TOTAL_SECONDS:g} s") from error
        raise
    finally:
        limit.forget()
    return answer


def accepted(answer: Answer) -> Answer:
    """The answer, if its status is a 2xx. Raises Temporary, Permanent or Gone by what it is."""
    if 200 <= answer.status < 300:
        return answer
    if answer.status == http.HTTPStatus.GONE:
        raise Gone(answer.said)
    if 400 <= answer.status < 500 and answer.status not in COME_BACK:
        raise Permanent(answer.said)
    raise Temporary(answer.said, retry_after=answer.retry_after)


def open_line(target: guard.Target, limit: Guard) -> socket.socket:
    """The line to the target, encrypted for https, and watched."""
    line = guard.connect(target)
    limit.watch(line)
    if target.scheme == "http":
        return line
    try:
        return tls().wrap_socket(line, server_hostname=target.host)
    except BaseException:
        line.close()
        raise


@functools.cache
def tls() -> ssl.SSLContext:
    """Certificates of the system, or of SSL_CERT_FILE, as OpenSSL has it."""
    return ssl.create_default_context()


def _ask(target: guard.Target, line: socket.socket, content: bytes, headers: dict[str, str]) -> Answer:
    """The answer, without its secrets. Once the status has been said it counts, whatever becomes of the body."""
    request = Call(target.host, target.port)
    request.sock = line
    request.request("POST", target.path, content, {"Host": target.netloc, **headers, "Connection": "close"})
    with request.getresponse() as response:
        body = b""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):  # nonsense of all kinds
            body = response.read(ANSWER_BYTES)
        wait = response.getheader("Retry-After", "") if response.status in ASK_TO_WAIT else ""
        words = hide(response.reason, secrets_of(target.path, headers))
        return Answer(target, response.status, words, body, wait_of(wait, timezone.now()))


def wait_of(header: str, now: datetime) -> int | None:
    """Retry-After in seconds, at most LONGEST_WAIT; None for none and for what is not one (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return min(int(header), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, IndexError, TypeError):
        return None
    seconds = int((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None


def secrets_of(path: str, headers: dict[str, str]) -> list[str]:
    """What a receiver was told and nobody else may read: each part of the path, and the token."""
    told = [headers.get("Authorization", "").removeprefix("Bearer "), path, urlsplit(path).path]
    return [*told, *re.split(r"[/?&=]", path)]


def hide(words: str, secrets: Iterable[str]) -> str:
    """The words without any of the secrets that is long enough to be one."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORT:
            words = words.replace(secret, "…")
    return words


def in_words(error: Exception) -> str:
    """Why nothing proper was answered, for people who look after the receiver."""
    if isinstance(error, socket.gaierror):
        return f"the name of the host is not known ({error.strerror or error})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection: {error.reason or 'it was broken off'}"
    if isinstance(error, TimeoutError):
        return "the receiver did not answer in time" if str(error) == "timed out" else str(error)
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there: the connection was refused"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return f"the answer is not proper HTTP ({type(error).__name__})"
    return (
        f"no connection, or it broke: {one_line(error.strerror or type(error).__name__, 100)}"
        if isinstance(error, OSError)
        else type(error).__name__
    )
