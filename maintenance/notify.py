"""Event -> who hears, by which message and channels. The only file of maintenance that calls the outbox.

Customers hear by mail and in their organisation's own channel, each once of each change, with a calendar part where what is agreed changes. What a
person decides is always sent; what happens by itself is not sent any more once something newer is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings

from maintenance import audiences, ical, rooms, stale
from maintenance.mail_contexts import as_of, context_of
from maintenance.models import Consent, Invitation, MaintenancePlan, MaintenanceWindow, Status, WindowEvent
from portal import outbox
from portal.channels.base import EMAIL, WEBHOOK, Rendered
from portal.endpoints import endpoint_of
from portal.mails import reading_as, render_mail
from portal.models import Endpoint, Organisation, OutboxMessage, User
from portal.webhook_events import Happened, publish_all

Audience = Callable[[MaintenanceWindow, WindowEvent, datetime], Iterable[User]]
PRIORITY = OutboxMessage.Priority


@dataclass(frozen=True)
class Notice:
    """One message that an event causes. `calendar` is the METHOD of its calendar part, if it has one."""

    mail: str
    audience: Audience
    calendar: str = ""
    is_automatic: bool = True
    collapses: bool = False  # a newer one that happens by itself replaces it
    is_page: bool = False  # by every channel at once, first in line
    skips_author: bool = False

    @property
    def is_for_staff(self) -> bool:
        return self.mail.startswith("staff_")


# --- who ---


def customers(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    return [person for person in audiences.hearing(window) if person.hears_maintenance]


def ever_invited(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    """Also those who do not want to hear of maintenance any more: it is in their calendars."""
    return list(audiences.hearing(window))


def newly_invited(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    return [person for person in customers(window, event, now) if person.pk in event.payload["people"]]


def reminded(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    named = event.payload["organisations"]
    found = audiences.hearing(window)
    return [person for person, of in found.items() if person.hears_maintenance and of.pk in named]


def told_of_start(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    return [person for person, plan in _with_plans(window) if plan.tells_start]


def told_of_end(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    """Whoever wants to hear of the end; of one that did not go as agreed everybody does."""
    is_as_agreed = window.status == Status.COMPLETED and window.overrun_at is None
    return [person for person, plan in _with_plans(window) if plan.tells_end or not is_as_agreed]


def _with_plans(window: MaintenanceWindow) -> list[tuple[User, MaintenancePlan]]:
    found = {person: of for person, of in audiences.hearing(window).items() if person.hears_maintenance}
    plans = MaintenancePlan.objects.of_each(found.values())
    return [(person, plans[of.pk]) for person, of in found.items()]


def asked_organisation(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    consent = Consent.objects.get(pk=event.payload["consent"])
    found = audiences.hearing(window)
    return [p for p, of in found.items() if p.hears_maintenance and of.pk == consent.organisation_id]


def owner(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    return [window.owner] if window.owner.is_unlimited else audiences.duty_managers(now)


def author(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    return [window.author] if window.author.is_unlimited else []


def duty_managers(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    return audiences.duty_managers(now)


def leaders(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    return audiences.leaders(window, now)


def asker(window: MaintenanceWindow, event: WindowEvent, now: datetime) -> list[User]:
    asked = window.events.filter(kind="extension_asked", pk__lt=event.pk).select_related("by").order_by("-pk")
    return [found.by for found in asked[:1] if found.by is not None and found.by.is_unlimited]


# --- what ---


def to_customers(mail: str, calendar: str = "", audience: Audience = customers) -> Notice:
    return Notice(mail, audience, calendar)


def by_itself(mail: str, audience: Audience = customers) -> Notice:
    return Notice(mail, audience, collapses=True)


def to_staff(mail: str, audience: Audience) -> Notice:
    return Notice(mail, audience, skips_author=True)


def page(mail: str, audience: Audience) -> Notice:
    return Notice(mail, audience, is_page=True, skips_author=True)


NOTICES: dict[str, list[Notice]] = {
    "drafted": [],
    "changed": [],
    "proposed": [to_staff("staff_maintenance_proposed", duty_managers)],
    "returned_to_draft": [to_staff("staff_maintenance_returned", author)],
    "approved": [to_staff("staff_maintenance_approved", author)],
    "announced": [to_customers("maintenance_announced", ical.REQUEST)],
    "moved": [to_customers("maintenance_moved", ical.REQUEST)],
    "cancelled": [to_customers("maintenance_cancelled", ical.CANCEL, ever_invited)],
    "invited": [to_customers("maintenance_invited", ical.REQUEST, newly_invited)],
    "reminded": [by_itself("maintenance_reminder", reminded)],
    "consent_asked": [to_staff("staff_maintenance_consent_asked", owner)],
    "consent_given": [to_staff("staff_maintenance_consent_given", owner)],
    "consent_refused": [to_staff("staff_maintenance_consent_refused", leaders)],
    "consent_overridden": [to_customers("maintenance_consent_overridden", "", asked_organisation)],
    "consent_resolved": [],
    "invitation_answered": [],
    "start_held": [page("staff_maintenance_start_held", leaders)],
    "started": [by_itself("maintenance_started", told_of_start)],
    "step_ticked": [],
    "condition_checked": [page("staff_maintenance_condition_met", leaders)],
    "decision_asked": [page("staff_maintenance_decision", owner)],
    "decision_lapsed": [page("staff_maintenance_decision_lapsed", duty_managers)],
    "decided": [],
    "extension_asked": [page("staff_maintenance_extension", leaders)],
    "extension_refused": [to_staff("staff_maintenance_extension_refused", asker)],
    "extended": [to_customers("maintenance_extended", ical.REQUEST)],
    "overran": [by_itself("maintenance_overrun"), page("staff_maintenance_overrun", leaders)],
    "expected_end_passed": [page("staff_maintenance_end_passed", leaders)],
    "rollback_ordered": [to_customers("maintenance_rollback_ordered")],
    "verification_began": [to_customers("maintenance_verifying")],
    "ended": [to_customers("maintenance_ended", ical.REQUEST, told_of_end)],
    "posted": [Notice("maintenance_progress", customers, is_automatic=False)],
    "note_added": [],
    "alarm_recorded": [],
    "alarm_resolved": [],
}
# What webhooks hear of, by the kinds of events.
WEBHOOKS = {
    "announced": "maintenance.announced",
    "moved": "maintenance.moved",
    "cancelled": "maintenance.cancelled",
    "started": "maintenance.started",
    "posted": "maintenance.progress",
    "extended": "maintenance.extended",
    "overran": "maintenance.overran",
    "rollback_ordered": "maintenance.rollback_ordered",
    "verification_began": "maintenance.verifying",
    "ended": "maintenance.ended",
}
CALLED_OFF = page("staff_maintenance_called_off", leaders)

PAGES = {n.mail: n for n in [CALLED_OFF, *(n for found in NOTICES.values() for n in found)] if n.is_page}

# What says where the work stands by now: whoever hears it need not hear first that the end had passed.
NEWER_THAN_OVERRUN = frozenset({"ended", "rollback_ordered", "verification_began", "extended", "posted"})


def notices_of(event: WindowEvent, others: Sequence[WindowEvent]) -> list[Notice]:
    """What an event causes, given what else its act records: late words say only how it stands now."""
    kinds, found = {other.kind for other in others}, NOTICES[event.kind]
    if event.kind == "condition_checked" and not event.payload["is_met"]:
        return []
    if event.kind == "consent_asked" and kinds & {"announced", "moved", "proposed", "approved"}:
        return []
    if event.kind == "cancelled" and event.payload["because"] == "never_started":
        return [*found, CALLED_OFF]
    if event.kind in ("started", "decision_asked", "decision_lapsed") and "overran" in kinds:
        return []
    if event.kind == "decision_asked" and "decision_lapsed" in kinds:
        return [page("staff_maintenance_decision", leaders)]
    if event.kind == "start_held" and "cancelled" in kinds:
        return []
    if event.kind == "overran" and "ended" in kinds:
        return []
    if event.kind == "overran" and kinds & NEWER_THAN_OVERRUN:
        return [notice for notice in found if notice.is_for_staff]
    return found


def announce(window: MaintenanceWindow, events: Sequence[WindowEvent], now: datetime) -> None:
    """Queue what the events cause, in the verb's transaction."""
    for event in events:
        for notice in notices_of(event, events):
            for person in dict.fromkeys(notice.audience(window, event, now)):
                if not (notice.skips_author and person.pk == event.by_id):
                    _queue(window, event, notice, person, now)
            if not notice.is_for_staff:
                for room in rooms.hearing(window, event, notice.mail):
                    _enqueue(window, event, notice, None, room, now)
    publish(window, events, now)


