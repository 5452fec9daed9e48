"""The outbox: a message is a row first, mail or webhook second.

`enqueue` writes the row in the verb's transaction; `sweep` claims due rows by a conditional update with
a lease, renders them, re-checks the recipient, sends, and stores what was sent and what the server
answered. The broker carries only wake-ups. SMTP is at-least-once: a message can repeat only when a
process dies between the server's 250 and our commit, and then under the same Message-ID. A message that
its channel fails is queued by its next channel too, once, and still retried by its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from portal import fallback, lanes, wakeups
from portal.channels import email, webhook
from portal.channels.base import EMAIL, WEBHOOK, Permanent, Rendered, Sent, Temporary, one_line
from portal.claims import claim, claim_webhooks, due, lease_until, ours, release
from portal.endpoints import endpoint_of
from portal.heartbeat import beat
from portal.message_kinds import KINDS, why_not
from portal.message_kinds import MessageKind as MessageKind
from portal.message_kinds import register as register
from portal.models import Endpoint, OutboxMessage, StaffRole, User

logger = logging.getLogger(__name__)

State = OutboxMessage.State
ENDS = ("recipient", "endpoint__person", "endpoint__organisation")
BACKOFF_SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600)
GIVE_UP_AFTER = timedelta(hours=24)
RENDER_TRIES = 3
UNDER_WAY = "an attempt is under way"
STOPPED = "the worker stopped during the attempt"
NOBODY_ANSWERS = "its receiver does not answer"


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
) -> bool:
    """Queue one message in the caller's transaction; False if `dedupe_key` was queued before.

    A mail needs a recipient, a webhook an endpoint; a mail's `endpoint` is where its webhook goes should
    the mail fail and `next_channels` say so. ValueError for a message that leads nowhere.
    """
    if (recipient if channel == EMAIL else endpoint) is None or channel not in (EMAIL, WEBHOOK):
        raise ValueError(f"a message by {channel} to {recipient} and {endpoint} leads nowhere")
    message = OutboxMessage(
        kind=kind,
        channel=channel,
        recipient=recipient,
        endpoint=endpoint,
        next_channels=list(next_channels),
        instead=list(instead),
        dedupe_key=dedupe_key,
        facts=facts or {},
        subject_key=subject_key,
        collapse_key=collapse_key,
        is_automatic=is_automatic,
        priority=priority,
        created_at=now,
        next_attempt_at=now,
    )
    return _queue(message)


def _queue(message: OutboxMessage) -> bool:
    OutboxMessage.objects.bulk_create([message], ignore_conflicts=True)
    rows = OutboxMessage.objects.filter(dedupe_key=message.dedupe_key, message_id=message.message_id)
    if not rows.exists():
        return False
    wakeups.on_commit(message.channel)
    return True


# --- out ---


def sweep(
    now: datetime, *, channel: str | None = None, budget: timedelta = timedelta(minutes=2)
) -> SweepReport:
    """Send everything that is due by `channel`, for at most `budget` of real time; without one, by all."""
    report = SweepReport()
    # Webhooks first, for they are quick; and once more, for mails that fail fall back to them.
    for each in [WEBHOOK, EMAIL, WEBHOOK] if channel is None else [channel]:
        beat(HEARTBEATS[each], now)
        SWEEPS[each](now, timezone.now() + budget, report)
    return report


def _sweep_mails(now: datetime, ends: datetime, report: SweepReport) -> None:
    with email.Mailer() as mailer:
        while timezone.now() < ends and not mailer.is_away:
            messages = claim(max(now, timezone.now()))
            if not messages:
                break
            _deliver_all(messages, mailer, report, now=now, ends=ends)
    if mailer.is_away:
        later = max(now, timezone.now())
        _fall_back_untried(OutboxMessage.objects.filter(due(later), channel=EMAIL), later)


def _sweep_webhooks(now: datetime, ends: datetime, report: SweepReport) -> None:
    """One webhook at a time to each endpoint, several endpoints side by side."""
    poster = webhook.Poster()

    def take(free: int) -> Iterator[tuple[OutboxMessage, Callable[[], Sent]]]:
        while free and timezone.now() < ends:
            messages = claim_webhooks(max(now, timezone.now()), free, poster.away)
            if not messages:
                return
            for message in messages:
                ready = _prepare(message, report, max(now, timezone.now()))
                if ready is not None:
                    free -= 1
                    yield ready[0], partial(poster.send, *ready)

    def conclude(message: OutboxMessage, attempt: Callable[[], Sent]) -> None:
        try:
            _conclude(message, attempt, report, max(now, timezone.now()))
        except Exception:  # the database refused; the lease ends, and the others go now
            logger.exception("outbox message %s is left to a later sweep", message.pk)

    lanes.work_through(take, conclude)
    if poster.away:
        _spare(poster.away, max(now, timezone.now()))


def _spare(away: Collection[int], now: datetime) -> None:
    """Leave endpoints that do not answer alone for a while, but for one message at a time."""
    rows = OutboxMessage.objects.filter(due(now), channel=WEBHOOK, endpoint__in=away)
    _fall_back_untried(rows, now)
    later = now + timedelta(seconds=BACKOFF_SECONDS[0])
    rows.filter(state=State.QUEUED).update(next_attempt_at=later, state_reason=NOBODY_ANSWERS)


SWEEPS = {EMAIL: _sweep_mails, WEBHOOK: _sweep_webhooks}
HEARTBEATS = {EMAIL: "outbox", WEBHOOK: "webhooks"}


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


def deliver(message: OutboxMessage, mailer: email.Mailer, report: SweepReport, now: datetime) -> None:
    """Send one claimed mail, or drop, retry or set it aside with the reason."""
    ready = _prepare(message, report, now)
    if ready is not None:
        _conclude(ready[0], partial(mailer.send, *ready), report, now)


def _prepare(
    message: OutboxMessage, report: SweepReport, now: datetime
) -> tuple[OutboxMessage, Rendered] | None:
    """The row as it is now, and what to send; None if it is not to be sent, which is noted on the row."""
    begun = _begin(message, now)
    if begun is None:
        return None
    message, was_stopped = begun
    if was_stopped:
        _fail(message, STOPPED, now, report)
        return None
    try:
        kind = KINDS[message.kind]
        reason = why_not(message, kind)
        rendered = None if reason else kind.render(message)
    except Exception as error:
        logger.exception("outbox message %s cannot be rendered", message.pk)
        _fail(message, f"{type(error).__name__}: {error}", now, report, tries=RENDER_TRIES)
        return None
    if rendered is None:
        report.dropped += _finish(message, state=State.DROPPED, state_reason=reason)
        return None
    return message, rendered


def _begin(message: OutboxMessage, now: datetime) -> tuple[OutboxMessage, bool] | None:
    """Renew the lease and read the row anew; None if the row is somebody else's by now.

    Whether an earlier attempt was cut off twice is told, too: a message that kills its worker has to
    wait like any other that fails, for it would take those behind it along each time.
    """
    fresh = ours(message).select_related(*ENDS).first()
    until = lease_until(message.channel, now)
    begun = ours(message).update(lease_until=until, attempts=F("attempts") + 1, state_reason=UNDER_WAY)
    if fresh is None or not begun:
        return None
    was_stopped = fresh.state_reason == UNDER_WAY and fresh.attempts > 1
    fresh.attempts += 1
    return fresh, was_stopped


def _conclude(
    message: OutboxMessage, attempt: Callable[[], Sent], report: SweepReport, now: datetime
) -> None:
    """Make or look up the attempt, and note how it ended."""
    try:
        sent = attempt()
    except Permanent as error:
        _fail(message, str(error), now, report, tries=0)
    except Temporary as error:
        _fail(message, str(error), now, report)
    except Exception as error:
        logger.exception("outbox message %s cannot be sent", message.pk)
        _fail(message, f"{type(error).__name__}: {error}", now, report, tries=RENDER_TRIES)
    else:
        report.sent += _accepted(message, sent, max(now, timezone.now()))


def _finish(message: OutboxMessage, **columns: Any) -> int:
    """Write the outcome if the row is still ours; 1 if it was."""
    return ours(message).update(lease=None, lease_until=None, **columns)


def _accepted(message: OutboxMessage, sent: Sent, now: datetime) -> int:
    """Sent is sent, whoever may hold the row by now; 1 if nobody had noted it before."""
    row = OutboxMessage.objects.filter(pk=message.pk).exclude(state=State.SENT)
    return row.update(
        state=State.SENT, state_reason="", sent_at=now, lease=None, lease_until=None, **vars(sent)
    )


def _fail(
    message: OutboxMessage, reason: str, now: datetime, report: SweepReport, *, tries: int | None = None
) -> None:
    """Try again later, or set aside and tell staff: after `tries` attempts, and in any case after a day."""
    reason = one_line(reason, 1000)
    later = None if tries is not None and message.attempts >= tries else _next_attempt(message, now)
    with transaction.atomic():
        if later is not None:
            done = _finish(message, state=State.QUEUED, state_reason=reason, next_attempt_at=later)
            report.retried += done
        else:
            done = _finish(message, state=State.SET_ASIDE, state_reason=reason, unreached_at=now)
            report.set_aside += done
        if done:
            _fall_back(message, now)
        if done and later is None:
            tell_staff(message, now)


def _fall_back(message: OutboxMessage, now: datetime) -> None:
    """Queue the message by its next channel as well, once."""
    waiting = OutboxMessage.objects.filter(pk=message.pk).exclude(next_channels=[])
    with transaction.atomic():
        if waiting.update(next_channels=[]):
            twin = fallback.twin(message, now)
            if twin is not None:
                _queue(twin)


def _fall_back_untried(rows: QuerySet[OutboxMessage], now: datetime) -> None:
    """The same for messages that cannot even be tried. A row that fails to is left to the next sweep."""
    waiting = rows.exclude(next_channels=[]).order_by("priority", "next_attempt_at", "pk")
    for message in waiting.select_related(*ENDS):
        try:
            _fall_back(message, now)
        except Exception:
            logger.exception("outbox message %s does not fall back", message.pk)


def _next_attempt(message: OutboxMessage, now: datetime) -> datetime | None:
    """None when a day is over; a message whose first attempt came as late as that has a second one."""
    later = now + timedelta(seconds=BACKOFF_SECONDS[min(message.attempts, len(BACKOFF_SECONDS)) - 1])
    last = message.created_at + GIVE_UP_AFTER
    if now < last:
        return min(later, last)
    return later if message.attempts == 1 else None


def tell_staff(message: OutboxMessage, now: datetime) -> None:
    """Alarm duty managers and administrators, at most once an hour each, that a message is set aside."""
    if message.kind == "outbox_alarm":
        return
    roles = [StaffRole.DUTY_MANAGER, StaffRole.HEAD_OF_SUPPORT, StaffRole.ADMINISTRATOR]
    for person in User.objects.filter(is_active=True, is_staff=True, staff_role__in=roles):
        endpoint = endpoint_of(person)
        enqueue(
            "outbox_alarm",
            person,
            now=now,
            dedupe_key=f"outbox_alarm:{person.pk}:{now:%Y-%m-%d-%H}",
            facts={"message": message.pk},
            priority=OutboxMessage.Priority.URGENT,
            endpoint=endpoint,
            next_channels=[WEBHOOK] if endpoint else [],
        )


def requeue(message: OutboxMessage, *, now: datetime) -> bool:
    """Staff's second try for a message that was set aside; False if it was not."""
    row = OutboxMessage.objects.filter(pk=message.pk, state=State.SET_ASIDE)
    done = row.update(
        state=State.QUEUED,
        attempts=0,
        created_at=now,
        next_attempt_at=now,
        state_reason="",
        unreached_at=None,
        is_unreached_handled=False,
    )
    if done:
        wakeups.on_commit(message.channel)
    return bool(done)


