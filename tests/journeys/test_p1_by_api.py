"""Scenario 1, rows 1 to 14, by API with moved time, through the real sweep and outbox."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from incidents.models import Incident
from incidents.sweep import sweep
from portal import outbox
from portal.models import OutboxMessage
from tests.conftest import T0


def caller(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


class Stage:
    """Moves the clock, lets the clockwork run, and speaks to the API as one person."""

    def __init__(self, traveller):
        self.traveller = traveller

    def at(self, minutes):
        now = T0 + timedelta(minutes=minutes)
        self.traveller.move_to(now)
        sweep(now)
        outbox.sweep(now)
        sweep(now)

    def post(self, user, path, expected=201, **data):
        answer = caller(user).post(f"/api/v1/incidents/{path}", data, format="json")
        assert answer.status_code == expected, answer.content
        self.work()
        return answer.json()

    def work(self):
        from django.utils import timezone

        outbox.sweep(timezone.now())
        sweep(timezone.now())


@pytest.fixture
def stage(db):
    with time_machine.travel(T0, tick=False) as traveller:
        yield Stage(traveller)


def clocks(data, kind):
    return [clock for clock in data["clocks"] if clock["kind"] == kind]


def minute(text):
    return (parse_datetime(text) - T0).total_seconds() / 60


def mails_to(user):
    return [message for message in mail.outbox if message.to == [user.email]]


def test_a_p1_runs_from_first_report_to_confirmation(stage, a1, a2, b1, g1, g2, m1):
    filed = stage.post(a1, "", title="API down", claimed_level="P1", services=["inference-api"])
    reference = filed["reference"]
    assert (filed["claimed_level"], filed["validated_level"], filed["channel"]) == ("P1", None, "api")
    assert minute(clocks(filed, "first_response")[0]["due_at"]) == 15
    assert minute(clocks(filed, "target_action")[0]["due_at"]) == 240
    assert minute(clocks(filed, "status_update")[0]["due_at"]) == 30
    assert {m.to[0] for m in mail.outbox} == {u.email for u in (a1, a2, g1, g2, m1)}
    check_headers(mails_to(a1)[0], reference)

    stage.at(2)
    answered = stage.post(a1, f"{reference}/replies/", text="Any news?")
    assert clocks(answered, "first_response")[0]["state"] == "running"

    stage.at(6)
    stage.post(g2, f"{reference}/level-validation/", 400, level="P1")
    stage.post(a1, f"{reference}/level-validation/", 403, level="P1", reason="mine")
    stage.post(g2, f"{reference}/level-validation/", level="P1", reason="all is down")
    told = (T0 + timedelta(minutes=36)).isoformat()
    stage.post(g2, f"{reference}/status-updates/", summary="We see it.", next_update_at=told)
    read = caller(a1).get(f"/api/v1/incidents/{reference}/").json()
    assert (clocks(read, "first_response")[0]["state"], read["status"]) == ("met", "acknowledged")
    assert minute(clocks(read, "first_response")[0]["met_at"]) == 6
    assert minute(clocks(read, "status_update")[-1]["due_at"]) == 36
    person = mails_to(a1)[-1]
    assert "Auto-Submitted" not in person.extra_headers
    assert person.from_email.startswith("Gus Two")

    stage.post(g2, f"{reference}/replies/", text="Draining node 2 now.")
    assert "Draining node 2 now." in mails_to(a1)[-1].body

    stage.at(12)
    started = stage.post(g1, f"{reference}/intervention/")
    again = stage.post(g2, f"{reference}/intervention/", 409)
    assert (started["assignee"], "Gül One" in again["detail"]) == ("Gül One", True)

    stage.at(30)
    warned = OutboxMessage.objects.filter(kind="staff_clock_warned", facts__clock__startswith="status_update")
    assert [row.recipient for row in warned] == [g1]
    stage.at(37)
    breached = [
        c for c in caller(g1).get(f"/api/v1/incidents/{reference}/clocks/").json() if c["state"] == "breached"
    ]
    assert [minute(c["breached_at"]) for c in breached] == [36]
    assert OutboxMessage.objects.filter(kind="staff_clock_breached", recipient=m1).count() == 1

    stage.at(50)
    told = (T0 + timedelta(minutes=80)).isoformat()
    stage.post(g1, f"{reference}/status-updates/", summary="Failover running.", next_update_at=told)
    read = caller(a1).get(f"/api/v1/incidents/{reference}/").json()
    assert minute(read["next_update_at"]) == 80
    assert "14:20 UTC+3" in mails_to(a1)[-1].body

    stage.at(75)
    stage.post(g1, f"{reference}/restoration/", text="Works again by the second region.")
    stage.at(79)
    stage.post(g1, f"{reference}/status-updates/", summary="Watching.")
    stage.at(100)
    stage.post(g1, f"{reference}/resolution/", 400, cause="node")
    resolved = stage.post(g1, f"{reference}/resolution/", cause="A node died.", remedy="Replaced it.")
    assert clocks(resolved, "status_update")[-1]["state"] == "cancelled"
    assert clocks(resolved, "rca")[0]["state"] == "running"
    assert "A node died." in mails_to(a1)[-1].body

    stage.at(220)
    reopened = stage.post(a1, f"{reference}/reopening/", reason="down again")
    assert (reopened["cycle"], reopened["status"]) == (2, "reported")
    assert clocks(reopened, "rca")[0]["state"] == "cancelled"
    assert minute(clocks(reopened, "first_response")[-1]["due_at"]) == 235
    stage.at(225)
    stage.post(g1, f"{reference}/resolution/", cause="Same node.", remedy="Removed it.")
    for stranger, status in ((g1, 403), (b1, 404)):
        stage.post(stranger, f"{reference}/confirmation/", status)
    closed = stage.post(a2, f"{reference}/confirmation/")
    assert closed["status"] == "closed"
    check_ledgers(reference, b1)


def check_headers(message, reference):
    """Rule 4 of the scenarios: one recipient, one thread, a token of 128 bits, the right labels."""
    headers = message.extra_headers
    assert len(message.to) == 1
    assert message.subject.startswith(f"[{reference}]")
    assert message.from_email.startswith("BriqMind Support")
    token = message.reply_to[0].split("+")[1].split("@")[0]
    assert len(token) == 32
    assert headers["Message-ID"].endswith("@support.briqmind.example>")
    assert headers["References"]
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "All"
    assert message.alternatives[0][1] == "text/html"
    assert "UTC+3" in message.body


def check_ledgers(reference, b1):
    from incidents.clockwork import differences

    made = Incident.objects.by_reference(reference).get()
    assert differences(made) == []
    assert mails_to(b1) == []
    assert len({m.extra_headers["Message-ID"] for m in mail.outbox}) == len(mail.outbox)


def test_a_resolved_incident_closes_by_itself_after_its_reminder(stage, a1, g1):
    reference = stage.post(a1, "", title="Slow", claimed_level="P2")["reference"]
    stage.at(5)
    stage.post(g1, f"{reference}/resolution/", cause="c", remedy="r")
    stage.at(3 * 24 * 60 + 10)
    stage.at(3 * 24 * 60 + 20)
    assert OutboxMessage.objects.filter(kind="closing_reminded", recipient=a1).count() == 1
    stage.at(5 * 24 * 60 + 10)
    read = caller(a1).get(f"/api/v1/incidents/{reference}/").json()
    assert (read["status"], read["closed_as"]) == ("closed", "unanswered")
    assert stage.post(a1, f"{reference}/replies/", text="not solved")["status"] == "reported"


def test_an_update_that_no_channel_takes_does_not_count(stage, a1, g1, settings):
    reference = stage.post(a1, "", title="API down", claimed_level="P1")["reference"]
    stage.at(20)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    stage.post(g1, f"{reference}/status-updates/", summary="We see it.")
    stage.at(31)
    updates = clocks(caller(a1).get(f"/api/v1/incidents/{reference}/").json(), "status_update")
    assert (updates[0]["state"], minute(updates[0]["breached_at"])) == ("breached", 30)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    stage.at(45)
    assert "We see it." in mails_to(a1)[-1].body


def test_a_scheduled_update_is_published_on_time_or_held(stage, a1, g1):
    reference = stage.post(a1, "", title="API down", claimed_level="P1")["reference"]
    stage.at(5)
    publish_at = (T0 + timedelta(minutes=20)).isoformat()
    stage.post(g1, f"{reference}/status-updates/", summary="Draining.", publish_at=publish_at)
    stage.at(21)
    assert "Draining." in mails_to(a1)[-1].body
    publish_at = (T0 + timedelta(minutes=40)).isoformat()
    stage.post(g1, f"{reference}/status-updates/", summary="Second.", publish_at=publish_at)
    stage.at(30)
    stage.post(a1, f"{reference}/replies/", text="It works again here!")
    stage.at(41)
    assert not any("Second." in m.body for m in mails_to(a1))
    assert OutboxMessage.objects.filter(kind="staff_update_held", recipient=g1).count() == 1
