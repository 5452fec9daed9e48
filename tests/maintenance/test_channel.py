"""An organisation's own channel and its webhooks hear of maintenance: once, cut to what it uses, nothing internal."""

import json
from collections import Counter

import jsonschema
import pytest

from maintenance import actions, notify
from maintenance.models import MaintenancePlan
from maintenance.models.timeline import PAYLOADS
from maintenance.notify import WEBHOOKS
from maintenance.sweep import sweep
from portal import outbox
from portal.channels import webhook
from portal.message_kinds import KINDS
from portal.models import Endpoint, OutboxMessage
from portal.standard_form import schema
from portal.webhook_events import EVENTS
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY
from tests.maintenance.test_leaks import life  # noqa: F401 (a fixture)
from tests.maintenance.world import (
    DAY,
    DECISION,
    END,
    HOUR,
    START,
    announced,
    approved,
    by,
    check_all,
    draft,
    service,
)

pytestmark = pytest.mark.usefixtures("cast")


@pytest.fixture(autouse=True)
def _no_holidays(settings):
    settings.SUPPORT_COUNTRY = ""


@pytest.fixture
def room(cast, acme):
    return factories.channel(acme, "teams")


@pytest.fixture
def machine(cast, acme):
    return factories.webhooks(acme)


def heard(endpoint):
    """The kinds of what went to an endpoint, in their order."""
    rows = OutboxMessage.objects.filter(endpoint=endpoint, channel="webhook").order_by("pk")
    return [row.kind.removeprefix("maintenance_").removeprefix("maintenance.") for row in rows]


def sent(endpoint):
    """Kind -> what goes out, as it is read."""
    rows = OutboxMessage.objects.filter(endpoint=endpoint, channel="webhook").order_by("pk")
    return {row.kind: body_of(row) for row in rows.select_related("endpoint__organisation", "recipient")}


def body_of(message):
    rendered = KINDS[message.kind].render(message)
    said = json.dumps(json.loads(webhook.body(message, rendered)), ensure_ascii=False)
    return "\n".join([said, rendered.subject, rendered.text, rendered.url])


def whole_life(g1, g2):
    """Announced, moved, reminded, started, a word, extended, overrun, taken back, verified, over."""
    window = announced(g1, g2)
    times = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    actions.move_window(window, **times, reason="Another day.", **by(g1, T0 + HOUR))
    sweep(START)
    sweep(START + DAY)
    window.refresh_from_db()
    at = START + DAY
    actions.post(window, text="Half of it.", **by(g1, at + HOUR))
    actions.post(window, text="between us", is_public=False, **by(g1, at + HOUR))
    sweep(END + DAY)
    actions.order_rollback(window, reason="Errors.", **by(g1, END + DAY + HOUR))
    actions.begin_verification(window, **by(g1, END + DAY + HOUR))
    actions.complete(window, outcome="As before.", **by(g1, END + DAY + 2 * HOUR))
    window.refresh_from_db()
    return window


LIFE = [
    "announced",
    "moved",
    "reminder",
    "started",
    "progress",
    "overrun",
    "rollback_ordered",
    "verifying",
    "ended",
]


# --- the channel ---


def test_the_channel_hears_once_of_what_its_people_hear(room, a1, g1, g2):
    whole_life(g1, g2)
    people = OutboxMessage.objects.filter(recipient=a1, channel="email").order_by("pk")
    assert heard(room) == LIFE == [row.kind.removeprefix("maintenance_") for row in people]
    assert not OutboxMessage.objects.filter(channel="webhook").exclude(recipient=None).exists()


def test_it_reads_the_standard_format_with_a_deep_link_and_no_calendar(room, g1, g2):
    window = announced(g1, g2)
    [message] = OutboxMessage.objects.filter(endpoint=room)
    rendered = notify.render(message)
    jsonschema.validate(rendered.form, schema())
    assert rendered.form["kind"] == "maintenance_notice"
    assert rendered.url.endswith(f"/maintenance/{window.reference}/")
    assert (rendered.calendar, rendered.reply_to, message.facts["calendar"]) == (None, "", "")
    assert message.subject_key == window.reference


def test_a_cancellation_is_heard_also_where_maintenance_is_not_wanted_any_more(room, g1, g2):
    window = announced(g1, g2)
    Endpoint.objects.filter(pk=room.pk).update(hears_maintenance=False)
    assert notify.why_not(OutboxMessage.objects.get(endpoint=room)) == (
        "the recipient does not want to hear of maintenance any more"
    )
    times = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    actions.move_window(window, **times, reason="Another day.", **by(g1, T0 + HOUR))
    actions.cancel(window, reason="Not needed.", **by(g1, T0 + 2 * HOUR))
    assert heard(room) == ["announced", "cancelled"]
    assert notify.why_not(OutboxMessage.objects.get(endpoint=room, kind="maintenance_cancelled")) == ""


def test_who_is_not_concerned_has_no_channel_or_no_plan_for_one_hears_nothing(
    room, machine, acme, cloudia, nordwind, g1, g2
):
    theirs = [factories.channel(nordwind), factories.webhooks(nordwind)]
    own = factories.channel(cloudia)
    type(cloudia.support_plan).objects.filter(organisation=cloudia).update(has_dedicated_channel=False)
    announced(g1, g2)
    assert heard(room) == heard(machine) == ["announced"]
    assert [heard(end) for end in [*theirs, own]] == [[], [], []]


def test_what_is_not_announced_is_told_to_no_channel_and_no_webhook(room, machine, g1, g2, acme):
    for made in (draft(g1), approved(g1, g2)):
        made.involved.create(organisation=acme, since=T0)
        actions.cancel(made, reason="secret", **by(g1, T0))
    assert heard(room) == heard(machine) == []


