"""The search's own table, empty: `manage.py index_search` fills it in batches (docs/upgrades.md)."""

import logging

import django.db.models.deletion
from django.db import DatabaseError, migrations, models, transaction

import incidents.models.search

INDEXES = """
CREATE INDEX search_public ON incidents_searchrow USING gin (public_words) WITH (gin_pending_list_limit = 1024);
CREATE INDEX search_internal ON incidents_searchrow USING gin (internal_words) WITH (gin_pending_list_limit = 1024);
"""
TRIGRAMS = "CREATE INDEX search_title ON incidents_searchrow USING gin (title gin_trgm_ops)"
# A row's number is its incident's. What texts there are stands in the incidents: only their words are kept.
FTS5 = """
CREATE VIRTUAL TABLE incidents_searchrow USING fts5(
    incident_id UNINDEXED, title UNINDEXED, public_words, internal_words,
    detail = 'column', tokenize = "ascii tokenchars '-._'"
)
"""


class CreateSearchRow(migrations.CreateModel):
    """The model's table as each database searches it best."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.execute(FTS5)
            return
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        schema_editor.execute(INDEXES)
        try:
            with transaction.atomic(using=schema_editor.connection.alias):
                schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
                schema_editor.execute(TRIGRAMS)
        except DatabaseError as error:
            logging.getLogger(__name__).warning("Misspelt words will not be found: no pg_trgm (%s)", error)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0014_ops")]

    operations = [
        CreateSearchRow(
            name="SearchRow",
            fields=[
                (
                    "incident",
                    models.OneToOneField(
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search_row",
                        serialize=False,
                        to="incidents.incident",
                    ),
                ),
                ("title", incidents.models.search.TitleField(editable=False)),
                ("public_words", incidents.models.search.WordsField(editable=False)),
                ("internal_words", incidents.models.search.WordsField(editable=False)),
            ],
            options={
                "verbose_name": "search row",
                "verbose_name_plural": "search rows",
                "abstract": False,
            },
        ),
    ]
