"""Maintenance on the staff desk: windows, freezes and the plans that promise notice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from maintenance import desk, draft_desk, window_view
from maintenance.models import Consent, Freeze, MaintenancePlan, MaintenanceWindow, Status
from maintenance.models.window import OVER, RUNNING, WindowQuerySet
from portal.access import person_of
from portal.admin_base import HistoryAdmin, OneOfManyFilter, RoleAdmin
from portal.templatetags.portal_tags import moment, relative_text


def is_asking(now: datetime) -> Exists:
    """Whether a consent of the window is missing that it does not start without."""
    return Exists(Consent.objects.unsettled().filter(window=OuterRef("pk")))


View = Callable[[WindowQuerySet, datetime], WindowQuerySet]
VIEWS: dict[str, tuple[Any, View]] = {
    "open": (_("Planned and running"), lambda q, now: q.exclude(status__in=OVER)),
    "running": (_("Running"), lambda q, now: q.filter(status__in=RUNNING)),
    "approval": (
        _("Needs approval"),
        lambda q, now: q.filter(
            Q(status=Status.PROPOSED) | Q(extension_until__isnull=False, status__in=RUNNING)
        ),
    ),
    "upcoming": (_("Upcoming"), lambda q, now: q.filter(status__in=[Status.APPROVED, Status.ANNOUNCED])),
    "consents": (
        _("Consents open"),
        lambda q, now: q.exclude(status__in=[*OVER, *RUNNING]).filter(is_asking(now)),
    ),
    "drafts": (_("Drafts"), lambda q, now: q.filter(status=Status.DRAFT)),
    "over": (_("Over"), lambda q, now: q.filter(status__in=OVER)),
    "all": (_("All"), lambda q, now: q),
}


class ViewFilter(admin.SimpleListFilter):
    """The saved views of the list."""

    title = _("view")
    parameter_name = "view"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, title) for name, (title, _narrow) in VIEWS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = VIEWS.get(self.value() or "open")
        return chosen[1](queryset, timezone.now()) if chosen else queryset

    def choices(self, changelist: Any) -> Any:
        for name, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "open") == name,
                "query_string": changelist.get_query_string({self.parameter_name: name}),
                "display": title,
            }


@admin.register(MaintenanceWindow)
class WindowAdmin(RoleAdmin):
    """The list of windows. A window is changed by verbs only, so its page is the desk, not a form."""

    list_display = ["due", "what", "services", "state_label", "owner"]
    list_display_links = ["what"]
    list_filter = [ViewFilter, "status"]
    list_per_page = 50
    search_fields = ["title", "description"]
    list_before_template = "admin/incidents/incident/_views.html"

    class Media:
        css = {"all": ["css/tokens.css", "css/labels.css", "css/desk.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return window_view.rows_for(
            MaintenanceWindow.objects.visible_to(person_of(request)),
            window_view.organisations_of(person_of(request)),
        )

    def get_ordering(self, request: HttpRequest) -> list[str]:
        chosen = request.GET.get(ViewFilter.parameter_name, "open")
        return ["-starts_at", "-pk"] if chosen in ("over", "all") else ["starts_at", "pk"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        chosen = request.GET.get(ViewFilter.parameter_name, "open")
        views = [(name, title, name == chosen) for name, (title, _narrow) in VIEWS.items()]
        return super().changelist_view(request, {"views": views} | (extra_context or {}))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        found, distinct = super().get_search_results(request, queryset, search_term)
        if search_term.strip():
            named = MaintenanceWindow.objects.by_reference(search_term.strip().upper())
            found |= queryset.filter(pk__in=named.values("pk"))
        return found, distinct

    @admin.display(description=_("Due"), ordering="starts_at")
    def due(self, window: MaintenanceWindow) -> str | SafeString:
        now = timezone.now()
        promise = next(iter(window_view.promises(window, now)), None)
        if promise is None:
            return "—"
        look = "breached" if promise.is_late else "plain"
        return format_html(
            '<span class="label label-{}">{}</span> {} {}',
            look,
            relative_text(promise.at, now),
            promise.label,
            moment(promise.at),
        )

    @admin.display(description=_("Maintenance window"), ordering="pk")
    def what(self, window: Any) -> str | SafeString:
        words = f"{window.reference} {window.title}"
        if not window.is_asking or window.is_over or window.is_running:
            return words
        return format_html('{} <span class="label label-warned">{}</span>', words, _("consent open"))

    @admin.display(description=_("Services"))
    def services(self, window: Any) -> str:
        return ", ".join(f"{row.service.name} ({row.get_impact_display()})" for row in window.shown_services)

    @admin.display(description=_("Status"), ordering="status")
    def state_label(self, window: MaintenanceWindow) -> SafeString:
        look = window_view.LOOKS[Status(window.status)]
        return format_html('<span class="label label-{}">{}</span>', look, window.get_status_display())

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "maintenance_maintenancewindow"
        return [
            path("check/", wrap(draft_desk.check), name=f"{name}_check"),
            path("<int:pk>/edit/", wrap(draft_desk.edit_page), name=f"{name}_edit"),
            path("<int:pk>/do/<slug:verb>/", wrap(desk.use_verb), name=f"{name}_do"),
            path("<int:pk>/do/<slug:verb>/<int:part>/", wrap(desk.use_verb), name=f"{name}_do_part"),
            path("<int:pk>/timeline/", wrap(desk.timeline), name=f"{name}_timeline"),
            path("<int:pk>/now/", wrap(desk.now_fragment), name=f"{name}_now"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied
        return self._page(request, object_id)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return draft_desk.add_page(request)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return self._page(request, object_id)

    def _page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Its desk, which tells of every organisation; who is limited reads the page that their customers read."""
        if not person_of(request).is_limited:
            return desk.window_page(request, object_id)
        is_number = object_id.isdecimal() and len(object_id) <= desk.MOST_DIGITS
        return redirect(get_object_or_404(self.get_queryset(request), pk=int(object_id) if is_number else 0))


