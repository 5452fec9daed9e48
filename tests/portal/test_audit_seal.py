"""What was sealed is found changed, removed, put between or rewritten; what the door let out is accounted for."""

import hashlib
import json
import threading
from datetime import UTC, timedelta
from io import StringIO
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from portal import audit_seal
from portal.audit import record
from portal.audit_check import check
from portal.models import AuditEntry, AuditOrigin, AuditSeal, Purge, PurgedRow
from portal.timeline import guarded_models, install_append_only_triggers, purge_door
from tests.conftest import T0
from tests.portal.test_timeline import execute, some

on_sqlite = connection.vendor == "sqlite"
quote = connection.ops.quote_name


def lift(*models):
    """What somebody with all rights on the database does first: no trigger of ours, no foreign key stops them."""
    if not on_sqlite:
        execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with outstanding checks cannot be altered
    for model in models or [*guarded_models(), Purge]:
        table = model._meta.db_table
        if on_sqlite:
            for name in ("no_update", "no_delete", "no_insert", "purged"):
                execute(f"DROP TRIGGER IF EXISTS {quote(f'{table}_{name}')}")
        else:
            execute(f"ALTER TABLE {quote(table)} DISABLE TRIGGER ALL")


def entries(count=3, **more):
    return [record("signed_in", by=None, now=T0, facts={"n": n}, **more) for n in range(count)]


def sealed(model, count=3):
    """Some rows of a sealed table, sealed."""
    if model is AuditEntry:
        made = entries(count)
    elif model is Purge:
        made = [Purge.objects.create(reason=f"r{n}", opened_at=T0, closed_at=T0) for n in range(count)]
    elif model is PurgedRow:
        gone = entries(count)
        with purge_door(by=None, reason="Retention", now=T0):
            AuditEntry.objects.filter(pk__in=[entry.pk for entry in gone]).delete()
        made = list(PurgedRow.objects.order_by("pk"))
    else:
        first = some(model)
        made = [first]
        for _ in range(count - 1):
            first.pk = None
            first._state.adding = True
            first.save(force_insert=True)
            made.append(model._base_manager.get(pk=first.pk))
    audit_seal.seal_all(T0)
    pks = [row.pk for row in made]
    assert check().is_whole
    return pks


def found(model=None):
    report = check()
    tables = report.tables
    return (
        tables[model._meta.db_table].first
        if model
        else {t.table: t.first for t in tables.values() if t.first}
    )


def columns():
    return [(model, field) for model in audit_seal.sealed_models() for field in model._meta.concrete_fields]


def other(field, value):
    """Another value that the column takes."""
    kind = field.get_internal_type()
    if kind == "BooleanField":
        return not value
    if kind == "DateTimeField":
        return (value or T0) + timedelta(seconds=1)
    if kind == "JSONField":
        return json.dumps({"forged": True})
    if kind in ("BigAutoField", "BigIntegerField", "ForeignKey"):
        return (value or 0) + 1_000_000
    return "" if value else "forged"


IDS = [f"{model._meta.db_table}.{field.column}" for model, field in columns()]


@pytest.mark.parametrize(("model", "field"), columns(), ids=IDS)
def test_each_column_of_each_sealed_table_is_held(db, model, field):
    pks = sealed(model)
    lift()
    was = model._base_manager.values_list(field.attname, flat=True).get(pk=pks[1])
    with transaction.atomic():
        with connection.constraint_checks_disabled() if on_sqlite else transaction.atomic():
            execute(
                f"UPDATE {quote(model._meta.db_table)} SET {quote(field.column)} = %s WHERE id = %s",
                other(field, was),
                pks[1],
            )
        words = f"row {pks[1]} is missing" if field.primary_key else f"row {pks[1]} was changed"
        assert found(model) == words
        transaction.set_rollback(True)  # the forged foreign keys would be refused at the end of the test


@pytest.mark.parametrize("model", audit_seal.sealed_models(), ids=lambda model: model._meta.db_table)
def test_a_row_that_went_by_no_door_is_missing(db, model):
    pks = sealed(model)
    lift()
    execute(f"DELETE FROM {quote(model._meta.db_table)} WHERE id = %s", pks[1])
    assert found(model) == f"row {pks[1]} is missing"


