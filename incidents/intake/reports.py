"""What a bounce, a delay or a complaint says of a mail of ours (RFC 3464, RFC 5965, and no RFC at all). PURE.

A report in the standard form is read by its fields. Other bounces are read by flufl.bounce, which knows
the texts of many servers, and only when the sender is a machine: a person may quote a bounce.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message

from flufl.bounce import all_failures

from incidents.intake import charsets
from incidents.intake.headers import addresses, message_ids, one_line
from incidents.intake.mime import Headers, Part, read_headers
from incidents.intake.parsed import DeliveryReport

MAX_SCANNED = 200_000  # bytes of a bounce's text that are looked at
_KINDS = {
    "failed": "bounced", "failure": "bounced", "fail": "bounced", "error": "bounced", "delayed": "delayed",
    "delivered": "delivered", "relayed": "delivered", "expanded": "delivered",
}  # fmt: skip
_BY_CLASS = {"5": "bounced", "4": "delayed", "2": "delivered"}
_WORST_FIRST = ("bounced", "delayed", "delivered")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_CODE = re.compile(r"(?<!\d)([45]\d\d)[ -]")
_ID_LINE = re.compile(r"^[ \t>]*(?:original-)?message-id:\s*(<[^<>\s]{3,990}>)", re.IGNORECASE | re.MULTILINE)
_MACHINE = re.compile(
    r"(?:mailer-daemon|mail-daemon|maildaemon|postmaster|microsoftexchange\w*|bounces?|mdaemon|mailadmin|mailerdaemon"
    r"|mail-?system|delivery|mta)(?:[+\-_.].*)?@.*|mailer-daemon|postmaster",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"undeliver|mail failed|failed mail|not delivered|non-delivery|failure delivery|error during delivery|processing error|user unknown|mail delivery warning|delivery (?:status|failure|has failed|problem|report|delayed|incomplete|error)|returned (?:mail|to sender)|failure notice|mail delivery|delivery notification"
    r"|could not (?:be )?deliver|non[- ]?remis|unzustellbar|nicht zugestellt|zustellung|teslim edilemedi|teslim edilemeyen|iletilemedi|iletim (?:hatası|durumu)|no se puede entregar|no entregado"
    r"|non recapitabile|mancato recapito|niet afgeleverd|onbestelbaar|não entregue|niedostarcz|nie można dostarczyć|kunde inte levereras|olevererbart|недоставлен|не доставлено|失敗|エラー|退信|无法投递|warning: (?:message|could not)|message delayed|delayed mail|échec",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"delayed|will (?:be retried|keep trying|continue to (?:try|be attempted))|still (?:undelivered|being retried)|not yet been delivered|has not been delivered (?:yet|to)|no action is required|you do not need to (?:resend|do anything)|this is a warning message only"
    r"|gecikti|verzögert|retardé|demorado|retrasad|ritardo|vertraagd|opóźn|fördröj|задерж",
    re.IGNORECASE,
)
_FAILURE = re.compile(
    r"permanent|permanently|could not be delivered|couldn't be delivered|wasn't delivered|was not delivered|unable to (?:be )?deliver|not be delivered|does not exist|doesn't exist|user unknown|unknown user|no such (?:user|address|recipient|mailbox)|mailbox (?:is )?(?:full|unavailable|not found)"
    r"|giving up|failed|rejected|address not found|undeliverable|over quota|teslim edilemedi|iletilemedi|bulunamadı|nicht zugestellt|unbekannt|introuvable|no existe|non esiste|bestaat niet|não existe|nie istnieje|finns inte|не существует|存在しません|不存在",
    re.IGNORECASE,
)
_AT_START = re.compile(r"^[ \t]*<?([^\s<>@:]{1,64}@[A-Za-z0-9.-]{3,250})>?[ \t]*(?::|$|\()", re.MULTILINE)
_ANY_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
)


def report_type(root: Part) -> str:
    """The type of a multipart/report (RFC 6522), read from its second part where the field is missing."""
    said = root.parameters.get("report-type", "").strip().lower()
    if root.kind != "multipart/report" or said:
        return said if root.kind == "multipart/report" else ""
    known = ("delivery-status", "disposition-notification", "feedback-report")
    kinds = [child.kind.partition("/")[2].removeprefix("global-") for child in root.children]
    return next((kind for kind in kinds if kind in known), "unknown")


def report_of(
    root: Part, *, subject: str, text: str, from_addresses: Iterable[str], envelope_from: str | None
) -> DeliveryReport | None:
    """The report that a mail is, or None. With several recipients the worst word counts: failed, then delayed."""
    direct = [root, *root.children]
    feedback = next((part for part in direct if part.kind == "message/feedback-report"), None)
    if feedback is not None:
        return _complaint(root, feedback)
    status = next(
        (p for p in root.walk() if p.kind in ("message/delivery-status", "message/global-delivery-status")),
        None,
    )
    if status is not None:
        found = _from_status(root, status)
        if found is not None:
            return found
    if not _is_machine(root.headers, subject, from_addresses, envelope_from):
        return None
    return _from_text(root, subject, text)


def _blocks(part: Part) -> list[Headers]:
    """A delivery-status is headers, a blank line, and headers again for each recipient (RFC 3464 §2.1)."""
    data = part.content([]).replace(b"\r\n", b"\n")[:MAX_SCANNED]
    blocks = [block for block in re.split(rb"\n[ \t]*\n", data.strip(b"\n")) if block.strip()][:200]
    return [read_headers(block, 0, len(block), [])[0] for block in blocks]


def _typed(value: str) -> str:
    """The address in "rfc822; user@example.com", in lower case."""
    value = value.rpartition(";")[2].strip()
    found = addresses(value) or addresses(value.strip("<>"))
    return found[0][1] if found else ""


def _from_status(root: Part, part: Part) -> DeliveryReport | None:
    found: list[DeliveryReport] = []
    for block in _blocks(part):
        recipient = _typed(block.first("original-recipient")) or _typed(block.first("final-recipient"))
        action = re.split(r"[^a-z]", block.first("action").strip().lower())[0]
        diagnostic = " ".join(block.first("diagnostic-code").split())[:500]
        match = _STATUS.search(block.first("status")) or _STATUS.search(diagnostic)
        status = match.group(1) if match else ""
        kind = _KINDS.get(action) or _BY_CLASS.get(status[:1], "")
        if kind and (recipient or action):
            diagnostic = re.sub(r"^[\w-]{1,20};\s*", "", diagnostic)
            found.append(
                DeliveryReport(kind, recipient, status, diagnostic, _original_id(root))  # type: ignore[arg-type]
            )
    return min(found, key=lambda report: _WORST_FIRST.index(report.kind), default=None)


def _complaint(root: Part, part: Part) -> DeliveryReport | None:
    """RFC 5965. "not-spam" is the opposite of a complaint."""
    headers = _blocks(part)[0] if _blocks(part) else Headers()
    if headers.first("feedback-type").strip().lower() == "not-spam":
        return None
    recipient = (
        _typed(headers.first("original-rcpt-to"))
        or _typed(headers.first("removal-recipient"))
        or next((_typed(value) for value in _returned(root).all("to")), "")
    )
    return DeliveryReport(
        "complaint", recipient, "", headers.first("feedback-type").strip()[:100], _original_id(root)
    )


def _returned(root: Part) -> Headers:
    """The header of the mail that came back with a report."""
    for part in root.walk():
        if part.kind in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"):
            content = part.content([])[:MAX_SCANNED].lstrip()
            return read_headers(content, 0, len(content), [])[0]
    return Headers()


def _original_id(root: Part, text: str = "") -> str:
    ids = message_ids(_returned(root).first("message-id"))
    if ids:
        return ids[0]
    match = _ID_LINE.search(text)
    if match:
        return match.group(1)
    named = message_ids(root.headers.first("in-reply-to")) or message_ids(root.headers.first("references"))
    return named[-1] if named else ""


def _is_machine(
    headers: Headers, subject: str, from_addresses: Iterable[str], envelope_from: str | None
) -> bool:
    """Whether a server may have written it. A null path alone is any automatic answer's."""
    if "x-failed-recipients" in headers:
        return True
    senders = [*from_addresses, envelope_from or ""]
    is_daemon = _MACHINE.search(headers.first("from").split("<")[0]) is not None
    is_daemon = is_daemon or any(_MACHINE.fullmatch(address) for address in senders)
    if any(address.startswith(("mailer-daemon", "mail-daemon", "mdaemon")) for address in from_addresses):
        return True
    return (is_daemon or envelope_from == "") and (
        _SUBJECT.search(subject) is not None or (is_daemon and envelope_from in ("", None))
    )


