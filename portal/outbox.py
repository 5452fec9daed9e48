"""The outbox: a message is a row first, mail second.

`enqueue` writes the row in the verb's transaction; `sweep` claims due rows by a conditional update with
a lease, renders them, re-checks the recipient, sends, and stores what was sent and what the server
answered. The broker carries only wake-ups. SMTP is at-least-once: a message can repeat only when a
process dies between the server's 250 and our commit, and then under the same Message-ID.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
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
NUDGE_PAUSE_SECONDS = 15
UNDER_WAY = "an attempt is under way"
STOPPED = "the worker stopped during the attempt"


@dataclass(frozen=True)
class MessageKind:
    """How a kind of message is rendered, and what must still hold when it is sent."""

    name: str
    render: Callable[[OutboxMessage], Rendered]
    why_not: Callable[[OutboxMessage], str]  # "" or the reason why it may not be sent any more


KINDS: dict[str, MessageKind] = {}


def register(kind: MessageKind) -> None:
    """Make a kind of message known. For an app's ready()."""
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
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)
    if not OutboxMessage.objects.filter(dedupe_key=dedupe_key, message_id=message.message_id).exists():
        return False
    _nudge_on_commit()
    return True


def _nudge_on_commit() -> None:
    """Once a transaction, however many messages it queues."""
    if not any(entry[1] is nudge for entry in connection.run_on_commit):
        transaction.on_commit(nudge, robust=True)


def nudge() -> None:
    """Wake a worker. The rows decide, so a broker that is away costs seconds, not messages."""
    from portal.tasks import deliver_outbox  # noqa: PLC0415 (tasks import this module)

    if time.monotonic() < _Broker.is_spared_until:
        return
    try:
        deliver_outbox.apply_async(retry=False, expires=60)
    except Exception as error:  # whatever a broker's client raises: the next sweep sends all the same
        _Broker.is_spared_until = time.monotonic() + NUDGE_PAUSE_SECONDS
        logger.warning("could not wake a worker (%s); the next sweep delivers", error)


class _Broker:
    """A broker that was away is not asked again for a while: people wait for these answers."""

    is_spared_until = 0.0


# --- out ---


def sweep(now: datetime, *, budget: timedelta = timedelta(minutes=2)) -> SweepReport:
    """Send everything that is due, in small batches, for at most `budget` of real time."""
    report = SweepReport()
    beat("outbox", now)
    ends = timezone.now() + budget
    with email.Mailer() as mailer:
        while timezone.now() < ends and not mailer.is_away:
            messages = claim(max(now, timezone.now()))
            if not messages:
                break
            _deliver_all(messages, mailer, report, now=now, ends=ends)
    return report


def _deliver_all(
    messages: list[OutboxMessage], mailer: email.Mailer, report: SweepReport, *, now: datetime, ends: datetime
) -> None:
    """Send the claimed messages; give back at once those that time or the mail server leaves over."""
    waiting = list(messages)
    try:
        while waiting and timezone.now() < ends and not mailer.is_away:
            message = waiting.pop(0)
            try:
                deliver(message, mailer, report, max(now, timezone.now()))
            except Exception:  # the database refused; the lease ends, and the others go now
                logger.exception("outbox message %s is left to a later sweep", message.pk)
    finally:
        release(waiting)


def due(now: datetime) -> Q:
    """Rows whose time has come, and rows whose worker's lease has run out."""
    queued = Q(state=State.QUEUED, next_attempt_at__lte=now)
    return queued | Q(state=State.CLAIMED, lease_until__lte=now)


def claim(now: datetime) -> list[OutboxMessage]:
    """Take up to BATCH due rows: whoever's conditional update changed the row has it."""
    ids = OutboxMessage.objects.filter(due(now)).order_by("priority", "next_attempt_at", "pk")
    lease_until = now + timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)
    mine: list[OutboxMessage] = []
    for pk in list(ids.values_list("pk", flat=True)[:BATCH]):
        lease = uuid.uuid4()
        row = OutboxMessage.objects.filter(due(now), pk=pk)
        if row.update(state=State.CLAIMED, lease=lease, lease_until=lease_until):
            mine.extend(OutboxMessage.objects.filter(pk=pk, lease=lease))
    return mine


def release(messages: Iterable[OutboxMessage]) -> None:
    """Give claimed rows back untried."""
    for message in messages:
        _ours(message).update(state=State.QUEUED, lease=None, lease_until=None)


def _ours(message: OutboxMessage) -> QuerySet[OutboxMessage]:
    """The row, if the claim that `message` came with still holds."""
    return OutboxMessage.objects.filter(pk=message.pk, state=State.CLAIMED, lease=message.lease)


def deliver(message: OutboxMessage, mailer: email.Mailer, report: SweepReport, now: datetime) -> None:
    """Send one claimed message, or drop, retry or set it aside with the reason."""
    begun = _begin(message, now)
    if begun is None:
        return
    message, was_stopped = begun
    if was_stopped:
        _fail(message, STOPPED, now, report)
        return
    try:
        kind = KINDS[message.kind]
        reason = _why_not(message, kind)
        rendered = None if reason else kind.render(message)
    except Exception as error:
        logger.exception("outbox message %s cannot be rendered", message.pk)
        _fail(message, f"{type(error).__name__}: {error}", now, report, tries=RENDER_TRIES)
        return
    if rendered is None:
        report.dropped += _finish(message, state=State.DROPPED, state_reason=reason)
    else:
        _send(message, rendered, mailer, report, now)


