"""One outage, many customers: written once, read by each as their own, and by nobody of another."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail as django_mail

from incidents import actions
from incidents.clockwork import differences
from incidents.models import Incident, StatusUpdate
from incidents.sweep import hand_on_updates, sweep
from portal import outbox
from portal.models import OutboxMessage, Service
from tests.conftest import T0
from tests.factories import clock, incident, organisation, person


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def by(user, minutes):
    return {"by": user, "now": at(minutes), "channel": "admin"}


@pytest.fixture(autouse=True)
def _soon_after_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0 + timedelta(minutes=5), tick=False):
        yield


@pytest.fixture
def c1(db):
    return person("c1@zenit.example", "Zed One", organisation("Zenit AG"), "manager", is_p1_contact=True)


@pytest.fixture
def mine(a1):
    return incident(a1, T0)


@pytest.fixture
def theirs(b1):
    return incident(b1, T0)


@pytest.fixture
def small(c1):
    return incident(c1, T0, level="P3")


@pytest.fixture
def parent(mine, theirs, small, g1):
    made, outcome = actions.open_parent(
        [mine, theirs, small],
        **by(g1, 1),
        title="Inference is down",
        level="P1",
        services=Service.objects.filter(slug="inference-api"),
    )
    assert (len(outcome.done), outcome.left) == (3, [])
    return made


def write(parent, user, minutes, **written):
    written = {"condition": "in_progress", "summary": "A node failed."} | written
    return actions.publish_for_all(parent, **by(user, minutes), **written)


def the_copy(child):
    return child.status_updates.order_by("-pk").first()


# --- who is under it ---


def test_a_parent_is_the_vendors_own_and_gathers_incidents_of_many(parent, mine, theirs, small):
    assert parent.organisation.is_vendor
    assert parent.reporter is None
    assert set(parent.children.all()) == {mine, theirs, small}
    mine.refresh_from_db()
    event = mine.events.get(kind="outage_joined")
    assert (event.is_public, event.payload) == (False, {"parent": parent.pk})
    assert mine.revision == 1  # nobody's form became stale


def test_only_users_of_an_affected_service_and_nobody_twice(parent, mine, g1, acme, nordwind):
    other, _ = actions.open_parent(
        [], **by(g1, 2), title="Other", level="P2", services=[Service.objects.get(slug="vector-store")]
    )
    outcome = actions.attach_children(other, [mine, parent], **by(g1, 3))
    assert [child for child, _ in outcome.left] == [mine, parent]
    assert "under another one" in outcome.left[1][1]
    own = Service.objects.create(name="Own", slug="own")
    third, left = actions.open_parent([mine], **by(g1, 4), title="Own", level="P2", services=[own])
    assert (left.done, left.left[0][0]) == ([], mine)
    actions.detach_child(parent, mine, **by(g1, 5))
    assert "uses none" in actions.attach_children(third, [mine], **by(g1, 6)).left[0][1]
    assert actions.attach_children(other, [mine], **by(g1, 7)).done == [mine]
    mine.refresh_from_db()
    assert mine.parent == other


def test_a_customers_incident_is_no_parent_and_a_customer_gathers_nothing(mine, theirs, parent, g1, a1):
    actions.detach_child(parent, mine, **by(g1, 2))
    actions.detach_child(parent, theirs, **by(g1, 2))
    assert "Only an outage of our own" in actions.attach_children(mine, [theirs], **by(g1, 2)).left[0][1]
    outcome = actions.attach_children(parent, [mine], **by(a1, 3))
    assert (outcome.done, outcome.left[0][1]) == ([], "Only support staff can do this.")
    with pytest.raises(actions.Refused):
        actions.open_parent([mine], **by(a1, 3), title="x", level="P1", services=Service.objects.all())


def test_a_resolved_outage_takes_nobody_in(parent, mine, g1):
    actions.detach_child(parent, mine, **by(g1, 2))
    actions.resolve(parent, cause="c", remedy="r", **by(g1, 3))
    outcome = actions.attach_children(parent, [mine], **by(g1, 4))
    assert "is resolved" in outcome.left[0][1]


# --- one update ---


def test_one_update_reaches_each_as_its_own_row_and_meets_its_own_clock(parent, mine, theirs, small, g1):
    update, outcome = write(parent, g1, 10, next_steps="Replace it.")
    assert set(outcome.done) == {mine, theirs, small}
    for child in (mine, theirs, small):
        row = the_copy(child)
        assert (row.of, row.state, row.author, row.published_at) == (update, "published", g1, at(10))
        assert "A node failed." in row.summary
        assert row.impact == "Your services: Inference API."
    with time_machine.travel(at(10), tick=False):
        outbox.sweep(at(10))
        sweep(at(11))
    for child in (mine, theirs):
        rows = list(child.clocks.filter(kind="status_update").order_by("pk"))
        assert [(row.state, row.due_at) for row in rows] == [("met", at(30)), ("running", at(40))]
    assert {message.to[0] for message in django_mail.outbox if "A node failed" in message.body} == {
        "a1@acme.example",
        "b1@nordwind.example",
        "c1@zenit.example",
    }
    for one in Incident.objects.all():
        assert differences(one) == []


def test_the_next_update_is_bounded_by_each_plan(parent, mine, small, g1, theirs):
    actions.validate_level(theirs, level="P2", reason="partly", **by(g1, 2))
    write(parent, g1, 10, next_update_at=at(35))
    assert the_copy(mine).next_update_at == at(35)
    assert the_copy(small).next_update_at == at(35)
    assert clock(small, "status_update").due_at == at(35)
    assert the_copy(theirs).next_update_at == at(35)
    write(parent, g1, 12)
    assert the_copy(mine).next_update_at == at(42)
    assert the_copy(theirs).next_update_at == at(12 + 240)
    assert the_copy(small).next_update_at is None


def test_a_tighter_plan_shortens_what_was_told(parent, mine, theirs, g1, nordwind):
    """The parent's own plan gives 30 minutes; an organisation whose plan gives 10 is told 10."""
    version = nordwind.support_plan.policy_version
    version.pk = None
    version.number = 2
    version.save()
    for target in nordwind.support_plan.policy_version.targets.model.objects.filter(version__number=1):
        target.pk, target.version = None, version
        if (target.level, target.kind) == ("P1", "status_update"):
            target.amount = 10
        target.save()
    Incident.objects.filter(pk=theirs.pk).update(policy_version=version)
    write(parent, g1, 10, next_update_at=at(35))
    assert the_copy(theirs).next_update_at == at(20)
    assert the_copy(mine).next_update_at == at(35)


