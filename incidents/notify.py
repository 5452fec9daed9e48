"""Event -> who hears, by which message and channels. The only file of incidents that calls the outbox.

An event causes notices. Whom a notice reaches is data: the communication plan names roles of both sides by
level and topic, and `audiences` says who has a role. Nobody stays unheard: an unknown channel or a missing
endpoint falls back to e-mail. Of public events the organisation's webhooks hear besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from incidents import audiences, stale
from incidents.hearing import Heard, room_once, usable_channels
from incidents.mail_contexts import context_of, is_public_still
from incidents.models import (
    BridgeStep,
    Channel,
    Incident,
    IncidentEvent,
    Involved,
    ReplyAddress,
    Topic,
)
from incidents.models.agreement import CUSTOMER_ROLES
from incidents.models.plans import plan_of, rules_of, steps_of
from portal import outbox
from portal.channels.base import Rendered
from portal.endpoints import channel_of, endpoints_of, is_channel_of
from portal.mails import reading_as, render_mail
from portal.message_kinds import ENDPOINT_CLOSED
from portal.models import Organisation, OutboxMessage, User
from portal.webhook_events import EVENTS, Happened, publish_all

ANSWERS_APART = timedelta(hours=24)


Audience = Callable[[Incident, IncidentEvent | None, datetime], Iterable[Heard]]


@dataclass(frozen=True)
class Notice:
    """One message that an event causes."""

    mail: str
    audience: Audience
    is_for_staff: bool = False
    is_automatic: bool = True
    skips_author: bool = True


# --- who: by the plan, or by the event itself ---


def by_plan(topic: str, *, is_for_staff: bool) -> Audience:
    """Whom the plan names for a topic, on one side."""

    def audience(incident: Incident, event: IncidentEvent | None, now: datetime) -> Iterator[Heard]:
        if is_for_staff and topic in (Topic.RECEIPT, Topic.ALARM) and incident.parent_id:
            return  # one outage, many customers: the team is called once, by the parent
        yield from under_rules(incident, topic, now, is_for_staff=is_for_staff)

    return audience


def under_rules(incident: Incident, topic: str, now: datetime, *, is_for_staff: bool) -> Iterator[Heard]:
    # A customer who claimed a P1 hears as one of a P1, also of the verdict that lowers it.
    level = incident.level if is_for_staff else min(incident.level, incident.claimed_level)
    room = None if is_for_staff else channel_of(incident.organisation)
    for rule in rules_of(plan_of(incident.organisation_id)):
        if (rule.level, rule.topic) != (level, topic) or (rule.role in CUSTOMER_ROLES) == is_for_staff:
            continue
        if rule.role == Involved.ROOM and room is not None:
            yield Heard(None, ("webhook",), endpoint=room)
        people = list(audiences.people(rule.role, incident, now))
        pagers = endpoints_of(people) if is_for_staff else {}
        for person in people:
            endpoint = pagers.get(person.pk) if is_for_staff else room
            yield Heard(person, rule.channels, rule.is_every_channel, endpoint)


def who_is_late_told(incident: Incident, event: IncidentEvent | None, now: datetime) -> Iterator[Heard]:
    """The plan's people for lateness, and those whom a chain names for just these clocks."""
    yield from under_rules(incident, Topic.LATENESS, now, is_for_staff=False)
    names = [name.split("/") for name in event.payload["clocks"]] if event else []
    late = {(kind, level) for kind, _cycle, level, _ordinal in names}
    for step in steps_of(plan_of(incident.organisation_id)):
        if step.role in CUSTOMER_ROLES and step.percent is None and (step.kind, step.level) in late:
            for person in audiences.people(step.role, incident, now):
                yield Heard(person, step.channels, endpoint=channel_of(incident.organisation))


def paged(incident: Incident, event: IncidentEvent | None, now: datetime) -> Iterator[Heard]:
    """Whom the event itself names, by the channels that it names."""
    payload = event.payload if event else {}
    channels = tuple(payload.get("channels", ("email", "webhook")))
    people = list(User.objects.filter(pk__in=payload.get("people", ()), is_active=True).order_by("pk"))
    pagers = endpoints_of(people)
    for person in people:
        yield Heard(person, channels, payload.get("is_every_channel", True), pagers.get(person.pk))


