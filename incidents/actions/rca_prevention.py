"""Prevention actions after their publication: started, moved, closed with evidence, dropped, and found wanting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from django.utils.translation import gettext as _

from incidents.actions.rca_base import RCAAct, rca_acting, text_of, works_on
from incidents.models import Incident, PreventionAction, Recurrence
from incidents.models.rca_timeline import (
    ActionClosed,
    ActionDropped,
    ActionHandedOver,
    ActionMoved,
    ActionStarted,
    RecurrenceLinked,
)
from portal.models import User
from portal.verbs import Refused

State = PreventionAction.State


@contextmanager
def _acting(
    verb: str, action: PreventionAction, *, by: User, now: datetime, channel: str, revision: int | None
) -> Iterator[tuple[RCAAct, PreventionAction]]:
    """The act, and the action as it is under the RCA's lock: promised to customers, and open still."""
    with rca_acting(verb, action.rca, by=by, now=now, channel=channel, revision=revision) as act:
        locked = PreventionAction.objects.select_related("owner").get(pk=action.pk)
        if locked.first_due_on is None:
            raise Refused(_("The action is not published yet: change it in the text."), kind="state")
        if not locked.is_open:
            raise Refused(_("The action is closed."), kind="state")
        yield act, locked
        locked.save()
    action.refresh_from_db()


def start_action(
    action: PreventionAction, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> PreventionAction:
    """Somebody works on it."""
    with _acting("start_action", action, by=by, now=now, channel=channel, revision=revision) as (act, row):
        if row.state == State.IN_PROGRESS:
            raise Refused(_("The action is in progress already."), kind="state")
        row.state = State.IN_PROGRESS
        act.record(ActionStarted(action=row.pk))
    return action


def move_action(
    action: PreventionAction,
    *,
    by: User,
    now: datetime,
    channel: str,
    due_on: date,
    reason: str,
    revision: int | None = None,
) -> PreventionAction:
    """Another due date, with the reason; customers are told, and keep seeing the first date."""
    with _acting("move_action", action, by=by, now=now, channel=channel, revision=revision) as (act, row):
        if due_on == row.due_on:
            raise Refused(_("That is its date already. Choose another one."), field="due_on")
        if due_on < act.now.date():
            raise Refused(_("Choose a date that is not past."), field="due_on")
        remark = act.remark(reason, _("Say why it moves: customers will read it."), row)
        assert row.due_on is not None
        moved = ActionMoved(
            action=row.pk, due_from=row.due_on.isoformat(), due_on=due_on.isoformat(), remark=remark.pk
        )
        row.due_on, row.reminded_on = due_on, None
        act.record(moved)
    return action


def hand_over_action(
    action: PreventionAction,
    *,
    by: User,
    now: datetime,
    channel: str,
    owner: User,
    revision: int | None = None,
) -> PreventionAction:
    """Somebody else owns it from now on."""
    with _acting("hand_over_action", action, by=by, now=now, channel=channel, revision=revision) as (
        act,
        row,
    ):
        if not works_on(owner, act.rca):
            raise Refused(_("The owner of a prevention action works for us."), field="owner")
        act.record(ActionHandedOver(action=row.pk, owner_from=row.owner_id, owner_to=owner.pk))
        row.owner, row.reminded_on = owner, None
    return action


def close_action(
    action: PreventionAction,
    *,
    by: User,
    now: datetime,
    channel: str,
    evidence: str,
    revision: int | None = None,
) -> PreventionAction:
    """Done, with what shows it. Refused without evidence: customers read it."""
    with _acting("close_action", action, by=by, now=now, channel=channel, revision=revision) as (act, row):
        row.evidence = text_of(evidence, "evidence", _("Give the evidence: what shows that it is done."))
        row.state, row.closed_at, row.closed_by = State.DONE, act.now, by
        act.record(ActionClosed(action=row.pk))
    return action


def drop_action(
    action: PreventionAction,
    *,
    by: User,
    now: datetime,
    channel: str,
    reason: str,
    revision: int | None = None,
) -> PreventionAction:
    """It will not be done. Only the head of support says so, with a reason that customers read."""
    with _acting("drop_action", action, by=by, now=now, channel=channel, revision=revision) as (act, row):
        remark = act.remark(reason, _("Say why it is dropped: customers will read it."), row)
        row.state, row.closed_at, row.closed_by = State.DROPPED, act.now, by
        act.record(ActionDropped(action=row.pk, remark=remark.pk))
    return action


def link_recurrence(
    incident: Incident,
    action: PreventionAction,
    *,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> Recurrence:
    """This incident is one that the action should have prevented."""
    with rca_acting("link_recurrence", action.rca, by=by, now=now, channel=channel, revision=revision) as act:
        _check_recurrence(incident, action)
        row, is_new = Recurrence.objects.get_or_create(
            incident=incident, action=action, defaults={"linked_by": by, "linked_at": act.now}
        )
        if not is_new:
            raise Refused(_("The two are linked already."), kind="state")
        act.record(RecurrenceLinked(recurrence=row.pk, action=action.pk, incident=incident.pk))
    return row


def _check_recurrence(incident: Incident, action: PreventionAction) -> None:
    if action.first_due_on is None:
        raise Refused(_("The action is not published yet: change it in the text."), kind="state")
    if action.rca.incident_id in (incident.pk, incident.parent_id or incident.pk):
        raise Refused(_("The action came of this very incident. Choose a later one."), field="incident")
    if incident.opened_at < action.rca.owed_since:
        raise Refused(_("The incident is older than the RCA. Choose a later one."), field="incident")
