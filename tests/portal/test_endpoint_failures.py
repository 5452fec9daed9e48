"""How the other side does: every call is on record, customers' webhooks have days, and what stays broken is switched off."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from standardwebhooks import Webhook, WebhookVerificationError

from portal import claims, endpoint_health, outbox
from portal.channels import calls, email, webhook
from portal.channels.base import Permanent
from portal.models import DeliveryAttempt, Endpoint, Membership, OutboxMessage, User
from tests import factories
from tests.conftest import T0
from tests.portal.test_outbox import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain")]
State = OutboxMessage.State
DAYS = timedelta(days=3)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def hooks(receiver, acme):
    """A receiver of Acme's webhooks."""
    return receiver(of=acme, use="webhooks")


def queue(sink, key="one", **more) -> OutboxMessage:
    assert outbox.enqueue(
        "plain", None, now=T0, dedupe_key=key, channel="webhook", endpoint=sink.endpoint, **more
    )
    return row(key)


def row(key="one") -> OutboxMessage:
    return OutboxMessage.objects.get(dedupe_key=key)


def sweep() -> outbox.SweepReport:
    return outbox.sweep(T0, channel="webhook")


def health(sink) -> Endpoint:
    return Endpoint.objects.get(pk=sink.endpoint.pk)


def notices() -> list[User]:
    rows = OutboxMessage.objects.filter(kind="endpoint_disabled").order_by("pk")
    return [message.recipient for message in rows]


# --- how long it is tried ---


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 408, 413, 422, 429, 500, 503])
def test_whatever_a_customers_machine_answers_it_is_asked_again(hooks, status):
    hooks.status = status
    queue(hooks)
    sweep()
    assert (row().state, row().next_attempt_at) == (State.QUEUED, T0 + timedelta(seconds=5))


def test_the_tries_thin_out_and_end_after_three_days(hooks, clock, m1):
    hooks.status = 400
    queue(hooks)
    queue(hooks, "later")
    OutboxMessage.objects.filter(dedupe_key="later").update(next_attempt_at=T0 + DAYS * 2)
    waits, before = [], T0
    while row().state == State.QUEUED:
        clock.move_to(row().next_attempt_at)
        waits.append((row().next_attempt_at - before).total_seconds())
        before = row().next_attempt_at
        sweep()
    assert waits[:8] == [0, 5, 300, 1800, 7200, 18000, 36000, 36000]
    assert before == T0 + DAYS
    assert (row().state, row().state_reason) == (State.SET_ASIDE, "400 Bad Request")
    assert not OutboxMessage.objects.filter(kind="outbox_alarm").exists()
    assert not outbox.unhandled_unreached().exists()


def test_a_webhook_that_we_cannot_write_is_ours_to_repair(hooks, clock, m1):
    queue(hooks, facts={"is_broken": True})
    for _ in range(3):
        sweep()
        clock.shift(400)
    assert row().state == State.SET_ASIDE
    assert OutboxMessage.objects.filter(kind="outbox_alarm", recipient=m1).exists()
    assert health(hooks).failing_since is None


@pytest.mark.parametrize(("of", "state"), [("channel", State.SET_ASIDE), ("pager", State.SET_ASIDE)])
def test_channels_and_pagers_keep_their_day_and_their_alarm(receiver, acme, m1, of, state):
    sink = receiver(of=acme if of == "channel" else None, status=404)
    queue(sink)
    sweep()
    assert row().state == state
    assert OutboxMessage.objects.filter(kind="outbox_alarm", recipient=m1).exists()
    assert list(outbox.unhandled_unreached()) == [row()]


def test_gone_is_gone_at_once(hooks, a2, a1, a3):
    hooks.status = 410
    queue(hooks)
    queue(hooks, "two")
    sweep()
    endpoint = health(hooks)
    assert (endpoint.is_active, endpoint.disabled_at, row().state) == (False, T0, State.SET_ASIDE)
    assert "410 Gone" in endpoint.disabled_reason
    assert (row("two").state, row("two").state_reason) == (
        State.DROPPED,
        "the endpoint is not active any more",
    )
    assert notices() == [a2]
    assert hooks.connections == 1


def test_a_channel_that_says_gone_is_not_switched_off_at_once(receiver, acme):
    sink = receiver(of=acme, status=410)
    queue(sink)
    sweep()
    assert (health(sink).is_active, row().state) == (True, State.SET_ASIDE)


# --- a receiver that asks for time ---


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "90", 90),
        (503, "90", 90),
        (429, "2", 5),
        (429, "999999", 3600),
        (429, "-5", 5),
        (429, "soon", 5),
        (429, "", 5),
        (429, "9" * 400, 5),
        (429, "Tue, 03 Mar 2026 10:02:00 GMT", 120),
        (429, "Tue, 03 Mar 2026 09:00:00 GMT", 5),
        (500, "90", 5),
    ],
)
def test_a_receiver_that_asks_for_time_gets_it(hooks, status, header, seconds):
    hooks.status, hooks.headers = status, {"Retry-After": header}
    queue(hooks)
    sweep()
    assert row().next_attempt_at == T0 + timedelta(seconds=seconds)


