"""Sources that live, and sources that fell silent: an alarm system that says nothing is an alarm itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from incidents import oncall
from incidents.models import AlarmSource
from portal import outbox
from portal.channels.base import Rendered
from portal.mails import render_mail
from portal.models import Membership, OutboxMessage, User

SILENT, BACK = "source_silent", "source_back"
HEARD_EVERY = timedelta(seconds=5)  # more often would make all requests of a source wait for one row


def hear(source: AlarmSource, now: datetime) -> None:
    """Note that an authenticated request came, whatever is in it. It ends a silence."""
    if source.silent_since is not None:
        _end_silence(source, now)
    elif source.last_seen_at is None or now - source.last_seen_at >= HEARD_EVERY:
        with transaction.atomic():
            # Whoever holds the row reads alarms of this source; the next request notes it as well.
            row = AlarmSource.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=source.pk)
            if row.values_list("pk").first():
                AlarmSource.objects.filter(pk=source.pk).update(last_seen_at=now)


def _end_silence(source: AlarmSource, now: datetime) -> None:
    since = source.silent_since
    assert since is not None
    with transaction.atomic():
        silent = AlarmSource.objects.filter(pk=source.pk, silent_since=since)
        if silent.update(silent_since=None, last_seen_at=now):
            _tell(BACK, source, since, now)


def sweep_silence(now: datetime) -> int:
    """Tell, once, of each source that was silent for longer than it may; how many there were."""
    heard = Coalesce("last_seen_at", "created_at")
    watched = AlarmSource.objects.filter(is_active=True, heartbeat_minutes__gt=0, silent_since=None)
    count = 0
    for source in watched.annotate(heard_at=heard):
        since = source.heard_at + timedelta(minutes=source.heartbeat_minutes or 0)
        if since < now:
            count += _begin_silence(source, since, now)
    return count


def _begin_silence(source: AlarmSource, since: datetime, now: datetime) -> bool:
    """False when it was heard meanwhile, or another process was faster."""
    with transaction.atomic():
        unheard = AlarmSource.objects.filter(
            pk=source.pk, silent_since=None, last_seen_at=source.last_seen_at
        )
        if not unheard.update(silent_since=since):
            return False
        _tell(SILENT, source, since, now)
    return True


# --- who hears ---


def listeners(source: AlarmSource, now: datetime) -> Iterable[User]:
    """The duty manager on duty (all staff where there is none) and the managers of the source's organisation."""
    people = oncall.on_duty("duty_manager", now)
    theirs = Q(memberships__organisation=source.organisation_id, memberships__role=Membership.Role.MANAGER)
    if source.organisation_id is not None:
        people += User.objects.filter(theirs, is_active=True).exclude(pk__in=[p.pk for p in people])
    return people


def _tell(kind: str, source: AlarmSource, since: datetime, now: datetime) -> None:
    for person in listeners(source, now):
        outbox.enqueue(
            kind,
            person,
            now=now,
            dedupe_key=_key(kind, source.pk, since.isoformat(), person),
            facts={"source": source.pk, "since": since.isoformat(), "at": now.isoformat()},
            subject_key=f"source-{source.pk}",
            priority=OutboxMessage.Priority.URGENT,
        )


def _key(kind: str, source: int, since: str, person: User) -> str:
    return f"{kind}:{source}:{since}:{person.pk}"


# --- at send time ---


def render(message: OutboxMessage) -> Rendered:
    source = AlarmSource.objects.select_related("organisation").get(pk=message.facts["source"])
    person = _recipient(message)
    context = {
        "source": source,
        "since": datetime.fromisoformat(message.facts["since"]),
        "at": datetime.fromisoformat(message.facts["at"]),
        "is_for_staff": person.is_agent,
    }
    organisation = None if person.is_agent else source.organisation
    return render_mail(message.kind, context, recipient=person, organisation=organisation)


def why_not(message: OutboxMessage) -> str:
    """Why it may not be sent any more, or "". Nobody hears of the end of a silence that they never heard of."""
    source, person = AlarmSource.objects.filter(pk=message.facts["source"]).first(), _recipient(message)
    if source is None:
        return "the source is not there any more"
    theirs = person.memberships.filter(organisation=source.organisation_id, role=Membership.Role.MANAGER)
    if not person.is_agent and (source.organisation_id is None or not theirs.exists()):
        return "the recipient has nothing to do with the source any more"
    since = message.facts["since"]
    if message.kind == SILENT:
        is_silent = source.silent_since == datetime.fromisoformat(since)
        return "" if is_silent else "the source has been heard again"
    told = OutboxMessage.objects.filter(dedupe_key=_key(SILENT, source.pk, since, person))
    return "" if told.filter(state=OutboxMessage.State.SENT).exists() else "they never heard of the silence"


def _recipient(message: OutboxMessage) -> User:
    assert message.recipient is not None  # these go by e-mail only
    return message.recipient


def register() -> None:
    """Make both messages known to the outbox."""
    for kind in (SILENT, BACK):
        outbox.register(outbox.MessageKind(name=kind, render=render, why_not=why_not))
