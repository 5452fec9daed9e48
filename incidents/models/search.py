"""What incidents are found by: one row each, made anew from the texts whenever one of them changes.

On PostgreSQL the words are vectors with their indexes, on SQLite the table is one of FTS5 (migration 0015).
What customers read and what only staff read stand apart, so that no search of the former touches the latter.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.lookups import TrigramWordSimilar
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

from incidents.models.incident import Incident
from portal.models.accounts import TypedModelMeta


class WordsField(models.TextField):
    """Words as `incidents.folding` makes them, with spaces between, kept as this database searches them."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "tsvector" if connection.vendor == "postgresql" else "text"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if connection.vendor != "postgresql":
            return value
        # Words hold letters, digits, dots, dashes and underscores only: nothing that would have to be escaped.
        return " ".join(f"'{word}'" for word in value.split())


@WordsField.register_lookup
class HasAll(models.Lookup):
    """On PostgreSQL: all of these words, of which the last one may be the beginning of one."""

    lookup_name = "has_all"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, values = self.process_lhs(compiler, connection)
        return f"{column} @@ %s::tsquery", [*values, self.rhs]

    def get_prep_lookup(self) -> Any:
        return self.rhs


class TitleField(models.TextField):
    """The title's words and the reference, for words that are misspelt or stand within others."""


TitleField.register_lookup(TrigramWordSimilar)


class SearchRow(models.Model):
    incident = models.OneToOneField(
        Incident, models.CASCADE, primary_key=True, related_name="search_row", editable=False
    )
    title = TitleField(editable=False)
    public_words = WordsField(editable=False)
    internal_words = WordsField(editable=False)

    class Meta(TypedModelMeta):
        verbose_name = _("search row")
        verbose_name_plural = _("search rows")

    def __str__(self) -> str:
        return f"{self.incident_id}"
