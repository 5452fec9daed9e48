"""What every request leaves: an id in its answer, one line in the log, its time in `/metrics`.

The line and the figures name the view and never the address that was asked for: an address may hold a token, a
name or a customer's words. Of a person there is the id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import empty
from prometheus_client import Histogram

from portal import health
from portal.request_ids import HEADER, bound, new_id, plain_id

access = logging.getLogger("portal.access")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SECONDS = Histogram(
    "portal_request_seconds",
    "How long requests took, by the name of the view (“-”: none), method and class of the status.",
    ["view", "method", "status"],
    buckets=BUCKETS,
)


def request_watch(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """The outermost middleware: what others refuse is counted and told, too."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        request_id = id_of(request)
        with bound(request_id):
            response = get_response(request)
            note(request, response.status_code, time.perf_counter() - began)
        response.headers[HEADER] = request_id
        return response

    return middleware


def id_of(request: HttpRequest) -> str:
    """The id that our own proxy gave the request, if it is a plain one; else a new one."""
    said = plain_id(request.headers.get(HEADER)) if settings.TRUSTED_PROXY_COUNT else ""
    return said or new_id()


def note(request: HttpRequest, status: int, seconds: float) -> None:
    """Into the figures; and into the log, but for the questions that a machine asks every few seconds."""
    match = request.resolver_match
    view = (match.view_name or "unnamed") if match else "-"
    method = request.method if request.method in METHODS else "other"
    SECONDS.labels(view, method, f"{status // 100}xx").observe(seconds)
    if request.path not in health.PATHS:
        facts = {"method": method, "view": view, "status": status, "ms": round(seconds * 1000, 1)}
        access.info("request", extra=facts | {"user_id": person_id(request)})


def person_id(request: HttpRequest) -> int | None:
    """Who asked, if anything on the way wanted to know: it is not looked up for the log alone."""
    person = getattr(request, "impersonator", None) or getattr(request, "user", None)
    if getattr(person, "_wrapped", None) is empty:
        return None
    return getattr(person, "pk", None)
