"""Clock rows from the pure ledger: open rows are rewritten, closed ones never change.

`recompute` and `verify` read the same replay, so live and proof agree by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from incidents import escalation, sla
from incidents import receipts as papers
from incidents.models import Clock, Escalation, Incident, Status
from incidents.models.facts import replay
from incidents.models.plans import plan_of, steps_of

Key = tuple[str, int, str, int]
STALE_PAGE = timedelta(days=1)


def key_of(row: Clock) -> Key:
    return (row.kind, row.cycle, row.level, row.ordinal)


def stored_receipts(clock: sla.Clock, ledger: sla.Ledger) -> list[dict[str, Any]] | None:
    """The receipts of a closed clock as JSON; None while it is owed (they are computed on read)."""
    if clock.ended_at is None:
        return None
    return [receipt_json(receipt) for receipt in papers.receipts(clock, ledger.pauses, clock.ended_at)]


def receipt_json(receipt: papers.Receipt) -> dict[str, Any]:
    return {
        "from": iso(receipt.start),
        "until": iso(receipt.end),
        "counted": receipt.is_counted,
        "reason": receipt.reason,
        "question": receipt.question,
    }


def iso(at: datetime | None) -> str | None:
    """UTC, ISO 8601, as the API says it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def derived(clock: sla.Clock, ledger: sla.Ledger) -> dict[str, Any]:
    """Every rule-derived column of a clock."""
    return {
        "state": str(clock.state),
        "started_at": clock.started_at,
        "due_at": clock.due_at,
        "first_due_at": clock.first_due_at,
        "met_at": clock.met_at,
        "breached_at": clock.breached_at,
        "ended_at": clock.ended_at,
        "receipts": stored_receipts(clock, ledger),
    }


def summary(ledger: sla.Ledger) -> dict[str, Any]:
    """Every rule-derived column of the incident's own row."""
    owed = [clock for clock in ledger.clocks if clock.is_owed]
    dues = [clock.due_at for clock in owed if clock.due_at and clock.state != sla.State.PAUSED]
    update = ledger.running_update
    return {
        "level": ledger.level,
        "cycle": ledger.cycle,
        "next_due_at": min(dues, default=None),
        "next_update_at": update.due_at if update else None,
        "is_update_breached": _missed_last_update(ledger),
    }


@dataclass(frozen=True)
class Chain:
    """The escalation chain of one incident, and how far each clock has gone along it."""

    steps: list[escalation.Step]
    paged: dict[int, set[tuple[str, int]]]  # by the clock's row
    is_acted_on: bool

    @classmethod
    def of(cls, incident: Incident) -> Chain:
        paged: dict[int, set[tuple[str, int]]] = {}
        rows = Escalation.objects.filter(clock__incident=incident)
        for clock, key, number in rows.values_list("clock_id", "step_key", "number"):
            paged.setdefault(clock, set()).add((key, number))
        steps = steps_of(plan_of(incident.organisation_id))
        return cls(steps, paged, incident.status != Status.REPORTED)

    def pages(self, row: Clock, clock: sla.Clock, ledger: sla.Ledger, now: datetime) -> list[escalation.Page]:
        """The pages of the clock that are due at `now`."""
        if not self._concerns(clock, ledger, now):
            return []
        return escalation.due_pages(clock, self.steps, ledger.pauses, **self._state(row, now))

    def next_at(self, row: Clock, clock: sla.Clock, ledger: sla.Ledger, now: datetime) -> datetime | None:
        """When the clock's next page is due."""
        if not self._concerns(clock, ledger, now):
            return None
        return escalation.next_page_at(clock, self.steps, ledger.pauses, **self._state(row, now))

    def _state(self, row: Clock, now: datetime) -> dict[str, Any]:
        paged = self.paged.get(row.pk, set()) if row.pk else set()
        return {"paged": paged, "is_acted_on": self.is_acted_on, "now": now}

    def _concerns(self, clock: sla.Clock, ledger: sla.Ledger, now: datetime) -> bool:
        """Nobody is paged for what is long over, nor for an interval that a later one has overtaken."""
        if clock.ended_at is not None and clock.ended_at < now - STALE_PAGE:
            return False
        if clock.kind != sla.Kind.STATUS_UPDATE or clock.is_open:
            return True
        return clock is newest_breached_update(ledger)


