"""Alarms and reports while maintenance is under way, and what outlasts it: scenario 4, rows 5, 7b and 9."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from incidents import oncall
from incidents.clockwork import differences
from incidents.defaults import plan_for
from incidents.intake import inbox
from incidents.intake.alarms.windows import sweep_windows
from incidents.models import RCA, Alarm, Incident, Shift
from maintenance import actions, audiences
from maintenance.models import WindowAlarm
from maintenance.sweep import sweep
from portal.models import Organisation, OutboxMessage, Service
from tests.alarm_senders import alertmanager, generic, post, prometheus, source
from tests.conftest import T0
from tests.factories import clock, incident, organisation, person
from tests.mails import PASS, arrive, written
from tests.maintenance.world import DAY, END, HOUR, START, announced, by, check_all, without

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _clocks_are_proven(db, settings):
    settings.SUPPORT_COUNTRY = ""
    yield
    assert [differences(made) for made in Incident.objects.order_by("-pk")[:8]] == [[]] * min(
        8, Incident.objects.count()
    )


@pytest.fixture
def window(acme, nordwind, a1, a2, a3, b1, g1, g2, m1):
    """On the Inference API of Acme; Nordwind does not use it."""
    without(nordwind)
    made = announced(g1, g2)
    sweep(START)
    made.refresh_from_db()
    return made


@pytest.fixture
def monitoring(acme):
    """Acme's own; send("firing", at, fingerprint)."""
    made, token = source(organisation=acme, storm_threshold=3)

    def send(status="firing", at=START + MINUTE, *fingerprints, **labels):
        fingerprints = fingerprints or ("fp-1",)
        alerts = [prometheus(fp, status=status, labels=labels) for fp in fingerprints]
        with time_machine.travel(at, tick=False):
            answer = post(token, "alertmanager", alertmanager(*alerts, status=status))
        assert answer.status_code == 202, answer.content

    send.source = made
    return send


def opened():
    return list(Incident.objects.order_by("pk"))


# --- row 5: recorded, and nothing is opened ---


def test_an_alarm_of_an_affected_service_is_recorded_and_opens_nothing(window, monitoring):
    for number in range(3):
        monitoring("firing", START + number * MINUTE)
    assert opened() == []
    [recorded] = window.alarms.all()
    assert (recorded.count, recorded.is_firing, recorded.first_at, recorded.last_at) == (
        3,
        True,
        START,
        START + 2 * MINUTE,
    )
    assert (recorded.title, recorded.service.slug) == ("More than 5 % of requests fail", "inference-api")
    assert window.events.filter(kind="alarm_recorded").count() == 1
    assert not OutboxMessage.objects.filter(subject_key__startswith="INC").exists()
    monitoring("resolved", START + 5 * MINUTE)
    recorded.refresh_from_db()
    assert (recorded.is_firing, recorded.count) == (False, 3)
    assert opened() == []


def test_one_that_is_worse_is_recorded_too(window, monitoring):
    monitoring("firing", START + MINUTE, severity="warning")
    monitoring("firing", START + 2 * MINUTE, severity="critical")
    assert opened() == []
    assert window.alarms.get().count == 2


def test_other_alarms_are_as_ever(window, monitoring, acme):
    monitoring("firing", START + MINUTE, "fp-2", service="vector-store")
    monitoring("firing", START + MINUTE, "fp-3", service="")
    assert [made.opened_at for made in opened()] == [START + MINUTE] * 2
    assert not WindowAlarm.objects.exists()


def test_before_the_start_and_at_the_end_it_is_as_ever(window, monitoring):
    monitoring("firing", END, "fp-9")
    assert [made.opened_at for made in opened()] == [END]
    assert opened()[0].window is None


def test_an_announced_window_suppresses_nothing_before_its_start(acme, a1, a2, g1, g2, m1, monitoring):
    announced(g1, g2)
    monitoring("firing", START - timedelta(seconds=1))
    assert [made.opened_at for made in opened()] == [START - timedelta(seconds=1)]


def test_it_is_recorded_at_the_start_though_no_sweep_looked_yet(acme, a2, g1, g2, m1, monitoring):
    window = announced(g1, g2)
    monitoring("firing", START + MINUTE)
    window.refresh_from_db()
    assert (opened(), window.started_at, window.alarms.count()) == ([], START, 1)


