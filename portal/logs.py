"""What never stands in a log: whatever opens something to whoever reads it."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime
from typing import Any

from structlog.contextvars import merge_contextvars
from structlog.processors import JSONRenderer, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor

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


# What a line says beside its words, where whoever logs it gives it along. Nothing else is let in: libraries give
# whole requests along.
FACTS = frozenset(
    "method view status ms user_id outbox_id kind channel state attempts task".split()  # noqa: SIM905 (reads as one)
)
_extra = ExtraAdder(allow=FACTS)


def facts_of(record: logging.LogRecord) -> EventDict:
    """What is bound to the work at hand (its id) and what was given along with the line."""
    found = merge_contextvars(None, "", {"_record": record})
    return dict(_extra(logging.getLogger(record.name), "", found))


class SafeFormatter(logging.Formatter):
    """One entry: its time in UTC, its message on one line, a traceback set in; and no secret in any of it."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = [f"{name}={value}" for name, value in facts_of(record).items() if name != "_record"]
        return on_one_line(" ".join([super().formatMessage(record), *facts]))

    def formatException(self, ei: Any) -> str:
        return set_in(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return set_in(super().formatStack(stack_info))


def set_in(text: str) -> str:
    """Each line of a traceback marked as part of the entry above it."""
    return "\n".join("  | " + on_one_line(line) for line in text.split("\n"))


class JsonFormatter(ProcessorFormatter):
    """One entry is one line of JSON in ASCII: time (UTC), level, logger, event, facts; and no secret in any of it."""

    def __init__(self) -> None:
        before: list[Processor] = [merge_contextvars, _extra, add_log_level, add_logger_name, _stamped]
        after: list[Processor] = [self.remove_processors_meta, format_exc_info, _without_secrets]
        super().__init__(foreign_pre_chain=before, processors=[*after, JSONRenderer(sort_keys=True)])


def _stamped(_logger: Any, _name: str, event: EventDict) -> EventDict:
    at = datetime.fromtimestamp(event["_record"].created, UTC)
    event["time"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _without_secrets(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Before it is made into JSON: quotes that are written out would hide a secret from us."""
    plain = int | float | bool | None
    return {name: value if isinstance(value, plain) else hidden(str(value)) for name, value in event.items()}
