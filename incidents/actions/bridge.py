"""The live bridge: opened from a P1, spoken on, agreed on, closed with a summary."""

from __future__ import annotations

import logging
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, acting, may, required
from incidents.actions.bridge_base import (
    SILENCE,
    BridgeAct,
    may_act_for,
    note_presence,
    on_bridge,
)
from incidents.actions.bridge_people import arrive, give_part, join_bridge, leave_bridge, seat
from incidents.actions.bridge_rca import add_moments, locked_draft
from incidents.actions.conversation import stop_waiting
from incidents.actions.writing import write
from incidents.bridge_summary import draft_summary, summary_of
from incidents.conference import conference_address, template_problem
from incidents.models import (
    Bridge,
    BridgeRole,
    BridgeStep,
    Incident,
    Level,
    Message,
    SupportPlan,
)
from incidents.models.bridge_timeline import (
    BridgeClosed,
    BridgeDecided,
    BridgeNoted,
    BridgeOpened,
    BridgeStepAgreed,
    BridgeStepDone,
)
from incidents.models.timeline import NoteAdded
from portal.access import looks_after
from portal.models import User

__all__ = [
    "agree_step",
    "bridge_refusal",
    "close_bridge",
    "decide_on_bridge",
    "draft_summary",
    "finish_step",
    "give_part",
    "join_bridge",
    "leave_bridge",
    "note_on_bridge",
    "note_presence",
    "open_bridge",
    "open_bridge_of",
    "side_note",
    "summary_of",
]

logger = logging.getLogger(__name__)
STEP_LENGTH = 300


# --- opening ---


def open_bridge_of(incident: Incident) -> Bridge | None:
    """The incident's open bridge, if there is one."""
    bridge = Bridge.objects.open().filter(incident=incident).first()
    if bridge is not None:
        bridge.incident = incident
    return bridge


def bridge_refusal(incident: Incident, user: User) -> str:
    """ "" if `user` may open a bridge of the incident now, else the translated reason."""
    refusal = may("open_bridge", incident, user)
    if refusal:
        return refusal
    if open_bridge_of(incident):
        return _("The bridge is open already. Join it.")
    wrong = _why_no_bridge(incident)
    return wrong.reason if wrong else ""


def _why_no_bridge(incident: Incident) -> Refused | None:
    """What of the agreement or the level speaks against a bridge."""
    if not SupportPlan.objects.filter(organisation=incident.organisation_id, has_bridge=True).exists():
        return Refused(
            _(
                "The live bridge is not part of the organisation's support plan. Reply to the incident instead."
            ),
            kind="permission",
        )
    if incident.level != Level.P1:
        return Refused(
            _("A bridge opens from a P1 only. Reply to the incident, or have its level raised."),
            kind="state",
        )
    return None


def open_bridge(incident: Incident, *, by: User, now: datetime, channel: str) -> Bridge:
    """Open the bridge of an unresolved P1; whoever opens it is there and leads their side.

    Where it is open already, that one is returned: two people may press at the same moment.
    """
    with acting("open_bridge", incident, by=by, now=now, channel=channel) as act:
        bridge = open_bridge_of(act.incident)
        if bridge is None:
            refused = _why_no_bridge(act.incident)
            if refused:
                raise refused
            bridge = _begin(act, by)
    bridge.refresh_from_db()
    return bridge


def _begin(act: Act, by: User) -> Bridge:
    bridge = Bridge.objects.create(
        incident=act.incident,
        conference_url=_conference_of(act.incident),
        opened_by=by,
        opened_at=act.now,
        attention_at=act.now + SILENCE,
    )
    act.record(BridgeOpened(bridge=bridge.pk))
    at = BridgeAct(act, bridge)
    if by.is_agent:
        seat(at, BridgeRole.INCIDENT_LEAD, by, by)
    else:
        seat(at, BridgeRole.CUSTOMER_LEAD, by, by)
        owner = act.incident.assignee
        if owner and looks_after(owner, act.incident.organisation_id):
            seat(at, BridgeRole.INCIDENT_LEAD, owner, by)
    arrive(at, by)
    return bridge


def _conference_of(incident: Incident) -> str:
    """A conference of its own, or "" without a usable template."""
    plan = SupportPlan.objects.filter(organisation=incident.organisation_id).first()
    template = (plan.conference_template if plan else "") or settings.BRIDGE_CONFERENCE_URL
    if not template:
        return ""
    problem = template_problem(template)
    if problem:
        logger.warning("no conference for %s: %s", incident.reference, problem)
        return ""
    return conference_address(template, incident.reference)


# --- speaking ---


