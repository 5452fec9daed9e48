"""The customer's pages of maintenance. Each fetches through `visible_to`, reads the present once, calls a verb."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import condition, require_http_methods, require_safe

from maintenance import actions, timeline_view, window_view
from maintenance.forms import SHOWN, ConsentForm, FilterForm, FreezeForm, writable
from maintenance.models import Consent, Freeze, MaintenanceWindow, Status
from maintenance.models.window import RUNNING
from portal import keyset
from portal.access import person_of
from portal.models import Organisation, User
from portal.verbs import Refused

PAGE = 25
PORTAL = "portal"


def get_window(request: HttpRequest, reference: str) -> MaintenanceWindow:
    """The window if the signed-in person may see it; 404 otherwise, as for an invented one."""
    windows = MaintenanceWindow.objects.visible_to(person_of(request)).by_reference(reference)
    return get_object_or_404(windows.select_related("owner", "previous_attempt"))


# --- the list ---


@login_required
@require_safe
def window_list(request: HttpRequest) -> HttpResponse:
    """What runs, what comes, what is over: each a section, narrowed by the address."""
    user, now = person_of(request), timezone.now()
    form = FilterForm(request.GET or None, user=user)
    found = form.apply(MaintenanceWindow.objects.visible_to(user).filter(announced_at__isnull=False))
    rows = window_view.rows_for(found, window_view.organisations_of(user))
    page = keyset.page_of(request, rows.filter(status__in=SHOWN["past"]), ("-starts_at", "-pk"), PAGE)
    coming = rows.order_by("starts_at", "pk")
    sections = [
        (_("Running now"), described(coming.filter(status__in=RUNNING), now)),
        (_("Upcoming"), described(coming.filter(status=Status.ANNOUNCED), now)),
        (_("Past"), described(page.rows, now)),
    ]
    context = {
        "form": form,
        "sections": sections,
        "is_empty": not any(rows for _title, rows in sections),
        "page": page,
        "words": filter_words(request, form),
    }
    return render(request, "maintenance/list.html", context)


def described(windows: Any, now: datetime) -> list[dict[str, Any]]:
    """Each window with its headline."""
    return [{"window": window, "headline": window_view.headline(window, now)} for window in windows]


def filter_words(request: HttpRequest, form: FilterForm) -> list[dict[str, str]]:
    """Each active filter in words, with the address that removes it."""
    words = []
    for name, field in form.fields.items():
        value = request.GET.get(name)
        if value and not form[name].errors:
            query = request.GET.copy()
            query.pop(name)
            shown = dict(field.choices).get(value) or form.cleaned_data[name]  # type: ignore[attr-defined]
            words.append({"text": f"{field.label}: {shown}", "url": f"?{query.urlencode()}"})
    return words


# --- one window ---


def now_context(request: HttpRequest, window: MaintenanceWindow) -> dict[str, Any]:
    """What changes while one looks: state, promises, steps, conditions."""
    now = timezone.now()
    steps = list(window.steps.all())
    return {
        "window": window,
        "now": now,
        "headline": window_view.headline(window, now),
        "promises": window_view.promises(window, now),
        "steps": steps,
        "progress": window_view.progress(steps),
        "conditions": window_view.condition_rows(window),
    }


def detail_context(request: HttpRequest, window: MaintenanceWindow) -> dict[str, Any]:
    user = person_of(request)
    organisations = window_view.organisations_of(user)
    previous, rows = window.previous_attempt, consent_rows(window, user)
    seen = MaintenanceWindow.objects.visible_to(user)
    return now_context(request, window) | {
        "affected": list(window_view.affected_for(organisations).filter(window=window)),
        "items": timeline_view.timeline_items(window, user),
        "changes": timeline_view.changes(window, user),
        "form": window_view.form_of(window, organisations, timezone.now()),
        "consents": rows,
        "has_open_consent": any(row["may"] and row["consent"].state == "open" for row in rows),
        "invitation": window.invitations.filter(person=user).first(),
        "is_of_several": is_of_several(user),
        "is_other_zone": window.time_zone != timezone.get_current_timezone_name(),
        "previous": previous if previous and seen.filter(pk=previous.pk).exists() else None,
        "next_attempt": seen.filter(previous_attempt=window).order_by("pk").last(),
    }


def is_of_several(user: User) -> bool:
    """Whether the reader has to be told of which organisation something is."""
    return Organisation.objects.visible_to(user).count() > 1


def consent_rows(window: MaintenanceWindow, user: User) -> list[dict[str, Any]]:
    """What the reader's organisations are asked on the window, and what they answered; nothing for staff."""
    if user.is_agent:
        return []
    found = Consent.objects.visible_to(user).filter(window=window).exclude(state=Consent.State.RESOLVED)
    mine = set(writable(user).values_list("pk", flat=True))
    freezes = Freeze.objects.visible_to(user).in_bulk([int(c.about) for c in found if c.about.isdecimal()])
    is_open = window.status == Status.ANNOUNCED
    return [
        {
            "consent": consent,
            "question": window_view.consent_question(consent),
            "freeze": freezes.get(int(consent.about)) if consent.about.isdecimal() else None,
            "look": window_view.CONSENT_LOOKS[consent.state],
            "may": is_open
            and consent.organisation_id in mine
            and consent.state in ("open", "refused", "given"),
            "form": ConsentForm(prefix=f"c{consent.pk}"),
        }
        for consent in found.select_related("organisation", "decided_by")
    ]


