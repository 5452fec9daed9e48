"""Scenario 1, row 15: the RCA with its prevention plan, from the debt to the evidence, with moved time."""

import io
from datetime import date

import pytest
from django.core import mail
from django.utils import timezone
from pypdf import PdfReader

from incidents.models import RCA, PreventionAction
from incidents.rca_sweep import sweep_rca
from portal import outbox, pdf
from tests import factories
from tests.incidents.test_rca_desk import editor_data
from tests.journeys.stage import api, browser_of, mails_to
from tests.journeys.test_scenario_1 import check_proof

DAY = 24 * 60
DUE = date(2026, 3, 20)
TEXTS = {"impact": "All requests failed.", "root_cause": "A certificate expired unseen."}


def by_api(stage, reference: str, user, verb: str, data=None) -> int:
    nouns = {
        "draft_rca": ("post", "draft/", {}),
        "submit_rca": ("post", "submission/", {}),
        "approve_rca": ("post", "review/", {"is_approved": True}),
        "publish_rca": ("post", "publication/", {}),
        "revise_rca": ("post", "draft/", {}),
    }
    method, noun, fixed = nouns[verb]
    answer = getattr(api(user), method)(f"/api/v1/incidents/{reference}/rca/{noun}", fixed | (data or {}))
    stage.work()
    return answer.status_code


def by_desk(stage, reference: str, user, verb: str, data=None) -> int:
    rca = RCA.objects.get(incident__pk=int(reference[4:]) - 1000)
    answer = browser_of(user).post(f"/admin/incidents/rca/{rca.pk}/do/{verb}/", data or {})
    stage.work()
    return 201 if answer.status_code == 302 else answer.status_code


def save_by_api(stage, reference: str, user, acts) -> int:
    data = TEXTS | {"actions": acts}
    code = api(user).put(f"/api/v1/incidents/{reference}/rca/draft/", data).status_code
    stage.work()
    return code


def save_by_desk(stage, reference: str, user, acts) -> int:
    rca = RCA.objects.get(incident__pk=int(reference[4:]) - 1000)
    client = browser_of(user)
    data = editor_data(client, rca, **TEXTS)
    for number, act in enumerate(acts):
        owner = user.__class__.objects.get(email=act["owner"]).pk if act.get("owner") else ""
        given = {"kind": act["kind"], "text": act["text"], "owner": owner, "due_on": act.get("due_on", "")}
        data |= {f"actions-{number}-{name}": value for name, value in given.items()}
        data["actions-TOTAL_FORMS"] = max(int(data["actions-TOTAL_FORMS"]), number + 1)
    answer = client.post(f"/admin/incidents/rca/{rca.pk}/text/", data)
    stage.work()
    return 201 if answer.status_code == 302 else answer.status_code


@pytest.fixture
def rca_door(stage):
    return (by_api, save_by_api) if stage.door.channel == "api" else (by_desk, save_by_desk)


def page(user, reference: str) -> tuple[int, str]:
    answer = browser_of(user).get(f"/incidents/{reference}/rca/")
    return answer.status_code, answer.content.decode()


