"""Django's SMTP, and what it lacks: an end to every conversation, and the server's own last word."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from django.core.mail.backends.smtp import EmailBackend


class Guard:
    """Ends a conversation that takes too long: a server that drips bytes outlives every time-out."""

    def __init__(self) -> None:
        self.line: socket.socket | None = None  # a handle of our own: TLS takes the first one over
        self.is_over = False

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """What happens on the line inside this block ends, by force, after `seconds`."""
        self.is_over = False
        timer = threading.Timer(seconds, self.end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def watch(self, line: socket.socket) -> None:
        self.forget()
        self.line = line.dup()
        if self.is_over:
            self.end()

    def end(self) -> None:
        self.is_over = True
        if self.line is not None:
            with contextlib.suppress(OSError):  # the other side was quicker
                self.line.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.close()


class Conversation(smtplib.SMTP):
    """An SMTP client whose line a guard watches, and that keeps the answer to DATA."""

    guard: Guard
    answer = ""

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

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.guard.forget()