def test_a_row_put_into_a_gap_is_found(db):
    pks = sealed(AuditEntry, 2)
    lift()
    with purge_door(by=None, reason="Retention", now=T0):
        pass
    last = AuditSeal.objects.filter(table="portal_auditentry").latest("pk").last_id
    for pk in (-5, 0):
        AuditEntry(pk=pk, kind="signed_in", at=T0).save(force_insert=True)
        assert found(AuditEntry) == f"row {pk} was inserted below what was sealed"
        AuditEntry.objects.filter(pk=pk).delete()
    assert pks[-1] <= last
    assert check().is_whole


def test_a_gap_below_the_watermark_is_sealed_as_a_gap(db):
    """Ids that were given and rolled back stay empty for ever."""
    first, _second, third = entries(3)
    lift()
    execute("DELETE FROM portal_auditentry WHERE id = %s", first.pk + 1)
    audit_seal.seal_all(T0)
    assert check().is_whole
    AuditEntry(pk=first.pk + 1, kind="signed_in", at=T0).save(force_insert=True)
    assert first.pk < third.pk
    assert found(AuditEntry) == f"row {first.pk + 1} was inserted below what was sealed"


def test_two_rows_that_change_places_are_found(db):
    a, b, _c = sealed(AuditEntry)
    lift()
    for pk, facts in ((a, {"n": 1}), (b, {"n": 0})):
        AuditEntry.objects.filter(pk=pk).update(facts=facts)
    report = check()
    assert report.tables["portal_auditentry"].differences == 2
    assert found(AuditEntry) == f"row {a} was changed"


SEAL_COLUMNS = [
    "first_id",
    "last_id",
    "count",
    "digest",
    "previous",
    "chain",
    "row_digests",
    "columns",
    "table",
]


@pytest.mark.parametrize("column", SEAL_COLUMNS)
def test_each_column_of_a_seal_is_held(db, column):
    sealed(AuditEntry)
    entries(2)
    audit_seal.seal_all(T0)
    seal = AuditSeal.objects.order_by("pk").first()
    forged = {"first_id": 7, "last_id": seal.last_id + 1, "count": 99, "columns": ["id"], "table": "x"}
    forged |= {"row_digests": bytes(seal.row_digests)[:-1] + b"\0"}
    lift()
    AuditSeal.objects.filter(pk=seal.pk).update(**{column: forged.get(column, "f" * 64)})
    assert found()["seals"].startswith((f"seal {seal.pk}", f"the digests of seal {seal.pk}"))


def test_a_chain_out_of_which_a_seal_was_cut_is_broken(db):
    for _ in range(3):
        entries(2)
        audit_seal.seal_all(T0)
    lift()
    first, middle, last = AuditSeal.objects.filter(table="portal_auditentry").order_by("pk")
    with transaction.atomic():
        AuditSeal.objects.filter(pk=middle.pk).delete()
        assert "the chain is broken" in found()["seals"]
        transaction.set_rollback(True)
    anchor = last.chain
    assert check(anchor).has_anchor is True
    AuditSeal.objects.filter(pk=last.pk).delete()
    assert check().is_whole  # a cut end shows by an anchor only
    assert not check(anchor).is_whole
    assert check(first.chain).has_anchor is True


def test_rows_and_all_seals_rewritten_are_found_by_an_anchor(db):
    pks = sealed(AuditEntry)
    anchor = audit_seal.newest_seal().chain
    lift()
    AuditEntry.objects.filter(pk=pks[0]).update(kind="signed_out")
    AuditSeal.objects.all().delete()
    audit_seal.seal_all(T0)
    assert check().is_whole
    assert check(anchor).has_anchor is False
    with pytest.raises(CommandError, match="anchor"):
        call_command("verify_audit", anchor=anchor, stdout=StringIO())


