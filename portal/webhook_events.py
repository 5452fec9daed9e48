"""The events that an organisation's webhooks may hear of, and who listens to each.

A room makes its events known with `register`, and says in its `notify` that one has happened with
`publish_all`. An event's name is the type of its webhook and the name of its kind of message. A webhook says
what happened, and shows the object as it is when the webhook is sent, in the fields of the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from portal import outbox
from portal.channels.base import WEBHOOK, Rendered
from portal.mails import reading_as
from portal.models import Endpoint, Organisation, OutboxMessage
from portal.standard_form import instant
from portal.timeline import TimelineEvent

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


@dataclass(frozen=True)
class Happened:
    """One thing that happened. `key` names it once and for all; `facts` are what the rendering needs."""

    name: str
    key: str
    facts: dict[str, Any]
    subject_key: str = ""


def listeners(organisation: Organisation, name: str) -> list[Endpoint]:
    """The organisation's active webhooks that hear of an event."""
    return [endpoint for endpoint in active_of([organisation]) if hears(endpoint, name)]


def active_of(organisations: Iterable[Any]) -> list[Endpoint]:
    """The active webhooks of the organisations (or of their ids, or of a query of either)."""
    active = Endpoint.objects.filter(is_active=True, removed_at=None, use=Endpoint.Use.WEBHOOKS)
    return list(active.filter(organisation__in=organisations).order_by("pk"))


def hears(endpoint: Endpoint, name: str) -> bool:
    return ALL in endpoint.events or name in endpoint.events


def publish_all(organisations: Iterable[Any], happened: Iterable[Happened], *, now: datetime) -> None:
    """Queue each event for each webhook of the organisations that hears of it: one query where there is none.

    The facts gain the organisation as which a webhook hears. KeyError for an event that nobody has registered.
    """
    found = [(EVENTS[each.name], each) for each in happened]
    for endpoint in active_of(organisations) if found else ():
        for event, each in found:
            if hears(endpoint, event.name):
                outbox.enqueue(
                    event.name,
                    None,
                    now=now,
                    dedupe_key=f"{event.name}:{each.key}:endpoint-{endpoint.pk}",
                    facts=each.facts | {"organisation": endpoint.organisation_id},
                    subject_key=each.subject_key,
                    channel=WEBHOOK,
                    endpoint=endpoint,
                )


# --- at send time ---


def why_not_listening(message: OutboxMessage) -> str:
    """Why an event may not go to the message's endpoint any more, whatever it is about, or ""."""
    endpoint = message.endpoint
    if endpoint is None or endpoint.organisation_id != message.facts["organisation"]:
        return "the endpoint does not belong to the organisation any more"
    if endpoint.use != Endpoint.Use.WEBHOOKS:
        return "the endpoint is no webhook any more"
    return "" if hears(endpoint, message.kind) else "the endpoint does not hear of this event any more"


@contextmanager
def as_read_by(organisation: Organisation) -> Iterator[None]:
    """What is worded inside is in the organisation's language, with every time in UTC."""
    with reading_as(None, organisation), timezone.override(UTC):
        yield


def rendered(message: OutboxMessage, about: str, *, url: str, data: dict[str, Any]) -> Rendered:
    """The webhook: its data, and for the log a line such as “INC-1042 incident.opened”."""
    subject = f"{about} {message.kind}"
    return Rendered(subject=subject, text=subject, html="", url=url, data=data)


def event_json(event: TimelineEvent) -> dict[str, Any]:
    """What happened, when, and who did it through which door; `by` is null for the clockwork."""
    by = event.by
    return {
        "id": event.pk,
        "kind": event.kind,
        "at": instant(event.at),
        "by": {"name": str(by), "side": "staff" if by.is_staff else "customer"} if by else None,
        "channel": event.channel,
    }
