"""RCAs on the staff desk: what is owed and by when, the editor, the verbs as dialogs, each reader's preview."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Least
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from incidents import actions, desk, rca_notify
from incidents.models import RCA, Channel, Clock, Incident, PreventionAction, RCAComment, RCACopy, RCARemark
from incidents.rca_document import context_of
from incidents.rca_forms import ACTION_VERBS, VERBS, AnswerForm, Editor, RCAVerb, RCAVerbForm, RecurrenceForm
from incidents.rca_reading import actions_of, preview, readers_of
from incidents.standard_rca import TEXT_LABELS
from portal.access import is_agent, person_of
from portal.admin_base import RoleAdmin
from portal.models import Organisation
from portal.templatetags.portal_tags import moment, relative_text

FINISHED_LISTS = (
    "published",
    "all",
)  # the newest first: what their clocks say is asked for the shown rows alone
RELATED = ("incident", "window", "author", "reviewer")


def with_due(rcas: QuerySet[RCA]) -> QuerySet[RCA]:
    """Each with `owed_until`: when its clock, the earliest of its readers' clocks, or its window's promise is due."""
    clocks = Clock.objects.filter(kind="rca", ended_at=None).order_by("due_at", "pk").values("due_at")
    # Two questions, each with an index of its own: put as one, all open clocks are read for every RCA.
    own = Subquery(clocks.filter(incident=OuterRef("incident"))[:1])
    children = Incident.objects.filter(parent=OuterRef(OuterRef("incident"))).values("pk")
    readers = Subquery(clocks.filter(incident__in=children)[:1])
    earliest = Least(Coalesce(own, readers), Coalesce(readers, own))  # a null counts for nothing
    return rcas.annotate(owed_until=Coalesce(earliest, F("due_at")))


def owed() -> list[int]:
    """Ids of the RCAs that somebody waits for: not yet published, or with a clock that runs for one of its readers."""
    clocks = Clock.objects.filter(kind="rca", ended_at=None).values_list("incident", "incident__parent")
    waiting = {incident for pair in clocks for incident in pair if incident}
    unpublished = RCA.objects.exclude(status="published").values_list("pk", flat=True)
    return [*unpublished, *RCA.objects.filter(incident__in=waiting).values_list("pk", flat=True)]


class ShowFilter(admin.SimpleListFilter):
    """What is still owed, unless staff ask for more."""

    title = gettext_lazy("state")
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("owed", gettext_lazy("Owed")),
            ("review", gettext_lazy("In review")),
            ("published", gettext_lazy("Published")),
            ("actions", gettext_lazy("With open prevention actions")),
            ("all", gettext_lazy("All")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.value() or "owed"
        if chosen == "owed":
            return queryset.filter(pk__in=owed())
        if chosen == "review":
            return queryset.filter(status="in_review")
        if chosen == "published":
            return queryset.filter(status="published")
        if chosen == "actions":
            is_open = PreventionAction.objects.filter(
                state__in=["open", "in_progress"], first_due_on__isnull=False
            )
            return queryset.filter(pk__in=is_open.values("rca"))
        return queryset

    def choices(self, changelist: Any) -> Any:
        for name, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "owed") == name,
                "query_string": changelist.get_query_string({self.parameter_name: name}),
                "display": title,
            }


@admin.register(RCA)
class RCAAdmin(RoleAdmin):
    """The list: what is due soonest first. An RCA is changed by verbs only, so its page is a desk of its own."""

    list_display = ["due", "what", "state", "author", "reviewer"]
    list_display_links = ["what"]
    list_filter = [ShowFilter]
    list_select_related = RELATED
    search_fields = ["incident__title", "window__title"]

    class Media:
        css = {"all": ["css/tokens.css", "css/labels.css", "css/desk.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[RCA]:
        return with_due(RCA.objects.visible_to(person_of(request)))

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        if request.GET.get("show") in FINISHED_LISTS:
            return ["-pk"]
        return [F("owed_until").asc(nulls_last=True), "-pk"]

    @admin.display(description=gettext_lazy("Due"))
    def due(self, rca: Any) -> str | SafeString:
        if rca.owed_until is None or (rca.window_id and rca.first_published_at):
            return "—"
        now = timezone.now()
        look = "breached" if rca.owed_until < now else "running"
        words = relative_text(rca.owed_until, now)
        return format_html('<span class="label label-{}">{}</span> {}', look, words, moment(rca.owed_until))

    @admin.display(description=gettext_lazy("RCA"))
    def what(self, rca: RCA) -> str:
        return f"{rca.reference} {rca.subject.title}"

    @admin.display(description=gettext_lazy("State"), ordering="status")
    def state(self, rca: RCA) -> SafeString:
        return format_html('<span class="label">{}</span>', state_word(rca))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/text/", wrap(text_page), name="incidents_rca_text"),
            path("<int:pk>/do/<slug:verb>/", wrap(use_verb), name="incidents_rca_do"),
            path("<int:pk>/answer/", wrap(answer), name="incidents_rca_answer"),
            path(
                "<int:pk>/actions/<int:number>/<slug:verb>/",
                wrap(use_action_verb),
                name="incidents_rca_action",
            ),
            path("<int:pk>/as/<slug:slug>/", wrap(as_organisation), name="incidents_rca_as"),
            path("recurrence/<int:incident>/", wrap(recurrence), name="incidents_rca_recurrence"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied
        return rca_page(request, object_id)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return rca_page(request, object_id)


def state_word(rca: RCA) -> str:
    is_approved = rca.status == RCA.Status.IN_REVIEW and rca.reviewed_at is not None
    return _("Approved") if is_approved else str(rca.get_status_display())


def get_rca(request: HttpRequest, pk: int | str) -> RCA:
    """The RCA for a member of staff; PermissionDenied for anybody else."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    if not str(pk).isdecimal():
        raise Http404
    visible = with_due(RCA.objects.visible_to(person_of(request)))
    return get_object_or_404(visible.select_related(*RELATED), pk=int(pk))


