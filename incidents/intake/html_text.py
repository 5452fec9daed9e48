"""The text of an HTML mail, safe to show as Markdown: links as words (address), lists, quotes as "> ". PURE.

nh3 (an HTML5 parser) first makes well-formed HTML of whatever came, without scripts and styles; one pass
over that makes lines. What a mail client marked as quoted or as a signature keeps a mark at the line's
start for `quotes`, which is the only reader of these marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import nh3

QUOTED, SIGNED, CUT = "\uf8f1", "\uf8f2", "\uf8f3"  # private characters; a mail's own are taken out first
MARKS = re.compile(f"[{QUOTED}{SIGNED}{CUT}]")
MAX_LENGTH = 2_000_000
MAX_WORK = 10_000_000  # how deep elements are nested, times how many tags there are

_BLOCKS = {
    "address", "article", "aside", "body", "center", "dd", "div", "dl", "dt", "figure", "footer", "form",
    "header", "main", "nav", "section", "table", "tbody", "thead", "tfoot", "tr",
}  # fmt: skip
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre", "blockquote"}
_INLINE = {"a", "b", "span", "img", "br", "hr", "li", "td", "th", "font"}
_TAGS = _BLOCKS | _PARAGRAPHS | _INLINE
_DROPPED = {
    "script", "style", "title", "head", "template", "noscript", "svg", "math", "object", "iframe", "select",
    "textarea", "audio", "video", "canvas",
}  # fmt: skip
_KEPT = {"*": {"class", "id", "style", "type", "name", "hidden"}, "a": {"href"}, "img": {"src", "alt"}}
_VOID = {"br", "hr", "img"}
_OPTIONAL_ENDS = "p|li|dd|dt|td|th|tr|thead|tbody|tfoot|option|br|hr|img|meta|link|input|col|wbr|area|base"
_NESTING = re.compile(rf"<(/?)(?!(?:{_OPTIONAL_ENDS})\b)[a-z][a-z0-9:]*", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]{0,2000}>")
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*[01](?:px|pt|em)?\s*(?:;|$|!)"
    r"|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$|!)|max-height\s*:\s*0",
    re.IGNORECASE,
)
# How clients mark what is not new. Outlook's web page puts "x_" before the names of what it quotes.
# A container that may hold answers between the quotes is not marked: only what is surely old is.
_QUOTE_CLASS = re.compile(r"\b(?:yahoo_quoted|moz-cite-prefix|gmail_attr)\b")
_CITE_CLASS = re.compile(
    r"\b(?:gmail_quote|protonmail_quote|tutanota_quote|iosymail|front-blockquote|freshdesk_quote|zmail_quote"
    r"|mailspring-quote|cite|quote)\b"
)
_QUOTE_ID = re.compile(r"(?:yahoo_quoted.*|reply-intro)", re.IGNORECASE)
_CUT_ID = re.compile(r"divRplyFwdMsg|mail-editor-reference-message-container")
_SIGNATURE_CLASS = re.compile(
    r"\b(?:gmail_signature|moz-signature|protonmail_signature_block|zmail_signature|signature_block|tutanota_signature)\b"
)
_SIGNATURE_ID = re.compile(
    r"(?:Signature|signature|AppleMailSignature|ms-outlook-mobile-signature|Zm-_Id_-Sgn\w*|mobileSignature)"
)


@dataclass
class HtmlText:
    """The lines with their marks, the inline images they show, and what was cut off."""

    text: str = ""
    content_ids: set[str] = field(default_factory=set)
    notices: list[str] = field(default_factory=list)


def html_to_text(html: str) -> HtmlText:
    """Never fails: HTML that is nested without sense is stripped of its tags instead of read."""
    notices: list[str] = []
    html = MARKS.sub("", html)
    if len(html) > MAX_LENGTH:
        html = html[:MAX_LENGTH]
        notices.append("The mail's text is very long: the end is missing here.")
    depth, tags = _depth(html)
    if depth * tags > MAX_WORK:
        notices.append("The mail's HTML is nested too deep: only its words were kept.")
        return HtmlText(" ".join(_ANY_TAG.sub(" ", html).split()), set(), notices)
    reader = _Reader()
    reader.feed(
        nh3.clean(
            html,
            tags=_TAGS,
            clean_content_tags=_DROPPED,
            attributes=_KEPT,
            url_schemes={"http", "https", "mailto", "tel", "ftp", "cid"},
            link_rel=None,
        )
    )
    reader.close()
    reader.new_line()
    return HtmlText("\n".join(reader.lines), reader.content_ids, notices)


def _depth(html: str) -> tuple[int, int]:
    """How deep the elements that need an end tag are nested, and how many tags there are.

    The HTML parser's time grows with their product.
    """
    depth = deepest = 0
    for match in _NESTING.finditer(html):
        depth = max(0, depth - 1) if match.group(1) else depth + 1
        deepest = max(deepest, depth)
    return deepest, html.count("<")


@dataclass
class _Open:
    """An element that is not closed yet, and what it means for the lines within."""

    tag: str
    is_hidden: bool = False
    quotes: int = 0
    is_marked: bool = False
    is_signature: bool = False
    is_list: bool = False
    number: int | None = None
    href: str = ""
    words: list[str] | None = None


class _Reader(HTMLParser):
    """Makes lines of well-formed HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self.content_ids: set[str] = set()
        self.stack: list[_Open] = []
        self.counts = {"quotes": 0, "marked": 0, "signature": 0, "hidden": 0, "pre": 0}
        self.line: list[str] = []
        self.prefix = ""
        self.wanted = 0  # line ends before the next words

    # --- lines ---

    def new_line(self) -> None:
        text = "".join(self.line)
        self.lines.append((self.prefix + text).rstrip() if text.strip() != "--" else self.prefix + "-- ")
        self.line, self.wanted = [], 0

    def want(self, count: int) -> None:
        self.wanted = max(self.wanted, count)

    def say(self, words: str) -> None:
        if self.counts["hidden"] or not words:
            return
        if self.wanted and (self.line or self.lines):
            before = self._prefix()
            is_deeper = self.prefix != before
            wanted = self.wanted
            if self.line:
                self.new_line()
                wanted -= 1
            if wanted > 0 and self.lines and self.lines[-1].strip(f"> {QUOTED}{SIGNED}"):
                self.lines.append("" if is_deeper else before.rstrip())
        self.wanted = 0
        if not self.line:
            self.prefix = self._prefix()
        self.line.append(words)
        for element in self.stack:
            if element.words is not None:
                element.words.append(words)

    def _prefix(self) -> str:
        mark = QUOTED if self.counts["marked"] else SIGNED if self.counts["signature"] else ""
        depth = max(self.counts["quotes"], 1 if self.counts["marked"] else 0)
        return mark + "> " * min(depth, 10)

    # --- elements ---

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _VOID:
            self._void(tag, given)
            return
        if _CUT_ID.fullmatch(given.get("id", "").removeprefix("x_")):
            self.want(1)
            self.say(CUT)
            self.want(1)
        element = self._opened(tag, given)
        self._begin(element)
        self._count(element, 1)
        self.stack.append(element)

    def _void(self, tag: str, given: dict[str, str]) -> None:
        if tag == "br":
            if self.wanted and not self.line:
                self.wanted = max(self.wanted, 1)
            self.prefix = self.prefix if self.line else self._prefix()
            if not self.counts["hidden"]:
                self.new_line()
        elif tag == "hr":
            self.want(1)
            self.say("_" * 32)
            self.want(1)
        else:
            self._image(given)

    def _image(self, given: dict[str, str]) -> None:
        source = given.get("src", "")
        if source.lower().startswith("cid:"):
            self.content_ids.add(source[4:].strip())
        alt = " ".join(given.get("alt", "").split())[:200]
        if alt:
            self.say(alt if not alt.isascii() and len(alt) <= 4 else f"[{alt}]")

    def _opened(self, tag: str, given: dict[str, str]) -> _Open:
        classes, name = given.get("class", "").replace("x_", ""), given.get("id", "").removeprefix("x_")
        is_quote = bool(_QUOTE_CLASS.search(classes) or _QUOTE_ID.fullmatch(name))
        is_cited = tag == "blockquote" and (
            given.get("type", "").lower() == "cite" or bool(_CITE_CLASS.search(classes))
        )
        return _Open(
            tag,
            is_hidden="hidden" in given or bool(_HIDDEN.search(given.get("style", ""))),
            quotes=int(tag == "blockquote"),
            is_marked=is_quote or is_cited,
            is_signature=bool(_SIGNATURE_CLASS.search(classes) or _SIGNATURE_ID.fullmatch(name)),
            is_list=tag in ("ul", "ol"),
            number=0 if tag == "ol" else None,
            href=given.get("href", ""),
            words=[] if tag == "a" else None,
        )

    def _begin(self, element: _Open) -> None:
        if element.tag in _PARAGRAPHS:
            self.want(1 if element.is_list and any(outer.is_list for outer in self.stack) else 2)
        elif element.tag in _BLOCKS:
            self.want(1)
        elif element.tag == "li":
            self._begin_item()
        elif element.tag in ("td", "th") and self.line and not self.wanted:
            self.say(" | ")

    def _begin_item(self) -> None:
        self.want(1)
        lists = [outer for outer in self.stack if outer.is_list]
        mark = "- "
        if lists and lists[-1].number is not None:
            lists[-1].number += 1
            mark = f"{lists[-1].number}. "
        self.say("  " * (max(1, min(len(lists), 8)) - 1) + mark)

    def handle_endtag(self, tag: str) -> None:
        if not any(element.tag == tag for element in self.stack):
            return
        while True:
            element = self.stack.pop()
            self._end(element)
            if element.tag == tag:
                return

    def _end(self, element: _Open) -> None:
        if element.words is not None:
            self._end_link(element)
        self._count(element, -1)
        if element.tag in _PARAGRAPHS:
            self.want(1 if element.is_list and any(outer.is_list for outer in self.stack) else 2)
        elif element.tag in _BLOCKS or element.tag == "li":
            self.want(1)

    def _end_link(self, element: _Open) -> None:
        words = "".join(element.words or []).strip()
        target = element.href.strip()
        short = re.sub(r"^(?:mailto:|tel:|https?://)", "", target, flags=re.IGNORECASE).rstrip("/")
        said = re.sub(r"^https?://", "", words).rstrip("/")
        if target and short and short.split("?")[0].lower() != said.lower() and short.lower() != said.lower():
            self.say(f" ({target})" if words else target)

    def _count(self, element: _Open, step: int) -> None:
        self.counts["quotes"] += step * element.quotes
        self.counts["marked"] += step * element.is_marked
        self.counts["signature"] += step * element.is_signature
        self.counts["hidden"] += step * element.is_hidden
        self.counts["pre"] += step * (element.tag == "pre")

    def handle_data(self, data: str) -> None:
        data = data.replace("\xa0", " ").replace("\u200b", "").replace("\r", "")
        if self.counts["pre"]:
            first, *rest = data.split("\n")
            self.say(first)
            for line in rest:
                self.prefix = self.prefix if self.line else self._prefix()
                self.new_line()
                self.say(line)
            return
        words = re.sub(r"[ \t\n\f]+", " ", data)
        if not self.line or self.wanted or self.line[-1].endswith(" "):
            words = words.lstrip(" ")
        self.say(words)
