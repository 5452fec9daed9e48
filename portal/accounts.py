"""Sign-in by allauth, with our rules: nobody signs up, and links lead to our own site."""

from __future__ import annotations

import logging
import smtplib
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.flows.login import (
    AUTHENTICATION_METHODS_SESSION_KEY,
    get_authentication_records,
)
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import ngettext

from portal import identity, identity_session, known_browsers, second_factor
from portal.login_address import is_received_here
from portal.login_address import validate_login_address as validate_login_address
from portal.middleware import choices, zone_info
from portal.models import User
from portal.origin import NO_ADDRESS, address_of
from portal.person_facts import with_facts

ANSWER_SECONDS = 0.25  # much longer than what an account's own mail takes more to write than a stranger's
ASKED_BY_STRANGERS = {"account/email/password_reset_key", "account/email/unknown_account"}
# Failed sign-ins. Somebody else's guesses reach `anywhere` only, which is no limit to a browser known from before.
LIMITS = {"here": "10/m/ip,5/5m/key", "anywhere": "50/h/key"}
WAIT_SECONDS = {"here": 300, "anywhere": 3600}

logger = logging.getLogger(__name__)


class Backend(AuthenticationBackend):
    """allauth's, that reads the facts of `person_facts` along with the person."""

    def get_user(self, user_id: Any) -> User | None:
        user = with_facts(User.objects.filter(pk=user_id)).first()
        return user if user is not None and self.user_can_authenticate(user) else None


class AccountAdapter(DefaultAccountAdapter):
    """What allauth asks us.

    Its mails (password reset and the like) go out at once and not by the outbox: their links expire
    within the hour, and whoever asked is waiting for them.
    """

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People are added by staff or invited by their organisation."""
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Only pages of this portal may follow a sign-in: no other host, however much it is trusted."""
        return url_has_allowed_host_and_scheme(
            url,
            allowed_hosts={self.request.get_host(), urlsplit(settings.SITE_URL).netloc},
            require_https=self.request.is_secure(),
        )

    def format_email_subject(self, subject: str) -> str:
        return f"{settings.SUPPORT_BRAND}: {subject}"

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request) or NO_ADDRESS

    def clean_email(self, email: str) -> str:
        """An address that is or becomes somebody's: none of ours, for links sent there would be anybody's."""
        validate_login_address(email)
        return email

    def validation_error(self, code: str, *args: Any) -> ValidationError:
        """Too many tries are one calm page, not a word in a form."""
        if code in {"too_many_login_attempts", "rate_limited"}:
            raise ImmediateHttpResponse(too_many_requests(self.request, WAIT_SECONDS["here"]))
        return super().validation_error(code, *args)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the try: by address and account here, by account anywhere unless the browser is known."""
        self._uses = []
        for name, key in _keys(request, credentials.get("email", "")).items():
            used = _consume(request, name, key)
            if used is None:
                raise ImmediateHttpResponse(too_many_requests(request, WAIT_SECONDS[name]))
            self._uses.append(used)

    def _rollback_login_failed_rl_usage(self) -> None:
        for used in self._uses:
            used.rollback()

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """After a reset of the password the tries of before count no more."""
        for name, key in _keys(request, credentials.get("email", "")).items():
            config = {name: LIMITS[name].rpartition(",")[2]}
            ratelimit.clear(request, app="portal", action=name, config=config, key=key)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """The active person whose password this is. Somebody inactive is refused like a stranger."""
        user = super().authenticate(request, **credentials)
        if isinstance(user, User) and identity.required_provider_of(user):
            return None  # the same answer as for a wrong password
        return user if user is not None and may_sign_in(user) else None

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """The last door of every way in: password, passkey and identity provider."""
        if not may_sign_in(user):
            return self.respond_user_inactive(request, user)
        identity_session.forget_others(request, user)
        if identity.required_provider_of(user) and not identity_session.is_coming(request, user):
            return redirect("identity-sign-in")
        request.has_signed_in_before = user.last_login is not None  # type: ignore[attr-defined]
        return super().pre_login(request, user, **kwargs)

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        """Whoever has just signed in need not prove at once again who they are."""
        response = super().post_login(request, user, **kwargs)
        records = get_authentication_records(request, user)
        if records:
            records[-1]["reauthenticated"] = True
            request.session[AUTHENTICATION_METHODS_SESSION_KEY] = records
        _warn_of_few_codes(request, user, records)
        is_new = not known_browsers.known_id(request, user.email)
        if is_new and settings.SIGN_IN_NOTICES and getattr(request, "has_signed_in_before", False):
            self.send_notification_mail("account/email/new_sign_in", user, {"user": user})
        known_browsers.remember(request, response, user.email)
        return response

    def send_notification_mail(
        self, template_prefix: str, user: Any, context: Any = None, email: str | None = None
    ) -> None:
        """In the language and zone of whoever it is about."""
        super().send_notification_mail(template_prefix, user, {"user": user} | (context or {}), email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one mail in its reader's language, with links to our own site whatever `Host:` was claimed.

        A mail server that is away is logged only, and the answer to a stranger takes the same time:
        neither may tell whether there is an account.
        """
        started = time.perf_counter()
        site = SimpleNamespace(name=settings.SUPPORT_BRAND, domain=urlsplit(settings.SITE_URL).netloc)
        links = {name: on_our_site(url) for name, url in context.items() if name.endswith("_url") and url}
        person = context.get("user")
        zone, language = choices(person) if person else (settings.TIME_ZONE, translation.get_language())
        try:
            with translation.override(language), timezone.override(zone_info(zone)):
                whole = context | links | {"current_site": site, "email": email}
                whole["sign_in_url"] = settings.SITE_URL + "/accounts/organisation/"
                self.render_mail(_mail_for(template_prefix, person), email, whole).send()
        except (OSError, smtplib.SMTPException) as error:
            logger.error("The mail %s could not be sent: %s", template_prefix, error)
        if template_prefix in ASKED_BY_STRANGERS:
            time.sleep(max(0.0, ANSWER_SECONDS - (time.perf_counter() - started)))


