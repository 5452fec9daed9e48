"""A scanner of ours that speaks clamd's INSTREAM: clean, infected, slow, gone, or talking nonsense as told."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class Clamd:
    """Serves one connection after the other on a Unix socket until `close`."""

    def __init__(self, path: Path, limit: int = 10**9) -> None:
        self.path, self.limit = path, limit
        self.garbage = b""  # said instead of an answer to INSTREAM
        self.is_mute = False  # takes the file and never answers
        self.scanned: list[bytes] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(20)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError, EOFError):
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        stream = client.makefile("rb")
        command = stream.readline()
        if command == b"nPING\n":
            client.sendall(b"PONG\n")
            return
        content = self._content(stream)
        if content is None:
            client.sendall(b"INSTREAM size limit exceeded. ERROR\n")
            return
        self.scanned.append(content)
        if self.is_mute:
            client.recv(1)  # until the other side gives up
        elif self.garbage:
            client.sendall(self.garbage)
        else:
            client.sendall(b"stream: Eicar-Test FOUND\n" if EICAR in content else b"stream: OK\n")

    def _content(self, stream) -> bytes | None:
        content = b""
        while size := struct.unpack("!L", self._exactly(stream, 4))[0]:
            content += self._exactly(stream, size)
            if len(content) > self.limit:
                return None
        return content

    def _exactly(self, stream, size: int) -> bytes:
        if len(got := stream.read(size)) != size:
            raise EOFError
        return got
