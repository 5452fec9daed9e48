"""The pages on which an organisation's managers look after its people, invitations and teams."""

from __future__ import annotations

from functools import partial
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from portal import access, invitation_verbs, memberships, offboarding, people_verbs
from portal.access import person_of
from portal.chosen import chosen_organisation
from portal.models import Invitation, Membership, Organisation, Team, User, Visibility
from portal.models.accounts import Role
from portal.people_forms import InviteForm, MemberForm, RemovalForm, TeamForm, attempt
from portal.people_rules import refusal
from portal.verbs import Refused

PAGE = 50
GET_POST = ["GET", "HEAD", "POST"]


def organisations_of(request: HttpRequest) -> QuerySet[Organisation]:
    found = Organisation.objects.visible_to(person_of(request)).filter(is_active=True, is_vendor=False)
    return found.order_by("name")


def asked_for(request: HttpRequest) -> Organisation:
    """The organisation of the address, else the chosen one, else the first; 404 for a stranger's."""
    slug = request.GET.get("organisation", "").replace("\0", "")
    found = organisations_of(request)
    organisation = found.filter(slug=slug).first() if slug else chosen_organisation(request) or found.first()
    if organisation is None:
        raise Http404
    return organisation


def managed(request: HttpRequest, organisation: Organisation) -> Organisation:
    """The same organisation; 403 for whoever does not look after its people."""
    reason = refusal(organisation, person_of(request))
    if reason:
        raise PermissionDenied(reason)
    return organisation


def by_now(request: HttpRequest) -> dict[str, Any]:
    """Who does it, when and from where, as the verbs take them."""
    return {"by": person_of(request), "now": timezone.now(), "request": request}


def people_url(organisation: Organisation) -> str:
    return f"{reverse('people')}?organisation={organisation.slug}"


def shown_to(user: User, organisation: Organisation) -> QuerySet[Membership]:
    """The memberships that the reader sees: who sees a part of the incidents sees managers and their own team."""
    found = organisation.memberships.filter(user__is_active=True).select_related("user", "team")
    found = found.order_by("user__name", "pk")
    if Organisation.objects.seen_whole_by(user).filter(pk=organisation.pk).exists():
        return found
    own = access.membership(user, organisation)
    near = Q(role=Role.MANAGER) | Q(user=user)
    if own is not None and own.team_id is not None and own.visibility == Visibility.TEAM:
        near |= Q(team=own.team_id)
    return found.filter(near)


@login_required
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Managers see and do all; others read names and roles."""
    user, organisation = person_of(request), asked_for(request)
    has_factor = Authenticator.objects.filter(user=OuterRef("user"))
    rows = shown_to(user, organisation).annotate(has_second_factor=Exists(has_factor))
    manages = not refusal(organisation, user)
    context: dict[str, Any] = {
        "organisation": organisation,
        "organisations": organisations_of(request)[:200],
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "manages": manages,
    }
    if manages:
        pending = Invitation.objects.filter(organisation=organisation, accepted_at=None, withdrawn_at=None)
        context["invitations"] = pending.select_related("team", "invited_by").order_by("-pk")[:200]
        context["teams"] = organisation.teams.all()
    return render(request, "portal/people/list.html", context)


@login_required
@require_http_methods(GET_POST)
def invite(request: HttpRequest) -> HttpResponse:
    organisation = managed(request, asked_for(request))
    form = InviteForm(request.POST or None, organisation=organisation)
    if form.is_valid():
        verb = partial(invitation_verbs.invite, organisation, **form.cleaned_data, **by_now(request))
        if attempt(form, verb):
            words = _("The invitation is on its way to %(email)s. It is good for seven days.")
            messages.success(request, words % {"email": form.cleaned_data["email"].lower()})
            return redirect(people_url(organisation))
    context = {
        "form": form,
        "organisation": organisation,
        "title": _("Invite somebody"),
        "button": _("Invite"),
    }
    return render(request, "portal/people/form.html", context, status=400 if form.errors else 200)


@login_required
@require_http_methods(GET_POST)
def invitation(request: HttpRequest, pk: int) -> HttpResponse:
    """Renew or withdraw an open invitation."""
    found = get_object_or_404(
        Invitation.objects.filter(organisation__in=organisations_of(request)).select_related("organisation"),
        pk=pk,
    )
    managed(request, found.organisation)
    if request.method != "POST":
        return redirect(people_url(found.organisation))
    is_renewal = request.POST.get("do") == "renew"
    verb = invitation_verbs.renew if is_renewal else invitation_verbs.withdraw
    try:
        verb(found, **by_now(request))
    except Refused as refused:
        messages.error(request, refused.reason)
    else:
        done = _("A new link is on its way; the old one is dead.") if is_renewal else _("It is withdrawn.")
        messages.success(request, done)
    return redirect(people_url(found.organisation))


def find_member(request: HttpRequest, pk: int) -> Membership:
    rows = Membership.objects.filter(organisation__in=organisations_of(request))
    found = get_object_or_404(rows.select_related("organisation", "user", "team"), pk=pk)
    managed(request, found.organisation)
    return found


@login_required
@require_http_methods(GET_POST)
def member(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what somebody is in the organisation."""
    found = find_member(request, pk)
    initial = {name: getattr(found, name) for name in memberships.COLUMNS}
    by, organisation = person_of(request), found.organisation
    form = MemberForm(request.POST or None, initial=initial, organisation=organisation, by=by)
    if form.is_valid():
        verb = partial(people_verbs.change_membership, found, **form.cleaned_data, **by_now(request))
        if attempt(form, verb):
            messages.success(request, _("Saved. It holds from now on."))
            return redirect(people_url(found.organisation))
    context = {"form": form, "membership": found, "organisation": found.organisation}
    return render(request, "portal/people/member.html", context, status=400 if form.errors else 200)


