"""An end to every conversation, by force: a server that drips bytes outlives every time-out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Guard:
    """Ends a conversation that takes too long."""

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
