"""What an organisation's webhooks hear of: every public event once, cut to its own, and nothing internal."""

import json
import re
from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from incidents import actions, notify
from incidents.models import RCA, ActionPlanStep, IncidentEvent, Message, RCACopy
from incidents.models.rca import RCA_PAYLOADS
from incidents.models.timeline import PAYLOADS
from incidents.preview import preview
from incidents.rca_notify import WEBHOOKS
from incidents.sweep import sweep
from portal.channels import webhook
from portal.message_kinds import KINDS
from portal.models import Endpoint, Organisation, OutboxMessage
from portal.webhook_events import EVENTS
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY
from tests.incidents.rca_world import DUE, approved, published, rca_of, resolved

MINUTE = timedelta(minutes=1)
# Their organisations hear of these by another name.
NAMED_OTHERWISE = {"rca_published"}


@pytest.fixture(autouse=True)
def _soon_after_t0():
    with time_machine.travel(T0 + 10 * MINUTE, tick=False):
        yield


@pytest.fixture
def machine(acme):
    return factories.webhooks(acme)


def heard(endpoint=None):
    """The names of the events that went to webhooks, in their order."""
    rows = OutboxMessage.objects.filter(kind__in=EVENTS).order_by("pk")
    return list((rows.filter(endpoint=endpoint) if endpoint else rows).values_list("kind", flat=True))


def message_of(name):
    rows = OutboxMessage.objects.select_related("endpoint", "recipient")
    return rows.filter(kind=name).order_by("pk").last()


def body_of(message):
    """What would go out, as the receiver reads it."""
    return json.loads(webhook.body(message, KINDS[message.kind].render(message)))


def why_not(name):
    message = message_of(name)
    return KINDS[name].why_not(message)


# --- which events ---


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_every_public_kind_of_event_has_a_name_and_no_internal_one_has(kind):
    is_known = f"incident.{kind}" in EVENTS
    assert is_known == (PAYLOADS[kind].is_public and kind not in NAMED_OTHERWISE)


@pytest.mark.parametrize("kind", sorted(RCA_PAYLOADS))
def test_of_an_rca_only_public_events_are_known(kind):
    assert (kind in WEBHOOKS) == RCA_PAYLOADS[kind].is_public


def test_every_name_has_its_words():
    for name, event in EVENTS.items():
        assert re.fullmatch(r"[a-z]+(\.[a-z_]+)+", name)
        assert str(event.label), name
        assert str(event.group), name


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_an_event_is_published_once_to_whoever_hears_it_and_an_internal_one_never(kind, machine, a1):
    incident = factories.incident(a1, T0)
    OutboxMessage.objects.all().delete()
    row = {"incident": incident, "kind": kind, "channel": "admin", "at": T0, "recorded_at": T0}
    shown = IncidentEvent.objects.create(**row, is_public=PAYLOADS[kind].is_public)
    hidden = IncidentEvent.objects.create(**row, is_public=False)
    notify.publish(incident, [shown, hidden], T0)
    notify.publish(incident, [shown], T0)
    name = f"incident.{kind}"
    assert heard() == ([name] if name in EVENTS else [])
    assert [row.facts["event"] for row in OutboxMessage.objects.filter(kind__in=EVENTS)] == (
        [shown.pk] if name in EVENTS else []
    )


def test_each_webhook_hears_of_what_it_chose_and_other_organisations_of_nothing(acme, nordwind, a1, b1, g1):
    every, some = factories.webhooks(acme), factories.webhooks(acme, ["incident.resolved"])
    none, theirs = factories.webhooks(acme, []), factories.webhooks(nordwind)
    off = factories.webhooks(acme, is_active=False)
    removed = factories.webhooks(acme, removed_at=T0)
    incident = factories.incident(a1, T0)
    actions.add_note(incident, by=g1, now=T0, channel="admin", text="between us")
    actions.resolve(incident, by=g1, now=T0, channel="admin", cause="A disk.", remedy="Replaced it.")
    assert heard(every) == ["incident.opened", "incident.resolved"]
    assert heard(some) == ["incident.resolved"]
    assert heard(none) == heard(theirs) == heard(off) == heard(removed) == []


def test_no_person_and_no_channel_hears_by_that(machine, acme, a1):
    room = factories.channel(acme)
    factories.incident(a1, T0)
    rows = OutboxMessage.objects.filter(kind="incident.opened")
    assert [(row.recipient, row.endpoint, row.next_channels, row.instead) for row in rows] == [
        (None, machine, [], [])
    ]
    assert not OutboxMessage.objects.filter(endpoint=room, kind__in=EVENTS).exists()
    assert not OutboxMessage.objects.filter(endpoint=machine, kind="incident_opened").exists()


