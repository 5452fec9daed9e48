"""The API's door to the monthly reports."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import report
from portal.access import person_of
from portal.api import Door, narrowed
from portal.models import Organisation

MONTHS = 36


class MonthSerializer(serializers.Serializer):
    """A month that can be read at `reports/{month}/?organisation={organisation}`."""

    organisation = serializers.CharField()
    month = serializers.CharField(help_text="Such as 2026-10.")
    is_running = serializers.BooleanField(help_text="The month is not over: its figures still change.")


class ReportViewSet(Door):
    """The reports of the caller's organisations: the months, and each with its figures."""

    serializer_class = MonthSerializer
    lookup_field = "month"
    lookup_value_regex = "[^/]+"
    order = ("name", "pk")
    reads: ClassVar = {"retrieve": ("organisation",)}
    queryset = Organisation.objects.none()

    def get_queryset(self) -> QuerySet[Organisation]:
        found = Organisation.objects.seen_whole_by(person_of(self.request)).filter(is_vendor=False)
        return narrowed(found, self.request, "pk").order_by("name")

    @extend_schema(responses=MonthSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The newest 36 months of each organisation; pages are pages of organisations."""
        now = timezone.now()
        organisations = self.paginate_queryset(self.get_queryset()) or []
        rows = [
            {
                "organisation": one.slug,
                "month": f"{month:%Y-%m}",
                "is_running": report.period_of(one, month, now).is_running,
            }
            for one in organisations
            for month in report.months_of(one, now)[:MONTHS]
        ]
        return self.get_paginated_response(rows)

    @extend_schema(
        parameters=[
            OpenApiParameter("organisation", str, description="Short name; needed if you belong to several.")
        ],
        responses={200: OpenApiTypes.OBJECT},
    )
    def retrieve(self, request: Request, month: str) -> Response:
        """The figures of a month: as they were sent, or as they stand now. Times are UTC, durations seconds."""
        organisation = self.organisation(request.GET.get("organisation", "").replace("\0", ""))
        first = report.month_of(month)
        now = timezone.now()
        if first is None or first not in report.months_of(organisation, now):
            raise Http404
        return Response(self.told(report.report_of(organisation, first, now)))

    def organisation(self, slug: str) -> Organisation:
        found = list(self.get_queryset().filter(slug=slug) if slug else self.get_queryset()[:2])
        if len(found) > 1:
            raise exceptions.ValidationError({"organisation": ["Say for which organisation."]})
        if not found:
            raise Http404
        return found[0]

    def told(self, content: dict[str, Any]) -> dict[str, Any]:
        return content | {"organisation": content["organisation"]["slug"]}
