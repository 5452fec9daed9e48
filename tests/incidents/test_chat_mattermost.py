"""What Mattermost sends: outgoing webhooks, which get nothing to post, and commands, which get a plain answer."""

from datetime import timedelta

import pytest
import time_machine
from django.utils.translation import get_language

from incidents.intake import inbox
from incidents.models import InboundMessage
from portal.models import OutboxMessage
from tests.chat_senders import ROOM, TOKEN, channel, command, knows, mattermost, post, thread
from tests.conftest import T0
from tests.factories import incident


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
    found = channel(acme, "mattermost")
    knows(found, "uada", a1)
    return found


def tell(room, fields, **more):
    """A webhook comes, and a worker reads it; the row."""
    answer = mattermost(room, fields, **more)
    assert (answer.status_code, answer.json()) == (200, {})
    inbox.sweep(T0)
    return InboundMessage.objects.order_by("pk").last()


# --- webhooks ---


@pytest.mark.parametrize("is_json", [False, True])
def test_words_behind_a_reference_are_a_reply_and_nothing_is_posted_back(room, made, a1, is_json):
    row = tell(room, post(f"{made.reference}: It is **worse** & more."), is_json=is_json)
    message = made.messages.get()
    assert (message.author, message.text, message.channel) == (a1, "It is **worse** & more.", "chat")
    assert (row.outcome, row.via, row.endpoint) == ("replied", "mattermost", room)


def test_json_says_so_in_any_words(room, made):
    fields = post(f"{made.reference}: one")
    assert (
        tell(room, fields, is_json=True, content_type="application/json; charset=utf-8").outcome == "replied"
    )


def test_the_same_post_twice_is_one_reply(room, made):
    fields = post(f"{made.reference}: one")
    for is_json in (False, True, True):
        tell(room, fields, is_json=is_json)
    assert (InboundMessage.objects.count(), made.messages.count()) == (1, 1)


def test_the_post_of_another_channel_is_another_message(acme, a1, room, made):
    second = channel(acme, "mattermost", name="second")
    knows(second, "uada", a1)
    fields = post(f"{made.reference}: one")
    tell(room, fields)
    tell(second, fields)
    assert made.messages.count() == 2


@pytest.mark.parametrize(
    ("text", "word", "kept"),
    [
        ("#support {}: worse", "#support", "worse"),
        ("{}: worse", "INC-", "worse"),
        ("{}: worse", "inc-", "worse"),
        ("support: {} worse", "support:", "worse"),
        ("{}: worse", "#support", "worse"),
    ],
)
def test_the_word_that_triggers_a_webhook_is_no_part_of_what_was_said(room, made, text, word, kept):
    tell(room, post(text.format(made.reference), trigger_word=word))
    assert made.messages.get().text == kept


def test_a_thread_says_which_incident_where_the_server_names_it(room, made):
    root = thread(room, made.reference, "root1")
    tell(room, post("It is worse.", root_id=root))
    assert made.messages.get().text == "It is worse."
    assert tell(room, post("chatter", root_id="root2")).outcome == "ignored"


def test_chatter_leaves_no_words_behind(room, made):
    for text in ("lunch?", f"see {made.reference}", made.reference, f"{made.reference} INC-1002 x"):
        row = tell(room, post(text))
        assert (row.state, row.outcome, row.payload, row.sender, row.subject) == (
            "done",
            "ignored",
            None,
            "",
            "",
        )
    assert made.messages.count() == 0


def test_files_stay_there_and_are_counted(room, made):
    tell(room, post(f"{made.reference}: see", file_ids="f1,f2"))
    tell(room, post(made.reference, file_ids="f1"))
    texts = list(made.messages.order_by("pk").values_list("text", flat=True))
    assert texts == ["see\n\n[2 files are in the channel]", "[1 file is in the channel]"]


