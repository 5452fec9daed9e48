"""The events that an organisation's webhooks may hear of, and who listens to each.

A room makes its events known with `register`, and says in its `notify` that one has happened with
`publish`. An event's name is the type of its webhook and the name of its kind of message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import outbox
from portal.channels.base import WEBHOOK
from portal.models import Endpoint, Organisation

ALL = "*"


@dataclass(frozen=True)
class WebhookEvent:
    """`name` such as `incident.opened`; `label` and `group` are words for people, marked for translation."""

    name: str
    group: Any
    label: Any


EVENTS: dict[str, WebhookEvent] = {}


def register(events: Iterable[WebhookEvent], kind: outbox.MessageKind) -> None:
    """Make events known, all of them rendered and re-checked by `kind`'s functions. For an app's ready()."""
    for event in events:
        EVENTS[event.name] = event
        outbox.register(outbox.MessageKind(name=event.name, render=kind.render, why_not=kind.why_not))


def listeners(organisation: Organisation, name: str) -> list[Endpoint]:
    """The organisation's active webhooks that hear of an event."""
    active = Endpoint.objects.filter(is_active=True, use=Endpoint.Use.WEBHOOKS, organisation=organisation)
    return [endpoint for endpoint in active.order_by("pk") if hears(endpoint, name)]


def hears(endpoint: Endpoint, name: str) -> bool:
    return ALL in endpoint.events or name in endpoint.events


def publish(
    organisation: Organisation,
    name: str,
    *,
    now: datetime,
    key: str,
    facts: dict[str, Any],
    subject_key: str = "",
) -> None:
    """Queue an event for each webhook that hears of it. `key` names the event once and for all.

    KeyError for an event that nobody has registered.
    """
    event = EVENTS[name]
    for endpoint in listeners(organisation, event.name):
        outbox.enqueue(
            event.name,
            None,
            now=now,
            dedupe_key=f"{event.name}:{key}:endpoint-{endpoint.pk}",
            facts=facts,
            subject_key=subject_key,
            channel=WEBHOOK,
            endpoint=endpoint,
        )
