"""Alarms as their senders document them, and a source to send them by."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from incidents.models import AlarmSource


def source(kind: str = "alertmanager", name: str = "", **fields: Any) -> tuple[AlarmSource, str]:
    """A source and its token."""
    made = AlarmSource(kind=kind, name=name or f"{kind} {AlarmSource.objects.count()}", **fields)
    token = made.make_token()
    made.full_clean()
    made.save()
    return made, token


def post(token: str, kind: str, body: Any, client: Client | None = None, **headers: str):
    """Post a body (JSON, or bytes as they are) with the token; the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (client or Client(raise_request_exception=False)).post(
        f"/api/v1/alarms/{kind}/",
        data,
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"} | headers,
    )


def alertmanager(*alerts: dict[str, Any], status: str = "firing") -> dict[str, Any]:
    """Alertmanager's webhook, version 4 (prometheus.io/docs/alerting/latest/configuration)."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "support-portal",
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": {"alertname": "HighErrorRate", "severity": "critical"},
        "commonAnnotations": {"summary": "More than 5 % of requests fail"},
        "externalURL": "http://alertmanager.example:9093",
        "alerts": list(alerts),
    }


def prometheus(
    fingerprint: str = "f0c4c1d1e1a4b2aa", status: str = "firing", severity: str = "critical", **more: Any
) -> dict[str, Any]:
    """One alert of it."""
    labels = {"alertname": "HighErrorRate", "severity": severity, "service": "inference-api"}
    alert = {
        "status": status,
        "labels": labels | {"instance": fingerprint} | more.pop("labels", {}),
        "annotations": {
            "summary": "More than 5 % of requests fail",
            "description": "12 % of requests to the Inference API fail.",
            "runbook_url": "https://runbooks.example/high-error-rate",
        },
        "startsAt": "2026-03-03T09:59:12.345Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up&g0.tab=1",
        "fingerprint": fingerprint,
    }
    return alert | more


def grafana(*alerts: dict[str, Any], status: str = "firing") -> dict[str, Any]:
    """Grafana's unified alerting (grafana.com/docs: webhook notifier)."""
    return {
        "receiver": "support-portal",
        "status": status,
        "orgId": 1,
        "alerts": list(alerts),
        "groupLabels": {"alertname": "High error rate"},
        "commonLabels": {"alertname": "High error rate", "severity": "critical"},
        "commonAnnotations": {"summary": "More than 5 % of requests fail"},
        "externalURL": "https://grafana.example/",
        "version": "1",
        "groupKey": '{}/{}:{alertname="High error rate"}',
        "truncatedAlerts": 0,
        "title": "[FIRING:1] High error rate",
        "state": "alerting" if status == "firing" else "ok",
        "message": "**Firing**\n\nValue: B=22",
    }


def grafana_alert(
    fingerprint: str = "57c6d9296de2ad39", status: str = "firing", **more: Any
) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "High error rate", "severity": "critical", "grafana_folder": "API"},
        "annotations": {"summary": "More than 5 % of requests fail", "description": "12 % fail."},
        "startsAt": "2026-03-03T12:59:12.345+03:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "values": {"B": 22, "C": 1},
        "valueString": "[ var='B' labels={__name__=go_threads} value=22 ]",
        "generatorURL": "https://grafana.example/alerting/1afz29v7z/edit",
        "fingerprint": fingerprint,
        "silenceURL": "https://grafana.example/alerting/silence/new?alertmanager=grafana",
        "dashboardURL": "https://grafana.example/d/abc",
        "panelURL": "https://grafana.example/d/abc?viewPanel=2",
        "imageURL": "https://grafana.example/screenshot.png",
    } | more


def grafana_legacy(state: str = "alerting", **more: Any) -> dict[str, Any]:
    """Grafana's alerting before version 8."""
    return {
        "dashboardId": 1,
        "evalMatches": [{"value": 12.5, "metric": "error rate", "tags": {}}],
        "imageUrl": "https://grafana.example/assets/screenshot.png",
        "message": "More than 5 % of requests fail",
        "orgId": 1,
        "panelId": 2,
        "ruleId": 7,
        "ruleName": "High error rate",
        "ruleUrl": "http://grafana.example/d/hZ7BuVbWz/test?viewPanel=2",
        "state": state,
        "tags": {"severity": "critical"},
        "title": "[Alerting] High error rate",
    } | more


def generic(title: str = "API down", **more: Any) -> dict[str, Any]:
    return {"title": title, "severity": "critical"} | more
