"""A page as a PDF. WeasyPrint needs libpango, so it is imported where it is used, and may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string


class Unavailable(Exception):
    """This machine cannot make PDFs; the reader prints the page instead."""


class _Refused(ValueError):
    """A document that asks for something outside itself."""


def is_available() -> bool:
    try:
        _library()
    except Unavailable:
        return False
    return True


def render_pdf(template: str, context: Mapping[str, Any]) -> bytes:
    """The template as a PDF in the active language and zone. Raises Unavailable without libpango.

    The document holds everything itself: its style comes from `static/css/document.css`, and any address
    in it that would have to be fetched is refused, whoever wrote it.
    """
    library = _library()
    style = finders.find("css/document.css")
    html = render_to_string(template, dict(context))
    document = library.HTML(string=html, url_fetcher=_refuse)
    sheets = [library.CSS(filename=style, url_fetcher=_refuse)] if isinstance(style, str) else []
    return bytes(document.write_pdf(stylesheets=sheets, pdf_variant="pdf/ua-1"))


def _library() -> Any:
    try:
        import weasyprint  # noqa: PLC0415 (slow to import, and needs a system library)
    except OSError as error:
        raise Unavailable("libpango is not installed on this machine") from error
    return weasyprint


def _refuse(url: str, *args: Any, **options: Any) -> dict[str, Any]:
    raise _Refused(f"a document must not fetch {url}")
