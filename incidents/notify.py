"""Event -> who hears, by which message. The only file of incidents that calls the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from incidents import audiences
from incidents.mail_contexts import context_of, is_public_still
from incidents.models import Channel, Clock, Incident, IncidentEvent, ReplyAddress
from portal import outbox
from portal.channels.base import Rendered
from portal.mails import reading_as, render_mail
from portal.models import OutboxMessage, User

ANSWERS_APART = timedelta(hours=24)
Audience = Callable[[Incident], Iterable[User]]


@dataclass(frozen=True)
class Notice:
    """One message that an event causes."""

    mail: str
    audience: Audience
    is_for_staff: bool = False
    is_automatic: bool = True
    skips_author: bool = True


def by_person(mail: str) -> Notice:
    """What a person wrote to the customer: from that person, always sent."""
    return Notice(mail, audiences.customers, is_automatic=False)


def to_customer(mail: str) -> Notice:
    return Notice(mail, audiences.customers, skips_author=False)


def to_staff(mail: str, audience: Audience = audiences.owners) -> Notice:
    return Notice(mail, audience, is_for_staff=True)


def everybody_on_staff(incident: Incident) -> Iterable[User]:
    return audiences.staff()


def duty_managers(incident: Incident) -> Iterable[User]:
    return audiences.duty_managers()


def update_author(incident: Incident) -> Iterable[User]:
    pending = incident.status_updates.filter(state="held").select_related("author").first()
    return [pending.author] if pending else []


NOTICES: dict[str, list[Notice]] = {
    "opened": [to_customer("incident_opened"), to_staff("staff_opened", everybody_on_staff)],
    "level_validated": [by_person("level_validated")],
    "lowering_contested": [to_staff("staff_contested", duty_managers)],
    "contest_decided": [by_person("contest_decided")],
    "staff_replied": [by_person("answered")],
    "customer_replied": [to_staff("staff_customer_replied")],
    "note_added": [],
    "files_attached": [],
    "acknowledged": [],
    "assigned": [],
    "intervention_started": [to_customer("intervention_started")],
    "action_plan_filed": [by_person("action_plan_filed")],
    "question_asked": [by_person("question_asked")],
    "status_update_scheduled": [],
    "status_update_held": [Notice("staff_update_held", update_author, is_for_staff=True, skips_author=False)],
    "status_update_discarded": [],
    "status_update_published": [by_person("status_update")],
    "status_update_accepted": [],
    "release_planned": [to_customer("release_planned")],
    "release_moved": [to_customer("release_moved")],
    "release_shipped": [by_person("release_shipped")],
    "release_withdrawn": [by_person("release_withdrawn")],
    "solution_documented": [by_person("solution_documented")],
    "restored": [to_customer("restored")],
    "resolved": [by_person("resolved")],
    "confirmed": [to_staff("staff_confirmed")],
    "closed": [to_customer("closed")],
    "closing_reminded": [to_customer("closing_reminded")],
    "reopened": [to_customer("reopened"), to_staff("staff_opened", everybody_on_staff)],
    "withdrawn": [to_staff("staff_withdrawn")],
    "marked_duplicate": [by_person("marked_duplicate")],
    "rca_requested": [to_staff("staff_rca_requested")],
    "clock_warned": [to_staff("staff_clock_warned")],
    "clock_breached": [to_staff("staff_clock_breached", audiences.owners_and_duty_managers)],
    "promise_changed": [to_customer("promise_changed")],
    "clock_corrected": [],
    "mail_held": [to_staff("staff_mail_held")],
    "automatic_mail_received": [],
}


def announce(incident: Incident, events: Sequence[IncidentEvent], now: datetime) -> None:
    """Queue what the events cause, in the verb's transaction. A solution that resolved is told once."""
    kinds = {event.kind for event in events}
    for event in events:
        if event.kind == "resolved" and kinds & {"solution_documented", "release_shipped"}:
            continue
        for notice in NOTICES[event.kind]:
            _queue(incident, event, notice, now)


def _queue(incident: Incident, event: IncidentEvent, notice: Notice, now: datetime) -> None:
    for person in notice.audience(incident):
        if notice.skips_author and person.pk == event.by_id:
            continue
        is_answer = _answers_a_mail(event, notice, person)
        if is_answer and _is_answered(incident, person, now):
            continue
        outbox.enqueue(
            notice.mail,
            person,
            now=now,
            dedupe_key=f"{event.pk}:{notice.mail}:{person.pk}",
            facts={
                "incident": incident.pk,
                "event": event.pk,
                **event.payload,
                **({"is_answer": True} if is_answer else {}),
            },
            subject_key=incident.reference,
            collapse_key=_collapse_key(incident, event, notice),
            is_automatic=notice.is_automatic,
            priority=_priority(incident),
        )


