"""Lists in pages. A cursor holds the keys of the row at its edge, so that rows that come or go move nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.db.models import Model, Q
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

CURSOR, SIZE = "cursor", "page_size"
USUAL, MOST = 50, 200
BY_ID = ("pk",)
BACK, ON = "<", ">"


class Pages(BasePagination):
    """Pages of a queryset by the view's `order`: fields that are never null, the last of them unique."""

    page_size, max_page_size = USUAL, MOST

    def __init__(self, order: Sequence[str] = ()) -> None:
        self.given_order = order

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The rows of the page that `cursor` names; ValidationError for a cursor or size that is none."""
        self.request, self.order = request, tuple(self.given_order or getattr(view, "order", BY_ID))
        self.size = self._size()
        way, edge = self._edge()
        order = _flipped(self.order) if way == BACK else self.order
        rows = queryset.order_by(*order)
        if edge:
            rows = rows.filter(_behind(order, edge))
        found = list(rows[: self.size + 1])
        is_more, found = len(found) > self.size, found[: self.size]
        if way == BACK:
            found.reverse()
        self.has_next = bool(found) and (is_more or way == BACK)
        self.has_previous = bool(found) and bool(edge) and (is_more or way == ON)
        self.found = found
        return found

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

    def _edge(self) -> tuple[str, list[Any]]:
        """Which way the cursor goes, and the keys of the row that it starts behind; none for the first page."""
        text = self.request.query_params.get(CURSOR)
        if text is None:
            return ON, []
        try:
            way, edge = signing.Signer(salt=_salt(self.order)).unsign_object(text)
        except (signing.BadSignature, ValueError) as error:
            words = _("This is no cursor of this list. Take it from “next” or “previous” of a page.")
            raise exceptions.ValidationError({CURSOR: [words]}) from error
        return way, edge

    def link(self, way: str) -> str | None:
        """The address of the page before or after this one, if there is one."""
        if not (self.has_next if way == ON else self.has_previous):
            return None
        row = self.found[-1 if way == ON else 0]
        keys = [_plain(getattr(row, name.lstrip("-"))) for name in self.order]
        others = [(k, v) for k, values in self.request.query_params.lists() if k != CURSOR for v in values]
        query = urlencode(
            [*others, (CURSOR, signing.Signer(salt=_salt(self.order)).sign_object([way, keys]))]
        )
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


def _salt(order: Sequence[str]) -> str:
    return "portal.cursor:" + ",".join(order)


def _flipped(order: Sequence[str]) -> tuple[str, ...]:
    return tuple(name[1:] if name.startswith("-") else f"-{name}" for name in order)


def _behind(order: Sequence[str], edge: Sequence[Any]) -> Q:
    """Rows that come after the keys in this order: greater in the first field, or equal there and so on."""
    found, same = Q(), Q()
    for name, key in zip(order, edge, strict=True):
        field, sign = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        found |= same & Q(**{f"{field}__{sign}": key})
        same &= Q(**{field: key})
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.pk if isinstance(value, Model) else value
