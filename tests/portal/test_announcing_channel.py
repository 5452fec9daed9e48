"""Announcements in organisations' own channels and webhooks: to whom they are addressed, once, and to nobody else."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from portal import announcing
from portal.channels import webhook
from portal.message_kinds import KINDS
from portal.models import Announcement, Endpoint, OutboxMessage, Service
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY


@pytest.fixture(autouse=True)
def clock(db, settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ends(acme, nordwind):
    """Each organisation's channel and webhooks."""
    return {of.slug: (factories.channel(of), factories.webhooks(of)) for of in (acme, nordwind)}


def published(by, **given):
    given = {"title": "New region", "text": "We **open** one.", "audience": "all"} | given
    made = announcing.write(by=by, now=timezone.now(), **given)
    announcing.publish(made, by=by, now=timezone.now())
    return made


def heard(endpoint):
    return list(OutboxMessage.objects.filter(endpoint=endpoint).order_by("pk").values_list("kind", flat=True))


def body_of(message):
    return json.loads(webhook.body(message, KINDS[message.kind].render(message)))


def reason(kind, of):
    rows = OutboxMessage.objects.select_related("endpoint", "recipient").filter(recipient=None)
    return KINDS[kind].why_not(rows.get(kind=kind, endpoint__organisation=of))


def test_each_addressed_organisation_hears_once_by_channel_and_webhooks(ends, a1, a2, b1, m1):
    made = published(m1)
    for room, machine in ends.values():
        assert (heard(room), heard(machine)) == (["announcement"], ["announcement.published"])
    message = OutboxMessage.objects.get(endpoint=ends["acme"][0])
    assert (message.recipient, message.channel, message.is_automatic) == (None, "webhook", False)
    assert "We open one." in body_of(message)["data"]["text"]
    assert body_of(message)["data"]["url"].endswith(f"/announcements/{made.pk}/")


def test_the_webhook_has_the_fields_of_the_api_in_utc(ends, m1):
    made = published(m1, expires_at=T0 + timedelta(days=1))
    message = OutboxMessage.objects.get(endpoint=ends["acme"][1])
    sent = body_of(message)
    assert sent["type"] == "announcement.published"
    url = sent["data"]["url"]
    assert sent["data"] == {
        "event": {
            "id": made.pk,
            "kind": "published",
            "at": "2026-03-03T10:00:00Z",
            "by": None,
            "channel": "portal",
        },
        "announcement": {
            "id": made.pk,
            "title": "New region",
            "text": "We **open** one.",
            "html": "<p>We <strong>open</strong> one.</p>\n",
            "is_pinned": False,
            "published_at": "2026-03-03T10:00:00Z",
            "expires_at": "2026-03-04T10:00:00Z",
            "organisation": "acme",
            "url": url,
        },
        "url": url,
    }


def test_nobody_else_hears_and_no_byte_says_whom_else_it_is_addressed_to(ends, acme, nordwind, a1, b1, m1):
    secret = Service.objects.create(name=f"Third {CANARY}", slug=f"third-{CANARY}")
    nordwind.subscriptions.create(service=secret)
    published(m1, title=f"For one {CANARY}", audience="organisations", organisations=[nordwind])
    published(m1, title=f"For users {CANARY}", audience="services", services=[secret])
    assert [heard(end) for end in ends["acme"]] == [[], []]
    assert [len(heard(end)) for end in ends["nordwind"]] == [2, 2]
    OutboxMessage.objects.all().delete()
    acme.subscriptions.create(service=secret)
    published(m1, title="For both", audience="services", services=[secret])
    for message in OutboxMessage.objects.filter(recipient=None).select_related("endpoint", "recipient"):
        said = json.dumps(body_of(message), ensure_ascii=False)
        other = "Nordwind" if message.endpoint.organisation == acme else "Acme"
        assert other.lower() not in said.lower()
        assert CANARY not in said


def test_who_does_not_want_it_has_no_channel_or_no_plan_hears_nothing(acme, nordwind, m1):
    deaf = factories.channel(acme, hears_announcements=False)
    none = factories.webhooks(acme, ["incident.opened"])
    unplanned = factories.channel(nordwind)
    type(nordwind.support_plan).objects.filter(organisation=nordwind).update(has_dedicated_channel=False)
    published(m1)
    assert [heard(end) for end in (deaf, none, unplanned)] == [[], [], []]


def test_a_draft_and_a_scheduled_one_are_told_to_nobody(ends, m1):
    made = announcing.write(by=m1, now=T0, title="Later", text="x", audience="all")
    announcing.schedule(made, publish_at=T0 + timedelta(hours=1), by=m1, now=T0)
    assert not OutboxMessage.objects.exists()
    announcing.publish_due(T0 + timedelta(hours=1))
    announcing.publish_due(T0 + timedelta(hours=1))
    assert heard(ends["acme"][0]) == ["announcement"]


@pytest.mark.parametrize("kind", ["announcement", "announcement.published"])
@pytest.mark.parametrize("change", ["withdrawn", "over", "other people", "deaf", "given away"])
def test_it_is_looked_at_again_when_it_is_sent(ends, acme, nordwind, m1, clock, kind, change):
    made = published(m1, expires_at=T0 + timedelta(days=1))
    assert reason(kind, acme) == ""
    endpoints = Endpoint.objects.filter(organisation=acme)
    if change == "withdrawn":
        announcing.withdraw(made, by=m1, now=T0)
    elif change == "over":
        clock.move_to(T0 + timedelta(days=1))
    elif change == "other people":
        Announcement.objects.filter(pk=made.pk).update(audience="organisations")
    elif change == "deaf":
        endpoints.update(hears_announcements=False, events=[])
    else:
        endpoints.update(use="webhooks" if kind == "announcement" else "channel")
    assert reason(kind, acme) != ""
    assert (reason(kind, nordwind) != "") == (change in ("withdrawn", "over", "other people"))
