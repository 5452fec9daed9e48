"""How the corpus's mails are put together, and what is expected of each.

Every case is one mail as bytes and its expectation on each axis. Only example domains (RFC 2606).
`python -m tests.corpus.build DIR` writes them as .eml files for a mail client to open.
"""

import base64
import sys
from dataclasses import dataclass, field
from pathlib import Path

SENDER = "ayse@kunde.example"
DESK = "support@desk.example"
ASKED = "<ask.7@desk.example>"
OURS = "mx.desk.example"

# What our own mail said, as it comes back quoted: these words are old in every reply.
OLD = "We have started to look into the failing logins. The engineer on duty is Mehmet Oz."
OLD_WORDS = ("failing logins", "engineer on duty", "Mehmet Oz")


@dataclass(frozen=True)
class Report:
    kind: str
    recipient: str = ""
    status: str = ""
    original: str = ""


@dataclass(frozen=True)
class Case:
    """A mail and what must be read from it. `new`: words that must be in the text; `old`: words that must not."""

    name: str
    raw: bytes
    new: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    sender: tuple[str, ...] = (SENDER,)
    automatic: bool = False
    report: Report | None = None
    files: tuple[tuple[str, bool], ...] = ()  # name, is inline
    thread: tuple[str, ...] = ()  # In-Reply-To, then References
    authentication: str = "none"
    subject: str | None = None
    notices: tuple[str, ...] = field(default=())  # words of a notice that must be given


def head(
    subject: str = "Re: [INC-1042] Login fails",
    *,
    sender: str = f"Ayse Kaya <{SENDER}>",
    to: str = DESK,
    message_id: str = "<reply.1@kunde.example>",
    replies_to: str | None = ASKED,
    extra: str = "",
) -> str:
    thread = f"In-Reply-To: {replies_to}\nReferences: {replies_to}\n" if replies_to else ""
    return (
        f"{extra}From: {sender}\nTo: {to}\nSubject: {subject}\nMessage-ID: {message_id}\n"
        f"Date: Mon, 2 Mar 2026 11:15:00 +0300\n{thread}MIME-Version: 1.0\n"
    )


def text(body: str, header: str | None = None, *, charset: str = "utf-8", extra: str = "") -> bytes:
    """A mail of one text/plain part, sent as it is."""
    field_ = f'Content-Type: text/plain; charset="{charset}"{extra}\nContent-Transfer-Encoding: 8bit\n\n'
    return (head() if header is None else header).encode() + field_.encode() + body.encode(charset)


def html(body: str, header: str | None = None) -> bytes:
    """A mail of one text/html part."""
    field_ = "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    return (
        (head() if header is None else header).encode() + field_.encode() + base64.encodebytes(body.encode())
    )


def part(body: str | bytes, kind: str = "text/plain; charset=utf-8", extra: str = "") -> bytes:
    data = body.encode() if isinstance(body, str) else body
    if not kind.startswith(("multipart/", "message/")):
        extra += "Content-Transfer-Encoding: base64\n"
        data = base64.encodebytes(data)
    return f"Content-Type: {kind}\n{extra}\n".encode() + data


def multi(parts: list[bytes], kind: str = "mixed", header: str | None = None, extra: str = "") -> bytes:
    """A multipart mail, or with header "" a multipart part of one."""
    boundary = f"=_{kind}_{sum(map(len, parts))}"
    top = f'{head() if header is None else header}Content-Type: multipart/{kind}{extra}; boundary="{boundary}"\n\n'
    mark = f"--{boundary}".encode()
    return top.encode() + b"".join(mark + b"\n" + one.rstrip(b"\n") + b"\n" for one in parts) + mark + b"--\n"


def reply(name: str, body: str, *new: str, is_html: bool = False, **more) -> Case:
    """A person's answer to ASKED, whose old words must be gone."""
    make = html if is_html else text
    old = more.pop("old", OLD_WORDS)
    return Case(name, make(body, more.pop("header", None)), new=new, old=old, thread=(ASKED, ASKED), **more)


def cases() -> list[Case]:
    from tests.corpus import (
        charsets,
        clients,
        files,
        languages,
        machines,
        malformed,
        people,
        postings,
        unseen,
    )

    groups = (clients, languages, postings, people, charsets, files, machines, malformed, unseen)
    return [case for group in groups for case in group.CASES]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases(), 1):
        (folder / f"{number:03} {case.name.replace('/', '-')}.eml").write_bytes(case.raw)
