"""The next channel: what is queued as well when a message's own channel fails it.

A message to a person goes by the person's next channel. One to an organisation's own channel goes, by
e-mail, to those who were counted on to read it there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from portal import queueing
from portal.channels.base import EMAIL, WEBHOOK
from portal.message_kinds import is_open
from portal.models import OutboxMessage, User

logger = logging.getLogger(__name__)
KEY_LENGTH = 200
ENDS = ("recipient", "endpoint__person", "endpoint__organisation")


def fall_back(message: OutboxMessage, now: datetime) -> None:
    """Queue the message by its next channel as well, and to those who hear of it instead; each once."""
    row = OutboxMessage.objects.filter(pk=message.pk)
    with transaction.atomic():
        if row.exclude(next_channels=[]).update(next_channels=[]):
            other = twin(message, now)
            if other is not None:
                queueing.queue(other)
        if row.exclude(instead=[]).update(instead=[]):
            for mail in mails_instead(message, now):
                queueing.queue(mail)


def fall_back_untried(rows: QuerySet[OutboxMessage], now: datetime) -> None:
    """The same for messages that cannot even be tried. A row that fails to is left to the next sweep."""
    waiting = rows.filter(~Q(next_channels=[]) | ~Q(instead=[])).order_by("priority", "next_attempt_at", "pk")
    for message in waiting.select_related(*ENDS):
        try:
            fall_back(message, now)
        except Exception:
            logger.exception("outbox message %s does not fall back", message.pk)


def twin(message: OutboxMessage, now: datetime) -> OutboxMessage | None:
    """The same message by the first of its next channels that leads anywhere, not saved yet; or None."""
    for number, channel in enumerate(message.next_channels):
        if not _leads_somewhere(message, channel):
            continue
        is_for_room = channel == WEBHOOK and message.endpoint is not None and message.endpoint.organisation
        other = _same(message, channel, now)
        other.recipient = None if is_for_room else message.recipient
        other.endpoint = message.endpoint
        other.next_channels = message.next_channels[number + 1 :]
        other.dedupe_key = _room_key(message) if is_for_room else _key(message.dedupe_key, channel)
        return other
    return None


def mails_instead(message: OutboxMessage, now: datetime) -> Iterator[OutboxMessage]:
    """A mail to each of the people named who is still active, not saved yet.

    Its key is that of the mail that the event would have caused: nobody gets it twice.
    """
    for person in User.objects.filter(pk__in=message.instead, is_active=True).order_by("pk"):
        mail = _same(message, EMAIL, now)
        mail.recipient = person
        mail.dedupe_key = _key(_event_of(message), str(person.pk))
        yield mail


def _same(message: OutboxMessage, channel: str, now: datetime) -> OutboxMessage:
    return OutboxMessage(
        kind=message.kind,
        channel=channel,
        facts=message.facts,
        subject_key=message.subject_key,
        collapse_key=message.collapse_key,
        is_automatic=message.is_automatic,
        priority=message.priority,
        request_id=message.request_id,
        created_at=now,
        next_attempt_at=now,
    )


def _leads_somewhere(message: OutboxMessage, channel: str) -> bool:
    if channel == WEBHOOK:
        return message.endpoint is not None and is_open(message.endpoint)
    return channel == EMAIL and message.recipient is not None


def _room_key(message: OutboxMessage) -> str:
    """One post to a room, however many people's mails failed."""
    return _key(_event_of(message), f"endpoint-{message.endpoint_id}")


def _event_of(message: OutboxMessage) -> str:
    """What a message's key says without its end: keys end in whom a message is for."""
    return message.dedupe_key.rpartition(":")[0] or message.dedupe_key


def _key(start: str, end: str) -> str:
    key = f"{start}:{end}"
    return key if len(key) <= KEY_LENGTH else f"{hashlib.sha256(start.encode()).hexdigest()}:{end}"
