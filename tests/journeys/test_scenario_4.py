"""Scenario 4: a maintenance window that overruns and is rolled back; one that nobody speaks up for; a cancelled one."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client

from incidents.models import RCA, AlarmSource, Incident
from maintenance.actions.invitations import rotate_feed
from maintenance.models import MaintenanceWindow
from portal.models import OutboxMessage, Service, ServiceImpact
from tests import factories
from tests.conftest import T0
from tests.journeys.stage import ApiDoor, Stage, api, browser_of
from tests.journeys.windows import Api, Desk, draft, events_of, since, window_page, window_row

DAY = 24 * 60
START = 14 * DAY  # minutes from T0
DECISION, END = START + 120, START + 180


@pytest.fixture(params=[Desk, Api], ids=["desk", "api"])
def door(request):
    return request.param()


@pytest.fixture
def stage(db):
    with time_machine.travel(T0, tick=False) as traveller:
        yield Stage(traveller, ApiDoor())


@pytest.fixture
def c1(db):
    """Somebody of a third organisation that uses the service as well."""
    return factories.person(
        "c1@contoso.example", "Cem Three", factories.organisation("Contoso"), "manager", is_p1_contact=True
    )


@pytest.fixture
def cast(a1, a2, c1, b1, g1, g2, m1, stage):
    """A and C use the Inference API, B does not."""
    b1.memberships.get().organisation.subscriptions.filter(service__slug="inference-api").delete()
    return {"a1": a1, "a2": a2, "c1": c1, "b1": b1, "g1": g1, "g2": g2, "m1": m1}


class Play:
    """One window on the stage."""

    def __init__(self, stage, door, cast) -> None:
        self.stage, self.door, self.cast = stage, door, cast
        self.reference = ""

    def draft(self, start=START, **more) -> str:
        t = self.stage.time
        self.reference = draft(self.cast["g1"], t(start), t(start + 180), t(start + 120), **more)
        self.stage.work()
        return self.reference

    def do(self, verb, who, expected=200, part=None, **data):
        assert self.door.do(verb, self.cast[who], self.reference, part, **data) == expected
        self.stage.work()

    @property
    def row(self) -> MaintenanceWindow:
        return MaintenanceWindow.objects.by_reference(self.reference).get()

    def announce(self, start=START) -> None:
        self.draft(start)
        self.do("propose", "g1")
        self.do("approve", "g2")
        self.do("announce", "g2")

    def quiet(self, action) -> None:
        """What happens in `action` mails nobody, however often the clockwork runs."""
        before = len(mail.outbox)
        action()
        for _ in range(10):
            self.stage.work()
        assert mail.outbox[before:] == []


@pytest.fixture
def play(stage, door, cast):
    return Play(stage, door, cast)


def feed_of(user) -> bytes:
    """The person's private feed, read as a calendar does: without a session."""
    token = rotate_feed(user, now=T0)
    return Client().get(f"/calendar/{token}.ics").content


def source_of(organisation=None, service=None) -> tuple[AlarmSource, str]:
    source = AlarmSource(
        name=f"Alarms of {service or organisation}",
        kind="generic",
        organisation=organisation,
        service=service,
        created_at=T0,
    )
    token = source.make_token()
    source.save()
    return source, token


