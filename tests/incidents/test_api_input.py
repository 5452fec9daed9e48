"""Input of every kind at the API's door: 4xx with the field's name, nothing written, never a traceback."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from incidents.defaults import plan_for
from tests.conftest import T0
from tests.factories import article, incident
from tests.incidents.test_api import API, STEPS, VERBS, at, at_t0, bearer, check_problem

__all__ = ["at_t0"]  # a fixture that every test here uses

# fmt: off
MILLION = "x" * 1_000_000
NO_TEXT = [None, 5, True, [], {}, ["x"], {"a": 1}, "", " ", "\0", "a\0b", MILLION]
NO_CHOICE = [None, 5, True, [], {}, "", "no such", "\0", MILLION]
NO_TIME = [5, True, [], {}, "", "soon", "\0", "2026-03-04", "2026-03-04T10:00:00", "2026-02-30T10:00:00Z"]
NO_TIME += ["2026-03-04T25:00:00Z", "2026-03-04T10:00:00+99:00", MILLION, "0001-01-01T00:00:00Z"]
NO_TIME += ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "20260304T1000Z "]
NO_DAY = [None, 5, True, [], {}, "", "soon", "\0", "2026-02-30", "04.03.2026", "0001-01-01", "9999-12-31", MILLION]
NO_KEY = [987_654_321, True, [], {}, "", "no such", "\0", "a\0b", 10**30, -1, MILLION, {"slug": "acme"}, "٣"]
NO_PERSON = [5, True, [], {}, "nobody@x.example", "\0", "g1@briqmind.example\0", MILLION]
NO_BOOL = [None, [], {}, "", "perhaps", 5, "\0", MILLION]

TABLE = {
    ("post", "replies"): {"text": NO_TEXT},
    ("post", "notes"): {"text": NO_TEXT},
    ("post", "question"): {"text": NO_TEXT},
    ("post", "level-validation"): {"level": NO_CHOICE, "reason": NO_TEXT},
    ("post", "major-incident"): {"reason": NO_TEXT},
    ("patch", "contest"): {"is_upheld": NO_BOOL, "reason": NO_TEXT},
    ("post", "assignment"): {"assignee": NO_PERSON},
    ("put", "assignment"): {"assignee": NO_PERSON},
    ("post", "intervention"): {"engineer": NO_PERSON},
    ("post", "action-plan"): {
        "summary": [None, 5, [], {}, "\0", MILLION],
        "steps": [None, 5, True, {}, "", "x", [], [None], [5], ["x"], [{}], [STEPS[0]] * 1000, MILLION],
        "next_review_at": [None, *NO_TIME],
    },
    ("post", "status-updates"): {
        "summary": NO_TEXT,
        "state": NO_CHOICE,
        "impact": [None, 5, [], {}, "\0", MILLION],
        "next_steps": [None, 5, [], {}, "\0", MILLION],
        "next_update_at": NO_TIME,
        "publish_at": [*NO_TIME, "2026-03-03T10:00:00Z"],
    },
    ("post", "planned-release"): {"version": NO_TEXT, "planned_on": NO_DAY},
    ("patch", "planned-release"): {"planned_on": NO_DAY},
    ("delete", "planned-release"): {"reason": NO_TEXT},
    ("post", "documented-solution"): {"article": [None, *NO_KEY], "text": NO_TEXT},
    ("post", "restoration"): {"text": [None, 5, [], {}, "\0", MILLION]},
    ("post", "resolution"): {"cause": NO_TEXT, "remedy": NO_TEXT},
    ("post", "reopening"): {"reason": NO_TEXT},
    ("post", "withdrawal"): {"reason": NO_TEXT},
    ("post", "duplicate"): {"original": [*NO_TEXT, "INC-1", "INC-" + "9" * 26], "reason": NO_TEXT},
}
GOOD = {
    "contest": {"is_upheld": True, "reason": "x"},
    "resolution": {"cause": "x", "remedy": "y"},
    "reopening": {"reason": "x"},
    "major-incident": {"reason": "x"},
    "duplicate": {"original": "INC-1001", "reason": "x"},
    ("patch", "planned-release"): {"planned_on": "2026-03-05"},
    ("delete", "planned-release"): {"reason": "x"},
} | {(method, noun): data for noun, method, data, _ in VERBS}
STEP = {"text": NO_TEXT, "owner": NO_TEXT, "due_on": NO_DAY}
FILING = {
    "title": [*NO_TEXT, "x" * 201],
    "description": [None, 5, [], {}, "\0", MILLION],
    "claimed_level": NO_CHOICE,
    "impact": NO_CHOICE,
    "services": [
        None, 5, True, {}, "", "inference-api", [None], [[]], [{}], ["\0"], ["none"], [True], MILLION,
        ["none"] * 10_000, {"inference-api": 1}, [10**30], [-1],
    ],
    "organisation": [None, *NO_KEY],
    "reporter": [None, 5, [], {}, "", "x", "\0", "nobody@acme.example", "a1@acme.example\0", MILLION],
}
ODD = [
    None, True, -1, 10**30, 1.5e308, "", " ", "\0", "a\0b", "x" * 60_001, "\ud800", [], [[]], {}, {"a": 1},
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59", "9999-12-31", "0001-01-01", "2026-02-30",
    "2026-03-03T10:00:00", "INC-99999999999999999", "'; drop table", "٣", "P1 ",
]
CUSTOMERS = {"contest": {"reason": "x"}, "confirmation": {"text": "x"}, "reopening": {"reason": "x"}}
# fmt: on


def raw(client, address, body, kind="application/json", method="POST", **more):
    return client.generic(method, address, body, content_type=kind, **more)


# --- bodies and filters ---


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("", "application/json", 400),
        ("[1]", "application/json", 400),
        ("null", "application/json", 400),
        ('"text"', "application/json", 400),
        ("5", "application/json", 400),
        ('{"text": NaN}', "application/json", 400),
        ('{"text": 1e999}', "application/json", 400),
        (b'{"text": "\xff"}', "application/json", 400),
        ('{"text": "\\ud800"}', "application/json", 400),
        ('{"\\ud800": "x"}', "application/json", 400),
        ('{"text": ' + "[" * 100_000, "application/json", 400),
        ('{"text": ' + "9" * 10_000 + "}", "application/json", 400),
        ('{"text": "' + "x" * 6_000_000 + '"}', "application/json", 413),
        ("text=x", "text/plain", 415),
        ("<a/>", "application/xml", 415),
        ("text=x", "", 415),
        ("text=x", "no type at all", 415),
        ("text=x", "multipart/form-data; boundary=x", 415),
        ("text=x", "application/x-www-form-urlencoded", 415),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_a_problem(a1, body, kind, status):
    made = incident(a1, T0)
    check_problem(raw(bearer(a1), at(made, "replies"), body, kind), status)
    assert made.messages.count() == 0


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("text=x", "multipart/form-data", 400),
        ("text=x", "multipart/form-data; boundary=", 400),
        ("text=x", "multipart/form-data; boundary=ü", 400),
        ("--x\r\nbroken", "multipart/form-data; boundary=x", 400),
        ("file=x", "application/x-www-form-urlencoded", 415),
        ('{"file": "x"}', "application/json", 415),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(a1, body, kind, status):
    made = incident(a1, T0)
    check_problem(raw(bearer(a1), at(made, "attachments"), body, kind), status)
    assert made.attachments.count() == 0


@pytest.mark.parametrize(
    "query",
    [
        "page_size=1e9",
        "page_size=-1",
        "page_size=0",
        "status=bad",
        "status=",
        "level=P4",
        "level=P1&level=x",
        "q=%00",
        "service=%00",
        "q=" + "x" * 100_000,
    ],
)
def test_a_filter_s_value_that_cannot_be_is_a_problem(a1, query):
    said = check_problem(bearer(a1).get(f"{API}incidents/?{query}"), 400)
    assert list(said["errors"]) == [query.partition("=")[0]]


# --- verbs ---


@contextmanager
def no_writes():
    """Nothing but a token's own housekeeping may be written while everything is refused."""
    writes = []

    def note(execute, sql, params, many, context):
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and "last_used_at" not in sql:
            writes.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield
    assert writes == []


