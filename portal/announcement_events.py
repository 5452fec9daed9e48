"""What an organisation's webhooks hear of announcements: that one is published, in the fields of the API."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from portal import announcing, webhook_events
from portal.announcement_api import AnnouncementSerializer
from portal.channels.base import Rendered
from portal.message_kinds import MessageKind
from portal.models import Announcement, Organisation, OutboxMessage
from portal.standard_form import instant
from portal.webhook_events import WebhookEvent, as_read_by, why_not_listening

EVENTS = [WebhookEvent(announcing.PUBLISHED, _("Announcements"), _("An announcement is published"))]


def register() -> None:
    """Make the event known. For the app's ready()."""
    webhook_events.register(EVENTS, MessageKind(name="announcement", render=render, why_not=why_not))


def why_not(message: OutboxMessage) -> str:
    """Why it may not be sent any more, or ""."""
    found = Announcement.objects.filter(pk=message.facts[announcing.KIND]).first()
    reason = why_not_listening(message) or announcing.is_over(found)
    if reason or found is None:
        return reason
    is_addressed = announcing.addressed(found).filter(pk=message.facts["organisation"]).exists()
    return "" if is_addressed else "the organisation is not addressed any more"


def render(message: OutboxMessage) -> Rendered:
    found = Announcement.objects.get(pk=message.facts[announcing.KIND])
    organisation = Organisation.objects.get(pk=message.facts["organisation"])
    url = f"{settings.SITE_URL}{found.get_absolute_url()}"
    with as_read_by(organisation):
        shown: dict[str, Any] = dict(AnnouncementSerializer(found).data)
    data = {
        "event": {
            "id": found.pk,
            "kind": "published",
            "at": instant(found.published_at),
            "by": None,
            "channel": "portal",
        },
        "announcement": shown | {"organisation": organisation.slug, "url": url},
        "url": url,
    }
    return webhook_events.rendered(message, found.title, url=url, data=data)
