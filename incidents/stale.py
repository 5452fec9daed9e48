"""What is not true any more when a message about an incident is to be sent: then it is not sent."""

from __future__ import annotations

from django.db.models import QuerySet

from incidents.models import (
    Bridge,
    BridgeStep,
    Clock,
    CustomerEscalation,
    InboundMessage,
    Incident,
    IncidentEvent,
)

UNANSWERED = ("staff_customer_escalated", "staff_escalation_raised", "escalation_raised")


def reason(mail: str, incident: Incident, event: IncidentEvent) -> str:
    """Why a message that says how things stand is overtaken by now, or ""."""
    if mail == "staff_clock_warned" and not _is_running(incident, event):
        return "the clock does not run any more"
    if mail == "staff_mail_held" and not _is_held(event.payload["inbound"]):
        return "somebody has decided on the mail meanwhile"
    if mail == "promise_late" and not _is_late_still(incident, event):
        return "what was late has been delivered meanwhile"
    if mail in UNANSWERED and not _is_unanswered(event.payload["escalation"]):
        return "the escalation has been answered meanwhile"
    if mail.endswith("bridge_opened") and not _is_open(event.payload["bridge"]):
        return "the bridge is closed meanwhile"
    if mail.endswith("bridge_step_given") and not _is_to_be_done(event.payload["step"]):
        return "the step is done meanwhile"
    return ""


def _is_unanswered(escalation: int) -> bool:
    return CustomerEscalation.objects.unanswered().filter(pk=escalation).exists()


def _is_open(bridge: int) -> bool:
    return Bridge.objects.open().filter(pk=bridge).exists()


def _is_to_be_done(step: int) -> bool:
    return BridgeStep.objects.filter(pk=step, done_at=None).exists()


def _is_held(inbound: int) -> bool:
    return InboundMessage.objects.filter(pk=inbound, state=InboundMessage.State.HELD).exists()


def _rows(incident: Incident, name: str) -> QuerySet[Clock]:
    kind, cycle, level, ordinal = name.split("/")
    return Clock.objects.filter(incident=incident, kind=kind, cycle=cycle, level=level, ordinal=ordinal)


def _is_running(incident: Incident, event: IncidentEvent) -> bool:
    return _rows(incident, event.payload["clock"]).filter(state="running").exists()


def _is_late_still(incident: Incident, event: IncidentEvent) -> bool:
    """Whether one of the clocks is owed still; a missed update is, until the next one is published."""
    names = event.payload["clocks"]
    if any(_rows(incident, name).filter(ended_at=None).exists() for name in names):
        return True
    is_update = any(name.startswith("status_update/") for name in names)
    has_word = incident.status_updates.filter(state="published", published_at__gte=event.at).exists()
    return is_update and incident.is_unresolved and not has_word
