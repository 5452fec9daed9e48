"""The status page: figures recomputed from the rows, each organisation apart, and nothing of another's."""

import re
from datetime import timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents import actions
from incidents.defaults import vendor_organisation
from maintenance.models import MaintenanceWindow, WindowOrganisation, WindowService
from portal import service_state, uptime
from portal.models import Membership, Organisation, Service, ServiceImpact, StatusSubscription
from portal.templatetags.portal_tags import duration
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY, incident

ISTANBUL = ZoneInfo("Europe/Istanbul")


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def api(acme):
    return Service.objects.get(slug="inference-api")


@pytest.fixture
def store(acme):
    return Service.objects.get(slug="vector-store")


def felt(organisation, service, impact, start, end, **more):
    """Hours before T0; an `end` of None is not over."""
    return ServiceImpact.objects.create(
        **{"service": service, "organisation": organisation, "impact": impact, "source": "INC-1999"}
        | {"from_at": T0 - start, "until_at": None if end is None else T0 - end}
        | more,
    )


def hours(number, seconds=0):
    return timedelta(hours=number, seconds=seconds)


def window(organisation, service, starts_in, *, title="New disks", status="announced", by, impact="degraded"):
    made = MaintenanceWindow.objects.create(
        title=title,
        description="Work",
        status=status,
        starts_at=T0 + starts_in,
        ends_at=T0 + starts_in + hours(2),
        rollback_decision_at=T0 + starts_in + hours(1),
        owner=by,
        author=by,
        announced_at=T0,
    )
    WindowService.objects.create(window=made, service=service, impact=impact)
    WindowOrganisation.objects.create(window=made, organisation=organisation, since=T0)
    return made


def text_of(answer):
    return " ".join(answer.content.decode().split())


# --- figures ---


def by_second(rows, start, end):
    """Seconds per (impact, planned) by walking every second: the rule said once more, without cleverness."""
    rank = {"none": 0, "reduced_redundancy": 1, "degraded": 2, "outage": 3}
    count, at = {}, start
    while at < end:
        now = [r for r in rows if r.from_at <= at and (r.until_at is None or at < r.until_at)]
        planned = max((rank[r.impact] for r in now if r.is_planned), default=0)
        unplanned = max((rank[r.impact] for r in now if not r.is_planned), default=0)
        is_planned = planned > 0 and planned >= unplanned
        name = next(each for each, n in rank.items() if n == (planned if is_planned else unplanned))
        count[name, is_planned] = count.get((name, is_planned), 0) + 1
        at += timedelta(seconds=1)
    return count


def test_the_days_are_recomputed_to_the_second(acme, api):
    felt(acme, api, "outage", hours(20, 17), hours(19, 3))
    felt(acme, api, "degraded", hours(20, 40), hours(18, 59))
    felt(acme, api, "outage", hours(19, 30), hours(18), is_planned=True)
    felt(acme, api, "reduced_redundancy", hours(1, 1), None)
    rows = list(ServiceImpact.objects.all())
    days = service_state.strip(acme, api, now=T0, zone=ISTANBUL, days=2)
    bounds = service_state.day_bounds(T0, ISTANBUL, 2)
    for day, start, end in zip(days, bounds, bounds[1:], strict=False):
        counted = by_second(rows, start, end)
        made = {(name, False): n for name, n in day.figures.unplanned.items() if n}
        made |= {(name, True): n for name, n in day.figures.planned.items() if n}
        assert made == counted
    whole = uptime.figures_of(part for day in days for part in day.segments)
    assert whole.length_seconds == (T0 - bounds[0]).total_seconds()


def test_each_cell_is_a_local_day(acme, api):
    felt(acme, api, "outage", hours(13, 60), hours(13, -60))  # around midnight in Istanbul (21:00 UTC)
    days = service_state.strip(acme, api, now=T0, zone=ISTANBUL, days=90)
    assert (len(days), str(days[0].day), str(days[-1].day)) == (90, "2025-12-04", "2026-03-03")
    assert [day.figures.downtime_seconds for day in days[-3:]] == [0, 60, 60]
    assert days[-1].figures.length_seconds == 13 * 3600


