"""Slack's markup as Markdown. PURE.

As documented under “Formatting message text” (docs.slack.dev/messaging): `&`, `<` and `>` of the writer are
escaped; what stands between `<` and `>` is a mention, a channel, a command to all, or a link with its label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

CODE = re.compile(r"(```.+?```|`[^`\n]+`)", re.DOTALL)
TOKEN = re.compile(r"<([^<>\n]+)>")
USER = re.compile(r"<@([A-Za-z0-9_-]{1,120})(?:\|[^<>\n]*)?>")
# Each finds what stands between < and > as well, so that an address is not taken for emphasis.
BOLD = re.compile(r"<[^<>\n]+>|(?<![\w*])\*(?=[^\s*])([^*\n]+)(?<=\S)\*(?![\w*])")
STRUCK = re.compile(r"<[^<>\n]+>|(?<![\w~])~(?=[^\s~])([^~\n]+)(?<=\S)~(?![\w~])")
ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))  # the ampersand last: “&amp;lt;” is “&lt;”
LINK = re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE)


def mentioned(text: str) -> set[str]:
    """The ids of the people whom a text names."""
    return set(USER.findall(text))


def to_markdown(text: str, names: Mapping[str, str], someone: str = "someone") -> str:
    """The text in Markdown. `names` says who is who, by the service's ids; others are `someone`."""
    parts = CODE.split(text)
    made = [_code(part) if index % 2 else _prose(part, names, someone) for index, part in enumerate(parts)]
    return "".join(made)


def _prose(text: str, names: Mapping[str, str], someone: str) -> str:
    for pattern, mark in ((BOLD, "**"), (STRUCK, "~~")):
        text = pattern.sub(partial(_marked, mark), text)
    return _unescaped(TOKEN.sub(lambda found: _token(found[1], names, someone), text))


def _marked(mark: str, found: re.Match[str]) -> str:
    return f"{mark}{found[1]}{mark}" if found[1] else found[0]


def _code(text: str) -> str:
    """Code is kept as it is; a block gets lines of its own, which Markdown asks for."""
    plain = _unescaped(TOKEN.sub(lambda found: found[1].rpartition("|")[2], text))
    if not text.startswith("```"):
        return plain
    return "\n```\n" + plain[3:-3].strip("\n") + "\n```\n"


def _token(inner: str, names: Mapping[str, str], someone: str) -> str:
    what, _, label = inner.partition("|")
    if what.startswith("@"):
        return f"@{names.get(what[1:]) or someone}"
    if what.startswith("#"):
        return f"#{label}" if label else "#…"
    if what.startswith("!"):
        return label or f"@{what[1:].partition('^')[0]}"
    return _link(what, label)


def _link(address: str, label: str) -> str:
    if not LINK.fullmatch(address):
        return label or address
    bare = address.partition(":")[2].removeprefix("//").rstrip("/")
    if not label or label.rstrip("/") in (address, bare):
        return label if address.startswith("mailto:") and label else f"<{address}>"
    label = label.replace("[", "(").replace("]", ")")
    return f"[{label}](<{address}>)"


def _unescaped(text: str) -> str:
    for entity, character in ENTITIES:
        text = text.replace(entity, character)
    return text
