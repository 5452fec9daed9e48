"""What stands beside an incident: its services and what was felt of them, watchers, and messages that went out."""

from __future__ import annotations

import json
from datetime import timedelta

from incidents.bulk.setting import Event
from incidents.bulk.story import Story
from incidents.models import Incident, Watcher
from portal.models import OutboxMessage, ServiceImpact

A_YEAR = timedelta(days=365)
MAILS = {  # event -> kind of mail, as the standard plan tells the reporter
    "opened": "incident_opened",
    "staff_replied": "answered",
    "status_update_published": "status_update",
    "resolved": "resolved",
    "solution_documented": "solution_documented",
    "closed": "closed",
}


def write_beside(story: Story) -> None:
    _services(story)
    if story.random.random() < 0.04:
        _watcher(story)
    if story.channel != "alarm" and story.row["opened_at"] > story.setting.now - A_YEAR:
        _mails(story)


def _services(story: Story) -> None:
    link = Incident.services.through
    count = 1 if story.random.random() < 0.85 else 2
    ended = story.row.get("restored_at") or story.row.get("closed_at")
    for service in story.random.sample(story.customer.services, count):
        story.rows.add(link, id=story.ids.next(link), incident_id=story.pk, service_id=service)
        story.rows.add(
            ServiceImpact,
            id=story.ids.next(ServiceImpact),
            service_id=service,
            organisation_id=story.customer.pk,
            impact=story.row["impact"],
            from_at=story.row["opened_at"],
            until_at=ended,
            source=story.reference,
            level=story.level,
        )


def _watcher(story: Story) -> None:
    person = story.random.choice(story.customer.readers)
    values = {"incident_id": story.pk, "person_id": person, "added_by_id": story.writer}
    story.rows.add(Watcher, id=story.ids.next(Watcher), added_at=story.row["opened_at"], **values)


def _mails(story: Story) -> None:
    """Of the last year: what the reporter was told, sent; a few set aside. Nothing waits to be sent."""
    for event in story.events:
        if event.kind in MAILS:
            is_lost = story.random.random() < 0.002
            _mail(story, MAILS[event.kind], event, is_lost=is_lost)


def _mail(story: Story, kind: str, event: Event, *, is_lost: bool) -> None:
    pk, at = story.ids.next(OutboxMessage), event.recorded_at
    sent = at + timedelta(seconds=story.random.randrange(1, 40))
    values = {"state": "set_aside", "unreached_at": sent, "is_unreached_handled": True} if is_lost else {}
    story.rows.add(
        OutboxMessage,
        id=pk,
        kind=kind,
        recipient_id=story.writer,
        subject_key=story.reference,
        facts=json.dumps({"incident": story.pk, "event": event.pk, **event.payload}),
        dedupe_key=f"{event.pk}:{kind}:{story.writer}",
        created_at=at,
        next_attempt_at=at,
        attempts=1,
        message_id=f"<history.{pk}@vendor.example>",
        address="history@vendor.example",
        subject=f"[{story.reference}] {kind}",
        text="The text of a mail that went out.",
        **({"state": "sent", "sent_at": sent} | values),
    )
