"""Event of an RCA -> who hears, by which message. The communication plan's topic RCA names the customer's side.

Where the RCA is of a maintenance window, those hear who were invited to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from incidents import audiences, notify, oncall
from incidents.hearing import Heard, usable_channels
from incidents.models import (
    RCA,
    PreventionAction,
    RCAComment,
    RCACopy,
    RCAEvent,
    RCARemark,
    Topic,
)
from incidents.rca_document import context_of, file_name, pdf_of
from incidents.rca_reading import ActionView, Reading, incidents_of, readers_of, reading
from incidents.standard_rca import action_form, url_of
from maintenance.models import Invitation
from portal import outbox, pdf
from portal.channels.base import Attached, Rendered
from portal.endpoints import channel_of, is_channel_of
from portal.mails import reading_as, render_mail
from portal.message_kinds import ENDPOINT_CLOSED
from portal.models import Organisation, OutboxMessage, User
from portal.webhook_events import Happened, publish_all

Told = Iterator[tuple[Heard, Organisation | None]]


@dataclass(frozen=True)
class RCANotice:
    """One message that an event causes."""

    mail: str
    audience: Callable[[RCA, RCAEvent, datetime], Told]
    is_automatic: bool = False


# --- who ---


def of_organisation(rca: RCA, organisation: Organisation, now: datetime) -> list[Heard]:
    """The organisation's people and its channel that hear of its RCAs, each once."""
    if rca.window_id is not None:
        return _of_window(rca.window_id, organisation)
    own = incidents_of(rca, organisation)
    heard = [
        found
        for incident in own
        for found in notify.under_rules(incident, Topic.RCA, now, is_for_staff=False)
    ]
    return notify.told_once(own[0], heard) if own else []


def _of_window(window: int, organisation: Organisation) -> list[Heard]:
    invited = Invitation.objects.filter(window=window, organisation=organisation)
    people = User.objects.filter(
        pk__in=invited.values("person"),
        is_active=True,
        hears_maintenance=True,
        memberships__organisation=organisation,
    )
    room = channel_of(organisation)
    rooms = [Heard(None, ("webhook",), endpoint=room)] if room and room.hears_maintenance else []
    return [*map(Heard, people.distinct().order_by("pk")), *rooms]


def all_readers(rca: RCA, event: RCAEvent, now: datetime) -> Told:
    """Whoever hears of it in each organisation that has a copy."""
    for organisation in with_copies(rca):
        yield from ((heard, organisation) for heard in of_organisation(rca, organisation, now))


def with_copies(rca: RCA) -> list[Organisation]:
    """The organisations that may read it, and have a copy."""
    with_copy = set(RCACopy.objects.filter(version__rca=rca).values_list("organisation", flat=True))
    return [organisation for organisation in readers_of(rca) if organisation.pk in with_copy]


def commented_to(rca: RCA, event: RCAEvent, now: datetime) -> Told:
    """The organisation that staff answer."""
    organisation = Organisation.objects.get(pk=event.payload["organisation"])
    if event.by is not None and event.by.is_agent:
        yield from ((heard, organisation) for heard in of_organisation(rca, organisation, now))


def those_who_wrote(rca: RCA, event: RCAEvent, now: datetime) -> Told:
    """Author and reviewer, and whoever has the incident: what a customer says reaches somebody always."""
    if event.by is not None and event.by.is_agent:
        return
    people = [person for person in (rca.author, rca.reviewer) if person is not None and person.is_agent]
    people += (
        audiences.owners(rca.incident, now) if rca.incident else [rca.window.owner] if rca.window else []
    )
    for person in people or oncall.on_duty("duty_manager", now):
        yield Heard(person), None


def the_author(rca: RCA, event: RCAEvent, now: datetime) -> Told:
    if rca.author is not None:
        yield Heard(rca.author), None


def who_may_review(rca: RCA, event: RCAEvent, now: datetime) -> Told:
    for person in oncall.on_duty("duty_manager", now):
        yield Heard(person), None


NOTICES: dict[str, list[RCANotice]] = {
    "rca_submitted": [RCANotice("staff_rca_submitted", who_may_review)],
    "rca_returned": [RCANotice("staff_rca_returned", the_author)],
    "rca_approved": [RCANotice("staff_rca_approved", the_author)],
    "rca_published": [RCANotice("rca_published", all_readers)],
    "rca_commented": [
        RCANotice("staff_rca_commented", those_who_wrote, is_automatic=True),
        RCANotice("rca_answered", commented_to),
    ],
    "rca_accepted": [RCANotice("staff_rca_accepted", those_who_wrote, is_automatic=True)],
    "action_moved": [RCANotice("prevention_action_moved", all_readers)],
    "action_closed": [RCANotice("prevention_action_done", all_readers)],
    "action_dropped": [RCANotice("prevention_action_dropped", all_readers)],
}
ACTION_DUE, RCA_DUE = "staff_action_due", "staff_rca_due"


