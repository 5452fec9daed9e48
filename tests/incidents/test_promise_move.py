"""Open incidents move to a new version by choice, after a preview that writes nothing."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from incidents import actions
from incidents.clockwork import differences
from incidents.models import Clock, Incident, SLAPolicyVersion
from portal.calendars import new_version
from portal.models import OutboxMessage
from tests.conftest import T0
from tests.factories import clock, incident
from tests.incidents.test_stranger import Writes

PAGE = "/admin/incidents/slapolicyversion/move/"


def at(minutes):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture(autouse=True)
def _soon_after_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(at(5), tick=False):
        yield


@pytest.fixture
def mine(a1):
    return incident(a1, T0)


@pytest.fixture
def theirs(b1):
    return incident(b1, T0, level="P2")


def version(of: SLAPolicyVersion, **minutes) -> SLAPolicyVersion:
    """The next version, with other minutes for some P1 clocks."""
    made = SLAPolicyVersion.objects.create(
        policy=of.policy, number=of.policy.versions.count() + 1, created_at=T0
    )
    for target in of.targets.all():
        target.pk, target.version = None, made
        if target.level == "P1" and target.kind in minutes:
            target.amount = minutes[target.kind]
        target.save()
    return made


def body(policy=None, calendar=None, organisations=(), **more):
    return {
        "policy_version": policy.pk if policy else "",
        "calendar_version": calendar.pk if calendar else "",
        "organisations": [one.pk for one in organisations],
    } | more


def test_the_preview_shows_every_open_clock_and_writes_nothing(client, h1, mine, theirs, acme, nordwind):
    longer = version(mine.policy_version, target_action=480)
    client.force_login(h1)
    with Writes.noted() as writes:
        answer = client.post(PAGE, body(longer, organisations=[acme, nordwind]))
    assert [sql for sql in writes if "django_session" not in sql] == []
    assert answer.status_code == 200
    found = {entry["move"].incident: entry for entry in answer.context["moves"]}
    assert set(found) == {mine, theirs}
    rows = {row["kind"]: (row["due_at"], row["new_due_at"], row["is_past"]) for row in found[mine]["rows"]}
    assert rows == {
        "first_response": (at(15), at(15), False),
        "target_action": (at(240), at(480), False),
        "status_update": (at(30), at(30), False),
    }
    assert "Target action P1" in answer.content.decode()
    mine.refresh_from_db()
    assert clock(mine, "target_action").due_at == at(240)


def test_the_chosen_ones_move_by_one_event_each_that_names_both_versions(
    client, h1, mine, theirs, acme, nordwind
):
    before, longer = mine.policy_version, version(mine.policy_version, target_action=480)
    client.force_login(h1)
    client.post(PAGE, body(longer, organisations=[acme, nordwind], move="1", incident=[mine.pk]))
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.policy_version, theirs.policy_version) == (longer, before)
    event = mine.events.get(kind="promise_changed")
    assert event.payload["policy_version_from"] == before.pk
    assert event.payload["policy_version"] == longer.pk
    assert event.payload["calendar_version_from"] == event.payload["calendar_version"]
    assert clock(mine, "target_action").due_at == at(480)
    assert OutboxMessage.objects.filter(kind="promise_changed").count() == 1
    assert differences(mine) == []
    again = client.post(PAGE, body(longer, organisations=[acme]))
    assert again.context["moves"] == []


def test_what_would_be_due_in_the_past_is_refused_named_and_left(client, h1, mine, theirs, acme, nordwind):
    shorter = version(mine.policy_version, first_response=4)
    client.force_login(h1)
    shown = client.post(PAGE, body(shorter, organisations=[acme, nordwind]))
    refusals = {entry["move"].incident: entry["move"].refusal for entry in shown.context["moves"]}
    assert refusals[mine] == "A clock would be due in the past."
    assert refusals[theirs] == ""
    assert f'value="{mine.pk}" checked' not in shown.content.decode()
    answer = client.post(
        PAGE,
        body(shorter, organisations=[acme, nordwind], move="1", incident=[mine.pk, theirs.pk]),
        follow=True,
    )
    assert f"Not {mine.reference}" in answer.content.decode()
    assert "1 incident was moved" in answer.content.decode()
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.policy_version == shorter, theirs.policy_version == shorter) == (False, True)
    assert not mine.events.filter(kind="promise_changed").exists()


def test_a_breached_clock_is_no_reason_and_never_changes(client, h1, mine, acme):
    with time_machine.travel(at(20), tick=False):
        longer = version(mine.policy_version, first_response=60)
        client.force_login(h1)
        shown = client.post(PAGE, body(longer, organisations=[acme]))
        [entry] = shown.context["moves"]
        assert (entry["move"].refusal, {row["kind"] for row in entry["rows"]}) == (
            "",
            {"target_action", "status_update"},
        )
        client.post(PAGE, body(longer, organisations=[acme], move="1", incident=[mine.pk]))
    row = clock(mine, "first_response")
    assert (row.state, row.breached_at) == ("breached", at(15))


def test_a_new_calendar_version_moves_them_too(client, h1, theirs, nordwind):
    old = theirs.calendar_version
    later = new_version(old.calendar, now=at(4), by=h1, week={"tuesday": ["09:00-20:00"]})
    client.force_login(h1)
    before = clock(theirs, "target_action").due_at
    [entry] = client.post(PAGE, body(calendar=later, organisations=[nordwind])).context["moves"]
    row = next(row for row in entry["rows"] if row["kind"] == "target_action")
    assert row["new_due_at"] - row["due_at"] == timedelta(hours=2)
    client.post(PAGE, body(calendar=later, organisations=[nordwind], move="1", incident=[theirs.pk]))
    theirs.refresh_from_db()
    assert (theirs.calendar_version, theirs.policy_version_id) == (later, entry["move"].policy_version.pk)
    assert clock(theirs, "target_action").due_at == before + timedelta(hours=2)


def test_only_a_head_of_support_moves_and_only_to_something(client, g1, h1, mine, acme):
    longer = version(mine.policy_version, target_action=480)
    client.force_login(g1)
    assert client.get(PAGE).status_code == 403
    assert (
        client.post(PAGE, body(longer, organisations=[acme], move="1", incident=[mine.pk])).status_code == 403
    )
    client.force_login(h1)
    assert client.get(f"{PAGE}?policy_version={longer.pk}").status_code == 200
    assert client.post(PAGE, body(organisations=[acme])).status_code == 400
    assert client.post(PAGE, body(longer)).status_code == 400
    assert not Incident.objects.filter(policy_version=longer).exists()
    assert (
        PAGE
        in client.get(reverse("admin:incidents_slapolicyversion_change", args=[longer.pk])).content.decode()
    )
    plan = acme.support_plan
    assert PAGE in client.get(reverse("admin:incidents_supportplan_change", args=[plan.pk])).content.decode()


def test_resolved_incidents_and_closed_clocks_stay(client, h1, g1, mine, acme):
    longer = version(mine.policy_version, target_action=480)
    actions.resolve(mine, cause="c", remedy="r", by=g1, now=at(4), channel="admin")
    stored = list(Clock.objects.order_by("pk").values())
    client.force_login(h1)
    assert client.post(PAGE, body(longer, organisations=[acme])).status_code == 400
    client.post(PAGE, body(longer, organisations=[acme], move="1", incident=[mine.pk]))
    assert list(Clock.objects.order_by("pk").values()) == stored


def test_another_calendar_or_policy_is_nobodys_next_version(client, h1, mine, acme):
    """Unless the organisation's plan has it now: then its open incidents may follow."""
    from incidents.models import SLAPolicy
    from portal.models import BusinessCalendar

    other = new_version(BusinessCalendar.objects.create(name="Elsewhere"), now=at(4), by=h1)
    policy = SLAPolicy.objects.create(name="Gold")
    gold = SLAPolicyVersion.objects.create(policy=policy, number=1, created_at=T0)
    for target in mine.policy_version.targets.all():
        target.pk, target.version = None, gold
        target.save()
    client.force_login(h1)
    for data in (body(calendar=other, organisations=[acme]), body(gold, organisations=[acme])):
        assert client.post(PAGE, data).context["moves"] == []
        client.post(PAGE, data | {"move": "1", "incident": [mine.pk]})
    assert not mine.events.filter(kind="promise_changed").exists()
    acme.support_plan.calendar, acme.support_plan.policy_version = other.calendar, gold
    acme.support_plan.save()
    shown = client.post(PAGE, body(gold, other, organisations=[acme]))
    assert [entry["move"].incident for entry in shown.context["moves"]] == [mine]
