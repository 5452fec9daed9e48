"""The append-only timeline: its abstract event, the triggers that hold it, and the one door out.

Every room's events derive from `TimelineEvent`; after every migrate one idempotent function puts
triggers on each of their tables and on those of the audit, on SQLite and on PostgreSQL alike. An UPDATE
is refused always, a DELETE (and PostgreSQL's TRUNCATE) unless the transaction sees a row of
`portal_purge` that is not closed. `purge_door` is what writes such a row: of what it lets out, the
triggers record table and id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils.translation import gettext_lazy as _

from portal.audit import record
from portal.models import AuditEntry, AuditSeal, Purge, PurgedRow
from portal.models.accounts import TypedModelMeta

if TYPE_CHECKING:
    from portal.models import User

REFUSAL = "The timeline is append-only: {what} of {table} is refused."


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The facts of one kind of event. `is_public` says whether the customer may read it."""

    kind: ClassVar[str]
    is_public: ClassVar[bool] = True

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class StatusChange(Payload):
    """Events that may move the status name both ends, equal when it did not move."""

    status_from: str = ""
    status_to: str = ""


Payloads = dict[str, type[Payload]]
Declared = TypeVar("Declared", bound=type[Payload])


def declaring(payloads: Payloads) -> Callable[[Declared], Declared]:
    """A decorator that enters a payload among those of a timeline, by its kind."""

    def declare(cls: Declared) -> Declared:
        payloads[cls.kind] = cls
        return cls

    return declare


class TimelineEvent(models.Model):
    """One fact, written once. A concrete event adds its subject, its `payloads` and `class Meta(TimelineEvent.Meta)`.

    `at` is when it happened or was received (whole seconds), `recorded_at` when we wrote it down. The
    payload holds ids and facts; names, addresses and texts live in rows that erasure can reach.
    """

    payloads: ClassVar[Payloads]

    kind = models.CharField(_("kind"), max_length=40)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    channel = models.CharField(_("channel"), max_length=20)
    at = models.DateTimeField(_("at"))
    recorded_at = models.DateTimeField(_("recorded at"))
    payload = models.JSONField(_("facts"), default=dict, blank=True)
    is_public = models.BooleanField(_("public"), default=False)

    class Meta(TypedModelMeta):
        abstract = True
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def facts(self) -> Payload:
        """The declared payload. KeyError for a kind that is not declared."""
        declared = self.payloads[self.kind]
        known = {field.name for field in fields(declared)}
        return declared(**{name: value for name, value in self.payload.items() if name in known})


@contextmanager
def purge_door(*, by: User | None, reason: str, now: datetime) -> Iterator[Purge]:
    """One transaction in which timeline rows may be deleted; yields its record.

    `by` is the person who answers for it (None: the machine), `reason` is stored and must not be empty
    (ValueError). An exception inside undoes the deletions and the record together. Nobody else's
    transaction ever sees the door open. Updates stay refused.
    """
    if not reason.strip():
        raise ValueError("A purge needs a reason.")
    with transaction.atomic():
        purge = Purge.objects.create(by=by, reason=reason, opened_at=now)
        yield purge
        # Not save(): a flush inside the door takes the record along, and then nothing is left to close.
        if Purge.objects.filter(pk=purge.pk).update(closed_at=now):
            record("purge_opened", by=by, now=now, subject=f"purge/{purge.pk}", facts=let_out(purge))
        purge.closed_at = now


def let_out(purge: Purge) -> dict[str, Any]:
    """How many rows of each table it let out, as the audit keeps it: no later purge can be hidden in it."""
    counts = purge.rows.order_by("table").values_list("table").annotate(count=models.Count("pk"))
    return {"rows": dict(counts)}


def timeline_models() -> list[type[TimelineEvent]]:
    """Every concrete event of the installed apps."""
    return [
        model for model in apps.get_models() if issubclass(model, TimelineEvent) and not model._meta.proxy
    ]


def guarded_models() -> list[type[models.Model]]:
    """Every model whose rows are written once: timelines and the audit. `PurgedRow` comes last."""
    return [*timeline_models(), AuditEntry, AuditSeal, PurgedRow]


