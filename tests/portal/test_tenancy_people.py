"""People of an organisation: every filter and rule by which what is another organisation's stays out."""

from __future__ import annotations

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.utils import timezone
from rest_framework.test import APIClient

from incidents.defaults import vendor_organisation
from portal import invitation_verbs, memberships, people_rules
from portal import people_verbs as verbs
from portal.models import (
    ApiToken,
    ChatIdentity,
    Invitation,
    Membership,
    Organisation,
    StaffLimit,
    StatusSubscription,
    Team,
    User,
)
from portal.people_forms import RemovalForm
from portal.verbs import Refused
from tests import factories
from tests.conftest import T0
from tests.factories import incident

pytestmark = pytest.mark.django_db
PEOPLE = "/api/v1/organisations/acme/people/"


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


def place(user, of):
    return Membership.objects.get(user=user, organisation=of)


def invite(of, by, email="new@acme.example", **more):
    return invitation_verbs.invite(of, email=email, by=by, now=timezone.now(), **more)


def leave(user, of, by, **more):
    verbs.remove_from_organisation(place(user, of), by=by, now=T0, **more)


def api_as(person, *, token=None):
    api = APIClient()
    if token:
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    else:
        api.force_authenticate(person)
    return api


# --- leaving ---


def test_who_leaves_takes_nothing_of_colleagues_or_of_elsewhere_along(acme, nordwind, a1, a2, a3):
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    ApiToken.objects.create(user=a3, organisation=acme)
    service = acme.subscriptions.first().service
    for number, (person, of) in enumerate([(a1, acme), (a3, acme), (a1, nordwind)]):
        StatusSubscription.objects.create(
            person=person, organisation=of, service=service, told_impact="none", told_is_planned=False, told_at=T0
        )  # fmt: skip
        ChatIdentity.objects.create(
            endpoint=factories.channel(of, "slack", name=f"Room {number}"),
            external_id=f"U{number}",
            person=person,
            created_at=T0,
            created_by=a2,
        )
    leave(a1, acme, a2)
    assert ApiToken.objects.get().user == a3
    kept = {(a3.pk, acme.pk), (a1.pk, nordwind.pk)}
    assert set(StatusSubscription.objects.values_list("person", "organisation")) == kept
    assert set(ChatIdentity.objects.values_list("person", "endpoint__organisation")) == kept


def test_with_the_last_organisation_nobody_else_s_access_ends(client, acme, a1, a2, a3):
    client.force_login(a3)
    ApiToken.objects.create(user=a3)
    UserSession.objects.create(
        user=a3, session_key=client.session.session_key, ip="127.0.0.1", user_agent="x"
    )
    leave(a1, acme, a2)
    assert ApiToken.objects.filter(user=a3).exists()
    assert client.get("/").status_code == 200


def test_a_manager_of_another_organisation_is_no_other_manager(acme, a2, b1):
    with pytest.raises(Refused):
        leave(a2, acme, a2)
    with pytest.raises(Refused) as refused:  # nor does a reason help whoever is no staff
        verbs.change_membership(place(a2, acme), by=a2, now=T0, role="member", reason="I may")
    assert refused.value.kind == "state"
    assert place(a2, acme).role == "manager"


def test_only_an_active_writer_of_the_organisation_takes_over(acme, a1, a2, a3, b1):
    off = factories.person("off@acme.example", "Off Line", acme, "member")
    User.objects.filter(pk=off.pk).update(is_active=False)
    incident(a1, T0)
    assert memberships.writers_beside(place(a1, acme)) == [a2]
    assert memberships.writers_beside(place(a3, acme)) == [a2, a1]  # managers first
    form = RemovalForm(membership=place(a1, acme), work=1, by=a2)
    assert list(form.fields["to"].queryset) == [a2]
    assert "reason" not in form.fields
    with pytest.raises(Refused):
        leave(a1, acme, a2, to=off)


