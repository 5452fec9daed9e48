"""Announcements: what is not addressed to somebody, and what only staff do, stays out by each of its filters."""

from __future__ import annotations

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from portal import announcing, outbox
from portal.models import Announcement, AnnouncementReading, Organisation, Service, StaffLimit, User
from tests import factories
from tests.conftest import T0
from tests.portal.api_client import API, bearer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    with time_machine.travel(T0, tick=False):
        yield


def written(by, audience="all", title="New region", **given):
    return announcing.write(
        by=by, now=timezone.now(), **({"title": title, "text": "Text.", "audience": audience} | given)
    )


def published(by, duty, audience="all", **given):
    made = written(by, audience, **given)
    announcing.publish(made, by=duty, now=timezone.now())
    return made


def api_as(person):
    api = APIClient()
    api.force_authenticate(person)
    return api


def test_whoever_is_off_hears_and_counts_no_more(a1, a3, g1, m1, mailoutbox):
    User.objects.filter(pk=a3.pk).update(is_active=False)
    made = written(g1)
    assert announcing.reach(made).in_portal == 1
    announcing.publish(made, by=m1, now=T0)
    outbox.sweep(T0, channel="email")
    assert [mail.to for mail in mailoutbox] == [[a1.email]]


def test_limited_staff_use_no_verb_of_what_is_for_everybody(acme, g1, m1):
    lim = factories.agent("lim@briqmind.example", "Lim", "duty_manager", is_limited=True)
    StaffLimit.objects.create(user=lim, organisation=acme)
    made = written(g1)
    assert not announcing.may("publish", made, m1, T0)
    assert announcing.may("publish", made, lim, T0)
    assert announcing.may("edit", made, lim, T0)


def test_a_reading_is_one_person_s(client, a1, a2, g1, m1):
    made = published(g1, m1)
    announcing.note_reading(made, a1, T0)
    api = f"{API}announcements/{made.pk}/"
    assert api_as(a1).get(api).json()["is_read"] is True
    assert api_as(a2).get(api).json()["is_read"] is False
    client.force_login(a2)
    assert [row.is_read for row in client.get("/announcements/").context["page"]] == [False]
    announcing.note_reading(made, a2, T0)
    assert set(AnnouncementReading.objects.values_list("person", flat=True)) == {a1.pk, a2.pk}


def test_the_mail_speaks_as_the_reader_s_own_organisation(a1, b1, acme, g1, m1, monkeypatch):
    homes = []
    render = announcing.render_mail
    monkeypatch.setattr(
        announcing, "render_mail", lambda *a, **k: homes.append(k["organisation"]) or render(*a, **k)
    )
    published(g1, m1, "organisations", organisations=[b1.memberships.get().organisation])
    outbox.sweep(T0, channel="email")
    assert homes == [b1.memberships.get().organisation]


def test_an_audience_reaches_nobody_by_what_another_audience_would_ask(acme, a1, b1, nordwind, g1, m1):
    """Whatever else hangs on a row, only what its audience says counts."""
    third = Service.objects.create(name="Third", slug="third")
    acme.subscriptions.create(service=third)
    by_service = published(g1, m1, "services", services=[third])
    by_service.organisations.add(nordwind)
    by_name = published(g1, m1, "organisations", organisations=[nordwind])
    by_name.services.add(third)
    assert list(Announcement.objects.visible_to(a1)) == [by_service]
    assert list(Announcement.objects.visible_to(b1)) == [by_name]


def test_what_is_current_is_published(g1, m1):
    written(g1)
    made = published(g1, m1)
    assert list(Announcement.objects.current(T0)) == [made]


def test_a_bound_token_of_staff_reads_no_draft(acme, g1, m1):
    drafted, made = written(g1), published(g1, m1)
    rows = bearer(g1, organisation=acme).get(f"{API}announcements/").json()["results"]
    assert [row["id"] for row in rows] == [made.pk]
    assert bearer(g1).get(f"{API}announcements/{drafted.pk}/").status_code == 200


def test_a_customer_learns_nothing_from_trying_to_write_one(a1, nordwind, g1, m1):
    for given in (
        {},
        {"title": "x", "text": "x", "audience": "organisations", "organisations": ["nordwind"]},
    ):
        assert api_as(a1).post(f"{API}announcements/", given, format="json").status_code == 403
    made = published(g1, m1)
    for verb in ("publication", "withdrawal"):
        assert api_as(a1).post(f"{API}announcements/{made.pk}/{verb}/").status_code == 403
    assert Announcement.objects.get().withdrawn_at is None


def test_the_desk_says_why_an_agent_does_not_publish(client, g1, m1):
    made = written(g1)
    change = reverse("admin:portal_announcement_change", args=[made.pk])
    verb = reverse("admin:portal_announcement_do", args=[made.pk, "publish"])
    for person, is_refused in ((g1, True), (m1, False)):
        client.force_login(person)
        assert bool(client.get(change).context["refusal"]) is is_refused
        assert bool(client.get(verb).context["refusal"]) is is_refused
        offered = {each.name for each in client.get(change).context["verbs"]}
        assert ("publish" in offered) is not is_refused


def test_an_organisation_that_is_off_is_not_among_the_readers(acme, a1, nordwind, b1, g1, m1):
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    published(g1, m1)
    assert not Announcement.objects.visible_to(a1).exists()
    assert Announcement.objects.visible_to(b1).count() == 1
