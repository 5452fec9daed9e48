"""The pages on which managers look after mail domains and identity providers, and what their verbs refuse."""

from __future__ import annotations

import time

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.utils import timezone

from portal import identity_calls, identity_verbs
from portal.channels import guard
from portal.models import AuditEntry, IdentityProvider, OrganisationDomain
from portal.verbs import Refused
from tests.idp import fake

FORM = {
    "name": "Company login",
    "server_url": "https://login.acme.example",
    "client_id": "portal",
    "client_secret": fake.SECRET,
    "groups_claim": "groups",
    "manager_groups": "support-managers\n",
    "member_groups": "support\nsupport-managers",
    "viewer_groups": "",
    "default_role": "viewer",
    "default_visibility": "all",
    "joins_people": "on",
}


@pytest.fixture
def idp():
    return fake.FakeIdp("login.acme.example")


@pytest.fixture(autouse=True)
def net(idp, monkeypatch):
    made = fake.Net(idp)
    monkeypatch.setattr(identity_calls.Transport, "send", lambda *a, **k: made.send(*a, **k))
    return made


@pytest.fixture
def manager(a2):
    """a2, whose password was asked for a moment ago."""
    return sure(a2)


def sure(person) -> Client:
    client = Client()
    client.force_login(person)
    session = client.session
    session["account_authentication_methods"] = [
        {"method": "password", "at": time.time(), "reauthenticated": True}
    ]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
    return client


@pytest.fixture
def row(acme, idp):
    fake.domain(acme, "acme.example")
    return fake.provider(acme, idp, {"support": "member"})


def errors(answer) -> str:
    return str(answer.context["form"].errors)


# --- mail domains ---


def added(manager, domain="acme.example") -> OrganisationDomain:
    answer = manager.post("/identity/domains/new/", {"domain": domain})
    assert answer.status_code == 302, errors(answer)
    return OrganisationDomain.objects.latest("pk")


def test_a_domain_is_verified_by_the_file_on_its_own_server(manager, a2, net):
    row = added(manager, " Acme.Example. ")
    assert (row.domain, row.verified_at) == ("acme.example", None)
    page = manager.get(f"/identity/domains/{row.pk}/").content.decode()
    assert f"https://acme.example{identity_verbs.WELL_KNOWN}" in page
    assert row.challenge in page
    net.files[f"https://acme.example{identity_verbs.WELL_KNOWN}"] = (200, row.challenge + "\n")
    assert manager.post(f"/identity/domains/{row.pk}/", {"do": "check"}).status_code == 302
    row.refresh_from_db()
    assert row.verified_at is not None
    assert row.verified_by == a2
    entry = AuditEntry.objects.get(kind="domain_verified")
    assert (entry.by, entry.facts) == (a2, {"shown_by": "file"})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "could not be read"),
        ((404, "gone"), "answers 404"),
        ((200, "something else"), "something else"),
        ((200, ""), "something else"),
    ],
)
def test_without_the_right_file_it_is_said_what_was_found(manager, net, found, words):
    row = added(manager)
    if found:
        net.files[f"https://acme.example{identity_verbs.WELL_KNOWN}"] = found
    answer = manager.post(f"/identity/domains/{row.pk}/", {"do": "check"})
    assert (answer.status_code, words in errors(answer)) == (409, True)
    row.refresh_from_db()
    assert row.verified_at is None


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "acme",
        "127.0.0.1",
        "acme.example/x",
        "a b.example",
        "support.briqmind.example",
        "gmail.com",
        "mail.support.briqmind.example",
        "x" * 250 + ".example",
    ],
)
def test_what_cannot_be_an_organisation_s_domain_is_not_added(manager, domain):
    assert manager.post("/identity/domains/new/", {"domain": domain}).status_code == 400
    assert not OrganisationDomain.objects.exists()


def test_a_domain_has_one_owner(manager, nordwind, net):
    fake.domain(nordwind, "acme.example")
    row = added(manager)
    net.files[f"https://acme.example{identity_verbs.WELL_KNOWN}"] = (200, row.challenge)
    answer = manager.post(f"/identity/domains/{row.pk}/", {"do": "check"})
    assert answer.status_code == 409
    assert "Nordwind" not in answer.content.decode()
    row.refresh_from_db()
    assert row.verified_at is None


def test_staff_vouch_only_as_heads_of_support(acme, g1, h1):
    row = fake.domain(acme, "acme.example", is_verified=False)
    with pytest.raises(Refused):
        identity_verbs.vouch_for_domain(row, by=g1, now=timezone.now())
    identity_verbs.vouch_for_domain(row, by=h1, now=timezone.now())
    row.refresh_from_db()
    assert (row.verified_by, row.verified_at is not None) == (h1, True)
    assert AuditEntry.objects.get(kind="domain_verified").facts == {"shown_by": "staff"}


def test_staff_do_not_vouch_for_our_own_domain_either(acme, h1):
    row = fake.domain(acme, "support.briqmind.example", is_verified=False)
    with pytest.raises(Refused):
        identity_verbs.vouch_for_domain(row, by=h1, now=timezone.now())