@login_required
@require_safe
def detail(request: HttpRequest, reference: str) -> HttpResponse:
    window = get_window(request, reference)
    return render(request, "maintenance/detail.html", detail_context(request, window))


def fragment_etag(request: HttpRequest, reference: str) -> str | None:
    """Changes with the window, the reader, the language, and each minute (times are relative)."""
    if not request.user.is_authenticated:
        return None
    window = get_window(request, reference)
    latest = window.events.aggregate(latest=Max("pk"))["latest"]
    minute = int(timezone.now().timestamp()) // 60
    parts = (window.pk, window.revision, latest, person_of(request).pk, request.path, minute)
    language = getattr(request, "LANGUAGE_CODE", "")
    return f'"{hashlib.sha256(f"{parts}{language}".encode()).hexdigest()[:32]}"'


@login_required
@require_safe
@condition(etag_func=fragment_etag)
def now_fragment(request: HttpRequest, reference: str) -> HttpResponse:
    window = get_window(request, reference)
    return render(request, "maintenance/_now.html", now_context(request, window))


@login_required
@require_safe
@condition(etag_func=fragment_etag)
def timeline_fragment(request: HttpRequest, reference: str) -> HttpResponse:
    window = get_window(request, reference)
    items = timeline_view.timeline_items(window, person_of(request))
    return render(request, "maintenance/_timeline.html", {"items": items, "window": window})


# --- what customers do ---


def attempt(form: forms.Form, verb: Callable[[], Any]) -> int:
    """Use a verb; its refusal goes to the form. 0, or the HTTP status of the refusal."""
    try:
        verb()
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return refused.status
    return 0


@login_required
@require_http_methods(["GET", "POST"])
def consent(request: HttpRequest, reference: str, pk: int) -> HttpResponse:
    """One question to the reader's organisation: GET shows its form alone, POST answers."""
    window, user = get_window(request, reference), person_of(request)
    asked = get_object_or_404(Consent.objects.visible_to(user).filter(window=window), pk=pk)
    form = ConsentForm(request.POST if request.method == "POST" else None, prefix=f"c{pk}")
    status = 200
    if form.is_bound:
        status = attempt(form, lambda: answer(request, asked, form)) if form.is_valid() else 400
        if not status:
            messages.success(request, _("Your answer is recorded, and our engineers read it."))
            return redirect(window)
    context = {"window": window, "form": form, "question": window_view.consent_question(asked)}
    return render(request, "maintenance/consent.html", context, status=status)


def answer(request: HttpRequest, asked: Consent, form: ConsentForm) -> Consent:
    verbs = {"give": actions.give_consent, "refuse": actions.refuse_consent}
    verb, words = verbs[form.cleaned_data["answer"]], form.cleaned_data["words"]
    return verb(asked, words=words, by=person_of(request), now=timezone.now(), channel=PORTAL)


@login_required
@require_http_methods(["GET", "POST"])
def freezes(request: HttpRequest) -> HttpResponse:
    """The freezes of the reader's organisations, and the form for another one."""
    user = person_of(request)
    if request.method == "GET":
        return freeze_page(request, FreezeForm(user=user))
    form = FreezeForm(request.POST, user=user)
    if not user.is_agent and not writable(user).exists():
        return freeze_page(request, form, 403)
    status = attempt(form, lambda: enter(request, form)) if form.is_valid() else 400
    if status:
        return freeze_page(request, form, status)
    messages.success(
        request, _("The freeze is entered. Maintenance that is planned into it needs your consent.")
    )
    return redirect("maintenance:freezes")


def enter(request: HttpRequest, form: FreezeForm) -> Freeze:
    data = dict(form.cleaned_data)
    organisation: Organisation = data.pop("organisation")
    return actions.enter_freeze(
        organisation, **data, by=person_of(request), now=timezone.now(), channel=PORTAL
    )


def freeze_page(request: HttpRequest, form: FreezeForm, status: int = 200) -> HttpResponse:
    user, now = person_of(request), timezone.now()
    found = Freeze.objects.visible_to(user).select_related("organisation", "service", "entered_by")
    standing = found.standing().filter(ends_at__gt=now).order_by("starts_at", "pk")
    past = found.exclude(pk__in=standing.values("pk"))
    mine = set(writable(user).values_list("pk", flat=True))
    context = {
        "form": form,
        "standing": standing,
        "page": keyset.page_of(request, past, ("-starts_at", "-pk"), PAGE),
        "mine": mine,
        "may_write": bool(mine),
        "is_of_several": is_of_several(user),
    }
    return render(request, "maintenance/freezes.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def freeze_withdrawal(request: HttpRequest, pk: int) -> HttpResponse:
    user = person_of(request)
    freeze = get_object_or_404(
        Freeze.objects.visible_to(user).select_related("organisation", "service"), pk=pk
    )
    form = forms.Form(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound and form.is_valid():
        status = attempt(
            form,
            lambda: actions.withdraw_freeze(freeze, by=user, now=timezone.now(), channel=PORTAL),
        )
        if not status:
            messages.success(
                request, _("The freeze is withdrawn: maintenance may be planned into that time.")
            )
            return redirect("maintenance:freezes")
    context = {"freeze": freeze, "form": form}
    return render(request, "maintenance/freeze_withdrawal.html", context, status=status)
