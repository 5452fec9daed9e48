"""The incident's page on the staff desk: timeline, composer, and every verb as a dialog.

A GET only shows; a POST needs the CSRF token. A stale form shows what came in between and keeps its text.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from incidents import actions, bridge_view, notify, paging_view, present
from incidents.models import (
    RCA,
    Article,
    ArticleVersion,
    CannedText,
    Channel,
    Clock,
    Contest,
    CustomerEscalation,
    Incident,
    Status,
)
from incidents.models.incident import UNRESOLVED, IncidentQuerySet
from incidents.preview import Preview, preview
from incidents.rca_reading import prevented_by
from incidents.staff_forms import COMPOSER, STAFF_VERBS, StaffOpenForm, StaffVerb, VerbForm
from incidents.timeline_view import TimelineItem, timeline_items
from portal.access import is_agent, person_of
from portal.models import User

SOON = timedelta(minutes=60)
FOR_ALL = (
    "publish_status_update",
    "schedule_status_update",
    "release_held_update",
    "discard_status_update",
)
View = Callable[[IncidentQuerySet, User, datetime], IncidentQuerySet]


def majors(incidents: IncidentQuerySet) -> IncidentQuerySet:
    """Major incidents that owe anything still: a solution, or their RCA."""
    owed = Clock.objects.filter(incident=OuterRef("pk"), kind="rca", ended_at=None)
    return incidents.exclude(major_at=None).filter(Q(status__in=UNRESOLVED) | Exists(owed))


VIEWS: dict[str, tuple[Any, View]] = {
    "open": (gettext_lazy("Open"), lambda q, user, now: q.unresolved()),
    "breaching": (
        gettext_lazy("Breaching soon"),
        lambda q, user, now: q.unresolved().filter(next_due_at__lte=now + SOON),
    ),
    "major": (gettext_lazy("Major"), lambda q, user, now: majors(q)),
    "escalated": (
        gettext_lazy("Escalated by the customer"),
        lambda q, user, now: q.filter(customer_escalations__in=CustomerEscalation.objects.unanswered()),
    ),
    "not-validated": (
        gettext_lazy("Not validated"),
        lambda q, user, now: q.unresolved().filter(validated_level=""),
    ),
    "unassigned": (gettext_lazy("Unassigned"), lambda q, user, now: q.unresolved().filter(assignee=None)),
    "mine": (gettext_lazy("Mine"), lambda q, user, now: q.unresolved().filter(assignee=user)),
    "waiting": (
        gettext_lazy("Waiting for customer"),
        lambda q, user, now: q.filter(status=Status.WAITING_FOR_CUSTOMER),
    ),
    "update-due": (
        gettext_lazy("Update due"),
        lambda q, user, now: q.unresolved().filter(
            Q(next_update_at__lte=now + timedelta(minutes=15)) | Q(is_update_breached=True)
        ),
    ),
    "resolved": (
        gettext_lazy("Resolved, not confirmed"),
        lambda q, user, now: q.filter(status=Status.RESOLVED),
    ),
    "all": (gettext_lazy("All"), lambda q, user, now: q),
}


FINISHED_VIEWS = ("resolved", "all")  # not by what is due: hardly anything of them is


def get_incident(request: HttpRequest, pk: int | str) -> Incident:
    """The incident for a member of staff; PermissionDenied for anybody else."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    if not str(pk).isdecimal():
        raise Http404
    visible = Incident.objects.visible_to(person_of(request))
    return get_object_or_404(visible.select_related("organisation", "assignee", "reporter"), pk=int(pk))


def desk_context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    user, now = person_of(request), timezone.now()
    views = present.clock_views(incident, now)
    items = timeline_items(incident, user)
    pages = paging_view.last_pages(incident)
    offered = [verb for verb in STAFF_VERBS.values() if is_offered(verb, incident, user)]
    return {
        "incident": incident,
        "now": now,
        "headline": present.headline(incident, views),
        "clocks": present.current_clocks(views),
        "past_clocks": [view for view in views if not view.is_owed],
        "items": items,
        "services": incident.services.all(),
        "release": actions.planned_release(incident),
        "alarms": present.alarms_of(incident, user),
        "window": present.window_of(incident, user),
        "pending": actions.pending_update(incident),
        "escalation": present.escalation_of(incident, now),
        "verbs": [verb for verb in offered if verb.name not in COMPOSER],
        "composer": [verb for verb in offered if verb.name in COMPOSER],
        "canned": CannedText.objects.all(),
        "seen": items[-1].event_id if items else 0,
        "duties": paging_view.on_duty(now),
        "next_page": paging_view.next_page(incident, now),
        "last_pages": pages,
        "has_lost_page": any(page.is_lost for page in pages),
        "rca": RCA.objects.visible_to(user).filter(incident=incident.parent_id or incident.pk).first(),
        "should_not_have_been": prevented_by(incident, user),
        "bridge_door": bridge_view.door_of(incident, user),
    }