def test_a_day_of_23_hours_has_23_hours(acme, api):
    now = T0.replace(month=3, day=31)
    days = service_state.strip(acme, api, now=now, zone=ZoneInfo("Europe/Berlin"), days=4)
    assert [day.figures.length_seconds / 3600 for day in days] == [24, 23, 24, 12]


def test_the_present_state_and_since_when(acme, api):
    def state():
        return service_state.present_state(acme, api, T0)

    assert (state().word, state().since) == ("none", None)
    felt(acme, api, "outage", hours(5), hours(3))
    assert (state().word, state().since) == ("none", T0 - hours(3))
    degraded = felt(acme, api, "degraded", hours(2), None)
    felt(acme, api, "reduced_redundancy", hours(4), None)
    assert (state().word, state().since) == ("degraded", T0 - hours(2))
    assert [row.impact for row in state().causes] == ["degraded", "reduced_redundancy"]
    felt(acme, api, "degraded", hours(1), None, is_planned=True)
    assert (state().word, state().since, state().impact) == ("maintenance", T0 - hours(1), "degraded")
    ServiceImpact.objects.filter(pk=degraded.pk).update(impact="outage", from_at=T0)
    assert (state().word, state().since) == ("outage", T0)
    felt(acme, api, "outage", hours(24 * 100), None)
    assert state().since == T0 - hours(24 * 100)


def test_what_begins_later_or_has_ended_is_not_felt(acme, api):
    felt(acme, api, "outage", hours(2), timedelta(0))
    felt(acme, api, "outage", hours(-1), None)
    assert service_state.present_state(acme, api, T0).word == "none"


# --- the page ---


def test_the_page_tells_the_figures(client, a1, acme, api):
    felt(acme, api, "outage", hours(24 * 40, 7), hours(24 * 40))
    felt(acme, api, "outage", hours(50, 11), hours(50))
    felt(acme, api, "outage", hours(30), hours(29), is_planned=True)
    client.force_login(a1)
    page = client.get("/status/")
    card = page.context["boards"][0].cards[0]
    (_, month), (_, quarter) = card.periods
    assert (month.downtime_seconds, quarter.downtime_seconds) == (11, 18)
    length = 29 * 86400 + 13 * 3600  # to now: 13:00 of the last day in Istanbul
    assert month.availability == Fraction(length - 3600 - 11, length - 3600)
    shown = text_of(page)
    assert "99.999 %" in shown
    assert f"<span>up {duration(length - 3600 - 11)}</span> <span>down 11 s</span>" in shown
    assert "<span>down 18 s</span> <span>planned 1 h</span>" in shown
    assert "1 − unplanned outage ÷ agreed time" in shown
    assert shown.count('<rect class="whole"') == 2 * 90
    assert "Sun 1 Mar 2026: Outage 11 s" in shown


@pytest.mark.parametrize(
    ("impact", "is_planned", "word", "look"),
    [
        ("outage", False, "Outage", "outage"),
        ("degraded", False, "Degraded", "degraded"),
        ("reduced_redundancy", False, "Reduced redundancy", "reduced_redundancy"),
        ("outage", True, "Maintenance", "maintenance"),
    ],
)
@pytest.mark.parametrize("address", ["/", "/status/", "/status/inference-api/"])
def test_each_state_has_word_icon_and_colour(client, a1, acme, api, impact, is_planned, word, look, address):
    felt(acme, api, impact, hours(1), None, is_planned=is_planned)
    client.force_login(a1)
    shown = text_of(client.get(address))
    assert re.search(rf'label-{look}"><svg class="icon".{{0,140}}</svg> {word}</span>', shown)


def test_a_source_is_linked_where_it_may_be_seen(client, a1, b1, acme, api, store, g1):
    made = incident(a1, T0 - hours(1), title="Slow queries")
    other = incident(b1, T0 - hours(1), title=f"Theirs {CANARY}")
    felt(acme, store, "degraded", hours(1), None, source=other.reference)
    planned = window(acme, store, -hours(1), by=g1, status="in_progress")
    felt(acme, store, "degraded", hours(1), None, source=planned.reference, is_planned=True)
    client.force_login(a1)
    for address in ("/status/", "/status/inference-api/"):
        assert f'<a href="/incidents/{made.reference}/">{made.reference} Slow queries</a>' in text_of(
            client.get(address)
        )
    shown = text_of(client.get("/status/vector-store/"))
    assert f'<a href="/maintenance/{planned.reference}/">{planned.reference} New disks</a>' in shown
    assert other.reference in shown
    assert f"/incidents/{other.reference}/" not in shown
    assert CANARY not in shown


