"""The inbox: what comes in is a row first, and read second. The outbox's twin.

`store` writes the row as it came, in a transaction of its own, so that a sender is told "taken" only of
what is safe. `sweep` claims due rows by a conditional update with a lease and hands each to its kind's
handler; the handler's verbs and the row's outcome are one transaction, so a worker that dies in the
middle has done nothing, and the next one does it once. A row that cannot be read, or that takes its
worker along each time, is set aside with its reason, shown to staff, and never blocks another.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from incidents import actions
from incidents.intake.parsed import Unacceptable
from incidents.models import AlarmSource, InboundMessage, Incident
from portal.heartbeat import beat
from portal.models import Endpoint, OutboxMessage

logger = logging.getLogger(__name__)

State = InboundMessage.State
BATCH = 20
TRIES = 4
BACKOFF_SECONDS = (10, 60, 300)
STOPPED = "the worker stopped each time that it was read"


@dataclass(frozen=True)
class Result:
    """What became of an inbound message."""

    state: str = State.DONE
    outcome: str = ""
    reason: str = ""
    incident: Incident | None = None
    about: OutboxMessage | None = None


class Handler(Protocol):
    """Decides on one message by verbs, in one transaction with its row. `content` is what `read` made of it."""

    def __call__(self, message: InboundMessage, now: datetime, /) -> Result: ...


class ContentHandler(Protocol):
    def __call__(self, message: InboundMessage, now: datetime, /, *, content: Any) -> Result: ...


HANDLERS: dict[str, Callable[[InboundMessage], Handler]] = {}


def register(kind: str, handler: Handler) -> None:
    """Say who decides on a kind of inbound message. For the app's ready()."""
    HANDLERS[kind] = lambda message: handler


def register_read(kind: str, handler: ContentHandler, read: Callable[[InboundMessage], Any]) -> None:
    """The same for a kind that takes long to read: `read` runs before the transaction, which on SQLite keeps
    everybody else from writing."""
    HANDLERS[kind] = lambda message: partial(handler, content=read(message))


def store(
    kind: str,
    *,
    via: str,
    received_at: datetime,
    dedupe_key: str,
    raw: bytes = b"",
    payload: Any = None,
    source: AlarmSource | None = None,
    endpoint: Endpoint | None = None,
    incident: Incident | None = None,
    sender: str = "",
    subject: str = "",
    refused: str = "",
    outcome: str = "",
) -> tuple[InboundMessage, bool]:
    """Keep what came in; the row, and False if it was stored before. Raises when it could not be stored.

    `received_at` is our own acceptance, in whole seconds. The caller answers its sender after this
    returns, and never before. With a reason in `refused` it is kept for staff to see, and not read; with an
    `outcome` all has been decided already.
    """
    known = InboundMessage.objects.filter(dedupe_key=dedupe_key).first()
    if known is not None:
        return known, False
    message = InboundMessage(
        kind=kind,
        via=via,
        source=source,
        endpoint=endpoint,
        incident=incident,
        payload=payload,
        size=len(raw),
        dedupe_key=dedupe_key,
        received_at=received_at.replace(microsecond=0),
        next_attempt_at=received_at,
        sender=sender[:320],
        subject=subject[:300],
        state=State.REFUSED if refused else State.DONE if outcome else State.RECEIVED,
        state_reason=refused,
        outcome=outcome,
    )
    if raw:
        message.raw.save("", ContentFile(raw), save=False)
    try:
        with transaction.atomic():
            InboundMessage.objects.bulk_create([message], ignore_conflicts=True)
    except Exception:
        if raw:
            message.raw.delete(save=False)
        raise
    stored = InboundMessage.objects.get(dedupe_key=dedupe_key)
    is_new = stored.raw.name == message.raw.name if raw else stored.next_attempt_at == message.next_attempt_at
    if raw and not is_new:
        message.raw.delete(save=False)
    return stored, is_new


def hold(
    message: InboundMessage, incident: Incident | None, reason: str, now: datetime, *, is_told: bool = True
) -> Result:
    """For staff to decide; said on the incident's timeline, to staff, where it belongs to one."""
    if incident is not None and is_told:
        # The notice names the reason, so it is on the row before the row is finished.
        InboundMessage.objects.filter(pk=message.pk).update(state_reason=reason)
        actions.hold_message(incident, inbound=message, now=now)
    return Result(state=State.HELD, reason=reason, incident=incident)


