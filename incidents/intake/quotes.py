"""The new text of a mail, cut from what it quotes and from signatures. PURE.

The rule above all others: no word of new text is lost. Where a line may be new, it stays; where the cut
would leave nothing, nothing is cut. What is surely old is found by what clients write above a quote
(`quote_patterns`), by ">" at the line's start, and by the marks that `html_text` took from the HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from incidents.intake import quote_patterns as words
from incidents.intake.boundaries import (
    MAX_LINE,
    attribution_strength,
    first_boundary,
    forward_start,
    is_quote,
    starts_with_quote,
    trimmed,
)
from incidents.intake.html_text import MARKS, QUOTED, SIGNED

CONTEXT_LINES = 10
_WORD = re.compile(r"\w")
_POSTSCRIPT = re.compile(r"\s*(?:p\.?\s?s\b|not:|nb\b|n\.b\b)", re.IGNORECASE)


def new_text(text: str, *, is_reply: bool = True, is_forward: bool = False) -> str:
    """What the sender wrote just now. All of it when in doubt, and when the cut would leave no word.

    `text` may bear the marks of `html_text`. A reply answers a mail (In-Reply-To, or "Re:"); a forwarded
    mail's content is news to us, and stays.
    """
    lines = text.split("\n")
    kept = "\n".join(_cut(lines, is_reply=is_reply, is_forward=is_forward))
    kept = re.sub(r"\n{3,}", "\n\n", MARKS.sub("", kept)).strip("\n").rstrip()
    return kept if _WORD.search(kept) or _has_symbol(kept) else full_text(text)


def full_text(text: str) -> str:
    """All of it, without the marks."""
    return re.sub(r"\n{4,}", "\n\n\n", MARKS.sub("", text)).strip("\n").rstrip()


def _has_symbol(text: str) -> bool:
    """A thumb is an answer too."""
    return any(ord(letter) > 0x2190 and not MARKS.match(letter) for letter in text)


# --- the cut ---


def _cut(lines: Sequence[str], *, is_reply: bool, is_forward: bool) -> list[str]:
    boundary = first_boundary(lines, is_reply=is_reply)
    forwarded = forward_start(lines)
    if forwarded is not None and (boundary is None or forwarded <= boundary.start):
        return [*_without_signature(lines[:forwarded]), "", *(_plain(line) for line in lines[forwarded:])]
    if boundary is None:
        return _without_quotes(lines, is_reply=is_reply)
    head, tail = list(lines[: boundary.start]), list(lines[boundary.end :])
    is_over = boundary.is_sure and not starts_with_quote(tail)
    if (is_forward and boundary.is_header_block) or _announces_answers("\n".join(head), is_over=is_over):
        return list(lines)
    answers = [] if is_over else _answers(tail, is_old=_is_marked if any(map(_is_marked, tail)) else is_quote)
    head = _without_signature(_without_marked(_without_rule(head)))
    return [*head, "", *answers] if answers else head


def _announces_answers(head: str, *, is_over: bool) -> bool:
    """Whether the text above a quote says that there are answers within it."""
    if words.ANSWERS_INSIDE.search(head[-3_000:]):
        return True
    return is_over and len(head.split()) <= 15 and words.SEE_BELOW.search(head) is not None


def _is_marked(line: str) -> bool:
    """Quoted for sure: the client's HTML said so. What is only indented beside it is somebody's new text."""
    return line.startswith(QUOTED)


def _without_quotes(lines: Sequence[str], *, is_reply: bool) -> list[str]:
    """No line announces a quote: only what the HTML marks, or what stands at the end of a reply, is one."""
    marked = next((index for index, line in enumerate(lines) if _is_marked(line)), None)
    if marked is not None:
        answers = _answers(lines[marked:], is_old=_is_marked)
        return [*_without_signature(lines[:marked]), "", *answers]
    lines = _without_signature(lines)
    if is_reply:
        start = len(lines)
        while start and (is_quote(lines[start - 1]) or not lines[start - 1].strip()):
            start -= 1
        before = trimmed(lines[:start])
        is_apart = (
            start < len(lines) and not lines[start].strip()
        )  # lines of a log stand right below the text
        if before and is_apart and not before[-1].rstrip().endswith((":", "：")):
            return _without_signature(before)
        if starts_with_quote(lines) and not before:
            return lines
        first = next((index for index, line in enumerate(lines) if not is_quote(line) and line.strip()), 0)
        if starts_with_quote(lines) and not any(is_quote(line) for line in lines[first:]):
            return _without_signature(lines[first:])
    return _without_signature(lines)


def _answers(lines: Sequence[str], *, is_old: Callable[[str], bool]) -> list[str]:
    """The new lines below and between quotes. Between quotes each keeps the end of what it answers."""
    runs = _runs(lines, is_old)
    new = [index for index, (was_old, run) in enumerate(runs) if not was_old and _without_signature(run)]
    if not new:
        return []
    first_old = next((index for index, (was_old, _) in enumerate(runs) if was_old), len(runs))
    is_interleaved = sum(index > first_old for index in new) > 1
    out: list[str] = []
    for index, (was_old, run) in enumerate(runs[: new[-1] + 1]):
        if not was_old:
            out += ["", *_without_signature(_new_end(run) if first_old < index == new[-1] else run)]
        elif index + 1 in new and (is_interleaved or index > first_old):
            out += ["", *_context(run)]
    return trimmed(out)


def _new_end(run: Sequence[str]) -> list[str]:
    """The last answer, up to an older quote that somebody's client left without ">"."""
    boundary = first_boundary(run, is_reply=True)
    if boundary is not None and boundary.is_sure and trimmed(run[: boundary.start]):
        return list(run[: boundary.start])
    return list(run)


