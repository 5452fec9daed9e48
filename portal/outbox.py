"""The outbox: a message is a row first, mail second.

`enqueue` writes the row in the verb's transaction; `sweep` claims due rows by a conditional update with
a lease, renders them, re-checks the recipient, sends, and stores what was sent and what the server
answered. The broker carries only wake-ups. SMTP is at-least-once: a message can repeat only when a
process dies between the server's 250 and our commit, and then under the same Message-ID.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from portal.channels import email
from portal.channels.base import Permanent, Rendered, Temporary
from portal.heartbeat import beat
from portal.models import OutboxMessage, StaffRole, User

logger = logging.getLogger(__name__)

State = OutboxMessage.State
BATCH = 20
BACKOFF_SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600)
GIVE_UP_AFTER = timedelta(hours=24)
RENDER_TRIES = 3


@dataclass(frozen=True)
class MessageKind:
    """How a kind of message is rendered, and what must still hold when it is sent."""

    name: str
    render: Callable[[OutboxMessage], Rendered]
    why_not: Callable[[OutboxMessage], str]  # "" or the reason why it may not be sent any more
    on_accepted: Callable[[OutboxMessage], None] | None = None


KINDS: dict[str, MessageKind] = {}


def register(kind: MessageKind) -> None:
    KINDS[kind.name] = kind


@dataclass
class SweepReport:
    sent: int = 0
    retried: int = 0
    set_aside: int = 0
    dropped: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in vars(self).items())


# --- in ---


def enqueue(
    kind: str,
    recipient: User,
    *,
    now: datetime,
    dedupe_key: str,
    facts: dict[str, Any] | None = None,
    subject_key: str = "",
    collapse_key: str = "",
    is_automatic: bool = True,
    priority: int = OutboxMessage.Priority.NORMAL,
) -> bool:
    """Queue one message in the caller's transaction; False if `dedupe_key` was queued before."""
    message = OutboxMessage(
        kind=kind,
        recipient=recipient,
        dedupe_key=dedupe_key,
        facts=facts or {},
        subject_key=subject_key,
        collapse_key=collapse_key,
        is_automatic=is_automatic,
        priority=priority,
        created_at=now,
        next_attempt_at=now,
    )
    if OutboxMessage.objects.filter(dedupe_key=dedupe_key).exists():
        return False
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)
    transaction.on_commit(nudge, robust=True)
    return True


def nudge() -> None:
    """Wake a worker. The rows decide, so a broker that is away costs seconds, not messages."""
    from portal.tasks import deliver_outbox  # noqa: PLC0415 (tasks import this module)

    try:
        deliver_outbox.apply_async(retry=False, expires=60)
    except Exception as error:  # whatever a broker's client raises: the next sweep sends all the same
        logger.warning("could not wake a worker (%s); the next sweep delivers", error)


# --- out ---


def sweep(now: datetime, *, budget: timedelta = timedelta(minutes=2)) -> SweepReport:
    """Send everything that is due, in small batches, for at most `budget` of real time."""
    report = SweepReport()
    beat("outbox", now)
    ends = timezone.now() + budget
    while timezone.now() < ends:
        messages = claim(max(now, timezone.now()))
        if not messages:
            break
        with email.Mailer() as mailer:
            for message in messages:
                deliver(message, mailer, report)
    return report


def due(now: datetime) -> Q:
    queued = Q(state=State.QUEUED, next_attempt_at__lte=now)
    return queued | Q(state=State.CLAIMED, lease_until__lte=now)


def claim(now: datetime) -> list[OutboxMessage]:
    """Take up to BATCH due rows: whoever's conditional update changed the row has it."""
    ids = OutboxMessage.objects.filter(due(now)).order_by("priority", "next_attempt_at", "pk")
    mine: list[OutboxMessage] = []
    lease_until = now + timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)
    for pk in list(ids.values_list("pk", flat=True)[:BATCH]):
        lease = uuid.uuid4()
        row = OutboxMessage.objects.filter(due(now), pk=pk)
        if row.update(state=State.CLAIMED, lease=lease, lease_until=lease_until):
            mine.append(OutboxMessage.objects.select_related("recipient").get(pk=pk))
    return mine