def test_a_domain_is_removed(manager):
    row = added(manager)
    manager.post(f"/identity/domains/{row.pk}/", {"do": "remove"})
    assert not OrganisationDomain.objects.exists()


# --- providers ---


def test_a_provider_is_set_up_and_its_secret_never_shown(manager, acme):
    answer = manager.post("/identity/providers/new/", FORM)
    assert answer.status_code == 302, errors(answer)
    made = IdentityProvider.objects.get()
    assert (made.organisation, made.client_secret, made.is_active) == (acme, fake.SECRET, True)
    assert made.key.startswith("idp-")
    assert len(made.key) == 20
    assert {each.group: each.role for each in made.group_roles.all()} == {
        "support-managers": "manager",
        "support": "member",
    }
    for page in ("", "change/"):
        text = manager.get(f"/identity/providers/{made.key}/{page}").content.decode()
        assert fake.SECRET not in text
    assert f"/accounts/oidc/{made.key}/login/callback/" in manager.get(answer["Location"]).content.decode()
    assert fake.SECRET not in str(AuditEntry.objects.values_list("facts"))
    history = made.history.values()
    assert fake.SECRET not in str(list(history))


def test_a_refused_form_does_not_give_the_secret_back(manager):
    answer = manager.post("/identity/providers/new/", FORM | {"server_url": "http://login.acme.example"})
    assert answer.status_code == 400
    assert fake.SECRET not in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"server_url": "http://login.acme.example"}, "server_url"),
        ({"server_url": "https://127.0.0.1"}, "server_url"),
        ({"server_url": "https://login.internal"}, "server_url"),
        ({"server_url": "https://login.acme.example/.well-known/openid-configuration"}, "server_url"),
        ({"server_url": "https://login.acme.example?x=1"}, "server_url"),
        ({"client_id": " "}, "client_id"),
        ({"client_secret": "line\nbreak"}, "client_secret"),
        ({"default_role": "head"}, "default_role"),
        ({"default_role": "", "manager_groups": "", "member_groups": ""}, "default_role"),
        ({"groups_claim": ""}, "groups_claim"),
        ({"default_visibility": "team"}, "default_visibility"),
        ({"is_required": "on"}, "is_required"),
        ({"manager_groups": "x" * 201}, "manager_groups"),
    ],
)
def test_what_does_not_fit_together_is_refused(manager, fields, field):
    answer = manager.post("/identity/providers/new/", FORM | fields)
    assert answer.status_code == 400
    assert field in answer.context["form"].errors
    assert not IdentityProvider.objects.exists()


def change(manager, row, **fields):
    kept = FORM | {"name": row.name, "client_secret": "", "manager_groups": "", "member_groups": "support"}
    return manager.post(f"/identity/providers/{row.key}/change/", kept | fields)


def test_a_change_without_a_secret_keeps_the_one_that_is_set(manager, row):
    assert change(manager, row, name="New name").status_code == 302
    row.refresh_from_db()
    assert (row.name, row.client_secret) == ("New name", fake.SECRET)
    change(manager, row, client_secret="another")
    row.refresh_from_db()
    assert row.client_secret == "another"


def test_it_is_the_only_way_in_after_somebody_came_by_it(manager, row):
    assert change(manager, row, is_required="on").status_code == 400
    IdentityProvider.objects.update(last_used_at=timezone.now())
    assert change(manager, row, is_required="on").status_code == 302
    row.refresh_from_db()
    assert row.is_required


@pytest.mark.parametrize("fields", [{"server_url": "https://sso.acme.example"}, {"client_id": "other"}])
def test_another_issuer_knows_nobody_yet(manager, row, a1, fields):
    """What was bound to the old one's subjects could be somebody else at the new one."""
    IdentityProvider.objects.update(last_used_at=timezone.now(), is_required=True)
    SocialAccount.objects.create(user=a1, provider=row.key, uid="1")
    assert change(manager, row, is_required="on", **fields).status_code == 302
    row.refresh_from_db()
    assert (row.is_required, row.last_used_at) == (False, None)
    assert not SocialAccount.objects.exists()


def test_the_connection_is_tested_and_what_is_wrong_is_said(manager, row, idp):
    address = f"/identity/providers/{row.key}/"
    answer = manager.post(address, {"do": "test"}, follow=True)
    assert "1 of its keys can be used" in answer.content.decode()
    for discovered, words in [
        ({"issuer": "https://other.example"}, "calls itself"),
        ({"token_endpoint": "http://login.acme.example/token"}, "token_endpoint"),
        ({"jwks_uri": "https://10.0.0.1/keys"}, "jwks_uri"),
    ]:
        idp.discovered = discovered
        answer = manager.post(address, {"do": "test"})
        assert (answer.status_code, words in errors(answer)) == (409, True)
    idp.discovered, idp.broken = {}, {"/jwks": b"{}"}
    assert "keys cannot be read" in errors(manager.post(address, {"do": "test"}))
    idp.broken = {"/.well-known/openid-configuration": identity_calls.Unreachable("nobody there")}
    assert "nobody there" in errors(manager.post(address, {"do": "test"}))


