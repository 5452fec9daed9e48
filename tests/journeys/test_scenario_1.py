"""Scenario 1, rows 1 to 14 without alarms and mail: a P1 with moved time, through the real tasks."""

import pytest
from django.core import mail

from incidents.clockwork import differences
from incidents.models import Incident
from portal.models import OutboxMessage
from tests.journeys.stage import api, browser_of, heard, mails_to

DOWN = {"title": "API down", "claimed_level": "P1", "services": ["inference-api"]}


def check_headers(message, reference, *, is_automatic=True):
    """Rule 4 of the scenarios: one recipient, one thread, a token of 128 bits, the right labels."""
    headers = message.extra_headers
    assert len(message.to) == 1
    assert (message.cc, message.bcc) == ([], [])
    assert message.subject.startswith(f"[{reference}]")
    assert "BriqMind Support" in message.from_email
    token = message.reply_to[0].split("+")[1].split("@")[0]
    assert len(token) == 32
    assert headers["Message-ID"].endswith("@support.briqmind.example>")
    assert headers["References"]
    assert headers.get("Auto-Submitted") == ("auto-generated" if is_automatic else None)
    assert headers.get("X-Auto-Response-Suppress") == ("All" if is_automatic else None)
    assert message.alternatives[0][1] == "text/html"
    assert message.body.strip()


def reported(stage, a1):
    """Row 1 and 2: filed, clocks running, receipts sent."""
    reference = stage.file(a1, **DOWN)
    read = stage.read(a1, reference)
    assert (read["claimed_level"], read["validated_level"], read["channel"], read["status"]) == (
        "P1",
        None,
        stage.door.channel,
        "reported",
    )
    assert stage.minute(read["opened_at"]) == 0
    due = {clock["kind"]: stage.minute(clock["due_at"]) for clock in read["clocks"]}
    assert due == {"first_response": 15, "target_action": 240, "status_update": 30}
    return reference


