"""The daily summary of open incidents that a person can subscribe to."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db.models import F

from incidents.models import Incident
from portal import outbox
from portal.channels.base import Rendered
from portal.mails import render_mail, zone_of
from portal.models import Organisation, OutboxMessage, User

logger = logging.getLogger(__name__)

MAIL = "daily_summary"
LENGTH = 100


def open_incidents(person: User) -> Any:
    """What is open for the person, what is due first on top."""
    found = Incident.objects.visible_to(person).unresolved().select_related("organisation", "assignee")
    return found.order_by(F("next_due_at").asc(nulls_last=True), "pk")


def home_of(person: User) -> Organisation | None:
    """Whose language and zone the person reads in without a choice of their own: as on the pages."""
    if person.is_agent:
        return None
    return Organisation.objects.visible_to(person).order_by("memberships__pk").first()


def send_daily_summaries(now: datetime) -> int:
    """Queue today's summary for everybody whose hour has come; once a local day, nothing when nothing is open."""
    count = 0
    for person in User.objects.filter(is_active=True, has_daily_summary=True):
        try:
            count += send_daily_summary(person, now)
        except Exception:  # one person's trouble (a zone that is no more, say) is not the others'
            logger.exception("the daily summary for person %s failed", person.pk)
    return count


def send_daily_summary(person: User, now: datetime) -> bool:
    """Queue the person's summary of their local day; False before their hour, and when it is queued already."""
    local = now.astimezone(zone_of(person, home_of(person)))
    if local.hour < person.daily_summary_hour or not open_incidents(person).exists():
        return False
    return outbox.enqueue(
        MAIL,
        person,
        now=now,
        dedupe_key=f"{MAIL}:{person.pk}:{local:%Y-%m-%d}",
        collapse_key=f"{MAIL}:{person.pk}",
        priority=OutboxMessage.Priority.LOW,
    )


def render(message: OutboxMessage) -> Rendered:
    """What is open when the mail goes out, not when it was queued."""
    person = message.person
    incidents = list(open_incidents(person)[:LENGTH])
    context = {"incidents": incidents, "count": open_incidents(person).count()}
    return render_mail(MAIL, context, recipient=person, organisation=home_of(person))


def why_not(message: OutboxMessage) -> str:
    """Why the summary may not be sent any more, or ""."""
    if not message.person.has_daily_summary:
        return "the person does not want the summary any more"
    return "" if open_incidents(message.person).exists() else "nothing is open any more"


def register() -> None:
    """Make the summary known to the outbox."""
    outbox.register(outbox.MessageKind(name=MAIL, render=render, why_not=why_not))