def test_who_has_no_webhooks_costs_one_query_for_each_act(a1, g1):
    incident = factories.incident(a1, T0)
    with CaptureQueriesContext(connection) as captured:
        actions.start_intervention(incident, by=g1, now=T0, channel="admin")
        actions.resolve(incident, by=g1, now=T0, channel="admin", cause="A disk.", remedy="Replaced it.")
    asked = [query for query in captured if "'webhooks'" in query["sql"]]
    assert len(asked) == 2


def test_facts_that_the_clockwork_finds_late_are_told_each_once(machine, a1, g1):
    incident = factories.incident(a1, T0, "P1")
    for minutes in (16, 95, 95):
        sweep(T0 + minutes * MINUTE)
    told = incident.events.filter(kind__in=["lateness_told", "declared_major"]).count()
    assert told >= 2
    assert len(heard()) == 1 + told
    assert not OutboxMessage.objects.filter(kind__in=EVENTS).exclude(collapse_key="").exists()


def test_a_machine_that_fails_pages_nobody(machine, a1, g1):
    incident = factories.incident(a1, T0)
    OutboxMessage.objects.filter(kind__in=EVENTS).update(state="set_aside", unreached_at=T0)
    sweep(T0 + MINUTE)
    assert not incident.events.filter(kind="not_reached").exists()
    assert not OutboxMessage.objects.filter(kind__in=EVENTS, is_unreached_handled=False).exists()


def test_a_preview_is_of_what_people_read(machine, a1, g1):
    incident = factories.incident(a1, T0)
    words = {"condition": "in_progress", "summary": "Failover runs."}
    shown = preview(actions.publish_status_update, incident, by=g1, now=T0, channel="admin", **words)
    assert shown.recipients == ["Ada One"]
    assert "Failover runs." in shown.mail.text


# --- what they say ---


def test_an_event_says_what_happened_in_the_words_of_the_api(machine, acme, a1, g1):
    incident = factories.incident(a1, T0)
    actions.reply(incident, by=g1, now=T0 + 5 * MINUTE, channel="admin", text="We **see** it.")
    sent = body_of(message_of("incident.staff_replied"))
    event = incident.events.get(kind="staff_replied")
    data = sent["data"]
    assert sent["type"] == "incident.staff_replied"
    assert data["event"] == {
        "id": event.pk,
        "kind": "staff_replied",
        "at": "2026-03-03T10:05:00Z",
        "by": {"name": "Gül One", "side": "staff"},
        "channel": "admin",
    }
    assert data["message"] == {"text": "We **see** it.", "author": "Gül One"}
    assert (data["form"], data["url"].partition("/incidents/")[2]) == (None, f"{incident.reference}/")
    api = APIClient()
    api.force_authenticate(a1)
    shown = api.get(f"/api/v1/incidents/{incident.reference}/").json()
    told = data["incident"]
    clocks = [{k: v for k, v in clock.items() if k != "receipts"} for clock in shown.pop("clocks")]
    assert [moments(clock) for clock in told.pop("clocks")] == [moments(clock) for clock in clocks]
    assert told.pop("url") == data["url"]
    assert moments(told) == moments(shown)


def moments(row):
    """The row with its moments compared as moments: the API writes them in its own zone."""
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
        for name, value in row.items()
    }


def test_every_time_is_utc_and_the_words_are_in_the_organisations_language(machine, acme, a1, g1):
    Organisation.objects.filter(pk=acme.pk).update(language="tr", time_zone="America/New_York")
    incident = factories.incident(a1, T0)
    actions.publish_status_update(
        incident, by=g1, now=T0, channel="admin", condition="in_progress", summary="Failover runs."
    )
    data = body_of(message_of("incident.status_update_published"))["data"]
    found = re.findall(r'"(?:[a-z_]+_at|at|since|until)": "([^"]+)"', json.dumps(data))
    assert len(found) > 8
    assert [at for at in found if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at)] == []
    assert data["form"]["what"] == "Failover runs."
    assert data["form"]["state_word"] != "In progress"


def test_reasons_plans_and_releases_are_told(machine, a1, a2, g1, m1):
    p2 = factories.incident(a1, T0, "P2")
    actions.file_action_plan(
        p2,
        by=g1,
        now=T0,
        channel="admin",
        summary="Three steps.",
        steps=[{"text": "Look", "owner": "Gül", "due_on": DUE}],
        next_review_at=T0 + timedelta(days=1),
    )
    assert ActionPlanStep.objects.count() == 1
    plan = body_of(message_of("incident.action_plan_filed"))["data"]["action_plan"]
    assert plan["steps"] == [{"text": "Look", "owner": "Gül", "due_on": "2026-03-20"}]
    actions.validate_level(p2, by=g1, now=T0, channel="admin", level="P3", reason="A typo.")
    assert body_of(message_of("incident.level_validated"))["data"]["message"] == {
        "text": "A typo.",
        "author": "Gül One",
    }
    actions.contest_lowering(p2, by=a1, now=T0, channel="portal", reason="No typo.")
    said = body_of(message_of("incident.lowering_contested"))["data"]
    assert said["message"] == {"text": "No typo.", "author": "Ada One"}
    assert said["event"]["by"] == {"name": "Ada One", "side": "customer"}
    actions.decide_contest(p2, by=m1, now=T0, channel="admin", is_upheld=False, reason="It is one.")
    assert body_of(message_of("incident.contest_decided"))["data"]["message"]["text"] == "It is one."
    p3 = factories.incident(a1, T0, "P3")
    actions.plan_release(p3, by=g1, now=T0, channel="admin", version="2.1", planned_on=DUE)
    assert body_of(message_of("incident.release_planned"))["data"]["release"]["version"] == "2.1"


