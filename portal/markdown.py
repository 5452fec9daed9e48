"""Markdown that people wrote: as HTML that cannot act, and as plain text for mails.

Two locks hold one after the other: the parser passes no HTML through, and what it made is reduced to an
allow-list. Pages, previews, mails and reports all come here, so that they show the same.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import MutableMapping, Sequence
from importlib.util import find_spec
from typing import Any

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from markdown_it.utils import OptionsDict

MAX_LENGTH = 50_000  # characters; longer texts are logs, and shown as they are
TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
LINK = re.compile(r"https?://|mailto:", re.IGNORECASE)


def render_markdown(text: str, *, top_heading: int = 3) -> SafeString:
    """Sanitised HTML of `text`; its `# heading` becomes `<h{top_heading}>`, to fit under the page's own.

    No raw HTML, no images (they become links), links to http, https and mailto only.
    """
    if len(text) > MAX_LENGTH:
        return mark_safe(f"<pre>{escape(text)}</pre>")  # noqa: S308 (escaped)
    clean = nh3.clean(
        _parser.render(text, {"top_heading": top_heading}),
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_keep_attribute,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow noreferrer",
    )
    return mark_safe(clean)  # noqa: S308 (reduced to the allow-list just now)


def plain_text(text: str) -> str:
    """The same text to read without any markup, as the text part of a mail. It is not escaped."""
    if len(text) > MAX_LENGTH:
        return text
    return _plain(SyntaxTreeNode(_parser.parse(text, {}))).strip()


# --- HTML ---


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    """A relative link would lead nowhere from a mail, and to our own buttons from a page."""
    return None if name == "href" and not LINK.match(value) else value


def _lower_headings(state: StateCore) -> None:
    lower_by = state.env.get("top_heading", 1) - 1
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + lower_by)}"


def _image_as_link(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    """Loading a picture from elsewhere would tell its owner who reads, and when."""
    token = tokens[index]
    words = escape(token.content or token.attrs["src"])
    is_within_link = sum(token.nesting for token in tokens[:index] if token.type.startswith("link_")) > 0
    return words if is_within_link else f'<a href="{escape(token.attrs["src"])}">{words}</a>'


def _make_parser() -> MarkdownIt:
    # Bare addresses become links where the optional package for it is installed.
    has_linkify = find_spec("linkify_it") is not None
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": has_linkify})
    parser.enable(["table", "strikethrough"] + ["linkify"] * has_linkify)
    parser.core.ruler.push("lower_headings", _lower_headings)
    parser.add_render_rule("image", _image_as_link)
    return parser


_parser = _make_parser()


# --- plain text ---


def _plain(node: SyntaxTreeNode) -> str:
    """A block and what is in it, without a trailing line break."""
    match node.type:
        case "inline":
            return "".join(_plain_inline(child) for child in node.children)
        case "fence" | "code_block":
            return textwrap.indent(node.content.rstrip("\n"), "    ")
        case "blockquote":
            return textwrap.indent(_stacked(node), "> ", lambda line: True)
        case "bullet_list" | "ordered_list":
            return _plain_list(node)
        case "tr":
            return " | ".join(_plain(cell) for cell in node.children)
        case "table" | "thead" | "tbody":
            return "\n".join(_plain(child) for child in node.children)
        case "hr":
            return "-" * 10
        case _:  # paragraph, heading, list item, cell, root
            return _stacked(node)


def _stacked(node: SyntaxTreeNode) -> str:
    is_tight = any(child.type == "paragraph" and child.hidden for child in node.children)
    return ("\n" if is_tight else "\n\n").join(_plain(child) for child in node.children)


def _plain_list(node: SyntaxTreeNode) -> str:
    first = int(node.attrs.get("start", 1))
    lines = []
    for number, item in enumerate(node.children, first):
        mark = "- " if node.type == "bullet_list" else f"{number}. "
        pad = " " * len(mark)
        lines.append(mark + textwrap.indent(_plain(item), pad).removeprefix(pad))
    return "\n".join(lines)


def _plain_inline(node: SyntaxTreeNode) -> str:
    match node.type:
        case "text" | "code_inline":
            return node.content
        case "softbreak" | "hardbreak":
            return "\n"
        case "link" | "image":
            target = str(node.attrs.get("href") or node.attrs.get("src"))
            words = "".join(_plain_inline(child) for child in node.children)
            return words if target in (words, f"mailto:{words}", "") else f"{words} ({target})".lstrip()
        case _:  # emphasis of some kind
            return "".join(_plain_inline(child) for child in node.children)
