"""How allauth's social accounts work here: providers are our rows, and admission is ours."""

from __future__ import annotations

import hmac
from typing import Any

from allauth.account.adapter import get_adapter as account_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _
from requests import RequestException, Session

from portal import identity, identity_calls, identity_session, identity_words
from portal.audit import record
from portal.identity_admission import Asserted, NotAdmitted, admit, asserted
from portal.identity_oidc import OidcProvider, Untrusted
from portal.models import IdentityProvider, User

OIDC = OidcProvider.id
STATE_LENGTH = 32


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """What allauth asks us."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The active provider of this key as allauth's app, never saved; nothing of settings or its own table.

        Without a key there is none: a list of them all would tell who our customers are.
        """
        rows = identity.active_providers().filter(protocol=IdentityProvider.Protocol.OIDC, key=provider or "")
        return [app_of(row) for row in (rows.filter(client_id=client_id) if client_id else rows)]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> OidcProvider:
        return OidcProvider(request, app=self.get_app(request, provider=provider, client_id=client_id))

    def get_requests_session(self) -> Session:
        return identity_calls.session()

    def generate_state_param(self, state: dict[str, Any]) -> str:
        return get_random_string(STATE_LENGTH)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def validate_disconnect(self, account: SocialAccount, accounts: Any) -> None:
        """A binding is for good: whoever could undo it could bind somebody else."""
        raise ValidationError(_("Your organisation's sign-in cannot be taken off your account."))

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Every sign-in ends here, admitted or refused: the library's own ways of joining are never reached."""
        row = IdentityProvider.objects.select_related("organisation").get(key=sociallogin.account.provider)
        said = asserted(sociallogin.claims, row.groups_claim)
        try:
            _check_nonce(sociallogin)
            person = admit(row, said, now=timezone.now(), request=request)
        except NotAdmitted as refused:
            raise ImmediateHttpResponse(refuse(request, row, refused.code)) from refused
        raise ImmediateHttpResponse(sign_in(request, person, row, said, sociallogin.state.get("next")))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        row = IdentityProvider.objects.select_related("organisation").get(key=provider.app.provider_id)
        code = code_of(error, exception, is_begun="state" in (extra_context or {}))
        raise ImmediateHttpResponse(refuse(request, row, code, detail_of(exception)))


def app_of(row: IdentityProvider) -> SocialApp:
    """allauth's view of one of our providers."""
    return SocialApp(
        provider=OIDC,
        provider_id=row.key,
        name=row.name,
        client_id=row.client_id,
        secret=row.client_secret,
        settings={"server_url": row.server_url, "oauth_pkce_enabled": True},
    )


def _check_nonce(sociallogin: SocialLogin) -> None:
    """The ID token was made for this very sign-in."""
    sent = (sociallogin.state.get("data") or {}).get("nonce")
    said = sociallogin.claims.get("nonce")
    if not sent or not isinstance(said, str) or not hmac.compare_digest(sent.encode(), said.encode()):
        raise NotAdmitted("nonce")


def code_of(error: Any, exception: Exception | None, *, is_begun: bool) -> str:
    """The reason (identity_words.REASONS) of what went wrong on the way."""
    if isinstance(exception, Untrusted):
        return exception.code
    if isinstance(exception, identity_calls.Unreachable):
        return "unreachable"
    if isinstance(exception, RequestException):
        return "unreadable"
    if isinstance(exception, OAuth2Error):
        return "code"
    if not is_begun:
        return "state"
    return "cancelled" if error == AuthError.CANCELLED else "denied"


def detail_of(exception: Exception | None) -> str:
    """What a manager may read of it: our own words only, for the library's hold the whole answer."""
    if isinstance(exception, Untrusted):
        return exception.detail[:300]
    return str(exception)[:300] if isinstance(exception, identity_calls.Unreachable) else ""


def refuse(request: HttpRequest, row: IdentityProvider, code: str, detail: str = "") -> HttpResponse:
    """The one page on which a sign-in by a provider ends that did not succeed; noted in the audit."""
    facts = {"reason": code} | ({"detail": detail} if detail else {})
    record(
        "sign_in_refused",
        by=None,
        now=timezone.now(),
        organisation=row.organisation,
        subject=f"identity_provider/{row.pk}",
        facts=facts,
        request=request,
    )
    reason = identity_words.reason(code)
    context = {"reason": reason, "code": code}
    return render(request, "portal/identity/refused.html", context, status=reason.status)


def sign_in(
    request: HttpRequest, person: User, row: IdentityProvider, said: Asserted, next_url: str | None
) -> HttpResponse:
    """A session of its own for whoever was admitted; their second factor here is asked if they have one."""
    if request.user.is_authenticated:
        account_adapter(request).logout(request)
    record_authentication(request, person, "socialaccount", provider=row.key, uid=said.subject)
    identity_session.remember(request, person, row, list(said.amr), timezone.now())
    record(
        "signed_in_by_provider",
        by=person,
        now=timezone.now(),
        organisation=row.organisation,
        subject=f"identity_provider/{row.pk}",
        facts={"amr": list(said.amr)},
        request=request,
    )
    return perform_login(request, person, email_verification="none", redirect_url=next_url)