def is_offered(verb: StaffVerb, incident: Incident, user: User) -> bool:
    """Whether the desk shows the verb: its rule allows it, and there is something for it to act on."""
    if actions.may(verb.name, incident, user):
        return False
    has_pending = verb.name in ("release_held_update", "discard_status_update")
    if has_pending and actions.pending_update(incident) is None:
        return False
    if verb.name in ("move_release", "ship_release") and actions.planned_release(incident) is None:
        return False
    if verb.name in FOR_ALL and incident.organisation.is_vendor and incident.children.exists():
        return False  # written on the outage's page, with a preview for each organisation
    if verb.name == "withdraw_release" and not incident.releases.filter(withdrawn_at=None).exists():
        return False
    if verb.name == "start_intervention" and incident.intervention_started_at:
        return incident.clocks.filter(kind="target_action", ended_at=None).exists()
    if verb.name == "declare_major":
        return not incident.is_major
    if verb.name == "request_rca":
        return actions.can_request_rca(incident)
    if verb.name == "answer_escalation":
        return actions.open_escalation(incident) is not None
    if verb.name == "decide_contest":
        return Contest.objects.filter(validation__incident=incident, decided_at=None).exists()
    return True


def incident_page(request: HttpRequest, object_id: str) -> HttpResponse:
    incident = get_incident(request, object_id)
    context = desk_context(request, incident)
    initial = {"revision": incident.revision, "seen": context["seen"]}
    forms = [
        (
            verb,
            verb.form(initial=initial, incident=incident, user=person_of(request), auto_id=f"{verb.name}_%s"),
            hearers(verb, incident, request),
        )
        for verb in context["composer"]
    ]
    return render(request, "admin/incidents/incident/desk.html", context | {"composer_forms": forms})


def heard_by(verb: StaffVerb, incident: Incident, request: HttpRequest) -> list[notify.Heard]:
    """The customer's people and rooms that will hear; none for what stays internal."""
    if not verb.event:
        return []
    return notify.who_would_hear(verb.event, incident, timezone.now(), person_of(request))


def hearers(verb: StaffVerb, incident: Incident, request: HttpRequest) -> dict[str, Any]:
    """Who would hear of the verb on both sides, by name and channel, for a dialog or composer."""
    staff: list[notify.Heard] = []
    if verb.event:
        staff = notify.who_would_hear(
            verb.event, incident, timezone.now(), person_of(request), is_for_staff=True
        )
    return {
        "customer": paging_view.Audience.of(heard_by(verb, incident, request)),
        "staff": paging_view.Audience.of(staff),
        "is_later": verb.name == "schedule_status_update",
    }


@require_safe
def timeline(request: HttpRequest, pk: int) -> HttpResponse:
    incident = get_incident(request, pk)
    items = timeline_items(incident, person_of(request))
    return render(request, "incidents/_timeline.html", {"items": items, "incident": incident})


@require_safe
def now_fragment(request: HttpRequest, pk: int) -> HttpResponse:
    incident = get_incident(request, pk)
    return render(request, "incidents/_now.html", desk_context(request, incident))


