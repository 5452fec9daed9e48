"""What alarms do: scenario 1 rows 1 to 3 and 11, by each format as its sender documents it."""

from datetime import timedelta

import pytest
import time_machine

from incidents import actions
from incidents.clockwork import differences
from incidents.intake import inbox
from incidents.models import Alarm, InboundMessage, Incident, IncidentEvent
from portal.models import Organisation, OutboxMessage, ServiceImpact
from tests.alarm_senders import (
    alertmanager,
    generic,
    grafana,
    grafana_alert,
    grafana_legacy,
    post,
    prometheus,
    source,
)
from tests.conftest import T0
from tests.factories import clock, incident

FORMATS = {
    "alertmanager": ("alertmanager", lambda status: alertmanager(prometheus(status=status), status=status)),
    "grafana": ("grafana", lambda status: grafana(grafana_alert(status=status), status=status)),
    "grafana legacy": ("grafana", lambda status: grafana_legacy("alerting" if status == "firing" else "ok")),
    "generic": ("generic", lambda status: generic(status=status, fingerprint="api-down")),
}


@pytest.fixture(autouse=True)
def _at_t0(db, settings):
    """And at the end, the clocks of what happened are proven."""
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False):
        yield
    assert [differences(made) for made in Incident.objects.order_by("-pk")[:8]] == [[]] * min(
        8, Incident.objects.count()
    )


@pytest.fixture(params=FORMATS)
def sender(request, acme, a2, g1, m1):
    """Sends one alarm of a format, at a time: send("firing", minutes)."""
    kind, payload = FORMATS[request.param]
    made, token = source(kind, organisation=acme)

    def send(status="firing", minutes=0.0):
        with time_machine.travel(T0 + timedelta(minutes=minutes), tick=False):
            answer = post(token, kind, payload(status))
        assert answer.status_code == 202, answer.content
        return answer.json()

    send.source = made
    return send


def kinds(of):
    return list(of.events.order_by("pk").values_list("kind", flat=True))


# --- row 1: one incident, as by any other door ---


def test_the_first_alarm_opens_an_incident_like_any_other_door(sender, a1):
    assert sender() == {"accepted": 1}
    made = Incident.objects.get()
    assert (made.channel, made.reporter, made.claimed_level, made.validated_level) == (
        "alarm",
        None,
        "P1",
        "",
    )
    assert (made.opened_at, made.status, made.impact) == (T0, "reported", "outage")
    by_portal = incident(a1, T0, impact="outage")
    facts = ["kind", "level", "cycle", "ordinal", "state", "started_at", "due_at"]
    own = list(made.clocks.order_by("pk").values_list(*facts))
    assert own == list(by_portal.clocks.order_by("pk").values_list(*facts))
    assert clock(made, "first_response").due_at == T0 + timedelta(minutes=15)
    assert made.organisation.slug == "acme"
    [opened] = made.events.all()
    theirs = by_portal.events.get().payload
    assert opened.payload == theirs | {"alarm": Alarm.objects.get().pk}
    assert (opened.by, opened.channel, opened.at) == (None, "alarm", T0)


def test_its_words_are_those_of_the_sender(acme):
    _made, token = source(organisation=acme)
    post(token, "alertmanager", alertmanager(prometheus()))
    made = Incident.objects.get()
    assert made.title == "More than 5 % of requests fail"
    assert "12 % of requests to the Inference API fail." in made.description
    assert "<https://runbooks.example/high-error-rate>" in made.description
    assert "- `severity`: `critical`" in made.description
    assert [service.slug for service in made.services.all()] == ["inference-api"]
    assert ServiceImpact.objects.get().source == made.reference


def test_the_mails_are_those_of_an_incident_that_a_person_filed(sender, a2, g1):
    sender()
    told = {(m.kind, m.recipient) for m in OutboxMessage.objects.all()}
    assert {("incident_opened", a2), ("staff_opened", g1)} <= told


def test_opened_at_is_the_receipt_even_if_the_workers_slept(acme, a2):
    _made, token = source(organisation=acme, storm_threshold=100)
    many = [prometheus(f"fp-{n}") for n in range(21)]  # more than are read at once
    with time_machine.travel(T0 + timedelta(seconds=0.7), tick=False):
        assert post(token, "alertmanager", alertmanager(*many)).json() == {"accepted": 21}
    assert Incident.objects.count() == 0
    inbox.sweep(T0 + timedelta(hours=6))
    opened = set(Incident.objects.values_list("opened_at", flat=True))
    assert (Incident.objects.count(), opened) == (21, {T0})
    assert clock(Incident.objects.first(), "first_response").state == "breached"


