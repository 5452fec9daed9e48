"""The parts of a raw mail, found in time and memory that grow with its size only. PURE.

The standard library's parser calls itself for each level, keeps every line as an object and rescans: a
thousand levels or a million headers stop it. This one works on the bytes with one loop, reads a bounded
number of fields and parts, and says in a notice what it left out. RFC 5322, 2045-2047, 2231.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from incidents.intake import charsets

MAX_FIELDS = 1_000
MAX_FIELD_BYTES = 64 * 1024
MAX_DEPTH = 40
MAX_DELIMITERS = 100_000  # lines of a part that begin as its boundary does

_NAME = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))', re.DOTALL)
_LOST_BOUNDARY = re.compile(rb"--([^\s-][^\r\n]{0,199}?)[ \t]*\r?\n(?:Content-|\r?\n)", re.IGNORECASE)
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


@dataclass(frozen=True)
class Headers:
    """The fields of a header in their order, names in lower case, values unfolded but not decoded."""

    fields: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known == name]

    def first(self, name: str, default: str = "") -> str:
        return next((value for known, value in self.fields if known == name), default)

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self.fields)


@dataclass
class Part:
    """One entity; its content is a range of the raw mail until somebody asks for it."""

    raw: bytes
    start: int
    end: int
    headers: Headers
    depth: int = 0
    default: str = "text/plain"
    parent: str = ""  # the kind of the multipart it stands in
    children: list[Part] = field(default_factory=list)
    kind: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    disposition: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        value, self.parameters = parameters(self.headers.first("content-type"))
        self.kind = value.lower() if re.fullmatch(r"[^\s/;]+/[^\s/;]+", value) else self.default
        value, disposition = parameters(self.headers.first("content-disposition"))
        self.disposition = value.lower()
        self.name = disposition.get("filename") or self.parameters.get("name", "")

    @property
    def content_id(self) -> str:
        return self.headers.first("content-id").strip().strip("<>").strip()

    @property
    def body(self) -> bytes:
        """As it was sent, transfer encoding and all."""
        return self.raw[self.start : self.end]

    def content(self, notices: list[str]) -> bytes:
        """Decoded; what cannot be decoded is kept as far as it can."""
        encoding = self.headers.first("content-transfer-encoding").strip().strip('"').lower()
        match encoding:
            case "base64":
                return from_base64(self.body, notices)
            case "quoted-printable":
                return binascii.a2b_qp(self.body)
            case "x-uuencode" | "uuencode" | "x-uue":
                return from_uuencoded(self.body, notices)
            case _:
                return self.body

    def walk(self) -> Iterator[Part]:
        """The part and all below it, in order, without recursion."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.children))


def from_base64(data: bytes, notices: list[str]) -> bytes:
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        notices.append("A part is damaged (base64): it was read as far as it could.")
    letters = data.translate(None, delete=_NOT_BASE64)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def from_uuencoded(data: bytes, notices: list[str]) -> bytes:
    out = bytearray()
    for line in data.splitlines():
        if line.startswith((b"begin ", b"end")) or not line.strip():
            continue
        try:
            out += binascii.a2b_uu(line)
        except binascii.Error:
            notices.append("A part is damaged (uuencode): it was read as far as it could.")
            return data
    return bytes(out)


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A field's value and its parameters, continuations and charsets (RFC 2231) put together."""
    main, semicolon, rest = value.partition(";")
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in list(_PARAMETER.finditer(semicolon + rest))[:200]:
        name, quoted, bare = match.group(1).lower(), match.group(2), match.group(3)
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else (bare or "").strip()
        stem, number, is_encoded = _piece(name)
        pieces.setdefault(stem, {}).setdefault(number, (text, is_encoded))
    return main.strip(), {stem: _joined(parts) for stem, parts in pieces.items()}


def _piece(name: str) -> tuple[str, int, bool]:
    """`filename*1*` is the piece 1 of filename, percent-encoded; `filename` alone counts as piece -1."""
    match = re.fullmatch(r"([^*]+)(?:\*(\d{1,3}))?(\*)?", name)
    if match is None:
        return name, -1, False
    stem, number, star = match.groups()
    return stem, int(number) if number else (-2 if star else -1), bool(star)


def _joined(pieces: dict[int, tuple[str, bool]]) -> str:
    if -2 in pieces:  # filename* is better than filename
        pieces = {0: pieces[-2]}
    elif -1 in pieces:
        return pieces[-1][0]
    label, data = "", b""
    for number in sorted(pieces):
        text, is_encoded = pieces[number]
        if is_encoded and number == 0 and text.count("'") >= 2:
            label, _language, text = text.split("'", 2)
        data += unquote_to_bytes(text) if is_encoded else text.encode("utf-8", "replace")
    return charsets.decode(data, label)[0]


