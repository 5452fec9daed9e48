"""Signing in by an identity provider: who is believed about whom, and how every refusal ends."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests
import time_machine
from allauth.account.utils import perform_login
from allauth.core.context import request_context
from allauth.mfa.totp.internal.auth import TOTP
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from incidents import actions
from portal import identity_calls, invitation_verbs
from portal.models import ApiToken, AuditEntry, IdentityProvider, Invitation, Membership, User
from tests.conftest import T0
from tests.factories import PASSWORD, incident
from tests.idp import fake

GROUPS = {"support-managers": "manager", "support": "member"}


@pytest.fixture
def acme_idp():
    return fake.FakeIdp("login.acme.example")


@pytest.fixture
def nordwind_idp():
    return fake.FakeIdp("sso.nordwind.example", client_id="portal-at-nordwind")


@pytest.fixture(autouse=True)
def net(acme_idp, nordwind_idp, monkeypatch):
    made = fake.Net(acme_idp, nordwind_idp)
    monkeypatch.setattr(identity_calls.Transport, "send", lambda *a, **k: made.send(*a, **k))
    return made


@pytest.fixture
def row(acme, acme_idp):
    fake.domain(acme, "acme.example")
    return fake.provider(acme, acme_idp, GROUPS)


@pytest.fixture
def nordwind_row(nordwind, nordwind_idp):
    fake.domain(nordwind, "nordwind.example")
    return fake.provider(nordwind, nordwind_idp, {"hotline": "member"})


def ada(**more):
    return {"sub": "ada-1", "email": "ada@acme.example", "name": "Ada Byron"} | more


def who(client) -> int | None:
    """Whoever is signed in by now."""
    found = client.session.get("_auth_user_id")
    return int(found) if found else None


def rows_of():
    """What a refused sign-in leaves as it was."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (User, Membership, SocialAccount, IdentityProvider, Invitation)
    ]


def refused(client, answer, code, status):
    assert answer.status_code == status, answer.content.decode()
    assert f"reason “{code}”" in answer.content.decode()
    assert who(client) is None
    entry = AuditEntry.objects.filter(kind="sign_in_refused").latest("pk")
    assert entry.facts["reason"] == code
    return entry


# --- coming in ---


def test_a_stranger_of_the_domain_becomes_a_person_in_the_role_of_the_group(client, acme, row, acme_idp):
    answer = fake.sign_in(client, row, acme_idp, ada(groups=["staff", "support"]))
    person = User.objects.get(email="ada@acme.example")
    assert (answer.status_code, answer["Location"], who(client)) == (302, "/", person.pk)
    assert (person.name, person.has_usable_password(), person.is_staff) == ("Ada Byron", False, False)
    membership = person.memberships.get()
    assert (membership.organisation, membership.role) == (acme, "member")
    bound = SocialAccount.objects.get()
    assert (bound.user, bound.provider, bound.uid, bound.extra_data) == (person, row.key, "ada-1", {})
    row.refresh_from_db()
    assert row.last_used_at is not None
    kinds = list(AuditEntry.objects.filter(organisation=acme).order_by("pk").values_list("kind", flat=True))
    assert [kind for kind in kinds if kind not in ("signed_in", "settings_changed")] == [
        *["person_joined", "membership_added", "identity_bound", "signed_in_by_provider"]
    ]


def test_what_we_ask_for_and_send_is_bound_to_this_sign_in(client, row, acme_idp):
    asked = fake.begin(client, row, next="/incidents/")
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) >= 32
    assert len(asked["state"]) >= 32
    assert asked["redirect_uri"].endswith(f"/accounts/oidc/{row.key}/login/callback/")
    acme_idp.claims = ada(nonce=asked["nonce"])
    answer = fake.come_back(client, row, code="c0de", state=asked["state"])
    assert answer["Location"] == "/incidents/"
    (form,) = [body for path, body in acme_idp.asked if path == "/token"]
    assert form["client_secret"] == [fake.SECRET]
    assert form["code_verifier"]


def test_no_parameter_of_a_stranger_goes_to_the_provider(client, row):
    more = {"scope": "offline_access", "auth_params": "prompt=none&nonce=x", "process": "connect"}
    asked = fake.begin(client, row, **more, next="https://evil.example/")
    assert "offline_access" not in asked["scope"]
    assert "prompt" not in asked
    assert asked["nonce"] != "x"
    (state,) = client.session["socialaccount_states"].values()
    assert state[0]["process"] == "login"
    assert "evil" not in str(state)


def test_groups_are_asked_for_where_they_are_offered(client, row, acme_idp):
    assert "groups" not in fake.begin(client, row)["scope"].split()
    acme_idp.discovered = {"scopes_supported": ["openid", "groups"]}
    assert "groups" in fake.begin(client, row)["scope"].split()