def test_words_for_one_alone_reach_that_one_alone(parent, mine, theirs, g1):
    write(parent, g1, 10, additions={theirs.pk: "Your nightly job ran."})
    assert the_copy(theirs).summary == "A node failed.\n\nYour nightly job ran."
    assert "nightly" not in the_copy(mine).summary
    with pytest.raises(actions.Refused, match="5,000"):
        write(parent, g1, 11, additions={theirs.pk: "x" * 5001})


def test_the_same_update_never_reaches_a_child_twice(parent, mine, g1):
    update, _ = write(parent, g1, 10)
    before = StatusUpdate.objects.count()
    for _ in range(2):
        assert actions.hand_on_to_all(update, now=at(11)).done == []
        assert actions.hand_on(update, mine, now=at(11)) is False
        assert hand_on_updates(at(11)) == 0
        assert actions.attach_children(parent, [mine], by=g1, now=at(11), channel="admin").done == []
    assert StatusUpdate.objects.count() == before


def test_one_that_fails_stops_nobody_and_the_sweep_makes_up_for_it(
    parent, mine, theirs, small, g1, monkeypatch
):
    from incidents.actions import outage

    real = outage.copy_of

    def failing(update, act, addition, words):
        if act.incident.pk == mine.pk:
            raise RuntimeError("the power went")
        return real(update, act, addition, words)

    monkeypatch.setattr(outage, "copy_of", failing)
    _update, outcome = write(parent, g1, 10)
    assert set(outcome.done) == {theirs, small}
    assert [child for child, _ in outcome.left] == [mine]
    monkeypatch.undo()
    assert hand_on_updates(at(11)) == 1
    assert the_copy(mine).summary == "A node failed."
    assert hand_on_updates(at(12)) == 0


