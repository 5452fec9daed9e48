"""A small identity provider that answers at the transport of `requests`, and lies as a test wants it to."""

from __future__ import annotations

import json
import time
from functools import cache
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone

from portal.models import GroupRole, IdentityProvider, OrganisationDomain

SECRET = "s3cret-of-the-client"


@cache
def key(name: str):
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeIdp:
    """One issuer. `claims` go into the ID token, `userinfo` into userinfo; `broken` changes an answer."""

    def __init__(self, host: str, client_id: str = "portal") -> None:
        self.issuer = f"https://{host}"
        self.client_id = client_id
        self.claims: dict = {}
        self.userinfo: dict | None = None
        self.signing, self.published = key(host), key(host)
        self.algorithm = "RS256"
        self.headers = {"kid": "one"}
        self.discovered: dict = {}  # what the discovery document says otherwise
        self.token_status = 200
        self.broken: dict[str, bytes | Exception] = {}
        self.asked: list[tuple[str, dict]] = []

    def document(self) -> dict:
        made = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        if self.userinfo is not None:
            made["userinfo_endpoint"] = f"{self.issuer}/userinfo"
        return made | self.discovered

    def jwks(self) -> dict:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.published.public_key()))
        return {"keys": [public | {"kid": "one", "use": "sig", "alg": "RS256"}]}

    def id_token(self) -> str:
        now = int(time.time())
        base = {"iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 300}
        claims = {name: value for name, value in (base | self.claims).items() if value is not None}
        return jwt.encode(claims, self.signing, algorithm=self.algorithm, headers=self.headers)

    def answer(self, path: str) -> tuple[int, dict]:
        if path == "/.well-known/openid-configuration":
            return 200, self.document()
        if path == "/jwks":
            return 200, self.jwks()
        if path == "/userinfo":
            return 200, self.userinfo or {}
        if self.token_status != 200:
            return self.token_status, {"error": "invalid_grant"}
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": self.id_token()}


class Net:
    """The net between us and the issuers: what is not known is not reached."""

    def __init__(self, *issuers: FakeIdp) -> None:
        self.by_host = {urlsplit(each.issuer).netloc: each for each in issuers}
        self.files: dict[str, tuple[int, str]] = {}

    def send(self, _transport, request, *_args, **_kwargs) -> requests.Response:
        from portal import identity_calls

        parts = urlsplit(request.url)
        made = requests.Response()
        made.url, made.request, made.encoding = request.url, request, "utf-8"
        if request.url in self.files:
            made.status_code, text = self.files[request.url]
            made._content = text.encode()
            return made
        issuer = self.by_host.get(parts.netloc)
        if issuer is None:
            raise identity_calls.Unreachable("nobody listens there: the connection was refused")
        issuer.asked.append((parts.path, parse_qs(request.body or "")))
        broken = issuer.broken.get(parts.path)
        if isinstance(broken, Exception):
            raise broken
        made.status_code, content = issuer.answer(parts.path)
        made.headers["content-type"] = "application/json"
        made._content = broken if broken is not None else json.dumps(content).encode()
        return made


def domain(organisation, name: str, *, is_verified: bool = True) -> OrganisationDomain:
    now = timezone.now()
    return OrganisationDomain.objects.create(
        organisation=organisation, domain=name, created_at=now, verified_at=now if is_verified else None
    )


def provider(organisation, issuer: FakeIdp, groups: dict[str, str] | None = None, **fields):
    row = IdentityProvider.objects.create(
        organisation=organisation,
        key=fields.pop("key", f"idp-{organisation.slug}"),
        name=fields.pop("name", f"Login of {organisation}"),
        server_url=issuer.issuer,
        client_id=issuer.client_id,
        client_secret=SECRET,
        created_at=timezone.now(),
        **fields,
    )
    for group, role in (groups or {}).items():
        GroupRole.objects.create(provider=row, group=group, role=role)
    return row


def begin(client, row, **query):
    """The authorization request: its parameters, each once."""
    answer = client.get(f"/accounts/oidc/{row.key}/login/", query)
    assert answer.status_code == 302, answer.content
    return {name: value[0] for name, value in parse_qs(urlsplit(answer["Location"]).query).items()}


def come_back(client, row, **query):
    return client.get(f"/accounts/oidc/{row.key}/login/callback/", query)


def sign_in(client, row, issuer: FakeIdp, claims: dict, **query):
    """The whole way: the issuer asserts `claims` for the nonce that we sent. The answer of our callback."""
    asked = begin(client, row, **query)
    issuer.claims = {"nonce": asked["nonce"]} | claims
    return come_back(client, row, code="c0de", state=asked["state"])
