"""Rows of many tables, kept until they are written at once: by COPY on PostgreSQL, by executemany elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

from django.db import connection, models

Values = list[Any]


@cache
def _columns(model: type[models.Model]) -> dict[str, Any]:
    """Each column of the model's table and its default; an id has none and is always given."""
    return {field.column: _default(field) for field in model._meta.concrete_fields if field.column}


def _default(field: models.Field[Any, Any]) -> Any:
    value = field.get_default() if field.has_default() or field.empty_strings_allowed else None
    if field.null and not field.has_default():
        value = None
    if isinstance(field, models.JSONField):
        return None if field.null and not field.has_default() else json.dumps(value)
    return value


class Rows:
    """Rows waiting to be written, by model, in the order in which the models are named first."""

    def __init__(self) -> None:
        self.waiting: dict[type[models.Model], list[Values]] = {}

    def add(self, model: type[models.Model], **values: Any) -> None:
        """Keep one row. Columns that are not named take the field's default; an unknown one is a KeyError."""
        columns = _columns(model)
        row = {**columns, **values}
        if len(row) != len(columns):
            raise KeyError(f"{model.__name__}: {sorted(set(values) - set(columns))}")
        self.waiting.setdefault(model, []).append(list(row.values()))

    def count(self, model: type[models.Model]) -> int:
        return len(self.waiting.get(model, ()))

    def write(self) -> dict[str, int]:
        """Write them in the caller's transaction and forget them; returns how many of each table."""
        written = {}
        for model, rows in self.waiting.items():
            _writer()(model._meta.db_table, list(_columns(model)), rows)
            written[model._meta.db_table] = len(rows)
        self.waiting = {}
        return written


def _writer() -> Callable[[str, list[str], list[Values]], None]:
    return _copy if connection.vendor == "postgresql" else _insert


def _copy(table: str, columns: Sequence[str], rows: list[Values]) -> None:
    names = ", ".join(map(connection.ops.quote_name, columns))
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {connection.ops.quote_name(table)} ({names}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


def _insert(table: str, columns: Sequence[str], rows: list[Values]) -> None:
    names = ", ".join(map(connection.ops.quote_name, columns))
    places = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {connection.ops.quote_name(table)} ({names}) VALUES ({places})",  # noqa: S608
            [[_plain(value) for value in row] for row in rows],
        )


def _plain(value: Any) -> Any:
    """As this database stores it: an instant without its zone, which is UTC."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value.isoformat() if isinstance(value, date) else value


def set_sequences() -> None:
    """After rows with ids of their own: what is saved next gets an id beyond them."""
    if connection.vendor != "postgresql":
        return
    from django.apps import apps  # noqa: PLC0415  # models are loaded by now
    from django.core.management.color import no_style  # noqa: PLC0415

    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(
            no_style(), apps.get_models(include_auto_created=True)
        ):
            cursor.execute(statement)


def analyse() -> None:
    """Tell the planner what the tables hold now."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
