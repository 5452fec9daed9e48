"""An RCA as one organisation reads it: a frozen copy with the present state of its prevention actions.

`content_of` is the whole working text, `copy_of` one organisation's cut of it. Publishing stores both; a
preview makes the same and stores nothing. All that a reader sees goes through here, and so through redaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from django.db.models import Q

from incidents import sla
from incidents.clockwork import iso
from incidents.models import RCA, Incident, PreventionAction, RCACopy, RCAEvent, RCAVersion, Recurrence
from incidents.models.facts import replay
from incidents.rca_secrets import redactor_for
from maintenance.models import MaintenanceWindow
from portal.models import Organisation, ServiceImpact, User
from portal.redaction import texts_within

# --- who reads it ---


def incidents_of(rca: RCA, organisation: Organisation | None = None) -> list[Incident]:
    """The incidents that it explains, the parent's children among them; of one organisation where asked."""
    if rca.incident_id is None:
        return []
    found = Incident.objects.filter(Q(pk=rca.incident_id) | Q(parent=rca.incident_id))
    if organisation is not None:
        found = found.filter(organisation=organisation)
    return list(found.select_related("organisation").order_by("pk"))


def readers_of(rca: RCA) -> list[Organisation]:
    """The organisations that will get a copy, by name; never the vendor's own."""
    if rca.window_id is not None:
        found = Organisation.objects.filter(
            pk__in=MaintenanceWindow.objects.filter(pk=rca.window_id).values("involved__organisation")
        )
    else:
        found = Organisation.objects.filter(pk__in=[row.organisation_id for row in incidents_of(rca)])
    return list(found.exclude(is_vendor=True).order_by("name"))


# --- what is stored ---


def content_of(rca: RCA) -> dict[str, Any]:
    """The whole text, unredacted: for staff, and kept with each version."""
    return {
        "texts": {name: getattr(rca, name) for name in RCA.TEXTS},
        "moments": [{"at": iso(row.at), "text": row.text} for row in rca.moments.order_by("at", "pk")],
        "actions": [_action_json(action) for action in actions_of(rca)],
        "redactions": [
            {"organisation": row.organisation_id, "words": row.words, "instead": row.instead}
            for row in rca.redactions.order_by("pk")
        ],
    }


def actions_of(rca: RCA) -> list[PreventionAction]:
    return list(rca.actions.select_related("owner").order_by("number"))


def _action_json(action: PreventionAction) -> dict[str, Any]:
    return {
        "number": action.number,
        "kind": action.kind,
        "text": action.text,
        "owner": str(action.owner) if action.owner else "",
        "due_on": action.due_on.isoformat() if action.due_on else None,
    }


def copy_of(rca: RCA, organisation: Organisation, content: dict[str, Any], note: str = "") -> dict[str, Any]:
    """The organisation's cut: redacted, with the facts of its own incident and its own services only."""
    facts = _window_facts(rca.window, organisation) if rca.window else _incident_facts(rca, organisation)
    theirs = facts["title"] if rca.window else ""  # an incident's title is the organisation's own
    redact = redactor_for(rca, organisation, [*texts_within(content), note, theirs])
    return facts | {
        "title": redact(theirs) or facts["title"],
        "note": redact(note),
        "texts": redact.within(content["texts"]),
        "moments": [row | {"text": redact(row["text"])} for row in content["moments"]],
        "actions": [
            row | {"text": redact(row["text"]), "owner": redact(row["owner"])} for row in content["actions"]
        ],
    }


def _incident_facts(rca: RCA, organisation: Organisation) -> dict[str, Any]:
    own = incidents_of(rca, organisation)
    first = own[0]
    return {
        "title": first.title,
        "reference": first.reference,
        "organisation": organisation.name,
        "level": first.level,
        "is_major": first.is_major,
        "opened_at": iso(first.opened_at),
        "restored_at": iso(first.restored_at),
        "resolved_at": iso(first.resolved_at),
        "services": _felt([row.reference for row in own], organisation) or _named(own),
        "promised": promised(first),
    }


def _window_facts(window: MaintenanceWindow, organisation: Organisation) -> dict[str, Any]:
    affected = window.affected.filter(service__subscriptions__organisation=organisation)
    return {
        "title": window.title,
        "reference": window.reference,
        "organisation": organisation.name,
        "starts_at": iso(window.starts_at),
        "ends_at": iso(window.ends_at),
        "ended_at": iso(window.ended_at),
        "window_status": window.status,
        "services": _felt([window.reference], organisation)
        or [{"name": row.service.name, "impact": row.impact} for row in affected.select_related("service")],
        "promised": [],
    }