def due(now: datetime) -> Q:
    """Rows whose time has come, and rows whose reader's lease has run out."""
    waiting = Q(state=State.RECEIVED, next_attempt_at__lte=now)
    return waiting | Q(state=State.CLAIMED, lease_until__lte=now)


def waiting(now: datetime, tried: set[int]) -> list[int]:
    """The next rows to read, oldest receipt first."""
    rows = InboundMessage.objects.filter(due(now)).exclude(pk__in=tried).order_by("received_at", "pk")
    return list(rows.values_list("pk", flat=True)[:BATCH])


def sweep(now: datetime, *, budget: timedelta = timedelta(minutes=2)) -> dict[str, int]:
    """Read everything that is due, oldest receipt first, for at most `budget` of real time."""
    beat("inbox", now)
    ends = timezone.now() + budget
    done: dict[str, int] = {}
    tried: set[int] = set()
    while timezone.now() < ends and (ids := waiting(now, tried)):
        for pk in ids:
            state = _process_alone(pk, max(now, timezone.now()))
            if state in ("", State.RECEIVED):  # somebody else's, or to be tried later: not again in this pass
                tried.add(pk)
            if state:
                done[state] = done.get(state, 0) + 1
    return done


def _process_alone(pk: int, now: datetime) -> str:
    """One row that goes wrong beyond `process` (the database refused, say) stops no other."""
    try:
        return process(pk, now)
    except Exception:  # the lease ends, and a later pass reads it
        logger.exception("inbound message %s is left to a later sweep", pk)
        return ""


def process(pk: int, now: datetime) -> str:
    """Read one stored message if nobody else does; the state it ended in, or "" when it was not ours."""
    lease = uuid.uuid4()
    until = now + timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)
    row = InboundMessage.objects.filter(due(now), pk=pk)
    if not row.update(state=State.CLAIMED, lease=lease, lease_until=until, attempts=F("attempts") + 1):
        return ""
    message = InboundMessage.objects.select_related("source", "endpoint__organisation", "incident").get(pk=pk)
    if message.lease != lease:
        return ""
    if message.attempts > TRIES:
        return _fail(message, message.state_reason or STOPPED, now)
    try:
        decide = HANDLERS[message.kind](message)
        with transaction.atomic():
            result = decide(message, now)
            _finish(message, result)
    except Unacceptable as refused:
        result = Result(state=State.REFUSED, reason=str(refused))
        _finish(message, result)
    except Exception as error:
        logger.exception("inbound message %s cannot be read", pk)
        return _fail(message, f"{type(error).__name__}: {error}", now)
    return result.state


def _ours(message: InboundMessage) -> QuerySet[InboundMessage]:
    return InboundMessage.objects.filter(pk=message.pk, state=State.CLAIMED, lease=message.lease)


class Overtaken(Exception):
    """The lease ran out and somebody else has the row: what was done here is undone."""


def _finish(message: InboundMessage, result: Result) -> None:
    finished = _ours(message).update(
        state=result.state,
        outcome=result.outcome,
        state_reason=result.reason,
        incident=result.incident,
        about=result.about,
        lease=None,
        lease_until=None,
    )
    if not finished:
        raise Overtaken(f"inbound message {message.pk} was taken over")


def _fail(message: InboundMessage, reason: str, now: datetime) -> str:
    """Try again later; after some tries set aside, for staff to look at."""
    if message.attempts >= TRIES:
        state, later = State.SET_ASIDE, now
    else:
        later = now + timedelta(seconds=BACKOFF_SECONDS[min(message.attempts, len(BACKOFF_SECONDS)) - 1])
        state = State.RECEIVED
    _ours(message).update(
        state=state, state_reason=reason[:2000], next_attempt_at=later, lease=None, lease_until=None
    )
    return state


def requeue(message: InboundMessage, *, now: datetime) -> bool:
    """Staff's second try for a message that was set aside; False if it was not."""
    row = InboundMessage.objects.filter(pk=message.pk, state=State.SET_ASIDE)
    return bool(row.update(state=State.RECEIVED, attempts=0, next_attempt_at=now, state_reason=""))