def test_start_and_end_as_the_plan_says(room, acme, g1, g2):
    plan = MaintenancePlan.objects.create(name="Quiet", tells_start=False, tells_end=False)
    type(acme.support_plan).objects.filter(organisation=acme).update(maintenance_plan=plan)
    window = announced(g1, g2)
    sweep(START)
    window.refresh_from_db()
    check_all(window, g1, START + HOUR)
    actions.begin_verification(window, **by(g1, START + HOUR))
    actions.complete(window, outcome="Done.", **by(g1, START + HOUR))
    assert heard(room) == ["announced", "verifying"]


def test_who_is_concerned_only_later_is_told_then_and_the_others_not_again(room, cloudia, nordwind, g1, g2):
    late = factories.channel(nordwind)
    window = announced(g1, g2)
    nordwind.subscriptions.create(service=service())
    sweep(START - DAY)
    window.refresh_from_db()
    assert heard(late)[:1] == ["invited"]
    assert "invited" not in heard(room)


def test_after_an_outage_only_the_newest_of_what_happens_by_itself_is_posted(room, g1, g2):
    window = announced(g1, g2)
    OutboxMessage.objects.all().delete()
    sweep(START - HOUR)
    sweep(START)
    window.refresh_from_db()
    rows = OutboxMessage.objects.filter(endpoint=room).order_by("pk")
    reasons = [outbox.why_not(row, KINDS[row.kind]) for row in rows]
    assert [row.kind for row, reason in zip(rows, reasons, strict=True) if not reason] == [
        "maintenance_started"
    ]
    assert len(rows) >= 2


@pytest.mark.parametrize("change", ["given away", "not involved", "plan"])
def test_a_channel_that_is_not_theirs_any_more_hears_nothing(room, nordwind, acme, g1, g2, change):
    window = announced(g1, g2)
    message = OutboxMessage.objects.get(endpoint=room)
    assert notify.why_not(message) == ""
    if change == "given away":
        Endpoint.objects.filter(pk=room.pk).update(organisation=nordwind)
    elif change == "not involved":
        window.involved.filter(organisation=acme).delete()
    else:
        type(acme.support_plan).objects.filter(organisation=acme).update(has_dedicated_channel=False)
    message = OutboxMessage.objects.get(pk=message.pk)
    assert "any more" in notify.why_not(message)
    with pytest.raises(LookupError):
        notify.render(message)


# --- webhooks ---


@pytest.mark.parametrize("kind", sorted(PAYLOADS))
def test_only_public_events_have_a_name(kind):
    assert (kind in WEBHOOKS) == PAYLOADS[kind].is_public


def test_webhooks_hear_of_each_public_event_once(machine, acme, g1, g2):
    some = factories.webhooks(acme, ["maintenance.ended"])
    whole_life(g1, g2)
    told = Counter(heard(machine))
    assert told == Counter(
        ["announced", "moved", "started", "progress", "overran", "rollback_ordered", "verifying", "ended"]
    )
    assert heard(some) == ["ended"]
    assert all(f"maintenance.{name}" in EVENTS for name in told)


def test_an_event_says_what_happened_in_the_words_of_the_api(machine, a1, g1, g2):
    window = announced(g1, g2)
    times = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    actions.move_window(window, **times, reason="Another day.", **by(g1, T0 + HOUR))
    message = OutboxMessage.objects.get(kind="maintenance.moved")
    rendered = KINDS[message.kind].render(message)
    data = rendered.data
    assert rendered.subject == f"{window.reference} maintenance.moved"
    assert data["event"]["by"] == {"name": "Gül One", "side": "staff"}
    assert data["event"]["at"] == "2026-03-03T11:00:00Z"
    assert data["message"] == {"text": "Another day.", "author": "Gül One"}
    assert data["window"]["starts_at"] == "2026-03-11T10:00:00Z"
    assert (data["window"]["organisation"], data["window"]["services"][0]["service"]) == (
        "acme",
        "inference-api",
    )
    jsonschema.validate(data["form"], schema())


@pytest.mark.parametrize("change", ["given away", "not involved"])
def test_a_webhook_that_is_not_theirs_any_more_hears_nothing(machine, nordwind, acme, g1, g2, change):
    window = announced(g1, g2)
    if change == "given away":
        Endpoint.objects.filter(pk=machine.pk).update(organisation=nordwind)
    else:
        window.involved.filter(organisation=acme).delete()
    message = OutboxMessage.objects.get(kind="maintenance.announced")
    assert "any more" in KINDS[message.kind].why_not(message)


# --- nobody reads a byte of another ---


@pytest.fixture
def ends(cast, acme, cloudia, nordwind):
    """Name -> the channel and the webhooks of each, before anything happens."""
    return {of.name: (factories.channel(of), factories.webhooks(of)) for of in (acme, cloudia, nordwind)}


def test_no_channel_and_no_webhook_holds_a_byte_of_another(ends, request):
    request.getfixturevalue("life")
    foreign = {
        "Acme": [CANARY, "Nordwind", "Cloudia", "Vector Store", "vector-store", "Cem One", "between us"],
        "Cloudia": [CANARY, "Nordwind", "Acme", "Vector Store", "vector-store", "Ada One", "between us"],
        "Nordwind": ["Acme", "Cloudia", "Inference API", "inference-api", "Ada One", "Cem One", "between us"],
    }
    for name, both in ends.items():
        for endpoint in both:
            bodies = sent(endpoint)
            assert len(bodies) >= 8, (name, endpoint)
            for kind, body in bodies.items():
                assert [word for word in foreign[name] if word in body] == [], (name, kind)
