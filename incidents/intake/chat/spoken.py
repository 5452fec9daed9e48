"""One message in a channel in one shape, whatever the service; and what its text is addressed to. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ID_LENGTH, NAME_LENGTH, FILE_NAME_LENGTH = 120, 150, 100
MOST_FILES = 10
ONLY_A_REFERENCE = re.compile(r"\s*INC-([1-9][0-9]{0,17})\s*:?\s*", re.IGNORECASE)
WITH_WORDS = re.compile(
    r"\s*INC-([1-9][0-9]{0,17})(?>\s*:\s*|\s+)(?!INC-[0-9])(\S.*)", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class Spoken:
    """What somebody wrote. Every id is the service's own; `text` is as the service writes it."""

    id: str  # the same each time that the service sends it again
    room: str
    user: str
    text: str
    thread: str = ""  # what the thread began with; "" outside of one
    user_name: str = ""
    files: tuple[str, ...] = ()  # their names, "" where the service does not say
    is_command: bool = False


def text_in(values: Mapping[str, Any], name: str, most: int = ID_LENGTH) -> str:
    """A text among what a service sent; "" for anything else, and for one longer than `most`."""
    value = values.get(name)
    return value if isinstance(value, str) and len(value) <= most else ""


def addressed(text: str) -> tuple[str, str]:
    """The reference that a text begins with, in capitals, and the words after it; ("", text) without one.

    Two references at the beginning are addressed to nobody: nobody can say which is meant.
    """
    if found := ONLY_A_REFERENCE.fullmatch(text):
        return f"INC-{found[1]}", ""
    if found := WITH_WORDS.match(text):
        return f"INC-{found[1]}", found[2]
    return "", text
