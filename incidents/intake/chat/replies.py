"""What becomes of a message that is meant for an incident: the reply of whom the channel knows, or it is held.

Only the channel's own list of who is who says whose words they are. What is edited or deleted there later
changes nothing here.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from incidents import actions
from incidents.intake import inbox, senders
from incidents.intake.chat.words import spoken_of, text_of_row
from incidents.intake.inbox import Result
from incidents.models import Channel, InboundMessage, Incident
from incidents.rules import gettext_noop
from portal.models import ChatIdentity, Endpoint, User

Outcome = InboundMessage.Outcome

UNKNOWN = gettext_noop("Nobody here is known by this name in the channel.")
OF_STAFF = gettext_noop("One of us wrote it: staff answer on the desk, not in the customer's channel.")
EMPTY = gettext_noop("It has neither text nor file.")


def handle(message: InboundMessage, now: datetime) -> Result:
    """Decide on one message; in one transaction with its row."""
    endpoint, incident = endpoint_of(message), message.incident
    if incident is None:
        return Result(outcome=Outcome.IGNORED)
    person, text = person_of(endpoint, spoken_of(message).user), text_of_row(message)
    reason = _doubt(person, incident) or ("" if text else EMPTY)
    if person is None or reason:
        return inbox.hold(message, incident, reason, now, is_told=not _waits_already(message, incident))
    try:
        with transaction.atomic():
            return _reply(message, incident, person, text, now)
    except actions.Refused as refused:
        return inbox.hold(message, incident, refused.reason, now)


def endpoint_of(message: InboundMessage) -> Endpoint:
    """The channel that a message came by."""
    assert message.endpoint is not None
    return message.endpoint


def person_of(endpoint: Endpoint, external_id: str) -> User | None:
    """Who somebody in the channel is, by this channel's own list."""
    found = ChatIdentity.objects.filter(endpoint=endpoint, external_id=external_id)
    identity = found.select_related("person").first()
    return identity.person if identity else None


def remember(
    endpoint: Endpoint, external_id: str, external_name: str, *, person: User, by: User, now: datetime
) -> ChatIdentity:
    """From now on the words of this id in the channel are the person's. Refused if they are somebody else's."""
    identity, _created = ChatIdentity.objects.get_or_create(
        endpoint=endpoint,
        external_id=external_id,
        defaults={
            "external_name": external_name,
            "person": person,
            "created_at": now.replace(microsecond=0),
            "created_by": by,
        },
    )
    if identity.person_id != person.pk:
        words = _("The channel knows this writer as %(name)s. Change that on the channel's page first.")
        raise actions.Refused(words % {"name": identity.person}, field="is_remembered")
    return identity


def _doubt(person: User | None, incident: Incident) -> str:
    """Why these are not the words of a customer who may write, or ""."""
    if person is None:
        return UNKNOWN
    if not person.is_active:
        return senders.INACTIVE
    if person.is_agent:
        return OF_STAFF
    return senders.doubt_of_writer(person, incident)


def _waits_already(message: InboundMessage, incident: Incident) -> bool:
    """Whether the same writer's words about the incident are held: staff are asked once, not for each line."""
    waiting = InboundMessage.objects.filter(
        kind=InboundMessage.Kind.CHAT,
        state=InboundMessage.State.HELD,
        endpoint=message.endpoint_id,
        incident=incident,
    )
    return waiting.filter(payload__user=spoken_of(message).user).exclude(pk=message.pk).exists()


def _reply(message: InboundMessage, incident: Incident, person: User, text: str, now: datetime) -> Result:
    cycle = incident.cycle
    actions.reply(
        incident,
        by=person,
        now=now,
        channel=Channel.CHAT,
        text=text,
        received_at=message.received_at,
        inbound=message,
    )
    outcome = Outcome.REOPENED if incident.cycle > cycle else Outcome.REPLIED
    return Result(outcome=outcome, incident=incident)
