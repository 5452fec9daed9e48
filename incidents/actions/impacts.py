"""`ServiceImpact` rows of an incident: written when it is felt, ended when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from incidents.models import Incident
from portal.models import Service, ServiceImpact
from portal.models.service_impact import Impact


def feel_impact(incident: Incident, at: datetime, services: Iterable[Service]) -> None:
    """The incident's organisation feels its impact on these services from `at`."""
    if incident.impact == Impact.NONE:
        return
    ServiceImpact.objects.bulk_create(
        ServiceImpact(
            service=service,
            organisation_id=incident.organisation_id,
            impact=incident.impact,
            from_at=at,
            source=incident.reference,
            level=incident.level,
        )
        for service in services
    )


def note_level(incident: Incident) -> None:
    """Its open impacts say the level that it has now."""
    ServiceImpact.objects.open().filter(source=incident.reference).update(level=incident.level)


def end_impact(incident: Incident, at: datetime) -> None:
    ServiceImpact.objects.open().filter(source=incident.reference).update(until_at=at)
