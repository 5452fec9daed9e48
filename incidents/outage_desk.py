"""An outage on the staff desk: who is under it, one update for all with a preview for each, one end for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from incidents import actions, notify, present
from incidents.actions.outage import ADDITION_LENGTH
from incidents.desk import get_incident
from incidents.forms import text_field
from incidents.hearing import whom
from incidents.models import Channel, Incident, Level, StatusUpdate
from incidents.outage_words import Words
from incidents.staff_forms import OptionalTextForm, ResolveForm, StatusUpdateForm, VerbForm, moment_field
from portal.access import CONCERNS_OTHERS, person_of
from portal.channels.base import Rendered
from portal.models import Organisation, OutboxMessage, Service

CANDIDATES = 50


class OutageUpdateForm(StatusUpdateForm):
    """One update, with words that only one organisation reads."""

    publish_at = moment_field(gettext_lazy("Publish at"), help_text=gettext_lazy("Empty: now."))

    def __init__(self, *args: Any, children: list[Incident], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for child in children:
            label = _("Only for %(organisation)s") % {"organisation": child.organisation}
            field = text_field(label, required=False)
            field.max_length = ADDITION_LENGTH
            self.fields[f"addition_{child.pk}"] = field

    def common_fields(self) -> list[Any]:
        return [field for field in self.visible_fields() if not field.name.startswith("addition_")]

    def additions(self) -> list[Any]:
        return [field for field in self.visible_fields() if field.name.startswith("addition_")]

    def inputs(self) -> dict[str, Any]:
        data = super().inputs()
        added = {name: data.pop(name) for name in list(data) if name.startswith("addition_")}
        data["additions"] = {int(name.partition("_")[2]): text for name, text in added.items() if text}
        return data


class GatherForm(forms.Form):
    """The common outage of several customers, and whose incidents belong to it."""

    title = forms.CharField(
        label=gettext_lazy("What is broken?"),
        max_length=200,
        help_text=gettext_lazy("Customers do not read it."),
    )
    level = forms.ChoiceField(
        label=gettext_lazy("Level"), choices=Level.choices, widget=forms.RadioSelect, initial=Level.P1
    )
    services = forms.ModelMultipleChoiceField(
        Service.objects.filter(is_active=True),
        label=gettext_lazy("Affected services"),
        widget=forms.CheckboxSelectMultiple,
    )
    description = text_field(gettext_lazy("What is known"), required=False)


class ChildrenForm(forms.Form):
    """Incidents of customers, to be put under the outage."""

    children = forms.ModelMultipleChoiceField(
        Incident.objects.none(),
        label=gettext_lazy("Incidents"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, candidates: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["children"]
        field.queryset = candidates
        field.label_from_instance = _candidate_words

    def chosen(self) -> list[Incident]:
        return list(self.cleaned_data["children"].select_related("organisation"))


class TellForm(forms.Form):
    """Organisations that reported nothing, to be told by an incident of their own."""

    title = forms.CharField(
        label=gettext_lazy("Title"),
        max_length=200,
        help_text=gettext_lazy("Each of them reads it, without the names of others."),
    )
    organisations = forms.ModelMultipleChoiceField(
        Organisation.objects.none(),
        label=gettext_lazy("Organisations that use an affected service"),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, parent: Incident, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["organisations"]
        field.queryset = actions.unreached_organisations(parent)


def _candidate_words(incident: Incident) -> str:
    return f"{incident.organisation} · {incident.reference} {incident.title} · {incident.level}"


def candidates(services: Any) -> Any:
    """Open incidents of customers that use one of the services and are under no outage yet."""
    users = Organisation.objects.filter(is_vendor=False, subscriptions__service__in=services)
    found = Incident.objects.unresolved().filter(parent=None, organisation__in=users.values("pk"))
    newest = found.order_by("-pk").values_list("pk", flat=True)[:CANDIDATES]
    return Incident.objects.filter(pk__in=list(newest)).select_related("organisation").order_by("-pk")


@dataclass(frozen=True)
class Reading:
    """What one organisation will read, and who of it hears."""

    incident: Incident
    recipients: list[str]
    mail: Rendered | None
    replaced: list[str]


# --- pages ---


def outage_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The outage with its children; for a customer's incident the form that opens an outage above it."""
    incident = get_incident(request, pk)
    if not person_of(request).is_unlimited:  # it is of many customers
        raise PermissionDenied(CONCERNS_OTHERS)
    if not actions.is_outage(incident):
        return gather_page(request, incident)
    return show(request, incident, new_form(incident), 200)