# --- its page ---


def rca_page(
    request: HttpRequest, pk: int | str, form: AnswerForm | None = None, status: int = 200
) -> HttpResponse:
    rca = get_rca(request, pk)
    user = person_of(request)
    copies = RCACopy.objects.filter(version__rca=rca).select_related("version", "organisation", "accepted_by")
    context = {
        "rca": rca,
        "now": timezone.now(),
        "state_word": state_word(rca),
        "verbs": [verb for verb in VERBS.values() if not actions.may_rca(verb.name, rca, user)],
        "is_draft": rca.status == RCA.Status.DRAFT,
        "texts": [(TEXT_LABELS[name], getattr(rca, name)) for name in RCA.TEXTS],
        "moments": rca.moments.all(),
        "actions": [(action, action_verbs(action, request)) for action in actions_of(rca)],
        "redactions": rca.redactions.select_related("organisation"),
        "readers": readers_of(rca),
        "copies": copies.order_by("-version__number", "organisation__name"),
        "comments": RCAComment.objects.filter(rca=rca)
        .select_related("author", "organisation")
        .order_by("pk"),
        "answer_form": form or AnswerForm(user=user),
        "returned": RCARemark.objects.filter(rca=rca, action=None).select_related("author").last(),
    }
    return render(request, "admin/incidents/rca/desk.html", context, status=status)


def action_verbs(action: PreventionAction, request: HttpRequest) -> list[RCAVerb]:
    """What the desk offers for an action: once it is published, and while it is open."""
    if action.first_due_on is None or not action.is_open:
        return []
    offered = [
        v for v in ACTION_VERBS.values() if not actions.may_rca(v.name, action.rca, person_of(request))
    ]
    return [verb for verb in offered if verb.name != "start_action" or action.state == "open"]


@require_safe
def as_organisation(request: HttpRequest, pk: int, slug: str) -> HttpResponse:
    """The page as one organisation would read it. Writes nothing."""
    rca = get_rca(request, pk)
    organisation = next((reader for reader in readers_of(rca) if reader.slug == slug), None)
    if organisation is None:
        raise Http404
    shown = preview(rca, organisation, by=person_of(request), now=timezone.now())
    context = context_of(shown) | {"rca": rca, "organisation": organisation}
    return render(request, "admin/incidents/rca/as.html", context)


# --- the editor ---


@require_http_methods(["GET", "HEAD", "POST"])
def text_page(request: HttpRequest, pk: int) -> HttpResponse:
    rca = get_rca(request, pk)
    if request.method != "POST":
        return editor_page(request, rca, Editor(rca), 200)
    editor = Editor(rca, request.POST)
    if not editor.is_valid():
        return editor_page(request, rca, editor, 400)
    try:
        actions.save_rca(
            rca, by=person_of(request), now=timezone.now(), channel=Channel.ADMIN, **editor.inputs()
        )
    except actions.Refused as refused:
        return refused_text(request, rca, editor, refused)
    messages.success(request, _("The text is kept. Nobody but staff reads it yet."))
    return redirect("admin:incidents_rca_change", rca.pk)


def refused_text(request: HttpRequest, rca: RCA, editor: Editor, refused: actions.Refused) -> HttpResponse:
    """The typed text stays; where somebody was faster, what stands there now is shown beside it."""
    now_there: list[tuple[Any, str]] = []
    if refused.kind == "stale":
        rca.refresh_from_db()
        now_there = differing(rca, editor)
        data = request.POST.copy()
        data["revision"] = str(rca.revision)
        editor = Editor(rca, data)
        editor.is_valid()
    editor.texts.add_error(refused.field if refused.field in editor.texts.fields else None, refused.reason)
    return editor_page(request, rca, editor, refused.status, now_there)


