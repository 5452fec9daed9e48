"""Words between customer and staff: replies, questions, internal notes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.core.files.uploadedfile import UploadedFile

from incidents.actions.base import Act, acting
from incidents.actions.ending import reopen_within
from incidents.actions.writing import attach, write
from incidents.models import InboundMessage, Incident, Message, Status
from incidents.models.timeline import (
    CustomerReplied,
    NoteAdded,
    QuestionAsked,
    StaffReplied,
)
from portal.models import User


def reply(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    text: str,
    files: Sequence[UploadedFile] = (),
    received_at: datetime | None = None,
    inbound: InboundMessage | None = None,
    revision: int | None = None,
) -> Incident:
    """A public message. Staff's first one is the first response; a customer's ends waiting, and reopens
    what was resolved or closed.

    `received_at` is our own acceptance when it lies before `now` (a mail's). A customer's words count from
    their receipt; staff's count from `now`, for no customer could read them before.
    """
    with acting("reply", incident, by=by, now=now, channel=channel, revision=revision) as act:
        received = min((received_at or act.now).replace(microsecond=0), act.now)
        message = write(act, Message.Kind.REPLY, text, received_at=received, inbound=inbound)
        attach(act, files, message)
        if by.is_agent:
            act.answer()
            act.record(StaffReplied(message=message.pk, **act.stay_or_acknowledge()))
        elif act.incident.is_unresolved or _is_older_than_the_end(act.incident, received):
            status_from, status_to = stop_waiting(act, received).values()
            facts = CustomerReplied(message=message.pk, status_from=status_from, status_to=status_to)
            act.record(facts, at=received)
        else:
            reopen_within(act, message, at=received)
    return incident


def _is_older_than_the_end(incident: Incident, received: datetime) -> bool:
    """Whether words that are recorded late came before the incident ended: they do not say “down again”."""
    ended = incident.resolved_at or incident.closed_at
    return ended is not None and received < ended


def stop_waiting(act: Act, received: datetime) -> dict[str, str]:
    """The customer answered: back to work, in the status that work had. What came before the question
    does not answer it."""
    incident = act.incident
    asked = incident.waiting_since
    if incident.status != Status.WAITING_FOR_CUSTOMER or (asked and received < asked):
        return act.move(incident.status)
    incident.waiting_since = None
    return act.move(status_of_work(incident))


def status_of_work(incident: Incident) -> str:
    """Whether anybody works on it: in progress after an intervention or a plan, else acknowledged."""
    is_worked_on = incident.intervention_started_at or incident.action_plans.exists()
    is_worked_on = is_worked_on or incident.releases.filter(withdrawn_at=None).exists()
    return Status.IN_PROGRESS if is_worked_on else Status.ACKNOWLEDGED


def ask_customer(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    text: str,
    files: Sequence[UploadedFile] = (),
    revision: int | None = None,
) -> Incident:
    """A public question. The target action waits until the first human reply."""
    with acting("ask_customer", incident, by=by, now=now, channel=channel, revision=revision) as act:
        message = write(act, Message.Kind.QUESTION, text)
        attach(act, files, message)
        act.answer()
        act.incident.waiting_since = act.incident.waiting_since or act.now
        act.incident.acknowledged_at = act.incident.acknowledged_at or act.now
        act.record(QuestionAsked(message=message.pk, **act.move(Status.WAITING_FOR_CUSTOMER)))
    return incident


def add_note(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    text: str,
    files: Sequence[UploadedFile] = (),
    inbound: InboundMessage | None = None,
    revision: int | None = None,
) -> Incident:
    """An internal note: for staff only, in no mail, feed or answer to a customer."""
    with acting("add_note", incident, by=by, now=now, channel=channel, revision=revision) as act:
        message = write(act, Message.Kind.NOTE, text, is_public=False, inbound=inbound)
        attach(act, files, message)
        act.record(NoteAdded(message=message.pk))
    return incident
