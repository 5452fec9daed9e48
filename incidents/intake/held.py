"""What staff decide about what is held: a person's reply, an internal note, a new incident, or nothing.

What came by mail and what was written in a dedicated channel are decided alike; only a mail opens an incident,
and a channel's words never leave its organisation.

Each decision is one transaction with the row: who decided and when stays on it, and nobody decides twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext as _

from incidents import actions
from incidents.intake import mail, senders, words
from incidents.intake.chat import replies
from incidents.intake.chat import words as chat_words
from incidents.intake.inbox import State
from incidents.intake.subjects import read_subject
from incidents.models import Channel, InboundMessage, Incident
from portal.models import Organisation, User

Kind, Outcome = InboundMessage.Kind, InboundMessage.Outcome
DECIDED = (Kind.MAIL, Kind.CHAT)


@dataclass(frozen=True)
class Content:
    """What a held row says, as an incident takes it."""

    channel: str
    reply: str
    note: str  # the same, with whose words they are
    files: list[UploadedFile]
    left_out: str = ""


def content_of(row: InboundMessage) -> Content:
    if row.kind == Kind.CHAT:
        text = chat_words.text_of_row(row)
        return Content(Channel.CHAT, text, chat_words.note_of(row, text), [])
    content = mail.read(row)
    files = words.usable_files(content)
    note = words.note_text(content, row.sender)
    return Content(Channel.MAIL, words.reply_text(content), note, files.taken, files.left_out)


@contextmanager
def deciding(message: InboundMessage, *, by: User, now: datetime) -> Iterator[InboundMessage]:
    """The held row under lock; saved as decided by `by` at the end. Refused for anybody but staff, and for
    what is not held any more."""
    if not by.is_agent:
        raise actions.Refused(_("Only support staff can do this."), kind="permission")
    with transaction.atomic():
        row = InboundMessage.objects.select_for_update(of=("self",)).get(pk=message.pk)
        if row.state != State.HELD or row.kind not in DECIDED:
            raise actions.Refused(_("This has been decided already."), kind="state")
        row.state, row.decided_by, row.decided_at = State.DONE, by, now
        yield row
        row.save()
    message.__dict__.update(row.__dict__)


def add_reply(
    message: InboundMessage,
    *,
    incident: Incident,
    person: User,
    by: User,
    now: datetime,
    is_remembered: bool = False,
) -> None:
    """It is this person's reply after all. It counts from its receipt; Refused unless they may write.

    With `is_remembered` whatever the writer says in the channel from now on is this person's.
    """
    with deciding(message, by=by, now=now) as row:
        _check_place(row, incident)
        if person.is_agent or not person.is_active:
            raise actions.Refused(_("Choose an active person of the organisation."), field="person")
        doubt = senders.doubt_of_membership(person, incident.organisation)
        if doubt:
            raise actions.Refused(_(doubt), field="person")
        if is_remembered and row.kind == Kind.CHAT:
            _remember(row, person, by, now)
        content = content_of(row)
        actions.reply(
            incident,
            by=person,
            now=now,
            channel=content.channel,
            text=content.reply,
            files=content.files,
            received_at=row.received_at,
            inbound=row,
        )
        row.incident, row.outcome = incident, Outcome.REPLIED
        row.state_reason = content.left_out or row.state_reason


def _check_place(row: InboundMessage, incident: Incident) -> None:
    """What was said in an organisation's own channel is for its own incidents."""
    if row.kind == Kind.CHAT and replies.endpoint_of(row).organisation_id != incident.organisation_id:
        raise actions.Refused(
            _("Choose an incident of the organisation whose channel it is."), field="incident"
        )


def _remember(row: InboundMessage, person: User, by: User, now: datetime) -> None:
    spoken = chat_words.spoken_of(row)
    replies.remember(replies.endpoint_of(row), spoken.user, spoken.user_name, person=person, by=by, now=now)


def add_note(message: InboundMessage, *, incident: Incident, by: User, now: datetime) -> None:
    """It is kept as an internal note of who decides."""
    with deciding(message, by=by, now=now) as row:
        _check_place(row, incident)
        content = content_of(row)
        actions.add_note(
            incident,
            by=by,
            now=now,
            channel=content.channel,
            text=content.note,
            files=content.files,
            inbound=row,
        )
        row.incident, row.outcome = incident, Outcome.NOTED
        row.state_reason = content.left_out or row.state_reason


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
        if row.kind != Kind.MAIL:
            raise actions.Refused(_("Only a mail opens an incident."))
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
    """Nothing comes of it; what came is kept, with the reason."""
    with deciding(message, by=by, now=now) as row:
        if not reason.strip():
            raise actions.Refused(_("Say why it is discarded."), field="reason")
        row.outcome, row.state_reason = Outcome.DISCARDED, reason.replace("\0", "").strip()[:2000]
