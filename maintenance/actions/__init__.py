"""The verbs of maintenance windows: one function each, called by every door and by the sweep."""

from maintenance.actions.alarms import record_alarm, suppressing, unopened
from maintenance.actions.announcing import announce, cancel, move_window
from maintenance.actions.base import Refused, may
from maintenance.actions.consents import (
    give_consent,
    may_decide,
    override_consent,
    refuse_consent,
    review_consents,
)
from maintenance.actions.ending import begin_verification, complete, order_rollback
from maintenance.actions.extending import approve_extension, ask_extension, refuse_extension
from maintenance.actions.freezes import enter_freeze, withdraw_freeze
from maintenance.actions.invitations import answer_invitation, feed_of, rotate_feed
from maintenance.actions.planning import approve, change_window, draft_window, propose, return_to_draft
from maintenance.actions.running import check_condition, decide, post, start, tick_step

__all__ = [
    "Refused",
    "announce",
    "answer_invitation",
    "approve",
    "approve_extension",
    "ask_extension",
    "begin_verification",
    "cancel",
    "change_window",
    "check_condition",
    "complete",
    "decide",
    "draft_window",
    "enter_freeze",
    "feed_of",
    "give_consent",
    "may",
    "may_decide",
    "move_window",
    "order_rollback",
    "override_consent",
    "post",
    "propose",
    "record_alarm",
    "refuse_consent",
    "refuse_extension",
    "return_to_draft",
    "review_consents",
    "rotate_feed",
    "start",
    "suppressing",
    "tick_step",
    "unopened",
    "withdraw_freeze",
]
