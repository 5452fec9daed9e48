"""The second factor: who needs one, and that nobody who lacks it comes further than to setting it up.

It is required of staff (STAFF_SECOND_FACTOR) and of the people of organisations that ask for it. The rule is read
with the person's row at every request, so a factor that is removed and a requirement that is switched on count at
the next one. API tokens are not judged here: they are secrets of their own, made only after a fresh
authentication, and end with their person's account.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.decorators import reauthentication_required
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.checks import Warning
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.middleware import API, is_for_all
from portal.models import User
from portal.models.fields import sealed, unsealed
from portal.person_facts import FACTORS, facts_of

FEW_CODES = 3
WANTED = "second_factor_wanted"  # in the session: the page that was asked for, to go on to
# Setting one up, proving who one is, and leaving. Nothing else is open to somebody who still lacks it.
OPEN_VIEWS = frozenset(
    {
        "mfa_index",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_list_webauthn",
        "mfa_view_recovery_codes",
        "mfa_download_recovery_codes",
        "mfa_generate_recovery_codes",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "account_reauthenticate",
        "account_login",
        "account_logout",
    }
)


reauthenticated = reauthentication_required  # asks who it is again, if that was more than five minutes ago


def is_required(user: User) -> bool:
    """Whether this person may do nothing without a second factor."""
    is_staff = settings.STAFF_SECOND_FACTOR and (user.is_agent or user.is_superuser)
    return bool(is_staff or settings.SECOND_FACTOR_FOR_ALL or facts_of(user)["is_asked_for_factor"])


def has_factor(user: User) -> bool:
    """Whether the person has an authenticator app or a passkey; recovery codes alone are none."""
    return bool(facts_of(user)["factors_mark"])


def is_missing(user: Any) -> bool:
    """Whether the person has to set one up before anything else."""
    return isinstance(user, User) and not has_factor(user) and is_required(user)


def is_last(factor: Authenticator) -> bool:
    """Whether it is the only factor of a person who must have one. Recovery codes never are."""
    others = Authenticator.objects.filter(user=factor.user, type__in=FACTORS).exclude(pk=factor.pk)
    return factor.type in FACTORS and is_required(factor.user) and not others.exists()


class SecondFactorMiddleware:
    """Sends whoever lacks a required second factor to setting it up; the API answers 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        match = request.resolver_match
        is_open = match is not None and match.view_name in OPEN_VIEWS
        if is_open or is_for_all(request) or not is_missing(_person(request)):
            return None
        if request.path.startswith(API):
            return refused()
        if request.method == "GET" and not request.headers.get("HX-Request"):
            request.session[WANTED] = request.get_full_path()
        return redirect("mfa_index")


def _person(request: HttpRequest) -> Any:
    """Whoever signed in, also while they look at the portal as somebody else."""
    return getattr(request, "impersonator", None) or request.user


def refused() -> JsonResponse:
    """The API's answer, as RFC 9457 has it."""
    problem = {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": _("Your account needs a second factor. Set one up on the portal's pages first."),
    }
    return JsonResponse(problem, status=403, content_type="application/problem+json")


class MFAAdapter(DefaultMFAAdapter):
    """What allauth asks us about second factors."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "cannot_delete_authenticator": gettext_lazy(
            "Your account needs a second factor, and this is the only one. Set up another first."
        ),
    }

    def get_totp_issuer(self) -> str:
        return settings.SUPPORT_BRAND

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return super().get_public_key_credential_rp_entity() | {"name": settings.SUPPORT_BRAND}

    def generate_authenticator_name(self, user: Any, type: str) -> str:
        """A passkey's first name: people rename it to what it lies on."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return _("Passkey %(number)s") % {"number": count + 1}

    def encrypt(self, text: str) -> str:
        """Secrets of factors stand encrypted in the database."""
        return sealed(text)

    def decrypt(self, encrypted_text: str) -> str:
        return unsealed(encrypted_text) if encrypted_text.startswith("gAAAA") else encrypted_text

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return not is_last(authenticator)


def remove(factor: Authenticator) -> None:
    """Take a lost factor away, as staff do: recovery codes that are left alone go too, and the person is told.

    In the caller's transaction; the mail goes out when it is through. Every session of the person ends at its
    next request, for it was begun with a factor that is gone.
    """
    user = factor.user
    factor.delete()
    delete_dangling_recovery_codes(user)
    mail = partial(get_account_adapter().send_mail, "mfa/email/removed_by_staff", user.email, {"user": user})
    transaction.on_commit(mail)


def codes_left(user: User) -> int | None:
    """How many recovery codes are unused; None without any set of them."""
    found = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    return len(found.wrap().get_unused_codes()) if found else None


def staff_have_second_factors(app_configs: Any, **kwargs: Any) -> list[Warning]:
    """`check --deploy` says so where staff come in by a password alone."""
    if settings.STAFF_SECOND_FACTOR:
        return []
    hint = "Remove STAFF_SECOND_FACTOR=false from the environment."
    return [Warning("Staff may sign in without a second factor.", hint=hint, id="portal.W006")]