def check_refused(client, method, address, data, field):
    answer = getattr(client, method)(address, data)
    said = check_problem(answer, 400)
    assert field in said["errors"], (data.get(field, data), said)


@pytest.mark.parametrize(("method", "noun"), TABLE, ids=lambda part: part)
def test_no_bad_value_of_a_verb_passes_or_harms(a1, m1, method, noun):
    made, client = incident(a1, T0, level="P3"), bearer(m1)
    article(m1, T0)
    good = GOOD[method, noun] if (method, noun) in GOOD else GOOD[noun]
    with no_writes():
        for field, values in TABLE[method, noun].items():
            for value in values:
                check_refused(client, method, at(made, noun), good | {field: value}, field)
            check_refused_or_fine_without(client, method, made, noun, good, field)


def check_refused_or_fine_without(client, method, made, noun, good, field):
    """A field that is needed is asked for; the lack of others is never a failure."""
    optional = {"summary", "impact", "next_steps", "next_update_at", "publish_at", "state", "engineer"}
    if (field in optional and (noun, field) != ("status-updates", "summary")) or noun == "restoration":
        return
    rest = {name: value for name, value in good.items() if name != field}
    check_refused(client, method, at(made, noun), rest, field)


@pytest.mark.parametrize("field", STEP)
def test_no_bad_step_passes(a1, g1, field):
    made, client = incident(a1, T0), bearer(g1)
    with no_writes():
        for value in STEP[field]:
            data = {"steps": [STEPS[0], STEPS[0] | {field: value}], "next_review_at": "2026-03-04T10:00:00Z"}
            said = check_problem(client.post(at(made, "action-plan"), data), 400)
            assert "steps" in said["errors"], value


@pytest.mark.parametrize("field", FILING)
def test_no_bad_value_files_an_incident(a1, acme, field):
    plan_for(acme, T0)
    client = bearer(a1)
    with no_writes():
        for value in FILING[field]:
            data = {"title": "x", "claimed_level": "P3", field: value}
            check_refused(client, "post", f"{API}incidents/", data, field)
    assert client.post(f"{API}incidents/", {"title": "x", "claimed_level": "P3"}).status_code == 201


