"""Who hears what is data: the plan's rules and steps decide, and nobody stays unheard."""

from datetime import timedelta

import pytest

from incidents import actions, audiences, notify, oncall, sla
from incidents.clockwork import differences
from incidents.models import (
    CommunicationPlan,
    CommunicationRule,
    Escalation,
    EscalationStep,
    Shift,
    SupportPlan,
)
from incidents.models.facts import as_fact, promises_of
from incidents.models.plans import STANDARD_RULES, STANDARD_STEPS, fill, rules_of, steps_of
from incidents.sweep import sweep
from portal import outbox
from portal.message_kinds import ENDPOINT_CLOSED
from portal.models import Endpoint, Membership, OutboxMessage, Service
from tests import alarm_senders, factories
from tests.conftest import T0

HOUR = timedelta(hours=1)


@pytest.fixture
def plan(a1, acme):
    """Acme's own plan, without a rule or step yet."""
    factories.plan_for(acme, T0)
    made = CommunicationPlan.objects.create(name="Acme's")
    SupportPlan.objects.filter(organisation=acme).update(communication_plan=made)
    return made


def rule(plan, level, topic, role, channels=("email",), **more):
    CommunicationRule.objects.create(
        plan=plan, level=level, topic=topic, role=role, channels=list(channels), **more
    )


def told(kind=None):
    rows = OutboxMessage.objects.filter(**({"kind": kind} if kind else {})).order_by("pk")
    return [(row.channel, str(row.recipient or row.endpoint)) for row in rows]


def test_a_plan_without_rules_is_the_standard(plan):
    assert rules_of(plan) is STANDARD_RULES
    assert steps_of(plan) is STANDARD_STEPS
    assert rules_of(None) is STANDARD_RULES


def test_a_filled_plan_says_the_same_as_the_standard(plan):
    fill(plan)
    assert rules_of(plan) == STANDARD_RULES
    assert steps_of(plan) == STANDARD_STEPS


def test_only_the_roles_of_the_rule_hear(plan, a1, a2, a3, g1, m1):
    rule(plan, "P2", "receipt", "reporter")
    rule(plan, "P2", "receipt", "duty_manager")
    factories.incident(a1, T0, "P2")
    assert told() == [("email", "Ada One"), ("email", "Mia Duty")]


def test_rules_of_another_level_are_no_concern(plan, a1, g1):
    rule(plan, "P1", "receipt", "reporter")
    factories.incident(a1, T0, "P3")
    assert told() == []


def test_who_claimed_a_p1_hears_of_the_verdict_that_lowers_it(plan, a1, a2, g1):
    rule(plan, "P1", "level", "p1_contacts")
    incident = factories.incident(a1, T0, "P1")
    actions.validate_level(incident, by=g1, now=T0, channel="admin", level="P3", reason="A typo.")
    assert told("level_validated") == [("email", "Ali Two")]


def test_the_room_hears_once_and_only_its_own_organisation(plan, a1, acme, nordwind, g1):
    room = factories.channel(acme)
    factories.channel(nordwind)
    rule(plan, "P2", "receipt", "room", ["webhook"])
    rule(plan, "P2", "receipt", "reporter")
    factories.incident(a1, T0, "P2")
    assert told() == [("email", "Ada One"), ("webhook", room.name)]


def test_both_at_once_or_one_after_the_other(plan, a1, g1, m1):
    pager = Endpoint.objects.create(name="Pager", url="https://pager.example/hook")
    rule(plan, "P1", "receipt", "duty_manager", ["email", "webhook"], is_every_channel=True)
    rule(plan, "P2", "receipt", "duty_manager", ["webhook", "email"])
    factories.incident(a1, T0, "P1")
    assert told() == [("email", "Mia Duty"), ("webhook", "Mia Duty")]
    OutboxMessage.objects.all().delete()
    factories.incident(a1, T0, "P2")
    row = OutboxMessage.objects.get()
    assert (row.channel, row.endpoint, row.next_channels) == ("webhook", pager, ["email"])


def test_a_channel_that_leads_nowhere_is_replaced_by_mail(plan, a1, g1, m1):
    rule(plan, "P2", "receipt", "duty_manager", ["webhook"])
    factories.incident(a1, T0, "P2")
    assert told() == [("email", "Mia Duty")]


def test_somebody_with_two_roles_hears_once_by_the_most_channels(plan, a1, g1, m1):
    Endpoint.objects.create(name="Pager", url="https://pager.example/hook", person=m1)
    rule(plan, "P1", "receipt", "team")
    rule(plan, "P1", "receipt", "duty_manager", ["email", "webhook"], is_every_channel=True)
    factories.incident(a1, T0, "P1")
    assert sorted(told()) == [("email", "Gül One"), ("email", "Mia Duty"), ("webhook", "Mia Duty")]


