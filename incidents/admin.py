"""The staff desk: the queue ordered by what is due next, and agreements, articles and texts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents import (
    alarm_desk,
    bridge_view,
    desk,
    inbox_desk,
    outage_desk,
    plan_desk,
    promise_desk,
    rca_desk,
    rota_desk,
    scan_desk,
)
from incidents.models import (
    Article,
    ArticleVersion,
    CannedText,
    CommunicationPlan,
    InboundMessage,
    Incident,
    Shift,
    SLAPolicy,
    SLAPolicyVersion,
    SLATarget,
    Status,
    SupportPlan,
)
from incidents.models.plans import fill
from incidents.search import BEST_FIRST, search
from portal.access import person_of
from portal.admin_base import HistoryAdmin, OneOfManyFilter, RoleAdmin, RoleTabularInline
from portal.templatetags.portal_tags import moment, relative_text

__all__ = ["alarm_desk", "rca_desk", "scan_desk"]  # their pages register themselves


class ViewFilter(admin.SimpleListFilter):
    """The saved views of the queue."""

    title = gettext_lazy("view")
    parameter_name = "view"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, title) for name, (title, _narrow) in desk.VIEWS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = desk.VIEWS.get(self.value() or "open")
        return chosen[1](queryset, person_of(request), timezone.now()) if chosen else queryset

    def choices(self, changelist: Any) -> Any:
        for name, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "open") == name,
                "query_string": changelist.get_query_string({self.parameter_name: name}),
                "display": title,
            }


@admin.register(Incident)
class IncidentAdmin(RoleAdmin):
    """The queue. An incident is changed by verbs only, so its page is the desk, not a form."""

    list_display = ["due", "level_label", "what", "organisation", "state_label", "assignee"]
    list_display_links = ["what"]
    list_filter = [ViewFilter, "level", "status", ("organisation", OneOfManyFilter)]
    list_select_related = ["organisation", "assignee"]
    list_per_page = 50
    search_fields = ["title"]  # the box is there; what is found is the search's (get_search_results)
    list_before_template = "admin/incidents/incident/_views.html"

    class Media:
        css = {"all": ["css/tokens.css", "css/labels.css", "css/desk.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        return bridge_view.with_open_bridge(Incident.objects.visible_to(person_of(request)))

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """What is open stands in the order of what is due next, the rest newest first."""
        if request.GET.get(ViewFilter.parameter_name, "open") in desk.FINISHED_VIEWS:
            return ["-pk"]
        return [F("next_due_at").asc(nulls_last=True), "pk"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        chosen = request.GET.get(ViewFilter.parameter_name, "open")
        views = [(name, title, name == chosen) for name, (title, _narrow) in desk.VIEWS.items()]
        return super().changelist_view(request, {"views": views} | (extra_context or {}))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Best first, unless a column's head was pressed."""
        found = search(queryset, search_term, person_of(request))
        is_ordered = "o" in request.GET or not search_term.strip()
        return (found if is_ordered else found.order_by(*BEST_FIRST)), False

    @admin.display(description=gettext_lazy("Next due"), ordering="next_due_at")
    def due(self, incident: Incident) -> str | SafeString:
        if incident.status == Status.WAITING_FOR_CUSTOMER and not incident.next_due_at:
            return format_html('<span class="label label-paused">{}</span>', _("waits for the customer"))
        if not incident.next_due_at or not incident.is_unresolved:
            return "—"
        now = timezone.now()
        look = "breached" if incident.next_due_at < now else "running"
        return format_html(
            '<span class="label label-{}">{}</span> {}',
            look,
            relative_text(incident.next_due_at, now),
            moment(incident.next_due_at),
        )

    @admin.display(description=gettext_lazy("Level"), ordering="level")
    def level_label(self, incident: Incident) -> SafeString:
        claimed = "" if incident.validated_level else _("claimed")
        return format_html('<span class="level">{}</span> {}', incident.level, claimed)

    @admin.display(description=gettext_lazy("Incident"), ordering="pk")
    def what(self, incident: Incident) -> SafeString:
        labels = [("major", _("Major incident"))] if incident.is_major else []
        if getattr(incident, "has_open_bridge", False):
            labels.append(("met", _("bridge open")))
        shown = format_html_join("", ' <span class="label label-{}">{}</span>', labels)
        return format_html("{} {}{}", incident.reference, incident.title, shown)

    @admin.display(description=gettext_lazy("Status"), ordering="status")
    def state_label(self, incident: Incident) -> SafeString:
        look = "paused" if incident.status == Status.WAITING_FOR_CUSTOMER else "plain"
        return format_html('<span class="label label-{}">{}</span>', look, incident.get_status_display())

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/do/<slug:verb>/", wrap(desk.use_verb), name="incidents_incident_do"),
            path("<int:pk>/outage/", wrap(outage_desk.outage_page), name="incidents_incident_outage"),
            path("<int:pk>/outage/<slug:act>/", wrap(outage_desk.act), name="incidents_incident_outage_act"),
            path("<int:pk>/timeline/", wrap(desk.timeline), name="incidents_incident_timeline"),
            path("<int:pk>/now/", wrap(desk.now_fragment), name="incidents_incident_now"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied
        return desk.incident_page(request, object_id)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return desk.open_page(request)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return desk.incident_page(request, object_id)


# --- what comes in ---


class InboxFilter(admin.SimpleListFilter):
    """What waits for staff, unless they ask for more."""

    title = gettext_lazy("state")
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("waiting", gettext_lazy("Held or set aside")),
            *InboundMessage.State.choices,
            ("all", gettext_lazy("All")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.value() or "waiting"
        states = ["held", "set_aside"] if chosen == "waiting" else [chosen]
        return queryset if chosen == "all" else queryset.filter(state__in=states)

    def choices(self, changelist: Any) -> Any:
        for name, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "waiting") == name,
                "query_string": changelist.get_query_string({self.parameter_name: name}),
                "display": title,
            }