@pytest.mark.parametrize(
    "noun", sorted({noun for noun, *_ in VERBS} | {"resolution", "duplicate", *CUSTOMERS})
)
def test_whatever_is_sent_nothing_is_half_written_and_the_clocks_are_proven(a1, g1, noun):
    made = incident(a1, T0)
    article(g1, T0)
    good = CUSTOMERS.get(noun) or GOOD.get(noun) or GOOD.get(("post", noun)) or {}
    caller = bearer(a1 if noun in CUSTOMERS else g1)
    bodies = [[], "x", None, 7, {}, *(good | {name: odd} for name in good for odd in ODD)]
    for body in bodies:
        answer = raw(caller, at(made, noun), json.dumps(body))
        assert answer.status_code < 500, (body, answer.content[:300])
        if answer.status_code >= 400:
            check_problem(answer, answer.status_code)
    assert all(event.recorded_at == T0 for event in made.events.all())
    call_command("verify_clocks", stdout=StringIO())


@pytest.mark.parametrize(
    "query",
    [
        "q=%F0%9F%92%A9", "q=INC-99999999999999999999", "q=%25", "service='", "organisation=%FF",
        "q=",
    ],
)  # fmt: skip
def test_an_odd_filter_finds_what_there_is(a1, query):
    made = incident(a1, T0)
    rows = bearer(a1).get(f"{API}incidents/?{query}").json()["results"]
    _name, _, value = query.partition("=")
    expected = [] if value else [made.reference]
    assert [row["reference"] for row in rows] == expected


def test_lone_surrogates_are_refused_wherever_they_stand(a1, g1):
    made, client = incident(a1, T0), bearer(g1)
    bodies = [
        ("replies", '{"text": "a\\ud800b"}'),
        ("replies", '{"text": "x", "more": ["\\udfff"]}'),
        ("level-validation", '{"level": "\\ud800", "reason": "x"}'),
        ("assignment", '{"assignee": "\\uDC00@x.example"}'),
        ("documented-solution", '{"article": "\\ud800", "text": "x"}'),
        ("status-updates", '{"summary": "x", "state": "\\ud800"}'),
        ("planned-release", '{"version": "1", "planned_on": "\\ud800"}'),
        ("action-plan", '{"steps": "\\ud800", "next_review_at": "\\ud800"}'),
    ]
    with no_writes():
        for noun, body in bodies:
            check_problem(raw(client, at(made, noun), body), 400)
        check_problem(raw(client, f"{API}incidents/", '{"title": "\\ud800", "services": ["\\ud800"]}'), 400)
    whole = raw(client, at(made, "replies"), '{"text": "\\ud83d\\ude00 and \\\\ud800"}')
    assert whole.status_code == 201
    assert made.messages.get().text == "\U0001f600 and \\ud800"


@pytest.mark.parametrize("value", ["2026-03-03T12:10:00+02:00", "2026-03-03T10:10:00Z", "2026-03-03T10:10Z"])
def test_a_time_with_its_zone_is_taken_as_it_is_said(a1, g1, value):
    made = incident(a1, T0)
    data = {"summary": "x", "publish_at": value}
    assert bearer(g1).post(at(made, "status-updates"), data).status_code == 201
    assert made.status_updates.get().publish_at == T0 + timedelta(minutes=10)


def test_an_update_past_the_calendar_s_end_is_refused(a1, g1):
    made = incident(a1, T0, level="P2")
    for far in ("2035-01-01T00:00:00Z", "2199-12-31T23:59:59Z"):
        data = {"summary": "x", "publish_at": far}
        said = check_problem(bearer(g1).post(at(made, "status-updates"), data), 400)
        assert list(said["errors"]) == ["publish_at"]
    assert not made.status_updates.exists()


def test_pages_bear_the_farthest_times_that_are_taken(a1, g1, client):
    """A time that no zone can show would break the page for everybody."""
    made = incident(a1, T0, level="P3")
    staff = bearer(g1)
    far = "2199-12-31T23:59:59Z"
    plan = {"steps": [STEPS[0] | {"due_on": "2199-12-31"}], "next_review_at": far}
    assert staff.post(at(made, "action-plan"), plan).status_code == 201
    assert staff.post(at(made, "status-updates"), {"summary": "x", "next_update_at": far}).status_code == 201
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        a1.time_zone = zone
        a1.save()
        client.force_login(a1)
        assert client.get(made.get_absolute_url()).status_code == 200
    for noun in ("", "events", "action-plan", "status-updates"):
        assert bearer(a1).get(at(made, noun)).status_code == 200


def test_an_id_is_written_in_plain_digits(a1, acme):
    plan_for(acme, T0)
    client, own = bearer(a1), str(acme.pk).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    data = {"title": "x", "claimed_level": "P3"}
    check_refused(client, "post", f"{API}incidents/", data | {"organisation": own}, "organisation")
    assert client.post(f"{API}incidents/", data | {"organisation": acme.pk}).status_code == 201
