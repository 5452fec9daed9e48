"""The public page: off by default, of the vendor's own impacts only, the same bytes for everybody."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents import actions
from incidents.defaults import vendor_organisation
from portal.models import Service, ServiceImpact
from tests.conftest import T0
from tests.factories import CANARY, incident

ADDRESS = "/status/public/"


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def is_on(settings):
    settings.PUBLIC_STATUS = True


@pytest.fixture
def vendor(acme):
    Service.objects.filter(slug="inference-api").update(is_public=True)
    return vendor_organisation(T0)


@pytest.fixture
def api(vendor):
    return Service.objects.get(slug="inference-api")


def felt(organisation, service, impact="outage", start=3600, end=None, **more):
    return ServiceImpact.objects.create(
        **{"service": service, "organisation": organisation, "impact": impact, "source": "INC-1999"}
        | {"from_at": T0 - timedelta(seconds=start)}
        | {"until_at": None if end is None else T0 - timedelta(seconds=end)}
        | more,
    )


def test_it_is_off_unless_turned_on(client, a1, api):
    absent = client.get("/no-such-page/")
    answer = client.get(ADDRESS)
    assert (answer.status_code, absent.status_code) == (404, 404)
    assert answer.content == absent.content
    client.force_login(a1)
    assert client.get(ADDRESS).status_code == 404


def test_it_shows_the_vendor_s_impacts_of_public_services(client, is_on, vendor, api):
    felt(vendor, api, "degraded")
    felt(vendor, Service.objects.get(slug="vector-store"))
    page = client.get(ADDRESS)
    [shown] = page.context["services"]
    assert (shown["service"], shown["state"].word) == (api, "degraded")
    text = page.content.decode()
    assert "Not everything works" in text
    assert "Vector Store" not in text
    ServiceImpact.objects.update(until_at=T0)
    assert "Everything works" in client.get(ADDRESS).content.decode()


def test_its_figures_are_the_vendor_s_to_the_second(client, is_on, vendor, api, acme):
    felt(vendor, api, start=7207, end=7200)
    felt(vendor, api, start=900_000, end=899_990, is_planned=True)
    felt(acme, api, start=50_000, end=10)
    [shown] = client.get(ADDRESS).context["services"]
    figures = shown["figures"]
    assert (figures.downtime_seconds, figures.planned["outage"]) == (7, 10)


def test_it_says_nothing_of_any_customer(client, is_on, vendor, api, a1, b1, acme, nordwind):
    mine = incident(a1, T0 - timedelta(hours=1), title="Secret words", impact="outage")
    theirs = incident(b1, T0 - timedelta(hours=1), title=CANARY, impact="outage")
    parent = actions.open_incident(
        organisation=vendor,
        reporter=None,
        by=None,
        now=T0 - timedelta(minutes=30),
        channel="alarm",
        title=f"Parent {CANARY}",
        claimed_level="P1",
        impact="reduced_redundancy",
        services=[api],
    )
    page = client.get(ADDRESS)
    [shown] = page.context["services"]
    assert shown["state"].word == "reduced_redundancy"
    text = page.content.decode() + str(page.headers)
    names = [mine.reference, theirs.reference, parent.reference, "INC-", "MW-", "Secret", "Parent", CANARY]
    for word in [*names, acme.name, nordwind.name, "vendor", a1.name]:
        assert word not in text, word


def test_it_needs_no_session_and_is_the_same_for_everybody(client, a1, is_on, api):
    with CaptureQueriesContext(connection) as anonymous:
        first = client.get(ADDRESS)
    assert first.headers["Cache-Control"] == "public, max-age=30"
    assert first.cookies == {}
    assert "Cookie" not in first.headers.get("Vary", "")
    client.force_login(a1)
    with CaptureQueriesContext(connection) as signed_in:
        again = client.get(ADDRESS)
    assert again.content == first.content
    assert len(anonymous) == len(signed_in) <= 4, [q["sql"][:90] for q in signed_in]
    assert not [query for query in signed_in if "session" in query["sql"]]
    assert client.post(ADDRESS).status_code == 405


def test_its_queries_do_not_grow(client, is_on, vendor, api):
    counts = []
    for size in (1, 20):
        for number in range(size):
            made = Service.objects.create(name=f"S{size}{number}", slug=f"s{size}{number}", is_public=True)
            felt(vendor, made)
        with CaptureQueriesContext(connection) as captured:
            client.get(ADDRESS)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_without_a_vendor_organisation_everything_works(client, is_on, acme):
    Service.objects.filter(slug="inference-api").update(is_public=True)
    [shown] = client.get(ADDRESS).context["services"]
    assert shown["state"].word == "none"
