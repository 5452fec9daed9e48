"""OpenID Connect, stricter than the library: who asserts is the configured issuer, and what it asserts is signed.

Beyond what allauth does (authorization code, state, PKCE) each sign-in has a nonce, the signature of the ID
token is always checked against the issuer's keys, its issuer is the one that was configured, and userinfo
counts only for the same subject.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

import jwt
import requests
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from portal import identity_calls
from portal.channels import guard
from portal.models import User

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY = 60  # seconds by which the clocks of the two sides may differ
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
LONGEST_SUBJECT = 191
# What an answer that is no proper one makes the library stumble over.
UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError)


class Untrusted(OAuth2Error):
    """What the identity provider answered is not believed. `code` says why (see identity_words.REASONS)."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail


def discovery(issuer: str) -> dict[str, Any]:
    """The issuer's own description. Untrusted or Unreachable with words for a manager if it will not do."""
    with identity_calls.session() as line:
        answer = line.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if answer.status_code != 200:
        raise Untrusted(
            "discovery", _("its discovery document answers %(status)s") % {"status": answer.status_code}
        )
    try:
        found = answer.json()
    except requests.JSONDecodeError as error:
        raise Untrusted("discovery", _("its discovery document is not JSON")) from error
    if not isinstance(found, dict):
        raise Untrusted("discovery", _("its discovery document is not JSON"))
    _check_discovery(found, issuer)
    return found


def _check_discovery(found: dict[str, Any], issuer: str) -> None:
    if found.get("issuer") != issuer:
        said = str(found.get("issuer"))[:200]
        raise Untrusted(
            "issuer", _("it calls itself “%(said)s”: the issuer must be exactly that") % {"said": said}
        )
    names = [*ENDPOINTS, *(["userinfo_endpoint"] if found.get("userinfo_endpoint") else [])]
    for name in names:
        try:
            identity_calls.check(str(found.get(name) or ""))
        except guard.Refused as error:
            words = _("its %(name)s cannot be used. %(reason)s") % {"name": name, "reason": error}
            raise Untrusted("discovery", words) from error


def keys_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The issuer's public keys as it publishes them. Untrusted if they cannot be read."""
    with identity_calls.session() as line:
        answer = line.get(found["jwks_uri"])
    try:
        keys = answer.json()["keys"]
    except (requests.JSONDecodeError, TypeError, KeyError) as error:
        raise Untrusted("keys", _("its keys cannot be read")) from error
    usable = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    if not usable:
        raise Untrusted("keys", _("it publishes no keys"))
    return usable


def verified_claims(token: Any, found: dict[str, Any], client_id: str) -> dict[str, Any]:
    """What a signed ID token says. Untrusted unless it is the issuer's, for us, and of now."""
    try:
        header = jwt.get_unverified_header(token)
        key = key_for(header, keys_of(found))
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key.key,
            algorithms=[header["alg"]],
            issuer=found["issuer"],
            audience=client_id,
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "exp", "iat", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise Untrusted("token", type(error).__name__) from error
    _check_parties(claims, client_id)
    return claims


def key_for(header: dict[str, Any], keys: list[dict[str, Any]]) -> Any:
    """The key (jwt.PyJWK) that the token names, for the algorithm that the token names: asymmetric ones only.

    A key that says its algorithm or its use is taken at its word; what does not fit its type is no key for it.
    """
    alg, kid = header.get("alg"), header.get("kid")
    if alg not in ALGORITHMS:
        raise Untrusted("token", "Algorithm")
    fitting = []
    for each in keys:
        is_named = kid is None or each.get("kid") == kid
        if is_named and each.get("alg") in (None, alg) and each.get("use") in (None, "sig"):
            with contextlib.suppress(jwt.PyJWTError):
                fitting.append(jwt.PyJWK(each, algorithm=alg))
    if len(fitting) != 1:
        raise Untrusted("token", "NoSuchKey")
    return fitting[0]


def _check_parties(claims: dict[str, Any], client_id: str) -> None:
    """Issued to us, where it says to whom (OpenID Connect Core, 3.1.3.7), and about somebody."""
    azp, audience = claims.get("azp"), claims["aud"]
    is_for_many = isinstance(audience, list) and len(audience) > 1
    if (azp is not None or is_for_many) and azp != client_id:
        raise Untrusted("token", "WrongParty")
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
        raise Untrusted("token", "WrongSubject")


