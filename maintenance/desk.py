"""The window's page on the staff desk, and every verb as a dialog.

A GET only shows; a POST needs the CSRF token. A stale form shows what came in between and keeps its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from maintenance import actions, timeline_view, window_view
from maintenance.audiences import hearing
from maintenance.models import Consent, Invitation, MaintenanceWindow, Status
from maintenance.overlaps import conflicts, users_of
from maintenance.staff_forms import STAFF_VERBS, StaffVerb, VerbForm
from portal.access import CONCERNS_OTHERS, is_agent, person_of
from portal.models import Membership, User
from portal.verbs import Refused

ADMIN = "admin"
MOST_DIGITS = 18  # of an id that a database can hold
PAGE = "admin:maintenance_maintenancewindow_change"


def get_window(request: HttpRequest, pk: int | str) -> MaintenanceWindow:
    """The window for a member of staff; PermissionDenied for anybody else."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    if not str(pk).isdecimal() or len(str(pk)) > MOST_DIGITS:
        raise Http404
    visible = MaintenanceWindow.objects.visible_to(person_of(request))
    found = get_object_or_404(visible, pk=int(pk))
    if person_of(request).is_limited:  # the desk tells of every organisation; they read the portal's page
        raise PermissionDenied(CONCERNS_OTHERS)
    related = ("owner", "author", "approved_by", "previous_attempt", "extension_by")
    return visible.select_related(*related).get(pk=found.pk)


# --- who would hear ---


@dataclass(frozen=True)
class Audience:
    """How many people in how many organisations hear of it."""

    people: int
    organisations: int

    @property
    def words(self) -> str:
        people = ngettext("%(count)s person", "%(count)s people", self.people) % {"count": self.people}
        organisations = ngettext("%(count)s organisation", "%(count)s organisations", self.organisations) % {
            "count": self.organisations
        }
        return _("%(people)s in %(organisations)s") % {"people": people, "organisations": organisations}


def audience(window: MaintenanceWindow, verb: str = "") -> Audience:
    """Before the announcement those whom it would reach, afterwards those who were invited and still may hear.

    A cancellation reaches also those who want to hear of no maintenance any more: it is in their calendars.
    """
    if not window.is_announced:
        return _to_be_invited(window)
    heard = hearing(window).items()
    told = [(person, of) for person, of in heard if person.hears_maintenance or verb == "cancel"]
    return Audience(len(told), len({of.pk for _person, of in told}))


def _to_be_invited(window: MaintenanceWindow) -> Audience:
    users = users_of(row.service for row in window.affected.select_related("service"))
    members = Membership.objects.filter(
        organisation__in=users, user__is_active=True, user__hears_maintenance=True, user__is_staff=False
    )
    pairs = list(members.values_list("user", "organisation"))
    return Audience(len({person for person, _of in pairs}), len({of for _person, of in pairs}))


# --- the page ---


def desk_context(request: HttpRequest, window: MaintenanceWindow) -> dict[str, Any]:
    user, now = person_of(request), timezone.now()
    steps = list(window.steps.select_related("done_by"))
    return {
        "window": window,
        "now": now,
        "headline": window_view.headline(window, now),
        "promises": window_view.promises(window, now),
        "steps": steps,
        "progress": window_view.progress(steps),
        "conditions": window_view.condition_rows(window),
        "affected": window.affected.select_related("service"),
        "items": timeline_view.timeline_items(window, user),
        "changes": timeline_view.changes(window, user),
        "invitations": window.invitations.select_related("person", "organisation"),
        "answers": answers(window),
        "consents": consent_rows(window, user),
        "alarms": window.alarms.select_related("service", "organisation"),
        "verbs": [verb for verb in STAFF_VERBS.values() if is_offered(verb, window, user)],
        "may_work": not actions.may("tick_step", window, user),
        "may_edit": not actions.may("change_window", window, user),
        "may_repeat": window.is_over,
        "conflicts": conflicts(window, now) if not window.is_announced and not window.is_over else [],
        "next_attempt": window.next_attempts.order_by("pk").last(),
    }


def answers(window: MaintenanceWindow) -> list[tuple[str, int]]:
    """How many people answered what to the invitation."""
    given = list(window.invitations.values_list("answer", flat=True))
    return [(str(answer.label), given.count(answer)) for answer in Invitation.Answer if answer in given]


def consent_rows(window: MaintenanceWindow, user: User) -> list[dict[str, Any]]:
    """Each consent, and the verbs by which this person may decide it."""
    found = window.consents.select_related("organisation", "decided_by", "window").order_by("pk")
    return [
        {
            "consent": consent,
            "look": window_view.CONSENT_LOOKS.get(consent.state, "paused"),
            "verbs": [STAFF_VERBS[name] for name in decisions(consent, window, user)],
        }
        for consent in found
    ]


def decisions(consent: Consent, window: MaintenanceWindow, user: User) -> list[str]:
    """The verbs that decide it for the vendor: its own questions, or an organisation's by an override."""
    if consent.state not in (Consent.State.OPEN, Consent.State.REFUSED, Consent.State.GIVEN):
        return []
    if consent.organisation_id is not None:
        may = consent.state != Consent.State.GIVEN and not actions.may("override_consent", window, user)
        return ["override_consent"] if may else []
    if not actions.may_decide(consent, user) or actions.may("give_consent", window, user):
        return []
    given, refused = consent.state == Consent.State.GIVEN, consent.state == Consent.State.REFUSED
    return ["give_consent"] * (not given) + ["refuse_consent"] * (not refused)


