"""What Slack sends becomes the reply of whom the channel knows; and its markup becomes Markdown."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from incidents import actions
from incidents.clockwork import differences
from incidents.intake import inbox
from incidents.intake.chat import markup, spoken
from incidents.models import InboundMessage, Incident
from portal.markdown import render_markdown
from portal.models import ChatIdentity, ChatThread, OutboxMessage
from tests.chat_senders import channel, event, knows, slack, thread
from tests.conftest import T0
from tests.factories import clock, incident, person


def at(minutes):
    return T0 + timedelta(minutes=minutes)


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
    knows(found, "U0ADA", a1, "ada")
    thread(found, made.reference, "1.1")
    return found


def tell(room, text="It is worse.", **more):
    """Slack sends it, and a worker reads it; the row."""
    answer = slack(room, event(text, **more))
    assert (answer.status_code, answer.json()) == (200, {})
    row = InboundMessage.objects.order_by("pk").last()
    if row is not None:
        inbox.sweep(timezone.now())
        row.refresh_from_db()
    return row


# --- which incident ---


def test_an_answer_in_the_thread_of_an_incident_is_its_reply(room, made, a1, traveller):
    traveller.move_to(at(5) + timedelta(milliseconds=700))
    row = tell(room, "It is *worse*.", thread_ts="1.1")
    message = made.messages.get()
    assert (row.state, row.outcome, row.incident, row.endpoint) == ("done", "replied", made, room)
    assert (message.author, message.text, message.channel) == (a1, "It is **worse**.", "chat")
    assert (message.received_at, message.is_public, message.is_from_staff) == (at(5), True, False)
    assert message.inbound == row
    event = made.events.get(kind="customer_replied")
    assert (event.by, event.channel, event.at) == (a1, "chat", at(5))


@pytest.mark.parametrize(
    "text",
    [
        "{}: It is worse.",
        "{} It is worse.",
        "  {} :  It is worse.",
        "{}:\nIt is worse.",
        "{}\u00a0It is worse.",
    ],
)
def test_so_are_words_behind_its_reference(room, made, text):
    tell(room, text.format(made.reference))
    assert made.messages.get().text == "It is worse."
    tell(room, text.format(made.reference.lower()))
    assert made.messages.count() == 2


CHATTER = [
    "lunch?",
    "see {mine}",
    "{mine}",
    "{mine}:",
    "{mine}, it is worse",
    "{mine}it is worse",
    "{mine} {other} both are down",
    "{mine}: {other}: both are down",
    "INC-0{number}: x",
    "X{mine}: x",
    "MW-1: x",
    "INC-999999999999999999999: x",
    "",
]


@pytest.mark.parametrize("text", CHATTER)
def test_what_people_say_to_each_other_leaves_no_words_behind(room, made, a1, text):
    names = {"mine": made.reference, "other": incident(a1, T0).reference, "number": made.reference[4:]}
    row = tell(room, text.format(**names), user="U0EVE" if len(text) % 2 else "U0ADA")
    assert (row.state, row.outcome, row.incident) == ("done", "ignored", None)
    assert (row.payload, row.sender, row.subject, row.size, row.raw.name) == (None, "", "", 0, "")
    assert made.messages.count() == 0
    assert "mail_held" not in made.events.values_list("kind", flat=True)


def test_a_thread_about_something_else_is_chatter_and_one_of_another_channel_too(room, made, acme):
    thread(room, "MW-1", "2.2")
    thread(channel(acme, name="second"), made.reference, "3.3")
    for found in ("2.2", "3.3", "4.4"):
        assert tell(room, "yes", thread_ts=found).outcome == "ignored"
    assert made.messages.count() == 0
    tell(room, f"{made.reference}: yes", thread_ts="2.2")
    assert made.messages.get().text == "yes"


def test_in_a_thread_the_thread_says_which_and_the_text_stays_whole(room, made, a1):
    other = incident(a1, T0)
    tell(room, f"{other.reference}: looks alike", thread_ts="1.1")
    tell(room, f"{made.reference}: words", thread_ts="1.1")
    texts = list(made.messages.order_by("pk").values_list("text", flat=True))
    assert texts == [f"{other.reference}: looks alike", "words"]
    assert other.messages.count() == 0


def test_a_thread_whose_incident_is_another_organisation_s_reaches_it_not(room, b1):
    theirs = incident(b1, T0)
    ChatThread.objects.update(subject_key=theirs.reference)
    assert tell(room, "words", thread_ts="1.1").outcome == "ignored"
    assert theirs.messages.count() == 0


def test_another_room_of_the_same_app_is_nobody_s_business(room, made):
    for found in ("C0OTHER", "", "c0support"):
        slack(room, event(f"{made.reference}: x", room=found))
    assert InboundMessage.objects.count() == 0


def test_a_channel_without_its_room_takes_nothing(room, made):
    room.room_id = ""
    room.save()
    for found in ("C0SUPPORT", ""):
        slack(room, event(f"{made.reference}: x", room=found))
    assert InboundMessage.objects.count() == 0


# --- what is not a person's message ---

NOT_SAID = {
    "edited": {"subtype": "message_changed", "message": {"text": "INC-1001: x", "user": "U0ADA"}},
    "deleted": {"subtype": "message_deleted", "previous_message": {"text": "INC-1001: x"}},
    "joined": {"subtype": "channel_join"},
    "bot": {"subtype": "bot_message", "bot_id": "B1"},
    "our bot": {"bot_id": "B0OURS", "app_id": "A123ABC456"},
    "an app": {"app_id": "A9"},
    "a bot's profile": {"bot_profile": {"id": "B1"}},
    "hidden": {"hidden": True},
    "nobody": {"user": None},
    "another event": {"type": "reaction_added"},
}


@pytest.mark.parametrize("name", NOT_SAID)
def test_what_no_person_said_becomes_nothing(room, made, name):
    for text in (f"{made.reference}: x", "in the thread"):
        assert slack(room, event(text, **{"thread_ts": "1.1"} | NOT_SAID[name])).status_code == 200
    assert InboundMessage.objects.count() == 0
    assert made.messages.count() == 0


def test_an_edit_there_changes_nothing_here(room, made):
    first = event("It is worse.", thread_ts="1.1")
    slack(room, first)
    inbox.sweep(T0)
    edited = first["event"] | {"text": "All fine."}
    for subtype in ("message_changed", "message_deleted"):
        slack(room, event("", subtype=subtype, message=edited, previous_message=first["event"]))
    inbox.sweep(T0)
    assert made.messages.get().text == "It is worse."


@pytest.mark.parametrize("subtype", ["thread_broadcast", "file_share", None])
def test_a_broadcast_and_a_file_are_said_by_people(room, made, subtype):
    tell(room, thread_ts="1.1", subtype=subtype)
    assert made.messages.count() == 1


def test_files_are_named_and_not_fetched(room, made):
    files = [
        {"name": "a.png", "url_private": "https://files.slack.example/a"},
        {"name": "b`c\n.log"},
        5,
        {"x": 1},
    ]
    tell(room, "See here", thread_ts="1.1", subtype="file_share", files=files[:3])
    tell(room, "", thread_ts="1.1", subtype="file_share", files=files)
    first, second = made.messages.order_by("pk")
    assert first.text == "See here\n\n[Files in the channel: `a.png`, `b'c .log`]"
    assert second.text == "[3 files are in the channel]"
    assert first.attachments.count() == 0


# --- what it does ---


def test_it_ends_waiting_for_the_customer_at_its_receipt(room, made, g1, traveller):
    actions.ask_customer(made, by=g1, now=at(2), channel="admin", text="Where?")
    traveller.move_to(at(5))
    slack(room, event("Here.", thread_ts="1.1"))
    traveller.move_to(at(30))
    inbox.sweep(at(30))
    made.refresh_from_db()
    assert made.status == "acknowledged"
    assert clock(made, "target_action").due_at == at(240 + 3)
    assert differences(Incident.objects.get()) == []


def test_it_reopens_what_was_resolved(room, made, g1, traveller):
    actions.resolve(made, by=g1, now=at(5), channel="admin", cause="x", remedy="y")
    traveller.move_to(at(9))
    row = tell(room, "Down again", thread_ts="1.1")
    made.refresh_from_db()
    assert (row.outcome, made.status, made.cycle) == ("reopened", "reported", 2)


def test_it_is_told_to_staff_and_echoed_into_no_channel(room, made, a1, a2, g1):
    actions.assign(made, by=g1, now=T0, channel="admin", assignee=g1)
    before = set(OutboxMessage.objects.values_list("pk", flat=True))
    tell(room, thread_ts="1.1")
    told = OutboxMessage.objects.exclude(pk__in=before)
    assert {(row.kind, row.recipient, row.endpoint) for row in told} == {("staff_customer_replied", g1, None)}


def test_two_of_the_same_words_are_two_replies(room, made):
    tell(room, "still down", thread_ts="1.1")
    tell(room, "still down", thread_ts="1.1")
    assert made.messages.count() == 2


# --- who ---


def nobody(acme, room, a1):
    return "U0EVE"


def viewer(acme, room, a1):
    knows(room, "U1", person("v@acme.example", "Vi", acme, "viewer"))
    return "U1"


def stranger(acme, room, a1):
    a1.memberships.all().delete()
    return "U0ADA"


def inactive(acme, room, a1):
    a1.is_active = False
    a1.save()
    return "U0ADA"


def staff(acme, room, a1):
    a1.is_staff, a1.staff_role = True, "agent"
    a1.save()
    return "U0ADA"


DOUBTS = {
    nobody: "Nobody here is known by this name in the channel.",
    viewer: "The sender may read but not write for the organisation.",
    stranger: "The sender does not belong to the organisation.",
    inactive: "This person is not active any more.",
    staff: "One of us wrote it: staff answer on the desk, not in the customer's channel.",
}


@pytest.mark.parametrize("who", DOUBTS, ids=lambda who: who.__name__)
def test_the_words_of_who_may_not_write_are_held_and_said_to_staff_only(
    acme, room, made, a1, a2, g1, client, who
):
    actions.assign(made, by=g1, now=T0, channel="admin", assignee=g1)
    row = tell(room, "It is worse.", thread_ts="1.1", user=who(acme, room, a1))
    assert (row.state, row.state_reason, row.incident) == ("held", DOUBTS[who], made)
    assert made.messages.count() == 0
    held = made.events.get(kind="mail_held")
    assert (held.is_public, held.channel, held.payload) == (False, "chat", {"inbound": row.pk})
    [told] = OutboxMessage.objects.filter(kind="staff_mail_held")
    assert told.recipient == g1
    client.force_login(a2)
    for page in (made.get_absolute_url(), f"/api/v1/incidents/{made.reference}/events/"):
        shown = client.get(page).content.decode()
        assert "It is worse." not in shown
        assert "held" not in shown


def test_staff_read_on_the_timeline_and_by_mail_that_it_came_by_the_channel(room, made, g1, client):
    from incidents import notify

    actions.assign(made, by=g1, now=T0, channel="admin", assignee=g1)
    row = tell(room, "It is worse.", thread_ts="1.1", user="U0EVE")
    client.force_login(g1)
    shown = client.get(f"/admin/incidents/incident/{made.pk}/change/").content.decode()
    assert "a message from the channel is held: staff decide what becomes of it" in shown
    assert f"/admin/incidents/inboundmessage/{row.pk}/change/" in shown
    mail = notify.render(OutboxMessage.objects.get(kind="staff_mail_held"))
    assert mail.subject == f"[{made.reference}] A message from the channel is held: please decide"
    for text in (mail.text, mail.html):
        assert "A message from U0EVE in the channel “#acme-support” is held." in text
        assert "Nobody here is known by this name in the channel." in text.replace("\n", " ")


def test_staff_are_asked_once_until_they_decide_and_each_message_waits(room, made, g1):
    actions.assign(made, by=g1, now=T0, channel="admin", assignee=g1)
    for number in range(5):
        tell(room, f"line {number}", thread_ts="1.1", user="U0EVE")
    tell(room, "somebody else", thread_ts="1.1", user="U0MAL")
    assert InboundMessage.objects.filter(state="held", incident=made).count() == 6
    assert made.events.filter(kind="mail_held").count() == 2
    assert OutboxMessage.objects.filter(kind="staff_mail_held").count() == 2


def test_what_the_verb_refuses_is_held_with_its_reason(room, made, monkeypatch):
    def refuse(*args, **more):
        raise actions.Refused("Not now.")

    monkeypatch.setattr(actions, "reply", refuse)
    row = tell(room, thread_ts="1.1")
    assert (row.state, row.state_reason) == ("held", "Not now.")


def test_who_left_while_it_waited_to_be_read_writes_no_more(room, made, a1):
    slack(room, event("words", thread_ts="1.1"))
    a1.memberships.all().delete()
    inbox.sweep(T0)
    assert (InboundMessage.objects.get().state, made.messages.count()) == ("held", 0)


def test_the_customer_reads_by_which_door_it_came_and_gets_no_mail_to_open(room, made, a1, client):
    tell(room, "It is *worse*.", thread_ts="1.1")
    [message] = made.messages.all()
    client.force_login(a1)
    shown = client.get(made.get_absolute_url()).content.decode()
    assert "<strong>worse</strong>" in shown
    assert "Dedicated channel" in shown
    assert "/original/" not in shown
    original = f"{made.get_absolute_url()}messages/{message.pk}/original/"
    assert client.get(original).status_code == 404
    assert client.get(f"/api/v1/incidents/{made.reference}/replies/").json()[0]["channel"] == "chat"


# --- its text ---

MARKUP = [
    ("plain", "plain"),
    ("a &amp; b &lt; c &gt; d &amp;lt;", "a & b < c > d &lt;"),
    ("*bold* and _italic_ and ~struck~", "**bold** and _italic_ and ~~struck~~"),
    ("2*3*4 and a * b * c and **", "2*3*4 and a * b * c and **"),
    ("*two words* *again*", "**two words** **again**"),
    ("*\nno*", "*\nno*"),
    ("hi <@U0ADA> and <@U0EVE>", "hi @ada and @someone"),
    ("<@U0EVE|eve>", "@someone"),
    ("<!here> <!channel> <!subteam^S1|@ops> <!subteam^S2>", "@here @channel @ops @subteam"),
    ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
    ("<#C1|general> <#C2>", "#general #…"),
    ("<https://a.example/x?b=1&amp;c=2>", "<https://a.example/x?b=1&c=2>"),
    ("<https://a.example/|the page>", "[the page](<https://a.example/>)"),
    ("<http://a.example|a.example>", "<http://a.example>"),
    ("<mailto:a@b.example|a@b.example>", "a@b.example"),
    ("<javascript:alert(1)|click>", "click"),
    ("*see <https://a.example/b|it>*", "**see [it](<https://a.example/b>)**"),
    ("<https://a.example/*b*|it> *c*", "[it](<https://a.example/*b*>) **c**"),
    ("use `a*b*c &amp; &lt;d&gt;` now", "use `a*b*c & <d>` now"),
    ("log:```x *y*\n&lt;z&gt;```end", "log:\n```\nx *y*\n<z>\n```\nend"),
    ("&gt; quoted", "> quoted"),
    ("<unclosed", "<unclosed"),
]


@pytest.mark.parametrize(("said", "kept"), MARKUP)
def test_slack_s_markup_becomes_markdown(said, kept):
    assert markup.to_markdown(said, {"U0ADA": "ada"}) == kept


@pytest.mark.parametrize("said", ["<" * 100_000, "*a" * 50_000, "`" * 100_001, "```" * 40_001, "<@" * 50_000])
def test_no_markup_takes_long(said):
    assert markup.to_markdown(said, {})
    assert markup.mentioned(said) == set()
    assert spoken.addressed(" " * 100_000 + said) == ("", " " * 100_000 + said)


def test_who_is_mentioned_is_looked_up_in_this_channel_only(acme, room, made, a2):
    knows(room, "U0ALI", a2)
    knows(channel(acme, name="second"), "U0EVE", a2, "secret name")
    tell(room, "ask <@U0ADA>, <@U0ALI> or <@U0EVE>", thread_ts="1.1")
    assert made.messages.get().text == "ask @ada, @Ali Two or @someone"


NASTY = "<img src=x onerror=alert(1)>"


def test_a_writer_s_words_are_inert_and_of_sound_characters(room, made, a1, client, g1):
    text = f'{NASTY} a\0b\x1b[2J\ud800 <https://x.example/"onmouseover=x|y> <javascript:alert(1)|z> &lt;script&gt;'
    tell(room, text, thread_ts="1.1", user="U0ADA")
    tell(room, f"{text} again", thread_ts="1.1", user="U0EVE")
    kept = made.messages.get().text
    assert not {"\0", "\x1b", "\ud800"} & set(kept)
    html = render_markdown(kept)
    held = InboundMessage.objects.get(state="held")
    client.force_login(g1)
    inbox_page = client.get(f"/admin/incidents/inboundmessage/{held.pk}/change/").content.decode()
    listed = client.get("/admin/incidents/inboundmessage/").content.decode()
    for shown in (html, inbox_page, listed):
        for sign in ("<img src=x", "<script>", 'href="javascript:', '"onmouseover'):
            assert sign not in shown


def test_a_text_that_is_too_long_is_cut_with_a_notice(room, made):
    tell(room, "x" * 60_000, thread_ts="1.1", subtype="file_share", files=[{"name": "a.log"}])
    text = made.messages.get().text
    assert len(text) == 50_000
    assert "[Cut here: the whole message is in the channel.]" in text
    assert text.endswith("[Files in the channel: `a.log`]")


def test_ids_that_fit_nowhere_are_nobody_s(room, made):
    for more in ({"user": "U" * 121}, {"user": ["U0ADA"]}, {"event_id": "E" * 121}, {"event_id": 5}):
        assert slack(room, event(f"{made.reference}: x", **more)).status_code == 200
    assert InboundMessage.objects.count() == 0
    assert ChatIdentity.objects.count() == 1
