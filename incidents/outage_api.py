"""The API's nouns of an outage: its children, and what is written once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import actions
from incidents import serializers as shapes
from incidents.models import Channel, Incident
from portal.access import CONCERNS_OTHERS, person_of
from portal.api import Conflict, Nested
from portal.models import Organisation


def children_named(references: list[str], visible: Any) -> list[Incident]:
    """Those of `visible` by their references. ValidationError for one that is not there."""
    found = []
    for reference in references:
        incident = visible.by_reference(reference).select_related("organisation").first()
        if incident is None:
            raise exceptions.ValidationError({"incidents": [_("There is no such incident.")]})
        found.append(incident)
    return found


def outcome_json(outcome: actions.Outcome) -> dict[str, Any]:
    left = [{"reference": incident.reference, "reason": reason} for incident, reason in outcome.left]
    left += [{"reference": one.slug, "reason": reason} for one, reason in outcome.unopened]
    return {"done": [incident.reference for incident in outcome.done], "left": left}


class OutageNouns:
    """What `IncidentViewSet` gains: used by staff alone; a customer's incident shows nothing of an outage."""

    request: Any
    get_object: Callable[[], Incident]
    get_queryset: Callable[[], Any]
    listed: Callable[..., Response]
    act: Callable[..., Response]

    @extend_schema(methods=["GET"], responses=shapes.IncidentRowSerializer(many=True))
    @extend_schema(
        methods=["POST"], request=shapes.GatherSerializer, responses={201: shapes.OutcomeSerializer}
    )
    @extend_schema(
        methods=["DELETE"], request=shapes.ChildrenSerializer, responses={200: shapes.OutcomeSerializer}
    )
    @action(detail=True, methods=["get", "post", "delete"], pagination_class=Nested)
    def children(self, request: Request, reference: str) -> Response:
        """POST puts incidents under an outage (and opens it above a customer's incident); DELETE takes them out."""
        incident = self.get_object()
        if not person_of(request).is_agent:
            raise exceptions.PermissionDenied()
        if not person_of(request).is_unlimited:
            raise exceptions.PermissionDenied(CONCERNS_OTHERS)
        if request.method == "GET":
            rows = self.get_queryset().filter(parent=incident)
            return self.listed(shapes.IncidentRowSerializer, rows, request=request)
        if request.method == "DELETE":
            return self.take_out(incident)
        return self.gather(incident)

    def common(self) -> dict[str, Any]:
        return {"by": person_of(self.request), "now": timezone.now(), "channel": Channel.API}

    def gather(self, incident: Incident) -> Response:
        shape = shapes.GatherSerializer(data=self.request.data)
        shape.is_valid(raise_exception=True)
        data = dict(shape.validated_data)
        named = children_named(data.pop("incidents"), self.get_queryset())
        parent = incident
        organisations = data.pop("organisations", [])
        if actions.is_outage(incident):
            outcome = actions.attach_children(incident, named, **self.common())
            self.open_for(incident, organisations, data.get("title", ""), outcome)
        elif organisations:
            raise Conflict(_("Open the outage first, then tell organisations of it."))
        else:
            parent, outcome = self.open_above(incident, named, data)
        told = {"reference": parent.reference} | outcome_json(outcome)
        return Response(told, status=status.HTTP_201_CREATED)

    def open_for(
        self, parent: Incident, organisations: list[Organisation], title: str, outcome: actions.Outcome
    ) -> None:
        if not organisations:
            return
        try:
            opened = actions.open_children(parent, organisations, title=title, **self.common())
        except actions.Refused as refused:
            raise exceptions.ValidationError({refused.field: [refused.reason]}) from refused
        outcome.done += opened.done
        outcome.left += opened.left
        outcome.unopened += opened.unopened

    def open_above(
        self, incident: Incident, named: list[Incident], data: dict[str, Any]
    ) -> tuple[Incident, actions.Outcome]:
        if incident.parent_id:
            raise Conflict(_("It is under another outage. Take it out there first."))
        data["services"] = data.get("services") or list(incident.services.all())
        data["level"] = data.get("level") or incident.level
        data["title"] = data.get("title") or incident.title
        try:
            return actions.open_parent([incident, *named], **self.common(), **data)
        except actions.Refused as refused:
            raise exceptions.ValidationError(
                {refused.field or "non_field_errors": [refused.reason]}
            ) from refused

    def take_out(self, parent: Incident) -> Response:
        shape = shapes.ChildrenSerializer(data=self.request.data)
        shape.is_valid(raise_exception=True)
        outcome = actions.Outcome()
        for child in children_named(shape.validated_data["incidents"], self.get_queryset()):
            try:
                outcome.done.append(actions.detach_child(parent, child, **self.common()))
            except actions.Refused as refused:
                outcome.left.append((child, refused.reason))
        return Response({"reference": parent.reference} | outcome_json(outcome))

    def update_for_all(self, parent: Incident, additions: dict[str, str], **data: Any) -> Response:
        """One update for the outage and each of its children."""
        named = {child.reference: child.pk for child in actions.unresolved_children(parent)}
        unknown = [reference for reference in additions if reference not in named]
        if unknown:
            words = _("Add words only for unresolved incidents under this outage.")
            raise exceptions.ValidationError({"additions": [words]})
        by_child = {named[reference]: text for reference, text in additions.items()}

        def verb(incident: Incident, **more: Any) -> actions.Outcome:
            return actions.publish_for_all(incident, additions=by_child, **more)[1]

        return self.for_all(parent, verb, **data)

    def end(
        self,
        verb: Callable[..., Any],
        verb_for_all: Callable[..., actions.Outcome],
        shape: type[serializers.Serializer],
    ) -> Response:
        """The verb for one incident or, where that is asked for, for an outage and all its children."""
        incident = self.get_object()
        given = shape(data=self.request.data)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        if not data.pop("is_for_children"):
            return self.act(incident, verb, **data)
        if not actions.is_outage(incident):
            raise Conflict(_("Only an outage of our own has incidents under it."))

        def fresh(incident: Incident, revision: int | None, **more: Any) -> actions.Outcome:
            if revision is not None and revision != Incident.objects.get(pk=incident.pk).revision:
                raise actions.Refused(_("Somebody changed the outage. Read what is new."), kind="stale")
            return verb_for_all(incident, **more)

        return self.for_all(incident, fresh, **data)

    def for_all(self, parent: Incident, verb: Callable[..., actions.Outcome], **data: Any) -> Response:
        """The parent as it is afterwards, with what became of each child."""
        outcomes = []
        answer = self.act(parent, lambda incident, **more: outcomes.append(verb(incident, **more)), **data)
        answer.data["children"] = outcome_json(outcomes[0])
        return answer