def lag(now: datetime) -> float:
    """Seconds by which the message that is overdue the longest has not been attempted; 0 if none is.

    Webhooks that were tried do not count: that a receiver fails us says nothing of this product.
    """
    waiting = OutboxMessage.objects.filter(
        Q(channel=EMAIL) | Q(attempts=0), state__in=[State.QUEUED, State.CLAIMED], next_attempt_at__lte=now
    ).order_by("next_attempt_at")
    oldest = waiting.values_list("next_attempt_at", flat=True).first()
    return (now - oldest).total_seconds() if oldest else 0.0


# --- what did not arrive ---


def by_bounce_address(address: str) -> OutboxMessage | None:
    """The mail whose envelope sender this address was (VERP), or None."""
    message_id = email.message_id_of(address)
    return OutboxMessage.objects.filter(message_id=message_id, channel=EMAIL).first() if message_id else None


def bounced(message: OutboxMessage, *, at: datetime, reason: str) -> None:
    """Note, once, that a mail that was sent did not arrive, and send by the next channel."""
    row = OutboxMessage.objects.filter(pk=message.pk, unreached_at=None)
    with transaction.atomic():
        if row.update(unreached_at=at, state_reason=one_line(reason, 1000)):
            _fall_back(OutboxMessage.objects.select_related(*ENDS).get(pk=message.pk), at)


def unhandled_unreached() -> QuerySet[OutboxMessage]:
    """Messages that did not arrive and that nobody has acted upon yet, oldest first."""
    rows = OutboxMessage.objects.filter(unreached_at__isnull=False, is_unreached_handled=False)
    return rows.order_by("unreached_at", "pk")
