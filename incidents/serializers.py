"""Shapes of the API: what goes in to each verb, and how an incident comes out."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from incidents import present
from incidents.models import (
    ActionPlan,
    ActionPlanStep,
    Article,
    Attachment,
    Incident,
    Level,
    Message,
    Release,
    StatusUpdate,
)
from incidents.models.timeline import IncidentEvent
from incidents.revisions import revision_for
from incidents.standard import Situation, update_form
from portal.api import DayField, KeyField, MomentField, PersonField, Words
from portal.models import Organisation, Service, User
from portal.models.service_impact import Impact

MOST_STEPS = 100


class ReceiptSerializer(serializers.Serializer):
    until = serializers.DateTimeField()
    counted = serializers.BooleanField()
    reason = serializers.CharField(help_text="Empty when the time counted.")
    question = serializers.IntegerField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateTimeField()} | super().get_fields()


class ClockSerializer(serializers.Serializer):
    """A clock: times are UTC."""

    kind = serializers.CharField()
    level = serializers.CharField()
    cycle = serializers.IntegerField()
    ordinal = serializers.IntegerField()
    state = serializers.CharField()
    started_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    met_at = serializers.DateTimeField(allow_null=True)
    breached_at = serializers.DateTimeField(allow_null=True)
    receipts = ReceiptSerializer(many=True)


class IncidentSerializer(serializers.ModelSerializer):
    reference = serializers.CharField(read_only=True)
    organisation = KeyField(read_only=True)
    services = KeyField(many=True, read_only=True)
    reporter = serializers.EmailField(
        source="reporter.email",
        read_only=True,
        default=None,
        allow_null=True,
        help_text="Null where an alarm reported it.",
    )
    validated_level = serializers.SerializerMethodField()
    assignee = serializers.CharField(source="assignee.name", read_only=True, default=None, allow_null=True)
    is_major = serializers.BooleanField(
        read_only=True, help_text="A major incident: an RCA is owed whatever the level."
    )
    window = serializers.SerializerMethodField(
        help_text="The maintenance window that was under way, or whose overrun opened it; or null."
    )
    closed_as = serializers.CharField(
        read_only=True, help_text="Empty while it is not closed; confirmed, unanswered, withdrawn, duplicate."
    )
    revision = serializers.SerializerMethodField(help_text="Of customers: what they may see counts.")
    clocks = serializers.SerializerMethodField()

    class Meta:
        model = Incident
        fields = [
            "reference",
            "title",
            "description",
            "claimed_level",
            "validated_level",
            "level",
            "status",
            "is_major",
            "impact",
            "services",
            "organisation",
            "reporter",
            "assignee",
            "channel",
            "window",
            "cycle",
            "revision",
            "opened_at",
            "restored_at",
            "resolved_at",
            "closed_at",
            "closed_as",
            "cause",
            "remedy",
            "next_due_at",
            "next_update_at",
            "clocks",
        ]
        read_only_fields = fields

    def get_revision(self, incident: Incident) -> int:
        request = self.context.get("request")
        return revision_for(request.user if request is not None else None, incident)

    def get_window(self, incident: Incident) -> str | None:
        return incident.window.reference if incident.window else None

    @extend_schema_field(ClockSerializer(many=True))
    def get_clocks(self, incident: Incident) -> list[dict[str, Any]]:
        now = self.context.get("now") or timezone.now()
        return list(ClockSerializer(present.clocks_json(incident, now), many=True).data)

    @extend_schema_field(serializers.ChoiceField(Level.choices, allow_null=True))
    def get_validated_level(self, incident: Incident) -> str | None:
        return incident.validated_level or None


class IncidentRowSerializer(IncidentSerializer):
    """A row of the list: no receipts, for they cost a replay each."""

    clocks = None  # type: ignore[assignment]

    class Meta(IncidentSerializer.Meta):
        fields = [name for name in IncidentSerializer.Meta.fields if name != "clocks"]
        read_only_fields = fields


class OpenSerializer(serializers.Serializer):
    title = Words(max_length=200)
    description = Words(max_length=50_000, required=False, default="", allow_blank=True)
    claimed_level = serializers.ChoiceField(Level.choices)
    impact = serializers.ChoiceField(Impact.choices, default=Impact.DEGRADED)
    services = KeyField(many=True, queryset=Service.objects.none(), required=False)
    organisation = KeyField(queryset=Organisation.objects.none(), required=False)
    reporter = serializers.EmailField(required=False, help_text="Staff only: on whose behalf.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        request = self.context.get("request")
        if request is not None and request.user.is_authenticated:
            organisation: Any = self.fields["organisation"]
            organisation.queryset = Organisation.objects.visible_to(request.user)
            services: Any = self.fields["services"]
            services.child_relation.queryset = Service.objects.visible_to(request.user)


class TextSerializer(serializers.Serializer):
    text = Words(max_length=50_000)


class OptionalTextSerializer(serializers.Serializer):
    text = Words(max_length=50_000, required=False, default="", allow_blank=True)


class RestorationSerializer(OptionalTextSerializer):
    is_for_children = serializers.BooleanField(default=False, help_text="An outage: for all under it, too.")


class ReasonSerializer(serializers.Serializer):
    reason = Words(max_length=10_000)


class LevelValidationSerializer(ReasonSerializer):
    level = serializers.ChoiceField(Level.choices)


class DecisionSerializer(ReasonSerializer):
    is_upheld = serializers.BooleanField()


class AssignmentSerializer(serializers.Serializer):
    assignee = PersonField(
        queryset=User.objects.filter(is_active=True, is_staff=True),
        allow_null=True,
        help_text="E-mail address of an agent, or null.",
    )


class InterventionSerializer(serializers.Serializer):
    engineer = PersonField(
        queryset=User.objects.filter(is_active=True, is_staff=True),
        required=False,
        allow_null=True,
    )


class StepSerializer(serializers.ModelSerializer):
    text = Words(max_length=500)
    owner = Words(max_length=150)
    due_on = DayField()

    class Meta:
        model = ActionPlanStep
        fields = ["text", "owner", "due_on"]


class ActionPlanSerializer(serializers.ModelSerializer):
    summary = Words(max_length=10_000, required=False, default="", allow_blank=True)
    steps = StepSerializer(many=True, allow_empty=False, max_length=MOST_STEPS)  # type: ignore[call-arg]  # of the list
    next_review_at = MomentField()

    class Meta:
        model = ActionPlan
        fields = ["summary", "steps", "next_review_at", "filed_at"]
        read_only_fields = ["filed_at"]


class StatusUpdateInSerializer(serializers.Serializer):
    """The standard form. Without `publish_at` it is published now."""

    state = serializers.ChoiceField(
        StatusUpdate.Condition.choices, default=StatusUpdate.Condition.IN_PROGRESS
    )
    summary = Words(max_length=10_000)
    impact = Words(max_length=10_000, required=False, default="", allow_blank=True)
    next_steps = Words(max_length=10_000, required=False, default="", allow_blank=True)
    next_update_at = MomentField(required=False, allow_null=True, default=None)
    publish_at = MomentField(required=False, allow_null=True, default=None)
    additions = serializers.DictField(
        child=Words(max_length=5_000, allow_blank=True),
        required=False,
        default=dict,
        help_text="On an outage: words for one incident under it alone, by its reference.",
    )


class StatusUpdateSerializer(serializers.ModelSerializer):
    state = serializers.CharField(source="condition")
    publication = serializers.CharField(source="state")
    author = serializers.CharField(source="author.name")
    form = serializers.SerializerMethodField(
        help_text="The standard format; `standard-form/` has its schema."
    )

    class Meta:
        model = StatusUpdate
        fields = [
            "id",
            "state",
            "summary",
            "impact",
            "next_steps",
            "next_update_at",
            "publication",
            "publish_at",
            "published_at",
            "author",
            "form",
        ]

    def get_form(self, update: StatusUpdate) -> dict[str, Any]:
        situation = self.context.get("situation") or Situation.of(update.incident)
        return update_form(update, situation).as_json()


class ReleaseInSerializer(serializers.Serializer):
    version = Words(max_length=60)
    planned_on = DayField()


class ReleaseChangeSerializer(serializers.Serializer):
    """Give `planned_on` to move it, or `is_shipped` true when it is out."""

    planned_on = DayField(required=False)
    is_shipped = serializers.BooleanField(required=False, default=False)
    text = Words(required=False, default="", allow_blank=True, max_length=10_000)


class ReleaseSerializer(serializers.ModelSerializer):
    class Meta:
        model = Release
        fields = ["version", "planned_on", "first_planned_on", "shipped_at", "withdrawn_at"]


class DocumentedSolutionSerializer(TextSerializer):
    article = KeyField(queryset=Article.objects.all())


class ResolutionSerializer(serializers.Serializer):
    cause = Words(max_length=20_000)
    remedy = Words(max_length=20_000)
    is_for_children = serializers.BooleanField(default=False, help_text="An outage: for all under it, too.")


class ChildrenSerializer(serializers.Serializer):
    """Incidents of customers, by reference."""

    incidents = serializers.ListField(child=Words(max_length=30), min_length=1, max_length=200)


class GatherSerializer(serializers.Serializer):
    """Incidents to put under an outage; the rest is for an outage that is opened above a customer's incident."""

    incidents = serializers.ListField(child=Words(max_length=30), max_length=200, default=list)
    organisations = KeyField(
        many=True,
        queryset=Organisation.objects.filter(is_vendor=False),
        required=False,
        help_text="On an outage: for those that reported nothing, an incident of their own by the `title`.",
    )
    title = Words(max_length=200, required=False)
    description = Words(max_length=50_000, required=False, allow_blank=True)
    level = serializers.ChoiceField(Level.choices, required=False)
    services = KeyField(many=True, queryset=Service.objects.filter(is_active=True), required=False)