def publish(window: MaintenanceWindow, events: Sequence[WindowEvent], now: datetime) -> None:
    """Tell the webhooks of whom it concerns of the public events, once it is announced."""
    happened = [
        Happened(
            WEBHOOKS[event.kind],
            f"window-{event.pk}",
            {"window": window.pk, "event": event.pk},
            window.reference,
        )
        for event in events
        if event.is_public and event.kind in WEBHOOKS and window.announced_at is not None
    ]
    publish_all(window.involved.values("organisation"), happened, now=now)


def _queue(
    window: MaintenanceWindow, event: WindowEvent, notice: Notice, person: User, now: datetime
) -> None:
    endpoint = endpoint_of(person) if notice.is_page else None
    for channel in (EMAIL, *([WEBHOOK] if endpoint else [])):
        _enqueue(window, event, notice, person, endpoint if channel == WEBHOOK else None, now)


def _enqueue(
    window: MaintenanceWindow,
    event: WindowEvent,
    notice: Notice,
    person: User | None,
    endpoint: Endpoint | None,
    now: datetime,
) -> None:
    """To a person by mail or pager; without one, to the organisation's own channel, which keeps no calendar."""
    channel = WEBHOOK if endpoint else EMAIL
    key = f"window:{event.pk}:{notice.mail}:{person.pk if person else f'endpoint-{endpoint and endpoint.pk}'}"
    outbox.enqueue(
        notice.mail,
        person,
        now=now,
        dedupe_key=f"{key}:{channel}" if endpoint and person else key,
        facts={"window": window.pk, "event": event.pk, "calendar": notice.calendar if person else ""},
        subject_key=window.reference,
        collapse_key=f"{window.reference}:{channel}:by itself" if notice.collapses else "",
        is_automatic=notice.is_automatic,
        priority=PRIORITY.URGENT if notice.is_page else PRIORITY.NORMAL,
        channel=channel,
        endpoint=endpoint,
    )


