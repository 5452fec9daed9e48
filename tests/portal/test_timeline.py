"""The timeline is append-only on both databases, after the whole migration chain, for every event table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import IntegrityError, connection, models, transaction

from portal.models import Purge, User
from portal.timeline import (
    TimelineEvent,
    install_append_only_triggers,
    lift_triggers,
    purge_door,
    timeline_models,
)
from tests.flush import open_for_flush

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FILLERS: dict[str, Any] = {
    "BooleanField": False,
    "DateField": NOW.date(),
    "DateTimeField": NOW,
    "EmailField": "x@example.com",
    "JSONField": {},
}

# What a table's check constraints ask for beyond the fields that must be filled.
CHECKED: dict[str, Any] = {
    "maintenance.MaintenanceWindow": lambda made: {"ends_at": NOW + timedelta(hours=1)},
    "incidents.RCA": lambda made: {"incident": some(apps.get_model("incidents", "Incident"), made)},
}

every_timeline = pytest.mark.parametrize("model", timeline_models(), ids=lambda model: model._meta.label)
on_sqlite = connection.vendor == "sqlite"


def some(model: type[models.Model], made: dict[type[models.Model], models.Model] | None = None) -> Any:
    """A saved row of any model, with whatever it stands on: new tables are covered at once."""
    made = {} if made is None else made
    if model not in made:
        fields = [
            field
            for field in model._meta.concrete_fields
            if not (
                field.null
                or field.has_default()
                or field.primary_key
                or getattr(field, "auto_now_add", False)
            )
        ]
        made[model] = model(**{field.name: filler(field, made) for field in fields})
        for name, value in CHECKED.get(model._meta.label, lambda made: {})(made).items():
            setattr(made[model], name, value)
        made[model].save()
    return made[model]


def filler(field: models.Field, made: dict[type[models.Model], models.Model]) -> Any:
    if isinstance(field, models.ForeignKey):
        return some(field.related_model, made)
    if field.choices:
        return field.choices[0][0]
    return FILLERS.get(type(field).__name__, 1 if isinstance(field, models.IntegerField) else "x")


def refused() -> Any:
    return pytest.raises(IntegrityError, match="append-only")


def execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def insert_again(event: TimelineEvent) -> str:
    columns = ", ".join(connection.ops.quote_name(field.column) for field in event._meta.concrete_fields)
    table = connection.ops.quote_name(event._meta.db_table)
    return f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id = {event.pk}"


def change(event: TimelineEvent) -> None:
    event.kind = "changed"
    event.save()


def change_in_bulk(event: TimelineEvent) -> None:
    event.kind = "changed"
    type(event).objects.bulk_update([event], ["kind"])


def upsert(event: TimelineEvent) -> None:
    event.kind = "changed"
    type(event).objects.bulk_create(
        [event], update_conflicts=True, unique_fields=["id"], update_fields=["kind"]
    )


WAYS = {
    "save": change,
    "queryset update": lambda event: type(event).objects.update(is_public=True),
    "bulk update": change_in_bulk,
    "upsert": upsert,
    "delete": lambda event: event.delete(),
    "queryset delete": lambda event: type(event).objects.all().delete(),
    "raw delete": lambda event: execute(f"DELETE FROM {event._meta.db_table} WHERE id = %s", event.pk),
}


def test_the_project_has_a_timeline() -> None:
    assert timeline_models()


@every_timeline
@pytest.mark.parametrize("way", WAYS)
def test_an_event_cannot_be_changed_or_deleted(db: None, model: type[TimelineEvent], way: str) -> None:
    event = some(model)
    with refused(), transaction.atomic():
        WAYS[way](event)
    assert model.objects.get().kind == "x"


@every_timeline
def test_an_event_cannot_be_replaced_under_its_own_key(db: None, model: type[TimelineEvent]) -> None:
    event = some(model)
    statement = insert_again(event)
    if not on_sqlite:  # INSERT OR REPLACE is SQLite's; the nearest that PostgreSQL has is an upsert
        statement = statement.replace(" OR REPLACE", "") + " ON CONFLICT (id) DO UPDATE SET kind = 'changed'"
    with refused(), transaction.atomic():
        execute(statement)


@every_timeline
def test_an_empty_or_full_table_cannot_be_truncated(db: None, model: type[TimelineEvent]) -> None:
    table = connection.ops.quote_name(model._meta.db_table)
    if on_sqlite:  # its DELETE without WHERE is what others call TRUNCATE
        some(model)
    with refused(), transaction.atomic():
        execute(f"DELETE FROM {table}" if on_sqlite else f"TRUNCATE {table} CASCADE")


@every_timeline
def test_the_purge_door_lets_deletions_through_and_records_them(db: None, model: type[TimelineEvent]) -> None:
    some(model)
    head = User.objects.create_user("head@example.com")
    with purge_door(by=head, reason="Retention of three years", now=NOW) as purge:
        assert purge.closed_at is None
        model.objects.all().delete()
    assert not model.objects.exists()
    recorded = Purge.objects.get()
    assert (recorded.by, recorded.reason) == (head, "Retention of three years")
    assert (recorded.opened_at, recorded.closed_at) == (NOW, NOW)


@every_timeline
def test_the_door_is_shut_again_after_the_purge(db: None, model: type[TimelineEvent]) -> None:
    with purge_door(by=None, reason="Retention", now=NOW):
        pass
    event = some(model)
    with refused(), transaction.atomic():
        event.delete()


@every_timeline
def test_an_exception_inside_the_door_undoes_everything_and_shuts_it(
    db: None, model: type[TimelineEvent]
) -> None:
    event = some(model)

    def purge_and_fail() -> None:
        with purge_door(by=None, reason="Retention", now=NOW):
            model.objects.all().delete()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        purge_and_fail()
    assert model.objects.filter(pk=event.pk).exists()
    assert not Purge.objects.exists()
    with refused(), transaction.atomic():
        model.objects.all().delete()


@every_timeline
def test_even_an_open_door_lets_no_update_through(db: None, model: type[TimelineEvent]) -> None:
    event = some(model)
    with purge_door(by=None, reason="Retention", now=NOW), refused(), transaction.atomic():
        change(event)


def test_a_purge_without_a_reason_is_refused(db: None) -> None:
    with pytest.raises(ValueError, match="reason"), purge_door(by=None, reason="  ", now=NOW):
        pass
    assert not Purge.objects.exists()


@every_timeline
def test_a_remade_table_has_its_triggers_back_after_migrate(
    transactional_db: None, model: type[TimelineEvent]
) -> None:
    event = some(model)
    for altered in (model, Purge):
        field = altered._meta.get_field("kind" if altered is model else "reason")
        with connection.schema_editor() as editor:
            lift_triggers(None, editor)
            if on_sqlite:
                editor._remake_table(altered)
            else:
                editor.alter_field(altered, field, field, strict=True)
    call_command("migrate", verbosity=0)
    for way in ("save", "delete"):
        with refused(), transaction.atomic():
            WAYS[way](event)


@every_timeline
def test_installing_again_changes_nothing(db: None, model: type[TimelineEvent]) -> None:
    query = (
        "SELECT name || sql FROM sqlite_master WHERE type = 'trigger' ORDER BY 1"
        if on_sqlite
        else "SELECT oid::text FROM pg_trigger ORDER BY 1"
    )

    def installed() -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    before = installed()
    emit_post_migrate_signal(0, False, "default")
    install_append_only_triggers(using="default")
    assert installed() == before
    assert before


@every_timeline
def test_the_flush_of_a_test_goes_through_the_door_and_a_bare_one_does_not(
    transactional_db: None, model: type[TimelineEvent]
) -> None:
    some(model)
    with pytest.raises(CommandError, match="flushed") as refusal:
        call_command("flush", interactive=False, verbosity=0, allow_cascade=True)
    assert "append-only" in str(refusal.value.__cause__)
    assert model.objects.count() == 1
    with open_for_flush():
        call_command("flush", interactive=False, verbosity=0, allow_cascade=True)
    assert not model.objects.exists()
    assert not Purge.objects.exists()
