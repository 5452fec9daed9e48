"""Where in a mail's text something old or forwarded begins: the lines by which clients announce it. PURE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from incidents.intake import quote_patterns as words
from incidents.intake.html_text import CUT, MARKS, QUOTED

MARKER = "— Please write above this line —"
MARKERS = (MARKER, "— Lütfen bu satırın üzerine yazın —")

MAX_LINE = 2_000  # characters of a line that patterns are tried on
_MARKER = re.compile(
    "|".join(re.escape(marker.strip("— ")) for marker in MARKERS)
    + r"|^\W{2,}(?=.*(?:reply|respond|type|write|answer|yanıt|yaz|antwort))(?=.*(?:line|satır|zeile|linie)).*\b(?:above|üzerin|üstün|oberhalb|über)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!a\.m)(?<!p\.m)(?<!\b[^\W\d_]{3})[.!?;:]\s*$")
# Without a word for "wrote", the writer's address must stand where the sentence ends.
_NAMES_WRITER = re.compile(r"[<(\[]\W{0,3}[^\s<>()]+@[^\s<>()]+[>)\]].{0,25}$|[^\s=]+@[^\s<>()]+\W{0,3}$")
_DATED_ADDRESS = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b.{0,120}<[^\s<>]+@[^\s<>]+>")


@dataclass(frozen=True)
class Boundary:
    """Where the old begins: the lines [start, end) announce it. `is_sure`: what follows without ">" is old too."""

    start: int
    end: int
    is_sure: bool
    is_header_block: bool = False


def is_quote(line: str) -> bool:
    return line.startswith((">", "|>", QUOTED)) or line.startswith(" >")


def starts_with_quote(lines: Sequence[str]) -> bool:
    return next((is_quote(line) for line in lines if line.strip()), False)


def trimmed(lines: Sequence[str]) -> list[str]:
    start, end = 0, len(lines)
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return list(lines[start:end])


def forward_start(lines: Sequence[str]) -> int | None:
    """The line that announces a forwarded mail, unless something is quoted above it."""
    for index, line in enumerate(lines):
        if words.FORWARDED.fullmatch(_unquoted(line)[:300]):
            if ":" in line or "-" in line or "_" in line or "：" in line:
                return index
        elif is_quote(line):
            return None
    return None


def first_boundary(lines: Sequence[str], *, is_reply: bool) -> Boundary | None:
    fenced = _fenced(lines)
    for index, line in enumerate(lines):
        if index in fenced or not line.strip():
            continue
        if line.startswith(">"):
            if (index == 0 or not is_quote(lines[index - 1])) and _is_quoted_announcement(lines, index):
                return Boundary(index, index, is_sure=False)
            continue
        found = _boundary_at(lines, index, is_reply=is_reply)
        if found is not None:
            return found
    return None


def _is_quoted_announcement(lines: Sequence[str], index: int) -> bool:
    """Whether a quote begins with the words that announce it, as Apple's clients put them."""
    inner: list[str] = []
    for line in lines[index : index + 3]:
        if not line.startswith(">"):
            return False
        inner.append(line.lstrip("> "))
        if attribution_strength(" ".join(inner)) >= 2 and (len(inner) == 1 or _may_go_on(inner)):
            return True
    return False


def _boundary_at(lines: Sequence[str], index: int, *, is_reply: bool) -> Boundary | None:
    line = lines[index][:MAX_LINE]
    if line.startswith(QUOTED):
        return None
    if CUT in line:
        return Boundary(index, index + 1, is_sure=True, is_header_block=True)
    if _MARKER.search(line) and len(line) < 120:
        return Boundary(index, index + 1, is_sure=True)
    if words.ORIGINAL.fullmatch(line):
        block = _header_block(lines, _next_line(lines, index + 1), is_reply=True)
        return Boundary(
            index, block.end if block else index + 1, is_sure=True, is_header_block=block is not None
        )
    if words.WROTE_BETWEEN_DASHES.fullmatch(line) and words.WROTE.search(line):
        return Boundary(index, index + 1, is_sure=True)
    if words.DASHED_TITLE.fullmatch(line):
        return _below_title(lines, index, is_reply=is_reply)
    return _header_block(lines, index, is_reply=is_reply) or _attribution_at(lines, index, is_reply=is_reply)


