"""Who may do what in which state. PURE: no Django, no I/O.

Each verb names the statuses it works in, who may use it, and what to do instead. The texts are marked
for translation here and translated where they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

REPORTED, ACKNOWLEDGED, IN_PROGRESS, WAITING = (
    "reported",
    "acknowledged",
    "in_progress",
    "waiting_for_customer",
)
RESOLVED, CLOSED = "resolved", "closed"
UNRESOLVED = frozenset({REPORTED, ACKNOWLEDGED, IN_PROGRESS, WAITING})
FINISHED = frozenset({RESOLVED, CLOSED})
ANY = UNRESOLVED | FINISHED


def gettext_noop(text: str) -> str:
    """Mark a text for translation without translating it."""
    return text


@dataclass(frozen=True)
class Actor:
    """What a person is to the incident at hand."""

    is_agent: bool = False
    is_duty_manager: bool = False
    is_head_of_support: bool = False
    is_writer: bool = False  # manager or member of the incident's organisation
    is_clockwork: bool = False


@dataclass(frozen=True)
class Rule:
    statuses: frozenset[str]
    actors: tuple[str, ...]  # attributes of Actor, any of which suffices
    instead: str = ""  # what to do when the status is wrong


STAFF = ("is_agent",)
CUSTOMER = ("is_writer",)
EITHER = ("is_writer", "is_agent")

IS_RESOLVED = gettext_noop("The incident is resolved or closed. Reopen it first.")
NOT_RESOLVED = gettext_noop("The incident is not resolved yet. Reply to it instead.")

RULES: dict[str, Rule] = {
    "validate_level": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "contest_lowering": Rule(UNRESOLVED, CUSTOMER, IS_RESOLVED),
    "decide_contest": Rule(UNRESOLVED, ("is_duty_manager",), IS_RESOLVED),
    "reply": Rule(ANY, EITHER),
    "add_note": Rule(ANY, STAFF),
    "acknowledge": Rule(
        frozenset({REPORTED}), STAFF, gettext_noop("Somebody has acknowledged the incident already.")
    ),
    "assign": Rule(ANY, STAFF),
    "start_intervention": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "file_action_plan": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "ask_customer": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "publish_status_update": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "schedule_status_update": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "release_held_update": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "discard_status_update": Rule(ANY, STAFF),
    "publish_scheduled_update": Rule(ANY, ("is_clockwork",)),
    "plan_release": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "move_release": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "ship_release": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "withdraw_release": Rule(ANY, STAFF),
    "document_solution": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "restore": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "resolve": Rule(
        UNRESOLVED | {RESOLVED},
        STAFF,
        gettext_noop("The incident is resolved already. Reply to it, or reopen it first."),
    ),
    "confirm": Rule(frozenset({RESOLVED}), CUSTOMER, NOT_RESOLVED),
    "reopen": Rule(FINISHED, EITHER, NOT_RESOLVED),
    "close": Rule(
        frozenset({RESOLVED}),
        ("is_agent", "is_clockwork"),
        gettext_noop("Only a resolved incident can be closed. Resolve it first."),
    ),
    "remind": Rule(frozenset({RESOLVED}), ("is_clockwork",), NOT_RESOLVED),
    "withdraw": Rule(
        UNRESOLVED, EITHER, gettext_noop("The incident is resolved or closed; there is nothing to withdraw.")
    ),
    "mark_duplicate": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "join_outage": Rule(UNRESOLVED, STAFF, IS_RESOLVED),
    "leave_outage": Rule(ANY, STAFF),
    "request_rca": Rule(ANY, EITHER),
    "add_attachment": Rule(ANY, EITHER),
    "declare_major": Rule(ANY, ("is_duty_manager",)),
    "change_promise": Rule(UNRESOLVED, ("is_head_of_support",), IS_RESOLVED),
    "record_delivery": Rule(ANY, ("is_clockwork",)),
    "hold_mail": Rule(ANY, ("is_clockwork",)),
    "note_automatic_mail": Rule(ANY, ("is_clockwork",)),
    "join_alarm": Rule(UNRESOLVED, ("is_clockwork",), IS_RESOLVED),
    "note_alarm_resolved": Rule(UNRESOLVED, ("is_clockwork",), IS_RESOLVED),
    "note_alarm_fired_again": Rule(UNRESOLVED, ("is_clockwork",), IS_RESOLVED),
    "reopen_for_alarm": Rule(frozenset({RESOLVED}), ("is_clockwork",), NOT_RESOLVED),
}

NOT_YOURS = {
    STAFF: gettext_noop("Only support staff can do this."),
    CUSTOMER: gettext_noop(
        "Only managers and members of the organisation can do this. Ask one of them, or your manager for the role."
    ),
    EITHER: gettext_noop(
        "Viewers can read but not write. Ask a manager of your organisation for the member role."
    ),
    ("is_duty_manager",): gettext_noop("Only a duty manager decides this. Ask the one on duty."),
    ("is_head_of_support",): gettext_noop("Only the head of support can change what was promised."),
    ("is_clockwork",): gettext_noop("This happens by itself."),
    ("is_agent", "is_clockwork"): gettext_noop("Confirm the solution instead: then the incident is closed."),
}


def permission_refusal(verb: str, actor: Actor) -> str:
    """Why this person may never use the verb, or "" if they may. KeyError for an unknown verb."""
    rule = RULES[verb]
    if any(getattr(actor, name) for name in rule.actors):
        return ""
    return NOT_YOURS[rule.actors]


def state_refusal(verb: str, status: str) -> str:
    """Why the verb does not work in this status, with what to do instead, or ""."""
    rule = RULES[verb]
    return "" if status in rule.statuses else rule.instead
