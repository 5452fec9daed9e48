"""Channels and webhooks: each filter that keeps one organisation's endpoints from another's people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from incidents.defaults import vendor_organisation
from portal import endpoint_health, endpoint_views, endpoints
from portal.endpoint_words import Entry
from portal.models import Endpoint, Membership, Organisation, OutboxMessage, StaffLimit, User
from tests import factories
from tests.conftest import T0
from tests.portal.api_client import API, bearer

pytestmark = pytest.mark.django_db
CHANNELS = f"{API}channels/"
NEW = {"use": "webhooks", "name": "Tickets", "url": "https://hooks.example.com/x", "events": ["*"]}


def api_as(person):
    api = APIClient()
    api.force_authenticate(person)
    return api


def pager(person=None):
    return Endpoint.objects.create(name="Pager", url="https://pager.example/x", person=person)


def test_the_api_knows_no_pager_and_nothing_removed(acme, a1, a2, h1):
    of_team, removed, made = pager(), factories.webhooks(acme), factories.webhooks(acme)
    Endpoint.objects.filter(pk=removed.pk).update(removed_at=T0)
    for person in (a2, h1):
        rows = api_as(person).get(CHANNELS).json()["results"]
        assert [row["key"] for row in rows] == [str(made.key)]
        for key in (of_team.key, removed.key):
            assert api_as(person).get(f"{CHANNELS}{key}/").status_code == 404
    assert not api_as(a1).get(CHANNELS).json()["results"]
    assert api_as(a1).get(f"{CHANNELS}{made.key}/").status_code == 403


def test_only_who_manages_an_organisation_sets_one_up_for_it(acme, nordwind, a1, a2, h1):
    assert api_as(a1).post(CHANNELS, NEW | {"organisation": "acme"}, format="json").status_code == 403
    for person, slug in ((a2, "nordwind"), (h1, vendor_organisation(T0).slug)):
        answer = api_as(person).post(CHANNELS, NEW | {"organisation": slug}, format="json")
        assert answer.status_code == 400
        assert "organisation" in str(answer.json())
    assert not Endpoint.objects.exists()


def test_a_bound_token_sets_one_up_for_its_organisation(acme, nordwind, a2):
    Membership.objects.create(user=a2, organisation=nordwind, role="manager")
    assert bearer(a2).post(CHANNELS, NEW, format="json").status_code == 400  # which of the two?
    assert bearer(a2, organisation=nordwind).post(CHANNELS, NEW, format="json").status_code == 201
    assert Endpoint.objects.get().organisation == nordwind


def test_whose_channels_somebody_looks_after(acme, nordwind, a1, a2, h1):
    vendor = vendor_organisation(T0)
    lim = factories.agent("lim@briqmind.example", "Lim", "head_of_support", is_limited=True)
    StaffLimit.objects.create(user=lim, organisation=acme)
    assert list(endpoint_views.managed_by(h1)) == [acme, nordwind]
    assert list(endpoint_views.managed_by(lim)) == [acme]
    assert list(endpoint_views.managed_by(a2)) == [acme]
    assert not endpoint_views.managed_by(a1)
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    assert list(endpoint_views.managed_by(h1)) == [nordwind]
    assert not vendor.is_active or vendor not in endpoint_views.managed_by(h1)


def test_who_hears_that_an_endpoint_is_off(acme, a1, a2, g1, m1, h1, root):
    own = pager(g1)
    assert endpoint_health.who_looks_after(own) == [g1]
    User.objects.filter(pk=g1.pk).update(is_active=False)
    own.person.refresh_from_db()
    assert endpoint_health.who_looks_after(own) == []
    team = endpoint_health.who_looks_after(pager())
    assert m1 in team
    User.objects.filter(pk=m1.pk).update(is_active=False)
    assert endpoint_health.who_looks_after(pager()) == [one for one in team if one != m1]
    User.objects.filter(pk=m1.pk).update(is_active=True, is_staff=False)
    assert m1 not in endpoint_health.who_looks_after(pager())


def test_an_endpoint_that_is_off_begins_no_failing(acme):
    off = factories.webhooks(acme)
    Endpoint.objects.filter(pk=off.pk).update(is_active=False)
    message = OutboxMessage.objects.create(
        kind="x", endpoint=off, channel="webhook", dedupe_key="x", created_at=T0, next_attempt_at=T0
    )
    call = endpoint_health.Timed(lambda: None)
    assert not endpoint_health.note_failure(message, call, OSError("no"), T0 + timedelta(days=9))
    off.refresh_from_db()
    assert off.failing_since is None


@pytest.mark.parametrize(
    ("state", "attempts", "may"),
    [
        ("queued", 0, False),
        ("queued", 1, True),
        ("claimed", 1, False),
        ("sent", 1, True),
        ("failed", 3, True),
    ],
)
def test_what_is_on_its_way_is_not_sent_again(state, attempts, may):
    message = OutboxMessage(state=state, attempts=attempts)
    assert Entry(message, "", "", None, []).may_go_again is may


def test_a_channel_is_its_organisation_s_while_it_stands(acme, nordwind):
    room = factories.channel(acme)
    assert endpoints.is_channel_of(room, acme.pk)
    assert not endpoints.is_channel_of(room, nordwind.pk)
    assert endpoints.channel_of(acme) == room
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    assert not endpoints.is_channel_of(room, acme.pk)
    Organisation.objects.filter(pk=acme.pk).update(is_active=True)
    Endpoint.objects.filter(pk=room.pk).update(removed_at=T0)
    assert endpoints.channel_of(acme) is None


def test_a_second_channel_is_one_of_the_same_organisation_that_stands(client, acme, nordwind, h1):
    room, theirs = factories.channel(acme), factories.channel(nordwind)
    client.force_login(h1)
    add = reverse("admin:portal_endpoint_add")
    fields = {"use": "channel", "service": "webhook", "name": "New room", "url": "https://hooks.example.com/n",
              "organisation": acme.pk, "is_active": "on"}  # fmt: skip
    answer = client.post(add, fields)
    assert answer.status_code == 200
    assert "has a dedicated channel already" in str(answer.context["adminform"].form.errors)
    Endpoint.objects.filter(pk=room.pk).update(removed_at=T0)
    assert client.post(add, fields).status_code == 302
    assert theirs.removed_at is None


def test_switching_one_off_by_hand_forgives_nothing(client, acme, h1):
    room = factories.webhooks(acme)
    Endpoint.objects.filter(pk=room.pk).update(failing_since=T0)
    client.force_login(h1)
    change = reverse("admin:portal_endpoint_change", args=[room.pk])
    fields = {"name": room.name, "url": room.url, "events": "*"}
    answer = client.post(change, fields)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    room.refresh_from_db()
    assert (room.is_active, room.failing_since) == (False, T0)