def test_userinfo_adds_what_the_token_does_not_say(client, row, acme_idp):
    acme_idp.userinfo = {"sub": "ada-1", "email": "ada@acme.example", "groups": ["support-managers"]}
    fake.sign_in(client, row, acme_idp, {"sub": "ada-1"})
    assert Membership.objects.get(user__email="ada@acme.example").role == "manager"


def test_what_is_signed_counts_before_userinfo(client, row, acme_idp):
    acme_idp.userinfo = {"sub": "ada-1", "email": "a2@acme.example"}
    fake.sign_in(client, row, acme_idp, ada())
    assert User.objects.filter(email="ada@acme.example").exists()


def test_a_member_is_bound_at_the_first_sign_in(client, row, acme_idp, a1):
    fake.sign_in(client, row, acme_idp, ada(sub="one", email="A1@Acme.example", groups=["support"]))
    assert who(client) == a1.pk
    assert SocialAccount.objects.get().user == a1


def test_without_groups_to_map_a_present_role_stays(client, acme, acme_idp, a1):
    fake.domain(acme, "acme.example")
    bare = fake.provider(acme, acme_idp, default_role="viewer")
    fake.sign_in(client, bare, acme_idp, ada(email="a1@acme.example"))
    assert Membership.objects.get(user=a1).role == "member"
    fake.sign_in(Client(), bare, acme_idp, ada(sub="new", email="new@acme.example"))
    assert Membership.objects.get(user__email="new@acme.example").role == "viewer"


def test_the_session_of_somebody_else_ends_first(client, row, acme_idp, a1, a2):
    client.force_login(a2)
    fake.sign_in(client, row, acme_idp, ada(email="a1@acme.example"))
    assert who(client) == a1.pk


def test_it_ends_before_the_second_factor_is_asked(client, row, acme_idp, a1, a2):
    client.force_login(a2)
    TOTP.activate(a1, "JBSWY3DPEHPK3PXP")
    answer = fake.sign_in(client, row, acme_idp, ada(email="a1@acme.example"))
    assert "2fa" in answer["Location"]
    assert who(client) is None


def test_the_session_gets_a_new_name(client, row, acme_idp):
    fake.begin(client, row)
    before = client.session.session_key
    fake.sign_in(client, row, acme_idp, ada())
    assert client.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()


def test_no_token_of_the_provider_is_kept(client, row, acme_idp):
    fake.sign_in(client, row, acme_idp, ada())
    assert not SocialToken.objects.exists()


def test_what_the_provider_says_of_factors_stands_in_the_session(client, row, acme_idp):
    fake.sign_in(client, row, acme_idp, ada(amr=["pwd", "mfa"]))
    assert client.session["idp_amr"] == ["pwd", "mfa"]
    assert client.get("/").wsgi_request.user.email == "ada@acme.example"


def test_an_attempt_left_halfway_says_nothing_of_the_next_person(client, row, acme_idp, a2):
    """Ada has a second factor here and goes away before it is asked; a2 then signs in in the same browser."""
    person = User.objects.create_user("ada@acme.example", None, name="Ada")
    Membership.objects.create(user=person, organisation=row.organisation, role="member")
    TOTP.activate(person, "JBSWY3DPEHPK3PXP")
    answer = fake.sign_in(client, row, acme_idp, ada(amr=["mfa"]))
    assert "2fa" in answer["Location"]
    assert who(client) is None
    request = client.get("/accounts/login/").wsgi_request
    with request_context(request):
        perform_login(request, a2, email_verification="none")
    assert request.user == a2
    assert "idp_amr" not in request.session
    assert "idp" not in request.session


# --- roles that follow ---


def test_the_role_follows_the_groups(client, row, acme_idp, a2):
    """Up, and down again; a2 stays the manager whom the organisation needs."""
    for groups, role in [
        *[(["support"], "member"), (["support", "support-managers"], "manager"), (["support"], "member")],
        *[([], "viewer")],
    ]:
        fake.sign_in(Client(), row, acme_idp, ada(groups=groups))
        assert Membership.objects.get(user__email="ada@acme.example").role == role
    entry = AuditEntry.objects.filter(kind="membership_changed").latest("pk")
    assert (entry.facts["role_from"], entry.facts["role_to"]) == ("member", "viewer")


def test_without_any_group_a_managed_membership_is_over(client, row, acme_idp, a2):
    row.default_role = ""
    row.save()
    fake.sign_in(Client(), row, acme_idp, ada(groups=["support"]))
    answer = fake.sign_in(client, row, acme_idp, ada(groups=["elsewhere"]))
    refused(client, answer, "no_role", 403)
    assert not Membership.objects.filter(user__email="ada@acme.example").exists()
    assert AuditEntry.objects.filter(kind="membership_removed").exists()


