"""How often a door may be used: fixed windows, counted in the cache, at the same cost for everybody.

Who exceeds a limit gets 429 with `Retry-After`; every answer of a limited route says what is left
(`RateLimit`, `RateLimit-Policy`). Where the cache is down nothing is counted, and the doors still open.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from portal.models import ApiToken
from portal.origin import address_of


@dataclass(frozen=True)
class Limit:
    """`most` requests in `seconds`, under a name."""

    name: str
    most: int
    seconds: int


@dataclass(frozen=True)
class Use:
    """Where somebody stands: how much is left, and in how many seconds the window ends."""

    limit: Limit
    left: int
    ends_in: int

    def headers(self) -> dict[str, str]:
        limit = self.limit
        return {
            "RateLimit": f'"{limit.name}";r={max(self.left, 0)};t={self.ends_in}',
            "RateLimit-Policy": f'"{limit.name}";q={limit.most};w={limit.seconds}',
        }


class TooMany(exceptions.Throttled):
    default_detail = gettext_lazy("Too many requests.")

    usage: Use

    def __init__(self, use: Use) -> None:
        super().__init__(wait=use.ends_in)
        self.usage = use


def limit_of(name: str) -> Limit | None:
    """The limit that the settings give this name; None where it is off."""
    found = settings.RATE_LIMITS.get(name)
    if not found:
        return None
    most, seconds = found
    return Limit(name, most, seconds)


def count(name: str, who: str) -> Use | None:
    """Count one use of `who`; None where the limit is off. TooMany beyond it."""
    limit = limit_of(name)
    if limit is None:
        return None
    now = time.time()
    window = int(now // limit.seconds)
    ends_in = max(1, round((window + 1) * limit.seconds - now))
    key = f"limit:{name}:{who}:{window}"
    used = _add_one(key, limit.seconds + 1)
    use = Use(limit, limit.most - used, ends_in)
    if use.left < 0:
        raise TooMany(use)
    return use


def _add_one(key: str, seconds: int) -> int:
    """How often, this time included; 1 where the cache does not answer."""
    if cache.add(key, 1, seconds):
        return 1
    try:
        return int(cache.incr(key) or 1)
    except ValueError:  # it went meanwhile, or the cache is down
        return 1


def caller(request: Request) -> str:
    """By whom a request is counted: each token by itself, else the person, else the address."""
    if isinstance(request.auth, ApiToken):
        return f"token-{request.auth.pk[:32]}"
    if request.user.is_authenticated:
        return f"person-{request.user.pk}"
    return f"address-{address_of(request)}"


def count_failure(request: HttpRequest) -> Use | None:
    """A wrong token or signature, counted for the address that it came from; TooMany beyond the limit."""
    return count("failures", f"address-{address_of(request)}")


class Limited:
    """A view whose uses are counted. A mixin of APIViews, left of them."""

    limit_reads, limit_writes = "reads", "writes"

    def limited_by(self, request: Request) -> tuple[str, str]:
        """The limit's name, and by whom it is counted."""
        name = self.limit_reads if request.method in SAFE_METHODS else self.limit_writes
        return name, caller(request)

    def check_throttles(self, request: Request) -> None:
        name, who = self.limited_by(request)
        self.usage = count(name, who)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, exceptions.AuthenticationFailed):
            try:
                self.usage = count_failure(self.request)  # type: ignore[attr-defined]
            except TooMany as error:
                exc = error
        if isinstance(exc, TooMany):
            self.usage = exc.usage
        answer: Response = super().handle_exception(exc)  # type: ignore[misc]
        return answer

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        use: Use | None = getattr(self, "usage", None)
        for name, value in use.headers().items() if use else ():
            response.headers[name] = value
        return response