def newest_breached_update(ledger: sla.Ledger) -> sla.Clock | None:
    breached = (
        clock
        for clock in reversed(ledger.clocks)
        if clock.kind == sla.Kind.STATUS_UPDATE and clock.breached_at is not None
    )
    return next(breached, None)


def _missed_last_update(ledger: sla.Ledger) -> bool:
    """Whether the latest finished update interval of a running series was missed."""
    if ledger.running_update is None:
        return False
    ended = [c for c in ledger.clocks if c.kind == sla.Kind.STATUS_UPDATE and not c.is_owed]
    return bool(ended) and ended[-1].state == sla.State.BREACHED


def recompute(incident: Incident, now: datetime) -> sla.Ledger:
    """Rewrite the incident's open clocks and its derived columns as of `now`; the caller saves the row.

    The caller holds the incident's lock. Returns the ledger for whoever acts on it.
    """
    ledger = replay(incident, now)
    chain = Chain.of(incident)
    rows = {key_of(row): row for row in Clock.objects.filter(incident=incident)}
    begun: list[Clock] = []  # an unattended P1 gathers them by the thousand: they are written at once
    for clock in ledger.clocks:
        row = rows.get(clock.key)
        if row is None:
            begun.append(_row_of(clock, incident))
            row = begun[-1]
        due = attention(row, clock, ledger, chain, now)
        if row.ended_at is not None:
            _note_attention(row, due)
            continue
        row.attention_at = due
        for name, value in derived(clock, ledger).items():
            setattr(row, name, value)
        if row.pk is not None:
            row.save()
    Clock.objects.bulk_create(begun, batch_size=500)
    for name, value in summary(ledger).items():
        setattr(incident, name, value)
    incident.computed_at = now
    return ledger


def _row_of(clock: sla.Clock, incident: Incident) -> Clock:
    return Clock(
        incident=incident,
        kind=str(clock.kind),
        level=clock.level,
        cycle=clock.cycle,
        ordinal=clock.ordinal,
    )


def _note_attention(row: Clock, due: datetime | None) -> None:
    """A closed clock changes no more; only the sweep's own bookkeeping about it does."""
    if row.attention_at != due:
        row.attention_at = due
        row.save(update_fields=["attention_at"])


def attention(
    row: Clock, clock: sla.Clock, ledger: sla.Ledger, chain: Chain, now: datetime
) -> datetime | None:
    """When a sweep must look at the clock next: a warning, its breach, a breach not yet told, a page."""
    moments = [_own_attention(row, clock, ledger), chain.next_at(row, clock, ledger, now)]
    return min((moment for moment in moments if moment), default=None)


def _own_attention(row: Clock, clock: sla.Clock, ledger: sla.Ledger) -> datetime | None:
    if clock.breached_at is not None:
        return None if row.is_breach_told else clock.breached_at
    if clock.state != sla.State.RUNNING or clock.due_at is None:
        return None
    warnings = [
        instant for percent, instant in papers.warnings(clock, ledger.pauses) if percent > row.warned_percent
    ]
    graces = [update.at + sla.DELIVERY_GRACE + papers.SECOND for update in clock.pending]
    return min([*warnings, max([clock.due_at + papers.SECOND, *graces])])


def differences(incident: Incident) -> list[str]:
    """What the stored rows say otherwise than a replay up to `computed_at`, one line each."""
    ledger = replay(incident, incident.computed_at)
    rows = {key_of(row): row for row in Clock.objects.filter(incident=incident)}
    found = []
    for clock in ledger.clocks:
        row = rows.pop(clock.key, None)
        label = f"{incident.reference} {'/'.join(map(str, clock.key))}"
        if row is None:
            found.append(f"{label}: missing")
            continue
        found += _compare(label, row, derived(clock, ledger))
    found += [f"{incident.reference} {'/'.join(map(str, key))}: not in the timeline" for key in rows]
    return found + _compare(incident.reference, incident, summary(ledger))


def _compare(label: str, row: Clock | Incident, expected: dict[str, Any]) -> list[str]:
    return [
        f"{label}: {name} is {_canonical(getattr(row, name))}, replayed {_canonical(value)}"
        for name, value in expected.items()
        if _canonical(getattr(row, name)) != _canonical(value)
    ]


def _canonical(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value
