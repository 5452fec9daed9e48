"""Watchers: who may follow an incident, who is added, and what they hear."""

from __future__ import annotations

import pytest
import time_machine
from rest_framework.test import APIClient

from incidents import actions, audiences
from incidents.models import Watcher
from portal import outbox
from portal.models import Membership, OutboxMessage
from tests.conftest import T0
from tests.factories import incident, person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def made(a1, a2):
    """A P3, of which nobody but its reporter hears by a part in the organisation."""
    return incident(a1, T0, "P3")


@pytest.fixture
def a4(acme):
    return person("a4@acme.example", "Abe Four", acme, "member")


def watching(made):
    return set(Watcher.objects.filter(incident=made).values_list("person", flat=True))


def test_a_viewer_watches_by_themself_and_hears_what_the_reporter_hears(made, a1, a3, g1):
    actions.watch(made, by=a3, now=T0, channel="portal")
    actions.watch(made, by=a3, now=T0, channel="portal")
    assert made.events.filter(kind="watcher_added").count() == 1
    assert made.events.get(kind="watcher_added").payload == {"person_id": a3.pk}
    actions.reply(made, by=g1, now=T0, channel="admin", text="words")
    told = OutboxMessage.objects.filter(kind="answered").order_by("recipient")
    assert {row.recipient for row in told} == {a1, a3}
    outbox.sweep(T0)
    assert {row.state for row in told.all()} == {"sent"}


def test_an_alarm_s_watchers_hear_beside_the_contacts(made, a2, a4):
    actions.watch(made, by=a4, now=T0, channel="portal")
    made.reporter = None
    assert audiences.reporters(made) == [a2, a4]


def test_who_stops_watching_hears_no_more(made, a3, g1):
    actions.watch(made, by=a3, now=T0, channel="portal")
    actions.remove_watcher(made, person=a3, by=a3, now=T0, channel="portal")
    actions.reply(made, by=g1, now=T0, channel="admin", text="words")
    assert not OutboxMessage.objects.filter(kind="answered", recipient=a3).exists()
    assert made.events.get(kind="watcher_removed").payload == {"person_id": a3.pk}


def test_a_writer_adds_colleagues_and_never_somebody_from_outside(made, a1, a3, a4, b1, g1):
    actions.add_watcher(made, person=a4, by=a1, now=T0, channel="portal")
    actions.add_watcher(made, person=a3, by=g1, now=T0, channel="admin")
    for outside in (b1, g1):
        for by in (a1, g1):
            with pytest.raises(actions.Refused) as refused:
                actions.add_watcher(made, person=outside, by=by, now=T0, channel="portal")
            assert refused.value.field == "person"
    with pytest.raises(actions.Refused) as refused:
        actions.add_watcher(made, person=a1, by=a3, now=T0, channel="portal")
    assert refused.value.kind == "permission"
    for stranger in (b1, g1):
        with pytest.raises(actions.Refused):
            actions.watch(made, by=stranger, now=T0, channel="portal")
    assert watching(made) == {a3.pk, a4.pk}


def test_who_takes_a_watcher_away(made, a1, a2, a3, a4):
    actions.add_watcher(made, person=a3, by=a1, now=T0, channel="portal")
    with pytest.raises(actions.Refused) as refused:
        actions.remove_watcher(made, person=a3, by=a4, now=T0, channel="portal")
    assert refused.value.kind == "permission"
    actions.remove_watcher(made, person=a3, by=a2, now=T0, channel="portal")
    with pytest.raises(actions.Refused) as refused:
        actions.remove_watcher(made, person=a3, by=a2, now=T0, channel="portal")
    assert refused.value.kind == "state"
    actions.add_watcher(made, person=a3, by=a1, now=T0, channel="portal")
    actions.remove_watcher(made, person=a3, by=a1, now=T0, channel="portal")
    assert watching(made) == set()


def test_watching_makes_no_form_stale(made, a1, a3):
    before = (made.revision, made.last_changed_at)
    actions.watch(made, by=a3, now=T0, channel="portal")
    made.refresh_from_db()
    assert (made.revision, made.last_changed_at) == before


def test_a_former_colleague_hears_nothing(made, a3, g1):
    actions.watch(made, by=a3, now=T0, channel="portal")
    Membership.objects.filter(user=a3).delete()
    assert a3 not in audiences.watchers(made)
    actions.reply(made, by=g1, now=T0, channel="admin", text="words")
    assert not OutboxMessage.objects.filter(recipient=a3, kind="answered").exists()


def test_the_page_watches_adds_and_removes_without_javascript(client, made, a1, a3, a4, b1):
    address = f"/incidents/{made.reference}/watchers/"
    client.force_login(a1)
    assert client.post(address, {"do": "watch"}).status_code == 302
    client.post(address, {"do": "add", "person": a4.pk})
    assert watching(made) == {a1.pk, a4.pk}
    page = client.get(made.get_absolute_url()).content.decode()
    assert "Abe Four watches it now" in page
    assert "Stop watching" in page
    for bad in (b1.pk, "", "x", 10**19):
        client.post(address, {"do": "add", "person": bad})
    assert watching(made) == {a1.pk, a4.pk}
    client.post(address, {"do": "remove", "person": a4.pk})
    client.post(address, {"do": "unwatch"})
    assert watching(made) == set()
    client.force_login(a3)
    assert client.post(address, {"do": "add", "person": a4.pk}).status_code == 403


def test_the_api_watches_adds_and_removes(made, a1, a3, a4, b1):
    api = APIClient()
    api.force_authenticate(a1)
    noun = f"/api/v1/incidents/{made.reference}/watchers/"
    assert api.post(noun).status_code == 201
    assert api.post(noun, {"person": a4.email.upper()}).status_code == 201
    assert [row["name"] for row in api.get(noun).json()] == ["Ada One", "Abe Four"]
    answers = [api.post(noun, {"person": who}) for who in (b1.email, "nobody@nowhere.example")]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].content == answers[1].content
    assert api.delete(noun, {"person": a4.email}).status_code == 204
    assert watching(made) == {a1.pk}
    assert api.delete(noun).status_code == 204
    assert watching(made) == set()


def test_a_manager_hands_an_incident_over(made, a1, a2, a3, a4, b1):
    api = APIClient()
    api.force_authenticate(a1)
    noun = f"/api/v1/incidents/{made.reference}/reporter/"
    assert api.put(noun, {"person": a4.email}).status_code == 403
    api.force_authenticate(a2)
    for bad in (a3, b1):
        assert api.put(noun, {"person": bad.email}).status_code == 400
    assert api.put(noun, {"person": a4.email}).status_code == 201
    made.refresh_from_db()
    assert made.reporter == a4
    assert made.events.get(kind="reporter_changed").payload == {"from_id": a1.pk, "to_id": a4.pk}
