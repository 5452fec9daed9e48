"""Who may do what in which status of a maintenance window. PURE: no Django, no I/O.

Each verb names the statuses it works in, who may use it, who may not although they could, and what to do
instead. The texts are marked for translation here and translated where they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DRAFT, PROPOSED, APPROVED, ANNOUNCED = "draft", "proposed", "approved", "announced"
IN_PROGRESS, OVERRUN, ROLLING_BACK, VERIFYING = "in_progress", "overrun", "rolling_back", "verifying"
COMPLETED, ROLLED_BACK, CANCELLED = "completed", "rolled_back", "cancelled"
UNSTARTED = frozenset({DRAFT, PROPOSED, APPROVED, ANNOUNCED})
WORKING = frozenset({IN_PROGRESS, OVERRUN})
RUNNING = WORKING | {ROLLING_BACK, VERIFYING}
OVER = frozenset({COMPLETED, ROLLED_BACK, CANCELLED})
ANY = UNSTARTED | RUNNING | OVER

DECISION_GRACE = timedelta(minutes=10)  # how long the owner has before the duty manager is paged


def gettext_noop(text: str) -> str:
    """Mark a text for translation without translating it."""
    return text


@dataclass(frozen=True)
class Actor:
    """What a person is to the window at hand."""

    is_agent: bool = False
    is_duty_manager: bool = False
    is_owner: bool = False
    is_author: bool = False  # wrote it, or changed it since
    is_approver: bool = False
    is_asker: bool = False  # asked for the extension that waits
    is_writer: bool = False  # manager or member of an organisation that it concerns
    is_clockwork: bool = False


@dataclass(frozen=True)
class Rule:
    statuses: frozenset[str]
    actors: tuple[str, ...]  # attributes of Actor, any of which suffices
    instead: str = ""  # what to do when the status is wrong
    never: str = ""  # an attribute of Actor that rules the person out
    why_never: str = ""


STAFF = ("is_agent",)
LEADERS = ("is_owner", "is_duty_manager")
VENDOR_DECIDERS = ("is_approver", "is_duty_manager")
CUSTOMER = ("is_writer",)

NOT_RUNNING = gettext_noop("The work is not under way: this is done between its start and its end.")
HAS_STARTED = gettext_noop("The work has started. Post about the progress, extend it, or order the rollback.")
APPROVED_ALREADY = gettext_noop(
    "An approved window is not changed. Return it to draft, or, once announced, move it."
)
NO_EXTENSION = gettext_noop("Nobody asks for an extension. Ask for one first; a colleague approves it.")

RULES: dict[str, Rule] = {
    "change_window": Rule(frozenset({DRAFT, PROPOSED}), STAFF, APPROVED_ALREADY),
    "propose": Rule(frozenset({DRAFT}), STAFF, gettext_noop("Only a draft can be proposed.")),
    "return_to_draft": Rule(
        frozenset({PROPOSED, APPROVED}),
        STAFF,
        gettext_noop("Only a proposed or approved window goes back to draft. Move or cancel it instead."),
    ),
    "approve": Rule(
        frozenset({PROPOSED}),
        STAFF,
        gettext_noop("Only a proposed window can be approved."),
        "is_author",
        gettext_noop("Another person than the author approves. Ask a colleague."),
    ),
    "announce": Rule(frozenset({APPROVED}), STAFF, gettext_noop("Only an approved window can be announced.")),
    "move_window": Rule(
        frozenset({ANNOUNCED}),
        STAFF,
        gettext_noop("A window is moved after its announcement and before its start."),
    ),
    "cancel": Rule(
        UNSTARTED,
        STAFF,
        gettext_noop("Only a window that has not started can be cancelled. Order a rollback."),
    ),
    "start": Rule(
        frozenset({ANNOUNCED}), STAFF, gettext_noop("Only an announced window starts, at its start.")
    ),
    "tick_step": Rule(RUNNING, STAFF, NOT_RUNNING),
    "check_condition": Rule(RUNNING, STAFF, NOT_RUNNING),
    "decide": Rule(WORKING | {VERIFYING}, LEADERS, NOT_RUNNING),
    "ask_extension": Rule(RUNNING, STAFF, NOT_RUNNING),
    "approve_extension": Rule(
        RUNNING,
        STAFF,
        NOT_RUNNING,
        "is_asker",
        gettext_noop("Another person than the one who asked approves the extension. Ask a colleague."),
    ),
    "refuse_extension": Rule(RUNNING, STAFF, NOT_RUNNING),
    "order_rollback": Rule(
        WORKING | {VERIFYING},
        STAFF,
        gettext_noop("A rollback is ordered while the work or its verification is under way."),
    ),
    "begin_verification": Rule(
        WORKING | {ROLLING_BACK},
        STAFF,
        gettext_noop("The verification follows the work or the rollback."),
    ),
    "complete": Rule(
        frozenset({VERIFYING}),
        STAFF,
        gettext_noop("Begin the verification first; after it the window is closed."),
    ),
    "post": Rule(ANY, STAFF),
    "post_publicly": Rule(
        RUNNING | {ANNOUNCED},
        STAFF,
        gettext_noop("Customers read progress between the announcement and the end. Post it internally."),
    ),
    "give_consent": Rule(
        frozenset({PROPOSED, APPROVED, ANNOUNCED}),
        (*CUSTOMER, *STAFF),
        gettext_noop("There is nothing to consent to any more: the window has started, or is over."),
    ),
    "refuse_consent": Rule(
        frozenset({PROPOSED, APPROVED, ANNOUNCED}),
        (*CUSTOMER, *STAFF),
        gettext_noop("It is too late to refuse: the window has started, or is over."),
    ),
    "override_consent": Rule(
        frozenset({ANNOUNCED}),
        ("is_duty_manager",),
        gettext_noop("A missing consent is overridden after the announcement and before the start."),
    ),
    "answer_invitation": Rule(ANY, ("is_writer", "is_clockwork")),
    "keep_consents": Rule(frozenset({PROPOSED, APPROVED, ANNOUNCED}), ("is_clockwork",)),
    "record_alarm": Rule(ANY, ("is_clockwork",)),
    "resolve_alarm": Rule(ANY, ("is_clockwork",)),
    "attend": Rule(ANY, ("is_clockwork",)),
}

NOT_YOURS = {
    STAFF: gettext_noop("Only support staff can do this."),
    LEADERS: gettext_noop("The owner of the window or a duty manager decides this."),
    ("is_duty_manager",): gettext_noop("Only a duty manager decides this. Ask the one on duty."),
    (*CUSTOMER, *STAFF): gettext_noop(
        "Viewers can read but not decide. Ask a manager of your organisation for the member role."
    ),
    ("is_clockwork",): gettext_noop("This happens by itself."),
    ("is_writer", "is_clockwork"): gettext_noop("Only whoever was invited answers."),
}


def permission_refusal(verb: str, actor: Actor) -> str:
    """Why this person may not use the verb, or "" if they may. KeyError for an unknown verb."""
    rule = RULES[verb]
    if not any(getattr(actor, name) for name in rule.actors):
        return NOT_YOURS[rule.actors]
    return rule.why_never if rule.never and getattr(actor, rule.never) else ""


def state_refusal(verb: str, status: str) -> str:
    """Why the verb does not work in this status, with what to do instead, or ""."""
    rule = RULES[verb]
    if status in rule.statuses:
        return ""
    return rule.instead or gettext_noop("The window is in another state by now.")


@dataclass(frozen=True)
class Draft:
    """What a window holds before its approval, as far as the rules ask for it."""

    starts_at: datetime
    ends_at: datetime
    rollback_decision_at: datetime
    services: int
    steps: Sequence[str]
    conditions: Sequence[tuple[str, str]]
    has_owner: bool = True


def incomplete(draft: Draft) -> tuple[str, str] | None:
    """What a window lacks for its approval: (field, reason), or None when it is whole."""
    d = draft
    checks = [
        (d.starts_at < d.ends_at, "ends_at", gettext_noop("The end must come after the start.")),
        (d.services > 0, "services", gettext_noop("Name at least one service, and what is felt of it.")),
        (any(s.strip() for s in d.steps), "steps", gettext_noop("Name at least one step of the work.")),
        (d.has_owner, "owner", gettext_noop("Name an owner: somebody of the staff who leads the work.")),
        (
            any(m.strip() and limit.strip() for m, limit in d.conditions),
            "conditions",
            gettext_noop("Name at least one rollback condition: what is measured, and its limit."),
        ),
        (
            d.starts_at <= d.rollback_decision_at <= d.ends_at,
            "rollback_decision_at",
            gettext_noop("The rollback decision time must lie between the start and the end."),
        ),
    ]
    return next(((name, reason) for is_right, name, reason in checks if not is_right), None)
