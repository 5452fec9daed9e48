"""Each person reads in their own language and time zone."""

from __future__ import annotations

import logging
import zoneinfo
from collections.abc import Callable
from datetime import UTC

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.defaults import page_not_found

from portal import health, public_status
from portal.models import Organisation, User
from portal.origin import address_of

API = "/api/"
SIGN_OUT = "/accounts/logout/"
REFUSALS = frozenset({400, 401, 403, 404, 405, 409, 413, 429})
refusals = logging.getLogger("portal.refused")
DESK = "/admin/"
MACHINES = (API, "/calendar/")  # asked by programs, which would never notice that they are led to https


def machines_come_by_https(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Where pages are led to https, programs that ask without it are refused: their token was readable."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.SECURE_SSL_REDIRECT and request.path.startswith(MACHINES) and not request.is_secure():
            detail = _("Ask by https, and make a new token: this one travelled readable.")
            problem = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": detail}
            return JsonResponse(problem, status=403, content_type="application/problem+json")
        return get_response(request)

    return middleware


def safe_answers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Headers that keep an answer where it belongs.

    What is somebody's is stored by nobody on the way, nor by the browser (unless a view says how); no other
    site embeds it; the page may use no sensor; the staff desk has the script policy that its theme needs.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method == "TRACE":
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS"})
        if request.path.startswith(DESK) and "%00" in request.META.get("QUERY_STRING", ""):
            raise SuspiciousOperation("a zero byte in an address of the desk: no database can look for it")
        response = get_response(request)
        headers = response.headers
        note_refusal(request, response.status_code)
        if request.path == SIGN_OUT and request.method == "POST":  # drafts, too: the next one here is another
            headers.setdefault("Clear-Site-Data", '"cache", "storage"')
        if request.path.startswith(DESK):
            response._csp_replace = settings.DESK_CONTENT_SECURITY_POLICY  # type: ignore[attr-defined]
        if request.path not in health.PATHS and request.path != public_status.PATH:
            headers.setdefault("Cache-Control", "private, no-store")
        headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return middleware


def note_refusal(request: HttpRequest, status: int) -> None:
    """A line about who was refused what, for whoever watches for attempts: ids and the path, no query."""
    if status not in REFUSALS or is_for_all(request):
        return
    person = getattr(request, "impersonator", None) or request.user
    refusals.warning(
        "%s %s %s person=%s address=%s",
        *(status, request.method, request.path[:200], person.pk or "-", address_of(request) or "-"),
    )


def person_zone_and_language(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Activate the signed-in person's zone and language, else their organisation's, else the default.

    A visitor keeps the language that LocaleMiddleware found; the API speaks UTC to everybody. Both end
    with the response, so that the next request of the same thread starts from nothing.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        speaks_utc = request.path.startswith(API)
        if is_for_all(request) or not request.user.is_authenticated:
            with timezone.override(UTC if speaks_utc else None):
                return get_response(request)
        zone, language = choices(request.user)
        with timezone.override(UTC if speaks_utc else zone_info(zone)), translation.override(language):
            request.LANGUAGE_CODE = language
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response

    return middleware


def is_for_all(request: HttpRequest) -> bool:
    """Whether it is a page that nobody signs in for. To ask who a visitor is takes the database, which these
    must answer without.
    """
    return request.path in health.PATHS or request.path == public_status.PATH


def choices(user: User) -> tuple[str, str]:
    """The zone's name and the language that this person reads in. One query at most, where one is empty."""
    zone, language = user.time_zone, user.language
    if not (zone and language) and not user.is_agent:
        home = Organisation.objects.visible_to(user).order_by("memberships__pk").first()
        if home:
            zone, language = zone or home.time_zone, language or home.language
    return zone or settings.TIME_ZONE, language or settings.LANGUAGE_CODE


def zone_info(name: str) -> zoneinfo.ZoneInfo:
    """The zone, or the default one where a later edition of the zones has dropped the name."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return zoneinfo.ZoneInfo(settings.TIME_ZONE)


def designed_not_found(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """In development too, a 404 is the page that users get: Django's own would list every address."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if settings.DEBUG and response.status_code == 404 and is_page:
            return page_not_found(request, Http404())
        return response

    return middleware
