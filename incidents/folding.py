"""Words as the search compares them: without case, accents, and the four letters i of Turkish. PURE.

The same function makes the words of the index and those of a query, on every database, so that neither's own
parser or collation decides what is found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

LONGEST = 64  # characters of a word; what is longer is found by its beginning
MOST_PARTS = 8
MOST_BYTES = 400_000  # of the words of one text: PostgreSQL's vector holds 1 MB
MOST_WORDS = 8  # of a query

_LETTERS = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th"})
# What hangs together by a dot, dash or underscore is a word, and so is each of its parts: ops-4711, 2.1.3.
_WORD = re.compile(r"[^\W_]+(?:[-._]+[^\W_]+)*")
_PART = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """The text in one case, and letters without what stands above or below them."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return bare.translate(_LETTERS)


def words_of(texts: Iterable[str]) -> list[str]:
    """What the texts are found by, each once, in order; of very long texts the first words only.

    A compound is found by each of its ends, too: “api.example.com” by “example.com” and by “example”.
    """
    found: set[str] = set()
    left = MOST_BYTES
    for text in texts:
        for word in _all_words(text):
            if word not in found:
                left -= len(word.encode())
                if left < 0:
                    return sorted(found)
                found.add(word)
    return sorted(found)


def _all_words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(fold(text)):
        word = match[0]
        yield word[:LONGEST]
        parts = list(_PART.finditer(word)) if len(word) > 2 and not word.isalnum() else []
        for part in parts[:MOST_PARTS]:
            yield part[0][:LONGEST]
            yield word[part.start() :][:LONGEST]


def asked_for(query: str) -> list[str]:
    """The words of a query, in its order. The last one may be the beginning of a word."""
    return [match[0][:LONGEST] for match in _WORD.finditer(fold(query))][:MOST_WORDS]


def has(words: Iterable[str], wanted: list[str]) -> int:
    """How many of the wanted words are among `words`, of which the last one may only begin there."""
    there = set(words)
    whole = sum(word in there for word in wanted[:-1])
    return whole + any(word.startswith(wanted[-1]) for word in there)