@login_required
@require_http_methods(GET_POST)
def removal(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody leaves: who takes over, and what ends at once."""
    found = find_member(request, pk)
    work = offboarding.open_work(found.user, found.organisation)
    data = request.POST if request.method == "POST" else None  # the form may have no field to fill in
    form = RemovalForm(data, membership=found, work=work, by=person_of(request))
    if form.is_valid():
        verb = partial(people_verbs.remove_from_organisation, found, **form.cleaned_data, **by_now(request))
        if attempt(form, verb):
            words = _("%(name)s does not belong to %(organisation)s any more.")
            messages.success(request, words % {"name": found.user, "organisation": found.organisation})
            return redirect("home" if found.user == person_of(request) else people_url(found.organisation))
    context = {"form": form, "membership": found, "organisation": found.organisation, "work": work}
    return render(request, "portal/people/removal.html", context, status=400 if form.errors else 200)


# --- teams ---


@login_required
@require_http_methods(GET_POST)
def new_team(request: HttpRequest) -> HttpResponse:
    organisation = managed(request, asked_for(request))
    form = TeamForm(request.POST or None)
    if form.is_valid() and attempt(
        form, partial(people_verbs.make_team, organisation, **form.cleaned_data, **by_now(request))
    ):
        messages.success(request, _("The team is there. Put people into it below."))
        return redirect(people_url(organisation))
    context = {
        "form": form,
        "organisation": organisation,
        "title": _("A new team"),
        "button": _("Make the team"),
    }
    return render(request, "portal/people/form.html", context, status=400 if form.errors else 200)


@login_required
@require_http_methods(GET_POST)
def team(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a team, or remove it."""
    rows = Team.objects.filter(organisation__in=organisations_of(request)).select_related("organisation")
    found = get_object_or_404(rows, pk=pk)
    managed(request, found.organisation)
    is_removal = request.method == "POST" and request.POST.get("do") == "remove"
    form = TeamForm(
        {"name": found.name} if is_removal else request.POST or None, initial={"name": found.name}
    )
    if form.is_valid():
        verb = people_verbs.remove_team if is_removal else people_verbs.rename_team
        given = {} if is_removal else form.cleaned_data
        if attempt(form, partial(verb, found, **given, **by_now(request))):
            messages.success(request, _("The team is gone.") if is_removal else _("The team is renamed."))
            return redirect(people_url(found.organisation))
    context = {"form": form, "team": found, "organisation": found.organisation}
    return render(request, "portal/people/team.html", context, status=400 if form.errors else 200)
