"""The daily summary: once a local day, in the morning, to who wants it, of what is theirs and open."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings
from django.core import mail

from incidents import actions, summaries, tasks
from incidents.models import Incident
from portal import outbox
from portal.models import Membership, Organisation, OutboxMessage, User
from tests.conftest import T0
from tests.factories import CANARY, incident, organisation

MORNING = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)  # 8:00 in Istanbul, the day after T0
HOUR = timedelta(hours=1)


def subscribe(person: User, **fields) -> User:
    User.objects.filter(pk=person.pk).update(has_daily_summary=True, **fields)
    person.refresh_from_db()
    return person


def work(now: datetime) -> int:
    """The clockwork's turn: its own task, then the outbox; how many summaries it queued."""
    with time_machine.travel(now, tick=False):
        queued = tasks.send_daily_summaries()
        outbox.sweep(now)
    return queued


def summaries_to(person: User) -> list:
    rows = OutboxMessage.objects.filter(kind=summaries.MAIL, recipient=person, state="sent")
    ids = set(rows.values_list("message_id", flat=True))
    return [m for m in mail.outbox if m.extra_headers["Message-ID"] in ids]


def words_of(message) -> str:
    return f"{message.subject}\n{message.body}\n{message.alternatives[0][0]}"


@pytest.fixture(autouse=True)
def _no_holidays(settings):
    settings.SUPPORT_COUNTRY = ""


# --- when ---


def test_it_comes_at_the_person_s_hour_and_once(a1):
    incident(subscribe(a1), T0)
    assert work(MORNING - timedelta(seconds=1)) == 0
    assert summaries_to(a1) == []
    assert work(MORNING) == 1
    assert len(summaries_to(a1)) == 1
    assert [work(MORNING + n * timedelta(minutes=5)) for n in (0, 1, 2, 100)] == [0, 0, 0, 0]
    assert work(MORNING + timedelta(days=1)) == 1
    assert len(summaries_to(a1)) == 2


def test_the_beat_asks_often_enough_for_any_zone():
    entry = settings.CELERY_BEAT_SCHEDULE["summaries"]
    assert entry["task"] == tasks.send_daily_summaries.name
    assert {0, 15, 30, 45} <= entry[
        "schedule"
    ].minute  # Kathmandu's morning comes at a quarter past UTC's hour
    assert len(entry["schedule"].hour) == 24


def test_a_late_run_sends_one_and_the_next_morning_is_in_time(a1):
    incident(subscribe(a1), T0)
    assert work(MORNING + 7 * HOUR) == 1
    assert work(MORNING + 8 * HOUR) == 0
    assert work(MORNING + 24 * HOUR) == 1
    assert len(summaries_to(a1)) == 2


def test_days_without_a_run_are_not_made_up_for(a1):
    incident(subscribe(a1), T0)
    assert work(MORNING + timedelta(days=5)) == 1
    assert len(summaries_to(a1)) == 1


def test_of_two_that_could_not_be_sent_in_time_the_newer_one_goes(a1):
    incident(subscribe(a1), T0)
    for day in (0, 1):
        assert summaries.send_daily_summaries(MORNING + timedelta(days=day)) == 1
    with time_machine.travel(MORNING + timedelta(days=1), tick=False):
        outbox.sweep(MORNING + timedelta(days=1))
    assert len(summaries_to(a1)) == 1
    states = OutboxMessage.objects.filter(kind=summaries.MAIL).order_by("pk").values_list("state", flat=True)
    assert list(states) == ["dropped", "sent"]


@pytest.mark.parametrize(
    ("zone", "hour", "first"),
    [
        ("Asia/Tokyo", 8, "2026-03-03T23:00"),
        ("America/Los_Angeles", 8, "2026-03-04T16:00"),
        ("Asia/Kathmandu", 8, "2026-03-04T02:15"),
        ("Pacific/Kiritimati", 0, "2026-03-04T10:00"),  # its midnight, fourteen hours ahead
        ("Europe/Berlin", 23, "2026-03-04T22:00"),
    ],
)
def test_the_morning_is_that_of_the_person_s_zone(a1, zone, hour, first):
    incident(subscribe(a1, time_zone=zone, daily_summary_hour=hour), T0)
    at = datetime.fromisoformat(first).replace(tzinfo=UTC)
    work(at - timedelta(days=1))
    before = len(summaries_to(a1))
    assert work(at - timedelta(seconds=1)) == 0
    assert work(at) == 1
    assert len(summaries_to(a1)) == before + 1