def _felt(references: list[str], organisation: Organisation) -> list[dict[str, Any]]:
    """What the organisation felt of each of its services, and when."""
    rows = ServiceImpact.objects.filter(source__in=references, organisation=organisation)
    return [
        {
            "name": row.service.name,
            "impact": row.impact,
            "from": iso(row.from_at),
            "until": iso(row.until_at),
            "is_planned": row.is_planned,
        }
        for row in rows.select_related("service").order_by("service__position", "service__name", "from_at")
    ]


def _named(incidents: Iterable[Incident]) -> list[dict[str, Any]]:
    return [
        {"name": service.name, "impact": incident.impact}
        for incident in incidents
        for service in incident.services.all()
    ]


def promised(incident: Incident) -> list[dict[str, Any]]:
    """Every target of the incident with its verdict; of the many status updates the count of those kept."""
    ledger = replay(incident, incident.computed_at)
    judged = [c for c in ledger.clocks if c.kind != sla.Kind.RCA and (c.met_at or c.breached_at)]
    rows = [_clock_json(clock) for clock in judged if clock.kind != sla.Kind.STATUS_UPDATE]
    updates = [clock for clock in judged if clock.kind == sla.Kind.STATUS_UPDATE]
    if updates:
        kept = sum(clock.breached_at is None for clock in updates)
        rows.append({"what": "status_update", "kept": kept, "total": len(updates)})
    return rows


def _clock_json(clock: sla.Clock) -> dict[str, Any]:
    return {
        "what": str(clock.target.deliverable or clock.kind),
        "level": clock.level,
        "due_at": iso(clock.due_at),
        "met_at": iso(clock.met_at),
        "is_kept": clock.breached_at is None,
    }


# --- what is read ---


@dataclass(frozen=True)
class Slip:
    """A promised date that was moved, and why."""

    due_from: date
    due_on: date
    at: datetime
    reason: str


@dataclass(frozen=True)
class ActionView:
    """A prevention action: its words as published, its state as it is now."""

    number: int
    kind: str
    kind_word: str
    text: str
    owner: str
    due_on: date | None
    first_due_on: date | None
    state: str
    state_word: str
    is_late: bool
    evidence: str = ""
    dropped_because: str = ""
    closed_at: datetime | None = None
    slips: list[Slip] = field(default_factory=list)
    recurrences: list[Incident] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """One version of an RCA as an organisation reads it; `copy` is unsaved in a preview."""

    copy: RCACopy
    organisation: Organisation
    actions: list[ActionView]
    today: date

    @property
    def version(self) -> RCAVersion:
        return self.copy.version

    @property
    def content(self) -> dict[str, Any]:
        return self.copy.content

    @property
    def text(self) -> dict[str, str]:
        return self.content["texts"]

    @property
    def moments(self) -> list[tuple[datetime, str]]:
        return [(moment_of(row["at"]), row["text"]) for row in self.content["moments"]]

    def at(self, name: str) -> datetime | None:
        """A moment of the copy's own facts, such as opened_at."""
        found = self.content.get(name)
        return moment_of(found) if found else None


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def reading(copy: RCACopy, today: date, reader: User | None = None) -> Reading:
    """The copy with its actions as they stand on `today` (the reader's); without a reader as the whole
    organisation, or a preview of its copy, reads it."""
    organisation = copy.organisation
    views = _views(copy.version.rca, organisation, copy.content["actions"], today, reader)
    return Reading(copy, organisation, views, today)


def preview(rca: RCA, organisation: Organisation, *, by: User, now: datetime) -> Reading:
    """What the organisation would read if the working text were published now. Writes nothing."""
    content = content_of(rca)
    latest = rca.versions.order_by("-number").first()
    version = RCAVersion(
        rca=rca,
        number=latest.number + 1 if latest else 1,
        author=rca.author or by,
        reviewer=rca.reviewer or by,
        published_by=by,
        published_at=now,
        content=content,
    )
    cut = copy_of(rca, organisation, content)
    return reading(RCACopy(version=version, organisation=organisation, content=cut), now.date())


