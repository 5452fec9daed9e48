"""What Mattermost sends by an outgoing webhook or a slash command, and whether Mattermost sent it. PURE.

As documented under “Outgoing webhooks” and “Custom slash commands” (docs.mattermost.com/developers/integrate)
and declared by its server (`OutgoingWebhookPayload` in mattermost/mattermost, server/public/model): form-encoded
or JSON with `token`, `channel_id`, `user_id`, `user_name`, `text`, and for a webhook `post_id`, `trigger_word`
and `file_ids` (ids with commas between), for a command `command` and `trigger_id`. Neither documents the
thread that it was written in; `root_id` is read where a server sends it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from incidents.intake.alarms import formats
from incidents.intake.chat.spoken import MOST_FILES, NAME_LENGTH, Spoken, text_in

MOST_FIELDS = 100
LONGEST = 1_000_000  # a body is smaller


def read(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a body, cleaned; none at all where it cannot be read."""
    try:
        if "json" in content_type.lower():
            value = formats.parse(body)
            return value if isinstance(value, dict) else {}
        found = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except (formats.Malformed, ValueError):
        return {}
    return {formats.clean_text(name): formats.clean_text(values[0]) for name, values in found.items()}


def is_signed(secret: str, fields: Mapping[str, Any]) -> bool:
    """Whether the token is one of the secret's: a webhook and a command have one each, so it may hold several."""
    token = text_in(fields, "token", 300).encode("utf-8", "replace")
    return sum(hmac.compare_digest(token, one.encode()) for one in secret.split()) > 0


def spoken(fields: Mapping[str, Any]) -> Spoken | None:
    """What somebody wrote; None where it names nobody or nothing."""
    is_command = bool(text_in(fields, "command", LONGEST))
    found = Spoken(
        id=text_in(fields, "post_id") or text_in(fields, "trigger_id", LONGEST),
        room=text_in(fields, "channel_id"),
        user=text_in(fields, "user_id"),
        user_name=text_in(fields, "user_name", NAME_LENGTH),
        text=_text(fields),
        thread=text_in(fields, "root_id"),
        files=("",) * min(MOST_FILES, len(text_in(fields, "file_ids", LONGEST).replace(",", " ").split())),
        is_command=is_command,
    )
    return found if found.id and found.user else None


def _text(fields: Mapping[str, Any]) -> str:
    """Without the word that triggered the webhook, unless that is the beginning of a reference."""
    text, word = text_in(fields, "text", LONGEST), text_in(fields, "trigger_word")
    is_a_word_of_its_own = word and not word.upper().startswith("INC-") and text.startswith(word)
    return text[len(word) :].lstrip() if is_a_word_of_its_own else text