# --- row 3: counted ---


def test_the_same_alarm_500_times_is_counted_and_nothing_more(sender):
    times = 500 if sender.source.kind == "alertmanager" else 20
    sender()
    mails, events = OutboxMessage.objects.count(), IncidentEvent.objects.count()
    for _ in range(times):
        sender(minutes=1)
    alarm = Alarm.objects.get()
    assert (Incident.objects.count(), alarm.count) == (1, times + 1)
    assert (alarm.first_at, alarm.last_at) == (T0, T0 + timedelta(minutes=1))
    assert (OutboxMessage.objects.count(), IncidentEvent.objects.count()) == (mails, events)
    assert InboundMessage.objects.count() == 1


def test_the_same_alarm_many_times_in_one_request_is_counted(acme):
    _made, token = source(organisation=acme)
    same = [prometheus() for _ in range(1500)]
    for _ in range(2):
        assert post(token, "alertmanager", alertmanager(*same)).json() == {"accepted": 1500}
        inbox.sweep(T0)
    assert (Incident.objects.count(), Alarm.objects.get().count) == (1, 3000)


# --- row 11: over, says the source ---


def test_a_resolve_is_shown_and_ends_nothing(sender, client, a2, g1):
    sender()
    sender("resolved", 150)
    made = Incident.objects.get()
    assert (made.status, Alarm.objects.get().status) == ("reported", "resolved")
    assert kinds(made) == ["opened", "alarm_resolved"]
    assert made.events.last().at == T0 + timedelta(minutes=150)
    assert clock(made, "target_action").state == "running"
    client.force_login(a2)
    assert "The alarm source says it is over" in client.get(made.get_absolute_url()).content.decode()
    client.force_login(g1)
    desk = client.get(f"/admin/incidents/incident/{made.pk}/change/").content.decode()
    assert f"/admin/incidents/incident/{made.pk}/do/resolve/" in desk.partition("says it is over")[2]


def test_a_resolve_twice_is_one_fact(sender):
    sender()
    for minutes in (5, 6, 7):
        sender("resolved", minutes)
    assert kinds(Incident.objects.get()) == ["opened", "alarm_resolved"]
    assert InboundMessage.objects.count() == 2


def test_a_resolve_of_an_unknown_alarm_is_taken_and_is_nothing(sender):
    assert sender("resolved") == {"accepted": 1}
    assert (Alarm.objects.count(), InboundMessage.objects.count(), Incident.objects.count()) == (0, 0, 0)


def test_it_flaps_loudly_three_times_and_then_once_in_ten_minutes(sender, client, a2):
    sender()
    for minute in range(1, 15):
        sender("resolved", minute)
        sender("firing", minute + 0.5)
    made, alarm = Incident.objects.get(), Alarm.objects.get()
    assert (alarm.status, alarm.flap_count, alarm.count) == ("firing", 14, 15)
    again = [e.payload["flap_count"] for e in made.events.filter(kind="alarm_fired_again")]
    assert again[:4] == [1, 2, 3, 4]
    assert len(again) <= 5
    assert made.events.filter(kind="alarm_resolved").count() <= 6
    client.force_login(a2)
    assert "flapping: 14 times" in client.get(made.get_absolute_url()).content.decode()
    sender("resolved", 40)
    assert made.events.last().kind == "alarm_resolved"


def resolve(made, by, minutes):
    at = T0 + timedelta(minutes=minutes)
    actions.resolve(made, by=by, now=at, channel="admin", cause="A node", remedy="Replaced")


def test_it_reopens_what_a_person_had_resolved(sender, g1):
    sender()
    made = Incident.objects.get()
    resolve(made, g1, 20)
    sender(minutes=30)
    made.refresh_from_db()
    assert (made.status, made.cycle, made.resolved_at) == ("reported", 2, None)
    assert (made.events.last().kind, made.events.last().channel) == ("reopened", "alarm")
    assert clock(made, "first_response").due_at == T0 + timedelta(minutes=45)
    assert clock(made, "first_response", cycle=1).met_at == T0 + timedelta(minutes=20)
    assert Alarm.objects.get().count == 2


