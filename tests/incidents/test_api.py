"""The API as an outsider meets it: tokens, problem details, the shapes of design §5, and input of every kind."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from incidents import actions
from incidents.defaults import plan_for
from incidents.models import Attachment, Incident, Message
from portal.models import ApiToken, Membership
from tests.conftest import T0
from tests.factories import CANARY, article, clock, incident

API = "/api/v1/"
PROBLEM = "application/problem+json"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


@pytest.fixture(autouse=True)
def at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


def bearer(user, **fields) -> APIClient:
    """A client with a new token of the user; nothing but the token says who it is."""
    made, token = ApiToken.objects.create(user=user)
    ApiToken.objects.filter(pk=made.pk).update(**fields)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def at(made: Incident, noun: str = "") -> str:
    return f"{API}incidents/{made.reference}/{noun}{'/' if noun else ''}"


def check_problem(answer, status: int) -> dict:
    """RFC 9457 in every member; its errors are lists of sentences by field, or lists and objects of such."""
    assert answer.status_code == status, (answer.status_code, answer.content[:500])
    assert answer.headers["Content-Type"] == PROBLEM
    said = json.loads(answer.content)
    assert said["type"].startswith("/api/v1/reference/#problem-")
    assert said["status"] == status
    assert said["title"]
    assert isinstance(said["title"], str)
    assert said["detail"]
    assert isinstance(said["detail"], str)
    assert "Traceback" not in answer.content.decode()
    return said


# --- tokens ---


def test_a_read_token_reads_and_writes_nothing(a1):
    made = incident(a1, T0)
    reader = bearer(a1, scope="read")
    assert reader.get(at(made)).status_code == 200
    assert reader.options(at(made)).status_code == 200
    for method, address in [
        ("post", f"{API}incidents/"),
        ("post", at(made, "replies")),
        ("post", at(made, "attachments")),
        ("put", at(made, "assignment")),
        ("patch", at(made, "contest")),
        ("delete", at(made, "planned-release")),
    ]:
        said = check_problem(getattr(reader, method)(address, {"text": "x"}), 403)
        assert "only reads" in said["detail"]
    assert made.messages.count() == 0


def test_a_token_of_one_organisation_narrows_every_list_and_object(a1, b1, g1, acme, nordwind):
    """Of somebody who belongs to both, and of staff, who see all."""
    plan_for(acme, T0)
    theirs = incident(b1, T0)
    for name, of in (("ours", acme), ("theirs", nordwind), ("for-all", None)):
        article(g1, T0, name, organisation=of)
    only = nordwind.subscriptions.order_by("pk")[0].service
    acme.subscriptions.filter(service=only).delete()
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    for person in (a1, g1):
        wide, narrow = bearer(person), bearer(person, organisation=acme)
        listed = {noun: narrow.get(f"{API}{noun}/").json()["results"] for noun in LISTS}
        assert listed["incidents"] == []
        assert [row["slug"] for row in listed["organisations"]] == ["acme"]
        assert [row["slug"] for row in listed["services"]] == ["vector-store"]
        assert [row["slug"] for row in listed["articles"]] == ["for-all", "ours"]
        for address in (at(theirs), f"{API}services/{only.slug}/", f"{API}articles/theirs/"):
            assert wide.get(address).status_code == 200
            check_problem(narrow.get(address), 404)
        filing = {"title": "x", "claimed_level": "P3", "reporter": a1.email}
        said = check_problem(narrow.post(f"{API}incidents/", filing | {"organisation": "nordwind"}), 400)
        assert list(said["errors"]) == ["organisation"]
        answer = narrow.post(f"{API}incidents/", filing)
        assert (answer.status_code, answer.json()["organisation"]) == (201, "acme")
        Incident.objects.filter(organisation=acme).update(organisation=nordwind)


LISTS = ("incidents", "organisations", "services", "articles")


def test_a_token_of_an_organisation_that_the_person_left_opens_nothing(a1, b1, acme, nordwind):
    made = incident(a1, T0)
    client = bearer(a1, organisation=acme)
    a1.memberships.all().delete()
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    for address in (*(f"{API}{noun}/" for noun in LISTS), at(made)):
        check_problem(client.get(address), 401)
    check_problem(client.post(f"{API}incidents/", {"title": "x", "claimed_level": "P3"}), 401)


def expire(token, person):
    token.expiry = T0 - timedelta(seconds=1)
    token.save()


def revoke(token, person):
    token.delete()


def deactivate(token, person):
    person.is_active = False
    person.save()


def delete_person(token, person):
    person.memberships.all().delete()
    person.delete()


@pytest.mark.parametrize("end", [expire, revoke, deactivate, delete_person])
def test_a_token_that_has_ended_opens_nothing(a1, end):
    client = bearer(a1)
    assert client.get(f"{API}incidents/").status_code == 200
    end(ApiToken.objects.get(), a1)
    for answer in (client.get(f"{API}incidents/"), client.post(f"{API}incidents/", {"title": "x"})):
        check_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "Bearer a b", "Bearer x", "Bearer \xff\xfe", "Bearer " + "a" * 10_000,
        "Token {}", "Basic {}", "{}", "JWT {}", "Bearer, {}", "Bearer {}x", "Bearer {} x",
    ],
)  # fmt: skip
def test_only_a_bearer_s_true_token_is_one(a1, header):
    _, token = ApiToken.objects.create(user=a1)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=header.format(token))
    for address in ("incidents/", "incidents/INC-1001/", "services/", "organisations/", "articles/"):
        answer = client.get(API + address)
        check_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for scheme in ("Bearer", "bearer"):  # schemes are the same in any case (RFC 9110)
        client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
        assert client.get(f"{API}incidents/").status_code == 200


def test_a_session_writes_only_with_its_csrf_token(a1):
    made = incident(a1, T0)
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(a1)
    assert client.get(at(made)).status_code == 200
    check_problem(client.post(at(made, "replies"), {"text": "x"}, content_type="application/json"), 403)


# --- refusals ---


def test_each_refusal_is_a_problem_with_its_own_words(a1, a3, b1, g1):
    made, theirs = incident(a1, T0), incident(b1, T0)
    client, viewer = bearer(a1), bearer(a3)
    refusals = [
        (client.post(f"{API}incidents/", {}), 400, "errors"),
        (client.post(at(made, "replies"), {"text": " "}), 400, "errors"),
        (APIClient().get(at(made)), 401, "credentials"),
        (APIClient().get(f"{API}incidents/INC-987654/"), 401, "credentials"),
        (client.post(at(made, "notes"), {"text": "x"}), 403, "support staff"),
        (client.get(at(made, "notes")), 403, "permission"),
        (viewer.post(at(made, "replies"), {"text": "x"}), 403, "Viewers can read"),
        (client.get(at(theirs)), 404, "not yours to see"),
        (client.post(at(theirs, "replies"), {"text": "x"}), 404, "not yours to see"),
        (client.get(f"{API}incidents/INC-987654/"), 404, "not yours to see"),
        (client.get(f"{API}articles/none/"), 404, "not yours to see"),
        (client.put(at(made), {}), 405, "PUT"),
        (client.delete(f"{API}incidents/"), 405, "DELETE"),
        (client.get(at(made, "resolution")), 405, "GET"),
        (client.get(at(made), headers={"accept": "text/html"}), 406, "Accept"),
        (client.post(at(made, "confirmation"), {}), 409, "not resolved yet"),
        (client.post(at(made, "replies"), "x", content_type="text/plain"), 415, "text/plain"),
    ]
    for answer, status, words in refusals:
        said = check_problem(answer, status)
        assert words in said["detail"], said
        assert ("errors" in said) == (status == 400)
    for answer, _, _ in refusals[:2]:
        for sentences in answer.json()["errors"].values():
            assert sentences
            assert all(isinstance(sentence, str) and sentence for sentence in sentences)
    answers = {client.get(f"{API}incidents/{name}/").content for name in (theirs.reference, "INC-987654")}
    assert len(answers) == 1


@pytest.mark.parametrize(
    "name", ["INC-0", "INC-01001", "inc-1001", "INC-", "1001", "INC-" + "9" * 50, "x.y", "%00"]
)
def test_what_is_no_reference_is_not_there(a1, name):
    incident(a1, T0)
    for address in (f"{API}incidents/{name}/", f"{API}incidents/{name}/clocks/"):
        check_problem(bearer(a1).get(address), 404)
        check_problem(APIClient().get(address), 401)


def test_errors_bear_the_names_of_the_fields_that_were_sent(a1, g1):
    made = incident(a1, T0)
    staff = bearer(g1)
    said = staff.post(
        at(made, "action-plan"),
        {"summary": "", "steps": [{"text": "x", "owner": "y", "due_on": "soon"}], "next_review_at": "later"},
    ).json()
    assert set(said["errors"]) == {"steps", "next_review_at"}
    assert "due_on" in str(said["errors"]["steps"]), said
    for noun, data, field in [
        ("status-updates", {"summary": "x", "state": "solved"}, "state"),
        ("status-updates", {"summary": "x", "next_update_at": "2026-03-02T10:00:00Z"}, "next_update_at"),
        ("status-updates", {"summary": "x", "publish_at": "2026-03-02T10:00:00Z"}, "publish_at"),
        ("planned-release", {"version": "1", "planned_on": "2026-03-02"}, "planned_on"),
        ("planned-release", {"version": "1", "planned_on": "2099-01-01"}, "planned_on"),
        ("assignment", {"assignee": a1.email}, "assignee"),
        ("level-validation", {"level": "P4", "reason": "x"}, "level"),
        ("attachments", {}, "file"),
    ]:
        kind = "multipart" if noun == "attachments" else "json"
        said = check_problem(staff.post(at(made, noun), data, format=kind), 400)
        assert list(said["errors"]) == [field], (noun, said)


# --- lists ---


def test_lists_are_paged(a1):
    for _ in range(3):
        incident(a1, T0)
    client = bearer(a1)
    first = client.get(f"{API}incidents/?page_size=2").json()
    assert (len(first["results"]), first["previous"]) == (2, None)
    second = client.get(first["next"]).json()
    assert (len(second["results"]), second["next"]) == (1, None)
    assert not {r["reference"] for r in first["results"]} & {r["reference"] for r in second["results"]}


@pytest.mark.parametrize(
    "cursor", ["0", "-1", "", "abc", "1.5", "%00", "9" * 5000, "W10:abc", "%F0%9F%92%A9"]
)
def test_a_cursor_that_is_none_is_refused(a1, cursor):
    incident(a1, T0)
    for noun in LISTS:
        said = check_problem(bearer(a1).get(f"{API}{noun}/?cursor={cursor}"), 400)
        assert list(said["errors"]) == ["cursor"]


@pytest.mark.parametrize(
    "query",
    [
        "levle=P1",
        "ordering=title",
        "organisation__name=x",
        "reporter__password__startswith=m",
        "Status=closed",
    ],
)
def test_a_filter_that_is_not_there_is_a_problem_and_not_everything(a1, query):
    incident(a1, T0)
    for noun in LISTS:
        said = check_problem(bearer(a1).get(f"{API}{noun}/?{query}"), 400)
        assert list(said["errors"]) == [query.partition("=")[0]]


def test_filters_narrow(a1, a2, b1, g1):
    made = incident(a1, T0, level="P1", title="Search me")
    other = incident(a1, T0, level="P3", title="Another")
    theirs = incident(b1, T0)
    actions.acknowledge(other, by=g1, now=T0, channel="api")
    for query, found in [
        ("level=P1", [made]),
        ("level=P1&level=P3", [other, made]),
        ("status=acknowledged", [other]),
        ("q=search", [made]),
        (f"q={other.reference}", [other]),
        ("organisation=acme", [other, made]),
        ("organisation=nordwind", []),
        ("service=inference-api", [other, made]),
        ("service=vector-store", []),
        ("format=json", [other, made]),
    ]:
        rows = bearer(a1).get(f"{API}incidents/?{query}").json()["results"]
        assert [row["reference"] for row in rows] == [i.reference for i in found], query
    rows = bearer(g1).get(f"{API}incidents/?organisation=nordwind").json()["results"]
    assert [row["reference"] for row in rows] == [theirs.reference]


def test_articles_services_and_organisations(a1, b1, g1, acme, nordwind):
    article(g1, T0, "open")
    article(g1, T0, "ours", organisation=acme)
    article(g1, T0, "theirs", organisation=nordwind)
    article(g1, T0, "draft", is_published=False)
    client = bearer(a1)
    found = {noun: client.get(f"{API}{noun}/").json()["results"] for noun in LISTS[1:]}
    assert [row["slug"] for row in found["articles"]] == ["open", "ours"]
    assert found["articles"][0] == client.get(f"{API}articles/open/").json()
    assert {k: found["articles"][0][k] for k in ("title", "text", "version", "published_at")} == {
        "title": "How to open",
        "text": "Do **this**.",
        "version": 1,
        "published_at": "2026-03-03T10:00:00Z",
    }
    assert [row["slug"] for row in found["services"]] == ["inference-api", "vector-store"]
    assert [set(row) for row in found["services"]] == [{"id", "slug", "name", "description"}] * 2
    assert [row["slug"] for row in found["organisations"]] == ["acme"]
    for address in ("articles/theirs/", "articles/draft/", "organisations/nordwind/"):
        check_problem(client.get(API + address), 404)
    for method in ("post", "put", "patch", "delete"):
        for address in ("articles/open/", "services/vector-store/", "organisations/acme/"):
            check_problem(getattr(client, method)(API + address, {}), 405)


# --- shapes ---

FIELDS = {
    "reference", "title", "description", "claimed_level", "validated_level", "status", "services", "organisation",
    "reporter", "assignee", "channel", "opened_at", "restored_at", "resolved_at", "closed_at", "clocks",
}  # fmt: skip
CLOCK = {
    "kind", "level", "cycle", "ordinal", "state", "started_at", "due_at", "met_at", "breached_at", "receipts",
}  # fmt: skip
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
A_TIME = re.compile(r"\d{4}-\d\d-\d\dT")


def times_in(value) -> list[str]:
    if isinstance(value, dict):
        return [t for v in value.values() for t in times_in(v)]
    if isinstance(value, list):
        return [t for v in value for t in times_in(v)]
    return [value] if isinstance(value, str) and A_TIME.match(value) else []


@pytest.fixture
def lived(a1, g1, at_t0):
    """An incident with a question, its answer, a breach, a release plan and an end."""
    made = incident(a1, T0, level="P1", description="Since noon")
    steps = [
        (5, actions.ask_customer, {"by": g1, "text": "Which region?"}),
        (50, actions.reply, {"by": a1, "text": "All of them."}),
        (60, actions.start_intervention, {"by": g1}),
        (70, actions.restore, {"by": g1}),
        (90, actions.resolve, {"by": g1, "cause": "A node died.", "remedy": "Replaced it."}),
        (95, actions.confirm, {"by": a1}),
    ]
    for minutes, use, more in steps:
        use(made, now=T0 + timedelta(minutes=minutes), channel="api", **more)
    at_t0.move_to(T0 + timedelta(hours=2))
    return Incident.objects.get()


def test_an_incident_has_the_fields_of_the_design(a1, lived):
    client = bearer(a1)
    shown = client.get(at(lived)).json()
    assert set(shown) >= FIELDS
    assert {name: shown[name] for name in FIELDS if name != "clocks"} == {
        "reference": lived.reference,
        "title": "API down",
        "description": "Since noon",
        "claimed_level": "P1",
        "validated_level": None,
        "status": "closed",
        "services": ["inference-api"],
        "organisation": "acme",
        "reporter": a1.email,
        "assignee": "Gül One",
        "channel": "portal",
        "opened_at": "2026-03-03T10:00:00Z",
        "restored_at": "2026-03-03T11:10:00Z",
        "resolved_at": "2026-03-03T11:30:00Z",
        "closed_at": "2026-03-03T11:35:00Z",
    }
    row = client.get(f"{API}incidents/").json()["results"][0]
    assert row == {name: value for name, value in shown.items() if name != "clocks"}
    assert shown["clocks"] == client.get(at(lived, "clocks")).json()


def test_a_clock_has_the_fields_of_the_design(a1, lived):
    clocks = bearer(a1).get(at(lived, "clocks")).json()
    assert {c["kind"] for c in clocks} == {"first_response", "target_action", "status_update", "rca"}
    for shown in clocks:
        assert set(shown) >= CLOCK
        assert (type(shown["cycle"]), type(shown["ordinal"])) == (int, int)
        assert shown["state"] in ("running", "paused", "met", "breached", "replaced", "cancelled")
        for receipt in shown["receipts"]:
            assert {"from", "until", "counted", "reason"} <= set(receipt)
            assert type(receipt["counted"]) is bool
            assert receipt["counted"] != bool(receipt["reason"])
            assert receipt["from"] < receipt["until"]
        edges = [(r["from"], r["until"]) for r in shown["receipts"]]
        assert all(a[1] == b[0] for a, b in pairwise(edges))
        assert not edges or edges[0][0] == shown["started_at"]
    target = next(c for c in clocks if c["kind"] == "target_action")
    assert target["met_at"] == "2026-03-03T11:00:00Z"
    assert [(r["from"][11:16], r["until"][11:16], r["counted"], r["reason"]) for r in target["receipts"]] == [
        ("10:00", "10:05", True, ""),
        ("10:05", "10:50", False, "waiting for customer"),
        ("10:50", "11:00", True, ""),
    ]
    breached = next(c for c in clocks if c["state"] == "breached")
    assert (breached["kind"], breached["breached_at"]) == ("status_update", breached["due_at"])


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York"])
def test_every_time_is_utc_whatever_the_reader_s_zone(a1, lived, g1, zone):
    for person in (a1, g1):
        person.time_zone, person.language = zone, "tr"
        person.save()
    session = Client()
    session.force_login(a1)
    for client in (bearer(a1), bearer(g1), session):
        for noun in (
            "",
            "events",
            "clocks",
            "replies",
            "status-updates",
            "action-plan",
            "rca",
            "attachments",
        ):
            found = times_in(client.get(at(lived, noun)).json())
            assert all(UTC_TIME.fullmatch(t) for t in found), (noun, found)
            assert found or noun in ("status-updates", "action-plan", "attachments")
    assert session.get(at(lived)).json()["opened_at"] == "2026-03-03T10:00:00Z"


def test_a_customer_reads_no_internal_word_in_any_noun(a1, g1, lived):
    actions.add_note(lived, by=g1, now=T0 + timedelta(hours=2), channel="admin", text=f"internal {CANARY}")
    client, staff = bearer(a1), bearer(g1)
    for noun in (
        "",
        "events",
        "clocks",
        "replies",
        "status-updates",
        "action-plan",
        "planned-release",
        "rca",
    ):
        said = client.get(at(lived, noun)).content.decode()
        assert CANARY not in said
        assert "note_added" not in said
    assert CANARY in staff.get(at(lived, "notes")).content.decode()
    assert "note_added" in staff.get(at(lived, "events")).content.decode()


# --- filing ---


def test_what_is_filed_is_answered_in_full(a1):
    plan_for(a1.memberships.get().organisation, T0)
    data = {
        "title": " Down\nagain ",
        "claimed_level": "P1",
        "services": ["inference-api"],
        "impact": "outage",
    }
    answer = bearer(a1).post(f"{API}incidents/", data)
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["title"], shown["channel"], shown["reporter"]) == ("Down again", "api", a1.email)
    assert (shown["services"], shown["status"], shown["revision"]) == (["inference-api"], "reported", 1)
    assert bearer(a1).get(f"{API}incidents/{shown['reference']}/").json() == shown


def test_fields_that_are_not_asked_for_have_no_effect(a1, g1):
    more = {
        "status": "closed",
        "validated_level": "P3",
        "level": "P3",
        "cycle": 9,
        "revision": 99,
        "opened_at": "2020-01-01T00:00:00Z",
        "received_at": "2020-01-01T00:00:00Z",
        "assignee": g1.email,
        "channel": "portal",
        "by": g1.pk,
        "now": "2020-01-01T00:00:00Z",
        "is_public": False,
        "is_from_staff": True,
        "author": g1.pk,
        "kind": "note",
        "files": ["x"],
    }
    plan_for(a1.memberships.get().organisation, T0)
    client = bearer(a1)
    filed = client.post(f"{API}incidents/", more | {"title": "x", "claimed_level": "P1"})
    assert filed.status_code in (201, 400)
    shown = filed.json()
    assert (shown["status"], shown["validated_level"], shown["level"], shown["cycle"]) == (
        "reported",
        None,
        "P1",
        1,
    )
    assert (shown["opened_at"], shown["assignee"], shown["channel"]) == ("2026-03-03T10:00:00Z", None, "api")
    made = Incident.objects.get()
    assert client.post(at(made, "replies"), more | {"text": "x"}).status_code in (201, 400)
    message = Message.objects.get()
    assert (message.author, message.kind, message.is_public, message.is_from_staff) == (
        a1,
        "reply",
        True,
        False,
    )
    assert (message.received_at, message.channel) == (T0, "api")


# --- revisions ---


def test_a_stale_revision_is_a_conflict_that_says_so(a1, g1):
    made = incident(a1, T0)
    client = bearer(a1)
    seen = client.get(at(made)).json()["revision"]
    answer = client.post(at(made, "replies"), {"text": "first"}, headers={"X-Revision": str(seen)})
    assert answer.status_code == 201
    for noun, data in [("replies", {"text": "second"}), ("withdrawal", {"reason": "x"})]:
        said = check_problem(client.post(at(made, noun), data, headers={"X-Revision": str(seen)}), 409)
        assert "changed the incident" in said["detail"]
        assert said["revision"] == answer.json()["revision"] == seen + 1
    assert [m.text for m in made.messages.all()] == ["first"]
    now = {"X-Revision": str(said["revision"])}
    assert client.post(at(made, "replies"), {"text": "second"}, headers=now).status_code == 201
    assert client.post(at(made, "replies"), {"text": "third"}).status_code == 201


def test_staleness_is_seen_by_every_verb(a1, g1):
    made = incident(a1, T0, level="P3")
    article(g1, T0)
    for noun, method, data, _status in VERBS:
        data = data | ({"file": SimpleUploadedFile("a.txt", b"x")} if noun == "attachments" else {})
        kind = "multipart" if noun == "attachments" else "json"
        call = getattr(bearer(g1), method)
        answer = call(at(made, noun), data, format=kind, headers={"X-Revision": "77"})
        if answer.status_code != 403:  # what staff may not do at all is said first
            assert check_problem(answer, 409)["revision"] == 1, noun


@pytest.mark.parametrize("revision", ["abc", "-1", "1.0", "²", "1, 2", "9" * 5000, '"1"', "*"])
def test_a_revision_that_is_none_is_refused_rather_than_ignored(a1, revision):
    made = incident(a1, T0)
    answer = bearer(a1).post(at(made, "replies"), {"text": "x"}, HTTP_X_REVISION=revision)
    assert list(check_problem(answer, 400)["errors"]) == ["X-Revision"]
    assert made.messages.count() == 0


# --- every noun, for an agent ---

STEPS = [{"text": "Replace the node", "owner": "Gül", "due_on": "2026-03-05"}]
VERBS = [
    ("acknowledgement", "post", {}, "acknowledged"),
    ("replies", "post", {"text": "x"}, "acknowledged"),
    ("notes", "post", {"text": "x"}, "reported"),
    ("question", "post", {"text": "x"}, "waiting_for_customer"),
    ("level-validation", "post", {"level": "P3", "reason": "x"}, "reported"),
    ("assignment", "post", {"assignee": "g1@briqmind.example"}, "reported"),
    ("assignment", "put", {"assignee": "G1@BriqMind.example"}, "reported"),
    ("intervention", "post", {}, "in_progress"),
    ("intervention", "post", {"engineer": "g1@briqmind.example"}, "in_progress"),
    ("action-plan", "post", {"steps": STEPS, "next_review_at": "2026-03-04T10:00:00Z"}, "in_progress"),
    ("status-updates", "post", {"summary": "x"}, "acknowledged"),
    ("status-updates", "post", {"summary": "x", "publish_at": "2026-03-03T13:10:00+03:00"}, "reported"),
    ("planned-release", "post", {"version": "2.1", "planned_on": "2026-03-06"}, "in_progress"),
    ("documented-solution", "post", {"article": "fix", "text": "x"}, "resolved"),
    ("restoration", "post", {}, "reported"),
    ("withdrawal", "post", {"reason": "x"}, "closed"),
    ("attachments", "post", {}, "reported"),
]


@pytest.mark.parametrize(("noun", "method", "data", "status"), VERBS, ids=lambda value: str(value)[:20])
def test_an_agent_has_a_noun_for_every_verb(a1, g1, noun, method, data, status):
    made = incident(a1, T0, level="P3")
    article(g1, T0)
    kind = "json"
    if noun == "attachments":
        data, kind = {"file": SimpleUploadedFile("a.png", PNG)}, "multipart"
    answer = getattr(bearer(g1), method)(at(made, noun), data, format=kind)
    assert answer.status_code == 201, answer.content
    assert answer.json()["status"] == status
    assert answer.json() == bearer(g1).get(at(made)).json()
    assert made.events.order_by("-pk")[0].by == g1
    assert made.events.order_by("-pk")[0].channel == "api"


def test_an_agent_s_nouns_that_need_an_earlier_one(a1, g1, m1):
    made = incident(a1, T0, level="P3")
    staff, customer, manager = bearer(g1), bearer(a1), bearer(m1)
    noon = "2026-03-09"
    for client, method, noun, data, status in [
        (staff, "post", "contest", {"reason": "x"}, 403),
        (staff, "patch", "contest", {"is_upheld": True, "reason": "x"}, 403),
        (manager, "patch", "contest", {"is_upheld": True, "reason": "x"}, 409),
        (staff, "post", "level-validation", {"level": "P1", "reason": "x"}, 201),
        (staff, "post", "level-validation", {"level": "P2", "reason": "x"}, 201),
        (customer, "post", "contest", {"reason": "x"}, 201),
        (customer, "post", "contest", {"reason": "x"}, 409),
        (manager, "patch", "contest", {"is_upheld": False, "reason": "x"}, 201),
        (staff, "post", "rca", {}, 201),
        (staff, "post", "rca", {}, 409),
        (staff, "post", "planned-release", {"version": "1", "planned_on": noon}, 201),
        (staff, "post", "planned-release", {"version": "2", "planned_on": noon}, 409),
        (staff, "patch", "planned-release", {}, 400),
        (staff, "patch", "planned-release", {"planned_on": noon}, 400),
        (staff, "patch", "planned-release", {"planned_on": "2026-03-10"}, 201),
        (staff, "patch", "planned-release", {"is_shipped": True}, 201),
        (staff, "patch", "planned-release", {"is_shipped": True}, 409),
        (staff, "delete", "planned-release", {}, 400),
        (staff, "delete", "planned-release", {"reason": "x"}, 201),
        (staff, "post", "confirmation", {}, 403),
        (customer, "post", "confirmation", {}, 409),
        (staff, "post", "resolution", {"cause": "x", "remedy": "y"}, 201),
        (staff, "post", "reopening", {"reason": "x"}, 201),
        (staff, "post", "resolution", {"cause": "x", "remedy": "y"}, 201),
        (customer, "post", "confirmation", {"text": "thanks"}, 201),
        (customer, "post", "reopening", {"reason": "again"}, 201),
        (staff, "post", "duplicate", {"original": "INC-999999", "reason": "x"}, 400),
        (staff, "post", "duplicate", {"original": incident(a1, T0).reference, "reason": "x"}, 201),
    ]:
        answer = getattr(client, method)(at(made, noun), data)
        assert answer.status_code == status, (noun, data, answer.content)
        if status >= 400:
            check_problem(answer, status)
    assert clock(made, "rca", cycle=1) is not None


def test_a_duty_manager_declares_a_major_incident(a1, g1, m1):
    made = incident(a1, T0, level="P2")
    assert bearer(a1).get(at(made)).json()["is_major"] is False
    for client, data, status in [
        (bearer(a1), {"reason": "x"}, 403),
        (bearer(g1), {"reason": "x"}, 403),
        (bearer(m1), {"reason": " "}, 400),
        (bearer(m1), {}, 400),
        (bearer(m1), {"reason": "Payments stand still."}, 201),
        (bearer(m1), {"reason": "x"}, 409),
    ]:
        answer = client.post(at(made, "major-incident"), data)
        assert answer.status_code == status, answer.content
        if status >= 400:
            check_problem(answer, status)
    assert bearer(a1).get(at(made)).json()["is_major"] is True
    assert [row["is_major"] for row in bearer(a1).get(f"{API}incidents/").json()["results"]] == [True]


def test_reading_nouns(a1, g1):
    made = incident(a1, T0, level="P2")
    staff = bearer(g1)
    for noun, method, data, _ in VERBS:
        if noun in ("replies", "notes", "action-plan", "status-updates", "planned-release"):
            assert getattr(staff, method)(at(made, noun), data).status_code == 201
    staff.post(at(made, "attachments"), {"file": SimpleUploadedFile("a.png", PNG)}, format="multipart")
    kinds = [event["kind"] for event in staff.get(at(made, "events")).json()]
    assert kinds[0] == "opened"
    assert {"staff_replied", "note_added", "action_plan_filed", "release_planned", "files_attached"} <= set(
        kinds
    )
    assert [m["text"] for m in staff.get(at(made, "replies")).json()] == ["x"]
    assert [m["kind"] for m in staff.get(at(made, "notes")).json()] == ["note"]
    (plan,) = staff.get(at(made, "action-plan")).json()
    assert (plan["steps"], plan["next_review_at"]) == (STEPS, "2026-03-04T10:00:00Z")
    published, scheduled = staff.get(at(made, "status-updates")).json()
    assert (published["publication"], scheduled["publication"]) == ("published", "scheduled")
    assert scheduled["publish_at"] == "2026-03-03T10:10:00Z"
    assert len(bearer(a1).get(at(made, "status-updates")).json()) == 1
    (release,) = staff.get(at(made, "planned-release")).json()
    assert (release["version"], release["planned_on"]) == ("2.1", "2026-03-06")
    rca = staff.get(at(made, "rca")).json()
    assert (rca["is_owed"], rca["due_at"], rca["form"]) == (False, None, None)
    assert [f["name"] for f in staff.get(at(made, "attachments")).json()] == ["a.png"]


# --- files ---


def attach(client, made, *files, **more):
    return client.post(at(made, "attachments"), {"file": list(files)}, format="multipart", **more)


def many(count):
    return [SimpleUploadedFile(f"{n}.txt", b"x") for n in range(count)]


def test_a_file_is_kept_under_a_random_name_and_served_as_one_that_cannot_act(a1, a2, b1, client):
    made = incident(a1, T0)
    page = SimpleUploadedFile("../../<b>page</b>.txt", b"<script>alert(1)</script>", "text/html")
    assert attach(bearer(a1), made, page).status_code == 201
    (shown,) = bearer(a2).get(at(made, "attachments")).json()
    assert set(shown) == {"id", "name", "content_type", "size", "uploaded_at", "scan", "url"}
    assert (shown["content_type"], shown["size"]) == ("text/plain", 25)
    assert "/" not in shown["name"]
    assert "<" not in shown["name"]
    stored = Attachment.objects.get().file
    assert re.fullmatch(r"incidents/[0-9a-f]{32}", stored.name)
    assert Path(settings.MEDIA_ROOT, stored.name).read_bytes() == b"<script>alert(1)</script>"
    client.force_login(a2)
    served = client.get(shown["url"])
    assert b"".join(served.streaming_content) == b"<script>alert(1)</script>"
    assert served.headers["Content-Disposition"].startswith("attachment")
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in served.headers["Content-Security-Policy"]
    stranger = bearer(b1)
    check_problem(stranger.get(at(made, "attachments")), 404)
    check_problem(attach(stranger, made, SimpleUploadedFile("a.txt", b"x")), 404)
    client.force_login(b1)
    assert client.get(shown["url"]).status_code == 404
    assert Attachment.objects.count() == 1


@pytest.mark.parametrize(
    "file",
    [
        ("page.html", b"<b>"), ("a.svg", b"<svg/>"), ("tool.exe", b"MZ"), ("a.png", b"<b>"), ("a.txt", b""),
        ("x", b"x"), ("graph.png.js", PNG), ("a.txt", b"MZ\x90\x00" + bytes(64)),
    ],
    ids=lambda file: file[0],
)  # fmt: skip
def test_a_file_of_another_kind_is_refused_and_with_it_the_others(a1, file):
    made = incident(a1, T0)
    good = SimpleUploadedFile("good.txt", b"x")
    said = check_problem(attach(bearer(a1), made, good, SimpleUploadedFile(*file, "image/png")), 400)
    assert list(said["errors"]) == ["file"]
    assert Attachment.objects.count() == 0
    assert made.events.count() == 1


def test_a_file_may_have_25_mb_and_ten_may_come_at_once(a1):
    assert settings.UPLOAD_MAX_BYTES == 25 * 1024 * 1024
    made, client = incident(a1, T0), bearer(a1)
    most = SimpleUploadedFile("app.log", b"x" * settings.UPLOAD_MAX_BYTES)
    assert attach(client, made, most).status_code == 201
    said = check_problem(attach(client, made, SimpleUploadedFile("app.log", b"x" * (most.size + 1))), 400)
    assert "larger than 25" in said["errors"]["file"][0]
    assert list(check_problem(attach(client, made, *many(11)), 400)["errors"]) == ["file"]
    assert attach(client, made, *many(10)).status_code == 201
    assert Attachment.objects.count() == 11


@pytest.mark.parametrize("field", ["files", "attachment", "text"])
def test_a_file_in_another_field_is_not_lost_in_silence(a1, field):
    made = incident(a1, T0)
    data = {field: SimpleUploadedFile("a.txt", b"x")}
    said = check_problem(bearer(a1).post(at(made, "attachments"), data, format="multipart"), 400)
    assert list(said["errors"]) == ["file"]


def test_a_viewer_attaches_nothing(a1, a3):
    made = incident(a1, T0)
    check_problem(attach(bearer(a3), made, SimpleUploadedFile("a.txt", b"x")), 403)
    assert Attachment.objects.count() == 0


# --- the schema ---


# The schema itself, and what only Slack and Mattermost call, in formats that they document.
UNNAMED = {
    f"/api/v1/{noun}/"
    for noun in ("schema", "reference", "channels/slack/{key}", "channels/mattermost/{key}")
}


def routes() -> set[str]:
    """Every address below api/v1/ as the schema writes it."""
    found = set()
    for entry in get_resolver().url_patterns:
        if str(entry.pattern) == "api/v1/":
            for inner in entry.url_patterns:
                for pattern in getattr(inner, "url_patterns", [inner]):
                    text = re.sub(r"\(\?P<(\w+)>[^()]*\)", r"{\1}", str(pattern.pattern))
                    text = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", text)
                    found.add("/api/v1/" + re.sub(r"[\^$]|\\Z", "", text))
    return found


def test_the_schema_is_made_without_warnings_and_names_every_route(tmp_path):
    file = tmp_path / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file), stderr=StringIO())
    schema = SchemaGenerator().get_schema(request=None, public=True)
    named = set(schema["paths"])
    assert routes() - UNNAMED == named
    operations = [o["operationId"] for path in schema["paths"].values() for o in path.values()]
    assert len(operations) == len(set(operations))
    nouns = (
        "events clocks replies notes level-validation contest assignment intervention action-plan question"
    )
    nouns += (
        " status-updates planned-release documented-solution restoration resolution confirmation reopening"
    )
    nouns += " withdrawal rca attachments major-incident"
    assert {f"/api/v1/incidents/{{reference}}/{noun}/" for noun in nouns.split()} <= named
    assert {f"/api/v1/{noun}/" for noun in LISTS} <= named


def test_the_schema_speaks_of_what_is_sent_and_answered(a1, lived):
    schema = SchemaGenerator().get_schema(request=None, public=True)
    shapes = schema["components"]["schemas"]
    shown = bearer(a1).get(at(lived)).json()
    assert set(shapes["Incident"]["properties"]) == set(shown)
    assert set(shapes["Clock"]["properties"]) == set(shown["clocks"][0])
    assert set(shapes["Receipt"]["properties"]) == set(shown["clocks"][0]["receipts"][0])
    assert shapes["Incident"]["properties"]["validated_level"]["nullable"] is True
    schemes = schema["components"]["securitySchemes"]
    assert {"type": "http", "scheme": "bearer"}.items() <= schemes["personToken"].items()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert {"401", "403", "404"} <= set(operation["responses"]) or "{" not in path, (path, method)


def test_the_schema_and_its_page_are_for_who_is_signed_in(a1):
    for noun in ("schema", "reference"):
        check_problem(APIClient().get(f"{API}{noun}/"), 401)
    assert bearer(a1).get(f"{API}schema/").status_code == 200
