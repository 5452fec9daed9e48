"""The customer's home: what waits for me, what is open with its clocks, how my services are."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from incidents import bridge_view
from incidents.models import Incident, Status
from maintenance import window_view
from portal.access import person_of
from portal.announcement_views import published_for
from portal.chosen import looked_at, to_choose
from portal.status import service_rows


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Staff land on their desk."""
    user = person_of(request)
    if user.is_agent:
        return redirect("admin:index")
    now = timezone.now()
    announcements = published_for(user)
    organisations = looked_at(request)
    incidents = Incident.objects.visible_to(user).filter(organisation__in=organisations)
    incidents = incidents.select_related("organisation", "assignee")
    context = {
        "waiting": incidents.filter(status__in=[Status.WAITING_FOR_CUSTOMER, Status.RESOLVED]).order_by(
            "-last_changed_at"
        )[:10],
        "open": bridge_view.with_open_bridge(incidents.unresolved()).order_by("next_due_at", "pk")[:20],
        "recent": incidents.filter(status=Status.CLOSED).order_by("-closed_at")[:5],
        "has_several_organisations": len(to_choose(request)) > 1,
        "services": service_rows(user, now),
        "pinned": announcements.filter(is_pinned=True).current(now),
        "unread_count": announcements.unread_by(user).current(now).count(),
        "running_windows": window_view.running_for(user),
        "upcoming_windows": window_view.upcoming_for(user),
    }
    return render(request, "portal/home.html", context)