def test_whoever_the_provider_removes_leaves_nothing_behind(client, row, acme_idp, acme, a2):
    """As if a manager had removed them: tokens, watching and invitations end, open incidents are the manager's."""
    row.default_role = ""
    row.save()
    fake.sign_in(Client(), row, acme_idp, ada(groups=["support-managers"]))
    person = User.objects.get(email="ada@acme.example")
    theirs, watched = incident(person, T0), incident(a2, T0)
    actions.watch(watched, by=person, now=T0, channel="portal")
    ApiToken.objects.create(user=person)
    invitation_verbs.invite(acme, email="friend@acme.example", by=person, now=T0)

    refused(client, fake.sign_in(client, row, acme_idp, ada(groups=["elsewhere"])), "no_role", 403)
    theirs.refresh_from_db()
    assert theirs.reporter == a2
    assert theirs.events.get(kind="reporter_changed").by is None
    assert not person.watched.exists()
    assert not ApiToken.objects.filter(user=person).exists()
    assert not Invitation.objects.open(T0).exists()
    assert Membership.history.filter(user=person).latest("history_date").history_type == "-"


def test_a_contact_whom_the_groups_lower_goes_on_seeing_all(client, row, acme_idp, acme, a2):
    row.default_visibility = "own"
    row.save()
    fake.sign_in(Client(), row, acme_idp, ada(groups=["support-managers"]))
    Membership.objects.filter(user__email="ada@acme.example").update(is_p1_contact=True)
    fake.sign_in(Client(), row, acme_idp, ada(groups=["support"]))
    lowered = Membership.objects.get(user__email="ada@acme.example")
    assert (lowered.role, lowered.visibility) == ("member", "all")


def test_somebody_never_bound_keeps_the_membership_when_refused(client, row, acme_idp, a1):
    row.default_role = ""
    row.save()
    before = rows_of()
    answer = fake.sign_in(client, row, acme_idp, ada(email="a1@acme.example"))
    refused(client, answer, "no_role", 403)
    assert rows_of() == before


def test_the_last_manager_keeps_the_role(client, row, acme_idp, a2):
    fake.sign_in(client, row, acme_idp, ada(email="a2@acme.example", groups=["support"]))
    assert (who(client), Membership.objects.get(user=a2).role) == (a2.pk, "manager")
    assert AuditEntry.objects.filter(kind="last_manager_kept").exists()
    row.default_role = ""
    row.save()
    again = Client()
    refused(again, fake.sign_in(again, row, acme_idp, ada(email="a2@acme.example")), "no_role", 403)
    assert Membership.objects.get(user=a2).role == "manager"


def test_a_manager_who_is_one_no_more_sees_what_new_people_see(client, row, acme_idp, a2):
    row.default_visibility = "own"
    row.save()
    fake.sign_in(Client(), row, acme_idp, ada(groups=["support-managers"]))
    fake.sign_in(client, row, acme_idp, ada(groups=["support"]))
    membership = Membership.objects.get(user__email="ada@acme.example")
    assert (membership.role, membership.visibility) == ("member", "own")


# --- who is not let in ---


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"email": "bruno@nordwind.example"}, "foreign_domain"),
        ({"email": "ada@sub.acme.example"}, "foreign_domain"),
        ({"email": "ada@acme.example.evil.example"}, "foreign_domain"),
        ({"email": "ada@evil.example@acme.example"}, "no_address"),
        ({"email": "ada@acme.example, bruno@nordwind.example"}, "no_address"),
        ({"email": "ada@acme.example\n"}, None),
        ({"email": None}, "no_address"),
        ({"email": ["ada@acme.example"]}, "no_address"),
        ({"email_verified": False}, "address_unverified"),
        ({"email_verified": "false"}, "address_unverified"),
        ({"email_verified": True}, None),
    ],
)
def test_only_proper_addresses_of_the_own_domains_are_believed(
    client, row, nordwind_row, acme_idp, claims, code
):
    before = rows_of()
    answer = fake.sign_in(client, row, acme_idp, ada(**claims))
    if code:
        refused(client, answer, code, 403)
        assert rows_of() == before
    else:
        assert who(client) is not None


def test_one_organisation_s_provider_signs_in_nobody_of_another(client, row, nordwind_row, acme_idp, b1):
    before = rows_of()
    answer = fake.sign_in(client, row, acme_idp, ada(sub="b1", email="b1@nordwind.example"))
    refused(client, answer, "foreign_domain", 403)
    assert rows_of() == before


