"""A person's own data, for themselves."""

from __future__ import annotations

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal import privacy_export
from portal.access import person_of
from portal.models import User


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def own_data(request: HttpRequest) -> HttpResponse | FileResponse:
    """What is kept of the person and why. Never for whoever only looks on as them."""
    if getattr(request, "impersonator", None) is not None:
        raise PermissionDenied
    return _own_data(request)


@reauthentication_required
def _own_data(request: HttpRequest) -> HttpResponse | FileResponse:
    """POST downloads all that is theirs."""
    if request.method == "POST":
        person = person_of(request)
        return download(request, person, by=person)
    return render(request, "portal/own_data.html", {"support_email": settings.SUPPORT_EMAIL})


def download(request: HttpRequest, person: User, *, by: User) -> FileResponse:
    """The person's data as a ZIP, audited as `by`'s doing."""
    now = timezone.now()
    made = privacy_export.export(person, by=by, now=now, request=request)
    response = FileResponse(made, as_attachment=True, filename=privacy_export.file_name(person, now))
    response["Cache-Control"] = "private, no-store"
    return response
