"""The search's rows: made anew from what an incident's tables say, in the transaction that changes a text.

A row holds words and their order nowhere, so nothing is ever taken out of it: whatever was redacted, erased or
removed is missing in the next row. Whoever changes texts holds the incident's lock, so that of two writers
the later one has read what the former wrote. `fill` needs no lock: it never writes over a row that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Model

from incidents.folding import words_of
from incidents.models import (
    ActionPlan,
    ActionPlanStep,
    Attachment,
    Incident,
    Message,
    SearchRow,
    StatusUpdate,
)
from incidents.models.incident import reference_of
from incidents.models.timeline import IncidentEvent

BATCH = 500
# An event whose facts name one of these tells of texts.
TEXTS = {"message", "status_update", "action_plan", "attachments"}


@dataclass
class Texts:
    """What one incident is found by."""

    title: str
    public: list[str] = field(default_factory=list)
    internal: list[str] = field(default_factory=list)

    def add(self, is_public: bool, *texts: str) -> None:
        (self.public if is_public else self.internal).extend(texts)


def tells_of_texts(events: Sequence[IncidentEvent]) -> bool:
    return any(event.kind == "opened" or TEXTS & event.payload.keys() for event in events)


def texts_of(pks: Sequence[int]) -> dict[int, Texts]:
    """The texts of these incidents, the newest first, as they stand now."""
    found: dict[int, Texts] = {}
    for pk, title, description in Incident.objects.filter(pk__in=pks).values_list(
        "pk", "title", "description"
    ):
        found[pk] = Texts(title, [title, reference_of(pk), description])
    for of, is_public, *texts in _written(pks):
        if of in found:
            found[of].add(is_public, *texts)
    return found


def _written(pks: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """(incident, whether its customer reads it, text, …)."""
    messages = Message.objects.filter(incident__in=pks).order_by("-pk")
    yield from messages.values_list("incident", "is_public", "text")
    updates = StatusUpdate.objects.filter(incident__in=pks).exclude(state="discarded").order_by("-pk")
    for of, state, *texts in updates.values_list("incident", "state", "summary", "impact", "next_steps"):
        yield of, state == "published", *texts
    for of, text in ActionPlan.objects.filter(incident__in=pks).values_list("incident", "summary"):
        yield of, True, text
    for of, text in ActionPlanStep.objects.filter(plan__incident__in=pks).values_list(
        "plan__incident", "text"
    ):
        yield of, True, text
    files = Attachment.objects.filter(incident__in=pks).order_by("-pk")
    for of, is_public, name in files.values_list("incident", "message__is_public", "name"):
        yield of, is_public is not False, name


def rows_of(pks: Sequence[int]) -> list[SearchRow]:
    rows = []
    for pk, texts in texts_of(pks).items():
        public = words_of(texts.public)
        internal = sorted(set(words_of(texts.internal)) - set(public))
        rows.append(
            SearchRow(
                incident_id=pk,
                title=" ".join(words_of([texts.title, reference_of(pk)])),
                public_words=" ".join(public),
                internal_words=" ".join(internal),
            )
        )
    return rows


# --- writing ---


def keep(pks: Sequence[int]) -> None:
    """Make the rows of these incidents anew. In the caller's transaction, which holds their locks."""
    _put(rows_of(pks), is_over=True)


def forget(pks: Sequence[int]) -> None:
    """The same where words were taken away for good: none of them stays in the index's own files."""
    keep(pks)
    if connection.vendor == "sqlite":  # which only notes that a word is gone, until it merges what it wrote
        table = SearchRow._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608


def forget_of(model: type[Model], to_incident: str) -> Callable[[Sequence[Any]], None]:
    """For `portal.privacy.table`: forgets the former words of what the given rows of `model` are part of."""

    def forgotten(pks: Sequence[Any]) -> None:
        rows = model._base_manager.filter(pk__in=pks)
        forget(locked(set(rows.values_list(to_incident, flat=True))))

    return forgotten


def locked(pks: set[int]) -> list[int]:
    """Lock these incidents, in the order of their ids."""
    rows = Incident.objects.select_for_update(of=("self",)).filter(pk__in=pks).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def fill(*, is_anew: bool = False, below: int | None = None) -> Iterator[tuple[int, int]]:
    """Give every incident that has no row its row, the newest first, in batches; `is_anew`: every one.

    Yields after each batch the lowest id that was looked at, and how many rows were written. May be stopped
    anywhere, run twice, and beside any other work. `below` takes up a pass that was stopped.
    """
    top = below or (Incident.objects.aggregate(top=Max("pk"))["top"] or 0) + 1
    while top > 1:
        bottom = max(1, top - BATCH)
        yield bottom, _fill(bottom, top, is_anew=is_anew)
        top = bottom


def _fill(bottom: int, top: int, *, is_anew: bool) -> int:
    """Of two at once, the later row stands: whoever writes a text writes its row after us."""
    with transaction.atomic():
        there = SearchRow.objects.filter(pk__gte=bottom, pk__lt=top)
        if is_anew:
            there.delete()
        ids = set(Incident.objects.filter(pk__gte=bottom, pk__lt=top).values_list("pk", flat=True))
        missing = sorted(ids - set(there.values_list("pk", flat=True)))
        if missing:
            _put(rows_of(missing), is_over=False)
    return len(missing)


def _put(rows: list[SearchRow], *, is_over: bool) -> None:
    if connection.vendor == "sqlite":
        _put_into_fts(rows)
    elif is_over:
        columns = ["title", "public_words", "internal_words"]
        SearchRow.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["incident"], update_fields=columns
        )
    else:
        SearchRow.objects.bulk_create(rows, ignore_conflicts=True)


def _put_into_fts(rows: list[SearchRow]) -> None:
    """A row's number is its incident's; such a table knows no other key. Nobody else writes meanwhile."""
    table = SearchRow._meta.db_table
    with connection.cursor() as cursor:
        cursor.executemany(f"DELETE FROM {table} WHERE rowid = %s", [(row.pk,) for row in rows])  # noqa: S608
        cursor.executemany(
            f"INSERT INTO {table} (rowid, incident_id, title, public_words, internal_words)"  # noqa: S608
            " VALUES (%s, %s, %s, %s, %s)",
            [(row.pk, row.pk, row.title, row.public_words, row.internal_words) for row in rows],
        )
