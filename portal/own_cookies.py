"""Cookies of a production bear a name that binds them to this very host."""

from __future__ import annotations

from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class HostCookie(CookieStorage):
    """Django's, under a name that no other host of the domain can set."""

    cookie_name = "__Host-messages"


class Messages(FallbackStorage):
    """Messages in that cookie, and what does not fit into it in the session."""

    storage_classes = (HostCookie, SessionStorage)
