"""The world's mail in two processes: an SMTP server that is everybody's MTA, and Dovecot as our IMAP server.

`python -m tests.mail_world --port N --dir D --domain OURS` takes every mail. One to OURS gets what a border
MTA writes on top (Authentication-Results after a look at who handed it in, Received, Return-Path) and lands
in a Maildir that Dovecot serves; any other is kept as a file in its recipient's folder. A mail is proven
when the sender signed in as an address of the From domain; `X-Forged: yes` in it makes a check fail.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email
import email.utils
import mailbox
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

from aiosmtpd.controller import Controller


class World:
    """Delivers, before it answers 250."""

    def __init__(self, folder: pathlib.Path, domain: str) -> None:
        self.folder, self.domain = folder, domain
        self.maildir = folder / "maildir"
        self.ours = mailbox.Maildir(self.maildir)
        give(self.maildir, *self.maildir.iterdir())

    async def handle_DATA(self, server, session, envelope):
        for recipient in envelope.rcpt_tos:
            if recipient.rsplit("@", 1)[-1].lower() == self.domain:
                key = self.ours.add(self.stamped(envelope, recipient))
                give(self.maildir / "new" / key)
            else:
                self.keep(recipient, envelope)
        return "250 kept"

    def keep(self, recipient: str, envelope) -> None:
        inbox = self.folder / "inboxes" / recipient.lower()
        inbox.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}"
        stamped = f"Return-Path: <{envelope.mail_from}>\r\n".encode() + envelope.content
        (inbox / f"{name}.part").write_bytes(stamped)
        (inbox / f"{name}.part").rename(inbox / f"{name}.eml")

    def stamped(self, envelope, recipient: str) -> bytes:
        """What our border MTA writes above what the sender wrote."""
        parsed = email.message_from_bytes(envelope.content)
        author = email.utils.parseaddr(parsed["From"] or "")[1]
        domain = author.rsplit("@", 1)[-1]
        verdict = "fail" if parsed["X-Forged"] else "pass"
        top = (
            f"Return-Path: <{envelope.mail_from}>\r\n"
            f"Delivered-To: {recipient}\r\n"
            f"Authentication-Results: {self.domain}; dmarc={verdict} header.from={domain}\r\n"
            f"Received: from mail.{domain} by mx.{self.domain} with ESMTP\r\n"
        )
        return top.encode() + envelope.content


def mail_user() -> pwd.struct_passwd:
    """Whose mailbox it is: our own, or nobody's where we are root, for Dovecot serves no mail of root's."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def give(*paths: pathlib.Path) -> None:
    user = mail_user()
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)


DOVECOT = """
base_dir = {run}
state_dir = {run}
log_path = {folder}/log
protocols = imap
ssl = no
disable_plaintext_auth = no
default_login_user = {login_user}
default_internal_user = {login_user}
default_internal_group = {login_group}
mail_location = maildir:{maildir}
first_valid_uid = 0
first_valid_gid = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""


@contextlib.contextmanager
def imap_server(folder: pathlib.Path, maildir: pathlib.Path, port: int, password: str) -> Iterator[None]:
    """Dovecot over a Maildir, in the foreground of a process of its own, for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    is_root = os.getuid() == 0
    user = mail_user()
    config = folder / "dovecot.conf"
    run = tempfile.mkdtemp(prefix="imap-")  # short: sockets live there
    config.write_text(
        DOVECOT.format(
            folder=folder,
            run=run,
            maildir=maildir,
            port=port,
            password=password,
            uid=user.pw_uid,
            gid=user.pw_gid,
            login_user="dovenull" if is_root else user.pw_name,
            login_group="dovecot" if is_root else user.pw_name,
        )
    )
    command = [shutil.which("dovecot") or "/usr/sbin/dovecot", "-F", "-c", str(config)]
    # Its helpers outlive it by a moment: none of them may hold our pipes open.
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_greeting(port, folder / "log")
        yield
    finally:
        running.terminate()
        running.wait(10)
        shutil.rmtree(run, ignore_errors=True)


def wait_for_greeting(port: int, log: pathlib.Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as line:
            if line.recv(200).startswith(b"* OK"):
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text() if log.exists() else "Dovecot does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--domain", required=True)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    Controller(World(args.dir, args.domain), hostname="127.0.0.1", port=args.port).start()
    print("ready", flush=True)
    asyncio.new_event_loop().run_forever()


if __name__ == "__main__":
    main()
