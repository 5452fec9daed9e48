"""Chat rooms of organisations: Slack, Microsoft Teams and Mattermost, through the same guarded call as webhooks.

With a bot's token, Slack and Mattermost keep a thread for each subject: the first message opens it, the
others answer it. A thread that is gone is opened anew. Neither service documents a key that would tell a
repeat from a new message, so one can repeat when a worker is killed between the answer and our commit.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone, translation

from portal.channels import calls, chat_words
from portal.channels.base import Permanent, Rendered, Sent, Temporary, one_line
from portal.channels.calls import Answer
from portal.models import ChatThread, Endpoint, OutboxMessage

Service = Endpoint.Service
SERVICES = frozenset({Service.SLACK, Service.TEAMS, Service.MATTERMOST})
# What Slack says of itself rather than of the message; everything else stays as it is.
SLACK_COMES_BACK = frozenset(
    [
        "ratelimited",
        "rate_limited",
        "message_limit_exceeded",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "org_login_required",
    ]
)
SLACK_THREAD_IS_GONE = frozenset({"thread_not_found", "message_not_found", "invalid_thread_ts"})
THREAD_LENGTH = 120


class ThreadGone(Exception):
    """The service does not know the thread any more."""


@dataclass(frozen=True)
class Post:
    """One request to a service: its body, what of it people read, and what the answer means."""

    content: dict[str, Any]
    text: str
    read: Callable[[Answer], str]  # the id of what was posted, or ""; raises Temporary, Permanent, ThreadGone


# --- threads ---


def in_thread(message: OutboxMessage, rendered: Rendered) -> tuple[OutboxMessage, Rendered]:
    """The message, to be said in the thread of its subject where the room has one."""
    endpoint = message.endpoint
    if endpoint is None or not _has_threads(endpoint) or not message.subject_key:
        return message, rendered
    threads = ChatThread.objects.filter(endpoint=endpoint, subject_key=message.subject_key)
    return message, replace(rendered, thread_id=threads.values_list("thread_id", flat=True).first() or "")


def note_thread(message: OutboxMessage, sent: Sent, now: datetime) -> None:
    """Keep the thread that the message was said in; the first one stays unless it is gone."""
    if not sent.thread_id or not message.subject_key:
        return
    key = {"endpoint_id": message.endpoint_id, "subject_key": message.subject_key}
    if sent.replaces_thread:
        ChatThread.objects.filter(**key, thread_id=sent.replaces_thread).delete()
    row = ChatThread(**key, thread_id=sent.thread_id, created_at=now)
    ChatThread.objects.bulk_create([row], ignore_conflicts=True)


def _has_threads(endpoint: Endpoint) -> bool:
    return bool(endpoint.access_token) and endpoint.service in (Service.SLACK, Service.MATTERMOST)


# --- out ---


def send(message: OutboxMessage, endpoint: Endpoint, rendered: Rendered) -> Sent:
    """Post to the room. Raises Temporary or Permanent, and what a call raises. Asks nothing of the database."""
    gone = ""
    try:
        return _post(endpoint, rendered)
    except ThreadGone:
        gone = rendered.thread_id
    return replace(_post(endpoint, replace(rendered, thread_id="")), replaces_thread=gone)


def _post(endpoint: Endpoint, rendered: Rendered) -> Sent:
    with _reading_as(endpoint):
        post = WRITERS[Service(endpoint.service)](endpoint, rendered)
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "support-portal"}
    if _has_threads(endpoint):
        headers["Authorization"] = f"Bearer {_token(endpoint)}"
    answer = calls.call(endpoint.url, json.dumps(post.content).encode(), headers)
    posted = post.read(answer)
    return Sent(
        address=answer.target.origin[:254],
        subject=one_line(rendered.subject),
        text=post.text,
        html="",
        headers={name: value for name, value in headers.items() if name != "Authorization"},
        answer=answer.said,
        thread_id=(rendered.thread_id or posted)[:THREAD_LENGTH] if _has_threads(endpoint) else "",
    )


def _token(endpoint: Endpoint) -> str:
    token = endpoint.access_token.strip()
    if not token.isascii() or not token.isprintable():
        raise Permanent("the access token holds signs that no token has")
    return token


@contextlib.contextmanager
def _reading_as(endpoint: Endpoint) -> Iterator[None]:
    """What is worded inside is worded in the language and zone of the room's organisation."""
    organisation = endpoint.organisation
    language = organisation.language if organisation else settings.LANGUAGE_CODE
    zone = organisation.time_zone if organisation else settings.TIME_ZONE
    with translation.override(language), timezone.override(ZoneInfo(zone)):
        yield


def _json(answer: Answer) -> dict[str, Any]:
    try:
        said = json.loads(answer.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


# --- Slack ---


def _slack(endpoint: Endpoint, rendered: Rendered) -> Post:
    text = chat_words.slack(rendered)
    if not endpoint.access_token:
        return Post({"text": text, "unfurl_links": False, "unfurl_media": False}, text, _plainly)
    content = {"channel": endpoint.room_id, "text": text, "unfurl_links": False, "unfurl_media": False}
    if rendered.thread_id:
        content["thread_ts"] = rendered.thread_id
    return Post(content, text, _read_slack)


def _read_slack(answer: Answer) -> str:
    """Slack says 200 to nearly everything: whether it took the message stands in the body."""
    calls.accepted(answer)
    said = _json(answer)
    if said.get("ok") is True:
        return str(said.get("ts") or "")
    error = one_line(str(said.get("error") or ""), 80)
    if not error:
        raise Temporary(f"{answer.said}, but no answer of Slack's")
    if error in SLACK_THREAD_IS_GONE:
        raise ThreadGone(error)
    if error in SLACK_COMES_BACK:
        raise Temporary(f"Slack: {error}", retry_after=answer.retry_after)
    raise Permanent(f"Slack: {error}")


def _plainly(answer: Answer) -> str:
    calls.accepted(answer)
    return ""


# --- Mattermost ---


def _mattermost(endpoint: Endpoint, rendered: Rendered) -> Post:
    text = chat_words.mattermost(rendered)
    if not endpoint.access_token:
        return Post({"text": text}, text, _plainly)
    content = {"channel_id": endpoint.room_id, "message": text}
    if rendered.thread_id:
        content["root_id"] = rendered.thread_id

    def read(answer: Answer) -> str:
        return _read_mattermost(answer, is_reply=bool(rendered.thread_id))

    return Post(content, text, read)


def _read_mattermost(answer: Answer, *, is_reply: bool) -> str:
    said = _json(answer)
    if is_reply and answer.status in (400, 404) and "root_id" in str(said.get("id")):
        raise ThreadGone(answer.said)
    try:
        calls.accepted(answer)
    except Permanent as error:
        raise Permanent(one_line(f"{error} {said.get('id') or ''}", 200)) from error
    if not said.get("id"):
        raise Temporary(f"{answer.said}, but no answer of Mattermost's")
    return str(said["id"])


# --- Microsoft Teams ---


def _teams(endpoint: Endpoint, rendered: Rendered) -> Post:
    card = chat_words.teams(rendered)
    return Post(card, chat_words.teams_text(card), _plainly)


WRITERS = {Service.SLACK: _slack, Service.MATTERMOST: _mattermost, Service.TEAMS: _teams}
