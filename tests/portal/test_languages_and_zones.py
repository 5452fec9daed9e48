"""Everybody reads in their own language and zone, and nobody inherits another visitor's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.http import HttpRequest, JsonResponse
from django.template import RequestContext, Template
from django.test import Client, RequestFactory
from django.urls import path
from django.utils import timezone, translation

from portal import heartbeat
from portal.middleware import choices, zone_info
from portal.models import Membership, Organisation, User

pytestmark = pytest.mark.urls(__name__)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def what_i_read(request: HttpRequest) -> JsonResponse:
    return JsonResponse(
        {
            "language": translation.get_language(),
            "zone": timezone.get_current_timezone_name(),
            "code": request.LANGUAGE_CODE,  # type: ignore[attr-defined]
        }
    )


urlpatterns = [path("read", what_i_read)]


def person(**fields: Any) -> User:
    return User.objects.create_user("ada@example.com", name="Ada", **fields)


def joined(user: User, name: str, **fields: Any) -> Organisation:
    organisation = Organisation.objects.create(name=name, slug=name, **fields)
    Membership.objects.create(user=user, organisation=organisation)
    return organisation


def read_as(client: Client, user: User | None, **headers: str) -> tuple[str, str]:
    if user:
        client.force_login(user)
    response = client.get("/read", headers=headers)
    said = response.json()
    assert response["Content-Language"] == said["language"] == said["code"]
    return said["language"], said["zone"]


def test_a_person_reads_in_their_own_language_and_zone(client: Client, db: None) -> None:
    user = person(language="tr", time_zone="Asia/Tokyo")
    joined(user, "acme", language="en", time_zone="Europe/Berlin")
    assert read_as(client, user, accept_language="en") == ("tr", "Asia/Tokyo")


def test_without_a_choice_a_person_reads_as_their_first_organisation(client: Client, db: None) -> None:
    user = person()
    Organisation.objects.create(name="older", slug="older", language="en", time_zone="Asia/Tokyo")
    joined(user, "acme", language="tr", time_zone="Europe/Berlin")
    joined(user, "beta", language="en", time_zone="Asia/Tokyo")
    assert read_as(client, user) == ("tr", "Europe/Berlin")


def test_zone_and_language_fall_back_one_by_one(client: Client, db: None) -> None:
    user = person(language="en")
    joined(user, "acme", language="tr", time_zone="Europe/Berlin")
    assert read_as(client, user) == ("en", "Europe/Berlin")


def test_an_inactive_organisation_decides_nothing(db: None, settings: Any) -> None:
    user = person()
    joined(user, "acme", language="tr", time_zone="Europe/Berlin", is_active=False)
    assert choices(user) == (settings.TIME_ZONE, settings.LANGUAGE_CODE)


def test_staff_without_a_choice_read_in_the_defaults(client: Client, db: None, settings: Any) -> None:
    agent = person(is_staff=True, staff_role="agent")
    assert read_as(client, agent, accept_language="tr") == (settings.LANGUAGE_CODE, settings.TIME_ZONE)


@pytest.mark.parametrize(("wanted", "got"), [("tr,en;q=0.5", "tr"), ("en", "en"), ("fr", "en")])
def test_a_visitor_reads_in_the_browser_s_language(
    client: Client, settings: Any, wanted: str, got: str
) -> None:
    assert read_as(client, None, accept_language=wanted) == (got, settings.TIME_ZONE)


def test_nothing_is_left_for_the_next_visitor(client: Client, db: None, settings: Any) -> None:
    read_as(client, person(language="tr", time_zone="Asia/Tokyo"))
    assert timezone.get_current_timezone_name() == settings.TIME_ZONE
    assert read_as(Client(), None, accept_language="en") == ("en", settings.TIME_ZONE)


def test_a_choice_costs_no_query_beyond_session_and_person(
    client: Client, db: None, django_assert_num_queries: Any
) -> None:
    client.force_login(person(language="tr", time_zone="Asia/Tokyo"))
    with django_assert_num_queries(2):
        client.get("/read")


def test_a_missing_choice_costs_one_query(client: Client, db: None, django_assert_num_queries: Any) -> None:
    user = person()
    joined(user, "acme")
    client.force_login(user)
    with django_assert_num_queries(3):
        client.get("/read")


def test_a_zone_that_no_longer_exists_is_the_default_one(settings: Any) -> None:
    assert zone_info("Mars/Olympus").key == settings.TIME_ZONE
    assert zone_info("Asia/Tokyo").key == "Asia/Tokyo"


BANNER = Template("{{ brand }}{% if is_clockwork_late %} LATE{% endif %}")


def banner(user: User) -> str:
    request = RequestFactory().get("/")
    request.user = user
    return BANNER.render(RequestContext(request))


def test_staff_read_that_the_clockwork_is_late_and_customers_do_not(db: None, settings: Any) -> None:
    settings.SUPPORT_BRAND = "Acme"
    customer = person()
    agent = User.objects.create_user("agent@example.com", is_staff=True, staff_role="agent")
    with time_machine.travel(NOW, tick=False):
        assert [banner(agent), banner(customer)] == ["Acme LATE", "Acme"]  # it has never run
        heartbeat.beat("clocks", NOW)
        assert banner(agent) == "Acme"
        heartbeat.beat("clocks", NOW - timedelta(minutes=2))
        assert [banner(agent), banner(customer)] == ["Acme LATE", "Acme"]


def test_a_page_without_a_signed_in_person_asks_nothing(django_assert_num_queries: Any) -> None:
    rendered = BANNER.render(RequestContext(RequestFactory().get("/")))
    assert "LATE" not in rendered
