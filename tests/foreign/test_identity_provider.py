"""Two organisations, each with an identity provider of its own: real ones, which are not our code.

Two Canaille servers run at once, with issuers and keys of their own; the portal talks to them over the
loopback, and a plain HTTP client does what the browser does.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import re
import select
import socket
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.conf import settings as django_settings
from django.test import Client

from portal import identity_oidc, identity_verbs
from portal.models import AuditEntry, GroupRole, IdentityProvider, Membership, User
from portal.verbs import Refused
from tests import factories
from tests.idp import fake

pytestmark = pytest.mark.foreign

HERE = pathlib.Path(__file__).parent
PYTHON = os.environ.get("IDP_PYTHON") or str(django_settings.BASE_DIR / ".venv-idp" / "bin" / "python")
PASSWORD = "correct-horse-battery-9"
SITE = "http://portal.test"
SECONDS = 60


class Server:
    """One Canaille. Its people are {name: address}, its groups {name: members}."""

    def __init__(self, key: str, people: dict[str, str], groups: dict[str, list[str]], method: str) -> None:
        assert pathlib.Path(PYTHON).exists(), "Run `make test-foreign`: it installs the provider first."
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.client_id, self.secret = f"portal-{key}", f"client-secret-of-{key}"
        self.process = subprocess.Popen(
            [PYTHON, str(HERE / "run_idp.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.groups = groups
        self.say(
            {
                "port": self.port,
                "people": [{"name": name, "email": email} for name, email in people.items()],
                "groups": groups,
                "password": PASSWORD,
                "client_id": self.client_id,
                "client_secret": self.secret,
                "method": method,
                "redirect_uri": f"{SITE}/accounts/oidc/{key}/login/callback/",
            }
        )

    def say(self, words: dict) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        ready, *_rest = select.select([self.process.stdout], [], [], SECONDS)
        assert ready, "the identity provider did not start in time"
        assert self.process.stdout.readline().strip() in ("ready", "done")

    def stop(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def servers():
    """Acme's provider knows a Bruno, too: it says that his address is the one at Nordwind."""
    made = []
    try:
        people = {"ada": "ada@acme.example", "bruno": "bruno@nordwind.example"}
        made.append(
            Server(
                "idp-acme", people, {"support-managers": ["ada"], "support": ["bruno"]}, "client_secret_post"
            )
        )
        people = {"bruno": "bruno@nordwind.example"}
        made.append(Server("idp-nordwind", people, {"hotline": ["bruno"]}, "client_secret_basic"))
        yield made
    finally:
        for server in made:
            server.stop()


def row_of(server: Server, organisation, key: str, groups: dict[str, str]) -> IdentityProvider:
    made = IdentityProvider.objects.create(
        organisation=organisation,
        key=key,
        name=f"Login of {organisation}",
        server_url=server.issuer,
        client_id=server.client_id,
        client_secret=server.secret,
        created_at=factories.timezone.now(),
    )
    for group, role in groups.items():
        GroupRole.objects.create(provider=made, group=group, role=role)
    return made


@pytest.fixture
def rows(servers, settings, acme, nordwind, a2, b1):
    for server in servers:
        server.say(server.groups)
    settings.SITE_URL = SITE
    settings.IDENTITY_ALLOWED_HOSTS = [f"127.0.0.1:{server.port}" for server in servers]
    fake.domain(acme, "acme.example")
    fake.domain(nordwind, "nordwind.example")
    groups = {"support-managers": "manager", "support": "member"}
    return (
        row_of(servers[0], acme, "idp-acme", groups),
        row_of(servers[1], nordwind, "idp-nordwind", {"hotline": "member"}),
    )


def way_to(client: Client, address: str) -> str:
    """Where the sign-in page sends somebody with this address."""
    answer = client.post("/accounts/organisation/", {"email": address})
    assert answer.status_code == 200
    return answer.context["address"]


def sign_in_there(url: str, name: str) -> str:
    """What the person does in the browser; the address that it is sent back to at the end."""
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(url, timeout=SECONDS, allow_redirects=False)
        for _step in range(12):
            if page.is_redirect:
                target = requests.compat.urljoin(page.url, page.headers["Location"])
                if target.startswith(SITE):
                    return target
                page = browser.get(target, timeout=SECONDS, allow_redirects=False)
                continue
            assert page.status_code == 200, page.text[:500]
            token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
            assert token, page.text[:500]
            field = "password" if 'name="password"' in page.text else "login"
            form = {"csrf_token": token[1], field: PASSWORD if field == "password" else name}
            page = browser.post(page.url, data=form, timeout=SECONDS, allow_redirects=False)
    raise AssertionError("the identity provider never sent anybody back")


def come_back(client: Client, address: str):
    return client.get(address.removeprefix(SITE))


def sign_in(client: Client, name: str, address: str):
    return come_back(client, sign_in_there(way_to(client, address), name))


def who(client: Client) -> str:
    return client.get("/").wsgi_request.user.get_username()


def refused(client: Client, answer, code: str, status: int) -> None:
    assert answer.status_code == status, answer.content.decode()
    assert f"reason “{code}”" in answer.content.decode()
    assert who(client) == ""


