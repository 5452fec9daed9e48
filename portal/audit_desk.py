"""The audit on the staff desk: everything, by person, organisation, kind, subject and time, beside the timelines."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from portal.access import person_of
from portal.admin_base import RoleAdmin
from portal.audit_rows import FilterForm, page_of, timeline_rows
from portal.audit_seal import newest_seal
from portal.audit_views import pages_of, plain_query
from portal.forms import LongSelect
from portal.models import AuditEntry, AuditQuerySet, Organisation, StaffRole, User

READERS = (
    StaffRole.HEAD_OF_SUPPORT
)  # the least role: who runs incidents needs it not, who answers for them does


class StaffFilterForm(FilterForm):
    """The same with any organisation, and any person by address: a list of all would be long."""

    organisation: forms.ModelChoiceField = forms.ModelChoiceField(
        label=gettext_lazy("Organisation"),
        required=False,
        queryset=None,
        empty_label=gettext_lazy("All"),
        widget=LongSelect,
    )
    person = forms.CharField(label=gettext_lazy("Person (e-mail)"), required=False, max_length=254)  # type: ignore[assignment]
    field_order = ["group", "organisation", "person", "subject", "since", "until", "before"]

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, people=User.objects.none(), **kwargs)
        self.fields["organisation"].queryset = Organisation.objects.visible_to(user).order_by("name")  # type: ignore[attr-defined]

    def clean_person(self) -> User | None:
        address = self.cleaned_data["person"].strip().lower()
        if not address:
            return None
        found = User.objects.filter(email=address).first()
        if found is None:
            raise forms.ValidationError(gettext_lazy("Nobody here has this e-mail address."))
        return found

    def narrow(self, entries: AuditQuerySet) -> AuditQuerySet:
        found = super().narrow(entries)
        organisation = self.cleaned_data["organisation"]
        return found.filter(organisation=organisation) if organisation else found


@admin.register(AuditEntry)
class AuditEntryAdmin(RoleAdmin):
    """Read only. The list is a page of ours: it never counts, and shows the timelines beside the audit."""

    list_display = ["at", "kind", "by", "organisation", "subject"]
    fields = ["at", "kind", "by", "on_behalf_of", "organisation", "subject", "facts", "origin_digest"]

    def get_queryset(self, request: HttpRequest) -> AuditQuerySet:
        return AuditEntry.objects.visible_to(person_of(request))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        user = person_of(request)
        form = StaffFilterForm(plain_query(request), user=user)
        is_valid, older = form.is_valid(), None
        context: dict[str, Any] = {"form": form, "rows": [], "events": [], "seal": newest_seal()}
        if is_valid:
            context["rows"], older = page_of(form.narrow(self.get_queryset(request)), is_staff=True)
            context["events"] = self._events(user, form)
        context |= pages_of(request, older)
        return render(request, "admin/portal/auditentry/list.html", context, status=200 if is_valid else 400)

    def _events(self, user: User, form: StaffFilterForm) -> Any:
        """What they did to incidents and maintenance; once somebody or something is asked for, and on the first page."""
        given = form.cleaned_data
        asked = {name: given[name] for name in ("person", "organisation")}
        if not any(asked.values()) or given["before"] or given["group"] or given["subject"]:
            return []
        return timeline_rows(user, period=form.period(), **asked)
