"""The verbs: one function each, called by every door, hatch and sweep."""

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
from incidents.actions.levels import contest_lowering, decide_contest, open_lowering, validate_level
from incidents.actions.mails import hold_mail, note_automatic_mail
from incidents.actions.opening import open_incident
from incidents.actions.promise import change_promise, preview_promise
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
    "Refused",
    "acknowledge",
    "add_attachment",
    "add_note",
    "ask_customer",
    "assign",
    "can_request_rca",
    "change_promise",
    "close",
    "confirm",
    "contest_lowering",
    "decide_contest",
    "discard_status_update",
    "document_solution",
    "file_action_plan",
    "hold_mail",
    "latest_next_update",
    "mark_duplicate",
    "may",
    "move_release",
    "note_automatic_mail",
    "open_incident",
    "open_lowering",
    "pending_update",
    "plan_release",
    "planned_release",
    "preview_promise",
    "publish_scheduled",
    "publish_status_update",
    "record_delivery",
    "release_held_update",
    "remind",
    "reopen",
    "reply",
    "request_rca",
    "resolve",
    "restore",
    "schedule_status_update",
    "ship_release",
    "start_intervention",
    "validate_level",
    "withdraw",
    "withdraw_release",
]
