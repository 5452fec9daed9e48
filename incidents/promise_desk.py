"""Moving open incidents to a new version of the agreement: what it would do first, then the chosen ones."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from incidents import actions, present
from incidents.models import Channel, Incident, SLAPolicyVersion
from portal.access import looked_after, may_use, person_of
from portal.models import CalendarVersion, Organisation, User

MOST = 500


class MoveForm(forms.Form):
    """Where to, and whose."""

    policy_version = forms.ModelChoiceField(
        SLAPolicyVersion.objects.select_related("policy"),
        label=gettext_lazy("SLA policy version"),
        required=False,
        empty_label=gettext_lazy("As each incident has it"),
    )
    calendar_version = forms.ModelChoiceField(
        CalendarVersion.objects.select_related("calendar"),
        label=gettext_lazy("Calendar version"),
        required=False,
        empty_label=gettext_lazy("As each incident has it"),
    )
    organisations = forms.ModelMultipleChoiceField(
        Organisation.objects.none(),
        label=gettext_lazy("Organisations with open incidents"),
        help_text=gettext_lazy(
            "Only incidents under an earlier version of the same, or whose plan has it now."
        ),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        open_ones = Incident.objects.unresolved().values("organisation")
        field: Any = self.fields["organisations"]
        field.queryset = Organisation.objects.visible_to(user).filter(pk__in=open_ones)
        for name in ("policy_version", "calendar_version"):
            chosen: Any = self.fields[name]
            chosen.queryset = looked_after(chosen.queryset, user)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and not (data.get("policy_version") or data.get("calendar_version")):
            raise forms.ValidationError(_("Choose a policy version, a calendar version, or both."))
        return data

    def incidents(self) -> Any:
        """Open ones under the same policy and calendar, or whose organisation's plan has them now."""
        data = self.cleaned_data
        found = Incident.objects.unresolved().filter(organisation__in=data["organisations"])
        if data["policy_version"]:
            policy = data["policy_version"].policy
            has_policy = Q(organisation__support_plan__policy_version__policy=policy)
            found = found.filter(Q(policy_version__policy=policy) | has_policy)
        if data["calendar_version"]:
            calendar = data["calendar_version"].calendar
            has_calendar = Q(organisation__support_plan__calendar=calendar)
            found = found.filter(Q(calendar_version__calendar=calendar) | has_calendar)
        related = (
            "organisation",
            "policy_version__policy",
            "calendar_version__calendar",
        )
        return found.select_related(*related).order_by("organisation__name", "pk")[:MOST]

    def moves(self) -> list[actions.Move]:
        data = self.cleaned_data
        return actions.preview_promises(
            self.incidents(), data["policy_version"], data["calendar_version"], timezone.now()
        )


def move_page(request: HttpRequest) -> HttpResponse:
    """GET asks where to and whose; POST shows what it would do, or (with `move`) moves the chosen ones."""
    if not may_use(person_of(request), "incidents.slapolicyversion", "move"):
        raise PermissionDenied
    if request.method != "POST":
        given = request.GET.dict() | {"organisations": request.GET.getlist("organisations")}
        return page(request, MoveForm(initial=given, user=person_of(request)), 200)
    form = MoveForm(request.POST, user=person_of(request))
    if not form.is_valid():
        return page(request, form, 400)
    moves = form.moves()
    if "move" not in request.POST:
        return page(request, form, 200, moves=[shown(move) for move in moves], is_previewed=True)
    chosen = set(request.POST.getlist("incident"))
    carry_out(request, [move for move in moves if str(move.incident.pk) in chosen])
    return redirect("admin:incidents_slapolicyversion_move")


def page(request: HttpRequest, form: MoveForm, status: int, **more: Any) -> HttpResponse:
    context = {"form": form, "now": timezone.now(), "most": MOST} | more
    return render(request, "admin/incidents/slapolicyversion/move.html", context, status=status)


def shown(move: actions.Move) -> dict[str, Any]:
    """A move with the names of its clocks as people read them."""
    rows = [row | {"label": present.KIND_LABELS[row["kind"]]} for row in move.rows]
    return {"move": move, "rows": rows}


def carry_out(request: HttpRequest, moves: list[actions.Move]) -> None:
    """Move each on its own: one that is refused is named and left."""
    moved = 0
    for move in moves:
        try:
            actions.change_promise(
                move.incident,
                by=person_of(request),
                now=timezone.now(),
                channel=Channel.ADMIN,
                policy_version=move.policy_version,
                calendar_version=move.calendar_version,
            )
            moved += 1
        except actions.Refused as refused:
            where = {"reference": move.incident.reference, "reason": refused.reason}
            messages.warning(request, _("Not %(reference)s: %(reason)s") % where)
    told = ngettext("%(count)s incident was moved.", "%(count)s incidents were moved.", moved)
    messages.success(request, told % {"count": moved})
