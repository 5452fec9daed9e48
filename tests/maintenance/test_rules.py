"""Who may use which verb of a maintenance window: cell by cell, for one kind of person at a time."""

from dataclasses import fields

import pytest

from maintenance import rules
from tests.incidents.test_rules import allowed

# Who may -> the verbs. Each verb has its place here, or the test fails.
WINDOW = """
agent: change_window propose return_to_draft approve announce move_window cancel start tick_step
    check_condition ask_extension approve_extension refuse_extension order_rollback
    begin_verification complete post post_publicly
duty_manager owner: decide
agent writer: give_consent refuse_consent
duty_manager: override_consent
clockwork writer: answer_invitation
clockwork: keep_consents record_alarm resolve_alarm attend
"""


@pytest.mark.parametrize("kind", [field.name for field in fields(rules.Actor)])
def test_only_the_named_people_use_a_verb_of_a_window(kind):
    actor, expected = rules.Actor(**{kind: True}), allowed(WINDOW)
    may = {verb: not rules.permission_refusal(verb, actor) for verb in rules.RULES}
    assert may == {verb: kind in who for verb, who in expected.items()}


@pytest.mark.parametrize(("verb", "kind"), [("approve", "is_author"), ("approve_extension", "is_asker")])
def test_nobody_approves_what_is_their_own(verb, kind):
    assert not rules.permission_refusal(verb, rules.Actor(is_agent=True))
    assert rules.permission_refusal(verb, rules.Actor(is_agent=True, is_duty_manager=True, **{kind: True}))


def test_whoever_is_nothing_to_a_window_may_nothing():
    assert all(rules.permission_refusal(verb, rules.Actor()) for verb in rules.RULES)