def test_it_is_switched_off_and_on(manager, row):
    address = f"/identity/providers/{row.key}/"
    for do, is_active in [("off", False), ("on", True)]:
        assert manager.post(address, {"do": do}).status_code == 302
        row.refresh_from_db()
        assert row.is_active is is_active
        assert manager.post(address, {"do": do}).status_code == 409
    assert manager.post(address, {"do": "explode"}).status_code == 400


def test_a_manager_reads_who_was_refused_and_why(manager, row, idp):
    fake.sign_in(Client(), row, idp, {"sub": "x", "email": "x@elsewhere.example"})
    idp.signing = fake.key("mallory")
    fake.sign_in(Client(), row, idp, {"sub": "x", "email": "x@acme.example"})
    page = manager.get(f"/identity/providers/{row.key}/").content.decode()
    assert "a domain that this identity provider does not speak for" in page
    assert "InvalidSignatureError" in page
    assert "elsewhere.example" not in page


# --- who may ---


PAGES = ["/identity/domains/new/", "/identity/providers/new/"]


def objects_of(row) -> list[str]:
    domain = OrganisationDomain.objects.get()
    at = f"/identity/providers/{row.key}/"
    return [f"/identity/domains/{domain.pk}/", at, f"{at}change/"]


def test_strangers_find_nothing_and_colleagues_may_not(row, a1, a3, b1, g1, h1):
    for person, status in [(a1, 403), (a3, 403), (b1, 404), (g1, 403), (h1, 200)]:
        client = sure(person)
        for address in objects_of(row):
            assert client.get(address).status_code == status, (person, address)
            if status != 200:
                for do in ("check", "remove", "on", "off", "test"):
                    assert client.post(address, FORM | {"do": do}).status_code == status
    for person in (a1, a3, g1):
        assert [sure(person).get(page).status_code for page in PAGES] == [403, 403]
    row.refresh_from_db()
    assert (row.is_active, row.name) == (True, "Login of Acme")


def test_verbs_ask_for_the_role_themselves(row, acme, a1, b1, g1):
    now, domain = timezone.now(), OrganisationDomain.objects.get()
    values = {"name": "x", "server_url": "https://x.example", "client_id": "x", "default_role": "viewer"}
    values |= {"default_visibility": "all", "joins_people": True, "is_required": False}
    given = {"values": values, "groups": {}}
    verbs = [
        (identity_verbs.add_domain, acme, {"domain": "new.example"}),
        (identity_verbs.check_domain, domain, {}),
        (identity_verbs.remove_domain, domain, {}),
        (identity_verbs.create_provider, acme, given),
        (identity_verbs.change_provider, row, given),
        (identity_verbs.switch_provider, row, {"on": False}),
        (identity_verbs.try_provider, row, {}),
    ]
    for person in (a1, b1, g1):
        for verb, subject, more in verbs:
            with pytest.raises(Refused) as refused:
                verb(subject, by=person, now=now, **more)
            assert refused.value.kind == "permission"


def test_the_list_shows_a_manager_their_own_only(manager, row, nordwind, a1):
    fake.domain(nordwind, "nordwind.example")
    page = manager.get("/identity/").content.decode()
    assert "acme.example" in page
    assert "nordwind" not in page.lower()
    page = sure(a1).get("/identity/").content.decode()
    assert "login.acme.example" not in page
    assert "Your managers look after this" in page


def test_the_password_is_asked_for_again_first(a2, row):
    client = Client()
    client.force_login(a2)
    for address in [*PAGES, f"/identity/providers/{row.key}/change/"]:
        answer = client.get(address)
        assert (answer.status_code, answer["Location"]) == (
            302,
            f"/accounts/reauthenticate/?next={address.replace('/', '%2F')}",
        )
    for address in [*PAGES, *objects_of(row)]:
        answer = client.post(address, FORM | {"do": "off", "domain": "new.example"})
        assert answer["Location"].startswith("/accounts/reauthenticate/"), address
    row.refresh_from_db()
    assert row.is_active
    assert fake.SECRET not in str(dict(client.session))


# --- calls ---


@pytest.mark.parametrize(
    "url",
    [
        "http://login.acme.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://user:x@login.acme.example/",
    ],
)
def test_no_call_goes_inside(url):
    with pytest.raises(guard.Refused):
        identity_calls.check(url)


def test_hosts_of_webhooks_are_not_hosts_of_identity_providers(settings):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1:9"]
    with pytest.raises(guard.Refused):
        identity_calls.check("http://127.0.0.1:9/")
    settings.IDENTITY_ALLOWED_HOSTS = ["127.0.0.1:9"]
    assert identity_calls.check("http://127.0.0.1:9/").is_allowed
