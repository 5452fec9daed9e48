"""What is read out of a raw mail: the shape that `parse` makes and `mail` decides on. No Django, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


class Unacceptable(Exception):
    """What came in is refused, for ever; the reason says what the sender can do instead."""


AuthenticationResult = Literal["pass", "fail", "none"]


@dataclass(frozen=True)
class ParsedFile:
    """An attachment or inline image as the sender named it; nothing of it is believed yet."""

    name: str
    content: bytes
    is_inline: bool = False


@dataclass(frozen=True)
class DeliveryReport:
    """What a DSN (RFC 3464) or a bounce of any other form says of a mail of ours."""

    kind: Literal["bounced", "delayed", "delivered", "complaint"]
    recipient: str = ""  # lower case, "" when it does not say
    status: str = ""  # such as 5.1.1
    diagnostic: str = ""
    original_message_id: str = ""


@dataclass(frozen=True)
class CalendarAnswer:
    """What a calendar program answers to an invitation (iTIP). With a `problem` nothing else is known."""

    method: str  # REPLY or COUNTER
    problem: str = ""
    uid: str = ""
    sequence: int = 0
    attendees: tuple[tuple[str, str], ...] = ()  # address in lower case, PARTSTAT in upper case
    written_at: datetime | None = None  # DTSTAMP, as the sender claims
    comment: str = ""


@dataclass(frozen=True)
class ParsedMail:
    """One mail, read. Addresses are lower case; texts hold no NUL and no lone surrogate."""

    message_id: str = ""  # with its angle brackets; "" when it has none
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    from_addresses: tuple[str, ...] = ()  # more than one is suspicious, none is possible
    from_name: str = ""
    recipients: tuple[str, ...] = ()  # To, Cc, Delivered-To, X-Original-To, Envelope-To
    envelope_from: str | None = None  # Return-Path; "" is the null path of a bounce, None unknown
    subject: str = ""
    date: datetime | None = None  # as the sender claims; never a receipt
    text: str = ""  # the new text only: no quotes, no signature
    full_text: str = ""  # all of it
    files: tuple[ParsedFile, ...] = ()
    automatic: str = (
        ""  # why it is no person's mail, such as "Auto-Submitted: auto-replied"; "" for a person's
    )
    report: DeliveryReport | None = None
    calendar: CalendarAnswer | None = None
    authentication: AuthenticationResult = (
        "none"  # what our own Authentication-Results says of the From domain
    )
    notices: tuple[str, ...] = field(default=())  # what was cut off or could not be read, for staff