# What webhooks hear of, by the kinds of events: what was published, and what becomes of its actions.
WEBHOOKS = {
    "rca_published": "rca.published",
    "action_started": "rca.prevention_action_started",
    "action_moved": "rca.prevention_action_moved",
    "action_handed_over": "rca.prevention_action_handed_over",
    "action_closed": "rca.prevention_action_done",
    "action_dropped": "rca.prevention_action_dropped",
}


def announce(rca: RCA, events: Sequence[RCAEvent], now: datetime) -> None:
    """Queue what the events cause, in the verb's transaction; nobody hears of their own doing."""
    for event in events:
        for notice in NOTICES.get(event.kind, []):
            for heard, organisation in dict(_by_key(notice.audience(rca, event, now))).values():
                if heard.person is None or heard.person.pk != event.by_id:
                    _queue(rca, event, notice, heard, organisation, now)
    publish(rca, events, now)


def publish(rca: RCA, events: Sequence[RCAEvent], now: datetime) -> None:
    """Tell the webhooks of each organisation that has a copy."""
    public = [event for event in events if event.is_public and event.kind in WEBHOOKS]
    for organisation in with_copies(rca) if public else ():
        happened = [
            Happened(
                WEBHOOKS[event.kind],
                f"rca-{event.pk}",
                {"rca": rca.pk, "rca_event": event.pk},
                _reference(rca, organisation),
            )
            for event in public
        ]
        publish_all([organisation], happened, now=now)


def _by_key(told: Iterable[tuple[Heard, Organisation | None]]) -> Iterator[tuple[Any, Any]]:
    for heard, organisation in told:
        yield (heard.key, organisation.pk if organisation else None), (heard, organisation)


def _queue(
    rca: RCA,
    event: RCAEvent,
    notice: RCANotice,
    heard: Heard,
    organisation: Organisation | None,
    now: datetime,
) -> None:
    whose = organisation.pk if organisation else 0
    first, *others = usable_channels(heard)
    for channel in [first, *(others if heard.is_every_channel else [])]:
        key = f"rca-{event.pk}:{notice.mail}:{whose}:{heard.key}"
        outbox.enqueue(
            notice.mail,
            heard.person,
            now=now,
            dedupe_key=f"{key}:webhook" if channel == "webhook" and heard.person else key,
            facts={"rca": rca.pk, "rca_event": event.pk, "organisation": whose},
            subject_key=_reference(rca, organisation),
            is_automatic=notice.is_automatic,
            channel=channel,
            endpoint=heard.endpoint,
            next_channels=() if heard.is_every_channel else others,
            instead=[person.pk for person in heard.instead],
        )


def _reference(rca: RCA, organisation: Organisation | None) -> str:
    """What the reader knows it by: their own incident, and the thread of its mails."""
    own = incidents_of(rca, organisation) if organisation else []
    return own[0].reference if own else rca.reference


def remind(rca: RCA, people: Iterable[User], key: str, facts: dict[str, Any], now: datetime) -> bool:
    """Queue a reminder to staff, of an action or of a window's RCA; False if all were queued before."""
    kind = ACTION_DUE if "action" in facts else RCA_DUE
    is_new = False
    for person in people:
        is_new |= outbox.enqueue(
            kind,
            person,
            now=now,
            dedupe_key=f"{key}:{person.pk}",
            facts={"rca": rca.pk, **facts},
            subject_key=rca.reference,
            collapse_key=key.rpartition(":")[0],
        )
    return is_new


# --- at send time ---


def why_not(message: OutboxMessage) -> str:
    """Why a queued message may not be sent any more, or ""."""
    if message.kind.startswith("staff_"):
        return _why_not_staff(message)
    person, whose = message.recipient, message.facts["organisation"]
    if person is None:
        room = message.endpoint
        return "" if room is not None and is_channel_of(room, whose) else ENDPOINT_CLOSED
    if not person.memberships.filter(organisation=whose).exists():
        return "the recipient does not belong to the organisation any more"
    readable = RCACopy.objects.visible_to(person).filter(
        version__rca=message.facts["rca"], organisation=whose
    )
    return "" if readable.exists() else "the recipient may not see the incident"


def _why_not_staff(message: OutboxMessage) -> str:
    if message.recipient is None or not message.recipient.is_agent:
        return "the recipient is not staff any more"
    seen = RCA.objects.visible_to(message.recipient)
    if message.recipient.is_limited and not seen.filter(pk=message.facts["rca"]).exists():
        return "the recipient does not look after the organisation"
    if message.kind == ACTION_DUE:
        action = PreventionAction.objects.get(pk=message.facts["action"])
        is_same = action.is_open and str(action.due_on) == message.facts["due_on"]
        return "" if is_same else "the action is closed, or has another date"
    if message.kind == RCA_DUE and RCA.objects.get(pk=message.facts["rca"]).first_published_at:
        return "the RCA is published"
    return ""


