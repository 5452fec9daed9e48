"""The standard format: an outage update, a maintenance notice, an RCA and next steps share one structure.

One form is shown by the page, the mail, the PDF, the API and the webhook, each from the same fields; the
JSON of it is held by `formats/standard_form.schema.json`. A form is made for one organisation: what it
says is already cut to what that organisation may read. PURE: no database, no hidden now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parent / "formats" / "standard_form.schema.json"


class Kind(StrEnum):
    OUTAGE_UPDATE = "outage_update"
    MAINTENANCE_NOTICE = "maintenance_notice"
    RCA = "rca"
    NEXT_STEPS = "next_steps"


@dataclass(frozen=True)
class AffectedService:
    """A service and what is felt of it; `impact` is a value of `Impact`, `word` its translated label."""

    name: str
    impact: str
    word: str


@dataclass(frozen=True)
class NextStep:
    """Something that will be done: by whom (a name) and by when, where that is known."""

    text: str
    owner: str = ""
    due: datetime | date | None = None
    state: str = ""  # for a prevention action: open, in_progress, done, dropped
    evidence: str = ""


@dataclass(frozen=True)
class StandardForm:
    """One message to one organisation. Times are aware; texts are Markdown in the reader's language."""

    kind: Kind
    reference: str  # INC-1042, MW-17
    title: str
    state: str  # machine-readable: a status or a condition
    state_word: str  # the same in words
    what: str
    url: str
    published_at: datetime
    impact: str = ""
    services: Sequence[AffectedService] = ()
    since: datetime | None = None
    until: datetime | None = None
    actions: Sequence[str] = ()  # what was done, or is being done
    next_steps: Sequence[NextStep] = ()
    next_update_at: datetime | None = None
    next_update_word: str = ""  # where there is no time: "when something changes"
    more: Sequence[tuple[str, str]] = field(default=())  # what a kind has beyond the rest: (label, Markdown)

    def as_json(self) -> dict[str, Any]:
        """The form as the JSON schema has it: times in UTC, ISO 8601; days as they are."""
        return {
            "format": "1",
            "kind": str(self.kind),
            "reference": self.reference,
            "title": self.title,
            "state": self.state,
            "state_word": self.state_word,
            "what": self.what,
            "impact": self.impact,
            "services": [vars(service) for service in self.services],
            "since": instant(self.since),
            "until": instant(self.until),
            "actions": list(self.actions),
            "next_steps": [vars(step) | {"due": instant(step.due)} for step in self.next_steps],
            "next_update_at": instant(self.next_update_at),
            "next_update_word": self.next_update_word,
            "more": [{"label": label, "text": text} for label, text in self.more],
            "published_at": instant(self.published_at),
            "url": self.url,
        }


def instant(at: datetime | date | None) -> str | None:
    """UTC in ISO 8601 for a moment, ISO 8601 for a day; None stays None."""
    if isinstance(at, datetime):
        return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return at.isoformat() if at else None


@cache
def schema() -> Mapping[str, Any]:
    """The JSON schema of the standard format (draft 2020-12)."""
    return json.loads(SCHEMA.read_text())