def test_a_domain_that_is_not_verified_is_not_believed(client, acme, acme_idp, a1):
    fake.domain(acme, "acme.example", is_verified=False)
    row = fake.provider(acme, acme_idp)
    refused(client, fake.sign_in(client, row, acme_idp, ada(email=a1.email)), "foreign_domain", 403)


@pytest.mark.parametrize("name", ["support.briqmind.example", "mail.support.briqmind.example", "gmail.com"])
def test_a_domain_that_is_nobody_s_is_not_believed_even_if_somebody_verified_it(client, row, acme_idp, name):
    fake.domain(row.organisation, name)
    refused(client, fake.sign_in(client, row, acme_idp, ada(email=f"x@{name}")), "foreign_domain", 403)


@pytest.mark.parametrize(
    "fields", [{"is_staff": True, "staff_role": "agent"}, {"is_superuser": True}, {"staff_role": "agent"}]
)
def test_staff_never_come_in_by_a_customer_s_provider(client, row, acme_idp, a1, fields):
    User.objects.filter(pk=a1.pk).update(**fields)
    before = rows_of()
    refused(client, fake.sign_in(client, row, acme_idp, ada(email=a1.email)), "staff", 403)
    assert rows_of() == before


def test_somebody_who_became_staff_after_being_bound_is_refused(client, row, acme_idp, a1):
    fake.sign_in(Client(), row, acme_idp, ada(email=a1.email))
    User.objects.filter(pk=a1.pk).update(is_staff=True, staff_role="agent")
    refused(client, fake.sign_in(client, row, acme_idp, ada(email=a1.email)), "staff", 403)


@pytest.mark.parametrize("fields", [{"is_active": False}, {"erased_at": timezone.now()}])
def test_who_is_inactive_or_erased_stays_out(client, row, acme_idp, a1, fields):
    User.objects.filter(pk=a1.pk).update(**fields)
    before = rows_of()
    refused(client, fake.sign_in(client, row, acme_idp, ada(email=a1.email)), "inactive", 403)
    assert rows_of() == before


def test_another_subject_with_the_same_address_is_refused(client, row, acme_idp):
    fake.sign_in(Client(), row, acme_idp, ada())
    before = rows_of()
    answer = fake.sign_in(client, row, acme_idp, ada(sub="ada-2"))
    refused(client, answer, "another_subject", 403)
    assert rows_of() == before


def test_a_subject_does_not_take_over_another_account_by_its_address(client, row, acme_idp, a1):
    fake.sign_in(Client(), row, acme_idp, ada())
    refused(client, fake.sign_in(client, row, acme_idp, ada(email=a1.email)), "anothers_address", 403)


def test_a_bound_person_may_get_a_new_address_at_the_provider(client, row, acme_idp):
    fake.sign_in(Client(), row, acme_idp, ada())
    fake.sign_in(client, row, acme_idp, ada(email="ada.lovelace@acme.example"))
    assert who(client) == User.objects.get(email="ada@acme.example").pk


def test_a_bound_account_that_moved_to_a_foreign_domain_is_refused(client, row, nordwind_row, acme_idp):
    fake.sign_in(Client(), row, acme_idp, ada())
    User.objects.filter(email="ada@acme.example").update(email="ada@nordwind.example")
    refused(client, fake.sign_in(client, row, acme_idp, ada()), "foreign_account", 403)


def test_an_account_with_a_place_elsewhere_is_not_taken_without_being_asked(client, row, acme_idp, nordwind):
    person = User.objects.create_user("ada@acme.example", PASSWORD, name="Ada")
    Membership.objects.create(user=person, organisation=nordwind, role="member")
    before = rows_of()
    refused(client, fake.sign_in(client, row, acme_idp, ada(groups=["support"])), "elsewhere", 403)
    assert rows_of() == before


def invite(row, a2, email="ada@acme.example", **fields):
    now = timezone.now()
    made = Invitation(organisation=row.organisation, email=email, invited_by=a2, created_at=now, **fields)
    made.renew(now)
    made.save()
    return made


def test_an_invitation_opens_the_way_for_an_account_of_another_organisation(
    client, row, acme_idp, nordwind, a2
):
    person = User.objects.create_user("ada@acme.example", PASSWORD, name="Ada")
    Membership.objects.create(user=person, organisation=nordwind, role="member")
    invitation = invite(row, a2)
    fake.sign_in(client, row, acme_idp, ada(groups=["support"]))
    assert who(client) == person.pk
    invitation.refresh_from_db()
    assert invitation.accepted_by == person
    assert person.memberships.count() == 2


def test_where_nobody_joins_by_themselves_an_invitation_is_needed(client, row, acme_idp, a2):
    row.joins_people = False
    row.save()
    before = rows_of()
    refused(client, fake.sign_in(client, row, acme_idp, ada()), "not_invited", 403)
    assert rows_of() == before
    invite(row, a2, role="viewer")
    fake.sign_in(client, row, acme_idp, ada(groups=["support"]))
    assert Membership.objects.get(user__email="ada@acme.example").role == "member"


