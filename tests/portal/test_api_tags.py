"""Conditional requests: 304 for what the caller has, 412 for what changed under their hands."""

from datetime import timedelta

import pytest
import time_machine

from incidents import actions
from tests.conftest import T0
from tests.factories import incident
from tests.maintenance import world
from tests.portal.api_client import API, bearer


@pytest.fixture(autouse=True)
def clock(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


def at(made, noun=""):
    return f"{API}incidents/{made.reference}/{noun}"


def test_what_the_caller_has_is_not_sent_again(a1):
    made = incident(a1, T0)
    client = bearer(a1)
    for address in (at(made), at(made, "events/"), f"{API}incidents/", f"{API}profile/", f"{API}status/"):
        first = client.get(address)
        tag = first.headers["ETag"]
        assert tag.startswith('"')
        for match in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = client.get(address, headers={"If-None-Match": match})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), address
        assert client.get(address, headers={"If-None-Match": '"x"'}).status_code == 200


def test_the_time_that_passes_in_a_running_clock_is_no_change(a1, clock):
    made = incident(a1, T0)
    client = bearer(a1)
    tag = client.get(at(made)).headers["ETag"]
    clock.shift(timedelta(seconds=40))
    assert client.get(at(made), headers={"If-None-Match": tag}).status_code == 304
    client.post(at(made, "replies/"), {"text": "more"})
    assert client.get(at(made), headers={"If-None-Match": tag}).status_code == 200


def test_a_change_is_made_only_to_what_was_read(a1, g1):
    made = incident(a1, T0)
    client = bearer(a1)
    tag = client.get(at(made)).headers["ETag"]
    answer = client.post(at(made, "replies/"), {"text": "one"}, headers={"If-Match": tag})
    assert answer.status_code == 201
    assert answer.headers["ETag"] != tag
    said = client.post(at(made, "replies/"), {"text": "two"}, headers={"If-Match": tag})
    assert (said.status_code, said.json()["type"]) == (412, "/api/v1/reference/#problem-changed")
    assert said.headers["ETag"] == said.json()["etag"] == client.get(at(made)).headers["ETag"]
    assert said.json()["revision"] == answer.json()["revision"]
    assert [m.text for m in made.messages.all()] == ["one"]
    for match in (answer.headers["ETag"], "*", f'"x", {said.json()["etag"]}'):
        assert client.post(at(made, "replies/"), {"text": "x"}, headers={"If-Match": match}).status_code in (
            201,
            412,
        )
    assert client.post(at(made, "replies/"), {"text": "x"}, headers={"If-Match": "*"}).status_code == 201
    assert client.post(at(made, "replies/"), {"text": "x"}).status_code == 201


def test_a_condition_on_what_is_not_there_yet_does_not_hold(a1):
    answer = bearer(a1).post(
        f"{API}incidents/", {"title": "x", "claimed_level": "P3"}, headers={"If-Match": "*"}
    )
    assert answer.status_code == 412


def test_a_weak_tag_never_allows_a_change(a1):
    made = incident(a1, T0)
    client = bearer(a1)
    tag = client.get(at(made)).headers["ETag"]
    assert (
        client.post(at(made, "replies/"), {"text": "x"}, headers={"If-Match": f"W/{tag}"}).status_code == 412
    )


def test_a_stranger_learns_nothing_by_conditions(a1, b1):
    made = incident(b1, T0)
    tag = bearer(b1).get(at(made)).headers["ETag"]
    for match in (tag, "*"):
        assert bearer(a1).get(at(made), headers={"If-None-Match": match}).status_code == 404
        assert (
            bearer(a1).post(at(made, "replies/"), {"text": "x"}, headers={"If-Match": match}).status_code
            == 404
        )


def test_an_internal_note_moves_nothing_that_a_customer_is_shown(a1, g1):
    made = incident(a1, T0)
    customer, staff = bearer(a1), bearer(g1)
    before, desk = customer.get(at(made)), staff.get(at(made))
    actions.add_note(made, by=g1, now=T0, channel="admin", text="internal")
    after = customer.get(at(made))
    assert (after.content, after.headers["ETag"]) == (before.content, before.headers["ETag"])
    assert customer.get(f"{API}incidents/").json()["results"][0]["revision"] == before.json()["revision"]
    assert staff.get(at(made)).json()["revision"] == desk.json()["revision"] + 1
    for headers in ({"X-Revision": str(before.json()["revision"])}, {"If-Match": before.headers["ETag"]}):
        fresh = customer.get(at(made))
        headers = {
            k: str(fresh.json()["revision"]) if k == "X-Revision" else fresh.headers["ETag"] for k in headers
        }
        assert customer.post(at(made, "replies/"), {"text": "x"}, headers=headers).status_code == 201
    stale = staff.post(at(made, "notes/"), {"text": "x"}, headers={"If-Match": desk.headers["ETag"]})
    assert stale.status_code == 412


def test_a_window_is_held_to_what_was_read(g1, g2, a1):
    window = world.announced(g1, g2)
    client = bearer(g1)
    address = f"{API}maintenance-windows/{window.reference}/"
    tag = client.get(address).headers["ETag"]
    assert (
        client.post(
            f"{address}posts/", {"text": "x"}, headers={"If-Match": '"r0-0000000000000000"'}
        ).status_code
        == 412
    )
    assert (
        client.post(f"{address}cancellation/", {"reason": "x"}, headers={"If-Match": tag}).status_code == 201
    )
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_settings_are_held_to_what_was_read(a1):
    client = bearer(a1)
    tag = client.get(f"{API}profile/").headers["ETag"]
    changed = client.patch(f"{API}profile/", {"name": "Ada"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Ada")
    assert client.patch(f"{API}profile/", {"name": "Eve"}, headers={"If-Match": tag}).status_code == 412
    a1.refresh_from_db()
    assert a1.name == "Ada"