def _views(
    rca: RCA, organisation: Organisation, rows: list[dict[str, Any]], today: date, reader: User | None
) -> list[ActionView]:
    live = {action.number: action for action in actions_of(rca)}
    slips, dropped, again = _slips(rca), _dropped(rca), _recurrences(rca, organisation, reader)
    said = [action.evidence for action in live.values()] + list(dropped.values())
    said += [slip.reason for moves in slips.values() for slip in moves]
    redact = redactor_for(rca, organisation, said)
    return [
        ActionView(
            **_state(action, today),
            number=row["number"],
            kind=row["kind"],
            kind_word=str(PreventionAction.Kind(row["kind"]).label),
            text=row["text"],
            evidence=redact(action.evidence),
            dropped_because=redact(dropped.get(action.pk, "")),
            slips=[replace(slip, reason=redact(slip.reason)) for slip in slips.get(action.pk, [])],
            recurrences=again.get(action.pk, []),
        )
        for row in rows
        if (action := live.get(row["number"])) is not None
    ]


def _state(action: PreventionAction, today: date) -> dict[str, Any]:
    return {
        "owner": str(action.owner) if action.owner else "",
        "due_on": action.due_on,
        "first_due_on": action.first_due_on,
        "state": action.state,
        "state_word": str(action.get_state_display()),
        "is_late": bool(action.is_open and action.due_on and action.due_on < today),
        "closed_at": action.closed_at,
    }


def _remarks(rca: RCA) -> dict[int, str]:
    return dict(rca.remarks.exclude(action=None).values_list("pk", "text"))


def _slips(rca: RCA) -> dict[int, list[Slip]]:
    """Every move of each action, oldest first, unredacted."""
    words = _remarks(rca)
    found: dict[int, list[Slip]] = {}
    for event in RCAEvent.objects.filter(rca=rca, kind="action_moved").order_by("pk"):
        facts = event.payload
        slip = Slip(
            date.fromisoformat(facts["due_from"]),
            date.fromisoformat(facts["due_on"]),
            event.at,
            words.get(facts["remark"], ""),
        )
        found.setdefault(facts["action"], []).append(slip)
    return found


def _dropped(rca: RCA) -> dict[int, str]:
    words = _remarks(rca)
    events = RCAEvent.objects.filter(rca=rca, kind="action_dropped").order_by("pk")
    return {event.payload["action"]: words.get(event.payload["remark"], "") for event in events}


def _recurrences(rca: RCA, organisation: Organisation, reader: User | None) -> dict[int, list[Incident]]:
    """Incidents of the organisation itself that an action should have prevented, as far as the reader sees."""
    rows = Recurrence.objects.filter(action__rca=rca, incident__organisation=organisation)
    if reader is not None:
        rows = rows.filter(incident__in=Incident.objects.visible_to(reader))
    found: dict[int, list[Incident]] = {}
    for row in rows.select_related("incident").order_by("pk"):
        found.setdefault(row.action_id, []).append(row.incident)
    return found


# --- which copy ---


def copies_for_incident(incident: Incident, user: User) -> list[RCACopy]:
    """The copies that `user` may read of the RCA of an incident (or of its parent), newest first."""
    subjects = [pk for pk in (incident.pk, incident.parent_id) if pk]
    found = RCACopy.objects.visible_to(user).filter(
        version__rca__incident__in=subjects, organisation=incident.organisation_id
    )
    return _ordered(found)


def copies_for_window(window: MaintenanceWindow, user: User, organisation: str = "") -> list[RCACopy]:
    """The same for a maintenance window; of one organisation, for a reader of several may choose by short name."""
    found = RCACopy.objects.visible_to(user).filter(version__rca__window=window)
    if organisation:
        found = found.filter(organisation__slug=organisation)
    rows = _ordered(found.order_by("organisation__name"))
    return [copy for copy in rows if copy.organisation_id == rows[0].organisation_id]


def prevented_by(incident: Incident, user: User) -> list[PreventionAction]:
    """The actions that should have prevented the incident, of RCAs that `user` may read."""
    rows = PreventionAction.objects.filter(recurrences__incident=incident)
    if user.is_agent:
        rows = rows.filter(rca__in=RCA.objects.visible_to(user))
    else:
        copies = RCACopy.objects.visible_to(user).filter(organisation=incident.organisation_id)
        rows = rows.filter(rca__versions__copies__in=copies)
    return list(rows.select_related("rca__incident", "rca__window").distinct().order_by("pk"))


def _ordered(copies: Any) -> list[RCACopy]:
    related = ("version__rca__incident", "version__rca__window", "version__author", "version__reviewer")
    rows = list(copies.select_related(*related, "organisation", "accepted_by"))
    names = sorted({copy.organisation.name for copy in rows})
    return sorted(
        rows,
        key=lambda copy: (
            names.index(copy.organisation.name),
            -copy.version.published_at.timestamp(),
            -copy.pk,
        ),
    )
