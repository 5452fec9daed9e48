"""A stand-in on the standard library, until the parser is merged."""

from __future__ import annotations

import email
import email.policy
import email.utils
import re
from collections.abc import Sequence
from email.message import EmailMessage

from incidents.intake.parsed import AuthenticationResult, DeliveryReport, ParsedFile, ParsedMail

_IDS = re.compile(r"<[^<>\s]+>")


def parse(raw: bytes, *, authserv_ids: Sequence[str]) -> ParsedMail:
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    full = _text(mail)
    path = mail.get("Return-Path")
    return ParsedMail(
        message_id=str(mail.get("Message-ID", "")).strip(),
        in_reply_to=tuple(_IDS.findall(str(mail.get("In-Reply-To", "")))),
        references=tuple(_IDS.findall(str(mail.get("References", "")))),
        from_addresses=_addresses(mail, "From"),
        from_name=email.utils.parseaddr(str(mail.get("From", "")))[0],
        recipients=_addresses(mail, "To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To"),
        envelope_from=None if path is None else str(path).strip(" <>"),
        subject=str(mail.get("Subject", "")),
        text=_new(full),
        full_text=full,
        files=tuple(
            ParsedFile(part.get_filename() or "file", part.get_payload(decode=True) or b"")  # type: ignore[arg-type]
            for part in mail.iter_attachments()
            if part.get_filename()
        ),
        automatic=_automatic(mail),
        report=_report(mail),
        authentication=_authentication(mail, authserv_ids),
    )


def _addresses(mail: EmailMessage, *names: str) -> tuple[str, ...]:
    values = [str(value) for name in names for value in mail.get_all(name, [])]
    return tuple(address.lower() for _, address in email.utils.getaddresses(values) if address)


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return str(body.get_content()).replace("\0", "").strip() if body else ""


def _new(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if re.match(r"(On .* wrote:|-- )$", line):
            break
        if not line.startswith(">"):
            lines.append(line)
    return "\n".join(lines).strip()


def _automatic(mail: EmailMessage) -> str:
    said = str(mail.get("Auto-Submitted", "no"))
    if said != "no":
        return f"Auto-Submitted: {said}"
    return f"Precedence: {mail['Precedence']}" if mail.get("Precedence") else ""


def _report(mail: EmailMessage) -> DeliveryReport | None:
    if mail.get_content_type() != "multipart/report":
        return None
    text = mail.as_string()
    action = re.search(r"^Action: (\w+)", text, re.M)
    kinds = {"failed": "bounced", "delayed": "delayed", "delivered": "delivered"}
    ids = re.findall(r"^Message-ID: (<\S+>)", text, re.M)
    return DeliveryReport(kind=kinds[action[1]] if action else "complaint", original_message_id=ids[-1])  # type: ignore[arg-type]


def _authentication(mail: EmailMessage, ours: Sequence[str]) -> AuthenticationResult:
    for value in mail.get_all("Authentication-Results", []):
        server, _, said = str(value).partition(";")
        if server.strip() in ours:
            return "pass" if "dmarc=pass" in said else "fail" if "fail" in said else "none"
    return "none"