def test_it_gets_no_time_beyond_its_own_last_try(hooks, clock):
    hooks.status, hooks.headers = 429, {"Retry-After": "3600"}
    queue(hooks)
    OutboxMessage.objects.update(attempts=9, next_attempt_at=T0 + DAYS - timedelta(minutes=1))
    clock.move_to(T0 + DAYS - timedelta(minutes=1))
    sweep()
    assert row().next_attempt_at == T0 + DAYS + timedelta(minutes=59)
    clock.shift(3600)
    sweep()
    assert row().state == State.SET_ASIDE


# --- the record ---


def test_each_call_is_on_record(hooks, clock):
    hooks.status = 500
    queue(hooks)
    sweep()
    hooks.status = 200
    clock.shift(5)
    sweep()
    first, second = DeliveryAttempt.objects.order_by("pk")
    assert (first.at, first.is_accepted, first.answer) == (T0, False, "500 Internal Server Error")
    assert (second.at, second.is_accepted, second.answer) == (T0 + timedelta(seconds=5), True, "200 OK")
    assert {first.message, second.message} == {row()}


def test_how_long_a_call_took_is_on_record(receiver):
    queue(receiver(slow=0.2))
    sweep()
    assert 150 <= DeliveryAttempt.objects.get().milliseconds < 10_000


def test_a_call_that_was_never_made_is_not(hooks):
    queue(hooks, facts={"why_not": "over"})
    sweep()
    assert not DeliveryAttempt.objects.exists()


ERRORS = {
    "https://no-such-name.invalid/rooms/hush-hush": "the name of the host is not known",
    "http://127.0.0.1:1/rooms/hush-hush?token=hush-hush": "nobody listens there: the connection was refused",
    "https://10.0.0.1/rooms/hush-hush": "The host is at an address of an inner network.",
}


@pytest.mark.parametrize("url", ERRORS)
def test_what_fails_is_said_in_words_and_without_the_path(hooks, url, settings, monkeypatch):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1:1"]
    Endpoint.objects.update(url=url)
    queue(hooks)
    sweep()
    answer = DeliveryAttempt.objects.get().answer
    assert answer.startswith(ERRORS[url])
    assert "hush" not in answer + row().state_reason


def test_an_answer_that_quotes_the_address_or_the_token_is_kept_without_them():
    target = calls.guard.Target("https", "hooks.example.com", 443, "/services/hush-hush?token=xoxb-12", True)
    secrets = calls.secrets_of(target.path, {"Authorization": "Bearer secret-token"})
    said = calls.hide(
        "No /services/hush-hush?token=xoxb-12, hush-hush; xoxb-12: Bearer secret-token", secrets
    )
    assert not {"hush", "xoxb", "secret-token"} & set(said.replace("-", " ").replace(":", " ").split())
    for secret in ("hush-hush", "xoxb-12", "secret-token"):
        assert secret not in said


def test_a_status_line_that_quotes_the_address_is_kept_without_it(hooks, monkeypatch):
    from tests.webhook_sink import Receive

    def answer(request, status, said=""):
        request.send_response(status, f"no {request.path}")
        request.send_header("Content-Length", "0")
        request.end_headers()

    monkeypatch.setattr(Receive, "answer", answer)
    hooks.status = 404
    queue(hooks)
    sweep()
    shown = DeliveryAttempt.objects.get().answer + row().state_reason
    assert shown.startswith("404 no …")
    assert "hush" not in shown


def test_failing_begins_with_the_first_failure_and_ends_with_a_success(hooks, clock):
    hooks.status = 500
    queue(hooks)
    sweep()
    assert (health(hooks).failing_since, health(hooks).last_success_at) == (T0, None)
    clock.shift(5)
    sweep()
    assert health(hooks).failing_since == T0
    hooks.status = 200
    clock.shift(300)
    sweep()
    assert health(hooks).failing_since is None
    assert health(hooks).last_success_at == T0 + timedelta(seconds=305)


def test_a_failure_of_before_the_last_success_does_not_count(hooks):
    Endpoint.objects.update(last_success_at=T0 + timedelta(seconds=1))
    hooks.status = 500
    queue(hooks)
    sweep()
    assert health(hooks).failing_since is None


# --- switched off ---


def fail_for(sink, duration, clock) -> None:
    """It has failed for so long, and fails once more now."""
    sink.status = 500
    queue(sink)
    Endpoint.objects.filter(pk=sink.endpoint.pk).update(failing_since=T0 - duration)
    sweep()


