"""Lists in pages. A cursor holds the keys of the row at its edge, so that rows that come or go move nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from portal import keyset
from portal.keyset import BACK, ON

CURSOR, SIZE = "cursor", "page_size"
USUAL, MOST = 50, 200
BY_ID = ("pk",)


class Pages(BasePagination):
    """Pages of a queryset by the view's `order`: fields that are never null, the last of them unique."""

    page_size, max_page_size = USUAL, MOST

    def __init__(self, order: Sequence[str] = ()) -> None:
        self.given_order = order

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The rows of the page that `cursor` names; ValidationError for a cursor or size that is none."""
        self.request = request
        order = tuple(self.given_order or getattr(view, "order", BY_ID))
        try:
            found = keyset.cut(queryset, order, self._size(), request.query_params.get(CURSOR))
        except keyset.BadCursor as error:
            words = _("This is no cursor of this list. Take it from “next” or “previous” of a page.")
            raise exceptions.ValidationError({CURSOR: [words]}) from error
        self.cursors = {BACK: found.before, ON: found.after}
        return found.rows

    def _size(self) -> int:
        text = self.request.query_params.get(SIZE)
        if text is None:
            return self.page_size
        if not (
            text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= self.max_page_size
        ):
            words = _("Give a number between 1 and %(most)s.") % {"most": self.max_page_size}
            raise exceptions.ValidationError({SIZE: [words]})
        return int(text)

    def link(self, way: str) -> str | None:
        """The address of the page before or after this one, if there is one."""
        if not self.cursors[way]:
            return None
        others = [(k, v) for k, values in self.request.query_params.lists() if k != CURSOR for v in values]
        query = urlencode([*others, (CURSOR, self.cursors[way])])
        return self.request.build_absolute_uri(f"{self.request.path}?{query}")

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.link(ON), "previous": self.link(BACK), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return PARAMETERS

    def linked(self, data: Any) -> Response:
        """A plain list; the pages around it are named in the header `Link` (RFC 8288)."""
        pairs = (("next", self.link(ON)), ("prev", self.link(BACK)))
        links = [f'<{link}>; rel="{name}"' for name, link in pairs if link]
        return Response(data, headers={"Link": ", ".join(links)} if links else None)


class Nested(Pages):
    """Lists below an object: arrays, of which hardly any fills its first page."""

    page_size = max_page_size = 1000

    def get_paginated_response(self, data: Any) -> Response:
        return self.linked(data)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return _parameters(self.page_size, self.max_page_size)


class LongList(Nested):
    """A list below an object that grows for ever: in pages as the lists are, with `results`."""

    page_size, max_page_size = USUAL, MOST
    get_paginated_response = Pages.get_paginated_response
    get_paginated_response_schema = Pages.get_paginated_response_schema


def _parameters(usual: int, most: int) -> list[dict[str, Any]]:
    size = {"type": "integer", "minimum": 1, "maximum": most, "default": usual}
    return [
        {
            "name": CURSOR,
            "in": "query",
            "required": False,
            "description": "Where the page begins, as another page's “next” or “previous” says.",
            "schema": {"type": "string", "minLength": 1},
        },
        {"name": SIZE, "in": "query", "required": False, "description": "Rows of a page.", "schema": size},
    ]


PARAMETERS = _parameters(USUAL, MOST)
