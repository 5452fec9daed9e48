"""Proof over many incidents: their timelines are replayed a batch at a time, and compared with what is stored.

A batch is read without locks, in three queries. Where something differs, that incident is looked at again by
itself and under its lock: a sweep between reading its row and its clocks is no difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import transaction

from incidents import sla
from incidents.clockwork import Key, derived, differences, summary
from incidents.models import Clock, Incident, IncidentEvent
from incidents.models.facts import as_fact, promises_of

BATCH = 500
OF_INCIDENT = ("pk", "computed_at", "level", "cycle", "next_due_at", "next_update_at", "is_update_breached")
OF_EVENT = ("incident_id", "kind", "at", "recorded_at", "payload")
OF_CLOCK = (
    "incident_id", "kind", "cycle", "level", "ordinal",
    "state", "started_at", "due_at", "first_due_at", "met_at", "breached_at", "ended_at", "receipts",
)  # fmt: skip

Stored = dict[int, dict[Key, tuple[Any, ...]]]


def batches() -> Iterator[tuple[int, int]]:
    """(first, last) id of every batch of incidents, walked by the key."""
    last = 0
    while True:
        after = Incident.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)
        ids = list(after[:BATCH])
        if not ids:
            return
        last = ids[-1]
        yield ids[0], last


def prove(first: int, last: int) -> tuple[int, list[str]]:
    """How many incidents have an id from `first` to `last`, and a line for each stored column that is wrong."""
    rows = Incident.objects.filter(pk__range=(first, last)).order_by("pk").values_list(*OF_INCIDENT)
    incidents = list(rows)
    suspects = _suspects(incidents, first, last)
    return len(incidents), [line for pk in suspects for line in prove_one(pk)]


def prove_one(pk: int) -> list[str]:
    """The same for one incident, under its lock."""
    with transaction.atomic():
        return differences(Incident.objects.select_for_update(of=("self",)).get(pk=pk))


def _suspects(incidents: list[tuple[Any, ...]], first: int, last: int) -> list[int]:
    clocks = _clocks(first, last)
    events = _events(first, last)
    promises = promises_of(event for found in events.values() for event in found)
    return [
        row[0] for row in incidents if not _is_proven(row, events[row[0]], clocks.get(row[0], {}), promises)
    ]


def _events(first: int, last: int) -> defaultdict[int, list[Any]]:
    """The timelines, each in its order."""
    rows = IncidentEvent.objects.filter(incident__gte=first, incident__lte=last).order_by("incident", "pk")
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for event in rows.values_list(*OF_EVENT, named=True):
        found[event.incident_id].append(event)
    return found


def _clocks(first: int, last: int) -> Stored:
    """The stored columns of each clock, by incident and key."""
    found: defaultdict[int, dict[Key, tuple[Any, ...]]] = defaultdict(dict)
    for row in (
        Clock.objects.filter(incident__gte=first, incident__lte=last).order_by().values_list(*OF_CLOCK)
    ):
        found[row[0]][row[1:5]] = row[5:]
    return dict(found)


def _is_proven(
    row: tuple[Any, ...],
    events: list[Any],
    clocks: dict[Key, tuple[Any, ...]],
    promises: Mapping[str, sla.Promise],
) -> bool:
    """Whether a replay up to `computed_at` gives exactly these clocks and these columns of the incident."""
    facts = [fact for event in events if (fact := as_fact(event))]
    ledger = sla.replay(facts, promises, row[1])
    replayed = {clock.key: tuple(derived(clock, ledger).values()) for clock in ledger.clocks}
    return replayed == clocks and tuple(summary(ledger).values()) == row[2:]