def alarm(token, status="firing", name="LatencyHigh", service="inference-api") -> None:
    answer = Client().post(
        "/api/v1/alarms/generic/",
        {"status": status, "title": name, "fingerprint": name, "severity": "critical", "service": service},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code in (200, 202), answer.content


def test_rows_1_to_6_and_7_to_9(play, stage, cast):
    a1, a2, c1, b1, g1, m1 = (cast[name] for name in ("a1", "a2", "c1", "b1", "g1", "m1"))
    everybody = (a1, a2, c1)

    # 1: a draft is nobody's business but the staff's.
    play.quiet(lambda: play.draft())
    reference = play.reference
    for person in (*everybody, b1):
        assert window_row(person, reference) is None
        assert window_page(person, reference)[0] == 404
        assert reference not in browser_of(person).get("/maintenance/").content.decode()
        assert b"BEGIN:VEVENT" not in feed_of(person)

    # 2: approved by another person, announced.
    play.do("announce", "g1", 409)
    play.do("propose", "g1")
    play.do("approve", "g1", 403)
    play.do("approve", "g2")
    before = len(mail.outbox)
    play.do("announce", "g2")
    seen = []
    for person in everybody:
        (told,) = since(before, person)
        assert told.subject.startswith(f"[{reference}]")
        (event,) = events_of(told)
        assert (event["method"], event["sequence"], event["status"]) == ("REQUEST", 0, "CONFIRMED")
        assert (event["start"], event["end"]) == (stage.time(START), stage.time(END))
        seen.append(event["uid"])
        assert f"MAINTENANCE-ID:{reference}".encode() in feed_of(person)
    (uid,) = set(seen)
    assert since(before, b1) == []
    assert window_row(b1, reference) is None
    assert window_page(b1, reference)[0] == 404
    assert b"BEGIN:VEVENT" not in feed_of(b1)

    # 3: moved, and moved back: one mail per change, the same UID, SEQUENCE 1 and 2.
    for sequence, shift in ((1, DAY), (2, 0)):
        before = len(mail.outbox)
        play.do(
            "move_window",
            "g2",
            starts_at=stage.time(START + shift),
            ends_at=stage.time(END + shift),
            rollback_decision_at=stage.time(DECISION + shift),
            reason="The disks arrive later.",
        )
        for person in everybody:
            (told,) = since(before, person)
            (event,) = events_of(told)
            assert (event["uid"], event["sequence"]) == (uid, sequence)
            assert event["start"] == stage.time(START + shift)
    play.quiet(lambda: None)

    # 4: reminders, once, however often the clockwork runs.
    for minutes in (7 * DAY, DAY, 60):
        before = len(mail.outbox)
        stage.at(START - minutes)
        for _ in range(5):
            stage.work()
        for person in everybody:
            assert len(since(before, person)) == 1, (minutes, [m.subject for m in since(before, person)])
        assert since(before, b1) == []

    # 5: the start. Alarms of the service are recorded; others open incidents; a customer's own report is tagged.
    before = len(mail.outbox)
    stage.at(START)
    assert play.row.status == "in_progress"
    assert all(len(since(before, person)) == 1 for person in everybody)
    assert reference in browser_of(a1).get("/").content.decode()
    assert reference not in browser_of(b1).get("/").content.decode()
    _source, token = source_of(service=Service.objects.get(slug="inference-api"))
    stage.at(START + 5)
    play.quiet(lambda: [alarm(token) for _ in range(3)])
    assert not Incident.objects.exists()
    recorded = play.row.alarms.get()
    assert (recorded.count, recorded.is_firing) == (3, True)
    alarm(token, "resolved")
    stage.work()
    assert not play.row.alarms.get().is_firing
    _other, other_token = source_of(service=Service.objects.get(slug="vector-store"))
    alarm(other_token, name="IndexDown", service="vector-store")
    stage.work()
    opened = Incident.objects.filter(channel="alarm")
    assert opened.exists()
    assert set(opened.values_list("window", flat=True)) == {None}
    own = stage.file(a1, title="Nothing answers", claimed_level="P1", services=["inference-api"])
    made = Incident.objects.by_reference(own).get()
    assert (made.window, made.status, made.claimed_level) == (play.row, "reported", "P1")
    assert reference in stage.page(a1, own)
    impact = ServiceImpact.objects.get(organisation=made.organisation, source=reference)
    assert (impact.from_at, impact.until_at, impact.is_planned) == (stage.time(START), None, True)

    # 6: the decision time: asked once; nobody chooses for ten minutes; the duty manager is paged.
    first = play.row.steps.order_by("position")[0]
    play.do("tick_step", "g1", part=first.pk, is_done=True)
    before = len(mail.outbox)
    stage.at(DECISION)
    assert len([m for m in since(before, g1) if reference in m.subject]) == 1
    assert [m for m in since(before, m1) if reference in m.subject] == []
    stage.at(DECISION + 10)
    assert len([m for m in since(before, m1) if reference in m.subject]) == 1
    play.quiet(lambda: stage.at(DECISION + 12))
    play.do("decide", "g2", 403, decision="go_on", reason="It goes well.")
    play.do("decide", "g1", decision="go_on", reason="It goes well.")

    # 7: more time, before the end, approved by another person.
    play.do("ask_extension", "g1", until=stage.time(END + 90), reason="Copying takes longer.")
    assert play.row.ends_at == stage.time(END)
    play.do("approve_extension", "g1", 403)
    before = len(mail.outbox)
    play.do("approve_extension", "g2")
    for person in everybody:
        (told,) = since(before, person)
        (event,) = events_of(told)
        assert (event["uid"], event["sequence"], event["end"]) == (uid, 3, stage.time(END + 90))
    stage.at(END + 30)
    assert play.row.status == "in_progress"
    count = Incident.objects.count()
    alarm(token)
    stage.work()
    assert Incident.objects.count() == count

    # 8: rolled back, verified, closed: each a notice; the calendar shows the true end.
    for minutes, verb, data in (
        (END + 40, "order_rollback", {"reason": "Too many requests fail."}),
        (END + 60, "begin_verification", {}),
        (END + 70, "complete", {"outcome": "The old storage is back; nothing was lost."}),
    ):
        alarm(token, "resolved")
        stage.at(minutes)
        before = len(mail.outbox)
        play.do(verb, "g1", **data)
        for person in everybody:
            (told,) = since(before, person)
            assert told.subject.startswith(f"[{reference}]")
    (event,) = events_of(told)
    assert (event["method"], event["uid"], event["sequence"]) == ("REQUEST", uid, 4)
    assert (event["status"], event["end"]) == ("CONFIRMED", stage.time(END + 70))
    assert play.row.status == "rolled_back"
    impact.refresh_from_db()
    assert (impact.until_at, impact.is_planned) == (stage.time(END + 70), True)

    # 9: an RCA is owed; a new attempt is another window with another UID.
    stage.at(END + DAY)
    owed = RCA.objects.get(window=play.row)
    assert (owed.status, owed.due_at is not None) == ("owed", True)
    again = draft(
        g1,
        stage.time(START + 20 * DAY),
        stage.time(END + 20 * DAY),
        stage.time(DECISION + 20 * DAY),
        previous=reference,
    )
    attempt = MaintenanceWindow.objects.by_reference(again).get()
    assert attempt.previous_attempt == play.row
    assert attempt.uid != play.row.uid
    check_canary(b1, reference)


def test_row_2_short_notice_and_overlaps_need_consent(play, stage, cast):
    a1, a2, c1 = (cast[name] for name in ("a1", "a2", "c1"))
    freeze = api(a2).post(
        "/api/v1/freezes/",
        {
            "starts_at": stage.time(START - DAY).isoformat(),
            "ends_at": stage.time(START + DAY).isoformat(),
            "reason": "Quarter end",
        },
    )
    assert freeze.status_code == 201, freeze.content
    play.announce()
    shown = window_page(a1, play.reference)[1]
    assert "Quarter end" in shown
    assert "Quarter end" not in window_page(c1, play.reference)[1]
    (asked,) = api(a1).get(f"/api/v1/maintenance-windows/{play.reference}/consents/").json()
    assert asked["reason"] == "freeze"
    assert api(c1).get(f"/api/v1/maintenance-windows/{play.reference}/consents/").json() == []

    # Without consent it does not start; with it, it does.
    path = f"/api/v1/maintenance-windows/{play.reference}/consents/{asked['id']}/"
    assert api(c1).post(path, {"answer": "given"}).status_code in (403, 404)
    stage.at(START - 30)
    assert api(a1).post(path, {"answer": "given", "words": "Go ahead."}).status_code in (200, 201)
    consent = play.row.consents.get()
    assert (consent.state, consent.decided_by, consent.channel) == ("given", a1, "api")
    assert consent.decided_at == stage.time(START - 30)
    stage.at(START)
    assert play.row.status == "in_progress"


def test_row_2_less_notice_than_promised_waits_for_consent(play, stage, cast):
    m1 = cast["m1"]
    play.announce(start=2 * DAY)
    reasons = set(play.row.consents.values_list("reason", flat=True))
    assert reasons == {"short_notice"}
    before = len(mail.outbox)
    stage.at(2 * DAY)
    assert play.row.status == "announced"
    assert len([m for m in since(before, m1) if play.reference in m.subject]) == 1
    stage.at(2 * DAY + 180)
    assert (play.row.status, play.row.ended_at) == ("cancelled", stage.time(2 * DAY + 180))


@pytest.mark.parametrize("is_late", [False, True], ids=["in time", "six hours late"])
def test_row_7b_nobody_says_anything(play, stage, cast, is_late):
    everybody = [cast[name] for name in ("a1", "a2", "c1")]
    g1, m1, b1 = cast["g1"], cast["m1"], cast["b1"]
    play.announce()
    stage.at(START)
    _source, token = source_of(service=Service.objects.get(slug="inference-api"))
    stage.at(START + 10)
    alarm(token)
    stage.work()
    assert not Incident.objects.exists()
    if not is_late:
        stage.at(DECISION)
        stage.at(DECISION + 10)
    before = len(mail.outbox)
    stage.at(END + (360 if is_late else 0))
    assert (play.row.status, play.row.overrun_at) == ("overrun", stage.time(END))
    for person in everybody:
        about = [m for m in since(before, person) if m.subject.startswith(f"[{play.reference}]")]
        assert len(about) == 1, [m.subject for m in about]
    for person in (g1, m1):
        assert [m for m in since(before, person) if m.subject.startswith(f"[{play.reference}]")]
    opened = list(Incident.objects.filter(channel="alarm").order_by("pk"))
    assert opened
    assert {incident.opened_at for incident in opened} == {stage.time(END)}
    assert {incident.window_id for incident in opened} == {play.row.pk}
    planned = ServiceImpact.objects.filter(source=play.reference, is_planned=True)
    assert {row.until_at for row in planned} == {stage.time(END)}
    unplanned = ServiceImpact.objects.filter(source=play.reference, is_planned=False)
    assert {(row.from_at, row.until_at) for row in unplanned} == {(stage.time(END), None)}
    stage.work()  # whoever is paged about the incident that was opened just now
    count = Incident.objects.count()
    play.quiet(lambda: None)
    assert Incident.objects.count() == count
    alarm(token, name="Another")
    stage.work()
    assert Incident.objects.count() > count  # suppression has ended
    check_canary(b1, play.reference)


def test_row_10_cancelled(play, stage, cast):
    everybody = [cast[name] for name in ("a1", "a2", "c1")]
    play.announce()
    left = cast["a1"]
    left.hears_maintenance = False
    left.save()
    before = len(mail.outbox)
    play.do("cancel", "g2", reason="Not needed any more.")
    for person in everybody:
        (told,) = since(before, person)
        (event,) = events_of(told)
        assert (event["method"], event["sequence"], event["status"]) == ("CANCEL", 1, "CANCELLED")
        assert event["uid"] == play.row.uid
    assert since(before, cast["b1"]) == []
    stage.at(START + 10)
    assert play.row.status == "cancelled"
    assert not ServiceImpact.objects.filter(source=play.reference).exists()


def check_canary(b1, reference: str) -> None:
    """B hears and reads nothing of it, and none of the others reads anything of B."""
    about = OutboxMessage.objects.filter(subject_key=reference)
    assert not about.filter(recipient=b1).exists()
    for message in about.filter(recipient__is_staff=False):
        assert factories.CANARY not in message.subject + message.text + message.html


def test_a_window_ends_before_anybody_notices_nothing_is_lost(play, stage, cast):
    """Workers dead from before the start: true times, one current notice, and no reminder that came too late."""
    everybody = [cast[name] for name in ("a1", "a2", "c1")]
    play.announce()
    before = len(mail.outbox)
    stage.at(END + 6 * 60)
    window = play.row
    assert (window.status, window.started_at, window.overrun_at) == (
        "overrun",
        stage.time(START),
        stage.time(END),
    )
    for person in everybody:
        about = [m for m in since(before, person) if m.subject.startswith(f"[{play.reference}]")]
        assert len(about) == 1
    assert window.last_changed_at - stage.time(END + 6 * 60) <= timedelta(seconds=1)
