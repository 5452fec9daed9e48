"""The RCA in the API: the same verbs and refusals as on the pages, nouns for each."""

import pytest
import time_machine
from rest_framework.test import APIClient

from incidents.models import RCA, PreventionAction, RCAComment, RCACopy, Recurrence
from portal.models import ApiToken
from tests.factories import incident
from tests.incidents.rca_world import at, published, rca_of, resolved, revised, window_for, written

ACTION = {"kind": "prevent", "text": "Alarm early", "owner": "g1@briqmind.example", "due_on": "2026-03-20"}


@pytest.fixture(autouse=True)
def _later():
    with time_machine.travel(at(600), tick=False):
        yield


def bearer(user, **fields):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.objects.create(user=user, **fields)[1]}")
    return client


def base(made):
    return f"/api/v1/incidents/{made.reference}/rca/"


def test_before_publication_a_customer_reads_the_due_time_only(a1, a3, g1):
    made = resolved(a1, g1)
    written(rca_of(made), g1)
    for user in (a1, a3):
        said = bearer(user).get(base(made)).json()
        assert said == {
            "is_owed": True,
            "due_at": "2026-03-10T15:00:00Z",
            "version": None,
            "versions": [],
            "form": None,
            "timeline": [],
            "actions": [],
            "working": None,
        }
    for noun in ("actions/", "?version=1"):
        assert bearer(a1).get(f"{base(made)}{noun}").status_code == 404
    staff = bearer(g1).get(base(made)).json()["working"]
    assert (staff["status"], staff["root_cause"], staff["author"]) == (
        "draft",
        "Nobody watched it.",
        "Gül One",
    )


def test_from_the_debt_to_the_acceptance_by_nouns(a1, a3, b1, g1, g2, h1):
    made = resolved(a1, g1, level="P2")
    customer, viewer, stranger = bearer(a1), bearer(a3), bearer(b1)
    author, reviewer, head = bearer(g1), bearer(g2), bearer(h1)
    steps = [
        (customer, "post", "draft/", {}, 403),  # and not whether there is one
        (author, "post", "draft/", {}, 404),
        (viewer, "post", "", {}, 403),
        (stranger, "post", "", {}, 404),
        (customer, "post", "", {}, 201),
        (customer, "post", "", {}, 409),
        (customer, "post", "draft/", {}, 403),
        (stranger, "post", "draft/", {}, 404),
        (author, "post", "draft/", {}, 201),
        (author, "post", "draft/", {}, 409),
        (author, "put", "draft/", {"moments": [{"at": "2026-03-03T10:00:00", "text": "No zone"}]}, 400),
        (author, "put", "draft/", {"actions": [{"kind": "hope", "text": "x"}]}, 400),
        (author, "put", "draft/", {"root_cause": "Cause", "impact": "All", "actions": [ACTION]}, 201),
        (author, "post", "publication/", {}, 403),
        (author, "post", "submission/", {}, 201),
        (author, "post", "review/", {"is_approved": True}, 403),
        (reviewer, "post", "review/", {"is_approved": False}, 400),
        (reviewer, "post", "review/", {}, 400),
        (reviewer, "post", "review/", {"is_approved": True}, 201),
        (customer, "post", "comments/", {"text": "x"}, 404),
        (reviewer, "post", "publication/", {}, 201),
        (customer, "post", "comments/", {"text": "Why?"}, 201),
        (viewer, "post", "comments/", {"text": "Why?"}, 403),
        (stranger, "post", "comments/", {"text": "Why?"}, 404),
        (author, "post", "comments/", {"text": "Because.", "organisation": "acme"}, 201),
        (author, "post", "comments/", {"text": "Because.", "organisation": "nordwind"}, 409),
        (viewer, "post", "acceptance/", {"version": 1}, 403),
        (stranger, "post", "acceptance/", {"version": 1}, 404),
        (customer, "post", "acceptance/", {"version": 7}, 404),
        (customer, "post", "acceptance/", {"version": 1}, 201),
        (customer, "post", "acceptance/", {"version": 1}, 409),
        (customer, "patch", "actions/1/", {"state": "in_progress"}, 403),
        (author, "patch", "actions/9/", {"state": "in_progress"}, 404),
        (author, "patch", "actions/1/", {}, 400),
        (author, "patch", "actions/1/", {"state": "in_progress"}, 201),
        (author, "patch", "actions/1/", {"due_on": "2026-03-25"}, 400),
        (author, "patch", "actions/1/", {"due_on": "2026-03-25", "reason": "Late."}, 201),
        (author, "patch", "actions/1/", {"owner": "g2@briqmind.example"}, 201),
        (author, "patch", "actions/1/", {"state": "dropped", "reason": "x"}, 403),
        (author, "patch", "actions/1/", {"state": "done"}, 400),
        (author, "patch", "actions/1/", {"state": "done", "evidence": "OPS-7"}, 201),
        (head, "patch", "actions/1/", {"state": "dropped", "reason": "x"}, 409),
        (author, "post", "draft/", {}, 201),
    ]
    for client, method, noun, data, status in steps:
        answer = getattr(client, method)(f"{base(made)}{noun}", data)
        assert answer.status_code == status, (noun, data, answer.content)
        if status >= 400:
            assert answer["Content-Type"] == "application/problem+json"
    said = customer.get(base(made)).json()
    assert (said["version"], said["is_owed"], said["working"]) == (1, False, None)
    assert said["versions"][0]["accepted_by"] == "Ada One"
    (action,) = said["actions"]
    assert (action["state"], action["evidence"], action["owner"]) == ("done", "OPS-7", "Gus Two")
    assert (action["first_due_on"], action["due_on"], action["slips"][0]["reason"]) == (
        "2026-03-20",
        "2026-03-25",
        "Late.",
    )
    assert [row["text"] for row in customer.get(f"{base(made)}comments/").json()] == ["Why?", "Because."]
    assert customer.get(f"{base(made)}actions/").json() == [action]
    assert RCA.objects.get().status == "draft"


