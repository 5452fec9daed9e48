"""An RCA is owed as soon as its clock starts; a child incident owes it through its parent."""

from __future__ import annotations

from datetime import datetime

from incidents import sla
from incidents.models import RCA, Incident, RCAEvent, RCAVersion
from incidents.models.rca_timeline import RCAOwed
from incidents.models.timeline import RCAPublished
from portal.models import User


def owed_clock(ledger: sla.Ledger) -> sla.Clock | None:
    return next(iter(ledger.owed(sla.Kind.RCA)), None)


def owe(incident: Incident, ledger: sla.Ledger, *, by: User | None, now: datetime, channel: str) -> None:
    """Write the RCA's row if its clock runs and there is none. The caller holds the incident's lock."""
    clock = owed_clock(ledger)
    if clock is None:
        return
    defaults = {"owed_since": clock.started_at, "created_at": now}
    rca, is_new = RCA.objects.get_or_create(incident_id=incident.parent_id or incident.pk, defaults=defaults)
    if is_new:
        facts = RCAOwed(clock="/".join(map(str, clock.key)))
        RCAEvent.objects.create(
            rca=rca,
            kind=facts.kind,
            by=by,
            channel=channel,
            at=now,
            recorded_at=now,
            payload=facts.as_json(),
            is_public=facts.is_public,
        )


def published_already(incident: Incident, ledger: sla.Ledger) -> RCAPublished | None:
    """The fact for a child that is resolved only after its parent's RCA was published to its organisation."""
    if incident.parent_id is None or owed_clock(ledger) is None or ledger.cycle_started_at is None:
        return None
    version = RCAVersion.objects.filter(
        rca__incident=incident.parent_id,
        published_at__gte=ledger.cycle_started_at,
        copies__organisation=incident.organisation_id,
    ).first()
    return RCAPublished(rca_version=version.pk, number=version.number) if version else None