def test_a_p1_runs_from_first_report_to_confirmation(stage, a1, a2, a3, b1, g1, g2, m1):
    reference = reported(stage, a1)
    assert heard(0, a1, a2, g1, g2, m1)  # the reporter and the P1 contact; on the other side the team
    receipt = mails_to(a1)[0]
    check_headers(receipt, reference)
    assert "13:15 UTC+3" in receipt.body  # what happens next and by when, in the reader's zone
    assert f"/admin/incidents/incident/{reference[4:]}" not in receipt.body
    assert "/admin/incidents/incident/" in mails_to(g1)[0].body  # staff get a deep link to the desk

    stage.at(2)
    before = len(mail.outbox)
    stage.do("reply", a1, reference, text="Any news?")
    assert heard(before, g1, g2, m1)
    assert stage.clocks(a1, reference, "first_response")[0]["state"] == "running"

    stage.at(6)
    stage.do("validate_level", g2, reference, 400, level="P1", reason="")
    assert stage.read(g2, reference)["validated_level"] is None
    refused = 403 if stage.door.channel == "api" else 404  # customers have no such page at all
    stage.do("validate_level", a1, reference, refused, level="P1", reason="mine")
    before = len(mail.outbox)
    stage.do("validate_level", g2, reference, level="P1", reason="all is down")
    stage.do(
        "publish_status_update",
        g2,
        reference,
        condition="acknowledged",
        summary="We see it.",
        next_update_at=stage.time(36),
    )
    assert heard(before, a1, a2, a1, a2)
    for message in mail.outbox[before:]:
        check_headers(message, reference, is_automatic=False)
        assert message.from_email.startswith(("Gus Two", chr(34) + "Gus Two"))
    read = stage.read(a1, reference)
    assert (read["status"], read["validated_level"]) == ("acknowledged", "P1")
    response = stage.clocks(a1, reference, "first_response")[0]
    assert (response["state"], stage.minute(response["met_at"])) == ("met", 6)
    assert stage.minute(stage.clocks(a1, reference, "status_update")[-1]["due_at"]) == 36

    stage.at(12)
    stage.do("start_intervention", g1, reference)
    assert "Gül One" in stage.do("start_intervention", g2, reference, 409)
    read = stage.read(a1, reference)
    target = stage.clocks(a1, reference, "target_action")[0]
    assert (read["assignee"], target["state"], stage.minute(target["met_at"])) == ("Gül One", "met", 12)
    assert "Gül One" in stage.page(a1, reference)

    before = len(mail.outbox)
    stage.do("add_note", g1, reference, text="Suspect node 7; between us.")
    assert heard(before)
    for person in (a1, a2, a3):
        assert "node 7" not in stage.page(person, reference)
        assert "node 7" not in str(stage.events(person, reference))

    stage.at(30)
    warned = OutboxMessage.objects.filter(kind="staff_clock_warned", facts__clock__startswith="status_update")
    assert [row.recipient for row in warned] == [g1]
    stage.at(36)
    assert not mail_kinds("staff_clock_breached")
    stage.at(36 + 1 / 60)
    stage.at(37)
    assert mail_kinds("staff_clock_breached") == {g1.email, m1.email}
    breached = [c for c in stage.clocks(g1, reference, "status_update") if c["state"] == "breached"]
    assert [stage.minute(c["breached_at"]) for c in breached] == [36]

    stage.at(50)
    before = len(mail.outbox)
    stage.do(
        "publish_status_update",
        g1,
        reference,
        condition="in_progress",
        summary="Failover running.",
        next_update_at=stage.time(80),
    )
    assert heard(before, a1, a2)
    assert stage.minute(stage.read(a1, reference)["next_update_at"]) == 80
    assert stage.minute(stage.clocks(a1, reference, "status_update")[-1]["due_at"]) == 80
    assert "14:20 UTC+3" in mails_to(a1)[-1].body
    assert 'datetime="2026-03-03T11:20:00+00:00"' in stage.page(a1, reference)

    stage.at(75)
    stage.do("restore", g1, reference, text="Works again by the second region.")
    assert stage.minute(stage.read(a1, reference)["restored_at"]) == 75
    assert stage.clocks(a1, reference, "status_update")[-1]["state"] == "running"
    stage.at(79)
    stage.do("publish_status_update", g1, reference, condition="restored", summary="Watching.")

    stage.at(100)
    stage.do("resolve", g1, reference, 400, cause="A node died.", remedy="")
    before = len(mail.outbox)
    stage.do("resolve", g1, reference, cause="A node died.", remedy="Replaced it.")
    assert heard(before, a1, a2)
    summary = mails_to(a1)[-1]
    for part in ("A node died.", "Replaced it.", "RCA", "10 Mar 2026"):
        assert part in summary.body, summary.body
    assert stage.clocks(a1, reference, "status_update")[-1]["state"] == "cancelled"
    rca = stage.clocks(a1, reference, "rca")[0]
    assert (rca["state"], rca["due_at"]) == ("running", "2026-03-10T15:00:00Z")

    stage.at(220)
    first = [c for c in stage.read(a1, reference)["clocks"] if c["kind"] != "rca"]
    before = len(mail.outbox)
    stage.do("reopen", a1, reference, reason="down again")
    assert {g1.email, g2.email, m1.email} <= {m.to[0] for m in mail.outbox[before:]}
    read = stage.read(a1, reference)
    assert (read["cycle"], read["status"]) == (2, "reported")
    assert [c for c in read["clocks"] if c["cycle"] == 1 and c["kind"] != "rca"] == first
    due = {c["kind"]: stage.minute(c["due_at"]) for c in read["clocks"] if c["cycle"] == 2}
    assert due == {"first_response": 235, "target_action": 460, "status_update": 250}
    assert stage.clocks(a1, reference, "rca")[0]["state"] == "cancelled"

    stage.at(225)
    stage.do("resolve", g1, reference, cause="Same node.", remedy="Removed it.")
    stage.do("confirm", g1, reference, 403)
    stage.do("confirm", b1, reference, 404)
    stage.do("confirm", a3, reference, 403)
    stage.do("confirm", a2, reference)
    read = stage.read(a1, reference)
    assert (read["status"], read["closed_as"]) == ("closed", "confirmed")
    check_proof(stage, reference, (a1, a2, a3), b1)


