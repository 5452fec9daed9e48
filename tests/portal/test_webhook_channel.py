"""The second channel: what a receiver gets, what its answer means, and whom a slow one holds up."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from standardwebhooks import Webhook, WebhookVerificationError

from portal import claims, outbox
from portal.channels import calls, guard, webhook
from portal.channels.base import Rendered, storable
from portal.models import Endpoint, OutboxMessage, User
from tests.conftest import T0
from tests.portal.test_outbox import at_once
from tests.webhook_sink import Sink

pytestmark = pytest.mark.django_db
State = OutboxMessage.State


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


def render(message: OutboxMessage) -> Rendered:
    words = message.facts
    text = words.get("text", "Text.\n")
    return Rendered(words.get("subject", message.dedupe_key), text, "<p>Text.</p>", url=words.get("url", ""))


@pytest.fixture(autouse=True)
def _kind(monkeypatch):
    kind = outbox.MessageKind("plain", render, lambda message: message.facts.get("why_not", ""))
    monkeypatch.setitem(outbox.KINDS, "plain", kind)


@pytest.fixture
def ada(db):
    return User.objects.create_user("ada@acme.example", name="Ada")


def queue(endpoint, key, person=None, **more) -> OutboxMessage:
    assert outbox.enqueue(
        "plain", person, now=T0, dedupe_key=key, channel="webhook", endpoint=endpoint, **more
    )
    return row(key)


def row(key) -> OutboxMessage:
    return OutboxMessage.objects.get(dedupe_key=key)


def sweep() -> outbox.SweepReport:
    return outbox.sweep(T0, channel="webhook")


# --- what arrives ---


def test_a_receiver_gets_what_the_standard_says(receiver, ada):
    sink = receiver()
    message = queue(
        sink.endpoint, "one", ada, subject_key="INC-7", facts={"url": "https://portal.example/INC-7"}
    )
    sweep()
    [got] = sink.received()
    assert got["path"] == "/rooms/hush-hush?token=hush-hush"
    assert got["headers"]["Host"] == sink.host
    assert got["headers"]["Content-Type"] == "application/json"
    assert got["headers"]["webhook-id"] == message.message_id.strip("<>")
    assert got["headers"]["webhook-timestamp"] == str(int(T0.timestamp()))
    assert got["body"] == {
        "type": "plain",
        "timestamp": "2026-03-03T10:00:00Z",
        "data": {
            "id": message.message_id.strip("<>"),
            "about": "INC-7",
            "subject": "one",
            "text": "Text.\n",
            "url": "https://portal.example/INC-7",
            "person": {"name": "Ada", "email": "ada@acme.example"},
            "is_automatic": True,
        },
    }


def test_without_a_person_and_a_page_it_says_so(receiver):
    sink = receiver()
    queue(sink.endpoint, "one", is_automatic=False)
    sweep()
    [got] = sink.received()
    assert got["body"]["data"]["person"] is None
    assert "url" not in got["body"]["data"]
    assert got["body"]["data"]["is_automatic"] is False


@pytest.mark.parametrize("text", ["Gül says: down 🎉\n", "a\0b", "half \ud800 of it", "x" * 300_000])
def test_any_text_is_signed_as_it_is_sent(receiver, text, monkeypatch):
    sink = receiver()
    sink.secret = sink.endpoint.secret
    monkeypatch.setitem(
        outbox.KINDS, "plain", outbox.MessageKind("plain", lambda m: Rendered(text, text, ""), lambda m: "")
    )
    queue(sink.endpoint, "one")
    sweep()
    [got] = sink.received()
    assert got["body"]["data"]["text"] == row("one").text == storable(text)
    assert "\n" not in got["body"]["data"]["subject"]


def test_another_secret_or_another_body_does_not_verify(ada):
    message = OutboxMessage(kind="plain", recipient=ada, dedupe_key="one")
    secret = Endpoint(name="Room").secret
    content = webhook.body(message, Rendered("S", "T", ""))
    headers = webhook.headers_of(message, content, [secret])
    assert Webhook(secret).verify(content, headers)["type"] == "plain"
    for changed in (content.replace("plain", "other"), content + " "):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(changed, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(Endpoint(name="Room").secret).verify(content, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(content, headers | {"webhook-id": "other"})


def test_a_retry_bears_the_same_id_and_a_new_time(receiver, clock):
    sink = receiver()
    sink.status = 500
    queue(sink.endpoint, "one")
    sweep()
    sink.status = 200
    clock.shift(10)
    sweep()
    [got] = sink.received()
    assert got["headers"]["webhook-id"] == row("one").message_id.strip("<>")
    assert got["headers"]["webhook-timestamp"] == str(int(T0.timestamp()) + 10)
    assert got["body"]["timestamp"] == "2026-03-03T10:00:00Z"
    assert (row("one").state, row("one").attempts) == (State.SENT, 2)


def test_what_was_sent_is_kept_without_a_secret(receiver, ada, caplog):
    sink = receiver(status=200)
    caplog.set_level("DEBUG")
    queue(sink.endpoint, "one", ada)
    sweep()
    kept = row("one")
    assert (kept.address, kept.subject, kept.text, kept.answer) == (
        f"http://{sink.host}/",
        "one",
        "Text.\n",
        "200 OK",
    )
    assert kept.headers["webhook-id"] == kept.message_id.strip("<>")
    shown = json.dumps(OutboxMessage.objects.values().get(), default=str) + caplog.text
    assert "hush" not in shown
    assert sink.endpoint.secret not in shown
    assert "v1," not in shown


# --- what an answer means ---

VERDICTS = {
    **dict.fromkeys([200, 201, 202, 204, 299], State.SENT),
    **dict.fromkeys([301, 302, 303, 307, 308, 304], State.QUEUED),
    **dict.fromkeys([400, 401, 403, 404, 405, 410, 413, 422], State.SET_ASIDE),
    **dict.fromkeys([408, 409, 425, 429], State.QUEUED),
    **dict.fromkeys([500, 502, 503, 504, 599], State.QUEUED),
}


@pytest.mark.parametrize("status", VERDICTS)
def test_a_status_means_what_it_says_and_no_redirect_is_followed(receiver, status):
    sink = receiver(status=status)
    queue(sink.endpoint, "one")
    sweep()
    assert row("one").state == VERDICTS[status]
    assert (row("one").state_reason or row("one").answer).startswith(str(status))
    assert sink.connections == 1


def test_a_redirect_inside_is_not_followed(receiver, settings, tmp_path):
    with Sink(0, tmp_path / "inner") as inner:
        sink = receiver(status=307)
        Endpoint.objects.update(url=f"http://{sink.host}//{inner.host}/")  # which the sink gives as Location
        queue(sink.endpoint, "one")
        sweep()
        assert (row("one").state, inner.connections) == (State.QUEUED, 0)


class Raw(threading.Thread):
    """A receiver that answers each request with the chunks of `answer`, one every `pause` seconds.

    It begins when `until()` says so, and in any case after two seconds.
    """

    def __init__(
        self,
        *answer: bytes,
        pause: float = 0.0,
        is_endless: bool = False,
        until: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(daemon=True)
        self.answer, self.pause, self.is_endless, self.until = answer, pause, is_endless, until
        self.was_answered_in_time = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.sent = 0
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _address = self.listener.accept()
                with line, contextlib.suppress(OSError):
                    self.serve(line)

    def serve(self, line: socket.socket) -> None:
        self.asked = line.recv(65536)
        for _ in range(100):
            self.was_answered_in_time = self.until()
            if self.was_answered_in_time:
                break
            time.sleep(0.02)
        for chunk in self.chunks():
            line.sendall(chunk)
            self.sent += len(chunk)
            time.sleep(self.pause)

    def chunks(self):
        yield from self.answer
        while self.is_endless:
            yield self.answer[-1]


@pytest.fixture
def raw(settings):
    """Make such receivers: `raw(b"HTTP/1.1 200 OK")` is the endpoint of a running one, that one in `.server`."""
    with contextlib.ExitStack() as stack:

        def make(*answer: bytes, **options) -> Endpoint:
            server = Raw(*answer, **options)
            stack.callback(server.join, 5)
            stack.callback(server.listener.close)
            stack.callback(server.listener.shutdown, socket.SHUT_RDWR)
            settings.WEBHOOK_ALLOWED_HOSTS = [*settings.WEBHOOK_ALLOWED_HOSTS, server.host]
            endpoint = Endpoint.objects.create(name="Raw", url=f"http://{server.host}/hush")
            endpoint.server = server
            return endpoint

        yield make


NO_ANSWERS = {
    "the line dropped": [b""],
    "no HTTP": [b"220 mail.example ESMTP\r\n"],
    "headers without end": [b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"x" * 60_000 + b"\r\n"] + [b"X: y\r\n"] * 200,
    "an endless line": [b"HTTP/1.1 200 OK\r\n", b"X" * 200_000],
    "a status of letters": [b"HTTP/1.1 abc OK\r\n\r\n"],
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_is_tried_again(raw, name):
    queue(raw(*NO_ANSWERS[name]), "one")
    sweep()
    assert (row("one").state, row("one").attempts) == (State.QUEUED, 1)
    assert "hush" not in row("one").state_reason


@pytest.mark.parametrize(
    "body", [b"Content-Length: 999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_no_more_than_so_much_of_an_answer_is_read(raw, body):
    endpoint = raw(b"HTTP/1.1 200 OK\r\n" + body, b"FFFF\r\n" + b"x" * 0xFFFF + b"\r\n", is_endless=True)
    queue(endpoint, "one")
    sweep()
    assert row("one").state == State.SENT
    assert endpoint.server.sent < 8 * 1024 * 1024  # what the buffers of both machines take
    assert len(row("one").answer) < 300


NONSENSE = {
    "no chunk": b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\nx\r\n",
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-5\r\nx\r\n",
    "a chunk without end": b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFF\r\nx",
    "a line without end": b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
    "both lengths": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 9\r\n\r\nabc",
    "a negative length": b"Content-Length: -1\r\n\r\nabc",
    "a length of letters": b"Content-Length: many\r\n\r\nabc",
    "less than its length": b"Content-Length: 999\r\n\r\nabc",
    "packed nonsense": b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    "no body": b"\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_the_status_counts_whatever_follows(raw, name):
    queue(raw(b"HTTP/1.1 200 OK\r\n" + NONSENSE[name]), "one")
    sweep()
    assert row("one").state == State.SENT


def test_no_answer_is_unpacked(raw):
    bomb = gzip.compress(b"0" * 30_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    endpoint = raw(head.encode() + bomb)
    answer = calls.call(endpoint.url, b"{}", {})
    assert len(answer.body) <= min(len(bomb), calls.ANSWER_BYTES)
    assert b"accept-encoding: identity" in endpoint.server.asked.lower()


def test_what_a_path_holds_stays_on_its_line(raw):
    endpoint = raw(b"HTTP/1.1 204 No Content\r\n\r\n")
    calls.call(f"{endpoint.url}%0d%0aX-Evil:%201?a=%0a", b"{}", {})
    lines = endpoint.server.asked.split(b"\r\n")
    assert lines[0] == b"POST /hush%0d%0aX-Evil:%201?a=%0a HTTP/1.1"
    assert not any(line.lower().startswith(b"x-evil") for line in lines)


def test_an_endless_answer_of_1xx_is_no_answer(raw, monkeypatch):
    monkeypatch.setattr(calls, "TOTAL_SECONDS", 0.3)
    queue(raw(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01, is_endless=True), "one")
    sweep()
    assert row("one").state == State.QUEUED
    assert row("one").state_reason == "the receiver took longer than 0.3 s"


def test_a_receiver_that_drips_is_cut_off(raw, monkeypatch):
    monkeypatch.setattr(calls, "TOTAL_SECONDS", 0.3)
    queue(raw(b"HTTP/1.1 ", b"x", pause=0.02, is_endless=True), "one")
    sweep()
    assert row("one").state_reason == "the receiver took longer than 0.3 s"


def test_a_status_that_was_said_counts_though_the_rest_drips(raw, monkeypatch):
    monkeypatch.setattr(calls, "TOTAL_SECONDS", 0.3)
    queue(raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x", pause=0.02, is_endless=True), "one")
    sweep()
    assert row("one").state == State.SENT


def test_a_silent_receiver_ends_by_the_time_out_of_the_line(raw, monkeypatch):
    monkeypatch.setattr(guard, "CONNECT_SECONDS", 0.2)
    queue(raw(b"", pause=2), "one")
    sweep()
    assert row("one").state_reason == "the receiver did not answer in time"


def test_a_call_never_outlasts_its_lease():
    assert calls.TOTAL_SECONDS < claims.WEBHOOK_LEASE_SECONDS
    assert guard.CONNECT_SECONDS <= calls.TOTAL_SECONDS


def test_a_call_opens_no_line_of_its_own():
    with pytest.raises(http.client.NotConnected):
        calls.Call("127.0.0.1", free_port()).request("POST", "/")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_refused_connection_spares_the_endpoint_for_a_while(settings, clock):
    host = f"127.0.0.1:{free_port()}"
    settings.WEBHOOK_ALLOWED_HOSTS = [host]
    endpoint = Endpoint.objects.create(name="Down", url=f"http://{host}/")
    for key in ("one", "two", "three"):
        queue(endpoint, key)
    assert sweep().retried == 1
    assert (row("one").attempts, row("two").attempts) == (1, 0)
    assert row("two").state_reason == outbox.NOBODY_ANSWERS
    assert row("two").next_attempt_at == T0 + timedelta(seconds=10)
    clock.shift(10)
    sweep()
    assert (row("one").attempts, row("two").attempts) == (1, 1) or row("one").attempts == 2


# --- encryption ---


@pytest.fixture
def secure(settings, tmp_path, monkeypatch):
    """A receiver by https as hooks.test, its certificate trusted; `.names` are the names asked for (SNI)."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 9999 -subj /CN=hooks.test -addext subjectAltName=DNS:hooks.test"
    command = ["openssl", *words.split(), "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda line, name, context: names.append(name)
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(calls, "tls", lambda: trusting)
    with Sink(0, tmp_path / "kept") as sink:
        port = sink.server_address[1]
        sink.socket = context.wrap_socket(sink.socket, server_side=True)
        monkeypatch.setattr(sink, "handle_error", lambda *details: None)
        answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: answer)
        settings.WEBHOOK_ALLOWED_HOSTS = [f"hooks.test:{port}", f"other.test:{port}"]
        sink.port, sink.names = port, names
        yield sink


