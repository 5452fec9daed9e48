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
    is_manager: bool = False  # manager of the incident's organisation
    is_reader: bool = False  # anybody of the incident's organisation
    is_clockwork: bool = False
    is_reviewer: bool = False  # who approved the RCA's present text


@dataclass(frozen=True)
class Rule:
    statuses: frozenset[str]
    actors: tuple[str, ...]  # attributes of Actor, any of which suffices
    instead: str = ""  # what to do when the status is wrong


STAFF = ("is_agent",)
CUSTOMER = ("is_writer",)
EITHER = ("is_writer", "is_agent")
ANYBODY = ("is_reader", "is_agent")
MANAGING = ("is_manager", "is_agent")
# An identity provider may end a membership: what its person leaves open is handed over by itself.
ANYBODY_OR_ITSELF = (*ANYBODY, "is_clockwork")
MANAGING_OR_ITSELF = (*MANAGING, "is_clockwork")

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
    "note_rca_published": Rule(ANY, ("is_clockwork", "is_agent")),
    "add_attachment": Rule(ANY, EITHER),
    "declare_major": Rule(ANY, ("is_duty_manager",)),
    "change_promise": Rule(UNRESOLVED, ("is_head_of_support",), IS_RESOLVED),
    "record_delivery": Rule(ANY, ("is_clockwork",)),
    "escalate": Rule(UNRESOLVED, CUSTOMER, IS_RESOLVED),
    "answer_escalation": Rule(ANY, ("is_duty_manager",)),
    "raise_escalation": Rule(ANY, ("is_clockwork",)),
    "open_bridge": Rule(UNRESOLVED, EITHER, IS_RESOLVED),
    "use_bridge": Rule(ANY, EITHER),
    "attend_bridge": Rule(ANY, ANYBODY),
    "give_bridge_role": Rule(ANY, EITHER),
    "close_bridge": Rule(ANY, ("is_clockwork", "is_agent")),
    "hold_message": Rule(ANY, ("is_clockwork",)),
    "note_automatic_mail": Rule(ANY, ("is_clockwork",)),
    "join_alarm": Rule(UNRESOLVED, ("is_clockwork",), IS_RESOLVED),
    "note_alarm_resolved": Rule(UNRESOLVED, ("is_clockwork",), IS_RESOLVED),
    "note_alarm_fired_again": Rule(UNRESOLVED, ("is_clockwork",), IS_RESOLVED),
    "watch": Rule(ANY, ("is_reader",)),
    "add_watcher": Rule(ANY, EITHER),
    "remove_watcher": Rule(ANY, ANYBODY_OR_ITSELF),
    "change_reporter": Rule(ANY, MANAGING_OR_ITSELF),
    "move_to_team": Rule(ANY, MANAGING),
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
    ANYBODY: gettext_noop("Only people of the organisation and support staff can do this."),
    ("is_reader",): gettext_noop("Only people of the organisation who may see the incident can watch it."),
    MANAGING: gettext_noop("Only managers of the organisation can do this. Ask one of them."),
    ANYBODY_OR_ITSELF: gettext_noop("Only people of the organisation and support staff can do this."),
    MANAGING_OR_ITSELF: gettext_noop("Only managers of the organisation can do this. Ask one of them."),
    ("is_duty_manager",): gettext_noop("Only a duty manager decides this. Ask the one on duty."),
    ("is_head_of_support",): gettext_noop("Only the head of support can change what was promised."),
    ("is_clockwork",): gettext_noop("This happens by itself."),
    ("is_agent", "is_clockwork"): gettext_noop("Confirm the solution instead: then the incident is closed."),
    ("is_clockwork", "is_agent"): gettext_noop("Only support staff can do this."),
    ("is_reviewer", "is_duty_manager"): gettext_noop(
        "Whoever approved the text publishes it, or a duty manager. Ask one of them."
    ),
}


# --- the RCA: its statuses, and who may do what in each ---

OWED, DRAFT, IN_REVIEW, PUBLISHED = "owed", "draft", "in_review", "published"
ANY_TEXT = frozenset({OWED, DRAFT, IN_REVIEW, PUBLISHED})
WRITTEN = gettext_noop("The RCA is being written already. Open its text.")
NOT_DRAFT = gettext_noop("Only a draft is changed. Return the text to its author, or begin a new version.")
NOT_IN_REVIEW = gettext_noop("The text is not in review. Submit it first.")
NOT_PUBLISHED = gettext_noop("The RCA is not published yet.")

RCA_RULES: dict[str, Rule] = {
    "draft_rca": Rule(frozenset({OWED}), STAFF, WRITTEN),
    "save_rca": Rule(frozenset({DRAFT}), STAFF, NOT_DRAFT),
    "submit_rca": Rule(frozenset({DRAFT}), STAFF, gettext_noop("Only a draft is submitted.")),
    "return_rca": Rule(frozenset({IN_REVIEW}), STAFF, NOT_IN_REVIEW),
    "approve_rca": Rule(frozenset({IN_REVIEW}), STAFF, NOT_IN_REVIEW),
    "publish_rca": Rule(frozenset({IN_REVIEW}), ("is_reviewer", "is_duty_manager"), NOT_IN_REVIEW),
    "revise_rca": Rule(
        frozenset({PUBLISHED}), STAFF, gettext_noop("The present text is not published yet: change that one.")
    ),
    "comment_rca": Rule(ANY_TEXT, EITHER),
    "accept_rca": Rule(ANY_TEXT, CUSTOMER),
    "start_action": Rule(ANY_TEXT, STAFF),
    "move_action": Rule(ANY_TEXT, STAFF),
    "hand_over_action": Rule(ANY_TEXT, STAFF),
    "close_action": Rule(ANY_TEXT, STAFF),
    "drop_action": Rule(ANY_TEXT, ("is_head_of_support",)),
    "link_recurrence": Rule(ANY_TEXT, STAFF),
}
HEAD_DROPS = gettext_noop("Only the head of support drops a prevention action that customers were promised.")


def rca_permission_refusal(verb: str, actor: Actor) -> str:
    """The same as `permission_refusal` for a verb of an RCA."""
    rule = RCA_RULES[verb]
    if any(getattr(actor, name) for name in rule.actors):
        return ""
    return HEAD_DROPS if verb == "drop_action" else NOT_YOURS[rule.actors]


def rca_state_refusal(verb: str, status: str) -> str:
    """The same as `state_refusal` for a verb of an RCA."""
    rule = RCA_RULES[verb]
    return "" if status in rule.statuses else rule.instead


def second_person_refusal(reviewer: int, writers: set[int]) -> str:
    """Why this person may not review the text: whoever wrote any of it cannot. By ids of people."""
    if reviewer not in writers:
        return ""
    return gettext_noop("You wrote part of this text. Ask somebody else to review it.")


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
