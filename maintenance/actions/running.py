"""The work itself: it starts, its steps and conditions are checked off, and somebody decides in time."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from maintenance.actions.act import Act
from maintenance.actions.base import acting
from maintenance.actions.ending import roll_back
from maintenance.actions.settling import begin, is_held, settle
from maintenance.models import Decision, MaintenanceWindow, RollbackCondition, WindowPost, WindowStep
from maintenance.models.timeline import ConditionChecked, Decided, NoteAdded, Posted, StepTicked
from portal.models import User
from portal.verbs import Refused, required


def start(
    window: MaintenanceWindow, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> MaintenanceWindow:
    """Start it by hand, from its start on; by itself it starts then, too. Refused while a consent is missing."""
    with acting("start", window, by=by, now=now, channel=channel, revision=revision) as act:
        if act.now < act.window.starts_at:
            raise Refused(_("It starts at its start, not earlier. Move it to start earlier."), kind="state")
        if act.now < act.window.ends_at:
            if act.window.consents.unsettled().exists():
                raise Refused(
                    _(
                        "A consent is missing. Wait for it, move the window, or ask a duty manager to override."
                    ),
                    kind="state",
                )
            begin(act, by_itself=False, is_late=is_held(act))
        settle(act, is_clockwork=False)
    return window


def tick_step(
    step: WindowStep, *, is_done: bool, by: User, now: datetime, channel: str, revision: int | None = None
) -> WindowStep:
    """Tick a step of the work, or take the tick back. Ticking it again changes nothing."""
    with acting("tick_step", step.window, by=by, now=now, channel=channel, revision=revision) as act:
        found = WindowStep.objects.get(pk=step.pk)
        if (found.done_at is not None) != is_done:
            found.done_at, found.done_by = (act.now, by) if is_done else (None, None)
            found.save()
            act.record(StepTicked(step=found.pk, is_done=is_done))
    step.refresh_from_db()
    return step


def check_condition(
    condition: RollbackCondition,
    *,
    measured: str,
    is_met: bool,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> RollbackCondition:
    """Write down what was measured, and whether it means that the work is taken back."""
    with acting(
        "check_condition", condition.window, by=by, now=now, channel=channel, revision=revision
    ) as act:
        found = RollbackCondition.objects.get(pk=condition.pk)
        found.measured = required(measured, "measured", _("Say what was measured."))
        if len(found.measured) > 100:
            raise Refused(_("Shorten what was measured to 100 characters."), field="measured")
        found.state = RollbackCondition.State.MET if is_met else RollbackCondition.State.CLEAR
        found.checked_at, found.checked_by = act.now, by
        found.save()
        act.record(ConditionChecked(condition=found.pk, is_met=is_met))
    condition.refresh_from_db()
    return condition


def decide(
    window: MaintenanceWindow,
    *,
    decision: str,
    reason: str,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> MaintenanceWindow:
    """The owner or a duty manager chooses: go on, or roll back, which is ordered by that."""
    if decision not in Decision.values:
        raise Refused(_("Choose to go on or to roll back."), field="decision")
    with acting("decide", window, by=by, now=now, channel=channel, revision=revision) as act:
        post = act.write(reason, is_public=decision == Decision.ROLL_BACK)
        note_decision(act, decision, post)
        if decision == Decision.ROLL_BACK:
            roll_back(act, post)
    return window


def note_decision(act: Act, decision: str, post: WindowPost) -> None:
    act.window.decision = decision
    act.window.decided_by, act.window.decided_at = act.by, act.now
    act.record(Decided(decision=decision, post=post.pk))


def post(
    window: MaintenanceWindow,
    *,
    text: str,
    is_public: bool = True,
    next_update_at: datetime | None = None,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> WindowPost:
    """Say how it goes: to the customers, with the time of the next word, or to colleagues only."""
    verb = "post_publicly" if is_public else "post"
    with acting(verb, window, by=by, now=now, channel=channel, revision=revision) as act:
        if next_update_at is not None:
            next_update_at = next_update_at.replace(microsecond=0)
            if not is_public or next_update_at <= act.now:
                raise Refused(
                    _("The next update is a time in the future, and of a public post."),
                    field="next_update_at",
                )
        written = act.write(text, is_public=is_public, field="text", next_update_at=next_update_at)
        if is_public:
            act.window.next_update_at = next_update_at
            act.record(Posted(post=written.pk))
        else:
            act.record(NoteAdded(post=written.pk))
    return written
