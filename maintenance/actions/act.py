"""A verb at work on a locked window: what it records, and how it moves the status."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from maintenance.models import MaintenanceWindow, WindowEvent, WindowPost
from maintenance.models.timeline import Payload
from portal.models import User
from portal.verbs import Refused, required

TEXT_LENGTH = 50_000


def iso(at: datetime) -> str:
    """UTC, ISO 8601, as payloads hold it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Act:
    """The locked window, who acts, when and through which door."""

    window: MaintenanceWindow
    by: User | None
    now: datetime
    channel: str
    events: list[WindowEvent] = field(default_factory=list)

    def record(self, facts: Payload, *, at: datetime | None = None) -> WindowEvent:
        """Append one event of the actor's. `at` is when it happened, where that differs from now."""
        return self._append(facts, by=self.by, channel=self.channel, at=at or self.now)

    def record_due(self, facts: Payload, *, at: datetime) -> WindowEvent:
        """Append one event that happened by itself at `at`, whoever noticed."""
        return self._append(facts, by=None, channel="clockwork", at=at)

    def _append(self, facts: Payload, *, by: User | None, channel: str, at: datetime) -> WindowEvent:
        event = WindowEvent.objects.create(
            window=self.window,
            kind=facts.kind,
            by=by,
            channel=channel,
            at=at,
            recorded_at=self.now,
            payload=facts.as_json(),
            is_public=facts.is_public,
        )
        self.events.append(event)
        return event

    def move(self, to: str) -> dict[str, Any]:
        """Set the status; returns both ends for the event's payload."""
        status_from, self.window.status = self.window.status, to
        return {"status_from": str(status_from), "status_to": str(to)}

    def write(
        self, text: str, *, is_public: bool, field: str = "reason", next_update_at: datetime | None = None
    ) -> WindowPost:
        """The text of the act, in a row of its own. Refused when it is empty or too long."""
        text = required(text, field, _("Say why.") if field == "reason" else _("Write a text."))
        if len(text) > TEXT_LENGTH:
            raise Refused(_("Shorten the text to 50,000 characters."), field=field)
        assert self.by is not None
        return WindowPost.objects.create(
            window=self.window,
            author=self.by,
            text=text,
            is_public=is_public,
            next_update_at=next_update_at,
            at=self.now,
        )

    def timed(self, *, ends_at: datetime | None = None) -> dict[str, Any]:
        """What the calendars are told: the times as they are agreed now, and the version of the event."""
        window = self.window
        return {
            "starts_at": iso(window.starts_at),
            "ends_at": iso(ends_at or window.ends_at),
            "sequence": window.sequence,
        }
