"""The guards of incidents, their RCAs and the desk, each asked by itself and not only behind another one."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import RequestFactory

from incidents import actions, desk, inbox_desk, outage_desk, rca_desk
from incidents.actions.base import actor_of
from incidents.actions.bridge_base import may_act_for
from incidents.defaults import plan_for
from incidents.models import RCA, InboundMessage, Incident, RCACopy
from incidents.rca_reading import copies_for_window
from maintenance.audiences import everybody_in
from maintenance.models import WindowOrganisation
from portal.models import Membership, StaffLimit, StaffRole, User
from portal.verbs import Refused
from tests import factories
from tests.conftest import T0
from tests.factories import incident
from tests.incidents.rca_world import at, family, published, rca_of, resolved, window_for

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


def asked_by(person, **data):
    request = RequestFactory().post("/", data) if data else RequestFactory().get("/")
    request.user = person
    return request


# --- reporting ---


@pytest.mark.parametrize(("by", "reporter"), [("a1", "a2"), ("a3", "a3"), ("a1", "b1"), ("b1", "b1")])
def test_customers_report_for_themselves_and_viewers_do_not(acme, a1, a2, a3, b1, by, reporter, request):
    incident(a1, T0)  # with the plan that reporting needs
    by, reporter = request.getfixturevalue(by), request.getfixturevalue(reporter)
    with pytest.raises(Refused) as refused:
        actions.open_incident(
            organisation=acme,
            reporter=reporter,
            by=by,
            now=T0,
            channel="portal",
            title="x",
            claimed_level="P2",
            services=[acme.subscriptions.first().service],
        )
    assert refused.value.kind == "permission"
    assert Incident.objects.count() == 1


# --- who somebody is to an incident ---


def test_what_somebody_is_to_an_incident_is_their_place_and_no_more(a1, a2, a3, b1, g1, m1, h1, nordwind):
    made = incident(a1, T0)
    lim = factories.agent("lim@briqmind.example", "Lim", "head_of_support", is_limited=True)
    StaffLimit.objects.create(user=lim, organisation=nordwind)
    names = ("is_agent", "is_duty_manager", "is_head_of_support", "is_writer", "is_reader", "is_manager")
    for person, expected in [
        (g1, "100000"),
        (m1, "110000"),
        (h1, "111000"),
        (lim, "000000"),
        (a1, "000110"),
        (a2, "000111"),
        (a3, "000010"),
        (b1, "000000"),
    ]:
        actor = actor_of(person, made)
        assert "".join(str(int(getattr(actor, name))) for name in names) == expected, person


def test_who_is_off_takes_part_in_no_work(a1, a3, b1, g1):
    made = incident(a1, T0)
    assert may_act_for(g1, made)
    assert may_act_for(a1, made)
    assert not may_act_for(a3, made)
    assert not may_act_for(b1, made)
    g1.is_active = False
    assert not may_act_for(g1, made)


def test_mine_are_what_i_reported(client, a1, a2):
    own, other = incident(a1, T0, title="Mine"), incident(a2, T0, title="Of a colleague")
    client.force_login(a1)
    page = client.get("/incidents/?show=mine").content.decode()
    assert own.reference in page
    assert other.reference not in page


# --- the desk ---

GETTERS = [desk.get_incident, inbox_desk.get_message, rca_desk.get_rca]


@pytest.mark.parametrize("find", GETTERS)
def test_the_desk_s_rows_are_for_staff_and_an_id_that_is_none_is_not_found(find, a1, a2, g1):
    for person in (a1, a2):
        with pytest.raises(PermissionDenied):
            find(asked_by(person), 1)
    for key in ("x", "1.5", "-1", "999999"):
        with pytest.raises(Http404):
            find(asked_by(g1), key)


def test_filing_at_the_desk_is_for_staff(a2):
    with pytest.raises(PermissionDenied):
        desk.open_page(asked_by(a2))


def test_a_verb_that_is_none_is_not_found(client, a1, g1):
    made = incident(a1, T0)
    with pytest.raises(Http404):
        desk.use_verb(asked_by(g1), made.pk, "set_on_fire")


def test_a_mail_without_its_original_is_not_found(g1):
    row = InboundMessage.objects.create(
        kind="mail", via="pipe", dedupe_key="x", received_at=T0, state="held", sender="x@x.example"
    )
    with pytest.raises(Http404):
        inbox_desk.raw(asked_by(g1), row.pk)
    InboundMessage.objects.filter(pk=row.pk).update(raw="gone/away.eml")
    with pytest.raises(Http404):
        inbox_desk.raw(asked_by(g1), row.pk)


def test_only_a_child_of_the_outage_is_detached(a1, b1, g1):
    parent, children = family(a1, b1, g1)
    stranger = incident(a1, T0)
    for named in (str(stranger.pk), "x", ""):
        with pytest.raises(Http404):
            outage_desk.detach(asked_by(g1, child=named), parent)
    assert parent.children.count() == len(children)


def test_a_file_that_is_gone_from_the_disk_is_not_found(client, a1):
    made = incident(a1, T0)
    row = made.attachments.create(
        file="gone/away.txt",
        name="away.txt",
        size=1,
        uploaded_by=a1,
        uploaded_at=T0,
        content_type="text/plain",
    )
    client.force_login(a1)
    assert client.get(f"{made.get_absolute_url()}attachments/{row.pk}/").status_code == 404


# --- RCAs ---


def test_customers_know_an_rca_by_the_copy_that_was_published_to_them(a1, a2, a3, b1, g1, g2, m1, nordwind):
    owed = rca_of(resolved(a1, g1))
    assert not RCA.objects.visible_to(a1).exists()
    published(owed, g1, m1)
    lim = factories.agent("lim@briqmind.example", "Lim", is_limited=True)
    StaffLimit.objects.create(user=lim, organisation=nordwind)
    for person, sees in ((a1, True), (a2, True), (b1, False), (lim, False), (g2, True)):
        assert RCA.objects.visible_to(person).exists() is sees, person


def test_a_reader_of_two_organisations_chooses_whose_copy_they_read(a1, acme, nordwind, g1, m1, h1):
    for of in (acme, nordwind):
        plan_for(of, T0)
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    window = window_for(acme, g1, m1)
    WindowOrganisation.objects.create(window=window, organisation=nordwind, since=T0)
    owed = RCA.objects.create(window=window, owed_since=at(180))
    published(owed, g1, m1)
    assert RCACopy.objects.count() == 2
    for of in (acme, nordwind):
        assert [copy.organisation for copy in copies_for_window(window, a1, of.slug)] == [of]


# --- who is told of maintenance ---


def test_everybody_in_a_role_is_the_role_s_people_who_look_after_all(acme, g1, m1):
    other = factories.agent("m2@briqmind.example", "Mo Duty", "duty_manager", is_limited=True)
    StaffLimit.objects.create(user=other, organisation=acme)
    assert everybody_in(StaffRole.DUTY_MANAGER, T0) == [m1]
    User.objects.filter(pk=m1.pk).update(is_active=False)
    assert everybody_in(StaffRole.DUTY_MANAGER, T0 + timedelta(hours=1)) == [g1]  # somebody hears
