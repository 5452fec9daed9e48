"""Who may use which verb of an incident and of an RCA: cell by cell, for one kind of person at a time."""

from dataclasses import fields

import pytest

from incidents import rules

# Who may -> the verbs. Each verb has its place here, or the test fails.
INCIDENT = """
agent: validate_level add_note acknowledge assign start_intervention file_action_plan ask_customer
    publish_status_update schedule_status_update release_held_update discard_status_update
    plan_release move_release ship_release withdraw_release document_solution restore resolve
    mark_duplicate join_outage leave_outage
writer: contest_lowering confirm escalate
duty_manager: decide_contest declare_major answer_escalation
agent writer: add_watcher reply reopen withdraw request_rca add_attachment open_bridge use_bridge
    give_bridge_role
clockwork: publish_scheduled_update remind record_delivery raise_escalation hold_message
    note_automatic_mail join_alarm note_alarm_resolved note_alarm_fired_again reopen_for_alarm
agent clockwork: close note_rca_published close_bridge
head_of_support: change_promise
agent reader: attend_bridge
agent reader clockwork: remove_watcher
reader: watch
agent manager: move_to_team
agent manager clockwork: change_reporter
"""

RCA = """
agent: draft_rca save_rca submit_rca return_rca approve_rca revise_rca start_action move_action
    hand_over_action close_action link_recurrence
duty_manager reviewer: publish_rca
agent writer: comment_rca
writer: accept_rca
head_of_support: drop_action
"""


def allowed(table: str) -> dict[str, set[str]]:
    """The table above: verb -> the kinds of people who may use it."""
    found, who = {}, set()
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            kinds, _, line = line.partition(":")
            who = {f"is_{kind}" for kind in kinds.split()}
        found |= dict.fromkeys(line.split(), who)
    return found


KINDS = [field.name for field in fields(rules.Actor)]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_named_people_use_a_verb_of_an_incident(kind):
    actor, expected = rules.Actor(**{kind: True}), allowed(INCIDENT)
    may = {verb: not rules.permission_refusal(verb, actor) for verb in rules.RULES}
    assert may == {verb: kind in who for verb, who in expected.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_named_people_use_a_verb_of_an_rca(kind):
    actor, expected = rules.Actor(**{kind: True}), allowed(RCA)
    may = {verb: not rules.rca_permission_refusal(verb, actor) for verb in rules.RCA_RULES}
    assert may == {verb: kind in who for verb, who in expected.items()}


def test_whoever_is_nothing_to_an_incident_may_nothing():
    nobody = rules.Actor()
    assert all(rules.permission_refusal(verb, nobody) for verb in rules.RULES)
    assert all(rules.rca_permission_refusal(verb, nobody) for verb in rules.RCA_RULES)
