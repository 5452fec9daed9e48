"""The RCA on the staff desk: the list by due time, the editor, the verbs, each reader's preview."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from incidents import actions
from incidents.models import RCA, PreventionAction, RCAComment, Recurrence
from portal.models import OutboxMessage
from tests.factories import incident
from tests.incidents.rca_world import (
    MomentInput,
    approved,
    at,
    published,
    rca_of,
    resolved,
    window_for,
    written,
)

LIST = "/admin/incidents/rca/"


@pytest.fixture(autouse=True)
def _later():
    with time_machine.travel(at(600), tick=False):
        yield


@pytest.fixture
def desk(client, g1):
    client.force_login(g1)
    return client


def where(rca, page="change"):
    return f"{LIST}{rca.pk}/{page}/"


def editor_data(client, rca, **changed):
    """The editor's form as a browser would send it back."""
    editor = client.get(where(rca, "text")).context["editor"]
    data = {name: editor.texts[name].value() or "" for name in editor.texts.fields}
    for formset in editor.formsets:
        data |= {f"{formset.prefix}-TOTAL_FORMS": formset.total_form_count()}
        data |= {f"{formset.prefix}-INITIAL_FORMS": formset.initial_form_count()}
        for form in formset:
            for name in form.fields:
                value = form[name].value()
                if name != "DELETE" and value is not None:
                    data[form.add_prefix(name)] = (
                        form[name].field.widget.format_value(value) if not isinstance(value, bool) else value
                    )
    data = {name: value[0] if isinstance(value, list) else value for name, value in data.items()}
    return {name: "" if value is None else value for name, value in data.items()} | changed


def test_the_list_shows_what_is_owed_by_due_time(desk, a1, g1, g2, m1, acme):
    second = rca_of(resolved(a1, g1, now=at(-3000)))
    first = rca_of(resolved(a1, g1, now=at(-9000)))
    published(rca_of(resolved(a1, g1)), g1, g2)
    window = RCA.objects.create(window=window_for(acme, g1, m1), due_at=at(0, days=3))
    rows = desk.get(LIST).context["cl"].result_list
    assert list(rows) == [first, window, second]
    said = desk.get(LIST).content.decode()
    assert "in 19 h" in said
    for show, count in (("all", 4), ("published", 1), ("review", 0), ("actions", 1), ("owed", 3)):
        assert desk.get(LIST, {"show": show}).context["cl"].result_count == count, show


def test_from_the_debt_to_the_publication_by_forms_alone(client, a1, g1, g2):
    made = resolved(a1, g1)
    rca = rca_of(made)

    def use(user, verb, **data):
        client.force_login(user)
        assert client.get(where(rca, f"do/{verb}")).status_code == 200
        return client.post(where(rca, f"do/{verb}"), data).status_code

    client.force_login(g1)
    assert f"{where(rca)}" in client.get(f"/admin/incidents/incident/{made.pk}/change/").content.decode()
    assert use(g1, "draft_rca") == 302
    assert use(g1, "submit_rca") == 400
    new = {
        "impact": "All requests failed.",
        "root_cause": "Nobody watched it.",
        "moments-3-at": "2026-03-03T12:00:30",
        "moments-3-text": "The certificate expired",
        "moments-0-DELETE": "on",
        "actions-0-text": "Alarm before expiry",
        "actions-0-kind": "detect",
        "actions-0-owner": g1.pk,
        "actions-0-due_on": "2026-03-20",
        "redactions-0-words": "node 2",
        "redactions-0-organisation": made.organisation_id,
    }
    answer = client.post(where(rca, "text"), editor_data(client, rca, **new))
    assert answer.status_code == 302, answer.context["editor"].texts.errors
    rca.refresh_from_db()
    assert [m.text for m in rca.moments.all()] == [
        "The certificate expired",
        "Intervention by Gül One started",
        "Resolved",
    ]
    assert rca.moments.first().at.isoformat() == "2026-03-03T09:00:30+00:00"  # typed in Istanbul
    action = rca.actions.get()
    assert (action.kind, action.owner, action.due_on) == ("detect", g1, date(2026, 3, 20))
    assert (rca.redactions.get().words, rca.redactions.get().organisation) == ("node 2", made.organisation)
    assert use(g1, "submit_rca", revision=rca.revision) == 302
    assert use(g1, "approve_rca") == 403
    assert use(g2, "approve_rca") == 302
    client.force_login(g2)
    dialog = client.get(where(rca, "do/publish_rca")).content.decode()
    assert "Acme" in dialog
    assert "Ada One (e-mail)" in dialog
    assert f"{where(rca, 'as/acme')}" in dialog
    assert use(g2, "publish_rca", note="") == 302
    assert RCA.objects.get().status == "published"
    assert use(g1, "revise_rca") == 302


