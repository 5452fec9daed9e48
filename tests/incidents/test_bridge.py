"""The live bridge by its verbs: who opens it, who has which part, what words there do, and what it comes to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.management import call_command

from incidents import actions
from incidents.actions import Refused
from incidents.checks import check_conference
from incidents.models import Bridge, BridgePresence, BridgeSeat, Message, SupportPlan
from portal.models import Membership
from tests import factories
from tests.conftest import T0


def after(minutes: float):
    return T0 + timedelta(minutes=minutes)


BY_PAGE = {"channel": "bridge"}


@pytest.fixture
def p1(a1):
    made = factories.incident(a1, T0)
    SupportPlan.objects.filter(organisation=made.organisation).update(has_bridge=True)
    return made


@pytest.fixture
def bridge(p1, g1):
    return actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)


def holder(bridge: Bridge, role: str):
    found = bridge.seats.filter(role=role, until_at=None).first()
    return found.person if found else None


def present(bridge: Bridge) -> list:
    return [stay.person for stay in bridge.presences.filter(left_at=None)]


def kinds(incident) -> list[str]:
    return list(incident.events.order_by("pk").values_list("kind", flat=True))


# --- opening ---


def test_staff_open_it_and_lead_it(p1, g1):
    bridge = actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)
    assert holder(bridge, "incident_lead") == g1
    assert present(bridge) == [g1]
    assert kinds(p1)[-2:] == ["bridge_opened", "bridge_role_given"]


def test_a_customer_opens_it_and_the_owner_leads(p1, a1, g1, g2):
    actions.assign(p1, assignee=g2, by=g1, now=after(1), channel="admin")
    bridge = actions.open_bridge(p1, by=a1, now=after(2), **BY_PAGE)
    assert (holder(bridge, "customer_lead"), holder(bridge, "incident_lead")) == (a1, g2)


def test_nobody_leads_where_there_is_no_owner(p1, a1):
    bridge = actions.open_bridge(p1, by=a1, now=after(2), **BY_PAGE)
    assert holder(bridge, "incident_lead") is None


@pytest.mark.parametrize("who", ["a1", "g1"])
def test_it_is_part_of_the_plan_or_not_there(p1, who, request):
    SupportPlan.objects.update(has_bridge=False)
    by = request.getfixturevalue(who)
    assert "support plan" in actions.bridge_refusal(p1, by)
    with pytest.raises(Refused, match="support plan") as refused:
        actions.open_bridge(p1, by=by, now=after(2), **BY_PAGE)
    assert refused.value.status == 403
    assert not Bridge.objects.exists()


def test_only_a_p1_has_one(a1, g1):
    p2 = factories.incident(a1, T0, level="P2")
    SupportPlan.objects.update(has_bridge=True)
    assert "P1" in actions.bridge_refusal(p2, a1)
    with pytest.raises(Refused, match="P1"):
        actions.open_bridge(p2, by=g1, now=after(2), **BY_PAGE)


def test_a_viewer_and_a_stranger_open_none(p1, a3, b1):
    for person in (a3, b1):
        assert actions.bridge_refusal(p1, person)
        with pytest.raises(Refused) as refused:
            actions.open_bridge(p1, by=person, now=after(2), **BY_PAGE)
        assert refused.value.kind == "permission"


def test_a_resolved_incident_opens_none(p1, a1, g1):
    actions.resolve(p1, by=g1, now=after(2), channel="admin", cause="Disk", remedy="New disk")
    assert "Reopen" in actions.bridge_refusal(p1, a1)
    with pytest.raises(Refused, match="Reopen"):
        actions.open_bridge(p1, by=a1, now=after(3), **BY_PAGE)


def test_opening_twice_is_one_bridge(p1, a1, g1):
    first = actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)
    assert actions.open_bridge(p1, by=a1, now=after(2), **BY_PAGE) == first
    assert kinds(p1).count("bridge_opened") == 1
    assert "open already" in actions.bridge_refusal(p1, a1)


def test_it_opens_again_after_closing(p1, a1, g1, bridge):
    actions.close_bridge(bridge, summary="Done.", by=g1, now=after(5), **BY_PAGE)
    again = actions.open_bridge(p1, by=a1, now=after(6), **BY_PAGE)
    assert again != bridge
    assert actions.open_bridge_of(p1) == again


# --- the conference ---


def test_each_bridge_has_a_conference_of_its_own(p1, g1):
    SupportPlan.objects.update(conference_template="https://meet.example.com/{reference}/{key}")
    first = actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)
    actions.close_bridge(first, summary="Done.", by=g1, now=after(5), **BY_PAGE)
    second = actions.open_bridge(p1, by=g1, now=after(6), **BY_PAGE)
    keys = [found.conference_url.rsplit("/", 1)[1] for found in (first, second)]
    assert first.conference_url.startswith(f"https://meet.example.com/{p1.reference}/")
    assert len(set(keys)) == 2
    assert min(map(len, keys)) >= 22  # 128 bits


def test_the_installation_has_one_for_all(p1, g1, settings):
    settings.BRIDGE_CONFERENCE_URL = "https://talk.example.com/{key}"
    bridge = actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)
    assert bridge.conference_url.startswith("https://talk.example.com/")


def test_none_without_a_template(bridge):
    assert bridge.conference_url == ""


BAD_TEMPLATES = [
    "http://meet.example.com/{key}",
    "https://meet.example.com/room",
    "https://{key}.example.com/",
    "https:///{key}",
    "https://a:b@meet.example.com/{key}",
    "javascript:alert({key})",
    "https://meet.example.com/{key}/{name}",
    "https://meet.example.com/{key} x",
    "https://[/{key}",
]


@pytest.mark.parametrize("template", BAD_TEMPLATES)
def test_a_bad_template_is_refused_in_the_plan_and_ignored_in_the_settings(p1, g1, settings, template):
    plan = p1.organisation.support_plan
    plan.conference_template = template
    with pytest.raises(ValidationError, match=r"address|host|blanks|filled"):
        plan.full_clean()
    settings.BRIDGE_CONFERENCE_URL = template
    assert actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE).conference_url == ""


# --- people ---


def test_joining_twice_is_one_stay(bridge, a1):
    first = actions.join_bridge(bridge, by=a1, now=after(3))
    assert actions.join_bridge(bridge, by=a1, now=after(4)) == first
    actions.leave_bridge(bridge, by=a1, now=after(5))
    actions.leave_bridge(bridge, by=a1, now=after(6))
    assert [stay.left_at for stay in bridge.presences.filter(person=a1)] == [after(5)]
    assert actions.join_bridge(bridge, by=a1, now=after(7)) != first


def test_a_viewer_comes_to_read_and_does_not_write(bridge, a3, g1):
    actions.join_bridge(bridge, by=a3, now=after(3))
    assert a3 in present(bridge)
    writes = [
        lambda: actions.note_on_bridge(bridge, text="Hi", by=a3, now=after(4), **BY_PAGE),
        lambda: actions.decide_on_bridge(bridge, text="Hi", by=a3, now=after(4), **BY_PAGE),
        lambda: actions.give_part(bridge, role="customer_lead", person=a3, by=a3, now=after(4), **BY_PAGE),
        lambda: actions.agree_step(
            bridge, text="X", owner=g1, due_at=after(9), by=a3, now=after(4), **BY_PAGE
        ),
        lambda: actions.close_bridge(bridge, summary="X", by=a3, now=after(4), **BY_PAGE),
        lambda: actions.side_note(bridge, text="X", by=a3, now=after(4), **BY_PAGE),
    ]
    for write in writes:
        with pytest.raises(Refused) as refused:
            write()
        assert refused.value.kind == "permission"
    assert not Message.objects.exists()


def test_a_stranger_does_nothing_there(bridge, b1):
    for write in (
        lambda: actions.join_bridge(bridge, by=b1, now=after(3)),
        lambda: actions.note_on_bridge(bridge, text="Hi", by=b1, now=after(3), **BY_PAGE),
    ):
        with pytest.raises(Refused) as refused:
            write()
        assert refused.value.kind == "permission"


def test_seen_is_written_once_a_minute_at_most(bridge, g1, django_assert_num_queries):
    stay = BridgePresence.objects.get(person=g1)
    with django_assert_num_queries(1):
        actions.note_presence(bridge, g1, stay.joined_at + timedelta(seconds=59))
    stay.refresh_from_db()
    assert stay.seen_at == stay.joined_at
    actions.note_presence(bridge, g1, stay.joined_at + timedelta(seconds=60))
    stay.refresh_from_db()
    assert stay.seen_at == stay.joined_at + timedelta(seconds=60)


def test_a_part_is_handed_on(bridge, g1, g2, p1):
    actions.give_part(bridge, role="incident_lead", person=g2, by=g1, now=after(5), **BY_PAGE)
    actions.give_part(bridge, role="incident_lead", person=g2, by=g1, now=after(6), **BY_PAGE)
    seats = list(BridgeSeat.objects.filter(bridge=bridge).values_list("person", "from_at", "until_at"))
    assert seats == [(g1.pk, after(2), after(5)), (g2.pk, after(5), None)]
    assert p1.events.last().payload["person_from"] == g1.pk


def test_customers_do_not_give_the_staffs_parts(bridge, a1, g2):
    with pytest.raises(Refused, match="support staff"):
        actions.give_part(bridge, role="scribe", person=g2, by=a1, now=after(5), **BY_PAGE)
    assert holder(bridge, "scribe") is None


def test_staffs_parts_are_for_staff(bridge, a1, g1):
    with pytest.raises(Refused, match="support staff"):
        actions.give_part(bridge, role="scribe", person=a1, by=g1, now=after(5), **BY_PAGE)


def test_the_customers_lead_is_taken_given_and_handed_on(bridge, a1, a2, g1):
    def give(person, by, minutes):
        actions.give_part(bridge, role="customer_lead", person=person, by=by, now=after(minutes), **BY_PAGE)

    with pytest.raises(Refused, match="Take the part yourself"):
        give(a2, a1, 3)
    give(a1, a1, 4)
    give(a2, a1, 5)
    assert holder(bridge, "customer_lead") == a2
    third = factories.person("a4@acme.example", "Abe Four", bridge.incident.organisation, "member")
    with pytest.raises(Refused, match="present lead"):  # a1 is the lead no more
        give(third, a1, 6)
    give(a1, g1, 7)
    assert holder(bridge, "customer_lead") == a1


@pytest.mark.parametrize("who", ["a3", "b1", "g2"])
def test_the_customers_lead_is_a_writer_of_the_organisation(bridge, g1, who, request):
    with pytest.raises(Refused, match="manager or member"):
        actions.give_part(
            bridge,
            role="customer_lead",
            person=request.getfixturevalue(who),
            by=g1,
            now=after(5),
            **BY_PAGE,
        )


def test_a_part_that_does_not_exist(bridge, g1):
    with pytest.raises(Refused, match="parts offered"):
        actions.give_part(bridge, role="boss", person=g1, by=g1, now=after(5), **BY_PAGE)


# --- words ---


@pytest.mark.parametrize("say", [actions.note_on_bridge, actions.decide_on_bridge])
def test_staffs_words_move_no_clock(p1, bridge, g1, say):
    say(bridge, text="We look at the disks.", by=g1, now=after(3), **BY_PAGE)
    p1.refresh_from_db()
    assert factories.clock(p1, "first_response").state == "running"
    assert factories.clock(p1, "status_update").state == "running"
    assert (p1.status, p1.first_response_at) == ("reported", None)
    call_command("verify_clocks")


@pytest.mark.parametrize("say", [actions.note_on_bridge, actions.decide_on_bridge])
def test_a_customers_words_end_waiting(p1, bridge, a1, g1, say):
    actions.ask_customer(p1, by=g1, now=after(3), channel="admin", text="Which disk?")
    assert factories.clock(p1, "target_action").state == "paused"
    say(bridge, text="The second one.", by=a1, now=after(8), **BY_PAGE)
    p1.refresh_from_db()
    assert (p1.status, p1.waiting_since) == ("acknowledged", None)
    assert factories.clock(p1, "target_action").state == "running"
    assert p1.events.last().payload["status_from"] == "waiting_for_customer"
    call_command("verify_clocks")


def test_staffs_words_do_not_end_waiting(p1, bridge, g1):
    actions.ask_customer(p1, by=g1, now=after(3), channel="admin", text="Which disk?")
    actions.note_on_bridge(bridge, text="We wait.", by=g1, now=after(8), **BY_PAGE)
    p1.refresh_from_db()
    assert p1.status == "waiting_for_customer"
    assert factories.clock(p1, "target_action").state == "paused"


@pytest.mark.parametrize(("who", "state"), [("a1", "held"), ("g1", "published")])
def test_a_scheduled_update_is_held_for_a_customers_words_only(p1, bridge, g1, who, state, request):
    actions.schedule_status_update(
        p1,
        by=g1,
        now=after(3),
        channel="admin",
        publish_at=after(10),
        condition="in_progress",
        summary="Soon.",
    )
    by = request.getfixturevalue(who)
    actions.note_on_bridge(bridge, text="It is worse now.", by=by, now=after(5), **BY_PAGE)
    update = p1.status_updates.get()
    actions.publish_scheduled(update, now=after(10))
    update.refresh_from_db()
    assert update.state == state
    assert "customer wrote" in update.held_reason if state == "held" else not update.held_reason


def test_a_customers_note_does_not_reopen(p1, bridge, a1, g1):
    actions.resolve(p1, by=g1, now=after(5), channel="admin", cause="Disk", remedy="New disk")
    actions.note_on_bridge(bridge, text="Thanks, bye.", by=a1, now=after(6), **BY_PAGE)
    p1.refresh_from_db()
    assert (p1.status, p1.cycle) == ("resolved", 1)
    call_command("verify_clocks")


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 50_001])
def test_a_note_needs_a_text_of_a_length(bridge, a1, text):
    with pytest.raises(Refused) as refused:
        actions.note_on_bridge(bridge, text=text, by=a1, now=after(3), **BY_PAGE)
    assert refused.value.field == "text"


def test_a_side_note_is_internal_and_leaves_no_trace(p1, bridge, a1, g1):
    p1.refresh_from_db()
    before = (p1.revision, p1.last_changed_at, bridge.roster_revision)
    actions.side_note(bridge, text="They pay late.", by=g1, now=after(4), **BY_PAGE)
    p1.refresh_from_db()
    bridge.refresh_from_db()
    assert (p1.revision, p1.last_changed_at, bridge.roster_revision) == before
    assert not Message.objects.visible_to(a1).exists()
    assert p1.events.last().kind == "note_added"
    assert not p1.events.last().is_public
    assert "pay late" not in actions.draft_summary(bridge, after(5))


def test_customers_write_no_side_notes(bridge, a1):
    with pytest.raises(Refused, match="Only support staff"):
        actions.side_note(bridge, text="Psst", by=a1, now=after(4), **BY_PAGE)


# --- steps ---


def test_a_step_is_agreed_and_done_once(p1, bridge, a1, g1):
    step = actions.agree_step(
        bridge, text="Swap\n the disk", owner=g1, due_at=after(30), by=a1, now=after(3), **BY_PAGE
    )
    assert step.text == "Swap the disk"
    actions.finish_step(step, by=a1, now=after(20), **BY_PAGE)
    revision = Bridge.objects.get().roster_revision
    actions.finish_step(step, by=g1, now=after(25), **BY_PAGE)
    assert (step.done_by, step.done_at) == (a1, after(20))
    assert kinds(p1)[-2:] == ["bridge_step_agreed", "bridge_step_done"]
    assert Bridge.objects.get().roster_revision == revision


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"text": " "}, "text"), ({"text": "x" * 301}, "text"), ({"due_at": after(3)}, "due_at")],
)
def test_a_step_says_what_and_when(bridge, g1, changed, field):
    step = {"text": "Swap", "owner": g1, "due_at": after(30)} | changed
    with pytest.raises(Refused) as refused:
        actions.agree_step(bridge, **step, by=g1, now=after(3), **BY_PAGE)
    assert refused.value.field == field


@pytest.mark.parametrize("who", ["a3", "b1"])
def test_a_steps_owner_works_on_it(bridge, g1, who, request):
    owner = request.getfixturevalue(who)
    with pytest.raises(Refused) as refused:
        actions.agree_step(bridge, text="X", owner=owner, due_at=after(9), by=g1, now=after(3), **BY_PAGE)
    assert refused.value.field == "owner"


# --- closing ---


def test_a_person_closes_it_with_a_summary(p1, bridge, a1, g1):
    actions.join_bridge(bridge, by=a1, now=after(3))
    actions.close_bridge(bridge, summary="The disk is **new**.", by=g1, now=after(9), **BY_PAGE)
    assert (bridge.closed_by, bridge.closed_at, bridge.attention_at) == (g1, after(9), None)
    assert (bridge.summary.kind, bridge.summary.is_public) == ("bridge_summary", True)
    assert actions.summary_of(bridge) == "The disk is **new**."
    assert present(bridge) == []
    assert not bridge.seats.filter(until_at=None).exists()
    assert p1.events.last().payload == {"bridge": bridge.pk, "message": bridge.summary_id}
    assert factories.clock(p1, "first_response").state == "running"
    call_command("verify_clocks")


def test_a_summary_is_asked_for(bridge, g1):
    with pytest.raises(Refused) as refused:
        actions.close_bridge(bridge, summary=" ", by=g1, now=after(9), **BY_PAGE)
    assert refused.value.field == "summary"
    bridge.refresh_from_db()
    assert bridge.closed_at is None


def test_customers_do_not_close_it(bridge, a2):
    with pytest.raises(Refused, match="support staff"):
        actions.close_bridge(bridge, summary="Done", by=a2, now=after(9), **BY_PAGE)


def test_a_closed_bridge_says_what_to_do(p1, bridge, a1, g1):
    step = actions.agree_step(bridge, text="X", owner=g1, due_at=after(30), by=g1, now=after(3), **BY_PAGE)
    actions.close_bridge(bridge, summary="Done", by=g1, now=after(9), **BY_PAGE)
    events = p1.events.count()
    late = {"by": g1, "now": after(10), **BY_PAGE}
    for verb in (
        lambda: actions.join_bridge(bridge, by=a1, now=after(10)),
        lambda: actions.note_on_bridge(bridge, text="X", **late),
        lambda: actions.decide_on_bridge(bridge, text="X", **late),
        lambda: actions.side_note(bridge, text="X", **late),
        lambda: actions.give_part(bridge, role="scribe", person=g1, **late),
        lambda: actions.agree_step(bridge, text="X", owner=g1, due_at=after(30), **late),
        lambda: actions.finish_step(step, **late),
        lambda: actions.close_bridge(bridge, summary="Again", **late),
    ):
        with pytest.raises(Refused, match="Open it again, or reply") as refused:
            verb()
        assert refused.value.status == 409
    actions.leave_bridge(bridge, by=a1, now=after(10))
    assert p1.events.count() == events


def test_the_draft_says_what_happened(p1, bridge, a1, g1):
    actions.join_bridge(bridge, by=a1, now=after(3))
    actions.note_on_bridge(bridge, text="A note", by=a1, now=after(4), **BY_PAGE)
    actions.decide_on_bridge(bridge, text="Fail over\nto Ankara", by=g1, now=after(5), **BY_PAGE)
    agree = {"owner": g1, "due_at": after(30), "by": g1, "now": after(6), **BY_PAGE}
    actions.agree_step(bridge, text="Swap the disk", **agree)
    done = actions.agree_step(bridge, text="Move the traffic", **agree)
    actions.finish_step(done, by=g1, now=after(7), **BY_PAGE)
    draft = actions.draft_summary(bridge, after(8))
    assert "Acme: Ada One" in draft
    assert "Support: Gül One" in draft
    assert "- Fail over\n  to Ankara (Gül One, " in draft
    opened, done = draft.split("Next steps, done")
    assert "Swap the disk (Gül One, by Tue 3 Mar 2026, 13:30 UTC+3)" in opened
    assert "Move the traffic (Gül One, done on Tue 3 Mar 2026, 13:07 UTC+3)" in done
    assert "1 note of" in draft
    assert "A note" not in draft


def test_the_roster_revision_counts_people_parts_and_steps(bridge, a1, g1):
    def revision():
        return Bridge.objects.get().roster_revision

    seen = [revision()]
    actions.join_bridge(bridge, by=a1, now=after(3))
    seen.append(revision())
    actions.give_part(bridge, role="scribe", person=g1, by=g1, now=after(3), **BY_PAGE)
    seen.append(revision())
    actions.agree_step(bridge, text="X", owner=g1, due_at=after(30), by=g1, now=after(3), **BY_PAGE)
    seen.append(revision())
    actions.leave_bridge(bridge, by=a1, now=after(4))
    seen.append(revision())
    assert seen == sorted(set(seen))
    actions.note_on_bridge(bridge, text="Hi", by=g1, now=after(5), **BY_PAGE)
    assert revision() == seen[-1]


def test_one_who_lost_the_role_writes_no_more(bridge, a1):
    Membership.objects.filter(user=a1).update(role="viewer")
    with pytest.raises(Refused):
        actions.note_on_bridge(bridge, text="Hi", by=a1, now=after(3), **BY_PAGE)


def test_a_template_that_is_ignored_is_told_at_the_start(settings):
    assert check_conference(None) == []
    settings.BRIDGE_CONFERENCE_URL = "https://talk.example.com/{key}"
    assert check_conference(None) == []
    settings.BRIDGE_CONFERENCE_URL = "http://talk.example.com/{key}"
    (warning,) = check_conference(None)
    assert (warning.id, "https" in warning.msg) == ("incidents.W001", True)


def test_nothing_of_a_bridge_is_registered_in_the_admin():
    assert not [model for model in admin.site._registry if model.__name__.startswith("Bridge")]
