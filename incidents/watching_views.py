"""The pages by which a customer watches an incident, has colleagues watch it, and moves it to another team."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from incidents import actions, views
from incidents.models import Channel, Incident
from portal.access import person_of
from portal.models import Organisation, Team, User


class TeamForm(forms.Form):
    team = forms.ModelChoiceField(
        Team.objects.none(), label=gettext_lazy("Team"), required=False, empty_label=gettext_lazy("No team")
    )

    def __init__(self, *args: object, organisation: Organisation, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["team"].queryset = organisation.teams.all()  # type: ignore[attr-defined]


def named(incident: Incident, request: HttpRequest) -> User:
    """The colleague that the form names; Refused for anybody else."""
    key = request.POST.get("person", "")
    usable = key.isascii() and key.isdecimal() and len(key) < 18
    members = User.objects.filter(memberships__organisation=incident.organisation_id)
    found = members.filter(pk=int(key)).first() if usable else None
    if found is None:
        raise actions.Refused(_("Choose somebody of the organisation."), field="person")
    return found


def use(incident: Incident, request: HttpRequest) -> str:
    """Do what the pressed button says; returns what was done."""
    user = person_of(request)
    about = {"by": user, "now": timezone.now(), "channel": Channel.PORTAL}
    deed = request.POST.get("do", "")
    if deed == "watch":
        actions.watch(incident, **about)  # type: ignore[arg-type]
        return _("You watch it: you hear what its reporter hears.")
    if deed == "add":
        person = named(incident, request)
        actions.add_watcher(incident, person=person, **about)  # type: ignore[arg-type]
        return _("%(name)s watches it from now on, and may read it.") % {"name": person}
    person = named(incident, request) if deed == "remove" else user
    actions.remove_watcher(incident, person=person, **about)  # type: ignore[arg-type]
    return _("%(name)s does not watch it any more.") % {"name": person}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def watchers(request: HttpRequest, reference: str) -> HttpResponse:
    incident = views.get_incident(request, reference)
    if request.method != "POST":
        return redirect(incident)
    try:
        messages.success(request, use(incident, request))
    except actions.Refused as refused:
        if refused.kind == "permission":
            raise PermissionDenied(refused.reason) from refused
        messages.error(request, refused.reason)
    still = Incident.objects.visible_to(person_of(request)).filter(pk=incident.pk)
    return redirect(incident if still.exists() else "incidents:list")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team(request: HttpRequest, reference: str) -> HttpResponse:
    """Another team sees it from now on (managers)."""
    incident, user = views.get_incident(request, reference), person_of(request)
    reason = actions.may("move_to_team", incident, user)
    if reason:
        raise PermissionDenied(reason)
    organisation = incident.organisation
    form = TeamForm(request.POST or None, initial={"team": incident.team_id}, organisation=organisation)
    if request.method == "POST" and form.is_valid():
        try:
            given = {"team": form.cleaned_data["team"], "by": user, "now": timezone.now()}
            actions.move_to_team(incident, channel=Channel.PORTAL, **given)
        except actions.Refused as refused:
            form.add_error("team", refused.reason)
        else:
            messages.success(request, _("It is moved: the people of that team see it from now on."))
            return redirect(incident)
    context = {"form": form, "incident": incident, "title": _("Move to another team")}
    return render(request, "incidents/act.html", context, status=400 if form.errors else 200)