def differing(rca: RCA, editor: Editor) -> list[tuple[Any, str]]:
    """What stands in the RCA now, where it is not what was typed."""
    typed = editor.inputs()
    found: list[tuple[Any, str]] = [
        (TEXT_LABELS[name], getattr(rca, name))
        for name in RCA.TEXTS
        if getattr(rca, name) != typed["texts"][name]
    ]
    moments = [(row.at, row.text) for row in rca.moments.all()]
    if moments != sorted((row.at, row.text) for row in typed["moments"]):
        found.append((_("Timeline"), "\n".join(f"- {moment(at)}: {text}" for at, text in moments)))
    there = [action for action in actions_of(rca) if action.first_due_on is None]
    if [action.text for action in there] != [row.text for row in typed["actions"]]:
        found.append((_("Prevention plan"), "\n".join(f"- {action.text}" for action in there)))
    return found


def editor_page(
    request: HttpRequest,
    rca: RCA,
    editor: Editor,
    status: int,
    now_there: list[tuple[Any, str]] | None = None,
) -> HttpResponse:
    context = {
        "rca": rca,
        "editor": editor,
        "form": editor.texts,
        "now_there": now_there or [],
        "refusal": actions.may_rca("save_rca", rca, person_of(request)),
    }
    return render(request, "admin/incidents/rca/text.html", context, status=status)


# --- verbs ---


@require_http_methods(["GET", "HEAD", "POST"])
def use_verb(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """GET shows a verb's form, POST uses it."""
    rca, offered = get_rca(request, pk), VERBS.get(verb)
    if offered is None:
        raise Http404
    return carry_out(request, rca, offered, rca)


@require_http_methods(["GET", "HEAD", "POST"])
def use_action_verb(request: HttpRequest, pk: int, number: int, verb: str) -> HttpResponse:
    rca, offered = get_rca(request, pk), ACTION_VERBS.get(verb)
    action = get_object_or_404(PreventionAction.objects.select_related("rca"), rca=rca, number=number)
    if offered is None:
        raise Http404
    return carry_out(request, rca, offered, action)


def carry_out(request: HttpRequest, rca: RCA, verb: RCAVerb, subject: RCA | PreventionAction) -> HttpResponse:
    if request.method != "POST":
        return verb_page(request, rca, verb, verb.form(initial={"revision": rca.revision}), subject, 200)
    form = verb.form(request.POST)
    if not form.is_valid():
        return verb_page(request, rca, verb, form, subject, 400)
    try:
        verb.verb(subject, by=person_of(request), now=timezone.now(), channel=Channel.ADMIN, **form.inputs())
    except actions.Refused as refused:
        if refused.kind == "stale":
            data = request.POST.copy()
            data["revision"] = str(RCA.objects.get(pk=rca.pk).revision)
            form = verb.form(data)
            form.is_valid()
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return verb_page(request, rca, verb, form, subject, refused.status)
    messages.success(request, _("%(verb)s: done.") % {"verb": verb.title})
    return redirect("admin:incidents_rca_change", rca.pk)


def verb_page(
    request: HttpRequest,
    rca: RCA,
    verb: RCAVerb,
    form: RCAVerbForm,
    subject: RCA | PreventionAction,
    status: int,
) -> HttpResponse:
    tells = verb.name in ("publish_rca", "move_action", "close_action", "drop_action")
    now = timezone.now()
    context = {
        "rca": rca,
        "verb": verb,
        "form": form,
        "action": subject if isinstance(subject, PreventionAction) else None,
        "refusal": actions.may_rca(verb.name, rca, person_of(request)),
        "told": [(o, rca_notify.of_organisation(rca, o, now)) for o in readers_of(rca)] if tells else [],
    }
    name = "_verb" if "fragment" in request.GET else "verb"
    return render(request, f"admin/incidents/rca/{name}.html", context, status=status)


@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Staff answer one organisation; no other reads it."""
    rca = get_rca(request, pk)
    form = AnswerForm(request.POST, user=person_of(request))
    if form.is_valid():
        organisation: Organisation = form.cleaned_data["organisation"]
        try:
            actions.comment_rca(
                rca,
                by=person_of(request),
                now=timezone.now(),
                channel=Channel.ADMIN,
                organisation=organisation,
                text=form.cleaned_data["text"],
            )
        except actions.Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        else:
            messages.success(request, _("Your answer is on the page of %(name)s.") % {"name": organisation})
            return redirect("admin:incidents_rca_change", rca.pk)
    return rca_page(request, rca.pk, form, 400)


@require_http_methods(["GET", "HEAD", "POST"])
def recurrence(request: HttpRequest, incident: int) -> HttpResponse:
    """Link an incident to the action that should have prevented it."""
    made = desk.get_incident(request, incident)
    form = RecurrenceForm(request.POST if request.method == "POST" else None, user=person_of(request))
    if request.method == "POST" and form.is_valid():
        try:
            actions.link_recurrence(
                made,
                form.cleaned_data["action"],
                by=person_of(request),
                now=timezone.now(),
                channel=Channel.ADMIN,
            )
        except actions.Refused as refused:
            form.add_error(None, refused.reason)
        else:
            messages.success(request, _("The two are linked: the incident's page says so."))
            return redirect("admin:incidents_incident_change", made.pk)
    status = 400 if form.errors else 200
    return render(
        request, "admin/incidents/rca/recurrence.html", {"form": form, "incident": made}, status=status
    )