def test_an_old_update_is_not_handed_on_by_the_sweep(parent, mine, g1):
    actions.publish_status_update(parent, condition="in_progress", summary="x", **by(g1, 10))
    assert hand_on_updates(at(41)) == 0
    assert hand_on_updates(at(39)) == 3


def test_a_late_joiner_gets_the_latest_update_once(parent, mine, g1):
    actions.detach_child(parent, mine, **by(g1, 2))
    write(parent, g1, 10, summary="first")
    write(parent, g1, 12, summary="second")
    assert mine.status_updates.count() == 0
    actions.attach_children(parent, [mine], **by(g1, 15))
    assert [row.summary for row in mine.status_updates.all()] == ["second"]
    assert the_copy(mine).published_at == at(15)
    actions.detach_child(parent, mine, **by(g1, 16))
    actions.attach_children(parent, [mine], **by(g1, 17))
    assert mine.status_updates.count() == 1


def test_the_parents_own_rule_forbids_all_of_it(parent, mine, g1):
    with pytest.raises(actions.Refused, match="promises the next update"):
        write(parent, g1, 10, next_update_at=at(10 + 31))
    assert StatusUpdate.objects.count() == 0
    assert not OutboxMessage.objects.filter(kind="status_update").exists()


# --- scheduled ---


def schedule(parent, user, minutes, publish_at):
    return actions.publish_for_all(
        parent, **by(user, minutes), publish_at=publish_at, condition="in_progress", summary="In a while."
    )


def test_a_scheduled_update_is_held_only_where_something_changed(parent, mine, theirs, small, g1, a1):
    _update, outcome = schedule(parent, g1, 10, at(20))
    assert set(outcome.done) == {mine, theirs, small}
    actions.reply(mine, text="It got worse.", by=a1, now=at(15), channel="portal")
    sweep(at(20))
    assert [the_copy(child).state for child in (mine, theirs, small)] == ["held", "published", "published"]
    assert parent.status_updates.get().state == "published"
    held = OutboxMessage.objects.get(kind="staff_update_held")
    assert (held.recipient, held.subject_key) == (g1, mine.reference)
    sweep(at(21))
    assert the_copy(mine).state == "held"
    actions.release_held_update(mine, **by(g1, 22))
    assert (the_copy(mine).state, the_copy(mine).published_at) == ("published", at(22))


def test_one_with_a_pending_update_of_its_own_gets_the_common_one_when_it_is_out(parent, mine, g1):
    actions.schedule_status_update(
        mine, publish_at=at(60), condition="in_progress", summary="own", **by(g1, 5)
    )
    _update, outcome = schedule(parent, g1, 10, at(20))
    assert [child for child, _ in outcome.left] == [mine]
    assert "a pending update of its own" in outcome.left[0][1]
    sweep(at(20))
    assert hand_on_updates(at(21)) + mine.status_updates.filter(of__isnull=False).count() >= 1
    assert mine.status_updates.get(of__isnull=False).state == "published"
    assert mine.status_updates.get(of=None).state == "scheduled"


def test_discarding_the_common_update_discards_every_copy(parent, mine, theirs, g1):
    schedule(parent, g1, 10, at(20))
    actions.discard_for_all(parent, **by(g1, 11))
    assert set(StatusUpdate.objects.values_list("state", flat=True)) == {"discarded"}
    sweep(at(20))
    assert not OutboxMessage.objects.filter(kind="status_update").exists()


def test_a_copy_never_outlives_its_discarded_original(parent, mine, g1):
    """Somebody discarded the parent's alone, and the process died before the copies."""
    schedule(parent, g1, 10, at(20))
    actions.discard_status_update(parent, **by(g1, 11))
    sweep(at(20))
    assert set(StatusUpdate.objects.values_list("state", flat=True)) == {"discarded"}


def test_whoever_leaves_is_told_nothing_of_what_was_pending(parent, mine, g1):
    schedule(parent, g1, 10, at(20))
    actions.detach_child(parent, mine, **by(g1, 11))
    sweep(at(20))
    assert the_copy(mine).state == "discarded"
    with pytest.raises(actions.Refused, match="not under this outage"):
        actions.detach_child(parent, mine, **by(g1, 12))