def is_offered(verb: StaffVerb, window: MaintenanceWindow, user: User) -> bool:
    """Whether the desk shows the verb: its rule allows it, and there is something for it to act on."""
    if verb.part is not None or verb.name == "post" or actions.may(verb.name, window, user):
        return False
    if verb.name == "start":
        return window.starts_at <= timezone.now()
    if verb.name == "decide":
        return not window.decision
    if verb.name == "order_rollback":
        return window.rollback_ordered_at is None
    return True


def window_page(request: HttpRequest, object_id: str) -> HttpResponse:
    window = get_window(request, object_id)
    form = new_form(STAFF_VERBS["post"], window, None)
    context = desk_context(request, window) | {"post_form": form, "audience": audience(window)}
    return render(request, "admin/maintenance/maintenancewindow/desk.html", context)


@require_safe
def now_fragment(request: HttpRequest, pk: int) -> HttpResponse:
    window, now = get_window(request, pk), timezone.now()
    context = {
        "window": window,
        "headline": window_view.headline(window, now),
        "promises": window_view.promises(window, now),
    }
    return render(request, "maintenance/_promises.html", context)


@require_safe
def timeline(request: HttpRequest, pk: int) -> HttpResponse:
    window = get_window(request, pk)
    items = timeline_view.timeline_items(window, person_of(request))
    return render(request, "maintenance/_timeline.html", {"items": items, "window": window})


# --- verbs ---


def use_verb(request: HttpRequest, pk: int, verb: str, part: int | None = None) -> HttpResponse:
    """GET shows a verb's form, POST uses it. `part` is the id of a step, a condition or a consent."""
    window = get_window(request, pk)
    offered = STAFF_VERBS.get(verb)
    if offered is None or (offered.part is None) != (part is None):
        raise Http404
    row = get_object_or_404(offered.part, window=window, pk=part) if part is not None else None
    if request.method != "POST":
        return verb_page(request, window, offered, new_form(offered, window, row), 200)
    form = offered.form(request.POST, window=window, part=row)
    if not form.is_valid():
        return verb_page(request, window, offered, form, 400)
    return carry_out(request, window, offered, form)


def new_form(verb: StaffVerb, window: MaintenanceWindow, part: Any) -> VerbForm:
    return verb.form(initial={"revision": window.revision}, window=window, part=part)


def carry_out(
    request: HttpRequest, window: MaintenanceWindow, verb: StaffVerb, form: VerbForm
) -> HttpResponse:
    told = audience(window, verb.name) if tells(verb, window, form) else None
    target = form.part if verb.part is not None else window
    try:
        verb.verb(target, by=person_of(request), now=timezone.now(), channel=ADMIN, **form.inputs())
    except Refused as refused:
        if refused.kind == "stale":
            return stale_page(request, window, verb, form, refused)
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return verb_page(request, window, verb, form, refused.status)
    done = _("%(verb)s: done.") % {"verb": verb.title}
    words = _("%(audience)s are told.") % {"audience": told.words} if told and told.people else ""
    messages.success(request, f"{done} {words}".strip())
    return redirect(PAGE, window.pk)


def tells(verb: StaffVerb, window: MaintenanceWindow, form: VerbForm) -> bool:
    """Whether customers hear of it, as the form is filled in now."""
    if verb.name == "announce":
        return True
    if verb.name == "post" and form.is_bound and not form.cleaned_data.get("is_public"):
        return False
    return verb.tells and window.is_announced


def stale_page(
    request: HttpRequest, window: MaintenanceWindow, verb: StaffVerb, form: VerbForm, refused: Refused
) -> HttpResponse:
    """Show the state of now, and the same text under its revision, ready to be sent again."""
    window.refresh_from_db()
    data = request.POST.copy()
    data["revision"] = str(window.revision)
    again = verb.form(data, window=window, part=form.part)
    again.is_valid()
    again.add_error(None, refused.reason)
    newer = timeline_view.timeline_items(window, person_of(request))[-5:]
    return verb_page(request, window, verb, again, 409, newer=newer)


def verb_page(
    request: HttpRequest,
    window: MaintenanceWindow,
    verb: StaffVerb,
    form: VerbForm,
    status: int,
    newer: list[timeline_view.TimelineItem] | None = None,
) -> HttpResponse:
    name = "_verb" if "fragment" in request.GET else "verb"
    context = {
        "window": window,
        "verb": verb,
        "form": form,
        "newer": newer or [],
        "refusal": actions.may(verb.name, window, person_of(request)),
        "audience": audience(window, verb.name)
        if verb.tells and (window.is_announced or verb.name == "announce")
        else None,
        "conflicts": announced_against(window, verb, timezone.now()),
        "action": request.path,
    }
    return render(request, f"admin/maintenance/maintenancewindow/{name}.html", context, status=status)


def announced_against(window: MaintenanceWindow, verb: StaffVerb, now: datetime) -> list[Any]:
    """What approving or announcing it now meets: short notice, freezes, other work."""
    is_before = window.status in (Status.PROPOSED, Status.APPROVED)
    return conflicts(window, now) if verb.name in ("approve", "announce") and is_before else []
