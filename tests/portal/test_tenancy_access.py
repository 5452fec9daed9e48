"""Predicates and desk permissions, each asked by itself: access, the desk's base, a person's facts, small filters."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from django.urls import reverse
from rest_framework.test import APIClient

from incidents.defaults import vendor_organisation
from portal import (
    access,
    api_limits,
    audit,
    audit_views,
    chosen,
    context,
    impersonation,
    outbox,
    rights,
    second_factor,
)
from portal.admin import LimitInline
from portal.admin_base import HistoryAdmin
from portal.channels.email import thread_headers
from portal.mails import OUTBOX_ALARM
from portal.models import (
    AuditEntry,
    AuditOrigin,
    Endpoint,
    Membership,
    Organisation,
    OutboxMessage,
    Service,
    StaffLimit,
    User,
)
from tests import factories
from tests.conftest import T0
from tests.portal.api_client import API, bearer

pytestmark = pytest.mark.django_db


def asked_by(person):
    request = RequestFactory().get("/")
    request.user, request.session = person, {}
    return request


@pytest.fixture
def limited_root(acme):
    made = factories.agent("lr@briqmind.example", "Lim Root", "administrator", is_limited=True)
    StaffLimit.objects.create(user=made, organisation=acme)
    return made


# --- access ---


def test_who_looks_after_an_organisation(acme, nordwind, a1, a2, g1, limited_root):
    assert access.looks_after(g1, nordwind.pk)
    assert access.looks_after(limited_root, acme.pk)
    for person, of in ((limited_root, nordwind), (a1, acme), (a2, acme)):
        assert access.looks_after(person, of.pk) is False


def test_nobody_looks_after_the_vendor_alone(acme, g1, limited_root):
    vendor = vendor_organisation(T0)
    StaffLimit.objects.create(user=limited_root, organisation=vendor)
    staff = User.objects.filter(is_staff=True)
    assert set(access.with_limits(staff, vendor.pk)) == {g1}
    assert set(access.with_limits(staff, acme.pk)) == {g1, limited_root}


def test_the_path_that_is_given_counts_before_the_table_s(acme, nordwind, limited_root):
    own, theirs = factories.webhooks(acme), factories.webhooks(nordwind)
    rows = Endpoint.objects.order_by("pk")
    assert list(access.looked_after(rows, limited_root)) == [own]
    assert list(access.looked_after(rows, limited_root, rights.ALL)) == [own, theirs]
    assert not access.looked_after(rows, limited_root, rights.UNLIMITED).exists()


def test_a_retired_service_is_offered_to_nobody(acme, a1):
    service = acme.subscriptions.order_by("pk").first().service
    Service.objects.filter(pk=service.pk).update(is_active=False)
    assert service not in Service.objects.visible_to(a1)
    assert service not in Service.objects.used_by(acme)


# --- the desk ---


def test_limits_of_staff_are_an_administrator_s_and_never_their_own(g1, m1, h1, root, limited_root):
    inline = LimitInline(User, admin.site)
    other = factories.agent("x@briqmind.example", "X")
    for person, of, may in [
        (root, other, True),
        (root, root, False),
        *((person, other, False) for person in (g1, m1, h1, limited_root)),
    ]:
        request = asked_by(person)
        for verb in ("add", "change", "delete"):
            assert getattr(inline, f"has_{verb}_permission")(request, of) is may, (person, verb)


@pytest.mark.parametrize("who", ["g1", "m1", "h1"])
def test_a_model_s_place_and_history_are_for_who_may_view_it(who, request):
    asked = asked_by(request.getfixturevalue(who))
    for desk in admin.site._registry.values():
        if not hasattr(desk, "row_of_rights"):
            continue
        may = desk.has_view_permission(asked)
        assert desk.has_module_permission(asked) is may, desk
        if isinstance(desk, HistoryAdmin):
            assert desk.has_view_history_permission(asked) is may, desk


def test_agents_vouch_for_no_domain_and_read_no_secret(g1, h1):
    from portal.models import IdentityProvider, OrganisationDomain

    domains, providers = (admin.site._registry[model] for model in (OrganisationDomain, IdentityProvider))
    assert domains.has_vouch_permission(asked_by(h1))
    assert not domains.has_vouch_permission(asked_by(g1))
    assert "client_secret" in providers.get_fields(asked_by(h1), IdentityProvider())
    assert "client_secret" not in providers.get_fields(asked_by(g1), IdentityProvider())


def test_a_new_address_at_the_desk_forgets_that_person_s_old_one_only(client, a1, a2, root):
    for person in (a1, a2):
        EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    client.force_login(root)
    fields = {"email": "ada@acme.example", "name": a1.name, "is_active": "on", "daily_summary_hour": "8"}
    answer = client.post(reverse("admin:portal_user_change", args=[a1.pk]), fields)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert list(EmailAddress.objects.values_list("email", flat=True)) == [a2.email]


# --- looking as somebody ---


def test_the_page_to_look_as_somebody_says_why_not(client, m1, g1, a1, acme):
    client.force_login(m1)
    client.post(reverse("account_reauthenticate"), {"password": factories.PASSWORD})
    for person, is_refused in ((g1, True), (a1, False)):
        page = client.get(reverse("admin:portal_user_look_as", args=[person.pk]))
        assert bool(page.context["refusal"]) is is_refused
    assert impersonation.organisations_of(a1) == [acme]
    Organisation.objects.filter(pk=acme.pk).update(is_active=False)
    assert impersonation.organisations_of(a1) == []


# --- the audit ---


def test_an_act_of_a_person_is_told_to_their_organisations_only(acme, nordwind, a1, b1):
    audit.record_of_person("signed_in", a1, by=a1, now=T0, subject=f"person/{a1.pk}")
    told = AuditEntry.objects.filter(kind="signed_in").values_list("organisation", flat=True)
    assert list(told) == [acme.pk]


def test_members_read_no_audit_and_managers_none_of_the_vendor(acme, a1, a2, b1):
    entry = audit.record("signed_in", by=a1, now=T0, organisation=acme, subject=f"person/{a1.pk}")
    assert entry in AuditEntry.objects.visible_to(a2)
    for person in (a1, b1):
        assert entry not in AuditEntry.objects.visible_to(person)
    Membership.objects.create(user=a2, organisation=vendor_organisation(T0), role="manager")
    assert audit_views.managed(asked_by(a2)) == [acme]


def test_managers_read_the_address_of_their_people_and_not_of_staff(acme, a1, a2, g1, h1):
    for by in (a1, g1):
        entry = audit.record("signed_in", by=by, now=T0, organisation=acme, subject=f"person/{by.pk}")
        AuditOrigin.objects.create(entry=entry, salt="s", address="203.0.113.9", browser="x")
    api = APIClient()
    for reader, expected in ((a2, {"203.0.113.9", None}), (h1, {"203.0.113.9"})):
        api.force_authenticate(reader)
        answer = api.get(f"{API}audit-entries/")
        assert answer.status_code == 200, answer.content
        rows = answer.json()["results"]
        rows = [row for row in rows if row["kind"] == "signed_in"]
        assert {row["address"] for row in rows} == expected


# --- small filters ---


def test_what_is_looked_at_is_one_s_own(a1, b1, nordwind):
    assert chosen.looked_at(asked_by(b1)) == [nordwind]


def test_anonymous_callers_are_counted_by_their_address(a1):
    request = asked_by(AnonymousUser())
    request.auth = None
    assert api_limits.caller(request).startswith("address-")
    request.user = a1
    assert api_limits.caller(request) == f"person-{a1.pk}"


def test_a_mail_s_thread_holds_no_mail_to_somebody_else(a1, a2):
    common = {"kind": "x", "channel": "email", "subject_key": "s", "created_at": T0, "next_attempt_at": T0}
    OutboxMessage.objects.create(
        recipient=a2, state="sent", dedupe_key="1", message_id="<theirs@x>", **common
    )
    mine = OutboxMessage.objects.create(recipient=a1, dedupe_key="2", message_id="<mine@x>", **common)
    assert "<theirs@x>" not in str(thread_headers(mine))


def test_a_second_factor_is_of_the_person_who_set_it_up(a1, a2, g1, settings):
    settings.STAFF_SECOND_FACTOR = True
    Authenticator.objects.create(user=a2, type="totp", data={"secret": "x"})
    assert not second_factor.has_factor(a1)
    assert second_factor.has_factor(a2)
    for person, is_required in ((a1, False), (g1, True)):
        assert context._second_factor(asked_by(person))["is_required"] is is_required


def test_only_active_staff_with_the_role_hear_of_a_message_set_aside(a1, g1, m1, h1):
    off = factories.agent("off@briqmind.example", "Off", "duty_manager")
    gone = factories.agent("gone@briqmind.example", "Gone", "duty_manager")
    User.objects.filter(pk=off.pk).update(is_active=False)
    User.objects.filter(pk=gone.pk).update(is_staff=False)
    stuck = OutboxMessage.objects.create(
        kind="x", channel="email", recipient=a1, dedupe_key="x", created_at=T0, next_attempt_at=T0
    )
    outbox.tell_staff(stuck, T0)
    told = OutboxMessage.objects.filter(kind="outbox_alarm")
    assert set(told.values_list("recipient", flat=True)) == {m1.pk, h1.pk}
    assert OUTBOX_ALARM.why_not(told[0]) == ""
    assert OUTBOX_ALARM.why_not(OutboxMessage(kind="outbox_alarm", recipient=a1))


def test_the_profile_says_one_s_own_places_that_stand(acme, nordwind, a1, a2, b1):
    def places(client):
        return [row["organisation"] for row in client.get(f"{API}profile/").json()["memberships"]]

    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    assert places(bearer(a1)) == ["acme", "nordwind"]
    assert places(bearer(a1, organisation=nordwind)) == ["nordwind"]
    Organisation.objects.filter(pk=nordwind.pk).update(is_active=False)
    assert places(bearer(a1)) == ["acme"]