class FreezeFilter(admin.SimpleListFilter):
    """Those that matter still, unless somebody asks for all."""

    title = _("state")
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("standing", _("Now and upcoming")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        return queryset.standing().filter(ends_at__gt=timezone.now())

    def choices(self, changelist: Any) -> Any:
        for name, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "standing") == name,
                "query_string": changelist.get_query_string({self.parameter_name: name}),
                "display": title,
            }


@admin.register(Freeze)
class FreezeAdmin(RoleAdmin):
    """Customers' freezes; entered for them and withdrawn by verbs."""

    list_display = ["reason", "organisation", "service", "starts_at", "ends_at", "entered_by", "withdrawn_at"]
    list_filter = [FreezeFilter, ("organisation", OneOfManyFilter)]
    list_select_related = ["organisation", "service", "entered_by"]
    search_fields = ["reason", "organisation__name"]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        withdrawal = wrap(draft_desk.freeze_withdrawal)
        return [
            path("<int:pk>/withdrawal/", withdrawal, name="maintenance_freeze_withdrawal"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied
        return draft_desk.freeze_detail(request, object_id)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return draft_desk.freeze_page(request)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied
        return draft_desk.freeze_detail(request, object_id)


class PlanForm(forms.ModelForm):
    class Meta:
        model = MaintenancePlan
        fields = "__all__"  # noqa: DJ007 (the admin's fields are the model's own)

    def clean_reminder_minutes(self) -> Any:
        """No reminders is an empty list, whatever emptiness was typed."""
        return self.cleaned_data["reminder_minutes"] or []


@admin.register(MaintenancePlan)
class MaintenancePlanAdmin(HistoryAdmin):
    """Notice periods per impact, and reminders."""

    form = PlanForm
    list_display = [
        "name",
        "reduced_redundancy_notice_minutes",
        "degraded_notice_minutes",
        "outage_notice_minutes",
        "reminder_minutes",
    ]
    search_fields = ["name"]