def gather_page(request: HttpRequest, incident: Incident) -> HttpResponse:
    if incident.parent_id:
        return redirect("admin:incidents_incident_outage", incident.parent_id)
    services = incident.services.all() or Service.objects.used_by(incident.organisation)
    children = ChildrenForm(
        request.POST or None,
        candidates=candidates(services) | Incident.objects.filter(pk=incident.pk),
        initial={"children": [incident.pk]},
    )
    initial = {"level": incident.level, "services": incident.services.all(), "title": incident.title}
    form = GatherForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid() and children.is_valid():
        return gather(request, incident, form, children)
    context = {"incident": incident, "form": form, "children": children}
    status = 400 if form.errors or children.errors else 200
    return render(request, "admin/incidents/outage/gather.html", context, status=status)


def gather(
    request: HttpRequest, incident: Incident, form: GatherForm, children: ChildrenForm
) -> HttpResponse:
    try:
        parent, outcome = actions.open_parent(
            children.chosen(),
            by=person_of(request),
            now=timezone.now(),
            channel=Channel.ADMIN,
            **form.cleaned_data,
        )
    except actions.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        context = {"incident": incident, "form": form, "children": children}
        status = refused.status
        return render(request, "admin/incidents/outage/gather.html", context, status=status)
    tell(request, outcome, _("%(reference)s is open.") % {"reference": parent.reference})
    return redirect("admin:incidents_incident_outage", parent.pk)


def new_form(parent: Incident, data: Any = None) -> OutageUpdateForm:
    return OutageUpdateForm(
        data,
        children=actions.unresolved_children(parent),
        incident=parent,
        initial={"revision": parent.revision},
    )


def show(
    request: HttpRequest,
    parent: Incident,
    form: OutageUpdateForm,
    status: int,
    **more: Any,
) -> HttpResponse:
    views = present.clock_views(parent, timezone.now())
    under = parent.children.select_related("organisation", "assignee").order_by("organisation__name", "pk")
    hearing = actions.unresolved_children(parent)
    context = {
        "incident": parent,
        "headline": present.headline(parent, views),
        "now": timezone.now(),
        "children": under,
        "form": form,
        "count": len({child.organisation_id for child in hearing}),
        "pending": actions.pending_update(parent),
        "held": set(held_copies(parent).values_list("incident", flat=True)),
        "restore_form": OptionalTextForm(auto_id="restore_%s"),
        "resolve_form": ResolveForm(auto_id="resolve_%s"),
        "attach_form": ChildrenForm(candidates=candidates(parent.services.all()), auto_id="attach_%s"),
        "tell_form": TellForm(parent=parent, auto_id="tell_%s"),
        "readings": [],
    }
    return render(request, "admin/incidents/outage/page.html", context | more, status=status)


def held_copies(parent: Incident) -> Any:
    """The parent's updates that are held for a child, for something changed there."""
    return StatusUpdate.objects.filter(of__incident=parent, state=StatusUpdate.State.HELD)


# --- what is done ---


