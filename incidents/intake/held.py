"""What staff decide about a held mail: a person's reply, an internal note, a new incident, or nothing.

Each decision is one transaction with the row: who decided and when stays on it, and nobody decides twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from incidents import actions
from incidents.intake import mail, senders, words
from incidents.intake.inbox import State
from incidents.intake.subjects import read_subject
from incidents.models import Channel, InboundMessage, Incident
from portal.models import Organisation, User

Outcome = InboundMessage.Outcome


@contextmanager
def deciding(message: InboundMessage, *, by: User, now: datetime) -> Iterator[InboundMessage]:
    """The held row under lock; saved as decided by `by` at the end. Refused for anybody but staff, and for
    what is not held any more."""
    if not by.is_agent:
        raise actions.Refused(_("Only support staff can do this."), kind="permission")
    with transaction.atomic():
        row = InboundMessage.objects.select_for_update(of=("self",)).get(pk=message.pk)
        if row.state != State.HELD or row.kind != InboundMessage.Kind.MAIL:
            raise actions.Refused(_("This has been decided already."), kind="state")
        row.state, row.decided_by, row.decided_at = State.DONE, by, now
        yield row
        row.save()
    message.__dict__.update(row.__dict__)


def add_reply(message: InboundMessage, *, incident: Incident, person: User, by: User, now: datetime) -> None:
    """It is this person's reply after all. It counts from its receipt; Refused unless they may write."""
    with deciding(message, by=by, now=now) as row:
        if person.is_agent or not person.is_active:
            raise actions.Refused(_("Choose an active person of the organisation."), field="person")
        doubt = senders.doubt_of_membership(person, incident.organisation)
        if doubt:
            raise actions.Refused(_(doubt), field="person")
        content = mail.read(row)
        files = words.usable_files(content)
        actions.reply(
            incident,
            by=person,
            now=now,
            channel=Channel.MAIL,
            text=words.reply_text(content),
            files=files.taken,
            received_at=row.received_at,
            inbound=row,
        )
        row.incident, row.outcome = incident, Outcome.REPLIED
        row.state_reason = files.left_out or row.state_reason


def add_note(message: InboundMessage, *, incident: Incident, by: User, now: datetime) -> None:
    """It is kept as an internal note of who decides."""
    with deciding(message, by=by, now=now) as row:
        content = mail.read(row)
        files = words.usable_files(content)
        actions.add_note(
            incident,
            by=by,
            now=now,
            channel=Channel.MAIL,
            text=words.note_text(content, row.sender),
            files=files.taken,
            inbound=row,
        )
        row.incident, row.outcome = incident, Outcome.NOTED
        row.state_reason = files.left_out or row.state_reason


def open_incident(
    message: InboundMessage,
    *,
    organisation: Organisation,
    person: User,
    level: str,
    by: User,
    now: datetime,
) -> Incident:
    """It is this person's report: an incident on their behalf, whose clocks count from the receipt."""
    with deciding(message, by=by, now=now) as row:
        content = mail.read(row)
        files = words.usable_files(content)
        title, description = words.title_and_description(read_subject(content.subject).title, content)
        row.incident = actions.open_incident(
            organisation=organisation,
            reporter=person,
            by=by,
            now=now,
            channel=Channel.MAIL,
            title=title,
            description=description,
            claimed_level=level,
            files=files.taken,
            received_at=row.received_at,
            inbound=row,
        )
        row.outcome = Outcome.OPENED
        row.state_reason = files.left_out or row.state_reason
        return row.incident


def discard(message: InboundMessage, *, reason: str, by: User, now: datetime) -> None:
    """Nothing comes of it; the mail itself is kept, with the reason."""
    with deciding(message, by=by, now=now) as row:
        if not reason.strip():
            raise actions.Refused(_("Say why it is discarded."), field="reason")
        row.outcome, row.state_reason = Outcome.DISCARDED, reason.replace("\0", "").strip()[:2000]
