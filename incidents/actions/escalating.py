"""When a clock runs low or out: warnings, breaches, pages, the honest word to the customer; major incidents."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from incidents import audiences, sla
from incidents import receipts as papers
from incidents.actions.base import Act, Refused, acting
from incidents.actions.writing import write
from incidents.clockwork import Chain, iso, key_of, newest_breached_update
from incidents.escalation import Page
from incidents.models import Clock, Escalation, Incident, Message
from incidents.models.agreement import CUSTOMER_ROLES
from incidents.models.timeline import (
    ClockBreached,
    ClockWarned,
    DeclaredMajor,
    Escalated,
    LatenessTold,
    NotReached,
)
from portal.calendars import extend_horizon
from portal.models import OutboxMessage, User


def watch(act: Act, ledger: sla.Ledger) -> None:
    """Record what the clocks have come to, page whom the plan names, and tell the customer what is late.

    One pass: nobody is paged twice in it, and the customer hears one word, however much was missed.
    """
    rows = {key_of(row): row for row in Clock.objects.filter(incident=act.incident)}
    chain = Chain.of(act.incident)
    late: list[sla.Clock] = []
    pages: list[tuple[Page, Clock]] = []
    for clock in ledger.clocks:
        row = rows[clock.key]
        if _warn_or_breach(act, row, clock, ledger) and _is_late_still(clock, ledger):
            late.append(clock)
        pages += [(page, row) for page in chain.pages(row, clock, ledger, act.now)]
    told = _page_all(act, pages)
    if late:
        _tell_lateness(act, late, ledger, told)


def _name(clock: sla.Clock) -> str:
    return "/".join(map(str, clock.key))


def _warn_or_breach(act: Act, row: Clock, clock: sla.Clock, ledger: sla.Ledger) -> bool:
    """Record a new warning or breach; True for a breach that nobody had recorded before."""
    if clock.breached_at is not None and not row.is_breach_told:
        row.is_breach_told = True
        row.save(update_fields=["is_breach_told"])
        act.record(ClockBreached(clock=_name(clock), due_at=clock.breached_at.isoformat()))
        return True
    if clock.state == sla.State.RUNNING and clock.breached_at is None:
        passed = [p for p, at in papers.warnings(clock, ledger.pauses) if at <= act.now]
        if passed and passed[-1] > row.warned_percent:
            row.warned_percent = passed[-1]
            row.save(update_fields=["warned_percent"])
            act.record(ClockWarned(clock=_name(clock), percent=passed[-1]))
    return False


def _is_late_still(clock: sla.Clock, ledger: sla.Ledger) -> bool:
    """Whether what is late has not been delivered meanwhile: the customer hears nothing stale."""
    if clock.kind != sla.Kind.STATUS_UPDATE:
        return clock.is_owed
    running = ledger.running_update
    is_next_silent = running is not None and running.started_at == clock.due_at and not running.pending
    return is_next_silent and clock is newest_breached_update(ledger)


# --- pages to staff ---


def _page_all(act: Act, pages: list[tuple[Page, Clock]]) -> list[User]:
    """Page everybody whom the due pages name, once for each kind of clock; returns whom a breach went to.

    The owner is not counted among those: it is theirs anyway.
    """
    told: list[User] = []
    heard: set[tuple[str, int]] = set()
    for page, row in sorted(pages, key=lambda pair: (not pair[0].step.is_every_channel, pair[0].due_at)):
        Escalation.objects.create(
            clock=row,
            step_key=page.step.key,
            number=page.number,
            role=page.step.role,
            due_at=page.due_at,
            paged_at=act.now,
        )
        if page.step.makes_major:
            _make_major(act, DeclaredMajor(clock="/".join(map(str, key_of(row)))), at=page.due_at)
        if page.step.role in CUSTOMER_ROLES:
            continue  # the customer's side hears by the honest word about lateness
        people = audiences.people(page.step.role, act.incident, act.now)
        if page.step.percent is None and page.step.role != "owner":
            told += [person for person in people if person not in told]
        _page(act, page, row, [person for person in people if (row.kind, person.pk) not in heard])
        heard |= {(row.kind, person.pk) for person in people}
    return told


def _page(act: Act, page: Page, row: Clock, people: list[User]) -> None:
    if not people:
        return
    act.record(
        Escalated(
            clock="/".join(map(str, key_of(row))),
            step=page.step.key,
            role=page.step.role,
            number=page.number,
            due_at=page.due_at.isoformat(),
            people=[person.pk for person in people],
            channels=list(page.step.channels),
            is_every_channel=page.step.is_every_channel,
        )
    )


def _tell_lateness(act: Act, late: list[sla.Clock], ledger: sla.Ledger, told: list[User]) -> None:
    newest = max(late, key=lambda clock: clock.breached_at or act.now)
    update = ledger.running_update
    assert newest.breached_at is not None
    act.record(
        LatenessTold(
            clocks=[_name(clock) for clock in late],
            due_at=newest.breached_at.isoformat(),
            escalated_to=[person.pk for person in told],
            next_word_at=iso(update.due_at) if update else None,
        )
    )


# --- major incidents ---


def declare_major(
    incident: Incident, *, by: User, now: datetime, channel: str, reason: str, revision: int | None = None
) -> Incident:
    """A duty manager says that this is a major incident: from now on an RCA is owed whatever the level."""
    with acting("declare_major", incident, by=by, now=now, channel=channel, revision=revision) as act:
        if act.incident.is_major:
            raise Refused(_("It is a major incident already."), kind="state")
        message = write(act, Message.Kind.REASON, reason, field="reason")
        extend_horizon(act.incident.calendar_version, act.now)
        _make_major(act, DeclaredMajor(message=message.pk), at=act.now)
    return incident


def _make_major(act: Act, facts: DeclaredMajor, *, at: datetime) -> None:
    if not act.incident.is_major:
        act.incident.major_at = at
        act.record(facts)


# --- whoever cannot be reached ---


def note_unreached(message: OutboxMessage, incident: Incident, *, now: datetime) -> None:
    """A message about the incident did not arrive: whoever is next in line is paged, once.

    A page to staff passes on along the chain; a customer who cannot be reached is a matter for the owner.
    Who got the same message by another channel was reached.
    """
    with acting("record_delivery", incident, by=None, now=now, channel="clockwork") as act:
        claimed = OutboxMessage.objects.filter(pk=message.pk, is_unreached_handled=False)
        if not claimed.update(is_unreached_handled=True) or not act.incident.is_unresolved:
            return
        if _is_reached_otherwise(message):
            return
        act.record(
            NotReached(
                outbox=message.pk,
                person=message.recipient_id,
                people=[person.pk for person in _next_to_hear(message, act)],
            )
        )


def _is_reached_otherwise(message: OutboxMessage) -> bool:
    """Whether another channel took the same message to the same person; for a room, whether its people get it.

    Each of their mails is looked at on its own, should it not arrive.
    """
    same = OutboxMessage.objects.filter(
        subject_key=message.subject_key,
        kind=message.kind,
        facts__event=message.facts.get("event"),
        unreached_at=None,
    )
    if message.recipient_id is None:
        return same.exclude(recipient=None).exclude(state=OutboxMessage.State.DROPPED).exists()
    return same.filter(recipient=message.recipient_id, state=OutboxMessage.State.SENT).exists()


def _next_to_hear(message: OutboxMessage, act: Act) -> list[User]:
    missed = User.objects.filter(
        messages__subject_key=message.subject_key, messages__unreached_at__isnull=False
    )
    return audiences.next_in_line(act.incident, act.now, missed.distinct())