def render(message: OutboxMessage) -> Rendered:
    rca = RCA.objects.select_related("incident", "window", "author", "reviewer").get(pk=message.facts["rca"])
    event = RCAEvent.objects.select_related("by").filter(pk=message.facts.get("rca_event")).first()
    if message.kind.startswith("staff_"):
        return _render_staff(message, rca, event)
    assert event is not None
    organisation = Organisation.objects.get(pk=message.facts["organisation"])
    return _render_customer(message, rca, event, organisation)


def _render_staff(message: OutboxMessage, rca: RCA, event: RCAEvent | None) -> Rendered:
    facts = event.payload if event else message.facts
    url = f"{settings.SITE_URL}/admin/incidents/rca/{rca.pk}/change/"
    context = {
        "rca": rca,
        "by": event.by if event else None,
        "url": url,
        "remark": RCARemark.objects.filter(pk=facts.get("remark")).first(),
        "comment": RCAComment.objects.filter(pk=facts.get("comment")).first(),
        "copy": RCACopy.objects.filter(pk=facts.get("copy"))
        .select_related("version", "organisation")
        .first(),
        "about": Organisation.objects.filter(pk=facts.get("organisation")).first(),
        "action": PreventionAction.objects.filter(pk=facts.get("action")).first(),
        "today": timezone.localdate(),
    }
    return render_mail(message.kind, context, recipient=message.recipient, url=url)


def _render_customer(
    message: OutboxMessage, rca: RCA, event: RCAEvent, organisation: Organisation
) -> Rendered:
    person = message.recipient
    with reading_as(person, organisation):
        read = reading(copy_for(rca, event, organisation), timezone.localdate(), person)
        context = context_of(read) | {"by": event.by, "url": url_of(read), "has_pdf": False}
        context |= about(rca, event, read)
        attached = _attached(read) if message.kind == "rca_published" and person else ()
        context["has_pdf"] = bool(attached)
    return render_mail(
        message.kind,
        context,
        recipient=person,
        organisation=organisation,
        from_name=f"{event.by} ({settings.SUPPORT_BRAND})" if event.by else "",
        reply_to=_reply_to(rca, organisation, person),
        url=context["url"],
        form=context["form"].as_json(),
        attached=attached,
    )


def copy_for(rca: RCA, event: RCAEvent, organisation: Organisation) -> RCACopy:
    """The copy that the event is about: of its own version, else the latest."""
    copies = RCACopy.objects.filter(version__rca=rca, organisation=organisation).select_related(
        "organisation", "version__rca", "version__author", "version__reviewer"
    )
    version = event.payload.get("version")
    found = copies.filter(version=version) if version else copies.order_by("-version__number")
    return found[0]


def about(rca: RCA, event: RCAEvent, read: Reading) -> dict[str, Any]:
    """The action or the comment that the event is about, as its reader may see it."""
    comment = RCAComment.objects.filter(pk=event.payload.get("comment"), organisation=read.organisation)
    found: dict[str, Any] = {"comment": comment.select_related("author").first()}
    row = PreventionAction.objects.filter(pk=event.payload.get("action"), rca=rca).first()
    action: ActionView | None = next((a for a in read.actions if row and a.number == row.number), None)
    if action is not None:
        found |= {"action": action, "slip": next((s for s in action.slips if s.at == event.at), None)}
        found["form"] = action_form(read, action, event.at)
    return found


def _attached(read: Reading) -> tuple[Attached, ...]:
    """The document; a machine that makes no PDFs sends the mail without it, and the page can be printed."""
    try:
        return (Attached(file_name(read), "application/pdf", pdf_of(read)),)
    except pdf.Unavailable:
        return ()


def _reply_to(rca: RCA, organisation: Organisation, person: User | None) -> str:
    """An address with a token bound to what it is about, and to this recipient."""
    if person is None:
        return ""
    own = incidents_of(rca, organisation)
    if own:
        return notify.reply_address(own[0], person)
    invitation = Invitation.objects.filter(window=rca.window_id, person=person).first()
    return f"maintenance+{invitation.token}@{settings.MAIL_DOMAIN}" if invitation else ""


def register() -> None:
    """Tell the outbox how each of our messages is rendered and re-checked."""
    kinds = {notice.mail for notices in NOTICES.values() for notice in notices} | {ACTION_DUE, RCA_DUE}
    for name in sorted(kinds):
        outbox.register(outbox.MessageKind(name=name, render=render, why_not=why_not))
