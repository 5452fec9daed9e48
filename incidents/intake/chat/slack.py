"""What Slack sends by its Events API, and whether Slack sent it. PURE.

As documented under “Verifying requests from Slack” (docs.slack.dev/authentication) and in the references of
the `url_verification` and `message` events (docs.slack.dev/reference/events): `X-Slack-Signature` is `v0=`
and the HMAC-SHA256 of `v0:{X-Slack-Request-Timestamp}:{body as it came}` under the app's signing secret; the
envelope of an `event_callback` has an `event_id`, which stays the same when it is sent again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from incidents.intake.chat.spoken import FILE_NAME_LENGTH, MOST_FILES, Spoken, text_in

TOLERANCE_SECONDS = 5 * 60
PLAIN = ("", "thread_broadcast", "file_share")  # the others tell of edits, deletions, topics, who joined
OF_MACHINES = ("bot_id", "bot_profile", "app_id")
LONGEST = 1_000_000  # a body is smaller


def is_signed(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> bool:
    """Whether the body was signed with the secret, within five minutes of `now` (seconds since 1970)."""
    signed = b"v0:" + timestamp.encode("latin-1", "replace") + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    is_right = hmac.compare_digest(expected.encode(), signature.encode("latin-1", "replace"))
    return is_right and is_fresh(timestamp, now) and bool(secret.strip())


def is_fresh(timestamp: str, now: float) -> bool:
    is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    return is_number and abs(now - int(timestamp)) <= TOLERANCE_SECONDS


def challenge_of(envelope: Mapping[str, Any]) -> str:
    """What Slack wants to read back when it is told our address; "" in anything else."""
    return text_in(envelope, "challenge", 1000) if envelope.get("type") == "url_verification" else ""


def spoken(envelope: Mapping[str, Any]) -> Spoken | None:
    """What a person wrote; None for every other event: a bot's words, an edit, a deletion, somebody who joined."""
    event = envelope.get("event")
    if envelope.get("type") != "event_callback" or not isinstance(event, dict):
        return None
    is_plain = event.get("type") == "message" and (event.get("subtype") or "") in PLAIN
    if not is_plain or event.get("hidden") or any(event.get(name) for name in OF_MACHINES):
        return None
    found = Spoken(
        id=text_in(envelope, "event_id"),
        room=text_in(event, "channel"),
        user=text_in(event, "user"),
        text=text_in(event, "text", LONGEST),
        thread=text_in(event, "thread_ts"),
        files=_files(event.get("files")),
    )
    return found if found.id and found.room and found.user else None


def _files(value: Any) -> tuple[str, ...]:
    files = [file for file in value if isinstance(file, dict)] if isinstance(value, list) else []
    return tuple(text_in(file, "name", LONGEST)[:FILE_NAME_LENGTH] for file in files[:MOST_FILES])
