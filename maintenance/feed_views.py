"""Calendars by address: the private feed that a program reads without a session, and one window as a file."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from maintenance import ical
from maintenance.actions import invitations
from maintenance.models import CalendarFeed, MaintenanceWindow
from portal.access import person_of


@csrf_exempt  # a program asks, and changes nothing: another method is told so
@require_safe
@sensitive_variables("token")
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The feed of whoever holds the token. Reading leaves no trace and changes nothing."""
    found = invitations.feed_of(token)
    if found is None:
        raise Http404
    return calendar_file(request, ical.feed(found.person, timezone.now()), "maintenance.ics", "inline")


@login_required
@require_safe
def window_file(request: HttpRequest, reference: str) -> HttpResponse:
    """One announced window, for a calendar that subscribes to nothing."""
    person = person_of(request)
    visible = MaintenanceWindow.objects.visible_to(person).filter(announced_at__isnull=False)
    window = get_object_or_404(visible.by_reference(reference))
    text = ical.single(window, person=person)
    return calendar_file(request, text, f"{window.reference}.ics", "attachment")


def calendar_file(request: HttpRequest, text: str, name: str, disposition: str) -> HttpResponse:
    """The calendar, or 304 for who has these very bytes. Nobody between keeps it."""
    content = text.encode()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    response = HttpResponse(content, content_type=f"text/calendar; charset=utf-8; method={ical.PUBLISH}")
    response["Content-Disposition"] = f'{disposition}; filename="{name}"'
    response["Cache-Control"] = "private, no-cache"
    response["ETag"] = etag
    return get_conditional_response(request, etag=etag, response=response) or response


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
@sensitive_variables("token", "address")
def my_calendar(request: HttpRequest) -> HttpResponse:
    """The person's own feed: POST makes a new address and shows it, this once; or revokes it."""
    person = person_of(request)
    wish = request.POST.get("do", "")
    address = ""
    if wish == "revoke":
        invitations.revoke_feed(person)
        messages.success(request, _("The address is dead. A calendar that still asks for it finds nothing."))
        return redirect("maintenance:calendar")
    if wish == "make":
        token = invitations.rotate_feed(person, now=timezone.now())
        address = settings.SITE_URL + reverse("maintenance:feed", args=[token])
    context = {"feed": CalendarFeed.objects.filter(person=person).first(), "address": address}
    status = 400 if request.method == "POST" and not address else 200
    return render(request, "maintenance/calendar.html", context, status=status)
