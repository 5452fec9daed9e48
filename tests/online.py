"""Which steps of a migration stop those who work meanwhile, or break the code of the release before.

A migration runs while the former release serves (docs/upgrades.md), so each step must be one that its code can
live with, and that holds no large table for longer than a blink. A migration that knows better says so: it has
`safe_because = "…"` as an attribute.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

# Tables that grow with every incident; on all others a lock is over before anybody notices.
LARGE = {
    ("incidents", name)
    for name in ("incident", "incidentevent", "clock", "message", "attachment", "alarm", "inboundmessage")
} | {("portal", name) for name in ("outboxmessage", "auditentry", "deliveryattempt")}
LOSES = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.DeleteModel,
    migrations.AlterModelTable,
)


def faults(migration: Migration, before: ProjectState) -> list[str]:
    """What is wrong with `migration`, in sentences that say what to do; [] where nothing is."""
    if getattr(migration, "safe_because", ""):
        return []
    found, state = [], before.clone()
    made: set[str] = set()
    for operation in migration.operations:
        flat = [operation, *getattr(operation, "database_operations", ())]
        for each in flat:
            found += [f"{migration}: {words}" for words in _faults(each, migration, state, made)]
        if isinstance(operation, migrations.CreateModel):
            made.add(operation.name_lower)
        operation.state_forwards(migration.app_label, state)
    return found


def _faults(step: Operation, migration: Migration, state: ProjectState, made: set[str]) -> Iterator[str]:
    table = getattr(step, "model_name", getattr(step, "name", "")).lower()
    if table in made:  # nobody uses it yet, and it is empty
        return
    is_large = (migration.app_label, table) in LARGE
    if isinstance(step, LOSES):
        yield f"{step.describe()}: the former release still uses it. Do it one release after the code stopped."
    elif isinstance(step, migrations.AddField):
        yield from _of_new_field(step)
    elif isinstance(step, migrations.AlterField):
        yield from _of_changed_field(step, migration, state, is_large)
    elif isinstance(step, migrations.AddIndex) and is_large and not isinstance(step, AddIndexConcurrently):
        yield f"{step.describe()}: writing stops meanwhile. Use portal.online.AddIndexOnline and atomic = False."
    elif isinstance(step, migrations.AddConstraint) and is_large:
        yield f"{step.describe()}: the whole table is read under a lock. Add it NOT VALID, validate it apart."
    elif isinstance(step, migrations.RunPython | migrations.RunSQL) and migration.atomic:
        yield f"{step.describe()}: all in one transaction. Work in batches with atomic = False."


def _of_new_field(step: migrations.AddField) -> Iterator[str]:
    field = step.field
    is_column = not isinstance(field, models.ManyToManyField)
    if is_column and not field.null and field.db_default is models.NOT_PROVIDED:
        yield f"{step.describe()}: the former release's inserts lack it. Give it null=True or a db_default."
    if is_column and field.unique:
        yield f"{step.describe()}: its unique index is built under a lock. Add the constraint in a step of its own."


def _of_changed_field(
    step: migrations.AlterField, migration: Migration, state: ProjectState, is_large: bool
) -> Iterator[str]:
    former = state.models[migration.app_label, step.model_name_lower].fields[step.name]
    if former.null and not step.field.null:
        yield f"{step.describe()}: the former release may still write NULL. Do it one release later."
    if is_large and _column(former) != _column(step.field):
        yield f"{step.describe()}: the whole table may be written anew. Add another column, and fill it in batches."


def _column(field: models.Field) -> tuple[str, object, bool, bool]:
    return type(field).__name__, field.max_length, field.unique, field.db_index
