"""The export of one person's data (GDPR art. 15 and 20): a ZIP with JSON, and the files that they attached.

It holds the rows that are the person's own, column by column as the map of personal data declares; what others
wrote is not theirs, and is not in it, even where it stands in the same thread. Internal notes that staff wrote
are left out, too: where they name the person, staff answer by hand. The JSON follows
`formats/personal_data.schema.json`. Memory is bounded: rows and files are written through to a file on disk.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

from django.http import HttpRequest

from portal import audit
from portal.models import User
from portal.privacy import TABLES, Table
from portal.uploads import clean_name

FORMAT = "personal-data/1"
SCHEMA = Path(__file__).parent / "formats" / "personal_data.schema.json"
PORTION = 64 * 1024


def export(person: User, *, by: User, now: datetime, request: HttpRequest | None = None) -> IO[bytes]:
    """The ZIP as an open temporary file at its beginning. Audited as “data_exported”."""
    made = tempfile.TemporaryFile()  # noqa: SIM115 (whoever sends it closes it)
    write(person, made, now=now)
    audit.record("data_exported", by=by, now=now, subject=f"person/{person.pk}", request=request)
    made.seek(0)
    return made


def file_name(person: User, now: datetime) -> str:
    """What the download is called: nothing of the person, who may have it lie anywhere."""
    return f"personal-data-{person.pk}-{now:%Y-%m-%d}.zip"


def write(person: User, to: IO[bytes], *, now: datetime) -> None:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("data.json", "w", force_zip64=True) as entry:
            for text in _json(person, now):
                entry.write(text.encode())
        archive.write(SCHEMA, "schema.json")
        for name, stored in _files(person):
            with stored, archive.open(f"files/{name}", "w", force_zip64=True) as entry:
                while portion := stored.read(PORTION):
                    entry.write(portion)


def _json(person: User, now: datetime) -> Iterator[str]:
    head = {"format": FORMAT, "made_at": now.replace(microsecond=0).isoformat(), "person": person.pk}
    yield json.dumps(head)[:-1] + ', "tables": {'
    between = ""
    for table in _exported():
        yield f"{between}\n{json.dumps(table.label)}: ["
        yield from _rows(table, person)
        yield "]"
        between = ","
    yield "\n}}\n"


def _exported() -> list[Table]:
    return [table for table in TABLES.values() if table.export and table.own]


def _rows(table: Table, person: User) -> Iterator[str]:
    between = ""
    for row in table.rows_of(person).iterator(chunk_size=500):
        said = {"id": _plain(row.pk)} | {path: _plain(_value(row, path)) for path in table.export}
        if table.file is not None and table.file.may_go(row):
            said["file"] = _path(table, row)
        yield f"{between}\n{json.dumps(said, ensure_ascii=False)}"
        between = ","


def _files(person: User) -> Iterator[tuple[str, IO[bytes]]]:
    """Those files of the person's that may go out, one at a time."""
    for table in _exported():
        for row in table.rows_of(person).iterator(chunk_size=100) if table.file else ():
            if table.file is None or not table.file.may_go(row):
                continue
            try:
                yield _path(table, row), getattr(row, table.file.column).open("rb")
            except FileNotFoundError:
                continue


def _path(table: Table, row: Any) -> str:
    assert table.file is not None
    return f"{row.pk}-{clean_name(getattr(row, table.file.name))}"


def _value(row: Any, path: str) -> Any:
    for part in path.split("."):
        row = getattr(row, part) if row is not None else None
    return row


def _plain(value: Any) -> Any:
    """As JSON says it: times in ISO 8601, other things by their name or number."""
    if value is None or isinstance(value, bool | int | float | str | dict | list):
        return value
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    return str(value)