def test_upcoming_maintenance_of_the_next_14_days(client, a1, b1, acme, nordwind, api, g1):
    near = window(acme, api, hours(24 * 13), by=g1, title="Near one")
    far = window(acme, api, hours(24 * 15), by=g1, title="Far one")
    draft = window(acme, api, hours(24), by=g1, title="Drafted", status="draft")
    approved = window(acme, api, hours(24), by=g1, title="Not told yet")
    MaintenanceWindow.objects.filter(pk__in=[draft.pk, approved.pk]).update(announced_at=None)
    theirs = window(nordwind, api, hours(24), by=g1, title=f"Theirs {CANARY}")
    client.force_login(a1)
    shown = text_of(client.get("/status/"))
    assert f"/maintenance/{near.reference}/" in shown
    assert "Inference API (Degraded)" in shown
    for each in (far, draft, approved, theirs):
        assert each.title not in shown
    assert "No maintenance is announced" not in shown


def test_a_window_tells_only_of_services_that_the_organisation_uses(client, a1, acme, api, g1):
    secret = Service.objects.create(name=f"Only {CANARY}", slug="only")
    made = window(acme, api, hours(5), by=g1)
    WindowService.objects.create(window=made, service=secret, impact="outage")
    client.force_login(a1)
    assert CANARY not in text_of(client.get("/status/"))


def test_several_organisations_are_shown_apart(client, a1, acme, nordwind, api):
    third = factories.organisation("Harbor")
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    felt(acme, api, "outage", hours(1), None)
    felt(third, api, "outage", hours(3), None, source="INC-1777")
    client.force_login(a1)
    page = client.get("/status/")
    assert [board.organisation for board in page.context["boards"]] == [acme, nordwind]
    states = [[card.state.word for card in board.cards] for board in page.context["boards"]]
    assert states == [["outage", "none"], ["none", "none"]]
    assert "Harbor" not in text_of(page)
    assert "INC-1777" not in text_of(page)
    home = client.get("/")
    assert [row.state.word for row in home.context["services"]] == ["outage", "none"]


def test_nothing_of_three_organisations_crosses(client, a1, b1, acme, nordwind, api, store, g1):
    """Each has its own impact, window and service; no page of one holds a byte of another's."""
    harbor = factories.organisation("Harbor")
    c1 = factories.person("c1@harbor.example", "Cy", harbor, "viewer")
    people = {"Acme": (a1, acme), "Nordwind": (b1, nordwind), "Harbor": (c1, harbor)}
    for number, (name, (_person, of)) in enumerate(people.items(), start=1):
        own = Service.objects.create(name=f"Service-of-{name}", slug=f"own-{name.lower()}")
        of.subscriptions.create(service=own)
        felt(
            of,
            api,
            ["outage", "degraded", "reduced_redundancy"][number - 1],
            hours(number),
            None,
            source=f"INC-17{number}0",
        )
        felt(of, own, "outage", hours(number), hours(0, 1), source=f"INC-18{number}0")
        window(of, api, hours(24), by=g1, title=f"Window-of-{name}")
    for number, (name, (person, _of)) in enumerate(people.items(), start=1):
        client.force_login(person)
        pages = ["/", "/status/", "/status/inference-api/", f"/status/own-{name.lower()}/"]
        shown = "".join(text_of(client.get(page)) for page in pages)
        words = [row.state.word for row in client.get("/").context["services"]]
        assert words == [["outage", "degraded", "reduced_redundancy"][number - 1], "none", "none"]
        assert f"Service-of-{name}" in shown
        assert f"Window-of-{name}" in shown
        assert f"INC-17{number}0" in shown
        for other, stranger in enumerate(people, start=1):
            if stranger != name:
                for word in (stranger, f"INC-17{other}0", f"INC-18{other}0", f"own-{stranger.lower()}"):
                    assert word not in shown, (name, word)
                address = f"/status/own-{stranger.lower()}/"
                assert client.get(address).status_code == 404
                assert client.post(f"{address}subscription/", {"wanted": "yes"}).status_code == 404


