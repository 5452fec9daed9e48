"""Every column of every table that can hold something of a person has a verdict."""

from django.apps import apps

from portal.privacy import TABLES, personal_columns


def models():
    return apps.get_models(include_auto_created=True)


def test_every_column_that_can_hold_something_of_a_person_has_one_verdict():
    missing, twice = [], []
    for model in models():
        table = TABLES.get(model._meta.label)
        declared = table.declared if table else []
        missing += [f"{model._meta.label}.{name}" for name in personal_columns(model) if name not in declared]
        twice += [f"{model._meta.label}.{name}" for name in set(declared) if declared.count(name) > 1]
    assert (missing, twice) == ([], [])


def test_no_verdict_is_about_a_column_that_is_no_more():
    labels = {model._meta.label: model for model in models()}
    stale = [label for label in TABLES if label not in labels]
    for label, table in TABLES.items():
        present = {column.name for column in labels[label]._meta.concrete_fields}
        stale += [f"{label}.{name}" for name in table.declared if name not in present]
    assert stale == []


def test_what_goes_with_the_rows_of_a_person_is_of_tables_whose_rows_are_found_and_deleted():
    loose = [label for label, table in TABLES.items() if table.goes and table.own is None]
    kept = [label for label, table in TABLES.items() if table.goes and not table.is_deleted]
    assert (loose, kept) == ([], ["portal.User"])  # the person's row becomes the pseudonym


def test_own_rows_are_found_and_exported_columns_exist(a1):
    for table in TABLES.values():
        list(table.rows_of(a1)[:1])
        for path in table.export:
            owner = table.model
            for part in path.split("."):
                assert hasattr(owner, part), f"{table.label}: {path}"
                field = {f.name: f for f in owner._meta.get_fields()}.get(part)
                owner = field.related_model if field is not None and field.is_relation else owner