@pytest.mark.skipif(not pdf.is_available(), reason="libpango is not installed, so no PDF can be made")
def test_row_15(stage, rca_door, a1, a2, a3, b1, g1, g2, m1):
    use, save = rca_door
    reference = stage.file(a1, title="API down", claimed_level="P1", services=["inference-api"])
    stage.at(6)
    stage.do("start_intervention", g1, reference)
    stage.at(160)
    stage.do("resolve", g1, reference, cause="A certificate expired.", remedy="It was renewed.")

    # Before: only that it is owed, and by when.
    (clock,) = stage.clocks(a1, reference, "rca")
    assert (clock["state"], clock["due_at"]) == ("running", "2026-03-10T15:00:00Z")
    stage.at(DAY)
    assert use(stage, reference, g1, "draft_rca") == 201
    code, shown = page(a1, reference)
    assert code == 200
    assert "10 Mar 2026, 18:00" in shown
    assert "A certificate expired unseen." not in shown
    assert page(b1, reference)[0] == 404

    # Publishing without a dated, owned prevention action is refused; so is a reviewer who wrote it.
    bare = {"kind": "prevent", "text": "Alarm early"}
    whole = bare | {"owner": g1.email, "due_on": str(DUE)}
    assert save(stage, reference, g1, [bare]) == 201
    assert use(stage, reference, g1, "submit_rca") in (400, 409)
    assert save(stage, reference, g1, []) == 201
    assert use(stage, reference, g1, "submit_rca") in (400, 409)
    PreventionAction.objects.all().delete()
    assert save(stage, reference, g1, [whole]) == 201
    assert use(stage, reference, g1, "submit_rca") == 201
    assert use(stage, reference, g1, "approve_rca") in (403, 409)
    assert use(stage, reference, g2, "approve_rca") == 201
    assert stage.clocks(a1, reference, "rca")[0]["state"] == "running"

    # After: page and PDF for a1 and a2, a mail with the PDF, b1 404; the clock is met at this instant.
    stage.at(2 * DAY)
    before = len(mail.outbox)
    assert use(stage, reference, g2, "publish_rca") == 201
    (clock,) = stage.clocks(a1, reference, "rca")
    assert (clock["state"], clock["met_at"]) == ("met", "2026-03-05T10:00:00Z")
    for person in (a1, a2, a3):
        code, shown = page(person, reference)
        assert code == 200
        for text in (*TEXTS.values(), "Alarm early", "Gül One"):
            assert text in shown
        file = browser_of(person).get(f"/incidents/{reference}/rca/pdf/")
        text = "".join(each.extract_text() for each in PdfReader(io.BytesIO(file.content)).pages)
        assert "A certificate expired unseen." in text
    assert page(b1, reference)[0] == 404
    assert browser_of(b1).get(f"/incidents/{reference}/rca/pdf/").status_code == 404
    told = [m for m in mail.outbox[before:] if m.to == [a1.email]]
    assert len(told) == 1
    assert told[0].subject.startswith(f"[{reference}]")
    assert "A certificate expired unseen." in told[0].body
    assert [each[2] for each in told[0].attachments] == ["application/pdf"]

    # Its owner is reminded; it slips, and the customer sees from when to when; it is done with evidence.
    for at in (10 * DAY, 16 * DAY):
        stage.at(at)
        remind(g1)
    action = PreventionAction.objects.get()
    path = f"/api/v1/incidents/{reference}/rca/actions/1/"
    before = len(mail.outbox)
    moved = {"due_on": "2026-03-27", "reason": "The alarm needs a review."}
    assert api(g1).patch(path, moved).status_code == 201
    stage.work()
    assert [m for m in mail.outbox[before:] if m.to == [a1.email]]
    shown = page(a1, reference)[1]
    assert "20 Mar 2026" in shown
    assert "27 Mar 2026" in shown
    stage.at(20 * DAY)
    assert api(g1).patch(path, {"state": "done"}).status_code == 400
    assert api(g1).patch(path, {"state": "done", "evidence": "Drill OPS-7"}).status_code == 201
    stage.work()
    assert "Drill OPS-7" in page(a2, reference)[1]
    action.refresh_from_db()
    assert (action.state, action.first_due_on) == ("done", DUE)

    # A later version keeps the earlier.
    assert use(stage, reference, g1, "revise_rca") == 201
    assert (
        api(g1).put(f"/api/v1/incidents/{reference}/rca/draft/", {"root_cause": "Two expired."}).status_code
        == 201
    )
    for user, verb, data in (
        (g1, "submit_rca", None),
        (g2, "approve_rca", None),
        (g2, "publish_rca", {"note": "More found."}),
    ):
        assert use(stage, reference, user, verb, data) == 201, verb
    assert "Two expired." in page(a1, reference)[1]
    earlier = browser_of(a1).get(f"/incidents/{reference}/rca/?version=1").content.decode()
    assert "A certificate expired unseen." in earlier
    assert "Two expired." not in earlier

    # The customer accepts; a viewer may not.
    accept = {"version": 2}
    assert api(a3).post(f"/api/v1/incidents/{reference}/rca/acceptance/", accept).status_code == 403
    assert api(a2).post(f"/api/v1/incidents/{reference}/rca/acceptance/", accept).status_code == 201
    stage.work()
    for message in mails_to(a1):
        assert factories.CANARY not in message.body
    check_proof(stage, reference, (a1, a2), b1)


def remind(owner) -> None:
    """The sweep of reminders, which runs every few minutes: one mail each, however often."""
    before = len(mail.outbox)
    for _ in range(3):
        sweep_rca(timezone.now())
        outbox.sweep(timezone.now())
    assert len([m for m in mail.outbox[before:] if m.to == [owner.email]]) == 1
