"""Which parts of a mail are its text, and which are files. PURE.

Of alternatives the plain text is read, unless it only says that there is an HTML one. Everything with a
name, or that is no text, is a file; an attached mail is kept whole. RFC 2046, 2387, 3676, 8098.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from incidents.intake import charsets, itip
from incidents.intake.headers import decoded, one_line
from incidents.intake.html_text import MARKS, html_to_text
from incidents.intake.mime import Headers, Part, read_headers
from incidents.intake.parsed import CalendarAnswer, ParsedFile

MAX_TEXT = 500_000  # characters
MAX_LINES = 10_000
MAX_HTML = 4_000_000  # bytes, pictures within it not counted
SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
ENCRYPTED = {
    "multipart/encrypted",
    "application/pgp-encrypted",
    "application/pkcs7-mime",
    "application/x-pkcs7-mime",
}
FOR_MACHINES = {
    "text/x-amp-html",
    "text/watch-html",
    "text/rfc822-headers",
    "text/calendar",
    "text/x-vcard",
    "text/vcard",
}
_EXTENSIONS = {
    "image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp", "image/svg+xml": ".svg",
    "application/pdf": ".pdf", "text/calendar": ".ics", "message/rfc822": ".eml", "application/ms-tnef": ".dat",
    "application/zip": ".zip", "text/csv": ".csv", "application/json": ".json", "text/vcard": ".vcf",
}  # fmt: skip
_DATA_IMAGE = re.compile(rb"data:(image/[a-z+]{2,10});base64,([A-Za-z0-9+/=\s%]{16,})", re.IGNORECASE)
_HTML_ONLY = re.compile(
    r"\b(?:html|view (?:this|the) (?:e-?mail|message)|e-?mail client|mail reader|tarayıcı|görüntüle)",
    re.IGNORECASE,
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE)


@dataclass
class Body:
    """What was read: the text with the marks of `html_text`, and the files."""

    texts: list[str] = field(default_factory=list)
    files: list[ParsedFile] = field(default_factory=list)
    calendar_method: str = ""
    calendar: CalendarAnswer | None = None

    @property
    def text(self) -> str:
        return "\n\n".join(text for text in self.texts if text.strip())


def read_body(root: Part, notices: list[str]) -> Body:
    """The text and files of a mail. A report's parts are its text only."""
    body = Body()
    chosen = _chosen_texts(root)
    shown: set[str] = set()
    for part in _own_parts(root):
        if part.kind == "text/html" and not part.name and part not in chosen:
            shown |= _shown_images(part, body, notices)
    for part in chosen:
        text, content_ids = _text_of(part, body, notices)
        shown |= content_ids
        body.texts.append(text)
    is_report = root.kind == "multipart/report"
    for part in _own_parts(root):
        if part.kind in itip.KINDS:
            _note_calendar(part, body)
        if part not in chosen and not is_report:
            _add_file(part, shown, body, notices)
    return body


def _own_parts(root: Part) -> list[Part]:
    return [part for part in root.walk() if not part.children]


# --- text ---


def _is_text(part: Part) -> bool:
    is_textual = part.kind.startswith("text/") or (part.kind.startswith("multipart/") and not part.children)
    return is_textual and part.kind not in FOR_MACHINES and part.disposition != "attachment" and not part.name


def _chosen_texts(root: Part) -> list[Part]:
    """The parts to read as text, in their order: all that stand side by side, one of each set of alternatives."""
    chosen: list[Part] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.kind == "multipart/alternative" and part.children:
            best = _best(part)
            waiting.extend([] if best is None else [best])
        elif part.kind == "multipart/related" and part.children:
            waiting.append(_root_of(part))
        elif part.children:
            waiting.extend(reversed(part.children))
        elif _is_text(part):
            chosen.append(part)
    return chosen


def _root_of(part: Part) -> Part:
    """RFC 2387: the part that "start" names, else the first one; else the first text among them."""
    start = part.parameters.get("start", "").strip("<> ")
    named = [child for child in part.children if start and child.content_id == start]
    first = named[0] if named else part.children[0]
    texts = [child for child in part.children if _is_text(child) or child.children]
    return first if first in texts or not texts else texts[0]


def _best(part: Part) -> Part | None:
    """Of alternatives: plain text with something in it, else HTML, else whatever is text."""
    texts = [[leaf for leaf in _own_parts(child) if _is_text(leaf)] for child in part.children]
    ranked = [(child, leaves) for child, leaves in zip(part.children, texts, strict=True) if leaves]
    plain = [child for child, leaves in ranked if leaves[0].kind == "text/plain" and not _is_empty(leaves)]
    rich = [child for child, leaves in ranked if any(leaf.kind == "text/html" for leaf in leaves)]
    if plain and rich and plain[0] is not rich[-1] and _says_look_at_html(plain[0]):
        return rich[-1]
    for candidates in (plain, rich, [child for child, _ in ranked]):
        if candidates:
            return candidates[0]
    return None


def _is_empty(leaves: list[Part]) -> bool:
    return not any(charsets.decode(leaf.content([])[:5_000], "")[0].strip() for leaf in leaves)


def _says_look_at_html(part: Part) -> bool:
    words = charsets.decode(part.content([])[:1_000], part.parameters.get("charset", ""))[0]
    return (
        len(words) < 300
        and len(words.split()) < 40
        and _HTML_ONLY.search(words) is not None
        and "html" in words.lower()
    )


