"""What never stands in a log: whatever opens something to whoever reads it."""

from __future__ import annotations

import logging
import re

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


class SafeFormatter(logging.Formatter):
    """The whole line without secrets: message, arguments and traceback alike."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))
