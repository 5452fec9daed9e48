"""The next channel when one fails: at once, once, and the first one is still retried; and what bounces."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from aiosmtpd.controller import Controller
from django.db import OperationalError, transaction

from incidents.models import SupportPlan
from portal import fallback, heartbeat, outbox, queueing, tasks, turns, wakeups
from portal.channels import email, webhook
from portal.channels.base import Permanent, Rendered, Temporary
from portal.endpoints import channel_of, endpoint_of
from portal.models import Endpoint, OutboxMessage
from tests import factories
from tests.conftest import T0
from tests.portal.test_email_channel import free_port, parsed, use_smtp

pytestmark = pytest.mark.django_db
State = OutboxMessage.State


def render(message: OutboxMessage) -> Rendered:
    if message.facts.get("is_broken"):
        raise RuntimeError("the template is broken")
    return Rendered(subject=message.dedupe_key, text="Text.\n", html="")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _kind(monkeypatch):
    kind = outbox.MessageKind("plain", render, lambda message: message.facts.get("why_not", ""))
    monkeypatch.setitem(outbox.KINDS, "plain", kind)


@pytest.fixture
def pager(g1):
    return Endpoint.objects.create(name="Pager of g1", url="https://pager.example.com/", person=g1)


@pytest.fixture
def team(db):
    return Endpoint.objects.create(name="Team", url="https://team.example.com/")


@pytest.fixture
def room(acme):
    return Endpoint.objects.create(
        name="Room of Acme", url="https://acme.example.com/", organisation=acme, use="channel"
    )


@pytest.fixture
def world(monkeypatch):
    """Both channels: each fails with what `mails` or `posts` hold for a dedupe key; what they take is in `taken`."""

    class World:
        mails: dict
        posts: dict
        taken: list

    world = World()
    world.mails, world.posts, world.taken = {}, {}, []

    def by(says, channel):
        def send(channel_, message, rendered):
            said = says.get(message.dedupe_key, says.get("*"))
            if said is not None:
                raise said
            world.taken.append((channel, message.dedupe_key))
            return email.Sent("x@y.example", rendered.subject, rendered.text, "", {}, "ok")

        return send

    monkeypatch.setattr(email.Mailer, "send", by(world.mails, "email"))
    monkeypatch.setattr(webhook.Poster, "send", by(world.posts, "webhook"))
    return world


def queue(person, key, *, endpoint=None, next_channels=("webhook",), **more) -> OutboxMessage:
    assert outbox.enqueue(
        "plain", person, now=T0, dedupe_key=key, endpoint=endpoint, next_channels=next_channels, **more
    )
    return row(key)


def row(key) -> OutboxMessage:
    return OutboxMessage.objects.get(dedupe_key=key)


def states() -> dict[str, str]:
    return dict(OutboxMessage.objects.exclude(kind="outbox_alarm").values_list("dedupe_key", "state"))


# --- what makes a message fall back ---

FAILURES = {
    "temporary": Temporary("451 try again later"),
    "permanent": Permanent("550 no such user"),
    "a bug": RuntimeError("what is this"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_mail_that_fails_goes_by_its_next_channel_in_the_same_pass_and_is_still_retried(
    g1, pager, world, clock, failure
):
    mail = queue(
        g1,
        "7:paged:1",
        endpoint=pager,
        subject_key="INC-7",
        collapse_key="7:clock",
        facts={"event": 7},
        priority=0,
    )
    world.mails["7:paged:1"] = FAILURES[failure]
    outbox.sweep(T0)
    twin = row("7:paged:1:webhook")
    for name in ("kind", "recipient", "endpoint", "facts", "subject_key", "collapse_key", "is_automatic"):
        assert getattr(twin, name) == getattr(mail, name), name
    assert (twin.channel, twin.priority, twin.next_channels, twin.state) == ("webhook", 0, [], "sent")
    assert twin.message_id != mail.message_id
    expected = "set_aside" if failure == "permanent" else "queued"
    assert (row("7:paged:1").state, row("7:paged:1").next_channels) == (expected, [])
    world.mails.clear()
    clock.shift(10)
    outbox.sweep(T0)
    mails = [] if failure == "permanent" else [("email", "7:paged:1")]
    assert world.taken == [("webhook", "7:paged:1:webhook"), *mails]


def test_what_cannot_be_rendered_falls_back_too(g1, pager):
    queue(g1, "one", endpoint=pager, facts={"is_broken": True})
    outbox.sweep(T0, channel="email")
    assert row("one:webhook").channel == "webhook"


def test_a_mail_whose_worker_is_killed_again_and_again_falls_back(g1, pager, settings):
    queue(g1, "one", endpoint=pager)
    now = T0
    for _ in range(2):
        (message,) = outbox.claim(now)
        assert outbox._begin(message, now) is not None
        now += timedelta(seconds=settings.OUTBOX_LEASE_SECONDS)
    outbox.sweep(now, channel="email")
    assert states() == {"one": "queued", "one:webhook": "queued"}


@pytest.mark.parametrize("state", ["sent", "dropped"])
def test_what_was_sent_or_is_no_longer_due_falls_back_nowhere(g1, pager, world, state):
    queue(g1, "one", endpoint=pager, facts={"why_not": "over" if state == "dropped" else ""})
    outbox.sweep(T0)
    assert states() == {"one": state}


def test_it_falls_back_once_however_often_it_fails(g1, pager, world, clock):
    queue(g1, "one", endpoint=pager)
    world.mails["one"] = Temporary("451 try again later")
    for _ in range(6):
        outbox.sweep(T0)
        clock.shift(4000)
    assert row("one").attempts == 6
    assert world.taken == [("webhook", "one:webhook")]


def test_staffs_second_try_does_not_fall_back_again(g1, pager, world):
    queue(g1, "one", endpoint=pager)
    world.mails["one"] = Permanent("550 no")
    outbox.sweep(T0)
    assert outbox.requeue(row("one"), now=T0)
    outbox.sweep(T0)
    assert sorted(states()) == ["one", "one:webhook"]


def test_failure_and_fallback_are_written_together(g1, pager, world, monkeypatch):
    queue(g1, "one", endpoint=pager)
    world.mails["one"] = Permanent("550 no")

    def refuse(message):
        raise OperationalError("deadlock detected")

    with monkeypatch.context() as patch:
        patch.setattr(queueing, "queue", refuse)
        outbox.sweep(T0)
    assert (row("one").state, row("one").next_channels) == (State.CLAIMED, ["webhook"])
    later = T0 + timedelta(hours=1)
    outbox.sweep(later)
    assert (row("one").state, row("one:webhook").state) == (State.SET_ASIDE, State.SENT)


# --- which channel is next, and to whom ---


def test_five_failing_mails_cause_one_post_to_the_room(a1, a2, a3, g1, g2, room, world):
    for person in (a1, a2, a3, g1, g2):
        queue(person, f"7:status_update:{person.pk}", endpoint=room)
    world.mails["*"] = Temporary("451 try again later")
    outbox.sweep(T0)
    assert world.taken == [("webhook", f"7:status_update:endpoint-{room.pk}")]
    post = row(f"7:status_update:endpoint-{room.pk}")
    assert (post.recipient, post.endpoint) == (None, room)


def test_a_post_that_was_queued_to_the_room_already_is_not_repeated(a1, room, world):
    key = f"7:status_update:endpoint-{room.pk}"
    queue(None, key, channel="webhook", endpoint=room, next_channels=())
    queue(a1, f"7:status_update:{a1.pk}", endpoint=room)
    world.mails["*"] = Temporary("451 try again later")
    outbox.sweep(T0)
    assert world.taken == [("webhook", key)]


def test_pagers_and_the_teams_endpoint_get_one_for_each_person(g1, g2, team, world):
    for person in (g1, g2):
        queue(person, f"7:paged:{person.pk}", endpoint=team)
    world.mails["*"] = Temporary("451 try again later")
    outbox.sweep(T0)
    assert sorted(world.taken) == [("webhook", f"7:paged:{person.pk}:webhook") for person in (g1, g2)]
    assert row(f"7:paged:{g1.pk}:webhook").recipient == g1


def test_a_webhook_that_fails_goes_by_mail(g1, pager, world):
    queue(g1, "one", channel="webhook", endpoint=pager, next_channels=["email"])
    world.posts["one"] = Permanent("410 Gone")
    outbox.sweep(T0)
    assert world.taken == [("email", "one:email")]
    assert row("one:email").endpoint == pager


def test_a_chain_goes_on_where_the_next_one_fails_too(g1, pager, world):
    queue(g1, "one", endpoint=pager, next_channels=["webhook", "email"])
    world.mails["one"] = world.posts["one:webhook"] = Temporary("no")
    outbox.sweep(T0)
    assert row("one:webhook").next_channels == []
    assert states() == {"one": "queued", "one:webhook": "queued", "one:webhook:email": "queued"}


def without(endpoint) -> Endpoint | None:
    endpoint.delete()
    return None


def inactive(endpoint) -> Endpoint:
    Endpoint.objects.update(is_active=False)
    return endpoint


@pytest.mark.parametrize("change", [without, inactive])
def test_a_channel_that_leads_nowhere_is_skipped(g1, pager, world, change):
    queue(g1, "one", endpoint=change(pager), next_channels=["webhook", "carrier_pigeon", "email"])
    world.mails["one"] = Temporary("451 try again later")
    outbox.sweep(T0, channel="email")
    assert states() == {"one": "queued", "one:email": "sent"}


def test_a_room_has_no_mail_address(room, world):
    queue(None, "one", channel="webhook", endpoint=room, next_channels=["email"])
    world.posts["one"] = Temporary("500")
    outbox.sweep(T0)
    assert states() == {"one": "queued"}


def test_a_long_key_stays_within_its_column_and_apart_from_others(g1, pager, room):
    for endpoint in (pager, room):
        keys = set()
        for last in "ab":
            message = OutboxMessage(kind="plain", recipient=g1, endpoint=endpoint, next_channels=["webhook"])
            message.dedupe_key = "x" * 195 + last + ":1"
            keys.add(fallback.twin(message, T0).dedupe_key)
        assert len(keys) == 2
        assert max(map(len, keys)) <= 200
        assert {key.rpartition(":")[2] for key in keys} == {
            "webhook" if endpoint == pager else f"endpoint-{room.pk}"
        }


@pytest.mark.parametrize("is_automatic", [True, False])
def test_a_mail_and_its_twin_do_not_replace_each_other(g1, pager, world, clock, is_automatic):
    queue(g1, "one", endpoint=pager, collapse_key="7:clock", is_automatic=is_automatic)
    world.mails["one"] = Temporary("451 try again later")
    outbox.sweep(T0)
    world.mails.clear()
    clock.shift(10)
    outbox.sweep(T0)
    assert states() == {"one": "sent", "one:webhook": "sent"}


def test_after_an_outage_of_both_channels_each_hears_once_by_each(g1, pager, world, clock):
    world.mails["*"] = world.posts["*"] = Temporary("down")
    for number in range(4):
        queue(g1, f"m{number}", endpoint=pager, collapse_key="7:clock")
        outbox.sweep(T0)
        clock.shift(20)
    world.mails.clear()
    world.posts.clear()
    clock.shift(6 * 3600)
    outbox.sweep(T0)
    assert sorted(world.taken) == [("email", "m3"), ("webhook", "m3:webhook")]


@pytest.mark.parametrize(
    "ends", [{"channel": "email"}, {"channel": "webhook"}, {"channel": "fax"}, {"channel": ""}]
)
def test_a_message_that_leads_nowhere_is_refused_at_once(ends):
    with pytest.raises(ValueError, match="leads nowhere"):
        outbox.enqueue("plain", None, now=T0, dedupe_key="one", **ends)


# --- who hears of it instead of a room ---


def post(room, instead, key="7:status_update:", **more) -> OutboxMessage:
    return queue(
        None,
        f"{key}endpoint-{room.pk}",
        channel="webhook",
        endpoint=room,
        next_channels=(),
        instead=instead,
        **more,
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_a_room_that_fails_is_told_to_people_in_the_same_pass_and_once(a1, a2, room, world, clock, failure):
    message = post(room, [a1.pk, a2.pk], subject_key="INC-7", facts={"event": 7}, priority=0)
    world.posts["*"] = FAILURES[failure]
    outbox.sweep(T0)
    assert world.taken == [("email", f"7:status_update:{person.pk}") for person in (a1, a2)]
    mail = row(f"7:status_update:{a1.pk}")
    for name in ("kind", "facts", "subject_key", "is_automatic", "priority"):
        assert getattr(mail, name) == getattr(message, name), name
    assert (mail.recipient, mail.channel, mail.next_channels, mail.instead) == (a1, "email", [], [])
    for _ in range(3):
        clock.shift(4000)
        outbox.sweep(T0)
    assert len(world.taken) == 2
    assert row(message.dedupe_key).instead == []


def test_a_room_that_takes_it_is_told_alone(a1, room, world):
    post(room, [a1.pk])
    outbox.sweep(T0)
    assert world.taken == [("webhook", f"7:status_update:endpoint-{room.pk}")]
    assert row(f"7:status_update:endpoint-{room.pk}").instead == [a1.pk]


def test_who_has_the_mail_already_does_not_get_it_twice(a1, a2, room, world):
    queue(a1, f"7:status_update:{a1.pk}", next_channels=())
    post(room, [a1.pk, a2.pk])
    world.posts["*"] = Temporary("500")
    outbox.sweep(T0)
    outbox.sweep(T0)
    assert sorted(world.taken) == sorted(("email", f"7:status_update:{person.pk}") for person in (a1, a2))


def test_who_is_no_longer_active_or_was_never_there_is_not_told(a1, a2, room, world):
    type(a1).objects.filter(pk=a1.pk).update(is_active=False)
    post(room, [a1.pk, 987_654, a2.pk])
    world.posts["*"] = Permanent("404")
    outbox.sweep(T0)
    assert world.taken == [("email", f"7:status_update:{a2.pk}")]
    assert not OutboxMessage.objects.filter(recipient=a1).exists()


def test_the_mail_is_checked_again_when_it_goes_out(a1, room, world):
    post(room, [a1.pk], facts={"why_not": ""})
    world.posts["*"] = Permanent("404")
    outbox.sweep(T0, channel="webhook")
    OutboxMessage.objects.filter(channel="email").update(
        facts={"why_not": "not of the organisation any more"}
    )
    outbox.sweep(T0)
    assert row(f"7:status_update:{a1.pk}").state == State.DROPPED
    assert world.taken == []


@pytest.mark.parametrize("change", [{"is_active": False}, {"removed_at": T0}])
def test_a_room_that_was_switched_off_before_is_told_to_people(a1, room, world, change):
    message = post(room, [a1.pk])
    Endpoint.objects.filter(pk=room.pk).update(**change)
    outbox.sweep(T0)
    assert row(message.dedupe_key).state == State.DROPPED
    assert world.taken == [("email", f"7:status_update:{a1.pk}")]


def test_what_is_no_longer_due_is_told_to_nobody(a1, room, world):
    post(room, [a1.pk], facts={"why_not": "over"})
    outbox.sweep(T0)
    assert (world.taken, OutboxMessage.objects.count()) == ([], 1)


def test_a_room_that_nobody_can_call_has_all_its_messages_told_at_once(
    a1, settings, acme, world, monkeypatch
):
    monkeypatch.undo()
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1:1"]
    room = Endpoint.objects.create(name="Down", url="http://127.0.0.1:1/", organisation=acme, use="channel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(outbox.KINDS, "plain", outbox.MessageKind("plain", render, lambda message: ""))
        for number in range(4):
            post(room, [a1.pk], key=f"{number}:opened:")
        outbox.sweep(T0, channel="webhook")
    mails = OutboxMessage.objects.filter(channel="email", recipient=a1)
    assert sorted(mails.values_list("dedupe_key", flat=True)) == [f"{n}:opened:{a1.pk}" for n in range(4)]


def test_failure_and_the_mails_instead_are_written_together(a1, room, world, monkeypatch):
    message = post(room, [a1.pk])
    world.posts["*"] = Permanent("404")

    def refuse(message):
        raise OperationalError("deadlock detected")

    with monkeypatch.context() as patch:
        patch.setattr(queueing, "queue", refuse)
        outbox.sweep(T0, channel="webhook")
    assert (row(message.dedupe_key).state, row(message.dedupe_key).instead) == (State.CLAIMED, [a1.pk])


# --- the mail server is away ---


@pytest.fixture
def nobody(settings, monkeypatch):
    """No mail server at all, and a second channel that takes everything."""
    use_smtp(settings, free_port())
    taken = []

    def send(poster, message, rendered):
        taken.append(message.dedupe_key)
        return email.Sent("", rendered.subject, rendered.text, "", {}, "204")

    monkeypatch.setattr(webhook.Poster, "send", send)
    return taken


def test_with_the_mail_server_away_everything_goes_by_the_next_channel_at_once(g1, pager, nobody, clock):
    for number in range(7):
        queue(g1, f"m{number}", endpoint=pager)
    queue(g1, "mail only", next_channels=())
    outbox.sweep(T0)
    assert nobody == [f"m{number}:webhook" for number in range(7)]
    assert (row("m6").state, row("m6").attempts, row("m6").next_attempt_at) == (State.QUEUED, 0, T0)
    clock.shift(3)
    queue(g1, "new", endpoint=pager)
    outbox.sweep(T0)
    assert nobody[7:] == ["new:webhook"]


def test_mails_follow_when_the_server_is_back_and_none_twice(g1, pager, nobody, settings, clock):
    kept = []

    class Keep:
        async def handle_DATA(self, server, session, envelope):
            kept.append(parsed(envelope.content)["Message-ID"])
            return "250 kept"

    for number in range(5):
        queue(g1, f"m{number}", endpoint=pager)
    outbox.sweep(T0)
    controller = Controller(Keep(), hostname="127.0.0.1", port=settings.EMAIL_PORT)
    controller.start()
    try:
        for _ in range(3):
            clock.shift(10)
            outbox.sweep(T0)
    finally:
        controller.stop()
    assert sorted(kept) == sorted(row(f"m{number}").message_id for number in range(5))
    assert len(nobody) == 5


def test_one_message_that_cannot_fall_back_stops_no_other(g1, pager, nobody, monkeypatch):
    twin = fallback.twin

    def refuse(message, now):
        if message.dedupe_key == "m3":
            raise OperationalError("deadlock detected")
        return twin(message, now)

    monkeypatch.setattr(fallback, "twin", refuse)
    for number in range(6):
        queue(g1, f"m{number}", endpoint=pager)
    outbox.sweep(T0)
    assert nobody == [f"m{number}:webhook" for number in range(6) if number != 3]
    assert row("m3").next_channels == ["webhook"]


def test_an_endpoint_that_does_not_answer_lets_its_messages_go_by_mail(g1, settings, monkeypatch, world):
    def send(poster, message, rendered):
        poster.away.add(message.endpoint_id)
        raise Temporary("ConnectionRefusedError")

    monkeypatch.setattr(webhook.Poster, "send", send)
    endpoint = Endpoint.objects.create(name="Down", url="https://down.example.com/")
    for number in range(5):
        queue(g1, f"m{number}", channel="webhook", endpoint=endpoint, next_channels=["email"])
    outbox.sweep(T0)
    assert world.taken == [("email", f"m{number}:email") for number in range(5)]


# --- neither waits for the other ---


def test_each_sweep_minds_its_own_channel(g1, pager, world):
    queue(g1, "mail")
    queue(g1, "post", channel="webhook", endpoint=pager)
    outbox.sweep(T0, channel="webhook")
    assert states() == {"mail": "queued", "post": "sent"}
    assert heartbeat.age("webhooks", T0) == 0
    assert heartbeat.age("outbox", T0) is None
    outbox.sweep(T0, channel="email")
    assert states() == {"mail": "sent", "post": "sent"}


def test_the_clockwork_sweeps_webhooks_by_an_entry_of_its_own(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["webhooks"]
    assert (entry["task"], entry["schedule"]) == (tasks.sweep_webhooks.name, 3.0)


def test_each_channel_is_woken_for_its_own_once(g1, pager, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(wakeups.Broker, "is_spared_until", 0.0)
    woken = []
    for task in (tasks.deliver_outbox, tasks.sweep_webhooks):
        monkeypatch.setattr(task, "apply_async", lambda task=task, **options: woken.append(task.name))
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        for number in range(3):
            queue(g1, f"m{number}")
            queue(g1, f"p{number}", channel="webhook", endpoint=pager)
    assert sorted(woken) == [tasks.deliver_outbox.name, tasks.sweep_webhooks.name]


def test_a_fallback_wakes_the_webhooks(g1, pager, world, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(wakeups.Broker, "is_spared_until", 0.0)
    woken = []
    monkeypatch.setattr(tasks.sweep_webhooks, "apply_async", lambda **options: woken.append(options))
    queue(g1, "one", endpoint=pager)
    world.mails["one"] = Temporary("no")
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep_outbox()
    assert len(woken) == 1


def test_no_more_than_two_threads_of_a_worker_wait_for_a_mail_server(g1, pager, world, monkeypatch):
    """A server that hangs holds two; whoever comes third turns to other work, and webhooks go meanwhile."""
    found = []

    def hang(now, ends, report):
        found.append("hangs")
        found.append(tasks.deliver_outbox())
        tasks.sweep_webhooks()

    monkeypatch.setitem(outbox.SWEEPS, "email", hang)
    queue(g1, "post", channel="webhook", endpoint=pager)
    tasks.sweep_outbox()
    assert found[:3] == ["hangs", "hangs", "others are at it"]
    assert states() == {"post": "sent"}
    with turns.TURNS["mails out"], turns.TURNS["mails out"]:
        assert tasks.sweep_outbox() == "others are at it"
    assert tasks.sweep_outbox() != "others are at it"


LAGS = [
    ({"attempts": 0}, 40.0),
    ({"attempts": 3}, 0.0),
    ({"attempts": 0, "next_attempt_at": T0 + timedelta(seconds=9)}, 0.0),
]


def test_a_receiver_that_fails_does_not_make_the_portal_late(pager):
    due = {"next_attempt_at": T0 - timedelta(seconds=40)}
    OutboxMessage.objects.create(kind="plain", endpoint=pager, channel="webhook", dedupe_key="one", **due)
    assert outbox.lag(T0) == 40
    Endpoint.objects.update(failing_since=T0)
    assert outbox.lag(T0) == 0


@pytest.mark.parametrize(("fields", "expected"), LAGS)
def test_a_webhook_that_is_retried_does_not_make_the_portal_late(pager, fields, expected):
    due = {"next_attempt_at": T0 - timedelta(seconds=40)} | fields
    OutboxMessage.objects.create(kind="plain", endpoint=pager, channel="webhook", dedupe_key="one", **due)
    assert outbox.lag(T0) == expected


# --- staff hear of what was set aside, by whatever way is left ---


def test_the_alarm_goes_to_the_team_where_mail_fails(a1, m1, team, world):
    queue(a1, "one", next_channels=())
    world.mails["*"] = Permanent("550 no")
    outbox.sweep(T0)
    alarm = OutboxMessage.objects.get(kind="outbox_alarm", channel="webhook")
    assert (alarm.recipient, alarm.endpoint, alarm.state) == (m1, team, State.SENT)
    assert f"to {a1.name} was not accepted" in alarm.text


def test_a_room_that_fails_is_named_in_the_alarm(m1, room, world):
    queue(None, "one", channel="webhook", endpoint=room, next_channels=())
    world.posts["one"] = Permanent("410 Gone")
    outbox.sweep(T0)
    outbox.sweep(T0)
    assert "to Room of Acme was not accepted" in OutboxMessage.objects.get(kind="outbox_alarm").text


# --- what did not arrive ---


@pytest.fixture
def envelopes(settings):
    """The envelope senders that a mail server was told, with the mails."""
    found = []

    class Keep:
        async def handle_DATA(self, server, session, envelope):
            found.append((envelope.mail_from, parsed(envelope.content)))
            return "250 kept"

    controller = Controller(Keep(), hostname="127.0.0.1", port=free_port())
    controller.start()
    use_smtp(settings, controller.port)
    yield found
    controller.stop()


def test_every_mail_has_a_bounce_address_of_its_own_and_the_sender_of_always(g1, a1, envelopes, settings):
    messages = [queue(person, f"m{person.pk}") for person in (g1, a1)]
    outbox.sweep(T0)
    assert len(envelopes) == 2
    for message, (sender, mail) in zip(messages, envelopes, strict=True):
        name = message.message_id.strip("<>").partition("@")[0]
        assert sender == f"bounce+{name}@{settings.MAIL_DOMAIN}"
        assert mail["From"].addresses[0].addr_spec == settings.SUPPORT_EMAIL
        assert mail["Sender"] is None
        assert outbox.by_bounce_address(sender) == message


def test_a_bounce_address_is_known_in_any_form_and_nothing_else_is(g1, pager, settings):
    message = queue(g1, "one")
    post = queue(g1, "post", channel="webhook", endpoint=pager)
    address = email.bounce_address(message)
    for form in (address.upper(), f"<{address}>", f" {address}\r\n"):
        assert outbox.by_bounce_address(form) == message
    name = address.partition("@")[0]
    for other in (
        "",
        "<>",
        settings.SUPPORT_EMAIL,
        f"{name}@evil.example",
        address[:-1],
        address.replace("bounce+", "support+"),
        address.replace("bounce+", "bounce+0"),
        f"bounce+{'0' * 32}@{settings.MAIL_DOMAIN}",
        f"x{address}",
        f"{address}, {address}",
        email.bounce_address(post),
    ):
        assert outbox.by_bounce_address(other) is None, other


def test_a_bounce_is_noted_once_and_falls_back(g1, pager, world):
    message = queue(g1, "one", endpoint=pager)
    outbox.sweep(T0)
    assert list(outbox.unhandled_unreached()) == []
    at = T0 + timedelta(minutes=3)
    outbox.bounced(message, at=at, reason="550 5.1.1 no\r\nsuch user")
    outbox.bounced(message, at=at + timedelta(minutes=1), reason="again")
    found = row("one")
    assert (found.state, found.unreached_at, found.state_reason) == (State.SENT, at, "550 5.1.1 no such user")
    assert list(outbox.unhandled_unreached()) == [found]
    outbox.sweep(at)
    assert world.taken == [("email", "one"), ("webhook", "one:webhook")]


def test_a_bounce_after_a_retry_falls_back_no_second_time(g1, pager, world, clock):
    message = queue(g1, "one", endpoint=pager)
    world.mails["one"] = Temporary("451 try again later")
    outbox.sweep(T0)
    world.mails.clear()
    clock.shift(10)
    outbox.sweep(T0)
    outbox.bounced(message, at=T0 + timedelta(minutes=3), reason="550 no such user")
    outbox.sweep(T0 + timedelta(minutes=3))
    assert world.taken == [("webhook", "one:webhook"), ("email", "one")]


def test_what_is_set_aside_did_not_arrive_and_staffs_second_try_starts_anew(g1, world):
    message = queue(g1, "one")
    world.mails["one"] = Permanent("550 no")
    outbox.sweep(T0)
    assert row("one").unreached_at == T0
    assert list(outbox.unhandled_unreached()) == [message]
    OutboxMessage.objects.update(is_unreached_handled=True)
    assert list(outbox.unhandled_unreached()) == []
    outbox.requeue(row("one"), now=T0)
    assert (row("one").unreached_at, row("one").is_unreached_handled) == (None, False)


def test_a_thread_of_mails_names_mails_only(g1, pager, world):
    queue(g1, "post", channel="webhook", endpoint=pager, subject_key="INC-7")
    outbox.sweep(T0)
    mail = queue(g1, "mail", subject_key="INC-7")
    assert row("post").message_id not in email.thread_headers(mail)["References"]


# --- whose endpoint ---


def test_a_persons_own_pager_comes_before_the_teams(g1, g2, a1, pager, team):
    assert (endpoint_of(g1), endpoint_of(g2), endpoint_of(a1)) == (pager, team, None)
    Endpoint.objects.filter(pk=pager.pk).update(is_active=False)
    assert endpoint_of(g1) == team
    Endpoint.objects.update(is_active=False)
    assert endpoint_of(g1) is None


def test_a_customers_own_pager_is_theirs_and_a_room_is_nobodys_pager(a1, g1, room):
    assert (endpoint_of(a1), endpoint_of(g1)) == (None, None)
    own = Endpoint.objects.create(name="Pager of a1", url="https://a1.example.com/", person=a1)
    assert endpoint_of(a1) == own


def test_a_room_is_its_organisations_only(acme, nordwind, room, team):
    assert channel_of(acme) is None  # its plan has none
    factories.plan_for(acme, T0)
    SupportPlan.objects.filter(organisation=acme).update(has_dedicated_channel=True)
    assert (channel_of(acme), channel_of(nordwind)) == (room, None)
    Endpoint.objects.update(is_active=False)
    assert channel_of(acme) is None
