"""What becomes of a mail: hardening group M, a row at a time, and what proven people can do by mail."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core import mail as sent

from incidents import actions
from incidents.clockwork import differences
from incidents.intake import deliveries, mail, senders
from incidents.models import InboundMessage, Incident, IncidentEvent, Message
from portal import outbox
from portal.models import Membership, OutboxMessage, Service
from tests.conftest import T0
from tests.factories import CANARY, clock, incident
from tests.mails import FAIL, PASS, US, arrive, last_to, reported, token_of, written

MAIL_DOMAIN = "support.briqmind.example"


def at(minutes):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture(autouse=True)
def _domain(settings):
    settings.MAIL_DOMAIN = MAIL_DOMAIN
    settings.SUPPORT_EMAIL = f"support@{MAIL_DOMAIN}"
    settings.MAIL_AUTHSERV_IDS = [MAIL_DOMAIN, f"mx.{MAIL_DOMAIN}"]
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def made(a1, g1):
    return incident(a1, T0)


@pytest.fixture
def theirs(b1):
    return incident(b1, T0, title=f"{CANARY} down")


def said(made):
    """The public texts of an incident."""
    return list(made.messages.filter(is_public=True).values_list("text", flat=True))


def kinds(made):
    return list(made.events.order_by("pk").values_list("kind", flat=True))


def is_held(row, reason, incident=None):
    assert (row.state, row.state_reason, row.incident) == ("held", reason, incident)
    return True


def nothing_mailed_to_customers():
    outbox.sweep(T0 + timedelta(days=1))
    return [m.to[0] for m in sent.outbox if not m.to[0].endswith("@briqmind.example")] == []


# --- proven people ---


def test_a_customer_answers_by_the_address_that_was_given_to_them(made, a1):
    row = arrive(written(a1, to=token_of(made, a1).upper(), subject="Re: hello"), at(2))
    assert (row.state, row.outcome, row.incident) == ("done", "replied", made)
    [message] = made.messages.all()
    assert (message.author, message.channel, message.inbound) == (a1, "mail", row)
    assert (message.text, message.received_at) == ("It is getting worse.", at(2))
    assert clock(made, "first_response").state == "running"


def test_a_customer_answers_by_naming_a_mail_of_ours(made, a1):
    raw = written(a1, verdict=PASS, References=f"<x@y.example> {last_to(a1).message_id}", subject="unrelated")
    assert arrive(raw, at(2)).incident == made
    root = outbox.email.thread_root(last_to(a1))
    raw = written(a1, "Second.", verdict=PASS, In_Reply_To=root, subject="unrelated")
    assert arrive(raw, at(3)).incident == made
    assert said(made) == ["It is getting worse.", "Second."]


def test_an_agent_answers_by_mail_and_it_is_the_first_response(made, a1, g1):
    row = arrive(written(g1, "We look.", to=token_of(made, g1), verdict=PASS), at(6))
    assert (row.outcome, row.incident) == ("replied", made)
    assert (clock(made, "first_response").state, clock(made, "first_response").met_at) == ("met", at(6))
    assert OutboxMessage.objects.filter(kind="answered", recipient=a1).count() == 1


def test_an_agents_mail_counts_when_customers_can_read_it(made, g1):
    arrive(written(g1, "We look.", to=token_of(made, g1), verdict=PASS), at(14), now=at(17))
    row = clock(made, "first_response")
    assert (row.state, row.breached_at, row.met_at) == ("breached", at(15), at(17))
    made.refresh_from_db()
    assert differences(made) == []


def test_a_known_customers_mail_opens_an_incident_at_its_receipt(a1):
    row = arrive(written(a1, subject="[P1] Inference API is down", verdict=PASS), at(1), now=at(5))
    made = row.incident
    assert (row.outcome, made.channel, made.reporter, made.opened_at) == ("opened", "mail", a1, at(1))
    assert (made.title, made.claimed_level) == ("Inference API is down", "P1")
    assert [service.name for service in made.services.all()] == ["Inference API"]
    assert clock(made, "first_response").due_at == at(16)
    assert made.events.get().payload["inbound"] == row.pk
    assert made.description == "It is getting worse."


@pytest.mark.parametrize(
    ("subject", "level", "title"),
    [
        ("P1: down", "P1", "down"),
        ("P3 typo in the console", "P3", "typo in the console"),
        ("Fwd: [P2] slow", "P2", "slow"),
        ("İLT: yavaş", "P2", "yavaş"),
        ("P1x is slow", "P2", "P1x is slow"),
        ("", "P2", "First line here"),
        ("Re: ", "P2", "First line here"),
    ],
)
def test_the_subject_claims_the_level_and_names_the_incident(a1, subject, level, title):
    made = arrive(written(a1, "First line here\nand more", subject=subject, verdict=PASS)).incident
    assert (made.claimed_level, made.title) == (level, title)


def test_a_long_subject_is_kept_in_the_text(a1):
    made = arrive(written(a1, subject="word " * 80, verdict=PASS)).incident
    assert len(made.title) <= 200
    assert made.description.startswith("word word")


def test_the_receipt_says_how_to_claim_another_level(a1):
    arrive(written(a1, verdict=PASS))
    outbox.sweep(T0)
    [receipt] = [m for m in sent.outbox if m.to == [a1.email]]
    assert "begin" in receipt.body.lower()
    assert "P1" in receipt.body


def test_a_word_of_the_mail_that_is_html_stays_inert(client, a1, g1):
    evil = "<img src=x onerror=alert(1)>"
    made = arrive(written(a1, f"{evil}\n\n<script>alert(2)</script>", subject=evil, verdict=PASS)).incident
    arrive(written(a1, evil, to=token_of(made, a1)), at(2))
    for user, page in [(a1, made.get_absolute_url()), (g1, f"/admin/incidents/incident/{made.pk}/change/")]:
        client.force_login(user)
        text = client.get(page).content.decode()
        assert "<img src=x" not in text
        assert "<script>alert" not in text
        assert "&lt;img" in text


def test_line_breaks_of_any_kind_in_a_subject_stay_one_line(a1):
    made = arrive(
        written(a1, subject="x", verdict=PASS).replace(
            b"Subject: x", b"Subject: =?utf-8?q?a=0D=0ABcc:_e=40v.il=E2=80=A8b=00?="
        )
    ).incident
    assert made.title == "a Bcc: e@v.il b"
    outbox.sweep(T0)
    for mail_ in sent.outbox:
        assert "Bcc" not in mail_.message()
        assert len(mail_.recipients()) == 1


# --- files ---


def test_a_file_that_is_not_taken_keeps_back_neither_text_nor_other_files(made, a1):
    files = (("a.txt", b"log"), ("setup.exe", b"MZ\x90"), ("../../b.txt", b"more"))
    row = arrive(written(a1, to=token_of(made, a1), files=files), at(2))
    assert row.outcome == "replied"
    assert [file.name for file in made.attachments.all()] == ["a.txt", "b.txt"]
    assert "setup.exe" in row.state_reason
    with row.raw.open() as stored:
        assert b"setup.exe" in stored.read()


def test_a_mail_of_files_only_is_a_reply_and_an_empty_one_is_held(made, a1):
    row = arrive(written(a1, "", to=token_of(made, a1), files=(("a.txt", b"log"),)), at(2))
    assert (row.outcome, made.attachments.get().name) == ("replied", "a.txt")
    assert is_held(arrive(written(a1, "", to=token_of(made, a1)), at(3)), mail.EMPTY, made)


def test_more_files_than_a_message_holds_are_named(made, a1):
    files = tuple((f"{n}.txt", b"log") for n in range(12))
    row = arrive(written(a1, to=token_of(made, a1), files=files), at(2))
    assert made.attachments.count() == 10
    assert "11.txt" in row.state_reason


def test_a_text_longer_than_a_message_is_cut_with_a_notice(made, a1):
    arrive(written(a1, "word " * 20_000, to=token_of(made, a1)), at(2))
    assert len(said(made)[0]) <= 50_000
    assert "whole mail" in said(made)[0][-100:]


# --- group M: who wrote it ---


@pytest.mark.parametrize("verdict", [FAIL, "spf=fail; dkim=fail; dmarc=fail"])
def test_a_forged_sender_with_a_token_is_held_and_never_answered(theirs, b1, verdict):
    OutboxMessage.objects.all().delete()
    row = arrive(written(b1, to=token_of(theirs, b1), verdict=verdict))
    assert is_held(row, senders.FAILED, theirs)
    assert said(theirs) == []
    assert nothing_mailed_to_customers()


def test_a_forged_sender_without_proof_opens_nothing(b1):
    assert is_held(arrive(written(b1)), senders.UNPROVEN)
    assert is_held(arrive(written(b1, "x", verdict=FAIL)), senders.FAILED)
    assert Incident.objects.count() == 0
    assert nothing_mailed_to_customers()


def test_only_our_own_mail_servers_verdict_is_believed(b1):
    raw = written(b1, Authentication_Results="mx.attacker.example; dmarc=pass")
    assert is_held(arrive(raw), senders.UNPROVEN)


def test_references_alone_prove_nobody(made, a1):
    row = arrive(written(a1, In_Reply_To=last_to(a1).message_id), at(2))
    assert is_held(row, senders.UNPROVEN, made)
    assert said(made) == []


@pytest.mark.parametrize(("has_token", "verdict"), [(True, ""), (False, PASS), (False, ""), (True, FAIL)])
def test_a_mail_from_an_agent_needs_the_token_and_a_proof(made, a1, g1, has_token, verdict):
    OutboxMessage.objects.filter(recipient=g1).update(subject_key=made.reference)
    named = {} if has_token else {"In_Reply_To": last_to(g1).message_id}
    to = token_of(made, g1) if has_token else "support@support.briqmind.example"
    OutboxMessage.objects.filter(recipient=a1).delete()
    row = arrive(written(g1, "We pay.", to=to, verdict=verdict, **named), at(2))
    assert row.state == "held"
    assert said(made) == []
    assert nothing_mailed_to_customers()


def test_an_agent_does_not_open_an_incident_by_mail(g1, made):
    row = arrive(written(g1, verdict=PASS))
    assert row.state == "held"
    assert Incident.objects.count() == 1


@pytest.mark.parametrize("local", ["support", "reply+0123", "bounce+0123", "anything"])
def test_a_mail_from_our_own_addresses_is_a_loop(made, local):
    count = OutboxMessage.objects.count()
    row = arrive(
        written(f"{local}@{MAIL_DOMAIN}", verdict=PASS, In_Reply_To=OutboxMessage.objects.first().message_id)
    )
    assert (row.state, row.outcome, row.state_reason) == ("refused", "loop", mail.OWN)
    assert OutboxMessage.objects.count() == count


def test_a_mail_of_ours_that_comes_back_is_a_loop(made, a1):
    row = arrive(written(a1, to=token_of(made, a1), message_id=last_to(a1).message_id))
    assert (row.state, row.outcome) == ("refused", "loop")
    assert said(made) == []


def test_two_senders_are_held(made, a1):
    raw = written(a1, to=token_of(made, a1)).replace(b"From: ", b"From: b1@nordwind.example, ", 1)
    assert arrive(raw).state_reason == senders.TWO_SENDERS
    assert said(made) == []


def test_no_sender_is_held(a1):
    raw = written(a1, verdict=PASS).replace(b"From:", b"X-From:", 1)
    assert is_held(arrive(raw), senders.NO_SENDER)


def test_an_unknown_sender_is_held_and_never_answered(db):
    assert is_held(arrive(written("who@else.example", verdict=PASS)), senders.UNKNOWN)
    assert OutboxMessage.objects.count() == 0


def test_a_viewer_may_not_write(made, a3):
    assert is_held(arrive(written(a3, to=token_of(made, a3)), at(1)), senders.VIEWER, made)
    assert is_held(arrive(written(a3, "x", verdict=PASS), at(2)), senders.NOBODYS)
    assert said(made) == []


def test_who_is_not_active_any_more_is_held(made, a1):
    a1.is_active = False
    a1.save()
    row = arrive(written(a1, to=token_of(made, a1), verdict=PASS))
    assert is_held(row, senders.INACTIVE, made)
    assert said(made) == []


def test_who_left_the_organisation_is_held_and_not_tied_to_it(made, a1):
    Membership.objects.filter(user=a1).delete()
    assert is_held(arrive(written(a1, to=token_of(made, a1), verdict=PASS)), senders.STRANGER)
    assert said(made) == []
    assert "mail_held" not in kinds(made)


def test_a_sender_of_several_organisations_is_held_for_a_choice(a1, nordwind):
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    assert is_held(arrive(written(a1, verdict=PASS)), senders.SEVERAL)


# --- group M: the address ---


def test_wrong_and_truncated_and_others_tokens_are_refused_alike(made, theirs, a1, b1):
    good = token_of(made, a1)
    token = good.partition("+")[2].partition("@")[0]
    wrong = f"{int(token, 16) + 1:032x}"
    for number, tried in enumerate([wrong, token[:-1], "", "0" * 32, token_of(theirs, b1)[6:38]]):
        raw = written(a1, f"try {number}", to=f"reply+{tried}@{MAIL_DOMAIN}", verdict=PASS)
        assert is_held(arrive(raw, at(1)), senders.NOT_THEIR_ADDRESS)
    assert said(made) == said(theirs) == []
    assert Incident.objects.count() == 2


def test_a_wrong_reply_address_is_not_made_good_by_naming_a_mail(made, a1):
    to = f"reply+{'0' * 32}@{MAIL_DOMAIN}"
    row = arrive(written(a1, to=to, verdict=PASS, In_Reply_To=last_to(a1).message_id), at(1))
    assert is_held(row, senders.NOT_THEIR_ADDRESS)
    assert said(made) == []


def test_the_token_may_be_written_in_any_case(made, a1):
    assert arrive(written(a1, to=token_of(made, a1).upper())).outcome == "replied"


def test_anothers_organisations_reply_address_attaches_nothing_and_confirms_nothing(made, theirs, a1, b1):
    before, mails = kinds(theirs), OutboxMessage.objects.count()
    row = arrive(written(a1, to=token_of(theirs, b1), verdict=PASS), at(1))
    assert is_held(row, senders.NOT_THEIR_ADDRESS, None)
    assert kinds(theirs) == before
    assert OutboxMessage.objects.count() == mails


def test_a_colleague_with_the_right_token_is_held_and_staff_are_told(made, a1, a2):
    row = arrive(written(a2, to=token_of(made, a1), verdict=PASS), at(1))
    assert is_held(row, senders.NOT_THEIR_ADDRESS, made)
    event = made.events.get(kind="mail_held")
    assert (event.is_public, event.payload) == (False, {"inbound": row.pk})
    assert said(made) == []
    told = OutboxMessage.objects.filter(kind="staff_mail_held")
    assert told.exists()
    assert all(message.recipient.is_agent for message in told)
    outbox.sweep(at(1))
    assert any("is held" in m.body and "reply address" in m.body for m in sent.outbox)


def test_a_colleague_who_names_a_mail_to_somebody_else_is_held(made, a1, a2):
    row = arrive(written(a2, verdict=PASS, In_Reply_To=made_mail(made, a1).message_id), at(1))
    assert is_held(row, senders.NOT_THEIR_MAIL, made)


def made_mail(made, user):
    return OutboxMessage.objects.filter(recipient=user, subject_key=made.reference).order_by("-pk")[0]


def test_cc_never_adds_a_watcher(made, a1, b1, g1):
    raw = written(a1, to=token_of(made, a1), Cc=f"{b1.email}, who@else.example")
    assert arrive(raw, at(1)).outcome == "replied"
    actions.reply(made, by=g1, now=at(2), channel="admin", text="Thanks.")
    outbox.sweep(at(3))
    assert {m.to[0] for m in sent.outbox if "briqmind" not in m.to[0]} == {a1.email}


def test_a_subject_alone_is_no_thread(made, a1):
    row = arrive(written(a1, subject=f"Re: [{made.reference}] API down", verdict=PASS), at(5))
    assert is_held(row, mail.ONLY_A_TAG, made)
    assert said(made) == []


def test_a_subject_with_anothers_tag_is_tied_to_nothing(theirs, a1):
    row = arrive(written(a1, subject=f"[{theirs.reference}] x", verdict=PASS), at(5))
    assert is_held(row, mail.ONLY_A_TAG, None)
    assert "mail_held" not in kinds(theirs)


# --- group M: machines ---

AUTOMATIC = [{"Auto_Submitted": "auto-replied"}, {"Precedence": "bulk"}]


@pytest.mark.parametrize("headers", AUTOMATIC)
def test_an_automatic_answer_ends_no_pause_and_is_told_to_nobody(made, a1, g1, headers):
    actions.ask_customer(made, by=g1, now=at(5), channel="admin", text="Which region?")
    mails = OutboxMessage.objects.count()
    row = arrive(written(a1, "I am away.", to=token_of(made, a1), **headers), at(6))
    assert (row.state, row.outcome, row.incident) == ("done", "automatic", made)
    made.refresh_from_db()
    assert made.status == "waiting_for_customer"
    assert clock(made, "target_action").state == "paused"
    assert kinds(made)[-1] == "automatic_mail_received"
    assert OutboxMessage.objects.count() == mails
    assert differences(made) == []


@pytest.mark.parametrize("headers", AUTOMATIC)
def test_an_automatic_answer_reopens_nothing(made, a1, g1, headers):
    actions.resolve(made, by=g1, now=at(5), channel="admin", cause="c", remedy="r")
    arrive(written(a1, "I am away.", to=token_of(made, a1), **headers), at(6))
    made.refresh_from_db()
    assert (made.status, made.cycle) == ("resolved", 1)


def test_an_automatic_answer_without_a_thread_opens_nothing_and_is_never_answered(a1):
    row = arrive(written(a1, verdict=PASS, Auto_Submitted="auto-replied"))
    assert (row.state, row.outcome) == ("done", "automatic")
    assert Incident.objects.count() == OutboxMessage.objects.count() == 0


def test_a_known_senders_monitoring_is_held_and_not_lost(a1, b1):
    assert is_held(arrive(written(a1, verdict=PASS, Precedence="bulk")), mail.MONITORING)
    row = arrive(written(b1, "x", Precedence="bulk"))
    assert (row.state, row.outcome) == ("done", "automatic")
    assert OutboxMessage.objects.count() == 0


def test_a_persons_mail_through_a_list_is_held_and_not_lost(made, a1):
    row = arrive(written(a1, to=token_of(made, a1), Precedence="list"), at(6))
    assert is_held(row, mail.THROUGH_A_LIST, made)
    assert is_held(arrive(written(a1, "x", verdict=PASS, Precedence="list"), at(7)), mail.THROUGH_A_LIST)


def test_a_vacation_program_without_manners_ends_no_pause(made, a1, g1):
    actions.ask_customer(made, by=g1, now=at(5), channel="admin", text="Which region?")
    OutboxMessage.objects.filter(recipient=a1).update(state="sent", sent_at=at(5))
    row = arrive(written(a1, "I am away until Monday.", to=token_of(made, a1)), at(5) + timedelta(seconds=3))
    assert is_held(row, mail.MAYBE_AUTOMATIC, made)
    OutboxMessage.objects.filter(recipient=a1).update(sent_at=at(7))
    row = arrive(written(a1, "I am away until Monday.", to=token_of(made, a1)), at(7))
    assert (row.state, row.outcome, row.state_reason) == ("done", "automatic", mail.REPEATED)
    assert clock(made, "target_action").state == "paused"


@pytest.mark.parametrize("how", ["names", "quotes", "later"])
def test_a_quick_person_is_no_vacation_program(made, a1, how):
    OutboxMessage.objects.filter(recipient=a1).update(state="sent", sent_at=at(5))
    named = {"In_Reply_To": last_to(a1).message_id} if how == "names" else {}
    text = "Worse.\n\n> We have received" if how == "quotes" else "Worse."
    when = at(6.5) if how == "later" else at(5.2)
    row = arrive(written(a1, text, to=token_of(made, a1), subject="Re: API down", **named), when)
    assert row.outcome == "replied"
    assert said(made) == ["Worse."]


def test_a_quick_bare_answer_with_its_token_is_taken_where_it_only_speaks(made, a1):
    OutboxMessage.objects.filter(recipient=a1).update(state="sent", sent_at=at(5))
    row = arrive(written(a1, "Worse.", to=token_of(made, a1)), at(5) + timedelta(seconds=3))
    assert row.outcome == "replied"
    assert said(made) == ["Worse."]


def test_a_quick_bare_answer_reopens_nothing(made, a1, g1):
    actions.resolve(made, by=g1, now=at(5), channel="admin", cause="A disk.", remedy="Replaced it.")
    OutboxMessage.objects.filter(recipient=a1).update(state="sent", sent_at=at(5))
    row = arrive(written(a1, "Thanks.", to=token_of(made, a1)), at(5) + timedelta(seconds=3))
    assert is_held(row, mail.MAYBE_AUTOMATIC, made)


@pytest.mark.parametrize(
    "headers", [{"Auto_Submitted": "auto-replied"}, {"Precedence": "bulk"}, {}], ids=["rfc", "bulk", "none"]
)
def test_two_machines_never_go_on(a1, headers):
    """Each mail of ours is answered by a vacation program, with a new Message-ID, to its Reply-To and to us."""
    opening = arrive(written(a1, "We are down.", verdict=PASS), at(0))
    answered = set()
    for minute in range(1, 30):
        outbox.sweep(at(minute))
        mine = OutboxMessage.objects.filter(recipient=a1, state="sent").exclude(pk__in=answered)
        for message in mine:
            answered.add(message.pk)
            subject = f"Away: {message.subject}" if headers else "Away"
            for to in (token_of(opening.incident, a1), f"support@{MAIL_DOMAIN}"):
                arrive(written(a1, "I am away.", to=to, subject=subject, verdict=PASS, **headers), at(minute))
    assert len(answered) <= 2
    assert Incident.objects.count() <= 2


def test_a_person_who_reopens_twice_in_a_day_by_mail_is_answered_once(made, a1, g1):
    for number in range(2):
        actions.resolve(made, by=g1, now=at(10 * number + 5), channel="admin", cause="c", remedy="r")
        row = arrive(written(a1, f"Down again {number}", to=token_of(made, a1)), at(10 * number + 8))
        assert row.outcome == "reopened"
    assert OutboxMessage.objects.filter(recipient=a1, kind="reopened").count() == 1


def test_more_than_ten_openings_an_hour_are_held(a1):
    for number in range(12):
        arrive(written(a1, f"text {number}", subject=f"Down {number}", verdict=PASS), at(number))
    assert Incident.objects.count() == 10
    assert InboundMessage.objects.filter(state="held", state_reason=mail.TOO_MANY).count() == 2
    assert arrive(written(a1, "later", verdict=PASS), at(61)).outcome == "opened"


# --- group M: delivery reports ---


def bounce_address(message):
    return f"bounce+{message.message_id[1:33]}@{MAIL_DOMAIN}"


@pytest.mark.parametrize("by", ["envelope", "message id"])
def test_a_failed_mail_is_noted_on_the_mail_and_not_on_the_incident(made, a1, g1, by):
    actions.resolve(made, by=g1, now=at(5), channel="admin", cause="c", remedy="r")
    before, mails, message = kinds(made), OutboxMessage.objects.count(), last_to(a1)
    to = bounce_address(message) if by == "envelope" else f"support@{MAIL_DOMAIN}"
    raw = reported("bounced", None if by == "envelope" else message, to=to)
    row = arrive(raw, at(6))
    assert (row.state, row.outcome, row.about, row.incident) == ("done", "bounced", message, made)
    message.refresh_from_db()
    made.refresh_from_db()
    assert message.unreached_at == at(6)
    assert (made.status, kinds(made), OutboxMessage.objects.count()) == ("resolved", before, mails)


@pytest.mark.parametrize("kind", ["delayed", "delivered"])
def test_a_late_or_arrived_mail_is_not_a_failed_one(made, a1, kind):
    row = arrive(reported(kind, last_to(a1), to=bounce_address(last_to(a1))))
    assert (row.state, row.outcome, row.about) == ("done", kind, last_to(a1))
    assert last_to(a1).unreached_at is None


def test_a_complaint_is_held_for_staff(made, a1):
    row = arrive(reported("complaint", last_to(a1), to=bounce_address(last_to(a1))))
    assert is_held(row, deliveries.COMPLAINT, made)
    assert "mail_held" not in kinds(made)


def test_a_report_on_nothing_of_ours_is_done_with_its_reason(db):
    row = arrive(reported("bounced", None, to=f"bounce+{'0' * 32}@{MAIL_DOMAIN}"))
    assert (row.state, row.state_reason) == ("done", deliveries.UNMATCHED)


def test_a_vacation_program_that_answers_the_envelope_is_automatic(made, a1):
    row = arrive(written(a1, to=bounce_address(last_to(a1)), Auto_Submitted="auto-replied"))
    assert (row.state, row.outcome, row.incident) == ("done", "automatic", made)
    row = arrive(written(a1, "x", to=bounce_address(last_to(a1)), verdict=PASS))
    assert (row.state, row.state_reason) == ("held", deliveries.NOT_A_REPORT)


# --- a refused verb ---


def test_what_a_verb_refuses_is_held_with_the_verbs_reason(made, a1, monkeypatch):
    def refuse(*args, **more):
        raise actions.Refused("Not on Tuesdays.")

    monkeypatch.setattr(actions, "reply", refuse)
    assert is_held(arrive(written(a1, to=token_of(made, a1))), "Not on Tuesdays.", made)


def test_a_service_of_another_organisation_is_not_chosen(a1, acme):
    Service.objects.create(name="Vault", slug="vault")
    assert arrive(written(a1, subject="Vault is down", verdict=PASS)).incident.services.count() == 0


def test_a_message_by_another_door_names_no_mail(made, a1):
    actions.reply(made, by=a1, now=at(1), channel="portal", text="Hello")
    assert Message.objects.get().inbound is None
    assert IncidentEvent.objects.filter(kind="mail_held").count() == 0
    assert US.startswith("mx.")
