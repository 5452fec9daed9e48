"""A status update in the standard format: the same in page, mail, API and webhook."""

from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator

from incidents import actions, notify
from incidents.models import StatusUpdate
from incidents.standard import update_form
from portal.channels import webhook
from portal.models import OutboxMessage
from portal.standard_form import schema
from tests.conftest import T0
from tests.factories import incident


@pytest.fixture
def told(a1, a2, g1):
    """A P1 that g1 works on, with a plan and two updates."""
    made = incident(a1, T0)
    at = T0 + timedelta(minutes=5)
    write = {"by": g1, "channel": "admin"}
    actions.publish_status_update(made, condition="acknowledged", summary="We look.", now=at, **write)
    actions.start_intervention(made, now=at + timedelta(minutes=5), **write)
    actions.file_action_plan(
        made,
        steps=[{"text": "Fail over", "owner": "Deniz Kaya", "due_on": T0.date()}],
        next_review_at=at + timedelta(hours=1),
        now=at + timedelta(minutes=6),
        **write,
    )
    actions.restore(made, text="", now=at + timedelta(minutes=8), **write)
    actions.publish_status_update(
        made,
        condition="restored",
        summary="Failover **done**.",
        impact="No requests fail.",
        next_steps="Watch it.",
        next_update_at=at + timedelta(minutes=30),
        now=at + timedelta(minutes=10),
        **write,
    )
    return made


def forms_of(made):
    return [update_form(update).as_json() for update in made.status_updates.order_by("pk")]


def test_it_says_what_was_true_when_it_was_published(told):
    first, second = forms_of(told)
    assert (first["state"], first["actions"], first["until"]) == ("acknowledged", [], None)
    assert [step["text"] for step in first["next_steps"]] == []
    assert second["services"] == [{"name": "Inference API", "impact": "degraded", "word": "Degraded"}]
    assert second["until"] == "2026-03-03T10:13:00Z"
    assert second["actions"] == ["Gül One has been working on it."]
    assert [(step["text"], step["owner"], step["due"]) for step in second["next_steps"]] == [
        ("Watch it.", "", None),
        ("Fail over", "Deniz Kaya", "2026-03-03"),
    ]
    assert second["next_update_at"] == "2026-03-03T10:35:00Z"
    for form in (first, second):
        Draft202012Validator(schema()).validate(form)


def test_page_mail_api_and_webhook_say_the_same(told, a1, client):
    second = forms_of(told)[1]
    client.force_login(a1)
    assert client.get(f"/api/v1/incidents/{told.reference}/status-updates/").json()[1]["form"] == second
    message = OutboxMessage.objects.filter(kind="status_update", recipient=a1).order_by("-pk")[0]
    rendered = notify.render(message)
    assert rendered.form == second
    assert '"form":' in webhook.body(message, rendered)
    page = client.get(f"/incidents/{told.reference}/").content.decode()
    for text in (page, rendered.text, rendered.html):
        for said in ("No requests fail.", "Watch it.", "Fail over", "Deniz Kaya", "Inference API: Degraded"):
            assert said in text


def test_an_update_without_a_next_one_says_so(told, g1):
    update = StatusUpdate.objects.order_by("-pk")[0]
    update.next_update_at = None
    form = update_form(update)
    assert (form.next_update_at, form.next_update_word) == (None, "when something changes")
