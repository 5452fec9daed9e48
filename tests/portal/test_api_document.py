"""The OpenAPI document says what the API takes and answers; `make test-schema` tries the whole of it."""

import re

import pytest
from django.core.management import call_command

from portal.api_reference import document
from portal.models import Membership
from tests.conftest import T0
from tests.factories import incident

pytestmark = pytest.mark.django_db


def operation(method, path):
    return document()["paths"][f"/api/v1/{path}"][method]


def parameters(method, path):
    return {each["name"]: each["schema"] for each in operation(method, path)["parameters"]}


def needed(method, path):
    body = operation(method, path)["requestBody"]
    name = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    return body.get("required", False), document()["components"]["schemas"][name].get("required", [])


def test_the_document_is_made_without_warnings(tmp_path):
    call_command("spectacular", "--fail-on-warn", "--validate", file=str(tmp_path / "api.yml"))


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("incidents/{reference}/duplicate/", ["original", "reason"]),
        ("maintenance-windows/{reference}/cancellation/", ["reason"]),
        ("channels/{key}/switch/", ["is_active"]),
    ],
)
def test_a_verb_says_what_it_takes_and_that_it_answers_201(path, fields):
    is_needed, required = needed("post", path)
    assert is_needed
    assert sorted(required) == fields
    assert "200" not in operation("post", path)["responses"] or path.startswith("channels")


def test_a_patch_needs_what_its_verb_needs():
    assert needed("patch", "incidents/{reference}/contest/") == (True, ["is_upheld", "reason"])
    assert needed("patch", "organisations/{slug}/teams/{id}/") == (True, ["name"])
    assert needed("patch", "profile/") == (False, [])


def test_only_what_comes_in_pages_has_pages():
    assert "cursor" in parameters("get", "status/")
    assert "cursor" not in parameters("get", "status/{slug}/")
    assert "cursor" not in parameters("post", "status/{slug}/subscription/")
    answer = operation("get", "status/{slug}/")["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["type"] == "array"


def test_a_text_says_that_blanks_are_none():
    fields = document()["components"]["schemas"]["DuplicateRequest"]["properties"]
    pattern = re.compile(fields["reason"]["pattern"])
    assert [bool(pattern.search(text)) for text in ("a", " a ", "", " ", "\x1f", "a\0")] == [
        True,
        True,
        *[False] * 4,
    ]


def test_an_id_to_filter_by_has_its_bounds():
    team = parameters("get", "incidents/")["team"]
    assert (team["type"], team["minimum"], team["maximum"]) == ("integer", 1, 2**63 - 1)


def test_the_schema_of_the_standard_format_says_who_may_not_read_it():
    said = operation("get", "standard-form/")
    assert {"401", "406", "429"} <= set(said["responses"])
    assert "304" not in said["responses"]


def test_nobody_known_is_null_in_the_audit():
    fields = document()["components"]["schemas"]["AuditEntry"]["properties"]
    assert all(fields[name]["nullable"] for name in ("by", "seen_as", "organisation"))


def test_a_list_of_people_promises_only_what_everybody_is_shown():
    listed = document()["components"]["schemas"]["ListedMember"]
    assert sorted(listed["required"]) == ["id", "is_you", "name", "role"]
    assert "email" in listed["properties"]


def test_who_takes_over_is_asked_for_by_the_name_of_the_field(client, a1, a2, acme):
    row = Membership.objects.get(user=a1, organisation=acme)
    client.force_login(a2)
    answer = client.delete(
        f"/api/v1/organisations/acme/people/{row.pk}/",
        {"transfer_to": a1.email},
        content_type="application/json",
    )
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["transfer_to"]


def test_a_status_mail_is_ended_for_one_organisation(client, a1, acme):
    client.force_login(a1)
    answer = client.delete("/api/v1/status/nothing/subscription/?organisation=acme")
    assert answer.status_code == 404


def test_a_size_of_pages_that_is_none_is_refused(client, a1):
    client.force_login(a1)
    one = incident(a1, T0)
    for address in (
        "/api/v1/incidents/?page_size=",
        f"/api/v1/incidents/{one.reference}/clocks/?page_size=5",
    ):
        assert list(client.get(address).json()["errors"]) == ["page_size"]
    assert client.get(f"/api/v1/incidents/{one.reference}/clocks/").status_code == 200


def test_what_goes_in_is_json_and_files_alone_are_forms():
    for path, methods in document()["paths"].items():
        for row in methods.values():
            formats = list(row.get("requestBody", {}).get("content", {"application/json": {}}))
            is_file = path.endswith("/attachments/") and "requestBody" in row
            assert formats == (["multipart/form-data"] if is_file else ["application/json"]), path


def test_choices_and_bounds_are_named():
    schemas = document()["components"]["schemas"]
    assert "Europe/Istanbul" in schemas["TimeZoneEnum"]["enum"]
    assert {"*", "incident.opened"} <= set(schemas["EventsEnum"]["enum"])
    steps = schemas["ActionPlanRequest"]["properties"]["steps"]
    assert (steps["minItems"], steps["maxItems"]) == (1, 100)
    assert schemas["GatherRequest"]["properties"]["organisations"]["maxItems"] == 100
    assert "oneOf" not in schemas["ActionPlanRequest"]["properties"]["summary"]


def test_the_incidents_under_an_outage_are_an_array():
    answer = operation("get", "incidents/{reference}/children/")["responses"]["200"]
    name = answer["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    assert document()["components"]["schemas"][name]["type"] == "array"


def test_an_address_with_a_line_break_is_a_problem_too(client):
    answer = client.get("/api/v1/incidents/a%0Ab/nothing/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