def test_the_log_says_what_it_was(machine, a1):
    incident = factories.incident(a1, T0)
    message = message_of("incident.opened")
    rendered = KINDS[message.kind].render(message)
    assert rendered.subject == f"{incident.reference} incident.opened"
    assert message.subject_key == incident.reference
    assert "API down" not in rendered.text


# --- looked at again when it is sent ---


def test_a_text_that_became_internal_is_not_sent(machine, a1, g1):
    incident = factories.incident(a1, T0)
    actions.reply(incident, by=g1, now=T0, channel="admin", text="secret")
    assert why_not("incident.staff_replied") == ""
    Message.objects.update(is_public=False)
    assert why_not("incident.staff_replied") == "its text has been made internal"
    assert "secret" not in json.dumps(body_of(message_of("incident.staff_replied")))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"organisation": "nordwind"}, "the endpoint does not belong to the organisation any more"),
        ({"use": "channel"}, "the endpoint is no webhook any more"),
        ({"events": ["incident.closed"]}, "the endpoint does not hear of this event any more"),
    ],
)
def test_a_webhook_that_changed_meanwhile_hears_nothing(machine, a1, nordwind, change, reason):
    factories.incident(a1, T0)
    assert why_not("incident.opened") == ""
    if "organisation" in change:
        change = {"organisation": nordwind}
    Endpoint.objects.filter(pk=machine.pk).update(**change)
    assert why_not("incident.opened") == reason


def test_an_incident_is_never_told_to_another_organisations_webhook(a1, nordwind):
    factories.incident(a1, T0)
    event = IncidentEvent.objects.get(kind="opened")
    theirs = factories.webhooks(nordwind)
    message = OutboxMessage(kind="incident.opened", endpoint=theirs, channel="webhook")
    message.facts = {"event": event.pk, "organisation": nordwind.pk}
    assert KINDS["incident.opened"].why_not(message) == "the incident is another organisation's"


# --- RCA ---


def test_an_rca_and_its_actions_are_told(machine, acme, a1, g1, g2):
    incident = resolved(a1, g1)
    rca = published(rca_of(incident), g1, g2)
    said = body_of(message_of("rca.published"))["data"]
    assert said["rca"]["reference"] == incident.reference
    assert (said["rca"]["version"], said["rca"]["organisation"]) == (1, "acme")
    assert (said["form"]["kind"], said["action"]) == ("rca", None)
    action = rca.actions.get()
    actions.start_action(action, by=g1, now=T0 + 300 * MINUTE, channel="admin")
    actions.move_action(
        action,
        by=g1,
        now=T0 + 301 * MINUTE,
        channel="admin",
        due_on=DUE.replace(day=25),
        reason="Parts are late.",
    )
    said = body_of(message_of("rca.prevention_action_moved"))["data"]
    assert (said["action"]["number"], said["action"]["due_on"]) == (1, "2026-03-25")
    assert said["form"]["kind"] == "next_steps"
    assert [name for name in heard() if name.startswith("rca.")] == [
        "rca.published",
        "rca.prevention_action_started",
        "rca.prevention_action_moved",
    ]
    assert "incident.rca_published" not in heard()
    assert why_not("rca.published") == ""
    RCACopy.objects.all().delete()
    assert why_not("rca.published") == "the organisation does not read the RCA any more"


def test_a_draft_is_told_to_nobody(machine, a1, g1, g2):
    approved(rca_of(resolved(a1, g1)), g1, g2)
    assert not [name for name in heard() if name.startswith("rca.")]
    assert RCA.objects.get().status != "published"


def test_the_canary_of_the_cast_is_in_nothing_of_acme(machine, nordwind, a1, b1, g1):
    theirs = factories.webhooks(nordwind)
    for person in (a1, b1):
        made = factories.incident(person, T0, title=f"Down for {person.name}")
        actions.reply(made, by=person, now=T0, channel="portal", text=f"{person.name} here")
    said = {each: [] for each in (machine, theirs)}
    for message in OutboxMessage.objects.filter(kind__in=EVENTS).select_related("endpoint", "recipient"):
        said[message.endpoint].append(json.dumps(body_of(message)))
    assert len(said[machine]) == len(said[theirs]) == 2
    assert not [text for text in said[machine] if CANARY in text]
    assert not [text for text in said[theirs] if "Ada One" in text]
    assert all(CANARY in text for text in said[theirs])
