"""Writing a window: the form of a draft, what its times collide with while one types, and freezes by telephone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from maintenance import actions
from maintenance.desk import ADMIN, MOST_DIGITS, PAGE, get_window
from maintenance.models import Freeze, MaintenancePlan, MaintenanceWindow
from maintenance.overlaps import Overlap, overlaps, short_notices, users_of
from maintenance.staff_forms import StaffFreezeForm, WindowForm, initial_of
from portal.access import CONCERNS_OTHERS, is_agent, person_of
from portal.models import Organisation, Service, ServiceSubscription
from portal.verbs import Refused

TEMPLATE = "admin/maintenance/maintenancewindow/form.html"
FREEZES = "admin:maintenance_freeze_changelist"


@dataclass(frozen=True)
class Check:
    """What a time meets: conflicts, how many organisations use the services, and the latest announcement that
    keeps every promise of notice (None: no service is named)."""

    conflicts: list[Overlap]
    organisations: int
    announce_by: datetime | None


def check_of(form: WindowForm, now: datetime) -> Check | None:
    """The check of a form that may be half filled in; None until it names a time and a service."""
    form.full_clean()
    data, affected = form.cleaned_data, form.affected()
    starts_at, ends_at = data.get("starts_at"), data.get("ends_at")
    if not starts_at or not ends_at or not affected or ends_at <= starts_at:
        return None
    services = [service for service, _impact in affected]
    users = users_of(services)
    found = overlaps(starts_at, ends_at, services, now, exclude=form.window)
    found += short_notices(starts_at, affected, now)
    return Check(found, len(users), _announce_by(starts_at, users, affected))


def _announce_by(
    starts_at: datetime, users: list[Organisation], affected: list[tuple[Service, str]]
) -> datetime | None:
    """The latest announcement that gives each of the services' users the notice that their plan promises."""
    plans, impacts = MaintenancePlan.objects.of_each(users), {s.pk: impact for s, impact in affected}
    used = ServiceSubscription.objects.filter(organisation__in=users, service__in=impacts)
    pairs = used.values_list("organisation", "service")
    minutes = [plans[organisation].notice_minutes(impacts[service]) for organisation, service in pairs]
    return starts_at - timedelta(minutes=max(minutes)) if minutes else None


@require_safe
def check(request: HttpRequest) -> HttpResponse:
    """A fragment for the form being typed. The same stands on the page that “Check the times” answers with."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    if person_of(request).is_limited:
        raise PermissionDenied(CONCERNS_OTHERS)
    window = get_window(request, request.GET["window"]) if request.GET.get("window") else None
    form = WindowForm(request.GET, window=window, reader=person_of(request))
    context = {"check": check_of(form, timezone.now())}
    return render(request, "admin/maintenance/maintenancewindow/_check.html", context)


def add_page(request: HttpRequest) -> HttpResponse:
    """A new draft; with ?previous=… the new attempt of a window that is over."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    if person_of(request).is_limited:
        raise PermissionDenied(CONCERNS_OTHERS)
    named = request.GET.get("previous")
    previous = get_window(request, named) if named else None
    if request.method != "POST":
        return form_page(request, new_form(request, previous), None, previous)
    form = WindowForm(request.POST, window=None, reader=person_of(request))
    if "check" in request.POST or not form.is_valid():
        return form_page(request, form, None, previous)
    data = form.inputs() | {"previous_attempt": previous}
    data.pop("revision")
    try:
        window = actions.draft_window(**data, by=person_of(request), now=timezone.now(), channel=ADMIN)
    except Refused as refused:
        return refused_page(request, form, None, previous, refused)
    messages.success(
        request, _("%(ref)s is a draft: no customer sees it. Propose it next.") % {"ref": window.reference}
    )
    return redirect(PAGE, window.pk)


def new_form(request: HttpRequest, previous: MaintenanceWindow | None) -> WindowForm:
    user = person_of(request)
    zone = user.time_zone or timezone.get_current_timezone_name()
    initial: dict[str, Any] = {"owner": user.pk, "time_zone": zone}
    if previous is not None:
        initial = initial_of(previous) | {"owner": user.pk, "revision": None}
        for name in ("starts_at", "ends_at", "rollback_decision_at"):
            initial.pop(name)
    return WindowForm(initial=initial, window=None, reader=user)


