"""What a password may not be made of, beside Django's own rules: length, common ones, the person's own data."""

from __future__ import annotations

import hashlib
import re
from typing import IO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

LEAST_LEFT = 8
LONGEST_LINE = 64  # bytes of a line of the file: 40 of a digest, a colon, a count


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


class BreachedValidator:
    """Refuses a password that stands in the file of known ones. Nothing is asked of any other machine."""

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError if it is known. OSError if there is a file and it cannot be read."""
        if not settings.BREACHED_PASSWORDS_FILE:
            return
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        with open(settings.BREACHED_PASSWORDS_FILE, "rb") as lines:
            if stands_in(lines, digest):
                raise ValidationError(self.get_help_text(), code="breached")

    def get_help_text(self) -> str:
        return _("Do not use one that has become known elsewhere.")


def stands_in(lines: IO[bytes], digest: bytes) -> bool:
    """Whether a line begins with the digest; the lines are sorted, so that halving finds it in any size."""
    low, high = 0, lines.seek(0, 2)
    while high - low > LONGEST_LINE:
        middle = (low + high) // 2
        lines.seek(middle)
        lines.readline()  # the rest of the line that the middle lies in
        if lines.readline()[:40].upper() <= digest:
            low = middle
        else:
            high = middle
    lines.seek(max(0, low - LONGEST_LINE))
    return any(line[:40].upper() == digest for line in lines.read(4 * LONGEST_LINE).split())


def own_words() -> set[str]:
    """The words of the brand and of our domains, and what such passwords add to them."""
    text = f"{settings.SUPPORT_BRAND} {settings.MAIL_DOMAIN} {settings.SITE_URL}".lower()
    words = set(re.findall(r"[^\W\d_]{4,}", text)) - {"http", "https", "localhost"}
    return words | {"password", "support", "portal"}
