"""The standard format: its JSON is what the schema says, whatever a form holds."""

from datetime import UTC, date, datetime

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from portal.standard_form import AffectedService, Kind, NextStep, StandardForm, schema
from tests.conftest import T0


def form(**changes):
    full = {
        "kind": Kind.MAINTENANCE_NOTICE,
        "reference": "MW-17",
        "title": "Storage move",
        "state": "announced",
        "state_word": "Announced",
        "what": "We move the storage.",
        "url": "https://support.example/maintenance/MW-17/",
        "published_at": T0,
    }
    return StandardForm(**(full | changes))


def validate(data):
    Draft202012Validator(schema()).validate(data)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("kind", list(Kind))
def test_a_bare_and_a_full_form_hold_to_the_schema(kind):
    validate(form(kind=kind).as_json())
    full = form(
        kind=kind,
        impact="Nothing works.",
        services=[AffectedService("Inference API", "outage", "Outage")],
        since=T0,
        until=T0,
        actions=["We failed over."],
        next_steps=[
            NextStep("Watch it", "Deniz Kaya", T0, "open", "log"),
            NextStep("Later", due=date(2026, 3, 4)),
        ],
        next_update_at=T0,
        more=[("Root cause", "A bolt")],
    )
    validate(full.as_json())


def test_times_are_utc_and_days_are_days():
    istanbul = datetime.fromisoformat("2026-03-03T13:00:00+03:00")
    data = form(since=istanbul, next_steps=[NextStep("x", due=date(2026, 3, 4))]).as_json()
    assert data["since"] == "2026-03-03T10:00:00Z"
    assert data["next_steps"][0]["due"] == "2026-03-04"
    assert datetime.fromisoformat(data["published_at"]) == T0.astimezone(UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reference": "INC-0"},
        {"what": ""},
        {"services": [{"name": "x", "impact": "bad", "word": "Bad"}]},
        {"since": "2026-03-03T13:00:00+03:00"},
        {"state": "In progress"},
        {"extra": 1},
    ],
)
def test_the_schema_refuses_what_is_no_form(wrong):
    with pytest.raises(ValidationError):
        validate(form().as_json() | wrong)


def test_the_api_gives_the_schema_to_whoever_may_use_it(client, a1):
    assert client.get("/api/v1/standard-form/").status_code == 401
    client.force_login(a1)
    assert client.get("/api/v1/standard-form/").json() == schema()
