"""Scenario 1, rows 1 to 3 and 11: whichever way a P1 comes in, its facts are the same but for the channel."""

import pytest
import time_machine
from django.core import mail as django_mail

from incidents.clockwork import differences
from incidents.models import Incident
from portal.models import OutboxMessage
from tests import alarm_senders, mails
from tests.conftest import T0
from tests.journeys.stage import ApiDoor, PortalDoor, Stage, mails_to

TITLE = "More than 5 % of requests fail"
DOWN = {"title": TITLE, "claimed_level": "P1", "services": ["inference-api"]}
WAYS = ["portal", "api", "mail", "alertmanager", "grafana", "generic"]
BODIES = {
    "alertmanager": alarm_senders.alertmanager(alarm_senders.prometheus()),
    "grafana": alarm_senders.grafana(alarm_senders.grafana_alert()),
    "generic": alarm_senders.generic(TITLE, service="inference-api"),
}
CHANNELS = {"portal": "portal", "api": "api", "mail": "mail"}


@pytest.fixture
def stage(db):
    with time_machine.travel(T0, tick=False) as traveller:
        yield Stage(traveller, ApiDoor())


def open_by(way, stage, a1, acme) -> str:
    """Report the outage in one of six ways; the new incident's reference."""
    if way in ("portal", "api"):
        door = {"portal": PortalDoor, "api": ApiDoor}[way]()
        return door.file(a1, **DOWN)
    if way == "mail":
        mails.arrive(mails.written(a1, subject=f"[P1] {TITLE}", verdict=mails.PASS), T0)
    else:
        _source, token = alarm_senders.source(way, organisation=acme)
        assert alarm_senders.post(token, way, BODIES[way]).status_code == 202
    return Incident.objects.get().reference


@pytest.mark.parametrize("way", WAYS)
def test_a_p1_is_the_same_whichever_way_it_comes(stage, way, a1, a2, b1, acme, g1, g2, m1):
    reference = open_by(way, stage, a1, acme)
    stage.at(0.5)
    read = stage.read(a2, reference)
    assert read["channel"] == CHANNELS.get(way, "alarm")
    assert (read["title"], read["claimed_level"], read["validated_level"]) == (TITLE, "P1", None)
    assert (read["status"], stage.minute(read["opened_at"])) == ("reported", 0)
    due = {clock["kind"]: stage.minute(clock["due_at"]) for clock in read["clocks"]}
    assert due == {"first_response": 15, "target_action": 240, "status_update": 30}
    assert {clock["state"] for clock in read["clocks"]} == {"running"}
    heard = {message.to[0] for message in django_mail.outbox}
    people = {a2.email, g1.email, g2.email, m1.email}
    assert heard == (people if CHANNELS.get(way) is None else people | {a1.email})
    receipt = mails_to(a2)[0].body
    assert reference in mails_to(a2)[0].subject
    assert "13:15 UTC+3" in receipt
    assert "/admin/incidents/incident/" in mails_to(g1)[0].body

    stage.at(6)
    stage.do("validate_level", g2, reference, level="P1", reason="all is down")
    stage.do("publish_status_update", g2, reference, condition="acknowledged", summary="We see it.")
    stage.at(12)
    stage.do("start_intervention", g1, reference)
    met = {c["kind"]: stage.minute(c["met_at"]) for c in stage.read(a2, reference)["clocks"] if c["met_at"]}
    assert met == {"first_response": 6, "status_update": 6, "target_action": 12}
    stage.do("resolve", g1, reference, cause="A node died.", remedy="Replaced it.")
    stage.do("confirm", a2, reference)
    assert differences(Incident.objects.get()) == []
    assert "Acme" not in "".join(str(m.message()) for m in mails_to(b1))
    assert not OutboxMessage.objects.filter(recipient=b1).exists()