def test_an_expired_invitation_opens_nothing(client, row, acme_idp, a2):
    row.joins_people = False
    row.save()
    Invitation.objects.filter(pk=invite(row, a2).pk).update(expires_at=timezone.now() - timedelta(1))
    refused(client, fake.sign_in(client, row, acme_idp, ada()), "not_invited", 403)


def test_who_lost_the_place_and_has_none_elsewhere_joins_again(client, row, acme_idp, a1):
    Membership.objects.filter(user=a1).delete()
    fake.sign_in(client, row, acme_idp, ada(email=a1.email, groups=["support"]))
    assert (who(client), a1.memberships.get().role) == (a1.pk, "member")


# --- what the provider's answer must hold ---


FORGERIES = {
    "another key": lambda idp: setattr(idp, "signing", fake.key("mallory")),
    "another issuer": lambda idp: idp.claims.update(iss="https://sso.nordwind.example"),
    "for another client": lambda idp: idp.claims.update(aud="somebody-else"),
    "for many, without a party": lambda idp: idp.claims.update(aud=["portal", "other"]),
    "another party": lambda idp: idp.claims.update(azp="other"),
    "expired": lambda idp: idp.claims.update(exp=1_700_000_000),
    "of the future": lambda idp: idp.claims.update(iat=4_000_000_000),
    "not yet": lambda idp: idp.claims.update(nbf=4_000_000_000),
    "without an end": lambda idp: idp.claims.update(exp=None),
    "without a subject": lambda idp: idp.claims.update(sub=None),
    "an empty subject": lambda idp: idp.claims.update(sub=""),
    "too long a subject": lambda idp: idp.claims.update(sub="x" * 192),
    "an unknown key": lambda idp: setattr(idp, "headers", {"kid": "two"}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_token_that_is_not_the_issuer_s_for_us_and_of_now_is_refused(client, row, acme_idp, forgery):
    asked = fake.begin(client, row)
    acme_idp.claims = ada(nonce=asked["nonce"])
    FORGERIES[forgery](acme_idp)
    before = rows_of()
    answer = fake.come_back(client, row, code="c0de", state=asked["state"])
    refused(client, answer, "token", 502)
    assert rows_of() == before


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_no_symmetric_signature_and_none_at_all(client, row, acme_idp, algorithm):
    asked = fake.begin(client, row)
    acme_idp.claims = ada(nonce=asked["nonce"])
    acme_idp.algorithm = algorithm
    acme_idp.signing = None if algorithm == "none" else "x" * 40
    refused(client, fake.come_back(client, row, code="c", state=asked["state"]), "token", 502)


def test_a_symmetric_key_among_the_keys_is_of_no_use(client, row, acme_idp):
    """Whoever publishes such a key has given it away."""
    asked = fake.begin(client, row)
    acme_idp.claims = ada(nonce=asked["nonce"])
    acme_idp.algorithm, acme_idp.signing = "HS256", "x" * 40
    secret = {"kty": "oct", "kid": "one", "k": "eHh4" * 13 + "eA", "alg": "HS256"}
    acme_idp.jwks = lambda: {"keys": [secret]}
    refused(client, fake.come_back(client, row, code="c", state=asked["state"]), "token", 502)


def test_clocks_may_differ_by_a_minute(client, row, acme_idp):
    asked, now = fake.begin(client, row), int(timezone.now().timestamp())
    acme_idp.claims = ada(nonce=asked["nonce"], iat=now + 45, exp=now - 45)
    fake.come_back(client, row, code="c", state=asked["state"])
    assert who(client) is not None


@pytest.mark.parametrize("nonce", [None, "of-another-sign-in", 7])
def test_an_answer_made_for_another_sign_in_is_refused(client, row, acme_idp, nonce):
    before = rows_of()
    answer = fake.sign_in(client, row, acme_idp, ada(nonce=nonce))
    refused(client, answer, "nonce", 400)
    assert rows_of() == before


def test_userinfo_about_somebody_else_is_refused(client, row, acme_idp):
    acme_idp.userinfo = {"sub": "mallory", "groups": ["support-managers"]}
    refused(client, fake.sign_in(client, row, acme_idp, ada()), "userinfo", 502)


def test_a_state_counts_once_and_only_for_its_browser_and_provider(
    client, row, nordwind_row, acme_idp, nordwind_idp
):
    asked = fake.begin(client, row)
    acme_idp.claims = ada(nonce=asked["nonce"])
    nordwind_idp.claims = ada(nonce=asked["nonce"])
    stranger = Client()
    refused(stranger, fake.come_back(stranger, row, code="c", state=asked["state"]), "state", 400)
    refused(client, fake.come_back(client, nordwind_row, code="c", state=asked["state"]), "state", 400)
    refused(client, fake.come_back(client, row, code="c", state="invented"), "state", 400)
    refused(client, fake.come_back(client, row, code="c"), "state", 400)
    assert fake.come_back(client, row, code="c", state=asked["state"]).status_code == 302
    client.post("/accounts/logout/")
    refused(client, fake.come_back(client, row, code="c", state=asked["state"]), "state", 400)


def test_a_state_is_too_old_after_ten_minutes(client, row, acme_idp):
    asked = fake.begin(client, row)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        acme_idp.claims = ada(nonce=asked["nonce"])
        refused(client, fake.come_back(client, row, code="c", state=asked["state"]), "state", 400)


def test_whoever_cancels_or_is_denied_there_reads_so(client, row):
    for error, code in [("access_denied", "cancelled"), ("login_required", "denied")]:
        state = fake.begin(client, row)["state"]
        refused(client, fake.come_back(client, row, error=error, state=state), code, 400)


def test_a_code_that_was_used_or_is_too_old(client, row, acme_idp):
    acme_idp.token_status = 400
    refused(client, fake.sign_in(client, row, acme_idp, ada()), "code", 400)


def test_an_answer_that_names_another_issuer_is_refused(client, row, acme_idp):
    asked = fake.begin(client, row)
    acme_idp.claims = ada(nonce=asked["nonce"])
    query = {"code": "c", "state": asked["state"]}
    answer = fake.come_back(client, row, **query, iss="https://sso.nordwind.example")
    refused(client, answer, "issuer", 502)
    assert fake.come_back(client, row, **query, iss=acme_idp.issuer).status_code == 302


DOWN = requests.ConnectionError("secret words of a library")


@pytest.mark.parametrize(
    ("path", "broken", "code"),
    [
        ("/.well-known/openid-configuration", identity_calls.Unreachable("nobody there"), "unreachable"),
        ("/.well-known/openid-configuration", b"<html>", "discovery"),
        ("/.well-known/openid-configuration", b"[]", "discovery"),
        ("/token", identity_calls.Unreachable("nobody there"), "unreachable"),
        ("/token", b"<html>", "unreadable"),
        ("/token", b"{}", "code"),
        ("/token", b'{"access_token": "x"}', "token"),
        ("/token", b'{"access_token": "x", "expires_in": "soon"}', "unreadable"),
        ("/token", b'{"access_token": "x", "id_token": 7}', "token"),
        ("/jwks", b"{", "keys"),
        ("/jwks", b"[]", "keys"),
        ("/jwks", b'{"keys": []}', "keys"),
        ("/jwks", DOWN, "unreadable"),
        ("/userinfo", b"<html>", "userinfo"),
        ("/userinfo", b"[]", "userinfo"),
    ],
)
def test_a_provider_that_is_down_or_talks_nonsense_ends_on_the_page(
    client, row, acme_idp, path, broken, code
):
    asked = fake.begin(client, row)
    acme_idp.claims, acme_idp.userinfo = ada(nonce=asked["nonce"]), {"sub": "ada-1"}
    acme_idp.broken = {path: broken}
    before = rows_of()
    answer = fake.come_back(client, row, code="c", state=asked["state"])
    entry = refused(client, answer, code, 400 if code == "code" else 502)
    assert "secret words" not in str(entry.facts)
    assert rows_of() == before


@pytest.mark.parametrize(
    ("discovered", "code"),
    [
        ({"issuer": "https://login.acme.example/"}, "issuer"),
        ({"issuer": "https://sso.nordwind.example"}, "issuer"),
        ({"token_endpoint": None}, "discovery"),
        ({"token_endpoint": "http://login.acme.example/token"}, "discovery"),
        ({"jwks_uri": "https://169.254.169.254/keys"}, "discovery"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "discovery"),
        ({"userinfo_endpoint": "https://127.0.0.1/u"}, "discovery"),
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_asked(client, row, acme_idp, discovered, code):
    acme_idp.discovered = discovered
    answer = client.get(f"/accounts/oidc/{row.key}/login/")
    refused(client, answer, code, 502)


def test_no_other_site_begins_a_sign_in_without_somebody_s_click(client, row, acme_idp):
    path, foreign = f"/accounts/oidc/{row.key}/login/", {"sec-fetch-site": "cross-site"}
    assert client.get(path, headers=foreign)["Location"] == "/accounts/organisation/"
    clicked = client.get(path, headers=foreign | {"sec-fetch-user": "?1"})
    assert clicked["Location"].startswith("https://login.acme.example/")


def test_one_page_for_every_reason(client, row, acme_idp):
    """Designed, in the reader's language, with something to do; and never the address or the subject."""
    answer = fake.sign_in(client, row, acme_idp, ada(email="bruno@nordwind.example"))
    page = answer.content.decode()
    assert "The sign-in did not succeed" in page
    assert "bruno" not in page
    assert 'href="/accounts/login/"' in page


def test_secrets_stand_in_no_log_and_in_no_audit(client, row, acme_idp, caplog):
    caplog.set_level(logging.DEBUG)
    fake.sign_in(client, row, acme_idp, ada())
    acme_idp.signing = fake.key("mallory")
    fake.sign_in(Client(), row, acme_idp, ada())
    told = caplog.text + str(list(AuditEntry.objects.values_list("facts", flat=True)))
    for secret in (fake.SECRET, "c0de", acme_idp.id_token(), "ada@acme.example"):
        assert secret not in told


# --- switched off, too old ---


@pytest.mark.parametrize("off", ["provider", "organisation"])
def test_who_came_by_a_provider_that_is_switched_off_is_out_at_the_next_request(client, row, acme_idp, off):
    fake.sign_in(client, row, acme_idp, ada())
    assert client.get("/profile/").status_code == 200
    if off == "provider":
        IdentityProvider.objects.update(is_active=False)
    else:
        type(row.organisation).objects.filter(pk=row.organisation_id).update(is_active=False)
    assert client.get("/profile/").status_code == 302
    assert who(client) is None
    for page in ("login", "login/callback"):
        assert client.get(f"/accounts/oidc/{row.key}/{page}/").status_code == 404


def test_who_signed_in_by_password_stays_when_a_provider_is_switched_off(client, row, a1):
    client.post("/accounts/login/", {"login": a1.email, "password": PASSWORD})
    IdentityProvider.objects.update(is_active=False)
    assert client.get("/profile/").status_code == 200


def test_who_came_by_a_provider_comes_back_to_it_after_the_time_set(client, row, acme_idp, settings):
    settings.IDENTITY_SESSION_SECONDS = 3600
    now = timezone.now()
    with time_machine.travel(now):
        fake.sign_in(client, row, acme_idp, ada())
    for minutes, status in [(30, 200), (59, 200), (61, 302)]:  # however often it is used
        with time_machine.travel(now + timedelta(minutes=minutes)):
            used = client.session
            used["used"] = minutes  # a session that is written to would live on by itself
            used.save()
            assert client.get("/profile/").status_code == status


def test_a_provider_switched_off_while_somebody_is_there_lets_nobody_in(client, row, acme_idp):
    asked = fake.begin(client, row)
    acme_idp.claims = ada(nonce=asked["nonce"])
    IdentityProvider.objects.update(is_active=False)
    answer = fake.come_back(client, row, code="c", state=asked["state"])
    assert answer.status_code == 404
    assert who(client) is None


# --- which way an address goes ---


def ask(client, email, **more):
    return client.post("/accounts/organisation/", {"email": email} | more)


def test_an_address_is_shown_the_way_to_its_provider(client, row, acme_idp):
    answer = ask(client, "Ada@ACME.example", next="/incidents/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "login.acme.example" in page
    address = answer.context["address"]
    assert urlsplit(address).netloc == "login.acme.example"
    assert "login_hint=Ada%40ACME.example" in address
    (state,) = client.session["socialaccount_states"].values()
    assert state[0]["next"] == "/incidents/"


def test_an_unknown_domain_is_answered_like_every_other_that_has_none(
    client, acme, nordwind, acme_idp, nordwind_idp
):
    fake.domain(acme, "unverified.example", is_verified=False)
    fake.domain(acme, "off.example")
    fake.domain(nordwind, "none.example")
    fake.provider(acme, acme_idp, is_active=False)
    answers = [
        ask(Client(), f"x@{name}")
        for name in ("unknown.example", "unverified.example", "off.example", "none.example", "gmail.com")
    ]
    first = answers[0]
    for answer in answers:
        assert answer.status_code == 200
        assert without_csrf(str(answer.content)) == without_csrf(str(first.content))


def without_csrf(text: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


def test_a_person_and_nobody_are_sent_the_same_way(row, a1):
    known, unknown = (ask(Client(), email) for email in (a1.email, "nobody@acme.example"))
    assert (known.status_code, unknown.status_code) == (200, 200)
    assert urlsplit(known.context["address"]).path == urlsplit(unknown.context["address"]).path


@pytest.mark.parametrize("email", ["", "no address", "@acme.example"])
def test_what_is_no_address_is_said_to_be_none(client, row, email):
    assert ask(client, email).status_code == 400


def test_the_form_is_throttled(client, row, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login": "2/m/ip"}
    assert [ask(client, "x@unknown.example").status_code for _ in range(3)] == [200, 200, 429]


def test_the_sign_in_page_names_this_way(client, row):
    page = client.get("/accounts/login/?next=/incidents/").content.decode()
    assert 'href="/accounts/organisation/?next=%2Fincidents%2F"' in page
    assert "Sign in with my organisation" in page


def test_a_provider_that_is_down_is_said_on_the_way(client, row, acme_idp):
    acme_idp.broken = {"/.well-known/openid-configuration": identity_calls.Unreachable("nobody there")}
    refused(client, ask(client, "ada@acme.example"), "unreachable", 502)


# --- the only way in ---


@pytest.fixture
def only_way(row, a1):
    IdentityProvider.objects.update(is_required=True, last_used_at=timezone.now())
    return row


def test_a_right_password_is_answered_like_a_wrong_one(client, only_way, a1):
    right, wrong = (
        Client().post("/accounts/login/", {"login": a1.email, "password": password})
        for password in (PASSWORD, "wrong-horse-9")
    )
    assert (right.status_code, wrong.status_code) == (200, 200)
    assert without_csrf(str(right.content)) == without_csrf(str(wrong.content))
    assert not Session.objects.filter(session_key=right.client.session.session_key).exists() or (
        "_auth_user_id" not in right.client.session
    )


def test_no_other_way_in_is_left_open(rf, client, only_way, a1):
    """A passkey, a code, a link: all of them pass the adapter."""
    request = client.get("/accounts/login/").wsgi_request
    with request_context(request):
        answer = perform_login(request, a1, email_verification="none")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/organisation/")
    assert not request.user.is_authenticated


def test_the_provider_is_open_then(client, only_way, acme_idp, a1):
    fake.sign_in(client, only_way, acme_idp, ada(email=a1.email, groups=["support"]))
    assert who(client) == a1.pk


def test_a_reset_is_answered_alike_and_the_mail_names_the_way(client, only_way, a1):
    known, unknown = (
        Client().post("/accounts/password/reset/", {"email": email})
        for email in (a1.email, "nobody@acme.example")
    )
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    (sent,) = [message for message in mail.outbox if message.to == [a1.email]]
    assert "/accounts/organisation/" in sent.body
    assert "/password/reset/key/" not in sent.body


@pytest.mark.parametrize("how", ["off", "not required", "unverified", "staff"])
def test_a_password_is_good_again_where_the_provider_is_not_the_only_way(client, only_way, a1, how):
    if how == "off":
        IdentityProvider.objects.update(is_active=False)
    elif how == "not required":
        IdentityProvider.objects.update(is_required=False)
    elif how == "unverified":
        only_way.organisation.domains.update(verified_at=None)
    else:
        User.objects.filter(pk=a1.pk).update(is_staff=True, staff_role="agent")
    client.post("/accounts/login/", {"login": a1.email, "password": PASSWORD})
    assert who(client) == a1.pk


# --- allauth's own side doors ---


def test_a_binding_is_not_taken_off(client, row, acme_idp):
    fake.sign_in(client, row, acme_idp, ada())
    bound = SocialAccount.objects.get()
    answer = client.post("/accounts/3rdparty/", {"account": bound.pk})
    assert answer["Location"] == "/profile/"
    with pytest.raises(ValidationError):
        get_adapter().validate_disconnect(bound, [bound])
    assert SocialAccount.objects.filter(pk=bound.pk).exists()


def test_no_page_of_the_library_lists_the_providers(client, row, nordwind_row, a1, rf):
    adapter = get_adapter()
    assert adapter.list_apps(rf.get("/")) == []
    assert adapter.list_apps(rf.get("/"), provider="openid_connect") == []
    assert [app.provider_id for app in adapter.list_apps(rf.get("/"), provider=row.key)] == [row.key]
    client.force_login(a1)
    for page in ("/accounts/3rdparty/", "/accounts/login/", "/accounts/3rdparty/signup/"):
        assert "Nordwind" not in client.get(page, follow=True).content.decode()


def test_nobody_signs_up_by_the_library_s_form(client, row):
    before = rows_of()
    client.get("/accounts/3rdparty/signup/")
    client.post("/accounts/3rdparty/signup/", {"email": "x@acme.example"})
    assert rows_of() == before


def test_a_sign_in_never_attaches_to_whoever_is_signed_in(client, row, acme_idp, a2):
    """The library can connect an identity to the present account: here it is a sign-in all the same."""
    client.force_login(a2)
    fake.sign_in(client, row, acme_idp, ada(), process="connect")
    assert SocialAccount.objects.get().user.email == "ada@acme.example"
