"""A receiver of webhooks in a process of its own: `python -m tests.webhook_sink --port N --dir D` keeps each as a file.

With `--secret` a webhook whose signature is wrong is refused with 401. `--status 500` answers so to all;
`--slow 3` waits three seconds before it answers.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError


class Sink(ThreadingHTTPServer):
    """Keeps every webhook that it accepts in `folder`; counts the connections, accepted or not."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, folder: pathlib.Path, *, secret: str = "", status: int = 204, slow: float = 0.0
    ) -> None:
        super().__init__(("127.0.0.1", port), Receive)
        self.folder, self.secret, self.status, self.slow = folder, secret, status, slow
        self.connections = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/rooms/hush?token=hush"

    def process_request(self, request, client_address):
        self.connections += 1
        super().process_request(request, client_address)

    def received(self) -> list[dict]:
        """What was kept, oldest first: {"path", "headers", "body"} each."""
        paths = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in paths]

    def __enter__(self) -> Sink:
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *details) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Receive(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.slow)
        if self.server.secret and not self.is_signed(content):
            self.answer(401)
            return
        if 200 <= self.server.status < 300:
            kept = {"path": self.path, "headers": dict(self.headers.items()), "body": json.loads(content)}
            part = self.server.folder / f"{uuid.uuid4().hex}.part"
            part.write_text(json.dumps(kept))
            part.rename(part.with_suffix(".json"))  # whoever reads meanwhile finds all of it or nothing
        self.answer(self.server.status)

    def is_signed(self, content: bytes) -> bool:
        try:
            Webhook(self.server.secret).verify(content, dict(self.headers.items()))
        except WebhookVerificationError:
            return False
        return True

    def answer(self, status: int) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *details) -> None:
        """Say nothing: what arrived is in the folder."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--secret", default="")
    parser.add_argument("--status", type=int, default=204)
    parser.add_argument("--slow", type=float, default=0.0)
    args = parser.parse_args()
    sink = Sink(args.port, args.dir, secret=args.secret, status=args.status, slow=args.slow)
    print("ready", flush=True)
    sink.serve_forever()


if __name__ == "__main__":
    main()
