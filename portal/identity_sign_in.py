"""The doors of signing in by one's organisation: who is sent where, and what comes back.

An address decides by its domain alone, so that no answer tells whether there is such a person. That a domain
has an identity provider is told to whoever asks with an address of it: they are sent there.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from allauth.account.utils import get_next_redirect_url
from allauth.core import ratelimit
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe
from requests import RequestException

from portal import identity
from portal.identity_adapter import code_of, detail_of, refuse
from portal.identity_forms import AddressForm
from portal.identity_oidc import OidcAdapter, Untrusted
from portal.models import IdentityProvider


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def organisation_sign_in(request: HttpRequest) -> HttpResponse:
    """Asks for the address, and shows the way to its organisation's identity provider."""
    form = AddressForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {
        "form": form,
        "redirect_field_name": REDIRECT_FIELD_NAME,
        "redirect_field_value": get_next_redirect_url(request),
    }
    if not form.is_valid():
        status = 400 if form.is_bound else 200
        return render(request, "portal/identity/sign_in.html", context, status=status)
    limited = ratelimit.consume_or_429(request, action="login")
    if limited:
        return limited
    row = identity.provider_for(form.cleaned_data["email"])
    if row is None or row.protocol != IdentityProvider.Protocol.OIDC:
        context |= {"form": AddressForm(), "is_unknown": True}
        return render(request, "portal/identity/sign_in.html", context)
    return way_to(request, row, hint=form.cleaned_data["email"], is_shown=True)


def way_to(
    request: HttpRequest, row: IdentityProvider, *, hint: str = "", is_shown: bool = False
) -> HttpResponse:
    """On to the provider. After a form the way is a page: browsers let no form lead off this site (CSP)."""
    provider = get_adapter(request).get_provider(request, row.key)
    try:
        answer = provider.redirect(
            request, AuthProcess.LOGIN, get_next_redirect_url(request), login_hint=hint
        )
    except (Untrusted, RequestException) as error:
        return refuse(request, row, code_of(None, error, is_begun=True), detail_of(error))
    if not is_shown:
        return answer
    address = answer["Location"]
    context = {"address": address, "host": urlsplit(address).netloc}
    return render(request, "portal/identity/on_the_way.html", context)


@login_required
@never_cache
def no_connections(request: HttpRequest) -> HttpResponse:
    """In place of the library's page of connected accounts: here a binding is made by signing in, and stays."""
    return redirect("profile")


def active(key: str) -> IdentityProvider:
    """The provider of this name that one can sign in by; 404 for all others alike."""
    rows = identity.active_providers().filter(protocol=IdentityProvider.Protocol.OIDC)
    return get_object_or_404(rows, key=key)


@never_cache
@require_safe
def oidc_login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Straight to the provider: for a tile in the organisation's own portal."""
    row = active(provider_id)
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and "Sec-Fetch-User" not in request.headers:
        return redirect(
            "identity-sign-in"
        )  # another site's doing and nobody's click: no session begins by that
    limited = ratelimit.consume_or_429(request, action="login", limit_get=True)
    return limited or way_to(request, row)


@never_cache
@require_safe
@sensitive_variables()
def oidc_callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """What the provider sends the browser back with. Ends in a session, or on the page that says why not."""
    row = active(provider_id)
    said = request.GET.get("iss")
    if said is not None and said != row.server_url:  # RFC 9207
        return refuse(request, row, "issuer")
    try:
        return OAuth2CallbackView.adapter_view(OidcAdapter(request, row.key))(request)
    except (Untrusted, RequestException) as error:  # its description could not be read
        return refuse(request, row, code_of(None, error, is_begun=True), detail_of(error))
