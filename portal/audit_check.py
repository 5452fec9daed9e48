"""Whether everything is as it was sealed: every row, every seal, every purge, every origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import DataError, models

from portal.audit import digest_of_origin
from portal.audit_seal import (
    START,
    chain_of,
    digest_of_batch,
    digests,
    sealed_models,
    sealed_until,
    unpacked,
)
from portal.models import AuditEntry, AuditOrigin, AuditSeal, PurgedRow

SEALS_AT_ONCE = 10
UNREADABLE = (DataError, ValueError, TypeError, OverflowError, ArithmeticError, AttributeError, KeyError)


@dataclass
class Checked:
    """What was found in one table: how much was read, the first difference, and how many there are."""

    table: str
    rows: int = 0
    seals: int = 0
    purged: int = 0
    unsealed: int = 0
    differences: int = 0
    first: str = ""
    last_id: int = 0

    def differs(self, words: str) -> None:
        self.first = self.first or words
        self.differences += 1


@dataclass
class Report:
    tables: dict[str, Checked] = field(default_factory=dict)
    newest: str = ""
    has_anchor: bool | None = None

    @property
    def is_whole(self) -> bool:
        return self.has_anchor is not False and not any(each.differences for each in self.tables.values())


def check(anchor: str = "") -> Report:
    """Recompute everything. `anchor` is a seal that was kept elsewhere and must still be in the chain."""
    report = Report()
    by_table = {model._meta.db_table: model for model in sealed_models()}
    report.tables = {table: Checked(table) for table in [*by_table, "seals", "purges", "origins"]}
    seals = report.tables["seals"]
    previous = START
    for seal in AuditSeal.objects.order_by("pk").iterator(SEALS_AT_ONCE):
        seals.rows += 1
        check_seal(seal, previous, seals)
        previous = seal.chain
        report.has_anchor = report.has_anchor or (seal.chain == anchor if anchor else None)
        if seal.table in by_table:
            check_rows(seal, by_table[seal.table], report.tables[seal.table])
    report.newest = "" if previous == START else previous
    report.has_anchor = bool(report.has_anchor) if anchor else None
    for table, model in by_table.items():
        report.tables[table].unsealed = model._base_manager.filter(pk__gt=sealed_until(model)).count()
    check_purges(report.tables["purges"])
    check_origins(report.tables["origins"])
    return report


def check_seal(seal: AuditSeal, previous: str, found: Checked) -> None:
    """One link: it holds the one before it, its own digest, and as many rows as it says."""
    data = bytes(seal.row_digests)
    if seal.previous != previous:
        found.differs(f"seal {seal.pk} does not follow the one before it: the chain is broken")
    elif seal.chain != chain_of(seal):
        found.differs(f"seal {seal.pk} was changed")
    elif seal.digest != digest_of_batch(seal.columns, data) or seal.count != len(unpacked(data)):
        found.differs(f"the digests of seal {seal.pk} were changed")


def check_rows(seal: AuditSeal, model: type[models.Model], found: Checked) -> None:
    """The rows of one batch against the seal's digests; what is missing must have gone through the purge door."""
    if seal.first_id != found.last_id + 1:
        found.differs(f"seal {seal.pk} begins at row {seal.first_id}, not at {found.last_id + 1}")
    wanted = unpacked(bytes(seal.row_digests))
    after = found.last_id or None
    for pk, digest in rows_of(model, seal, after):
        found.rows += 1
        expected = wanted.pop(pk, None)
        if expected is None:
            found.differs(f"row {pk} was inserted below what was sealed")
        elif expected != digest:
            found.differs(f"row {pk} was changed")
    if wanted:
        gone = PurgedRow.objects.filter(table=seal.table, row_id__in=wanted, purge__closed_at__isnull=False)
        purged = set(gone.values_list("row_id", flat=True))
        found.purged += len(purged)
        for pk in sorted(wanted.keys() - purged):
            found.differs(f"row {pk} is missing")
    found.seals, found.last_id = found.seals + 1, seal.last_id


def rows_of(model: type[models.Model], seal: AuditSeal, after: int | None) -> Iterator[tuple[int, bytes]]:
    """(id, digest) of what stands there now; a row that cannot even be read has the digest of nothing."""
    try:
        yield from list(digests(model, seal.columns, after, seal.last_id))
    except UNREADABLE:
        rows = model._base_manager.filter(pk__lte=seal.last_id).order_by("pk")
        for pk in (rows if after is None else rows.filter(pk__gt=after)).values_list("pk", flat=True):
            try:
                yield from list(digests(model, seal.columns, pk - 1, pk))
            except UNREADABLE:
                yield pk, b""


def check_purges(found: Checked) -> None:
    """Each purge let out as many rows of each table as the audit said when it was closed."""
    said = dict(AuditEntry.objects.filter(kind="purge_opened").order_by("pk").values_list("subject", "facts"))
    counts: dict[int, dict[str, int]] = {}
    rows = PurgedRow.objects.order_by("purge_id", "table").values_list("purge_id", "table")
    for purge, table, count in rows.annotate(count=models.Count("pk")):
        counts.setdefault(purge, {})[table] = count
    for purge, tables in counts.items():
        found.rows += sum(tables.values())
        if said.get(f"purge/{purge}", {}).get("rows") != tables:
            found.differs(f"purge {purge} does not match its entry in the audit")


def check_origins(found: Checked) -> None:
    """An origin may be gone; one that is there is the one that its entry was written with."""
    for origin in AuditOrigin.objects.select_related("entry").order_by("pk").iterator(1000):
        found.rows += 1
        if digest_of_origin(origin) != origin.entry.origin_digest:
            found.differs(f"the origin of entry {origin.pk} was changed")