def _answers_a_mail(event: IncidentEvent, notice: Notice, person: User) -> bool:
    """Whether a machine of ours answers a mail: the one thing that two machines can go on with for ever."""
    is_theirs = event.channel == Channel.MAIL and person.pk == event.by_id
    return is_theirs and notice.is_automatic and not notice.is_for_staff


def _is_answered(incident: Incident, person: User, now: datetime) -> bool:
    lately = OutboxMessage.objects.filter(subject_key=incident.reference, recipient=person, is_automatic=True)
    return lately.filter(facts__is_answer=True, created_at__gt=now - ANSWERS_APART).exists()


def _collapse_key(incident: Incident, event: IncidentEvent, notice: Notice) -> str:
    """Late warnings and breaches of one clock say the same: the newest of them replaces the others."""
    if event.kind not in ("clock_warned", "clock_breached"):
        return ""
    kind = event.payload["clock"].split("/")[0]
    return f"{incident.pk}:clock:{kind}"


def _priority(incident: Incident) -> int:
    urgent = incident.level == "P1" and incident.is_unresolved
    return OutboxMessage.Priority.URGENT if urgent else OutboxMessage.Priority.NORMAL


# --- at send time ---


def _incident_and_event(message: OutboxMessage) -> tuple[Incident, IncidentEvent]:
    event = IncidentEvent.objects.select_related(
        "incident__organisation", "incident__assignee", "incident__reporter", "by"
    ).get(pk=message.facts["event"])
    return event.incident, event


def why_not(message: OutboxMessage) -> str:
    """Why a queued message may not be sent any more, or ""."""
    incident, event = _incident_and_event(message)
    person = message.recipient
    if not audiences.is_still_involved(person, incident):
        return "the recipient does not belong to the organisation any more"
    if not message.kind.startswith("staff_") and not is_public_still(event):
        return "its text has been made internal"
    if message.kind.startswith("staff_") and not person.is_agent:
        return "the recipient is not staff any more"
    if message.kind == "staff_clock_warned" and not _is_running(incident, event):
        return "the clock does not run any more"
    return ""


def _is_running(incident: Incident, event: IncidentEvent) -> bool:
    kind, cycle, level, ordinal = event.payload["clock"].split("/")
    rows = Clock.objects.filter(incident=incident, kind=kind, cycle=cycle, level=level, ordinal=ordinal)
    return rows.filter(state="running").exists()


def render(message: OutboxMessage) -> Rendered:
    incident, event = _incident_and_event(message)
    return render_for(message.kind, incident, event, message.recipient, message.is_automatic)


def render_for(
    mail: str, incident: Incident, event: IncidentEvent, recipient: User, is_automatic: bool
) -> Rendered:
    """The mail about an event as one person gets it."""
    from_name = f"{event.by} ({settings.SUPPORT_BRAND})" if event.by_id and not is_automatic else ""
    organisation = None if recipient.is_agent else incident.organisation
    with reading_as(recipient, organisation):
        context = context_of(incident, event, recipient)
    return render_mail(
        mail,
        context,
        recipient=recipient,
        organisation=organisation,
        from_name=from_name,
        reply_to=reply_address(incident, recipient),
    )


def reply_address(incident: Incident, recipient: User) -> str:
    """An address with a 128-bit token bound to this incident and this recipient."""
    found, _created = ReplyAddress.objects.get_or_create(incident=incident, recipient=recipient)
    return found.address


def register() -> None:
    """Tell the outbox how each of our messages is rendered and re-checked."""
    for name in sorted({notice.mail for notices in NOTICES.values() for notice in notices}):
        outbox.register(outbox.MessageKind(name=name, render=render, why_not=why_not))


def who_would_hear(kind: str, incident: Incident, by: User | None = None) -> list[User]:
    """The customers who would be mailed if an event of this kind happened now."""
    found = {
        person.pk: person
        for notice in NOTICES[kind]
        if not notice.is_for_staff
        for person in notice.audience(incident)
        if not (notice.skips_author and by and person.pk == by.pk)
    }
    return list(found.values())