def deliver(message: OutboxMessage, mailer: email.Mailer, report: SweepReport) -> None:
    """Send one claimed message, or drop, retry or set it aside with the reason. Never raises."""
    now = timezone.now()
    if not _extend_lease(message, now):
        return
    try:
        kind = KINDS[message.kind]
        reason = _why_not(message, kind)
        if reason:
            report.dropped += _finish(message, state=State.DROPPED, state_reason=reason)
            return
        rendered = kind.render(message)
    except Exception as error:
        logger.exception("outbox message %s cannot be rendered", message.pk)
        _fail(message, f"{type(error).__name__}: {error}", now, report, tries=RENDER_TRIES)
        return
    try:
        sent = mailer.send(message, rendered)
    except Permanent as error:
        _fail(message, str(error), now, report, tries=0)
    except Temporary as error:
        _fail(message, str(error), now, report, tries=settings.OUTBOX_MAX_ATTEMPTS * 100)
    except Exception as error:
        logger.exception("outbox message %s cannot be sent", message.pk)
        _fail(message, f"{type(error).__name__}: {error}", now, report, tries=RENDER_TRIES)
    else:
        _accepted(message, kind, sent, report)


def _extend_lease(message: OutboxMessage, now: datetime) -> bool:
    """A slow batch must not be sent twice: renew the lease, or leave the row to whoever has it now."""
    until = now + timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)
    row = OutboxMessage.objects.filter(pk=message.pk, state=State.CLAIMED, lease=message.lease)
    return bool(row.update(lease_until=until))


def _why_not(message: OutboxMessage, kind: MessageKind) -> str:
    recipient = message.recipient
    if not recipient.is_active:
        return "the recipient is not active any more"
    if message.is_automatic and message.collapse_key:
        newer = OutboxMessage.objects.filter(
            collapse_key=message.collapse_key,
            recipient=recipient,
            state__in=[State.QUEUED, State.CLAIMED],
            pk__gt=message.pk,
        )
        if newer.exists():
            return "replaced by a newer message"
    return kind.why_not(message)


def _finish(message: OutboxMessage, **columns: Any) -> int:
    """Write the outcome if the row is still ours; 1 if it was."""
    row = OutboxMessage.objects.filter(pk=message.pk, state=State.CLAIMED, lease=message.lease)
    return row.update(lease=None, lease_until=None, attempts=message.attempts + 1, **columns)


def _accepted(message: OutboxMessage, kind: MessageKind, sent: email.Sent, report: SweepReport) -> None:
    now = timezone.now()
    report.sent += _finish(message, state=State.SENT, state_reason="", sent_at=now, **vars(sent))
    if kind.on_accepted is None:
        return
    try:
        kind.on_accepted(OutboxMessage.objects.select_related("recipient").get(pk=message.pk))
    except Exception:  # it was sent; the sweep of the clocks repairs what this could not note
        logger.exception("what follows from sending message %s failed", message.pk)


def _fail(message: OutboxMessage, reason: str, now: datetime, report: SweepReport, *, tries: int) -> None:
    """Try again later, or set aside and tell staff."""
    attempt = message.attempts + 1
    is_old = now - message.created_at > GIVE_UP_AFTER
    if attempt < tries and not is_old:
        wait = BACKOFF_SECONDS[min(attempt - 1, len(BACKOFF_SECONDS) - 1)]
        later = now + timedelta(seconds=wait)
        report.retried += _finish(message, state=State.QUEUED, state_reason=reason, next_attempt_at=later)
        return
    if _finish(message, state=State.SET_ASIDE, state_reason=reason):
        report.set_aside += 1
        tell_staff(message, now)


def tell_staff(message: OutboxMessage, now: datetime) -> None:
    """Alarm duty managers and administrators, at most once an hour each, that mail is set aside."""
    if message.kind == "outbox_alarm":
        return
    roles = [StaffRole.DUTY_MANAGER, StaffRole.HEAD_OF_SUPPORT, StaffRole.ADMINISTRATOR]
    for person in User.objects.filter(is_active=True, is_staff=True, staff_role__in=roles):
        enqueue(
            "outbox_alarm",
            person,
            now=now,
            dedupe_key=f"outbox_alarm:{person.pk}:{now:%Y-%m-%d-%H}",
            facts={"message": message.pk},
            priority=OutboxMessage.Priority.URGENT,
        )


def requeue(message: OutboxMessage, *, now: datetime) -> bool:
    """Staff's second try for a message that was set aside; False if it was not."""
    row = OutboxMessage.objects.filter(pk=message.pk, state=State.SET_ASIDE)
    done = row.update(state=State.QUEUED, attempts=0, created_at=now, next_attempt_at=now, state_reason="")
    if done:
        transaction.on_commit(nudge, robust=True)
    return bool(done)


def lag(now: datetime) -> float:
    """Seconds by which the oldest message that waits for its first attempt is overdue."""
    oldest = (
        OutboxMessage.objects.filter(due(now), attempts=0)
        .order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)
        .first()
    )
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
