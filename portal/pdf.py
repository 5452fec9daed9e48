"""A page as a PDF. WeasyPrint needs libpango, so it is imported where it is used, and may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string


class Unavailable(Exception):
    """This machine cannot make PDFs; the reader prints the page instead."""


def is_available() -> bool:
    try:
        _library()
    except Unavailable:
        return False
    return True


def render_pdf(template: str, context: Mapping[str, Any]) -> bytes:
    """The template as a PDF in the active language and zone. Raises Unavailable without libpango.

    The document holds everything itself: its style comes from `static/css/document.css`, and an address in
    it that would have to be fetched is left out, whoever wrote it.
    """
    library = _library()
    fetcher = library.urls.URLFetcher(allowed_protocols=["data"])
    found = finders.find("css/document.css")
    style = Path(found).read_text() if isinstance(found, str) else ""
    html = library.HTML(string=render_to_string(template, dict(context)), url_fetcher=fetcher)
    sheet = library.CSS(string=style, url_fetcher=fetcher)
    return bytes(html.write_pdf(stylesheets=[sheet], pdf_variant="pdf/ua-1"))


def _library() -> Any:
    try:
        import weasyprint  # noqa: PLC0415 (slow to import, and needs a system library)
    except OSError as error:
        raise Unavailable("libpango is not installed on this machine") from error
    return weasyprint