def test_without_a_choice_the_zone_is_that_of_the_first_organisation_as_on_the_pages(a1, acme):
    Organisation.objects.filter(pk=acme.pk).update(time_zone="America/New_York")
    aaa = organisation("Aaa")  # first by name, but joined later
    Organisation.objects.filter(pk=aaa.pk).update(time_zone="Asia/Tokyo")
    incident(subscribe(a1), T0)
    Membership.objects.create(user=a1, organisation=aaa)
    assert work(MORNING) == 0
    assert work(datetime(2026, 3, 4, 13, 0, tzinfo=UTC)) == 1  # 8:00 in New York


@pytest.mark.parametrize(
    ("zone", "hour", "times"),
    [
        # spring forward in Berlin: 2:00 does not exist, 3:00 is its place
        ("Europe/Berlin", 2, {"2026-03-29T00:59": 0, "2026-03-29T01:00": 1, "2026-03-29T02:00": 0}),
        ("Europe/Berlin", 8, {"2026-03-28T07:00": 1, "2026-03-29T05:59": 0, "2026-03-29T06:00": 1}),
        # fall back in New York: 1:00 comes twice, the summary once
        ("America/New_York", 1, {"2026-11-01T05:00": 1, "2026-11-01T06:00": 0, "2026-11-02T06:00": 1}),
        ("America/New_York", 8, {"2026-10-31T12:00": 1, "2026-11-01T12:59": 0, "2026-11-01T13:00": 1}),
        # midnight itself is left out in Cairo
        ("Africa/Cairo", 0, {"2026-04-23T21:59": 1, "2026-04-23T22:00": 1, "2026-04-24T20:59": 0}),
    ],
)
def test_the_day_of_a_change_of_the_clocks_has_one_summary(a1, zone, hour, times):
    incident(subscribe(a1, time_zone=zone, daily_summary_hour=hour), T0)
    for at, queued in times.items():
        assert work(datetime.fromisoformat(at).replace(tzinfo=UTC)) == queued, at


# --- what ---


def test_it_tells_own_open_incidents_by_urgency_and_nothing_else(a1, a2, b1, g1):
    later = incident(a1, T0, level="P3", title="Slow & <b>odd</b>")
    urgent = incident(a2, T0, level="P1", title="All down")
    done = incident(a1, T0, title="Solved long ago")
    actions.withdraw(done, by=a1, now=T0, channel="portal", reason="mistake")
    actions.add_note(urgent, by=g1, now=T0, channel="admin", text="secret suspicion")
    theirs = incident(b1, T0, title=f"{CANARY} down")
    subscribe(a1)
    work(MORNING)
    (told,) = summaries_to(a1)
    assert told.to == [a1.email]
    assert told.subject == "2 incidents are open"
    assert told.body.index(urgent.reference) < told.body.index(later.reference)
    assert "P1 All down · Reported · due Tue 3 Mar 2026, 13:15 UTC+3" in told.body
    assert "Slow & <b>odd</b>" in told.body
    assert "Slow &amp; &lt;b&gt;odd&lt;/b&gt;" in told.alternatives[0][0]
    for hidden in (done.reference, "Solved", theirs.reference, CANARY, "secret", "Nordwind"):
        assert hidden not in words_of(told)
    assert told.extra_headers["Auto-Submitted"] == "auto-generated"


def test_every_link_leads_to_what_the_person_may_open(client, a1):
    made = incident(subscribe(a1), T0)
    work(MORNING)
    link = f"{settings.SITE_URL}{made.get_absolute_url()}"
    assert f'href="{link}"' in summaries_to(a1)[0].alternatives[0][0]
    client.force_login(a1)
    assert client.get(made.get_absolute_url()).status_code == 200


