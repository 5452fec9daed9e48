"""The customer presses “Escalate”: the duty manager is named and paged, and answers in words, or their head is paged."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from incidents import audiences, oncall
from incidents.actions.base import Act, Refused, acting
from incidents.actions.conversation import stop_waiting
from incidents.actions.writing import write
from incidents.models import CustomerEscalation, Incident, Involved, Message, Shift
from incidents.models.plans import plan_of
from incidents.models.timeline import (
    CustomerEscalated,
    EscalationAnswered,
    EscalationRaised,
)
from portal.models import User

DEFAULT_MINUTES = 30


def open_escalation(incident: Incident) -> CustomerEscalation | None:
    """The customer's escalation that nobody has answered yet, or None."""
    waiting = CustomerEscalation.objects.unanswered().filter(incident=incident)
    return waiting.select_related("by", "duty_manager", "reason").first()


def answer_minutes(incident: Incident) -> int:
    """In how many minutes the plan has a duty manager answer an escalation."""
    plan = plan_of(incident.organisation_id)
    return plan.escalation_answer_minutes if plan else DEFAULT_MINUTES


def escalate(
    incident: Incident, *, by: User, now: datetime, channel: str, reason: str, revision: int | None = None
) -> Incident:
    """The customer asks for a duty manager. Whoever is on duty is named and paged by every channel.

    It meets and moves no clock, but that the customer's words end waiting for them, as a reply's do.
    """
    with acting("escalate", incident, by=by, now=now, channel=channel, revision=revision) as act:
        if open_escalation(act.incident):
            raise Refused(
                _("It is escalated already. Reply to add what is new: the duty manager reads it."),
                kind="state",
            )
        message = write(act, Message.Kind.REASON, reason, field="reason")
        status_from, status_to = stop_waiting(act, act.now).values()
        shift = oncall.shift_at(Shift.Role.DUTY_MANAGER, act.now)
        made = CustomerEscalation.objects.create(
            incident=act.incident,
            by=by,
            reason=message,
            at=act.now,
            duty_manager=shift.person if shift and shift.person.is_agent else None,
            answer_due_at=act.now + timedelta(minutes=answer_minutes(act.incident)),
        )
        act.record(
            CustomerEscalated(
                escalation=made.pk,
                message=message.pk,
                people=_people(act, Involved.DUTY_MANAGER),
                answer_due_at=made.answer_due_at.isoformat(),
                status_from=status_from,
                status_to=status_to,
            )
        )
    return incident


def _people(act: Act, role: str) -> list[int]:
    return [person.pk for person in audiences.people(role, act.incident, act.now)]


def answer_escalation(
    incident: Incident, *, by: User, now: datetime, channel: str, text: str, revision: int | None = None
) -> Incident:
    """A duty manager's public words to the customer who escalated: a human answer like any other."""
    with acting("answer_escalation", incident, by=by, now=now, channel=channel, revision=revision) as act:
        found = open_escalation(act.incident)
        if found is None:
            raise Refused(_("There is no escalation to answer. Reply instead."), kind="state")
        message = write(act, Message.Kind.REPLY, text)
        act.answer()
        found.answered_by, found.answered_at, found.answer = by, act.now, message
        found.save()
        moved = act.stay_or_acknowledge() if act.incident.is_unresolved else act.move(act.incident.status)
        act.record(EscalationAnswered(escalation=found.pk, message=message.pk, **moved))
    return incident


def raise_escalation(escalation: CustomerEscalation, *, now: datetime) -> bool:
    """Page the head of support for an escalation that nobody answered in time; once, False otherwise."""
    with acting("raise_escalation", escalation.incident, by=None, now=now, channel="clockwork") as act:
        waiting = CustomerEscalation.objects.unanswered().filter(pk=escalation.pk, raised_at=None)
        if not waiting.update(raised_at=act.now):
            return False
        act.record(EscalationRaised(escalation=escalation.pk, people=_people(act, Involved.HEAD_OF_SUPPORT)))
    return True
