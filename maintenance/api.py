"""The API's door to maintenance: the same verbs, rules and refusals as the pages. Nouns, not verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from maintenance import actions, window_view
from maintenance import serializers as shapes
from maintenance.models import Consent, Freeze, MaintenanceWindow, Status, WindowPost
from portal.access import person_of
from portal.api import Conflict, Door, Nested, narrowed, only_service
from portal.api_filters import MomentFilter, TextFilter
from portal.models import ApiToken, Organisation
from portal.verbs import Refused

API = "api"
REVISION_DIGITS = 10


def refusal(refused: Refused, window: MaintenanceWindow | None = None) -> exceptions.APIException:
    """A verb's refusal as the HTTP status that fits it; a stale one tells the present revision."""
    if refused.kind == "permission":
        return exceptions.PermissionDenied(refused.reason)
    if refused.kind == "stale" and window is not None:
        return Conflict(refused.reason, revision=MaintenanceWindow.objects.get(pk=window.pk).revision)
    if refused.kind in ("state", "stale"):
        return Conflict(refused.reason)
    return exceptions.ValidationError({refused.field or "non_field_errors": [refused.reason]})


class WindowFilter(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(choices=Status.choices)
    service = TextFilter(field_name="affected__service__slug", max_length=80)
    until = MomentFilter(field_name="starts_at", lookup_expr="lt", label="windows that start before")

    class Meta:
        model = MaintenanceWindow
        fields = ["status", "service", "until"]


# `from` is a word of Python's, so that no attribute can have this name.
WindowFilter.base_filters["from"] = MomentFilter(
    field_name="ends_at", lookup_expr="gt", label="windows that end after"
)

WINDOW = {201: shapes.WindowSerializer}


def verb(shape: type[serializers.Serializer] | None, url_path: str) -> Any:
    """A noun of a window that is POSTed to use a verb; answers with the window."""

    def decorate(function: Callable[..., Response]) -> Any:
        name = f"maintenance_window_{function.__name__}"
        documented = extend_schema(request=shape, responses=WINDOW, operation_id=name)
        return documented(action(detail=True, methods=["post"], url_path=url_path)(function))

    return decorate


LISTED: dict[str, Any] = {"detail": True, "pagination_class": Nested}


@extend_schema_view(list=extend_schema(responses=shapes.WindowRowSerializer(many=True)))
class WindowViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Maintenance windows that concern the caller's organisations; all of them for staff."""

    filterset_class = WindowFilter
    serializer_class = shapes.WindowSerializer
    order = ("-starts_at", "-pk")
    service_path = "affected__service"
    lookup_field = "reference"
    lookup_value_regex = "[^/]+"  # what is no reference is answered as an invented one
    queryset = MaintenanceWindow.objects.none()

    def organisations(self) -> QuerySet[Organisation] | None:
        """Whose services are shown: those of the caller, and of the token; None for staff: all."""
        user, token = person_of(self.request), self.request.auth
        is_bound = isinstance(token, ApiToken) and token.organisation_id is not None
        if user.is_unlimited and not is_bound:
            return None
        return narrowed(Organisation.objects.visible_to(user), self.request, "pk")

    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        if getattr(self, "swagger_fake_view", False):
            return MaintenanceWindow.objects.none()
        visible: Any = MaintenanceWindow.objects.visible_to(person_of(self.request))
        visible = narrowed(visible, self.request, "involved__organisation", self.service_path)
        return window_view.rows_for(visible.order_by("-starts_at", "-pk"), self.organisations())

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        """A filter by a service finds only what the caller is shown of a window."""
        found = super().filter_queryset(queryset)
        named = self.request.query_params.get("service")
        if named and self.organisations() is not None:
            shown = window_view.affected_for(self.organisations()).filter(service__slug=named)
            found = found.filter(pk__in=shown.order_by().values("window"))
        return found

    def get_object(self) -> MaintenanceWindow:
        self.check_permissions(self.request)
        found: Any = self.get_queryset()
        return get_object_or_404(found.by_reference(self.kwargs["reference"]))

    def get_serializer_class(self) -> Any:
        return shapes.WindowRowSerializer if self.action == "list" else self.serializer_class

    def get_serializer_context(self) -> dict[str, Any]:
        context = dict(super().get_serializer_context())
        if getattr(self, "swagger_fake_view", False):
            return context
        return context | {"organisations": self.organisations(), "now": timezone.now()}

    # --- how verbs are used and answered ---

    def given(self, shape: type[serializers.Serializer]) -> dict[str, Any]:
        checked = shape(data=self.request.data)
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)

    def use(self, verb: Callable[..., Any], shape: type[serializers.Serializer] | None) -> Response:
        """Check the input's shape, use the verb, answer with the window as it is afterwards."""
        window = self.get_object()
        return self.act(window, verb, window, **(self.given(shape) if shape else {}))

    def act(self, window: MaintenanceWindow, verb: Callable[..., Any], about: Any, **data: Any) -> Response:
        revision = self.request.headers.get("X-Revision", "")
        if revision and not (revision.isdecimal() and len(revision) < REVISION_DIGITS):
            raise exceptions.ValidationError(
                {"X-Revision": [_("Give the revision as you read it: a number.")]}
            )
        try:
            verb(
                about,
                by=person_of(self.request),
                now=timezone.now(),
                channel=API,
                revision=int(revision) if revision else None,
                **data,
            )
        except Refused as refused:
            raise refusal(refused, window) from refused
        return Response(self.get_serializer(self.get_object()).data, status=status.HTTP_201_CREATED)

    def part(self, window: MaintenanceWindow, rows: Any, name: str, pk: int) -> Any:
        """A step or a condition of the window by its id."""
        found = rows.filter(window=window, pk=pk).first()
        if found is None:
            raise exceptions.ValidationError({name: [_("There is no such one of this window.")]})
        return found

    # --- before the start ---

    @verb(None, "approval")
    def approval(self, request: Request, reference: str) -> Response:
        return self.use(actions.approve, None)

    @verb(None, "announcement")
    def announcement(self, request: Request, reference: str) -> Response:
        return self.use(actions.announce, None)

    @verb(shapes.MoveSerializer, "move")
    def move(self, request: Request, reference: str) -> Response:
        return self.use(actions.move_window, shapes.MoveSerializer)

    @verb(shapes.WindowReasonSerializer, "cancellation")
    def cancellation(self, request: Request, reference: str) -> Response:
        return self.use(actions.cancel, shapes.WindowReasonSerializer)

    # --- the work ---

    @verb(None, "start")
    def start(self, request: Request, reference: str) -> Response:
        return self.use(actions.start, None)

    @extend_schema(methods=["GET"], responses=shapes.WindowStepSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.TickSerializer, responses=WINDOW)
    @action(methods=["get", "post"], **LISTED)
    def steps(self, request: Request, reference: str) -> Response:
        """POST ticks a step, or takes the tick back."""
        window = self.get_object()
        if request.method == "GET":
            return self.listed(shapes.WindowStepSerializer, window.steps.all())
        data = self.given(shapes.TickSerializer)
        step = self.part(window, window.steps.select_related("window"), "step", data.pop("step"))
        return self.act(window, actions.tick_step, step, **data)

    @extend_schema(methods=["GET"], responses=shapes.ConditionSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.CheckSerializer, responses=WINDOW)
    @action(methods=["get", "post"], **LISTED)
    def conditions(self, request: Request, reference: str) -> Response:
        """POST writes down what was measured, and whether it means that the work is taken back."""
        window = self.get_object()
        if request.method == "GET":
            return self.listed(shapes.ConditionSerializer, window.conditions.all())
        data = self.given(shapes.CheckSerializer)
        rows = window.conditions.select_related("window")
        condition = self.part(window, rows, "condition", data.pop("condition"))
        return self.act(window, actions.check_condition, condition, **data)

    @verb(shapes.WindowDecisionSerializer, "decision")
    def decision(self, request: Request, reference: str) -> Response:
        return self.use(actions.decide, shapes.WindowDecisionSerializer)

    @extend_schema(methods=["POST"], request=shapes.ExtensionSerializer, responses=WINDOW)
    @extend_schema(methods=["PATCH"], request=shapes.ExtensionAnswerSerializer, responses=WINDOW)
    @action(detail=True, methods=["post", "patch"])
    def extension(self, request: Request, reference: str) -> Response:
        """POST asks for a later end. PATCH: another person approves it, or refuses it with a reason."""
        if request.method == "POST":
            return self.use(actions.ask_extension, shapes.ExtensionSerializer)
        window, data = self.get_object(), self.given(shapes.ExtensionAnswerSerializer)
        if data["is_approved"]:
            return self.act(window, actions.approve_extension, window)
        return self.act(window, actions.refuse_extension, window, reason=data["reason"])

    @verb(shapes.WindowReasonSerializer, "rollback")
    def rollback(self, request: Request, reference: str) -> Response:
        return self.use(actions.order_rollback, shapes.WindowReasonSerializer)

    @verb(None, "verification")
    def verification(self, request: Request, reference: str) -> Response:
        return self.use(actions.begin_verification, None)

    @verb(shapes.OutcomeSerializer, "completion")
    def completion(self, request: Request, reference: str) -> Response:
        return self.use(actions.complete, shapes.OutcomeSerializer)

    @extend_schema(methods=["GET"], responses=shapes.PostSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.PostInSerializer, responses=WINDOW)
    @action(methods=["get", "post"], **LISTED)
    def posts(self, request: Request, reference: str) -> Response:
        """What people wrote about it; customers read what is public."""
        window = self.get_object()
        if request.method == "POST":
            return self.act(window, actions.post, window, **self.given(shapes.PostInSerializer))
        rows = WindowPost.objects.filter(window=window).select_related("author").order_by("pk")
        if not person_of(request).is_unlimited:
            rows = rows.filter(is_public=True)
        return self.listed(shapes.PostSerializer, rows)

    # --- consents ---

    def asked(self, window: MaintenanceWindow) -> QuerySet[Consent]:
        """The consents that the caller reads: their organisations' own; all for staff."""
        visible: Any = Consent.objects.visible_to(person_of(self.request)).filter(window=window)
        return narrowed(visible, self.request).select_related("organisation", "decided_by", "window")

    @extend_schema(methods=["GET"], responses=shapes.ConsentSerializer(many=True))
    @action(methods=["get"], **LISTED)
    def consents(self, request: Request, reference: str) -> Response:
        """What the caller's organisations are asked to consent to, and what they answered."""
        return self.listed(shapes.ConsentSerializer, self.asked(self.get_object()))

    @extend_schema(
        request=shapes.ConsentAnswerSerializer, responses=WINDOW, operation_id="maintenance_window_consent"
    )
    @action(detail=True, methods=["post"], url_path=r"consents/(?P<consent>[0-9]{1,18})")
    def consent(self, request: Request, reference: str, consent: str) -> Response:
        """Give a consent, refuse it, or override that it is missing."""
        window = self.get_object()
        asked = get_object_or_404(self.asked(window), pk=int(consent))
        data = self.given(shapes.ConsentAnswerSerializer)
        if data["answer"] == "overridden":
            return self.act(window, actions.override_consent, asked, reason=data["words"])
        answers = {"given": actions.give_consent, "refused": actions.refuse_consent}
        return self.act(window, answers[data["answer"]], asked, words=data["words"])


class FreezeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Times in which the caller's organisations want no maintenance; all of them for staff."""

    serializer_class = shapes.FreezeSerializer
    lookup_url_kwarg = "freeze"
    order = ("-starts_at", "-pk")
    service_path = "service"
    lookup_value_regex = "[0-9]{1,18}"
    queryset = Freeze.objects.none()

    def get_queryset(self) -> QuerySet[Freeze]:
        if getattr(self, "swagger_fake_view", False):
            return Freeze.objects.none()
        visible: Any = Freeze.objects.visible_to(person_of(self.request))
        found = narrowed(visible, self.request, service=self.service_path)
        return found.select_related("organisation", "service", "entered_by").order_by("-starts_at", "-pk")

    @extend_schema(request=shapes.FreezeInSerializer, responses={201: shapes.FreezeSerializer})
    def create(self, request: Request) -> Response:
        shape = shapes.FreezeInSerializer(data=request.data, context={"request": request})
        shape.is_valid(raise_exception=True)
        data = dict(shape.validated_data)
        organisation = data.pop("organisation", None) or self.only_organisation()
        if not narrowed(Organisation.objects.filter(pk=organisation.pk), request, "pk").exists():
            raise exceptions.ValidationError({"organisation": ["This token is for another organisation."]})
        data["service"] = (
            only_service(request, [data["service"]] if data.get("service") else None) or [None]
        )[0]
        try:
            freeze = actions.enter_freeze(
                organisation, **data, by=person_of(request), now=timezone.now(), channel=API
            )
        except Refused as refused:
            raise refusal(refused) from refused
        return Response(shapes.FreezeSerializer(freeze).data, status=status.HTTP_201_CREATED)

    def only_organisation(self) -> Organisation:
        found = narrowed(Organisation.objects.visible_to(person_of(self.request)), self.request, "pk")[:2]
        if len(found) != 1:
            raise exceptions.ValidationError({"organisation": ["Say for which organisation."]})
        return found[0]

    @extend_schema(request=None, responses={201: shapes.FreezeSerializer}, operation_id="freeze_withdrawal")
    @action(detail=True, methods=["post"])
    def withdrawal(self, request: Request, freeze: str) -> Response:
        found = self.get_object()
        try:
            actions.withdraw_freeze(found, by=person_of(request), now=timezone.now(), channel=API)
        except Refused as refused:
            raise refusal(refused) from refused
        return Response(shapes.FreezeSerializer(found).data, status=status.HTTP_201_CREATED)
