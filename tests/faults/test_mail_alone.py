"""A whole P1 by mail alone: `manage.py run`, a real SMTP server, Dovecot as our IMAP server, real time.

The customer never opens a page: the report, the questions, the answers and "down again" are mails. The
engineer answers by mail, too; what has no words (validation, intervention, resolution) is done by token.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.faults.test_moved_product import ADA, BRUNO, CAN, DENIZ, MERT, Product
from tests.faults.test_worker_kills import ROOT, engines, free_port
from tests.mail_world import imap_server

pytestmark = pytest.mark.faults
OURS = "support.briqmind.example"
SUPPORT = f"support@{OURS}"
ON_CALL = (DENIZ, "elif@briqmind.example")


class MailedProduct(Product):
    """The product with the world's mail around it, in real time."""

    def __init__(self, folder: Path, engines: dict[str, str]) -> None:
        super().__init__(folder, engines)
        self.imap_port = free_port()
        self.environment.pop("MOVED_CLOCK")
        self.environment |= {
            "IMAP_URL": f"imap://support:secret@127.0.0.1:{self.imap_port}/INBOX",
            "IMAP_POLL_SECONDS": "1",
        }

    def __enter__(self) -> MailedProduct:
        world = [sys.executable, "-m", "tests.mail_world", "--port", str(self.mail_port)]
        world += ["--dir", str(self.folder / "world"), "--domain", OURS]
        self.sink = subprocess.Popen(world, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.sink.stdout.readline().strip() == b"ready"
        self.imap = imap_server(
            self.folder / "dovecot", self.folder / "world" / "maildir", self.imap_port, "secret"
        )
        self.imap.__enter__()
        self.log = (self.folder / "log").open("wb")
        command = [sys.executable, "manage.py", "run"]
        self.product = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=self.log, stderr=self.log
        )
        self.wait(lambda: self.status("/readyz") == 200, "it is not ready")
        return self

    def __exit__(self, *_error) -> None:
        self.imap.__exit__(None, None, None)
        super().__exit__(*_error)

    # --- mails, as their readers have them ---

    def mails_of(self, person: str) -> list[EmailMessage]:
        paths = sorted((self.folder / "world" / "inboxes" / person).glob("*.eml"))
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]

    def read(self, people: str | tuple[str, ...], words: str, subject: str = "") -> EmailMessage:
        """The mail with these words that one of the people gets; who is on call depends on the day."""

        def found():
            return [
                mail
                for person in ([people] if isinstance(people, str) else people)
                for mail in self.mails_of(person)
                if words in mail.get_body(("plain",)).get_content() and subject in mail["Subject"]
            ]

        return self.wait(found, f"no mail to {people} says {words!r}")[-1]

    def send(self, sender: str, to: str, subject: str, text: str, *, answers=None, **headers) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = sender, to, subject
        mail["Message-ID"] = email.utils.make_msgid(domain=sender.split("@")[1])
        mail["Date"] = email.utils.formatdate()
        if answers is not None:
            mail["In-Reply-To"] = answers["Message-ID"]
            mail["References"] = f"{answers['References'] or ''} {answers['Message-ID']}".strip()
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        mail.set_content(text)
        with smtplib.SMTP("127.0.0.1", self.mail_port) as connection:
            connection.send_message(mail, from_addr=sender)
        return mail

    def answer(self, person: str, mail: EmailMessage, text: str, **headers) -> EmailMessage:
        """Reply as a mail program does: to Reply-To, with the thread and the quoted original."""
        quoted = "\n".join(f"> {line}" for line in mail.get_body(("plain",)).get_content().splitlines())
        words = f"{text}\n\nOn Tue, 24 Nov 2026 at 10:00, {mail['From']} wrote:\n{quoted}\n"
        return self.send(person, mail["Reply-To"], f"Re: {mail['Subject']}", words, answers=mail, **headers)


@pytest.fixture(scope="module")
def product():
    if not (shutil.which("dovecot") or Path("/usr/sbin/dovecot").exists()):
        pytest.skip("Dovecot is not installed: .ci/run installs it and runs this")
    folder = Path(tempfile.mkdtemp(prefix="mail-"))
    folder.chmod(0o755)  # Dovecot reads as nobody
    try:
        with engines(folder) as where, MailedProduct(folder, where) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def incidents_titled(product, title):
    found = product.call(MERT, "incidents/?q=" + title.replace(" ", "+"))["results"]
    return [row for row in found if row["title"] == title]


