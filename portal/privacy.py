"""The map of personal data: what every table holds of a person, and what export and erasure do with it.

A room declares each of its tables with `table`, from its app's ready(). Every column that refers to a person
or can hold text has one of these verdicts (a house test walks all models):

- who: refers to a person. It stays, and after an erasure leads to a pseudonym: that somebody of the
  organisation did this at that time is a fact of the contract.
- scrub: text that may name anybody. It stays, and the erased person's name and addresses are replaced in it.
- clear: the same; and in the person's own rows it is emptied.
- goes: stands in rows of the person that are deleted.
- file: leads to a file; what becomes of it is said by a step of the room.
- plain: codes, keys, settings and digests, which say nothing of a person.

The history tables follow the table that they are the history of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.apps import apps
from django.db import models
from django.db.models import Model, Q, QuerySet
from simple_history.utils import get_history_manager_for_model

from portal.models import User
from portal.models.fields import SecretField

Finder = Callable[[User], Q]
Then = Callable[[list[Any]], None]


@dataclass(frozen=True)
class File:
    """A column whose files are exported, as they are called, where `may_go` allows it."""

    column: str
    name: str
    may_go: Callable[[Any], bool]


@dataclass(frozen=True)
class Table:
    """What one table holds. `own` finds the rows that are a person's own; `export` are paths of attributes."""

    label: str
    own: Finder | None = None
    export: tuple[str, ...] = ()
    who: frozenset[str] = frozenset()
    scrub: frozenset[str] = frozenset()
    clear: frozenset[str] = frozenset()
    goes: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()
    is_deleted: bool = False
    file: File | None = None
    then: Then | None = None

    @property
    def model(self) -> type[Model]:
        return apps.get_model(self.label)

    @property
    def declared(self) -> list[str]:
        """Every column with a verdict, as often as it has one."""
        return [*self.who, *self.scrub, *self.clear, *self.goes, *self.files, *self.plain]

    @property
    def texts(self) -> list[str]:
        """The columns in which a name may stand in a row that stays."""
        if self.label == User._meta.label:  # names of others are theirs; this one's goes with the row
            return []
        return sorted((self.scrub | self.clear | self.goes) - self._keys())

    def _keys(self) -> set[str]:
        """Columns that are no text: references, bytes, and secrets, which stand encrypted."""
        odd = (models.BinaryField, SecretField)
        fields = self.model._meta.concrete_fields
        return {field.name for field in fields if field.is_relation or isinstance(field, odd)}

    def rows_of(self, person: User) -> QuerySet[Any]:
        """The person's own rows, oldest first."""
        manager = self.model._base_manager
        return manager.filter(self.own(person)).order_by("pk") if self.own else manager.none()


TABLES: dict[str, Table] = {}


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def by(*columns: str) -> Finder:
    """Rows are a person's own if one of these columns refers to them."""

    def found(person: User) -> Q:
        wanted = Q()
        for column in columns:
            wanted |= Q(**{column: person})
        return wanted

    return found


def table(
    label: str,
    *,
    own: Finder | str = "",
    export: str = "",
    who: str = "",
    scrub: str = "",
    clear: str = "",
    goes: str = "",
    files: str = "",
    plain: str = "",
    deleted: bool = False,
    file: File | None = None,
    then: Then | None = None,
) -> None:
    """Declare a table, and the history that is kept of it. For an app's ready().

    `then` is told which rows' texts were changed, in the transaction that changes them.
    """
    declared = Table(
        label=label,
        own=(by(*own.split()) if own else None) if isinstance(own, str) else own,
        export=tuple(export.split()),
        who=words(who),
        scrub=words(scrub),
        clear=words(clear),
        goes=words(goes),
        files=words(files),
        plain=words(plain),
        is_deleted=deleted,
        file=file,
        then=then,
    )
    TABLES[label] = declared
    _declare_history(declared)


def plain(labels: str) -> None:
    """Declare tables that hold nothing of a person in any column."""
    for label in labels.split():
        model = apps.get_model(label)
        table(label, plain=" ".join(personal_columns(model)))


def _declare_history(of: Table) -> None:
    """The rows of a history stay: who was a member when is a fact. Names in their texts are replaced."""
    if not hasattr(of.model, "history"):
        return
    history = get_history_manager_for_model(of.model).model
    present = {column.name for column in history._meta.concrete_fields}
    relations = {column.name for column in history._meta.concrete_fields if column.is_relation}
    texts = (of.scrub | of.clear | of.goes) & present
    TABLES[history._meta.label] = Table(
        label=history._meta.label,
        who=((of.who | of.goes) & relations) | {"history_user"},
        scrub=(texts - relations) | {"history_change_reason"},
        plain=of.plain & present,
    )


def personal_columns(model: type[Model]) -> list[str]:
    """The columns that need a verdict: references to people, and whatever can hold a text or bytes."""
    text = (
        models.CharField,
        models.TextField,
        models.JSONField,
        models.FileField,
        models.BinaryField,
        models.GenericIPAddressField,
    )
    found = []
    for column in model._meta.concrete_fields:
        leads_to_person = column.is_relation and column.related_model is User
        holds_text = isinstance(column, text) and not column.choices and not column.is_relation
        if leads_to_person or holds_text:
            found.append(column.name)
    return found


# --- what only a room knows ---


class Finds(Protocol):
    """What finds and replaces a person in texts (`portal/scrubbing.py`)."""

    def finds(self, value: Any) -> bool: ...

    def clean(self, value: Any) -> Any: ...


@dataclass(frozen=True)
class Case:
    """One person who is to be forgotten. Without `writes` everything is only counted."""

    person: User
    scrubber: Finds
    now: datetime
    writes: bool
    are_files_deleted: bool


@dataclass
class Room:
    """Steps of a room. Each may run again after a crash in the middle.

    `duties` says what a member of staff must hand over first; `words` what else a person is called; `refusal`
    why it cannot be done now, or ""; `erase` does what the map cannot say, and counts it (without `writes` it
    only counts).
    """

    duties: Callable[[User, datetime], Iterable[str]] = lambda person, now: ()
    words: Callable[[User], Iterable[str]] = lambda person: ()
    refusal: Callable[[Case], str] = lambda case: ""
    erase: Callable[[Case], dict[str, int]] = lambda case: {}


ROOMS: list[Room] = []


def register(room: Room) -> None:
    """Make a room's steps known. For an app's ready()."""
    ROOMS.append(room)
