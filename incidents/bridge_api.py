"""The API's door to the live bridge of an incident: the same verbs, rules and refusals as its page. Nouns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import actions
from incidents import bridge_serializers as shapes
from incidents.api import refusal
from incidents.bridge_summary import public_events
from incidents.models import Bridge, Channel, Incident, Message
from incidents.serializers import TextSerializer
from incidents.sight import writers_who_may_see
from portal.access import person_of
from portal.api import Door, narrowed
from portal.models import User

ANSWER = {200: shapes.BridgeSerializer}
CREATED = {201: shapes.BridgeSerializer}
NAMES = {"role": "part"}  # what the API calls an input of a verb


class BridgeDoor(Door):
    """The latest bridge of the incident that the address names."""

    queryset = Bridge.objects.none()
    pagination_class = None
    serializer_class = shapes.BridgeSerializer
    lookup_field = "reference"
    service_path = "services"

    def state(self) -> Any:
        return self.answer(self.bridge()).data

    def incident(self) -> Incident:
        mine = Incident.objects.visible_to(person_of(self.request))
        visible = narrowed(mine, self.request, service="services")
        rows = visible.select_related("organisation")
        found: Incident = get_object_or_404(rows.by_reference(self.kwargs["reference"]))  # type: ignore[attr-defined]
        return found

    def get_object(self) -> Any:
        """What the framework asks for by itself, to answer OPTIONS."""
        return self.incident()

    def bridge(self) -> Bridge:
        """The open bridge, else the last one; 404 where there was none."""
        incident = self.incident()
        found = Bridge.objects.filter(incident=incident).select_related("opened_by", "closed_by", "summary")
        bridge = found.order_by("-pk").first()
        if bridge is None:
            raise Http404
        bridge.incident = incident
        return bridge

    # --- reading ---

    @extend_schema(responses=ANSWER)
    def retrieve(self, request: Request, reference: str) -> Response:
        """The bridge as it is: people, parts, decisions, next steps, conference."""
        return self.answer(self.bridge())

    def answer(self, bridge: Bridge, code: int = 200) -> Response:
        is_open = bridge.closed_at is None
        data = {
            "is_open": is_open,
            "opened_at": bridge.opened_at,
            "opened_by": str(bridge.opened_by),
            "closed_at": bridge.closed_at,
            "closed_by": str(bridge.closed_by) if bridge.closed_by else None,
            "conference_url": bridge.conference_url if is_open else "",
            "people": bridge.presences.select_related("person").order_by("pk"),
            "parts": bridge.seats.filter(until_at=None).select_related("person").order_by("pk"),
            "decisions": self.words(bridge, "bridge_decided"),
            "steps": bridge.steps.select_related("owner", "agreed_by", "done_by"),
            "summary": actions.summary_of(bridge),
        }
        return Response(shapes.BridgeSerializer(data).data, status=code)

    def words(self, bridge: Bridge, kind: str) -> QuerySet[Message]:
        """What both sides read of one kind, oldest first."""
        named = [event.payload["message"] for event in public_events(bridge, kind)]
        visible = Message.objects.visible_to(person_of(self.request)).filter(pk__in=named, is_public=True)
        return visible.select_related("author").order_by("pk")

    @extend_schema(responses=shapes.BridgeWordsSerializer(many=True))
    def notes(self, request: Request, reference: str) -> Response:
        """What was said on the bridge."""
        return Response(
            shapes.BridgeWordsSerializer(self.words(self.bridge(), "bridge_noted"), many=True).data
        )

    # --- how verbs are used ---

    def given(self, shape: type[serializers.Serializer]) -> dict[str, Any]:
        form = shape(data=self.request.data)
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)

    def act(self, verb: Callable[..., Any], about: Any, **inputs: Any) -> Response:
        """Use the verb; answer with the bridge as it is afterwards."""
        try:
            verb(about, by=person_of(self.request), now=timezone.now(), **inputs)
        except actions.Refused as refused:
            refused.field = NAMES.get(refused.field, refused.field)
            raise refusal(refused) from refused
        return self.answer(self.bridge(), 201)

    def somebody(self, bridge: Bridge, key: str, field: str) -> User:
        """A person by address or id: of the organisation, or of support (for a customer: whom they met there)."""
        wanted = Q(pk=int(key)) if key.isdecimal() else Q(email=key.strip().lower())
        found = self.people(bridge).filter(wanted).first()
        if found is None:
            raise exceptions.ValidationError({field: [_("There is no such person on either side.")]})
        return found

    def people(self, bridge: Bridge) -> QuerySet[User]:
        organisation = bridge.incident.organisation_id
        theirs = Q(pk__in=writers_who_may_see(bridge.incident).values("pk"))
        staff = Q(is_staff=True) & (Q(is_limited=False) | Q(staff_limits__organisation=organisation))
        if not person_of(self.request).is_agent:
            met = Q(pk__in=bridge.presences.values("person")) | Q(pk__in=bridge.seats.values("person"))
            staff &= met | Q(pk=bridge.incident.assignee_id)
        return User.objects.filter(theirs | staff, is_active=True)

    # --- opening, closing ---

    @extend_schema(request=None, responses=CREATED | ANSWER)
    def open(self, request: Request, reference: str) -> Response:
        """Open a bridge; 200 with the one that is open already."""
        incident = self.incident()
        before = actions.open_bridge_of(incident)
        answer = self.act(actions.open_bridge, incident, channel=Channel.API)
        if before is not None:
            answer.status_code = 200
        return answer

    @extend_schema(request=shapes.BridgeClosingSerializer, responses=CREATED)
    def closing(self, request: Request, reference: str) -> Response:
        """Staff close it with a summary, which the customer reads."""
        bridge = self.bridge()
        return self.act(
            actions.close_bridge, bridge, channel=Channel.API, **self.given(shapes.BridgeClosingSerializer)
        )

    # --- people ---

    @extend_schema(request=None, responses=CREATED)
    def join(self, request: Request, reference: str) -> Response:
        """Be there from now on. Whoever is not heard of for three minutes has left: post again to stay."""
        bridge = self.bridge()
        actions.note_presence(bridge, person_of(request), timezone.now())
        return self.act(actions.join_bridge, bridge)

    @extend_schema(request=None, responses={204: None})
    def leave(self, request: Request, reference: str) -> Response:
        """Be there no more."""
        self.act(actions.leave_bridge, self.bridge())
        return Response(status=204)

    @extend_schema(request=shapes.BridgePartInSerializer, responses=CREATED)
    def parts(self, request: Request, reference: str) -> Response:
        """Give a part to somebody, or take it."""
        bridge = self.bridge()
        data = self.given(shapes.BridgePartInSerializer)
        key = data.get("person")
        person = self.somebody(bridge, key, "person") if key else person_of(request)
        return self.act(actions.give_part, bridge, role=data["part"], person=person, channel=Channel.API)

    # --- words ---

    @extend_schema(request=TextSerializer, responses=CREATED)
    def note(self, request: Request, reference: str) -> Response:
        """Say something that both sides read."""
        return self.say(actions.note_on_bridge)

    @extend_schema(request=TextSerializer, responses=CREATED)
    def side_note(self, request: Request, reference: str) -> Response:
        """Staff only: an internal note of the incident. Read it there."""
        return self.say(actions.side_note)

    @extend_schema(request=TextSerializer, responses=CREATED)
    def decision(self, request: Request, reference: str) -> Response:
        """Write down what was decided."""
        return self.say(actions.decide_on_bridge)

    def say(self, verb: Callable[..., Any]) -> Response:
        bridge = self.bridge()
        return self.act(verb, bridge, channel=Channel.API, **self.given(TextSerializer))

    # --- steps ---

    @extend_schema(request=shapes.BridgeStepInSerializer, responses=CREATED)
    def agree(self, request: Request, reference: str) -> Response:
        """Agree a next step with its owner and time."""
        bridge = self.bridge()
        data = self.given(shapes.BridgeStepInSerializer)
        data["owner"] = self.somebody(bridge, data["owner"], "owner")
        return self.act(actions.agree_step, bridge, channel=Channel.API, **data)

    @extend_schema(request=None, responses=CREATED)
    def completion(self, request: Request, reference: str, step: int) -> Response:
        """The step is done."""
        rows = self.bridge().steps.select_related("bridge__incident")
        return self.act(actions.finish_step, get_object_or_404(rows, pk=step), channel=Channel.API)
