"""The API's door to incidents: the same verbs, rules and refusals as the pages. Nouns, not verbs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import actions
from incidents import serializers as shapes
from incidents.models import Article, Attachment, Channel, Incident, Level, Message, Status, StatusUpdate
from incidents.models.timeline import IncidentEvent
from incidents.outage_api import OutageNouns
from incidents.revisions import revision_for, with_revisions
from incidents.search import BEST_FIRST, search
from incidents.standard import Situation
from incidents.watching_api import PeopleNouns
from portal.access import person_of
from portal.api import Conflict, Door, Nested, narrowed, only_service
from portal.api_filters import IdFilter, MomentFilter, TextFilter
from portal.api_tags import tag_of
from portal.business_time import HorizonError
from portal.models import Organisation, Service, User

REVISION_DIGITS = 10


NAMES = {"attachments": "file", "condition": "state"}  # what the API calls an input of a verb


def refusal(
    refused: actions.Refused, incident: Incident | None = None, reader: User | None = None
) -> exceptions.APIException:
    """A verb's refusal as the HTTP status that fits it; a stale one tells the present revision."""
    if refused.kind == "permission":
        return exceptions.PermissionDenied(refused.reason)
    if refused.kind == "stale" and incident is not None:
        present = Incident.objects.get(pk=incident.pk)
        return Conflict(refused.reason, revision=revision_for(reader, present))
    if refused.kind in ("state", "stale"):
        return Conflict(refused.reason)
    field = NAMES.get(refused.field, refused.field) or "non_field_errors"
    return exceptions.ValidationError({field: [refused.reason]})


