"""The timeline as people read it: events, words, updates and plans in order, in a constant number of queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from incidents.bridge_summary import summary_of
from incidents.delivery_words import Delivery
from incidents.models import (
    ActionPlan,
    ArticleVersion,
    Attachment,
    Channel,
    InboundMessage,
    Incident,
    IncidentEvent,
    Message,
    Status,
    StatusUpdate,
)
from incidents.timeline_rows import Rows
from incidents.timeline_words import sentence
from portal.models import User
from portal.standard_form import StandardForm

HIDDEN = frozenset({"status_update_accepted"})


@dataclass
class TimelineItem:
    """One entry: a sentence about a fact, with the words, update or plan that belong to it."""

    event_id: int
    kind: str
    at: datetime
    who: str
    is_staff: bool
    is_internal: bool
    sentence: str
    channel: str
    status_from: str = ""
    status_to: str = ""
    message: Message | None = None
    update: StatusUpdate | None = None
    deliveries: list[Delivery] = field(default_factory=list)  # of the update, for staff
    form: StandardForm | None = None
    plan: ActionPlan | None = None
    reason: str = ""
    article_version: ArticleVersion | None = None
    attachments: list[Attachment] = field(default_factory=list)
    original_url: str = ""  # the whole mail that it came by
    inbound: InboundMessage | None = None  # the same, for staff

    @property
    def came_by(self) -> str:
        """The door in words, where the item does not show it by a link to the mail."""
        return str(Channel.CHAT.label) if self.channel == Channel.CHAT and self.message is not None else ""

    @property
    def accepted(self) -> int:
        """How many of its messages their channels have taken."""
        return sum(delivery.look == "met" for delivery in self.deliveries)

    @property
    def look(self) -> str:
        """Which of the four looks it has: internal words, update, words, or a fact that nobody wrote."""
        if self.is_internal and (self.message is not None or self.update is not None):
            return "internal"
        if self.update is not None:
            return "update"
        return "words" if self.message is not None or self.plan is not None else "fact"


def timeline_items(
    incident: Incident, user: User, *, since: datetime | None = None, latest: int | None = None
) -> list[TimelineItem]:
    """What `user` may read of the incident's timeline, oldest first: all, or the `latest` recorded `since`."""
    visible = IncidentEvent.objects.visible_to(user).filter(incident=incident).exclude(kind__in=HIDDEN)
    if since is not None:
        visible = visible.filter(recorded_at__gte=since)
    events = list(visible.select_related("by").order_by("-pk")[:latest])[::-1]
    found = Rows(events, incident, user)
    return [item_of(event, found, user) for event in events]


def item_of(event: IncidentEvent, found: Rows, user: User) -> TimelineItem:
    facts = event.payload
    message = found.messages.get(facts.get("message"))
    item = TimelineItem(
        event_id=event.pk,
        kind=event.kind,
        at=event.at,
        who=_who(event),
        is_staff=bool(event.by and event.by.is_staff) or event.by is None,
        is_internal=not event.is_public,
        sentence=sentence(event, found),
        channel=event.channel,
        status_from=_status(facts.get("status_from")),
        status_to=_status(facts.get("status_to")),
        message=message,
        update=found.updates.get(facts.get("status_update")),
        form=found.forms.get(facts.get("status_update")),
        deliveries=found.deliveries.get(facts.get("status_update"), [])
        if event.kind == "status_update_published"
        else [],
        plan=found.plans.get(facts.get("action_plan")),
        article_version=found.versions.get(facts.get("article_version")),
        reason=_reason(event, found),
    )
    if message is not None:
        item.attachments = found.attachments.get(message.pk, [])
    if event.kind in ("opened", "files_attached"):
        item.attachments = _loose(event, found)
    _link_mail(item, event, found, user)
    return item


def _link_mail(item: TimelineItem, event: IncidentEvent, found: Rows, user: User) -> None:
    """The whole mail: for staff the inbox's page; for the customer what their own side wrote.

    What they wrote in their channel is there, and all of it is in the timeline.
    """
    inbound = item.message.inbound_id if item.message else event.payload.get("inbound")
    if inbound is None or (event.channel == Channel.CHAT and not user.is_agent):
        return
    if user.is_agent:
        item.inbound = found.inbound.get(inbound)
        item.original_url = reverse("admin:incidents_inboundmessage_change", args=[inbound])
    elif item.message is None:
        item.original_url = reverse("incidents:report_original", args=[found.incident.reference])
    elif not item.message.is_from_staff:
        args = [found.incident.reference, item.message.pk]
        item.original_url = reverse("incidents:original", args=args)


def _who(event: IncidentEvent) -> str:
    if event.by:
        return str(event.by)
    return _("Alarm") if event.channel == Channel.ALARM else _("Clockwork")


def _loose(event: IncidentEvent, found: Rows) -> list[Attachment]:
    """Files that came with the report, or with their own event."""
    loose = found.attachments.get(None, [])
    named = event.payload.get("attachments")
    if named is not None:
        return [attachment for attachment in loose if attachment.pk in named]
    return [attachment for attachment in loose if attachment.uploaded_at <= event.recorded_at]


def _status(value: str | None) -> str:
    return str(Status(value).label) if value else ""


def _reason(event: IncidentEvent, found: Rows) -> str:
    if event.kind == "level_validated":
        return found.validations[event.payload["validation"]].reason
    if event.kind == "lowering_contested":
        return found.contests[event.payload["contest"]].reason
    if event.kind == "contest_decided":
        return found.contests[event.payload["contest"]].decision_reason
    if event.kind == "bridge_closed" and event.payload["bridge"] in found.bridges:
        return summary_of(found.bridges[event.payload["bridge"]])
    return ""
