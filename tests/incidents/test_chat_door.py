"""The hatches of dedicated channels under attack: keys, signatures, bodies, and faults of ours."""

import json
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from incidents import actions
from incidents.intake import inbox
from incidents.models import InboundMessage, Message, SupportPlan
from portal.models import ApiToken, Endpoint, OutboxMessage
from tests.chat_senders import (
    SECRET,
    TOKEN,
    channel,
    command,
    event,
    knows,
    mattermost,
    post,
    signature,
    slack,
    thread,
)
from tests.conftest import T0
from tests.factories import incident
from tests.portal.test_outbox import at_once


@pytest.fixture(autouse=True)
def traveller(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def made(a1, g1):
    return incident(a1, T0)


@pytest.fixture
def room(acme, a1, made):
    found = channel(acme)
    knows(found, "U0ADA", a1)
    return found


@pytest.fixture
def town(acme, a1, made):
    found = channel(acme, "mattermost")
    knows(found, "uada", a1)
    return found


def stored():
    return InboundMessage.objects.count(), Message.objects.count()


def said(made, words="It is worse."):
    return f"{made.reference}: {words}"


# --- who is let in ---


def other_channels(acme, nordwind):
    """Channels that must not be written in, by why."""
    gone = channel(acme, name="gone", removed_at=T0)
    off = channel(acme, name="off", is_active=False)
    secretless = channel(acme, name="secretless", signing_secret="")
    blank = channel(acme, name="blank", signing_secret="  ")
    teams = channel(acme, "teams", name="teams", signing_secret=SECRET)
    webhooks = channel(acme, name="webhooks", use="webhooks")
    pager = Endpoint.objects.create(
        name="p", url="https://x.example/", service="slack", signing_secret=SECRET
    )
    unplanned = channel(nordwind, has_plan=False)
    found = {
        "gone": gone,
        "off": off,
        "secretless": secretless,
        "blank": blank,
        "teams": teams,
        "webhooks": webhooks,
        "pager": pager,
        "not in the plan": unplanned,
    }
    return {name: str(endpoint.key) for name, endpoint in found.items()} | {"unknown": str(uuid.uuid4())}


def test_whatever_is_no_open_channel_is_refused_alike(acme, nordwind, room, made):
    wrong = slack(room, event(said(made)), secret="x" * 32)
    assert wrong.status_code == 401
    assert wrong.headers["Content-Type"] == "application/problem+json"
    for name, key in other_channels(acme, nordwind).items():
        for secret in (SECRET, "", "  "):
            answer = slack(key, event(said(made)), secret=secret)
            assert (answer.status_code, answer.content) == (401, wrong.content), name
            assert answer.headers["WWW-Authenticate"] == wrong.headers["WWW-Authenticate"], name
    assert stored() == (0, 0)
    assert slack(room, event(said(made))).status_code == 200
    assert stored()[0] == 1


def test_the_same_for_mattermost(acme, nordwind, room, town, made):
    wrong = mattermost(town, post(said(made), token="x" * 26))
    assert wrong.status_code == 401
    keys = other_channels(acme, nordwind) | {"of slack": str(room.key)}
    for name, key in keys.items():
        for token in (TOKEN, SECRET, "", "  "):
            answer = mattermost(key, post(said(made), token=token))
            assert (answer.status_code, answer.content) == (401, wrong.content), name
    Endpoint.objects.filter(pk=town.pk).update(signing_secret="")
    for token in ("", " ", "-", "None", "no-channel-has-this"):
        assert mattermost(town, post(said(made), token=token)).status_code == 401
    assert stored() == (0, 0)


def test_a_channel_ends_with_its_organisation_and_with_its_plan(acme, room, town, made):
    def answers():
        return {slack(room, event(said(made))).status_code, mattermost(town, post(said(made))).status_code}

    assert answers() == {200}
    before = stored()
    SupportPlan.objects.update(has_dedicated_channel=False)
    assert answers() == {401}
    SupportPlan.objects.update(has_dedicated_channel=True)
    acme.is_active = False
    acme.save()
    assert answers() == {401}
    assert stored() == before


def test_each_service_has_its_own_address(room, town, made):
    assert slack(town, event(said(made)), secret=TOKEN).status_code == 401
    assert slack(town, event(said(made)), service="mattermost", secret=TOKEN).status_code == 401
    assert mattermost(room, post(said(made), token=SECRET), service="slack").status_code == 401
    assert stored() == (0, 0)


def test_a_person_opens_no_hatch(room, town, a2, root, made):
    for person in (a2, root):
        client = APIClient()
        client.force_login(person)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.objects.create(user=person)[1]}")
        for address in (f"slack/{room.key}", f"mattermost/{town.key}"):
            for method in ("get", "head", "options", "post", "put", "patch", "delete"):
                answer = getattr(client, method)(f"/api/v1/channels/{address}/", {"text": said(made)})
                assert answer.status_code == 401, (method, address)
    assert stored() == (0, 0)


