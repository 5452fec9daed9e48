"""Mails and webhooks out per second: `python -m bench.outbox --count 1000`.

One worker (this process) sweeps a new database, SQLite or a new one on the server of DATABASE_URL, against
an SMTP server and a receiver of webhooks on loopback, each in a process of its own. The last lines are the
same with one receiver that takes three seconds for each answer, and with no mail server at all.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

ROOT = pathlib.Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(module: str, folder: pathlib.Path, *options: str) -> Iterator[int]:
    """A server in a process of its own; yields its port once it is ready."""
    port = free_port()
    command = [sys.executable, "-m", module, "--port", str(port), "--dir", str(folder), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as running:
        try:
            running.stdout.readline()  # it says that it is ready
            yield port
        finally:
            running.kill()


@contextlib.contextmanager
def database(folder: pathlib.Path) -> Iterator[None]:
    """Django on a database of the run's own, wherever DATABASE_URL leads; gone afterwards."""
    os.environ |= {"DJANGO_SETTINGS_MODULE": "portal.settings", "DEBUG": "true", "VAR_DIR": str(folder)}
    os.environ["DATABASE_POOL"] = "false"
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(folder / "bench.sqlite3")
    settings.CELERY_BROKER_URL = "memory://"
    made = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0)


def fill(count: int, *, channel: str, endpoints: list, next_channels: Sequence[str] = ()) -> None:
    """Queue `count` messages, in turn to each of the endpoints, instead of those of before."""
    from django.utils import timezone

    from portal.models import OutboxMessage, User

    now = timezone.now()
    person, _made = User.objects.get_or_create(email="ada@acme.example", defaults={"name": "Ada"})
    OutboxMessage.objects.all().delete()
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            kind="bench",
            channel=channel,
            recipient=person,
            endpoint=endpoints[number % len(endpoints)],
            next_channels=list(next_channels),
            dedupe_key=f"bench:{number}",
            created_at=now,
            next_attempt_at=now,
        )
        for number in range(count)
    )


def measure(name: str, channel: str) -> None:
    """Sweep until all is sent; print how many a second that were, as the sweeping process saw it."""
    from django.utils import timezone

    from portal import outbox

    began = time.perf_counter()
    report = outbox.sweep(timezone.now(), channel=channel, budget=timedelta(minutes=10))
    took = time.perf_counter() - began
    print(f"{name}: {report}; {report.sent / took:.0f} a second, {took:.1f} s")


def run(count: int, *, mails: int, posts: int, slow: int, secret: str) -> None:
    """The measurements, in order; the arguments but the first are the servers' ports, and their secret."""
    from django.conf import settings

    from portal import outbox
    from portal.channels.base import Rendered
    from portal.models import Endpoint, OutboxMessage

    text = "The failover runs.\n" * 40
    outbox.register(
        outbox.MessageKind("bench", lambda m: Rendered("Update", text, f"<p>{text}</p>"), lambda m: "")
    )
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mails
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    urls = [f"http://127.0.0.1:{posts}/{number}" for number in range(8)]
    rooms = [Endpoint.objects.create(name="Room", url=url, secret=secret) for url in urls]
    crawling = Endpoint.objects.create(name="Slow", url=f"http://127.0.0.1:{slow}/")

    fill(count, channel="email", endpoints=[None])
    measure("mails", "email")
    fill(count, channel="webhook", endpoints=rooms[:1])
    measure("webhooks to one endpoint", "webhook")
    fill(count, channel="webhook", endpoints=rooms)
    measure("webhooks to eight endpoints", "webhook")
    fill(count, channel="webhook", endpoints=rooms)
    OutboxMessage.objects.filter(dedupe_key="bench:0").update(endpoint=crawling)
    measure("the same, one of them to an endpoint that takes 3 s", "webhook")
    settings.EMAIL_PORT = free_port()
    fill(count, channel="email", next_channels=["webhook"], endpoints=rooms)
    measure("mails without a mail server", "email")
    measure("what fell back to webhooks", "webhook")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        mails = stack.enter_context(server("tests.smtp_sink", folder / "mails"))
        posts = stack.enter_context(server("tests.webhook_sink", folder / "posts", "--secret", secret))
        slow = stack.enter_context(server("tests.webhook_sink", folder / "slow", "--slow", "3"))
        with database(folder):
            run(count, mails=mails, posts=posts, slow=slow, secret=secret)
        arrived = [len(list((folder / kind).iterdir())) for kind in ("mails", "posts", "slow")]
        print("arrived: {} mails, {} webhooks, {} more slowly".format(*arrived))


if __name__ == "__main__":
    main()
