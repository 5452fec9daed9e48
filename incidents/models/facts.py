"""From timeline rows to the facts that `incidents.sla` folds, and from agreements to its promises."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Protocol

from incidents import sla
from incidents.models.agreement import SLAPolicyVersion
from incidents.models.incident import Incident
from incidents.models.timeline import IncidentEvent
from portal.business_time import always_open
from portal.calendars import as_calendar
from portal.models import CalendarVersion

# Public messages of a human staff member: the first of them is the first response.
PUBLIC_ANSWERS = frozenset(
    {
        "staff_replied",
        "question_asked",
        "status_update_published",
        "action_plan_filed",
        "solution_documented",
        "resolved",
        "escalation_answered",
    }
)
ON_THE_BRIDGE = frozenset({"bridge_noted", "bridge_decided"})
TIMES = ("started_at", "due_at", "first_due_at", "met_at", "breached_at", "ended_at")


class Recorded(Protocol):
    """What of an event makes a fact: a row of the timeline, or something of the same shape."""

    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...
    @property
    def payload(self) -> dict[str, Any]: ...


def utc(text: str) -> datetime:
    """The instant that a payload names, in UTC, whatever zone its writer said it in."""
    return datetime.fromisoformat(text).astimezone(UTC)


def promise_key(policy_version: int, calendar_version: int) -> str:
    return f"{policy_version}/{calendar_version}"


def promise_for(policy_version: SLAPolicyVersion, calendar_version: CalendarVersion) -> sla.Promise:
    """The pure promise of a policy version under a calendar version."""
    business = as_calendar(calendar_version)
    return sla.Promise(
        targets={(t.level, t.kind): t.as_pure() for t in policy_version.targets.all()},
        business=business,
        always=always_open(calendar_version.time_zone),
    )


def promises_of(events: Iterable[IncidentEvent]) -> dict[str, sla.Promise]:
    """Every promise that the events name, by key."""
    found: dict[str, sla.Promise] = {}
    for event in events:
        if event.kind in ("opened", "promise_changed"):
            policy, calendar = event.payload["policy_version"], event.payload["calendar_version"]
            key = promise_key(policy, calendar)
            if key not in found:
                found[key] = promise_for(
                    SLAPolicyVersion.objects.prefetch_related("targets").get(pk=policy),
                    CalendarVersion.objects.select_related("calendar").get(pk=calendar),
                )
    return found


def as_fact(event: Recorded) -> sla.Fact | None:
    """The fact that an event is to the clocks; None for one that no rule reads."""
    payload, kind = event.payload, event.kind
    if kind == "contest_decided":
        if not payload["is_upheld"]:
            return None
        kind = "lowering_voided"
    if kind in ON_THE_BRIDGE:  # minutes of a conversation; what the customer says there is their reply
        if not payload["is_from_customer"]:
            return None
        kind = "customer_replied"
    if kind == "customer_escalated":  # the customer's words, too
        kind = "customer_replied"
    if kind == "customer_replied" and not payload.get("is_human", True):
        return None
    next_update = payload.get("next_update_at")
    release = payload.get("release_on")
    return sla.Fact(
        kind=kind,
        at=event.at,
        recorded_at=event.recorded_at,
        level=payload.get("level_to") or payload.get("level") or "",
        ref=payload.get("validation") or payload.get("status_update") or payload.get("message"),
        is_public_answer=kind in PUBLIC_ANSWERS,
        next_update_at=utc(next_update) if next_update else None,
        release_on=date.fromisoformat(release) if release else None,
        promise=promise_key(payload["policy_version"], payload["calendar_version"])
        if kind in ("opened", "promise_changed")
        else "",
        correction=_correction(payload) if kind == "clock_corrected" else {},
    )


def _correction(payload: dict) -> dict:
    new = {name: utc(value) if name in TIMES and value else value for name, value in payload["new"].items()}
    return {"key": tuple(payload["key"]), "new": new}


def replay(incident: Incident, now: datetime) -> sla.Ledger:
    """The incident's ledger at `now`, from its recorded facts under the versions that they name."""
    events = list(IncidentEvent.objects.filter(incident=incident).order_by("pk"))
    facts = [fact for event in events if (fact := as_fact(event))]
    return sla.replay(facts, promises_of(events), now)
