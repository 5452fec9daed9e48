"""The staff's landing page: what breaches next, and each saved view with its count."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from incidents import scans
from incidents.desk import VIEWS
from incidents.models import InboundMessage, Incident, Shift
from incidents.rota_desk import coming_gaps
from maintenance.admin import VIEWS as WINDOW_VIEWS
from maintenance.models import MaintenanceWindow
from portal.access import looked_after, person_of
from portal.keyset import count_of
from portal.models import OutboxMessage
from portal.operations import may_read


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the admin's index shows beyond its list of models."""
    now = timezone.now()
    visible = Incident.objects.visible_to(person_of(request))
    queue = visible.unresolved().exclude(next_due_at=None).order_by("next_due_at", "pk")
    base = reverse("admin:incidents_incident_changelist")
    context["now"] = now
    context["breaching"] = queue.select_related("organisation", "assignee")[:15]
    context["views"] = [
        {
            "title": title,
            "url": f"{base}?view={name}",
            "count": count_of(narrow(visible, person_of(request), now)),
        }
        for name, (title, narrow) in VIEWS.items()
        if name != "all"
    ]
    context["window_views"] = window_views(request, now)
    user = person_of(request)
    unsent = looked_after(OutboxMessage.objects.filter(state=OutboxMessage.State.SET_ASIDE), user)
    context["set_aside"] = count_of(unsent).number
    held = looked_after(InboundMessage.objects.filter(state__in=["held", "set_aside"]), user)
    context["held"] = count_of(held).number
    context["unscanned_since"] = scans.silent_since(now)
    context["reads_operations"] = may_read(person_of(request))
    context["has_rota"] = Shift.objects.exists()
    context["rota_gaps"] = coming_gaps(now, person_of(request)) if context["has_rota"] else []
    return context


def window_views(request: HttpRequest, now: datetime) -> list[dict[str, Any]]:
    """The views of maintenance windows that somebody may have to act on, with their counts."""
    windows = MaintenanceWindow.objects.visible_to(person_of(request))
    base = reverse("admin:maintenance_maintenancewindow_changelist")
    return [
        {"title": title, "url": f"{base}?view={name}", "count": count_of(narrow(windows, now))}
        for name, (title, narrow) in WINDOW_VIEWS.items()
        if name in ("running", "approval", "upcoming", "consents")
    ]
