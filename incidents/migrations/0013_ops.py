"""Breaches of the last day are found without looking at every clock; writers are not kept waiting meanwhile."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class AddIndexOnline(AddIndexConcurrently):
    """On PostgreSQL without a lock against writers; elsewhere as usual."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        is_online = schema_editor.connection.vendor == "postgresql"
        add = super().database_forwards if is_online else super(AddIndexConcurrently, self).database_forwards
        add(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        is_online = schema_editor.connection.vendor == "postgresql"
        drop = super().database_backwards if is_online else super(AddIndexConcurrently, self).database_backwards
        drop(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("incidents", "0012_enterprise_doors")]

    operations = [
        AddIndexOnline(
            model_name="clock",
            index=models.Index(
                fields=["breached_at"], name="clock_breached", condition=models.Q(breached_at__isnull=False)
            ),
        ),
    ]
