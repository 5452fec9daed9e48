"""What the inbox says on a timeline without anybody speaking: a held mail, an automatic one."""

from __future__ import annotations

from datetime import datetime

from incidents.actions.base import acting
from incidents.models import InboundMessage, Incident
from incidents.models.timeline import AutomaticMailReceived, MailHeld


def hold_mail(incident: Incident, *, inbound: InboundMessage, now: datetime) -> Incident:
    """Say on the timeline, to staff only, that a mail waits for their decision."""
    with acting("hold_mail", incident, by=None, now=now, channel="mail") as act:
        act.record(MailHeld(inbound=inbound.pk), at=min(inbound.received_at, act.now))
    return incident


def note_automatic_mail(incident: Incident, *, inbound: InboundMessage, now: datetime) -> Incident:
    """Say, to staff only, that a machine answered. It ends no pause, reopens nothing, and is told to nobody."""
    with acting("note_automatic_mail", incident, by=None, now=now, channel="mail") as act:
        act.record(AutomaticMailReceived(inbound=inbound.pk), at=min(inbound.received_at, act.now))
    return incident
