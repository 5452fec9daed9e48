"""Each person reads in their own language and time zone."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from portal.models import Organisation, User


def person_zone_and_language(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Activate the signed-in person's zone and language, else their organisation's, else the default."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            with timezone.override(zoneinfo.ZoneInfo(settings.TIME_ZONE)):
                return get_response(request)
        zone, language = choices(request.user)
        with timezone.override(zoneinfo.ZoneInfo(zone)), translation.override(language):
            request.LANGUAGE_CODE = language
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response

    return middleware


def choices(user: User) -> tuple[str, str]:
    """The zone's name and the language that this person reads in."""
    zone, language = user.time_zone, user.language
    if not (zone and language) and not user.is_agent:
        home = Organisation.objects.visible_to(user).order_by("pk").first()
        if home:
            zone, language = zone or home.time_zone, language or home.language
    return zone or settings.TIME_ZONE, language or settings.LANGUAGE_CODE