def _from_text(root: Part, subject: str, text: str) -> DeliveryReport | None:
    scanned = text[:MAX_SCANNED]
    named = addresses(root.headers.first("x-failed-recipients"))
    temporary, permanent = _scan(root)
    own = re.split(
        r"(?im)^.{0,20}(?:original message|copy of (?:the|your) message|returned (?:mail|message)|message follows|message header)",
        scanned,
    )[0]
    status = _STATUS.search(own)
    code = _CODE.search(own)
    digit = (status.group(1) if status else code.group(1) if code else "")[:1]
    is_failed = bool(permanent or named or digit == "5") or (_FAILURE.search(own + " " + subject) is not None)
    is_delayed = (bool(temporary) and not permanent) or (
        digit != "5" and _DELAY.search(own + " " + subject) is not None and not named
    )
    if not (is_failed or is_delayed):
        return None
    found = [address for _, address in named] or sorted(permanent or temporary)
    found = found or _mentioned(own, status or code)
    if not found and not (status or code):
        return None
    return DeliveryReport(
        "delayed" if is_delayed else "bounced",
        found[0] if found else "",
        status.group(1) if status else "",
        _diagnostic(own, status or code),
        _original_id(root, scanned),
    )


def _mentioned(text: str, match: re.Match[str] | None) -> list[str]:
    """The address that a server's text is about: alone at a line's start, or where the reason stands."""
    before = text[: match.end() + 300][-2_000:] if match else text[:5_000]
    named = [*_AT_START.findall(before), *_ANY_ADDRESS.findall(before), *_ANY_ADDRESS.findall(text[:5_000])]
    return [address.lower() for address in named if not _MACHINE.fullmatch(address)][:1]


