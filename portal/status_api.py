"""The state of services in the API, as the status page shows it, and the mails about it."""

from __future__ import annotations

from datetime import UTC
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal import status_mails
from portal.access import person_of
from portal.api import Door, KeyField, narrowed
from portal.models import ApiToken, Organisation, Service
from portal.models.service_impact import Impact
from portal.status import Board, Card, boards

ORGANISATION = OpenApiParameter("organisation", str, description="Short name: this one only.")


class ServiceStateSerializer(serializers.Serializer):
    """A service as one organisation feels it. Figures are of the last 90 days."""

    service = serializers.CharField(source="service.slug")
    name = serializers.CharField(source="service.name")
    impact = serializers.CharField(source="state.impact", help_text="none, " + ", ".join(Impact.values))
    is_planned = serializers.BooleanField(source="state.is_planned")
    since = serializers.DateTimeField(source="state.since", allow_null=True)
    causes = serializers.SerializerMethodField(
        help_text="References of what causes it, where you may see them."
    )
    is_subscribed = serializers.BooleanField(help_text="Whether a mail tells you of changes.")

    def get_causes(self, card: Card) -> list[str]:
        return [cause.impact.source for cause in card.causes if cause.url]


class StatusBoardSerializer(serializers.Serializer):
    """One organisation's services."""

    organisation = serializers.CharField(source="organisation.slug")
    services = ServiceStateSerializer(many=True, source="cards")


class SubscriptionInSerializer(serializers.Serializer):
    """For which of the caller's organisations; needed by who belongs to several."""

    organisation = KeyField(queryset=Organisation.objects.none(), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "organisations" in self.context:
            field: Any = self.fields["organisation"]
            field.queryset = self.context["organisations"]


class StatusViewSet(Door):
    """The state of each service of the caller's organisations."""

    serializer_class = StatusBoardSerializer
    lookup_field = "slug"
    service_path = "pk"
    order = ("name", "pk")
    reads: ClassVar = dict.fromkeys(("list", "retrieve", "subscription"), ("organisation",))
    queryset = Service.objects.none()

    def services(self) -> QuerySet[Service]:
        found = Service.objects.visible_to(person_of(self.request))
        return narrowed(found, self.request, "subscriptions__organisation", "pk").distinct()

    def organisations(self) -> QuerySet[Organisation]:
        found: Any = Organisation.objects.visible_to(person_of(self.request)).filter(is_vendor=False)
        found = narrowed(found, self.request, "pk")
        slug = self.request.query_params.get("organisation")
        return found if slug is None else found.filter(slug=slug.replace("\0", ""))

    def get_object(self) -> Service:
        found: Service = get_object_or_404(self.services(), slug=self.kwargs["slug"])
        return found

    def state(self) -> Any:
        return self.shown(list(self.organisations()), self.get_object())

    def shown(self, organisations: list[Organisation], service: Service | None = None) -> Any:
        token = self.request.auth
        if service is None and isinstance(token, ApiToken):
            service = token.service
        with timezone.override(UTC):
            found: list[Board] = boards(
                person_of(self.request), organisations, timezone.now().replace(microsecond=0), service
            )
        return StatusBoardSerializer(found, many=True).data

    @extend_schema(parameters=[ORGANISATION], responses=StatusBoardSerializer(many=True))
    def list(self, request: Request) -> Response:
        """A board for each organisation; pages are pages of organisations."""
        page = self.paginate_queryset(self.organisations()) or []
        return self.get_paginated_response(self.shown(page))

    @extend_schema(
        parameters=[ORGANISATION],
        responses={200: StatusBoardSerializer(many=True)},
        operation_id="status_retrieve",
    )
    def retrieve(self, request: Request, slug: str) -> Response:
        """One service, for each organisation that uses it."""
        service = self.get_object()
        return Response(
            [board for board in self.shown(list(self.organisations()), service) if board["services"]]
        )

    @extend_schema(
        methods=["POST"],
        parameters=[ORGANISATION],
        request=SubscriptionInSerializer,
        responses={201: StatusBoardSerializer(many=True)},
    )
    @extend_schema(methods=["DELETE"], parameters=[ORGANISATION], request=None, responses={204: None})
    @action(detail=True, methods=["post", "delete"])
    def subscription(self, request: Request, slug: str) -> Response:
        """POST: a mail tells the caller when the state changes. DELETE: no more."""
        service = self.get_object()
        own = self.organisations().filter(
            memberships__user=person_of(request), subscriptions__service=service
        )
        if request.method == "DELETE":
            for organisation in own:
                status_mails.unsubscribe(person_of(request), organisation, service)
            return Response(status=204)
        shape = SubscriptionInSerializer(data=request.data, context={"organisations": own})
        shape.is_valid(raise_exception=True)
        organisation = shape.validated_data.get("organisation") or self.only(own)
        status_mails.subscribe(person_of(request), organisation, service, now=timezone.now())
        return Response(self.shown([organisation], service), status=201)

    def only(self, own: QuerySet[Organisation]) -> Organisation:
        found = list(own[:2])
        if len(found) != 1:
            raise serializers.ValidationError({"organisation": ["Say for which organisation."]})
        return found[0]
