"""How a message reads in a chat room: one set of facts, written by each service's own rules. PURE.

People's texts are quoted, never obeyed: no mention of a whole room, no link that shows another address
than it has, no mark that breaks out of its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from portal.channels.base import Rendered, one_line, storable
from portal.markdown import plain_text
from portal.templatetags.portal_tags import when

# The services' documented limits: characters of a text in Slack (of 40,000, which it cuts) and in
# Mattermost; bytes of a message in Teams (28 KB, with room for the envelope that its workflow adds).
SLACK_CHARACTERS = 4000
MATTERMOST_CHARACTERS = 16383
TEAMS_BYTES = 21_000
TITLE, FACT, STEP, STEPS = 200, 1000, 300, 20
SHORTEST = 40
INVISIBLE = "\u2060"  # WORD JOINER: nobody sees it, and no service reads a command across it
MARKDOWN = re.compile(r"https?://[^\s<>\"]+|[\\`*_{}\[\]()#+!|<>~@-]")
Written = TypeVar("Written")


@dataclass(frozen=True)
class Told:
    """What a room is told: plain texts, not escaped yet; `facts` are (label, value)."""

    title: str
    facts: tuple[tuple[str, str], ...]
    text: str
    steps: tuple[str, ...]
    url: str
    is_cut: bool = False


# --- what is said ---


def told(rendered: Rendered) -> Told:
    """The facts of the standard form, or the text where there is none; in the active language and zone."""
    title, url = one_line(rendered.subject, TITLE), rendered.url
    form = rendered.form
    if form is None:
        return Told(title, (), storable(rendered.text).strip(), (), url)
    steps = tuple(_step(step) for step in form["next_steps"])
    return Told(title, tuple(_facts(form)), plain_text(storable(form["what"])), steps, url or form["url"])


def _facts(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    services = ", ".join(f"{service['name']}: {service['word']}" for service in form["services"])
    begins = _("From:") if form["kind"] == "maintenance_notice" else _("Since:")
    facts = [
        (_("State:"), form["state_word"]),
        (_("Impact:"), plain_text(form["impact"])),
        (_("Services:"), services),
        (begins, _moment(form["since"])),
        (_("Until:"), _moment(form["until"])),
        (_("Next update:"), _moment(form["next_update_at"]) or form["next_update_word"]),
        *((f"{item['label']}:", plain_text(item["text"])) for item in form["more"]),
    ]
    return [(label, storable(value)) for label, value in facts if value]


def _step(step: Mapping[str, Any]) -> str:
    due = f"{_('by')} {_moment(step['due'])}" if step["due"] else ""
    return " · ".join(part for part in (one_line(plain_text(step["text"]), STEP), step["owner"], due) if part)


def _moment(written: str | None) -> str:
    """A moment or a day of the form, as everywhere else."""
    if not written:
        return ""
    return when(datetime.fromisoformat(written) if "T" in written else date.fromisoformat(written))


# --- so much of it ---


def fitted(
    said: Told, write: Callable[[Told], Written], size: Callable[[Written], int], limit: int
) -> Written:
    """What `write` makes of as much as fits into `limit`; the link is in it in any case."""
    length = limit
    while True:
        written = write(_cut(said, length))
        if size(written) <= limit or length <= SHORTEST:
            return written
        length = max(length * 3 // 4, SHORTEST)


def _cut(said: Told, length: int) -> Told:
    """The same with texts of at most `length`, and a note if anything is missing."""
    facts = tuple((_short(label, 60), _short(value, min(FACT, length))) for label, value in said.facts)
    shorter = replace(
        said,
        title=_short(said.title, min(TITLE, length)),
        facts=facts[: max(length // 20, 3)],
        text=_short(said.text, length),
        steps=tuple(_short(step, min(STEP, length)) for step in said.steps[: min(STEPS, length // 20)]),
    )
    return replace(shorter, is_cut=shorter != said)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _note(said: Told) -> str:
    return _("Shortened. All of it is on the page.") if said.is_cut else ""


# --- Slack ---


def slack(rendered: Rendered) -> str:
    """Text in Slack's mrkdwn."""
    return fitted(told(rendered), _slack, len, SLACK_CHARACTERS)