def use_verb(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """GET shows a verb's form, POST previews or uses it."""
    incident = get_incident(request, pk)
    offered = STAFF_VERBS.get(verb)
    if offered is None:
        raise Http404
    if request.method != "POST":
        return verb_page(request, incident, offered, new_form(incident, offered, request), 200)
    form = offered.form(request.POST, request.FILES, incident=incident, user=person_of(request))
    if not form.is_valid():
        return verb_page(request, incident, offered, form, 400)
    if "preview" in request.POST:
        return show_preview(request, incident, offered, form)
    return carry_out(request, incident, offered, form)


def new_form(incident: Incident, verb: StaffVerb, request: HttpRequest) -> VerbForm:
    last = incident.events.order_by("-pk").values_list("pk", flat=True).first()
    initial: dict[str, Any] = {"revision": incident.revision, "seen": last}
    if verb.name == "validate_level":
        initial["level"] = incident.level
    if verb.name == "change_promise":
        initial |= {
            "policy_version": incident.policy_version_id,
            "calendar_version": incident.calendar_version_id,
        }
    return verb.form(initial=initial, incident=incident, user=person_of(request))


def carry_out(request: HttpRequest, incident: Incident, verb: StaffVerb, form: VerbForm) -> HttpResponse:
    heard = heard_by(verb, incident, request)
    try:
        verb.verb(incident, by=person_of(request), now=timezone.now(), channel=Channel.ADMIN, **form.inputs())
    except actions.Refused as refused:
        if refused.kind == "stale":
            return stale_page(request, incident, verb, form, refused)
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return verb_page(request, incident, verb, form, refused.status)
    told = told_words(heard) if verb.name != "schedule_status_update" else ""
    done = _("%(verb)s: done.") % {"verb": verb.title}
    messages.success(request, f"{done} {told}".strip())
    return redirect("admin:incidents_incident_change", incident.pk)


def told_words(heard: list[notify.Heard]) -> str:
    """Whom of the customer's side a verb has told: up to six by name."""
    if len(heard) > paging_view.FOLD:
        return _("%(count)s people of the customer are told.") % {"count": len(heard)}
    return _("Told: %(names)s.") % {"names": present.listed(heard)} if heard else ""


def stale_page(
    request: HttpRequest, incident: Incident, verb: StaffVerb, form: VerbForm, refused: actions.Refused
) -> HttpResponse:
    """Show what came in between, and the same text under the revision of now, ready to be sent again."""
    incident.refresh_from_db()
    seen = form.cleaned_data.get("seen") or 0
    items = timeline_items(incident, person_of(request))
    newer = [item for item in items if item.event_id > seen]
    data = request.POST.copy()
    data["revision"] = str(incident.revision)
    data["seen"] = str(items[-1].event_id if items else 0)
    again = verb.form(data, incident=incident, user=person_of(request))
    again.is_valid()
    again.add_error(None, refused.reason)
    return verb_page(request, incident, verb, again, 409, newer=newer)


def show_preview(request: HttpRequest, incident: Incident, verb: StaffVerb, form: VerbForm) -> HttpResponse:
    inputs = {name: value for name, value in form.inputs().items() if name not in ("files", "revision")}
    try:
        shown = preview(
            verb.verb,
            incident,
            by=person_of(request),
            now=timezone.now(),
            channel=Channel.ADMIN,
            **inputs,
        )
    except actions.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return verb_page(request, incident, verb, form, refused.status)
    return verb_page(request, incident, verb, form, 200, shown=shown)


def verb_page(
    request: HttpRequest,
    incident: Incident,
    verb: StaffVerb,
    form: VerbForm,
    status: int,
    *,
    newer: list[TimelineItem] | None = None,
    shown: Preview | None = None,
) -> HttpResponse:
    context = {
        "incident": incident,
        "verb": verb,
        "form": form,
        "heard": hearers(verb, incident, request),
        "newer": newer or [],
        "shown": shown,
        "refusal": actions.may(verb.name, incident, person_of(request)),
        "promise_preview": promise_preview(incident, verb, form),
    }
    template = (
        "admin/incidents/incident/_verb.html"
        if "fragment" in request.GET
        else "admin/incidents/incident/verb.html"
    )
    return render(request, template, context, status=status)


def promise_preview(incident: Incident, verb: StaffVerb, form: VerbForm) -> list[dict[str, Any]]:
    """What moving to the chosen versions would do to each open clock; writes nothing."""
    if verb.name != "change_promise" or not form.is_bound or not form.is_valid():
        return []
    data = form.cleaned_data
    return actions.preview_promise(incident, data["policy_version"], data["calendar_version"], timezone.now())


def open_page(request: HttpRequest) -> HttpResponse:
    """File on behalf of a customer who telephoned."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    form = StaffOpenForm(request.POST or None, user=person_of(request))
    if request.method == "POST" and form.is_valid():
        try:
            incident = actions.open_incident(
                by=person_of(request),
                now=timezone.now(),
                channel=Channel.TELEPHONE,
                **form.cleaned_data,
            )
        except actions.Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        else:
            messages.success(request, _("%(ref)s is filed; its clocks run.") % {"ref": incident.reference})
            return redirect("admin:incidents_incident_change", incident.pk)
    status = 400 if form.errors else 200
    return render(request, "admin/incidents/incident/open.html", {"form": form}, status=status)


def write_version(
    article: Article, *, by: User, now: datetime, title: str, text: str, is_published: bool
) -> ArticleVersion:
    """Keep a text as the article's draft, or publish it. What was published never changes."""
    latest = article.versions.order_by("-number").first()
    if latest and latest.published_at is None:
        latest.title, latest.text, latest.author, latest.written_at = title, text, by, now
        version = latest
    elif latest and (latest.title, latest.text) == (title, text):
        version = latest
    else:
        number = latest.number + 1 if latest else 1
        version = ArticleVersion(
            article=article, number=number, title=title, text=text, author=by, written_at=now
        )
    if is_published:
        version.published_at = version.published_at or now
    version.save()
    if is_published:
        article.published_version = version
        article.save(update_fields=["published_version"])
    return version
