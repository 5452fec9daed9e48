"""The page of the live bridge, the same address for both sides, and what is done there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from incidents import actions, bridge_view
from incidents.bridge_forms import DecisionForm, NoteForm, PartForm, SideNoteForm, StepForm, SummaryForm
from incidents.bridge_view import Watch
from incidents.models import Bridge, BridgeRole, BridgeStep, Channel
from incidents.views import refusal_page
from portal.access import is_looked_at, person_of
from portal.templatetags.portal_tags import zone_label

REGION_SECONDS = 60
RENDERING = threading.Lock()
USUAL_STEP = timedelta(minutes=30)
FIVE_MINUTES = 300


def get_watch(request: HttpRequest, reference: str) -> Watch:
    """The incident with its bridge if the signed-in person may see it; 404 otherwise, as for an invented one."""
    found = bridge_view.watch(person_of(request), reference)
    if found is None:
        raise Http404
    return found


def get_bridge(watch: Watch, asked: str = "") -> Bridge | None:
    """The incident's newest bridge, or the one that is asked for by its number."""
    wanted = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 19 else watch.bridge
    if wanted is None:
        return None
    bridges = Bridge.objects.filter(incident=watch.pk)
    bridge = bridges.select_related("opened_by", "closed_by", "summary").filter(pk=wanted).first()
    if bridge is not None:
        bridge.incident = watch.incident
    return bridge


def page_url(watch: Watch, anchor: str = "") -> str:
    return reverse("incidents:bridge", args=[watch.incident.reference]) + anchor


# --- the page ---


@login_required
@require_safe
def bridge(request: HttpRequest, reference: str) -> HttpResponse:
    """The open bridge, or a past one, or how one is opened. Looking at it is not joining it."""
    return bridge_page(request, get_watch(request, reference))


def bridge_page(
    request: HttpRequest,
    watch: Watch,
    *,
    failed: forms.Form | None = None,
    deed: str = "",
    status: int = 200,
) -> HttpResponse:
    """The whole page; a form that failed stands where it was, with what was typed."""
    user, now = person_of(request), timezone.now()
    shown = get_bridge(watch, request.GET.get("past", ""))
    context = bridge_view.region_context(watch.incident, shown, user, now) | {
        "watch": watch,
        "live_query": live_query(watch),
        "etag": viewer_etag(watch, live_query(watch), now),
        "refusal": actions.bridge_refusal(watch.incident, user),
        "past": bridge_view.past_bridges(watch.incident),
        "failed": failed,
        "deed": deed,
    }
    if shown is not None and shown.closed_at is None and watch.is_writer:
        context |= new_forms(watch, shown, now, context["parts"])
        if failed is not None:
            context[f"{deed}_form"] = failed
    return render(request, "incidents/bridge/page.html", context, status=status)


def new_forms(
    watch: Watch, shown: Bridge, now: datetime, parts: list[bridge_view.Part]
) -> dict[str, forms.Form]:
    user = watch.user
    offered = form_inputs(watch, shown, now, parts)
    due = timezone.localtime(now + USUAL_STEP)
    due -= timedelta(seconds=due.timestamp() % FIVE_MINUTES)
    return {
        "note_form": NoteForm(auto_id="note-%s"),
        "side_note_form": SideNoteForm(auto_id="side-note-%s"),
        "decision_form": DecisionForm(auto_id="decision-%s"),
        "step_form": StepForm(
            auto_id="step-%s",
            initial={"owner": str(user.pk), "due_at": due.strftime("%Y-%m-%dT%H:%M")},
            **offered["step"],
        ),
        "part_form": PartForm(auto_id="part-%s", initial={"person": str(user.pk)}, **offered["part"]),
    }


def form_inputs(
    watch: Watch, shown: Bridge | None, now: datetime, parts: list[bridge_view.Part]
) -> dict[str, dict[str, Any]]:
    """Who and what the forms offer to this person."""
    user = watch.user
    sides = bridge_view.people_to_choose(watch.incident, shown, user)
    is_lead = any(part.role == BridgeRole.CUSTOMER_LEAD and part.holder == user for part in parts)
    among = {"sides": sides, "organisation": watch.incident.organisation}
    return {
        "step": among | {"zone": zone_label(timezone.localtime(now))},
        "part": among | {"is_staff": user.is_agent, "taker": None if user.is_agent or is_lead else user},
    }


# --- what a viewer's browser asks for every few seconds ---


def live_query(watch: Watch) -> str:
    """What the page shows, for the live answer to say when it is something else by now."""
    return f"bridge={watch.bridge or 0}&open={int(watch.is_open)}&here={int(watch.is_present)}"


