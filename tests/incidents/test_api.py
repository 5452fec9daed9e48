"""The API's door: tokens, problem details, shapes, and bad input that never becomes a traceback."""

import json
from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from incidents.models import Incident, IncidentEvent
from portal.models import ApiToken, Membership, Service, ServiceSubscription
from tests.conftest import T0
from tests.factories import article, incident, organisation
from tests.journeys.stage import api

BASE = "/api/v1/incidents/"
CLOCK_FIELDS = {
    "kind", "level", "cycle", "ordinal", "state", "started_at", "due_at", "met_at", "breached_at", "receipts",
}  # fmt: skip
INCIDENT_FIELDS = {
    "reference", "title", "description", "claimed_level", "validated_level", "status", "services", "organisation",
    "reporter", "assignee", "channel", "opened_at", "restored_at", "resolved_at", "closed_at", "clocks",
}  # fmt: skip
VERBS = {  # noun -> a body that its shape accepts
    "replies": {"text": "x"},
    "notes": {"text": "x"},
    "question": {"text": "x"},
    "level-validation": {"level": "P2", "reason": "x"},
    "contest": {"reason": "x"},
    "acknowledgement": {},
    "assignment": {"assignee": None},
    "intervention": {},
    "action-plan": {
        "steps": [{"text": "x", "owner": "x", "due_on": "2026-04-01"}],
        "next_review_at": "2026-04-01T10:00:00Z",
    },
    "status-updates": {"summary": "x"},
    "planned-release": {"version": "1", "planned_on": "2026-04-01"},
    "documented-solution": {"article": "fix", "text": "x"},
    "restoration": {"text": "x"},
    "resolution": {"cause": "x", "remedy": "x"},
    "confirmation": {"text": "x"},
    "reopening": {"reason": "x"},
    "withdrawal": {"reason": "x"},
    "duplicate": {"original": "INC-1001", "reason": "x"},
    "rca": {},
    "attachments": {},
}
NASTY = [
    None, True, -1, 10**30, 1.5e308, "", " ", "\0", "a\0b", "x" * 60_001, "\ud800", [], [[]], {}, {"a": 1},
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59", "9999-12-31", "0001-01-01", "2026-02-30",
    "2026-03-03T10:00:00", "INC-99999999999999999", "'; drop table", "٣", "P1 ",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def made(a1):
    return incident(a1, T0)


def with_token(user, **fields):
    """A caller with a real token of the person."""
    token, key = ApiToken.objects.create(user=user, **fields)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client, token


def is_problem(answer, status):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"].startswith("application/problem+json")
    body = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    assert body["detail"]
    return body


# --- tokens ---


def test_a_token_opens_the_api_until_it_ends(a1, made):
    client, _ = with_token(a1, expiry=timedelta(days=365))
    assert client.get(BASE).status_code == 200
    with time_machine.travel(T0 + timedelta(days=366), tick=False):
        is_problem(client.get(BASE), 401)
    client, token = with_token(a1)
    a1.is_active = False
    a1.save()
    is_problem(client.get(BASE), 401)
    a1.is_active = True
    a1.save()
    assert client.get(BASE).status_code == 200
    token.delete()
    is_problem(client.get(BASE), 401)


@pytest.mark.parametrize("header", ["Token {}", "Basic {}", "Bearer", "Bearer {} x", "bearer{}", ""])
def test_only_a_bearer_token_opens_it(a1, header):
    _, key = ApiToken.objects.create(user=a1)
    client = APIClient()
    if header:
        client.credentials(HTTP_AUTHORIZATION=header.format(key))
    answer = is_problem(client.get(BASE), 401)
    assert client.get(BASE)["WWW-Authenticate"].startswith("Bearer"), answer


def test_a_read_token_only_reads(a1, made):
    client, _ = with_token(a1, scope=ApiToken.Scope.READ)
    assert client.get(f"{BASE}{made.reference}/").status_code == 200
    for noun, body in VERBS.items():
        is_problem(client.post(f"{BASE}{made.reference}/{noun}/", body), 403)
    is_problem(client.post(BASE, {"title": "x", "claimed_level": "P1"}), 403)
    assert made.events.count() == 1


def test_a_token_for_one_organisation_shows_no_other(a1, g1, acme, made):
    other = organisation("Zeta")
    Membership.objects.create(user=a1, organisation=other, role="member")
    client, _ = with_token(a1, organisation=other)
    assert client.get(BASE).json()["results"] == []
    only_here = Service.objects.create(name="Only Acme", slug="only-acme")
    ServiceSubscription.objects.create(organisation=acme, service=only_here)
    article(g1, T0, "of-acme", organisation=acme)
    article(g1, T0, "of-zeta", organisation=other)
    article(g1, T0, "for-all")
    for noun, seen in (("services", {"inference-api", "vector-store"}), ("articles", {"of-zeta", "for-all"})):
        assert {row["slug"] for row in client.get(f"/api/v1/{noun}/").json()["results"]} == seen
    is_problem(client.get(f"{BASE}{made.reference}/"), 404)
    body = is_problem(client.post(BASE, {"title": "x", "claimed_level": "P1", "organisation": "acme"}), 400)
    assert "organisation" in body["errors"]
    filed = client.post(BASE, {"title": "x", "claimed_level": "P1"})
    assert (filed.status_code, filed.json()["organisation"]) == (201, "zeta")


# --- refusals are problem details ---


def test_every_refusal_is_a_problem_detail(a1, a3, b1, g1, made):
    path = f"{BASE}{made.reference}/"
    is_problem(APIClient().get(path), 401)
    is_problem(api(b1).get(path), 404)
    is_problem(api(a1).get(f"{BASE}INC-9999/"), 404)
    is_problem(api(a3).post(f"{path}replies/", {"text": "x"}), 403)
    is_problem(api(a1).put(path, {}), 405)
    is_problem(api(a1).post(f"{path}replies/", "x", content_type="text/plain"), 415)
    is_problem(api(a1).post(f"{path}replies/", "{", content_type="application/json"), 400)
    is_problem(api(g1).post(f"{path}confirmation/"), 403)
    is_problem(api(a1).post(f"{path}confirmation/"), 409)
    body = is_problem(api(a1).post(f"{path}replies/", {}), 400)
    assert body["errors"]["text"]
    is_problem(api(a1).get(BASE, {"page": "0"}), 404)
    is_problem(api(a1).get(BASE, {"level": "P9"}), 400)


def test_a_stale_revision_is_a_conflict_and_an_unreadable_one_is_told(g1, made):
    path = f"{BASE}{made.reference}/acknowledgement/"
    caller = api(g1)
    assert is_problem(caller.post(path, headers={"X-Revision": "99"}), 409)
    assert is_problem(caller.post(path, headers={"X-Revision": "first"}), 400)
    assert caller.post(path, headers={"X-Revision": str(made.revision)}).status_code == 201


# --- shapes ---


def test_an_incident_and_its_clocks_have_the_promised_fields(a1, made):
    read = api(a1).get(f"{BASE}{made.reference}/").json()
    assert set(read) >= INCIDENT_FIELDS
    assert [clock["kind"] for clock in read["clocks"]] == ["first_response", "target_action", "status_update"]
    with time_machine.travel(T0 + timedelta(minutes=3), tick=False):
        clocks = api(a1).get(f"{BASE}{made.reference}/clocks/").json()
    for clock in clocks:
        assert set(clock) == CLOCK_FIELDS
        assert clock["started_at"].endswith("Z")
        for receipt in clock["receipts"]:
            assert {"from", "until", "counted", "reason"} <= set(receipt)
            assert datetime.fromisoformat(receipt["until"]) > datetime.fromisoformat(receipt["from"])


def test_the_reader_s_zone_changes_no_time_of_the_api(client, a1, made):
    a1.time_zone = "Asia/Kathmandu"
    a1.save()
    client.force_login(a1)
    assert client.get(f"{BASE}{made.reference}/").json()["opened_at"] == "2026-03-03T10:00:00Z"
    token, _ = with_token(a1)
    assert token.get(f"{BASE}{made.reference}/").json()["opened_at"] == "2026-03-03T10:00:00Z"


def test_the_schema_names_every_route_without_a_warning(capsys, db):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    nouns = {path.split("/")[5] for path in paths if path.startswith("/api/v1/incidents/{reference}/")} - {""}
    assert set(VERBS) | {"events", "clocks"} <= nouns
    for noun in ("articles", "services", "organisations"):
        assert f"/api/v1/{noun}/" in paths


def test_what_nobody_may_set_is_ignored(a1, nordwind, made):
    filed = (
        api(a1)
        .post(
            BASE,
            {
                "title": "x",
                "claimed_level": "P3",
                "status": "closed",
                "validated_level": "P1",
                "opened_at": "2020-01-01T00:00:00Z",
                "reference": "INC-1",
                "is_internal": True,
                "author": 1,
            },
        )
        .json()
    )
    assert (filed["status"], filed["validated_level"], filed["opened_at"]) == (
        "reported",
        None,
        "2026-03-03T10:00:00Z",
    )
    is_problem(api(a1).post(BASE, {"title": "x", "claimed_level": "P3", "organisation": "nordwind"}), 400)
    assert not nordwind.incidents.exists() if hasattr(nordwind, "incidents") else True


# --- files ---


def test_files_come_in_and_go_out_as_attachments(a1, b1, made):
    path = f"{BASE}{made.reference}/attachments/"
    log = SimpleUploadedFile("run.log", b"line one\n", content_type="text/plain")
    assert api(a1).post(path, {"file": log}, format="multipart").status_code == 201
    (listed,) = api(a1).get(path).json()
    assert (listed["name"], listed["size"]) == ("run.log", 9)
    reader = APIClient()
    reader.force_login(a1)
    served = reader.get(listed["url"])
    assert served["Content-Disposition"].startswith("attachment")
    assert served["X-Content-Type-Options"] == "nosniff"
    assert b"".join(served.streaming_content) == b"line one\n"
    stranger = APIClient()
    stranger.force_login(b1)
    assert stranger.get(listed["url"]).status_code == 404
    bad = SimpleUploadedFile("page.html", b"<script>1</script>", content_type="text/plain")
    is_problem(api(a1).post(path, {"file": bad}, format="multipart"), 400)
    is_problem(api(a1).post(path, {}, format="multipart"), 400)


# --- bad input ---


@pytest.mark.parametrize("noun", sorted(VERBS))
def test_no_input_of_a_verb_becomes_a_traceback_or_a_half_written_state(noun, g1, a1, made):
    article(g1, T0)
    caller = api(g1 if noun not in ("contest", "confirmation", "reopening", "withdrawal") else a1)
    caller.raise_request_exception = False
    bodies = [[], "x", None, 7, {}]
    bodies += [VERBS[noun] | {name: nasty} for name in VERBS[noun] for nasty in NASTY]
    for body in bodies:
        answer = caller.post(
            f"{BASE}{made.reference}/{noun}/", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code < 500, (noun, body, answer.content[:500])
        if answer.status_code >= 400:
            is_problem(answer, answer.status_code)
    for event in IncidentEvent.objects.filter(incident=made):
        assert event.recorded_at == T0
    call_command("verify_clocks")


@pytest.mark.parametrize("name", ["title", "description", "claimed_level", "impact", "services", "organisation", "reporter"])  # fmt: skip
def test_no_report_becomes_a_traceback(name, a1):
    caller = api(a1)
    caller.raise_request_exception = False
    good = {"title": "x", "claimed_level": "P1"}
    for nasty in [*NASTY, ["inference-api", "nope"], [None], [["x"]], "x" * 300]:
        answer = caller.post(BASE, json.dumps(good | {name: nasty}), content_type="application/json")
        assert answer.status_code in (201, 400), (name, nasty, answer.content[:500])
    for made in Incident.objects.all():
        assert made.title.strip()
        assert made.events.count() == 1


@pytest.mark.parametrize(
    "query", ["q=%00", "q=%F0%9F%92%A9", "level=%00", "status=x", "page=x", "page=-1", "page_size=1e9",
              "organisation=%00", "service='", "q=" + "x" * 5000, "level=P1&level=P2", "q=INC-99999999999999999999"],
)  # fmt: skip
def test_no_filter_becomes_a_traceback(query, a1, made):
    caller = api(a1)
    caller.raise_request_exception = False
    assert caller.get(f"{BASE}?{query}").status_code in (200, 400, 404)