def read_headers(raw: bytes, start: int, end: int, notices: list[str]) -> tuple[Headers, int]:
    """The fields from `start` on, and where the body begins. Surplus fields and bytes are left out."""
    fields: list[list[bytes]] = []
    sizes, surplus, position = 0, 0, start
    while position < end:
        newline = raw.find(b"\n", position, end)
        after = end if newline < 0 else newline + 1
        line = raw[position : min(after, position + MAX_FIELD_BYTES)].rstrip(b"\r\n")
        if not line:
            position = after
            break
        if line[:1] in b" \t" and fields:
            sizes += len(line)
            if sizes <= MAX_FIELD_BYTES and not surplus:
                fields[-1].append(line)
        elif _NAME.match(line):
            if len(fields) < MAX_FIELDS:
                fields.append([line])
                sizes = len(line)
            else:
                surplus += 1
        elif not _is_header_next(raw, after, end) and not line.startswith((b"From ", b">From ")):
            break
        position = after
        if sizes >= MAX_FIELD_BYTES and "A header field was too long and was cut." not in notices:
            notices.append("A header field was too long and was cut.")
    if surplus:
        notices.append(f"The mail has too many header fields: {surplus} were left out.")
    return Headers(tuple(_field(lines) for lines in fields)), position


def _is_header_next(raw: bytes, position: int, end: int) -> bool:
    """Whether a line that is no field stands between fields, as when a long subject was folded badly."""
    return _NAME.match(raw[position : min(end, position + 300)]) is not None


def _field(lines: list[bytes]) -> tuple[str, str]:
    name, _, value = b"".join(lines)[:MAX_FIELD_BYTES].partition(b":")
    return name.decode("ascii").strip().lower(), charsets.decode(value)[0].strip()


def read_parts(raw: bytes, *, max_parts: int, notices: list[str]) -> Part:
    """The tree of a mail's parts, at most `max_parts` and MAX_DEPTH levels of them."""
    headers, body = read_headers(raw, 0, len(raw), notices)
    root = Part(raw, body, len(raw), headers)
    found, waiting = 1, [root]
    while waiting:
        part = waiting.pop()
        if not part.kind.startswith("multipart/"):
            continue
        if part.depth >= MAX_DEPTH:
            notices.append("The mail's parts are nested too deep: the innermost were left out.")
            continue
        for start, end in _ranges(part, notices):
            if found >= max_parts:
                notices.append(f"The mail has too many parts: only the first {max_parts} were read.")
                return root
            headers, body = read_headers(raw, start, end, notices)
            default = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
            child = Part(raw, body, end, headers, part.depth + 1, default, part.kind)
            part.children.append(child)
            waiting.append(child)
            found += 1
    return root


def _ranges(part: Part, notices: list[str]) -> Iterator[tuple[int, int]]:
    """Where a multipart's children stand; nothing when no boundary is found."""
    boundary = part.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")
    if not boundary or not _has_line(part, b"--" + boundary):
        lost = _LOST_BOUNDARY.search(part.raw, part.start, min(part.end, part.start + 20_000))
        notices.append("The boundary between the mail's parts is missing or wrong.")
        if lost is None:
            return
        boundary = lost.group(1)
    start = -1
    for line_start, line_end, is_last in _delimiters(part, b"--" + boundary):
        if start >= 0:
            yield start, max(start, line_start)
        start = line_end
        if is_last:
            return
    if 0 <= start < part.end:
        yield start, part.end


def _has_line(part: Part, delimiter: bytes) -> bool:
    return next(_delimiters(part, delimiter), None) is not None


def _delimiters(part: Part, delimiter: bytes) -> Iterator[tuple[int, int, bool]]:
    """Each line that is the delimiter: where the content before it ends, where it ends, if it is the last."""
    raw, end, position = part.raw, part.end, part.start
    for _ in range(MAX_DELIMITERS):
        position = raw.find(delimiter, position, end)
        if position < 0:
            return
        newline = raw.find(b"\n", position, end)
        after = end if newline < 0 else newline + 1
        rest = raw[position + len(delimiter) : min(after, position + len(delimiter) + 200)].strip()
        is_line_start = position == part.start or raw[position - 1 : position] == b"\n"
        if is_line_start and rest in (b"", b"--"):
            before = position - 1 if position > part.start else position
            before -= before > part.start and raw[before - 1 : before] == b"\r"
            yield before, after, rest == b"--"
        position = after if is_line_start else position + 1
