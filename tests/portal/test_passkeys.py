"""A passkey signs its person in, on this site only; tried with one in software, and in Chromium in the journeys."""

from __future__ import annotations

import json
import re

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.cache import cache
from django.test import Client

from portal.models import Organisation, User
from tests.factories import PASSWORD
from tests.soft_passkey import SoftPasskey

pytestmark = pytest.mark.django_db
ADD, LOGIN, LIST = "/accounts/2fa/webauthn/add/", "/accounts/2fa/webauthn/login/", "/accounts/2fa/"


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()


def browser() -> Client:
    return Client(headers={"host": "localhost"})


def signed_in(user: User) -> Client:
    client = browser()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


def registered(user: User, client: Client | None = None, name: str = "my phone", **options) -> SoftPasskey:
    client = client or signed_in(user)
    passkey = SoftPasskey(**options)
    page = client.get(ADD)
    credential = passkey.make(page.context["js_data"]["creation_options"])
    answer = client.post(ADD, {"name": name, "passwordless": "on", "credential": credential})
    assert answer.status_code == 302, answer.context["form"].errors
    return passkey


def use(passkey: SoftPasskey, client: Client) -> str:
    """Sign in with it; where that leads."""
    options = client.get(LOGIN, headers={"accept": "application/json"}).json()["request_options"]
    return client.post(LOGIN, {"credential": passkey.use(options)})["Location"]


def test_a_passkey_signs_in_alone_and_is_both_factors(g1, settings):
    settings.STAFF_SECOND_FACTOR = True
    passkey = registered(g1)
    client = browser()
    assert use(passkey, client) == "/"
    assert client.get("/admin/").status_code == 200


def test_a_passkey_leads_to_the_page_that_was_wanted_and_to_no_other_site(a1):
    passkey = registered(a1)
    for wanted, leads_to in [("/incidents/?page=2", "/incidents/?page=2"), ("//evil.example.net/", "/")]:
        client = browser()
        options = client.get(LOGIN, headers={"accept": "application/json"}).json()["request_options"]
        answer = client.post(LOGIN, {"credential": passkey.use(options), "next": wanted})
        assert answer["Location"] == leads_to


def test_a_passkey_is_the_second_factor_after_a_password(a1):
    passkey = registered(a1)
    client = signed_in(a1)
    assert client.get("/profile/").status_code == 302
    page = client.get("/accounts/2fa/authenticate/")
    credential = passkey.use(page.context["js_data"]["request_options"])
    assert client.post("/accounts/2fa/authenticate/", {"credential": credential}).status_code == 302
    assert client.get("/profile/").status_code == 200


def test_a_passkey_proves_again_who_one_is(a1):
    passkey = registered(a1)
    client = browser()
    client.force_login(a1)
    assert client.get("/accounts/2fa/recovery-codes/generate/").status_code == 302
    page = client.get("/accounts/2fa/webauthn/reauthenticate/")
    credential = passkey.use(page.context["js_data"]["request_options"])
    client.post("/accounts/2fa/webauthn/reauthenticate/", {"credential": credential})
    assert client.get("/accounts/2fa/recovery-codes/generate/").status_code == 200


def test_an_answer_works_once_and_for_its_own_challenge_only(a1):
    passkey = registered(a1)
    client, other = browser(), browser()
    options = client.get(LOGIN, headers={"accept": "application/json"}).json()["request_options"]
    credential = passkey.use(options)
    other.get(LOGIN, headers={"accept": "application/json"})
    assert other.post(LOGIN, {"credential": credential})["Location"] == "/accounts/login/"
    assert client.post(LOGIN, {"credential": credential})["Location"] == "/"
    client.post("/accounts/logout/")
    assert client.post(LOGIN, {"credential": credential})["Location"] == "/accounts/login/"


@pytest.mark.parametrize(
    "options", [{"origin": "http://evil.example.net"}, {"host": "evil.example.net"}], ids=["origin", "site"]
)
def test_a_passkey_of_another_site_is_nothing_here(a1, options):
    passkey = registered(a1)
    for name, value in vars(SoftPasskey(**options)).items():
        if name in ("origin", "rp"):
            setattr(passkey, name, value)
    assert use(passkey, browser()) == "/accounts/login/"


