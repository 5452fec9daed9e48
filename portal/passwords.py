"""What a password may not be made of, beside Django's own rules: length, common ones, the person's own data."""

from __future__ import annotations

import re

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

LEAST_LEFT = 8


class OwnWordsValidator:
    """Refuses a password that is little else than words everybody connects with this portal."""

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError if fewer than eight characters are left without such words."""
        left = password.lower()
        for word in sorted(own_words(), key=len, reverse=True):
            left = left.replace(word, "")
        if left != password.lower() and len(left) < LEAST_LEFT:
            raise ValidationError(self.get_help_text(), code="own_words")

    def get_help_text(self) -> str:
        return _("Do not build it from the portal's own name or address.")


def own_words() -> set[str]:
    """The words of the brand and of our domains, and what such passwords add to them."""
    text = f"{settings.SUPPORT_BRAND} {settings.MAIL_DOMAIN} {settings.SITE_URL}".lower()
    words = set(re.findall(r"[^\W\d_]{4,}", text)) - {"http", "https", "localhost"}
    return words | {"password", "support", "portal"}