def install_append_only_triggers(*, using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Receiver of post_migrate for every app: see that each guarded table has its triggers.

    It runs after each app's signal because SQLite's table remake drops triggers without a word; where
    nothing is missing it only looks.
    """
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    if not {Purge._meta.db_table, PurgedRow._meta.db_table} <= tables:
        return
    for model in guarded_models():
        if model._meta.db_table in tables:
            guard_table(connection, model._meta.db_table)


def guard_table(connection: BaseDatabaseWrapper, table: str) -> None:
    """Install on `table` (with a primary key `id`) those triggers that it lacks. Idempotent."""
    install = {"sqlite": _guard_on_sqlite, "postgresql": _guard_on_postgresql}[connection.vendor]
    install(connection, table)


def missing_triggers(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """Names of the triggers that `table` should have, and has not as they should be. Changes nothing."""
    return {"sqlite": _missing_on_sqlite, "postgresql": _missing_on_postgresql}[connection.vendor](
        connection, table
    )


def lift_triggers(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """For `RunPython` at the head of a migration that alters `portal_purge` or `portal_purgedrow`.

    post_migrate undoes it. SQLite cannot remake a table that a trigger of another one names. Elsewhere nothing is lifted.
    """
    connection = schema_editor.connection
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for model in guarded_models():
                for verb in ("no_delete", "purged"):
                    name = connection.ops.quote_name(f"{model._meta.db_table}_{verb}")
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def _guard_on_sqlite(connection: BaseDatabaseWrapper, table: str) -> None:
    with connection.cursor() as cursor:
        for name in _missing_on_sqlite(connection, table):
            cursor.execute(f"DROP TRIGGER IF EXISTS {connection.ops.quote_name(name)}")
            cursor.execute(_sqlite_triggers(connection, table)[name])


def _missing_on_sqlite(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table]
        )
        present = dict(cursor.fetchall())
    wanted = _sqlite_triggers(connection, table)
    return [name for name, statement in wanted.items() if present.get(name) != statement]


def _sqlite_triggers(connection: BaseDatabaseWrapper, table: str) -> dict[str, str]:
    """The wanted triggers: name -> the very text that sqlite_master keeps of it."""
    quote = connection.ops.quote_name
    is_shut = f"NOT EXISTS (SELECT 1 FROM {quote(Purge._meta.db_table)} WHERE closed_at IS NULL)"  # noqa: S608
    # INSERT OR REPLACE deletes without firing DELETE triggers, so a known key is refused beforehand.
    is_known = f"EXISTS (SELECT 1 FROM {quote(table)} WHERE id = NEW.id)"  # noqa: S608 (our own table)
    rules = {"update": "1", "delete": is_shut, "insert": is_known}
    wanted = {
        f"{table}_no_{verb}": (
            f"CREATE TRIGGER {quote(f'{table}_no_{verb}')} BEFORE {verb.upper()} ON {quote(table)} "
            f"WHEN {condition} BEGIN SELECT RAISE(ABORT, '{_refusal(verb, table)}'); END"
        )
        for verb, condition in rules.items()
    }
    if table != PurgedRow._meta.db_table:
        wanted[f"{table}_purged"] = (
            f"CREATE TRIGGER {quote(f'{table}_purged')} AFTER DELETE ON {quote(table)} BEGIN {_noting(table)}; END"
        )
    return wanted


def _noting(table: str) -> str:
    """The statement by which a trigger notes a row that the open door lets out."""
    purge, rows = Purge._meta.db_table, PurgedRow._meta.db_table
    return (
        f'INSERT INTO {rows} ("table", row_id, purge_id) '  # noqa: S608 (our own tables)
        f"SELECT '{table}', OLD.id, MAX(id) FROM {purge} WHERE closed_at IS NULL"
    )


def _refusal(verb: str, table: str) -> str:
    what = {"update": "changing a row", "delete": "deleting a row", "insert": "replacing a row"}[verb]
    return REFUSAL.format(what=what, table=table)


# Code 23001 (restrict_violation) reaches Python as IntegrityError, as SQLite's RAISE does.
_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION portal_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' AND EXISTS (SELECT 1 FROM {purge} WHERE closed_at IS NULL) THEN
        IF TG_OP = 'DELETE' THEN
            IF TG_TABLE_NAME <> '{rows}' THEN
                INSERT INTO {rows} ("table", row_id, purge_id)
                    SELECT TG_TABLE_NAME, OLD.id, MAX(id) FROM {purge} WHERE closed_at IS NULL;
            END IF;
            RETURN OLD;
        END IF;
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'The timeline is append-only: % of % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""
_POSTGRESQL_EVENTS = {
    "append_only_rows": "BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW",
    "append_only_table": "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT",
}


def _guard_on_postgresql(connection: BaseDatabaseWrapper, table: str) -> None:
    quoted = connection.ops.quote_name(table)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        # Two servers that start at once both migrate, and a function cannot be replaced by two at once.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('append_only_triggers'))")
        tables = {"purge": Purge._meta.db_table, "rows": PurgedRow._meta.db_table}
        cursor.execute(_POSTGRESQL_FUNCTION.format(**tables))
        if not _missing_on_postgresql(connection, table):
            return  # creating a trigger locks the table against writers: not without need
        for name, event in _POSTGRESQL_EVENTS.items():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {quoted}")
            cursor.execute(
                f"CREATE TRIGGER {name} {event.format(table=quoted)} EXECUTE FUNCTION portal_append_only()"
            )


def _missing_on_postgresql(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled <> 'D'",
            [connection.ops.quote_name(table)],
        )
        present = {name for (name,) in cursor.fetchall()}
    return [name for name in _POSTGRESQL_EVENTS if name not in present]