def test_a_p1_is_held_by_mail_alone(product):
    product.send(CAN, SUPPORT, "[P1] Token service is down", "Every request gets a 500 since 10:02.\n")
    receipt = product.read(CAN, "Token service is down")
    reference = receipt["Subject"].split("]")[0].strip("[")
    read = product.call(CAN, f"incidents/{reference}/")
    assert (read["channel"], read["claimed_level"], read["validated_level"]) == ("mail", "P1", None)
    assert read["title"] == "Token service is down"
    product.read(ADA, "Token service is down")  # the organisation's P1 contact
    page = product.read(MERT, "Every request gets a 500")

    product.answer(CAN, receipt, "It also hits the batch API.")
    asked = product.read(ON_CALL, "It also hits the batch API.", reference)
    assert "First response: by" not in asked.get_body(("plain",)).get_content().split("It also hits")[0]
    assert product.clocks(reference, "first_response")[0]["met_at"] is None

    product.answer(MERT, page, "We see it: two nodes are gone, we fail over now.")
    answer = product.read(CAN, "two nodes are gone")
    assert answer["Auto-Submitted"] is None
    assert "Mert" in answer["From"]
    assert product.clocks(reference, "first_response")[0]["met_at"] is not None

    product.call(DENIZ, f"incidents/{reference}/level-validation/", {"level": "P1", "reason": "all is down"})
    product.call(DENIZ, f"incidents/{reference}/intervention/", {})
    product.call(DENIZ, f"incidents/{reference}/question/", {"text": "Which region do you call?"})
    question = product.read(CAN, "Which region do you call?")
    os.kill(product.child("worker"), signal.SIGKILL)  # in the middle of it
    product.answer(CAN, question, "eu-central only.")
    product.wait(
        lambda: product.call(CAN, f"incidents/{reference}/")["status"] == "in_progress",
        "the answer by mail did not end the waiting",
    )
    product.call(DENIZ, f"incidents/{reference}/status-updates/", {"summary": "Failover runs."})
    product.read(CAN, "Failover runs.")
    product.call(DENIZ, f"incidents/{reference}/resolution/", {"cause": "A disk.", "remedy": "Replaced it."})
    resolved = product.read(CAN, "Replaced it.")
    product.answer(CAN, resolved, "It is down again.")
    product.wait(
        lambda: product.call(CAN, f"incidents/{reference}/")["cycle"] == 2, "the mail did not reopen it"
    )
    words = [message["text"] for message in product.call(CAN, f"incidents/{reference}/replies/")]
    assert [text for text in words if "wrote:" in text or text.startswith(">")] == []
    for text in ("It also hits the batch API.", "eu-central only.", "It is down again."):
        assert words.count(text) == 1
    roots = {mail["References"].split()[0] for mail in product.mails_of(CAN) if reference in mail["Subject"]}
    assert len(roots) == 1
    assert not any(reference in mail["Subject"] for mail in product.mails_of(BRUNO))
    assert "0 differences" in product.manage("verify_clocks")


def test_what_is_not_proven_waits_for_staff_and_tells_the_sender_nothing(product):
    product.send(CAN, SUPPORT, "[P2] Slow answers", "Latency doubled.\n")
    receipt = product.read(CAN, "Slow answers")
    reference = receipt["Subject"].split("]")[0].strip("[")
    before = len(product.mails_of(BRUNO)), len(product.mails_of("stranger@elsewhere.example"))
    product.answer(CAN, receipt, "forged words", X_Forged="yes")
    product.answer(BRUNO, receipt, "words of a stranger with the right token")
    product.send("stranger@elsewhere.example", SUPPORT, f"Re: [{reference}] anything", "let me in")
    product.send(DENIZ, receipt["Reply-To"], "Re: it", "as if staff", answers=receipt, X_Forged="yes")
    product.answer(CAN, receipt, "Thank you, we wait.")
    product.read(ON_CALL, "Thank you, we wait.", reference)
    words = str(product.call(CAN, f"incidents/{reference}/replies/"))
    for text in ("forged words", "words of a stranger", "let me in", "as if staff"):
        assert text not in words
    assert (len(product.mails_of(BRUNO)), len(product.mails_of("stranger@elsewhere.example"))) == before


def test_an_autoresponder_ends_in_silence(product):
    product.send(CAN, SUPPORT, "[P2] Loop me", "Something is odd.\n")
    receipt = product.read(CAN, "Loop me")
    reference = receipt["Subject"].split("]")[0].strip("[")
    before = len(product.mails_of(CAN))
    product.answer(CAN, receipt, "I am out of office.", Auto_Submitted="auto-replied")
    product.send(CAN, receipt["Reply-To"], "Automatic reply: " + receipt["Subject"], "Back on Monday.")
    product.send(SUPPORT, SUPPORT, "Loop", "ours to ours")
    product.answer(CAN, receipt, "A person's word.")
    product.read(ON_CALL, "A person's word.", reference)
    assert len(product.mails_of(CAN)) == before
    assert len(incidents_titled(product, "Loop me")) == 1
    assert incidents_titled(product, "Loop") == []


BOUNCE = """From: MAILER-DAEMON@mx.briqmind.example
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <{number}@mx.briqmind.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

The mail could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.briqmind.example

Final-Recipient: rfc822; {person}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b--
"""


def test_a_page_that_bounces_reaches_the_next_person_within_two_minutes(product):
    product.send(CAN, SUPPORT, "[P1] Nobody home", "All is down.\n")
    page = product.read(ON_CALL, "All is down.")
    person = page["To"]
    path = page["Return-Path"].strip("<>")
    assert path.startswith("bounce+")
    report = BOUNCE.format(to=path, person=person, number="bounce-1").replace("\n", "\r\n")
    since = time.monotonic()
    with smtplib.SMTP("127.0.0.1", product.mail_port) as connection:
        connection.sendmail("", [path], report)
    others = tuple(address for address in (*ON_CALL, MERT) if address != person)
    product.read(others, person, "could not be reached")
    assert time.monotonic() - since < 120
    reference = page["Subject"].split("]")[0].strip("[")
    events = product.call(MERT, f"incidents/{reference}/events/")
    assert [event["kind"] for event in events].count("not_reached") == 1
    assert "not_reached" not in str(product.call(CAN, f"incidents/{reference}/events/"))
