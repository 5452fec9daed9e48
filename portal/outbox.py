"""The outbox: a message is a row first, mail or webhook second.

`enqueue` writes the row in the verb's transaction; `sweep` claims due rows by a conditional update with
a lease, renders them, re-checks the recipient, sends, and stores what was sent and what the server
answered. The broker carries only wake-ups. SMTP is at-least-once: a message can repeat only when a
process dies between the server's 250 and our commit, and then under the same Message-ID. A message that
its channel fails is queued by its next channel too, once, and still retried by its own. How the other side
of a webhook does is `endpoint_health`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from portal import endpoint_health, fallback, lanes, restored, stopping, wakeups
from portal.channels import chat, email, webhook
from portal.channels.base import EMAIL, WEBHOOK, Gone, Permanent, Rendered, Sent, Temporary, one_line
from portal.claims import claim, claim_webhooks, due, lease_until, ours, release
from portal.claims import lag as lag
from portal.delivery_log import note_outcome
from portal.endpoint_health import Timed
from portal.endpoints import endpoint_of
from portal.fallback import ENDS
from portal.heartbeat import beat
from portal.message_kinds import ENDPOINT_CLOSED, KINDS, why_not
from portal.message_kinds import MessageKind as MessageKind
from portal.message_kinds import register as register
from portal.models import Endpoint, OutboxMessage, StaffRole, User
from portal.queueing import enqueue as enqueue
from portal.request_ids import bound

logger = logging.getLogger(__name__)

State = OutboxMessage.State
BACKOFF_SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600)
GIVE_UP_AFTER = timedelta(hours=24)
# A customer's webhooks: their makers have a week-end to repair what they broke.
PATIENT_BACKOFF_SECONDS = (5, 300, 1800, 7200, 18000, 36000)
PATIENT_GIVE_UP_AFTER = timedelta(days=3)
RENDER_TRIES = 3
LOOK_AGAIN_AFTER = timedelta(
    seconds=5
)  # a slow mail server: what became urgent goes before the rest of a batch
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


# --- out ---


def sweep(
    now: datetime, *, channel: str | None = None, budget: timedelta = timedelta(minutes=2)
) -> SweepReport:
    """Send everything that is due by `channel`, for at most `budget` of real time; without one, by all.

    A restored copy of the database sends nothing until it is released.
    """
    report = SweepReport()
    if restored.hold_reason(now):
        return report
    # Webhooks first, for they are quick; and once more, for mails that fail fall back to them.
    for each in [WEBHOOK, EMAIL, WEBHOOK] if channel is None else [channel]:
        beat(HEARTBEATS[each], now)
        SWEEPS[each](now, timezone.now() + budget, report)
    return report


def _goes_on(ends: datetime) -> bool:
    return timezone.now() < ends and not stopping.is_asked()


def _sweep_mails(now: datetime, ends: datetime, report: SweepReport) -> None:
    with email.Mailer() as mailer:
        while _goes_on(ends) and not mailer.is_away:
            messages = claim(max(now, timezone.now()))
            if not messages:
                break
            soon = min(ends, timezone.now() + LOOK_AGAIN_AFTER)
            _deliver_all(messages, mailer, report, now=now, ends=soon)
    if mailer.is_away:
        later = max(now, timezone.now())
        fallback.fall_back_untried(OutboxMessage.objects.filter(due(later), channel=EMAIL), later)


def _sweep_webhooks(now: datetime, ends: datetime, report: SweepReport) -> None:
    """One webhook at a time to each endpoint, several endpoints side by side."""
    poster = webhook.Poster()

    def take(free: int) -> Iterator[tuple[tuple[OutboxMessage, Timed], Callable[[], Sent]]]:
        while free and _goes_on(ends):
            messages = claim_webhooks(max(now, timezone.now()), free, poster.away)
            if not messages:
                return
            for message in messages:
                with bound(message.request_id):
                    ready = _prepare(message, report, max(now, timezone.now()))
                if ready is not None:
                    free -= 1
                    call = Timed(partial(poster.send, *chat.in_thread(*ready)))
                    yield (ready[0], call), call

    def conclude(job: tuple[OutboxMessage, Timed], attempt: Callable[[], Sent]) -> None:
        message, call = job
        try:
            with bound(message.request_id):
                _conclude(message, attempt, report, max(now, timezone.now()), call)
        except Exception:  # the database refused; the lease ends, and the others go now
            logger.exception("outbox message %s is left to a later sweep", message.pk)

    lanes.work_through(take, conclude)
    if poster.away:
        _spare(poster.away, max(now, timezone.now()))


def _spare(away: Collection[int], now: datetime) -> None:
    """Leave endpoints that do not answer alone for a while, but for one message at a time."""
    rows = OutboxMessage.objects.filter(due(now), channel=WEBHOOK, endpoint__in=away)
    fallback.fall_back_untried(rows, now)
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
        while waiting and _goes_on(ends) and not mailer.is_away:
            message = waiting.pop(0)
            try:
                deliver(message, mailer, report, max(now, timezone.now()))
            except Exception:  # the database refused; the lease ends, and the others go now
                logger.exception("outbox message %s is left to a later sweep", message.pk)
    finally:
        release(waiting)


def deliver(message: OutboxMessage, mailer: email.Mailer, report: SweepReport, now: datetime) -> None:
    """Send one claimed mail, or drop, retry or set it aside with the reason."""
    with bound(message.request_id):
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
        report.dropped += _drop(message, reason, now)
        return None
    return message, rendered


def _drop(message: OutboxMessage, reason: str, now: datetime) -> int:
    """Not to be sent: for good, or by another channel where it is the endpoint that is closed."""
    with transaction.atomic():
        done = _finish(message, state=State.DROPPED, state_reason=reason)
        if done and reason == ENDPOINT_CLOSED:
            fallback.fall_back(message, now)
    return done


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
    message: OutboxMessage,
    attempt: Callable[[], Sent],
    report: SweepReport,
    now: datetime,
    call: Timed | None = None,
) -> None:
    """Make or look up the attempt, and note how it ended; `call` says how long it took at an endpoint."""
    try:
        sent = attempt()
    except Exception as error:
        is_known = isinstance(error, Temporary | Permanent)
        if not is_known:
            logger.exception("outbox message %s cannot be sent", message.pk)
        with transaction.atomic():
            if is_known and call is not None:
                endpoint_health.note_failure(message, call, error, now)
            _fail_by(message, error, now, report)
    else:
        with transaction.atomic():
            report.sent += _accepted(message, sent, max(now, timezone.now()))
            if call is not None:
                chat.note_thread(message, sent, now)
                endpoint_health.note_success(message, call, sent.answer)


def _fail_by(message: OutboxMessage, error: Exception, now: datetime, report: SweepReport) -> None:
    """As the failure has it: again, or not; and what no channel is to blame for only a few times."""
    if isinstance(error, Temporary):
        _fail(message, str(error), now, report, wait=error.retry_after)
    elif isinstance(error, Permanent):
        is_final = isinstance(error, Gone) or not _is_patient(message)
        _fail(message, str(error), now, report, tries=0 if is_final else None)
    else:
        _fail(message, f"{type(error).__name__}: {error}", now, report, tries=RENDER_TRIES)


def _finish(message: OutboxMessage, **columns: Any) -> int:
    """Write the outcome if the row is still ours; 1 if it was."""
    done = ours(message).update(lease=None, lease_until=None, **columns)
    return note_outcome(message, columns["state"], done)


def _accepted(message: OutboxMessage, sent: Sent, now: datetime) -> int:
    """Sent is sent, whoever may hold the row by now; 1 if nobody had noted it before."""
    row = OutboxMessage.objects.filter(pk=message.pk).exclude(state=State.SENT)
    done = row.update(
        state=State.SENT, state_reason="", sent_at=now, lease=None, lease_until=None, **sent.columns
    )
    return note_outcome(message, State.SENT, done)


def _fail(
    message: OutboxMessage,
    reason: str,
    now: datetime,
    report: SweepReport,
    *,
    tries: int | None = None,
    wait: int | None = None,
) -> None:
    """Try again, after `wait` seconds at the least, or set aside: after `tries` attempts, or when its time is up."""
    reason = one_line(reason, 1000)
    later = None if tries is not None and message.attempts >= tries else _next_attempt(message, now, wait)
    with transaction.atomic():
        if later is not None:
            done = _finish(message, state=State.QUEUED, state_reason=reason, next_attempt_at=later)
            report.retried += done
        else:
            done = _set_aside(message, reason, now, is_ours_to_repair=tries == RENDER_TRIES)
            report.set_aside += done
        if done:
            fallback.fall_back(message, now)


def _set_aside(message: OutboxMessage, reason: str, now: datetime, *, is_ours_to_repair: bool) -> int:
    """And tell staff, but of a customer's webhooks: their managers hear of it when these are switched off."""
    is_told = is_ours_to_repair or not _is_patient(message)
    done = _finish(
        message,
        state=State.SET_ASIDE,
        state_reason=reason,
        unreached_at=now,
        is_unreached_handled=_is_patient(message),
    )
    if done and is_told:
        tell_staff(message, now)
    return done


