"""Shapes of the RCA in the API: a reader's copy with its actions, the staff's working text, what goes in to verbs."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from incidents.models import RCA, PreventionAction
from incidents.rca_reading import ActionView, Reading
from portal.api import DayField, KeyField, MomentField, PersonField, Words
from portal.models import Organisation, User

STAFF = User.objects.filter(is_active=True, is_staff=True)


# --- out ---


class SlipSerializer(serializers.Serializer):
    due_from = serializers.DateField()
    due_on = serializers.DateField()
    at = serializers.DateTimeField()
    reason = serializers.CharField()


class ActionSerializer(serializers.Serializer):
    """A prevention action: its words as published, its state as it is now."""

    number = serializers.IntegerField()
    kind = serializers.ChoiceField(PreventionAction.Kind.choices)
    text = serializers.CharField()
    owner = serializers.CharField()
    due_on = serializers.DateField(allow_null=True)
    first_due_on = serializers.DateField(allow_null=True)
    state = serializers.ChoiceField(PreventionAction.State.choices)
    is_late = serializers.BooleanField()
    evidence = serializers.CharField()
    dropped_because = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True)
    slips = SlipSerializer(many=True)
    recurrences = serializers.SerializerMethodField()

    def get_recurrences(self, action: ActionView) -> list[str]:
        return [incident.reference for incident in action.recurrences]


class VersionSerializer(serializers.Serializer):
    number = serializers.IntegerField(source="version.number")
    note = serializers.CharField(source="content.note")
    published_at = serializers.DateTimeField(source="version.published_at")
    accepted_at = serializers.DateTimeField(allow_null=True)
    accepted_by = serializers.CharField(source="accepted_by.name", default=None, allow_null=True)


class MomentSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    text = serializers.CharField()


class WorkingActionSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    kind = serializers.CharField()
    text = serializers.CharField()
    owner = serializers.EmailField(source="owner.email", default=None, allow_null=True)
    due_on = serializers.DateField(allow_null=True)
    state = serializers.CharField()


class RedactionSerializer(serializers.Serializer):
    words = serializers.CharField()
    organisation = serializers.CharField(source="organisation.slug", default=None, allow_null=True)
    instead = serializers.CharField()


class WorkingTextSerializer(serializers.ModelSerializer):
    """The text as staff write it, unredacted."""

    author = serializers.CharField(source="author.name", default=None, allow_null=True)
    reviewer = serializers.CharField(source="reviewer.name", default=None, allow_null=True)
    moments = MomentSerializer(many=True)
    actions = WorkingActionSerializer(many=True)
    redactions = RedactionSerializer(many=True)

    class Meta:
        model = RCA
        fields = [
            *("status", "revision", "author", "reviewer", "reviewed_at"),
            *RCA.TEXTS,
            *("moments", "actions", "redactions"),
        ]
        read_only_fields = fields


class RCASerializer(serializers.Serializer):
    """Whether an RCA is owed and by when; once it is published, the version that was asked for."""

    is_owed = serializers.BooleanField()
    due_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    versions = VersionSerializer(many=True)
    form = serializers.JSONField(allow_null=True, help_text="The standard format.")
    timeline = MomentSerializer(many=True)
    actions = ActionSerializer(many=True)
    working = WorkingTextSerializer(allow_null=True, help_text="For staff only.")


def timeline_of(reading: Reading | None) -> list[dict[str, Any]]:
    return [{"at": at, "text": text} for at, text in reading.moments] if reading else []


class CommentSerializer(serializers.Serializer):
    text = serializers.CharField()
    author = serializers.CharField(source="author.name")
    organisation = serializers.CharField(source="organisation.slug")
    at = serializers.DateTimeField()


# --- in ---


class MomentInSerializer(serializers.Serializer):
    at = MomentField()
    text = Words(max_length=500)


class RedactionInSerializer(serializers.Serializer):
    words = Words(max_length=300)
    organisation = KeyField(
        queryset=Organisation.objects.all(), required=False, allow_null=True, default=None
    )
    instead = Words(max_length=300, required=False, default="█████", allow_blank=True)


class ActionInSerializer(serializers.Serializer):
    number = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=10_000
    )
    kind = serializers.ChoiceField(PreventionAction.Kind.choices)
    text = Words(max_length=500)
    owner = PersonField(queryset=STAFF, required=False, allow_null=True, default=None)
    due_on = DayField(required=False, allow_null=True, default=None)


class DraftSerializer(serializers.Serializer):
    """What is not given stays as it is; lists are replaced as a whole."""

    moments = MomentInSerializer(many=True, required=False)
    redactions = RedactionInSerializer(many=True, required=False)
    actions = ActionInSerializer(many=True, required=False)

    def get_fields(self) -> dict[str, Any]:
        texts = {name: Words(max_length=50_000, required=False, allow_blank=True) for name in RCA.TEXTS}
        return texts | super().get_fields()


class ReviewSerializer(serializers.Serializer):
    """Approve the text, or return it to its author with what to change."""

    is_approved = serializers.BooleanField()
    reason = Words(max_length=10_000, required=False, default="", allow_blank=True)


class PublicationSerializer(serializers.Serializer):
    note = Words(max_length=300, required=False, default="", allow_blank=True)


class CommentInSerializer(serializers.Serializer):
    text = Words(max_length=50_000)
    organisation = KeyField(
        queryset=Organisation.objects.none(),
        required=False,
        help_text="Staff: to whom, where several read it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        request = self.context.get("request")
        if request is not None and request.user.is_authenticated:
            field: Any = self.fields["organisation"]
            field.queryset = Organisation.objects.visible_to(request.user)


class AcceptanceSerializer(serializers.Serializer):
    version = serializers.IntegerField(min_value=1, max_value=10_000)


class ActionChangeSerializer(serializers.Serializer):
    """One change: a new date with its reason, another owner, or a state with its evidence or reason."""

    state = serializers.ChoiceField(["in_progress", "done", "dropped"], required=False)
    due_on = DayField(required=False)
    owner = PersonField(queryset=STAFF, required=False)
    evidence = Words(max_length=50_000, required=False, default="", allow_blank=True)
    reason = Words(max_length=10_000, required=False, default="", allow_blank=True)


class RecurrenceSerializer(serializers.Serializer):
    """The later incident that an action of this RCA should have prevented."""

    incident = Words(max_length=30, help_text="Reference, such as INC-1042.")
    number = serializers.IntegerField(min_value=1, max_value=10_000)
