"""Channels, status, profile and the rest of the customers' doors in the API: the pages' verbs, roles and refusals."""

import pytest
import time_machine

from incidents.defaults import plan_for
from incidents.models import SupportPlan
from maintenance.models import CalendarFeed
from portal import announcing
from portal.models import AnnouncementReading, ChatIdentity, Endpoint, OutboxMessage
from tests.conftest import T0
from tests.factories import incident
from tests.portal.api_client import API, bearer

CHANNELS = f"{API}channels/"
HOOKS = {"use": "webhooks", "name": "Hooks", "url": "https://hooks.example.com/secret-path", "events": ["*"]}


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def hooks(a2):
    made = bearer(a2).post(CHANNELS, HOOKS)
    assert made.status_code == 201, made.content
    return Endpoint.objects.get()


def at(endpoint, noun=""):
    return f"{CHANNELS}{endpoint.key}/{noun}"


def test_a_secret_is_in_the_answer_that_makes_it_and_in_no_other(a2, hooks):
    client = bearer(a2)
    for answer in (client.get(CHANNELS), client.get(at(hooks)), client.patch(at(hooks), {"name": "New"})):
        assert answer.status_code == 200
        assert hooks.secret not in answer.content.decode()
        assert "secret-path" not in answer.content.decode()
    said = client.post(at(hooks, "rotation/"), headers={"Idempotency-Key": "k"}).json()
    assert client.post(at(hooks, "rotation/"), headers={"Idempotency-Key": "k"}).json() == said
    was, hooks = hooks.secret, Endpoint.objects.get()
    assert said["secret"] == hooks.secret != was
    assert (hooks.previous_secret, said["name"], said["goes_to"]) == (
        was,
        "New",
        "https://hooks.example.com/",
    )


def test_a_change_leaves_alone_what_it_does_not_name(a2, hooks):
    client = bearer(a2)
    said = client.patch(at(hooks), {"hears_maintenance": False}).json()
    assert (said["name"], said["events"], said["hears_maintenance"]) == ("Hooks", ["*"], False)
    assert Endpoint.objects.get().url == HOOKS["url"]
    said = client.patch(at(hooks), {"events": ["no.such"], "url": "ftp://x"})
    assert said.status_code == 400


def test_it_is_tested_switched_and_removed(a2, hooks):
    client = bearer(a2)
    assert client.post(at(hooks, "test/")).status_code == 201
    assert OutboxMessage.objects.get().kind == "endpoint_test"
    off = {"is_active": False}
    assert client.post(at(hooks, "switch/"), off).json()["is_active"] is False
    assert client.post(at(hooks, "switch/"), off).status_code == 409
    assert client.post(at(hooks, "test/")).status_code == 409
    assert client.post(at(hooks, "switch/"), {"is_active": True}).status_code == 201
    assert client.delete(at(hooks)).status_code == 204
    assert client.get(CHANNELS).json()["results"] == []
    assert client.get(at(hooks)).status_code == 404


