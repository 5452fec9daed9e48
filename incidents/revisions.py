"""Which revision of an incident a reader is shown: staff count every change, customers what they may see.

A customer's revision is the number of public events that change something. An internal note moves neither
it nor the tags made of it, so that nobody can tell that staff talk among themselves.
"""

from __future__ import annotations

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from incidents.models import Incident, IncidentEvent
from portal.models import User

# Bookkeeping that must not make a form in somebody's hands stale.
QUIET = frozenset(
    {
        "status_update_accepted",
        "clock_warned",
        "clock_breached",
        "escalated",
        "lateness_told",
        "not_reached",
        "mail_held",
        "automatic_mail_received",
        "outage_joined",
        "outage_left",
        "alarm_joined",
        "alarm_resolved",
        "alarm_fired_again",
        "escalation_raised",
        "bridge_opened",
        "bridge_role_given",
        "bridge_noted",
        "bridge_decided",
        "bridge_step_agreed",
        "bridge_step_done",
        "bridge_closed",
        "watcher_added",
        "watcher_removed",
        "reporter_changed",
        "team_changed",
    }
)


def with_revisions(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """The same with `public_revision`, so that a list asks once."""
    rows = _loud().filter(incident=OuterRef("pk")).order_by().values("incident")
    counted = Subquery(rows.annotate(n=Count("pk")).values("n"), output_field=IntegerField())
    return incidents.annotate(public_revision=Coalesce(counted, 0))


def revision_for(reader: User | None, incident: Incident) -> int:
    """The revision that the reader is shown; None reads as a customer does."""
    if reader is not None and reader.is_agent:
        return incident.revision
    counted: int | None = getattr(incident, "public_revision", None)
    return _loud().filter(incident=incident).count() if counted is None else counted


def _loud() -> QuerySet[IncidentEvent]:
    return IncidentEvent.objects.filter(is_public=True).exclude(kind__in=QUIET)