def test_a_signed_get_is_no_way_in(room):
    timestamp = str(int(T0.timestamp()))
    signed = {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": signature(b"", timestamp),
    }
    for method in ("get", "put", "patch", "delete"):
        answer = getattr(Client(), method)(f"/api/v1/channels/slack/{room.key}/", headers=signed)
        assert answer.status_code == 405


# --- signatures ---


def test_a_forged_signature_is_refused_and_nothing_is_stored(room, made):
    body = json.dumps(event(said(made))).encode()
    now = str(int(T0.timestamp()))
    right = signature(body, now)
    forged = [
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": right[3:]},
        {"X-Slack-Signature": right[:-1]},
        {"X-Slack-Signature": right + "0"},
        {"X-Slack-Signature": right.upper()},
        {"X-Slack-Signature": "v1=" + right[3:]},
        {"X-Slack-Signature": f"{right},{right}"},
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": signature(body, now, "")},
        {"X-Slack-Signature": signature(body + b" ", now)},
        {"X-Slack-Signature": "v0=é\xff"},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "now"},
        {"X-Slack-Request-Timestamp": str(int(now) + 1)},
        {"X-Slack-Request-Timestamp": f" {now}x"},
        {"X-Slack-Request-Timestamp": "٣" * 10},
        {"X-Slack-Request-Timestamp": "9" * 5000},
    ]
    for headers in forged:
        signed = {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": right} | headers
        assert slack(room, body, **signed).status_code == 401, headers
    assert stored() == (0, 0)
    assert slack(room, body).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 200), (0, 200), (300, 200), (301, 401)])
def test_a_signature_lives_five_minutes(room, made, seconds, status):
    answer = slack(room, event(said(made)), at=T0 + timedelta(seconds=seconds))
    assert (answer.status_code, stored()[0]) == (status, int(status == 200))


@pytest.mark.parametrize(
    "timestamp", ["-1772532000", "+1772532000", "1772532000.0", "1_772_532_000", "٣", "nan"]
)
def test_a_timestamp_is_a_plain_number_even_when_it_is_signed(room, made, timestamp):
    body = json.dumps(event(said(made))).encode()
    stamped = timestamp.replace("1772532000", str(int(T0.timestamp())))
    headers = {"X-Slack-Request-Timestamp": stamped, "X-Slack-Signature": signature(body, stamped)}
    assert slack(room, body, **headers).status_code == 401
    assert stored() == (0, 0)


def test_a_replayed_request_is_one_message_and_later_none(room, made, traveller):
    body = json.dumps(event(said(made))).encode()
    assert [slack(room, body).status_code for _ in range(3)] == [200] * 3
    assert slack(room, body, X_Slack_Retry_Num="1", X_Slack_Retry_Reason="http_timeout").status_code == 200
    traveller.move_to(T0 + timedelta(minutes=6))
    assert slack(room, body, at=T0).status_code == 401
    inbox.sweep(T0 + timedelta(minutes=6))
    assert stored() == (1, 1)


def test_the_address_is_confirmed_only_to_who_can_sign(room, made):
    asked = {"token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV", "type": "url_verification"}
    assert slack(room, asked, secret="wrong").status_code == 401
    answer = slack(room, asked)
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1aBm2rZgRNFdxV"})
    assert slack(room, {"type": "url_verification", "challenge": {"a": 1}}).json() == {}
    assert stored() == (0, 0)
    assert slack(room, event(said(made)) | {"challenge": "x"}).json() == {}
    assert stored() == (1, 0)


def test_a_webhook_and_a_command_may_have_a_token_each(town, made):
    Endpoint.objects.filter(pk=town.pk).update(signing_secret=f"{TOKEN} other-token")
    for token, status in [(TOKEN, 200), ("other-token", 200), (f"{TOKEN} other-token", 401), ("other", 401)]:
        assert mattermost(town, post(said(made), token=token)).status_code == status


# --- whose key, whose incident ---