def test_the_log_is_read_and_sent_again(a2, hooks):
    client = bearer(a2)
    for number in range(3):
        OutboxMessage.objects.create(
            kind="endpoint_test",
            channel="webhook",
            endpoint=hooks,
            dedupe_key=f"{number}",
            state="sent",
            sent_at=T0,
        )
    first = client.get(at(hooks, "log/?page_size=2")).json()
    second = client.get(first["next"]).json()
    ids = [row["id"] for row in first["results"] + second["results"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3
    assert client.get(at(hooks, f"log/{ids[0]}/")).json()["outcome"] == "sent"
    again = client.post(at(hooks, f"log/{ids[0]}/replay/"))
    assert (again.status_code, again.json()["outcome"]) == (201, "queued")
    assert client.post(at(hooks, f"log/{ids[0]}/replay/")).status_code == 409
    assert client.get(at(hooks, "log/999999/")).status_code == 404


def test_who_is_who_in_a_channel(a1, a2, a3, b1, acme):
    plan_for(acme, T0)
    SupportPlan.objects.filter(organisation=acme).update(has_dedicated_channel=True)
    room = {
        "use": "channel",
        "service": "slack",
        "name": "Ops",
        "url": "https://slack.com/api/chat.postMessage",
    }
    room |= {"access_token": "xoxb-1", "room_id": "C02ABCDEF", "signing_secret": "s"}
    client = bearer(a2)
    made = client.post(CHANNELS, room)
    assert made.status_code == 201, made.content
    assert "xoxb" not in made.content.decode()
    assert (made.json()["secret"], made.json()["has_access_token"]) == ("", True)
    people = at(Endpoint.objects.get(), "people/")
    for person in (a3, b1):
        assert client.post(people, {"external_id": "U1", "person": person.email}).status_code == 400
    assert client.post(people, {"external_id": "U1", "person": "A1@acme.example"}).status_code == 201
    assert [row["person"] for row in client.get(people).json()] == [a1.email]
    assert client.delete(f"{people}{ChatIdentity.objects.get().pk}/").status_code == 204
    assert client.get(people).json() == []


def test_colleagues_are_refused_and_strangers_see_nothing(a1, a3, b1, g1, h1, hooks):
    for person in (a1, a3):
        client = bearer(person)
        assert client.get(CHANNELS).json()["results"] == []
        assert client.get(at(hooks)).status_code == client.post(at(hooks, "test/")).status_code == 403
        assert client.post(CHANNELS, HOOKS).status_code == 403
    stranger = bearer(b1)
    for method, noun in (("get", ""), ("post", "rotation/"), ("delete", ""), ("get", "log/"), ("patch", "")):
        assert getattr(stranger, method)(at(hooks, noun)).status_code == 404, noun
    assert bearer(h1).get(at(hooks)).status_code == 200
    assert bearer(a1, scope="read").post(CHANNELS, HOOKS).status_code == 403


# --- status, profile, calendar, announcements ---


def test_the_state_of_services_is_each_organisation_s_own(a1, b1):
    made = incident(a1, T0, level="P1", impact="outage")
    boards = bearer(a1).get(f"{API}status/").json()["results"]
    assert [board["organisation"] for board in boards] == ["acme"]
    felt = {row["service"]: (row["impact"], row["causes"]) for row in boards[0]["services"]}
    assert felt["vector-store"] == ("none", [])
    assert [b["organisation"] for b in bearer(b1).get(f"{API}status/inference-api/").json()] == ["nordwind"]
    assert made.reference not in bearer(b1).get(f"{API}status/").content.decode()
    assert bearer(a1).get(f"{API}status/?organisation=nordwind").json()["results"] == []


def test_mails_about_a_service_are_turned_on_and_off(a1, b1):
    address = f"{API}status/vector-store/subscription/"
    client = bearer(a1)
    assert client.post(address, {"organisation": "nordwind"}).status_code == 400
    said = client.post(address, {})
    assert (said.status_code, said.json()[0]["services"][0]["is_subscribed"]) == (201, True)
    assert a1.status_subscriptions.count() == 1
    assert client.delete(address).status_code == 204
    assert a1.status_subscriptions.count() == 0


def test_one_s_own_settings(a1, a2):
    client = bearer(a1)
    said = client.get(f"{API}profile/").json()
    assert (said["email"], said["memberships"][0]["role"]) == (a1.email, "member")
    changed = client.patch(f"{API}profile/", {"time_zone": "Europe/Berlin", "hears_maintenance": False})
    assert (changed.json()["time_zone"], changed.json()["hears_maintenance"]) == ("Europe/Berlin", False)
    assert changed.json()["hears_announcements"] is True
    for wrong in ({"time_zone": "Mars"}, {"daily_summary_hour": 24}, {"name": ""}, {"language": "xx"}):
        assert list(client.patch(f"{API}profile/", wrong).json()["errors"]) == list(wrong)
    client.patch(f"{API}profile/", {"email": "x@y.example", "is_staff": True, "staff_role": "agent"})
    a1.refresh_from_db()
    assert (a1.email, a1.is_staff, a1.staff_role) == ("a1@acme.example", False, "")


def test_the_calendar_s_address_is_shown_once(a1, client):
    api, address = bearer(a1), f"{API}calendar-feed/"
    assert api.get(address).status_code == 404
    first, second = api.post(address).json()["address"], api.post(address).json()["address"]
    assert "address" not in api.get(address).json()
    paths = [each.partition("/calendar/")[2] for each in (first, second)]
    assert [client.get(f"/calendar/{path}").status_code for path in paths] == [404, 200]
    assert api.delete(address).status_code == 204
    assert CalendarFeed.objects.count() == 0


def test_an_announcement_is_read(a1, b1, g1, m1, acme):
    told = announcing.write(
        title="x", text="y", audience="organisations", organisations=[acme], by=g1, now=T0
    )
    announcing.publish(told, by=m1, now=T0)
    address = f"{API}announcements/{told.pk}/"
    assert bearer(a1).get(address).json()["is_read"] is False
    assert bearer(b1).post(f"{address}reading/").status_code == 404
    assert bearer(a1).post(f"{address}reading/").json()["is_read"] is True
    assert AnnouncementReading.objects.get().person == a1


# --- the reference ---


def test_the_reference_names_every_operation_and_runs_nothing(client, a1):
    from portal.api_reference import document

    client.force_login(a1)
    page = client.get(f"{API}reference/").content.decode()
    for path in document()["paths"]:
        assert path.replace("'", "&#x27;") in page
    assert '<script src="http' not in page
    assert "cdn" not in page.lower()
    assert "curl -X POST" in page
