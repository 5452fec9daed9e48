"""Lists in pages by keyset: a page begins behind a row, not after a number of rows.

The hundredth page costs what the first one costs, nothing is counted without a bound, and rows that come or
go meanwhile move nothing. The cursor is signed, so that nobody makes one up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.http import HttpRequest

BACK, ON = "<", ">"
MOST_COUNTED = 1000


class BadCursor(ValueError):
    """This text is no cursor of this list."""


@dataclass(frozen=True)
class Slice:
    """The rows of a page, and the cursors of the pages around it; "" where there is none."""

    rows: list[Any]
    before: str
    after: str


def cut(rows: QuerySet[Any], order: Sequence[str], size: int, cursor: str | None) -> Slice:
    """The page of `size` rows that `cursor` names; None: the first. BadCursor for what is none.

    `order` names fields, or annotations that are never null, with `-` before one that falls; the last of them
    is unique. A field's null comes last in a rising order.
    """
    way, edge = _read(cursor, order) if cursor is not None else (ON, [])
    keys = [_Key.of(rows, name, is_flipped=way == BACK) for name in order]
    found = rows.order_by(*[key.order for key in keys])
    if edge:
        found = found.filter(_behind(keys, edge))
    page = list(found[: size + 1])
    is_more, page = len(page) > size, page[:size]
    if way == BACK:
        page.reverse()
    has_after = bool(page) and (is_more or way == BACK)
    has_before = bool(page) and bool(edge) and (is_more or way == ON)
    return Slice(
        page,
        _written(BACK, page[0], order) if has_before else "",
        _written(ON, page[-1], order) if has_after else "",
    )


@dataclass(frozen=True)
class Count:
    """How many rows there are, up to a bound; `is_more` than that."""

    number: int
    is_more: bool

    def __str__(self) -> str:
        return f"{self.number}+" if self.is_more else str(self.number)


def count_of(rows: QuerySet[Any]) -> Count:
    """How many rows, of which no more than MOST_COUNTED are looked at."""
    found = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    return Count(min(found, MOST_COUNTED), found > MOST_COUNTED)


@dataclass(frozen=True)
class Page:
    """What a page of a list shows: rows, how many there are, and the queries of its neighbours."""

    rows: list[Any]
    before: str
    after: str
    count: Count

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __bool__(self) -> bool:
        return bool(self.rows)


def page_of(request: HttpRequest, rows: QuerySet[Any], order: Sequence[str], size: int) -> Page:
    """The page of the list that the address's `cursor` names; the first one for a cursor that is none."""
    try:
        found = cut(rows, order, size, request.GET.get("cursor"))
    except BadCursor:
        found = cut(rows, order, size, None)
    return Page(found.rows, _query(request, found.before), _query(request, found.after), count_of(rows))


def _query(request: HttpRequest, cursor: str) -> str:
    """The address's query with this cursor in it; "" for none."""
    if not cursor:
        return ""
    query = request.GET.copy()
    query["cursor"] = cursor
    return "?" + query.urlencode()


@dataclass(frozen=True)
class _Key:
    name: str
    is_falling: bool
    is_nullable: bool

    @classmethod
    def of(cls, rows: QuerySet[Any], name: str, *, is_flipped: bool) -> _Key:
        field = name.lstrip("-")
        is_computed = field == "pk" or field in rows.query.annotations  # of which none is null
        is_nullable = not is_computed and bool(rows.model._meta.get_field(field).null)
        return cls(field, name.startswith("-") != is_flipped, is_nullable)

    @property
    def order(self) -> OrderBy:
        if not self.is_nullable:
            return F(self.name).desc() if self.is_falling else F(self.name).asc()
        return F(self.name).desc(nulls_first=True) if self.is_falling else F(self.name).asc(nulls_last=True)

    def beyond(self, value: Any) -> Q:
        """Rows whose key comes after `value`."""
        if value is None:  # the last one in a rising order, the first one in a falling order
            return Q(**{f"{self.name}__isnull": False}) if self.is_falling else Q(pk__in=[])
        found = Q(**{f"{self.name}__{'lt' if self.is_falling else 'gt'}": value})
        return (
            found | Q(**{f"{self.name}__isnull": True}) if self.is_nullable and not self.is_falling else found
        )

    def same(self, value: Any) -> Q:
        return Q(**{f"{self.name}__isnull": True}) if value is None else Q(**{self.name: value})


def _behind(keys: Sequence[_Key], edge: Sequence[Any]) -> Q:
    """Rows that come after the edge in this order: beyond it in the first key, or equal there and so on.

    That the first key is at or beyond the edge is said once more by itself: it lets a database begin to read
    its index there.
    """
    found, same = Q(), Q()
    for key, value in zip(keys, edge, strict=True):
        found |= same & key.beyond(value)
        same &= key.same(value)
    return (keys[0].beyond(edge[0]) | keys[0].same(edge[0])) & found if len(keys) > 1 else found


def _read(cursor: str, order: Sequence[str]) -> tuple[str, list[Any]]:
    try:
        way, edge = signing.Signer(salt=_salt(order)).unsign_object(cursor)
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor from error
    return way, edge


def _written(way: str, row: Any, order: Sequence[str]) -> str:
    keys = [_plain(getattr(row, name.lstrip("-"))) for name in order]
    return signing.Signer(salt=_salt(order)).sign_object([way, keys])


def _salt(order: Sequence[str]) -> str:
    return "portal.cursor:" + ",".join(order)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.pk if isinstance(value, Model) else value