def test_two_organisations_come_in_by_their_own_providers_at_once(servers, rows, acme, nordwind):
    ada, bruno = Client(), Client()
    ways = way_to(ada, "ada@acme.example"), way_to(bruno, "bruno@nordwind.example")
    back = sign_in_there(ways[1], "bruno"), sign_in_there(ways[0], "ada")  # the one while the other is away
    assert come_back(bruno, back[0]).status_code == 302
    assert come_back(ada, back[1]).status_code == 302
    assert (who(ada), who(bruno)) == ("ada@acme.example", "bruno@nordwind.example")
    found = {
        each.user.email: (each.organisation, each.role)
        for each in Membership.objects.filter(user__email__in=[who(ada), who(bruno)])
    }
    assert found == {
        "ada@acme.example": (acme, "manager"),
        "bruno@nordwind.example": (nordwind, "member"),
    }
    assert ada.session["idp_amr"] == ["pwd"]


def test_a_group_taken_away_there_is_a_role_taken_away_here(servers, rows):
    sign_in(Client(), "ada", "ada@acme.example")
    for groups, role in [
        ({"support": ["ada"], "support-managers": ["bruno"]}, "member"),
        ({"support": ["bruno"], "support-managers": ["bruno"]}, "viewer"),
        ({"support": ["bruno"], "support-managers": ["ada"]}, "manager"),
    ]:
        servers[0].say(groups)
        sign_in(Client(), "ada", "ada@acme.example")
        assert Membership.objects.get(user__email="ada@acme.example").role == role


def test_acme_s_provider_says_nothing_of_nordwind_s_people(servers, rows):
    client = Client()
    back = sign_in_there(way_to(client, "anybody@acme.example"), "bruno")
    before = list(User.objects.order_by("pk").values_list("email"))
    refused(client, come_back(client, back), "foreign_domain", 403)
    assert list(User.objects.order_by("pk").values_list("email")) == before
    assert not SocialAccount.objects.exists()


def test_an_answer_of_one_provider_does_not_do_for_the_other(servers, rows):
    client = Client()
    back = sign_in_there(way_to(client, "ada@acme.example"), "ada")
    refused(client, come_back(client, back.replace("idp-acme", "idp-nordwind")), "issuer", 502)
    without = re.sub(
        r"&iss=[^&]+", "", back.replace("idp-acme", "idp-nordwind")
    )  # not every provider says it
    refused(client, come_back(client, without), "state", 400)


def test_a_token_of_other_keys_is_refused(servers, rows, monkeypatch):
    """Acme's provider is asked, and its keys are said to be Nordwind's: no signature of the one is the other's."""
    theirs = identity_oidc.keys_of(identity_oidc.discovery(servers[1].issuer))
    client = Client()
    back = sign_in_there(way_to(client, "ada@acme.example"), "ada")
    monkeypatch.setattr(identity_oidc, "keys_of", lambda _found: theirs)
    refused(client, come_back(client, back), "token", 502)


def test_a_state_counts_once_and_in_one_browser(servers, rows):
    client, stranger = Client(), Client()
    back = sign_in_there(way_to(client, "ada@acme.example"), "ada")
    refused(stranger, come_back(stranger, back), "state", 400)
    assert come_back(client, back).status_code == 302
    client.post("/accounts/logout/")
    refused(client, come_back(client, back), "state", 400)


def test_a_code_counts_once(servers, rows):
    """Its state is ours to remember, the code the provider's: with a fresh state it still is a used one."""
    client = Client()
    first = sign_in_there(way_to(client, "ada@acme.example"), "ada")
    code = parse_qs(urlsplit(first).query)["code"][0]
    assert come_back(client, first).status_code == 302
    again = Client()
    state = parse_qs(urlsplit(way_to(again, "ada@acme.example")).query)["state"][0]
    path = urlsplit(first).path
    refused(again, again.get(path, {"code": code, "state": state}), "code", 400)


def test_a_wrong_client_secret_lets_nobody_in(servers, rows):
    rows[0].client_secret = "another"
    rows[0].save()
    client = Client()
    refused(client, sign_in(client, "ada", "ada@acme.example"), "client", 502)


def test_the_connection_is_tested_against_the_real_one(servers, rows, a2, settings):
    now = factories.timezone.now()
    assert "keys can be used" in identity_verbs.try_provider(rows[0], by=a2, now=now)
    rows[0].server_url += "/"
    with pytest.raises(Refused, match="calls itself"):
        identity_verbs.try_provider(rows[0], by=a2, now=now)
    rows[0].server_url = servers[0].issuer
    settings.IDENTITY_ALLOWED_HOSTS = []
    with pytest.raises(Refused, match="https"):
        identity_verbs.try_provider(rows[0], by=a2, now=now)


def test_a_provider_that_is_gone_is_said_to_be(rows):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        rows[0].server_url = f"http://127.0.0.1:{free.getsockname()[1]}"
    django_settings.IDENTITY_ALLOWED_HOSTS.append(urlsplit(rows[0].server_url).netloc)
    rows[0].save()
    client, started = Client(), time.monotonic()
    refused(client, client.post("/accounts/organisation/", {"email": "ada@acme.example"}), "unreachable", 502)
    assert time.monotonic() - started < SECONDS


def test_no_secret_stands_in_a_log_or_in_the_audit(servers, rows, caplog):
    caplog.set_level(logging.DEBUG)
    client = Client()
    back = sign_in_there(way_to(client, "ada@acme.example"), "ada")
    caplog.clear()  # what the browser's own library said of its requests
    assert come_back(client, back).status_code == 302
    told = caplog.text + str(list(AuditEntry.objects.values_list("facts", flat=True)))
    code = parse_qs(urlsplit(back).query)["code"][0]
    for secret in (servers[0].secret, code, "eyJ", "Bearer"):
        assert secret not in told