def _context(run: Sequence[str]) -> list[str]:
    """The last paragraph of a quote; all of a short one."""
    plain = [_plain(line) for line in trimmed(run)]
    if len(plain) <= CONTEXT_LINES:
        return [line for line in plain if not _is_announcement(line)]
    last = plain[-CONTEXT_LINES:]
    gaps = [index for index, line in enumerate(last) if not line.strip("> \t")]
    return last[gaps[-1] + 1 :] if gaps and gaps[-1] < len(last) - 1 else last


def _is_announcement(line: str) -> bool:
    return attribution_strength(line.strip("> \t")) > 0


def _runs(lines: Sequence[str], is_old: Callable[[str], bool]) -> list[tuple[bool, list[str]]]:
    """Neighbouring lines that are all old, or all not; blank lines go with what stands above them."""
    runs: list[tuple[bool, list[str]]] = []
    for line in lines:
        if runs and (runs[-1][0] == is_old(line) or not line.strip()):
            runs[-1][1].append(line)
        elif line.strip():
            runs.append((is_old(line), [line]))
    return runs


def _plain(line: str) -> str:
    return MARKS.sub("", line)


def _without_marked(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not line.startswith(QUOTED)]


def _without_rule(lines: Sequence[str]) -> list[str]:
    """The line of dashes or underscores above a quote's header belongs to the quote."""
    lines = trimmed(lines)
    while lines and (
        words.RULE.fullmatch(_plain(lines[-1])[:MAX_LINE]) or words.ORIGINAL.fullmatch(lines[-1][:MAX_LINE])
    ):
        lines = trimmed(lines[:-1])
    return lines


# --- signatures ---


def _without_signature(lines: Sequence[str]) -> list[str]:
    """Without what stands below "-- ", and without the last line that a telephone wrote by itself."""
    if sum(line.startswith(SIGNED) for line in lines) <= 40:
        lines = [line for line in lines if not line.startswith(SIGNED)]
    lines = trimmed(lines)
    for index, line in enumerate(lines):
        if _ends_text(line, lines[index + 1 :]):
            lines = trimmed([*lines[:index], *_postscript(lines[index + 1 :])])
            break
    while lines and words.MOBILE.fullmatch(_plain(lines[-1])[:200]):
        lines = trimmed(lines[:-1])
        if lines and words.RULE.fullmatch(lines[-1][:200]):
            lines = trimmed(lines[:-1])
    return lines


def _ends_text(line: str, rest: Sequence[str]) -> bool:
    """RFC 3676 §4.3: "-- " alone on its line. Without the space it counts above a few short lines only."""
    if line in ("-- ", "--\xa0"):
        return len(trimmed(rest)) <= 30
    if line.strip() not in ("--", "—"):
        return False
    below = trimmed(rest)
    return 0 < len(below) <= 10 and all(len(other) <= 100 and "?" not in other for other in below)


def _postscript(lines: Sequence[str]) -> list[str]:
    start = next((index for index, line in enumerate(lines) if _POSTSCRIPT.match(line)), None)
    return [] if start is None else ["", *lines[start:]]
