"""What `manage.py check --deploy` asks of an installation beyond Django's own questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

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
                hint="Set EMAIL_URL, such as smtp+tls://user:password@smtp.example.com:587.",
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


@register(Tags.security, deploy=True)
def check_lines(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every line to another machine is encrypted, and the other end proves who it is."""
    open_lines = {
        "DATABASE_URL": ("add ?sslmode=verify-full", not _is_database_proven()),
        "CELERY_BROKER_URL": ("use rediss://", _is_open(settings.CELERY_BROKER_URL, "redis")),
        "CACHE_URL": ("use rediss://", _is_open(settings.CACHE_URL, "redis")),
        "IMAP_URL": ("use imaps://", _is_open(settings.IMAP_URL, "imap")),
        "EMAIL_URL": ("use smtp+tls:// or smtp+ssl://", _is_mail_open()),
    }
    return [
        Warning(f"What {name} names is not reached by TLS that proves it.", hint=hint, id="portal.W003")
        for name, (hint, is_open) in open_lines.items()
        if is_open
    ]


def _is_local(host: str | None) -> bool:
    return not host or host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")


def _is_open(url: str, scheme: str) -> bool:
    return urlsplit(url).scheme == scheme and not _is_local(urlsplit(url).hostname)


def _is_database_proven() -> bool:
    database = settings.DATABASES["default"]
    mode = database.get("OPTIONS", {}).get("sslmode")
    return _is_local(database.get("HOST")) or mode in ("verify-full", "verify-ca")


def _is_mail_open() -> bool:
    if settings.EMAIL_BACKEND.endswith(CONSOLE_BACKENDS) or _is_local(settings.EMAIL_HOST):
        return False
    return not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL)