def pass_on(message: OutboxMessage, now: datetime) -> bool:
    """A page that did not arrive goes to whoever is next in line, as it is; False for what is no page.

    Who got the same page by another channel was reached. Whoever is next may not be reached either: then
    theirs is passed on.
    """
    notice = PAGES.get(message.kind)
    same = OutboxMessage.objects.filter(kind=message.kind, facts__event=message.facts.get("event"))
    reached = same.filter(recipient=message.recipient_id, state="sent", unreached_at=None)
    if notice is None or reached.exists():
        return False
    event = _event(message)
    paged = set(same.values_list("recipient", flat=True))
    for person in audiences.next_in_line(event.window, now, paged):
        _queue(event.window, event, notice, person, now)
    return True


# --- at send time ---


def _event(message: OutboxMessage) -> WindowEvent:
    rows = WindowEvent.objects.select_related("window__owner", "window__author", "by")
    return rows.get(pk=message.facts["event"])


def why_not(message: OutboxMessage) -> str:
    """Why a queued message may not be sent any more, or ""."""
    event, person = _event(message), message.recipient
    if message.kind.startswith("staff_"):
        is_staff = person is not None and person.is_unlimited
        return stale.reason(message.kind, event) if is_staff else "the recipient is not staff any more"
    if person is None:
        of = rooms.organisation_of(message.endpoint, event.window)
    else:
        may_hear = audiences.may_hear(event.window, person)
        of = audiences.organisation_of(event.window, person) if may_hear else None
    if of is None:
        return "the recipient does not belong to an organisation that it concerns any more"
    listener = person or message.endpoint
    if listener and not listener.hears_maintenance and message.kind != "maintenance_cancelled":
        return "the recipient does not want to hear of maintenance any more"
    if message.kind == "maintenance_consent_overridden" and _other_organisation(event, of.pk):
        return "the recipient does not belong to the organisation that was asked any more"
    return stale.reason(message.kind, event)


def _other_organisation(event: WindowEvent, organisation: int) -> bool:
    return Consent.objects.get(pk=event.payload["consent"]).organisation_id != organisation


def render(message: OutboxMessage) -> Rendered:
    """The mail (or webhook) about an event as one person, or an organisation's own channel, gets it."""
    event, person = _event(message), message.recipient
    window = as_of(event)
    of = None if message.kind.startswith("staff_") else _reads_as(message, window)
    with reading_as(person, of):
        context = context_of(event, window, person, of)
    rendered = render_mail(
        message.kind,
        context,
        recipient=person,
        organisation=of,
        from_name="" if message.is_automatic else f"{event.by} ({settings.SUPPORT_BRAND})",
        url=context["url"],
        form=context["form"].as_json(),
    )
    if of is None or person is None:
        return rendered
    invitation = Invitation.objects.get(window=window, person=person)
    method = message.facts.get("calendar")
    # DTSTAMP is when the event was agreed: a repeat of the mail says the same.
    part = (
        ical.part(window, person=person, organisation=of, method=method, now=event.recorded_at)
        if method
        else None
    )
    return replace(rendered, reply_to=ical.reply_address(invitation), calendar=part)


def _reads_as(message: OutboxMessage, window: MaintenanceWindow) -> Organisation:
    """The organisation that reads it. LookupError where none does: then nothing may be rendered."""
    person = message.recipient
    of = (
        audiences.organisation_of(window, person)
        if person is not None
        else rooms.organisation_of(message.endpoint, window)
    )
    if of is None:
        raise LookupError("it concerns no organisation of the recipient")
    return of


def register() -> None:
    """Tell the outbox how each of our messages is rendered and re-checked."""
    found = {notice.mail for notices in NOTICES.values() for notice in notices} | {CALLED_OFF.mail}
    for name in sorted(found):
        outbox.register(outbox.MessageKind(name=name, render=render, why_not=why_not))
