"""How often a signed-in person may ask for pages, send forms and make documents: as the API counts, in one cache."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from portal.accounts import too_many_requests
from portal.api_limits import TooMany, count
from portal.middleware import API, is_for_all

DOCUMENTS = ("/pdf/", "/csv/", "/jsonl/", "/profile/data/")  # what takes longest to make


def page_limits(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer 429 beyond the limits `pages`, `forms` and `documents` of a person; visitors have allauth's own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if is_for_all(request) or request.path.startswith(API) or SESSION_KEY not in request.session:
            return get_response(request)
        try:
            count(limit_for(request), f"person-{request.session[SESSION_KEY]}")
        except TooMany as error:
            return too_many_requests(request, error.usage.ends_in)
        return get_response(request)

    return middleware


def limit_for(request: HttpRequest) -> str:
    """The name of the limit that a request counts under."""
    if request.path.endswith(DOCUMENTS):
        return "documents"
    return "pages" if request.method in ("GET", "HEAD", "OPTIONS") else "forms"
