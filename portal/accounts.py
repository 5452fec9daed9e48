"""Sign-in by allauth, with our rules: nobody signs up, and links lead to our own site."""

from __future__ import annotations

import logging
import smtplib
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme

from portal import identity, identity_session
from portal.middleware import choices
from portal.models import User

ANSWER_SECONDS = 0.25  # much longer than what an account's own mail takes more to write than a stranger's
ASKED_BY_STRANGERS = {"account/email/password_reset_key", "account/email/unknown_account"}

logger = logging.getLogger(__name__)


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

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """The active person whose password this is. Somebody inactive is refused like a stranger."""
        user = super().authenticate(request, **credentials)
        if isinstance(user, User) and identity.required_provider_of(user):
            return None  # the same answer as for a wrong password
        return user if user is not None and user.is_active else None

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Every way in passes here: none but their provider is open to people who have one to sign in by."""
        identity_session.forget_others(request, user)
        if identity.required_provider_of(user) and not identity_session.is_coming(request, user):
            return redirect("identity-sign-in")
        return super().pre_login(request, user, **kwargs)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one mail in its reader's language, with links to our own site whatever `Host:` was claimed.

        A mail server that is away is logged only, and the answer to a stranger takes the same time:
        neither may tell whether there is an account.
        """
        started = time.perf_counter()
        site = SimpleNamespace(name=settings.SUPPORT_BRAND, domain=urlsplit(settings.SITE_URL).netloc)
        links = {name: on_our_site(url) for name, url in context.items() if name.endswith("_url") and url}
        person = context.get("user")
        language = choices(person)[1] if person else translation.get_language()
        try:
            with translation.override(language):
                super().send_mail(
                    _mail_for(template_prefix, person),
                    email,
                    context
                    | links
                    | {"current_site": site, "sign_in_url": settings.SITE_URL + "/accounts/organisation/"},
                )
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