def called_to_bridge(incident: Incident, event: IncidentEvent | None, now: datetime) -> Iterator[Heard]:
    """The owner, whoever is on call and the duty manager: by mail and pager at once."""
    for role in (Involved.OWNER, Involved.ON_CALL, Involved.DUTY_MANAGER):
        people = list(audiences.people(role, incident, now))
        pagers = endpoints_of(people)
        for person in people:
            yield Heard(person, ("email", "webhook"), True, pagers.get(person.pk))


def given_a_step(*, is_for_staff: bool) -> Audience:
    """The owner of a step, where they are not on the bridge to hear of it."""

    def audience(incident: Incident, event: IncidentEvent | None, now: datetime) -> Iterator[Heard]:
        step = BridgeStep.objects.get(pk=event.payload["step"]) if event else None
        if step is None or step.owner.is_agent != is_for_staff:
            return
        if not step.bridge.presences.filter(person=step.owner, left_at=None).exists():
            yield Heard(step.owner)

    return audience


def duty_managers(incident: Incident, event: IncidentEvent | None, now: datetime) -> Iterator[Heard]:
    return (Heard(person) for person in audiences.duty_managers())


def update_author(incident: Incident, event: IncidentEvent | None, now: datetime) -> list[Heard]:
    pending = incident.status_updates.filter(state="held").select_related("author").first()
    return [Heard(pending.author)] if pending else []


# --- what ---


def by_person(mail: str, topic: str) -> Notice:
    """What a person wrote to the customer: from that person, always sent."""
    return Notice(mail, by_plan(topic, is_for_staff=False), is_automatic=False)


def to_customer(mail: str, topic: str) -> Notice:
    return Notice(mail, by_plan(topic, is_for_staff=False), skips_author=False)


def to_staff(mail: str, topic: str = Topic.CUSTOMER_WROTE) -> Notice:
    return Notice(mail, by_plan(topic, is_for_staff=True), is_for_staff=True)


def page(mail: str) -> Notice:
    return Notice(mail, paged, is_for_staff=True, skips_author=False)


NOTICES: dict[str, list[Notice]] = {
    "opened": [to_customer("incident_opened", Topic.RECEIPT), to_staff("staff_opened", Topic.RECEIPT)],
    "level_validated": [by_person("level_validated", Topic.LEVEL)],
    "lowering_contested": [Notice("staff_contested", duty_managers, is_for_staff=True)],
    "contest_decided": [by_person("contest_decided", Topic.LEVEL)],
    "staff_replied": [by_person("answered", Topic.ANSWER)],
    "customer_replied": [to_staff("staff_customer_replied")],
    "note_added": [],
    "files_attached": [],
    "acknowledged": [],
    "assigned": [],
    "intervention_started": [to_customer("intervention_started", Topic.PROGRESS)],
    "action_plan_filed": [by_person("action_plan_filed", Topic.PROGRESS)],
    "question_asked": [by_person("question_asked", Topic.ANSWER)],
    "status_update_scheduled": [],
    "status_update_held": [Notice("staff_update_held", update_author, is_for_staff=True, skips_author=False)],
    "status_update_discarded": [],
    "status_update_published": [by_person("status_update", Topic.STATUS_UPDATE)],
    "status_update_accepted": [],
    "release_planned": [to_customer("release_planned", Topic.PROGRESS)],
    "release_moved": [to_customer("release_moved", Topic.PROGRESS)],
    "release_shipped": [by_person("release_shipped", Topic.SOLUTION)],
    "release_withdrawn": [by_person("release_withdrawn", Topic.SOLUTION)],
    "solution_documented": [by_person("solution_documented", Topic.SOLUTION)],
    "restored": [to_customer("restored", Topic.SOLUTION)],
    "resolved": [by_person("resolved", Topic.SOLUTION)],
    "confirmed": [to_staff("staff_confirmed")],
    "closed": [to_customer("closed", Topic.SOLUTION)],
    "closing_reminded": [to_customer("closing_reminded", Topic.SOLUTION)],
    "reopened": [to_customer("reopened", Topic.RECEIPT), to_staff("staff_opened", Topic.RECEIPT)],
    "withdrawn": [to_staff("staff_withdrawn")],
    "marked_duplicate": [by_person("marked_duplicate", Topic.SOLUTION)],
    "rca_requested": [to_staff("staff_rca_requested")],
    "rca_published": [],  # its readers are told by `rca_notify`
    "clock_warned": [],
    "clock_breached": [],
    "escalated": [page("staff_clock_warned"), page("staff_clock_breached")],
    "lateness_told": [Notice("promise_late", who_is_late_told, skips_author=False)],
    "declared_major": [to_customer("declared_major", Topic.PROGRESS)],
    "not_reached": [page("staff_not_reached")],
    "alarm_joined": [],
    "alarm_resolved": [to_staff("staff_alarm_resolved", Topic.ALARM)],
    "alarm_fired_again": [to_staff("staff_alarm_fired_again", Topic.ALARM)],
    "outage_joined": [],
    "outage_left": [],
    "customer_escalated": [
        page("staff_customer_escalated"),
        to_customer("customer_escalated", Topic.PROGRESS),
    ],
    "escalation_raised": [page("staff_escalation_raised"), to_customer("escalation_raised", Topic.PROGRESS)],
    "escalation_answered": [by_person("escalation_answered", Topic.ANSWER)],
    "bridge_opened": [
        to_customer("bridge_opened", Topic.PROGRESS),
        Notice("staff_bridge_opened", called_to_bridge, is_for_staff=True),
    ],
    "bridge_role_given": [],
    "bridge_noted": [],
    "bridge_decided": [],
    "bridge_step_agreed": [
        Notice("bridge_step_given", given_a_step(is_for_staff=False), is_automatic=False),
        Notice(
            "staff_bridge_step_given", given_a_step(is_for_staff=True), is_for_staff=True, is_automatic=False
        ),
    ],
    "bridge_step_done": [],
    "bridge_closed": [by_person("bridge_closed", Topic.PROGRESS)],
    "watcher_added": [],
    "watcher_removed": [],
    "reporter_changed": [],
    "team_changed": [],
    "promise_changed": [to_customer("promise_changed", Topic.PROGRESS)],
    "clock_corrected": [],
    "mail_held": [to_staff("staff_mail_held")],
    "automatic_mail_received": [],
}


