"""Steps of migrations that let everybody go on working meanwhile. For migrations with `atomic = False`."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex


def _plain_or_online(schema_editor: BaseDatabaseSchemaEditor) -> type[AddIndex]:
    return AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex


class AddIndexOnline(AddIndexConcurrently):
    """An index that PostgreSQL builds beside those who write; elsewhere a plain one.

    A build that was cut off leaves an invalid index: drop it by its name, and migrate again.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        _plain_or_online(schema_editor).database_forwards(
            self, app_label, schema_editor, from_state, to_state
        )

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        _plain_or_online(schema_editor).database_backwards(
            self, app_label, schema_editor, from_state, to_state
        )
