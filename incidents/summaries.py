"""The daily summary of open incidents that a person can subscribe to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F

from incidents.models import Incident
from portal import outbox
from portal.channels.base import Rendered
from portal.mails import render_mail, zone_of
from portal.models import Organisation, OutboxMessage, User

MAIL = "daily_summary"
LENGTH = 100


def open_incidents(person: User) -> Any:
    """What is open for the person, what is due first on top."""
    found = Incident.objects.visible_to(person).unresolved().select_related("organisation", "assignee")
    return found.order_by(F("next_due_at").asc(nulls_last=True), "pk")


def home_of(person: User) -> Organisation | None:
    return None if person.is_agent else Organisation.objects.visible_to(person).first()


def send_daily_summaries(now: datetime) -> int:
    """Queue today's summary for everybody whose hour has come; once a local day, nothing when nothing is open."""
    count = 0
    for person in User.objects.filter(is_active=True, has_daily_summary=True):
        local = now.astimezone(zone_of(person, home_of(person)))
        if local.hour < person.daily_summary_hour or not open_incidents(person).exists():
            continue
        count += outbox.enqueue(
            MAIL,
            person,
            now=now,
            dedupe_key=f"{MAIL}:{person.pk}:{local:%Y-%m-%d}",
            collapse_key=f"{MAIL}:{person.pk}",
            priority=OutboxMessage.Priority.LOW,
        )
    return count


def render(message: OutboxMessage) -> Rendered:
    person = message.recipient
    incidents = list(open_incidents(person)[:LENGTH])
    context = {"incidents": incidents, "count": open_incidents(person).count()}
    return render_mail(MAIL, context, recipient=person, organisation=home_of(person))


def why_not(message: OutboxMessage) -> str:
    if not message.recipient.has_daily_summary:
        return "the person does not want the summary any more"
    return "" if open_incidents(message.recipient).exists() else "nothing is open any more"


def register() -> None:
    outbox.register(outbox.MessageKind(name=MAIL, render=render, why_not=why_not))