def test_the_editor_sends_back_what_it_showed(desk, a1, g1):
    rca = written(rca_of(resolved(a1, g1)), g1)
    before = (rca.revision, list(rca.moments.values_list("pk", flat=True)), rca.events.count())
    assert desk.post(where(rca, "text"), editor_data(desk, rca)).status_code == 302
    rca.refresh_from_db()
    assert (rca.revision, list(rca.moments.values_list("pk", flat=True)), rca.events.count()) == before


def test_the_hour_that_the_clock_shows_twice(desk, a1, g1):
    g1.time_zone = "Europe/Berlin"
    g1.save()
    rca = written(rca_of(resolved(a1, g1)), g1)
    twice = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    actions.save_rca(
        rca,
        by=g1,
        now=at(130),
        channel="admin",
        moments=[MomentInput(twice[0], "One"), MomentInput(twice[1], "Two")],
    )
    changed = {"impact": "New", "moments-2-at": "2026-10-25T02:45:00", "moments-2-text": "Typed"}
    with timezone.override("Europe/Berlin"):  # the form's values are worded when they are read
        data = editor_data(desk, rca, **changed)
    assert [data["moments-0-at"], data["moments-1-at"]] == ["2026-10-25T02:30:00"] * 2
    assert desk.post(where(rca, "text"), data).status_code == 302
    assert list(rca.moments.values_list("at", "text")) == [
        (twice[0], "One"),
        (twice[0] + timedelta(minutes=15), "Typed"),
        (twice[1], "Two"),
    ]


def test_a_stale_form_shows_the_conflict_and_loses_nothing(client, a1, g1, g2):
    rca = written(rca_of(resolved(a1, g1)), g1)
    client.force_login(g1)
    mine = editor_data(client, rca, root_cause="My cause", detection="My detection")
    client.force_login(g2)
    client.post(where(rca, "text"), editor_data(client, rca, root_cause="Their cause"))
    client.force_login(g1)
    answer = client.post(where(rca, "text"), mine)
    assert answer.status_code == 409
    said = answer.content.decode()
    for shown in ("My cause", "My detection", "Their cause", "What somebody else wrote meanwhile"):
        assert shown in said, shown
    assert RCA.objects.get().root_cause == "Their cause"
    again = mine | {"revision": answer.context["editor"].texts["revision"].value()}
    assert client.post(where(rca, "text"), again).status_code == 302
    assert (RCA.objects.get().root_cause, RCA.objects.get().detection) == ("My cause", "My detection")


def test_bad_input_stays_on_the_form(desk, a1, g1):
    rca = written(rca_of(resolved(a1, g1)), g1)
    bad = editor_data(desk, rca, **{"moments-3-text": "Without a time", "root_cause": "Kept words"})
    answer = desk.post(where(rca, "text"), bad)
    assert answer.status_code == 400
    assert "Kept words" in answer.content.decode()
    assert desk.post(where(rca, "text"), {"revision": "1"}).status_code == 400
    assert RCA.objects.get().root_cause == "Nobody watched it."