def test_a_stale_revision_is_told_the_present_one(a1, g1):
    made = resolved(a1, g1)
    rca = written(rca_of(made), g1)
    client = bearer(g1)
    for given, status in ((str(rca.revision - 1), 409), ("x", 400), (str(rca.revision), 201)):
        answer = client.put(f"{base(made)}draft/", {"impact": "New"}, headers={"X-Revision": given})
        assert answer.status_code == status, answer.content
        if status == 409:
            assert answer.json()["revision"] == rca.revision
    assert RCA.objects.get().impact == "New"


def test_versions_by_number(a1, g1, g2):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2)
    revised(rca, g1, g2, at(400), texts={"root_cause": "Nobody owned it."})
    client = bearer(a1)
    parts = {n: {p["label"]: p["text"] for p in client.get(f"{base(made)}?version={n}").json()["form"]["more"]}
             for n in (1, 2)}  # fmt: skip
    assert (parts[1]["Root cause"], parts[2]["Root cause"]) == ("Nobody watched it.", "Nobody owned it.")
    assert [row["number"] for row in client.get(base(made)).json()["versions"]] == [2, 1]
    assert client.get(f"{base(made)}?version=3").status_code == 404


def test_a_token_reaches_no_further_than_it_may(acme, nordwind, a1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    assert bearer(a1, scope="read").get(base(made)).status_code == 200
    assert bearer(a1, scope="read").post(f"{base(made)}acceptance/", {"version": 1}).status_code == 403
    assert bearer(g1, organisation=nordwind).get(base(made)).status_code == 404
    assert bearer(g1, organisation=acme).get(base(made)).status_code == 200
    assert RCACopy.objects.get().accepted_at is None


def test_recurrences(a1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    later = incident(a1, at(500))
    client = bearer(g1)
    for client_, data, status in [
        (bearer(a1), {"incident": later.reference, "number": 1}, 403),
        (client, {"incident": "INC-999999", "number": 1}, 400),
        (client, {"incident": later.reference, "number": 3}, 400),
        (client, {"incident": later.reference, "number": 1}, 201),
        (client, {"incident": later.reference, "number": 1}, 409),
    ]:
        assert client_.post(f"{base(made)}recurrences/", data).status_code == status, data
    assert Recurrence.objects.get().action == PreventionAction.objects.get()
    assert bearer(a1).get(base(made)).json()["actions"][0]["recurrences"] == [later.reference]


def test_the_rca_of_a_window(acme, a1, b1, g1, g2, m1):
    window = window_for(acme, g1, m1)
    path = f"/api/v1/maintenance-windows/{window.reference}/rca/"
    assert bearer(a1).get(path).json()["is_owed"] is False
    rca = RCA.objects.create(window=window, due_at=at(0, days=7))
    said = bearer(a1).get(path).json()
    assert (said["is_owed"], said["due_at"], said["form"]) == (True, "2026-03-10T10:00:00Z", None)
    published(rca, g1, g2)
    said = bearer(a1).get(path).json()
    assert (said["is_owed"], said["form"]["reference"]) == (False, window.reference)
    assert bearer(a1).post(f"{path}comments/", {"text": "Thanks."}).status_code == 201
    assert bearer(a1).post(f"{path}acceptance/", {"version": 1}).status_code == 201
    for noun in ("", "actions/", "comments/"):
        assert bearer(b1).get(path + noun).status_code == 404
    assert RCAComment.objects.count() == 1
