"""From a draft to an approved window: written by one person, approved by another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from maintenance import rules
from maintenance.actions.act import TEXT_LENGTH, Act
from maintenance.actions.base import acting, finish
from maintenance.actions.consents import keep_consents
from maintenance.models import MaintenanceWindow, RollbackCondition, Status, WindowService, WindowStep
from maintenance.models.timeline import Approved, Changed, Drafted, Proposed, ReturnedToDraft
from portal.models import Service, User
from portal.models.accounts import validate_time_zone
from portal.models.service_impact import Impact
from portal.verbs import Refused, required

TITLE_LENGTH = 200
Affected = Iterable[tuple[Service, str]]
Conditions = Iterable[tuple[str, str]]


class Fields(TypedDict):
    """What a form says of a window. Times are aware, in whole seconds; `services` are (service, impact),
    `conditions` (measure, limit); `time_zone` is the zone in which the window is talked about."""

    title: str
    description: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    rollback_decision_at: datetime
    owner: User
    services: Affected
    steps: Iterable[str]
    conditions: Conditions


@dataclass(frozen=True)
class Plan:
    """What a window says, checked: its own columns, and the rows that hang on it."""

    columns: dict[str, Any]
    services: Sequence[tuple[Service, str]]
    steps: Sequence[str]
    conditions: Sequence[tuple[str, str]]


def draft_window(
    *,
    previous_attempt: MaintenanceWindow | None = None,
    by: User,
    now: datetime,
    channel: str,
    **fields: Unpack[Fields],
) -> MaintenanceWindow:
    """Write a window that no customer sees yet: what `Fields` names, all of it. Raises Refused."""
    now = now.replace(microsecond=0)
    refusal = rules.permission_refusal("propose", rules.Actor(is_agent=by.is_unlimited))
    if refusal:
        raise Refused(_(refusal), kind="permission")
    plan = _checked(fields)
    _check_attempt(previous_attempt)
    with transaction.atomic():
        window = MaintenanceWindow.objects.create(
            **plan.columns,
            author=by,
            previous_attempt=previous_attempt,
            created_at=now,
            last_changed_at=now,
        )
        _write_rows(window, plan)
        act = Act(window, by, now, channel)
        previous = previous_attempt.pk if previous_attempt else None
        act.record(Drafted(status_to=Status.DRAFT, previous_attempt=previous))
        finish(act)
    return window


def change_window(
    window: MaintenanceWindow,
    *,
    previous_attempt: MaintenanceWindow | None = None,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
    **fields: Unpack[Fields],
) -> MaintenanceWindow:
    """Change anything of it before its approval. Whoever changed it does not approve it."""
    plan = _checked(fields)
    _check_attempt(previous_attempt, window)
    with acting("change_window", window, by=by, now=now, channel=channel, revision=revision) as act:
        columns = plan.columns | {"previous_attempt": previous_attempt}
        changed = [name for name, value in columns.items() if getattr(act.window, name) != value]
        for name, value in columns.items():
            setattr(act.window, name, value)
        changed += _write_rows(act.window, plan)
        if changed:
            act.record(Changed(fields=sorted(changed)))
        if act.window.status == Status.PROPOSED:
            keep_consents(act, is_changed=bool(changed), organisations=False)
    return window


def propose(
    window: MaintenanceWindow, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> MaintenanceWindow:
    """Ask a colleague to approve it. What it overlaps is written down for the vendor to decide."""
    with acting("propose", window, by=by, now=now, channel=channel, revision=revision) as act:
        act.record(Proposed(**act.move(Status.PROPOSED)))
        keep_consents(act, is_changed=False, organisations=False)
    return window


def return_to_draft(
    window: MaintenanceWindow,
    *,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """Back to its author, with what is wrong."""
    with acting("return_to_draft", window, by=by, now=now, channel=channel, revision=revision) as act:
        post = act.write(reason, is_public=False)
        act.window.approved_by = act.window.approved_at = None
        act.record(ReturnedToDraft(**act.move(Status.DRAFT), post=post.pk))
    return window


def approve(
    window: MaintenanceWindow, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> MaintenanceWindow:
    """Another person than its author says that it may be announced. Refused while something is missing."""
    with acting("approve", window, by=by, now=now, channel=channel, revision=revision) as act:
        found = rules.incomplete(_draft_of(act.window))
        if found:
            raise Refused(_(found[1]), field=found[0])
        act.window.approved_by, act.window.approved_at = by, act.now
        act.record(Approved(**act.move(Status.APPROVED)))
        keep_consents(act, is_changed=False, organisations=False)
    return window


def _draft_of(window: MaintenanceWindow) -> rules.Draft:
    return rules.Draft(
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        rollback_decision_at=window.rollback_decision_at,
        services=window.affected.count(),
        steps=list(window.steps.values_list("text", flat=True)),
        conditions=list(window.conditions.values_list("measure", "limit")),
        has_owner=window.owner.is_unlimited,
    )


# --- checking what a form says ---


def _checked(fields: Fields) -> Plan:
    title = " ".join(required(fields["title"], "title", _("Give the window a title: what is done?")).split())
    if len(title) > TITLE_LENGTH:
        raise Refused(_("Shorten the title to 200 characters; details go below."), field="title")
    description = required(fields["description"], "description", _("Say what is done; customers read it."))
    if len(description) > TEXT_LENGTH:
        raise Refused(_("Shorten the text to 50,000 characters."), field="description")
    try:
        validate_time_zone(fields["time_zone"])
    except ValidationError as error:
        raise Refused(" ".join(error.messages), field="time_zone") from error
    starts_at, ends_at = fields["starts_at"].replace(microsecond=0), fields["ends_at"].replace(microsecond=0)
    check_times(starts_at, ends_at)
    if not fields["owner"].is_unlimited:
        raise Refused(_("Choose an owner among the staff."), field="owner")
    columns = {
        "title": title,
        "description": description,
        "time_zone": fields["time_zone"],
        "starts_at": starts_at,
        "ends_at": ends_at,
        "rollback_decision_at": fields["rollback_decision_at"].replace(microsecond=0),
        "owner": fields["owner"],
    }
    services, steps = _affected(fields["services"]), _steps(fields["steps"])
    return Plan(columns, services, steps, _conditions(fields["conditions"]))


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """Refused unless the end comes after the start."""
    if ends_at <= starts_at:
        raise Refused(_("The end must come after the start."), field="ends_at")


def _affected(services: Affected) -> list[tuple[Service, str]]:
    found = list(services)
    if any(impact not in Impact.values for _service, impact in found):
        raise Refused(_("Choose one of the impacts offered."), field="services")
    if len({service.pk for service, _impact in found}) < len(found):
        raise Refused(_("Name each service once."), field="services")
    return found


def _steps(steps: Iterable[str]) -> list[str]:
    found = [text for step in steps if (text := step.replace("\0", "").strip())]
    if any(len(text) > 500 for text in found):
        raise Refused(_("Shorten each step to 500 characters."), field="steps")
    return found


def _conditions(conditions: Conditions) -> list[tuple[str, str]]:
    stripped = [tuple(part.replace("\0", "").strip() for part in pair) for pair in conditions]
    found = [(measure, limit) for measure, limit in stripped if measure or limit]
    if any(not measure or not limit for measure, limit in found):
        raise Refused(_("A rollback condition needs what is measured, and its limit."), field="conditions")
    if any(len(measure) > 200 or len(limit) > 100 for measure, limit in found):
        raise Refused(
            _("Shorten what is measured to 200 characters, and its limit to 100."), field="conditions"
        )
    return found


def _check_attempt(previous: MaintenanceWindow | None, window: MaintenanceWindow | None = None) -> None:
    if previous is not None and (not previous.is_over or previous == window):
        raise Refused(_("A new attempt follows a window that is over."), field="previous_attempt")


def _write_rows(window: MaintenanceWindow, plan: Plan) -> list[str]:
    """Services, steps and conditions as the form has them; the names of those that changed."""
    changed = []
    if set(window.affected.values_list("service", "impact")) != {
        (s.pk, impact) for s, impact in plan.services
    }:
        changed.append("services")
        window.affected.all().delete()
        WindowService.objects.bulk_create(
            WindowService(window=window, service=service, impact=impact) for service, impact in plan.services
        )
    if list(window.steps.values_list("text", flat=True)) != plan.steps:
        changed.append("steps")
        window.steps.all().delete()
        WindowStep.objects.bulk_create(
            WindowStep(window=window, position=number, text=text) for number, text in enumerate(plan.steps, 1)
        )
    if list(window.conditions.values_list("measure", "limit")) != plan.conditions:
        changed.append("conditions")
        window.conditions.all().delete()
        RollbackCondition.objects.bulk_create(
            RollbackCondition(window=window, position=number, measure=measure, limit=limit)
            for number, (measure, limit) in enumerate(plan.conditions, 1)
        )
    return changed
