"""What became of the messages about something: sent, waiting, failed, not reached, or not needed any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from incidents import present
from incidents.models import Incident
from portal.models import OutboxMessage


@dataclass(frozen=True)
class Delivery:
    """What became of one message."""

    who: str
    channel: Any
    word: str
    look: str
    reason: str
    at: datetime | None


STATES = {
    OutboxMessage.State.QUEUED: "running",
    OutboxMessage.State.CLAIMED: "running",
    OutboxMessage.State.SENT: "met",
    OutboxMessage.State.SET_ASIDE: "breached",
    OutboxMessage.State.DROPPED: "cancelled",
}


def delivery_of(message: OutboxMessage) -> Delivery:
    """A message's fate in words: sent, waiting, failed, not reached, or not needed any more."""
    words = {
        "queued": _("tried again soon") if message.attempts else _("waiting"),
        "claimed": _("being sent"),
        "sent": _("sent"),
        "set_aside": _("failed"),
        "dropped": _("not sent"),
    }
    bounced = message.state == "sent" and message.unreached_at is not None
    return Delivery(
        who=str(message.recipient or message.endpoint),
        channel=present.channel_word(message.channel, message.endpoint),
        word=_("did not arrive") if bounced else words[message.state],
        look="breached" if bounced else STATES[OutboxMessage.State(message.state)],
        reason=message.state_reason,
        at=message.unreached_at if bounced else message.sent_at,
    )


def of_updates(incident: Incident) -> dict[int, list[Delivery]]:
    """The messages of each of the incident's status updates, by the update's id, oldest first; for staff."""
    found: dict[int, list[Delivery]] = {}
    messages = OutboxMessage.objects.filter(subject_key=incident.reference, kind="status_update")
    for message in messages.select_related("recipient", "endpoint").order_by("pk"):
        found.setdefault(message.facts["status_update"], []).append(delivery_of(message))
    return found
