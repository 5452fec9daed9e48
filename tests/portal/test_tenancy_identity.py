"""Identity providers and erasure: what is another organisation's, or another person's, counts for nothing."""

from __future__ import annotations

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from incidents.defaults import vendor_organisation
from portal import (
    identity,
    identity_admission,
    identity_forms,
    identity_membership,
    identity_session,
    identity_verbs,
    identity_views,
    invitation_verbs,
    memberships,
    outbox,
    privacy_verbs,
)
from portal.models import (
    Endpoint,
    Erasure,
    Membership,
    Organisation,
    OutboxMessage,
    StaffLimit,
    User,
    Visibility,
)
from tests import factories
from tests.conftest import T0
from tests.idp import fake

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(acme, nordwind):
    """A provider of each organisation, with its domain."""
    made = []
    for of in (nordwind, acme):
        fake.domain(of, f"{of.slug}.example")
        made.append(fake.provider(of, fake.FakeIdp(f"login.{of.slug}.example"), {"staff": "member"}))
    return made[1], made[0]


def off(organisation, *, is_active=False):
    Organisation.objects.filter(pk=organisation.pk).update(is_active=is_active)


def decided():
    return memberships.Decision(None, T0)


# --- whose provider it is ---


def test_a_domain_and_a_provider_are_of_an_active_customer(acme, nordwind, rows):
    ours, theirs = rows
    assert identity.owner_of("acme.example") == acme
    assert identity.provider_for("x@acme.example") == ours
    assert set(identity.active_providers()) == {ours, theirs}
    off(acme)
    assert identity.owner_of("acme.example") is None
    assert list(identity.active_providers()) == [theirs]
    off(acme, is_active=True)
    vendor = vendor_organisation(T0)
    fake.domain(vendor, "vendor.example")
    fake.provider(vendor, fake.FakeIdp("login.vendor.example"))
    assert identity.owner_of("vendor.example") is None
    assert set(identity.active_providers()) == {ours, theirs}


def test_whose_sign_in_somebody_looks_after(client, acme, nordwind, rows, a1, a2, h1):
    vendor = vendor_organisation(T0)
    lim = factories.agent("lim@briqmind.example", "Lim", "head_of_support", is_limited=True)
    StaffLimit.objects.create(user=lim, organisation=acme)
    Membership.objects.create(user=a2, organisation=vendor, role="manager")
    for person, expected in ((h1, [acme, nordwind]), (lim, [acme]), (a2, [acme]), (a1, [])):
        assert list(identity_views.managed_by(person)) == expected
    client.force_login(a2)
    page = client.get("/identity/")
    assert [row.organisation for row in page.context["providers"]] == [acme]
    off(nordwind)
    assert list(identity_views.managed_by(h1)) == [acme]


def test_groups_are_kept_and_shown_each_with_its_role(rows):
    ours, _theirs = rows
    identity_verbs._write_groups(ours, {"staff": "manager", "readers": "viewer"})
    assert dict(ours.group_roles.values_list("group", "role")) == {"staff": "manager", "readers": "viewer"}
    found = identity_forms.values_of(ours)
    shown = {field: found[field] for field in identity_forms.OF_ROLE}
    assert sorted(shown.values()) == ["", "readers", "staff"]


# --- who is admitted ---


def test_the_account_of_another_person_at_the_provider_is_not_this_one_s(acme, rows, a1, a2):
    ours, _theirs = rows
    SocialAccount.objects.create(user=a2, provider=ours.key, uid="a2")
    said = identity_admission.Asserted(subject="a1", address=a1.email, name="A", groups=(), amr=())
    identity_admission._check_person(a1, said, ours, is_bound=False)
    with pytest.raises(identity_admission.NotAdmitted):
        identity_admission._check_person(a2, said, ours, is_bound=False)


def test_a_place_is_of_this_person_in_this_organisation(acme, nordwind, rows, a1, a2, b1):
    ours, theirs = rows
    assert identity_admission._has_lost_all(ours, a1, "", True)
    assert not identity_admission._has_lost_all(ours, b1, "", True)
    assert not identity_admission._has_lost_all(theirs, a1, "", True)
    solo = User.objects.create_user("solo@acme.example", None, name="So Lo")
    identity_admission._check_joining(ours, solo)
    with pytest.raises(identity_admission.NotAdmitted):
        identity_admission._check_joining(ours, b1)


