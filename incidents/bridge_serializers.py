"""Shapes of the live bridge in the API: what goes in to each noun, and how a bridge comes out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from incidents.models import BridgeRole, BridgeStep
from portal.api import MomentField, Words


class BridgePersonSerializer(serializers.Serializer):
    """One stay of one person; `id` names them as the holder of a part or the owner of a step."""

    id = serializers.IntegerField(source="person.pk")
    name = serializers.CharField(source="person.name")
    is_from_staff = serializers.BooleanField(source="person.is_agent")
    joined_at = serializers.DateTimeField()
    left_at = serializers.DateTimeField(allow_null=True)


class BridgePartSerializer(serializers.Serializer):
    part = serializers.ChoiceField(BridgeRole.choices, source="role")
    id = serializers.IntegerField(source="person.pk")
    name = serializers.CharField(source="person.name")
    since = serializers.DateTimeField(source="from_at")


class BridgeWordsSerializer(serializers.Serializer):
    """A note or a decision, in Markdown."""

    text = serializers.CharField()
    by = serializers.CharField(source="author.name")
    is_from_staff = serializers.BooleanField()
    at = serializers.DateTimeField(source="received_at")


class BridgeStepSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.name")
    agreed_by = serializers.CharField(source="agreed_by.name")
    done_by = serializers.CharField(source="done_by.name", default=None, allow_null=True)

    class Meta:
        model = BridgeStep
        fields = ["id", "text", "owner", "due_at", "agreed_by", "agreed_at", "done_by", "done_at"]


class BridgeSerializer(serializers.Serializer):
    """The incident's latest bridge. Times are UTC."""

    is_open = serializers.BooleanField()
    opened_at = serializers.DateTimeField()
    opened_by = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.CharField(allow_null=True, help_text="Null where it closed by itself.")
    conference_url = serializers.CharField(help_text="Empty without a conference, and once it is closed.")
    people = BridgePersonSerializer(many=True, help_text="Every stay, in the order of coming.")
    parts = BridgePartSerializer(many=True, help_text="Who has which part now.")
    decisions = BridgeWordsSerializer(many=True)
    steps = BridgeStepSerializer(many=True)
    summary = serializers.CharField(help_text="Markdown; empty while it is open.")


# --- what goes in ---


class PersonKeyField(Words):
    """A person of either side, by e-mail address or by the id that the bridge's people have."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, int) and not isinstance(data, bool):
            data = str(data)
        return super().to_internal_value(data)


class BridgePartInSerializer(serializers.Serializer):
    part = serializers.ChoiceField(BridgeRole.choices)
    person = PersonKeyField(
        max_length=254, required=False, help_text="E-mail address or id; absent: yourself."
    )


class BridgeStepInSerializer(serializers.Serializer):
    text = Words(max_length=300)
    owner = PersonKeyField(max_length=254, help_text="E-mail address or id.")
    due_at = MomentField()


class BridgeClosingSerializer(serializers.Serializer):
    summary = Words(max_length=50_000)