def _is_patient(message: OutboxMessage) -> bool:
    """Whether it is an event for a customer's machine, which nobody waits for."""
    endpoint = message.endpoint if message.channel == WEBHOOK else None
    return endpoint is not None and endpoint.use == Endpoint.Use.WEBHOOKS


def _next_attempt(message: OutboxMessage, now: datetime, wait: int | None = None) -> datetime | None:
    """None when its time is over; a message whose first attempt came as late as that has a second one."""
    is_patient = _is_patient(message)
    steps = PATIENT_BACKOFF_SECONDS if is_patient else BACKOFF_SECONDS
    later = now + timedelta(seconds=steps[min(message.attempts, len(steps)) - 1])
    last = message.created_at + (PATIENT_GIVE_UP_AFTER if is_patient else GIVE_UP_AFTER)
    if now < last:
        later = min(later, last)
    elif message.attempts > 1:
        return None
    return max(later, now + timedelta(seconds=wait or 0))


def tell_staff(message: OutboxMessage, now: datetime) -> None:
    """Alarm duty managers and administrators, at most once an hour each, that a message is set aside."""
    if message.kind == "outbox_alarm":
        return
    roles = [StaffRole.DUTY_MANAGER, StaffRole.HEAD_OF_SUPPORT, StaffRole.ADMINISTRATOR]
    for person in User.objects.filter(is_active=True, is_staff=True, is_limited=False, staff_role__in=roles):
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
    return _again(message, Q(state=State.SET_ASIDE), now)


