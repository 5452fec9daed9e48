"""Announcements in the API: customers read what is addressed to them; staff write, publish and withdraw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import exceptions, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal import announcing
from portal.access import is_agent, person_of
from portal.api import Conflict, Door, KeyField, MomentField, Words
from portal.markdown import render_markdown
from portal.models import Announcement, AnnouncementReading, ApiToken, Organisation, Service
from portal.verbs import Refused


class AnnouncementSerializer(serializers.ModelSerializer):
    """What its readers see: nothing of whom else it is addressed to."""

    html = serializers.SerializerMethodField(help_text="The text, rendered and safe.")
    is_read = serializers.BooleanField(read_only=True, help_text="Whether the caller has opened it.")

    class Meta:
        model = Announcement
        fields: tuple[str, ...] = (
            "id",
            "title",
            "text",
            "html",
            "is_pinned",
            "published_at",
            "expires_at",
            "is_read",
        )

    def get_html(self, announcement: Announcement) -> str:
        return str(render_markdown(announcement.text))


class StaffAnnouncementSerializer(AnnouncementSerializer):
    """The same with its state and its audience, for staff."""

    state = serializers.SerializerMethodField(help_text="draft, scheduled, published, expired, withdrawn")
    services = KeyField(many=True, read_only=True)
    organisations = KeyField(many=True, read_only=True)
    author = serializers.CharField(source="author.email")

    class Meta(AnnouncementSerializer.Meta):
        own = ("state", "audience", "services", "organisations", "author", "publish_at", "withdrawn_at")
        fields = (*AnnouncementSerializer.Meta.fields, *own)

    def get_state(self, announcement: Announcement) -> str:
        return announcing.state_of(announcement, timezone.now())


class AnnouncementDraftSerializer(serializers.Serializer):
    """What a draft takes."""

    title = Words(max_length=200)
    text = Words()
    audience = serializers.ChoiceField(choices=Announcement.Audience.choices)
    services = KeyField(queryset=Service.objects.all(), many=True, required=False)
    organisations = KeyField(queryset=Organisation.objects.all(), many=True, required=False)
    expires_at = MomentField(required=False, allow_null=True)


def refusal(refused: Refused) -> Exception:
    if refused.kind == "permission":
        return exceptions.PermissionDenied(refused.reason)
    if refused.kind in ("state", "stale"):
        return Conflict(refused.reason)
    return exceptions.ValidationError({refused.field or "non_field_errors": [refused.reason]})


STAFF = {201: StaffAnnouncementSerializer}


@extend_schema_view(create=extend_schema(request=AnnouncementDraftSerializer, responses=STAFF))
class AnnouncementViewSet(viewsets.ReadOnlyModelViewSet, Door):
    """Announcements that are addressed to the caller's organisations; all of them for staff."""

    serializer_class = AnnouncementSerializer
    lookup_url_kwarg = "id"
    order = ("-listed_at", "-pk")
    lookup_value_regex = "[0-9]{1,18}"
    queryset = Announcement.objects.none()

    def get_queryset(self) -> QuerySet[Announcement]:
        if getattr(self, "swagger_fake_view", False):
            return Announcement.objects.none()
        user, token = person_of(self.request), self.request.auth
        found = Announcement.objects.visible_to(user)
        if isinstance(token, ApiToken) and token.organisation_id:
            # The token is dead as soon as its person has left: `portal/api_auth.py`.
            bound = Organisation.objects.filter(pk=token.organisation_id)
            found = found.published().addressed_to(bound)
        read = AnnouncementReading.objects.filter(announcement=OuterRef("pk"), person=user)
        found = found.annotate(is_read=Exists(read), listed_at=Coalesce("published_at", "created_at"))
        return found.select_related("author").prefetch_related("services", "organisations")

    def get_serializer_class(self) -> Any:
        if getattr(self, "swagger_fake_view", False) or not is_agent(person_of(self.request)):
            return self.serializer_class
        return StaffAnnouncementSerializer

    def only_staff(self) -> None:
        if not is_agent(person_of(self.request)):
            raise PermissionDenied

    def create(self, request: Request) -> Response:
        """Write a draft (staff)."""
        self.only_staff()
        shape = AnnouncementDraftSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        try:
            made = announcing.write(by=person_of(request), now=timezone.now(), **shape.validated_data)
        except Refused as refused:
            raise refusal(refused) from refused
        return self.answer(made.pk)

    @extend_schema(request=None, responses={201: AnnouncementSerializer})
    @action(detail=True, methods=["post"])
    def reading(self, request: Request, id: str) -> Response:
        """The caller has read it; the first time counts."""
        found = self.get_object()
        announcing.note_reading(found, person_of(request), timezone.now())
        return Response(self.get_serializer(self.get_object()).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=STAFF)
    @action(detail=True, methods=["post"])
    def publication(self, request: Request, id: str) -> Response:
        """Publish it now (duty managers)."""
        return self.use(announcing.publish)

    @extend_schema(request=None, responses=STAFF)
    @action(detail=True, methods=["post"])
    def withdrawal(self, request: Request, id: str) -> Response:
        """Take it back (duty managers; its author while it is a draft)."""
        return self.use(announcing.withdraw)

    def use(self, verb: Callable[..., Any]) -> Response:
        found = self.get_object()  # a stranger gets 404, a reader the verb's 403
        try:
            verb(found, by=person_of(self.request), now=timezone.now())
        except Refused as refused:
            raise refusal(refused) from refused
        return self.answer(found.pk)

    def answer(self, pk: int) -> Response:
        found = self.get_queryset().get(pk=pk)
        return Response(StaffAnnouncementSerializer(found).data, status=status.HTTP_201_CREATED)
