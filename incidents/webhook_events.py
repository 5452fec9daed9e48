"""What an organisation's webhooks hear of its incidents, in the fields of the API.

Every public kind of event is known by a name such as `incident.opened`; internal ones have none. `notify`
publishes them; here is how they are named, re-checked and rendered when they are sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incidents.mail_contexts import is_public_still
from incidents.models import (
    ActionPlan,
    Contest,
    Incident,
    IncidentEvent,
    LevelValidation,
    Message,
    Release,
    StatusUpdate,
)
from incidents.notify import webhook_name
from incidents.present import clocks_json
from incidents.serializers import (
    ActionPlanSerializer,
    ClockSerializer,
    IncidentRowSerializer,
    ReleaseSerializer,
)
from incidents.standard import update_form
from portal import outbox, webhook_events
from portal.channels.base import Rendered
from portal.models import OutboxMessage
from portal.webhook_events import WebhookEvent, as_read_by, event_json, why_not_listening

GROUPS = {
    _("Reporting and level"): {
        "opened": _("An incident is reported"),
        "reopened": _("It is reported again"),
        "acknowledged": _("Support has taken it up"),
        "assigned": _("It has another owner"),
        "level_validated": _("Support gave its verdict on the level"),
        "lowering_contested": _("You contested a lower level"),
        "contest_decided": _("The contest is decided"),
        "alarm_joined": _("Another alarm belongs to it"),
        "alarm_resolved": _("An alarm's source says that it is over"),
        "alarm_fired_again": _("An alarm fired again"),
    },
    _("Words"): {
        "staff_replied": _("Support answered"),
        "customer_replied": _("You wrote"),
        "question_asked": _("Support asked you a question"),
        "files_attached": _("Files were attached"),
        "status_update_published": _("A status update is published"),
    },
    _("Work and solution"): {
        "intervention_started": _("An engineer has started the intervention"),
        "action_plan_filed": _("An action plan is there"),
        "release_planned": _("A release is planned"),
        "release_moved": _("A release is moved"),
        "release_shipped": _("A release is out"),
        "release_withdrawn": _("A release is withdrawn"),
        "solution_documented": _("A solution is documented"),
        "restored": _("The service is restored"),
        "resolved": _("It is resolved"),
        "confirmed": _("You confirmed the solution"),
        "closing_reminded": _("It will be closed unless you answer"),
        "closed": _("It is closed"),
        "withdrawn": _("You withdrew it"),
        "marked_duplicate": _("It is a duplicate of another one"),
    },
    _("Promise and escalation"): {
        "lateness_told": _("Something promised is late"),
        "declared_major": _("It is a major incident"),
        "promise_changed": _("What is promised has changed"),
        "rca_requested": _("You asked for an RCA"),
        "customer_escalated": _("You escalated it"),
        "escalation_raised": _("Your escalation went to the head of support"),
        "escalation_answered": _("A duty manager answered your escalation"),
    },
    _("People"): {
        "watcher_added": _("Somebody of your organisation watches it"),
        "watcher_removed": _("Somebody does not watch it any more"),
        "reporter_changed": _("It has another reporter"),
        "team_changed": _("It belongs to another team of yours"),
    },
    _("Live bridge"): {
        "bridge_opened": _("A bridge is open"),
        "bridge_role_given": _("Somebody has taken a part on the bridge"),
        "bridge_noted": _("A note on the bridge"),
        "bridge_decided": _("A decision on the bridge"),
        "bridge_step_agreed": _("A next step was agreed on the bridge"),
        "bridge_step_done": _("A next step of the bridge is done"),
        "bridge_closed": _("The bridge is closed"),
    },
}
EVENTS = [
    WebhookEvent(webhook_name(kind), group, label)
    for group, labels in GROUPS.items()
    for kind, label in labels.items()
]


def register() -> None:
    """Make the events of incidents known. For the app's ready()."""
    kind = outbox.MessageKind(name="incident", render=render, why_not=why_not)
    webhook_events.register(EVENTS, kind)


# --- at send time ---


def _event(message: OutboxMessage) -> IncidentEvent:
    rows = IncidentEvent.objects.select_related(
        "by", "incident__organisation", "incident__reporter", "incident__assignee", "incident__window"
    )
    return rows.get(pk=message.facts["event"])


def why_not(message: OutboxMessage) -> str:
    """Why an event may not be sent any more, or ""."""
    event = _event(message)
    reason = why_not_listening(message)
    if reason:
        return reason
    if event.incident.organisation_id != message.facts["organisation"]:
        return "the incident is another organisation's"
    is_readable = event.is_public and is_public_still(event)
    return "" if is_readable else "its text has been made internal"


def render(message: OutboxMessage) -> Rendered:
    event = _event(message)
    incident = event.incident
    url = f"{settings.SITE_URL}{incident.get_absolute_url()}"
    with as_read_by(incident.organisation):
        data = {
            "event": event_json(event),
            "incident": incident_json(incident, timezone.now()) | {"url": url},
            **said(event),
            "url": url,
        }
    return webhook_events.rendered(message, incident.reference, url=url, data=data)


def incident_json(incident: Incident, now: datetime) -> dict[str, Any]:
    """The incident as the API gives it at `now`; of its clocks without the receipts, which may be long."""
    clocks = ClockSerializer(clocks_json(incident, now), many=True).data
    return dict(IncidentRowSerializer(incident).data) | {
        "clocks": [{name: row[name] for name in row if name != "receipts"} for row in clocks]
    }


def said(event: IncidentEvent) -> dict[str, Any]:
    """What the event brought: words, an update in the standard format, a plan of action, a release."""
    facts, incident = event.payload, event.incident
    found: dict[str, Any] = {"message": _words(event), "form": None}
    update = StatusUpdate.objects.filter(
        pk=facts.get("status_update"), incident=incident, state=StatusUpdate.State.PUBLISHED
    ).first()
    if update is not None:
        found["form"] = update_form(update).as_json()
    plan = ActionPlan.objects.filter(pk=facts.get("action_plan"), incident=incident).first()
    if plan is not None:
        found["action_plan"] = dict(ActionPlanSerializer(plan).data)
    release = Release.objects.filter(pk=facts.get("release"), incident=incident).first()
    if release is not None:
        found["release"] = dict(ReleaseSerializer(release).data)
    return found


def _words(event: IncidentEvent) -> dict[str, str] | None:
    """The public text of the event, with who wrote it; None where nobody wrote any."""
    facts = event.payload
    message = Message.objects.filter(pk=facts.get("message"), incident=event.incident, is_public=True)
    for row in message.select_related("author"):
        return {"text": row.text, "author": str(row.author)}
    reason = ""
    if event.kind == "level_validated":
        reason = LevelValidation.objects.get(pk=facts["validation"]).reason
    elif event.kind == "lowering_contested":
        reason = Contest.objects.get(pk=facts["contest"]).reason
    elif event.kind == "contest_decided":
        reason = Contest.objects.get(pk=facts["contest"]).decision_reason
    return {"text": reason, "author": str(event.by or "")} if reason else None
