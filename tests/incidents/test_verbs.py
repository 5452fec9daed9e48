"""Each verb checks its rule; an illegal one says what is wrong, and writes nothing."""

from datetime import timedelta

import pytest

from incidents import actions, rules
from incidents.clockwork import differences
from incidents.models import Incident, IncidentEvent, Message
from portal.models import OutboxMessage
from tests.conftest import T0
from tests.factories import article, clock, incident


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def by(user, minutes):
    return {"by": user, "now": at(minutes), "channel": "portal"}


def test_a_p1_starts_three_clocks_at_its_receipt(a1):
    made = incident(a1, T0)
    due = {row.kind: row.due_at for row in made.clocks.all()}
    assert due == {"first_response": at(15), "target_action": at(240), "status_update": at(30)}
    assert (made.status, made.level, made.validated_level) == ("reported", "P1", "")


def test_a_customers_words_and_a_note_meet_nothing(a1, g1):
    made = incident(a1, T0)
    actions.reply(made, text="hello?", **by(a1, 1))
    actions.add_note(made, text="hm", **by(g1, 2))
    actions.acknowledge(made, **by(g1, 3))
    assert clock(made, "first_response").state == "running"


def test_the_first_public_answer_meets_the_first_response_once(a1, g1):
    made = incident(a1, T0)
    actions.reply(made, text="We are on it.", **by(g1, 6))
    actions.reply(made, text="Still on it.", **by(g1, 9))
    row = clock(made, "first_response")
    assert (row.state, row.met_at) == ("met", at(6))
    assert made.status == "acknowledged"


def test_a_second_start_of_the_intervention_moves_nothing(a1, g1, g2):
    made = incident(a1, T0)
    actions.start_intervention(made, **by(g1, 12))
    with pytest.raises(actions.Refused, match="Gül One has started"):
        actions.start_intervention(made, **by(g2, 13))
    made.refresh_from_db()
    assert (made.assignee, clock(made, "target_action").met_at) == (g1, at(12))


def test_a_validation_needs_a_reason_and_an_agent(a1, g1):
    made = incident(a1, T0)
    with pytest.raises(actions.Refused) as no_reason:
        actions.validate_level(made, level="P2", reason="  ", **by(g1, 1))
    with pytest.raises(actions.Refused) as no_agent:
        actions.validate_level(made, level="P2", reason="x", **by(a1, 1))
    assert (no_reason.value.field, no_agent.value.kind) == ("reason", "permission")
    assert IncidentEvent.objects.filter(incident=made).count() == 1


def test_an_upheld_contest_voids_the_lowering(a1, a2, g1, m1):
    made = incident(a1, T0)
    actions.validate_level(made, level="P2", reason="partial", **by(g1, 5))
    assert clock(made, "first_response", level="P1").state == "replaced"
    assert clock(made, "first_response", level="P2").due_at == at(60)
    actions.contest_lowering(made, reason="all is down", **by(a2, 6))
    with pytest.raises(actions.Refused, match="duty manager"):
        actions.decide_contest(made, is_upheld=True, reason="x", **by(g1, 7))
    actions.decide_contest(made, is_upheld=True, reason="agreed", **by(m1, 8))
    again = clock(made, "first_response", level="P1")
    assert (again.ordinal, again.state, again.started_at, again.due_at) == (2, "running", T0, at(15))
    assert differences(made) == []


def test_a_question_pauses_and_the_reply_resumes_at_its_receipt(a1, g1):
    made = incident(a1, T0, "P2")
    before = clock(made, "target_action").due_at
    actions.ask_customer(made, text="Which version?", **by(g1, 10))
    assert (made.status, clock(made, "target_action").state) == ("waiting_for_customer", "paused")
    actions.reply(made, text="1.2", **by(a1, 40))
    row = clock(made, "target_action")
    # Close is 18:00 (15:00 UTC) today; thirty business minutes paused move it to 09:30 tomorrow.
    assert (row.state, row.due_at - before) == ("running", timedelta(hours=15, minutes=30))


@pytest.mark.parametrize(
    ("steps", "review", "field"),
    [
        ([], 600, "steps"),
        ([{"text": "x", "owner": "", "due_on": T0.date()}], 600, "steps"),
        ([{"text": "x", "owner": "g", "due_on": None}], 600, "steps"),
        ([{"text": "x", "owner": "g", "due_on": T0.date()}], -1, "next_review_at"),
    ],
)
def test_a_plan_without_step_owner_date_or_review_is_refused(a1, g1, steps, review, field):
    made = incident(a1, T0, "P2")
    with pytest.raises(actions.Refused) as refused:
        actions.file_action_plan(made, steps=steps, next_review_at=at(review), **by(g1, 5))
    assert refused.value.field == field
    assert clock(made, "target_action").state == "running"