def test_an_endpoint_that_fails_for_three_days_is_switched_off_once(hooks, clock, a2, a1, b1):
    queue(hooks, "waiting")
    OutboxMessage.objects.update(next_attempt_at=T0 + timedelta(hours=1))
    fail_for(hooks, DAYS, clock)
    endpoint = health(hooks)
    assert (endpoint.is_active, endpoint.disabled_at, endpoint.failing_since) == (False, T0, None)
    assert "500 Internal Server Error" in endpoint.disabled_reason
    assert notices() == [a2]
    change = endpoint.history.latest()
    assert (change.is_active, change.history_change_reason) == (False, "switched off by itself")
    clock.shift(3601)
    sweep()
    assert (row().state, row("waiting").state) == (State.DROPPED, State.DROPPED)
    assert row("waiting").state_reason == "the endpoint is not active any more"
    assert notices() == [a2]


def test_a_second_less_is_not_three_days(hooks, clock):
    fail_for(hooks, DAYS - timedelta(seconds=1), clock)
    assert health(hooks).is_active
    assert notices() == []


def test_what_was_switched_on_again_has_three_days_anew(hooks, clock):
    fail_for(hooks, DAYS, clock)
    Endpoint.objects.update(is_active=True)
    queue(hooks, "two")
    sweep()
    assert (health(hooks).is_active, health(hooks).failing_since) == (True, T0)


def test_the_notice_goes_to_who_looks_after_it(receiver, acme, a1, a2, a3, b1, g1, m1, h1, root, clock):
    inactive = factories.person("gone@acme.example", "Gone", acme, "manager")
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    for sink, expected in (
        (receiver(of=acme, use="webhooks"), [a2]),
        (receiver(of=acme), [a2]),
        (receiver(person=g1), [g1]),
        (receiver(), [m1, h1, root]),
    ):
        OutboxMessage.objects.all().delete()
        fail_for(sink, DAYS, clock)
        assert not health(sink).is_active
        assert notices() == expected


def test_the_notice_says_what_happened_and_where_to_go(hooks, clock, a2, settings):
    hooks.status = 500
    fail_for(hooks, DAYS, clock)
    outbox.sweep(T0, channel="email")
    mail = OutboxMessage.objects.get(kind="endpoint_disabled")
    assert mail.state == State.SENT
    assert "Room 1" in mail.subject
    for said in (
        "Sat 28 Feb 2026, ",
        "500 Internal Server Error",
        "Nothing is lost",
        f"{settings.SITE_URL}/channels/{hooks.endpoint.key}/",
    ):
        assert said in mail.text
        assert said in mail.html
    assert "hush" not in mail.text + mail.html


@pytest.mark.parametrize("change", ["role", "removed", "other organisation"])
def test_the_notice_is_checked_again_when_it_goes_out(hooks, clock, a2, nordwind, change):
    fail_for(hooks, DAYS, clock)
    if change == "role":
        Membership.objects.filter(user=a2).update(role="member")
    elif change == "removed":
        Endpoint.objects.update(removed_at=T0)
    else:
        Membership.objects.filter(user=a2).update(organisation=nordwind)
    outbox.sweep(T0, channel="email")
    assert OutboxMessage.objects.get(kind="endpoint_disabled").state == State.DROPPED


def test_a_customers_own_pager_leads_to_no_page_of_staffs(receiver, a1, clock, settings):
    fail_for(receiver(person=a1), DAYS, clock)
    outbox.sweep(T0, channel="email")
    mail = OutboxMessage.objects.get(kind="endpoint_disabled")
    assert (mail.recipient, mail.state) == (a1, State.SENT)
    assert "/admin/" not in mail.text + mail.html


def test_a_removed_endpoint_hears_nothing(hooks):
    queue(hooks)
    Endpoint.objects.update(removed_at=T0)
    sweep()
    assert (row().state, hooks.connections) == (State.DROPPED, 0)


def test_ten_workers_that_see_it_fail_switch_it_off_once(transactional_db, receiver, acme, a2):
    hooks = receiver(of=acme, use="webhooks")
    Endpoint.objects.update(failing_since=T0 - DAYS)
    message = queue(hooks)

    def fail():
        fresh = OutboxMessage.objects.select_related("endpoint").get(pk=message.pk)
        call = endpoint_health.Timed(lambda: None)
        endpoint_health.note_failure(fresh, call, Permanent("500"), T0)

    at_once(10 if connection.vendor == "postgresql" else 3, fail)
    assert notices() == [a2]
    assert health(hooks).history.filter(is_active=False).count() == 1


def test_a_pager_that_is_switched_off_has_its_pages_go_on(receiver, g1, clock):
    sink = receiver(person=g1)
    message = queue(sink)
    OutboxMessage.objects.filter(pk=message.pk).update(recipient=g1, next_channels=["email"])
    Endpoint.objects.update(is_active=False)
    sweep()
    assert (row().state, row("one:email").recipient) == (State.DROPPED, g1)