class IncidentFilter(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(choices=Status.choices)
    level = django_filters.MultipleChoiceFilter(choices=Level.choices)
    organisation = TextFilter(field_name="organisation__slug")
    service = TextFilter(field_name="services__slug")
    reporter = TextFilter(field_name="reporter__email", lookup_expr="iexact", label="e-mail address")
    assignee = TextFilter(field_name="assignee__name", label="the assignee's name, as the incident shows it")
    team = IdFilter(field_name="team", label="the team's id")
    opened_after = MomentFilter(field_name="opened_at", lookup_expr="gte", label="opened at or after")
    opened_before = MomentFilter(field_name="opened_at", lookup_expr="lt", label="opened before")
    updated_since = MomentFilter(method="by_change", label="changed at or after, as far as you see it")
    q = TextFilter(method="by_words", max_length=200, label="words in title, description or reference")

    class Meta:
        model = Incident
        fields = ["status", "level", "organisation", "service"]

    def by_words(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return search(queryset, value, person_of(self.request))

    def by_change(self, queryset: QuerySet, name: str, value: datetime) -> QuerySet:
        """By what the reader may see: to hear of a change that is hidden would be to see it."""
        events = IncidentEvent.objects.visible_to(person_of(self.request)).filter(recorded_at__gte=value)
        return queryset.filter(pk__in=events.values("incident"))


INCIDENT = {200: shapes.IncidentSerializer}
CREATED = {201: shapes.IncidentSerializer}


def verb(
    shape: type[serializers.Serializer] | None,
    url_path: str,
    methods: tuple[Literal["post", "put"], ...] = ("post",),
) -> Any:
    """A noun of an incident that is POSTed to use a verb; answers with the incident."""

    def decorate(function: Callable[..., Response]) -> Any:
        name = f"incident_{function.__name__}" if len(methods) == 1 else None
        documented = extend_schema(request=shape, responses=CREATED, operation_id=name)
        return documented(action(detail=True, methods=list(methods), url_path=url_path)(function))

    return decorate


@extend_schema_view(
    list=extend_schema(responses=shapes.IncidentRowSerializer(many=True)),
    create=extend_schema(request=shapes.OpenSerializer, responses=CREATED),
)
class IncidentViewSet(OutageNouns, PeopleNouns, mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Incidents of the caller's organisations; all of them for staff."""

    filterset_class = IncidentFilter
    serializer_class = shapes.IncidentSerializer
    order: tuple[str, ...] = ("-pk",)
    service_path = "services"
    lookup_field = "reference"
    lookup_value_regex = "[^/]+"  # what is no reference is answered as an invented one
    queryset = Incident.objects.none()

    def get_queryset(self) -> QuerySet[Incident]:
        if getattr(self, "swagger_fake_view", False):
            return Incident.objects.none()
        visible = Incident.objects.visible_to(person_of(self.request))
        found: Any = narrowed(visible, self.request, service=self.service_path)
        found = found.select_related("organisation", "reporter", "assignee", "window").prefetch_related(
            "services"
        )
        return with_revisions(found)

    def filter_queryset(self, queryset: Any) -> Any:
        """What was searched for stands best first."""
        if self.request.query_params.get("q", "").strip():
            self.order = BEST_FIRST
        return super().filter_queryset(queryset)

    def get_object(self) -> Incident:
        self.check_permissions(self.request)
        return get_object_or_404(self.get_queryset().by_reference(self.kwargs["reference"]))  # type: ignore[attr-defined]

    def get_serializer_class(self) -> Any:
        return shapes.IncidentRowSerializer if self.action == "list" else self.serializer_class

    # --- filing ---

    def create(self, request: Request) -> Response:
        shape = shapes.OpenSerializer(data=request.data, context={"request": request})
        shape.is_valid(raise_exception=True)
        data = dict(shape.validated_data)
        organisation = data.pop("organisation", None) or self.only_organisation()
        if not narrowed(Organisation.objects.filter(pk=organisation.pk), request, "pk").exists():
            raise exceptions.ValidationError({"organisation": ["This token is for another organisation."]})
        data["services"] = only_service(request, data.get("services")) or []
        reporter = self.reporter(data.pop("reporter", None), organisation)
        try:
            incident = actions.open_incident(
                organisation=organisation,
                reporter=reporter,
                by=person_of(request),
                now=timezone.now(),
                channel=Channel.API,
                **data,
            )
        except actions.Refused as refused:
            raise refusal(refused) from refused
        return self.answer(incident, status.HTTP_201_CREATED)

    def only_organisation(self) -> Organisation:
        found = narrowed(Organisation.objects.visible_to(person_of(self.request)), self.request, "pk")[:2]
        if len(found) != 1:
            raise exceptions.ValidationError({"organisation": ["Say for which organisation."]})
        return found[0]

    def reporter(self, email: str | None, organisation: Organisation) -> User:
        user = person_of(self.request)
        if email is None or email.lower() == user.email:
            return user
        if user.is_agent:
            people = User.objects.filter(memberships__organisation=organisation, is_active=True)
            found = people.filter(email=email.lower()).first()
            if found:
                return found
        raise exceptions.ValidationError({"reporter": ["No such person in this organisation."]})

    # --- how verbs are used and answered ---

    def use(
        self, verb: Callable[..., Any], shape: type[serializers.Serializer] | None, **more: Any
    ) -> Response:
        """Check the input's shape, use the verb, answer with the incident as it is afterwards."""
        incident = self.get_object()
        data: dict[str, Any] = {}
        if shape is not None:
            given = shape(data=self.request.data)
            given.is_valid(raise_exception=True)
            data = dict(given.validated_data)
        return self.act(incident, verb, **data, **more)

    def act(self, incident: Incident, verb: Callable[..., Any], **data: Any) -> Response:
        revision = self.request.headers.get("X-Revision", "")
        if revision and not (revision.isdecimal() and len(revision) < REVISION_DIGITS):
            raise exceptions.ValidationError(
                {"X-Revision": [_("Give the revision as you read it: a number.")]}
            )
        try:
            verb(
                incident,
                by=person_of(self.request),
                now=timezone.now(),
                channel=Channel.API,
                revision=int(revision) if revision else None,
                **data,
            )
        except actions.Refused as refused:
            raise refusal(refused, incident, person_of(self.request)) from refused
        return self.answer(Incident.objects.get(pk=incident.pk), status.HTTP_201_CREATED)

    def answer(self, incident: Incident, code: int = status.HTTP_200_OK) -> Response:
        return Response(
            shapes.IncidentSerializer(incident, context={"request": self.request}).data, status=code
        )

    def tag(self, data: Any) -> str:
        """Of a running clock, the time that merely passes makes no new state."""
        if not isinstance(data, dict) or "clocks" not in data:
            return super().tag(data)
        clocks = [{k: v for k, v in clock.items() if k != "receipts"} for clock in data["clocks"]]
        return tag_of(data, data | {"clocks": clocks})

    # --- reading ---

    @extend_schema(responses=shapes.EventSerializer(many=True))
    @action(detail=True, pagination_class=Nested)
    def events(self, request: Request, reference: str) -> Response:
        visible = IncidentEvent.objects.visible_to(person_of(request))
        return self.listed(
            shapes.EventSerializer, visible.filter(incident=self.get_object()).select_related("by")
        )

    @extend_schema(responses=shapes.ClockSerializer(many=True))
    @action(detail=True, pagination_class=None)
    def clocks(self, request: Request, reference: str) -> Response:
        incident = self.get_object()
        return Response(shapes.IncidentSerializer(incident, context={"request": request}).data["clocks"])

    def messages(self, *kinds: str) -> Response:
        visible = Message.objects.visible_to(person_of(self.request))
        rows = visible.filter(incident=self.get_object(), kind__in=kinds).select_related("author")
        return self.listed(shapes.MessageSerializer, rows)

    # --- words ---

    @extend_schema(methods=["GET"], responses=shapes.MessageSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.TextSerializer, responses=CREATED)
    @action(detail=True, methods=["get", "post"], pagination_class=Nested)
    def replies(self, request: Request, reference: str) -> Response:
        if request.method == "POST":
            return self.use(actions.reply, shapes.TextSerializer)
        return self.messages("reply", "question", "solution", "resolution", "reason")

    @extend_schema(methods=["GET"], responses=shapes.MessageSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.TextSerializer, responses=CREATED)
    @action(detail=True, methods=["get", "post"], pagination_class=Nested)
    def notes(self, request: Request, reference: str) -> Response:
        if request.method == "POST":
            return self.use(actions.add_note, shapes.TextSerializer)
        if not person_of(request).is_agent:
            self.get_object()
            raise exceptions.PermissionDenied()
        return self.messages("note")

    @verb(shapes.TextSerializer, "question")
    def question(self, request: Request, reference: str) -> Response:
        return self.use(actions.ask_customer, shapes.TextSerializer)

    # --- level ---

    @verb(shapes.LevelValidationSerializer, "level-validation")
    def level_validation(self, request: Request, reference: str) -> Response:
        return self.use(actions.validate_level, shapes.LevelValidationSerializer)

    @extend_schema(methods=["POST"], request=shapes.ReasonSerializer, responses=CREATED)
    @extend_schema(methods=["PATCH"], request=shapes.DecisionSerializer, responses=CREATED)
    @action(detail=True, methods=["post", "patch"])
    def contest(self, request: Request, reference: str) -> Response:
        """POST: the customer contests a lowering. PATCH: a duty manager decides."""
        if request.method == "PATCH":
            return self.use(actions.decide_contest, shapes.DecisionSerializer)
        return self.use(actions.contest_lowering, shapes.ReasonSerializer)

    @extend_schema(methods=["POST"], request=shapes.ReasonSerializer, responses=CREATED)
    @extend_schema(methods=["PATCH"], request=shapes.TextSerializer, responses=CREATED)
    @action(detail=True, methods=["post", "patch"])
    def escalation(self, request: Request, reference: str) -> Response:
        """POST: the customer escalates to the duty manager. PATCH: a duty manager answers."""
        if request.method == "PATCH":
            return self.use(actions.answer_escalation, shapes.TextSerializer)
        return self.use(actions.escalate, shapes.ReasonSerializer)

    @verb(shapes.ReasonSerializer, "major-incident")
    def major_incident(self, request: Request, reference: str) -> Response:
        """A duty manager declares a major incident: an RCA is owed from now on."""
        return self.use(actions.declare_major, shapes.ReasonSerializer)

    # --- work ---

    @verb(None, "acknowledgement")
    def acknowledgement(self, request: Request, reference: str) -> Response:
        return self.use(actions.acknowledge, None)

    @verb(shapes.AssignmentSerializer, "assignment", ("post", "put"))
    def assignment(self, request: Request, reference: str) -> Response:
        return self.use(actions.assign, shapes.AssignmentSerializer)

    @verb(shapes.InterventionSerializer, "intervention")
    def intervention(self, request: Request, reference: str) -> Response:
        return self.use(actions.start_intervention, shapes.InterventionSerializer)

    @extend_schema(methods=["GET"], responses=shapes.ActionPlanSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.ActionPlanSerializer, responses=CREATED)
    @action(
        detail=True,
        methods=["get", "post"],
        url_path="action-plan",
        pagination_class=Nested,
    )
    def action_plan(self, request: Request, reference: str) -> Response:
        if request.method == "POST":
            return self.use(actions.file_action_plan, shapes.ActionPlanSerializer)
        return self.listed(
            shapes.ActionPlanSerializer, self.get_object().action_plans.prefetch_related("steps")
        )

    @extend_schema(methods=["GET"], responses=shapes.StatusUpdateSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.StatusUpdateInSerializer, responses=CREATED)
    @action(
        detail=True,
        methods=["get", "post"],
        url_path="status-updates",
        pagination_class=Nested,
    )
    def status_updates(self, request: Request, reference: str) -> Response:
        incident = self.get_object()
        if request.method == "GET":
            visible = StatusUpdate.objects.visible_to(person_of(request))
            rows = visible.filter(incident=incident).select_related("author")
            return self.listed(shapes.StatusUpdateSerializer, rows, situation=Situation.of(incident))
        shape = shapes.StatusUpdateInSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        data = dict(shape.validated_data)
        data["condition"] = data.pop("state")
        publish_at, additions = data.pop("publish_at"), data.pop("additions")
        try:
            if actions.is_outage(incident):
                return self.update_for_all(incident, additions, publish_at=publish_at, **data)
            if not publish_at:
                return self.act(incident, actions.publish_status_update, **data)
            return self.act(incident, actions.schedule_status_update, publish_at=publish_at, **data)
        except HorizonError as error:
            raise exceptions.ValidationError(
                {"publish_at": [_("Choose a date within the next two years.")]}
            ) from error

    # --- solution ---

    @extend_schema(methods=["GET"], responses=shapes.ReleaseSerializer(many=True))
    @extend_schema(methods=["POST"], request=shapes.ReleaseInSerializer, responses=CREATED)
    @extend_schema(methods=["PATCH"], request=shapes.ReleaseChangeSerializer, responses=CREATED)
    @extend_schema(methods=["DELETE"], request=shapes.ReasonSerializer, responses=CREATED)
    @action(
        detail=True,
        methods=["get", "post", "patch", "delete"],
        url_path="planned-release",
        pagination_class=Nested,
    )
    def planned_release(self, request: Request, reference: str) -> Response:
        """POST plans, PATCH moves or ships, DELETE withdraws (with a reason)."""
        if request.method == "POST":
            return self.use(actions.plan_release, shapes.ReleaseInSerializer)
        if request.method == "DELETE":
            return self.use(actions.withdraw_release, shapes.ReasonSerializer)
        if request.method == "PATCH":
            return self.change_release(request)
        return self.listed(shapes.ReleaseSerializer, self.get_object().releases.all())

    def change_release(self, request: Request) -> Response:
        incident = self.get_object()
        shape = shapes.ReleaseChangeSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        data = shape.validated_data
        if data["is_shipped"]:
            return self.act(incident, actions.ship_release, text=data["text"])
        if "planned_on" not in data:
            raise exceptions.ValidationError({"planned_on": ["Give the new date, or is_shipped true."]})
        return self.act(incident, actions.move_release, planned_on=data["planned_on"])

    @verb(shapes.DocumentedSolutionSerializer, "documented-solution")
    def documented_solution(self, request: Request, reference: str) -> Response:
        return self.use(actions.document_solution, shapes.DocumentedSolutionSerializer)

    # --- the end ---

    @verb(shapes.RestorationSerializer, "restoration")
    def restoration(self, request: Request, reference: str) -> Response:
        return self.end(actions.restore, actions.restore_all, shapes.RestorationSerializer)

    @verb(shapes.ResolutionSerializer, "resolution")
    def resolution(self, request: Request, reference: str) -> Response:
        return self.end(actions.resolve, actions.resolve_all, shapes.ResolutionSerializer)

    @verb(shapes.OptionalTextSerializer, "confirmation")
    def confirmation(self, request: Request, reference: str) -> Response:
        return self.use(actions.confirm, shapes.OptionalTextSerializer)

    @verb(shapes.ReasonSerializer, "reopening")
    def reopening(self, request: Request, reference: str) -> Response:
        return self.use(actions.reopen, shapes.ReasonSerializer)

    @verb(shapes.ReasonSerializer, "withdrawal")
    def withdrawal(self, request: Request, reference: str) -> Response:
        return self.use(actions.withdraw, shapes.ReasonSerializer)

    @verb(shapes.DuplicateSerializer, "duplicate")
    def duplicate(self, request: Request, reference: str) -> Response:
        incident = self.get_object()
        shape = shapes.DuplicateSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        original = self.get_queryset().by_reference(shape.validated_data["original"]).first()  # type: ignore[attr-defined]
        if original is None:
            raise exceptions.ValidationError({"original": ["There is no such incident."]})
        reason = shape.validated_data["reason"]
        return self.act(incident, actions.mark_duplicate, original=original, reason=reason)

    # --- files ---

    @extend_schema(methods=["GET"], responses=shapes.AttachmentSerializer(many=True))
    @extend_schema(
        methods=["POST"], request={"multipart/form-data": shapes.UploadSerializer}, responses=CREATED
    )
    @action(detail=True, methods=["get", "post"], pagination_class=Nested, parser_classes=[MultiPartParser])
    def attachments(self, request: Request, reference: str) -> Response:
        incident = self.get_object()
        if request.method == "POST":
            return self.act(incident, actions.add_attachment, files=request.FILES.getlist("file"))
        visible = Attachment.objects.visible_to(person_of(request))
        return self.listed(shapes.AttachmentSerializer, visible.filter(incident=incident), incident=incident)


class ServiceViewSet(viewsets.ReadOnlyModelViewSet, Door):
    """Services that the caller's organisations use."""

    serializer_class = shapes.ServiceSerializer
    lookup_field = "slug"
    order = ("position", "name", "pk")
    service_path = "pk"
    queryset = Service.objects.none()

    def get_queryset(self) -> QuerySet[Service]:
        found = Service.objects.visible_to(person_of(self.request))
        return narrowed(found, self.request, "subscriptions__organisation", self.service_path).distinct()


class OrganisationViewSet(viewsets.ReadOnlyModelViewSet, Door):
    """The caller's organisations; all of them for staff."""

    serializer_class = shapes.OrganisationSerializer
    lookup_field = "slug"
    order = ("name", "pk")
    service_path = "subscriptions__service"
    queryset = Organisation.objects.none()

    def get_queryset(self) -> QuerySet[Organisation]:
        found = Organisation.objects.visible_to(person_of(self.request))
        return narrowed(found, self.request, "pk", self.service_path)


class ArticleViewSet(viewsets.ReadOnlyModelViewSet, Door):
    """Published knowledge articles, at their published version."""

    serializer_class = shapes.ArticleSerializer
    lookup_field = "slug"
    order = ("slug", "pk")
    queryset = Article.objects.none()

    def get_queryset(self) -> QuerySet[Article]:
        found = Article.objects.visible_to(person_of(self.request)).published()
        for_the_token = narrowed(found, self.request) | found.filter(organisation=None)
        return for_the_token.select_related("published_version")
