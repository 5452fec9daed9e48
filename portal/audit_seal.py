"""The seals: what was written is digested in batches, and each seal holds the one before it.

The canonical form of a row is JSON in ASCII: an object of all columns (`AuditSeal.columns`) by name, keys
sorted, no spaces, times as ISO 8601 in UTC ending in Z. Its digest is SHA-256. `row_digests` is, row by row
in order of id, the id in 8 bytes and that digest in 32. The batch's digest is SHA-256 over the columns as
JSON, a newline and `row_digests`; the seal (`chain`) is SHA-256 over
`previous|table|first_id|last_id|count|digest`. A batch reaches from after the last one of its table to
`last_id`, so that a row put between is found. docs/audit.md has the twenty lines that recompute it.

No row is skipped: on PostgreSQL ids are given before their transactions commit, so the highest id is
read under a lock of the table that waits for every writer (SHARE, for at most LOCK_WAIT; a table that is
busy longer is sealed a minute later). The digests are computed after the lock is gone. On SQLite a transaction
that writes is alone, and its ids are given in the order of the commits.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from django.db import OperationalError, connection, models, transaction

from portal.models import AuditEntry, AuditOrigin, AuditSeal, Purge, PurgedRow, User
from portal.timeline import purge_door, timeline_models

BATCH = 1000
LOCK_WAIT = "300ms"
START = "0" * 64
ID, DIGEST = 8, 32
SEALERS = 7_321_001  # the number of PostgreSQL's advisory lock: one sealer at a time appends to the chain
log = logging.getLogger(__name__)


def sealed_models() -> list[type[models.Model]]:
    """Whose rows are sealed: the audit, every timeline, and what the purge door let out."""
    return [AuditEntry, *timeline_models(), Purge, PurgedRow]


# --- digests ---


def columns_of(model: type[models.Model]) -> list[str]:
    return sorted(str(field.column) for field in model._meta.concrete_fields)


def canonical(row: dict[str, Any]) -> bytes:
    text = json.dumps(row, default=_plain, sort_keys=True, separators=(",", ":"))
    return text.encode("ascii")


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def digests(
    model: type[models.Model], columns: list[str], after: int | None, until: int
) -> Iterator[tuple[int, bytes]]:
    """(id, digest) of the rows with `after` < id <= `until` (None: from the first one), in order."""
    by_column = {field.column: field.attname for field in model._meta.concrete_fields}
    rows = model._base_manager.filter(pk__lte=until).order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    for pk, *values in rows.values_list("pk", *(by_column[name] for name in columns)).iterator(BATCH):
        yield pk, hashlib.sha256(canonical(dict(zip(columns, values, strict=True)))).digest()


def packed(rows: list[tuple[int, bytes]]) -> bytes:
    return b"".join(pk.to_bytes(ID, "big") + digest for pk, digest in rows)


def unpacked(data: bytes) -> dict[int, bytes]:
    """id -> digest of each row of a seal."""
    step = ID + DIGEST
    parts = (data[at : at + step] for at in range(0, len(data), step))
    return {int.from_bytes(part[:ID], "big"): part[ID:] for part in parts}


def digest_of_batch(columns: list[str], row_digests: bytes) -> str:
    return hashlib.sha256(json.dumps(columns).encode() + b"\n" + row_digests).hexdigest()


def chain_of(seal: AuditSeal) -> str:
    parts = (seal.previous, seal.table, seal.first_id, seal.last_id, seal.count, seal.digest)
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


# --- sealing ---


def seal_all(now: datetime) -> int:
    """Seal what is new in every table; returns how many rows. A table that is busy waits for the next time."""
    done = sum(seal_table(model, now) for model in sealed_models())
    newest = AuditSeal.objects.order_by("-pk").first()
    if done and newest:
        # An anchor: whoever keeps the log elsewhere can prove that this chain was not rewritten since.
        log.info("audit sealed: seal=%s chain=%s rows=%s", newest.pk, newest.chain, done)
    return done


def seal_table(model: type[models.Model], now: datetime) -> int:
    done, after = 0, sealed_until(model)
    until = watermark(model, after)
    while until is not None and (batch := next_batch(model, after, until)) is not None:
        if not append(model, after, batch, now):
            break  # another sealer was faster
        done, after = done + batch.count, batch.last_id
    return done


def sealed_until(model: type[models.Model]) -> int:
    last = AuditSeal.objects.filter(table=model._meta.db_table).order_by("-last_id")
    return last.values_list("last_id", flat=True).first() or 0


def watermark(model: type[models.Model], after: int) -> int | None:
    """The highest id below which no row can still appear; None if nothing is new or the table is busy."""
    rows = model._base_manager.filter(pk__gt=after)
    if not rows.exists():
        return None
    try:
        with transaction.atomic(durable=True):
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
                    cursor.execute(
                        f"LOCK TABLE {connection.ops.quote_name(model._meta.db_table)} IN SHARE MODE"
                    )
            return rows.aggregate(top=models.Max("pk"))["top"]
    except OperationalError as error:
        log.info("audit: %s is busy and is sealed later (%s)", model._meta.db_table, type(error).__name__)
        return None


def next_batch(model: type[models.Model], after: int, until: int) -> AuditSeal | None:
    """The next rows as a seal that is not in the chain yet."""
    columns = columns_of(model)
    rows: list[tuple[int, bytes]] = []
    for row in digests(model, columns, after, until):
        rows.append(row)
        if len(rows) == BATCH:
            break
    if not rows:
        return None
    data = packed(rows)
    return AuditSeal(
        table=model._meta.db_table,
        first_id=after + 1,
        last_id=rows[-1][0] if len(rows) == BATCH else until,
        count=len(rows),
        columns=columns,
        row_digests=data,
        digest=digest_of_batch(columns, data),
    )


def append(model: type[models.Model], after: int, seal: AuditSeal, now: datetime) -> bool:
    """Put the seal at the end of the chain, unless the batch is sealed already."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SEALERS])
        if sealed_until(model) != after:
            return False
        seal.previous = AuditSeal.objects.order_by("-pk").values_list("chain", flat=True).first() or START
        seal.chain, seal.sealed_at = chain_of(seal), now.replace(microsecond=0)
        seal.save(force_insert=True)
    return True


def newest_seal() -> AuditSeal | None:
    return AuditSeal.objects.defer("row_digests").order_by("-pk").first()


# --- retention ---


def purge_origins(before: datetime) -> int:
    """Delete addresses and browsers of acts before `before`; returns how many. The entries stay as they are."""
    deleted, _by_model = AuditOrigin.objects.filter(entry__at__lt=before).delete()
    return deleted


def purge_entries(before: datetime, *, now: datetime, by: User | None = None, reason: str = "") -> int:
    """Delete entries of before `before` through the purge door; returns how many.

    Their digests stay in the seals, and their ids among the purged rows. Entries about purges are kept: by
    them the seals' gaps are explained.
    """
    old = AuditEntry.objects.filter(at__lt=before).exclude(kind="purge_opened")
    if not old.exists():
        return 0
    with purge_door(by=by, reason=reason or "Retention of the audit", now=now):
        AuditOrigin.objects.filter(entry__in=old.values("pk")).delete()
        return old.order_by()._raw_delete(old.db)
