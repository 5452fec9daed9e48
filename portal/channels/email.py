"""E-mail: one recipient, one thread per subject and recipient, a Message-ID that a repeat keeps."""

from __future__ import annotations

import contextlib
import hashlib
import re
import smtplib
from email.headerregistry import Address
from typing import Any

import css_inline
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email

from portal.channels import smtp
from portal.channels.base import EMAIL, CalendarPart, Permanent, Rendered, Sent, Temporary, one_line
from portal.models import OutboxMessage
from portal.request_ids import HEADER

INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)
BOUNCE = re.compile(r"bounce\+([0-9a-f]{32})@(.+)")
REFERENCES = 5
BACKENDS = {"django.core.mail.backends.smtp.EmailBackend": "portal.channels.smtp.Backend"}


def thread_root(message: OutboxMessage) -> str:
    """The Message-ID-like root of the thread of one subject and recipient."""
    digest = hashlib.sha256(f"{message.subject_key}:{message.recipient_id}".encode()).hexdigest()[:32]
    return f"<thread.{digest}@{settings.MAIL_DOMAIN}>"


def thread_headers(message: OutboxMessage) -> dict[str, str]:
    if not message.subject_key:
        return {}
    earlier = OutboxMessage.objects.filter(
        subject_key=message.subject_key, recipient=message.recipient_id, channel=EMAIL, state="sent"
    ).order_by("-sent_at", "-pk")
    ids = list(earlier.values_list("message_id", flat=True)[:REFERENCES])
    root = thread_root(message)
    return {"In-Reply-To": ids[0] if ids else root, "References": " ".join([root, *reversed(ids)])}


def headers_of(message: OutboxMessage, rendered: Rendered) -> dict[str, str]:
    headers = {"Message-ID": message.message_id, **thread_headers(message)}
    if message.is_automatic:
        headers["Auto-Submitted"] = "auto-generated"
        headers["X-Auto-Response-Suppress"] = "All"
    if message.request_id:
        headers[HEADER] = message.request_id
    return headers | {name: one_line(value, 900) for name, value in rendered.headers.items()}


def bounce_address(message: OutboxMessage) -> str:
    """Where a delivery failure of this one mail comes back to (VERP): it names the mail by itself."""
    return f"bounce+{message.message_id.strip('<>').partition('@')[0]}@{settings.MAIL_DOMAIN}"


def message_id_of(address: str) -> str:
    """The Message-ID of the mail whose bounce address this is, in any case and with or without <>; or ""."""
    found = BOUNCE.fullmatch(address.strip(" <>\t\r\n").lower())
    if found is None or found[2] != settings.MAIL_DOMAIN.lower():
        return ""
    return f"<{found[1]}@{settings.MAIL_DOMAIN}>"


class Mail(EmailMultiAlternatives):
    """A mail whose bounces go to an address of its own."""

    envelope_sender = ""


def compose(message: OutboxMessage, rendered: Rendered) -> Mail:
    """The mail of a row. Permanent when the recipient's address cannot be one."""
    address = message.recipient.email if message.recipient else message.address
    if message.recipient is None and not address:
        raise Permanent("the message has no recipient")
    try:
        validate_email(address)
    except ValidationError as error:
        raise Permanent(f"“{address}” is not an e-mail address") from error
    name = one_line(rendered.from_name or settings.SUPPORT_BRAND, 120)
    mail = Mail(
        subject=one_line(rendered.subject),
        body=rendered.text.replace("\0", ""),
        from_email=str(Address(display_name=name, addr_spec=settings.SUPPORT_EMAIL)),
        to=[address],
        reply_to=[rendered.reply_to] if rendered.reply_to else None,
        headers=headers_of(message, rendered),
    )
    mail.envelope_sender = bounce_address(message)
    if rendered.html:
        mail.attach_alternative(INLINER.inline(rendered.html.replace("\0", "")), "text/html")
    if rendered.calendar:
        _add_calendar(mail, rendered.calendar)
    for file in rendered.attached:
        mail.attach(file.name, file.content, file.media_type)
    return mail


def kept(text: str, rendered: Rendered) -> str:
    """What is stored of a text: not what opens something to whoever reads it."""
    return text.replace(rendered.secret, "…") if rendered.secret else text