def _text_of(part: Part, body: Body, notices: list[str]) -> tuple[str, set[str]]:
    if part.kind in ("text/html", "application/xhtml+xml"):
        return _from_html(part, body, notices)
    data = part.content(notices)
    if len(data) > 4 * MAX_TEXT:
        data = data[: 4 * MAX_TEXT]
        notices.append("The mail's text is very long: the end is missing here.")
    text, notice = charsets.decode(data, part.parameters.get("charset", ""))
    notices.extend([notice] if notice else [])
    text = MARKS.sub("", text)
    if part.parameters.get("format", "").strip().lower() == "flowed":
        text = unflowed(text, is_delsp=part.parameters.get("delsp", "").strip().lower() == "yes")
    if part.kind in ("text/enriched", "text/richtext"):
        text = re.sub(r"<[^<>]{1,200}>", "", re.sub(r"(?is)<param>.{0,2000}?</param>", "", text))
    return _bounded(text, notices), set()


def _bounded(text: str, notices: list[str]) -> str:
    lines = text[:MAX_TEXT].split("\n")
    if len(text) > MAX_TEXT or len(lines) > MAX_LINES:
        notices.append("The mail's text is very long: the end is missing here.")
    return "\n".join(lines[:MAX_LINES])


def _from_html(part: Part, body: Body, notices: list[str]) -> tuple[str, set[str]]:
    data = _without_data_images(part.content(notices), body)
    if len(data) > MAX_HTML:
        data = data[:MAX_HTML]
        notices.append("The mail's text is very long: the end is missing here.")
    label = part.parameters.get("charset", "")
    meta = _META_CHARSET.search(data[:4_000])
    label = label if charsets.codec_of(label) else meta.group(1).decode("ascii") if meta else label
    html, notice = charsets.decode(data, label)
    read = html_to_text(html)
    notices.extend([notice] if notice else [])
    notices.extend(read.notices)
    return _bounded(read.text, notices), read.content_ids


def _shown_images(part: Part, body: Body, notices: list[str]) -> set[str]:
    """Which images the HTML shows that is not read because there is plain text."""
    data = _without_data_images(part.content([]), body)[:MAX_HTML]
    found = re.findall(rb"cid:([^\s\"'>)]{1,300})", data, re.IGNORECASE)
    return {cid.decode("ascii", "replace") for cid in found[:1_000]}


def _without_data_images(data: bytes, body: Body) -> bytes:
    """Pictures written into the HTML itself become inline files like the others."""
    if b"data:image" not in data[:60_000_000].lower():
        return data

    def take(match: re.Match[bytes]) -> bytes:
        if len(body.files) < 50:
            kind = match.group(1).decode("ascii").lower()
            try:
                content = binascii.a2b_base64(match.group(2).replace(b"%0A", b"").replace(b"%3D", b"="))
            except binascii.Error:
                return b"data:"
            name = f"image-{len(body.files) + 1}{_EXTENSIONS.get(kind, '')}"
            body.files.append(ParsedFile(name, content, is_inline=True))
        return b"data:"

    return _DATA_IMAGE.sub(take, data)


def unflowed(text: str, *, is_delsp: bool) -> str:
    """Lines that end in a space go on in the next one of the same depth (RFC 3676 §4)."""
    out: list[list[str]] = []
    depth_before, is_open = 0, False
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        content = line[depth:]
        content = content[1:] if content.startswith(" ") else content
        is_flowed = content.endswith(" ") and content != "-- "
        content = content[:-1] if is_flowed and is_delsp else content
        if is_open and depth == depth_before and content != "-- ":
            out[-1].append(content)
        else:
            out.append([">" * depth + (" " if depth and content else ""), content])
        depth_before, is_open = depth, is_flowed
    joined = ["".join(pieces) for pieces in out]
    return "\n".join(line if line == "-- " else line.rstrip() for line in joined)


# --- files ---


def _note_calendar(part: Part, body: Body) -> None:
    """The method of the first calendar, and the first answer to an invitation."""
    content = part.content([])
    method = itip.method_of(content, part.parameters.get("method", ""))
    body.calendar_method = body.calendar_method or method
    if body.calendar is None and method in itip.METHODS:
        charset = part.parameters.get("charset", "")
        body.calendar = itip.read_answer(content, method=method, charset=charset)


def _add_file(part: Part, shown: set[str], body: Body, notices: list[str]) -> None:
    if part.kind in SIGNATURES:
        return
    if part.kind in ENCRYPTED or part.parent == "multipart/encrypted":
        notice = "The mail is encrypted or sealed (S/MIME, OpenPGP): it cannot be read here."
        notices.extend([notice] if notice not in notices else [])
    if _is_text(part) or (part.kind in ("text/x-amp-html", "text/watch-html") and not part.name):
        return  # the other side of an alternative
    content = part.content(notices)
    if not content and not part.name:
        return
    is_image = part.kind.startswith("image/")
    is_shown = bool(part.content_id) and part.content_id in shown
    is_related = is_image and part.parent == "multipart/related" and part.disposition != "attachment"
    is_inline = (
        is_shown or is_related or (is_image and part.disposition == "inline" and bool(part.content_id))
    )
    body.files.append(ParsedFile(_file_name(part, content, len(body.files)), content, is_inline=is_inline))


def _file_name(part: Part, content: bytes, number: int) -> str:
    """The sender's name for the file, on one line; a made one where there is none."""
    name = one_line(decoded(part.name), 500)
    if name:
        return name
    if part.kind == "message/rfc822":
        headers: Headers = read_headers(content, 0, min(len(content), 50_000), [])[0]
        subject = one_line(decoded(headers.first("subject")), 100)
        return f"{subject or 'message'}.eml"
    stem = "image" if part.kind.startswith("image/") else "attachment"
    return f"{stem}-{number + 1}{_EXTENSIONS.get(part.kind, '.txt' if part.kind.startswith('text/') else '.bin')}"