def test_a_held_window_suppresses_nothing(acme, a2, g1, g2, m1, monitoring):
    window = announced(g1, g2, START - DAY)
    monitoring("firing", START + MINUTE)
    assert (len(opened()), window.alarms.count()) == (1, 0)
    assert incident(a2, START + MINUTE).window is None


def test_an_organisation_that_was_told_nothing_hears_of_its_own_alarm(window, g1):
    late = organisation("Latecomer")
    person("l1@late.example", "Lea One", late, "manager")
    _made, token = source(name="theirs", organisation=late)
    with time_machine.travel(START + MINUTE, tick=False):
        post(token, "alertmanager", alertmanager(prometheus("fp-late")))
    assert [made.organisation for made in opened()] == [late]


def test_the_vendors_own_monitoring_is_recorded_too(window):
    _made, token = source("generic", service=Service.objects.get(slug="inference-api"))
    with time_machine.travel(START + MINUTE, tick=False):
        post(token, "generic", generic(fingerprint="probe"))
    assert (opened(), window.alarms.get().organisation) == ([], None)


def test_what_opened_before_the_start_goes_on_as_an_incident(acme, a2, g1, g2, m1, monitoring):
    monitoring("firing", T0)
    [made] = opened()
    plan_for(acme, T0)
    window = announced_over_a_p1(g1, g2, m1)
    monitoring("firing", START + MINUTE)
    monitoring("resolved", START + 2 * MINUTE)
    assert (opened(), window.alarms.count()) == ([made], 0)
    assert made.events.filter(kind="alarm_resolved").exists()


def announced_over_a_p1(g1, g2, m1):
    from tests.maintenance.world import approved

    window = approved(g1, g2)
    actions.give_consent(window.consents.get(), words="it helps", **by(m1, T0 + MINUTE))
    actions.announce(window, **by(g1, T0 + 2 * MINUTE))
    sweep(START)
    return window


def test_of_two_windows_the_one_in_its_time_records_it(window, g1, g2, m1, monitoring):
    from tests.maintenance.world import approved

    times = {"starts_at": END + HOUR, "ends_at": END + 3 * HOUR, "rollback_decision_at": END + 2 * HOUR}
    second = approved(g1, g2, T0, **times)
    actions.announce(second, **by(g1, T0 + MINUTE))
    sweep(END + HOUR)  # the first one overruns
    monitoring("firing", END + 2 * HOUR)
    assert (opened(), window.alarms.count(), second.alarms.count()) == ([], 0, 1)


# --- row 7b: what outlasts the agreed time ---


@pytest.mark.parametrize("late", [timedelta(), 5 * MINUTE, 6 * HOUR])
def test_an_overrun_opens_what_fires_still_from_the_planned_end(window, monitoring, late):
    monitoring("firing", START + MINUTE)
    for _thrice in range(3):
        sweep(END + late)
        sweep_windows(END + late)
    [made] = opened()
    assert (made.opened_at, made.channel, made.claimed_level, made.window) == (END, "alarm", "P1", window)
    assert clock(made, "first_response").due_at == END + 15 * MINUTE
    assert window.alarms.get().opened == made.reference
    assert Alarm.objects.get().incident == made
    assert [service.slug for service in made.services.all()] == ["inference-api"]


def test_what_was_resolved_meanwhile_opens_nothing(window, monitoring):
    monitoring("firing", START + MINUTE)
    monitoring("resolved", START + 2 * MINUTE)
    sweep(END)
    assert sweep_windows(END)["overruns"] == 0
    assert opened() == []


def test_it_fires_again_before_any_sweep_and_opens_once(window, monitoring):
    monitoring("firing", START + MINUTE)
    sweep(END)
    monitoring("firing", END + MINUTE)
    sweep_windows(END + 2 * MINUTE)
    monitoring("firing", END + 3 * MINUTE)
    [made] = opened()
    assert (made.opened_at, made.window, Alarm.objects.get().count) == (END, window, 3)


def test_it_fires_first_after_the_end_though_nobody_noted_the_overrun(window, monitoring):
    monitoring("firing", END + 30 * MINUTE)
    [made] = opened()
    assert (made.opened_at, made.window) == (END + 30 * MINUTE, None)


