"""The kinds of messages: how each is rendered, and what must still hold when one of them is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from portal.channels.base import WEBHOOK, Rendered
from portal.models import Endpoint, OutboxMessage

State = OutboxMessage.State
ENDPOINT_CLOSED = "the endpoint is not active any more"


@dataclass(frozen=True)
class MessageKind:
    """How a kind of message is rendered, and what must still hold when it is sent."""

    name: str
    render: Callable[[OutboxMessage], Rendered]
    why_not: Callable[[OutboxMessage], str]  # "" or the reason why it may not be sent any more


KINDS: dict[str, MessageKind] = {}


def register(kind: MessageKind) -> None:
    """Make a kind of message known. For an app's ready()."""
    KINDS[kind.name] = kind


def why_not(message: OutboxMessage, kind: MessageKind) -> str:
    """Why the message may not be sent any more, or ""."""
    if message.recipient is not None and not message.recipient.is_active:
        return "the recipient is not active any more"
    if message.channel == WEBHOOK and message.endpoint is not None and not is_open(message.endpoint):
        return ENDPOINT_CLOSED
    if message.is_automatic and message.collapse_key and _is_replaced(message):
        return "replaced by a newer message"
    return kind.why_not(message)


def is_open(endpoint: Endpoint) -> bool:
    """Whether webhooks may go there: it is active and not removed, and whoever it belongs to is active."""
    owner = endpoint.person or endpoint.organisation
    is_open = endpoint.is_active and endpoint.removed_at is None
    return is_open and (owner is None or owner.is_active)


def _is_replaced(message: OutboxMessage) -> bool:
    """Whether a newer message to the same end has been sent, or is going to be."""
    newer = OutboxMessage.objects.filter(
        collapse_key=message.collapse_key,
        recipient=message.recipient_id,
        channel=message.channel,
        pk__gt=message.pk,
    )
    if message.channel == WEBHOOK:
        newer = newer.filter(endpoint=message.endpoint_id)
    if newer.filter(state=State.SENT, subject_key=message.subject_key).exists():
        return True
    waiting = newer.filter(state__in=[State.QUEUED, State.CLAIMED]).select_related("recipient")
    return any(_may_go(other) for other in waiting.order_by("-pk"))


def _may_go(message: OutboxMessage) -> bool:
    try:
        return not KINDS[message.kind].why_not(message)
    except Exception:  # what ails the other message is noted when its turn comes
        return False
