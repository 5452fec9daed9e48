"""What is old goes by its rule, and nothing that a clock, a report or a proof needs."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection

from incidents import actions
from incidents.models import (
    Article,
    ArticleVersion,
    Attachment,
    Clock,
    InboundMessage,
    Incident,
    IncidentEvent,
    Message,
)
from portal import audit, outbox, retention
from portal.models import (
    ApiToken,
    AuditEntry,
    AuditOrigin,
    DeliveryAttempt,
    IdempotentRequest,
    Invitation,
    OutboxMessage,
    RetentionRule,
)
from portal.verbs import Refused
from tests.conftest import T0
from tests.factories import article, incident
from tests.incidents.test_stranger import Writes
from tests.mails import PASS, arrive, written

LATER = T0 + timedelta(days=800)


@pytest.fixture
def closed(a1, g1):
    """A closed incident with words, a file and a mail."""
    made = incident(a1, T0, title="Secret project is down", description="Words.")
    actions.reply(
        made, by=g1, now=T0 + timedelta(minutes=2), channel="admin", text="We look.",
        files=[SimpleUploadedFile("log.txt", b"a log")],
    )  # fmt: skip
    actions.start_intervention(made, by=g1, now=T0 + timedelta(minutes=3), channel="admin")
    actions.resolve(
        made, by=g1, now=T0 + timedelta(minutes=60), channel="admin", cause="A bug.", remedy="A fix."
    )
    actions.confirm(made, by=a1, now=T0 + timedelta(minutes=90), channel="portal")
    return made


def rule(kind):
    return next(found for found in retention.rules() if found.kind == kind)


def kept(kind, days):
    RetentionRule.objects.update_or_create(kind=kind, defaults={"keep_days": days})
    return rule(kind)


def ran(kind, days=None, now=LATER, **more):
    return retention.run(rule(kind) if days is None else kept(kind, days), now, **more)


def verified():
    out = StringIO()
    call_command("verify_clocks", stdout=out)
    return out.getvalue()


def test_by_default_nothing_of_an_incident_goes(closed):
    done = retention.sweep(LATER)
    assert not {"incident_texts", "incident_files"} & set(done)
    assert Incident.objects.get().title == "Secret project is down"


def test_a_preview_counts_and_writes_nothing(closed):
    with connection.execute_wrapper(writes := Writes()):
        for found in retention.rules():
            retention.preview(found, LATER)
        call_command("retention", "--preview", stdout=StringIO())
    assert writes == []
    seen = retention.preview(kept("incident_texts", 90), LATER)
    assert (seen.count, seen.oldest) == (1, T0 + timedelta(minutes=90))
    assert retention.preview(rule("incident_texts"), LATER, keep_days=900).count == 0


def test_the_texts_of_a_closed_incident_go_and_its_clocks_and_figures_stay(closed, acme):
    clocks, events, said = list(Clock.objects.values()), list(IncidentEvent.objects.values()), verified()
    assert ran("incident_texts", 90) == 1
    closed.refresh_from_db()
    assert (closed.title, closed.description, closed.cause, closed.remedy) == ("—", "", "", "")
    assert set(Message.objects.values_list("text", flat=True)) == {"—"}
    assert list(Clock.objects.values()) == clocks
    assert list(IncidentEvent.objects.values()) == events
    assert verified() == said
    assert ran("incident_texts") == 0  # twice changes nothing more


def test_open_and_young_incidents_keep_their_texts(closed, a1):
    young = incident(a1, LATER - timedelta(days=10), title="Young")
    still_open = incident(a1, T0, title="Old and open")
    assert retention.preview(kept("incident_texts", 90), LATER).count == 1
    assert ran("incident_texts", 90, now=T0 + timedelta(days=90)) == 0
    assert ran("incident_texts", 90) == 1
    young.refresh_from_db()
    still_open.refresh_from_db()
    assert (young.title, still_open.title) == ("Young", "Old and open")


def test_the_files_of_closed_incidents_go_and_their_rows_stay(closed, a1, client):
    attachment = Attachment.objects.get()
    assert ran("incident_files", 30) == 1
    assert not attachment.file.storage.exists(attachment.file.name)
    attachment.refresh_from_db()
    assert (attachment.name, attachment.file.name) == ("log.txt", "")
    client.force_login(a1)
    assert client.get(f"/incidents/{closed.reference}/attachments/{attachment.pk}/").status_code == 409
    assert "was removed" in client.get(closed.get_absolute_url()).content.decode()


def test_a_mail_as_it_came_goes_and_its_words_stay(a1, client):
    row = arrive(written(a1, "My words.", verdict=PASS), T0)
    path, storage = row.raw.name, row.raw.storage
    assert ran("inbound_mails", 30) == 1
    row.refresh_from_db()
    assert not row.raw
    assert not storage.exists(path)
    assert row.incident.description == "My words."
    client.force_login(a1)
    assert client.get(f"/incidents/{row.incident.reference}/original/").status_code == 404
    assert ran("inbound_mails") == 0


def test_what_nobody_has_decided_on_stays(a1):
    row = arrive(written("who@else.example", "Hello."), T0)
    assert row.state == "held"
    assert ran("inbound_mails", 30) == ran("discarded_mails", 1) == 0
    InboundMessage.objects.update(state="done", outcome="discarded")
    assert ran("discarded_mails") == 1
    row.refresh_from_db()
    assert (row.sender, row.subject, bool(row.raw)) == ("", "", False)


def test_the_text_of_a_sent_message_goes_and_that_it_was_sent_stays(closed):
    outbox.sweep(T0 + timedelta(minutes=5))
    sent = OutboxMessage.objects.filter(state="sent").first()
    assert sent.text
    assert ran("outbox_texts") >= 1
    again = OutboxMessage.objects.get(pk=sent.pk)
    assert (again.text, again.html, again.headers) == ("", "", {})
    assert (again.sent_at, again.recipient, again.message_id) == (
        sent.sent_at,
        sent.recipient,
        sent.message_id,
    )
    assert "0 differences" in verified()


def test_what_is_still_to_be_sent_keeps_its_text(a1):
    OutboxMessage.objects.create(kind="x", recipient=a1, dedupe_key="k", text="Words.", created_at=T0)
    assert ran("outbox_texts") == 0


def test_a_rule_without_days_removes_nothing(closed):
    assert ran("incident_texts", None) == 0
    assert retention.preview(rule("incident_texts"), LATER).count == 0


def test_the_origin_of_an_act_goes_and_the_act_stays(a1, rf):
    entry = audit.record("signed_in", by=a1, now=T0, request=rf.get("/"))
    assert ran("audit_origins", 365, now=T0 + timedelta(days=365)) == 0
    assert ran("audit_origins") == 1
    assert not AuditOrigin.objects.exists()
    assert AuditEntry.objects.get(pk=entry.pk).origin_digest == entry.origin_digest


def test_keys_and_leftovers_go(a1, acme, a2, client):
    OutboxMessage.objects.create(kind="x", recipient=a1, dedupe_key="k", state="sent", created_at=T0)
    DeliveryAttempt.objects.create(
        message=OutboxMessage.objects.get(), at=T0, milliseconds=1, is_accepted=True
    )
    Invitation.objects.create(
        organisation=acme, email="x@y.example", token_digest="d", invited_by=a2, created_at=T0, expires_at=T0
    )
    IdempotentRequest.objects.create(person=a1, key="k", fingerprint="f", created_at=T0)
    ApiToken.objects.create(a1, expiry=timedelta(days=1))
    ApiToken.objects.create(a1, expiry=None)
    client.force_login(a1)
    Session.objects.update(expire_date=T0)
    done = retention.sweep(T0 + timedelta(days=3000))
    wanted = {"delivery_attempts", "invitations", "idempotent_requests", "expired_tokens", "sessions"}
    assert {kind: done[kind] for kind in wanted} == dict.fromkeys(wanted, 1)
    assert ApiToken.objects.count() == 1


def test_a_draft_that_was_overtaken_goes_and_what_is_published_stays(g1):
    made = article(g1, T0)
    for number in (2, 3):
        ArticleVersion.objects.create(
            article=made, number=number, title="t", text="x", author=g1, written_at=T0
        )
    assert ran("knowledge_drafts", 1) == 1
    assert list(made.versions.order_by("number").values_list("number", flat=True)) == [1, 3]
    assert Article.objects.get().published_version.number == 1


def test_it_goes_in_batches_up_to_a_limit_and_says_so_in_the_audit(a1, rf, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        audit.record("signed_in", by=a1, now=T0, request=rf.get("/"))
    assert ran("audit_origins", 30, limit=3) == 3
    assert AuditOrigin.objects.count() == 2
    entry = AuditEntry.objects.get(kind="retention_ran")
    assert entry.facts == {"kind": "audit_origins", "removed": 3, "keep_days": 30}


def test_a_kind_that_fails_stops_no_other(a1, rf, monkeypatch):
    audit.record("signed_in", by=a1, now=T0, request=rf.get("/"))
    monkeypatch.setitem(
        retention.KINDS, "aaa", retention.Kind("aaa", "", "", lambda before: 1 / 0, print, "at", 1)
    )
    assert retention.sweep(LATER)["audit_origins"] == 1


def test_rules_change_by_an_administrators_verb_with_their_history(root, h1):
    with pytest.raises(Refused, match="Only administrators"):
        retention.change_rule("outbox_texts", keep_days=60, by=h1, now=T0)
    with pytest.raises(Refused, match="Choose 30 to"):
        retention.change_rule("outbox_texts", keep_days=29, by=root, now=T0)
    retention.change_rule("outbox_texts", keep_days=None, by=root, now=T0)
    made = retention.change_rule("outbox_texts", keep_days=60, by=root, now=T0)
    assert [each.keep_days for each in made.history.filter(history_user=root).order_by("pk")] == [None, 60]
    assert AuditEntry.objects.filter(kind="retention_changed").count() == 2


def test_the_command_removes_one_kind(closed):
    kept("incident_texts", 90)
    kept("incident_files", 30)
    out = StringIO()
    call_command("retention", "--kind", "incident_files", "--preview", stdout=out)
    assert out.getvalue().startswith("incident_files (30 days): would remove ")
    with pytest.raises(CommandError, match="There is no kind"):
        call_command("retention", "--kind", "clocks", stdout=out)


def test_nothing_that_proves_something_is_a_kind():
    touched = {
        "incidents.Clock",
        "incidents.IncidentEvent",
        "portal.ServiceImpact",
        "incidents.MonthlyReport",
        "portal.AuditEntry",
        "portal.AuditSeal",
    }
    models = {kind.old(LATER).model._meta.label for kind in retention.KINDS.values()}
    assert not models & touched
