"""The live bridge in the API: the verbs of its page by nouns, and what each side reads."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from rest_framework.test import APIClient

from incidents import actions
from incidents.models import Bridge, Message, SupportPlan
from portal.models import ApiToken, OutboxMessage
from tests import factories
from tests.conftest import T0

SECRET = "They pay late"


def after(minutes: float):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture(autouse=True)
def _later():
    with time_machine.travel(after(10), tick=False):
        yield


def bearer(user, **fields):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.objects.create(user=user, **fields)[1]}")
    return client


@pytest.fixture
def p1(a1):
    made = factories.incident(a1, T0)
    SupportPlan.objects.filter(organisation=made.organisation).update(
        has_bridge=True, conference_template="https://meet.example.com/{key}"
    )
    return made


@pytest.fixture
def bridge(p1, g1):
    return actions.open_bridge(p1, by=g1, now=after(2), channel="bridge")


@pytest.fixture
def base(p1):
    return f"/api/v1/incidents/{p1.reference}/bridge/"


WRITES = {
    "": {},
    "presence/": {},
    "notes/": {"text": "Hello"},
    "side-notes/": {"text": "Hello"},
    "decisions/": {"text": "Fail over"},
    "steps/": {"text": "Swap", "owner": "g1@briqmind.example", "due_at": "2026-03-03T11:00:00Z"},
    "parts/": {"part": "scribe", "person": "g1@briqmind.example"},
    "closing/": {"summary": "Done"},
}


def test_from_opening_to_closing_by_nouns(p1, base, a1, a2, g1):
    customer, staff = bearer(a1), bearer(g1)
    assert customer.get(base).status_code == 404
    opened = customer.post(base)
    assert opened.status_code == 201
    assert staff.post(base).status_code == 200
    assert staff.post(f"{base}presence/").status_code == 201
    assert customer.post(f"{base}notes/", {"text": "It hangs"}, format="json").status_code == 201
    staff.post(f"{base}decisions/", {"text": "Fail over"}, format="json")
    staff.post(f"{base}parts/", {"part": "incident_lead"}, format="json")
    staff.post(f"{base}parts/", {"part": "customer_lead", "person": "a2@acme.example"}, format="json")
    agreed = customer.post(
        f"{base}steps/",
        {"text": "Swap", "owner": g1.pk, "due_at": "2026-03-03T14:00:00+03:00"},
        format="json",
    )
    step = agreed.json()["steps"][0]
    assert (step["owner"], step["due_at"], step["done_at"]) == ("Gül One", "2026-03-03T11:00:00Z", None)
    done = staff.post(f"{base}steps/{step['id']}/completion/")
    assert done.json()["steps"][0]["done_by"] == "Gül One"
    said = customer.get(base).json()
    assert [(part["part"], part["name"]) for part in said["parts"]] == [
        ("incident_lead", "Gül One"),
        ("customer_lead", "Ali Two"),
    ]
    assert [person["name"] for person in said["people"]] == ["Ada One", "Gül One"]
    assert [decision["text"] for decision in said["decisions"]] == ["Fail over"]
    assert said["conference_url"].startswith("https://meet.example.com/")
    assert [note["text"] for note in customer.get(f"{base}notes/").json()] == ["It hangs"]
    assert customer.delete(f"{base}presence/").status_code == 204
    assert customer.get(base).json()["people"][0]["left_at"]
    closed = staff.post(f"{base}closing/", {"summary": "All is well"}, format="json").json()
    assert (closed["is_open"], closed["summary"], closed["conference_url"]) == (False, "All is well", "")
    assert customer.post(f"{base}notes/", {"text": "One more"}, format="json").status_code == 409


def test_what_a_customer_may_not(base, bridge, a1):
    for noun in ("side-notes/", "closing/", "parts/"):
        answer = bearer(a1).post(f"{base}{noun}", WRITES[noun], format="json")
        assert answer.status_code == 403, noun
        assert answer.json()["detail"] == "Only support staff can do this."
    assert not Message.objects.exists()


def test_a_viewer_reads_comes_and_does_not_write(base, bridge, a3):
    viewer = bearer(a3)
    assert viewer.get(base).json()["conference_url"]
    assert viewer.get(f"{base}notes/").status_code == 200
    assert viewer.post(f"{base}presence/").status_code == 201
    for noun, data in WRITES.items():
        if noun != "presence/":
            assert viewer.post(f"{base}{noun}", data, format="json").status_code == 403, noun
    step = actions.agree_step(
        bridge,
        text="X",
        owner=bridge.opened_by,
        due_at=after(60),
        by=bridge.opened_by,
        now=after(9),
        channel="bridge",
    )
    assert viewer.post(f"{base}steps/{step.pk}/completion/").status_code == 403
    assert not Message.objects.exists()


def test_a_stranger_finds_nothing_and_an_anonymous_one_needs_a_token(base, bridge, b1):
    step = actions.agree_step(
        bridge,
        text="X",
        owner=bridge.opened_by,
        due_at=after(60),
        by=bridge.opened_by,
        now=after(9),
        channel="bridge",
    )
    addresses = [*WRITES, f"steps/{step.pk}/completion/"]
    for noun in addresses:
        assert bearer(b1).post(f"{base}{noun}", WRITES.get(noun), format="json").status_code == 404, noun
        assert APIClient().post(f"{base}{noun}").status_code == 401, noun
    assert bearer(b1).get(base).status_code == 404
    assert bearer(b1).get(f"{base}notes/").status_code == 404
    assert bearer(b1).delete(f"{base}presence/").status_code == 404


def test_a_step_of_another_bridge_is_not_there(bridge, base, b1, g1):
    theirs = factories.incident(b1, T0)
    SupportPlan.objects.update(has_bridge=True)
    other = actions.open_bridge(theirs, by=g1, now=after(3), channel="bridge")
    step = actions.agree_step(
        other, text="X", owner=g1, due_at=after(60), by=g1, now=after(9), channel="bridge"
    )
    for user in (bridge.opened_by, b1):
        assert bearer(user).post(f"{base}steps/{step.pk}/completion/").status_code == 404
    step.refresh_from_db()
    assert step.done_at is None


def test_a_read_token_reads(base, bridge, a1):
    reader = bearer(a1, scope="read")
    assert reader.get(base).status_code == 200
    for noun, data in WRITES.items():
        answer = reader.post(f"{base}{noun}", data, format="json")
        assert (answer.status_code, "only reads" in answer.json()["detail"]) == (403, True), noun
    assert reader.delete(f"{base}presence/").status_code == 403


def test_a_token_for_another_organisation_opens_nothing(base, bridge, a1, nordwind):
    assert bearer(a1, organisation=nordwind).get(base).status_code == 401


def test_not_in_the_plan(p1, base, a1):
    SupportPlan.objects.update(has_bridge=False)
    answer = bearer(a1).post(base)
    assert (answer.status_code, "support plan" in answer.json()["detail"]) == (403, True)


def test_only_a_p1(a1):
    p2 = factories.incident(a1, T0, level="P2")
    SupportPlan.objects.update(has_bridge=True)
    assert bearer(a1).post(f"/api/v1/incidents/{p2.reference}/bridge/").status_code == 409


@pytest.mark.parametrize(
    ("noun", "data", "field"),
    [
        ("notes/", {}, "text"),
        ("notes/", {"text": "  "}, "text"),
        ("notes/", {"text": 7}, "text"),
        ("parts/", {"part": "boss"}, "part"),
        ("parts/", {"part": "scribe", "person": "nobody@acme.example"}, "person"),
        ("parts/", {"part": "scribe", "person": "b1@nordwind.example"}, "person"),
        ("parts/", {"part": "scribe", "person": "a1@acme.example"}, "person"),
        ("parts/", {"part": "scribe", "person": "9" * 40}, "person"),
        ("parts/", {"part": "scribe", "person": "a\0b"}, "person"),
        ("parts/", {"part": "scribe", "person": True}, "person"),
        ("steps/", {"text": "X", "owner": "b1@nordwind.example", "due_at": "2026-03-04T10:00:00Z"}, "owner"),
        ("steps/", {"text": "X", "owner": "a3@acme.example", "due_at": "2026-03-04T10:00:00Z"}, "owner"),
        ("steps/", {"text": "X", "owner": "g1@briqmind.example", "due_at": "2026-03-03T10:00:00Z"}, "due_at"),
        ("steps/", {"text": "X", "owner": "g1@briqmind.example", "due_at": "2026-03-04T10:00:00"}, "due_at"),
        (
            "steps/",
            {"text": "x" * 301, "owner": "g1@briqmind.example", "due_at": "2026-03-04T10:00:00Z"},
            "text",
        ),
        ("closing/", {"summary": ""}, "summary"),
    ],
)
def test_bad_input_says_what_is_wrong(base, bridge, a1, a3, b1, g1, noun, data, field):
    answer = bearer(g1).post(f"{base}{noun}", data, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_a_customer_finds_only_staff_whom_they_met(base, bridge, a1, g2):
    step = {"text": "X", "due_at": "2026-03-04T10:00:00Z"}
    answer = bearer(a1).post(f"{base}steps/", step | {"owner": g2.email}, format="json")
    assert answer.status_code == 400
    answer = bearer(a1).post(f"{base}steps/", step | {"owner": "g1@briqmind.example"}, format="json")
    assert answer.status_code == 201


def test_a_side_note_is_in_no_byte_for_a_customer(p1, base, bridge, a1, a3, g1, client):
    urls = [base, f"{base}notes/", *(f"/api/v1/incidents/{p1.reference}/{noun}" for noun in ("", "events/"))]
    before = [bearer(a1).get(url).content for url in urls]
    assert bearer(g1).post(f"{base}side-notes/", {"text": SECRET}, format="json").status_code == 201
    assert [bearer(a1).get(url).content for url in urls] == before
    assert bearer(a1).get(f"/api/v1/incidents/{p1.reference}/notes/").status_code == 403
    bearer(g1).post(f"{base}closing/", {"summary": actions.draft_summary(bridge, after(10))}, format="json")
    for user in (a1, a3):
        client.force_login(user)
        pages = [f"/incidents/{p1.reference}/", f"/incidents/{p1.reference}/timeline/"]
        texts = [bearer(user).get(url).content for url in urls] + [client.get(url).content for url in pages]
        assert SECRET not in str(texts)
    assert not OutboxMessage.objects.filter(facts__message=Message.objects.get(text=SECRET).pk).exists()
    notes = bearer(g1).get(f"/api/v1/incidents/{p1.reference}/notes/").json()
    assert [note["text"] for note in notes] == [SECRET]


def test_no_etag_tells_a_customer_of_a_side_note(p1, bridge, a1, g1, client):
    client.force_login(a1)
    pages = [f"/incidents/{p1.reference}/now/", f"/incidents/{p1.reference}/timeline/"]
    before = [client.get(page).headers["ETag"] for page in pages]
    actions.side_note(bridge, text=SECRET, by=g1, now=after(10), channel="bridge")
    for page, tag in zip(pages, before, strict=True):
        assert client.get(page, headers={"if-none-match": tag}).status_code == 304
    actions.note_on_bridge(bridge, text="Hello", by=g1, now=after(10), channel="bridge")
    for page, tag in zip(pages, before, strict=True):
        assert client.get(page, headers={"if-none-match": tag}).status_code == 200


def test_of_two_bridges_the_latest_is_shown(p1, base, bridge, a1, g1):
    actions.decide_on_bridge(bridge, text="Old", by=g1, now=after(3), channel="bridge")
    actions.close_bridge(bridge, summary="First", by=g1, now=after(4), channel="bridge")
    assert bearer(a1).get(base).json()["summary"] == "First"
    assert bearer(a1).post(base).status_code == 201
    said = bearer(a1).get(base).json()
    assert (said["is_open"], said["summary"], said["decisions"]) == (True, "", [])
    assert Bridge.objects.count() == 2