def test_a_customer_never_gets_the_teams_pager(plan, a1, g1):
    Endpoint.objects.create(name="Pager", url="https://pager.example/hook")
    rule(plan, "P1", "receipt", "reporter", ["webhook", "email"])
    factories.incident(a1, T0, "P1")
    assert told() == [("email", "Ada One")]


def test_a_chain_of_the_plan_pages_as_it_says(plan, a1, g1, m1, h1):
    step = {"plan": plan, "level": "P2", "kind": "first_response"}
    EscalationStep.objects.create(**step, role="head_of_support", percent=25)
    EscalationStep.objects.create(
        **step, role="duty_manager", after_minutes=10, repeat_minutes=2, max_pages=2
    )
    factories.incident(a1, T0, "P2")
    OutboxMessage.objects.all().delete()
    expected = [
        (14, []),
        (15, ["Han Head"]),
        (60, []),
        (69, []),
        (70, ["Mia Duty"]),
        (72, ["Mia Duty"]),
        (80, []),
    ]
    for minutes, names in expected:
        sweep(T0 + timedelta(minutes=minutes, seconds=1))
        pages = OutboxMessage.objects.filter(kind__startswith="staff_clock")
        assert [str(page.recipient) for page in pages] == names, minutes
        pages.delete()


def test_a_broken_promise_reaches_the_escalation_contact_of_this_organisation_only(
    a1, a2, acme, nordwind, b1, g1
):
    """A contact of another organisation who is an ordinary member here hears nothing by that."""
    Membership.objects.create(user=b1, organisation=acme, role="viewer")
    Membership.objects.filter(user=b1, organisation=nordwind).update(is_escalation_contact=True)
    incident = factories.incident(a1, T0, organisation=acme)
    assert b1 not in audiences.escalation_contacts(incident)
    assert b1 not in audiences.p1_contacts(incident)
    assert list(audiences.escalation_contacts(incident)) == [a2]  # nobody is named: the manager


def test_who_would_hear_is_who_hears(a1, a2, g1):
    incident = factories.incident(a1, T0)
    foretold = [str(heard.person) for heard in notify.who_would_hear("staff_replied", incident, T0, g1)]
    OutboxMessage.objects.all().delete()
    actions.reply(incident, by=g1, now=T0, channel="admin", text="We see it.")
    assert [name for _, name in told("answered")] == foretold


# --- the rota ---


def shift(person, start, end, role="on_call", backup=None):
    return Shift.objects.create(
        role=role, person=person, backup=backup, from_at=T0 + start * HOUR, until_at=T0 + end * HOUR
    )


def test_a_shift_holds_from_its_first_second_to_its_last(g1, g2, m1):
    shift(g1, 0, 8, backup=g2)
    assert oncall.on_duty("on_call", T0) == [g1]
    assert oncall.on_duty("on_call", T0 + 8 * HOUR - timedelta(seconds=1)) == [g1]
    assert oncall.backup_of("on_call", T0) == g2


def test_a_gap_widens_the_circle(g1, g2, m1, h1):
    shift(g1, 0, 8)
    assert oncall.on_duty("on_call", T0 + 8 * HOUR) == [g1, g2, m1, h1]
    assert oncall.on_duty("duty_manager", T0) == [m1]
    assert oncall.on_duty("head_of_support", T0) == [h1]


def test_somebody_who_left_is_not_on_call(g1, g2):
    shift(g1, 0, 8, backup=g2)
    g1.is_active = False
    g1.save()
    assert oncall.on_duty("on_call", T0) == [g2]


def test_gaps_are_what_no_shift_covers(g1, g2):
    shift(g1, 1, 4)
    shift(g2, 6, 8)
    found = [(g.from_at - T0, g.until_at - T0) for g in oncall.gaps("on_call", T0, T0 + 10 * HOUR)]
    assert found == [(0 * HOUR, HOUR), (4 * HOUR, 6 * HOUR), (8 * HOUR, 10 * HOUR)]


def test_handing_over_splits_a_running_shift_and_keeps_what_has_passed(g1, g2, m1):
    running = shift(g1, 0, 8, backup=g2)
    oncall.hand_over(running, to=g2, now=T0 + 3 * HOUR)
    rows = [
        (str(s.person), str(s.backup), s.from_at - T0, s.until_at - T0)
        for s in Shift.objects.order_by("from_at")
    ]
    assert rows == [("Gül One", "Gus Two", 0 * HOUR, 3 * HOUR), ("Gus Two", "Gül One", 3 * HOUR, 8 * HOUR)]