def test_another_organisation_s_channel_reaches_no_incident_of_mine(nordwind, a1, b1, room, made):
    theirs = channel(nordwind, signing_secret="their-secret")
    knows(theirs, "U0BO", b1)
    knows(theirs, "U0ADA", a1)  # an id of mine, remembered by mistake
    thread(theirs, made.reference, "1.1")
    for user in ("U0BO", "U0ADA"):
        slack(theirs, event(said(made), user=user), secret="their-secret")
        slack(theirs, event("in a thread", user=user, thread_ts="1.1"), secret="their-secret")
    slack(theirs, event(said(made)))  # signed with the secret of mine
    inbox.sweep(T0)
    assert Message.objects.count() == 0
    assert set(InboundMessage.objects.values_list("state", "outcome", "incident")) == {
        ("done", "ignored", None)
    }


def test_a_reference_of_others_and_an_invented_one_leave_the_same_behind(room, b1, g1):
    theirs = incident(b1, T0)
    answers = [slack(room, event(f"{reference}: words")) for reference in (theirs.reference, "INC-987654")]
    assert answers[0].content == answers[1].content
    rows = list(
        InboundMessage.objects.values("state", "outcome", "incident", "payload", "sender", "subject", "size")
    )
    assert rows[0] == rows[1]
    assert rows[0]["payload"] is None
    assert OutboxMessage.objects.filter(kind="staff_mail_held").count() == 0


def test_the_same_command_for_others_and_for_nobody_is_answered_alike(town, b1):
    theirs = incident(b1, T0)
    answers = [mattermost(town, command(f"{name}: x")).json() for name in (theirs.reference, "INC-987654")]
    assert answers[0] == answers[1]
    assert "Begin with the reference" in answers[0]["text"]


def test_an_id_is_somebody_only_in_the_channel_that_knows_them(acme, a1, room, made):
    second = channel(acme, name="second")
    slack(second, event(said(made)))
    inbox.sweep(T0)
    assert InboundMessage.objects.get().state == "held"
    assert Message.objects.count() == 0


def test_the_same_event_of_another_channel_is_another_message(acme, a1, room, made):
    second = channel(acme, name="second")
    knows(second, "U0ADA", a1)
    for endpoint in (room, second, room):
        slack(endpoint, event(said(made), event_id="Ev1"))
    inbox.sweep(T0)
    assert stored() == (2, 2)


# --- bodies ---


def test_a_body_of_more_than_256_kb_is_refused_and_not_kept(room, town, made):
    most = 256 * 1024
    body = json.dumps(event(said(made))).encode()
    padded = body + b" " * (most - len(body))
    assert slack(room, padded + b" ").status_code == 413
    assert slack(str(uuid.uuid4()), padded + b" ").status_code == 413
    assert mattermost(town, b"token=" + TOKEN.encode() + b"&text=" + b"x" * most).status_code == 413
    assert stored() == (0, 0)
    assert slack(room, padded).status_code == 200
    assert stored()[0] == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}"]
)
def test_a_signed_body_that_nobody_can_read_is_refused_with_its_reason(room, body):
    answer = slack(room, body)
    assert answer.status_code == 400
    assert "Nothing of it was stored." in answer.json()["detail"]
    assert stored() == (0, 0)


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"', b"{}", b'{"type": "event_callback"}'])
def test_a_signed_body_without_a_message_is_accepted_and_forgotten(room, body):
    assert slack(room, body).status_code == 200
    assert stored() == (0, 0)


def test_a_form_with_a_thousand_fields_is_no_token(town):
    body = b"&".join(b"token=" + TOKEN.encode() for _ in range(1000))
    assert mattermost(town, body).status_code == 401


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
NAMES = sorted(
    {*event(), *event()["event"], *post(), *command("x"), "thread_ts", "files", "subtype", "root_id"}
)
WORDS = st.sampled_from(
    ["message", "event_callback", "url_verification", "INC-1001: x", "INC-1001", "C0SUPPORT"]
)
ODD = st.dictionaries(st.sampled_from(NAMES), WORDS | JSON, max_size=8)
GARBAGE = (
    JSON
    | ODD
    | st.builds(lambda inner, outer: event() | outer | {"event": event()["event"] | inner}, ODD, ODD)
    | st.builds(lambda fields: post() | fields, ODD)
)
TRIED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@TRIED
@given(value=GARBAGE)
def test_no_signed_value_whatever_breaks_the_hatch(room, value):
    answer = slack(room, json.dumps(value).encode())
    assert answer.status_code == 200, answer.content
    inbox.sweep(T0)
    assert not InboundMessage.objects.exclude(state__in=["done", "held"]).exists()


@TRIED
@given(value=GARBAGE)
def test_no_value_with_the_token_breaks_the_other(town, value):
    fields = value | {"token": TOKEN} if isinstance(value, dict) else value
    answer = mattermost(town, json.dumps(fields).encode(), is_json=True)
    assert answer.status_code == (200 if isinstance(fields, dict) else 401), answer.content
    inbox.sweep(T0)
    assert not InboundMessage.objects.exclude(state__in=["done", "held"]).exists()


