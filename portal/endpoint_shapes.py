"""Shapes of channels and webhooks in the API. What is secret goes in and never comes out, but for one answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from portal import endpoint_words
from portal.api import KeyField, Words
from portal.endpoint_verbs import FOR_CHANNELS, FORGETTABLE
from portal.models import ChatIdentity, Endpoint, Organisation
from portal.webhook_events import ALL, EVENTS

USES = [(use.value, use.label) for use in (Endpoint.Use.CHANNEL, Endpoint.Use.WEBHOOKS)]
SERVICES = [(value, Endpoint.Service(value).label) for value in FOR_CHANNELS]


class EndpointSerializer(serializers.ModelSerializer):
    """A dedicated channel or webhooks. Of the address only its origin is shown: its path is a secret."""

    organisation = KeyField(read_only=True)
    use = serializers.ChoiceField(USES, read_only=True)
    service = serializers.ChoiceField(SERVICES, read_only=True)
    goes_to = serializers.CharField(source="origin", read_only=True)
    has_access_token = serializers.SerializerMethodField()
    has_signing_secret = serializers.SerializerMethodField()
    inbound_address = serializers.SerializerMethodField(
        help_text="Where the service hands in answers; or empty."
    )
    events = serializers.ListField(child=serializers.CharField(), read_only=True)
    is_active = serializers.BooleanField(read_only=True)
    created_by = serializers.CharField(
        source="created_by.name", default=None, allow_null=True, read_only=True
    )

    class Meta:
        model = Endpoint
        fields = [
            *("key", "organisation", "use", "service", "name", "goes_to", "room_id", "events"),
            *("hears_maintenance", "hears_announcements", "has_access_token", "has_signing_secret"),
            *("inbound_address", "is_active", "last_success_at", "failing_since", "disabled_at"),
            *("previous_secret_until", "created_at", "created_by"),
        ]
        read_only_fields = fields

    def get_has_access_token(self, endpoint: Endpoint) -> bool:
        return bool(endpoint.access_token)

    def get_has_signing_secret(self, endpoint: Endpoint) -> bool:
        return bool(endpoint.signing_secret)

    def get_inbound_address(self, endpoint: Endpoint) -> str:
        return endpoint_words.inbound_address(endpoint)


class NewEndpointAnswer(EndpointSerializer):
    """The same with the secret by which webhooks are signed: this once."""

    secret = serializers.CharField(help_text="Shown in this answer only; empty where there is none.")

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class EventName(Words):
    """An event that webhooks may hear of, or * for all."""


class EventNameSchema(OpenApiSerializerFieldExtension):
    """Names the events: rooms made theirs known by the time that anybody asks."""

    target_class = "portal.endpoint_shapes.EventName"
    priority = 1  # before that of any text

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return {"type": "string", "enum": [ALL, *EVENTS]}


ADDRESS = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "pattern": r"^\s*[Hh][Tt][Tt][Pp][Ss]?://[!-\[\]-~]+\s*$",  # what is wrong without looking at the host
    "example": "https://hooks.example.com/portal",
}


@extend_schema_field(ADDRESS)
class AddressField(Words):
    """Where to send to; which hosts may be asked is said when it is tried."""


class EndpointChangeSerializer(serializers.Serializer):
    """What is left out stays as it is."""

    name = Words(max_length=120, required=False)
    url = AddressField(max_length=500, required=False, help_text="https://…; its path is a secret.")
    events = serializers.ListField(
        child=EventName(max_length=80),
        max_length=200,
        required=False,
        help_text="Of webhooks: names, or * for all.",
    )
    access_token = Words(max_length=300, required=False)
    room_id = Words(max_length=120, required=False, allow_blank=True)
    signing_secret = Words(max_length=200, required=False)
    hears_maintenance = serializers.BooleanField(required=False)
    hears_announcements = serializers.BooleanField(required=False)
    forget = serializers.ListField(
        child=serializers.ChoiceField(FORGETTABLE), max_length=2, required=False, help_text="Tokens to drop."
    )


class NewEndpointSerializer(EndpointChangeSerializer):
    """A new one, for an organisation that the caller manages."""

    use = serializers.ChoiceField(USES)
    service = serializers.ChoiceField(SERVICES, default="webhook")
    organisation = KeyField(queryset=Organisation.objects.none(), required=False)
    name = Words(max_length=120)
    url = AddressField(max_length=500, help_text="https://…; its path is a secret.")
    forget = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        request = self.context.get("request")
        if request is not None and request.user.is_authenticated:
            field: Any = self.fields["organisation"]
            field.queryset = Organisation.objects.visible_to(request.user).filter(is_vendor=False)


def present_of(endpoint: Endpoint) -> dict[str, Any]:
    """What the verb takes to change nothing."""
    names = ("name", "events", "room_id", "hears_maintenance", "hears_announcements")
    return {name: getattr(endpoint, name) for name in names}


class SwitchSerializer(serializers.Serializer):
    is_active = serializers.BooleanField()


class LogEntrySerializer(serializers.Serializer):
    """One message that went there, and what became of it."""

    id = serializers.IntegerField(source="message.pk")
    kind = serializers.CharField(source="message.kind")
    title = serializers.CharField()
    about = serializers.CharField(source="message.subject_key", help_text="A reference, or empty.")
    outcome = serializers.CharField(source="state.name")
    reason = serializers.CharField(source="state.reason")
    attempts = serializers.IntegerField(source="message.attempts")
    queued_at = serializers.DateTimeField(source="message.created_at")
    sent_at = serializers.DateTimeField(source="message.sent_at", allow_null=True)
    may_go_again = serializers.BooleanField()


class ChatPersonSerializer(serializers.ModelSerializer):
    """Somebody in the channel, and whose words theirs become."""

    person = serializers.EmailField(source="person.email")

    class Meta:
        model = ChatIdentity
        fields = ["id", "external_id", "external_name", "person", "created_at"]
        read_only_fields = fields


class ChatPersonInSerializer(serializers.Serializer):
    external_id = Words(max_length=120)
    external_name = Words(max_length=150, required=False, default="", allow_blank=True)
    person = Words(max_length=254, help_text="E-mail address of a member or manager.")
