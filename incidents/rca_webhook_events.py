"""What an organisation's webhooks hear of an RCA: its own copy, redacted for it, and what becomes of the actions."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incidents.models import RCA, RCAEvent
from incidents.rca_notify import WEBHOOKS, about, copy_for, with_copies
from incidents.rca_reading import Reading, reading
from incidents.rca_serializers import ActionSerializer, VersionSerializer
from incidents.standard_rca import rca_form, url_of
from portal import outbox, webhook_events
from portal.channels.base import Rendered
from portal.models import Organisation, OutboxMessage
from portal.webhook_events import WebhookEvent, as_read_by, event_json, why_not_listening

LABELS = {
    "rca_published": _("A version of an RCA is published"),
    "action_started": _("A prevention action has been started"),
    "action_moved": _("A prevention action has another date"),
    "action_handed_over": _("A prevention action has another owner"),
    "action_closed": _("A prevention action is done"),
    "action_dropped": _("A prevention action is dropped"),
}
EVENTS = [WebhookEvent(name, _("RCA"), LABELS[kind]) for kind, name in WEBHOOKS.items()]


def register() -> None:
    """Make the events of RCAs known. For the app's ready()."""
    webhook_events.register(EVENTS, outbox.MessageKind(name="rca", render=render, why_not=why_not))


def why_not(message: OutboxMessage) -> str:
    """Why an event may not be sent any more, or ""."""
    reason = why_not_listening(message)
    if reason:
        return reason
    readers = with_copies(RCA.objects.get(pk=message.facts["rca"]))
    is_theirs = any(organisation.pk == message.facts["organisation"] for organisation in readers)
    return "" if is_theirs else "the organisation does not read the RCA any more"


def render(message: OutboxMessage) -> Rendered:
    rows = RCAEvent.objects.select_related("by", "rca__incident", "rca__window")
    event = rows.get(pk=message.facts["rca_event"])
    organisation = Organisation.objects.get(pk=message.facts["organisation"])
    with as_read_by(organisation):
        read = reading(copy_for(event.rca, event, organisation), timezone.localdate())
        data = {
            "event": event_json(event),
            "rca": rca_json(read),
            **_of_event(event, read),
            "url": url_of(read),
        }
    return webhook_events.rendered(message, message.subject_key, url=data["url"], data=data)


def rca_json(read: Reading) -> dict[str, Any]:
    """The organisation's copy, its prevention actions as they are now."""
    version = dict(VersionSerializer(read.copy).data)
    return {
        "reference": read.content["reference"],
        "organisation": read.organisation.slug,
        "title": read.content["title"],
        "version": version.pop("number"),
        **version,
        "actions": ActionSerializer(read.actions, many=True).data,
    }


def _of_event(event: RCAEvent, read: Reading) -> dict[str, Any]:
    """The whole document for a version, else the one action, each in the standard format."""
    found = about(event.rca, event, read)
    action, form = found.get("action"), found.get("form") or rca_form(read)
    return {"action": ActionSerializer(action).data if action else None, "form": form.as_json()}