def act(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """POST one act for the outage: update (or its preview), attach, detach, restore, resolve, release, discard."""
    parent = get_incident(request, pk)
    step = ACTS.get(act)
    if step is None or not actions.is_outage(parent):
        raise Http404
    if request.method != "POST":
        return redirect("admin:incidents_incident_outage", pk)
    try:
        return step(request, parent)
    except actions.Refused as refused:
        messages.error(request, refused.reason)
        return redirect("admin:incidents_incident_outage", pk)


def common(request: HttpRequest) -> dict[str, Any]:
    return {"by": person_of(request), "now": timezone.now(), "channel": Channel.ADMIN}


def done(request: HttpRequest, parent: Incident, outcome: actions.Outcome, words: str) -> HttpResponse:
    tell(request, outcome, words)
    return redirect("admin:incidents_incident_outage", parent.pk)


def tell(request: HttpRequest, outcome: actions.Outcome, words: str) -> None:
    """For how many it was done, and by name for whom not."""
    count = len(outcome.done)
    told = ngettext("Done for %(count)s incident.", "Done for %(count)s incidents.", count) % {"count": count}
    messages.success(request, f"{words} {told}".strip())
    for incident, reason in outcome.left:
        where = {"reference": incident.reference, "organisation": incident.organisation, "reason": reason}
        messages.warning(request, _("Not for %(organisation)s, %(reference)s: %(reason)s") % where)
    for organisation, reason in outcome.unopened:
        messages.warning(request, f"{organisation}: {reason}")


def update(request: HttpRequest, parent: Incident) -> HttpResponse:
    form = new_form(parent, request.POST)
    if not form.is_valid():
        return show(request, parent, form, 400)
    try:
        if "preview" in request.POST:
            return show(request, parent, form, 200, readings=readings(request, parent, form))
        written, outcome = actions.publish_for_all(parent, **common(request), **form.inputs())
    except actions.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return show(request, parent, form, refused.status)
    is_out = written.state == written.State.PUBLISHED
    return done(
        request, parent, outcome, _("The update is out.") if is_out else _("The update is scheduled.")
    )


def readings(request: HttpRequest, parent: Incident, form: OutageUpdateForm) -> list[Reading]:
    """The update as each organisation will read it: made by the verb itself, and rolled back."""
    inputs = form.inputs()
    now = inputs.pop("publish_at") or timezone.now()
    inputs.pop("revision")
    texts = [inputs[name] for name in ("summary", "impact", "next_steps")]
    words = Words(*texts, *inputs["additions"].values())
    twin = Incident.objects.select_related("organisation").get(pk=parent.pk)
    with transaction.atomic():
        last = OutboxMessage.objects.aggregate(last=Max("pk"))["last"] or 0
        _update, outcome = actions.publish_for_all(
            twin, by=person_of(request), now=now, channel=Channel.ADMIN, **inputs
        )
        found = []
        for child in outcome.done:
            written = "\n".join([*texts, inputs["additions"].get(child.pk, "")])
            found.append(reading_of(child, last, words.replaced(written, child)))
        transaction.set_rollback(True)
    return found


def reading_of(child: Incident, after: int, replaced: list[str]) -> Reading:
    queued = OutboxMessage.objects.filter(pk__gt=after, subject_key=child.reference, kind="status_update")
    to_customers = list(queued.select_related("recipient", "endpoint__organisation").order_by("pk"))
    mail = notify.render(to_customers[0]) if to_customers else None
    names = sorted({whom(message) for message in to_customers})
    return Reading(child, names, mail, replaced)


def attach(request: HttpRequest, parent: Incident) -> HttpResponse:
    form = ChildrenForm(request.POST, candidates=candidates(parent.services.all()))
    chosen = form.chosen() if form.is_valid() else []
    return done(request, parent, actions.attach_children(parent, chosen, **common(request)), "")


def open_for(request: HttpRequest, parent: Incident) -> HttpResponse:
    form = TellForm(request.POST, parent=parent)
    if not form.is_valid():
        raise actions.Refused(_("Nothing was done: give a title and choose organisations."))
    return done(request, parent, actions.open_children(parent, **common(request), **form.cleaned_data), "")


def detach(request: HttpRequest, parent: Incident) -> HttpResponse:
    named = request.POST.get("child", "")
    child = parent.children.filter(pk=int(named)).first() if named.isdecimal() else None
    if child is None:
        raise Http404
    actions.detach_child(parent, child, **common(request))
    return done(request, parent, actions.Outcome([child]), "")


def ended(form_class: type[VerbForm], verb: Callable[..., actions.Outcome], words: Any) -> Callable[..., Any]:
    def step(request: HttpRequest, parent: Incident) -> HttpResponse:
        form = form_class(request.POST)
        if not form.is_valid():
            raise actions.Refused(_("Nothing was done: fill in every field."))
        data = {name: value for name, value in form.inputs().items() if name != "revision"}
        return done(request, parent, verb(parent, **common(request), **data), words)

    return step


def pending(verb: Callable[..., actions.Outcome], words: Any) -> Callable[..., Any]:
    def step(request: HttpRequest, parent: Incident) -> HttpResponse:
        return done(request, parent, verb(parent, **common(request)), words)

    return step


ACTS: dict[str, Callable[[HttpRequest, Incident], HttpResponse]] = {
    "update": update,
    "attach": attach,
    "detach": detach,
    "open": open_for,
    "restore": ended(OptionalTextForm, actions.restore_all, gettext_lazy("Recorded as restored.")),
    "resolve": ended(ResolveForm, actions.resolve_all, gettext_lazy("Resolved.")),
    "release": pending(actions.release_for_all, gettext_lazy("The update is out.")),
    "discard": pending(actions.discard_for_all, gettext_lazy("Discarded.")),
}
