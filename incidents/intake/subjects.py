"""What a mail's subject says: answer prefixes, our own tag, a claimed level. PURE: no Django, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Mail programs mark answers and forwards in their reader's language: English, German, Turkish, French,
# Spanish, Italian, Portuguese, Dutch, Nordic, Polish, Finnish, Chinese.
_ANSWER = r"re|aw|ynt|yan[ıi]t|cevap|r[ée]p|res|r|antw?|antwoord|sv|vs|odp|回复|回覆|答复"
_FORWARD = r"fwd?|fw|wg|[iİı]lt|tr|rv|enc|i|doorst|vb|pd|vl|转发|轉寄"
_PREFIX = re.compile(
    rf"^\s*(?:\[(?:external|ext|extern|harici|dış)\]|(?:{_ANSWER}|{_FORWARD})\s*(?:\[\d+\]|\(\d+\)|\^\d+)?\s*[:：])\s*",
    re.IGNORECASE,
)
_ANSWER_PREFIX = re.compile(rf"^\s*(?:{_ANSWER})\s*(?:\[\d+\]|\(\d+\)|\^\d+)?\s*[:：]", re.IGNORECASE)
_TAG = re.compile(r"\[\s*(INC-[1-9]\d{0,17})\s*\]", re.IGNORECASE | re.ASCII)
_LEVEL = re.compile(
    r"^\s*(?:\[\s*(P[123])\s*\]|\(\s*(P[123])\s*\)|(P[123])(?=\s*[:：\-–—]|\s|$))\s*[:：\-–—]*\s*", re.I
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True)
class Subject:
    """A subject, taken apart."""

    title: str  # without prefixes, tag and level; may be empty
    level: str = ""  # P1, P2 or P3 where it begins with one
    tag: str = ""  # INC-1042 where it bears our own
    is_answer: bool = False  # Re: and its kin


def read_subject(subject: str) -> Subject:
    """Take a subject apart. Never fails; control characters become spaces."""
    rest = " ".join(_CONTROL.sub(" ", subject[:2000]).split())
    is_answer = bool(_ANSWER_PREFIX.match(rest))
    found = _TAG.search(rest)
    rest = _without_prefixes(" ".join(_TAG.sub(" ", rest).split()))
    claimed = _LEVEL.match(rest)
    level = next((group.upper() for group in claimed.groups() if group), "") if claimed else ""
    title = _without_prefixes(rest[claimed.end() :] if claimed else rest)
    return Subject(title=title, level=level, tag=found[1].upper() if found else "", is_answer=is_answer)


def _without_prefixes(text: str) -> str:
    while match := _PREFIX.match(text):
        text = text[match.end() :]
    return text.strip()


def title_from(text: str, length: int = 80) -> str:
    """The first words of a text, for a mail without a subject."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    words = " ".join(_CONTROL.sub(" ", line).split())
    return words if len(words) <= length else words[:length].rsplit(" ", 1)[0].rstrip() + " …"