def _below_title(lines: Sequence[str], index: int, *, is_reply: bool) -> Boundary | None:
    """A title between dashes in a language we do not know, and the header of a quote right below it."""
    block = _header_block(lines, _next_line(lines, index + 1), is_reply=is_reply)
    return None if block is None else Boundary(index, block.end, is_sure=True, is_header_block=True)


def _next_line(lines: Sequence[str], index: int) -> int:
    while index < len(lines) and not lines[index].strip():
        index += 1
    return index


def _fenced(lines: Sequence[str]) -> set[int]:
    """Lines of code between two lines of ```: nothing in them announces anything."""
    marks = [index for index, line in enumerate(lines) if line.startswith("```")]
    inside: set[int] = set()
    for opening, closing in zip(marks[::2], marks[1::2], strict=False):
        inside.update(range(opening, closing + 1))
    return inside


def _header_block(lines: Sequence[str], start: int, *, is_reply: bool) -> Boundary | None:
    """Lines of label and value, as Outlook puts above a quote: who, when, to whom, about what."""
    if start >= len(lines) or not lines[start].strip():
        return None
    first = lines[start][:MAX_LINE]
    if words.ONE_LINE_BLOCK.match(first):
        return Boundary(start, start + 1, is_sure=True, is_header_block=True)
    opening = words.LABELLED.match(_unquoted(first))
    if opening is None or _is_introduced(lines, start):
        return None
    if not (words.category_of(opening.group(1)) or opening.group(2).strip()):
        return None  # a sentence that ends in a colon
    end, categories, values = _labelled_lines(lines, start)
    if any(words.TECHNICAL.match(line) for line in lines[start : end + 3]) or len(values) < 3:
        return None
    is_known = categories[0] == "from" and len(set(categories) & {"sent", "date", "to", "subject"}) >= 2
    is_known = is_known or (
        {"from", "subject"} <= set(categories[:5]) and bool({"sent", "date"} & set(categories[:5]))
    )
    is_known = is_known and any(
        words.ADDRESS.search(value) or (category in ("sent", "date") and re.search(r"\d", value))
        for category, value in zip(categories, values, strict=True)
    )
    is_shaped = categories[0] in ("from", "") and _has_shape(values)
    is_outlook = "sent" in categories or _is_below_rule(lines, start)
    if (is_known and (is_reply or is_outlook)) or (is_shaped and is_reply):
        return Boundary(start, end, is_sure=True, is_header_block=True)
    return None


def _has_shape(values: Sequence[str]) -> bool:
    """Labels in a language we do not know: somebody's address, a time, and another address or "Re:"."""
    has_time = any(words.DATE.search(value) and words.TIME.search(value) for value in values[1:3])
    others = [value for value in values[1:] if words.ADDRESS.search(value) or words.is_reply_subject(value)]
    return words.ADDRESS.search(values[0]) is not None and has_time and bool(others)


def _labelled_lines(lines: Sequence[str], start: int) -> tuple[int, list[str], list[str]]:
    """Where the block ends, what its labels say, and their values. A long list of people may be folded."""
    categories: list[str] = []
    values: list[str] = []
    index, end, misses = start, start, 0
    while index < len(lines) and len(values) < 12:
        line = _unquoted(lines[index][:MAX_LINE])
        match = words.LABELLED.match(line)
        if match is not None and (words.category_of(match.group(1)) or len(values) < 6):
            categories.append(words.category_of(match.group(1)))
            values.append(match.group(2))
            end, misses = index + 1, 0
        elif not line.strip():
            if len(values) >= 3 or (index + 1 < len(lines) and not lines[index + 1].strip()):
                break
        elif values and not values[-1]:
            values[-1] = line.strip()  # the value stands below its label
            end = index + 1
        else:
            misses += 1
            if misses > 3 or not values:
                break
        index += 1
    return end, categories or [""], values or [""]


def _unquoted(line: str) -> str:
    return MARKS.sub("", line)


def _is_introduced(lines: Sequence[str], start: int) -> bool:
    """Somebody shows a header: "this is what came:" stands right above, or the lines are indented."""
    above = lines[start - 1].rstrip() if start else ""
    is_indented = all(line.startswith(("    ", "\t")) for line in lines[start : start + 3])
    label = words.LABELLED.match(above[:MAX_LINE])
    is_label = label is not None and bool(words.category_of(label.group(1)))
    return is_indented or (above.endswith(":") and not is_label and len(above) > 3)


