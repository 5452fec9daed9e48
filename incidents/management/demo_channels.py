"""The demo's dedicated channel and webhooks: examples without live addresses, and therefore switched off."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portal import endpoint_verbs
from portal.models import Organisation, User
from portal.webhook_events import ALL, EVENTS

WANTED = [
    *["incident.opened", "incident.status_update_published", "incident.question_asked"],
    *["incident.resolved", "incident.closed", "incident.bridge_opened"],
]


def load_channels(organisation: Organisation, manager: User, now: datetime) -> None:
    """A Slack channel and webhooks of an organisation whose plan has a dedicated channel."""
    about: dict[str, Any] = {"by": manager, "now": now}
    room = endpoint_verbs.create(
        organisation,
        use="channel",
        service="slack",
        name="#briqmind-support (an example: give it your address, then switch it on)",
        url="https://slack.briqmind.example/services/example",
        hears_announcements=False,
        **about,
    )
    tickets = endpoint_verbs.create(
        organisation,
        use="webhooks",
        service="webhook",
        name="Ticket system (an example: give it your address, then switch it on)",
        url="https://tickets.acme.example/hooks/support",
        events=[name for name in WANTED if name in EVENTS] or [ALL],
        **about,
    )
    for each in (room, tickets):
        endpoint_verbs.switch_off(each, **about)
