"""A person's own tokens in the API: to see, and to revoke. They are made in the portal only."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal import tokens
from portal.access import person_of
from portal.api import Door, KeyField, narrowed
from portal.models import ApiToken


class TokenSerializer(serializers.ModelSerializer):
    """A token, without its secret."""

    id = serializers.SerializerMethodField(help_text="Names it; opens nothing.")
    begins_with = serializers.SerializerMethodField(help_text="The first eight characters of the secret.")
    organisation = KeyField(
        read_only=True, allow_null=True, help_text="The only one that it is for; or null."
    )
    service = KeyField(read_only=True, allow_null=True, help_text="The only one that it is for; or null.")
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)
    is_this = serializers.SerializerMethodField(help_text="Whether this request was made with it.")

    class Meta:
        model = ApiToken
        fields = [
            *("id", "name", "scope", "begins_with", "organisation", "service"),
            *("created_at", "expires_at", "last_used_at", "is_this"),
        ]
        read_only_fields = fields

    def get_id(self, token: ApiToken) -> str:
        return tokens.id_of(token)

    def get_begins_with(self, token: ApiToken) -> str:
        return str(token.token_key[:8])

    def get_is_this(self, token: ApiToken) -> bool:
        return bool(self.context["request"].auth == token)


class TokenViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """The caller's own tokens."""

    serializer_class = TokenSerializer
    lookup_field = "digest__startswith"
    lookup_url_kwarg = "id"
    lookup_value_regex = "[0-9a-f]{16}"
    order = ("-created", "digest")
    service_path = "service"
    queryset = ApiToken.objects.none()

    def get_queryset(self) -> QuerySet[ApiToken]:
        if getattr(self, "swagger_fake_view", False):
            return ApiToken.objects.none()
        return narrowed(tokens.own(person_of(self.request)), self.request, service="service")

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Revoke it: it opens nothing from now on."""
        tokens.revoke(self.get_object(), by=person_of(request), now=timezone.now(), request=request._request)
        return Response(status=204)