@TRIED
@given(body=st.binary(max_size=300) | GARBAGE.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_is_not_signed_is_stored(room, town, body):
    body = body.replace(TOKEN.encode(), b"y" * 26)
    assert slack(room, body, secret="wrong").status_code == 401
    for is_json in (True, False):
        assert mattermost(town, body, is_json=is_json).status_code == 401
        assert mattermost(room, body, is_json=is_json, service="slack").status_code == 401
    assert stored() == (0, 0)


# --- our own faults ---


def test_what_could_not_be_stored_is_never_called_taken(room, town, made, monkeypatch):
    def fails(*args, **kwargs):
        raise OperationalError("the disk is full")

    said_once = event(said(made))
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "store", fails)
        for answer in (slack(room, said_once), mattermost(town, post(said(made)))):
            assert (answer.status_code, "Send it again" in answer.json()["detail"]) == (503, True)
    assert slack(room, said_once).status_code == 200
    assert stored()[0] == 1


@pytest.mark.parametrize("table", ["portal_endpoint", "incidents_inboundmessage", "incidents_incident"])
def test_a_database_that_is_away_is_a_503(room, made, table):
    def away(execute, sql, params, many, context):
        if f'"{table}"' in sql:
            raise OperationalError("server closed the connection")
        return execute(sql, params, many, context)

    once = event(said(made))
    with connection.execute_wrapper(away):
        assert slack(room, once).status_code == 503
    assert slack(room, once).status_code == 200


def test_a_process_killed_between_storing_and_reading_loses_nothing(room, made, a1):
    """The row is there; whoever sweeps next makes the reply, with the receipt's own time."""
    slack(room, event(said(made)))
    assert (InboundMessage.objects.get().state, made.messages.count()) == ("received", 0)
    inbox.sweep(T0 + timedelta(minutes=7))
    message = made.messages.get()
    assert (message.author, message.received_at, message.channel) == (a1, T0, "chat")


def test_a_reader_killed_in_the_middle_did_nothing_and_the_next_does_it_once(room, made, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*args):
        raise Killed

    slack(room, event(said(made)))
    row = InboundMessage.objects.get()
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "_finish", die)
        with pytest.raises(Killed):
            inbox.process(row.pk, T0)
    assert made.messages.count() == 0
    for minutes in (5, 6):
        inbox.sweep(T0 + timedelta(minutes=minutes))
    assert made.messages.count() == 1


def test_what_goes_wrong_in_a_command_is_left_to_the_next_sweep(town, made, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("a bug of ours")

    with monkeypatch.context() as patch:
        patch.setattr(actions, "reply", fails)
        answer = mattermost(town, command(said(made)))
    assert (answer.status_code, answer.json()["text"]) == (200, "It has arrived; support sees to it.")
    inbox.sweep(T0 + timedelta(minutes=1))
    assert made.messages.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_event_at_once_is_one_reply(room, made):
    body = json.dumps(event(said(made))).encode()

    def send():
        answer = slack(room, body)
        assert answer.status_code == 200
        inbox.sweep(T0)

    at_once(6, send)
    inbox.sweep(T0 + timedelta(minutes=5))
    assert stored() == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_the_same_command_at_once_is_one_reply(town, made):
    fields = command(said(made))

    def send():
        assert mattermost(town, fields).status_code == 200

    at_once(6, send)
    inbox.sweep(T0 + timedelta(minutes=5))
    assert stored() == (1, 1)


def test_a_worker_is_woken_for_what_is_meant_for_us_only(
    room, made, monkeypatch, django_capture_on_commit_callbacks
):
    woken = []
    monkeypatch.setattr("incidents.intake.chat.door.wake_reader", lambda: woken.append(1))
    with django_capture_on_commit_callbacks(execute=True):
        slack(room, event("lunch?"))
    assert woken == []
    with django_capture_on_commit_callbacks(execute=True):
        slack(room, event(said(made)))
    assert woken == [1]


# --- the schema ---


def test_the_hatches_are_no_part_of_the_schema(a1, made):
    client = APIClient()
    client.force_authenticate(a1)
    answer = client.get("/api/v1/schema/?format=json")
    assert answer.status_code == 200
    assert "/api/v1/alarms/generic/" in answer.json()["paths"]
    hatches = ("/channels/slack/", "/channels/mattermost/")
    assert not [path for path in answer.json()["paths"] if any(hatch in path for hatch in hatches)]
