"""E-mail: one recipient, one thread per subject and recipient, a Message-ID that a repeat keeps."""

from __future__ import annotations

import hashlib
import re
import smtplib
from dataclasses import dataclass
from email.headerregistry import Address
from typing import Any

import css_inline
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email

from portal.channels.base import Permanent, Rendered, Temporary
from portal.models import OutboxMessage

UNSAFE = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)
REFERENCES = 5


@dataclass(frozen=True)
class Sent:
    """What was sent, and what the server answered; stored on the row."""

    address: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    answer: str


def one_line(text: str, length: int = 250) -> str:
    """A header's value: no line break of any kind, no control character, bounded."""
    return " ".join(UNSAFE.sub(" ", text).split())[:length]


def thread_root(message: OutboxMessage) -> str:
    """The Message-ID-like root of the thread of one subject and recipient."""
    digest = hashlib.sha256(f"{message.subject_key}:{message.recipient_id}".encode()).hexdigest()[:32]
    return f"<thread.{digest}@{settings.MAIL_DOMAIN}>"


def thread_headers(message: OutboxMessage) -> dict[str, str]:
    if not message.subject_key:
        return {}
    earlier = OutboxMessage.objects.filter(
        subject_key=message.subject_key, recipient=message.recipient_id, state="sent"
    ).order_by("-sent_at")
    ids = list(earlier.values_list("message_id", flat=True)[:REFERENCES])
    root = thread_root(message)
    return {"In-Reply-To": ids[0] if ids else root, "References": " ".join([root, *reversed(ids)])}


def headers_of(message: OutboxMessage, rendered: Rendered) -> dict[str, str]:
    headers = {"Message-ID": message.message_id, **thread_headers(message)}
    if message.is_automatic:
        headers["Auto-Submitted"] = "auto-generated"
        headers["X-Auto-Response-Suppress"] = "All"
    return headers | {name: one_line(value, 900) for name, value in rendered.headers.items()}


def compose(message: OutboxMessage, rendered: Rendered) -> EmailMultiAlternatives:
    """The mail of a row. Permanent when the recipient's address cannot be one."""
    address = message.recipient.email
    try:
        validate_email(address)
    except ValidationError as error:
        raise Permanent(f"“{address}” is not an e-mail address") from error
    name = one_line(rendered.from_name or settings.SUPPORT_BRAND, 120)
    mail = EmailMultiAlternatives(
        subject=one_line(rendered.subject),
        body=rendered.text,
        from_email=str(Address(display_name=name, addr_spec=settings.SUPPORT_EMAIL)),
        to=[address],
        reply_to=[rendered.reply_to] if rendered.reply_to else None,
        headers=headers_of(message, rendered),
    )
    if rendered.html:
        mail.attach_alternative(INLINER.inline(rendered.html), "text/html")
    return mail


class Mailer:
    """One connection for a batch, opened anew after a failure."""

    def __init__(self) -> None:
        self.connection: BaseEmailBackend | None = None

    def __enter__(self) -> Mailer:
        return self

    def __exit__(self, *details: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                connection.close()
            except (OSError, smtplib.SMTPException):
                return  # the server is gone, and with it the connection

    def send(self, message: OutboxMessage, rendered: Rendered) -> Sent:
        """Hand the mail to the server. Raises Temporary or Permanent with the server's words."""
        mail = compose(message, rendered)
        try:
            if self.connection is None:
                self.connection = get_connection()
                self.connection.open()
            accepted = self.connection.send_messages([mail])
        except Exception as error:
            self.hang_up()
            raise verdict(error) from error
        if not accepted:
            raise Temporary("the mail server did not take the message")
        return Sent(
            address=mail.to[0],
            subject=str(mail.subject),
            text=str(mail.body),
            html=rendered.html,
            headers={name: str(value) for name, value in mail.extra_headers.items()},
            answer=f"accepted by {settings.EMAIL_BACKEND.rsplit('.', 2)[-2]}",
        )


def verdict(error: Exception) -> Exception:
    """Whether a failure is worth another try, in the server's own words."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        replies: list[tuple[int, Any]] = list(error.recipients.values())
        code, words = replies[0] if replies else (550, b"refused")
        return _by_code(code, words)
    if isinstance(error, smtplib.SMTPServerDisconnected | smtplib.SMTPConnectError):
        return Temporary(f"{type(error).__name__}: {error}")
    if isinstance(error, smtplib.SMTPResponseException):
        return _by_code(error.smtp_code, error.smtp_error)
    if isinstance(error, OSError):
        return Temporary(f"{type(error).__name__}: {error}")
    return error


def _by_code(code: int, words: bytes | str) -> Exception:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    # 421, 450 … ask to come back; 530-535 are our own credentials, which staff can repair meanwhile.
    is_temporary = code < 500 or code in (530, 534, 535)
    return (Temporary if is_temporary else Permanent)(f"{code} {said}")
