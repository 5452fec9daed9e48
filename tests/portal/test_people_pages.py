"""The pages and API of an organisation's people, and the switch between organisations."""

from __future__ import annotations

import pytest
import time_machine
from rest_framework.test import APIClient

from portal.models import Invitation, Membership, Team
from tests import factories
from tests.conftest import T0
from tests.factories import incident

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


def test_managers_see_all_columns_and_others_names_and_roles(client, a1, a2, a3):
    client.force_login(a2)
    page = client.get("/people/").content.decode()
    assert a1.email in page
    assert "Nobody is invited at the moment." in page
    for user in (a1, a3):
        client.force_login(user)
        page = client.get("/people/")
        assert page.status_code == 200
        assert "Ali Two" in page.content.decode()
        assert a2.email not in page.content.decode()
        assert client.get("/people/invitations/new/").status_code == 403
        place = Membership.objects.get(user=a1)
        assert client.get(f"/people/{place.pk}/").status_code == 403
        assert client.post(f"/people/{place.pk}/removal/").status_code == 403


def test_who_sees_a_part_reads_managers_and_their_team(client, acme, a1, a2):
    team = Team.objects.create(organisation=acme, name="T")
    mate = factories.person("mate@acme.example", "Mat Mate", acme, "member")
    tess = factories.person("tess@acme.example", "Tess Team", acme, "member")
    Membership.objects.filter(user__in=[mate, tess]).update(team=team, visibility="team")
    client.force_login(tess)
    page = client.get("/people/").content.decode()
    assert "Mat Mate" in page
    assert "Ali Two" in page
    assert "Ada One" not in page
    api = APIClient()
    api.force_authenticate(tess)
    names = {row["name"] for row in api.get("/api/v1/organisations/acme/people/").json()["results"]}
    assert names == {"Mat Mate", "Ali Two", "Tess Team"}


def test_a_manager_invites_changes_removes_by_page(client, acme, a1, a2):
    client.force_login(a2)
    client.post(
        "/people/invitations/new/", {"email": "n@acme.example", "role": "viewer", "visibility": "all"}
    )
    made = Invitation.objects.get()
    digest = made.token_digest
    client.post(f"/people/invitations/{made.pk}/", {"do": "renew"})
    made.refresh_from_db()
    assert made.token_digest != digest
    client.post(f"/people/invitations/{made.pk}/", {"do": "withdraw"})
    made.refresh_from_db()
    assert made.withdrawn_at
    client.post("/people/teams/new/", {"name": "Payments"})
    team = Team.objects.get()
    place = Membership.objects.get(user=a1)
    given = {"role": "member", "visibility": "team", "team": team.pk}
    assert client.post(f"/people/{place.pk}/", given).status_code == 302
    place.refresh_from_db()
    assert (place.visibility, place.team) == ("team", team)
    answer = client.post(f"/people/teams/{team.pk}/", {"do": "remove"})
    assert (answer.status_code, Team.objects.count()) == (400, 1)
    incident(a1, T0)
    page = client.get(f"/people/{place.pk}/removal/")
    assert "Who takes over" in page.content.decode()
    assert client.post(f"/people/{place.pk}/removal/").status_code == 400
    assert client.post(f"/people/{place.pk}/removal/", {"to": a2.pk}).status_code == 302
    assert not a1.memberships.exists()


def test_the_last_manager_reads_why_not(client, acme, a1, a2):
    client.force_login(a2)
    place = Membership.objects.get(user=a2)
    answer = client.post(f"/people/{place.pk}/removal/")
    assert answer.status_code == 400
    assert "the last manager" in answer.content.decode()