def test_releasing_the_common_update_holds_where_something_changed(parent, mine, theirs, g1, a1):
    schedule(parent, g1, 10, at(60))
    actions.reply(mine, text="Worse.", by=a1, now=at(12), channel="portal")
    actions.release_for_all(parent, **by(g1, 13))
    assert [the_copy(child).state for child in (mine, theirs)] == ["held", "published"]


# --- the end ---


def test_one_resolution_for_all_and_those_that_a_rule_forbids_are_left(parent, mine, theirs, small, g1):
    outcome = actions.resolve_all(parent, cause="A node", remedy="Replaced", **by(g1, 30))
    assert set(outcome.done) == {parent, mine, theirs}
    assert [child for child, _ in outcome.left] == [small]
    assert "documented solution" in outcome.left[0][1]
    for one in (mine, theirs, parent):
        one.refresh_from_db()
        assert (one.status, one.cause) == ("resolved", "A node")
        assert one.events.filter(kind="resolved").count() == 1
    again = actions.resolve_all(parent, cause="A node", remedy="Replaced", **by(g1, 31))
    assert (again.done, [child for child, _ in again.left]) == ([], [small])
    assert OutboxMessage.objects.filter(kind="resolved", recipient__email="a1@acme.example").count() == 1


def test_one_restoration_for_all_and_once(parent, mine, theirs, small, g1):
    actions.restore(mine, **by(g1, 20))
    outcome = actions.restore_all(parent, text="It works again.", **by(g1, 30))
    assert set(outcome.done) == {parent, theirs, small}
    theirs.refresh_from_db()
    assert theirs.restored_at == at(30)
    again = actions.restore_all(parent, text="It works again.", **by(g1, 31))
    assert (again.done, again.left) == ([], [])


def test_a_customer_never_acts_for_all(parent, mine, a1):
    with pytest.raises(actions.Refused):
        write(parent, a1, 10)
    for outcome in (
        actions.resolve_all(parent, cause="c", remedy="r", **by(a1, 10)),
        actions.restore_all(parent, **by(a1, 10)),
    ):
        assert outcome.done == []


# --- those that reported nothing ---


def test_whoever_reported_nothing_gets_an_own_incident_and_the_latest_update_once(parent, g1, c1, nordwind):
    quiet = organisation("Quiet")
    head = person("q@quiet.example", "Que Manager", quiet, "manager")
    write(parent, g1, 10)
    assert list(actions.unreached_organisations(parent)) == [quiet]
    told = {"title": "Inference, also at Nordwind", **by(g1, 12)}
    outcome = actions.open_children(parent, [quiet, nordwind], **told)
    [made] = outcome.done
    assert (made.organisation, made.reporter, made.parent, made.level) == (quiet, None, parent, "P1")
    assert made.title == "Inference, also at another customer"
    assert [service.slug for service in made.services.all()] == ["inference-api"]
    assert [row.summary for row in made.status_updates.all()] == ["A node failed."]
    kinds = OutboxMessage.objects.filter(recipient=head).values_list("kind", flat=True)
    assert set(kinds) == {"incident_opened", "status_update"}
    assert clock(made, "status_update").started_at == at(12)
    assert actions.open_children(parent, [quiet], **told).done == []
    assert differences(made) == []


def test_nobody_is_told_of_a_resolved_outage_nor_by_a_customer(parent, g1, a1):
    quiet = organisation("Quiet")
    outcome = actions.open_children(parent, [quiet], title="x", by=a1, now=at(9), channel="admin")
    assert (outcome.done, len(outcome.unopened)) == ([], 1)
    actions.resolve(parent, cause="c", remedy="r", **by(g1, 10))
    outcome = actions.open_children(parent, [quiet], title="x", **by(g1, 11))
    assert (outcome.done, "is resolved" in outcome.unopened[0][1]) == ([], True)
    with pytest.raises(actions.Refused):
        actions.open_children(parent, [quiet], title=" ", **by(g1, 12))


def test_what_was_never_under_it_is_handed_nothing(parent, mine, g1):
    update, _ = write(parent, g1, 10)
    actions.detach_child(parent, mine, **by(g1, 11))
    mine.status_updates.update(of=None)
    with pytest.raises(actions.Refused, match="not under this outage"):
        actions.hand_on(update, mine, now=at(12))
    assert mine.status_updates.count() == 1