def _mail_for(template_prefix: str, person: User | None) -> str:
    """Whoever signs in by an identity provider only is told so in place of a link to a new password."""
    is_reset = template_prefix == "account/email/password_reset_key"
    if is_reset and person and identity.required_provider_of(person):
        return "portal/identity/email/by_provider"
    return template_prefix


def on_our_site(url: str) -> str:
    """The same path under SITE_URL, whatever host the request claimed."""
    site = urlsplit(settings.SITE_URL)
    return urlunsplit(urlsplit(url)._replace(scheme=site.scheme, netloc=site.netloc))


def may_sign_in(user: AbstractBaseUser) -> bool:
    """Whether the account is in use, and its address not one of ours."""
    return user.is_active and not is_received_here(getattr(user, "email", ""))


def too_many_requests(request: HttpRequest, wait: int = 60) -> HttpResponse:
    """The one page for whoever tried too often; `wait` in seconds."""
    context = {"minutes": max(1, wait // 60)}
    response = render(request, "429.html", context, status=429)
    response.headers["Retry-After"] = str(wait)
    return response


def _keys(request: HttpRequest, email: str) -> dict[str, str]:
    """What failed sign-ins of this request count under, by the name of the limit."""
    email = email.strip().lower()
    browser = known_browsers.known_id(request, email)
    if browser:
        return {"here": f"{browser}|{email}"}
    return {"here": f"{address_of(request) or NO_ADDRESS}|{email}", "anywhere": email}


def _consume(request: HttpRequest, name: str, key: str) -> ratelimit.RateLimitUsage | None:
    return ratelimit.consume(request, app="portal", action=name, config=LIMITS, key=key)


def _warn_of_few_codes(request: HttpRequest, user: User, records: list[dict[str, Any]]) -> None:
    """Whoever came in by a recovery code hears how many are left."""
    if not records or records[-1].get("type") != "recovery_codes":
        return
    left = second_factor.codes_left(user) or 0
    words = ngettext(
        "You have %(count)s recovery code left. Make new ones before they run out.",
        "You have %(count)s recovery codes left. Make new ones before they run out.",
        left,
    )
    messages.warning(request, words % {"count": left})
