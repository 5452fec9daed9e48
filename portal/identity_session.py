"""Sessions of people who came by an identity provider: what is known of them, and when they end.

What the provider said of the second factor (`amr`) stands in the session together with whose it is, so that
an attempt that was left halfway says nothing about whoever signs in next in the same browser.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from portal import health, identity, public_status
from portal.models import IdentityProvider, User

KEY, AMR = "idp", "idp_amr"
SECOND_FACTORS = frozenset({"mfa", "otp", "hwk", "sms", "swk"})  # RFC 8176


@dataclass(frozen=True)
class Came:
    """Who came by which provider, when (seconds since 1970), and by what factors."""

    user: int
    provider: int
    at: float
    amr: tuple[str, ...]

    @property
    def has_second_factor(self) -> bool:
        """Whether the provider says that it asked for more than one factor."""
        return not SECOND_FACTORS.isdisjoint(self.amr)


def remember(
    request: HttpRequest, user: User, provider: IdentityProvider, amr: list[str], now: datetime
) -> None:
    """Note that this person comes by this provider; the session ends IDENTITY_SESSION_SECONDS later."""
    request.session[KEY] = [user.pk, provider.pk, now.timestamp(), amr]
    request.session[AMR] = amr
    request.session.set_expiry(settings.IDENTITY_SESSION_SECONDS)


def forget_others(request: HttpRequest, user: User) -> None:
    """Drop what is known of an attempt of somebody else: `user` is about to sign in."""
    kept = request.session.get(KEY)
    if kept and kept[0] != user.pk:
        del request.session[KEY]
        request.session.pop(AMR, None)
        request.session.set_expiry(None)


def is_coming(request: HttpRequest, user: User) -> bool:
    """Whether this person was just let in by a provider that is still active."""
    kept = request.session.get(KEY)
    if not kept or kept[0] != user.pk:
        return False
    return not is_over(Came(kept[0], kept[1], kept[2], tuple(kept[3])), timezone.now())


def came_by(request: HttpRequest) -> Came | None:
    """How the signed-in person came, if it was by an identity provider."""
    kept = request.session.get(KEY)
    if not kept or not request.user.is_authenticated or kept[0] != request.user.pk:
        return None
    return Came(kept[0], kept[1], kept[2], tuple(kept[3]))


def is_over(came: Came, now: datetime) -> bool:
    """Whether the session must end: it is too old, or its provider is switched off or gone."""
    if now.timestamp() - came.at >= settings.IDENTITY_SESSION_SECONDS:
        return True
    return not identity.active_providers().filter(pk=came.provider).exists()


def provider_sessions(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: whoever came by a provider is signed out when it is switched off, or when the time is up."""

    def middleware(request: HttpRequest) -> HttpResponse:
        needs_no_database = request.path in health.PATHS or request.path == public_status.PATH
        if not needs_no_database and settings.SESSION_COOKIE_NAME in request.COOKIES:
            came = came_by(request)
            if came and is_over(came, timezone.now()):
                logout(request)
        return get_response(request)

    return middleware