def replay(message: OutboxMessage, *, now: datetime) -> bool:
    """Send a webhook again that has ended, or that waits for another try: the same row, under the same id.

    Its attempts count anew, those made are kept. False for any other message.
    """
    with transaction.atomic():
        row = OutboxMessage.objects.select_for_update().filter(pk=message.pk, channel=WEBHOOK).first()
        if row is None:
            return False
        said_at = row.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        facts = {"said_at": said_at} | row.facts  # when it happened, however often it goes
        may_go = Q(state__in=[State.SENT, State.DROPPED, State.SET_ASIDE]) | Q(
            state=State.QUEUED, attempts__gt=0
        )
        return _again(row, may_go, now, facts=facts)


def _again(message: OutboxMessage, allowed: Q, now: datetime, **columns: Any) -> bool:
    """Queue the row anew if it is as allowed, whoever else does so now."""
    done = OutboxMessage.objects.filter(allowed, pk=message.pk).update(
        state=State.QUEUED,
        attempts=0,
        created_at=now,
        next_attempt_at=now,
        state_reason="",
        unreached_at=None,
        is_unreached_handled=False,
        **columns,
    )
    if done:
        wakeups.on_commit(message.channel)
    return bool(done)


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
            fallback.fall_back(OutboxMessage.objects.select_related(*ENDS).get(pk=message.pk), at)


def unhandled_unreached() -> QuerySet[OutboxMessage]:
    """Messages that did not arrive and that nobody has acted upon yet, oldest first."""
    rows = OutboxMessage.objects.filter(unreached_at__isnull=False, is_unreached_handled=False)
    return rows.order_by("unreached_at", "pk")
