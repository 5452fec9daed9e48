"""The mail that a verb would send, made by the verb itself and rolled back: it writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from incidents import notify
from incidents.hearing import whom
from incidents.models import Incident
from portal.channels.base import Rendered
from portal.models import OutboxMessage, User
from portal.webhook_events import EVENTS


@dataclass(frozen=True)
class Preview:
    """Who among the customers would hear, and what the first of them would read."""

    recipients: list[str]
    mail: Rendered | None


def preview(
    verb: Callable[..., Any], incident: Incident, *, by: User, now: datetime, channel: str, **inputs: Any
) -> Preview:
    """Use the verb in a transaction that is rolled back. Raises Refused as the verb would."""
    twin = Incident.objects.get(pk=incident.pk)
    with transaction.atomic():
        last = OutboxMessage.objects.aggregate(last=Max("pk"))["last"] or 0
        verb(twin, by=by, now=now, channel=channel, **inputs)
        queued = OutboxMessage.objects.filter(pk__gt=last, subject_key=incident.reference)
        rows = queued.select_related("recipient", "endpoint__organisation").order_by("pk")
        to_customers = [row for row in rows if not row.kind.startswith("staff_") and row.kind not in EVENTS]
        mail = notify.render(to_customers[0]) if to_customers else None
        names = sorted({whom(message) for message in to_customers})
        transaction.set_rollback(True)
    return Preview(names, mail)