def _diagnostic(text: str, match: re.Match[str] | None) -> str:
    """The line in which the server says why."""
    if match is None:
        return ""
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return " ".join(text[start : end if end >= 0 else len(text)].split())[:500]


def _scan(root: Part) -> tuple[set[str], set[str]]:
    """What flufl.bounce makes of it: temporary and permanent failures. It gets a bounded plain text."""
    message = Message()
    sender = addresses(root.headers.first("from"))
    message["From"] = sender[0][1] if sender and sender[0][1].isascii() else "mailer-daemon@unknown.invalid"
    message["Subject"] = one_line(root.headers.first("subject")).encode("ascii", "replace").decode()
    texts = [
        charsets.decode(part.content([])[:MAX_SCANNED], part.parameters.get("charset", ""))[0]
        for part in root.walk()
        if part.kind.startswith(("text/", "message/"))
    ][:10]
    message.set_payload("\n".join(texts)[:MAX_SCANNED].encode("ascii", "replace").decode())
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # it logs the error itself; a text that it stumbles on is one that it does not know
        return set(), set()
    return _addresses(temporary), _addresses(permanent)


def _addresses(found: Iterable[bytes]) -> set[str]:
    texts = {address.decode("ascii", "replace").strip().lower() for address in found}
    return {text for text in texts if _ANY_ADDRESS.fullmatch(text)}