def test_an_extension_in_time_suppresses_on(window, monitoring, g1, g2):
    monitoring("firing", START + MINUTE)
    actions.ask_extension(window, until=END + HOUR, reason="x", **by(g1, END - HOUR))
    actions.approve_extension(window, **by(g2, END - MINUTE))
    sweep(END + 30 * MINUTE)
    sweep_windows(END + 30 * MINUTE)
    monitoring("firing", END + 30 * MINUTE)
    assert (opened(), window.alarms.get().count) == ([], 2)


def test_an_extension_after_the_end_suppresses_nothing(window, monitoring, g1, g2):
    sweep(END)
    actions.ask_extension(window, until=END + HOUR, reason="x", **by(g1, END + MINUTE))
    actions.approve_extension(window, **by(g2, END + 2 * MINUTE))
    monitoring("firing", END + 10 * MINUTE)
    assert [made.opened_at for made in opened()] == [END + 10 * MINUTE]


def test_what_fires_still_when_work_ends_in_time_counts_from_then(window, monitoring, g1):
    monitoring("firing", START + MINUTE)
    check_all(window, g1, START + HOUR)
    actions.begin_verification(window, **by(g1, START + HOUR))
    actions.complete(window, outcome="Fine.", **by(g1, START + HOUR))
    sweep_windows(START + HOUR)
    assert [made.opened_at for made in opened()] == [START + HOUR]


def test_many_at_once_are_one_storm(window, monitoring):
    monitoring("firing", START + MINUTE, "fp-1", "fp-2", "fp-3", "fp-4")
    assert window.alarms.count() == 4
    sweep(END)
    sweep_windows(END)
    [made] = opened()
    assert (made.opened_at, made.events.filter(kind="alarm_joined").count()) == (END, 4)
    assert set(window.alarms.values_list("opened", flat=True)) == {made.reference}


def test_the_vendors_alarm_opens_a_parent_and_one_for_each_who_uses_it(window, acme, nordwind):
    _made, token = source("generic", service=Service.objects.get(slug="inference-api"))
    with time_machine.travel(START + MINUTE, tick=False):
        post(token, "generic", generic(fingerprint="probe"))
    late = organisation("Latecomer")
    sweep(END)
    sweep_windows(END)
    found = {made.organisation: made for made in opened()}
    vendor = Organisation.objects.get(is_vendor=True)
    assert set(found) == {vendor, acme, late}
    assert {made.opened_at for made in found.values()} == {END}
    assert (found[vendor].window, found[acme].window, found[late].window) == (window, window, None)


def test_a_source_that_cannot_be_opened_holds_up_no_other(window, monitoring, acme, monkeypatch):
    monitoring("firing", START + MINUTE)
    _other, token = source("generic", name="second", organisation=acme)
    with time_machine.travel(START + MINUTE, tick=False):
        post(token, "generic", generic(fingerprint="x", labels={"service": "inference-api"}))
    sweep(END)
    from incidents.intake.alarms import windows

    real = windows.open_for_alarm

    def failing(source_, *args, **more):
        if source_ == monitoring.source:
            raise RuntimeError("broken")
        return real(source_, *args, **more)

    monkeypatch.setattr(windows, "open_for_alarm", failing)
    sweep_windows(END)
    assert len(opened()) == 1
    assert window.alarms.filter(opened="").count() == 1
    monkeypatch.undo()
    sweep_windows(END + MINUTE)
    assert [made.opened_at for made in opened()] == [END, END]


def test_read_late_it_counts_by_its_receipt(window, acme):
    """Stored in the agreed time, read after an outage of ours: recorded, and opened from the planned end."""
    _made, token = source(organisation=acme, storm_threshold=100)
    many = [prometheus(f"fp-{number}") for number in range(21)]  # more than are read at once
    with time_machine.travel(START + MINUTE, tick=False):
        post(token, "alertmanager", alertmanager(*many))
    sweep(END + 6 * HOUR)
    inbox.sweep(END + 6 * HOUR)
    assert (window.alarms.count(), opened()) == (21, [])
    sweep_windows(END + 6 * HOUR)
    assert {made.opened_at for made in opened()} == {END}


# --- a customer's own report ---


