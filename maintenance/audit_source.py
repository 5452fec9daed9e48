"""What happened to maintenance windows, as the staff's search of the audit shows it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from maintenance.models import WindowEvent
from maintenance.timeline_view import Found, sentence
from portal.audit_rows import Row, TimelineSource, register_timeline
from portal.models import User


def register() -> None:
    register_timeline(TimelineSource(WindowEvent, "window__involved__organisation", rows, events))


def events(user: User) -> QuerySet[WindowEvent]:
    return WindowEvent.objects.visible_to(user).select_related("window")


def rows(found: list[Any], user: User) -> list[Row]:
    named = Found(found, user)
    return [row(event, named) for event in found]


def row(event: WindowEvent, named: Found) -> Row:
    return Row(
        at=event.at,
        who=str(event.by) if event.by else _("The portal"),
        sentence=sentence(event, named),
        about=event.window.reference,
        url=reverse("admin:maintenance_maintenancewindow_change", args=[event.window_id]),
        group=_("Maintenance"),
        is_internal=not event.is_public,
    )
