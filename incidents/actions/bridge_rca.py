"""What a bridge adds to an RCA that is being written: moments, never words over somebody's words."""

from __future__ import annotations

from django.db.models import F

from incidents.models import RCA, Bridge, RCAMoment
from incidents.rca_facts import moments_of
from portal.mails import reading_as


def locked_draft(incident_pk: int) -> RCA | None:
    """The incident's own RCA while it is a draft, under lock; never the one that others under a parent read.

    To be taken before the incident's lock: publishing takes them in that order.
    """
    drafts = RCA.objects.select_for_update(of=("self",)).filter(incident=incident_pk)
    return drafts.filter(status=RCA.Status.DRAFT).first()


def add_moments(rca: RCA, bridge: Bridge) -> None:
    """Add what happened on the bridge since the draft was begun, in its author's words.

    What the author took out or rewrote of the time before stays so; a form in their hands is stale now.
    """
    begun = rca.events.filter(kind="rca_drafted").order_by("-pk").first()
    events = bridge.incident.events.filter(payload__bridge=bridge.pk)
    if begun is not None:
        events = events.filter(recorded_at__gte=begun.recorded_at)
    new = set(events.values_list("pk", flat=True)) - set(rca.moments.values_list("event", flat=True))
    with reading_as(rca.author):
        moments = [moment for moment in moments_of(bridge.incident) if moment.event in new]
    RCAMoment.objects.bulk_create(
        RCAMoment(rca=rca, at=moment.at, text=moment.text, event=moment.event) for moment in moments
    )
    if moments:
        RCA.objects.filter(pk=rca.pk).update(revision=F("revision") + 1)