def test_staff_need_no_reason_where_there_is_no_manager_to_lose(acme, a1, a3, h1):
    leave(a3, acme, h1)
    assert not Membership.objects.filter(user=a3).exists()


def test_invitations_of_other_organisations_and_of_colleagues_stay(acme, nordwind, a1, a2, b1):
    Membership.objects.create(user=a2, organisation=nordwind, role="manager")
    verbs.change_membership(place(a1, acme), by=a2, now=T0, role="manager")
    of_acme, elsewhere = invite(acme, a2), invite(nordwind, a2, "new@nordwind.example")
    colleague_s = invite(acme, a1, "other@acme.example")
    verbs.change_membership(place(a2, acme), by=a1, now=T0, role="member")
    assert set(Invitation.objects.open(T0)) == {elsewhere, colleague_s}
    of_acme.refresh_from_db()
    assert of_acme.withdrawn_at


# --- who looks after them ---


@pytest.mark.parametrize("role", ["head_of_support", "administrator"])
def test_a_head_who_is_limited_to_others_does_not_look_after_them(acme, nordwind, a1, role):
    head = factories.agent("lim@briqmind.example", "Lim", role, is_limited=True)
    StaffLimit.objects.create(user=head, organisation=acme)
    assert not people_rules.refusal(acme, head)
    assert people_rules.refusal(nordwind, head)
    with pytest.raises(Refused):
        invite(nordwind, head)


def test_managers_of_an_organisation_that_is_off_look_after_nobody(acme, a2):
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    assert people_rules.refusal(acme, a2)


def test_nonsense_is_no_role_for_oneself(acme, a2):
    with pytest.raises(Refused) as refused:
        verbs.change_membership(place(a2, acme), by=a2, now=T0, role="boss")
    assert refused.value.field == "role"


def test_a_team_s_name_and_its_invited_count_in_the_organisation_only(acme, nordwind, a2, b1):
    theirs = verbs.make_team(nordwind, name="Payments", by=b1, now=T0)
    invite(nordwind, b1, "n@nordwind.example", visibility="team", team=theirs)
    ours = verbs.make_team(acme, name="Payments", by=a2, now=T0)
    verbs.remove_team(ours, by=a2, now=T0)
    assert list(Team.objects.all()) == [theirs]


# --- invitations ---


def test_what_another_organisation_sent_to_an_address_stays_its_own(acme, nordwind, a2, b1, monkeypatch):
    monkeypatch.setattr(invitation_verbs, "MOST_OPEN", 1)
    theirs = invite(nordwind, b1, "both@example.org")
    ours = invite(acme, a2, "both@example.org")
    assert {theirs, ours} == set(Invitation.objects.open(T0))
    with pytest.raises(Refused):
        invite(acme, a2, "second@example.org")


def test_a_link_opens_nothing_of_an_organisation_that_is_off_or_for_who_is_off(acme, a2, b1):
    sent = invite(acme, a2, b1.email)
    nonce = sent.renew(T0)
    sent.save()
    token = sent.token(nonce)
    assert invitation_verbs.find_open(token, T0) == sent
    b1.is_active = False
    with pytest.raises(Refused):
        invitation_verbs.accept(token, by=b1, now=T0)
    b1.is_active = True
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    assert invitation_verbs.find_open(token, T0) is None
    with pytest.raises(Refused):
        invitation_verbs.accept(token, by=b1, now=T0)
    Organisation.objects.filter(pk=acme.pk).update(is_active=True)
    assert invitation_verbs.accept(token, by=b1, now=T0).visibility == "all"


# --- the pages ---


def test_nobody_s_people_are_not_found(client, db):
    client.force_login(User.objects.create_user("solo@example.org", factories.PASSWORD, name="So Lo"))
    assert client.get("/people/").status_code == 404


def test_the_vendor_and_an_organisation_that_is_off_have_no_people_s_page(client, acme, a1, h1):
    vendor = vendor_organisation(T0)
    client.force_login(h1)
    assert client.get("/people/?organisation=acme").status_code == 200
    assert client.get(f"/people/?organisation={vendor.slug}").status_code == 404
    assert api_as(h1).get(f"/api/v1/organisations/{vendor.slug}/people/").status_code == 404
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    assert client.get("/people/?organisation=acme").status_code == 404


