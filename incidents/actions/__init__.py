"""The verbs: one function each, called by every door, hatch and sweep."""

from incidents.actions.alarms import (
    join_alarm,
    note_alarm_fired_again,
    note_alarm_resolved,
    reopen_for_alarm,
)
from incidents.actions.base import Refused, may
from incidents.actions.conversation import add_note, ask_customer, reply
from incidents.actions.ending import (
    can_request_rca,
    close,
    confirm,
    mark_duplicate,
    remind,
    reopen,
    request_rca,
    resolve,
    restore,
    withdraw,
)
from incidents.actions.escalating import declare_major, note_unreached
from incidents.actions.levels import contest_lowering, decide_contest, open_lowering, validate_level
from incidents.actions.mails import hold_mail, note_automatic_mail
from incidents.actions.opening import open_incident
from incidents.actions.promise import change_promise, preview_promise
from incidents.actions.rca_base import may_rca
from incidents.actions.rca_prevention import (
    close_action,
    drop_action,
    hand_over_action,
    link_recurrence,
    move_action,
    start_action,
)
from incidents.actions.rca_publishing import publish_rca
from incidents.actions.rca_talking import accept_rca, comment_rca
from incidents.actions.rca_writing import (
    ActionInput,
    MomentInput,
    RedactionInput,
    approve_rca,
    draft_rca,
    return_rca,
    revise_rca,
    save_rca,
    submit_rca,
)
from incidents.actions.solution import (
    document_solution,
    move_release,
    plan_release,
    planned_release,
    ship_release,
    withdraw_release,
)
from incidents.actions.updates import (
    discard_status_update,
    latest_next_update,
    pending_update,
    publish_scheduled,
    publish_status_update,
    record_delivery,
    release_held_update,
    schedule_status_update,
)
from incidents.actions.work import acknowledge, assign, file_action_plan, start_intervention
from incidents.actions.writing import add_attachment

__all__ = [
    "ActionInput",
    "MomentInput",
    "RedactionInput",
    "Refused",
    "accept_rca",
    "acknowledge",
    "add_attachment",
    "add_note",
    "approve_rca",
    "ask_customer",
    "assign",
    "can_request_rca",
    "change_promise",
    "close",
    "close_action",
    "comment_rca",
    "confirm",
    "contest_lowering",
    "decide_contest",
    "declare_major",
    "discard_status_update",
    "document_solution",
    "draft_rca",
    "drop_action",
    "file_action_plan",
    "hand_over_action",
    "hold_mail",
    "join_alarm",
    "latest_next_update",
    "link_recurrence",
    "mark_duplicate",
    "may",
    "may_rca",
    "move_action",
    "move_release",
    "note_alarm_fired_again",
    "note_alarm_resolved",
    "note_automatic_mail",
    "note_unreached",
    "open_incident",
    "open_lowering",
    "pending_update",
    "plan_release",
    "planned_release",
    "preview_promise",
    "publish_rca",
    "publish_scheduled",
    "publish_status_update",
    "record_delivery",
    "release_held_update",
    "remind",
    "reopen",
    "reopen_for_alarm",
    "reply",
    "request_rca",
    "resolve",
    "restore",
    "return_rca",
    "revise_rca",
    "save_rca",
    "schedule_status_update",
    "ship_release",
    "start_action",
    "start_intervention",
    "submit_rca",
    "validate_level",
    "withdraw",
    "withdraw_release",
]
