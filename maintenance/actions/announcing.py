"""What is agreed with customers: announced, moved, cancelled."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from maintenance.actions.act import Act, iso
from maintenance.actions.base import acting
from maintenance.actions.consents import keep_consents, review_consents
from maintenance.actions.involving import involve
from maintenance.actions.planning import check_times
from maintenance.models import MaintenanceWindow, Status
from maintenance.models.timeline import Announced, Cancelled, Moved
from portal.models import User
from portal.verbs import Refused


def announce(
    window: MaintenanceWindow, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> MaintenanceWindow:
    """Tell everybody whom it concerns, and ask for the consents that it needs.

    What stands in its way on the vendor's side must be decided before: what is found now is written down
    even though the announcement is then refused.
    """
    if window.status == Status.APPROVED and by.is_unlimited:
        review_consents(window, now=now)
    with acting("announce", window, by=by, now=now, channel=channel, revision=revision) as act:
        found = act.window
        if act.now >= found.starts_at:
            raise Refused(
                _("Its start has passed. Return it to draft, and choose another time."), field="starts_at"
            )
        if found.consents.filter(organisation=None).unsettled().exists():
            raise Refused(
                _("It overlaps other work or an open P1. Move it, or decide on each overlap with a reason."),
                kind="state",
            )
        moved = act.move(Status.ANNOUNCED)
        found.announced_at = act.now
        found.first_starts_at, found.first_ends_at = found.starts_at, found.ends_at
        involve(act)
        act.record(Announced(**moved, **act.timed()))
        keep_consents(act, is_changed=False, organisations=True)
    return window


def move_window(
    window: MaintenanceWindow,
    *,
    starts_at: datetime,
    ends_at: datetime,
    rollback_decision_at: datetime,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """Another time for an announced window; customers read the reason. Consents are asked anew."""
    starts_at, ends_at, rollback_decision_at = (
        at.replace(microsecond=0) for at in (starts_at, ends_at, rollback_decision_at)
    )
    with acting("move_window", window, by=by, now=now, channel=channel, revision=revision) as act:
        found = act.window
        check_times(starts_at, ends_at)
        _check_new_times(act, starts_at, ends_at, rollback_decision_at)
        post = act.write(reason, is_public=True)
        starts_from, ends_from = iso(found.starts_at), iso(found.ends_at)
        found.starts_at, found.ends_at = starts_at, ends_at
        found.rollback_decision_at = rollback_decision_at
        found.sequence += 1
        act.record(
            Moved(
                **act.move(found.status),
                **act.timed(),
                starts_from=starts_from,
                ends_from=ends_from,
                post=post.pk,
            )
        )
        involve(act)
        keep_consents(act, is_changed=True, organisations=True)
    return window


def _check_new_times(act: Act, starts_at: datetime, ends_at: datetime, decision_at: datetime) -> None:
    if starts_at <= act.now:
        raise Refused(_("Choose a start in the future."), field="starts_at")
    if not starts_at <= decision_at <= ends_at:
        raise Refused(
            _("The rollback decision time must lie between the start and the end."),
            field="rollback_decision_at",
        )
    if (starts_at, ends_at) == (act.window.starts_at, act.window.ends_at):
        raise Refused(_("These are the times that it has."), field="starts_at")


def cancel(
    window: MaintenanceWindow,
    *,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """Call it off before its start. Once announced, everybody who was ever invited hears, with the reason."""
    with acting("cancel", window, by=by, now=now, channel=channel, revision=revision) as act:
        found = act.window
        post = act.write(reason, is_public=found.is_announced)
        found.sequence += found.is_announced
        found.ended_at = act.now
        act.record(Cancelled(**act.move(Status.CANCELLED), **act.timed(), post=post.pk))
    return window
