"""How the work ends: verified and completed, or taken back, verified and closed as rolled back."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from maintenance.actions import impacts
from maintenance.actions.act import TEXT_LENGTH, Act
from maintenance.actions.base import acting
from maintenance.actions.extending import forget_extension
from maintenance.models import Decision, MaintenanceWindow, RollbackCondition, Status, WindowPost
from maintenance.models.timeline import Ended, RollbackOrdered, VerificationBegan
from portal.models import User
from portal.verbs import Refused, required


def order_rollback(
    window: MaintenanceWindow,
    *,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """Take the work back. Customers are told, with the reason."""
    with acting("order_rollback", window, by=by, now=now, channel=channel, revision=revision) as act:
        roll_back(act, act.write(reason, is_public=True))
    return window


def roll_back(act: Act, post: WindowPost) -> None:
    """The rollback is under way; whoever ordered it has decided."""
    window = act.window
    if window.rollback_ordered_at is not None:
        raise Refused(_("The rollback has been ordered already."), kind="state")
    window.rollback_ordered_at = act.now
    if not window.decision:
        window.decision = Decision.ROLL_BACK
        window.decided_by, window.decided_at = act.by, act.now
    act.record(RollbackOrdered(**act.move(Status.ROLLING_BACK), post=post.pk))


def begin_verification(
    window: MaintenanceWindow, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> MaintenanceWindow:
    """The work, or the rollback, is done; it is checked that all is well."""
    with acting("begin_verification", window, by=by, now=now, channel=channel, revision=revision) as act:
        act.record(VerificationBegan(**act.move(Status.VERIFYING)))
    return window


def complete(
    window: MaintenanceWindow,
    *,
    outcome: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """Close it, with an outcome that customers read: completed, or rolled back after a rollback."""
    with acting("complete", window, by=by, now=now, channel=channel, revision=revision) as act:
        found = act.window
        outcome = required(outcome, "outcome", _("Say how it ended; customers read it."))
        if len(outcome) > TEXT_LENGTH:
            raise Refused(_("Shorten the text to 50,000 characters."), field="outcome")
        is_rolled_back = found.rollback_ordered_at is not None
        if not is_rolled_back:
            _check_conditions(found)
        found.outcome, found.ended_at, found.next_update_at = outcome, act.now, None
        found.sequence += 1
        forget_extension(found)
        moved = act.move(Status.ROLLED_BACK if is_rolled_back else Status.COMPLETED)
        act.record(Ended(**moved, **act.timed(ends_at=act.now)))
        impacts.close(found, act.now)
    return window


def _check_conditions(window: MaintenanceWindow) -> None:
    """Work is completed when every rollback condition was looked at, and none says to take it back."""
    states = set(window.conditions.values_list("state", flat=True))
    if RollbackCondition.State.UNCHECKED in states:
        raise Refused(_("Check every rollback condition first."), kind="state")
    if RollbackCondition.State.MET in states and window.decision != Decision.GO_ON:
        raise Refused(
            _("A rollback condition is met. Order the rollback, or decide to go on, with a reason."),
            kind="state",
        )
