"""Who hears what, beside the incident: who is on duty, the next page, the last pages and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from incidents import audiences, notify, oncall, present, sla
from incidents.clockwork import Chain, key_of
from incidents.delivery_words import Delivery, delivery_of
from incidents.escalation import Step
from incidents.hearing import Heard
from incidents.models import Clock, Incident, IncidentEvent, Shift
from incidents.models.agreement import CUSTOMER_ROLES
from incidents.models.facts import replay
from portal.endpoints import endpoint_of
from portal.models import OutboxMessage, User

LAST_PAGES = 5
PAGES = ("escalated", "not_reached")


# --- on duty ---


@dataclass(frozen=True)
class Duty:
    """Who has a role now: a shift's person, or (in a gap) everybody who is paged instead."""

    label: str
    people: list[User]
    until_at: datetime | None
    backup: User | None
    is_gap: bool


def on_duty(now: datetime) -> list[Duty]:
    """Who is on call, and who is duty manager."""
    return [_duty(role, now) for role in (Shift.Role.ON_CALL, Shift.Role.DUTY_MANAGER)]


def _duty(role: Shift.Role, now: datetime) -> Duty:
    shift = oncall.shift_at(role, now)
    holds = shift is not None and shift.person.is_unlimited
    return Duty(
        label=str(role.label),
        people=oncall.on_duty(role, now),
        until_at=shift.until_at if shift and holds else None,
        backup=shift.backup if shift and holds else None,
        is_gap=not holds,
    )


# --- the next page ---


@dataclass(frozen=True)
class NextPage:
    """The next page that goes out unless somebody acts before."""

    at: datetime
    is_due: bool
    moments: list[str]  # “80 % of First response”
    roles: list[tuple[Any, list[Heard]]]  # each role in words, with its people


def next_page(incident: Incident, now: datetime) -> NextPage | None:
    """The earliest page to staff of all the incident's clocks; None where none is to come."""
    coming = sorted(_coming(incident, now), key=lambda found: found[0])
    if not coming:
        return None
    at = coming[0][0]
    due = [(step, clock) for due, step, clock in coming if due == at]
    moments = dict.fromkeys(present.moment_words(step.key, str(clock.kind)) for step, clock in due)
    roles = [
        (present.ROLE_NAMES[step.role], _heard(step, incident, max(at, now)))
        for step in {step.role: step for step, _clock in due}.values()
    ]
    return NextPage(at, at <= now, list(moments), roles)


def _heard(step: Step, incident: Incident, now: datetime) -> list[Heard]:
    return [
        Heard(person, step.channels, step.is_every_channel, endpoint_of(person))
        for person in audiences.people(step.role, incident, now)
    ]


def _coming(incident: Incident, now: datetime) -> Iterator[tuple[datetime, Step, sla.Clock]]:
    """Each step that pages staff, with its clock and the time of its next page."""
    now = max(now.replace(microsecond=0), incident.computed_at)
    ledger = replay(incident, now)
    chain = Chain.of(incident)
    rows = {key_of(row): row for row in Clock.objects.filter(incident=incident)}
    for clock in ledger.clocks:
        for step in chain.steps:
            if step.role in CUSTOMER_ROLES or (step.level, step.kind) != (clock.level, str(clock.kind)):
                continue
            row = rows.get(clock.key, Clock(incident=incident))
            at = replace(chain, steps=[step]).next_at(row, clock, ledger, now) or _at_breach(step, clock)
            if at is not None:
                yield at, step, clock


def _at_breach(step: Step, clock: sla.Clock) -> datetime | None:
    """When a step would page if a clock that runs still were not met."""
    if step.percent is not None or clock.state != sla.State.RUNNING or clock.due_at is None:
        return None
    return clock.due_at + timedelta(minutes=step.after_minutes)


# --- the last pages ---


@dataclass(frozen=True)
class SentPage:
    at: datetime
    words: str
    deliveries: list[Delivery]

    @property
    def is_lost(self) -> bool:
        """Whether somebody was not reached by it."""
        return any(delivery.look == "breached" for delivery in self.deliveries)


def last_pages(incident: Incident) -> list[SentPage]:
    """The newest pages of the incident, newest first, each with its messages."""
    events = list(
        IncidentEvent.objects.filter(incident=incident, kind__in=PAGES).order_by("-pk")[:LAST_PAGES]
    )
    messages = OutboxMessage.objects.filter(
        subject_key=incident.reference, kind__startswith="staff_", facts__event__in=[e.pk for e in events]
    )
    by_event: dict[int, list[Delivery]] = {}
    for message in messages.select_related("recipient", "endpoint").order_by("pk") if events else ():
        by_event.setdefault(message.facts["event"], []).append(delivery_of(message))
    return [SentPage(event.at, _page_words(event), by_event.get(event.pk, [])) for event in events]


def _page_words(event: IncidentEvent) -> str:
    if event.kind == "not_reached":
        return _("passed on: a message did not arrive")
    words = present.moment_words(event.payload["step"], event.payload["clock"].split("/")[0])
    role = present.ROLE_NAMES[event.payload["role"]]
    if event.payload["number"] == 1:
        return f"{words} → {role}"
    number = _("page %(number)s") % {"number": event.payload["number"]}
    return f"{words} → {role}, {number}"


# --- who would hear ---

FOLD = 6


@dataclass(frozen=True)
class Audience:
    """Those who would hear, the first few apart: the rest is folded."""

    first: list[Heard]
    more: list[Heard]

    @classmethod
    def of(cls, heard: Iterable[Heard]) -> Audience:
        everybody = list(heard)
        return cls(everybody[:FOLD], everybody[FOLD:])

    @property
    def count(self) -> int:
        return len(self.first) + len(self.more)

    def __bool__(self) -> bool:
        return bool(self.first)


EVENTS = {
    "reply": "customer_replied",
    "contest_lowering": "lowering_contested",
    "confirm": "confirmed",
    "reopen": "reopened",
    "withdraw": "withdrawn",
    "request_rca": "rca_requested",
}


def goes_to(verb: str, incident: Incident, now: datetime, by: User) -> str:
    """Where a customer's word goes, in words: staff are named only as the owner, and never by an address.

    A reply to what is resolved reopens it. KeyError for a verb that is not a customer's.
    """
    is_reopening = verb == "reply" and not incident.is_unresolved
    kind = "reopened" if is_reopening else EVENTS[verb]
    heard = notify.who_would_hear(kind, incident, now, by, is_for_staff=True)
    people = {one.person.pk for one in heard if one.person}
    words = []
    if incident.assignee_id in people and incident.assignee:
        words.append(_("%(name)s, who has it") % {"name": incident.assignee})
        people.discard(incident.assignee_id)
    on_call = {person.pk for person in oncall.on_duty(Shift.Role.ON_CALL, now)} if people else set()
    if on_call & people:
        words.append(_("whoever is on call"))
        people -= on_call
    if people:
        words.append(_("the duty manager") if kind == "lowering_contested" else _("the support team"))
    if not words:
        return _("It stands on this page; your plan sends no message about it.")
    return _("Goes to: %(who)s.") % {"who": present.listed(words)}
