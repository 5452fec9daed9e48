"""The staff look at the portal as a customer sees it: for half an hour, read only, with a reason, in the audit.

The session stays that of the member of the staff; a request within it is answered as for the customer. What
may be opened is a list, everything else is refused; and while such a request is answered, the database takes
no write, whatever a view would like to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from portal.access import may_use, person_of
from portal.audit import record
from portal.middleware import is_for_all
from portal.models import AuditEntry, Impersonation, Organisation, User
from portal.verbs import Refused, required

LASTS = timedelta(minutes=30)
REASON_LENGTH = 200
KEY = "looks_as"  # in the session of the member of the staff
STOP = "/look-as/stop/"
SAFE = ("GET", "HEAD", "OPTIONS")
# The portal's pages. Not the person's own: profile, addresses of calendars, channels, tokens, sign-in, people.
OPEN = re.compile(r"/|/(incidents|status|announcements|knowledge|sla|reports|maintenance)/.*")
CLOSED = re.compile(r"/maintenance/calendar/.*")
READING = re.compile(r"\s*(SELECT|SAVEPOINT|RELEASE|ROLLBACK|EXPLAIN|SET|SHOW|PRAGMA)\b", re.IGNORECASE)
AUDIT = re.compile(r'\s*INSERT INTO "portal_audit(entry|origin)"', re.IGNORECASE)


class ReadOnly(PermissionDenied):
    """A page would have written in the name of a customer who is only looked at."""


# --- verbs ---


def refusal(staff: User, person: User) -> str:
    """ "" if the member of the staff may look at the portal as the person, else the translated reason."""
    if not may_use(staff, "portal.user", "look_as"):
        return _("Only a duty manager looks at the portal as a customer. Ask the one on duty.")
    if person.is_staff or person.is_superuser or person.staff_role:
        return _("This is one of the staff. Choose a person of a customer.")
    if not person.is_active or person.erased_at is not None:
        return _("This person cannot sign in any more, and so sees nothing.")
    own = organisations_of(person)
    if not own:
        return _("This person belongs to no organisation, and so sees nothing.")
    seen = Organisation.objects.visible_to(staff).filter(pk__in=[one.pk for one in own])
    if seen.count() != len(own):
        return _("This person belongs to an organisation that you do not look after.")
    return ""


def organisations_of(person: User) -> list[Organisation]:
    """Whose portal the person sees, in a stable order."""
    return list(Organisation.objects.filter(is_active=True, memberships__user=person).order_by("pk"))


def start(staff: User, person: User, *, reason: str, now: datetime, request: HttpRequest) -> Impersonation:
    """Begin to look as the person. Raises Refused. The audit of each of their organisations tells of it."""
    now = now.replace(microsecond=0)
    why_not = refusal(staff, person)
    if why_not:
        raise Refused(why_not, kind="permission")
    reason = " ".join(required(reason, "reason", _("Say why: the organisation reads it.")).split())
    if len(reason) > REASON_LENGTH:
        raise Refused(_("Shorten the reason to 200 characters."), field="reason")
    with transaction.atomic():
        made = Impersonation.objects.create(
            staff=staff, person=person, reason=reason, started_at=now, expires_at=now + LASTS
        )
        note("impersonation_started", made, now, request, until=made.expires_at.isoformat())
    return made


def end(impersonation: Impersonation, *, because: str, now: datetime, request: HttpRequest) -> None:
    """It is over: stopped, expired, or not allowed any more. Ending it twice changes nothing more."""
    now = now.replace(microsecond=0)
    with transaction.atomic():
        rows = Impersonation.objects.filter(pk=impersonation.pk, ended_at=None)
        if rows.update(ended_at=now):
            note("impersonation_ended", impersonation, now, request, because=because)


def note(kind: str, impersonation: Impersonation, now: datetime, request: HttpRequest, **facts: Any) -> None:
    """One entry for each organisation of the person, with both people."""
    request.impersonator = impersonation.staff  # type: ignore[attr-defined]
    told = {"impersonation": impersonation.pk} | facts
    for organisation in organisations_of(impersonation.person):
        record(
            kind,
            by=impersonation.person,
            now=now,
            organisation=organisation,
            subject=f"person/{impersonation.person_id}",
            facts=told,
            request=request,
        )


# --- the requests in between ---


def look_as(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, right behind the one that finds out who is signed in: from here on it is the customer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        # To look into a session takes the database, which probes must be answered without.
        if is_for_all(request) or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return get_response(request)
        key = request.session.get(KEY)
        if key is None:
            return get_response(request)
        now = timezone.now()
        found = Impersonation.objects.select_related("staff", "person").filter(pk=key).first()
        because = why_over(found, request, now)
        if found is None or because:
            return over(request, found, because, now)
        return seen(request, found, get_response, now)

    return middleware


def why_over(found: Impersonation | None, request: HttpRequest, now: datetime) -> str:
    """ "" while the look goes on; else "ended", "expired", or "refused" to this person by now."""
    if found is None or found.ended_at is not None or found.staff != request.user:
        return "ended"
    if found.expires_at <= now:
        return "expired"
    return "refused" if refusal(found.staff, found.person) else ""


def over(request: HttpRequest, found: Impersonation | None, because: str, now: datetime) -> HttpResponse:
    """The member of the staff is told that it is over; their next request is their own again."""
    del request.session[KEY]
    if found is not None and because != "ended":
        end(found, because=because, now=now, request=request)
    request.impersonator = None  # type: ignore[attr-defined]
    context = {"look": found, "is_expired": because == "expired"}
    return render(request, "portal/look_as/over.html", context, status=403)


def seen(
    request: HttpRequest,
    found: Impersonation,
    get_response: Callable[[HttpRequest], HttpResponse],
    now: datetime,
) -> HttpResponse:
    """The answer as for the customer, with nothing written but the audit."""
    request.impersonator, request.impersonation = found.staff, found  # type: ignore[attr-defined]
    request.user = found.person
    if request.path == STOP:
        return get_response(request)
    if request.method not in SAFE or not OPEN.fullmatch(request.path) or CLOSED.fullmatch(request.path):
        return render(request, "portal/look_as/refused.html", {"look": found}, status=403)
    with connection.execute_wrapper(only_reading):
        response = get_response(request)
    note_page(found, request, response.status_code, now)
    response.headers["Cache-Control"] = "private, no-store"  # the way back shows nothing once it is over
    return response


def only_reading(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """A wrapper of the database connection: what reads goes through, and the audit; nothing else."""
    if READING.match(sql) or AUDIT.match(sql):
        return execute(sql, params, many, context)
    raise ReadOnly(_("You look at the portal as a customer: this page would change something."))


def note_page(found: Impersonation, request: HttpRequest, status: int, now: datetime) -> None:
    """Each address once per look: pages refresh themselves, and that says nothing new."""
    path = request.path[:200]
    before = AuditEntry.objects.filter(kind="seen_as", by=found.staff, on_behalf_of=found.person)
    if not before.filter(facts__impersonation=found.pk, facts__path=path).exists():
        note("seen_as", found, now, request, path=path, status=status)


# --- the two pages ---


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REASON_LENGTH,
        help_text=gettext_lazy("The organisation reads it in its audit. Name the incident, if there is one."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@reauthentication_required
def start_page(request: HttpRequest, pk: int) -> HttpResponse:
    """On the desk: GET asks why, POST begins, and leads to the person's home."""
    staff = person_of(request)
    if not may_use(staff, "portal.user", "look_as"):
        raise PermissionDenied(_("Only a duty manager looks at the portal as a customer."))
    person = get_object_or_404(User.objects.visible_to(staff), pk=pk)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            made = start(
                staff, person, reason=form.cleaned_data["reason"], now=timezone.now(), request=request
            )
        except Refused as refused:
            form.add_error(refused.field or None, refused.reason)
        else:
            request.session[KEY] = made.pk
            return redirect("home")
    context = {"form": form, "person": person, "refusal": refusal(staff, person)}
    status = 400 if form.is_bound else 200
    return render(request, "portal/look_as/start.html", context, status=status)


@login_required
@require_POST
def stop_page(request: HttpRequest) -> HttpResponse:
    """It ends the look."""
    found: Impersonation | None = getattr(request, "impersonation", None)
    if found is None:
        raise PermissionDenied(_("You look at the portal as nobody else: there is nothing to stop."))
    del request.session[KEY]
    end(found, because="stopped", now=timezone.now(), request=request)
    return redirect("admin:portal_user_change", found.person_id)