def edit_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a draft, or a proposed window."""
    window = get_window(request, pk)
    user = person_of(request)
    if request.method != "POST":
        initial = initial_of(window)
        return form_page(request, WindowForm(initial=initial, window=window, reader=user), window, None)
    form = WindowForm(request.POST, window=window, reader=user)
    if "check" in request.POST or not form.is_valid():
        return form_page(request, form, window, None)
    data = form.inputs() | {"previous_attempt": window.previous_attempt}
    try:
        actions.change_window(window, **data, by=user, now=timezone.now(), channel=ADMIN)
    except Refused as refused:
        return refused_page(request, form, window, None, refused)
    messages.success(request, _("The draft is changed."))
    return redirect(PAGE, window.pk)


def refused_page(
    request: HttpRequest,
    form: WindowForm,
    window: MaintenanceWindow | None,
    previous: MaintenanceWindow | None,
    refused: Refused,
) -> HttpResponse:
    """The form with the refusal. A stale one may be sent again: it then overwrites, knowingly."""
    status = refused.status
    if refused.kind == "stale" and window is not None:
        window.refresh_from_db()
        data = request.POST.copy()
        data["revision"] = str(window.revision)
        form = WindowForm(data, window=window, reader=person_of(request))
        form.is_valid()
    form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
    return form_page(request, form, window, previous, status)


def form_page(
    request: HttpRequest,
    form: WindowForm,
    window: MaintenanceWindow | None,
    previous: MaintenanceWindow | None,
    status: int | None = None,
) -> HttpResponse:
    typed = form if form.is_bound else WindowForm(form.initial, window=window, reader=person_of(request))
    checked = check_of(typed, timezone.now()) if not status else None
    context = {
        "form": form,
        "window": window,
        "previous": previous,
        "check": checked,
        "refusal": actions.may("change_window", window, person_of(request)) if window else "",
    }
    is_checking = "check" in request.POST
    if is_checking:
        form.errors.clear()  # what is missing is said when it is saved
    status = status or (400 if form.errors else 200)
    return render(request, TEMPLATE, context, status=status)


# --- freezes in a customer's name ---


def freeze_page(request: HttpRequest) -> HttpResponse:
    """Enter a freeze for an organisation that asked for it."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    form = StaffFreezeForm(request.POST if request.method == "POST" else None, user=person_of(request))
    status = 200
    if form.is_bound:
        status = 400
        if form.is_valid():
            data = dict(form.cleaned_data)
            try:
                actions.enter_freeze(
                    data.pop("organisation"),
                    **data,
                    by=person_of(request),
                    now=timezone.now(),
                    channel=ADMIN,
                )
            except Refused as refused:
                form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
            else:
                messages.success(request, _("The freeze is entered."))
                return redirect(FREEZES)
    return render(request, "admin/maintenance/freeze/form.html", {"form": form}, status=status)


def get_freeze(request: HttpRequest, pk: int | str) -> Freeze:
    if not is_agent(person_of(request)):
        raise PermissionDenied
    related = ("organisation", "service", "entered_by", "withdrawn_by")
    visible = Freeze.objects.visible_to(person_of(request)).select_related(*related)
    is_number = str(pk).isdecimal() and len(str(pk)) <= MOST_DIGITS
    return get_object_or_404(visible, pk=int(pk) if is_number else 0)


def freeze_detail(request: HttpRequest, object_id: str) -> HttpResponse:
    context = {"freeze": get_freeze(request, object_id)}
    return render(request, "admin/maintenance/freeze/page.html", context)


@require_POST
def freeze_withdrawal(request: HttpRequest, pk: int) -> HttpResponse:
    """Take it back, in the customer's name."""
    freeze = get_freeze(request, pk)
    try:
        actions.withdraw_freeze(freeze, by=person_of(request), now=timezone.now(), channel=ADMIN)
    except Refused as refused:
        context = {"freeze": freeze, "error": refused.reason}
        status = refused.status
        return render(request, "admin/maintenance/freeze/page.html", context, status=status)
    messages.success(request, _("The freeze is withdrawn."))
    return redirect(FREEZES)
