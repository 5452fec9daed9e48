"""What the inbox says on a timeline without anybody speaking: something is held, or a machine answered."""

from __future__ import annotations

from datetime import datetime

from incidents.actions.base import acting
from incidents.models import Channel, InboundMessage, Incident
from incidents.models.timeline import AutomaticMailReceived, MailHeld


def hold_message(incident: Incident, *, inbound: InboundMessage, now: datetime) -> Incident:
    """Say on the timeline, to staff only, that a mail or a channel's message waits for their decision."""
    channel = Channel.CHAT if inbound.kind == InboundMessage.Kind.CHAT else Channel.MAIL
    with acting("hold_message", incident, by=None, now=now, channel=channel) as act:
        act.record(MailHeld(inbound=inbound.pk), at=min(inbound.received_at, act.now))
    return incident


def note_automatic_mail(incident: Incident, *, inbound: InboundMessage, now: datetime) -> Incident:
    """Say, to staff only, that a machine answered. It ends no pause, reopens nothing, and is told to nobody."""
    with acting("note_automatic_mail", incident, by=None, now=now, channel="mail") as act:
        act.record(AutomaticMailReceived(inbound=inbound.pk), at=min(inbound.received_at, act.now))
    return incident
