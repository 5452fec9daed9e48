"""Where a request came from. Proxies are believed as far as TRUSTED_PROXY_COUNT says, and no further."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

NO_ADDRESS = "::"  # where a column must have one


def address_of(request: HttpRequest) -> str | None:
    """The client's IP address; None where there is none (a socket) or a proxy sent nonsense.

    With N trusted proxies it is the Nth entry of `X-Forwarded-For` from the right: what stands left of it
    was written by the client.
    """
    text = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXY_COUNT:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        text = hops[-settings.TRUSTED_PROXY_COUNT] if len(hops) >= settings.TRUSTED_PROXY_COUNT else ""
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def browser_of(request: HttpRequest) -> str:
    """The first 300 characters of what the client calls itself."""
    return request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:300]
