"""A receiver of webhooks in a process of its own: `python -m tests.webhook_sink --port N --dir D` keeps each as a file.

With `--secret` a webhook whose signature is wrong is refused with 401. `--status 500` answers so to all;
`--slow 3` waits three seconds before it answers.

With `--service slack|mattermost|teams` it is that service instead: it takes what the service documents,
refuses the rest in the service's own words, and keeps what it took. `--token T --room R` make it the API of a
bot (chat.postMessage, /api/v4/posts) that posts in room R; without, an incoming webhook.
"""

from __future__ import annotations

import argparse
import itertools
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
        self,
        port: int,
        folder: pathlib.Path,
        *,
        secret: str = "",
        status: int = 204,
        slow: float = 0.0,
        service: str = "webhook",
        token: str = "",
        room: str = "",
    ) -> None:
        super().__init__(("127.0.0.1", port), Receive)
        self.folder, self.secret, self.status, self.slow = folder, secret, status, slow
        self.service, self.token, self.room = service, token, room
        self.connections = 0
        self.headers: dict[str, str] = {}  # of each answer
        self.says: list[tuple[int, object]] = []  # answers to the next requests, whatever these are
        self.threads: set[str] = set()  # ids of what was posted
        self.numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        paths = {"slack": "/api/chat.postMessage", "mattermost": "/api/v4/posts"}
        path = paths.get(self.service) if self.token else None
        return f"http://{self.host}{path or '/rooms/hush-hush?token=hush-hush'}"

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
        status, said, is_kept = self.judge(content)
        if is_kept:
            kept = {"path": self.path, "headers": dict(self.headers.items()), "body": json.loads(content)}
            part = self.server.folder / f"{uuid.uuid4().hex}.part"
            part.write_text(json.dumps(kept))
            part.rename(part.with_suffix(".json"))  # whoever reads meanwhile finds all of it or nothing
        self.answer(status, said)

    def judge(self, content: bytes) -> tuple[int, object, bool]:
        """Status and body of the answer, and whether the service took what was sent."""
        if self.server.says:
            return *self.server.says.pop(0), False
        if self.server.service == "webhook" or self.server.status != 204:
            return self.server.status, "", 200 <= self.server.status < 300
        try:
            body = json.loads(content)
        except ValueError:
            return 400, "invalid_payload", False
        return SERVICES[self.server.service](self, body, content)

    def is_signed(self, content: bytes) -> bool:
        try:
            Webhook(self.server.secret).verify(content, dict(self.headers.items()))
        except WebhookVerificationError:
            return False
        return True

    def bears_token(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {self.server.token}"

    def answer(self, status: int, said: object = "") -> None:
        content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.path)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *details) -> None:
        """Say nothing: what arrived is in the folder."""


# --- what the services document ---


def slack(request: Receive, body: dict, content: bytes) -> tuple[int, object, bool]:
    """chat.postMessage says 200 to everything; an incoming webhook says "ok", or 400 with a word."""
    sink = request.server
    if not sink.token:
        return (200, "ok", True) if body.get("text") else (400, "no_text", False)
    error = slack_error(request, body)
    if error:
        return 200, {"ok": False, "error": error}, False
    posted = f"1767225600.{next(sink.numbers):06}"
    sink.threads.add(posted)
    return 200, {"ok": True, "channel": sink.room, "ts": posted, "message": {"text": body["text"]}}, True


def slack_error(request: Receive, body: dict) -> str:
    sink = request.server
    if request.path != "/api/chat.postMessage":
        return "unknown_method"
    if not (request.headers["Content-Type"] or "").startswith("application/json"):
        return "invalid_post_type"
    if not request.bears_token():
        return "invalid_auth"
    if body.get("channel") != sink.room:
        return "channel_not_found"
    if not body.get("text"):
        return "no_text"
    if len(body["text"]) > 40_000:
        return "msg_too_long"
    return "thread_not_found" if body.get("thread_ts", "") not in sink.threads | {""} else ""


def mattermost(request: Receive, body: dict, content: bytes) -> tuple[int, object, bool]:
    """POST /api/v4/posts answers 201 with the post; an incoming webhook answers "ok"."""
    sink = request.server
    if not sink.token:
        return (200, "ok", True) if body.get("text") else (400, {"id": "web.incoming_webhook.text"}, False)
    for is_wrong, status, name in (
        (request.path != "/api/v4/posts", 404, "api.context.404.app_error"),
        (not request.bears_token(), 401, "api.context.session_expired.app_error"),
        (body.get("channel_id") != sink.room, 403, "api.context.permissions.app_error"),
        (len(body.get("message", "")) > 16_383, 400, "model.post.is_valid.message_length.app_error"),
        (body.get("root_id", "") not in sink.threads | {""}, 400, "api.post.create_post.root_id.app_error"),
    ):
        if is_wrong:
            return status, {"id": name, "message": "No.", "status_code": status}, False
    posted = f"{next(sink.numbers):026}"
    sink.threads.add(posted)
    return 201, {"id": posted, "channel_id": sink.room, "message": body["message"]}, True


def teams(request: Receive, body: dict, content: bytes) -> tuple[int, object, bool]:
    """The webhook of a workflow: a message with Adaptive Cards of at most 28 KB; 202 with nothing."""
    if len(content) > 28 * 1024:
        return 413, "RequestEntityTooLarge", False
    cards = [
        attachment.get("content", {})
        for attachment in body.get("attachments", [])
        if attachment.get("contentType") == "application/vnd.microsoft.card.adaptive"
    ]
    is_right = body.get("type") == "message" and cards and all(map(is_card, cards))
    return (202, "", True) if is_right else (400, "InvalidRequestContent", False)


def is_card(card: dict) -> bool:
    """Whether Teams shows it: an Adaptive Card of 1.4 or 1.5 whose blocks and actions are such."""
    blocks, actions = card.get("body", []), card.get("actions", [])
    return (
        card.get("type") == "AdaptiveCard"
        and card.get("version") in ("1.4", "1.5")
        and bool(blocks)
        and all(block["type"] == "RichTextBlock" and block["inlines"] for block in blocks)
        and all(run["type"] == "TextRun" and run["text"] for block in blocks for run in block["inlines"])
        and all(action["type"] == "Action.OpenUrl" and action["url"] for action in actions)
    )


SERVICES = {"slack": slack, "mattermost": mattermost, "teams": teams}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--secret", default="")
    parser.add_argument("--status", type=int, default=204)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--service", choices=["webhook", *SERVICES], default="webhook")
    parser.add_argument("--token", default="")
    parser.add_argument("--room", default="")
    args = parser.parse_args()
    options = {name: value for name, value in vars(args).items() if name not in ("port", "dir")}
    sink = Sink(args.port, args.dir, **options)
    print("ready", flush=True)
    sink.serve_forever()


if __name__ == "__main__":
    main()