def test_a_colleague_who_is_off_is_not_among_the_people(client, acme, a1, a2):
    User.objects.filter(pk=a1.pk).update(is_active=False)
    client.force_login(a2)
    assert a1.email not in client.get("/people/").content.decode()


def test_who_sees_their_own_does_not_read_their_team(client, acme, a1, a2):
    team = Team.objects.create(organisation=acme, name="T")
    mate = factories.person("mate@acme.example", "Mat Mate", acme, "member")
    Membership.objects.filter(user__in=[mate, a1]).update(team=team, visibility="own")
    client.force_login(a1)
    page = client.get("/people/").content.decode()
    assert "Mat Mate" not in page
    assert "Ali Two" in page


def test_a_second_factor_is_said_of_whoever_has_it(client, acme, a1, a2):
    Authenticator.objects.create(user=a1, type="totp", data={"secret": "x"})
    client.force_login(a2)
    rows = {row.user: row.has_second_factor for row in client.get("/people/").context["page"]}
    assert rows == {a1: True, a2: False}
    one = api_as(a2).get(f"{PEOPLE}{place(a2, acme).pk}/").json()
    assert (one["has_second_factor"], one["is_you"]) == (False, True)
    listed = {row["email"]: row for row in api_as(a2).get(PEOPLE).json()["results"]}
    assert {email: row["has_second_factor"] for email, row in listed.items()} == {
        a1.email: True,
        a2.email: False,
    }
    assert [email for email, row in listed.items() if row["is_you"]] == [a2.email]


def test_the_page_and_the_api_list_their_own_invitations(client, acme, nordwind, a2, b1):
    ours = invite(acme, a2)
    theirs = invite(nordwind, b1, f"{factories.CANARY}@nordwind.example")
    used = invite(acme, a2, "used@acme.example")
    Invitation.objects.filter(pk=used.pk).update(accepted_at=T0)
    client.force_login(a2)
    page = client.get("/people/")
    assert list(page.context["invitations"]) == [ours]
    assert client.post(f"/people/invitations/{theirs.pk}/", {"do": "withdraw"}).status_code == 404
    api = api_as(a2)
    listed = api.get("/api/v1/organisations/acme/invitations/").json()["results"]
    assert [row["id"] for row in listed] == [ours.pk]
    assert api.get(f"/api/v1/organisations/acme/invitations/{theirs.pk}/").status_code == 404


def test_managers_are_asked_for_no_reason_and_stay_on_the_page(client, acme, a1, a2, h1):
    client.force_login(a2)
    own = f"/people/{place(a1, acme).pk}/"
    assert "reason" not in client.get(own).context["form"].fields
    assert client.post(f"{own}removal/").url == "/people/?organisation=acme"
    client.force_login(h1)
    own = f"/people/{place(a2, acme).pk}/"
    assert "reason" in client.get(own).context["form"].fields
    assert "reason" in client.get(f"{own}removal/").context["form"].fields


# --- the API ---


def test_a_token_of_another_organisation_finds_no_people_here(acme, nordwind, a2):
    Membership.objects.create(user=a2, organisation=nordwind, role="manager")
    bound = ApiToken.objects.create(user=a2, organisation=nordwind)[1]
    assert api_as(a2, token=bound).get(PEOPLE).status_code == 404
    assert api_as(a2, token=bound).get("/api/v1/organisations/nordwind/people/").status_code == 200


def test_work_is_handed_to_somebody_of_the_organisation(acme, nordwind, a1, a2, b1):
    incident(a1, T0)
    to = f"{PEOPLE}{place(a1, acme).pk}/"
    refused = api_as(a2).delete(to, {"transfer_to": b1.email}).json()
    assert "No such person in this organisation." in str(refused)
    assert "transfer_to" in str(refused)
