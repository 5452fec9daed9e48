"""Lists come in pages by cursor: nothing twice, nothing missed, whatever comes or goes meanwhile."""

from datetime import timedelta

import pytest
import time_machine

from maintenance.actions import enter_freeze
from portal import announcing
from tests.conftest import T0
from tests.factories import incident
from tests.portal.api_client import API, bearer


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(T0, tick=False):
        yield


def pages(client, address, way="next"):
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.content
        yield answer.json()
        address = answer.json()[way]


def references(said):
    return [row["reference"] for row in said["results"]]


def test_pages_forward_and_back_show_each_row_once(a1):
    made = [incident(a1, T0).reference for _ in range(5)][::-1]
    client = bearer(a1)
    forward = list(pages(client, f"{API}incidents/?page_size=2"))
    assert [references(page) for page in forward] == [made[:2], made[2:4], made[4:]]
    assert set(forward[0]) == {"next", "previous", "results"}
    assert (forward[0]["previous"], forward[-1]["next"]) == (None, None)
    back = list(pages(client, forward[-1]["previous"], "previous"))
    assert [references(page) for page in back] == [made[2:4], made[:2]]
    assert back[-1]["previous"] is None


def test_a_row_that_comes_meanwhile_moves_nothing(a1):
    made = [incident(a1, T0).reference for _ in range(4)][::-1]
    client = bearer(a1)
    first = client.get(f"{API}incidents/?page_size=2").json()
    new = incident(a1, T0)
    second = client.get(first["next"]).json()
    assert references(first) + references(second) == made
    assert references(client.get(second["previous"]).json()) == references(first)
    assert references(client.get(f"{API}incidents/?page_size=1").json()) == [new.reference]


def test_ties_in_the_order_are_told_apart(a2, acme):
    """Freezes that begin at the same instant."""
    for days in (3, 1, 1, 1, 1):  # the first written is the last to begin, and so the first of the list
        times = {"starts_at": T0 + timedelta(days=days), "ends_at": T0 + timedelta(days=days + 1)}
        enter_freeze(acme, **times, reason="x", by=a2, now=T0, channel="portal")
    rows = [row["id"] for page in pages(bearer(a2), f"{API}freezes/?page_size=2") for row in page["results"]]
    assert len(rows) == len(set(rows)) == 5


def test_drafts_have_a_place_among_what_is_published(g1, m1):
    """Announcements are listed by when they were published, and drafts by when they were written."""
    told = {"by": g1, "text": "x", "audience": "all"}
    for number in range(4):
        made = announcing.write(title=f"{number}", now=T0, **told)
        if number % 2:
            announcing.publish(made, by=m1, now=T0 + timedelta(hours=number))
    rows = [
        row["title"]
        for page in pages(bearer(g1), f"{API}announcements/?page_size=1")
        for row in page["results"]
    ]
    assert rows == ["3", "1", "2", "0"]


@pytest.mark.parametrize("size", ["0", "-1", "201", "abc", "1.5", "²", "9" * 5000])
def test_a_page_has_between_one_and_two_hundred_rows(a1, size):
    answer = bearer(a1).get(f"{API}incidents/?page_size={size}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["page_size"])
    assert bearer(a1).get(f"{API}incidents/?page_size=200").status_code == 200


def test_a_cursor_of_another_list_is_none(a1):
    incident(a1, T0)
    incident(a1, T0)
    cursor = bearer(a1).get(f"{API}incidents/?page_size=1").json()["next"].partition("cursor=")[2]
    assert bearer(a1).get(f"{API}services/?cursor={cursor}").status_code == 400
    assert bearer(a1).get(f"{API}incidents/?cursor={cursor[:-2]}").status_code == 400


def test_a_cursor_of_somebody_else_s_shows_nothing_of_theirs(a1, b1):
    """It holds where a page begins, and not what is on it."""
    for _ in range(3):
        incident(b1, T0)
    address = bearer(b1).get(f"{API}incidents/?page_size=1").json()["next"]
    assert bearer(a1).get(address).json()["results"] == []


def test_a_list_below_an_object_is_an_array_whose_link_leads_on(a1):
    made = incident(a1, T0)
    client = bearer(a1)
    for number in range(3):
        client.post(f"{API}incidents/{made.reference}/replies/", {"text": f"{number}"})
    address, texts = f"{API}incidents/{made.reference}/replies/?page_size=2", []
    for _ in range(2):
        answer = client.get(address)
        texts.append([row["text"] for row in answer.json()])
        address = answer.headers.get("Link", "").partition('>; rel="next"')[0].rpartition("<")[2]
    assert texts == [["0", "1"], ["2"]]
    assert 'rel="prev"' in answer.headers["Link"]
    assert "next" not in answer.headers["Link"]


@pytest.mark.parametrize(
    "address",
    [
        "incidents/{0}/?x=1",
        "incidents/{0}/events/?x=1",
        "incidents/{0}/replies/?status=closed",
        "incidents/{0}/rca/?x=1",
        "maintenance-windows/?levle=P1",
        "profile/?x=1",
        "status/?x=1",
        "channels/?x=1",
        "reports/2026-03/?organization=acme",
    ],
)
def test_a_parameter_that_is_not_known_is_refused_everywhere(a2, address):
    made = incident(a2, T0)
    answer = bearer(a2).get(API + address.format(made.reference))
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1


def test_incidents_are_found_by_time_and_by_people(a1, a2, g1):
    from incidents import actions

    old, new = incident(a1, T0), incident(a2, T0 + timedelta(hours=2))
    actions.assign(new, assignee=g1, by=g1, now=T0 + timedelta(hours=3), channel="api")
    for query, found in [
        ("opened_after=2026-03-03T11:00:00Z", [new]),
        ("opened_before=2026-03-03T11:00:00Z", [old]),
        ("updated_since=2026-03-03T11:00:00Z", [new]),
        ("reporter=A1@acme.example", [old]),
        (f"assignee={g1.name}", [new]),
        ("team=5", []),
    ]:
        rows = references(bearer(a1).get(f"{API}incidents/?{query}").json())
        assert rows == [i.reference for i in found], query
    for query in (
        "opened_after=",
        "opened_after=soon",
        "updated_since=9999-12-31T23:59:59-12:00",
        "team=x",
        f"team={2**70}",
    ):
        answer = bearer(a1).get(f"{API}incidents/?{query}")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]]), query


def test_what_a_customer_may_not_see_has_not_updated_it(a1, g1):
    from incidents import actions

    made = incident(a1, T0)
    actions.add_note(made, by=g1, now=T0 + timedelta(hours=5), channel="admin", text="internal")
    query = f"{API}incidents/?updated_since=2026-03-03T12:00:00Z"
    assert references(bearer(a1).get(query).json()) == []
    assert references(bearer(g1).get(query).json()) == [made.reference]
