"""Dedicated channels and webhooks in the API: the same verbs as the managers' pages. Secrets go out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal import endpoint_shapes as shapes
from portal import endpoint_verbs, endpoint_words
from portal.access import person_of
from portal.api import Conflict, Door, narrowed
from portal.api_pages import LongList
from portal.endpoint_views import by_now, managed_by
from portal.models import ChatIdentity, Endpoint, Organisation, OutboxMessage
from portal.verbs import Refused

KEY = "[0-9a-f-]{36}"
ANSWER = {201: shapes.EndpointSerializer}


def refusal(refused: Refused) -> Exception:
    """A verb's refusal as the HTTP status that fits it."""
    if refused.kind == "permission":
        return exceptions.PermissionDenied(refused.reason)
    if refused.kind in ("state", "stale"):
        return Conflict(refused.reason)
    if isinstance(refused, endpoint_verbs.Invalid):
        return exceptions.ValidationError(refused.errors)
    return exceptions.ValidationError({refused.field or "non_field_errors": [refused.reason]})


def verb(
    shape: Any, url_path: str, responses: Any = ANSWER, methods: tuple[Literal["post"], ...] = ("post",)
) -> Any:
    """A noun of an endpoint that is POSTed to use a verb."""

    def decorate(function: Callable[..., Response]) -> Any:
        name = f"channel_{function.__name__}"
        documented = extend_schema(request=shape, responses=responses, operation_id=name)
        return documented(action(detail=True, methods=list(methods), url_path=url_path)(function))

    return decorate


