"""Who watches an incident, and what the reader may do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from incidents import actions, audiences
from incidents.models import Incident, Watcher
from portal import access
from portal.models import Organisation, Team, User
from portal.people_views import shown_to


@dataclass(frozen=True)
class WatcherRow:
    person: User
    may_remove: bool


@dataclass(frozen=True)
class Watching:
    """The card of watchers as one reader sees it; `may_watch` and `may_add` say which forms are offered."""

    rows: list[WatcherRow]
    is_watching: bool
    may_watch: bool
    to_add: list[User]


def watching_of(incident: Incident, user: User) -> Watching:
    manages = user.is_agent or access.may_manage(user, incident.organisation)
    found = Watcher.objects.filter(incident=incident, person__in=audiences.watchers(incident))
    watchers = list(found.select_related("person"))
    ids = {row.person_id for row in watchers}
    rows = [
        WatcherRow(row.person, manages or user.pk in (row.person_id, row.added_by_id)) for row in watchers
    ]
    may_add = not actions.may("add_watcher", incident, user)
    return Watching(
        rows=rows,
        is_watching=user.pk in ids,
        may_watch=not actions.may("watch", incident, user),
        to_add=to_add(incident, user, ids | {user.pk}) if may_add else [],
    )


def to_add(incident: Incident, user: User, left_out: set[int]) -> list[User]:
    """The colleagues whom the reader knows of and who do not watch yet."""
    rows = shown_to(user, incident.organisation).exclude(user__in=left_out)
    return [row.user for row in rows if not row.user.is_agent]


def people_context(incident: Incident, user: User) -> dict[str, Any]:
    """What the page of an incident shows of its people: watchers, team, and the duplicate's original if visible."""
    has_teams = Team.objects.filter(organisation=incident.organisation_id).exists()
    return {
        "watching": watching_of(incident, user),
        "may_move": has_teams and not actions.may("move_to_team", incident, user),
        "has_several_organisations": Organisation.objects.visible_to(user).count() > 1,
        "original_url": original_url(incident, user),
    }


def original_url(incident: Incident, user: User) -> str:
    """The page of what it is a duplicate of, where the reader may see it."""
    if incident.duplicate_of_id is None:
        return ""
    original = Incident.objects.visible_to(user).filter(pk=incident.duplicate_of_id).first()
    return original.get_absolute_url() if original else ""
