"""`ServiceImpact` rows of a window: planned from its start to the agreed end, unplanned after it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet

from maintenance.models import MaintenanceWindow
from portal.models import Organisation, ServiceImpact, ServiceSubscription
from portal.models.service_impact import Impact


def feel(window: MaintenanceWindow, at: datetime) -> None:
    """From `at` each involved organisation feels the window's impact on those services that it uses."""
    ServiceImpact.objects.bulk_create(
        ServiceImpact(
            service_id=service,
            organisation_id=organisation,
            impact=impact,
            from_at=at,
            source=window.reference,
            is_planned=True,
        )
        for service, organisation, impact in _felt(window)
    )


def _felt(window: MaintenanceWindow) -> Iterator[tuple[int, int, str]]:
    """(service, organisation, impact); the vendor's own organisation stands for the public page."""
    vendor = Organisation.objects.filter(is_vendor=True).values_list("pk", flat=True).first()
    involved = window.involved.values("organisation")
    for row in window.affected.exclude(impact=Impact.NONE).order_by("service"):
        users = ServiceSubscription.objects.filter(service=row.service_id, organisation__in=involved)
        for organisation in users.order_by("organisation").values_list("organisation", flat=True):
            yield row.service_id, organisation, row.impact
        if vendor is not None and vendor not in set(users.values_list("organisation", flat=True)):
            yield row.service_id, vendor, row.impact


def outlast(window: MaintenanceWindow, at: datetime) -> None:
    """The agreed time is over at `at`, and the impact is not: what follows is not planned any more."""
    rows = list(_open(window).order_by("pk"))
    _open(window).update(until_at=at)
    for row in rows:
        row.pk, row.from_at, row.until_at, row.is_planned = None, at, None, False
        row._state.adding = True
    ServiceImpact.objects.bulk_create(rows)


def close(window: MaintenanceWindow, at: datetime) -> None:
    """Nothing of the window is felt from `at` on."""
    _open(window).update(until_at=at)


def _open(window: MaintenanceWindow) -> QuerySet[ServiceImpact]:
    return ServiceImpact.objects.open().filter(source=window.reference)
