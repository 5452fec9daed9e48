"""The outbox's rows: queued once, claimed by one, retried in order, never in each other's way, never stale."""

from __future__ import annotations

import collections
import itertools
import threading
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import OperationalError, connection, transaction
from django.db.models import ProtectedError

from incidents import actions
from incidents import sweep as clockwork
from incidents.models import Message
from portal import claims, outbox, tasks, wakeups
from portal.channels import email
from portal.channels.base import Permanent, Rendered, Temporary
from portal.models import OutboxMessage, User
from tests import factories
from tests.conftest import T0

pytestmark = pytest.mark.django_db
State = OutboxMessage.State
DAY = timedelta(hours=24)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def render(message: OutboxMessage) -> Rendered:
    if message.facts.get("is_broken"):
        raise RuntimeError("the template is broken")
    return Rendered(subject=message.dedupe_key, text="Text.\n", html="<p>Text.</p>")


def why_not(message: OutboxMessage) -> str:
    if message.facts.get("is_unknowable"):
        raise LookupError("the event is gone")
    return message.facts.get("why_not", "")


@pytest.fixture(autouse=True)
def clock():
    """The present, which stands still unless a test moves it."""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _kinds(monkeypatch):
    for name in ("plain", "other"):
        monkeypatch.setitem(outbox.KINDS, name, outbox.MessageKind(name, render, why_not))
    monkeypatch.setattr(wakeups.Broker, "is_spared_until", 0.0)


@pytest.fixture
def ada(db):
    return User.objects.create_user("ada@acme.example", name="Ada")


@pytest.fixture
def nudges(monkeypatch):
    """Every wake-up that the broker got."""
    found = []
    monkeypatch.setattr(tasks.deliver_outbox, "apply_async", lambda **options: found.append(options))
    return found


@pytest.fixture
def server(monkeypatch):
    """A channel that fails with what `server.says` holds for a dedupe key; what it takes is in `taken`."""

    class Server:
        says: dict = {}
        taken: list = []

    server = Server()
    server.says, server.taken = {}, []

    def send(mailer, message, rendered):
        said = server.says.get(message.dedupe_key)
        if callable(said):
            said = said()
        if isinstance(said, BaseException):
            raise said
        server.taken.append(message.dedupe_key)
        return email.Sent("ada@acme.example", rendered.subject, rendered.text, rendered.html, {}, "250 ok")

    monkeypatch.setattr(email.Mailer, "send", send)
    return server


def queue(person, key, *, kind="plain", now=T0, **more) -> OutboxMessage:
    assert outbox.enqueue(kind, person, now=now, dedupe_key=key, **more)
    return OutboxMessage.objects.get(dedupe_key=key)


def row(key) -> OutboxMessage:
    return OutboxMessage.objects.get(dedupe_key=key)


def states() -> dict[str, str]:
    return dict(OutboxMessage.objects.exclude(kind="outbox_alarm").values_list("dedupe_key", "state"))


# --- in ---


def test_the_same_dedupe_key_makes_one_row(ada):
    made = [outbox.enqueue("plain", ada, now=T0, dedupe_key="one") for _ in range(3)]
    assert made == [True, False, False]
    assert OutboxMessage.objects.count() == 1


