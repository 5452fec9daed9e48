"""Webhooks, signed by Standard Webhooks (https://www.standardwebhooks.com): a machine, a room or a pager takes them.

The id of a webhook is that of its row, so that a receiver tells a repeat from a new one.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from django.utils import timezone
from standardwebhooks import Webhook

from portal.channels import calls, chat, pagers
from portal.channels.base import Permanent, Rendered, Sent, Temporary, one_line, storable
from portal.models import Endpoint, OutboxMessage


class Poster:
    """Sends to endpoints, each message by a call of its own; `away` holds those that nobody could call."""

    def __init__(self) -> None:
        self.away: set[int] = set()

    def send(self, message: OutboxMessage, rendered: Rendered) -> Sent:
        """Hand the message to its endpoint. Raises Temporary or Permanent. Asks nothing of the database."""
        endpoint = message.endpoint
        if endpoint is None:
            raise Permanent("the message has no endpoint")
        if endpoint.service == Endpoint.Service.APPRISE:
            return pagers.send(endpoint, rendered)
        try:
            if endpoint.service in chat.SERVICES:
                return chat.send(message, endpoint, rendered)
            return post(message, endpoint, rendered)
        except (OSError, http.client.HTTPException) as error:
            self.away.add(endpoint.pk)
            raise Temporary(calls.in_words(error)) from error


def post(message: OutboxMessage, endpoint: Endpoint, rendered: Rendered) -> Sent:
    content = body(message, rendered)
    headers = headers_of(message, content, endpoint.signing_secrets(timezone.now()))
    answer = calls.accepted(calls.call(endpoint.url, content.encode(), headers))
    return Sent(
        address=answer.target.origin[:254],
        subject=one_line(rendered.subject),
        text=storable(rendered.text if rendered.data is None else content),
        html="",
        headers={name: headers[name] for name in headers if name != "webhook-signature"},
        answer=answer.said,
    )


def webhook_id(message: OutboxMessage) -> str:
    return message.message_id.strip("<>")


def body(message: OutboxMessage, rendered: Rendered) -> str:
    """The payload as JSON: type, timestamp and data, as the standard has it."""
    said_at = message.facts.get("said_at")  # of a webhook that goes again
    if said_at is None:
        said_at = message.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    data = _told(message, rendered) if rendered.data is None else rendered.data
    return json.dumps({"type": message.kind, "timestamp": said_at, "data": data})


def _told(message: OutboxMessage, rendered: Rendered) -> dict[str, Any]:
    """What a message for people says, as a machine may read it."""
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
    return data


def headers_of(message: OutboxMessage, content: str, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of the standard, and what a receiver needs to read the body.

    While a secret is being replaced there is a signature by each, the newest first.
    """
    now = timezone.now().astimezone(UTC)
    signatures = [Webhook(secret).sign(webhook_id(message), now, content) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "support-portal",
        "webhook-id": webhook_id(message),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
