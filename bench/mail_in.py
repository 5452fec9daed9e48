"""Mails in per second: `python -m bench.mail_in --count 500`.

A mailbox in Dovecot (a process of its own) holds mails of a known customer, each of them proven by our
Authentication-Results and answering one incident; this process polls it as the worker does (each mail is
stored and moved) and then reads the inbox (each mail becomes a reply). Then the same by the pipe's function,
without IMAP. The database is a new one, SQLite or on the server of DATABASE_URL.
"""

from __future__ import annotations

import argparse
import mailbox
import pathlib
import tempfile
import time
from email.message import EmailMessage

from bench.outbox import database, free_port
from tests.mail_world import give, imap_server


def written(number: int, to: str, domain: str) -> bytes:
    mail = EmailMessage()
    mail["Authentication-Results"] = f"{domain}; dmarc=pass header.from=acme.example"
    mail["From"], mail["To"] = "a1@acme.example", to
    mail["Subject"], mail["Message-ID"] = "Re: API down", f"<{number}@acme.example>"
    mail.set_content(
        f"Reading {number}: still failing.\n\nOn Tue, 24 Nov 2026, Support wrote:\n> Any news?\n"
    )
    return mail.as_bytes()


def an_incident() -> str:
    """An open incident; the reply address that its reporter was given."""
    from django.utils import timezone

    from incidents.models import ReplyAddress
    from tests import factories

    reporter = factories.person("a1@acme.example", "Ada", factories.organisation("Acme"), "member")
    factories.agent("g1@briqmind.example", "Gül")
    made = factories.incident(reporter, timezone.now())
    return ReplyAddress.objects.get_or_create(incident=made, recipient=reporter)[0].address


def measure(what: str, count: int, work) -> None:
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    print(f"{what:<42}{count:>7} mails {seconds:>7.1f} s {count / seconds:>8.1f} a second", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="mail-in-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # Dovecot reads as nobody
        with database(folder / "var"):
            run(folder, count)


def run(folder: pathlib.Path, count: int) -> None:
    from django.conf import settings
    from django.utils import timezone

    from incidents.intake import inbox, mail
    from incidents.intake import mailbox as box
    from incidents.models import Message

    address, domain = an_incident(), settings.MAIL_DOMAIN
    maildir = folder / "maildir"
    ours = mailbox.Maildir(maildir)
    for number in range(count):
        ours.add(written(number, address, domain))
    give(maildir, *maildir.iterdir(), *(maildir / "new").iterdir())
    port = free_port()
    settings.IMAP_URL = f"imap://support:secret@127.0.0.1:{port}/INBOX"
    with imap_server(folder / "dovecot", maildir, port, "secret"):
        measure("IMAP: fetched, stored, moved", count, lambda: drained(box, timezone))
    measure("inbox: read, threaded, proven, replied", count, lambda: inbox.sweep(timezone.now()))
    raws = [written(count + number, address, domain) for number in range(count)]
    measure(
        "pipe: stored and read at once",
        count,
        lambda: [
            inbox.process(mail.receive(raw, via="pipe", received_at=timezone.now()).pk, timezone.now())
            for raw in raws
        ],
    )
    print(f"{Message.objects.filter(channel='mail').count()} replies of {2 * count} mails")


def drained(box, timezone) -> None:
    """Poll until nothing is left, as the beat would."""
    while box.poll(timezone.now()):
        pass


if __name__ == "__main__":
    main()