def note_on_bridge(bridge: Bridge, *, text: str, by: User, now: datetime, channel: str) -> None:
    """Minutes that both sides read. They meet no target; a customer's words end waiting for them."""
    with on_bridge("use_bridge", bridge, by=by, now=now, channel=channel) as at:
        message = write(at.act, Message.Kind.BRIDGE_NOTE, text)
        at.act.record(
            BridgeNoted(
                bridge=at.bridge.pk,
                message=message.pk,
                is_from_customer=not by.is_agent,
                **_as_words_of(at.act, by),
            )
        )


def decide_on_bridge(bridge: Bridge, *, text: str, by: User, now: datetime, channel: str) -> None:
    """A decision in words, which both sides read; the same rules as for a note."""
    with on_bridge("use_bridge", bridge, by=by, now=now, channel=channel) as at:
        message = write(at.act, Message.Kind.DECISION, text)
        at.act.record(
            BridgeDecided(
                bridge=at.bridge.pk,
                message=message.pk,
                is_from_customer=not by.is_agent,
                **_as_words_of(at.act, by),
            )
        )


def _as_words_of(act: Act, by: User) -> dict[str, str]:
    """The status around words on the bridge: a customer's end waiting. They reopen nothing: a reply does."""
    return act.move(act.incident.status) if by.is_agent else stop_waiting(act, act.now)


def side_note(bridge: Bridge, *, text: str, by: User, now: datetime, channel: str) -> None:
    """An internal note of staff about the bridge: no customer can tell that there is one."""
    with on_bridge("add_note", bridge, by=by, now=now, channel=channel) as at:
        message = write(at.act, Message.Kind.NOTE, text, is_public=False)
        at.act.record(NoteAdded(message=message.pk))
        at.act.is_quiet = True


# --- steps ---


def agree_step(
    bridge: Bridge, *, text: str, owner: User, due_at: datetime, by: User, now: datetime, channel: str
) -> BridgeStep:
    """Agree that somebody of either side does something by a time."""
    with on_bridge("use_bridge", bridge, by=by, now=now, channel=channel) as at:
        text = " ".join(required(text, "text", _("Say what is to be done.")).split())
        if len(text) > STEP_LENGTH:
            raise Refused(_("Say it in at most 300 characters."), field="text")
        if not may_act_for(owner, at.act.incident):
            raise Refused(
                _("The owner is of support, or a manager or member of the organisation. Choose one of them."),
                field="owner",
            )
        due_at = due_at.replace(microsecond=0)
        if due_at <= at.now:
            raise Refused(_("Choose a time in the future."), field="due_at")
        step = BridgeStep.objects.create(
            bridge=at.bridge, text=text, owner=owner, due_at=due_at, agreed_by=by, agreed_at=at.now
        )
        at.act.record(BridgeStepAgreed(bridge=at.bridge.pk, step=step.pk))
        at.roster_changed()
    return step


def finish_step(step: BridgeStep, *, by: User, now: datetime, channel: str) -> None:
    """The step is done. A second time changes nothing."""
    with on_bridge("use_bridge", step.bridge, by=by, now=now, channel=channel) as at:
        open_step = at.bridge.steps.filter(pk=step.pk, done_at=None)
        if open_step.update(done_by=by, done_at=at.now):
            at.act.record(BridgeStepDone(bridge=at.bridge.pk, step=step.pk))
            at.roster_changed()
    step.refresh_from_db()


# --- closing ---


def close_bridge(bridge: Bridge, *, summary: str, by: User | None, now: datetime, channel: str) -> None:
    """Everybody leaves, every part ends. A person writes the summary, which the incident keeps as a message.

    The clockwork (`by` None) writes nothing: `summary_of` words the facts for each reader.
    """
    with transaction.atomic():
        draft = locked_draft(bridge.incident_id)
        with on_bridge("close_bridge", bridge, by=by, now=now, channel=channel) as at:
            message = None
            if by is not None:
                required(summary, "summary", _("Say what the bridge came to: the customer will read it."))
                message = write(at.act, Message.Kind.BRIDGE_SUMMARY, summary, field="summary")
            _end(at, by, message)
            if draft is not None:
                add_moments(draft, at.bridge)


def _end(at: BridgeAct, by: User | None, message: Message | None) -> None:
    at.bridge.presences.filter(left_at=None).update(left_at=at.now)
    at.bridge.seats.filter(until_at=None).update(until_at=at.now)
    Bridge.objects.filter(pk=at.bridge.pk).update(
        closed_by=by, closed_at=at.now, summary=message, attention_at=None
    )
    at.act.record(BridgeClosed(bridge=at.bridge.pk, message=message.pk if message else None))
    at.roster_changed()