def test_the_checked_address_is_asked_for_by_its_name(secure):
    queue(Endpoint.objects.create(name="Room", url=f"https://hooks.test:{secure.port}/x"), "one")
    sweep()
    assert row("one").state == State.SENT
    assert secure.names == ["hooks.test"]
    assert secure.received()[0]["headers"]["Host"] == f"hooks.test:{secure.port}"


@pytest.mark.parametrize(
    ("url", "host"), [("https://a.example/x", "a.example"), ("https://a.example:8443/", "a.example:8443")]
)
def test_the_host_is_named_as_everybody_names_it(url, host):
    """Some receivers do not know themselves by `name:443`."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        answer = calls._ask(guard.check(url), ours, b"{}", {})
        assert (answer.status, answer.words, answer.body) == (204, "No Content", b"")
        assert f"\r\nHost: {host}\r\n".encode() in theirs.recv(65536)


def test_a_certificate_of_another_name_is_told_nothing(secure):
    queue(Endpoint.objects.create(name="Room", url=f"https://other.test:{secure.port}/x"), "one")
    sweep()
    assert row("one").state == State.QUEUED
    assert "certificate verify failed" in row("one").state_reason
    assert secure.received() == []


def test_a_certificate_that_nobody_vouches_for_is_told_nothing(secure, monkeypatch):
    monkeypatch.setattr(calls, "tls", ssl.create_default_context)
    queue(Endpoint.objects.create(name="Room", url=f"https://hooks.test:{secure.port}/x"), "one")
    sweep()
    assert (row("one").state, secure.received()) == (State.QUEUED, [])


# --- side by side ---


def test_a_slow_receiver_holds_up_nobody_else(receiver, raw):
    """The slow one answers only once the quick one has all of its webhooks."""
    quick = receiver()
    slow = raw(b"HTTP/1.1 204 No Content\r\n\r\n", until=lambda: len(quick.received()) == 5)
    queue(slow, "slow", priority=OutboxMessage.Priority.URGENT)
    for number in range(5):
        queue(quick.endpoint, f"m{number}")
    assert sweep().sent == 6
    assert slow.server.was_answered_in_time


def test_endpoints_that_fail_never_hold_every_lane(receiver):
    failing = [
        Endpoint.objects.create(name="F", url="https://f.example/", failing_since=T0) for _ in range(20)
    ]
    for number, endpoint in enumerate(failing):
        queue(endpoint, f"f{number}", priority=OutboxMessage.Priority.URGENT)
        queue(endpoint, f"g{number}", priority=OutboxMessage.Priority.URGENT)
    assert len(claims.claim_webhooks(T0, 16)) == claims.FAILING_LANES
    assert claims.claim_webhooks(T0, 8) == []
    quick = receiver()
    queue(quick.endpoint, "quick")
    assert [message.dedupe_key for message in claims.claim_webhooks(T0, 8)] == ["quick"]


def test_one_endpoint_gets_its_webhooks_in_order_and_one_at_a_time(receiver):
    sink = receiver()
    for number in range(30):
        queue(sink.endpoint, f"m{number:02}")
    queue(sink.endpoint, "urgent", priority=OutboxMessage.Priority.URGENT)
    assert sweep().sent == 31
    subjects = [got["body"]["data"]["subject"] for got in sink.received()]
    assert subjects == ["urgent", *(f"m{number:02}" for number in range(30))]


def test_while_an_endpoint_is_being_called_no_other_worker_calls_it(receiver, clock):
    first, second = receiver(), receiver()
    for key, sink in (("a1", first), ("a2", first), ("b1", second)):
        queue(sink.endpoint, key)
    [a1] = claims.claim_webhooks(T0, 1)
    assert a1.dedupe_key == "a1"
    assert [m.dedupe_key for m in claims.claim_webhooks(T0, 9)] == ["b1"]
    assert claims.claim_webhooks(T0, 9) == []
    later = T0 + timedelta(seconds=claims.WEBHOOK_LEASE_SECONDS)  # the worker was killed
    assert {m.dedupe_key for m in claims.claim_webhooks(later, 9)} == {"a1", "b1"}


def test_a_message_to_a_busy_endpoint_hides_no_other_endpoint(receiver, monkeypatch):
    monkeypatch.setattr(claims, "LOOK_AHEAD", 3)
    first, second = receiver(), receiver()
    for number in range(5):
        queue(first.endpoint, f"a{number}")
    queue(second.endpoint, "b")
    assert [m.dedupe_key for m in claims.claim_webhooks(T0, 9)] == ["a0"]
    assert [m.dedupe_key for m in claims.claim_webhooks(T0, 9)] == ["b"]


def test_a_worker_that_stops_still_notes_what_it_has_sent(receiver, monkeypatch):
    first, second = receiver(), receiver(slow=0.3)
    conclude = outbox._conclude

    def stop_at_the_first(message, *details):
        conclude(message, *details)
        if message.dedupe_key == "one":
            raise SystemExit

    monkeypatch.setattr(outbox, "_conclude", stop_at_the_first)
    queue(second.endpoint, "two", priority=OutboxMessage.Priority.URGENT)
    queue(first.endpoint, "one")
    with pytest.raises(SystemExit):
        sweep()
    assert (row("one").state, row("two").state) == (State.SENT, State.SENT)


def test_poison_to_a_room_is_set_aside_and_the_others_go(receiver, monkeypatch, clock):
    sink = receiver()

    def break_(message):
        raise RuntimeError("the template is broken")

    monkeypatch.setitem(outbox.KINDS, "broken", outbox.MessageKind("broken", break_, lambda message: ""))
    outbox.enqueue("broken", None, now=T0, dedupe_key="poison", channel="webhook", endpoint=sink.endpoint)
    queue(sink.endpoint, "good")
    for seconds in (0, 10, 30):
        clock.shift(seconds)
        sweep()
    assert (row("poison").state, row("good").state) == (State.SET_ASIDE, State.SENT)


# --- asked again at send time ---


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("endpoint", "the endpoint is not active any more"),
        ("person", "the endpoint is not active any more"),
        ("organisation", "the endpoint is not active any more"),
        ("recipient", "the recipient is not active any more"),
        ("kind", "for a reason"),
    ],
)
def test_what_changed_since_it_was_queued_is_seen_before_it_is_sent(receiver, ada, acme, change, reason):
    sink = receiver()
    Endpoint.objects.update(
        person=ada if change == "person" else None,
        **({"organisation": acme, "use": "channel"} if change == "organisation" else {}),
    )
    person = ada if change == "recipient" else None
    message = queue(sink.endpoint, "one", person, facts={"why_not": reason if change == "kind" else ""})
    if change == "endpoint":
        Endpoint.objects.update(is_active=False)
    elif change == "organisation":
        type(acme).objects.filter(pk=acme.pk).update(is_active=False)
    elif change in ("person", "recipient"):
        User.objects.filter(pk=ada.pk).update(is_active=False)
    sweep()
    message.refresh_from_db()
    assert (message.state, message.state_reason, sink.connections) == (State.DROPPED, reason, 0)


def test_fifty_sweeps_at_once_post_each_of_hundred_once(transactional_db, receiver):
    sinks = [receiver() for _ in range(4)]
    for number in range(100):
        queue(sinks[number % 4].endpoint, f"m{number}")
    at_once(50 if connection.vendor == "postgresql" else 3, sweep)
    ids = [got["headers"]["webhook-id"] for sink in sinks for got in sink.received()]
    assert (len(ids), len(set(ids))) == (100, 100)


def test_the_sink_in_its_own_process_checks_signatures(tmp_path):
    """As the benchmark and the journeys use it."""
    port, secret = free_port(), Endpoint(name="Room").secret
    command = [sys.executable, "-m", "tests.webhook_sink", "--port", str(port), "--dir", str(tmp_path)]
    sink = subprocess.Popen([*command, "--secret", secret], stdout=subprocess.PIPE)
    try:
        assert sink.stdout.readline().strip() == b"ready"
        content = b'{"type": "x"}'
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", content, {"webhook-id": "1"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 401
        refused.value.close()
    finally:
        sink.kill()
        sink.wait()
        sink.stdout.close()
    assert list(tmp_path.glob("*.json")) == []
