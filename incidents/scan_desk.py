"""Files that the scanner holds, on the staff desk. Nobody opens them; administrators delete what is infected."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents import scans
from incidents.models import Attachment, Incident
from portal.access import person_of
from portal.admin_base import RoleAdmin
from portal.models import StaffRole


@admin.register(Attachment)
class HeldFileAdmin(RoleAdmin):
    """What waits for the scanner, and what it found something in."""

    list_display = ["name", "incident", "scan", "scan_note", "scanned_at", "uploaded_by", "uploaded_at"]
    list_filter = ["scan"]
    list_select_related = ["incident__organisation", "uploaded_by"]
    fields = [
        *["name", "incident", "content_type", "size", "uploaded_by", "uploaded_at"],
        *["scan", "scan_note", "scanned_at"],
    ]
    actions = ["delete_file"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attachment]:
        held = (
            super().get_queryset(request).filter(scan__in=[Attachment.Scan.WAITING, Attachment.Scan.INFECTED])
        )
        return held.filter(incident__in=Incident.objects.visible_to(person_of(request)))

    def has_file_permission(self, request: HttpRequest) -> bool:
        return person_of(request).has_staff_role(StaffRole.ADMINISTRATOR)

    @admin.action(description=gettext_lazy("Delete infected files for good"), permissions=["file"])
    def delete_file(self, request: HttpRequest, queryset: Any) -> None:
        now, by = timezone.now(), person_of(request)
        done = sum(scans.remove_file(attachment, by=by, now=now) for attachment in queryset)
        messages.success(request, _("%(count)s files are deleted.") % {"count": done})
