"""What an organisation's webhooks hear of maintenance: public events, in the fields of the API, cut to its own."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from maintenance import window_view
from maintenance.models import MaintenanceWindow, WindowEvent, WindowPost
from maintenance.notify import WEBHOOKS
from maintenance.serializers import WindowRowSerializer
from portal import outbox, webhook_events
from portal.channels.base import Rendered
from portal.models import Organisation, OutboxMessage
from portal.webhook_events import WebhookEvent, as_read_by, event_json, why_not_listening

LABELS = {
    "announced": _("Maintenance is announced"),
    "moved": _("It is moved to another time"),
    "cancelled": _("It is cancelled"),
    "started": _("The work started"),
    "posted": _("A word about the progress"),
    "extended": _("It takes longer"),
    "overran": _("The agreed end passed while the work was not over"),
    "rollback_ordered": _("The work is taken back"),
    "verification_began": _("The work is being verified"),
    "ended": _("The work ended"),
}
EVENTS = [WebhookEvent(name, _("Maintenance"), LABELS[kind]) for kind, name in WEBHOOKS.items()]


def register() -> None:
    """Make the events of maintenance known. For the app's ready()."""
    webhook_events.register(EVENTS, outbox.MessageKind(name="maintenance", render=render, why_not=why_not))


def why_not(message: OutboxMessage) -> str:
    """Why an event may not be sent any more, or ""."""
    reason = why_not_listening(message)
    if reason:
        return reason
    window = MaintenanceWindow.objects.get(pk=message.facts["window"])
    is_involved = window.involved.filter(organisation=message.facts["organisation"]).exists()
    return "" if is_involved else "the window does not concern the organisation any more"


def render(message: OutboxMessage) -> Rendered:
    event = WindowEvent.objects.select_related("by", "window").get(pk=message.facts["event"])
    organisation = Organisation.objects.get(pk=message.facts["organisation"])
    url = f"{settings.SITE_URL}{event.window.get_absolute_url()}"
    with as_read_by(organisation):
        data = {"event": event_json(event), **_of_window(event, organisation), "url": url}
    return webhook_events.rendered(message, event.window.reference, url=url, data=data)


def _of_window(event: WindowEvent, organisation: Organisation) -> dict[str, Any]:
    """The window as the organisation reads it now, and the public word that came with the event."""
    readers = Organisation.objects.filter(pk=organisation.pk)
    windows = MaintenanceWindow.objects.filter(pk=event.window_id)
    window = window_view.rows_for(windows, readers).get()
    post = WindowPost.objects.filter(pk=event.payload.get("post"), window=window, is_public=True)
    said = post.select_related("author").first()
    shown = dict(WindowRowSerializer(window).data)
    return {
        "window": shown
        | {"organisation": organisation.slug, "url": f"{settings.SITE_URL}{window.get_absolute_url()}"},
        "message": {"text": said.text, "author": str(said.author)} if said else None,
        "form": window_view.form_of(window, readers, timezone.now()).as_json(),
    }
