"""Chat rooms: what each service gets, in its own words, in which thread; and what its answer means."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
import time_machine
from django.utils import translation

from portal import outbox
from portal.channels import chat, chat_words
from portal.channels.base import Permanent, Rendered, Sent
from portal.models import ChatThread, DeliveryAttempt, Endpoint, OutboxMessage
from portal.standard_form import AffectedService, Kind, NextStep, StandardForm
from tests.conftest import T0
from tests.portal.test_webhook_channel import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain")]
State = OutboxMessage.State
TOKEN, ROOM = "xoxb-hush-hush", "C0ACME"
URL = "https://portal.example/incidents/INC-7/"
SERVICES = ["slack", "mattermost", "teams"]


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def room(receiver, acme):
    """Acme's room at a service, with a bot's token where `token` is given."""
    return lambda service, **more: receiver(of=acme, service=service, **more)


@pytest.fixture
def bot(room):
    return lambda service: room(service, token=TOKEN, room=ROOM)


def form(**more) -> dict:
    fields = {
        "kind": Kind.OUTAGE_UPDATE,
        "reference": "INC-7",
        "title": "API down",
        "state": "acknowledged",
        "state_word": "Acknowledged",
        "what": "We **look** at it.",
        "url": URL,
        "published_at": T0,
        "impact": "Requests fail.",
        "services": [AffectedService("Inference API", "outage", "Outage")],
        "since": T0,
        "next_steps": [NextStep("Fail over", "Deniz Kaya", T0.date())],
        "next_update_at": T0 + timedelta(minutes=30),
    }
    return StandardForm(**fields | more).as_json()


def queue(sink, key="one", **facts) -> OutboxMessage:
    subject_key = facts.pop("subject_key", "INC-7")
    assert outbox.enqueue(
        "plain",
        None,
        now=T0,
        dedupe_key=key,
        channel="webhook",
        endpoint=sink.endpoint,
        subject_key=subject_key,
        facts=facts,
    )
    return row(key)


def row(key="one") -> OutboxMessage:
    return OutboxMessage.objects.get(dedupe_key=key)


def sweep() -> outbox.SweepReport:
    return outbox.sweep(T0, channel="webhook")


def text_of(sink) -> str:
    """Everything that people read of the latest message."""
    body = sink.received()[-1]["body"]
    return body.get("text") or body.get("message") or chat_words.teams_text(body)


# --- what is said ---


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_room_gets_the_standard_form_with_a_link(room, service, token):
    sink = room(service, token=token, room=ROOM if token else "")
    queue(sink, subject="INC-7: API down", form=form(), text="Not this.", url=URL)
    sweep()
    assert row().state == State.SENT
    said = text_of(sink).replace("\\", "").replace(chat_words.INVISIBLE, "")
    for words in (
        "INC-7: API down",
        "Acknowledged",
        "We look at it.",
        "Requests fail.",
        "Inference API: Outage",
        "Tue 3 Mar 2026, 13:00 UTC+3",
        "Tue 3 Mar 2026, 13:30 UTC+3",
        "Fail over · Deniz Kaya · by Tue 3 Mar 2026",
        URL,
    ):
        assert words in said, words
    assert "Not this" not in said
    assert "Shortened" not in said


@pytest.mark.parametrize("service", SERVICES)
def test_a_message_without_a_form_says_its_text(room, service):
    sink = room(service)
    queue(sink, subject="Welcome", text="All is well.\n", url=URL)
    sweep()
    said = text_of(sink).replace("\\", "")
    assert "Welcome" in said
    assert "All is well." in said
    assert URL in said


@pytest.mark.parametrize("service", SERVICES)
def test_what_was_sent_is_kept(room, service):
    sink = room(service)
    queue(sink, form=form(), url=URL)
    sweep()
    kept = row()
    assert kept.text == text_of(sink)
    assert (kept.address, kept.subject) == (f"http://{sink.host}/", "one")
    assert kept.answer == {"teams": "202 Accepted"}.get(service, "200 OK")


def test_it_is_said_in_the_language_and_zone_of_the_organisation(room, acme):
    type(acme).objects.filter(pk=acme.pk).update(language="tr", time_zone="Europe/Berlin")
    sink = room("slack")
    queue(sink, form=form(), url=URL)
    sweep()
    assert "11:00 CET" in text_of(sink)
    with translation.override("tr"):
        assert f"*{chat_words._('Since:')}*" in text_of(sink)
    assert "Since:" not in text_of(sink)


def test_a_maintenance_notice_begins_and_ends():
    told = chat_words.told(
        Rendered(
            "S",
            "T",
            "",
            form=form(kind=Kind.MAINTENANCE_NOTICE, until=T0, more=[("Rollback", "If **bad**.")]),
        )
    )
    assert dict(told.facts)["From:"] == dict(told.facts)["Until:"]
    assert dict(told.facts)["Rollback:"] == "If bad."


def test_without_a_next_time_it_says_when():
    facts = dict(
        chat_words.told(
            Rendered("S", "T", "", form=form(next_update_at=None, next_update_word="when something changes"))
        ).facts
    )
    assert facts["Next update:"] == "when something changes"


# --- people's words are quoted, never obeyed ---

CALLS = [
    "<!channel> <!here> <!everyone> <@U024BE7LH> <#C024BE7LR> <!subteam^S1>",
    "<https://evil.example|https://portal.example> &lt;!channel&gt;",
    "@all @channel @here @ada",
    "[your bank](https://evil.example) ![](https://evil.example/x.png) <https://evil.example>",
    "[x]: https://evil.example\n[x]",
    "\\[your bank](https://evil.example) \\\\[your bank](https://evil.example)",
    "{{DATE(2026-01-01T00:00:00Z)}} <at>everyone</at>",
    "# big\n> quoted\n- listed\n1. one\n---\n~~gone~~ **bold** `code` ```block```",
    "\u2028line\rback\x00nul \ud800half",
]


@pytest.mark.parametrize("words", CALLS, ids=ascii)
@pytest.mark.parametrize("place", ["subject", "text", "what", "service", "step", "label"])
def test_nothing_calls_a_room_or_hides_an_address(words, place):
    rendered = rendered_with(words, place)
    slack = chat_words.slack(rendered)
    assert not set(slack.replace(f"<{URL}|Open in the portal>", "")) & set("<>")
    markdown = chat_words.mattermost(rendered)
    for call in ("@all", "@channel", "@here", "@ada"):
        assert call not in markdown
    assert links_of(markdown) == [URL]
    assert "@" not in markdown.replace(f"@{chat_words.INVISIBLE}", "")
    card = chat_words.teams(rendered)["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}  # these know no Markdown
    assert "{{" not in json.dumps(card)
    assert [action["url"] for action in card["actions"]] == [URL]


@pytest.mark.parametrize("name", ["eu-west-1", "App_Pool_01", "https://wiki.example/a_b-c?x=1&y=%20#part"])
def test_names_and_addresses_can_be_copied(name):
    rendered = rendered_with(f"See {name} now", "text")
    assert f"See {name} now" in chat_words.teams_text(chat_words.teams(rendered))
    assert f"See {name.replace('&', '&amp;')} now" in chat_words.slack(rendered)
    said = chat_words.mattermost(rendered)
    assert f"See {name} now" in (said if "://" in name else said.replace("\\", ""))
    assert chat_words.INVISIBLE not in said


def rendered_with(words, place) -> Rendered:
    if place in ("subject", "text"):
        return Rendered(**{"subject": "S", "text": "T", "html": "", "url": URL} | {place: words})
    made = {
        "what": {"what": words},
        "service": {"services": [AffectedService(words, "outage", words)]},
        "step": {"next_steps": [NextStep(words, words)]},
        "label": {"more": [(words, words)]},
    }
    return Rendered("S", "T", "", url=URL, form=form(**made[place]))


def links_of(text) -> list[str]:
    """The addresses that Markdown makes links of, behind other words or as images."""
    from markdown_it import MarkdownIt

    found = []
    for token in MarkdownIt("commonmark").parse(text):
        for child in token.children or []:
            found += (
                [child.attrs.get("href") or child.attrs.get("src")]
                if child.type in ("link_open", "image")
                else []
            )
    return found


def test_slack_is_told_of_its_three_characters_only():
    assert chat_words._slack_words("a & b < c > d & \"e\" 'f'") == "a &amp; b &lt; c &gt; d &amp; \"e\" 'f'"


def test_a_title_does_not_break_out_of_its_line():
    assert chat_words.slack(Rendered("a*b\n<c>", "T", "")).splitlines()[0] == "*a∗b &lt;c&gt;*"


def test_our_own_link_stays_one_whatever_is_in_it():
    rendered = Rendered("S", "T", "", url="https://portal.example/a|b>c)d?x=1&y=2")
    assert "<https://portal.example/a%7Cb%3Ec%29d?x=1&amp;y=2|Open in the portal>" in chat_words.slack(
        rendered
    )
    assert "](https://portal.example/a%7Cb%3Ec%29d?x=1&y=2)" in chat_words.mattermost(rendered)


# --- so much of it ---

LONG = {
    "text": {"text": "word & <word> " * 4000},
    "what": {"form": {"what": "[x](y) & " * 9000}},
    "services": {
        "form": {"services": [AffectedService(f"Service {n}", "outage", "Outage") for n in range(999)]}
    },
    "steps": {"form": {"next_steps": [NextStep("Step <&> " * 99, "Owner") for _ in range(500)]}},
    "more": {"form": {"more": [(f"Label {n}", "Text **x** " * 500) for n in range(300)]}},
    "subject": {"subject": "T<" * 5000},
    "signs": {"text": "\U0001f389" * 40_000},
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", LONG)
def test_a_long_message_is_cut_with_a_note_and_keeps_its_link(room, service, name):
    sink = room(service)
    words = dict(LONG[name])
    made = form(**words.pop("form")) if "form" in words else None
    queue(sink, **{"form": made, "url": URL, "text": "T"} | words)
    sweep()
    assert row().state == State.SENT
    said = text_of(sink).replace("\\", "")
    assert len(text_of(sink)) <= {"slack": 4000, "mattermost": 16_383, "teams": 21_000}[service]
    assert "Shortened. All of it is on the page." in said or name == "subject"
    assert URL in said
    if name == "what":
        assert len(text_of(sink)) > {"slack": 2000, "mattermost": 8000, "teams": 8000}[service]


def test_no_sign_is_cut_in_two():
    text = chat_words.slack(Rendered("S", "&" * 9000, "", url=URL))
    assert set(text.partition("\n")[2].partition("\nShortened")[0].replace("&amp;", "")) <= {"…"}


# --- threads ---


@pytest.mark.parametrize("service", ["slack", "mattermost"])
def test_the_first_message_opens_a_thread_and_the_others_answer_it(bot, service, clock):
    sink = bot(service)
    for key in ("one", "two", "three"):
        queue(sink, key)
    queue(sink, "other", subject_key="INC-8")
    queue(sink, "none", subject_key="")
    assert sweep().sent == 5
    roots = [got["body"].get("thread_ts", got["body"].get("root_id")) for got in sink.received()]
    thread = ChatThread.objects.get(subject_key="INC-7").thread_id
    assert roots == [None, thread, thread, None, None]
    assert ChatThread.objects.count() == 2
    assert {thread.endpoint for thread in ChatThread.objects.all()} == {sink.endpoint}


@pytest.mark.parametrize("service", ["slack", "mattermost"])
def test_a_thread_that_is_gone_is_opened_anew_at_once(bot, service):
    sink = bot(service)
    ChatThread.objects.create(endpoint=sink.endpoint, subject_key="INC-7", thread_id="gone", created_at=T0)
    for key in ("one", "two"):
        queue(sink, key)
    sweep()
    thread = ChatThread.objects.get().thread_id
    assert thread != "gone"
    assert [got["body"].get("thread_ts", got["body"].get("root_id")) for got in sink.received()] == [
        None,
        thread,
    ]
    assert (row().state, row().attempts, sink.connections) == (State.SENT, 1, 3)


@pytest.mark.parametrize("service", SERVICES)
def test_without_a_token_there_are_no_threads(room, service):
    sink = room(service)
    queue(sink)
    queue(sink, "two")
    sweep()
    assert not ChatThread.objects.exists()
    assert not any({"thread_ts", "root_id"} & set(got["body"]) for got in sink.received())


def test_a_thread_of_one_room_is_not_anothers(bot, receiver, nordwind):
    first = bot("slack")
    queue(first)
    sweep()
    second = receiver(of=nordwind, service="slack", token=TOKEN, room=ROOM)
    queue(second, "two")
    sweep()
    assert "thread_ts" not in second.received()[0]["body"]
    assert ChatThread.objects.count() == 2


def test_two_workers_that_open_a_thread_at_once_keep_the_first(bot):
    message = queue(bot("slack"))
    for thread in ("1.1", "2.2"):
        chat.note_thread(message, Sent("", "", "", "", {}, "", thread_id=thread), T0)
    assert ChatThread.objects.get().thread_id == "1.1"
    chat.note_thread(message, Sent("", "", "", "", {}, "", thread_id="3.3", replaces_thread="0.0"), T0)
    assert ChatThread.objects.get().thread_id == "1.1"  # somebody else was quicker
    chat.note_thread(message, Sent("", "", "", "", {}, "", thread_id="3.3", replaces_thread="1.1"), T0)
    assert ChatThread.objects.get().thread_id == "3.3"


def test_a_generic_room_stays_a_webhook(room):
    sink = room("webhook")
    queue(sink, form=form())
    sweep()
    assert sink.received()[0]["body"]["data"]["form"]["reference"] == "INC-7"
    assert "webhook-signature" in sink.received()[0]["headers"]


# --- what an answer means ---

SLACK_ERRORS = {
    **dict.fromkeys(
        ["ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"], State.QUEUED
    ),
    **dict.fromkeys(["request_timeout", "team_added_to_org"], State.QUEUED),
    **dict.fromkeys(["channel_not_found", "not_in_channel", "is_archived", "invalid_auth"], State.SET_ASIDE),
    **dict.fromkeys(
        ["account_inactive", "token_revoked", "missing_scope", "msg_too_long", "new_error"], State.SET_ASIDE
    ),
}


@pytest.mark.parametrize("error", SLACK_ERRORS)
def test_slack_says_200_and_means_something_else(bot, error):
    sink = bot("slack")
    sink.says = [(200, {"ok": False, "error": error})]
    queue(sink)
    sweep()
    assert (row().state, row().state_reason) == (SLACK_ERRORS[error], f"Slack: {error}")
    assert not ChatThread.objects.exists()
    assert not DeliveryAttempt.objects.get().is_accepted


@pytest.mark.parametrize("service", ["slack", "mattermost"])
@pytest.mark.parametrize("said", ["", "<html>", "[]", "{}", '"ok"', "null", '{"ok": "true"}', '{"ok": 1}'])
def test_what_is_no_answer_of_the_services_is_tried_again(bot, service, said):
    sink = bot(service)
    sink.says = [(200, said)]
    queue(sink)
    sweep()
    assert row().state == State.QUEUED
    assert "no answer of" in row().state_reason


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_asks_for_time_gets_it(room, service):
    sink = room(service)
    sink.says, sink.headers = [(429, "slow down")], {"Retry-After": "77"}
    queue(sink)
    sweep()
    assert (row().state, row().next_attempt_at) == (State.QUEUED, T0 + timedelta(seconds=77))


@pytest.mark.parametrize("service", ["slack", "mattermost"])
def test_a_bad_token_is_refused_and_said_to_nobody(bot, service, caplog):
    caplog.set_level("DEBUG")
    sink = bot(service)
    Endpoint.objects.update(access_token="xoxb-wrong-wrong")
    queue(sink)
    sweep()
    assert row().state == State.SET_ASIDE
    assert {"slack": "invalid_auth", "mattermost": "session_expired"}[service] in row().state_reason
    shown = json.dumps(list(OutboxMessage.objects.values()), default=str) + caplog.text
    shown += json.dumps(list(DeliveryAttempt.objects.values()), default=str) + repr(Endpoint.objects.get())
    assert "wrong-wrong" not in shown


@pytest.mark.parametrize("service", ["slack", "mattermost"])
def test_the_token_is_kept_nowhere(bot, service, caplog):
    caplog.set_level("DEBUG")
    sink = bot(service)
    queue(sink)
    sweep()
    assert sink.received()[0]["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert row().state == State.SENT
    shown = json.dumps(list(OutboxMessage.objects.values()), default=str) + caplog.text
    shown += json.dumps(list(DeliveryAttempt.objects.values()), default=str) + repr(Endpoint.objects.get())
    assert "hush" not in shown
    assert row().headers == {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "support-portal",
    }


@pytest.mark.parametrize("token", ["xoxb\r\nX-Evil: 1", "xoxb ü", "xoxb\0"])
def test_a_token_with_a_line_break_adds_no_header(bot, token, monkeypatch):
    sink = bot("slack")
    endpoint = sink.endpoint
    endpoint.access_token = token
    with pytest.raises(Permanent) as refusal:
        chat.send(OutboxMessage(endpoint=endpoint), endpoint, Rendered("S", "T", ""))
    assert "xoxb" not in str(refusal.value)
    assert sink.connections == 0


@pytest.mark.parametrize("status", [400, 403, 404])
def test_mattermost_names_its_error_and_no_address(bot, status):
    sink = bot("mattermost")
    sink.says = [(status, {"id": "api.context.permissions.app_error", "message": f"no {sink.url}"})]
    queue(sink)
    sweep()
    assert row().state == State.SET_ASIDE
    assert "api.context.permissions.app_error" in row().state_reason
    assert "/api/v4/posts" not in row().state_reason


def test_a_first_message_of_mattermosts_that_is_refused_for_its_root_is_not_sent_for_ever(bot):
    sink = bot("mattermost")
    sink.says = [(400, {"id": "api.post.create_post.root_id.app_error"})] * 9
    queue(sink)
    sweep()
    assert (row().state, sink.connections) == (State.SET_ASIDE, 1)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("status", "state"), [(302, State.QUEUED), (404, State.SET_ASIDE), (500, State.QUEUED)]
)
def test_a_room_is_as_guarded_as_a_webhook(room, service, status, state, settings):
    sink = room(service)
    sink.says = [(status, "no")]
    queue(sink)
    sweep()
    assert (row().state, sink.connections) == (state, 1)
    settings.WEBHOOK_ALLOWED_HOSTS = []
    queue(sink, "two")
    sweep()
    assert (row("two").state, sink.connections) == (State.SET_ASIDE, 1)


@pytest.mark.parametrize("service", SERVICES)
def test_a_room_that_nobody_can_call_is_away(room, service, settings):
    sink = room(service)
    settings.WEBHOOK_ALLOWED_HOSTS = [f"127.0.0.1:{free_port()}"]
    Endpoint.objects.update(url=f"http://{settings.WEBHOOK_ALLOWED_HOSTS[0]}/")
    queue(sink)
    queue(sink, "two")
    sweep()
    assert (row().attempts, row("two").attempts) == (1, 0)
    assert "nobody listens there" in row().state_reason


# --- the receivers that tests and journeys use refuse what the services refuse ---


@pytest.mark.parametrize(
    ("service", "path", "token", "body", "status", "said"),
    [
        ("slack", "/api/chat.postMessage", "wrong", {"channel": ROOM, "text": "x"}, 200, "invalid_auth"),
        ("slack", "/api/chat.postMessage", TOKEN, {"channel": "C1", "text": "x"}, 200, "channel_not_found"),
        ("slack", "/api/chat.postMessage", TOKEN, {"channel": ROOM}, 200, "no_text"),
        (
            "slack",
            "/api/chat.postMessage",
            TOKEN,
            {"channel": ROOM, "text": "x", "thread_ts": "1"},
            200,
            "thread_not_found",
        ),
        ("slack", "/api/chat.postMessage", TOKEN, {"channel": ROOM, "text": "x"}, 200, '"ok": true'),
        (
            "mattermost",
            "/api/v4/posts",
            "wrong",
            {"channel_id": ROOM, "message": "x"},
            401,
            "session_expired",
        ),
        ("mattermost", "/api/v4/posts", TOKEN, {"channel_id": "C1", "message": "x"}, 403, "permissions"),
        (
            "mattermost",
            "/api/v4/posts",
            TOKEN,
            {"channel_id": ROOM, "message": "x", "root_id": "1"},
            400,
            "root_id",
        ),
        ("mattermost", "/api/v4/posts", TOKEN, {"channel_id": ROOM, "message": "x"}, 201, '"id"'),
        ("teams", "/x", "", {"text": "x"}, 400, "Invalid"),
        ("teams", "/x", "", {"type": "message", "attachments": [{"content": {}}]}, 400, "Invalid"),
        ("teams", "/x", "", {"type": "message", "text": "x" * 30_000}, 413, "TooLarge"),
    ],
)
def test_the_receivers_check_what_the_services_document(tmp_path, service, path, token, body, status, said):
    port = free_port()
    command = [sys.executable, "-m", "tests.webhook_sink", "--port", str(port), "--dir", str(tmp_path)]
    bot = ["--token", TOKEN, "--room", ROOM] if service != "teams" else []
    sink = subprocess.Popen([*command, "--service", service, *bot], stdout=subprocess.PIPE)
    try:
        assert sink.stdout.readline().strip() == b"ready"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
        try:
            answer = urllib.request.urlopen(request, timeout=5)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            assert (answer.status, said in answer.read().decode()) == (status, True)
    finally:
        sink.kill()
        sink.wait()
        sink.stdout.close()