def test_after_a_resolve_and_a_resolution_it_reopens_as_a_flap(sender, g1):
    sender()
    sender("resolved", 10)
    made = Incident.objects.get()
    resolve(made, g1, 20)
    sender(minutes=30)
    made.refresh_from_db()
    assert (made.cycle, Alarm.objects.get().flap_count, Incident.objects.count()) == (2, 1, 1)


def test_after_the_end_it_opens_anew(sender, g1, a2):
    sender()
    first = Incident.objects.get()
    resolve(first, g1, 20)
    actions.confirm(first, by=a2, now=T0 + timedelta(minutes=25), channel="portal")
    sender(minutes=30)
    second = Incident.objects.order_by("-pk")[0]
    assert (Incident.objects.count(), second.opened_at) == (2, T0 + timedelta(minutes=30))
    lives = list(Alarm.objects.order_by("pk").values_list("incident", "is_current", "count"))
    assert lives == [(first.pk, False, 1), (second.pk, True, 1)]


def test_a_duplicate_s_alarm_goes_on_in_the_original(acme, g1):
    _made, token = source("generic", organisation=acme)
    for name in "ab":
        post(token, "generic", generic(fingerprint=name))
    original, double = Incident.objects.order_by("pk")
    actions.mark_duplicate(
        double, by=g1, now=T0, channel="admin", original=original, reason="The same outage"
    )
    for _ in range(3):
        post(token, "generic", generic(fingerprint="b"))
    assert Incident.objects.count() == 2
    assert list(original.alarms.order_by("pk").values_list("fingerprint", "count")) == [("a", 1), ("b", 4)]


# --- levels ---


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("critical", "P1"), ("page", "P1"), ("P1", "P1"), ("disaster", "P1"), ("Emergency", "P1"),
        ("error", "P2"), ("HIGH", "P2"), ("major", "P2"), ("warning", "P3"), ("minor", "P3"), ("low", "P3"),
        ("purple", "P2"), (" critical ", "P1"),
    ],
)  # fmt: skip
def test_severity_says_the_level_and_the_default_does_otherwise(acme, severity, level):
    _made, token = source(organisation=acme)
    post(token, "alertmanager", alertmanager(prometheus(severity=severity)))
    made = Incident.objects.get()
    assert (made.claimed_level, made.impact) == (level, "outage" if level == "P1" else "degraded")


@pytest.mark.parametrize("severity", ["info", "none", "INFO"])
def test_information_is_recorded_and_opens_nothing(acme, severity):
    _made, token = source(organisation=acme)
    for _ in range(3):
        assert post(token, "alertmanager", alertmanager(prometheus(severity=severity))).status_code == 202
    alarm = Alarm.objects.get()
    assert (alarm.incident, alarm.count, Incident.objects.count()) == (None, 3, 0)


def test_the_first_rule_that_fits_goes_before_all(acme):
    rules = [
        {"label": "Team", "equals": "Billing", "level": "P3"},
        {"label": "team", "equals": "search", "level": ""},
        {"label": "severity", "equals": "critical", "level": "P2"},
    ]
    _made, token = source("generic", organisation=acme, level_rules=rules)
    for title, more in [
        ("a", {"labels": {"TEAM": "billing"}, "level": "P1"}),
        ("b", {"labels": {"team": "search"}}),
        ("c", {"labels": {}, "level": "P1"}),
        ("d", {"severity": "major", "level": "p1"}),
        ("e", {"severity": "major"}),
    ]:
        assert post(token, "generic", generic(title, **more)).status_code == 202
    found = dict(Alarm.objects.values_list("title", "level"))
    assert found == {"a": "P3", "b": "", "c": "P2", "d": "P1", "e": "P2"}
    assert Incident.objects.count() == 4


def test_an_alarm_that_gets_worse_is_not_hidden_in_its_milder_incident(acme):
    _made, token = source("generic", organisation=acme)
    for severity, times in [("info", 2), ("warning", 2), ("critical", 2), ("warning", 2)]:
        for _ in range(times):
            post(token, "generic", generic(severity=severity, fingerprint="disk"))
    levels = list(Incident.objects.order_by("pk").values_list("claimed_level", flat=True))
    assert levels == ["P3", "P1"]
    assert Alarm.objects.get(is_current=True).count == 4


# --- storms ---


