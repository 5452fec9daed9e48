"""What the timeline knows already, as the first draft of an RCA: moments, impact, detection, promises, cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from incidents.models import RCA, Bridge, BridgeStep, Incident, IncidentEvent, Message, StatusUpdate
from incidents.present import duration_text
from incidents.rca_reading import moment_of, promised
from incidents.standard_rca import promise_label
from maintenance.models import MaintenanceWindow
from portal.models import Service, ServiceImpact, User
from portal.models.service_impact import Impact

WORST = [Impact.NONE, Impact.REDUCED_REDUNDANCY, Impact.DEGRADED, Impact.OUTAGE]
MOMENT_LENGTH = 500


@dataclass(frozen=True)
class Moment:
    at: datetime
    text: str
    event: int | None = None


@dataclass(frozen=True)
class Draft:
    """The texts by their names, and the moments."""

    texts: dict[str, str]
    moments: list[Moment] = field(default_factory=list)


def draft_of(rca: RCA, now: datetime) -> Draft:
    """The first draft, worded in the active language. It names no clock times: each reader has a zone of their own."""
    if rca.window is not None:
        return _of_window(rca.window)
    assert rca.incident is not None
    return _of_incident(rca.incident, now)


# --- an incident ---


def _of_incident(incident: Incident, now: datetime) -> Draft:
    kept = [] if incident.children.exists() else promised(incident)
    resolved = _resolved(incident)
    texts = {
        "summary": _summary(incident, resolved),
        "impact": _impact([incident.reference, *(child.reference for child in incident.children.all())]),
        "detection": _detection(incident),
        "root_cause": resolved.cause,
        "went_well": _bullets(kept, is_kept=True),
        "went_badly": _bullets(kept, is_kept=False),
    }
    texts["impact"] = "\n".join(filter(None, [texts["impact"], _levels(incident, now)]))
    return Draft(texts, moments_of(incident))


def _resolved(incident: Incident) -> Incident:
    """The incident that says cause and remedy: itself, or one of those under it."""
    if incident.cause:
        return incident
    return incident.children.exclude(cause="").order_by("pk").first() or incident


def _summary(incident: Incident, resolved: Incident) -> str:
    done = _("What was done: %(remedy)s") % {"remedy": resolved.remedy} if resolved.remedy else ""
    return "\n\n".join(filter(None, [incident.title, done, *map(_came_to, _closed_bridges(incident))]))


def _closed_bridges(incident: Incident) -> QuerySet[Bridge]:
    """Of this very incident: what one organisation said on its own bridge is not for those beside it."""
    closed = Bridge.objects.filter(incident=incident, closed_at__isnull=False)
    return closed.select_related("summary").order_by("pk")


def _came_to(bridge: Bridge) -> str:
    """The summary that somebody wrote, and what was agreed and is not done: for the author to make use of."""
    written = bridge.summary.text if bridge.summary and bridge.summary.is_public else ""
    open_steps = bridge.steps.filter(done_at=None).select_related("owner")
    left = [f"- {step.text} ({step.owner})" for step in open_steps if step.text not in written]
    parts = []
    if written:
        parts.append(_("From the live bridge:") + "\n\n" + written)
    if left:
        parts.append("\n".join([_("Agreed on the live bridge, and not done there:"), *left]))
    return "\n\n".join(parts)


def _impact(references: Iterable[str]) -> str:
    """One line a service: the worst that was felt, and how long; each copy has the times of its own."""
    rows = ServiceImpact.objects.filter(source__in=list(references)).select_related("service")
    by_service: dict[Service, list[ServiceImpact]] = {}
    for row in rows.order_by("service__position", "service__name", "from_at", "pk"):
        by_service.setdefault(row.service, []).append(row)
    return "\n".join(f"- {_felt(service, found)}" for service, found in by_service.items())


def _felt(service: Service, rows: list[ServiceImpact]) -> str:
    worst = max((Impact(row.impact) for row in rows), key=WORST.index)
    felt = {"service": service.name, "impact": worst.label}
    ends = [row.until_at for row in rows if row.until_at]
    if len(ends) < len(rows):
        return _("%(service)s: %(impact)s, not over yet") % felt
    seconds = (max(ends) - min(row.from_at for row in rows)).total_seconds()
    return _("%(service)s: %(impact)s for %(length)s") % (felt | {"length": duration_text(int(seconds))})


def _levels(incident: Incident, now: datetime) -> str:
    """How long the incident stood at each level: “P1 for 2 h 40 min”."""
    changes = incident.events.filter(kind__in=["opened", "level_validated", "contest_decided"]).order_by("pk")
    steps = [(e.at, e.payload.get("level_to") or e.payload.get("level")) for e in changes]
    end = incident.resolved_at or now
    spans: dict[str, int] = {}
    for (at, level), (until, _level) in zip(steps, [*steps[1:], (end, "")], strict=True):
        spans[level] = spans.get(level, 0) + int((until - at).total_seconds())
    said = [
        _("%(level)s for %(length)s") % {"level": level, "length": duration_text(seconds)}
        for level, seconds in spans.items()
        if seconds > 0
    ]
    return f"- {', '.join(said)}" if said else ""


REPORTED_BY: dict[str, Callable[[], str]] = {
    "alarm": lambda: _("An alarm reported it."),
    "mail": lambda: _("It was reported by e-mail."),
    "api": lambda: _("It was reported by the API."),
    "telephone": lambda: _("It was reported by telephone."),
}


def _detection(incident: Incident) -> str:
    """How it was reported, and how long it took until a person had it."""
    lines = [REPORTED_BY.get(incident.channel, lambda: _("It was reported in the portal."))()]
    taken = incident.acknowledged_at or incident.first_response_at
    if taken and taken >= incident.opened_at:
        delay = duration_text(int((taken - incident.opened_at).total_seconds()))
        lines.append(_("A person took it up after %(delay)s.") % {"delay": delay})
    return " ".join(lines)


def _bullets(rows: list[dict[str, Any]], *, is_kept: bool) -> str:
    """What was promised and kept, or not, one line each; the times stand in the table that every copy has."""
    return "\n".join(f"- {_promise_line(row)}" for row in rows if _is_kept(row) is is_kept)


def _is_kept(row: dict[str, Any]) -> bool:
    return row["kept"] == row["total"] if row["what"] == "status_update" else row["is_kept"]


def _promise_line(row: dict[str, Any]) -> str:
    if row["what"] == "status_update":
        counts = {"kept": row["kept"], "total": row["total"]}
        return _("Status updates: %(kept)s of %(total)s in time") % counts
    what = {"what": f"{promise_label(row['what'])} ({row['level']})"}
    if row["is_kept"]:
        return _("%(what)s: in time") % what
    if row["met_at"] is None:
        return _("%(what)s: missed") % what
    late = moment_of(row["met_at"]) - moment_of(row["due_at"])
    what["late"] = duration_text(int(late.total_seconds()))
    return _("%(what)s: late by %(late)s") % what


# --- moments ---


def _update_words(event: IncidentEvent) -> str:
    update = StatusUpdate.objects.filter(pk=event.payload["status_update"]).first()
    return _("Status update: %(summary)s") % {"summary": first_line(update.summary)} if update else ""


def _engineer_words(event: IncidentEvent) -> str:
    person = User.objects.filter(pk=event.payload["engineer"]).first()
    return _("Intervention by %(name)s started") % {"name": person}


def _level_words(event: IncidentEvent) -> str:
    if event.payload["level_from"] == event.payload["level_to"]:
        return _("Level validated: %(level)s") % {"level": event.payload["level_to"]}
    changed = {"a": event.payload["level_from"], "b": event.payload["level_to"]}
    return _("Level changed from %(a)s to %(b)s") % changed


def _opened_words(event: IncidentEvent) -> str:
    if event.channel == "alarm":
        return _("Alarm received: reported as %(level)s") % {"level": event.payload["level"]}
    return _("Reported as %(level)s") % {"level": event.payload["level"]}


def _bridge_decision_words(event: IncidentEvent) -> str:
    message = Message.objects.filter(pk=event.payload["message"], is_public=True).first()
    return _("Decided on the bridge: %(text)s") % {"text": first_line(message.text)} if message else ""


def _bridge_step_words(event: IncidentEvent) -> str:
    step = BridgeStep.objects.get(pk=event.payload["step"])
    return _("Done, as agreed on the bridge: %(text)s") % {"text": step.text}


WORDS: dict[str, Callable[[IncidentEvent], str]] = {
    "opened": _opened_words,
    "level_validated": _level_words,
    "acknowledged": lambda e: _("Acknowledged"),
    "intervention_started": _engineer_words,
    "action_plan_filed": lambda e: _("Action plan filed"),
    "status_update_published": _update_words,
    "declared_major": lambda e: _("Declared a major incident"),
    "alarm_resolved": lambda e: _("The alarm's source reports that it is over"),
    "release_shipped": lambda e: _("Release shipped"),
    "solution_documented": lambda e: _("Solution documented"),
    "restored": lambda e: _("Service restored"),
    "resolved": lambda e: _("Resolved"),
    "reopened": lambda e: _("Reopened: it failed again"),
    "bridge_opened": lambda e: _("Live bridge opened"),
    "bridge_decided": _bridge_decision_words,
    "bridge_step_done": _bridge_step_words,
    "bridge_closed": lambda e: _("Live bridge closed"),
}


def first_line(text: str) -> str:
    """The first line of a text, cut to what a moment holds."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line[: MOMENT_LENGTH - 60]