def test_the_preview_is_redacted_and_writes_nothing(desk, a1, b1, g1):
    rca = written(rca_of(resolved(a1, g1)), g1, texts={"root_cause": "As Nordwind knew."})
    before = rca.events.count(), OutboxMessage.objects.count()
    said = desk.get(where(rca, "as/acme")).content.decode()
    assert "█████ knew" in said
    assert "Nordwind" not in said
    assert "Nordwind" in desk.get(where(rca)).content.decode()
    assert desk.get(where(rca, "as/nordwind")).status_code == 404
    assert (rca.events.count(), OutboxMessage.objects.count()) == before


def test_actions_by_their_dialogs(client, a1, g1, g2, h1):
    rca = published(rca_of(resolved(a1, g1)), g1, g2)

    def use(user, verb, **data):
        client.force_login(user)
        assert client.get(where(rca, f"actions/1/{verb}")).status_code == 200
        return client.post(where(rca, f"actions/1/{verb}"), data).status_code

    assert use(g1, "start_action") == 302
    assert use(g1, "move_action", due_on="2026-03-27") == 400
    assert use(g1, "move_action", due_on="2026-03-27", reason="Parts are late.", revision=1) == 409
    assert use(g1, "move_action", due_on="2026-03-27", reason="Parts are late.") == 302
    assert use(g1, "hand_over_action", owner=g2.pk) == 302
    assert use(g1, "close_action") == 400
    assert use(g1, "drop_action", reason="x") == 403
    assert use(g1, "close_action", evidence="OPS-7") == 302
    action = PreventionAction.objects.get()
    assert (action.state, action.due_on, action.owner, action.evidence) == (
        "done",
        date(2026, 3, 27),
        g2,
        "OPS-7",
    )
    client.force_login(h1)
    assert client.get(where(rca, "actions/9/close_action")).status_code == 404
    assert client.get(where(rca, "actions/1/hope")).status_code == 404
    assert client.get(where(rca, "do/hope")).status_code == 404


def test_staff_answer_one_organisation(desk, a1, g1, g2):
    rca = approved(rca_of(resolved(a1, g1)), g1, g2)
    assert desk.post(where(rca, "answer"), {"organisation": "acme", "text": "x"}).status_code == 400
    desk.force_login(g2)
    desk.post(where(rca, "do/publish_rca"), {})
    assert desk.post(where(rca, "answer"), {"organisation": "acme", "text": ""}).status_code == 400
    assert desk.post(where(rca, "answer"), {"organisation": "acme", "text": "Because."}).status_code == 302
    assert RCAComment.objects.get().text == "Because."
    assert "Because." in desk.get(where(rca)).content.decode()


def test_linking_a_recurrence(desk, a1, g1, g2):
    rca = published(rca_of(resolved(a1, g1)), g1, g2)
    later = incident(a1, at(500))
    page = f"{LIST}recurrence/{later.pk}/"
    assert desk.get(page).status_code == 200
    for data in ({"reference": "INC-9", "number": 1}, {"reference": rca.reference, "number": 7}, {}):
        assert desk.post(page, data).status_code == 400
    assert desk.post(page, {"reference": rca.reference, "number": 1}).status_code == 302
    assert Recurrence.objects.get().incident == later
    said = desk.get(f"/admin/incidents/incident/{later.pk}/change/").content.decode()
    assert "should have prevented this" in said


def test_a_page_writes_nothing_by_a_get_and_knows_no_stranger(client, a1, g1, g2):
    rca = written(rca_of(resolved(a1, g1)), g1)
    client.force_login(a1)
    for page in ("change", "text", "do/submit_rca", "as/acme", "answer"):
        assert client.get(where(rca, page)).status_code in (302, 403, 405)
    client.force_login(g1)
    revision = RCA.objects.get().revision
    for page in ("change", "text", "do/submit_rca", "as/acme", "history"):
        assert client.get(where(rca, page)).status_code == 200, page
    assert RCA.objects.get().revision == revision
    assert client.post(where(rca)).status_code == 403
    assert client.get(f"{LIST}999999/change/").status_code == 404
