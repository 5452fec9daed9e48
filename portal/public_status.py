"""The public status page: off unless the installation turns it on, and without a word about any customer.

It reads the impacts of the vendor's own organisation only (parent incidents, maintenance windows), and
shows neither references nor titles. Everybody gets the same bytes: it asks for no session.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from portal import service_state, uptime
from portal.models import Organisation, Service

PATH = "/status/public/"


def public_services(now: datetime) -> list[dict[str, Any]]:
    """Each public service with its state, its days and their figures. Three queries."""
    zone = timezone.get_current_timezone()
    vendor = list(Organisation.objects.filter(is_vendor=True))
    services = list(Service.objects.filter(is_active=True, is_public=True))
    start = service_state.day_bounds(now, zone)[0]
    rows = service_state.impacts_of(vendor, start, now + timedelta(seconds=1), services)
    found = []
    for service in services:
        own = [row for key, each in rows.items() if key[1] == service.pk for row in each]
        days = service_state.days_of(service_state.as_spans(own), now, zone)
        figures = uptime.figures_of(part for day in days for part in day.segments)
        state = service_state.state_at(own, now)
        found.append({"service": service, "state": state, "days": days, "figures": figures})
    return found


@require_safe
@cache_control(public=True, max_age=30)
def public_status(request: HttpRequest) -> HttpResponse:
    now = timezone.now().replace(microsecond=0)
    if not settings.PUBLIC_STATUS:
        raise Http404
    services = public_services(now)
    is_working = all(each["state"].impact == uptime.NONE for each in services)
    context = {"services": services, "now": now, "is_working": is_working, "brand": settings.SUPPORT_BRAND}
    return render(request, "portal/public_status.html", context)