class Login(SocialLogin):
    """A sign-in on its way. Whose account it is decides our admission, not the library's lookup."""

    claims: dict[str, Any]

    def lookup(self) -> None:
        """Nothing: it would write before anything is decided."""


class OidcAdapter(OpenIDConnectOAuth2Adapter):
    """The conversation with one issuer."""

    @property
    def openid_config(self) -> dict[str, Any]:
        if not hasattr(self, "_found"):
            self._found = discovery(self.get_provider().app.settings["server_url"])
        return self._found

    @property
    def basic_auth(self) -> bool:
        """How the client says who it is: in the form where that is offered, else in the header (the default)."""
        methods = self.openid_config.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_post" not in methods and "client_secret_basic" in methods

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Where the provider sends the browser back to: our own site, whatever `Host:` was claimed."""
        return settings.SITE_URL + reverse("openid_connect_callback", args=[self.provider_id])

    def get_access_token_data(self, request: HttpRequest, app: SocialApp, client: Any, **kwargs: Any) -> Any:
        """The answer to our code. Who we are is said in the form; where that does not do, in the header."""
        for is_last in (False, True):
            try:
                return super().get_access_token_data(request, app, client, **kwargs)
            except UNREADABLE as error:
                raise Untrusted("unreadable") from error
            except OAuth2Error as error:
                if "invalid_client" not in str(error):
                    raise
                if is_last:
                    raise Untrusted("client") from None  # the library's words hold the whole answer
            client.basic_auth = not client.basic_auth
        raise AssertionError("the last try returns or raises")

    def parse_token(self, data: Any) -> Any:
        try:
            return super().parse_token(data)
        except UNREADABLE as error:
            raise Untrusted("unreadable") from error

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> SocialLogin:
        found = self.openid_config
        signed = verified_claims(kwargs["response"].get("id_token"), found, app.client_id)
        told = self._userinfo(token.token, found)
        if told and told.get("sub") != signed["sub"]:
            raise Untrusted("userinfo")
        return self.get_provider().sociallogin_from_response(request, {**told, **signed})

    def _userinfo(self, access_token: str, found: dict[str, Any]) -> dict[str, Any]:
        """What userinfo adds to the ID token; nothing where there is no such endpoint."""
        if not found.get("userinfo_endpoint"):
            return {}
        with identity_calls.session() as line:
            answer = line.get(found["userinfo_endpoint"], headers={"Authorization": f"Bearer {access_token}"})
        if answer.status_code != 200:
            raise Untrusted("userinfo")
        try:
            told = answer.json()
        except requests.JSONDecodeError as error:
            raise Untrusted("userinfo") from error
        if not isinstance(told, dict):
            raise Untrusted("userinfo")
        return told


class OidcProvider(OpenIDConnectProvider):
    """One organisation's provider, as allauth sees it."""

    oauth2_adapter_class = OidcAdapter

    def get_oauth2_adapter(self, request: HttpRequest) -> OidcAdapter:
        if not hasattr(self, "_adapter"):
            self._adapter = OidcAdapter(request, self.app.provider_id)
        return self._adapter

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        """Where to go afterwards, and nothing else: no scope, process or parameter of a stranger's making."""
        return {"process": AuthProcess.LOGIN, "next_url": get_next_redirect_url(request)}

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        nonce, hint = secrets.token_urlsafe(24), kwargs.get("login_hint", "")
        params = {"nonce": nonce} | ({"login_hint": hint} if hint else {})
        offered = self.get_oauth2_adapter(request).openid_config.get("scopes_supported") or []
        scope = [*self.get_default_scope(), *(["groups"] if "groups" in offered else [])]
        return super().redirect(
            request, AuthProcess.LOGIN, next_url, {"nonce": nonce}, auth_params=params, scope=scope
        )

    def sociallogin_from_response(self, request: HttpRequest, response: dict[str, Any]) -> Login:
        """The sign-in. Nothing of the claims is kept with the account but the subject."""
        account = SocialAccount(provider=self.sub_id, uid=response["sub"], extra_data={})
        login = Login(provider=self, account=account, user=User())
        login.claims = response
        return login
