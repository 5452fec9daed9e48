"""Words that a reader must not see, replaced wherever they stand. PURE: no Django, no I/O.

A word is found in any case, also with Turkish letters; as a whole, so that “Acme” is not found within
“Acmeology”; and through what Markdown may put within it: line breaks, emphasis, a backslash before a sign.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

BLACK = "█████"
# What may stand between two words of a name: white space of any kind, and the marks of Markdown.
GAP = r"(?:[\s*_~`\u200b\u00ad]|&nbsp;)+"
INVISIBLE = r"[\u200b\u00ad]*"
LETTERS_I = "iIıİ"  # four letters that are two in Turkish, and other two in English


@dataclass(frozen=True)
class Secret:
    """Words to be replaced. `is_exact` keeps to their case: a name of one word may be a common word."""

    words: str
    instead: str = BLACK
    is_exact: bool = False


class Redactor:
    """Replaces secrets in texts; the longest first, so that a name is not left half."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        wanted = [secret for secret in secrets if secret.words.strip()]
        wanted.sort(key=lambda secret: -len(secret.words))
        self._patterns = [(re.compile(_pattern(secret)), secret.instead) for secret in wanted]

    def __call__(self, text: str) -> str:
        """The text without any of the secrets."""
        text = unicodedata.normalize("NFC", text)
        for pattern, instead in self._patterns:
            text = instead.join(_around(pattern, text))
        return text

    def within(self, value: Any) -> Any:
        """The same for every text within lists and mappings; keys and other values stay."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {key: self.within(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.within(item) for item in value]
        return value


def _around(pattern: re.Pattern[str], text: str) -> list[str]:
    """What stands between the matches."""
    ends = [0]
    for found in pattern.finditer(text):
        ends += found.span()
    return [text[start:end] for start, end in zip(ends[::2], [*ends[1::2], len(text)], strict=True)]


def _pattern(secret: Secret) -> str:
    parts = unicodedata.normalize("NFC", secret.words).split()
    body = GAP.join(_word(part, secret.is_exact) for part in parts)
    first, last = parts[0][0], parts[-1][-1]
    before = r"(?<![^\W_])" if first.isalnum() else ""
    after = r"(?![^\W_])" if last.isalnum() else ""
    return before + body + after


def _word(word: str, is_exact: bool) -> str:
    return INVISIBLE.join(re.escape(letter) if is_exact else _letter(letter) for letter in word)


def _letter(letter: str) -> str:
    """The letter in every case; a sign as itself, escaped, or as its HTML entity."""
    if letter in LETTERS_I:
        return r"(?:i\u0307?|[Iıİ])"
    if letter.isalpha():
        forms = sorted({letter, letter.lower(), letter.upper(), letter.casefold()}, key=len, reverse=True)
        return f"(?:{'|'.join(map(re.escape, forms))})"
    if letter.isalnum():
        return re.escape(letter)
    return r"(?:&amp;|\\?&)" if letter == "&" else rf"\\?{re.escape(letter)}"


def candidates(texts: Iterable[str], names: Sequence[str]) -> list[str]:
    """Those of many names that can occur in the texts: each word of them does."""
    seen = set().union(*(_tokens(text) for text in texts))
    return [name for name in names if _tokens(name) <= seen]


def _tokens(text: str) -> set[str]:
    """Words in one case, with all four letters i as one."""
    plain = unicodedata.normalize("NFC", text).replace("İ", "i").replace("ı", "i").casefold()
    plain = re.sub(r"[\u200b\u00ad\u0307]", "", plain.replace("&amp;", "&"))
    return set(re.findall(r"[^\W_]+", plain))


def texts_within(value: Any) -> list[str]:
    """Every text within lists and mappings."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts_within(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts_within(item)]
    return []
