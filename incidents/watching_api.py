"""The API's nouns of an incident's people: who watches it, whose it is, which team sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import actions, audiences
from incidents import serializers as shapes
from incidents.models import Incident, Watcher
from portal.access import person_of
from portal.models import Team, User


class WatcherSerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="person.name")
    is_you = serializers.SerializerMethodField()

    class Meta:
        model = Watcher
        fields = ["name", "added_at", "is_you"]

    def get_is_you(self, row: Watcher) -> bool:
        return row.person_id == self.context["user"].pk


class WatcherPersonSerializer(serializers.Serializer):
    person = serializers.EmailField(
        required=False, help_text="A colleague's address; without one, the caller watches."
    )


class ReporterSerializer(serializers.Serializer):
    person = serializers.EmailField(help_text="A manager or member of the organisation.")


class IncidentTeamSerializer(serializers.Serializer):
    team = serializers.PrimaryKeyRelatedField(
        queryset=Team.objects.none(), allow_null=True, help_text="A team of the organisation; null for none."
    )

    def __init__(self, *args: Any, organisation_id: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams: Any = self.fields["team"]
        teams.queryset = Team.objects.filter(organisation=organisation_id)


class PeopleNouns:
    """What `IncidentViewSet` gains."""

    request: Any
    get_object: Callable[[], Incident]
    act: Callable[..., Response]

    @extend_schema(methods=["GET"], responses=WatcherSerializer(many=True), filters=False)
    @extend_schema(
        methods=["POST"], request=WatcherPersonSerializer, responses={201: shapes.IncidentSerializer}
    )
    @extend_schema(methods=["DELETE"], request=WatcherPersonSerializer, responses={204: None})
    @action(detail=True, methods=["get", "post", "delete"], filterset_class=None, pagination_class=None)
    def watchers(self, request: Request, reference: str) -> Response:
        """POST: watch it, or have a colleague watch it. DELETE: not any more."""
        incident, user = self.get_object(), person_of(request)
        if request.method == "GET":
            found = Watcher.objects.filter(incident=incident, person__in=audiences.watchers(incident))
            rows = found.select_related("person").order_by("pk")
            return Response(WatcherSerializer(rows, many=True, context={"user": user}).data)
        shape = WatcherPersonSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        person = self.colleague(incident, shape.validated_data.get("person", user.email))
        if request.method == "DELETE":
            self.act(incident, actions.remove_watcher, person=person)
            return Response(status=204)
        if person == user:
            return self.act(incident, actions.watch)
        return self.act(incident, actions.add_watcher, person=person)

    @extend_schema(request=ReporterSerializer, responses={201: shapes.IncidentSerializer})
    @action(detail=True, methods=["put"], url_path="reporter")
    def change_reporter(self, request: Request, reference: str) -> Response:
        """Hand it over to a colleague (managers, staff)."""
        incident = self.get_object()
        shape = ReporterSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        person = self.colleague(incident, shape.validated_data["person"])
        return self.act(incident, actions.change_reporter, person=person)

    @extend_schema(request=IncidentTeamSerializer, responses={201: shapes.IncidentSerializer})
    @action(detail=True, methods=["put"])
    def team(self, request: Request, reference: str) -> Response:
        """Move it to another team, whose people see it from now on (managers, staff)."""
        incident = self.get_object()
        shape = IncidentTeamSerializer(data=request.data, organisation_id=incident.organisation_id)
        shape.is_valid(raise_exception=True)
        return self.act(incident, actions.move_to_team, team=shape.validated_data["team"])

    def colleague(self, incident: Incident, email: str) -> User:
        """The person of the organisation with the address; the same words for a stranger and for nobody."""
        people = User.objects.filter(memberships__organisation=incident.organisation_id)
        found = people.filter(email=email.strip().lower()).first()
        if found is None and email != person_of(self.request).email:
            raise exceptions.ValidationError({"person": [_("Choose somebody of the organisation.")]})
        return found or person_of(self.request)