def test_another_room_is_refused_where_the_room_is_named(room, made):
    tell(room, post(f"{made.reference}: x", room="other"))
    assert InboundMessage.objects.count() == 0
    room.room_id = ""
    room.save()
    tell(room, post(f"{made.reference}: x", room="any"))
    assert made.messages.count() == 1


def test_what_our_own_bot_posts_comes_back_as_nothing(room, made, g1):
    """Mattermost sends a bot's posts to the webhook like anybody's, without saying that it is one."""
    thread(room, made.reference, "ourpost")
    ours = [
        post(f"{made.reference}: x", user="ubot", post_id="ourpost"),
        post(f"**\\[{made.reference}\\] Status update**\n\nMore.", user="ubot"),
        post(f"**\\[{made.reference}\\] Status update**\n\nMore.", user="uada", root_id="ourpost"),
    ]
    for fields in ours:
        assert tell(room, fields).outcome == "ignored"
    assert made.messages.count() == 0
    assert OutboxMessage.objects.filter(kind="staff_mail_held").count() == 0


def test_who_is_unknown_is_held_with_the_name_that_they_have_there(room, made):
    row = tell(room, post(f"{made.reference}: Look here\nmore", user="ueve"))
    assert (row.state, row.sender, row.subject, row.incident) == ("held", "ada", "Look here", made)
    assert row.payload["user"] == "ueve"
    nasty = tell(
        room, post(f"{made.reference}: x", user="umal", user_name="a\r\nBcc: all@acme.example\u2028x\0")
    )
    assert nasty.sender == "a Bcc: all@acme.example x"
    assert made.messages.count() == 0


def test_a_post_of_nobody_is_nothing(room, made):
    for fields in (post("x", user=""), post("x", post_id=""), {"token": TOKEN}):
        tell(room, fields)
    assert InboundMessage.objects.count() == 0


# --- commands ---


def answer_to(room, fields):
    answer = mattermost(room, fields)
    assert answer.status_code == 200
    said = answer.json()
    assert said.pop("response_type") == "ephemeral"
    return said.pop("text") if list(said) == ["text"] else said


def test_a_command_is_answered_in_plain_words_to_its_writer_only(room, made, a1):
    assert (
        answer_to(room, command(f"{made.reference}: It is worse."))
        == f"Added to {made.reference} as Ada One."
    )
    assert made.messages.get().text == "It is worse."
    held = answer_to(room, command(f"{made.reference} It is worse.", user="ueve"))
    assert held == "Held for support: Nobody here is known by this name in the channel."
    for text in ("", "hello", made.reference, "INC-9999: x"):
        assert answer_to(room, command(text)).startswith("Begin with the reference of one of your incidents")
    assert "works only in the channel" in answer_to(room, command(f"{made.reference}: x", room="other"))
    assert made.messages.count() == 1


def test_a_command_that_comes_twice_is_one_reply_and_answered_alike(room, made, traveller):
    fields = command(f"{made.reference}: It is worse.")
    first = answer_to(room, fields)
    traveller.move_to(T0 + timedelta(minutes=3))
    assert answer_to(room, fields) == first
    assert made.messages.count() == 1


def test_a_command_counts_from_its_receipt(room, made, g1, traveller):
    traveller.move_to(T0 + timedelta(minutes=5, milliseconds=400))
    answer_to(room, command(f"{made.reference}: yes"))
    assert made.messages.get().received_at == T0 + timedelta(minutes=5)


def test_a_command_takes_the_thread_where_the_server_names_it(room, made):
    root = thread(room, made.reference, "root1")
    assert answer_to(room, command("It is worse.", root_id=root, room=ROOM)).startswith("Added to")


def test_a_command_is_answered_in_the_language_of_the_organisation(acme, room, made, monkeypatch):
    acme.language = "tr"
    acme.save()
    spoken = []
    monkeypatch.setattr(inbox, "process", lambda *args: spoken.append(get_language()))
    answer_to(room, command(f"{made.reference}: words"))
    assert spoken == ["tr"]
