"""A raw mail as a `ParsedMail`: the one way in. PURE: no Django, no I/O, no clock.

Nothing that is sent here can make it fail: what is malformed is read as far as it can be, and a notice
says what is missing; only what no sense can be made of is refused. RFC 5322, 2045-2049.
"""

from __future__ import annotations

from collections.abc import Collection

from incidents.intake import quotes
from incidents.intake.authentication import authentication_of
from incidents.intake.automatic import why_automatic
from incidents.intake.bodies import read_body
from incidents.intake.headers import (
    addresses,
    all_addresses,
    date_of,
    envelope_from,
    message_ids,
    subject_of,
)
from incidents.intake.mime import Headers, Part, read_parts
from incidents.intake.parsed import ParsedMail, Unacceptable
from incidents.intake.quote_patterns import is_forward_subject, is_reply_subject
from incidents.intake.reports import report_of, report_type

MAX_BYTES = 40 * 1024 * 1024
MAX_PARTS = 1_000
RECIPIENT_FIELDS = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")


def parse(
    raw: bytes,
    *,
    authserv_ids: Collection[str] = (),
    max_bytes: int = MAX_BYTES,
    max_parts: int = MAX_PARTS,
) -> ParsedMail:
    """Read a mail. Raises Unacceptable when it is larger than `max_bytes` or has nothing to read.

    `authserv_ids` are the names that our own mail servers sign their Authentication-Results with.
    """
    if len(raw) > max_bytes:
        raise Unacceptable(
            f"The mail is larger than {max_bytes // (1024 * 1024)} MB. Send large files by another way."
        )
    raw = raw.lstrip(b"\r\n")
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    if not raw.strip():
        raise Unacceptable("The mail is empty.")
    notices: list[str] = []
    root = read_parts(raw, max_parts=max_parts, notices=notices)
    if not root.headers.fields and b"\0" in raw[:1_000]:
        raise Unacceptable("This is no mail: it has no header, and its content is no text.")
    return _parsed(root, authserv_ids, notices)


def _parsed(root: Part, authserv_ids: Collection[str], notices: list[str]) -> ParsedMail:
    headers = root.headers
    senders = [found for value in headers.all("from") for found in addresses(value)]
    from_addresses = tuple(dict.fromkeys(address for _, address in senders))
    path, subject = envelope_from(headers), subject_of(headers)
    body = read_body(root, notices)
    replied = message_ids(" ".join(headers.all("in-reply-to")))
    references = message_ids(" ".join(headers.all("references")))
    text = quotes.new_text(
        body.text,
        is_reply=bool(replied or references) or is_reply_subject(subject),
        is_forward=is_forward_subject(subject),
    )
    full_text = quotes.full_text(body.text)
    report = report_of(
        root, subject=subject, text=full_text, from_addresses=from_addresses, envelope_from=path
    )
    automatic = why_automatic(
        headers,
        subject=subject,
        text=text,
        from_addresses=from_addresses,
        envelope_from=path,
        calendar_method=body.calendar_method,
        report_type=report_type(root),
    )
    return ParsedMail(
        message_id=next(iter(message_ids(headers.first("message-id"))), ""),
        in_reply_to=replied,
        references=references,
        from_addresses=from_addresses,
        from_name=senders[0][0] if senders else "",
        recipients=all_addresses(headers, RECIPIENT_FIELDS, notices),
        envelope_from=path,
        subject=subject,
        date=date_of(headers.first("date")),
        text=text,
        full_text=full_text,
        files=tuple(body.files),
        automatic=automatic or ("Delivery report" if report else ""),
        report=report,
        calendar=body.calendar,
        authentication=authentication_of(headers, _domain(from_addresses), authserv_ids),
        notices=tuple(dict.fromkeys([*notices, *_doubts(headers, from_addresses)])),
    )


def _domain(from_addresses: tuple[str, ...]) -> str:
    """Whose word authentication has to prove; "" for nobody's, and for several people's."""
    return from_addresses[0].rpartition("@")[2] if len(from_addresses) == 1 else ""


def _doubts(headers: Headers, from_addresses: tuple[str, ...]) -> list[str]:
    """What is missing or odd in the header, in words for staff."""
    doubts = []
    if not from_addresses:
        doubts.append("The mail does not say who sent it.")
    if len(from_addresses) > 1 or len(headers.all("from")) > 1:
        doubts.append("The mail names more than one sender.")
    if "message-id" not in headers:
        doubts.append("The mail has no Message-ID.")
    if date_of(headers.first("date")) is None:
        doubts.append("The mail has no date that can be read.")
    return doubts