def test_an_answer_does_not_meet_the_plan_of_a_p2_but_a_plan_does(a1, g1):
    made = incident(a1, T0, "P2")
    actions.reply(made, text="hello", **by(g1, 5))
    assert clock(made, "target_action").state == "running"
    step = {"text": "Roll back", "owner": "Gül", "due_on": T0.date()}
    actions.file_action_plan(made, steps=[step], next_review_at=at(600), **by(g1, 50))
    assert (clock(made, "target_action").state, clock(made, "target_action").met_at) == ("met", at(50))


def test_a_p3_is_solved_by_nothing_less_than_a_solution(a1, g1):
    made = incident(a1, T0, "P3")
    with pytest.raises(actions.Refused, match="shipped release or a documented solution"):
        actions.resolve(made, cause="c", remedy="r", **by(g1, 5))
    draft = article(g1, T0, "draft", is_published=False)
    with pytest.raises(actions.Refused, match="Publish the article"):
        actions.document_solution(made, article=draft, text="see", **by(g1, 6))
    actions.document_solution(made, article=article(g1, T0), text="see", **by(g1, 7))
    assert (made.status, clock(made, "target_action").state) == ("resolved", "met")
    actions.confirm(made, **by(a1, 60))
    assert made.closed_as == "confirmed"


def test_a_moved_release_keeps_its_first_date_and_a_shipped_one_asks_for_confirmation(a1, g1):
    made = incident(a1, T0, "P3")
    assert clock(made, "target_action").due_at is None
    first, second = (T0 + timedelta(days=6)).date(), (T0 + timedelta(days=8)).date()
    actions.plan_release(made, version="2.1", planned_on=first, **by(g1, 10))
    actions.move_release(made, planned_on=second, **by(g1, 20))
    row = clock(made, "target_action")
    assert (row.due_at - row.first_due_at, made.releases.get().first_planned_on) == (timedelta(days=2), first)
    actions.ship_release(made, **by(g1, 30))
    assert made.status == "resolved"
    actions.withdraw_release(made, reason="broken", **by(g1, 40))
    assert (made.status, made.cycle) == ("reported", 2)
    assert differences(made) == []


def test_a_reply_to_a_resolved_incident_reopens_it_with_new_clocks(a1, g1):
    made = incident(a1, T0)
    actions.resolve(made, cause="c", remedy="r", **by(g1, 30))
    assert clock(made, "rca").state == "running"
    actions.reply(made, text="down again", **by(a1, 150))
    assert (made.status, made.cycle, clock(made, "rca").state) == ("reported", 2, "cancelled")
    assert clock(made, "first_response", cycle=2).due_at == at(165)


def test_only_the_organisations_own_people_confirm(a1, a3, g1, b1):
    made = incident(a1, T0)
    actions.resolve(made, cause="c", remedy="r", **by(g1, 30))
    for stranger in (g1, a3, b1):
        with pytest.raises(actions.Refused) as refused:
            actions.confirm(made, **by(stranger, 31))
        assert refused.value.kind == "permission"


def test_a_stale_form_is_refused_and_nothing_is_written(a1, g1, g2):
    made = incident(a1, T0)
    seen = made.revision
    actions.reply(made, text="first", **by(g1, 5))
    with pytest.raises(actions.Refused) as refused:
        actions.reply(made, text="second", revision=seen, **by(g2, 6))
    assert refused.value.kind == "stale"
    assert Message.objects.filter(incident=made, text="second").count() == 0


def test_a_duplicate_of_another_organisation_is_refused(a1, b1, g1):
    made, foreign = incident(a1, T0), incident(b1, T0)
    with pytest.raises(actions.Refused, match="same organisation"):
        actions.mark_duplicate(made, original=foreign, reason="same", **by(g1, 5))
    assert Incident.objects.filter(duplicate_of=foreign).count() == 0


def test_a_refused_verb_queues_no_message(a1, g1):
    made = incident(a1, T0)
    before = OutboxMessage.objects.count()
    with pytest.raises(actions.Refused):
        actions.resolve(made, cause="", remedy="r", **by(g1, 5))
    assert OutboxMessage.objects.count() == before


def test_a_next_update_later_than_the_plans_is_refused(a1, g1):
    made = incident(a1, T0)
    with pytest.raises(actions.Refused) as refused:
        actions.publish_status_update(
            made, condition="in_progress", summary="s", next_update_at=at(60), **by(g1, 5)
        )
    assert refused.value.field == "next_update_at"


def test_every_verb_has_a_rule_and_every_refusal_a_sentence():
    for name, rule in rules.RULES.items():
        assert rule.actors in rules.NOT_YOURS, name
        assert rule.statuses == rules.ANY or rule.instead, name
