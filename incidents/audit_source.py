"""What happened to incidents and RCAs, as the staff's search of the audit shows it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.models import RCA, IncidentEvent, RCAEvent
from incidents.timeline_rows import Named
from incidents.timeline_words import sentence
from portal.audit_rows import Row, TimelineSource, register_timeline
from portal.models import User

RCA_WORDS = {
    "rca_owed": gettext_lazy("an RCA is owed"),
    "rca_drafted": gettext_lazy("began the draft of the RCA"),
    "rca_saved": gettext_lazy("saved the draft of the RCA"),
    "rca_submitted": gettext_lazy("submitted the RCA for review"),
    "rca_returned": gettext_lazy("returned the RCA"),
    "rca_approved": gettext_lazy("approved the RCA"),
    "rca_published": gettext_lazy("published the RCA"),
    "rca_revised": gettext_lazy("began a new version of the RCA"),
    "rca_commented": gettext_lazy("commented on the RCA"),
    "rca_accepted": gettext_lazy("accepted the RCA"),
    "action_moved": gettext_lazy("moved a prevention action"),
    "action_started": gettext_lazy("started a prevention action"),
    "action_handed_over": gettext_lazy("handed a prevention action over"),
    "action_closed": gettext_lazy("finished a prevention action"),
    "action_dropped": gettext_lazy("dropped a prevention action"),
    "recurrence_linked": gettext_lazy("linked a recurrence"),
}


def register() -> None:
    register_timeline(TimelineSource(IncidentEvent, "incident__organisation", incident_rows, incident_events))
    register_timeline(TimelineSource(RCAEvent, "rca__incident__organisation", rca_rows, rca_events))


def incident_events(user: User) -> QuerySet[IncidentEvent]:
    return IncidentEvent.objects.visible_to(user).select_related("incident__organisation")


def rca_events(user: User) -> QuerySet[RCAEvent]:
    events = RCAEvent.objects.filter(Q(rca__in=RCA.objects.visible_to(user)))
    return events.select_related("rca__incident__organisation", "rca__window")


def incident_rows(events: list[Any], user: User) -> list[Row]:
    found = Named(events, user)
    return [incident_row(event, found) for event in events]


def incident_row(event: IncidentEvent, found: Named) -> Row:
    incident = found.incident = event.incident
    try:
        words = sentence(event, found)
    except KeyError:  # without words in the timeline, or about what limited staff may not see
        words = event.kind.replace("_", " ")
    return Row(
        at=event.at,
        who=str(event.by) if event.by else _("The portal"),
        sentence=words,
        organisation=str(incident.organisation),
        about=incident.reference,
        url=reverse("admin:incidents_incident_change", args=[incident.pk]),
        group=_("Incidents"),
        is_internal=not event.is_public,
    )


def rca_rows(events: list[Any], user: User) -> list[Row]:
    return [rca_row(event) for event in events]


def rca_row(event: RCAEvent) -> Row:
    incident = event.rca.incident
    return Row(
        at=event.at,
        who=str(event.by) if event.by else _("The portal"),
        sentence=str(RCA_WORDS[event.kind]),
        organisation=str(incident.organisation) if incident else "",
        about=str(incident.reference if incident else event.rca.window.reference),  # type: ignore[union-attr]
        url=reverse("admin:incidents_rca_change", args=[event.rca_id]),
        group=_("RCAs"),
        is_internal=not event.is_public,
    )
