"""What never stands in a log: whatever opens something to whoever reads it."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

# Each keeps the words around the secret, so that a line still says what happened.
SECRETS = (
    re.compile(r"(/calendar/)[^/\s\"'?#]+(\.ics)"),
    re.compile(r"(/password/reset/key/[0-9A-Za-z]+-)(?!set-password/)[^/\s\"'?#]+()"),
    re.compile(r"((?:/|%2F)invitations(?:/|%2F))[\w-]{20,}()", re.ASCII | re.IGNORECASE),
    re.compile(r"(\b(?:Bearer|Basic|Token)\s+)[A-Za-z0-9._~+/=-]{8,}()", re.IGNORECASE),
    re.compile(r"()\bwhsec_[A-Za-z0-9+/=_-]+()"),
    re.compile(r"()\bxox[a-z]-[A-Za-z0-9-]+()"),
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+(@)", re.IGNORECASE),
    re.compile(
        r"((?:password|passwd|secret|token|api_key|sessionid|csrftoken)[\"']?\s*[=:]\s*[\"']?)"
        r"[^\s\"'&;,)}]{6,}()",
        re.IGNORECASE,
    ),
    re.compile(r"([?&](?:code|state|id_token|SAMLResponse)=)[^\s\"'&]+()", re.IGNORECASE),
    re.compile(r"(\breply\+)[0-9a-f]{16,}()", re.IGNORECASE),
)


def hidden(text: str) -> str:
    """`text` with “…” in place of every secret in it."""
    for secret in SECRETS:
        text = secret.sub(r"\1…\2", text)
    return text


class HideTokens(logging.Filter):
    """Takes secrets out of a record, and lets it through: for handlers whose format is not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        safe = hidden(text)
        if safe != text:
            record.msg, record.args = safe, ()
        return True


# Signs that would end a line, move the cursor of a terminal or turn the direction of a text.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def on_one_line(text: str) -> str:
    """`text` with its control signs written out: nobody's words begin an entry of their own."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class SafeFormatter(logging.Formatter):
    """One entry: its time in UTC, its message on one line, a traceback set in; and no secret in any of it."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        return on_one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return set_in(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return set_in(super().formatStack(stack_info))


def set_in(text: str) -> str:
    """Each line of a traceback marked as part of the entry above it."""
    return "\n".join("  | " + on_one_line(line) for line in text.split("\n"))
