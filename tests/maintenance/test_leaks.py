"""Three organisations, one window of two services: in no mail, calendar or form a byte of another one."""

from datetime import timedelta

import pytest

from maintenance import actions, notify
from maintenance.models import Consent, Freeze, MaintenanceWindow, WindowEvent
from maintenance.standard import window_form
from maintenance.sweep import sweep
from portal.models import Membership, OutboxMessage
from tests.conftest import T0
from tests.factories import CANARY
from tests.maintenance.world import DAY, DECISION, END, HOUR, START, announced, by, service, without

MINUTE = timedelta(minutes=1)


@pytest.fixture
def life(cast, acme, cloudia, nordwind, a1, a2, b1, c1, g1, g2, m1):
    """Acme and Cloudia use the Inference API, Nordwind the Vector Store; what Nordwind says is a canary."""
    without(acme, "Vector Store")
    without(cloudia, "Vector Store")
    late = START - DAY
    actions.enter_freeze(nordwind, starts_at=START, ends_at=END, reason=f"freeze {CANARY}", **by(b1, T0))
    window = announced(g1, g2, late, services=[(service(), "degraded"), (service("Vector Store"), "outage")])
    for consent in window.consents.filter(organisation=nordwind):
        actions.refuse_consent(consent, words=f"no {CANARY}", **by(b1, late))
    for consent in window.consents.exclude(organisation=nordwind):
        actions.give_consent(consent, words="yes", **by(a2 if consent.organisation == acme else c1, late))
    sweep(START)
    times = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    actions.move_window(window, **times, reason="other day", **by(g1, START + 2 * MINUTE))
    for consent in window.consents.unsettled():
        reason = f"must be {CANARY}" if consent.organisation == nordwind else "must be"
        actions.override_consent(consent, reason=reason, **by(m1, START + 3 * MINUTE))
    alarm = {
        "source": "1",
        "fingerprint": "x",
        "title": f"alarm {CANARY}",
        "is_firing": True,
        "inbound": None,
    }
    sweep(START + DAY - HOUR)
    sweep(START + DAY)
    actions.record_alarm(service("Vector Store"), nordwind, **alarm, now=START + DAY + MINUTE)
    window.refresh_from_db()
    actions.post(window, text="Half.", **by(g1, START + DAY + HOUR))
    actions.post(window, text=f"between us {CANARY}", is_public=False, **by(g1, START + DAY + HOUR))
    sweep(END + DAY)
    actions.order_rollback(window, reason="errors", **by(g1, END + DAY + MINUTE))
    actions.begin_verification(window, **by(g1, END + DAY + MINUTE))
    actions.complete(window, outcome="As before.", **by(g1, END + DAY + MINUTE))
    window.refresh_from_db()
    return window


def everything(rendered):
    part = rendered.calendar.text.replace("\r\n ", "") if rendered.calendar else ""
    return "\n".join([rendered.subject, rendered.text, rendered.html, str(rendered.form), part])


def test_no_mail_holds_a_byte_of_another_organisation(life):
    foreign = {
        "Acme": [CANARY, "Nordwind", "Cloudia", "Vector Store", "vector-store", "Cem One"],
        "Cloudia": [CANARY, "Nordwind", "Acme", "Vector Store", "vector-store", "Ada One", "Ali Two"],
        "Nordwind": ["Acme", "Cloudia", "Inference API", "inference-api", "Ada One", "Ali Two", "Cem One"],
    }
    counted = dict.fromkeys(foreign, 0)
    for message in OutboxMessage.objects.filter(kind__startswith="maintenance_").select_related("recipient"):
        name = Membership.objects.get(user=message.recipient).organisation.name
        text = everything(notify.render(message))
        assert [word for word in foreign[name] if word in text] == [], (message.kind, name)
        counted[name] += 1
    assert min(counted.values()) >= 8


def test_nor_do_the_form_the_events_the_consents_and_the_freezes(life, acme, nordwind, a1, b1):
    for person, of, word in ((a1, acme, "Vector Store"), (b1, nordwind, "Inference API")):
        [window] = MaintenanceWindow.objects.visible_to(person)
        form = str(window_form(window, [of], at=END + 2 * DAY).as_json())
        assert word not in form
        assert {row.organisation for row in Consent.objects.visible_to(person)} == {of}
        assert {row.organisation for row in Freeze.objects.visible_to(person)} <= {of}
        events = WindowEvent.objects.visible_to(person)
        assert {event.kind for event in events} == {
            "announced",
            "moved",
            "started",
            "posted",
            "overran",
            "rollback_ordered",
            "verification_began",
            "ended",
        }
        assert CANARY not in str([event.payload for event in events])
    assert "Vector Store" in str(window_form(life, None, at=END).as_json())