def viewer_etag(watch: Watch, query: str, now: datetime) -> str:
    parts = (watch.etag_of_region(now), watch.user.pk, query)
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


@login_required
@require_safe
def live(request: HttpRequest, reference: str) -> HttpResponse:
    """All live parts of the page; 304 while nothing changed for this viewer. It also says that they are there."""
    watch, now = get_watch(request, reference), timezone.now()
    if not is_looked_at(request) and watch.bridge is not None and watch.is_due_to_be_noted(now):
        actions.note_presence(Bridge(pk=watch.bridge), watch.user, now)
    etag = viewer_etag(watch, request.META.get("QUERY_STRING", ""), now)
    answer = get_conditional_response(request, etag=etag)
    if answer is None:
        answer = HttpResponse(notice(request, watch, reference) + region(request, watch, now))
    answer.headers["ETag"] = etag
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def region(request: HttpRequest, watch: Watch, now: datetime) -> str:
    """The parts that are the same for many viewers: rendered once for all whose answers are equal."""
    key = f"bridge:{watch.etag_of_region(now)}"
    text = cache.get(key)
    if text is None:
        with RENDERING:  # one renders, and the others of the same moment find what it made
            text = cache.get(key) or rendered(request, watch, now)
            cache.set(key, text, REGION_SECONDS)
    return text


def rendered(request: HttpRequest, watch: Watch, now: datetime) -> str:
    context = bridge_view.region_context(watch.incident, get_bridge(watch), watch.user, now)
    return render_to_string("incidents/bridge/_live.html", context | {"watch": watch}, request)


def notice(request: HttpRequest, watch: Watch, reference: str) -> str:
    """What this viewer's page cannot show without being asked for again."""
    context = {
        "watch": watch,
        "page_url": reverse("incidents:bridge", args=[reference]),
        "was_open": request.GET.get("open") == "1",
        "was_same": request.GET.get("bridge") == str(watch.bridge or 0),
        "was_here": request.GET.get("here") == "1",
    }
    return render_to_string("incidents/bridge/_notice.html", context)


# --- what is done: each is a POST, and comes back to the page ---


@dataclass(frozen=True)
class Deed:
    """Something to do on an open bridge: its form, its verb, who may, and where it is to be seen."""

    form: type[forms.Form]
    verb: Callable[..., Any]
    rule: str
    done: Any
    anchor: str


DEEDS = {
    "note": Deed(NoteForm, actions.note_on_bridge, "use_bridge", gettext_lazy("Noted."), "#note-text"),
    "side_note": Deed(
        SideNoteForm,
        actions.side_note,
        "add_note",
        gettext_lazy("Noted, for staff only."),
        "#bridge-timeline",
    ),
    "decision": Deed(
        DecisionForm,
        actions.decide_on_bridge,
        "use_bridge",
        gettext_lazy("The decision is recorded."),
        "#bridge-steps",
    ),
    "step": Deed(
        StepForm, actions.agree_step, "use_bridge", gettext_lazy("The next step is agreed."), "#bridge-steps"
    ),
    "part": Deed(
        PartForm, actions.give_part, "give_bridge_role", gettext_lazy("The part is given."), "#bridge-people"
    ),
}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def do(request: HttpRequest, reference: str, deed: str) -> HttpResponse:
    """Use one of the verbs of the page. GET leads to the page: a sign-in may have come in between."""
    watch, user, asked = get_watch(request, reference), person_of(request), DEEDS[deed]
    if request.method != "POST":
        return redirect(page_url(watch))
    refusal = actions.may(asked.rule, watch.incident, user)
    if refusal:
        return refusal_page(request, refusal)
    shown = get_bridge(watch)
    form = bound_form(request, watch, shown, deed)
    if shown is None:
        form.is_valid()
        form.add_error(None, _("No bridge is open. What you wrote was not sent; it stands below."))
        return bridge_page(request, watch, failed=form, deed=deed, status=409)
    return carry_out(request, watch, shown, form, deed)


def bound_form(request: HttpRequest, watch: Watch, shown: Bridge | None, deed: str) -> forms.Form:
    more: dict[str, Any] = {}
    if deed in ("step", "part"):
        parts = bridge_view.parts_of(shown) if shown else []
        more = form_inputs(watch, shown, timezone.now(), parts)[deed]
    return DEEDS[deed].form(request.POST, auto_id=f"{deed.replace('_', '-')}-%s", **more)


