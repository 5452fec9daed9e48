"""Whoever must have a second factor gets nowhere without one, by no door."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from portal import second_factor
from portal.models import ApiToken, AuditEntry, Membership, Organisation, User
from tests.conftest import T0
from tests.factories import PASSWORD
from tests.factories import incident as new_incident

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXP"
SETTING_UP = "/accounts/2fa/"
API = "/api/v1/incidents/"


@pytest.fixture(autouse=True)
def _required(settings):
    cache.clear()
    settings.STAFF_SECOND_FACTOR = True


def code_of(secret: str = SECRET) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def app_of(user: User) -> Authenticator:
    return TOTP.activate(user, SECRET).instance


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def signed_in(user: User) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


STAFF_DOORS = [
    "/", "/admin/", "/admin/incidents/incident/", "/admin/portal/user/", "/incidents/", "/profile/", "/reports/",
    "/accounts/password/change/", "/accounts/sessions/", "/maintenance/", "/status/", "/knowledge/",
]  # fmt: skip


@pytest.mark.parametrize("door", STAFF_DOORS)
def test_staff_without_a_factor_come_no_further_than_to_setting_one_up(g1, door):
    client = browser(g1)
    for method in ("get", "post"):
        answer = getattr(client, method)(door)
        assert (answer.status_code, answer["Location"]) == (302, SETTING_UP)


@pytest.mark.parametrize("who", ["g1", "m1", "h1", "root"])
def test_no_staff_role_is_let_off(request, who):
    client = browser(request.getfixturevalue(who))
    assert client.get("/admin/")["Location"] == SETTING_UP
    assert client.get(API).status_code == 403


def test_a_superuser_without_a_role_is_not_let_off_either(db):
    chief = User.objects.create_user("chief@briqmind.example", PASSWORD, name="C", is_superuser=True)
    assert browser(chief).get("/")["Location"] == SETTING_UP


def test_the_api_answers_a_session_without_a_factor_with_a_problem(g1, a1):
    new_incident(a1, T0)
    client = browser(g1)
    for method in ("get", "post", "patch", "delete", "options"):
        answer = getattr(client, method)(API)
        assert answer.status_code == 403
        assert answer["Content-Type"] == "application/problem+json"
        assert "second factor" in answer.json()["detail"]
    assert client.get(API, headers={"authorization": "Basic eDp5"}).status_code == 403  # no way round


def test_a_token_is_a_secret_of_its_own_but_dies_with_its_person(g1):
    _token, text = ApiToken.objects.create(user=g1)
    client = APIClient(headers={"authorization": f"Bearer {text}"})
    assert client.get(API).status_code == 200
    User.objects.filter(pk=g1.pk).update(is_active=False)
    assert client.get(API).status_code == 401


def test_an_organisation_asks_its_own_people_and_nobody_else(a1, b1, acme):
    assert browser(a1).get("/").status_code == 200
    Organisation.objects.filter(pk=acme.pk).update(requires_second_factor=True)
    assert browser(a1).get("/")["Location"] == SETTING_UP
    assert browser(a1).get(API).status_code == 403
    assert browser(b1).get("/").status_code == 200


def test_an_installation_may_ask_everybody(a1, b1, settings):
    settings.SECOND_FACTOR_FOR_ALL = True
    assert browser(a1).get("/")["Location"] == browser(b1).get("/")["Location"] == SETTING_UP
    assert browser(a1).get(API).status_code == 403


def test_any_of_several_organisations_may_ask_but_not_one_that_is_closed(a1, nordwind):
    nordwind.requires_second_factor = True
    nordwind.save()
    client = browser(a1)
    assert client.get("/").status_code == 200
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    assert client.get("/")["Location"] == SETTING_UP
    Organisation.objects.filter(pk=nordwind.pk).update(is_active=False)
    assert client.get("/").status_code == 200


def test_a_requirement_switched_on_later_counts_at_the_next_request(a1, acme):
    client = browser(a1)
    assert client.get("/").status_code == 200
    Organisation.objects.filter(pk=acme.pk).update(requires_second_factor=True)
    assert client.get("/")["Location"] == SETTING_UP


def test_recovery_codes_alone_are_no_second_factor(g1):
    RecoveryCodes.activate(g1)
    assert browser(g1).get("/")["Location"] == SETTING_UP


def test_from_the_password_over_the_setting_up_to_the_page_that_was_wanted(g1):
    client = signed_in(g1)
    assert client.get("/admin/incidents/incident/?o=1")["Location"] == SETTING_UP
    page = client.get(SETTING_UP).content.decode()
    assert "needs a second factor before you can go on" in page
    form = client.get("/accounts/2fa/totp/activate/").context["form"]
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_of(form.secret)})
    codes = client.get(answer["Location"]).content.decode()
    assert codes.count("<li><code>") == 10
    assert 'href="/admin/incidents/incident/?o=1"' in codes
    assert client.get("/admin/incidents/incident/?o=1").status_code == 200


def test_whoever_lacks_a_factor_can_still_leave(g1):
    client = browser(g1)
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
    assert client.get("/")["Location"].startswith("/accounts/login/")


def test_with_a_factor_the_password_alone_signs_nobody_in(g1):
    app_of(g1)
    client = Client()
    answer = client.post("/accounts/login/", {"login": g1.email, "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/admin/")["Location"].startswith(("/accounts/login/", "/admin/login/"))
    assert client.get(API).status_code == 401
    assert client.post("/accounts/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert client.post("/accounts/2fa/authenticate/", {"code": code_of()}).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_a_code_signs_in_once(g1):
    app_of(g1)
    with time_machine.travel(T0, tick=False):
        codes = [code_of(), code_of()]
        answers = []
        for code in codes:
            client = signed_in(g1)
            answers.append(client.post("/accounts/2fa/authenticate/", {"code": code}).status_code)
    assert answers == [302, 200]


def test_a_recovery_code_signs_in_once_and_says_how_many_are_left(g1):
    app_of(g1)
    code, *_others = RecoveryCodes.activate(g1).get_unused_codes()
    client = signed_in(g1)
    assert client.post("/accounts/2fa/authenticate/", {"code": code}).status_code == 302
    assert "9 recovery codes left" in client.get(SETTING_UP).content.decode()
    assert signed_in(g1).post("/accounts/2fa/authenticate/", {"code": code}).status_code == 200


def test_codes_are_guessed_a_few_times_only(g1):
    app_of(g1)
    client = signed_in(g1)
    answers = [client.post("/accounts/2fa/authenticate/", {"code": "000000"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert client.post("/accounts/2fa/authenticate/", {"code": code_of()}).status_code == 429


# --- keeping it ---


def test_the_only_factor_cannot_be_removed_by_whoever_must_have_one(g1):
    factor = app_of(g1)
    client = signed_in_with_app(g1)
    page = client.post("/accounts/2fa/totp/deactivate/")
    assert "this is the only one" in page.content.decode()
    key = Authenticator.objects.create(user=g1, type="webauthn", data={"name": "key"})
    assert client.post("/accounts/2fa/totp/deactivate/").status_code == 302
    assert not Authenticator.objects.filter(pk=factor.pk).exists()
    answer = client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/remove/")
    assert "this is the only one" in answer.content.decode()
    assert Authenticator.objects.filter(pk=key.pk).exists()


def test_whoever_need_not_have_one_may_remove_it_and_is_told(a1):
    app_of(a1)
    client = signed_in_with_app(a1)
    assert client.post("/accounts/2fa/totp/deactivate/")["Location"] == SETTING_UP
    assert not Authenticator.objects.exists()
    assert [message.to for message in mail.outbox] == [[a1.email]]


def signed_in_with_app(user: User) -> Client:
    client = signed_in(user)
    assert client.post("/accounts/2fa/authenticate/", {"code": code_of()}).status_code == 302
    return client


def test_somebody_elses_passkey_is_not_there(a1, b1):
    key = Authenticator.objects.create(user=b1, type="webauthn", data={"name": "canary"})
    client = signed_in(a1)
    for verb in ("edit", "remove"):
        for method in ("get", "post"):
            answer = getattr(client, method)(f"/accounts/2fa/webauthn/keys/{key.pk}/{verb}/")
            assert answer.status_code == 404
    assert Authenticator.objects.filter(pk=key.pk).exists()


def test_a_lost_factor_is_removed_by_an_administrator_audited_and_told(
    a1, root, django_capture_on_commit_callbacks
):
    app_of(a1)
    RecoveryCodes.activate(a1)
    app_of(root)
    theirs, client = browser(a1), browser(root)
    factor = Authenticator.objects.get(user=a1, type="totp")
    with django_capture_on_commit_callbacks(execute=True):
        assert (
            client.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"}).status_code == 302
        )
    assert not Authenticator.objects.filter(user=a1).exists()
    entry = AuditEntry.objects.get(kind="factor_reset_by_staff")
    assert (entry.by, entry.subject, entry.facts) == (
        root,
        f"person/{a1.pk}",
        {"person": a1.pk, "type": "totp"},
    )
    assert [message.to for message in mail.outbox] == [[a1.email]]
    assert theirs.get("/profile/").status_code == 302


# --- recovery codes ---


def test_recovery_codes_are_shown_once_downloadable_and_new_ones_end_the_old(a1):
    app_of(a1)
    old = RecoveryCodes.activate(a1).get_unused_codes()
    client = signed_in_with_app(a1)
    page = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert all(code in page for code in old)
    assert f"data:text/plain;charset=utf-8,{'%0D%0A'.join(old)}" in page
    for address in ("/accounts/2fa/recovery-codes/", "/accounts/2fa/recovery-codes/download/", SETTING_UP):
        assert not any(code in client.get(address).content.decode() for code in old), address
    assert client.post("/accounts/2fa/recovery-codes/generate/").status_code == 302
    assert not set(old) & set(second_codes(a1))


def second_codes(user: User) -> list[str]:
    return Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()


def test_the_page_warns_when_few_codes_are_left(a1):
    app_of(a1)
    codes = RecoveryCodes.activate(a1)
    client = browser(a1)
    assert "Make new ones before they run out" not in client.get(SETTING_UP).content.decode()
    for code in codes.get_unused_codes()[:7]:
        codes.validate_code(code)
    assert "Make new ones before they run out" in client.get(SETTING_UP).content.decode()


SENSITIVE = [
    "/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/", "/accounts/2fa/recovery-codes/generate/",
    "/accounts/2fa/recovery-codes/",
]  # fmt: skip


@pytest.mark.parametrize("address", SENSITIVE)
def test_factors_and_codes_change_only_within_five_minutes_of_a_proof(a1, address):
    if "recovery" in address:
        Authenticator.objects.create(user=a1, type="webauthn", data={"name": "key"})
        RecoveryCodes.activate(a1)
    assert browser(a1).get(address)["Location"].startswith("/accounts/reauthenticate/?next=")


def test_a_proof_is_worth_five_minutes(a1):
    with time_machine.travel(T0, tick=False) as traveller:
        client = signed_in(a1)
        traveller.shift(timedelta(minutes=4, seconds=59))
        assert client.get(SENSITIVE[0]).status_code == 200
        traveller.shift(timedelta(seconds=1))
        asked = client.get(SENSITIVE[0])["Location"]
        assert client.post(asked, {"password": "wrong"}).status_code == 200
        assert client.get(SENSITIVE[0]).status_code == 302
        assert client.post(asked, {"password": PASSWORD})["Location"] == SENSITIVE[0]
        assert client.get(SENSITIVE[0]).status_code == 200


# --- the rest ---


def test_secrets_of_factors_stand_encrypted_in_the_database(a1):
    app_of(a1)
    RecoveryCodes.activate(a1)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert SECRET not in stored
    assert all(code not in stored for code in second_codes(a1))
    Authenticator.objects.filter(type="totp").update(data={"secret": SECRET})  # of an earlier release
    assert Authenticator.objects.get(type="totp").wrap().validate_code(code_of())


def test_a_deployment_that_lets_staff_off_is_warned_of(settings):
    assert second_factor.staff_have_second_factors(None) == []
    settings.STAFF_SECOND_FACTOR = False
    assert [each.id for each in second_factor.staff_have_second_factors(None)] == ["portal.W006"]


def test_with_the_rule_off_staff_are_not_asked(g1, settings):
    settings.STAFF_SECOND_FACTOR = False
    assert browser(g1).get("/admin/").status_code == 200


def test_pages_for_all_need_nobody(client, settings):
    settings.PUBLIC_STATUS = True
    assert client.get("/healthz").status_code == 200
    assert timezone.now() > T0


def test_whoever_looks_at_the_portal_as_somebody_else_is_judged_by_their_own_factor(g1, a1, rf):
    request = rf.get("/incidents/")
    request.user, request.impersonator, request.session = a1, g1, {}
    request.resolver_match = None
    answer = second_factor.SecondFactorMiddleware(lambda _request: None).process_view(request)
    assert answer["Location"] == SETTING_UP
    app_of(g1)
    assert second_factor.SecondFactorMiddleware(lambda _request: None).process_view(request) is None