@extend_schema_view(
    create=extend_schema(request=shapes.NewEndpointSerializer, responses={201: shapes.NewEndpointAnswer})
)
class EndpointViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Dedicated channels and webhooks of the organisations that the caller manages."""

    serializer_class = shapes.EndpointSerializer
    lookup_field = "key"
    lookup_value_regex = KEY
    order = ("-pk",)
    queryset = Endpoint.objects.none()

    def get_queryset(self) -> QuerySet[Endpoint]:
        """Those that the caller reads; `get_object` refuses a colleague who manages nothing."""
        if getattr(self, "swagger_fake_view", False):
            return Endpoint.objects.none()
        user = person_of(self.request)
        visible: Any = Endpoint.objects.visible_to(user).exclude(organisation=None)
        if self.action == "list":
            visible = visible.filter(organisation__in=managed_by(user))
        return narrowed(visible, self.request).select_related("organisation", "created_by")

    def get_object(self) -> Endpoint:
        found: Endpoint = super().get_object()
        assert found.organisation is not None  # `get_queryset` left the others out
        if reason := endpoint_verbs.refusal(found.organisation, person_of(self.request)):
            raise PermissionDenied(reason)
        return found

    # --- how verbs are used ---

    def given(self, shape: type[serializers.Serializer], **more: Any) -> dict[str, Any]:
        checked = shape(data=self.request.data, context={"request": self.request}, **more)
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)

    def do(self, verb: Callable[..., Any], *about: Any, **inputs: Any) -> Any:
        try:
            return verb(*about, **inputs, **by_now(self.request._request))
        except Refused as refused:
            raise refusal(refused) from refused

    def answer(self, endpoint: Endpoint, code: int = status.HTTP_201_CREATED, **more: Any) -> Response:
        fresh = Endpoint.objects.select_related("organisation", "created_by").get(pk=endpoint.pk)
        return Response(self.get_serializer(fresh).data | more, status=code)

    # --- the endpoint itself ---

    def create(self, request: Request) -> Response:
        """Set up a dedicated channel or webhooks. The secret that webhooks are signed by is in this answer only."""
        data = self.given(shapes.NewEndpointSerializer)
        organisation = data.pop("organisation", None) or self.only_organisation()
        made = self.do(endpoint_verbs.create, organisation, **data)
        return self.answer(made, secret=shown_secret(made))

    def only_organisation(self) -> Organisation:
        managed = managed_by(person_of(self.request))
        found = list(narrowed(managed, self.request, "pk")[:2])
        if not found:
            raise PermissionDenied(
                _("The managers of your organisation look after its channels and webhooks.")
            )
        if len(found) > 1:
            raise exceptions.ValidationError({"organisation": [_("Say for which organisation.")]})
        return found[0]

    @extend_schema(request=shapes.EndpointChangeSerializer, responses={200: shapes.EndpointSerializer})
    def partial_update(self, request: Request, key: str) -> Response:
        """Change what is given. Secrets are written and never read; `forget` drops them."""
        found = self.get_object()
        data = shapes.present_of(found) | self.given(shapes.EndpointChangeSerializer)
        return self.answer(self.do(endpoint_verbs.change, found, **data), status.HTTP_200_OK)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, key: str) -> Response:
        """Remove it, with its address and secrets."""
        self.do(endpoint_verbs.remove, self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @verb(None, "rotation", {201: shapes.NewEndpointAnswer})
    def rotation(self, request: Request, key: str) -> Response:
        """A new secret, in this answer only. For a day webhooks are signed by the old one, too."""
        found = self.get_object()
        secret = self.do(endpoint_verbs.rotate, found)
        return self.answer(found, secret=secret)

    @verb(None, "test")
    def test(self, request: Request, key: str) -> Response:
        """Send a test; the log shows what became of it."""
        found = self.get_object()
        self.do(endpoint_verbs.send_test, found)
        return self.answer(found)

    @verb(shapes.SwitchSerializer, "switch")
    def switch(self, request: Request, key: str) -> Response:
        """Switch it on or off."""
        found = self.get_object()
        wanted = self.given(shapes.SwitchSerializer)["is_active"]
        self.do(endpoint_verbs.switch_on if wanted else endpoint_verbs.switch_off, found)
        return self.answer(found)

    # --- its log ---

    @extend_schema(responses=shapes.LogEntrySerializer(many=True), operation_id="channel_log")
    @action(detail=True, pagination_class=LongList)
    def log(self, request: Request, key: str) -> Response:
        """What went there, newest first."""
        rows = endpoint_words.log_of(self.get_object())
        pages = LongList(("-pk",))
        found = pages.paginate_queryset(rows, request, None)
        entries = list(endpoint_words.entries(found))
        return pages.get_paginated_response(shapes.LogEntrySerializer(entries, many=True).data)

    @extend_schema(responses=shapes.LogEntrySerializer, operation_id="channel_log_entry")
    @action(detail=True, url_path=r"log/(?P<message>[0-9]{1,18})")
    def log_entry(self, request: Request, key: str, message: str) -> Response:
        """One message of the log."""
        entry = endpoint_words.entry(self.logged(message))
        return Response(shapes.LogEntrySerializer(entry).data)

    @verb(None, r"log/(?P<message>[0-9]{1,18})/replay", {201: shapes.LogEntrySerializer})
    def replay(self, request: Request, key: str, message: str) -> Response:
        """Send it again, with the id that it had."""
        found = self.logged(message)
        self.do(endpoint_verbs.replay, found)
        entry = endpoint_words.entry(self.logged(message))
        return Response(shapes.LogEntrySerializer(entry).data, status=status.HTTP_201_CREATED)

    def logged(self, pk: str) -> OutboxMessage:
        found: OutboxMessage = get_object_or_404(endpoint_words.log_of(self.get_object()), pk=int(pk))
        return found

    # --- who is who in it ---

    @extend_schema(
        methods=["GET"], responses=shapes.ChatPersonSerializer(many=True), operation_id="channel_people"
    )
    @extend_schema(
        methods=["POST"],
        request=shapes.ChatPersonInSerializer,
        responses={201: shapes.ChatPersonSerializer},
        operation_id="channel_people_add",
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def people(self, request: Request, key: str) -> Response:
        """Whose words in the channel become replies, and of whom."""
        found = self.get_object()
        if request.method == "GET":
            rows = found.identities.select_related("person").order_by("pk")
            return self.listed(shapes.ChatPersonSerializer, list(rows))
        data = self.given(shapes.ChatPersonInSerializer)
        made = self.do(endpoint_verbs.map_person, found, **self.with_person(found, data))
        return Response(shapes.ChatPersonSerializer(made).data, status=status.HTTP_201_CREATED)

    def with_person(self, found: Endpoint, data: dict[str, Any]) -> dict[str, Any]:
        assert found.organisation is not None
        people = endpoint_verbs.writers_of(found.organisation)
        person = people.filter(email=data["person"].strip().lower()).first()
        if person is None:
            raise exceptions.ValidationError(
                {"person": [_("Choose a member or manager of the organisation.")]}
            )
        return data | {"person": person}

    @extend_schema(responses={204: None}, operation_id="channel_people_remove")
    @action(detail=True, methods=["delete"], url_path=r"people/(?P<identity>[0-9]{1,18})")
    def person(self, request: Request, key: str, identity: str) -> Response:
        """What they write from now on waits for staff."""
        found = self.get_object()
        row = get_object_or_404(ChatIdentity.objects.filter(endpoint=found), pk=int(identity))
        self.do(endpoint_verbs.unmap_person, found, row)
        return Response(status=status.HTTP_204_NO_CONTENT)


def shown_secret(endpoint: Endpoint) -> str:
    """The secret, if receivers check one."""
    return endpoint.secret if endpoint.service == Endpoint.Service.WEBHOOK else ""
