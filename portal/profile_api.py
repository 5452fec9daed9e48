"""One's own settings in the API: the profile page's form as an object."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access import person_of
from portal.api import Door, Words, narrowed
from portal.forms import ProfileForm
from portal.models import Membership, User
from portal.models.accounts import time_zones

FIELDS = tuple(ProfileForm.Meta.fields)


class MembershipSerializer(serializers.ModelSerializer):
    organisation = serializers.CharField(source="organisation.slug")

    class Meta:
        model = Membership
        fields = ["organisation", "role", "visibility", "is_p1_contact", "is_escalation_contact"]
        read_only_fields = fields


class ProfileSerializer(serializers.ModelSerializer):
    """The caller. Empty language and zone: those of the organisation."""

    language = serializers.CharField(read_only=True, help_text="en, tr or empty.")
    memberships = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["email", *FIELDS, "memberships"]
        read_only_fields = fields

    def get_memberships(self, user: User) -> list[dict[str, Any]]:
        rows = Membership.objects.filter(user=user, organisation__is_active=True)
        rows = narrowed(rows, self.context["request"]).select_related("organisation").order_by("pk")
        return list(MembershipSerializer(rows, many=True).data)

    get_memberships.__annotations__["return"] = list[dict]


@extend_schema_field({"type": "string", "enum": ["", *sorted(time_zones())]})
class ZoneField(Words):
    """A time zone by its name, as the form of the profile knows it; or empty."""


class ProfileChangeSerializer(serializers.ModelSerializer):
    """What is left out stays as it is."""

    name = Words(max_length=150, required=False)
    time_zone = ZoneField(required=False, allow_blank=True, trim_whitespace=False)
    daily_summary_hour = serializers.IntegerField(min_value=0, max_value=23, required=False)

    class Meta:
        model = User
        fields = list(FIELDS)


class ProfileViewSet(Door):
    """The caller's own settings."""

    serializer_class = ProfileSerializer
    pagination_class = None
    is_single = True
    queryset = User.objects.none()

    def get_object(self) -> User:
        return person_of(self.request)

    def still_shown(self, data: Any) -> None:
        """Whoever is let in may read their own settings."""

    @extend_schema(responses={200: ProfileSerializer})
    def retrieve(self, request: Request) -> Response:
        """The caller's settings and memberships."""
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=ProfileChangeSerializer, responses={200: ProfileSerializer})
    def partial_update(self, request: Request) -> Response:
        """Change what is given."""
        shape = ProfileChangeSerializer(data=request.data, partial=True)
        shape.is_valid(raise_exception=True)
        with transaction.atomic():
            user = User.objects.select_for_update().get(pk=person_of(request).pk)
            present = {name: getattr(user, name) for name in FIELDS}
            form = ProfileForm(present | dict(shape.validated_data), instance=user)
            if not form.is_valid():
                raise exceptions.ValidationError(
                    {name: [str(each) for each in words] for name, words in form.errors.items()}
                )
            form.save()
        return Response(self.get_serializer(user).data)
