"""The API's door to RCAs, of incidents and of maintenance windows: the same verbs, rules and refusals as the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import actions, present
from incidents import rca_serializers as shapes
from incidents.actions import ActionInput, MomentInput, RedactionInput
from incidents.api import REVISION_DIGITS, refusal
from incidents.models import RCA, Channel, Incident, PreventionAction, RCAComment, RCACopy
from incidents.rca_reading import Reading, copies_for_incident, copies_for_window, reading
from incidents.standard_rca import rca_form
from maintenance.models import MaintenanceWindow
from portal.access import person_of
from portal.api import Conflict, Door, narrowed
from portal.api_tags import tag_of
from portal.models import Organisation

ANSWER = {200: shapes.RCASerializer}
CREATED = {201: shapes.RCASerializer}


class RCADoor(Door):
    """What the doors of both kinds share. A subclass says what the address names."""

    queryset = RCA.objects.none()
    pagination_class = None
    serializer_class = shapes.RCASerializer
    lookup_field = "reference"
    service_path = "services"
    reads: ClassVar = {
        "retrieve": ("version", "organisation"),
        "actions": ("organisation",),
        "comments": ("organisation",),
    }

    def subject(self) -> Incident | MaintenanceWindow:
        raise NotImplementedError

    def get_object(self) -> Any:
        """What the framework asks for by itself, to answer OPTIONS."""
        return self.subject()

    def state(self) -> Any:
        return self.answer(self.subject()).data

    def hold(self) -> None:
        """As the verbs do, the RCA's row."""
        list(self.rows(self.subject()).select_for_update(of=("self",)).order_by("pk").values_list("pk"))

    def tag(self, data: Any) -> str:
        """Of staff the revision of the text in the making."""
        working = data.get("working") if isinstance(data, dict) else None
        return tag_of(dict(data) | {"revision": working["revision"]} if working else data)

    def own_copies(self, subject: Any) -> list[RCACopy]:
        raise NotImplementedError

    def due(self, subject: Any) -> datetime | None:
        raise NotImplementedError

    def working(self, subject: Any) -> RCA:
        """The RCA's row for a verb; 404 where none is owed."""
        found = (self.seen(subject) if person_of(self.request).is_agent else self.rows(subject)).first()
        if found is None:
            raise Http404
        return found

    def rows(self, subject: Any) -> QuerySet[RCA]:
        raise NotImplementedError

    def seen(self, subject: Any) -> QuerySet[RCA]:
        """The text in the making, for staff who may see it: of a window or an outage those without limits."""
        return self.rows(subject).filter(pk__in=RCA.objects.visible_to(person_of(self.request)).values("pk"))

    def copies(self, subject: Any) -> list[RCACopy]:
        """The copies that the caller, and their token, may read."""
        mine = narrowed(RCACopy.objects.all(), self.request)
        found = self.own_copies(subject)
        allowed = set(mine.filter(pk__in=[copy.pk for copy in found]).values_list("pk", flat=True))
        return [copy for copy in found if copy.pk in allowed]

    def copy(self, subject: Any, version: str = "") -> RCACopy:
        found = [copy for copy in self.copies(subject) if not version or str(copy.version.number) == version]
        if not found:
            raise Http404
        return found[0]

    # --- reading ---

    @extend_schema(responses=ANSWER)
    def retrieve(self, request: Request, reference: str) -> Response:
        """Before publication only whether it is owed and by when; `?version=1` asks for an earlier version."""
        return self.answer(self.subject(), request.query_params.get("version", ""))

    def answer(self, subject: Any, version: str = "", code: int = 200) -> Response:
        copies = self.copies(subject)
        shown: Reading | None = None
        if copies or version:
            shown = reading(self.copy(subject, version), timezone.localdate(), person_of(self.request))
        is_staff = person_of(self.request).is_agent
        due = self.due(subject)
        data = {
            "is_owed": due is not None,
            "due_at": due,
            "version": shown.version.number if shown else None,
            "versions": copies,
            "form": self.form(shown),
            "timeline": shapes.timeline_of(shown),
            "actions": shown.actions if shown else [],
            "working": self.seen(subject).first() if is_staff else None,
        }
        return Response(shapes.RCASerializer(data).data, status=code)

    @staticmethod
    def form(shown: Reading | None) -> dict[str, Any] | None:
        if shown is None:
            return None
        with timezone.override(UTC):
            return rca_form(shown).as_json()

    @extend_schema(responses=shapes.ActionSerializer(many=True))
    def actions(self, request: Request, reference: str) -> Response:
        shown = reading(self.copy(self.subject()), timezone.localdate(), person_of(request))
        return Response(shapes.ActionSerializer(shown.actions, many=True).data)

    @extend_schema(responses=shapes.CommentSerializer(many=True))
    def comments(self, request: Request, reference: str) -> Response:
        rows = {(copy.version.rca_id, copy.organisation_id) for copy in self.copies(self.subject())}
        found = RCAComment.objects.filter(rca__in=[rca for rca, _organisation in rows])
        found = found.filter(organisation__in=[organisation for _rca, organisation in rows])
        related = found.select_related("author", "organisation").order_by("pk")
        return Response(shapes.CommentSerializer(related, many=True).data)

    # --- how verbs are used ---

    def given(self, shape: type[serializers.Serializer]) -> dict[str, Any]:
        form = shape(data=self.request.data, context={"request": self.request})
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)

    def act(self, verb: Callable[..., Any], about: Any, **inputs: Any) -> Response:
        """Use the verb on an RCA or an action; answer with the RCA as it is afterwards."""
        subject = self.subject()
        rca = self.working(subject)
        if "revision" not in inputs and verb not in (actions.comment_rca, actions.accept_rca):
            inputs["revision"] = self.revision()
        try:
            verb(
                rca if about is None else about,
                by=person_of(self.request),
                now=timezone.now(),
                channel=Channel.API,
                **inputs,
            )
        except actions.Refused as refused:
            if refused.kind == "stale":
                revision = RCA.objects.values_list("revision", flat=True).get(pk=rca.pk)
                raise Conflict(refused.reason, revision=revision) from refused
            raise refusal(refused) from refused
        return self.answer(subject, code=201)

    def revision(self) -> int | None:
        given = self.request.headers.get("X-Revision", "")
        if given and not (given.isdecimal() and len(given) < REVISION_DIGITS):
            raise exceptions.ValidationError(
                {"X-Revision": [_("Give the revision as you read it: a number.")]}
            )
        return int(given) if given else None

    def staff_only(self) -> None:
        """A customer sees nothing of a text in the making, not even whether there is one."""
        self.subject()
        if not person_of(self.request).is_agent:
            raise exceptions.PermissionDenied(_("Only support staff can do this."))

    # --- the text ---

    @extend_schema(request=None, responses=CREATED)
    def begin(self, request: Request, reference: str) -> Response:
        """Begin the draft from the timeline; of a published RCA its next version."""
        self.staff_only()
        is_published = self.working(self.subject()).status == RCA.Status.PUBLISHED
        return self.act(actions.revise_rca if is_published else actions.draft_rca, None)

    @extend_schema(request=shapes.DraftSerializer, responses=CREATED)
    def save(self, request: Request, reference: str) -> Response:
        self.staff_only()
        data = self.given(shapes.DraftSerializer)
        rows: dict[str, Any] = {}
        for name, row in (("moments", MomentInput), ("redactions", RedactionInput), ("actions", ActionInput)):
            if name in data:
                rows[name] = [row(**fields) for fields in data.pop(name)]
        return self.act(actions.save_rca, None, texts=data, **rows)

    @extend_schema(request=None, responses=CREATED)
    def submission(self, request: Request, reference: str) -> Response:
        self.staff_only()
        return self.act(actions.submit_rca, None)

    @extend_schema(request=shapes.ReviewSerializer, responses=CREATED)
    def review(self, request: Request, reference: str) -> Response:
        self.staff_only()
        data = self.given(shapes.ReviewSerializer)
        if data["is_approved"]:
            return self.act(actions.approve_rca, None)
        return self.act(actions.return_rca, None, reason=data["reason"])

    @extend_schema(request=shapes.PublicationSerializer, responses=CREATED)
    def publication(self, request: Request, reference: str) -> Response:
        self.staff_only()
        return self.act(actions.publish_rca, None, **self.given(shapes.PublicationSerializer))

    # --- after publication ---

    @extend_schema(request=shapes.CommentInSerializer, responses=CREATED)
    def comment(self, request: Request, reference: str) -> Response:
        copies = self.copies(self.subject())
        data = self.given(shapes.CommentInSerializer)
        organisation: Organisation | None = data.get("organisation")
        copy = next((c for c in copies if organisation in (None, c.organisation)), None)
        if copy is None and not (person_of(request).is_agent and organisation):
            raise Http404
        return self.act(
            actions.comment_rca,
            copy.version.rca if copy else None,
            organisation=organisation or (copy.organisation if copy else None),
            text=data["text"],
        )

    @extend_schema(request=shapes.AcceptanceSerializer, responses=CREATED)
    def acceptance(self, request: Request, reference: str) -> Response:
        subject = self.subject()
        version = self.given(shapes.AcceptanceSerializer)["version"]
        return self.act(actions.accept_rca, self.copy(subject, str(version)))

    @extend_schema(request=shapes.ActionChangeSerializer, responses=CREATED)
    def change_action(self, request: Request, reference: str, number: int) -> Response:
        """Move, hand over, start, close with evidence, or drop a published action."""
        self.staff_only()
        rca = self.working(self.subject())
        action = get_object_or_404(PreventionAction.objects.select_related("rca"), rca=rca, number=number)
        data = self.given(shapes.ActionChangeSerializer)
        state = data.get("state")
        if state == "done":
            return self.act(actions.close_action, action, evidence=data["evidence"])
        if state == "dropped":
            return self.act(actions.drop_action, action, reason=data["reason"])
        if state == "in_progress":
            return self.act(actions.start_action, action)
        if "due_on" in data:
            return self.act(actions.move_action, action, due_on=data["due_on"], reason=data["reason"])
        if "owner" in data:
            return self.act(actions.hand_over_action, action, owner=data["owner"])
        raise exceptions.ValidationError({"state": ["Give a state, a new date or a new owner."]})

    @extend_schema(request=shapes.RecurrenceSerializer, responses=CREATED)
    def recurrence(self, request: Request, reference: str) -> Response:
        self.staff_only()
        data = self.given(shapes.RecurrenceSerializer)
        rca = self.working(self.subject())
        mine: Any = narrowed(Incident.objects.visible_to(person_of(request)), request, service="services")
        later = mine.by_reference(data["incident"]).first()
        action = rca.actions.select_related("rca").filter(number=data["number"]).first()
        if later is None or action is None:
            raise exceptions.ValidationError({"incident": ["There is no such incident or action."]})
        return self.act(actions.link_recurrence, later, action=action)


