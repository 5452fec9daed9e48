"""Steps of migrations that let everybody go on working meanwhile. For migrations with `atomic = False`."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class AddIndexOnline(AddIndexConcurrently):
    """An index that PostgreSQL builds beside those who write; elsewhere a plain one.

    A build that was cut off leaves an invalid index: drop it by its name, and migrate again.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        is_able = schema_editor.connection.vendor == "postgresql"
        way = super().database_forwards if is_able else super(AddIndexConcurrently, self).database_forwards
        way(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        is_able = schema_editor.connection.vendor == "postgresql"
        way = super().database_backwards if is_able else super(AddIndexConcurrently, self).database_backwards
        way(app_label, schema_editor, from_state, to_state)