def mail_kinds(kind):
    """To whom mails of a kind went."""
    return set(
        OutboxMessage.objects.filter(kind=kind, state="sent").values_list("recipient__email", flat=True)
    )


def check_proof(stage, reference, ours, b1):
    """True after every step: replay agrees, sweeping changes nothing, the stranger saw nothing."""
    assert differences(Incident.objects.by_reference(reference).get()) == []
    assert len({m.extra_headers["Message-ID"] for m in mail.outbox}) == len(mail.outbox)
    before = (stage.read(ours[0], reference), len(mail.outbox), len(stage.events(ours[0], reference)))
    for _ in range(3):
        stage.work()
    assert (stage.read(ours[0], reference), len(mail.outbox), len(stage.events(ours[0], reference))) == before
    threads = {}
    for message in mail.outbox:
        if message.subject.startswith(f"[{reference}]"):
            root = message.extra_headers["References"].split()[0]
            threads.setdefault(message.to[0], set()).add(root)
    assert all(len(roots) == 1 for roots in threads.values())
    assert mails_to(b1) == []
    assert api(b1).get(f"/api/v1/incidents/{reference}/").status_code == 404
    assert browser_of(b1).get(f"/incidents/{reference}/").status_code == 404
    for message in mail.outbox:
        if message.to[0] in {person.email for person in ours}:
            assert "Nordwind" not in str(message.message())
            assert "between us" not in str(message.message())


def test_a_lowering_is_told_contested_and_decided(stage, a1, a2, g2, m1, b1):
    reference = reported(stage, a1)
    stage.at(6)
    before = len(mail.outbox)
    stage.do("validate_level", g2, reference, level="P2", reason="Only the playground is slow.")
    assert heard(before, a1, a2)
    told = mails_to(a1)[-1].body
    assert all(part in told for part in ("Gus Two", "Only the playground is slow.", "Contest it"))
    ended = {c["kind"] for c in stage.read(a1, reference)["clocks"] if c["state"] == "replaced"}
    assert ended == {"first_response", "target_action", "status_update"}
    due = {
        c["kind"]: stage.minute(c["due_at"])
        for c in stage.read(a1, reference)["clocks"]
        if c["level"] == "P2"
    }
    assert due == {"first_response": 60, "target_action": 300, "status_update": 30}

    stage.at(10)
    stage.do("contest_lowering", a2, reference, reason="Production is down.")
    assert mails_to(m1)[-1].subject.startswith(f"[{reference}]")
    stage.do("decide_contest", g2, reference, 403, is_upheld=True, reason="Right.")
    stage.at(20)
    before = len(mail.outbox)
    stage.do("decide_contest", m1, reference, is_upheld=True, reason="The customer is right.")
    read = stage.read(a1, reference)
    assert (read["level"], read["validated_level"]) == ("P1", "P1")
    # As if it had never been lowered: nobody answered within fifteen minutes, and all hear of it now.
    assert heard(before, a1, a2, a1, a2, g2, m1)
    again = [c for c in read["clocks"] if c["kind"] == "first_response" and c["level"] == "P1"]
    assert [(c["state"], c["ordinal"]) for c in again] == [("replaced", 1), ("breached", 2)]
    assert stage.minute(again[1]["breached_at"]) == 15
    check_proof(stage, reference, (a1, a2), b1)


def test_an_escalation_reaches_the_duty_manager_and_is_answered(stage, a1, a2, g2, m1, b1):
    reference = reported(stage, a1)
    stage.at(10)
    before = len(mail.outbox)
    stage.do("escalate", a2, reference, reason="Payroll runs at six.")
    assert heard(before, a1, a2, m1)
    assert "Payroll runs at six." in mails_to(m1)[-1].body
    assert "Escalated: the duty manager answers by" in mails_to(a1)[-1].subject
    stage.do("escalate", a2, reference, 409, reason="And again.")
    stage.do("answer_escalation", g2, reference, 403, text="Not mine to answer.")
    stage.at(14)
    before = len(mail.outbox)
    stage.do("answer_escalation", m1, reference, text="Two more engineers are on it.")
    assert heard(before, a1, a2)
    met = {c["kind"]: stage.minute(c["met_at"]) for c in stage.read(a1, reference)["clocks"] if c["met_at"]}
    assert met == {"first_response": 14}
    check_proof(stage, reference, (a1, a2), b1)