@pytest.mark.parametrize(("hours", "who"), [(9, "over"), (1, "already"), (1, "staff")])
def test_a_hand_over_that_cannot_be_says_why(a1, g1, g2, hours, who):
    running = shift(g1, 0, 8)
    to = {"over": g2, "already": g1, "staff": a1}[who]
    with pytest.raises(oncall.RotaError):
        oncall.hand_over(running, to=to, now=T0 + hours * HOUR)
    assert Shift.objects.count() == 1


def test_the_next_in_line_is_somebody_who_was_not_missed(a1, g1, g2, m1, h1):
    shift(g1, 0, 8, backup=g2)
    incident = factories.incident(a1, T0)
    assert audiences.next_in_line(incident, T0, [g1]) == [g2]
    assert audiences.next_in_line(incident, T0, [g1, g2]) == [m1]
    assert audiences.next_in_line(incident, T0, [g1, g2, m1]) == [h1]


def test_who_was_reached_by_another_channel_counts_as_reached(a1, g1, g2, m1):
    shift(g1, 0, 8, backup=g2)
    Endpoint.objects.create(name="Pager", url="https://pager.example/hook", person=g1)
    incident = factories.incident(a1, T0)
    page = OutboxMessage.objects.filter(kind="staff_opened", recipient=g1)
    page.filter(channel="email").update(state="sent", sent_at=T0)
    page.filter(channel="webhook").update(state="set_aside", unreached_at=T0)
    sweep(T0 + timedelta(minutes=1))
    assert not incident.events.filter(kind="not_reached").exists()
    page.filter(channel="email").update(unreached_at=T0)
    sweep(T0 + timedelta(minutes=2))
    assert incident.events.get(kind="not_reached").payload["people"] == [g2.pk]


def test_a_major_incident_owes_an_rca_that_its_level_gives_only_on_request(a1, g1, m1):
    for is_major in (False, True):
        incident = factories.incident(a1, T0, "P2")
        if is_major:
            actions.declare_major(incident, by=m1, now=T0, channel="admin", reason="Three teams are down.")
        actions.resolve(
            incident, by=g1, now=T0 + HOUR, channel="admin", cause="A disk.", remedy="Replaced it."
        )
        assert incident.clocks.filter(kind="rca", state="running").exists() == is_major
        assert differences(incident) == []


def test_declared_long_after_the_resolution_the_rca_is_owed_from_then(a1, g1, m1):
    incident = factories.incident(a1, T0, "P2")
    actions.resolve(incident, by=g1, now=T0 + HOUR, channel="admin", cause="A disk.", remedy="Replaced it.")
    later = T0 + timedelta(days=4000)  # past the horizon that the calendar covered when it was resolved
    actions.declare_major(incident, by=m1, now=later, channel="admin", reason="It came back elsewhere.")
    assert [row.started_at for row in incident.clocks.filter(kind="rca")] == [later]
    assert differences(incident) == []


def test_an_rca_that_was_given_is_not_owed_again(a1):
    moments = [T0 + n * HOUR for n in range(4)]
    made = factories.incident(a1, T0)
    events = list(made.events.order_by("pk"))
    facts = [as_fact(event) for event in events]
    for kind, at in zip(("resolved", "rca_published", "declared_major"), moments[1:], strict=True):
        facts.append(sla.Fact(kind=kind, at=at, recorded_at=at))
    ledger = sla.replay(facts, promises_of(events), moments[-1] + HOUR)
    assert [clock.state for clock in ledger.clocks if clock.kind == "rca"] == ["met"]


def test_only_a_duty_manager_declares_a_major_incident_and_once(a1, g1, m1):
    incident = factories.incident(a1, T0, "P2")
    for by, reason in ((g1, "Down."), (a1, "Down."), (m1, " ")):
        with pytest.raises(actions.Refused):
            actions.declare_major(incident, by=by, now=T0, channel="admin", reason=reason)
    actions.declare_major(incident, by=m1, now=T0, channel="admin", reason="Three teams are down.")
    with pytest.raises(actions.Refused):
        actions.declare_major(incident, by=m1, now=T0, channel="admin", reason="Again.")
    assert told("declared_major") == [("email", "Ada One")]


def test_a_room_that_is_given_away_meanwhile_hears_nothing(plan, a1, acme, nordwind, g1):
    room = factories.channel(acme)
    rule(plan, "P2", "receipt", "room", ["webhook"])
    factories.incident(a1, T0, "P2")
    Endpoint.objects.filter(pk=room.pk).update(organisation=nordwind)
    message = OutboxMessage.objects.get(endpoint=room)
    assert notify.why_not(message) == ENDPOINT_CLOSED


