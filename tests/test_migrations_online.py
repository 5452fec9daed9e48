"""Migrations run while the former release serves: no step breaks its code or holds a large table."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Now

from portal.online import AddIndexOnline
from tests.online import LARGE, faults

# The last migration of each app before the first release; later ones keep the rules.
FIRST = {"portal": "0014_people", "incidents": "0012_enterprise_doors", "maintenance": "0001_initial"}


@pytest.fixture(scope="module")
def loader():
    return MigrationLoader(None)


@pytest.fixture(scope="module")
def released(loader):
    return loader.project_state(list(FIRST.items()))


def test_every_new_migration_lets_the_former_release_go_on(loader):
    new = [key for key in loader.graph.nodes if key[0] in FIRST and key[1] > FIRST[key[0]]]
    found = []
    for key in sorted(new):
        before = loader.project_state([node.key for node in loader.graph.node_map[key].parents])
        found += faults(loader.graph.nodes[key], before)
    assert found == []


def test_the_large_tables_are_there():
    assert {key for key in LARGE if key[1] not in apps.all_models[key[0]]} == set()


def of(app, *operations, **attributes):
    migration = migrations.Migration("0099_next", app)
    migration.operations = list(operations)
    for name, value in attributes.items():
        setattr(migration, name, value)
    return migration


INDEX = models.Index(fields=["title"], name="by_title")
CHECK = models.CheckConstraint(condition=models.Q(title__gt=""), name="titled")
BREAKS = {
    "one release after": migrations.RemoveField("incident", "title"),
    "still uses it": migrations.RenameField("incident", "title", "name"),
    "former release's inserts": migrations.AddField("service", "note", models.TextField(default="")),
    "unique index": migrations.AddField("incident", "key", models.UUIDField(null=True, unique=True)),
    "AddIndexOnline": migrations.AddIndex("incident", INDEX),
    "NOT VALID": migrations.AddConstraint("incident", CHECK),
    "in batches with atomic": migrations.RunPython(migrations.RunPython.noop),
    "written anew": migrations.AlterField("incident", "title", models.TextField()),
    "may still write NULL": migrations.AlterField("incident", "resolved_at", models.DateTimeField()),
}


@pytest.mark.parametrize("words", BREAKS)
def test_a_step_that_would_stop_somebody_is_named(released, words):
    app = "portal" if words == "former release's inserts" else "incidents"
    found = faults(of(app, BREAKS[words]), released)
    assert len(found) == 1
    assert words in found[0]
    assert faults(of(app, BREAKS[words], safe_because="nobody has it"), released) == []


def test_what_can_be_done_meanwhile_is_not_named(released):
    new = migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))])
    steps = [
        new,
        migrations.AddField("thing", "size", models.IntegerField()),  # nobody writes there yet
        migrations.AddField("incident", "seen_at", models.DateTimeField(db_default=Now())),
        migrations.AddField("incident", "noted_at", models.DateTimeField(null=True)),
        AddIndexOnline("incident", INDEX),
        migrations.RunPython(migrations.RunPython.noop),
        migrations.AlterField("incident", "title", models.CharField("heading", max_length=200)),
    ]
    assert faults(of("incidents", *steps, atomic=False), released) == []


@pytest.mark.django_db(transaction=True)
def test_an_index_is_built_and_taken_away_beside_those_who_write(loader):
    state = loader.project_state()
    after = state.clone()
    step = AddIndexOnline("incident", INDEX)
    step.state_forwards("incidents", after)

    def names():
        with connection.cursor() as cursor:
            return set(connection.introspection.get_constraints(cursor, "incidents_incident"))

    with connection.schema_editor(atomic=False) as editor:
        step.database_forwards("incidents", editor, state, after)
    assert "by_title" in names()
    with connection.schema_editor(atomic=False) as editor:
        step.database_backwards("incidents", editor, after, state)
    assert "by_title" not in names()