def test_a_stale_form_loses_nothing(stage, a1, g1, g2):
    reference = reported(stage, a1)
    stage.do("reply", g1, reference, text="Draining node 2.")
    pk = Incident.objects.by_reference(reference).get().pk
    if stage.door.channel == "portal":
        desk = browser_of(g2)
        answer = desk.post(
            f"/admin/incidents/incident/{pk}/do/reply/", {"text": "Restarting it.", "revision": 1, "seen": 0}
        )
        assert answer.status_code == 409
        assert "Restarting it." in answer.content.decode()
        assert "Draining node 2." in answer.content.decode()
        again = answer.context["form"]
        stage.do("reply", g2, reference, text="Restarting it.", revision=again.data["revision"])
    else:
        caller = api(g2)
        caller.credentials(HTTP_X_REVISION="1")
        answer = caller.post(f"/api/v1/incidents/{reference}/replies/", {"text": "Restarting it."})
        assert answer.status_code == 409
        caller.credentials(HTTP_X_REVISION=str(stage.read(g2, reference)["revision"]))
        assert (
            caller.post(f"/api/v1/incidents/{reference}/replies/", {"text": "Restarting it."}).status_code
            == 201
        )
    assert "Restarting it." in stage.page(a1, reference)


def test_a_resolved_incident_closes_by_itself_after_its_reminder(stage, a1, g1):
    reference = stage.file(a1, title="Slow", claimed_level="P2")
    stage.at(5)
    stage.do("resolve", g1, reference, cause="c", remedy="r")
    stage.at(3 * 24 * 60 + 10)
    stage.at(3 * 24 * 60 + 20)
    assert OutboxMessage.objects.filter(kind="closing_reminded", recipient=a1).count() == 1
    stage.at(5 * 24 * 60 + 10)
    read = stage.read(a1, reference)
    assert (read["status"], read["closed_as"]) == ("closed", "unanswered")
    stage.do("reply", a1, reference, text="not solved")
    assert stage.read(a1, reference)["status"] == "reported"


def test_an_update_that_no_channel_takes_does_not_count(stage, a1, g1, settings):
    reference = reported(stage, a1)
    stage.at(20)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    stage.do("publish_status_update", g1, reference, condition="in_progress", summary="We see it.")
    stage.at(31)
    update = stage.clocks(a1, reference, "status_update")[0]
    assert (update["state"], stage.minute(update["breached_at"])) == ("breached", 30)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    stage.at(45)
    assert "We see it." in mails_to(a1)[-1].body


def test_a_scheduled_update_is_published_on_time_or_held(stage, a1, g1):
    reference = reported(stage, a1)
    stage.at(5)
    stage.do(
        "schedule_status_update", g1, reference, condition="in_progress", summary="Draining.",
        publish_at=stage.time(20),
    )  # fmt: skip
    stage.at(19)
    assert not any("Draining." in m.body for m in mail.outbox)
    stage.at(20)
    assert "Draining." in mails_to(a1)[-1].body
    assert stage.minute(stage.clocks(a1, reference, "status_update")[0]["met_at"]) == 20
    stage.do(
        "schedule_status_update", g1, reference, condition="in_progress", summary="Second.",
        publish_at=stage.time(40),
    )  # fmt: skip
    stage.at(30)
    stage.do("reply", a1, reference, text="It works again here!")
    stage.at(41)
    assert not any("Second." in m.body for m in mails_to(a1))
    assert OutboxMessage.objects.filter(kind="staff_update_held", recipient=g1).count() == 1


@pytest.mark.parametrize("verb", ["withdraw"])
def test_a_withdrawal_stops_every_clock(stage, a1, g1, verb):
    reference = reported(stage, a1)
    stage.do(verb, a1, reference, reason="Our own firewall.")
    assert {c["state"] for c in stage.read(a1, reference)["clocks"]} == {"cancelled"}
    before = len(mail.outbox)
    stage.at(600)
    assert len(mail.outbox) == before
