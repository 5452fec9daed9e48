"""What `manage.py check --deploy` asks of an installation beyond Django's own questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

CONSOLE_BACKENDS = (
    "filebased.EmailBackend",
    "console.EmailBackend",
    "locmem.EmailBackend",
    "dummy.EmailBackend",
)


@register(Tags.security, deploy=True)
def check_addresses(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The site is reached over HTTPS, and mails leave the machine."""
    found: list[CheckMessage] = []
    if not settings.SITE_URL.startswith("https://"):
        found.append(
            Warning(
                "SITE_URL does not begin with https://: cookies, redirects and HSTS are not made safe.",
                hint="Set SITE_URL to the address that people use, such as https://support.example.com.",
                id="portal.W001",
            )
        )
    if settings.EMAIL_BACKEND.endswith(CONSOLE_BACKENDS):
        found.append(
            Warning(
                "Mails are written to files and reach nobody.",
                hint="Set EMAIL_URL, such as submission://user:password@smtp.example.com:587.",
                id="portal.W002",
            )
        )
    return found


@register(Tags.security, deploy=True)
def check_what_is_off(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What protects only where the installation brings its other half: a scanner, a file of known passwords."""
    found: list[CheckMessage] = []
    if not settings.CLAMAV_URL:
        words = "Files that people attach are not scanned for malware."
        hint = "Set CLAMAV_URL, such as unix:///run/clamav/clamd.ctl."
        found.append(Warning(words, hint=hint, id="portal.W004"))
    if not settings.BREACHED_PASSWORDS_FILE:
        words = "Passwords are not compared with those that became known elsewhere."
        hint = "Set BREACHED_PASSWORDS_FILE to a sorted file of SHA-1 digests."
        found.append(Warning(words, hint=hint, id="portal.W005"))
    return found