def test_the_api_does_what_the_pages_do(acme, a1, a2, b1):
    api = APIClient()
    api.force_authenticate(a2)
    base = "/api/v1/organisations/acme/"
    team = api.post(f"{base}teams/", {"name": "Payments"})
    assert team.status_code == 201
    key = team.json()["id"]
    assert api.patch(f"{base}teams/{key}/", {"name": "Cards"}).json()["name"] == "Cards"
    place = Membership.objects.get(user=a1)
    changed = api.patch(f"{base}people/{place.pk}/", {"visibility": "team", "team": key})
    assert (changed.status_code, changed.json()["team"]) == (200, key)
    assert api.delete(f"{base}teams/{key}/").status_code == 409
    made = api.post(f"{base}invitations/", {"email": "n@acme.example", "team": key, "visibility": "team"})
    assert made.status_code == 201
    one = f"{base}invitations/{made.json()['id']}/"
    assert api.post(f"{one}renewal/").status_code == 201
    assert len(api.get(f"{base}invitations/").json()["results"]) == 1
    assert api.delete(one).status_code == 204
    assert api.get(one).status_code == 404
    incident(a1, T0)
    assert api.delete(f"{base}people/{place.pk}/").status_code == 400
    assert api.delete(f"{base}people/{place.pk}/", {"transfer_to": b1.email}).status_code == 400
    assert api.delete(f"{base}people/{place.pk}/", {"transfer_to": a2.email}).status_code == 204
    api.force_authenticate(b1)
    assert api.get(f"{base}people/").status_code == 404


@pytest.mark.parametrize("who", ["a1", "a3", "g1"])
def test_the_api_is_closed_to_whoever_does_not_manage(acme, a1, a2, a3, who, request):
    api = APIClient()
    api.force_authenticate(request.getfixturevalue(who))
    base = "/api/v1/organisations/acme/"
    place = Membership.objects.get(user=a2)
    assert api.get(f"{base}people/").status_code == 200
    assert "email" not in api.get(f"{base}people/").json()["results"][0]
    for answer in (
        api.get(f"{base}invitations/"),
        api.post(f"{base}invitations/", {"email": "n@acme.example"}),
        api.post(f"{base}teams/", {"name": "X"}),
        api.patch(f"{base}people/{place.pk}/", {"role": "viewer"}),
        api.delete(f"{base}people/{place.pk}/"),
        api.get(f"{base}people/{place.pk}/"),
    ):
        assert answer.status_code == 403


# --- several organisations ---


@pytest.fixture
def both(a1, a2, b1, acme, nordwind):
    """a1 belongs to both, with an incident of each."""
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    mine = incident(a2, T0, title="Of Acme")
    theirs = incident(b1, T0, title="Of Nordwind")
    return mine, theirs


def test_all_organisations_are_shown_until_one_is_chosen(client, a1, both):
    client.force_login(a1)
    for address in ("/", "/incidents/"):
        page = client.get(address).content.decode()
        assert "Of Acme" in page
        assert "Of Nordwind" in page
        assert "All my organisations" in page
    answer = client.post("/organisation/", {"organisation": "nordwind", "next": "/incidents/"})
    assert answer.url == "/incidents/"
    for address in ("/", "/incidents/"):
        page = client.get(address).content.decode()
        assert "Of Acme" not in page
        assert "Of Nordwind" in page
    assert client.get("/incidents/new/").context["promised_to"].slug == "nordwind"
    assert client.get(both[0].get_absolute_url()).status_code == 200
    assert len(client.get("/api/v1/incidents/").json()["results"]) == 2
    client.post("/organisation/", {"organisation": ""})
    assert "Of Acme" in client.get("/").content.decode()


def test_a_choice_that_is_no_more_theirs_is_none(client, a1, both, nordwind):
    client.force_login(a1)
    client.post("/organisation/", {"organisation": "nordwind"})
    Membership.objects.filter(user=a1, organisation=nordwind).delete()
    chosen = client.session["organisation"]
    client.force_login(a1)  # whose earlier session ended with the membership
    session = client.session
    session["organisation"] = chosen
    session.save()
    page = client.get("/incidents/").content.decode()
    assert "Of Acme" in page
    assert "Of Nordwind" not in page
    assert "All my organisations" not in page


@pytest.mark.parametrize("after", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_the_switch_leads_nowhere_else(client, a1, both, after):
    client.force_login(a1)
    assert client.post("/organisation/", {"organisation": "acme", "next": after}).url == "/"