def _add_calendar(mail: Mail, part: CalendarPart) -> None:
    """The iTIP part as an alternative, which clients act upon, and as a file for those that do not."""
    mail.attach_alternative(part.text, f"text/calendar; method={part.method}")
    mail.attach("invite.ics", part.text.encode(), "application/ics")


class Mailer:
    """One connection for a sweep, opened anew after a failure; `is_away` when nobody opens any more."""

    PATIENCE = 2  # refused connections in a row

    def __init__(self) -> None:
        self.connection: BaseEmailBackend | None = None
        self.refused = 0

    def __enter__(self) -> Mailer:
        return self

    def __exit__(self, *details: object) -> None:
        self.hang_up()

    @property
    def is_away(self) -> bool:
        """Whether the server cannot be reached, so that the other messages need not try."""
        return self.refused >= self.PATIENCE

    def hang_up(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException), limited(connection):
                connection.close()  # a server that is gone took the connection with it

    def send(self, message: OutboxMessage, rendered: Rendered) -> Sent:
        """Hand the mail to the server. Raises Temporary or Permanent with the server's words."""
        mail = compose(message, rendered)
        connection = self._opened()
        try:
            with limited(connection):
                accepted = connection.send_messages([mail])
        except Exception as error:
            raise self._failed(error) from error
        if not accepted:
            raise Temporary("the mail server did not take the message")
        return Sent(
            address=mail.to[0],
            subject=str(mail.subject),
            text=kept(str(mail.body), rendered),
            html=kept(rendered.html.replace("\0", ""), rendered),
            headers={name: str(value) for name, value in mail.extra_headers.items()},
            answer=answer_of(connection),
        )

    def _opened(self) -> BaseEmailBackend:
        """The open connection. What goes wrong before the first mail is no message's fault: Temporary."""
        if self.connection is None:
            try:
                self.connection = get_connection(BACKENDS.get(settings.EMAIL_BACKEND))
                with limited(self.connection):
                    self.connection.open()
            except Exception as error:
                self.refused += 1
                raise Temporary(words_of(self._failed(error))) from error
            self.refused = 0
        return self.connection

    def _failed(self, error: Exception) -> Exception:
        """Hang up, and say what the failure means."""
        guard = getattr(self.connection, "guard", None)
        was_cut = guard is not None and guard.is_over
        self.hang_up()
        return (
            Temporary(f"the mail server took longer than {time_limit():g} s") if was_cut else verdict(error)
        )


def time_limit() -> float:
    """No conversation lasts as long as a lease: nobody else may take the message over meanwhile."""
    return settings.OUTBOX_LEASE_SECONDS * 0.75


def limited(connection: BaseEmailBackend) -> contextlib.AbstractContextManager[None]:
    if isinstance(connection, smtp.Backend):
        return connection.guard.limit(time_limit())
    return contextlib.nullcontext()


def answer_of(connection: BaseEmailBackend) -> str:
    """The server's own words where there is a server."""
    said = one_line(getattr(connection, "answer", ""), 1000)
    return said or f"accepted by {settings.EMAIL_BACKEND.rsplit('.', 2)[-2]}"


def verdict(error: Exception) -> Exception:
    """Whether a failure is worth another try, in the server's own words."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        replies: list[tuple[int, Any]] = list(error.recipients.values())
        code, words = replies[0] if replies else (550, b"refused")
        return _by_code(code, words)
    if isinstance(error, smtplib.SMTPResponseException):
        return _by_code(error.smtp_code, error.smtp_error)
    if isinstance(error, OSError):  # SMTPException is one, too
        return Temporary(words_of(error))
    return error


def words_of(error: Exception) -> str:
    return str(error) if isinstance(error, Temporary | Permanent) else f"{type(error).__name__}: {error}"


def _by_code(code: int, words: bytes | str) -> Exception:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    # 421, 450 … ask to come back; 530-535 are our own credentials, which staff can repair meanwhile.
    is_temporary = code < 500 or code in (530, 534, 535)
    return (Temporary if is_temporary else Permanent)(f"{code} {said}")