def test_an_organisation_without_services_is_told_what_to_do(client, a1, acme):
    acme.subscriptions.all().delete()
    client.force_login(a1)
    assert "Ask your support contact" in text_of(client.get("/status/"))
    a1.memberships.all().delete()
    client.force_login(a1)
    assert "Ask your support contact" in text_of(client.get("/status/"))


def test_a_service_that_one_does_not_use_is_not_found(client, a1):
    Service.objects.create(name="Other", slug="other")
    client.force_login(a1)
    for address in ("/status/other/", "/status/no-such/", "/status/other/subscription/"):
        assert client.get(address).status_code == 404


def test_staff_see_who_feels_something_and_whom_they_ask_for(client, g1, acme, nordwind, api):
    felt(acme, api, "outage", hours(1), None)
    client.force_login(g1)
    for address in ("/status/", "/status/inference-api/"):
        assert [board.organisation for board in client.get(address).context["boards"]] == [acme]
        asked = client.get(address, {"organisation": "nordwind"})
        assert [board.organisation for board in asked.context["boards"]] == [nordwind]
        assert client.get(address, {"organisation": "no-such"}).context["boards"] == []


def test_a_customer_cannot_ask_for_another_organisation(client, a1, nordwind, acme):
    client.force_login(a1)
    page = client.get("/status/", {"organisation": "nordwind"})
    assert [board.organisation for board in page.context["boards"]] == [acme]
    assert "Nordwind" not in text_of(page)


@pytest.mark.parametrize("address", ["/", "/status/", "/status/inference-api/"])
def test_the_queries_do_not_grow(client, a1, acme, api, g1, address):
    client.force_login(a1)
    counts = []
    for size in (1, 3, 30):
        for number in range(size):
            service = Service.objects.create(name=f"S{size}-{number}", slug=f"s{size}-{number}")
            acme.subscriptions.create(service=service)
            made = window(acme, service, hours(number), by=g1)
            felt(acme, service, "degraded", hours(number + 1), None, source=made.reference, is_planned=True)
            felt(acme, api, "degraded", hours(number + 1), None, source=f"INC-{1001 + number}")
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts
    assert counts[0] < 22


# --- conditional GET ---


@pytest.mark.parametrize("address", ["/status/", "/status/inference-api/"])
def test_a_page_that_is_known_is_not_sent_again(client, a1, a2, acme, api, address):
    client.force_login(a1)
    client.get(address)  # the cookie of the forms comes with the first page
    first = client.get(address)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(address, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    row = felt(acme, api, "degraded", hours(1), None)
    changed = client.get(address, headers={"If-None-Match": tag})
    assert (changed.status_code, "Degraded" in text_of(changed)) == (200, True)
    tags = {tag, changed.headers["ETag"]}
    ServiceImpact.objects.filter(pk=row.pk).update(until_at=T0)
    tags.add(client.get(address).headers["ETag"])
    StatusSubscription.objects.create(person=a1, organisation=acme, service=api, told_at=T0)
    tags.add(client.get(address).headers["ETag"])
    with time_machine.travel(T0 + timedelta(minutes=1), tick=False):
        tags.add(client.get(address).headers["ETag"])
    client.force_login(a2)
    client.get(address)
    tags.add(client.get(address).headers["ETag"])
    assert len(tags) == 6


# --- what the vendor's own incidents write ---


def test_a_parent_incident_is_felt_by_the_vendor_s_organisation(a1, api, acme):
    vendor = vendor_organisation(T0)
    actions.open_incident(
        organisation=vendor,
        reporter=None,
        by=None,
        now=T0,
        channel="alarm",
        title="All down",
        claimed_level="P1",
        impact="outage",
        services=[api],
    )
    rows = ServiceImpact.objects.all()
    assert [(row.organisation, row.service, row.impact) for row in rows] == [(vendor, api, "outage")]
    assert list(Organisation.objects.visible_to(a1)) == [acme]
