"""Whatever people write, what comes out cannot act: in pages, previews, mails and reports alike."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import nh3
import pytest
from django.utils.safestring import SafeString

from portal.markdown import ATTRIBUTES, LINK, MAX_LENGTH, TAGS, plain_text, render_markdown

ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></ScRiPt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x:alert(alt) onerror=eval(src) alt=0>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><desc><p title='</desc><img src=x onerror=alert(1)>'></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<math><mtext><option><FAKEFAKE><option></option><mglyph><svg><mtext><style><a title='</style><img src=x "
    "onerror=alert(1)>'></style></svg></mglyph></option></mtext></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea><img title='</textarea><img src=x onerror=alert(1)>'>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "<select><noscript><style><a title='</style></noscript></select><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<a href=\"jav&#x09;ascript:alert(1)\">x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>x</a>",
    "<details open ontoggle=alert(1)>x</details>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src=javascript:alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    "<body onload=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<form action=//evil.example><button>Sign in</button></form>",
    "<video><source onerror=alert(1)></video>",
    "<p style='position:fixed;inset:0;background:url(//evil.example)'>x</p>",
    "<div id=csrfmiddlewaretoken name=body>clobber</div>",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version='1.0'?><x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "<a hx-get=/accounts/logout/ hx-trigger=load>x</a>",
    "<a x-data=\"alert(1)\" @click=alert(1)>x</a>",
    "{{constructor.constructor('alert(1)')()}}",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/png;base64,AAAA)",
    "[x](data:image/svg+xml;base64,AAAA)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://a.example/1)",
    "[x](//evil.example/)",
    "[x](/accounts/logout/)",
    "[x](\\\\evil.example)",
    "[x](https:evil.example)",
    '[x](https://a.example/"onmouseover="alert(1))',
    '[x](https://a.example "t" onmouseover=alert(1))',
    "[x](https://a.example '\"onmouseover=alert(1) x=\"')",
    "[x][ref]\n\n[ref]: javascript:alert(1)",
    "[x][ref]\n\n[ref]: https://a.example '\"><script>alert(1)</script>'",
    "[ref]\n\n[ref]: <javascript:alert(1)>",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "<https://a.example/<script>alert(1)</script>>",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "![\"onerror=\"alert(1)](https://a.example/x.png)",
    "![x][ref]\n\n[ref]: data:image/svg+xml,<svg/onload=alert(1)>",
    "[![x](https://a.example/\"onerror=alert(1))](javascript:alert(1))",
    "`<script>alert(1)</script>`",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "```html\" onmouseover=\"alert(1)\n<img src=x onerror=alert(1)>\n```",
    "```mermaid\ngraph TD; A[\"<img src=x onerror=alert(1)>\"]\n```",
    "~~~\"><script>alert(1)</script>\nx\n~~~",
    "    <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "# <svg/onload=alert(1)>",
    "> - 1. <img src=x onerror=alert(1)>",
    "*<b onclick=alert(1)>*",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\0<script>\0alert(1)</script>",
    "\u2028<script>alert(1)</script>",
    "<<script>script>alert(1)<</script>/script>",
]  # fmt: skip
AROUND = ["{}", "text {} text", "- {}", "> {}", "**{}**", "[{}](https://a.example)", "| a |\n|---|\n| {} |"]


class Reader(HTMLParser):
    """Every tag and attribute that a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_comment(self, data: str) -> None:
        self.tags.add("comment")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_becomes_harmless_markup_wherever_it_stands(attack: str) -> None:
    for around in AROUND:
        assert_harmless(render_markdown(around.replace("{}", attack)))


def assert_harmless(html: str) -> None:
    found = Reader(html)
    assert found.tags <= TAGS
    for tag, name, value in found.attributes:
        assert name in ATTRIBUTES[tag] | {"rel"}
        if name == "href":
            assert LINK.match(value)
        if name == "rel":
            assert value == "noopener nofollow noreferrer"
    # A second parser must read the same: what changes when it is read again is how mXSS gets in.
    assert nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES, link_rel="noopener nofollow noreferrer") == html


