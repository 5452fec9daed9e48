"""What happens to a window by itself: it starts, asks, overruns, or is called off. True times, however late.

Everybody who takes a window up settles what was due before; the sweep does so when nobody does.
"""

from __future__ import annotations

from maintenance.actions import impacts
from maintenance.actions.act import Act, iso
from maintenance.actions.attention import WORKING, due_reminders, has_open_steps
from maintenance.actions.involving import involve
from maintenance.models import Status
from maintenance.models.timeline import (
    Cancelled,
    DecisionAsked,
    DecisionLapsed,
    ExpectedEndPassed,
    Overran,
    Reminded,
    Started,
    StartHeld,
)
from maintenance.models.window import RUNNING
from maintenance.rules import DECISION_GRACE


def settle(act: Act, *, is_clockwork: bool) -> None:
    """Do everything that was due before the act's instant, in order; the clockwork's own instant counts."""
    if act.window.status == Status.ANNOUNCED:
        _start_or_hold(act)
    if act.window.status == Status.ANNOUNCED:
        _call_off_if_never_started(act)
    if act.window.status in WORKING:
        _ask_for_decision(act)
    if act.window.status in RUNNING:
        _overrun(act, is_clockwork=is_clockwork)


def remind(act: Act) -> None:
    """Recall a start that comes near, once for each reminder of a plan. For the sweep."""
    if act.window.status != Status.ANNOUNCED or act.now >= act.window.starts_at:
        return
    for minutes, organisations in due_reminders(act.window, act.now).items():
        involve(act)
        act.record(
            Reminded(
                organisations=sorted(organisation.pk for organisation in organisations),
                minutes=minutes,
                starts_at=iso(act.window.starts_at),
            )
        )


def _start_or_hold(act: Act) -> None:
    window = act.window
    if act.now < window.starts_at:
        return
    missing, held = _missing(act), is_held(act)
    if not missing:
        # What was held starts when it is let go; else it starts in time, whoever noticed how late.
        begin(act, by_itself=True, is_late=held)
    elif not held:
        act.record_due(
            StartHeld(starts_at=iso(window.starts_at), consents=missing),
            at=window.starts_at,
        )


def _missing(act: Act) -> list[int]:
    return list(act.window.consents.unsettled().order_by("pk").values_list("pk", flat=True))


def is_held(act: Act) -> bool:
    """Whether it should have started at its present start, and did not."""
    held = act.window.events.filter(kind="start_held", payload__starts_at=iso(act.window.starts_at))
    return held.exists()


def begin(act: Act, *, by_itself: bool, is_late: bool) -> None:
    """The work is under way: alarms are recorded and the impact is felt from now on."""
    window = act.window
    at = act.now if is_late else window.starts_at
    if at >= window.ends_at:
        return  # it was let go when its time was over: it is called off
    involve(act)
    window.started_at = at
    facts = Started(**act.move(Status.IN_PROGRESS))
    if by_itself:
        act.record_due(facts, at=at)
    else:
        act.record(facts, at=at)
    impacts.feel(window, at)


def _call_off_if_never_started(act: Act) -> None:
    window = act.window
    if act.now < window.ends_at:
        return
    window.sequence += 1
    window.ended_at = window.ends_at
    moved = act.move(Status.CANCELLED)
    act.record_due(Cancelled(**moved, **act.timed(), because="never_started"), at=window.ends_at)


def _ask_for_decision(act: Act) -> None:
    """Ask once whether to go on or roll back; ten minutes without an answer are noted once."""
    window = act.window
    asked_at = max(window.rollback_decision_at, window.started_at or window.rollback_decision_at)
    if window.decision or act.now < asked_at or not has_open_steps(window):
        return
    if window.decision_asked_at is None:
        window.decision_asked_at = asked_at
        act.record_due(DecisionAsked(), at=asked_at)
    lapsed_at = window.decision_asked_at + DECISION_GRACE
    if act.now >= lapsed_at and not window.events.filter(kind="decision_lapsed").exists():
        act.record_due(DecisionLapsed(), at=lapsed_at)


def _overrun(act: Act, *, is_clockwork: bool) -> None:
    """The agreed end passed, and the work is not over. Work that ends at that very second is in time."""
    window = act.window
    if act.now < window.ends_at or (act.now == window.ends_at and not is_clockwork):
        return
    if window.overrun_at is not None:
        _note_expected_end(act)
        return
    window.overrun_at = window.ends_at
    moved = act.move(Status.OVERRUN if window.status == Status.IN_PROGRESS else window.status)
    act.record_due(Overran(**moved, ends_at=iso(window.ends_at)), at=window.ends_at)
    impacts.outlast(window, window.ends_at)


def _note_expected_end(act: Act) -> None:
    window = act.window
    told = {
        event.payload["ends_at"]
        for event in window.events.filter(kind__in=["overran", "expected_end_passed"])
    }
    if iso(window.ends_at) not in told:
        act.record_due(ExpectedEndPassed(ends_at=iso(window.ends_at)), at=window.ends_at)