def _slack(said: Told) -> str:
    link = f"<{_address(said.url)}|{_slack_words(_('Open in the portal'))}>" if said.url else ""
    lines = [
        f"*{_slack_words(said.title.replace('*', '∗'))}*",
        *(f"*{_slack_words(label)}* {_slack_words(value)}" for label, value in said.facts),
        _slack_words(said.text),
        *_listed(said, "*{}*", "• {}", _slack_words),
        _slack_words(_note(said)),
        link,
    ]
    return "\n".join(line for line in lines if line)


def _slack_words(text: str) -> str:
    """Slack's three characters. Without the angle brackets there is no mention, no command and no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _address(url: str) -> str:
    """An address of ours inside Slack's brackets or a Markdown link, where some characters end it."""
    escaped = re.sub(r"[<>|()\\\s]", lambda found: f"%{ord(found[0]):02X}", url)
    return escaped.replace("&", "&amp;")


# --- Mattermost ---


def mattermost(rendered: Rendered) -> str:
    """Text in Mattermost's Markdown."""
    return fitted(told(rendered), _mattermost, len, MATTERMOST_CHARACTERS)


def _mattermost(said: Told) -> str:
    address = _address(said.url).replace("&amp;", "&")
    lines = [
        f"**{_markdown_words(said.title)}**",
        "\n".join(f"**{_markdown_words(label)}** {_markdown_words(value)}  " for label, value in said.facts),
        _markdown_words(said.text),
        "\n".join(_listed(said, "**{}**", "* {}", _markdown_words)),
        _markdown_words(_note(said)),
        f"[{_markdown_words(_('Open in the portal'))}]({address})" if said.url else "",
    ]
    return "\n\n".join(line for line in lines if line)


def _markdown_words(text: str) -> str:
    """Every mark of Markdown escaped, and no @ that calls anybody. Bare addresses show where they lead: they stay."""
    return MARKDOWN.sub(_quiet, text)


def _quiet(found: re.Match[str]) -> str:
    mark = found[0]
    if len(mark) > 1:  # an address: a backslash would break it
        return re.sub(r"[^\w:/.?&=%#;,~+-]", lambda sign: f"%{ord(sign[0]):02X}", mark, flags=re.ASCII)
    return f"@{INVISIBLE}" if mark == "@" else f"\\{mark}"


def _listed(said: Told, head: str, item: str, words: Callable[[str], str]) -> list[str]:
    if not said.steps:
        return []
    return [head.format(words(_("Next steps:"))), *(item.format(words(step)) for step in said.steps)]


# --- Microsoft Teams ---


def teams(rendered: Rendered) -> dict[str, Any]:
    """A message with an Adaptive Card, as a workflow's webhook takes it."""
    return fitted(told(rendered), _teams, lambda made: len(json.dumps(made).encode()), TEAMS_BYTES)


def _teams(said: Told) -> dict[str, Any]:
    blocks = [
        _line((said.title, True), size="Medium"),
        *(_line((label, True), (f" {value}", False)) for label, value in said.facts),
        *(_line((line, False)) for line in said.text.splitlines()),
        *(_line((line, False)) for line in _listed(said, "{}", "• {}", str)),
        _line((_note(said), False), isSubtle=True),
    ]
    action = {"type": "Action.OpenUrl", "title": _("Open in the portal"), "url": said.url}
    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": [block for block in blocks if block],
        "actions": [action] if said.url else [],
        "msteams": {"width": "Full"},
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _line(*runs: tuple[str, bool], **more: Any) -> dict[str, Any] | None:
    """A line of texts, each bold or not. In runs of text a card knows no Markdown, only {{DATE()}} and {{TIME()}}."""
    inlines = [
        {"type": "TextRun", "text": text.replace("{{", f"{{{INVISIBLE}{{")}
        | ({"weight": "Bolder"} if is_bold else {})
        | more
        for text, is_bold in runs
        if text.strip()
    ]
    return {"type": "RichTextBlock", "inlines": inlines} if inlines else None


def teams_text(card: Mapping[str, Any]) -> str:
    """What a card says, for the record."""
    content = card["attachments"][0]["content"]
    lines = ["".join(run["text"] for run in block["inlines"]) for block in content["body"]]
    return "\n".join([*lines, *(action["url"] for action in content["actions"])])
