"""What happens to the people of an incident, declared for its timeline: watchers, reporter, team."""

from __future__ import annotations

from dataclasses import dataclass

from incidents.models.timeline import Payload, payload


@payload
@dataclass(frozen=True, kw_only=True)
class WatcherAdded(Payload):
    kind = "watcher_added"
    person_id: int


@payload
@dataclass(frozen=True, kw_only=True)
class WatcherRemoved(Payload):
    kind = "watcher_removed"
    person_id: int


@payload
@dataclass(frozen=True, kw_only=True)
class ReporterChanged(Payload):
    """Somebody else of the organisation is its reporter now: the one of before may have left."""

    kind = "reporter_changed"
    from_id: int | None
    to_id: int


@payload
@dataclass(frozen=True, kw_only=True)
class TeamChanged(Payload):
    """Another team of the customer sees it; or none."""

    kind = "team_changed"
    from_id: int | None
    to_id: int | None