def _begin(message: OutboxMessage, now: datetime) -> tuple[OutboxMessage, bool] | None:
    """Renew the lease and read the row anew; None if the row is somebody else's by now.

    Whether an earlier attempt was cut off twice is told, too: a message that kills its worker has to
    wait like any other that fails, for it would take those behind it along each time.
    """
    fresh = _ours(message).select_related("recipient").first()
    until = now + timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)
    begun = _ours(message).update(lease_until=until, attempts=F("attempts") + 1, state_reason=UNDER_WAY)
    if fresh is None or not begun:
        return None
    was_stopped = fresh.state_reason == UNDER_WAY and fresh.attempts > 1
    fresh.attempts += 1
    return fresh, was_stopped


def _send(
    message: OutboxMessage, rendered: Rendered, mailer: email.Mailer, report: SweepReport, now: datetime
) -> None:
    try:
        sent = mailer.send(message, rendered)
    except Permanent as error:
        _fail(message, str(error), now, report, tries=0)
    except Temporary as error:
        _fail(message, str(error), now, report)
    except Exception as error:
        logger.exception("outbox message %s cannot be sent", message.pk)
        _fail(message, f"{type(error).__name__}: {error}", now, report, tries=RENDER_TRIES)
    else:
        report.sent += _accepted(message, sent, max(now, timezone.now()))


def _why_not(message: OutboxMessage, kind: MessageKind) -> str:
    if not message.recipient.is_active:
        return "the recipient is not active any more"
    if message.is_automatic and message.collapse_key and _is_replaced(message):
        return "replaced by a newer message"
    return kind.why_not(message)


def _is_replaced(message: OutboxMessage) -> bool:
    """Whether a newer message to the same end has been sent, or is going to be."""
    newer = OutboxMessage.objects.filter(
        collapse_key=message.collapse_key, recipient=message.recipient_id, pk__gt=message.pk
    )
    if newer.filter(state=State.SENT, subject_key=message.subject_key).exists():
        return True
    waiting = newer.filter(state__in=[State.QUEUED, State.CLAIMED]).select_related("recipient")
    return any(_may_go(other) for other in waiting.order_by("-pk"))


def _may_go(message: OutboxMessage) -> bool:
    try:
        return not KINDS[message.kind].why_not(message)
    except Exception:  # what ails the other message is noted when its turn comes
        return False


def _finish(message: OutboxMessage, **columns: Any) -> int:
    """Write the outcome if the row is still ours; 1 if it was."""
    return _ours(message).update(lease=None, lease_until=None, **columns)


def _accepted(message: OutboxMessage, sent: email.Sent, now: datetime) -> int:
    """Sent is sent, whoever may hold the row by now; 1 if nobody had noted it before."""
    row = OutboxMessage.objects.filter(pk=message.pk).exclude(state=State.SENT)
    return row.update(
        state=State.SENT, state_reason="", sent_at=now, lease=None, lease_until=None, **vars(sent)
    )


def _fail(
    message: OutboxMessage, reason: str, now: datetime, report: SweepReport, *, tries: int | None = None
) -> None:
    """Try again later, or set aside and tell staff: after `tries` attempts, and in any case after a day."""
    reason = email.one_line(reason, 1000)
    later = None if tries is not None and message.attempts >= tries else _next_attempt(message, now)
    if later is not None:
        report.retried += _finish(message, state=State.QUEUED, state_reason=reason, next_attempt_at=later)
    elif _finish(message, state=State.SET_ASIDE, state_reason=reason):
        report.set_aside += 1
        tell_staff(message, now)


def _next_attempt(message: OutboxMessage, now: datetime) -> datetime | None:
    """None when a day is over; a message whose first attempt came as late as that has a second one."""
    later = now + timedelta(seconds=BACKOFF_SECONDS[min(message.attempts, len(BACKOFF_SECONDS)) - 1])
    last = message.created_at + GIVE_UP_AFTER
    if now < last:
        return min(later, last)
    return later if message.attempts == 1 else None


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
        _nudge_on_commit()
    return bool(done)


def lag(now: datetime) -> float:
    """Seconds by which the message that is overdue the longest has not been attempted; 0 if none is."""
    waiting = OutboxMessage.objects.filter(
        state__in=[State.QUEUED, State.CLAIMED], next_attempt_at__lte=now
    ).order_by("next_attempt_at")
    oldest = waiting.values_list("next_attempt_at", flat=True).first()
    return (now - oldest).total_seconds() if oldest else 0.0


# --- a stand-in until the other channel is merged ---


def bounced(message: OutboxMessage, *, at: datetime, reason: str) -> None:
    OutboxMessage.objects.filter(pk=message.pk, unreached_at=None).update(
        unreached_at=at, state_reason=reason[:1000]
    )


def by_bounce_address(address: str) -> OutboxMessage | None:
    local, _, domain = address.lower().partition("@")
    if domain != settings.MAIL_DOMAIN or not local.startswith("bounce+"):
        return None
    wanted = f"<{local.removeprefix('bounce+')}@{settings.MAIL_DOMAIN}>"
    return OutboxMessage.objects.filter(message_id=wanted).first()
