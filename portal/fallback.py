"""The next channel: what is queued as well when a message's own channel fails it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from portal.channels.base import EMAIL, WEBHOOK
from portal.message_kinds import is_open
from portal.models import OutboxMessage

KEY_LENGTH = 200


def twin(message: OutboxMessage, now: datetime) -> OutboxMessage | None:
    """The same message by the first of its next channels that leads anywhere, not saved yet; or None."""
    for number, channel in enumerate(message.next_channels):
        if not _leads_somewhere(message, channel):
            continue
        is_for_room = channel == WEBHOOK and message.endpoint is not None and message.endpoint.organisation
        return OutboxMessage(
            kind=message.kind,
            channel=channel,
            recipient=None if is_for_room else message.recipient,
            endpoint=message.endpoint,
            next_channels=message.next_channels[number + 1 :],
            dedupe_key=_room_key(message) if is_for_room else _key(message.dedupe_key, channel),
            facts=message.facts,
            subject_key=message.subject_key,
            collapse_key=message.collapse_key,
            is_automatic=message.is_automatic,
            priority=message.priority,
            created_at=now,
            next_attempt_at=now,
        )
    return None


def _leads_somewhere(message: OutboxMessage, channel: str) -> bool:
    if channel == WEBHOOK:
        return message.endpoint is not None and is_open(message.endpoint)
    return channel == EMAIL and message.recipient is not None


def _room_key(message: OutboxMessage) -> str:
    """One post to a room, however many people's mails failed: keys end in whom a message is for."""
    event = message.dedupe_key.rpartition(":")[0] or message.dedupe_key
    return _key(event, f"endpoint-{message.endpoint_id}")


def _key(start: str, end: str) -> str:
    key = f"{start}:{end}"
    return key if len(key) <= KEY_LENGTH else f"{hashlib.sha256(start.encode()).hexdigest()}:{end}"
