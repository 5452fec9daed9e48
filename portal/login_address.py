"""Which addresses can belong to a person: none that we receive mail at.

Mail to an address of ours becomes an incident's message, which others read: a reset link or an invitation sent
there would be theirs.
"""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


def is_received_here(email: str) -> bool:
    """Whether mail to `email` comes to this portal: MAIL_DOMAIN, what stands under it, SUPPORT_EMAIL's domain."""
    domain = _domain(email)
    mail_domain = _domain(settings.MAIL_DOMAIN)
    return domain in {mail_domain, _domain(settings.SUPPORT_EMAIL)} or domain.endswith(f".{mail_domain}")


def validate_login_address(email: str) -> None:
    """Raise ValidationError for an address that nobody can sign in by."""
    if is_received_here(email):
        raise ValidationError(
            _("Mail to this address comes to the portal itself. Use the person's own address."),
            code="received_here",
        )


def _domain(text: str) -> str:
    """What stands behind the last @, as the mail system compares it."""
    domain = text.strip().rpartition("@")[2].rstrip(".").lower()
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain
