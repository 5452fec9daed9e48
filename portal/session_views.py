"""Where I am signed in: each device, and a way to sign it out."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.access import person_of
from portal.devices import device_words
from portal.second_factor import reauthenticated


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """The list; POST signs every other device out."""
    if request.method == "POST":
        return end_others(request)
    found = UserSession.objects.purge_and_list(person_of(request))
    rows = [(each, device_words(each.user_agent)) for each in found]
    rows.sort(key=lambda row: (row[0].is_current(), row[0].last_seen_at), reverse=True)
    return render(request, "usersessions/usersession_list.html", {"rows": rows})


@reauthenticated
def end_others(request: HttpRequest) -> HttpResponse:
    others = [each for each in UserSession.objects.filter(user=person_of(request)) if not each.is_current()]
    for each in others:
        each.end()
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("usersessions_list")


@login_required
@require_POST
@reauthenticated
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign one device out; 404 for somebody else's."""
    session = get_object_or_404(UserSession, pk=pk, user=person_of(request))
    if session.is_current():
        return redirect("account_logout")
    session.end()
    messages.success(request, _("That device is signed out."))
    return redirect("usersessions_list")