def test_what_is_no_longer_due_goes_on_nowhere(receiver, g1):
    message = queue(receiver(person=g1), facts={"why_not": "over"})
    OutboxMessage.objects.filter(pk=message.pk).update(recipient=g1, next_channels=["email"])
    sweep()
    assert (row().state, OutboxMessage.objects.count()) == (State.DROPPED, 1)


# --- again ---


@pytest.mark.parametrize("before", ["sent", "dropped", "set aside"])
def test_a_webhook_goes_again_under_the_same_id(hooks, clock, before):
    if before == "dropped":
        Endpoint.objects.update(is_active=False)
    hooks.status = 410 if before == "set aside" else 204
    queue(hooks)
    sweep()
    assert row().state == {"sent": State.SENT, "dropped": State.DROPPED, "set aside": State.SET_ASIDE}[before]
    made = DeliveryAttempt.objects.count()
    Endpoint.objects.update(is_active=True)
    hooks.status = 204
    clock.shift(86400 * 9)
    now = T0 + timedelta(days=9)
    assert outbox.replay(row(), now=now)
    assert (row().state, row().attempts, row().created_at, row().unreached_at) == (State.QUEUED, 0, now, None)
    sweep()
    got = hooks.received()[-1]
    assert got["headers"]["webhook-id"] == row().message_id.strip("<>")
    assert got["body"]["timestamp"] == "2026-03-03T10:00:00Z"  # when it happened
    assert (row().state, DeliveryAttempt.objects.count()) == (State.SENT, made + 1)


def test_it_has_three_days_anew(hooks, clock):
    queue(hooks)
    sweep()
    clock.shift(86400 * 9)
    hooks.status = 500
    outbox.replay(row(), now=T0 + timedelta(days=9))
    sweep()
    assert (row().state, row().attempts) == (State.QUEUED, 1)


def test_what_waits_or_is_a_mail_is_not_replayed(hooks, a1):
    queue(hooks)
    assert not outbox.replay(row(), now=T0)
    [claimed] = claims.claim_webhooks(T0, 1)
    assert not outbox.replay(claimed, now=T0)
    outbox.enqueue("plain", a1, now=T0, dedupe_key="mail")
    outbox.sweep(T0, channel="email")
    assert row("mail").state == State.SENT
    assert not outbox.replay(row("mail"), now=T0)
    assert not outbox.replay(OutboxMessage(pk=999_999, channel="webhook"), now=T0)


def test_pressed_by_ten_at_once_it_goes_once(transactional_db, receiver, acme):
    hooks = receiver(of=acme, use="webhooks")
    queue(hooks)
    sweep()
    done = []
    message = row()
    at_once(
        10 if connection.vendor == "postgresql" else 3, lambda: done.append(outbox.replay(message, now=T0))
    )
    assert done.count(True) == 1
    sweep()
    assert len(hooks.received()) == 2


def test_a_message_that_was_sent_by_mail_is_unharmed_by_all_this(a1, monkeypatch):
    outbox.enqueue("plain", a1, now=T0, dedupe_key="mail")
    monkeypatch.setattr(email.Mailer, "send", lambda *details: email.Sent("x@y.z", "s", "t", "", {}, "250"))
    outbox.sweep(T0, channel="email")
    assert (row("mail").answer, DeliveryAttempt.objects.count()) == ("250", 0)


# --- two secrets ---


def test_while_a_secret_is_being_replaced_each_of_them_verifies(hooks, clock):
    old = hooks.endpoint.secret
    new = hooks.endpoint.rotate(T0)
    hooks.endpoint.save()
    queue(hooks)
    sweep()
    [got] = hooks.received()
    content = webhook.body(row(), outbox.KINDS["plain"].render(row()))
    assert json.loads(content) == got["body"]
    for secret in (old, new):
        assert Webhook(secret).verify(content, got["headers"]) == got["body"]
    with pytest.raises(WebhookVerificationError):
        Webhook(Endpoint().secret).verify(content, got["headers"])
    clock.shift(86400)
    queue(hooks, "two")
    sweep()
    signatures = hooks.received()[-1]["headers"]["webhook-signature"]
    assert len(signatures.split()) == 1


def test_an_event_for_machines_says_its_data_and_nothing_else(hooks):
    queue(hooks, facts={"data": {"incident": {"reference": "INC-7"}}, "text": "No word of this."})
    sweep()
    [got] = hooks.received()
    assert got["body"] == {
        "type": "plain",
        "timestamp": "2026-03-03T10:00:00Z",
        "data": {"incident": {"reference": "INC-7"}},
    }
    assert '"INC-7"' in row().text
    assert "No word" not in row().text
