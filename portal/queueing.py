"""The outbox's way in: a row in the verb's transaction, once for each dedupe key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portal import wakeups
from portal.channels.base import EMAIL, WEBHOOK
from portal.models import Endpoint, OutboxMessage, User
from portal.request_ids import current_id


def enqueue(
    kind: str,
    recipient: User | None,
    *,
    now: datetime,
    dedupe_key: str,
    facts: dict[str, Any] | None = None,
    subject_key: str = "",
    collapse_key: str = "",
    is_automatic: bool = True,
    priority: int = OutboxMessage.Priority.NORMAL,
    channel: str = EMAIL,
    endpoint: Endpoint | None = None,
    next_channels: Sequence[str] = (),
    instead: Sequence[int] = (),
    address: str = "",
) -> bool:
    """Queue one message in the caller's transaction; False if `dedupe_key` was queued before.

    A mail needs a recipient, or the `address` of somebody who has no account yet; a webhook an endpoint; a mail's `endpoint` is where its webhook goes should
    the mail fail and `next_channels` say so. `instead` are the ids of people who get a message to an
    organisation's channel by e-mail should the channel fail. ValueError for a message that leads nowhere.
    """
    if not ((recipient or address) if channel == EMAIL else endpoint) or channel not in (EMAIL, WEBHOOK):
        raise ValueError(f"a message by {channel} to {recipient} and {endpoint} leads nowhere")
    message = OutboxMessage(
        kind=kind,
        channel=channel,
        recipient=recipient,
        endpoint=endpoint,
        next_channels=list(next_channels),
        instead=list(instead),
        address=address,
        dedupe_key=dedupe_key,
        facts=facts or {},
        subject_key=subject_key,
        collapse_key=collapse_key,
        is_automatic=is_automatic,
        priority=priority,
        created_at=now,
        next_attempt_at=now,
    )
    return queue(message)


def queue(message: OutboxMessage) -> bool:
    """Write a row that is not saved yet; False if its dedupe key was queued before. It bears the id of the work at hand."""
    message.request_id = message.request_id or current_id()
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)
    rows = OutboxMessage.objects.filter(dedupe_key=message.dedupe_key, message_id=message.message_id)
    if not rows.exists():
        return False
    wakeups.on_commit(message.channel)
    return True