class IncidentRCADoor(RCADoor):
    """The RCA of an incident; of a child incident its parent's."""

    def subject(self) -> Incident:
        mine = Incident.objects.visible_to(person_of(self.request))
        visible = narrowed(mine, self.request, service="services")
        found: Incident = get_object_or_404(visible.by_reference(self.kwargs["reference"]))  # type: ignore[attr-defined]
        return found

    def own_copies(self, subject: Incident) -> list[RCACopy]:
        return copies_for_incident(subject, person_of(self.request))

    def rows(self, subject: Incident) -> QuerySet[RCA]:
        own = RCA.objects.filter(incident=subject)
        return own if own.exists() else RCA.objects.filter(incident=subject.parent_id)

    def due(self, subject: Incident) -> datetime | None:
        clocks = present.current_clocks(present.clock_views(subject, timezone.now()))
        return next((clock.due_at for clock in clocks if clock.kind == "rca"), None)

    @extend_schema(request=None, responses=CREATED)
    def request_one(self, request: Request, reference: str) -> Response:
        """Ask for an RCA where the promise gives it on request."""
        incident = self.subject()
        try:
            actions.request_rca(
                incident,
                by=person_of(request),
                now=timezone.now(),
                channel=Channel.API,
                revision=self.revision(),
            )
        except actions.Refused as refused:
            raise refusal(refused, incident, person_of(request)) from refused
        return self.answer(incident, code=201)


class WindowRCADoor(RCADoor):
    """The RCA of a maintenance window that overran or was rolled back."""

    def subject(self) -> MaintenanceWindow:
        visible = MaintenanceWindow.objects.visible_to(person_of(self.request))
        found = narrowed(visible, self.request, "involved__organisation", "affected__service")
        window: MaintenanceWindow = get_object_or_404(found.by_reference(self.kwargs["reference"]))  # type: ignore[attr-defined]
        return window

    def own_copies(self, subject: MaintenanceWindow) -> list[RCACopy]:
        asked = self.request.query_params.get("organisation", "")
        return copies_for_window(subject, person_of(self.request), asked)

    def rows(self, subject: MaintenanceWindow) -> QuerySet[RCA]:
        return RCA.objects.filter(window=subject)

    def due(self, subject: MaintenanceWindow) -> datetime | None:
        return self.rows(subject).filter(first_published_at=None).values_list("due_at", flat=True).first()
