"""The state of each service, derived from `ServiceImpact` and never typed twice."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal.access import person_of
from portal.models import Service, ServiceImpact, User
from portal.models.service_impact import Impact

WORST_FIRST = [Impact.OUTAGE, Impact.DEGRADED, Impact.REDUCED_REDUNDANCY, Impact.NONE]


@dataclass(frozen=True)
class ServiceRow:
    service: Service
    impact: str
    impact_word: str
    impacts: list[ServiceImpact]


def service_rows(user: User) -> list[ServiceRow]:
    """Each visible service with its worst open impact among the user's organisations."""
    by_service: dict[int, list[ServiceImpact]] = {}
    for impact in ServiceImpact.objects.visible_to(user).open().order_by("from_at"):
        by_service.setdefault(impact.service_id, []).append(impact)
    return [row_of(service, by_service.get(service.pk, [])) for service in Service.objects.visible_to(user)]


def row_of(service: Service, impacts: list[ServiceImpact]) -> ServiceRow:
    found = {impact.impact for impact in impacts}
    worst = next((impact for impact in WORST_FIRST if impact in found), Impact.NONE)
    return ServiceRow(service, worst, str(Impact(worst).label), impacts)


@login_required
def status(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/status.html", {"services": service_rows(person_of(request))})
