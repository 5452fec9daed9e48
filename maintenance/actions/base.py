"""What every verb shares: lock, what was due, rule, fact, messages; one transaction, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from maintenance import notify, rules
from maintenance.actions.act import Act
from maintenance.actions.attention import next_attention
from maintenance.actions.settling import settle
from maintenance.models import MaintenanceWindow
from portal.access import CONCERNS_OTHERS
from portal.models import Membership, StaffRole, User
from portal.verbs import Refused as Refused
from portal.verbs import required as required


def actor_of(user: User | None, window: MaintenanceWindow) -> rules.Actor:
    """What `user` is to the window; None is the clockwork."""
    if user is None:
        return rules.Actor(is_clockwork=True)
    if user.is_unlimited:
        return rules.Actor(
            is_agent=True,
            is_duty_manager=user.has_staff_role(StaffRole.DUTY_MANAGER),
            is_owner=user.pk == window.owner_id,
            is_author=user.pk == window.author_id or _has_written(user, window),
            is_approver=user.pk == window.approved_by_id,
            is_asker=user.pk == window.extension_by_id,
        )
    writes = Membership.objects.filter(
        user=user,
        role__in=[Membership.Role.MANAGER, Membership.Role.MEMBER],
        organisation__in=window.involved.values("organisation"),
    )
    return rules.Actor(is_writer=user.is_active and writes.exists())


def _has_written(user: User, window: MaintenanceWindow) -> bool:
    return window.events.filter(kind__in=["drafted", "changed"], by=user).exists()


def permission_refusal(verb: str, window: MaintenanceWindow, user: User | None) -> str:
    """Why this person may never use the verb, or "". A window concerns many: limited staff only read of it."""
    refusal = rules.permission_refusal(verb, actor_of(user, window))
    return str(CONCERNS_OTHERS) if refusal and user is not None and user.is_limited else refusal


def may(verb: str, window: MaintenanceWindow, user: User) -> str:
    """ "" if `user` may use the verb on the window now, else the translated reason."""
    refusal = permission_refusal(verb, window, user)
    refusal = refusal or rules.state_refusal(verb, window.status)
    if not refusal and verb in ("approve_extension", "refuse_extension") and window.extension_until is None:
        refusal = rules.NO_EXTENSION
    return _(refusal) if refusal else ""


@contextmanager
def acting(
    verb: str,
    window: MaintenanceWindow,
    *,
    by: User | None,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> Iterator[Act]:
    """Lock the window, settle what was due before, check the rule and the revision; at the end queue messages."""
    now = now.replace(microsecond=0)
    with transaction.atomic():
        locked = MaintenanceWindow.objects.select_for_update(of=("self",)).get(pk=window.pk)
        _check_person(verb, locked, by, revision)
        act = Act(locked, by, max(now, locked.last_changed_at.replace(microsecond=0)), channel)
        if verb != "start":  # whoever starts it does what is due themselves
            settle(act, is_clockwork=by is None)
        refusal = rules.state_refusal(verb, locked.status)
        if refusal:
            raise Refused(_(refusal), kind="state")
        yield act
        finish(act)
    window.__dict__.update(locked.__dict__)


def _check_person(verb: str, window: MaintenanceWindow, by: User | None, revision: int | None) -> None:
    refusal = permission_refusal(verb, window, by)
    if refusal:
        raise Refused(_(refusal), kind="permission")
    if revision is not None and revision != window.revision:
        raise Refused(
            _("Somebody changed the window while you were writing. Read what is new, then send again."),
            kind="stale",
        )


# Bookkeeping that must not make a form in somebody's hands stale.
QUIET = frozenset(
    {
        "invited",
        "reminded",
        "consent_asked",
        "consent_resolved",
        "consent_given",
        "invitation_answered",
        "start_held",
        "decision_asked",
        "decision_lapsed",
        "alarm_recorded",
        "alarm_resolved",
        "expected_end_passed",
        "step_ticked",
        "condition_checked",
    }
)


def finish(act: Act) -> None:
    """Summary row and messages of an act, in its transaction."""
    window = act.window
    if any(event.kind not in QUIET for event in act.events):
        window.revision += 1
        window.last_changed_at = act.now
    window.attention_at = next_attention(window, act.now)
    window.save()
    notify.announce(window, act.events, act.now)
