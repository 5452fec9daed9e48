"""Where somebody's name and addresses stand in texts, and a pseudonym put in their place.

Every text column that the map of personal data declares is read once, in portions; what names the person is
changed under a lock, in small transactions, each of which may be repeated.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.db import transaction
from django.db.models import Field, QuerySet
from django.utils.html import strip_tags

from portal.models import User
from portal.privacy import Finds, Table
from portal.redaction import Redactor, Secret, texts_within

READ, WRITE = 1000, 100
JOINS = (" ", "-", ".", "", "%20", "+")
SHORTEST_JOINED = 8  # “Bo Li” without a gap is a word like any other
NOT_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Names:
    """What a person is called and reached by, and what stands there afterwards."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    name_after: str
    address_after: str

    def secrets(self) -> list[Secret]:
        """Every way in which the names are written: as they are, in file names, in HTML and in addresses."""
        found = [Secret(form, self.address_after) for text in self.addresses for form in _forms(text)]
        for name in self.names:
            parts = name.split()
            whole = {join.join(parts) for join in JOINS} if len(parts) > 1 else {name}
            whole = {text for text in whole if len(text) >= SHORTEST_JOINED or " " in text or len(parts) == 1}
            # A name of one word may be a common word: it keeps to its case.
            found += [
                Secret(form, self.name_after, is_exact=len(parts) == 1)
                for text in sorted(whole)
                for form in _forms(text)
            ]
        return found


def _forms(text: str) -> list[str]:
    return sorted({text, html.escape(text), quote(text)})


class Scrubber:
    """Replaces a person's names and addresses. `finds` is quick where there is none of them."""

    def __init__(self, names: Names) -> None:
        secrets = names.secrets()
        self._redactor = Redactor(secrets)
        self._keys = {_plain(_longest(secret.words)) for secret in secrets}

    def finds(self, value: Any) -> bool:
        return any(self._finds(text) for text in texts_within(value))

    def _finds(self, text: str) -> bool:
        return self._stands_in(text) or ("<" in text and self._stands_in(strip_tags(text)))

    def _stands_in(self, text: str) -> bool:
        plain = _plain(text)
        return any(key in plain for key in self._keys) and self._redactor(text) != _normal(text)

    def clean(self, value: Any) -> Any:
        """The value without the person; the same object's equal if they are not in it.

        HTML whose tags stand amid a name is not taken apart: nothing of it is kept.
        """
        if not self.finds(value):
            return value
        cleaned = self._redactor.within(value)
        return "" if isinstance(cleaned, str) and self.finds(cleaned) else cleaned


def _longest(text: str) -> str:
    """The longest word of a name: wherever the name stands, this does."""
    return max(NOT_WORDS.split(text.split("@")[0]), key=len) or text


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _plain(text: str) -> str:
    """In one case, with all four letters i as one, and nothing invisible."""
    plain = _normal(text).replace("İ", "i").replace("ı", "i").casefold()
    return re.sub(r"[\u200b\u00ad\u0307\\]", "", plain)


@dataclass(frozen=True)
class Part:
    """Some rows of a table, and those of their columns in which a name is looked for."""

    rows: QuerySet[Any]
    columns: list[str]


def parts_of(table: Table, person: User) -> list[Part]:
    """Everybody's rows with every text; of the person's own rows only what will still be there in the end.

    What is emptied or deleted later stands until then: by it the person's rows are found, also by a second run.
    """
    everybody = table.model._base_manager.order_by("pk")
    if table.own is None or not (table.is_deleted or table.clear):
        return [Part(everybody, table.texts)]
    own = table.rows_of(person).order_by().values("pk")
    return [
        Part(everybody.exclude(pk__in=own), table.texts),
        Part(everybody.filter(pk__in=own), sorted(table.scrub)),
    ]


def pks_naming(part: Part, scrubber: Finds) -> Iterator[Any]:
    """The rows in whose texts the person stands. Bounded memory."""
    if not part.columns:
        return
    for pk, *values in part.rows.values_list("pk", *part.columns).iterator(chunk_size=READ):
        if any(scrubber.finds(value) for value in values):
            yield pk


def count(table: Table, scrubber: Finds, person: User) -> int:
    """How many rows of the table name the person."""
    return sum(1 for part in parts_of(table, person) for _pk in pks_naming(part, scrubber))


def scrub(table: Table, scrubber: Finds, person: User) -> int:
    """Replace the person in every text of the table that stays; how many rows were changed."""
    return sum(_scrub(table, part, scrubber) for part in parts_of(table, person))


def _scrub(table: Table, part: Part, scrubber: Finds) -> int:
    changed = 0
    for pks in _portions(list(pks_naming(part, scrubber)), WRITE):
        with transaction.atomic():
            rows = table.model._base_manager.select_for_update(of=("self",)).filter(pk__in=pks).order_by("pk")
            done = [
                pk
                for pk, *values in list(rows.values_list("pk", *part.columns))
                if _change(table, pk, dict(zip(part.columns, values, strict=True)), scrubber)
            ]
            if done and table.then:
                table.then(done)
            changed += len(done)
    return changed


def _change(table: Table, pk: Any, values: dict[str, Any], scrubber: Finds) -> int:
    changed = {name: scrubber.clean(value) for name, value in values.items() if scrubber.finds(value)}
    if not changed:
        return 0
    fitting = {name: _fit(table.model._meta.get_field(name), value) for name, value in changed.items()}
    return table.model._base_manager.filter(pk=pk).update(**fitting)


def _fit(column: Any, value: Any) -> Any:
    """A pseudonym may be longer than the name was."""
    length = getattr(column, "max_length", None) if isinstance(column, Field) else None
    return value[:length] if length and isinstance(value, str) else value


def _portions(values: list[Any], size: int) -> Iterable[list[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))