def test_an_invitation_of_another_organisation_opens_nothing_here(acme, nordwind, rows, b1, a2):
    now = timezone.now()
    invitation_verbs.invite(nordwind, email="new@acme.example", by=b1, now=now)
    assert identity_admission._invitation(acme, "new@acme.example", now) is None
    sent = invitation_verbs.invite(acme, email="new@acme.example", by=a2, now=now)
    assert identity_admission._invitation(acme, "new@acme.example", now) == sent


def test_a_new_member_sees_what_was_decided_and_the_last_manager_is_a_manager(acme, a1, a2):
    solo = User.objects.create_user("solo@acme.example", None, name="So Lo")
    made = identity_membership.set_membership(solo, acme, "member", decided(), visibility=Visibility.OWN)
    assert made.visibility == "own"
    Membership.objects.filter(user=a2).delete()  # nobody manages any more
    assert identity_membership.end_membership(a1, acme, decided())
    assert not Membership.objects.filter(user=a1).exists()


def test_how_somebody_came_is_said_of_them_alone(acme, rows, a1, a2):
    ours, _theirs = rows
    request = RequestFactory().get("/")
    request.session = {identity_session.KEY: [a1.pk, ours.pk, timezone.now().timestamp(), []]}
    assert identity_session.is_coming(request, a1)
    assert not identity_session.is_coming(request, a2)
    for person, came in ((a1, True), (a2, False), (AnonymousUser(), False)):
        request.user = person
        assert (identity_session.came_by(request) is not None) is came


# --- erasure ---


@pytest.fixture
def second(acme):
    return factories.person("second@acme.example", "Sekund Person", acme, "viewer")


def erase(person, root):
    return privacy_verbs.erase(person, by=root, reason="they asked", now=timezone.now())


def test_one_erasure_is_one_person_s(client, acme, a1, a2, a3, second, root):
    pager = Endpoint.objects.create(name="Pager", url="https://pager.example/x", person=a3)
    outbox.enqueue("invitation", a3, now=T0, dedupe_key="x", facts={})
    outbox.enqueue("invitation", a1, now=T0, dedupe_key="y", facts={})
    first = erase(a1, root)
    assert erase(second, root) != first
    assert set(Erasure.objects.values_list("person", flat=True)) == {a1.pk, second.pk}
    pager.refresh_from_db()
    assert (pager.is_active, pager.removed_at) == (True, None)
    states = dict(OutboxMessage.objects.values_list("recipient", "state").filter(dedupe_key__in=["x", "y"]))
    assert states == {a3.pk: "queued", a1.pk: "dropped"}
    client.force_login(root)
    client.post("/accounts/reauthenticate/", {"password": factories.PASSWORD})
    page = client.get(reverse("admin:portal_erasure_person", args=[a3.pk]))
    assert page.context["erased"] is None


def test_who_is_the_only_manager_of_what_stands(acme, nordwind, a1, a2, b1):
    assert privacy_verbs._managed_alone(a2) == ["Acme"]
    assert privacy_verbs._managed_alone(a1) == []
    idle = factories.person("idle@acme.example", "Id Le", acme, "manager")
    assert privacy_verbs._managed_alone(a2) == []
    User.objects.filter(pk=idle.pk).update(is_active=False)
    assert privacy_verbs._managed_alone(a2) == ["Acme"]
    off(acme)
    assert privacy_verbs._managed_alone(a2) == []


def test_a_limited_administrator_erases_nobody(client, acme, a1):
    lim = factories.agent("lr@briqmind.example", "Lim Root", "administrator", is_limited=True)
    StaffLimit.objects.create(user=lim, organisation=acme)
    client.force_login(lim)
    client.post("/accounts/reauthenticate/", {"password": factories.PASSWORD})
    assert client.get(reverse("admin:portal_erasure_person", args=[a1.pk])).status_code == 403