def carry_out(request: HttpRequest, watch: Watch, shown: Bridge, form: forms.Form, deed: str) -> HttpResponse:
    if not form.is_valid():
        return bridge_page(request, watch, failed=form, deed=deed, status=400)
    try:
        DEEDS[deed].verb(
            shown, **form.cleaned_data, by=watch.user, now=timezone.now(), channel=Channel.BRIDGE
        )
    except actions.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        fresh = get_watch(request, watch.incident.reference)
        return bridge_page(request, fresh, failed=form, deed=deed, status=refused.status)
    messages.success(request, DEEDS[deed].done)
    return redirect(page_url(watch, DEEDS[deed].anchor))


def attempt(
    request: HttpRequest, watch: Watch, act: Callable[[], Any], done: str = "", anchor: str = ""
) -> HttpResponse:
    """Do what needs no form, and come back; a refusal is said on the page."""
    try:
        act()
    except actions.Refused as refused:
        if refused.kind == "permission":
            return refusal_page(request, refused.reason)
        messages.error(request, refused.reason)
        return bridge_page(request, get_watch(request, watch.incident.reference), status=refused.status)
    if done:
        messages.success(request, done)
    return redirect(page_url(watch, anchor))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def opening(request: HttpRequest, reference: str) -> HttpResponse:
    watch = get_watch(request, reference)
    if request.method != "POST":
        return redirect(page_url(watch))

    def act() -> None:
        actions.open_bridge(watch.incident, by=watch.user, now=timezone.now(), channel=Channel.BRIDGE)

    return attempt(request, watch, act, _("The bridge is open, and both sides have been told."))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def presence(request: HttpRequest, reference: str) -> HttpResponse:
    """Join the open bridge; viewers too: they read along."""
    watch = get_watch(request, reference)
    if request.method != "POST":
        return redirect(page_url(watch))

    def act() -> None:
        shown = get_bridge(watch)
        if shown is None:
            raise actions.Refused(_("No bridge is open."), kind="state")
        actions.join_bridge(shown, by=watch.user, now=timezone.now())

    return attempt(request, watch, act)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def leaving(request: HttpRequest, reference: str) -> HttpResponse:
    watch = get_watch(request, reference)
    shown = get_bridge(watch)
    if request.method != "POST" or shown is None:
        return redirect(page_url(watch))

    def act() -> None:
        actions.leave_bridge(shown, by=watch.user, now=timezone.now())

    return attempt(request, watch, act, _("You have left the bridge. It stays open for the others."))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def completion(request: HttpRequest, reference: str, pk: int) -> HttpResponse:
    """A step agreed on the bridge is done."""
    watch = get_watch(request, reference)
    step = get_object_or_404(BridgeStep.objects.filter(bridge__incident=watch.pk), pk=pk)
    if request.method != "POST":
        return redirect(page_url(watch))
    step.bridge.incident = watch.incident

    def act() -> None:
        actions.finish_step(step, by=watch.user, now=timezone.now(), channel=Channel.BRIDGE)

    return attempt(request, watch, act, _("Done: %(text)s") % {"text": step.text}, "#bridge-steps")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def closing(request: HttpRequest, reference: str) -> HttpResponse:
    """GET: the drafted summary, to be changed. POST: close the bridge with it."""
    watch = get_watch(request, reference)
    refusal = actions.may("close_bridge", watch.incident, watch.user)
    if refusal:
        return refusal_page(request, refusal)
    shown = get_bridge(watch)
    if shown is None or (shown.closed_at is not None and request.method != "POST"):
        return redirect(page_url(watch))
    if request.method != "POST":
        form = SummaryForm(initial={"summary": actions.draft_summary(shown, timezone.now())})
        return closing_page(request, watch, form)
    form = SummaryForm(request.POST)
    return close(request, watch, shown, form) if form.is_valid() else closing_page(request, watch, form, 400)


def close(request: HttpRequest, watch: Watch, shown: Bridge, form: SummaryForm) -> HttpResponse:
    try:
        actions.close_bridge(
            shown, **form.cleaned_data, by=watch.user, now=timezone.now(), channel=Channel.BRIDGE
        )
    except actions.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return closing_page(request, watch, form, refused.status)
    messages.success(request, _("The bridge is closed; its summary is in the incident."))
    return redirect(page_url(watch))


def closing_page(request: HttpRequest, watch: Watch, form: SummaryForm, status: int = 200) -> HttpResponse:
    context = {"incident": watch.incident, "form": form}
    return render(request, "incidents/bridge/closing.html", context, status=status)