def test_a_report_by_the_portal_is_opened_as_ever_and_tagged(window, acme, a1, g1):
    made = incident(a1, START + MINUTE)
    assert (made.window, made.status, made.channel) == (window, "reported", "portal")
    assert OutboxMessage.objects.filter(kind="staff_opened", subject_key=made.reference).exists()
    client = Client()
    client.force_login(a1)
    page = client.get(reverse("incidents:detail", args=[made.reference])).content.decode()
    assert f"/maintenance/{window.reference}/" in page
    receipt = OutboxMessage.objects.get(kind="incident_opened", subject_key=made.reference, recipient=a1)
    from incidents import notify

    rendered = notify.render(receipt)
    assert f"Maintenance is under way: {window}" in rendered.text
    assert f"Maintenance is under way: {window}" in rendered.html


def test_by_the_api(window, a1):
    from portal.models import ApiToken

    _row, token = ApiToken.objects.create(user=a1)
    with time_machine.travel(START + MINUTE, tick=False):
        answer = Client().post(
            "/api/v1/incidents/",
            {"title": "Down", "claimed_level": "P1", "services": ["inference-api"]},
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 201, answer.content
    assert answer.json()["window"] == window.reference


def test_by_mail_without_a_service_named(window, a1, settings):
    with time_machine.travel(START + MINUTE, tick=False):
        message = arrive(written(a1, "It is down", verdict=PASS), START + MINUTE)
    assert message.incident.window == window


def test_nobody_elses_and_nothing_else_is_tagged(window, acme, a1, b1, g1):
    other = Service.objects.get(slug="vector-store")
    from incidents.actions import open_incident

    def report(by_whom, at, services):
        return open_incident(
            organisation=by_whom.memberships.get().organisation,
            reporter=by_whom,
            by=by_whom,
            now=at,
            channel="portal",
            title="x",
            claimed_level="P3",
            services=services,
        ).window

    assert report(a1, START + MINUTE, [other]) is None
    assert report(b1, START + MINUTE, []) is None
    check_all(window, g1, START + HOUR)
    actions.begin_verification(window, **by(g1, START + HOUR))
    actions.complete(window, outcome="Fine.", **by(g1, START + HOUR))
    assert report(a1, START + HOUR, []) is None


# --- row 9: the RCA ---


def _ended(window, g1, at, *, is_rolled_back):
    if is_rolled_back:
        actions.order_rollback(window, reason="x", **by(g1, min(at, END - MINUTE)))
    check_all(window, g1, at) if not is_rolled_back else None
    actions.begin_verification(window, **by(g1, at))
    actions.complete(window, outcome="x", **by(g1, at))


@pytest.mark.parametrize(
    ("at", "is_rolled_back", "owes"),
    [(END - MINUTE, False, 0), (END - MINUTE, True, 1), (END + MINUTE, False, 1), (END + MINUTE, True, 1)],
)
def test_an_overrun_or_a_rollback_owes_an_rca_once(window, g1, at, is_rolled_back, owes):
    assert sweep_windows(END)["window RCAs"] == 0
    _ended(window, g1, at, is_rolled_back=is_rolled_back)
    for _thrice in range(3):
        sweep_windows(at + DAY)
    assert RCA.objects.filter(window=window).count() == owes
    if owes:
        rca = RCA.objects.get()
        assert (rca.status, rca.owed_since, rca.incident) == ("owed", at, None)
        # Tuesday, 10 March; five business days later it is Tuesday, 17 March, 18:00.
        zone = plan_for(window.involved.get().organisation, at).calendar.current_version.time_zone
        assert rca.due_at.astimezone(ZoneInfo(zone)).isoformat()[:16] == "2026-03-17T18:00"


def test_a_cancelled_window_owes_none(acme, a2, g1, g2, m1):
    announced(g1, g2, START - DAY)
    sweep(END)
    assert sweep_windows(END)["window RCAs"] == 0


# --- the rota of the room above ---


def test_the_duty_manager_of_the_rota_is_paged(window, m1):
    from tests.factories import agent

    m2 = agent("m2@briqmind.example", "Mo Duty", "duty_manager")
    Shift.objects.create(role="duty_manager", person=m2, from_at=START, until_at=END + HOUR)
    assert audiences.duty_managers(END) == [m2] == oncall.on_duty("duty_manager", END)
    sweep(END)
    paged = OutboxMessage.objects.filter(kind="staff_maintenance_overrun")
    assert {message.recipient for message in paged} == {window.owner, m2}