@admin.register(InboundMessage)
class InboxAdmin(RoleAdmin):
    """All that came in, and what became of it. Decisions have a page of their own."""

    list_display = ["received_at", "what", "sender", "came_by", "state", "outcome", "reason", "incident"]
    list_display_links = ["what"]
    list_filter = [InboxFilter, "kind"]
    list_select_related = ["incident", "endpoint"]
    search_fields = ["sender", "subject"]

    @admin.display(description=gettext_lazy("Subject"), ordering="subject")
    def what(self, message: InboundMessage) -> str:
        return message.subject or _("(no subject)")

    @admin.display(description=gettext_lazy("Came by"), ordering="kind")
    def came_by(self, message: InboundMessage) -> str:
        return str(message.endpoint or message.get_kind_display())

    @admin.display(description=gettext_lazy("Reason"))
    def reason(self, message: InboundMessage) -> str:
        return _(message.state_reason)[:200] if message.state_reason else ""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:pk>/decide/<slug:decision>/",
                wrap(inbox_desk.decide),
                name="incidents_inboundmessage_decide",
            ),
            path("<int:pk>/again/", wrap(inbox_desk.read_again), name="incidents_inboundmessage_again"),
            path("<int:pk>/raw/", wrap(inbox_desk.raw), name="incidents_inboundmessage_raw"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied
        return inbox_desk.message_page(request, object_id)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return inbox_desk.message_page(request, object_id)


# --- agreements ---


class TargetInline(RoleTabularInline):
    model = SLATarget

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not is_agreed(obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request, obj) and not is_agreed(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_agreed(obj)


def is_agreed(version: SLAPolicyVersion | None) -> bool:
    """Whether anybody was promised this version: then it never changes."""
    if version is None or version.pk is None:
        return False
    return version.support_plans.exists() or Incident.objects.filter(policy_version=version).exists()


@admin.register(SLAPolicy)
class SLAPolicyAdmin(HistoryAdmin):
    list_display = ["name"]
    search_fields = ["name"]


class PolicyVersionForm(forms.ModelForm):
    class Meta:
        model = SLAPolicyVersion
        fields = ["policy", "note"]


@admin.register(SLAPolicyVersion)
class SLAPolicyVersionAdmin(RoleAdmin):
    """Adding a version copies the targets of the one before; an agreed one is read only."""

    form = PolicyVersionForm
    list_display = ["__str__", "note", "created_at", "created_by"]
    search_fields = ["policy__name"]
    inlines = [TargetInline]

    change_form_before_template = "admin/incidents/slapolicyversion/_move.html"

    def get_urls(self) -> list[URLPattern]:
        move = self.admin_site.admin_view(promise_desk.move_page)
        return [path("move/", move, name="incidents_slapolicyversion_move"), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: SLAPolicyVersion | None = None) -> list[str]:
        return ["policy"] if obj else []

    def get_inlines(self, request: HttpRequest, obj: SLAPolicyVersion | None) -> list[Any]:
        return self.inlines if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not is_agreed(obj)

    def save_model(self, request: HttpRequest, obj: SLAPolicyVersion, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        before = obj.policy.versions.order_by("-number").first()
        obj.number = before.number + 1 if before else 1
        obj.created_at, obj.created_by = timezone.now(), person_of(request)
        super().save_model(request, obj, form, change)
        for target in before.targets.all() if before else []:
            target.pk, target.version = None, obj
            target.save()

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        continue_url = reverse("admin:incidents_slapolicyversion_change", args=[obj.pk])
        return super().response_add(request, obj, continue_url)


@admin.register(CommunicationPlan)
class CommunicationPlanAdmin(HistoryAdmin):
    """Who hears what and who is called when, level by level. A new plan starts with the standard's rows."""

    list_display = ["name", "reminder_days", "close_days"]
    search_fields = ["name"]
    inlines = plan_desk.INLINES
    change_form_before_template = "admin/incidents/communicationplan/_warnings.html"

    def get_inlines(self, request: HttpRequest, obj: CommunicationPlan | None) -> list[Any]:
        return self.inlines if obj else []

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        plan = self.get_object(request, object_id)
        warnings = {"silence": plan_desk.plan_warnings(plan) if plan else []}
        return super().change_view(request, object_id, form_url, warnings | (extra_context or {}))

    def response_post_save_add(self, request: HttpRequest, obj: CommunicationPlan) -> HttpResponse:
        return redirect("admin:incidents_communicationplan_change", obj.pk)  # to edit the standard's rows

    def save_model(self, request: HttpRequest, obj: CommunicationPlan, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            fill(obj)  # a new plan starts with the standard's rules and steps, to be edited


PLAN_PARTS = ["organisation", "policy_version", "calendar", "communication_plan", "maintenance_plan"]


@admin.register(SupportPlan)
class SupportPlanAdmin(HistoryAdmin):
    list_display = [*PLAN_PARTS, "has_dedicated_channel", "has_bridge"]
    list_select_related = [*PLAN_PARTS, "policy_version__policy"]
    autocomplete_fields = PLAN_PARTS
    change_form_before_template = "admin/incidents/supportplan/_move.html"


admin.site.register(Shift, rota_desk.ShiftAdmin)


@admin.register(CannedText)
class CannedTextAdmin(HistoryAdmin):
    list_display = ["title"]
    search_fields = ["title", "text"]


# --- knowledge ---


class ArticleForm(forms.ModelForm):
    """An article with the text of its next version."""

    title = forms.CharField(label=gettext_lazy("Title"), max_length=200)
    text = forms.CharField(
        label=gettext_lazy("Text"), widget=forms.Textarea, help_text=gettext_lazy("Markdown.")
    )
    is_published_now = forms.BooleanField(
        label=gettext_lazy("Publish this text"),
        required=False,
        help_text=gettext_lazy("Otherwise it is kept as a draft."),
    )

    class Meta:
        model = Article
        fields = ["slug", "organisation"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        latest = self.instance.versions.order_by("-number").first() if self.instance.pk else None
        if latest:
            self.fields["title"].initial, self.fields["text"].initial = latest.title, latest.text


class ArticleVersionInline(RoleTabularInline):
    model = ArticleVersion
    fk_name = "article"
    fields = ["number", "title", "author", "written_at", "published_at"]


@admin.register(Article)
class ArticleAdmin(RoleAdmin):
    form = ArticleForm
    list_display = ["__str__", "slug", "organisation", "is_published"]
    list_select_related = ["published_version", "organisation"]
    search_fields = ["slug", "versions__title"]
    autocomplete_fields = ["organisation"]
    inlines = [ArticleVersionInline]

    @admin.display(boolean=True, description=gettext_lazy("Published"))
    def is_published(self, article: Article) -> bool:
        return article.published_version_id is not None

    def save_model(self, request: HttpRequest, obj: Article, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        desk.write_version(
            obj,
            by=person_of(request),
            now=timezone.now(),
            title=form.cleaned_data["title"],
            text=form.cleaned_data["text"],
            is_published=form.cleaned_data["is_published_now"],
        )
