"""Endpoints on the staff desk: a secret is seen once, by who made it; and what became of each message."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.models import Session
from django.urls import reverse

from portal.models import Endpoint, OutboxMessage
from tests.conftest import T0

pytestmark = pytest.mark.django_db
PATH = "https://hooks.example.com/services/hush-hush"
LIST = "/admin/portal/endpoint/"
PAGER = {"name": "Room", "use": "pager", "service": "webhook", "url": PATH, "is_active": "on"}


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def room(acme):
    return Endpoint.objects.create(name="Room of Acme", url=PATH, organisation=acme, use="channel")


def page(endpoint, name="change", *more) -> str:
    return reverse(f"admin:portal_endpoint_{name}", args=[endpoint.pk, *more])


def do(client, action, *endpoints):
    data = {"action": action, "_selected_action": [endpoint.pk for endpoint in endpoints], "index": "0"}
    return client.post(LIST, data)


def told(answer) -> str:
    """The headers and cookies of an answer, messages unpacked."""
    packed = answer.cookies["messages"].value if "messages" in answer.cookies else ""
    unpacked = CookieStorage(answer.wsgi_request)._decode(packed) or []
    return f"{answer.headers} {answer.cookies} {[str(message) for message in unpacked]}"


def everything_shown(client, endpoint) -> str:
    """Every page and header on which the endpoint could be seen."""
    version = endpoint.history.first().pk
    addresses = [LIST, page(endpoint), page(endpoint, "history"), page(endpoint, "simple_history", version)]
    answers = [client.get(address) for address in addresses]
    assert {answer.status_code for answer in answers} == {200}
    return " ".join(f"{answer.headers} {answer.cookies} {answer.content.decode()}" for answer in answers)


def test_a_new_secret_is_shown_once_and_travels_in_no_cookie(client, h1):
    client.force_login(h1)
    answer = client.post(f"{LIST}add/", PAGER)
    made = Endpoint.objects.get()
    assert answer.status_code == 302
    assert made.secret not in told(answer)
    first = client.get(answer.url)
    assert first.content.decode().count(made.secret) == 1
    assert made.secret not in told(first)
    assert made.secret not in everything_shown(client, made)
    assert all(made.secret not in str(session.get_decoded()) for session in Session.objects.all())


def test_a_new_secret_is_shown_once_and_the_old_one_signs_along_for_a_day(client, h1, room):
    client.force_login(h1)
    old = room.secret
    answer = do(client, "make_a_new_secret", room)
    room.refresh_from_db()
    assert answer.status_code == 302
    assert room.secret not in told(answer)
    assert room.secret != old
    assert room.secret.startswith("whsec_")
    assert room.secret in client.get(page(room)).content.decode()
    shown = everything_shown(client, room)
    assert room.secret not in shown
    assert old not in shown
    assert room.signing_secrets(T0 + timedelta(hours=23)) == [room.secret, old]
    assert room.signing_secrets(T0 + timedelta(hours=24)) == [room.secret]
    assert room.history.first().history_user == h1


def test_the_secret_of_one_is_not_shown_to_another(client, h1, root, room):
    client.force_login(h1)
    do(client, "make_a_new_secret", room)
    client.logout()
    client.force_login(root)
    room.refresh_from_db()
    assert room.secret not in everything_shown(client, room)


def test_new_secrets_are_made_one_at_a_time(client, h1, room, acme):
    other = Endpoint.objects.create(name="Other", url=PATH, organisation=acme, use="channel")
    client.force_login(h1)
    do(client, "make_a_new_secret", room, other)
    assert "Choose one endpoint" in client.get(LIST).content.decode()
    assert Endpoint.objects.get(pk=room.pk).secret == room.secret


def test_an_address_and_tokens_are_written_and_never_shown(client, h1, g1, room):
    """Not even to who may write: the history names what is new, and never what it is."""
    client.force_login(h1)
    Endpoint.objects.filter(pk=room.pk).update(service="slack")
    secrets = {"access_token": "xoxb-hush-hush", "room_id": "C1", "signing_secret": "sign-hush-hush"}
    changed = {"name": "Room of Acme", "url": f"{PATH}-2", "is_active": "on"} | secrets
    assert client.post(page(room), changed).status_code == 302
    room.refresh_from_db()
    assert (room.url, room.access_token) == (f"{PATH}-2", "xoxb-hush-hush")
    assert room.history.first().history_change_reason == "address, access token, signing secret"
    assert client.post(page(room), {"name": "Kept", "is_active": "on", "room_id": "C1"}).status_code == 302
    room.refresh_from_db()
    assert (room.name, room.url, room.signing_secret) == ("Kept", f"{PATH}-2", "sign-hush-hush")
    for user in (h1, g1):
        client.force_login(user)
        shown = everything_shown(client, room)
        assert "https://hooks.example.com/" in shown
        assert "hush-hush" not in shown


def test_what_was_switched_off_by_itself_is_forgiven_when_it_is_switched_on(client, h1, room):
    gone = {"is_active": False, "disabled_at": T0, "disabled_reason": "410 Gone", "failing_since": T0}
    Endpoint.objects.filter(pk=room.pk).update(**gone)
    client.force_login(h1)
    assert "Switched off by itself" in client.get(f"{LIST}?works=disabled").content.decode()
    assert client.post(page(room), {"name": room.name, "is_active": "on"}).status_code == 302
    room.refresh_from_db()
    assert (room.is_active, room.disabled_at, room.disabled_reason, room.failing_since) == (
        *(True, None),
        *("", None),
    )


def test_a_removed_one_is_looked_at_and_not_changed(client, h1, room):
    Endpoint.objects.filter(pk=room.pk).update(removed_at=T0, is_active=False, url="", secret="")
    client.force_login(h1)
    assert "Room of Acme" in client.get(f"{LIST}?works=removed").content.decode()
    assert client.get(page(room)).status_code == 200
    assert client.post(page(room), {"name": "Back", "url": PATH, "is_active": "on"}).status_code == 403
    do(client, "make_a_new_secret", room)
    do(client, "send_a_test", room)
    assert Endpoint.objects.get().secret == ""
    assert not OutboxMessage.objects.exists()


def test_an_organisation_has_one_dedicated_channel(client, h1, room, acme):
    client.force_login(h1)
    data = PAGER | {"use": "channel", "organisation": acme.pk}
    assert "has a dedicated channel already" in client.post(f"{LIST}add/", data).content.decode()
    answer = client.post(f"{LIST}add/", data | {"use": "webhooks", "events": "*"})
    assert answer.status_code == 302
    assert Endpoint.objects.get(use="webhooks").events == ["*"]


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://hooks.example.com/", "https://10.0.0.1/x"])
def test_an_address_inside_is_refused_with_its_reason(client, h1, url):
    client.force_login(h1)
    answer = client.post(f"{LIST}add/", PAGER | {"url": url})
    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not Endpoint.objects.exists()


def test_an_endpoint_cannot_belong_to_two(client, h1, g1, acme):
    client.force_login(h1)
    data = PAGER | {"person": g1.pk, "organisation": acme.pk}
    answer = client.post(f"{LIST}add/", data)
    assert "not to both" in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_an_endpoint_keeps_its_owner(client, h1, room, nordwind):
    """What waits for it was meant for that owner."""
    client.force_login(h1)
    data = {"name": "New name", "url": PATH, "organisation": nordwind.pk, "is_active": "on"}
    assert client.post(page(room), data).status_code == 302
    after = Endpoint.objects.get()
    assert (after.name, after.organisation) == ("New name", room.organisation)


def test_a_test_is_queued_to_each_and_again_on_demand(client, h1, room):
    client.force_login(h1)
    assert do(client, "send_a_test", room).status_code == 302
    message = OutboxMessage.objects.get()
    assert (message.kind, message.channel, message.endpoint, message.recipient) == (
        "endpoint_test",
        "webhook",
        room,
        None,
    )
    with time_machine.travel(T0.replace(minute=5), tick=False):
        do(client, "send_a_test", room)
    assert OutboxMessage.objects.count() == 2


def test_the_outbox_shows_each_channel_and_what_did_not_arrive(client, g1, room):
    kept = {"kind": "plain", "endpoint": room, "channel": "webhook"}
    OutboxMessage.objects.create(dedupe_key="one", subject="Arrived", state="sent", **kept)
    OutboxMessage.objects.create(dedupe_key="two", subject="Lost", state="set_aside", unreached_at=T0, **kept)
    OutboxMessage.objects.create(kind="plain", recipient=g1, dedupe_key="three", subject="By mail")
    client.force_login(g1)
    address = "/admin/portal/outboxmessage/"

    def shown(query):
        text = client.get(f"{address}?{query}").content.decode()
        return [subject for subject in ("Arrived", "Lost", "By mail") if subject in text]

    assert shown("channel=webhook") == ["Arrived", "Lost"]
    assert shown("unreached_at__isempty=0") == ["Lost"]
    detail = client.get(f"{address}{OutboxMessage.objects.get(dedupe_key='two').pk}/change/")
    assert "Room of Acme" in detail.content.decode()
    assert "hush-hush" not in detail.content.decode()
    assert room.secret not in detail.content.decode()
