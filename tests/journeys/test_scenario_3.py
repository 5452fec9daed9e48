"""Scenario 3: a P3 closed by a documented solution, or by a planned release."""

import re

import pytest
from django.core import mail

from incidents.desk import write_version
from incidents.models import Article, Incident
from tests.conftest import T0
from tests.factories import article
from tests.journeys.stage import api, browser_of, heard, mails_to
from tests.journeys.test_scenario_1 import check_headers, check_proof

BUG = {"title": "Export of tables loses the last row", "claimed_level": "P3"}
DAY = 24 * 60


def test_a_p3_is_closed_by_a_documented_solution(stage, a1, a2, b1, g1, nordwind):
    fix = article(g1, T0, "export-rows")
    article(g1, T0, "export-draft", is_published=False)
    article(g1, T0, "export-of-nordwind", organisation=nordwind)
    offered = browser_of(a1).get("/incidents/new/suggestions/", {"title": "export rows"}).content.decode()
    assert "export-rows" in offered
    assert "export-draft" not in offered
    assert "export-of-nordwind" not in offered

    reference = stage.file(a1, **BUG)
    due = {c["kind"]: (c["state"], c["due_at"]) for c in stage.read(a1, reference)["clocks"]}
    # Four business hours from 13:00 in Istanbul; nothing planned yet, so the target has no due time.
    assert due == {
        "first_response": ("running", "2026-03-03T14:00:00Z"),
        "target_action": ("running", None),
    }
    stage.at(30)
    stage.do("resolve", g1, reference, 409, cause="c", remedy="r")
    for slug in ("export-draft", "export-of-nordwind"):
        stage.do("document_solution", g1, reference, 400, article=slug, text="See there.")
    before = len(mail.outbox)
    stage.do("document_solution", g1, reference, article="export-rows", text="Update your client, see there.")
    assert heard(before, a1)
    told = mails_to(a1)[-1]
    check_headers(told, reference, is_automatic=False)
    assert "Update your client" in told.body
    read = stage.read(a1, reference)
    assert read["status"] == "resolved"
    assert [c["state"] for c in read["clocks"]] == ["met", "met"]

    # A later version of the article changes nothing here.
    write_version(fix, by=g1, now=stage.time(40), title="Other", text="New words.", is_published=True)
    solution = Incident.objects.by_reference(reference).get().solutions.get()
    assert (
        solution.article_version.number,
        Article.objects.get(slug="export-rows").published_version.number,
    ) == (1, 2)

    # A mail scanner follows every link of every mail: nothing moves.
    revision = read["revision"]
    for message in mails_to(a1):
        for link in re.findall(r"https?://[^\s\"<>]+", str(message.body) + str(message.alternatives[0][0])):
            browser_of(a1).get("/" + link.split("/", 3)[3])
    for noun in ("confirmation", "reopening", "withdrawal", "replies", "contest"):
        browser_of(a1).get(f"/incidents/{reference}/{noun}/")
    assert stage.read(a1, reference)["revision"] == revision

    stage.at(60)
    stage.do("confirm", a1, reference)
    assert stage.read(a1, reference)["closed_as"] == "confirmed"
    stage.at(90)
    stage.do("reply", a1, reference, text="The row is lost again.")
    read = stage.read(a1, reference)
    assert (read["status"], read["cycle"]) == ("reported", 2)
    check_proof(stage, reference, (a1, a2), b1)


def test_a_planned_release_moves_ships_and_is_confirmed(stage, a1, a2, b1, g1):
    reference = stage.file(a1, **BUG)
    stage.at(10)
    before = len(mail.outbox)
    stage.do("plan_release", g1, reference, version="4.2", planned_on="2026-03-12")
    assert heard(before, a1)
    assert "4.2" in mails_to(a1)[-1].body, mails_to(a1)[-1].body
    assert stage.clocks(a1, reference, "target_action")[0]["due_at"] == "2026-03-12T15:00:00Z"
    assert "4.2" in stage.page(a1, reference)

    stage.at(DAY)
    before = len(mail.outbox)
    stage.do("move_release", g1, reference, planned_on="2026-03-14")  # a Saturday: until midnight
    assert heard(before, a1)
    assert "14 Mar 2026" in mails_to(a1)[-1].body, mails_to(a1)[-1].body
    assert stage.clocks(a1, reference, "target_action")[0]["due_at"] == "2026-03-14T21:00:00Z"

    stage.at(2 * DAY)
    before = len(mail.outbox)
    stage.do("ship_release", g1, reference, text="It is out.")
    assert heard(before, a1)
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], stage.minute(target["met_at"])) == ("met", 2 * DAY)
    assert stage.read(a1, reference)["status"] == "resolved"
    assert "onfirm" in mails_to(a1)[-1].body
    stage.do("confirm", a1, reference)
    assert stage.read(a1, reference)["closed_as"] == "confirmed"
    check_proof(stage, reference, (a1, a2), b1)


def test_a_release_that_misses_its_date_is_breached_and_moving_it_later_changes_nothing(stage, a1, g1):
    reference = stage.file(a1, **BUG)
    stage.do("plan_release", g1, reference, version="4.2", planned_on="2026-03-05")
    stage.at(2 * DAY + 6 * 60)
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], target["breached_at"]) == ("breached", "2026-03-05T15:00:00Z")
    stage.do("move_release", g1, reference, planned_on="2026-03-20")
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], target["due_at"]) == ("breached", "2026-03-05T15:00:00Z")


def test_withdrawing_a_release_reopens_the_question(stage, a1, g1):
    reference = stage.file(a1, **BUG)
    stage.do("plan_release", g1, reference, version="4.2", planned_on="2026-03-12")
    before = len(mail.outbox)
    stage.do("withdraw_release", g1, reference, reason="It broke other things.")
    assert heard(before, a1)
    assert "It broke other things." in mails_to(a1)[-1].body
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (target["state"], target["due_at"]) == ("running", None)
    stage.do("resolve", g1, reference, 409, cause="c", remedy="r")


@pytest.mark.parametrize("day", ["2026-03-02", "2020-01-01"])
def test_a_release_is_planned_for_a_day_to_come(stage, a1, g1, day):
    reference = stage.file(a1, **BUG)
    stage.do("plan_release", g1, reference, 400, version="4.2", planned_on=day)


def test_withdrawing_a_shipped_release_reopens_the_incident(stage, a1, g1):
    reference = stage.file(a1, **BUG)
    stage.do("plan_release", g1, reference, version="4.2", planned_on="2026-03-12")
    stage.do("ship_release", g1, reference, text="It is out.")
    stage.at(60)
    stage.do("withdraw_release", g1, reference, reason="It broke other things.")
    read = stage.read(a1, reference)
    assert (read["status"], read["cycle"]) == ("reported", 2)
    assert api(a1).get(f"/api/v1/incidents/{reference}/planned-release/").json()[0]["withdrawn_at"]