def test_a_passkey_that_did_not_ask_for_finger_or_pin_does_not_sign_in_alone(a1):
    passkey = registered(a1)
    passkey.flags &= ~0x04
    assert use(passkey, browser()) == "/accounts/login/"


def test_somebody_elses_user_handle_signs_nobody_in(a1, b1):
    mine, theirs = registered(a1), registered(b1)
    mine.user_handle = theirs.user_handle
    client = browser()
    assert use(mine, client) == "/accounts/login/"
    assert client.get("/profile/").status_code == 302


NONSENSE = ["", "null", "[]", "{}", '"x"', '{"response": 7}', "{", '{"id": "\\u0000"}', '{"response": {}}',
            '{"id": "eA", "rawId": "eA", "type": "public-key", "response": {"userHandle": "enp6enp6enp6enp6enp6eg"}}']  # fmt: skip


@pytest.mark.parametrize("credential", NONSENSE)
def test_nonsense_is_refused_without_a_trace(a1, credential):
    client = signed_in(a1)
    client.get(ADD)
    assert client.post(ADD, {"name": "x", "credential": credential}).status_code == 200
    registered(a1, client)
    client.get("/accounts/2fa/webauthn/reauthenticate/")
    answer = client.post("/accounts/2fa/webauthn/reauthenticate/", {"credential": credential})
    assert answer.status_code == 302
    stranger = browser()
    stranger.get(LOGIN, headers={"accept": "application/json"})
    assert stranger.post(LOGIN, {"credential": credential})["Location"] == "/accounts/login/"
    waiting = signed_in(a1)
    waiting.get("/accounts/2fa/authenticate/")
    assert waiting.post("/accounts/2fa/authenticate/", {"credential": credential}).status_code == 200


def test_somebody_disabled_does_not_come_in_by_passkey(a1):
    passkey = registered(a1)
    User.objects.filter(pk=a1.pk).update(is_active=False)
    client = browser()
    assert use(passkey, client) == "/accounts/inactive/"
    assert client.get("/profile/").status_code == 302


def test_a_removed_passkey_does_not_sign_in(a1):
    passkey = registered(a1)
    Authenticator.objects.filter(user=a1).delete()
    assert use(passkey, browser()) == "/accounts/login/"


def test_passkeys_are_listed_renamed_and_removed(a1):
    client = signed_in(a1)
    registered(a1, client)
    key = Authenticator.objects.get(type="webauthn")
    assert "my phone" in client.get(LIST).content.decode()
    assert (
        client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/edit/", {"name": "old phone"}).status_code == 302
    )
    page = client.get(LIST).content.decode()
    assert "old phone" in page
    assert "my phone" not in page
    assert client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/remove/")["Location"] == LIST
    assert not Authenticator.objects.filter(user=a1).exists()  # nor the codes that stood in for it
    assert [message.to for message in mail.outbox] == [[a1.email]] * 2  # added and removed


def test_the_first_passkey_brings_recovery_codes_and_lets_a_person_on(a1, acme):
    Organisation.objects.filter(pk=acme.pk).update(requires_second_factor=True)
    client = signed_in(a1)
    assert client.get("/incidents/")["Location"] == LIST
    registered(a1, client)
    assert client.get("/accounts/2fa/recovery-codes/").content.decode().count("<li><code>") == 10
    assert client.get("/incidents/").status_code == 200


def test_nobody_signs_up_by_passkey(client):
    for address in ("/accounts/signup/passkey/", "/accounts/2fa/webauthn/signup/"):
        assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/accounts/login/", ADD, "/accounts/2fa/webauthn/reauthenticate/"])
def test_pages_with_passkeys_have_data_but_no_script_of_their_own(a1, address):
    client = browser() if "login" in address else signed_in(a1)
    if "reauthenticate" in address:
        registered(a1, client)
    page = client.get(address)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page.content.decode(), re.DOTALL)
    assert any("passkey.js" in attributes for attributes, _body in scripts)
    for attributes, body in scripts:
        if "src=" not in attributes:
            assert 'type="application/json"' in attributes
            json.loads(body)
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert "unsafe" not in page["Content-Security-Policy"]