def notices_of(event: IncidentEvent, others: Sequence[IncidentEvent]) -> list[Notice]:
    """What an event causes, given what else its act records: the same thing is told once."""
    kinds = {other.kind for other in others}
    if event.kind == "resolved" and kinds & {"solution_documented", "release_shipped"}:
        return []
    if event.kind == "declared_major" and "lateness_told" in kinds:
        return []
    if event.kind == "escalated":
        is_warning = "%" in event.payload["step"]
        return [notice for notice in NOTICES["escalated"] if notice.mail.endswith("warned") == is_warning]
    return NOTICES[event.kind]


def announce(incident: Incident, events: Sequence[IncidentEvent], now: datetime) -> None:
    """Queue what the events cause, in the verb's transaction."""
    for event in events:
        for notice in notices_of(event, events):
            skips = partial(_is_skipped, incident, event, notice, now)
            for heard in told_once(incident, notice.audience(incident, event, now), skips):
                _queue(incident, event, notice, heard, now)
    publish(incident, events, now)


def told_once(
    incident: Incident, audience: Iterable[Heard], skips: Callable[[User], bool] = lambda _person: False
) -> list[Heard]:
    """Who hears in the end, each once, without the people who are skipped."""

    def stand_ins() -> list[User]:
        people = [*audiences.reporters(incident), *audiences.p1_contacts(incident)]
        return [person for person in people if not skips(person)]

    return room_once([one for one in audience if not (one.person and skips(one.person))], stand_ins)


def _is_skipped(
    incident: Incident, event: IncidentEvent, notice: Notice, now: datetime, person: User
) -> bool:
    """Whoever did it, where they need not be told; and whose mail has had its automatic answer."""
    if notice.skips_author and person.pk == event.by_id:
        return True
    return _answers_a_mail(event, notice, person) and _is_answered(incident, person, now)


def webhook_name(kind: str) -> str:
    """The name by which webhooks know a kind of event."""
    return f"incident.{kind}"


def publish(incident: Incident, events: Sequence[IncidentEvent], now: datetime) -> None:
    """Tell the organisation's webhooks of the public events, each once: they are facts, also when late."""
    happened = [
        Happened(
            webhook_name(event.kind),
            str(event.pk),
            {"incident": incident.pk, "event": event.pk},
            incident.reference,
        )
        for event in events
        if event.is_public and webhook_name(event.kind) in EVENTS
    ]
    publish_all([incident.organisation_id], happened, now=now)


