"""Django's SMTP, and what it lacks: an end to every conversation, the server's last word, bounces of our own."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Sequence
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from portal.channels.limit import Guard


class Conversation(smtplib.SMTP):
    """An SMTP client whose line a guard watches, and that keeps the answer to DATA."""

    guard: Guard
    greeting = ""
    answer = ""
    envelope_sender = ""

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: Any = None
    ) -> tuple[int, bytes]:
        code, words = super().connect(host, port, source_address)
        self.greeting = words.decode("utf-8", "replace")
        return code, words

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """MAIL FROM with the address that bounces go to, where there is one: it need not be the From header's."""
        return super().mail(self.envelope_sender or sender, options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self.guard.watch(line)
        return line

    def data(self, msg: Any) -> tuple[int, bytes]:
        code, words = super().data(msg)
        self.answer = f"{code} {words.decode('utf-8', 'replace')}"
        return code, words


class EncryptedConversation(smtplib.SMTP_SSL, Conversation):
    """The same, encrypted from the first byte; the guard watches the line beneath."""


class Backend(EmailBackend):
    """The SMTP backend that `portal.channels.email` uses wherever settings name Django's."""

    def __init__(self, *details: Any, **more: Any) -> None:
        super().__init__(*details, **more)
        self.guard = Guard()

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        conversation = EncryptedConversation if self.use_ssl else Conversation
        return type(conversation.__name__, (conversation,), {"guard": self.guard})

    @property
    def answer(self) -> str:
        """What the server said to the latest message."""
        return getattr(self.connection, "answer", "")

    def open(self) -> bool | None:
        """Connect and be greeted, so that who is not let in at all knows it before the first mail."""
        is_new = super().open()
        if is_new and self.connection is not None:
            self.connection.ehlo_or_helo_if_needed()
        return is_new

    def _send(self, email_message: EmailMessage) -> bool:
        if isinstance(self.connection, Conversation):
            self.connection.envelope_sender = getattr(email_message, "envelope_sender", "")
        return super()._send(email_message)  # type: ignore[misc]

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.guard.forget()