def _is_below_rule(lines: Sequence[str], start: int) -> bool:
    above = next((line for line in reversed(lines[max(0, start - 3) : start]) if line.strip()), "")
    return bool(words.RULE.fullmatch(above[:MAX_LINE]))


def _attribution_at(lines: Sequence[str], start: int, *, is_reply: bool) -> Boundary | None:
    """ "On <date> <somebody> wrote:", on one line or wrapped over up to four."""
    for count in range(1, 5):
        part = lines[start : start + count]
        if len(part) < count or not part[-1].strip():
            return None
        if is_quote(part[-1]) and not _closes_address(part):
            return None
        if count > 1 and not _may_go_on(part):
            return None
        strength = attribution_strength(" ".join(line.strip() for line in part)[:MAX_LINE])
        if not strength:
            continue
        end = start + count
        is_quoted_below = starts_with_quote(lines[end:])
        is_trusted = strength >= 2 or (strength == 1 and is_reply and not trimmed(lines[:start]))
        if is_quoted_below and is_trusted:
            return Boundary(start, end, is_sure=False)
        if is_quoted_below and is_reply and not _says_more(lines[end:]):
            return Boundary(start, end, is_sure=False)
        if strength >= 3 and (is_reply or _is_blank(lines, start - 1)):
            return Boundary(start, end, is_sure=True)
        return None
    return None


def _says_more(lines: Sequence[str]) -> bool:
    """Whether anything that is not quoted stands below, but for a signature."""
    for line in lines:
        if line.rstrip() == "--":
            return False
        if line.strip() and not is_quote(line) and not words.MOBILE.fullmatch(line[:200]):
            return True
    return False


def _is_blank(lines: Sequence[str], index: int) -> bool:
    return index < 0 or not lines[index].strip()


def _closes_address(part: Sequence[str]) -> bool:
    """The ">" at the line's start closes an address that the line above opened."""
    return (
        len(part) > 1
        and part[-2].rfind("<") > part[-2].rfind(">")
        and part[-1].rstrip().endswith((":", "："))
    )


def _ends_sentence(line: str) -> bool:
    is_day = re.search(r"\d\.\s*$", line) is not None and (
        "@" in line or words.WROTE.search(line) is not None
    )
    return not is_day and _SENTENCE_END.search(line) is not None


def _may_go_on(part: Sequence[str]) -> bool:
    """Whether the lines are one that a client wrapped: long, no sentence's end, opened as attributions are."""
    above = part[:-1]
    first = above[0].strip()
    is_opened = bool(words.OPENER.match(first)) or "@" in first or words.DATE.search(first) is not None
    return is_opened and all(
        len(line.strip()) >= 12 and not _ends_sentence(line) and not line.startswith((">", "-", "*"))
        for line in above
    )


def attribution_strength(line: str) -> float:
    """How sure it is that a line announces a quote: 0 not at all, 3 even without any ">" below it."""
    line = line.strip().strip("*_ \u200e\u200f\u202a-\u202e")
    if _DATED_ADDRESS.fullmatch(line[:400]):
        return 1.5
    has_verb = words.WROTE.search(line) is not None
    is_unclosed = (
        has_verb and words.OPENER.match(line) and words.DATE.search(line) and words.WROTE.search(line[-12:])
    )
    if len(line) > 400 or not (line.endswith((":", "：", ":>", "---")) or is_unclosed):
        return 0
    has_date, has_time = words.DATE.search(line) is not None, words.TIME.search(line) is not None
    has_address = words.ADDRESS.search(line) is not None
    if has_verb and has_date and (has_time or has_address):
        return 3
    is_bare = not line.rstrip(":：*_ ").endswith((">", ")", "]"))
    if has_date and has_time and _NAMES_WRITER.search(line) and (words.OPENER.match(line) or not is_bare):
        return 3 if line.endswith((">:", "):", "：")) else 2
    if has_verb and (has_date or has_time or has_address):
        return 2
    if has_date and (has_time or words.OPENER.match(line)):
        return 1.5
    return 1 if has_verb or (has_address and not has_time) else 0