def _queue(incident: Incident, event: IncidentEvent, notice: Notice, heard: Heard, now: datetime) -> None:
    key = f"{event.pk}:{notice.mail}:{heard.key}"
    facts: dict[str, Any] = {"incident": incident.pk, "event": event.pk, **event.payload}
    people = [heard.person, *heard.instead] if heard.person else heard.instead
    if any(_answers_a_mail(event, notice, person) for person in people):
        facts["is_answer"] = True
    first, *others = usable_channels(heard)
    for channel in [first, *(others if heard.is_every_channel else [])]:
        outbox.enqueue(
            notice.mail,
            heard.person,
            now=now,
            # The key that a fallback's twin would have: by both ways at once, or by one after the other.
            dedupe_key=f"{key}:webhook" if channel == "webhook" and heard.person else key,
            facts=facts,
            subject_key=incident.reference,
            collapse_key=_collapse_key(incident, event, channel),
            is_automatic=notice.is_automatic or event.by_id is None,
            priority=_priority(incident),
            channel=channel,
            endpoint=heard.endpoint,
            next_channels=() if heard.is_every_channel else others,
            instead=[person.pk for person in heard.instead],
        )


def _answers_a_mail(event: IncidentEvent, notice: Notice, person: User) -> bool:
    """Whether a machine of ours answers a mail: the one thing that two machines can go on with for ever."""
    is_theirs = event.channel == Channel.MAIL and person.pk == event.by_id
    return is_theirs and notice.is_automatic and not notice.is_for_staff


def _is_answered(incident: Incident, person: User, now: datetime) -> bool:
    lately = OutboxMessage.objects.filter(subject_key=incident.reference, recipient=person, is_automatic=True)
    return lately.filter(facts__is_answer=True, created_at__gt=now - ANSWERS_APART).exists()


def _collapse_key(incident: Incident, event: IncidentEvent, channel: str) -> str:
    """After an outage many late words say the same: the newest of them replaces the others.

    Staff hear once of each kind of clock, the customer once of where things stand.
    """
    if event.kind == "escalated":
        return f"{incident.pk}:{channel}:clock:{event.payload['clock'].split('/')[0]}"
    return f"{incident.pk}:{channel}:lateness" if event.kind == "lateness_told" else ""


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
    person, is_for_staff = message.recipient, message.kind.startswith("staff_")
    if person is None:
        room = message.endpoint
        if room is None or not is_channel_of(room, incident.organisation_id):
            return ENDPOINT_CLOSED  # not theirs any more: whoever hears instead gets the mail
    elif reason := audiences.why_not_involved(person, incident):
        return reason
    if not is_for_staff and not is_public_still(event):
        return "its text has been made internal"
    if is_for_staff and (person is None or not person.is_agent):
        return "the recipient is not staff any more"
    return stale.reason(message.kind, incident, event)


def render(message: OutboxMessage) -> Rendered:
    incident, event = _incident_and_event(message)
    return render_for(message.kind, incident, event, message.recipient, message.is_automatic)


def render_for(
    mail: str, incident: Incident, event: IncidentEvent, recipient: User | None, is_automatic: bool
) -> Rendered:
    """The mail about an event as one person (or the organisation's room) gets it."""
    from_name = f"{event.by} ({settings.SUPPORT_BRAND})" if event.by_id and not is_automatic else ""
    organisation = reads_as_one_of(incident, recipient)
    with reading_as(recipient, organisation):
        context = context_of(incident, event, recipient)
    rendered = render_mail(
        mail,
        context,
        recipient=recipient,
        organisation=organisation,
        from_name=from_name,
        reply_to=reply_address(incident, recipient) if recipient else "",
    )
    form = context["form"]
    return replace(rendered, url=context["url"], form=form.as_json() if form else None)


def reads_as_one_of(incident: Incident, recipient: User | None) -> Organisation | None:
    return None if recipient and recipient.is_agent else incident.organisation


def reply_address(incident: Incident, recipient: User) -> str:
    """An address with a 128-bit token bound to this incident and this recipient."""
    found, _created = ReplyAddress.objects.get_or_create(incident=incident, recipient=recipient)
    return found.address


def register() -> None:
    """Tell the outbox how each of our messages is rendered and re-checked."""
    for name in sorted({notice.mail for notices in NOTICES.values() for notice in notices}):
        outbox.register(outbox.MessageKind(name=name, render=render, why_not=why_not))


def who_would_hear(
    kind: str, incident: Incident, now: datetime, by: User | None = None, *, is_for_staff: bool = False
) -> list[Heard]:
    """Whom of one side an event of this kind would reach if it happened now, and how."""
    found = [
        heard
        for notice in NOTICES[kind]
        if notice.is_for_staff == is_for_staff
        for heard in notice.audience(incident, None, now)
        if not (notice.skips_author and by and heard.person and heard.person.pk == by.pk)
    ]
    return told_once(incident, found)