def test_a_status_update_that_mail_cannot_deliver_goes_to_the_room(a1, acme, g1):
    room = factories.channel(acme)
    incident = factories.incident(a1, T0)
    actions.publish_status_update(
        incident, by=g1, now=T0, channel="admin", condition="acknowledged", summary="We see it."
    )
    row = OutboxMessage.objects.get(kind="status_update", recipient=a1)
    assert (row.channel, row.endpoint, row.next_channels) == ("email", room, ["webhook"])


# --- nothing stale is sent ---


def outcome(kind, person):
    row = OutboxMessage.objects.get(kind=kind, recipient=person)
    return row.state, row.state_reason


def test_a_warning_of_a_clock_that_was_met_meanwhile_is_not_sent(a1, g1):
    incident = factories.incident(a1, T0)
    sweep(T0 + timedelta(minutes=8))
    actions.reply(incident, by=g1, now=T0 + timedelta(minutes=9), channel="admin", text="We see it.")
    outbox.sweep(T0 + timedelta(minutes=10), channel="email")
    assert outcome("staff_clock_warned", g1) == ("dropped", "the clock does not run any more")


def test_a_word_about_lateness_is_not_sent_once_it_is_delivered(a1, g1):
    incident = factories.incident(a1, T0)
    sweep(T0 + timedelta(minutes=16))
    actions.reply(incident, by=g1, now=T0 + timedelta(minutes=17), channel="admin", text="We see it.")
    outbox.sweep(T0 + timedelta(minutes=18), channel="email")
    assert outcome("promise_late", a1) == ("dropped", "what was late has been delivered meanwhile")


def test_a_word_about_a_missed_update_is_not_sent_after_the_update(a1, g1):
    incident = factories.incident(a1, T0)
    actions.start_intervention(incident, by=g1, now=T0, channel="admin")
    actions.reply(incident, by=g1, now=T0, channel="admin", text="We see it.")
    sweep(T0 + timedelta(minutes=31))
    actions.publish_status_update(
        incident,
        by=g1,
        now=T0 + timedelta(minutes=32),
        channel="admin",
        condition="in_progress",
        summary="Failover runs.",
    )
    outbox.sweep(T0 + timedelta(minutes=33), channel="email")
    assert outcome("promise_late", a1) == ("dropped", "what was late has been delivered meanwhile")
    assert outcome("status_update", a1)[0] == "sent"


def test_one_outage_of_many_customers_calls_the_team_once(a2, b1, g1):
    service = Service.objects.get(slug="inference-api")
    _source, token = alarm_senders.source("generic", service=service)
    assert alarm_senders.post(token, "generic", alarm_senders.generic("Down")).status_code == 202
    assert [row.recipient for row in OutboxMessage.objects.filter(kind="staff_opened")] == [g1]
    heard = OutboxMessage.objects.filter(kind="incident_opened").values_list("recipient__email", flat=True)
    assert sorted(heard) == sorted([a2.email, b1.email])


def test_a_message_that_bounces_after_the_end_calls_nobody(a1, g1, g2):
    incident = factories.incident(a1, T0)
    actions.resolve(incident, by=g1, now=T0, channel="admin", cause="A disk.", remedy="Replaced it.")
    OutboxMessage.objects.filter(kind="staff_opened", recipient=g2).update(state="sent", unreached_at=T0)
    sweep(T0 + timedelta(minutes=1))
    assert not incident.events.filter(kind="not_reached").exists()
    assert not outbox.unhandled_unreached().exists()


def test_an_update_that_came_before_anybody_noticed_its_lateness_is_no_news(a1, g1):
    incident = factories.incident(a1, T0)
    actions.start_intervention(incident, by=g1, now=T0, channel="admin")
    words = {"condition": "in_progress", "summary": "Failover runs."}
    actions.publish_status_update(incident, by=g1, now=T0 + timedelta(minutes=32), channel="admin", **words)
    sweep(T0 + timedelta(minutes=33))
    assert incident.events.filter(kind="clock_breached", payload__clock="status_update/1/P1/1").exists()
    assert not incident.events.filter(kind="lateness_told", payload__clocks=["status_update/1/P1/1"]).exists()


def test_of_many_missed_intervals_only_the_newest_pages(a1, g1, m1):
    incident = factories.incident(a1, T0)
    sweep(T0 + timedelta(minutes=95))
    pages = Escalation.objects.filter(clock__incident=incident, clock__kind="status_update")
    assert {page.clock.ordinal for page in pages} == {3}
