"""The customer's pages. Each fetches through `visible_to`, reads the present once, and calls a verb."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Max
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import condition, require_http_methods, require_safe

from incidents import actions, bridge_view, notify, paging_view, present, promise_words, watching_view
from incidents.forms import (
    ConfirmForm,
    ContestForm,
    EscalateForm,
    FilterForm,
    OpenForm,
    ReopenForm,
    ReplyForm,
    WithdrawForm,
)
from incidents.models import Attachment, Channel, Incident, IncidentEvent
from incidents.rca_reading import copies_for_incident, prevented_by
from incidents.timeline_view import timeline_items
from maintenance import window_view
from portal import access, keyset
from portal.access import person_of
from portal.audit import record
from portal.chosen import chosen_organisation
from portal.models import Organisation
from portal.uploads import serve_attachment

PAGE = 25


def get_incident(request: HttpRequest, reference: str) -> Incident:
    """The incident if the signed-in person may see it; 404 otherwise, as for an invented one."""
    incidents = Incident.objects.visible_to(person_of(request)).by_reference(reference)
    return get_object_or_404(incidents.select_related("organisation", "assignee", "reporter"))


# --- the list ---


@login_required
@require_safe
def incident_list(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.GET or None, user=person_of(request))
    found = form.apply(Incident.objects.visible_to(person_of(request)).filter(**only_chosen(request)))
    found = bridge_view.with_open_bridge(found).select_related("organisation", "assignee")
    page = keyset.page_of(request, found, form.order, PAGE)
    context = {
        "form": form,
        "page": page,
        "counted": counted(page),
        "words": filter_words(request, form),
        "has_several_organisations": Organisation.objects.visible_to(person_of(request)).count() > 1,
        "may_file": may_file(request),
        "running_windows": window_view.running_for(person_of(request)),
    }
    return render(request, "incidents/list.html", context)


def counted(page: keyset.Page) -> str:
    """How many incidents the list holds, in words."""
    number = page.count.number
    if page.count.is_more:
        return _("More than %(count)s incidents") % {"count": number}
    return ngettext("%(count)s incident", "%(count)s incidents", number) % {"count": number}


def only_chosen(request: HttpRequest) -> dict[str, Organisation]:
    """The filter that the person set in the header: one of their organisations, or none."""
    chosen = chosen_organisation(request)
    return {"organisation": chosen} if chosen else {}


def filter_words(request: HttpRequest, form: FilterForm) -> list[dict[str, str]]:
    """Each active filter in words, with the address that removes it."""
    words = []
    for name, field in form.fields.items():
        value = request.GET.get(name)
        if value and not form[name].errors:
            query = request.GET.copy()
            query.pop(name)
            query.pop("cursor", None)
            choices: dict[Any, Any] = {}
            if isinstance(field, forms.ChoiceField):
                choices = dict(field.choices)  # type: ignore[arg-type]
            words.append(
                {"text": f"{field.label}: {choices.get(value, value)}", "url": f"?{query.urlencode()}"}
            )
    return words


def may_file(request: HttpRequest) -> bool:
    return any(
        access.may_write(person_of(request), o)
        for o in Organisation.objects.visible_to(person_of(request))[:20]
    )


# --- filing ---


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    if person_of(request).is_agent:
        return redirect("admin:incidents_incident_add")
    if not may_file(request):
        return refusal_page(
            request, _("Viewers can read but not report. Ask a manager of your organisation.")
        )
    if request.method == "GET":
        form = OpenForm(user=person_of(request), initial={"token": secrets.token_urlsafe(16)})
        return render(request, "incidents/new.html", new_context(request, form))
    form = OpenForm(request.POST, request.FILES, user=person_of(request))
    earlier = request.session.get(f"filed:{request.POST.get('token', '')}")
    if earlier:
        return redirect("incidents:detail", earlier)
    incident = file_incident(request, form) if form.is_valid() else None
    if incident is None:
        return render(request, "incidents/new.html", new_context(request, form), status=400)
    request.session[f"filed:{form.cleaned_data['token']}"] = incident.reference
    told = len(notify.who_would_hear("opened", incident, timezone.now()))
    messages.success(
        request,
        _("%(ref)s is filed. Support has been paged; a receipt is on its way to %(count)s people.")
        % {"ref": incident.reference, "count": told},
    )
    return redirect(incident)


def file_incident(request: HttpRequest, form: OpenForm) -> Incident | None:
    """The new incident, or None with the refusal on the form."""
    data = form.cleaned_data
    try:
        return actions.open_incident(
            organisation=data["organisation"],
            reporter=person_of(request),
            by=person_of(request),
            now=timezone.now(),
            channel=Channel.PORTAL,
            title=data["title"],
            description=data["description"],
            claimed_level=data["claimed_level"],
            services=data["services"],
            impact=data["impact"],
            files=data["attachments"],
        )
    except actions.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return None


def new_context(request: HttpRequest, form: OpenForm) -> dict[str, Any]:
    """The form, and each level with what is promised to the organisation that the report is for."""
    choices = form.fields["organisation"].queryset  # type: ignore[attr-defined]
    asked = request.GET.get("organisation", "").replace("\0", "")
    preferred = chosen_organisation(request)
    named = asked or (preferred.slug if preferred else "")
    chosen = choices.filter(slug=named).first() or choices[0]
    if not form.is_bound:
        form.initial["organisation"] = chosen.pk
    return {
        "form": form,
        "promised_to": chosen,
        "organisations": choices,
        "levels": promise_words.level_cards(chosen, timezone.now()),
    }


# --- one incident ---


def detail_context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    user = person_of(request)
    now = timezone.now()
    views = present.clock_views(incident, now)
    return {
        "incident": incident,
        "now": now,
        "headline": present.headline(incident, views),
        "clocks": present.current_clocks(views),
        "past_clocks": [view for view in views if not view.is_owed],
        "items": timeline_items(incident, user),
        "services": incident.services.all(),
        "may": actions.allowed(CUSTOMER_VERBS, incident, user),
        "can_contest": can_contest(incident),
        "escalation": present.escalation_of(incident, now),
        "duty_manager": present.duty_managers_words(now),
        "answer_minutes": actions.answer_minutes(incident),
        "can_request_rca": actions.can_request_rca(incident),
        "release": actions.planned_release(incident),
        "alarms": present.alarms_of(incident, user),
        "window": present.window_of(incident, user),
        "running_windows": window_view.running_for(user, incident.organisation),
        "has_rca": bool(copies_for_incident(incident, user)),
        "should_not_have_been": prevented_by(incident, user),
        "bridge_door": bridge_view.door_of(incident, user),
    }


CUSTOMER_VERBS = ("reply", "escalate", "contest_lowering", "confirm", "reopen", "withdraw", "request_rca")


def can_contest(incident: Incident) -> bool:
    lowering = actions.open_lowering(incident)
    return lowering is not None and not hasattr(lowering, "contest")


@login_required
@require_safe
def detail(request: HttpRequest, reference: str) -> HttpResponse:
    incident = get_incident(request, reference)
    context = detail_context(request, incident)
    forms_by_verb = {
        "reply_form": ReplyForm(),
        "contest_form": ContestForm(),
        "confirm_form": ConfirmForm(prefix="confirm"),
        "reopen_form": ReopenForm(prefix="reopen"),
        "withdraw_form": WithdrawForm(prefix="withdraw"),
        "reply_goes_to": paging_view.goes_to("reply", incident, timezone.now(), person_of(request)),
    }
    people = watching_view.people_context(incident, person_of(request))
    return render(request, "incidents/detail.html", context | forms_by_verb | people)


def fragment_etag(request: HttpRequest, reference: str) -> str | None:
    """Changes with what the reader sees happen, the language, and each minute (times are relative).

    Nothing that only staff read is part of a customer's: not even that there is an internal note.
    """
    if not request.user.is_authenticated:
        return None
    incident, user = get_incident(request, reference), person_of(request)
    minute = int(timezone.now().timestamp()) // 60
    seen = IncidentEvent.objects.visible_to(user).filter(incident=incident)
    parts = (
        incident.pk,
        seen.aggregate(latest=Max("pk"))["latest"],
        incident.status,
        incident.next_due_at,
        incident.next_update_at,
        user.pk,
        request.path,
        minute,
    )
    language = getattr(request, "LANGUAGE_CODE", "")
    return f'"{hashlib.sha256(f"{parts}{language}".encode()).hexdigest()[:32]}"'


@login_required
@require_safe
@condition(etag_func=fragment_etag)
def now_fragment(request: HttpRequest, reference: str) -> HttpResponse:
    incident = get_incident(request, reference)
    return render(request, "incidents/_now.html", detail_context(request, incident))


@login_required
@require_safe
@condition(etag_func=fragment_etag)
def timeline_fragment(request: HttpRequest, reference: str) -> HttpResponse:
    incident = get_incident(request, reference)
    items = timeline_items(incident, person_of(request))
    return render(request, "incidents/_timeline.html", {"items": items, "incident": incident})


# --- what customers do ---


def act(
    request: HttpRequest,
    reference: str,
    form_class: type[forms.Form],
    verb: Callable[..., Any],
    done: Callable[[Incident], str],
    prefix: str | None = None,
    intro: str = "",
) -> HttpResponse:
    """One door for every verb: GET shows the form alone (it works without JavaScript), POST acts.

    `intro` is a template that says what will happen.
    """
    incident = get_incident(request, reference)
    bound = request.method == "POST"
    data, files = (request.POST, request.FILES) if bound else (None, None)
    form = form_class(data, files, prefix=prefix)
    status = 200
    if bound:
        status = 400
        if form.is_valid():
            try:
                verb(
                    incident,
                    by=person_of(request),
                    now=timezone.now(),
                    channel=Channel.PORTAL,
                    **inputs(form),
                )
            except actions.Refused as refused:
                form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
                status = refused.status
            else:
                messages.success(request, done(incident))
                return redirect(incident)
    context = detail_context(request, incident) | {
        "form": form,
        "title": verb_title(verb),
        "intro": intro,
        "goes_to": ""
        if intro
        else paging_view.goes_to(verb.__name__, incident, timezone.now(), person_of(request)),
    }
    return render(request, "incidents/act.html", context, status=status)


def inputs(form: forms.Form) -> dict[str, Any]:
    data = dict(form.cleaned_data)
    if "attachments" in data:
        data["files"] = data.pop("attachments")
    return data


def verb_title(verb: Callable[..., Any]) -> str:
    return {
        "reply": _("Reply"),
        "contest_lowering": _("Contest the level"),
        "confirm": _("Confirm that it is solved"),
        "reopen": _("Reopen"),
        "withdraw": _("Withdraw the report"),
        "request_rca": _("Ask for an RCA"),
        "escalate": _("Escalate to the duty manager"),
    }[verb.__name__]


@login_required
@require_http_methods(["GET", "POST"])
def replies(request: HttpRequest, reference: str) -> HttpResponse:
    def done(incident: Incident) -> str:
        if incident.status == "reported" and incident.cycle > 1:
            return _("Your words are on the page, and the incident is open again. Support has been paged.")
        return _("Your message is on the page, and the engineers have been told.")

    return act(request, reference, ReplyForm, actions.reply, done)


@login_required
@require_http_methods(["GET", "POST"])
def contest(request: HttpRequest, reference: str) -> HttpResponse:
    def done(incident: Incident) -> str:
        return _("Your objection is recorded. A duty manager has been told and decides; you will get a mail.")

    return act(request, reference, ContestForm, actions.contest_lowering, done)


@login_required
@require_http_methods(["GET", "POST"])
def escalation(request: HttpRequest, reference: str) -> HttpResponse:
    def done(incident: Incident) -> str:
        found = present.escalation_of(incident, timezone.now())
        words = _("It is escalated: %(who)s has been paged and answers you on this page.")
        return words % {"who": found.who if found else ""}

    return act(request, reference, EscalateForm, actions.escalate, done, intro="incidents/_escalating.html")


@login_required
@require_http_methods(["GET", "POST"])
def confirmation(request: HttpRequest, reference: str) -> HttpResponse:
    def done(incident: Incident) -> str:
        return _("Thank you. The incident is closed; you can reopen it at any time.")

    return act(request, reference, ConfirmForm, actions.confirm, done, prefix="confirm")


@login_required
@require_http_methods(["GET", "POST"])
def reopening(request: HttpRequest, reference: str) -> HttpResponse:
    def done(incident: Incident) -> str:
        return _("The incident is open again with new clocks. Support has been paged.")

    return act(request, reference, ReopenForm, actions.reopen, done, prefix="reopen")


@login_required
@require_http_methods(["GET", "POST"])
def withdrawal(request: HttpRequest, reference: str) -> HttpResponse:
    def done(incident: Incident) -> str:
        return _("The report is withdrawn and its clocks are stopped. You can reopen it at any time.")

    return act(request, reference, WithdrawForm, actions.withdraw, done, prefix="withdraw")


@login_required
@require_http_methods(["GET", "POST"])
def rca(request: HttpRequest, reference: str) -> HttpResponse:
    def done(incident: Incident) -> str:
        return _("The RCA is requested; its due time is on the page.")

    return act(request, reference, forms.Form, actions.request_rca, done)


@login_required
@require_safe
def attachment(request: HttpRequest, reference: str, pk: int) -> FileResponse | HttpResponse:
    incident = get_incident(request, reference)
    visible = Attachment.objects.visible_to(person_of(request))
    found = get_object_or_404(visible, incident=incident, pk=pk)
    if not found.is_servable:
        context = {"incident": incident, "attachment": found}
        return render(request, "incidents/held_file.html", context, status=409)
    try:
        stored = found.file.open("rb")
    except FileNotFoundError as error:
        raise Http404 from error
    record(
        "attachment_read",
        by=person_of(request),
        now=timezone.now(),
        organisation=incident.organisation,
        subject=f"incident/{incident.reference}",
        facts={"attachment": found.pk},
        request=request,
    )
    return serve_attachment(stored.file, found.name, found.content_type)


def refusal_page(request: HttpRequest, reason: str) -> HttpResponse:
    return render(request, "403.html", {"reason": reason}, status=403)