class LeftSerializer(serializers.Serializer):
    reference = serializers.CharField()
    reason = serializers.CharField()


class OutcomeSerializer(serializers.Serializer):
    """For which incidents it was done, and which a rule left out."""

    reference = serializers.CharField()
    done = serializers.ListField(child=serializers.CharField())
    left = LeftSerializer(many=True, help_text="By reference; by short name an organisation without one.")


class DuplicateSerializer(ReasonSerializer):
    original = Words(max_length=30, help_text="Reference, such as INC-1042.")


class MessageSerializer(serializers.ModelSerializer):
    author = serializers.CharField(source="author.name")

    class Meta:
        model = Message
        fields = ["id", "kind", "text", "author", "is_from_staff", "channel", "received_at"]


class EventSerializer(serializers.ModelSerializer):
    by = serializers.CharField(source="by.name", default=None, allow_null=True)
    facts = serializers.JSONField(source="payload")

    class Meta:
        model = IncidentEvent
        fields = ["id", "kind", "by", "channel", "at", "is_public", "facts"]


class AttachmentSerializer(serializers.ModelSerializer):
    url = serializers.SerializerMethodField()

    class Meta:
        model = Attachment
        fields = ["id", "name", "content_type", "size", "uploaded_at", "scan", "url"]

    def get_url(self, attachment: Attachment) -> str:
        return f"/incidents/{self.context['incident'].reference}/attachments/{attachment.pk}/"


class UploadSerializer(serializers.Serializer):
    file = serializers.FileField()


class ServiceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Service
        fields = ["id", "slug", "name", "description"]


class OrganisationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organisation
        fields = ["id", "slug", "name", "language", "time_zone"]


class ArticleSerializer(serializers.ModelSerializer):
    title = serializers.CharField(source="published_version.title")
    text = serializers.CharField(source="published_version.text")
    version = serializers.IntegerField(source="published_version.number")
    published_at = serializers.DateTimeField(source="published_version.published_at")

    class Meta:
        model = Article
        fields = ["id", "slug", "title", "text", "version", "published_at"]
