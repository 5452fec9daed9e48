"""Moving an open incident under another agreement, with a preview that writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from incidents import sla
from incidents.actions.base import Refused, acting
from incidents.models import Incident, IncidentEvent, SLAPolicyVersion
from incidents.models.facts import as_fact, promise_for, promise_key, promises_of
from incidents.models.timeline import PromiseChanged
from portal.business_time import HorizonError
from portal.calendars import extend_horizon
from portal.models import CalendarVersion, User


def preview_promise(
    incident: Incident, policy_version: SLAPolicyVersion, calendar_version: CalendarVersion, now: datetime
) -> list[dict[str, Any]]:
    """Each open clock with its due time as it is and as it would be. Writes nothing."""
    now = now.replace(microsecond=0)
    events = list(IncidentEvent.objects.filter(incident=incident).order_by("pk"))
    facts = [fact for event in events if (fact := as_fact(event))]
    key = promise_key(policy_version.pk, calendar_version.pk)
    promises = promises_of(events) | {key: promise_for(policy_version, calendar_version)}
    before = sla.replay(facts, promises, now)
    moved = sla.Fact(kind="promise_changed", at=now, recorded_at=now, promise=key)
    after = {clock.key: clock for clock in sla.replay([*facts, moved], promises, now).clocks}
    return [
        {
            "kind": str(clock.kind),
            "level": clock.level,
            "due_at": clock.due_at,
            "new_due_at": after[clock.key].due_at,
            "is_past": _is_past(after[clock.key], now),
        }
        for clock in before.clocks
        if clock.is_open
    ]


@dataclass(frozen=True)
class Move:
    """One open incident under other versions: its clocks before and after, or why it cannot move."""

    incident: Incident
    policy_version: SLAPolicyVersion
    calendar_version: CalendarVersion
    rows: list[dict[str, Any]]
    refusal: str = ""

    @property
    def is_changing(self) -> bool:
        """Whether anything about it would change; what stays needs no event."""
        return (self.policy_version.pk, self.calendar_version.pk) != (
            self.incident.policy_version_id,
            self.incident.calendar_version_id,
        )


def preview_promises(
    incidents: Iterable[Incident],
    policy_version: SLAPolicyVersion | None,
    calendar_version: CalendarVersion | None,
    now: datetime,
) -> list[Move]:
    """What moving each incident would do to its open clocks; None keeps its own version. Writes nothing."""
    moves = (_move(incident, policy_version, calendar_version, now) for incident in incidents)
    return [move for move in moves if move.is_changing]


def _move(
    incident: Incident,
    policy_version: SLAPolicyVersion | None,
    calendar_version: CalendarVersion | None,
    now: datetime,
) -> Move:
    policy = policy_version or incident.policy_version
    calendar = calendar_version or incident.calendar_version
    try:
        rows = preview_promise(incident, policy, calendar, max(now, incident.computed_at))
    except HorizonError:
        return Move(incident, policy, calendar, [], _("The calendar version does not reach that far."))
    late = [row for row in rows if row["is_past"]]
    return Move(incident, policy, calendar, rows, _("A clock would be due in the past.") if late else "")


def _is_past(clock: sla.Clock, now: datetime) -> bool:
    return clock.is_owed and clock.due_at is not None and clock.due_at < now


def change_promise(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    policy_version: SLAPolicyVersion,
    calendar_version: CalendarVersion,
    revision: int | None = None,
) -> Incident:
    """Move the open clocks under other versions; refused when a due time would lie in the past."""
    with acting("change_promise", incident, by=by, now=now, channel=channel, revision=revision) as act:
        extend_horizon(calendar_version, act.now)
        preview = preview_promise(act.incident, policy_version, calendar_version, act.now)
        if any(row["is_past"] for row in preview):
            raise Refused(_("Under these versions a clock would be due in the past. Nothing was changed."))
        before = (act.incident.policy_version_id, act.incident.calendar_version_id)
        act.incident.policy_version = policy_version
        act.incident.calendar_version = calendar_version
        act.record(
            PromiseChanged(
                policy_version_from=before[0],
                policy_version=policy_version.pk,
                calendar_version_from=before[1],
                calendar_version=calendar_version.pk,
            )
        )
    return incident
