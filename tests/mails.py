"""Mails as customers' programs write them, for the tests of what becomes of them."""

from __future__ import annotations

import itertools
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from django.conf import settings
from django.utils import timezone

from incidents.intake import inbox, mail
from incidents.models import InboundMessage, Incident, ReplyAddress
from portal.models import OutboxMessage, User

_numbers = itertools.count(1)
US = f"mx.{settings.MAIL_DOMAIN}"
PASS, FAIL = "dmarc=pass", "dmarc=fail"


def written(
    sender: str | User,
    text: str = "It is getting worse.",
    *,
    to: str = settings.SUPPORT_EMAIL,
    subject: str = "API down",
    verdict: str = "",
    message_id: str | None = None,
    files: tuple[tuple[str, bytes], ...] = (),
    **headers: str,
) -> bytes:
    """One mail as bytes. `verdict` is what our own mail server says of its sender; nothing without it."""
    made = EmailMessage()
    made["From"] = sender.email if isinstance(sender, User) else sender
    made["To"] = to
    made["Subject"] = subject
    made["Date"] = format_datetime(datetime.fromisoformat("2026-03-03T10:00:00+00:00"))
    made["Message-ID"] = message_id or f"<{next(_numbers)}.{id(made)}@acme.example>"
    if verdict:
        domain = made["From"].rpartition("@")[2]
        made["Authentication-Results"] = f"{US}; {verdict} header.from={domain}"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    for name, content in files:
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return made.as_bytes()


def reported(
    kind: str,
    original: OutboxMessage | None,
    *,
    to: str = settings.SUPPORT_EMAIL,
    recipient: str = "a1@acme.example",
) -> bytes:
    """A mail server's report (RFC 3464, RFC 5965) on a mail of ours, which it quotes unless there is none."""
    named = original.message_id if original else f"<{next(_numbers)}@elsewhere.example>"
    action, status = {
        "bounced": ("failed", "5.1.1"),
        "delayed": ("delayed", "4.4.1"),
        "delivered": ("delivered", "2.0.0"),
        "complaint": ("", ""),
    }[kind]
    machine = f"Reporting-MTA: dns; mx.acme.example\n\nFinal-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\n"
    report_type = "delivery-status"
    if kind == "complaint":
        report_type, machine = "feedback-report", "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n"
    return f"""\
Return-Path: <>
From: MAILER-DAEMON@mx.acme.example
To: {to}
Subject: Report
Message-ID: <{next(_numbers)}.report@mx.acme.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type={report_type}; boundary="b"

--b
Content-Type: text/plain

This is a report.

--b
Content-Type: message/{report_type}

{machine}
--b
Content-Type: message/rfc822

Message-ID: {named}
From: {settings.SUPPORT_EMAIL}
To: {recipient}
Subject: ours

Hello.
--b--
""".encode()


def token_of(incident: Incident, user: User) -> str:
    """The reply address that the user was given for the incident."""
    return ReplyAddress.objects.get_or_create(incident=incident, recipient=user)[0].address


def last_to(user: User) -> OutboxMessage:
    return OutboxMessage.objects.filter(recipient=user).order_by("-pk")[0]


def arrive(raw: bytes, at: datetime | None = None, now: datetime | None = None) -> InboundMessage:
    """The mail is received at `at`, read at `now`; the row as it is after that."""
    now = now or at or timezone.now()
    message = mail.receive(raw, via="pipe", received_at=at or now)
    inbox.process(message.pk, now)
    message.refresh_from_db()
    return message