def test_different_alarms_become_one_storm(acme, a2, client):
    made, token = source(organisation=acme, storm_threshold=5, storm_minutes=5)
    for n in range(40):
        severity = "critical" if n == 3 else "warning"
        assert (
            post(token, "alertmanager", alertmanager(prometheus(f"fp-{n}", severity=severity))).status_code
            == 202
        )
    incidents = list(Incident.objects.order_by("pk"))
    assert len(incidents) == 6
    storm = incidents[-1]
    assert (storm.claimed_level, storm.alarms.count()) == ("P1", 35)
    assert storm.title == f"Alarm storm: many different alarms from {made.name}"
    assert storm.events.filter(kind="alarm_joined").count() == 20
    client.force_login(a2)
    page = client.get(storm.get_absolute_url()).content.decode()
    assert "and 5 more" in page
    post(token, "alertmanager", alertmanager(*[prometheus(f"fp-{n}") for n in range(40)]))
    assert (Incident.objects.count(), Alarm.objects.filter(is_current=True, count=2).count()) == (6, 1)


def test_a_storm_ends_when_nothing_joins_any_more(acme):
    _made, token = source(organisation=acme, storm_threshold=2, storm_minutes=5)
    for n, minutes in enumerate([0, 0, 1, 5, 9, 15]):
        with time_machine.travel(T0 + timedelta(minutes=minutes), tick=False):
            post(token, "alertmanager", alertmanager(prometheus(f"fp-{n}")))
    sizes = [i.alarms.count() for i in Incident.objects.order_by("pk")]
    assert sizes == [1, 1, 3, 1]


def test_a_worse_alarm_than_its_storm_begins_a_worse_storm(acme):
    _made, token = source(organisation=acme, storm_threshold=2)
    for n, severity in enumerate(["warning"] * 4 + ["critical", "warning", "critical"]):
        post(token, "alertmanager", alertmanager(prometheus(f"fp-{n}", severity=severity)))
    found = [(i.claimed_level, i.alarms.count()) for i in Incident.objects.order_by("pk")]
    assert found == [("P3", 1), ("P3", 1), ("P3", 2), ("P1", 3)]


def test_a_storm_is_over_when_the_last_of_its_alarms_is(acme):
    _made, token = source(organisation=acme, storm_threshold=1)
    for n in range(4):
        post(token, "alertmanager", alertmanager(prometheus(f"fp-{n}")))
    storm = Incident.objects.order_by("-pk")[0]
    for n in (1, 2, 3):
        assert not storm.events.filter(kind="alarm_resolved").exists()
        post(token, "alertmanager", alertmanager(prometheus(f"fp-{n}", "resolved")))
    assert storm.events.filter(kind="alarm_resolved").count() == 1


# --- a service's source: one parent, and one for each organisation that uses it ---


@pytest.fixture
def of_service(acme, nordwind, a2, b1, g1):
    service = acme.subscriptions.get(service__slug="inference-api").service
    made, token = source(service=service, name="Probe canary-7f3a")
    return made, token


def test_a_service_s_alarm_opens_a_parent_and_a_child_for_each_user(of_service, acme, nordwind):
    _made, token = of_service
    idle = Organisation.objects.create(name="Idle", slug="idle", is_active=False)
    idle.subscriptions.create(service=acme.subscriptions.get(service__slug="inference-api").service)
    assert post(token, "alertmanager", alertmanager(prometheus())).status_code == 202
    parent = Incident.objects.get(parent=None)
    assert parent.organisation.is_vendor
    assert parent.organisation.support_plan is not None
    assert Alarm.objects.get().incident == parent
    children = list(parent.children.order_by("organisation__slug"))
    assert [child.organisation for child in children] == [acme, nordwind]
    for child in children:
        facts = (child.channel, child.claimed_level, child.opened_at, child.impact, child.reporter)
        assert facts == ("alarm", "P1", T0, "outage", None)
        assert [s.slug for s in child.services.all()] == ["inference-api"]


