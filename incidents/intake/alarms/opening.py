"""The incidents that an alarm opens: one, or the vendor's own and one for each organisation that is concerned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from incidents import actions
from incidents.defaults import vendor_organisation
from incidents.intake.alarms import incident_texts
from incidents.intake.alarms.formats import Alert
from incidents.intake.alarms.incident_texts import Texts
from incidents.models import Alarm, AlarmSource, Channel, Incident
from maintenance.models import MaintenanceWindow
from portal.models import Organisation, Service
from portal.models.service_impact import Impact


def open_for_alarm(
    source: AlarmSource,
    alarm: Alarm,
    alert: Alert,
    *,
    texts: Texts,
    level: str,
    now: datetime,
    received_at: datetime,
    window: MaintenanceWindow | None = None,
) -> Incident:
    """Open what the alarm opens; the incident that the alarm belongs to. `window` is the one that it outlasts."""
    told = set(window.involved.values_list("organisation", flat=True)) if window else set()

    def opened(
        organisation: Organisation,
        services: Iterable[Service],
        words: Texts = texts,
        parent: Incident | None = None,
    ) -> Incident:
        return actions.open_incident(
            organisation=organisation,
            reporter=None,
            by=None,
            now=now,
            channel=Channel.ALARM,
            title=words.title,
            description=words.description,
            claimed_level=level,
            services=services,
            impact=Impact.OUTAGE if level == "P1" else Impact.DEGRADED,
            received_at=received_at,
            alarm=alarm,
            parent=parent,
            window=window if organisation.is_vendor or organisation.pk in told else None,
        )

    if source.organisation is not None:
        slug = alert.label("service")
        named = Service.objects.used_by(source.organisation).filter(slug=slug) if slug else []
        return opened(source.organisation, named)
    assert source.service is not None  # the table holds that a source has one owner
    parent = opened(vendor_organisation(now), [source.service])
    for organisation in users_of(source.service):
        # What the vendor's monitoring says may name other customers; none of it goes to this one.
        opened(
            organisation, [source.service], incident_texts.for_customer(source.service, organisation), parent
        )
    return parent


def users_of(service: Service) -> Iterable[Organisation]:
    """The active organisations that use the service."""
    if not service.is_active:
        return []
    return Organisation.objects.filter(is_active=True, subscriptions__service=service).order_by("pk")
