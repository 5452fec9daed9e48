"""Taking it up: acknowledge, assign, intervene, plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, acting, required
from incidents.models import ActionPlan, ActionPlanStep, Clock, Incident, Status
from incidents.models.timeline import (
    Acknowledged,
    ActionPlanFiled,
    Assigned,
    InterventionStarted,
)
from portal import access
from portal.models import User


def acknowledge(
    incident: Incident, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> Incident:
    """Somebody has seen it: repeated pages stop. It meets no target."""
    with acting("acknowledge", incident, by=by, now=now, channel=channel, revision=revision) as act:
        act.incident.acknowledged_at = act.now
        act.record(Acknowledged(**act.move(Status.ACKNOWLEDGED)))
    return incident


def assign(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    assignee: User | None,
    revision: int | None = None,
) -> Incident:
    """Give the incident an owner among the agents, or none."""
    with acting("assign", incident, by=by, now=now, channel=channel, revision=revision) as act:
        _check_takes_it(act.incident, assignee, "assignee", _("Only support staff can own an incident."))
        set_assignee(act, assignee)
    return incident


def _check_takes_it(incident: Incident, person: User | None, field: str, words: str) -> None:
    """Refuse whoever is no staff (with `words`), and staff who may not see the incident."""
    if person is None or access.looks_after(person, incident.organisation_id):
        return
    if person.is_agent:
        words = _("%(name)s does not look after this organisation. Choose somebody who does.") % {
            "name": person
        }
    raise Refused(words, field=field)


def set_assignee(act: Act, assignee: User | None) -> None:
    before = act.incident.assignee_id
    after = assignee.pk if assignee else None
    if before != after:
        act.incident.assignee = assignee
        act.record(Assigned(assignee_from=before, assignee_to=after))


def start_intervention(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    engineer: User | None = None,
    revision: int | None = None,
) -> Incident:
    """A named engineer works on it: meets the target action of a P1. A second start is refused."""
    with acting("start_intervention", incident, by=by, now=now, channel=channel, revision=revision) as act:
        engineer = engineer or by
        words = _("The engineer must be one of the support staff.")
        _check_takes_it(act.incident, engineer, "engineer", words)
        if act.incident.intervention_started_at and not _owes_intervention(act.incident):
            raise Refused(
                _("%(name)s has started the intervention already. Assign the incident to hand it over.")
                % {"name": act.incident.intervention_by},
                kind="state",
            )
        act.incident.intervention_started_at = act.now
        act.incident.intervention_by = engineer
        set_assignee(act, engineer)
        waits = act.incident.status == Status.WAITING_FOR_CUSTOMER
        to = Status.WAITING_FOR_CUSTOMER if waits else Status.IN_PROGRESS
        act.record(InterventionStarted(engineer=engineer.pk, **act.move(to)))
    return incident


def _owes_intervention(incident: Incident) -> bool:
    """Whether a target of this cycle still waits for an intervention (after a return to P1, say)."""
    return (
        Clock.objects.filter(incident=incident, kind="target_action", ended_at=None)
        .filter(level__in=_intervention_levels(incident))
        .exists()
    )


def _intervention_levels(incident: Incident) -> list[str]:
    targets = incident.policy_version.targets.filter(deliverable="intervention")
    return list(targets.values_list("level", flat=True))


def file_action_plan(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    steps: Sequence[dict[str, Any]],
    next_review_at: datetime | None,
    summary: str = "",
    revision: int | None = None,
) -> Incident:
    """A plan of steps, each {text, owner, due_on}, and a next review: meets the target action of a P2."""
    with acting("file_action_plan", incident, by=by, now=now, channel=channel, revision=revision) as act:
        checked = [_checked_step(step, number) for number, step in enumerate(steps, start=1)]
        if not checked:
            raise Refused(_("Add at least one step, with its owner and date."), field="steps")
        if next_review_at is None or next_review_at <= act.now:
            raise Refused(_("Set the next review to a time in the future."), field="next_review_at")
        plan = ActionPlan.objects.create(
            incident=act.incident,
            author=by,
            summary=summary.replace("\0", "").strip(),
            next_review_at=next_review_at,
            filed_at=act.now,
        )
        ActionPlanStep.objects.bulk_create(ActionPlanStep(plan=plan, **step) for step in checked)
        act.answer()
        act.incident.acknowledged_at = act.incident.acknowledged_at or act.now
        waits = act.incident.status == Status.WAITING_FOR_CUSTOMER
        to = Status.WAITING_FOR_CUSTOMER if waits else Status.IN_PROGRESS
        act.record(ActionPlanFiled(action_plan=plan.pk, **act.move(to)))
    return incident


def _checked_step(step: dict[str, Any], number: int) -> dict[str, Any]:
    text = required(step.get("text"), "steps", _("Step %(n)s: say what will be done.") % {"n": number})
    owner = required(step.get("owner"), "steps", _("Step %(n)s: name its owner.") % {"n": number})
    due_on = step.get("due_on")
    if not isinstance(due_on, date):
        raise Refused(_("Step %(n)s: give its date.") % {"n": number}, field="steps")
    if len(text) > 500 or len(owner) > 150:
        raise Refused(_("Step %(n)s is too long.") % {"n": number}, field="steps")
    return {"text": text, "owner": owner, "due_on": due_on}
