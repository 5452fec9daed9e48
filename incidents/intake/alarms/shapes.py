"""The senders' formats in the words of the API's schema. Only documentation: `formats` reads them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from incidents.models import Alarm


class AcceptedSerializer(serializers.Serializer):
    """The alerts are stored, or counted where they repeat what is known."""

    accepted = serializers.IntegerField()


class AlertSerializer(serializers.Serializer):
    """One alert of Alertmanager."""

    status = serializers.ChoiceField(Alarm.Status.choices)
    annotations = serializers.DictField(child=serializers.CharField(), required=False)
    startsAt = serializers.DateTimeField(required=False)
    endsAt = serializers.DateTimeField(required=False)
    generatorURL = serializers.CharField(required=False, allow_blank=True)
    fingerprint = serializers.CharField(required=False)

    def get_fields(self) -> dict[str, Any]:
        labels = serializers.DictField(child=serializers.CharField(), required=False)
        return super().get_fields() | {"labels": labels}


class AlertmanagerSerializer(serializers.Serializer):
    version = serializers.CharField(required=False)
    groupKey = serializers.CharField(required=False)
    truncatedAlerts = serializers.IntegerField(required=False)
    status = serializers.ChoiceField(Alarm.Status.choices, required=False)
    receiver = serializers.CharField(required=False)
    groupLabels = serializers.DictField(required=False)
    commonLabels = serializers.DictField(required=False)
    commonAnnotations = serializers.DictField(required=False)
    externalURL = serializers.CharField(required=False)
    alerts = AlertSerializer(many=True)


class GrafanaAlertSerializer(AlertSerializer):
    """One alert of Grafana's unified alerting."""

    values = serializers.DictField(required=False, allow_null=True)
    valueString = serializers.CharField(required=False)
    dashboardURL = serializers.CharField(required=False, allow_blank=True)
    panelURL = serializers.CharField(required=False, allow_blank=True)
    silenceURL = serializers.CharField(required=False, allow_blank=True)
    imageURL = serializers.CharField(required=False, allow_blank=True)


class GrafanaSerializer(AlertmanagerSerializer):
    """With `alerts` the unified format, without them the legacy one."""

    orgId = serializers.IntegerField(required=False)
    title = serializers.CharField(required=False)
    state = serializers.CharField(required=False)
    message = serializers.CharField(required=False)
    alerts = GrafanaAlertSerializer(many=True, required=False)
    ruleId = serializers.IntegerField(required=False)
    ruleName = serializers.CharField(required=False)
    ruleUrl = serializers.CharField(required=False)
    evalMatches = serializers.ListField(child=serializers.DictField(), required=False)


class GenericAlertSerializer(serializers.Serializer):
    """One alert. The same fingerprint (or dedup_key) is the same alarm; without one, the same labels and title."""

    title = serializers.CharField(help_text="What is wrong; needed unless a resolve has a fingerprint.")
    description = serializers.CharField(required=False, help_text="Markdown.")
    status = serializers.ChoiceField(Alarm.Status.choices, default="firing")
    level = serializers.ChoiceField(["P1", "P2", "P3"], required=False)
    severity = serializers.CharField(required=False, help_text="Such as critical, error, warning, info.")
    fingerprint = serializers.CharField(required=False)
    dedup_key = serializers.CharField(required=False)
    service = serializers.CharField(required=False, help_text="A service's short name.")

    def get_fields(self) -> dict[str, Any]:
        labels = serializers.DictField(child=serializers.CharField(), required=False)
        return super().get_fields() | {"labels": labels}


class GenericSerializer(GenericAlertSerializer):
    title = serializers.CharField(required=False, help_text="Needed without `alerts` and `heartbeat`.")
    alerts = GenericAlertSerializer(many=True, required=False)
    heartbeat = serializers.BooleanField(required=False, help_text="True: nothing but a sign of life.")
