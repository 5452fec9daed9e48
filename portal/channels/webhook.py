"""Webhooks, signed by Standard Webhooks (https://www.standardwebhooks.com): a chat room or a pager takes them.

The id of a webhook is that of its row, so that a receiver tells a repeat from a new one. No redirect is
followed, no more of an answer than its status is kept: receivers like to quote addresses, and these are secrets.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import socket
import ssl
from datetime import UTC
from typing import Any

from django.utils import timezone
from standardwebhooks import Webhook

from portal.channels import guard
from portal.channels.base import Permanent, Rendered, Sent, Temporary, one_line
from portal.channels.limit import Guard
from portal.models import OutboxMessage

TOTAL_SECONDS = 10.0
ANSWER_BYTES = 64 * 1024
COME_BACK = frozenset({408, 409, 425, 429})  # of the 4xx, those that ask for another try


class Poster:
    """Sends webhooks, each by a call of its own; `away` holds the endpoints that nobody could call."""

    def __init__(self) -> None:
        self.away: set[int] = set()

    def send(self, message: OutboxMessage, rendered: Rendered) -> Sent:
        """Hand the message to its endpoint. Raises Temporary or Permanent. Asks nothing of the database."""
        endpoint = message.endpoint
        if endpoint is None:
            raise Permanent("the message has no endpoint")
        content = body(message, rendered)
        headers = headers_of(message, content, endpoint.secret)
        try:
            target, answer = call(endpoint.url, content.encode(), headers)
        except (OSError, http.client.HTTPException) as error:
            self.away.add(endpoint.pk)
            raise Temporary(f"{type(error).__name__}: {error}") from error
        return Sent(
            address=target.origin[:254],
            subject=one_line(rendered.subject),
            text=storable(rendered.text),
            html="",
            headers={name: headers[name] for name in headers if name != "webhook-signature"},
            answer=answer,
        )


def storable(text: str) -> str:
    """The text without what no database takes: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def webhook_id(message: OutboxMessage) -> str:
    return message.message_id.strip("<>")


def body(message: OutboxMessage, rendered: Rendered) -> str:
    """The payload as JSON: type, timestamp and data, as the standard has it."""
    person = message.recipient
    data: dict[str, Any] = {
        "id": webhook_id(message),
        "about": message.subject_key,
        "subject": one_line(rendered.subject),
        "text": storable(rendered.text),
        "person": {"name": person.name, "email": person.email} if person else None,
        "is_automatic": message.is_automatic,
    }
    if rendered.url:
        data["url"] = rendered.url
    if rendered.form:
        data["form"] = rendered.form
    said_at = message.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"type": message.kind, "timestamp": said_at, "data": data})


def headers_of(message: OutboxMessage, content: str, secret: str) -> dict[str, str]:
    """The three headers of the standard, and what a receiver needs to read the body."""
    now = timezone.now().astimezone(UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": "support-portal",
        "webhook-id": webhook_id(message),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id(message), now, content),
    }


class Call(http.client.HTTPConnection):
    """One request over a line that was opened by the guard, and never over another."""

    auto_open = 0  # it would resolve the name anew, unguarded


def call(url: str, content: bytes, headers: dict[str, str]) -> tuple[guard.Target, str]:
    """POST to a checked address, all in TOTAL_SECONDS; where it went, and the status line of a 2xx.

    Raises Permanent or Temporary by what was answered, OSError or HTTPException if nothing proper was.
    """
    limit = Guard()
    try:
        with limit.limit(TOTAL_SECONDS):
            target = guard.check(url)
            with contextlib.closing(_line(target, limit)) as line:
                status, reason = _ask(target, line, content, headers)
    except guard.Refused as error:
        raise Permanent(str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        if limit.is_over:
            raise TimeoutError(f"the receiver took longer than {TOTAL_SECONDS:g} s") from error
        raise
    finally:
        limit.forget()
    said = one_line(f"{status} {reason}", 200)
    if 200 <= status < 300:
        return target, said
    raise (Permanent if 400 <= status < 500 and status not in COME_BACK else Temporary)(said)


def _line(target: guard.Target, limit: Guard) -> socket.socket:
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


def _ask(
    target: guard.Target, line: socket.socket, content: bytes, headers: dict[str, str]
) -> tuple[int, str]:
    """The status and its words. The answer's body is read for politeness' sake, and only so much of it."""
    request = Call(target.host, target.port)
    request.sock = line
    request.request("POST", target.path, content, {"Host": target.netloc, **headers, "Connection": "close"})
    with request.getresponse() as response:
        with contextlib.suppress(OSError, http.client.HTTPException):  # the status has been said
            response.read(ANSWER_BYTES)
        return response.status, response.reason
