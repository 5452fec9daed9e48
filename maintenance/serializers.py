"""Shapes of the API: what goes in to each verb, and how a window comes out."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from maintenance import window_view
from maintenance.models import (
    Consent,
    Decision,
    Freeze,
    MaintenanceWindow,
    RollbackCondition,
    WindowPost,
    WindowService,
    WindowStep,
)
from portal.api import KeyField, MomentField, Words
from portal.models import Organisation, Service
from portal.models.service_impact import Impact


class AffectedSerializer(serializers.ModelSerializer):
    """A service and what is felt of it; a customer reads of the services that they use."""

    service = KeyField(read_only=True)
    name = serializers.CharField(source="service.name")
    impact = serializers.ChoiceField(Impact.choices)

    class Meta:
        model = WindowService
        fields = ["service", "name", "impact"]


class WindowStepSerializer(serializers.ModelSerializer):
    is_done = serializers.SerializerMethodField()

    class Meta:
        model = WindowStep
        fields = ["id", "position", "text", "is_done", "done_at"]

    def get_is_done(self, step: WindowStep) -> bool:
        return step.done_at is not None


class ConditionSerializer(serializers.ModelSerializer):
    class Meta:
        model = RollbackCondition
        fields = ["id", "position", "measure", "limit", "state", "measured", "checked_at"]


class WindowRowSerializer(serializers.ModelSerializer):
    """A row of the list."""

    reference = serializers.CharField(read_only=True)
    owner = serializers.CharField(source="owner.name", read_only=True)
    services = AffectedSerializer(source="shown_services", many=True, read_only=True)
    decision = serializers.ChoiceField(
        Decision.choices, allow_blank=True, read_only=True, help_text="Empty until it is decided."
    )
    previous_attempt = serializers.SerializerMethodField(
        help_text="The reference of the window that this one attempts anew; null where there is none."
    )
    is_consent_asked = serializers.BooleanField(
        source="is_asking", read_only=True, help_text="Whether an answer of yours is waited for."
    )

    class Meta:
        model = MaintenanceWindow
        fields = [
            "reference",
            "title",
            "description",
            "status",
            "time_zone",
            "starts_at",
            "ends_at",
            "first_starts_at",
            "first_ends_at",
            "rollback_decision_at",
            "owner",
            "services",
            "announced_at",
            "started_at",
            "decision",
            "decided_at",
            "overrun_at",
            "rollback_ordered_at",
            "ended_at",
            "outcome",
            "next_update_at",
            "previous_attempt",
            "is_consent_asked",
            "sequence",
            "revision",
        ]
        read_only_fields = fields

    def get_previous_attempt(self, window: MaintenanceWindow) -> str | None:
        return f"MW-{window.previous_attempt_id}" if window.previous_attempt_id else None


class WindowSerializer(WindowRowSerializer):
    """A maintenance window: times are UTC, `form` is the standard format."""

    steps = WindowStepSerializer(many=True, read_only=True)
    conditions = ConditionSerializer(many=True, read_only=True)
    form = serializers.SerializerMethodField(
        help_text="The standard format; `standard-form/` has its schema."
    )

    class Meta(WindowRowSerializer.Meta):
        fields = [*WindowRowSerializer.Meta.fields, "steps", "conditions", "form"]
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_form(self, window: MaintenanceWindow) -> dict[str, Any]:
        now = self.context.get("now") or timezone.now()
        return window_view.form_of(window, self.context.get("organisations"), now).as_json()


# --- what goes in ---


class WindowReasonSerializer(serializers.Serializer):
    reason = Words(max_length=50_000)


class MoveSerializer(WindowReasonSerializer):
    starts_at = MomentField()
    ends_at = MomentField()
    rollback_decision_at = MomentField()


class TickSerializer(serializers.Serializer):
    step = serializers.IntegerField(min_value=1, max_value=2**62, help_text="The step's id.")
    is_done = serializers.BooleanField()


class CheckSerializer(serializers.Serializer):
    condition = serializers.IntegerField(min_value=1, max_value=2**62, help_text="The condition's id.")
    measured = Words(max_length=100)
    is_met = serializers.BooleanField(help_text="True: the work is to be taken back.")


class WindowDecisionSerializer(WindowReasonSerializer):
    decision = serializers.ChoiceField(Decision.choices)


class ExtensionSerializer(WindowReasonSerializer):
    until = MomentField()


class ExtensionAnswerSerializer(serializers.Serializer):
    """Another person than the one who asked answers; a refusal says why."""

    is_approved = serializers.BooleanField()
    reason = Words(max_length=50_000, required=False, default="", allow_blank=True)


class OutcomeSerializer(serializers.Serializer):
    outcome = Words(max_length=50_000)


class PostInSerializer(serializers.Serializer):
    text = Words(max_length=50_000)
    is_public = serializers.BooleanField(default=True)
    next_update_at = MomentField(required=False, allow_null=True, default=None)


class ConsentAnswerSerializer(serializers.Serializer):
    """“given” and “refused” by the organisation that is asked (for the vendor's own by the approver or a duty
    manager); “overridden” by a duty manager. A refusal and an override say why."""

    answer = serializers.ChoiceField([(state, state) for state in ("given", "refused", "overridden")])
    words = Words(max_length=2_000, required=False, default="", allow_blank=True)


class FreezeInSerializer(serializers.Serializer):
    organisation = KeyField(queryset=Organisation.objects.none(), required=False)
    service = KeyField(
        queryset=Service.objects.none(),
        required=False,
        allow_null=True,
        default=None,
        help_text="Null: every service.",
    )
    starts_at = MomentField()
    ends_at = MomentField()
    reason = Words(max_length=300)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        request = self.context.get("request")
        if request is not None and request.user.is_authenticated:
            organisation: Any = self.fields["organisation"]
            organisation.queryset = Organisation.objects.visible_to(request.user)
            service: Any = self.fields["service"]
            service.queryset = Service.objects.visible_to(request.user)


# --- what comes out besides ---


class PostSerializer(serializers.ModelSerializer):
    author = serializers.CharField(source="author.name")

    class Meta:
        model = WindowPost
        fields = ["id", "author", "text", "is_public", "next_update_at", "at"]


class ConsentSerializer(serializers.ModelSerializer):
    """`about` is a freeze's id, or the reference of other work; empty for the notice."""

    organisation = KeyField(read_only=True, allow_null=True, help_text="Null: the vendor decides.")
    decided_by = serializers.CharField(source="decided_by.name", default=None, allow_null=True)

    class Meta:
        model = Consent
        fields = [
            "id",
            "organisation",
            "reason",
            "about",
            "state",
            "asked_at",
            "decided_by",
            "decided_at",
            "channel",
            "words",
        ]


class FreezeSerializer(serializers.ModelSerializer):
    organisation = KeyField(read_only=True)
    service = KeyField(read_only=True, allow_null=True)
    entered_by = serializers.CharField(source="entered_by.name")

    class Meta:
        model = Freeze
        fields = [
            "id",
            "organisation",
            "service",
            "starts_at",
            "ends_at",
            "reason",
            "entered_by",
            "entered_at",
            "withdrawn_at",
        ]