def test_an_origin_is_held_by_its_entry_and_may_go(db, rf):
    request = rf.get("/", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Firefox")
    [entry] = entries(1, request=request)
    audit_seal.seal_all(T0)
    for change in ({"address": "192.0.2.8"}, {"browser": "curl"}, {"salt": "x"}):
        with transaction.atomic():
            AuditOrigin.objects.filter(pk=entry.pk).update(**change)
            assert found() == {"origins": f"the origin of entry {entry.pk} was changed"}
            transaction.set_rollback(True)
    assert audit_seal.purge_origins(T0) == 0
    assert audit_seal.purge_origins(T0 + timedelta(days=1)) == 1
    assert check().is_whole
    assert not AuditOrigin.objects.exists()


# --- the purge door ---


def test_what_went_through_the_door_is_accounted_for(db, h1):
    pks = sealed(AuditEntry)
    with purge_door(by=h1, reason="Retention", now=T0) as purge:
        AuditEntry.objects.filter(pk=pks[1]).delete()
    assert [(row.table, row.row_id, row.purge) for row in PurgedRow.objects.all()] == [
        ("portal_auditentry", pks[1], purge)
    ]
    entry = AuditEntry.objects.get(kind="purge_opened")
    assert (entry.by, entry.subject) == (h1, f"purge/{purge.pk}")
    assert entry.facts == {"rows": {"portal_auditentry": 1}}
    report = check()
    assert report.is_whole
    assert report.tables["portal_auditentry"].purged == 1


def test_a_deletion_hidden_in_an_old_purge_is_found(db):
    pks = sealed(AuditEntry)
    with purge_door(by=None, reason="Retention", now=T0) as purge:
        AuditEntry.objects.filter(pk=pks[0]).delete()
    audit_seal.seal_all(T0)
    lift()
    AuditEntry.objects.filter(pk=pks[1]).delete()
    PurgedRow.objects.create(table="portal_auditentry", row_id=pks[1], purge=purge)
    assert found() == {"purges": f"purge {purge.pk} does not match its entry in the audit"}


def test_a_purge_that_is_not_closed_excuses_nothing(db):
    pks = sealed(AuditEntry)
    lift()
    purge = Purge.objects.create(reason="Forged", opened_at=T0)
    AuditEntry.objects.filter(pk=pks[1]).delete()
    PurgedRow.objects.create(table="portal_auditentry", row_id=pks[1], purge=purge)
    assert found(AuditEntry) == f"row {pks[1]} is missing"


def test_old_entries_go_and_their_digests_stay(db):
    sealed(AuditEntry)
    record("signed_out", by=None, now=T0 + timedelta(days=9))
    audit_seal.seal_all(T0)
    now = T0 + timedelta(days=400)
    assert audit_seal.purge_entries(T0 + timedelta(days=1), now=now) == 3
    assert audit_seal.purge_entries(T0 + timedelta(days=1), now=now) == 0
    assert sorted(AuditEntry.objects.values_list("kind", flat=True)) == ["purge_opened", "signed_out"]
    assert audit_seal.purge_entries(now + timedelta(days=1), now=now) == 1  # the purges' own entries stay
    audit_seal.seal_all(now)
    assert check().is_whole


# --- append-only ---


@pytest.mark.parametrize("model", [AuditEntry, AuditSeal, PurgedRow], ids=lambda model: model.__name__)
def test_the_audit_s_own_tables_are_append_only(db, model):
    sealed(PurgedRow)
    row = model.objects.order_by("pk").first()
    field = "kind" if model is AuditEntry else "table"
    for way in (
        lambda: model.objects.filter(pk=row.pk).update(**{field: "x"}),
        lambda: model.objects.filter(pk=row.pk)._raw_delete("default"),
        lambda: row.save(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            way()


def test_triggers_come_back_after_every_migrate(transactional_db):
    entries(1)
    lift(AuditEntry)
    install_append_only_triggers(using="default")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(kind="x")


# --- the sealer ---


def test_batches_have_an_end_and_join(db, monkeypatch):
    monkeypatch.setattr(audit_seal, "BATCH", 4)
    entries(10)
    assert audit_seal.seal_table(AuditEntry, T0) == AuditEntry.objects.count()
    seals = AuditSeal.objects.filter(table="portal_auditentry").order_by("pk")
    assert [seal.count for seal in seals][:2] == [4, 4]
    for before, after in pairwise(seals):
        assert after.first_id == before.last_id + 1
    assert audit_seal.seal_all(T0) == 0
    assert check().is_whole


def test_a_second_sealer_of_the_same_rows_adds_nothing(db):
    entries(3)
    after = audit_seal.sealed_until(AuditEntry)
    until = audit_seal.watermark(AuditEntry, after)
    mine, theirs = (audit_seal.next_batch(AuditEntry, after, until) for _ in range(2))
    assert audit_seal.append(AuditEntry, after, theirs, T0) is True
    assert audit_seal.append(AuditEntry, after, mine, T0) is False
    assert AuditSeal.objects.filter(table="portal_auditentry").count() == 1


def test_what_is_not_sealed_yet_is_counted_and_no_difference(db):
    sealed(AuditEntry)
    entries(2)
    report = check()
    assert (report.is_whole, report.tables["portal_auditentry"].unsealed) == (True, 2)


def test_a_transaction_that_commits_late_is_not_skipped(transactional_db):
    """It took the lower id, and somebody else's higher one is there first. On SQLite nobody else can write."""
    if on_sqlite:
        return
    took, may_commit, done = threading.Event(), threading.Event(), threading.Event()

    def write_slowly():
        try:
            with transaction.atomic():
                record("signed_in", by=None, now=T0, facts={"n": "late"})
                took.set()
                may_commit.wait(20)
        finally:
            connection.close()
            done.set()

    thread = threading.Thread(target=write_slowly)
    thread.start()
    assert took.wait(20)
    record("signed_in", by=None, now=T0, facts={"n": "early"})
    assert audit_seal.seal_table(AuditEntry, T0) == 0  # it is busy: nothing is sealed past the open one
    may_commit.set()
    assert done.wait(20)
    thread.join()
    audit_seal.seal_table(AuditEntry, T0)
    report = check()
    assert report.is_whole
    assert report.tables["portal_auditentry"].unsealed == 0
    assert [entry.facts["n"] for entry in AuditEntry.objects.order_by("pk")] == ["late", "early"]


# --- an outsider ---


def test_an_outsider_recomputes_it_as_the_docs_say(db, g1, rf):
    request = rf.get("/", REMOTE_ADDR="192.0.2.7")
    entry = record(
        "person_changed", by=g1, now=T0, subject="person/1", facts={"ü": ["é", 1]}, request=request
    )
    audit_seal.seal_all(T0)
    seal = AuditSeal.objects.filter(table="portal_auditentry").latest("pk")
    row = {
        "id": entry.pk,
        "kind": "person_changed",
        "at": T0.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by_id": g1.pk,
        "on_behalf_of_id": None,
        "organisation_id": None,
        "subject": "person/1",
        "facts": {"ü": ["é", 1]},
        "origin_digest": entry.origin_digest,
    }
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    assert audit_seal.unpacked(bytes(seal.row_digests))[entry.pk] == digest
    batch = hashlib.sha256(json.dumps(sorted(row)).encode() + b"\n" + bytes(seal.row_digests)).hexdigest()
    link = f"{seal.previous}|portal_auditentry|{seal.first_id}|{seal.last_id}|{seal.count}|{batch}"
    assert seal.chain == hashlib.sha256(link.encode()).hexdigest()


def test_the_command_says_what_it_found_and_ends_with_1(db):
    pks = sealed(AuditEntry)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert f"newest seal: {audit_seal.newest_seal().chain}" in out.getvalue()
    assert "portal_auditentry: 3 rows, 1 seals, 0 purged, 0 not sealed yet; as sealed" in out.getvalue()
    lift()
    AuditEntry.objects.filter(pk=pks[2]).update(facts={})
    out = StringIO()
    with pytest.raises(CommandError, match="1 differences"):
        call_command("verify_audit", stdout=out)
    assert f"DIFFERS: row {pks[2]} was changed (1 in all)" in out.getvalue()


def test_a_row_that_cannot_be_read_any_more_is_a_difference_and_no_traceback(db):
    pks = sealed(AuditEntry)
    lift()
    # PostgreSQL takes no time that is none, but one that Python cannot hold.
    nonsense = "nonsense" if on_sqlite else "infinity"
    execute("UPDATE portal_auditentry SET at = %s WHERE id = %s", nonsense, pks[1])
    assert found(AuditEntry) == f"row {pks[1]} was changed"