def test_no_customer_reads_a_word_of_another_or_of_the_parent(of_service, client, a2, nordwind):
    _made, token = of_service
    Organisation.objects.filter(pk=nordwind.pk).update(name="Nordwind canary-7f3a")
    told = prometheus(labels={"customer": "canary-7f3a"})
    told["annotations"] |= {"summary": "canary-7f3a down", "description": "canary-7f3a"}
    post(token, "alertmanager", alertmanager(told))
    post(token, "alertmanager", alertmanager(told | {"status": "resolved"}))
    parent = Incident.objects.get(parent=None)
    mine = parent.children.get(organisation__slug="acme")
    client.force_login(a2)
    pages = ["/", "/incidents/", "/incidents/?show=all&q=canary", "/status/", mine.get_absolute_url()]
    pages += [f"/api/v1/incidents/{mine.reference}/{noun}" for noun in ("", "events/", "clocks/")]
    for page in [*pages, "/api/v1/incidents/", "/api/v1/incidents/?q=canary"]:
        answer = client.get(page)
        assert answer.status_code == 200
        shown = answer.content.decode().replace("q=canary", "").replace('value="canary"', "")
        assert "canary-7f3a" not in shown, page
        assert parent.reference not in shown, page
    for page in (parent.get_absolute_url(), f"/api/v1/incidents/{parent.reference}/"):
        assert client.get(page).status_code == 404
    assert len(client.get("/api/v1/incidents/").json()["results"]) == 1
    for message in OutboxMessage.objects.filter(recipient=a2):
        assert message.subject_key == mine.reference


def test_resolve_flap_and_reopening_reach_the_children(of_service, g1, acme, nordwind):
    _made, token = of_service
    parent_and_children = lambda: list(Incident.objects.order_by("pk"))  # noqa: E731

    def send(status, minutes):
        with time_machine.travel(T0 + timedelta(minutes=minutes), tick=False):
            post(token, "alertmanager", alertmanager(prometheus(status=status)))

    send("firing", 0)
    send("resolved", 5)
    send("firing", 6)
    for one in parent_and_children():
        assert kinds(one) == ["opened", "alarm_resolved", "alarm_fired_again"]
        resolve(one, g1, 10)
    send("firing", 20)
    assert [(i.status, i.cycle) for i in parent_and_children()] == [("reported", 2)] * 3


def test_a_storm_of_a_service_is_one_for_each_customer(of_service):
    made, token = of_service
    for n in range(30):
        post(token, "alertmanager", alertmanager(prometheus(f"fp-{n}")))
    inbox.sweep(T0)
    assert Incident.objects.filter(parent=None).count() == made.storm_threshold + 1
    assert Incident.objects.exclude(parent=None).count() == 2 * (made.storm_threshold + 1)


# --- in whatever order they are read ---


def test_what_is_older_than_what_came_since_is_nothing(acme):
    """The worker reads an old request after the door took a newer one."""
    made, _token = source("generic", organisation=acme)

    def read(status, minutes, key):
        at = T0 + timedelta(minutes=minutes)
        payload = generic(fingerprint="disk", status=status)
        row, _ = inbox.store(
            "alarm", via="http", received_at=at, dedupe_key=key, payload=payload, source=made
        )
        return inbox.process(row.pk, T0 + timedelta(minutes=30))

    read("firing", 0, "1")
    read("firing", 10, "2")
    read("resolved", 5, "3")
    assert (Alarm.objects.get().status, Alarm.objects.get().count) == ("firing", 2)
    read("resolved", 12, "4")
    read("firing", 11, "5")
    alarm = Alarm.objects.get()
    assert (alarm.status, alarm.count, alarm.flap_count) == ("resolved", 3, 0)


def test_a_resolve_waits_for_the_alarm_that_it_is_about(acme):
    _made, token = source(organisation=acme, storm_threshold=100)
    many = [prometheus(f"fp-{n}") for n in range(21)]
    post(token, "alertmanager", alertmanager(*many))
    post(token, "alertmanager", alertmanager(*[a | {"status": "resolved"} for a in many[:3]]))
    assert Alarm.objects.count() == 0
    inbox.sweep(T0 + timedelta(seconds=1))
    inbox.sweep(T0 + timedelta(seconds=30))
    assert Alarm.objects.filter(status="resolved").count() == 3
    assert set(InboundMessage.objects.values_list("state", flat=True)) == {"done"}


# --- nobody acts but the alarm ---


@pytest.mark.parametrize("channel", ["portal", "api", "mail", "telephone", "admin", "clockwork"])
def test_nobody_reports_by_any_other_channel(acme, channel):
    with pytest.raises(actions.Refused) as refused:
        actions.open_incident(
            organisation=acme,
            reporter=None,
            by=None,
            now=T0,
            channel=channel,
            title="x",
            claimed_level="P1",
        )
    assert refused.value.kind == "permission"


def test_no_person_uses_an_alarm_s_verbs(acme, g1, a2, h1):
    made = incident(a2, T0)
    for verb in ("join_alarm", "note_alarm_resolved", "note_alarm_fired_again", "reopen_for_alarm"):
        assert all(actions.may(verb, made, person) for person in (g1, a2, h1))
