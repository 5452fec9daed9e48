"""Whose turn a message is: claims by a conditional update with a lease, so that no two workers send one."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from portal.channels.base import EMAIL, WEBHOOK
from portal.models import OutboxMessage

State = OutboxMessage.State
BATCH = 20
FAILING_LANES = (
    8  # calls under way at once to endpoints that failed lately: they may hang, and others wait for none
)
LOOK_AHEAD = 100  # rows looked through for endpoints that are free
WEBHOOK_LEASE_SECONDS = 30  # longer than any call, and short enough for a page whose worker was killed


def due(now: datetime) -> Q:
    """Rows whose time has come, and rows whose worker's lease has run out."""
    queued = Q(state=State.QUEUED, next_attempt_at__lte=now)
    return queued | Q(state=State.CLAIMED, lease_until__lte=now)


def claim(now: datetime) -> list[OutboxMessage]:
    """Take up to BATCH due mails: whoever's conditional update changed the row has it."""
    mails = OutboxMessage.objects.filter(due(now), channel=EMAIL)
    ids = list(mails.order_by("priority", "next_attempt_at", "pk").values_list("pk", flat=True)[:BATCH])
    return _take(ids, now, EMAIL)


def claim_webhooks(now: datetime, count: int, away: Collection[int] = ()) -> list[OutboxMessage]:
    """Take up to `count` due webhooks, one to each endpoint that is neither away nor being called.

    Those of endpoints that failed lately come last and are few at a time, so that they never hold every lane.
    """
    rows = OutboxMessage.objects.filter(channel=WEBHOOK)
    called = rows.filter(state=State.CLAIMED, lease_until__gt=now, endpoint__isnull=False)
    free = rows.filter(due(now)).exclude(endpoint__in=called.values("endpoint")).exclude(endpoint__in=away)
    failing = Q(endpoint__failing_since__isnull=False)
    ids = _first_of_each(free.exclude(failing), count)
    if len(ids) < count:
        lanes = max(FAILING_LANES - called.filter(failing).count(), 0)
        ids += _first_of_each(free.filter(failing), min(count - len(ids), lanes))
    return _take(ids, now, WEBHOOK)


def _first_of_each(rows: QuerySet[OutboxMessage], count: int) -> list[int]:
    """The most pressing message to each endpoint."""
    first: dict[int | None, int] = {}
    found = rows.order_by("priority", "next_attempt_at", "pk").values_list("endpoint_id", "pk")
    for endpoint, pk in found[:LOOK_AHEAD]:
        first.setdefault(endpoint, pk)
    return list(first.values())[:count]


def _take(ids: Iterable[int], now: datetime, channel: str) -> list[OutboxMessage]:
    mine: list[OutboxMessage] = []
    for pk in ids:
        lease = uuid.uuid4()
        row = OutboxMessage.objects.filter(due(now), pk=pk)
        if row.update(state=State.CLAIMED, lease=lease, lease_until=lease_until(channel, now)):
            mine.extend(OutboxMessage.objects.filter(pk=pk, lease=lease))
    return mine


def lease_until(channel: str, now: datetime) -> datetime:
    seconds = WEBHOOK_LEASE_SECONDS if channel == WEBHOOK else settings.OUTBOX_LEASE_SECONDS
    return now + timedelta(seconds=seconds)


def release(messages: Iterable[OutboxMessage]) -> None:
    """Give claimed rows back untried."""
    for message in messages:
        ours(message).update(state=State.QUEUED, lease=None, lease_until=None)


def ours(message: OutboxMessage) -> QuerySet[OutboxMessage]:
    """The row, if the claim that `message` came with still holds."""
    return OutboxMessage.objects.filter(pk=message.pk, state=State.CLAIMED, lease=message.lease)


def lag(now: datetime) -> float:
    """Seconds by which the message that is overdue the longest has not been attempted; 0 if none is.

    Webhooks that were tried, or go where nothing is taken, do not count: that says nothing of this product.
    """
    waiting = OutboxMessage.objects.filter(
        Q(channel=EMAIL) | Q(attempts=0, endpoint__failing_since=None),
        state__in=[State.QUEUED, State.CLAIMED],
        next_attempt_at__lte=now,
    ).order_by("next_attempt_at")
    oldest = waiting.values_list("next_attempt_at", flat=True).first()
    return (now - oldest).total_seconds() if oldest else 0.0
