"""How an endpoint and its log are put into words: whether it works, what it hears, what became of each message."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from portal.channels.base import WEBHOOK
from portal.message_kinds import KINDS
from portal.models import DeliveryAttempt, Endpoint, OutboxMessage
from portal.webhook_events import ALL, EVENTS, WebhookEvent

logger = logging.getLogger(__name__)

Outcome = OutboxMessage.State
FAILED = Q(state=Outcome.SET_ASIDE) | Q(state__in=[Outcome.QUEUED, Outcome.CLAIMED], attempts__gt=0)
REFERENCES = {"INC": "incidents:detail", "MW": "maintenance:detail"}
PAGE = 25


@dataclass(frozen=True)
class State:
    """Whether an endpoint works: a word, its look, since when, and the reason if there is one."""

    name: str
    label: Any
    look: str
    icon: str
    since: datetime | None = None
    reason: str = ""


def state_of(endpoint: Endpoint) -> State:
    if endpoint.removed_at:
        return State("removed", _("Removed"), "cancelled", "cancelled", endpoint.removed_at)
    if endpoint.disabled_at and not endpoint.is_active:
        since, reason = endpoint.disabled_at, endpoint.disabled_reason
        return State("disabled", _("Switched off by itself"), "breached", "breached", since, reason)
    if not endpoint.is_active:
        return State("off", _("Switched off"), "paused", "paused")
    if endpoint.failing_since:
        return State("failing", _("Failing"), "warned", "warned", endpoint.failing_since)
    if endpoint.last_success_at:
        return State("works", _("Works"), "met", "met", endpoint.last_success_at)
    return State("new", _("Nothing sent yet"), "paused", "running")


def hears_in_words(endpoint: Endpoint) -> list[str]:
    """What goes there, a phrase each."""
    if endpoint.use == Endpoint.Use.CHANNEL:
        found = [_("Incidents, as your communication plan says")]
        found += [_("Maintenance")] if endpoint.hears_maintenance else []
        return found + ([_("Announcements")] if endpoint.hears_announcements else [])
    if ALL in endpoint.events:
        return [_("Everything, also what is added later")]
    return [str(EVENTS[name].label) if name in EVENTS else name for name in endpoint.events]


def grouped_events() -> list[tuple[Any, list[WebhookEvent]]]:
    """All events by their group, both in the order in which they were made known."""
    groups: dict[Any, list[WebhookEvent]] = {}
    for event in EVENTS.values():
        groups.setdefault(event.group, []).append(event)
    return list(groups.items())


def inbound_address(endpoint: Endpoint) -> str:
    """Where Slack or Mattermost hands in what people write in the channel; "" for what does not answer."""
    if endpoint.use != Endpoint.Use.CHANNEL or endpoint.service not in ("slack", "mattermost"):
        return ""
    return f"{settings.SITE_URL}/api/v1/channels/{endpoint.service}/{endpoint.key}/"


# --- the log ---


@dataclass(frozen=True)
class Entry:
    """One message of the log, in words."""

    message: OutboxMessage
    title: str
    link: str
    state: State
    attempts: list[DeliveryAttempt]

    @property
    def may_go_again(self) -> bool:
        """Whether it has ended, or waits for another try: whoever repaired their receiver need not wait."""
        waits = self.message.state == Outcome.QUEUED and self.message.attempts > 0
        return waits or self.message.state not in (Outcome.QUEUED, Outcome.CLAIMED)


def log_of(endpoint: Endpoint) -> QuerySet[OutboxMessage]:
    """What went to the endpoint, newest first. Mails that would fall back to it are none of its log."""
    found = OutboxMessage.objects.filter(endpoint=endpoint, channel=WEBHOOK)
    return found.order_by("-pk").prefetch_related("deliveries")


def entries(messages: Iterable[OutboxMessage]) -> Iterator[Entry]:
    for message in messages:
        yield entry(message)


def entry(message: OutboxMessage) -> Entry:
    attempts = list(message.deliveries.all())
    return Entry(message, title_of(message), link_to(message.subject_key), outcome(message), attempts)


def title_of(message: OutboxMessage) -> str:
    """The event in words; of a message to people what it said above, else what kind it is."""
    if message.kind == "endpoint_test":
        return _("Test")
    if message.kind in EVENTS:
        return str(EVENTS[message.kind].label)
    return message.subject or message.kind.replace("_", " ").capitalize()


def link_to(subject_key: str) -> str:
    """The page of what a message is about, or ""."""
    found = re.fullmatch(r"(INC|MW)-[1-9][0-9]{0,17}", subject_key)
    return reverse(REFERENCES[found[1]], args=[subject_key]) if found else ""


def outcome(message: OutboxMessage) -> State:
    """What became of a message; `since` is when it arrived, failed for good, or is tried again."""
    if message.state == Outcome.SENT:
        return State("sent", _("Accepted"), "met", "met", message.sent_at)
    if message.state == Outcome.SET_ASIDE:
        return State("failed", _("Not accepted"), "breached", "breached", message.unreached_at)
    if message.state == Outcome.DROPPED:
        return State("dropped", _("Not sent"), "cancelled", "cancelled", None, message.state_reason)
    if message.state == Outcome.CLAIMED:
        return State("claimed", _("Being sent"), "paused", "running")
    if message.attempts:
        return State("retried", _("Failed so far"), "warned", "warned", message.next_attempt_at)
    return State("queued", _("Waiting"), "paused", "running", message.next_attempt_at)


def why_hidden(message: OutboxMessage) -> str:
    """Why the text that was sent is not shown any more, or "": it may have been made internal since."""
    if message.state != Outcome.SENT or message.kind not in KINDS:
        return ""
    try:
        return KINDS[message.kind].why_not(message)
    except Exception:  # what it was about is gone, and whether it may be read with it
        logger.exception("outbox message %s is not shown", message.pk)
        return _("what it was about is not there any more")
