"""Browsers that somebody has signed in with before, by a signed cookie.

From such a browser a person gets in whatever strangers guess at their account from elsewhere, and a sign-in from
any other is told to them.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE = "__Host-known_browser" if settings.SESSION_COOKIE_SECURE else "known_browser"
SALT = "portal.known_browsers"
KEPT = timedelta(days=180)
MOST_PEOPLE = 10  # who share a browser


def known_id(request: HttpRequest, email: str) -> str:
    """The browser's own id if `email` has signed in with it; "" otherwise."""
    found = _read(request)
    return found["id"] if _digest(email) in found["people"] else ""


def remember(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """Set the cookie, with this person the newest of those who sign in here."""
    found = _read(request)
    people = [each for each in found["people"] if each != _digest(email)]
    value = {"id": found["id"] or secrets.token_hex(16), "people": [*people, _digest(email)][-MOST_PEOPLE:]}
    response.set_cookie(
        COOKIE,
        signing.dumps(value, salt=SALT),
        max_age=KEPT,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def _read(request: HttpRequest) -> dict[str, Any]:
    try:
        return signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=KEPT)
    except signing.BadSignature:
        return {"id": "", "people": []}


def _digest(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()[:20]
