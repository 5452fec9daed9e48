"""What the fields of a mail's header say: addresses, ids, the date, a subject on one line. PURE.

Addresses are read from the field as it was sent, before encoded words are decoded, so that nothing in a
display name can pass for an address (RFC 2047 §5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_tz

from incidents.intake import charsets
from incidents.intake.mime import Headers, from_base64

MAX_ADDRESSES = 500
MAX_IDS = 100

_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN = re.compile(r"(\?=)[ \t\r\n]+(=\?[^?\s]{1,60}\?[bBqQ]\?)")
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_ADDRESS = re.compile(r'(?:"[^"\\\r\n@]{1,64}"|[^\s@<>()\[\]\\,;:"]{1,64})@[^\s@<>()\[\]\\,;:"]{1,255}')
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|[^"(),;:<>\\]+|.', re.DOTALL)
_ID = re.compile(r"<([^<>]{1,990})>")


def one_line(text: str, length: int = 900) -> str:
    """No line break of any kind, no control character, no mark that turns the direction; bounded."""
    return " ".join(_DIRECTIONS.sub("", _BREAKS.sub(" ", text)).split())[:length].rstrip()


def decoded(value: str) -> str:
    """A field's text with its encoded words read (RFC 2047); words that cannot be read stay."""
    if "=?" not in value:
        return value
    out: list[str] = []
    position = 0
    pending: list[tuple[str, bytes]] = []
    for match in _WORD.finditer(_BETWEEN.sub(r"\1\2", _BETWEEN.sub(r"\1\2", value))):
        between = match.string[position : match.start()]
        data = _word_bytes(match)
        if between or (pending and pending[-1][0] != match.group(1).lower()):
            out.extend([_flush(pending), between])
        pending.append((match.group(1).lower(), data))
        position = match.end()
        rest = match.string
    if not pending:
        return value
    return "".join([*out, _flush(pending), rest[position:]])


def _flush(pending: list[tuple[str, bytes]]) -> str:
    """Neighbours of one charset belong together: a letter may be cut between two words."""
    if not pending:
        return ""
    text = charsets.decode(b"".join(data for _, data in pending), pending[0][0].partition("*")[0])[0]
    pending.clear()
    return text


def _word_bytes(match: re.Match[str]) -> bytes:
    data = match.group(3).encode("utf-8", "replace")
    if match.group(2) in "bB":
        return from_base64(data, [])
    text = data.replace(b"_", b" ")
    return re.sub(rb"=([0-9A-Fa-f]{2})", lambda code: bytes([int(code.group(1), 16)]), text)


def subject_of(headers: Headers) -> str:
    return one_line(decoded(headers.first("subject")))


# --- addresses ---


def addresses(value: str) -> list[tuple[str, str]]:
    """(display name, address) of each mailbox in a field's value, addresses in lower case (RFC 5322 §3.4)."""
    found: list[tuple[str, str]] = []
    for words, inside in _mailboxes(value):
        plain = inside if inside is not None else "".join(words).strip()
        # A route (<@a,@b:user@c>) is obsolete, and only its last mailbox is the address.
        address = plain.strip().rpartition(":")[2].strip() if inside is not None else plain
        if not _ADDRESS.fullmatch(address):
            continue
        name = "".join(words) if inside is not None else ""
        found.append((_name(name), one_line(address.lower(), 320)))
    return found


def _name(words: str) -> str:
    words = re.sub(r"\\(.)", r"\1", words.strip())
    if len(words) > 1 and words[0] == words[-1] == '"':
        words = words[1:-1]
    return one_line(decoded(words), 200).strip("'\" ")


def _mailboxes(value: str) -> Iterable[tuple[list[str], str | None]]:
    """Split at the commas and semicolons that are neither quoted, nor in a comment, nor in angle brackets."""
    words: list[str] = []
    inside: str | None = None
    depth, is_within = 0, False
    for piece in _PIECE.findall(value):
        if piece == "(" and not is_within:
            depth += 1
        elif piece == ")" and depth:
            depth -= 1
        elif depth:
            continue
        elif piece == "<":
            is_within, inside = True, ""
        elif piece == ">":
            is_within = False
        elif is_within:
            inside = (inside or "") + piece
        elif piece in ",;":
            yield words, inside
            words, inside = [], None
        elif piece == ":":
            words = []  # the name of a group
        else:
            words.append(piece)
    yield words, inside


def all_addresses(headers: Headers, names: Iterable[str], notices: list[str]) -> tuple[str, ...]:
    """Every address of the named fields once, in their order, at most MAX_ADDRESSES."""
    found: dict[str, None] = {}
    for name in names:
        for value in headers.all(name):
            found.update((address, None) for _, address in addresses(value))
    if len(found) > MAX_ADDRESSES:
        notices.append(f"The mail names too many recipients: only the first {MAX_ADDRESSES} were kept.")
    return tuple(found)[:MAX_ADDRESSES]


def envelope_from(headers: Headers) -> str | None:
    """Return-Path: an address, "" for the null path, None when there is none or it cannot be read."""
    if "return-path" not in headers:
        return None
    value = headers.first("return-path").strip()
    if re.sub(r"\s", "", value) in ("<>", ""):
        return ""
    found = addresses(value)
    return found[0][1] if found else None


# --- ids, date ---


def message_ids(value: str) -> tuple[str, ...]:
    """The ids in a field, with their brackets. One that lost its brackets gets them back."""
    found = [f"<{re.sub(r'[^!-~]', '', inner)}>" for inner in _ID.findall(value) if "@" in inner]
    bare = value.strip().strip("<>")
    if not found and "@" in bare and not re.search(r"\s", bare) and len(bare) <= 990:
        found = [f"<{re.sub(r'[^!-~]|[<>]', '', bare)}>"]
    unique = tuple(dict.fromkeys(found))
    return unique if len(unique) <= MAX_IDS else unique[:1] + unique[1 - MAX_IDS :]


def date_of(value: str) -> datetime | None:
    """The Date field as the sender claims it, in UTC; None when it cannot be read."""
    try:
        parts = parsedate_tz(value[:200])
        if parts is None:
            return None
        naive = datetime(*parts[:6], tzinfo=UTC)
        return datetime.fromtimestamp(naive.timestamp() - (parts[9] or 0), UTC)
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return None  # the field is somebody's text, and the standard library's reader trusts it
