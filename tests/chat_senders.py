"""Messages as Slack and Mattermost send them, and a channel to send them to."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.test import Client
from django.utils import timezone

from incidents.defaults import plan_for
from incidents.models import SupportPlan
from portal.models import ChatIdentity, ChatThread, Endpoint, Organisation, User
from tests.conftest import T0

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TOKEN = "xr3j5x3p4pfk7kk6ck7b4e6ghh"
ROOM = "C0SUPPORT"
_numbers = itertools.count(1)


def channel(of: Organisation, service: str = "slack", *, has_plan: bool = True, **fields: Any) -> Endpoint:
    """The organisation's own channel, in its plan."""
    plan_for(of, T0)
    SupportPlan.objects.filter(organisation=of).update(has_dedicated_channel=has_plan)
    standard = {
        "use": "channel",
        "name": f"#{of.slug}-support",
        "url": "https://chat.example/hooks/1",
        "room_id": ROOM,
        "signing_secret": SECRET if service == "slack" else TOKEN,
    }
    return Endpoint.objects.create(service=service, organisation=of, **standard | fields)


def knows(endpoint: Endpoint, external_id: str, person: User, name: str = "") -> ChatIdentity:
    return ChatIdentity.objects.create(
        endpoint=endpoint, external_id=external_id, external_name=name, person=person, created_at=T0
    )


def thread(endpoint: Endpoint, subject: str, thread_id: str = "1772532000.000100") -> str:
    """The thread that the channel has about something."""
    ChatThread.objects.create(endpoint=endpoint, subject_key=subject, thread_id=thread_id, created_at=T0)
    return thread_id


# --- Slack ---


def event(
    text: str = "It is worse.", *, user: str = "U0ADA", room: str = ROOM, **more: Any
) -> dict[str, Any]:
    """A message event in its envelope. `event_id` is the envelope's; the rest is the event's."""
    number = next(_numbers)
    return {
        "token": "z26uFbvR1xHJEdHE1OQiO6t8",
        "team_id": "T123ABC456",
        "api_app_id": "A123ABC456",
        "type": "event_callback",
        "event_id": more.pop("event_id", f"Ev{number:08}"),
        "event_time": 1772532000,
        "event": {
            "type": "message",
            "channel": room,
            "user": user,
            "text": text,
            "ts": f"1772532000.{number:06}",
            "channel_type": "channel",
        }
        | more,
    }


def signature(body: bytes, timestamp: str, secret: str = SECRET) -> str:
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256)
    return "v0=" + digest.hexdigest()


def slack(
    endpoint: Endpoint | str,
    body: Any,
    *,
    secret: str = SECRET,
    at: datetime | None = None,
    service: str = "slack",
    **headers: str,
):
    """Post a body (JSON, or bytes as they are), signed; the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = str(int((at or timezone.now()).timestamp()))
    signed = {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": signature(data, timestamp, secret),
    }
    key = endpoint.key if isinstance(endpoint, Endpoint) else endpoint
    return Client(raise_request_exception=False).post(
        f"/api/v1/channels/{service}/{key}/",
        data,
        content_type="application/json",
        headers=signed | {name.replace("_", "-"): value for name, value in headers.items()},
    )


# --- Mattermost ---


def post(text: str = "It is worse.", *, user: str = "uada", room: str = ROOM, **more: Any) -> dict[str, Any]:
    """What an outgoing webhook sends."""
    return {
        "token": TOKEN,
        "team_id": "team1",
        "team_domain": "acme",
        "channel_id": room,
        "channel_name": "support",
        "timestamp": 1772532000000,
        "user_id": user,
        "user_name": "ada",
        "post_id": f"post{next(_numbers)}",
        "text": text,
        "trigger_word": "",
        "file_ids": "",
    } | more


def command(text: str, *, user: str = "uada", room: str = ROOM, **more: Any) -> dict[str, Any]:
    """What a slash command sends."""
    return {
        "token": TOKEN,
        "team_id": "team1",
        "team_domain": "acme",
        "channel_id": room,
        "channel_name": "support",
        "user_id": user,
        "user_name": "ada",
        "command": "/support",
        "text": text,
        "trigger_id": f"dHJpZ2dlcg{next(_numbers)}",
        "response_url": "https://chat.example/hooks/commands/1",
    } | more


def mattermost(
    endpoint: Endpoint | str, fields: Any, *, is_json: bool = False, service: str = "mattermost", **more: Any
):
    """Post fields (or bytes as they are) as a form or as JSON; the answer."""
    if isinstance(fields, bytes):
        data = fields
    else:
        data = json.dumps(fields).encode() if is_json else urlencode(fields).encode()
    key = endpoint.key if isinstance(endpoint, Endpoint) else endpoint
    kind = "application/json" if is_json else "application/x-www-form-urlencoded"
    return Client(raise_request_exception=False).post(
        f"/api/v1/channels/{service}/{key}/", data, content_type=more.pop("content_type", kind), **more
    )