def test_it_is_worded_in_the_person_s_language_and_zone(a1, a2, acme):
    Organisation.objects.filter(pk=acme.pk).update(language="tr", time_zone="Europe/Berlin")
    incident(a1, T0, level="P1", title="API down")
    subscribe(a1)
    subscribe(a2, language="en", time_zone="America/New_York")
    work(MORNING + 9 * HOUR)
    (turkish,), (english,) = summaries_to(a1), summaries_to(a2)
    assert "Sal 3 Mar 2026, 11:15 CET" in turkish.body
    assert "Tue 3 Mar 2026, 05:15 EST" in english.body
    assert english.subject == "1 incident is open"
    for word in ("incident is open", "due", "Reported", "You asked", "Open the portal", 'lang="en"'):
        assert word in words_of(english)
        assert word not in words_of(turkish)


def test_it_tells_what_is_open_when_it_goes_out(a1):
    first, second = (incident(subscribe(a1), T0, title=title) for title in ("First", "Second"))
    summaries.send_daily_summaries(MORNING)
    actions.withdraw(first, by=a1, now=MORNING, channel="portal", reason="mistake")
    with time_machine.travel(MORNING, tick=False):
        outbox.sweep(MORNING)
    (told,) = summaries_to(a1)
    assert first.reference not in told.body
    assert second.reference in told.body


def test_staff_are_told_of_everybody_s(g1, a1, b1):
    mine, theirs = incident(a1, T0), incident(b1, T0)
    subscribe(g1)
    work(MORNING)
    (told,) = summaries_to(g1)
    assert told.subject == "2 incidents are open"
    assert mine.reference in told.body
    assert theirs.reference in told.body


def test_many_incidents_are_counted_in_full(a1, monkeypatch):
    for _ in range(4):
        incident(subscribe(a1), T0)
    monkeypatch.setattr(summaries, "LENGTH", 3)
    work(MORNING)
    (told,) = summaries_to(a1)
    assert (told.subject, told.body.count("- INC-")) == ("4 incidents are open", 3)


# --- to whom not ---


def test_nothing_open_is_no_mail(a1):
    subscribe(a1)
    assert work(MORNING) == 0
    made = incident(a1, MORNING + HOUR)
    assert work(MORNING + 2 * HOUR) == 1  # filed later on the day: the day's summary tells of it
    actions.withdraw(made, by=a1, now=MORNING + 3 * HOUR, channel="portal", reason="mistake")
    assert work(MORNING + timedelta(days=1)) == 0
    assert len(summaries_to(a1)) == 1


def unsubscribe(person: User) -> None:
    User.objects.filter(pk=person.pk).update(has_daily_summary=False)


def deactivate(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


def remove(person: User) -> None:
    person.memberships.all().delete()


def close_organisation(person: User) -> None:
    Organisation.objects.filter(memberships__user=person).update(is_active=False)


def solve_all(person: User) -> None:
    Incident.objects.update(status="closed")


LEAVINGS = {
    unsubscribe: "the person does not want the summary any more",
    deactivate: "the recipient is not active any more",
    remove: "nothing is open any more",
    close_organisation: "nothing is open any more",
    solve_all: "nothing is open any more",
}


@pytest.mark.parametrize("leave", LEAVINGS, ids=lambda leave: leave.__name__)
def test_who_left_is_sent_nothing_even_when_it_was_queued(a1, leave):
    incident(subscribe(a1), T0)
    assert summaries.send_daily_summaries(MORNING) == 1
    leave(a1)
    assert work(MORNING) == 0
    assert summaries_to(a1) == []
    row = OutboxMessage.objects.get(kind=summaries.MAIL)
    assert (row.state, row.state_reason) == ("dropped", LEAVINGS[leave])
    assert work(MORNING + timedelta(days=1)) == 0


def test_who_never_asked_is_sent_nothing(a1, a2):
    incident(subscribe(a1), T0)
    work(MORNING)
    assert (len(summaries_to(a1)), summaries_to(a2)) == (1, [])


def test_one_person_s_trouble_is_not_the_others(a1, a2, caplog):
    incident(subscribe(a1, time_zone="Mars/Olympus"), T0)
    subscribe(a2)
    with caplog.at_level(logging.ERROR):
        assert summaries.send_daily_summaries(MORNING) == 1
    assert f"the daily summary for person {a1.pk} failed" in caplog.text
    with time_machine.travel(MORNING, tick=False):
        outbox.sweep(MORNING)
    assert len(summaries_to(a2)) == 1