def test_a_rolled_back_verb_leaves_no_row_and_wakes_nobody(ada, nudges, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        queue(ada, "one")
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()
    assert nudges == []


def test_a_worker_is_woken_after_the_commit_once(ada, nudges, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        for key in ("one", "two", "three"):
            queue(ada, key)
        assert nudges == []
    assert len(nudges) == 1


def test_a_savepoint_rolled_back_takes_no_wake_up_along(ada, nudges, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            queue(ada, "lost")
            transaction.set_rollback(True)
        queue(ada, "kept")
    assert len(nudges) == 1
    assert states() == {"kept": "queued"}


def test_a_broker_that_is_away_costs_neither_message_nor_patience(ada, monkeypatch):
    asked = []

    def refuse(**options):
        asked.append(options)
        raise OSError("connection refused")

    monkeypatch.setattr(tasks.deliver_outbox, "apply_async", refuse)
    for _ in range(5):
        wakeups.nudge()
    assert len(asked) == 1


# --- claims ---


def test_no_two_claimers_hold_the_same_row(ada):
    for number in range(claims.BATCH + 5):
        queue(ada, f"m{number}")
    held = [[message.pk for message in outbox.claim(T0)] for _ in range(3)]
    assert [len(pks) for pks in held] == [claims.BATCH, 5, 0]
    assert len({pk for pks in held for pk in pks}) == claims.BATCH + 5


def test_urgent_rows_are_claimed_first_and_future_ones_not_at_all(ada):
    queue(ada, "low", priority=OutboxMessage.Priority.LOW)
    queue(ada, "urgent", priority=OutboxMessage.Priority.URGENT, now=T0 + seconds(1))
    queue(ada, "later", now=T0 + seconds(60))
    assert [m.dedupe_key for m in outbox.claim(T0 + seconds(2))] == ["urgent", "low"]


@pytest.mark.parametrize(("after", "is_taken_over"), [(-1, False), (0, True), (3600, True)])
def test_a_lease_is_taken_over_only_once_it_has_ended(ada, settings, after, is_taken_over):
    queue(ada, "one")
    (first,) = outbox.claim(T0)
    second = outbox.claim(T0 + seconds(settings.OUTBOX_LEASE_SECONDS + after))
    assert bool(second) == is_taken_over
    assert all(
        m.pk == first.pk and m.lease != first.lease and m.message_id == first.message_id for m in second
    )


def deliver(message, now) -> outbox.SweepReport:
    report = outbox.SweepReport()
    with email.Mailer() as mailer:
        outbox.deliver(message, mailer, report, now)
    return report


def test_who_lost_the_lease_sends_nothing(ada, settings):
    queue(ada, "one")
    (first,) = outbox.claim(T0)
    later = T0 + seconds(settings.OUTBOX_LEASE_SECONDS)
    (second,) = outbox.claim(later)
    assert deliver(first, later).sent == 0
    assert deliver(second, later).sent == 1
    assert len(mail.outbox) == 1


def test_who_sent_says_so_even_if_the_lease_was_lost_meanwhile(ada, server, settings):
    queue(ada, "one")
    (first,) = outbox.claim(T0)
    later = T0 + seconds(settings.OUTBOX_LEASE_SECONDS)
    stolen = []
    server.says["one"] = lambda: stolen.extend(outbox.claim(later))
    assert deliver(first, T0).sent == 1
    assert deliver(stolen[0], later).sent == 0
    assert (server.taken, row("one").state) == (["one"], State.SENT)


def test_what_time_leaves_over_is_given_back_at_once(ada, server, clock):
    for key in ("one", "two", "three"):
        queue(ada, key)
    server.says["one"] = lambda: clock.move_to(T0 + timedelta(minutes=3))
    outbox.sweep(T0)
    assert states() == {"one": "sent", "two": "queued", "three": "queued"}
    assert row("two").attempts == 0
    assert row("two").lease is None


def test_fifty_sweeps_at_once_send_each_of_two_hundred_once(transactional_db, nudges):
    person = User.objects.create_user("ada@acme.example", name="Ada")
    OutboxMessage.objects.bulk_create(
        OutboxMessage(kind="plain", recipient=person, dedupe_key=f"m{number}") for number in range(200)
    )
    at_once(50, lambda: outbox.sweep(T0))
    ids = collections.Counter(m.extra_headers["Message-ID"] for m in mail.outbox)
    assert (len(ids), set(ids.values())) == (200, {1})
    assert set(states().values()) == {"sent"}


def at_once(count, work):
    """In threads where the database serves them, one after the other where it has one writer."""
    if connection.vendor != "postgresql":
        for _ in range(count):
            work()
        return
    barrier, errors = threading.Barrier(count), []

    def run():
        try:
            barrier.wait()
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


# --- failures ---


def attempts_of(key, clock) -> list[float]:
    """Sweep whenever the message is due until it is not queued any more; seconds since T0 of each attempt."""
    made = []
    while row(key).state == State.QUEUED:
        clock.move_to(row(key).next_attempt_at)
        made.append((row(key).next_attempt_at - T0).total_seconds())
        outbox.sweep(row(key).next_attempt_at)
    return made


def test_a_temporary_failure_is_retried_at_growing_intervals_for_a_day(ada, m1, server, clock):
    queue(ada, "one")
    server.says["one"] = Temporary("451 try again later")
    made = attempts_of("one", clock)
    waits = [after - before for before, after in itertools.pairwise(made)]
    assert waits[:8] == list(outbox.BACKOFF_SECONDS)
    assert waits[:-1] == sorted(waits[:-1])
    assert made[-1] == DAY.total_seconds()
    assert (row("one").state, row("one").state_reason) == (State.SET_ASIDE, "451 try again later")


def test_a_message_first_tried_after_a_day_without_workers_has_a_second_attempt(ada, server, clock):
    queue(ada, "one")
    clock.move_to(T0 + 2 * DAY)
    server.says["one"] = Temporary("421 just starting")
    outbox.sweep(T0 + 2 * DAY)
    assert row("one").state == State.QUEUED
    attempts_of("one", clock)
    assert (row("one").state, row("one").attempts) == (State.SET_ASIDE, 2)


def test_a_temporary_failure_that_passes_is_forgotten(ada, server, clock):
    queue(ada, "one")
    server.says["one"] = Temporary("451 try again later")
    outbox.sweep(T0)
    assert (row("one").state, row("one").state_reason) == (State.QUEUED, "451 try again later")
    server.says.clear()
    clock.shift(10)
    outbox.sweep(T0)
    assert (row("one").state, row("one").state_reason, row("one").attempts) == (State.SENT, "", 2)


def test_a_permanent_failure_is_set_aside_at_once_and_staff_hear(ada, m1, root, server, clock):
    for key in ("one", "two"):
        queue(ada, key)
        server.says[key] = Permanent("550 5.1.1 no such user")
    outbox.sweep(T0)
    assert (row("one").state, row("one").state_reason) == (State.SET_ASIDE, "550 5.1.1 no such user")
    alarms = OutboxMessage.objects.filter(kind="outbox_alarm").order_by("recipient")
    assert [(a.recipient, a.priority) for a in alarms] == [(m1, 0), (root, 0)]


def test_staff_are_alarmed_at_most_once_an_hour(ada, m1, server, clock):
    for minutes in (0, 30, 60):
        clock.move_to(T0 + timedelta(minutes=minutes))
        queue(ada, f"m{minutes}")
        server.says[f"m{minutes}"] = Permanent("550 no")
        outbox.sweep(T0)
    assert OutboxMessage.objects.filter(kind="outbox_alarm", recipient=m1).count() == 2


def test_an_alarm_that_fails_alarms_nobody(m1, server):
    stuck = queue(m1, "one")
    queue(m1, "alarm", kind="outbox_alarm", facts={"message": stuck.pk})
    server.says["alarm"] = Permanent("550 no")
    outbox.sweep(T0)
    assert OutboxMessage.objects.filter(kind="outbox_alarm").count() == 1


POISON = {
    "a broken template": ({"facts": {"is_broken": True}}, "RuntimeError: the template is broken"),
    "an unknown kind": ({"kind": "of-tomorrow"}, "KeyError: 'of-tomorrow'"),
    "a lost event": ({"facts": {"is_unknowable": True}}, "LookupError: the event is gone"),
}


@pytest.mark.parametrize("poison", POISON)
def test_poison_is_set_aside_after_three_tries_and_the_others_go_at_once(ada, clock, poison):
    fields, reason = POISON[poison]
    queue(ada, "poison", priority=OutboxMessage.Priority.URGENT, **fields)
    for number in range(30):
        queue(ada, f"m{number}")
    outbox.sweep(T0)
    assert collections.Counter(states().values()) == {"sent": 30, "queued": 1}
    assert len(attempts_of("poison", clock)) == 2
    assert (row("poison").state, row("poison").state_reason) == (State.SET_ASIDE, reason)


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b@c.example", "a@b.example, x@evil.example", "a b@c.example"]
)
def test_an_address_that_is_none_is_set_aside_with_its_reason(ada, address):
    User.objects.filter(pk=ada.pk).update(email=address)
    ada.refresh_from_db()
    queue(ada, "poison")
    queue(factories.agent("g@briqmind.example", "Gül"), "other")
    outbox.sweep(T0)
    assert (row("poison").state, row("poison").state_reason) == (
        State.SET_ASIDE,
        f"“{address}” is not an e-mail address",
    )
    assert row("other").state == State.SENT


def test_who_has_messages_cannot_be_deleted(ada):
    queue(ada, "one")
    with pytest.raises(ProtectedError):
        ada.delete()


def test_a_reason_that_no_database_takes_is_made_one(ada, server):
    queue(ada, "one")
    server.says["one"] = Permanent("550 no\0\r\nnever " + "x" * 5000)
    outbox.sweep(T0)
    assert row("one").state_reason.startswith("550 no never xxx")
    assert len(row("one").state_reason) == 1000


def test_a_database_that_refuses_one_outcome_does_not_stop_the_others(ada, server, monkeypatch):
    finish = outbox._finish

    def refuse_one(message, **columns):
        if message.dedupe_key == "one":
            raise OperationalError("deadlock detected")
        return finish(message, **columns)

    monkeypatch.setattr(outbox, "_finish", refuse_one)
    queue(ada, "one", facts={"why_not": "for a reason"})
    queue(ada, "two")
    outbox.sweep(T0)
    assert states() == {"one": "claimed", "two": "sent"}


def test_a_stopped_worker_gives_back_the_rest_and_its_message_goes_out_after_the_lease(
    ada, server, settings, clock
):
    for key in ("one", "two"):
        queue(ada, key)
    server.says["one"] = SystemExit()
    with pytest.raises(SystemExit):
        outbox.sweep(T0)
    assert states() == {"one": "claimed", "two": "queued"}
    server.says.clear()
    outbox.sweep(T0)
    assert server.taken == ["two"]
    clock.shift(settings.OUTBOX_LEASE_SECONDS)
    outbox.sweep(T0)
    assert server.taken == ["two", "one"]


def test_a_message_that_kills_its_worker_again_and_again_waits_while_others_go(ada, settings):
    queue(ada, "poison", priority=OutboxMessage.Priority.URGENT)
    now = T0
    for _ in range(2):  # kill -9: nothing runs after the attempt has begun
        (message,) = outbox.claim(now)
        assert outbox._begin(message, now) is not None
        now += seconds(settings.OUTBOX_LEASE_SECONDS)
    queue(ada, "victim", now=now)
    outbox.sweep(now)
    assert states() == {"poison": "queued", "victim": "sent"}
    assert row("poison").state_reason == outbox.STOPPED
    assert row("poison").next_attempt_at == now + seconds(60)


# --- asked again at send time ---


def test_who_was_deactivated_is_not_mailed_even_after_the_claim(ada, server):
    gus = User.objects.create_user("gus@acme.example", name="Gus")
    queue(ada, "one")
    queue(gus, "two")
    server.says["one"] = lambda: deactivate(gus)
    outbox.sweep(T0)
    assert server.taken == ["one"]
    assert (row("two").state, row("two").state_reason) == (
        State.DROPPED,
        "the recipient is not active any more",
    )


def an_answer(a1, g1, clock):
    """An incident of which only the answer to the customer is left to be sent."""
    made = factories.incident(a1, T0)
    outbox.sweep(T0)
    mail.outbox.clear()
    actions.reply(made, by=g1, now=T0, channel="portal", text="We found it.")
    return made


def leave(a1, incident):
    a1.memberships.all().delete()


def move(a1, incident):
    a1.memberships.update(organisation=factories.organisation("Nordwind"))


def deactivate(person, incident=None):
    User.objects.filter(pk=person.pk).update(is_active=False)


def make_internal(a1, incident):
    Message.objects.filter(incident=incident).update(is_public=False)


BETWEEN = {
    leave: "the recipient does not belong to the organisation any more",
    move: "the recipient does not belong to the organisation any more",
    deactivate: "the recipient is not active any more",
    make_internal: "its text has been made internal",
}


@pytest.mark.parametrize("change", BETWEEN, ids=lambda change: change.__name__)
def test_what_changed_since_it_was_queued_is_seen_before_it_is_sent(a1, g1, clock, change):
    incident = an_answer(a1, g1, clock)
    change(a1, incident)
    outbox.sweep(T0)
    message = OutboxMessage.objects.get(kind="answered")
    assert (message.state, message.state_reason) == (State.DROPPED, BETWEEN[change])
    assert [m for m in mail.outbox if m.to == [a1.email]] == []
    assert message.text == ""


def test_staff_who_left_hear_no_more(a1, g1, g2, clock):
    factories.incident(a1, T0)
    User.objects.filter(pk=g2.pk).update(staff_role="", is_staff=False)
    outbox.sweep(T0)
    message = OutboxMessage.objects.get(kind="staff_opened", recipient=g2)
    assert message.state == State.DROPPED
    assert [m for m in mail.outbox if m.to == [g2.email]] == []


# --- stale ---


def test_the_newest_of_automatic_messages_to_one_end_replaces_the_others(ada, nudges):
    for number in range(4):
        queue(ada, f"m{number}", collapse_key="7:clock")
    outbox.sweep(T0)
    assert states() == {"m0": "dropped", "m1": "dropped", "m2": "dropped", "m3": "sent"}
    assert row("m0").state_reason == "replaced by a newer message"


def test_what_a_person_wrote_is_always_sent(ada):
    for number in range(3):
        queue(ada, f"m{number}", collapse_key="7:clock", is_automatic=False)
    outbox.sweep(T0)
    assert set(states().values()) == {"sent"}


def test_other_recipients_and_other_ends_replace_nothing(ada):
    gus = User.objects.create_user("gus@acme.example", name="Gus")
    queue(ada, "ada", collapse_key="7:clock")
    queue(gus, "gus", collapse_key="7:clock")
    queue(ada, "other end", collapse_key="8:clock")
    outbox.sweep(T0)
    assert set(states().values()) == {"sent"}


def test_a_retry_is_not_sent_after_a_newer_one_has_been(ada, server, clock):
    queue(ada, "old", collapse_key="7:clock")
    server.says["old"] = Temporary("451 try again later")
    outbox.sweep(T0)
    queue(ada, "new", collapse_key="7:clock", now=T0 + seconds(5))
    clock.shift(5)
    outbox.sweep(T0)
    server.says.clear()
    clock.shift(60)
    outbox.sweep(T0)
    assert states() == {"old": "dropped", "new": "sent"}


@pytest.mark.parametrize("facts", [{"why_not": "the clock does not run any more"}, {"is_unknowable": True}])
def test_a_newer_one_that_will_not_be_sent_replaces_nothing(ada, facts):
    queue(ada, "breached", collapse_key="7:clock")
    queue(ada, "warned", kind="other", collapse_key="7:clock", facts=facts)
    outbox.sweep(T0)
    assert row("breached").state == State.SENT
    assert row("warned").state != State.SENT


OUTAGES = {"of the mail worker": range(0, 361, 30), "of everything": [0, 360]}


@pytest.mark.parametrize("outage", OUTAGES)
def test_after_an_outage_of_six_hours_each_hears_once_of_each_clock(a1, a2, g1, m1, clock, outage):
    incident = factories.incident(a1, T0)
    actions.validate_level(incident, by=g1, now=T0, channel="portal", level="P1", reason="It is down.")
    for text in ("We are on it.", "We found it."):
        actions.reply(incident, by=g1, now=T0, channel="portal", text=text)
    for minutes in OUTAGES[outage]:
        clock.move_to(T0 + timedelta(minutes=minutes))
        clockwork.sweep(T0 + timedelta(minutes=minutes))
    about_clocks = OutboxMessage.objects.filter(collapse_key__contains=":clock:").order_by()
    ends = set(about_clocks.values_list("collapse_key", "recipient"))
    outbox.sweep(T0 + timedelta(hours=6))
    sent = about_clocks.filter(state=State.SENT)
    assert sorted(sent.values_list("collapse_key", "recipient")) == sorted(ends)
    replaced = about_clocks.filter(state=State.DROPPED, state_reason="replaced by a newer message")
    assert replaced.exists() == (outage != "of everything")  # what nobody noticed was not even queued
    assert [m.to[0] for m in mail.outbox if "We found it." in m.body] == [a1.email, a2.email]
    assert [m.to[0] for m in mail.outbox if "We are on it." in m.body] == [a1.email, a2.email]


# --- staff's second try, and the lag ---


def test_staff_put_a_message_that_was_set_aside_back(ada, server, nudges, django_capture_on_commit_callbacks):
    message = queue(ada, "one")
    server.says["one"] = Permanent("550 mailbox full")
    outbox.sweep(T0)
    with django_capture_on_commit_callbacks(execute=True):
        assert outbox.requeue(message, now=T0)
    assert (row("one").state, row("one").attempts, row("one").state_reason) == (State.QUEUED, 0, "")
    server.says.clear()
    outbox.sweep(T0)
    assert (row("one").state, row("one").message_id) == (State.SENT, message.message_id)


@pytest.mark.parametrize("state", [State.QUEUED, State.CLAIMED, State.SENT, State.DROPPED])
def test_no_other_message_can_be_put_back(ada, state):
    message = queue(ada, "one")
    OutboxMessage.objects.update(state=state)
    assert not outbox.requeue(message, now=T0)
    assert row("one").state == state


LAGS = [
    ("nothing", None, 0.0),
    ("queued and due", {"state": "queued", "next_attempt_at": T0 - seconds(40)}, 40.0),
    ("queued for later", {"state": "queued", "next_attempt_at": T0 + seconds(40)}, 0.0),
    ("a retry nobody makes", {"state": "queued", "attempts": 3, "next_attempt_at": T0 - seconds(50)}, 50.0),
    (
        "a claim nobody works on",
        {"state": "claimed", "lease_until": T0 + seconds(9), "next_attempt_at": T0 - seconds(111)},
        111.0,
    ),
    ("set aside", {"state": "set_aside", "next_attempt_at": T0 - seconds(60)}, 0.0),
    ("sent", {"state": "sent", "next_attempt_at": T0 - seconds(60)}, 0.0),
]


@pytest.mark.parametrize(("fields", "expected"), [case[1:] for case in LAGS], ids=[case[0] for case in LAGS])
def test_the_lag_is_honest(ada, fields, expected):
    if fields:
        OutboxMessage.objects.create(kind="plain", recipient=ada, dedupe_key="one", **fields)
    assert outbox.lag(T0) == expected


def test_a_report_says_what_was_done():
    report = outbox.SweepReport(sent=3, set_aside=1)
    assert str(report) == "3 sent, 0 retried, 1 set aside, 0 dropped"