def test_raw_html_is_shown_as_it_was_written() -> None:
    written = "<b onclick=alert(1)>bold</b>"
    html = render_markdown(written)
    assert Reader(html).text.strip() == written
    assert "<b" not in html


def test_what_people_write_is_rendered() -> None:
    html = render_markdown("**now**, ~~then~~\nnext line\n\n- one\n- two\n\n|a|b|\n|-|-|\n|1|2|\n\n`x`")
    for part in (
        "<strong>now</strong>",
        "<s>then</s>",
        "<br>",
        "<li>two</li>",
        "<td>2</td>",
        "<code>x</code>",
    ):
        assert part in html
    assert isinstance(html, SafeString)


@pytest.mark.parametrize(
    ("written", "href"),
    [
        ("[docs](https://docs.example/a?b=1&c=2)", "https://docs.example/a?b=1&c=2"),
        ("[docs](HTTP://docs.example)", "HTTP://docs.example"),
        ("<https://docs.example>", "https://docs.example"),
        ("<ada@example.com>", "mailto:ada@example.com"),
    ],
)
def test_links_to_the_web_and_to_mail_stay(written: str, href: str) -> None:
    assert ("a", "href", href) in Reader(render_markdown(written)).attributes


def test_a_picture_becomes_a_link_and_is_not_loaded() -> None:
    html = render_markdown("![the **graph**](https://a.example/g.png)")
    assert "<img" not in html
    assert '<a href="https://a.example/g.png"' in html
    assert Reader(html).text.strip() == "the **graph**"


def test_a_picture_within_a_link_is_its_words_only() -> None:
    html = render_markdown("[![badge](https://a.example/b.svg)](https://c.example)")
    assert [value for _, name, value in Reader(html).attributes if name == "href"] == ["https://c.example"]


def test_headings_fit_under_the_page_s_own() -> None:
    assert render_markdown("# a\n\n## b") == "<h3>a</h3>\n<h4>b</h4>\n"
    assert render_markdown("# a\n\n###### b", top_heading=2) == "<h2>a</h2>\n<h6>b</h6>\n"


def test_a_log_of_many_lines_is_shown_as_it_is() -> None:
    log = "*<b>\n" * MAX_LENGTH
    html = render_markdown(log)
    assert html.startswith("<pre>*&lt;b&gt;\n")
    assert Reader(html).tags == {"pre"}
    assert plain_text(log) == log


@pytest.mark.parametrize(
    "bomb",
    ["[", "![", "*a_ ", "> ", "~~a", "|a"],
)
def test_no_text_takes_long(bomb: str) -> None:
    text = (bomb * MAX_LENGTH)[:MAX_LENGTH]
    before = time.perf_counter()
    render_markdown(text)
    plain_text(text)
    assert time.perf_counter() - before < 10


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("# Outage\n\n**All** _calls_ `fail` ~~now~~", "Outage\n\nAll calls fail now"),
        ("first\nsecond", "first\nsecond"),
        ("[docs](https://docs.example)", "docs (https://docs.example)"),
        ("<https://docs.example> <ada@example.com>", "https://docs.example ada@example.com"),
        ("![graph](https://a.example/g.png)", "graph (https://a.example/g.png)"),
        ("![](https://a.example/g.png)", "(https://a.example/g.png)"),
        ("- one\n- two\n  - deep\n    down", "- one\n- two\n  - deep\n    down"),
        ("9. nine\n10. ten\n\n    more", "9. nine\n10. ten\n\n    more"),
        ("-     code\n  - x", "-     code\n\n  - x"),
        ("> said\n> > before", "> said\n> \n> > before"),
        ("| a | b |\n|---|---|\n| 1 | |", "a | b\n1 | "),
        ("```sh\nls -l\n\nrm\n```", "    ls -l\n\n    rm"),
        ("a\n\n---\n\nb", "a\n\n----------\n\nb"),
        ("<b>raw</b> & \"quotes\" &amp;", "<b>raw</b> & \"quotes\" &"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_mail_s_text_reads_without_markup(written: str, plain: str) -> None:
    assert plain_text(written) == plain.strip()