def moments_of(incident: Incident) -> list[Moment]:
    """The public events that tell the story, with their times."""
    events = incident.events.filter(is_public=True, kind__in=WORDS).order_by("at", "pk")
    found = [Moment(event.at, WORDS[event.kind](event), event.pk) for event in events]
    return [entry for entry in found if entry.text]


# --- a maintenance window ---


def _of_window(window: MaintenanceWindow) -> Draft:
    texts: dict[str, Any] = {
        "summary": "\n\n".join(filter(None, [window.title, window.outcome])),
        "impact": _impact([window.reference]),
        "detection": _window_detection(window),
        "root_cause": "",
    }
    return Draft(texts, _window_moments(window))


def _window_detection(window: MaintenanceWindow) -> str:
    lines = []
    if window.overrun_at:
        lines.append(_("The work was not over at its agreed end."))
        late = ((window.ended_at or window.overrun_at) - window.overrun_at).total_seconds()
        if late:
            lines.append(_("It ended %(late)s later.") % {"late": duration_text(int(late))})
    if window.rollback_ordered_at:
        lines.append(_("A rollback was ordered."))
    return " ".join(lines)


def _window_moments(window: MaintenanceWindow) -> list[Moment]:
    steps = [
        (window.announced_at, _("Announced")),
        (window.started_at, _("Work started")),
        (window.decided_at, _("Decided: %(what)s") % {"what": window.get_decision_display()}),
        (window.overrun_at, _("Agreed end passed: the work goes on")),
        (window.rollback_ordered_at, _("Rollback ordered")),
        (window.ended_at, window.get_status_display()),
    ]
    found = [Moment(at, str(text)) for at, text in steps if at]
    posts = window.posts.filter(is_public=True).order_by("at", "pk")
    found += [Moment(post.at, first_line(post.text)) for post in posts if first_line(post.text)]
    return sorted(found, key=lambda entry: entry.at)
