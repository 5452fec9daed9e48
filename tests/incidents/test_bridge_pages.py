"""The live bridge's page, for both sides: who may what, what a poll costs, and what a customer never sees."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents import actions, bridge_view
from incidents.models import Bridge, BridgeStep, Message, SupportPlan
from portal.models import Membership, User
from tests.conftest import T0
from tests.factories import CANARY, incident, person

NOW = T0 + timedelta(minutes=5)
SECRET = "retry-storm-secret"
POSTS = ("opening", "presence", "leaving", "notes", "side-notes", "decisions", "steps", "parts", "closing")


def after(minutes):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def p1(a1):
    made = incident(a1, T0)
    SupportPlan.objects.filter(organisation=made.organisation).update(
        has_bridge=True, conference_template="https://meet.example.com/{key}"
    )
    return made


@pytest.fixture
def bridge(p1, a1, g1):
    opened = actions.open_bridge(p1, by=a1, now=after(2), channel="bridge")
    actions.join_bridge(opened, by=g1, now=after(3))
    return opened


def url(made, noun=""):
    return f"/incidents/{made.reference}/bridge/{noun}{'/' if noun else ''}"


def live_url(made, query="bridge=1&open=1&here=1"):
    return f"{url(made, 'live')}?{query}"


def words(answer):
    """The answer's text, as its reader sees it."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def note(bridge, by, text, minute=4):
    actions.note_on_bridge(bridge, text=text, by=by, now=after(minute), channel="bridge")


# --- what both sides read ---


@pytest.mark.parametrize("who", ["a1", "a3", "g1"])
def test_both_sides_read_one_page(client, bridge, p1, a1, g1, who, request):
    request.getfixturevalue("a3")
    actions.give_part(bridge, role="scribe", person=g1, by=g1, now=after(3), channel="bridge")
    note(bridge, a1, "All **writes** fail.")
    actions.decide_on_bridge(bridge, text="We roll back.", by=g1, now=after(4), channel="bridge")
    actions.agree_step(
        bridge, text="Drain A", owner=a1, due_at=after(50), by=g1, now=after(4), channel="bridge"
    )
    actions.publish_status_update(
        p1, by=g1, now=after(4), channel="admin", condition="in_progress", summary="Rollback begins."
    )
    client.force_login(request.getfixturevalue(who))
    page = client.get(url(p1))
    text = words(page)
    for said in (
        "Live bridge open since Tue 3 Mar 2026, 13:02 UTC+3",
        "2 people here",
        "All writes fail.",
        "We roll back.",
        "Drain A",
        "Ada One · by Tue 3 Mar 2026, 13:50 UTC+3",
        "Rollback begins.",
        "Scribe Gül One",
        "Customer&#x27;s lead Ada One",
        "Next update",
    ):
        assert said in text, said
    assert f'href="{bridge.conference_url}"' in page.content.decode()
    live = client.get(live_url(p1))
    assert live.status_code == 200
    for said in ("All writes fail.", "Drain A", "Rollback begins.", "2 people here"):
        assert said in words(live)
    assert b"csrfmiddlewaretoken" not in live.content


def test_looking_is_not_joining_and_leaving_folds_the_name(client, bridge, p1, a1, a2):
    client.force_login(a2)
    client.get(url(p1))
    client.get(live_url(p1))
    assert not bridge.presences.filter(person=a2).exists()
    assert client.post(url(p1, "presence")).url == url(p1)
    assert bridge.presences.filter(person=a2, left_at=None).exists()
    assert "Leave the bridge" in words(client.get(url(p1)))
    client.post(url(p1, "leaving"))
    assert "1 has left" in words(client.get(url(p1)))
    assert "Ali Two 13:05 – 13:05 UTC+3" in words(client.get(url(p1)))
    assert "Join the bridge" in words(client.get(url(p1)))


def test_of_many_people_the_first_are_named_and_the_others_folded(client, bridge, p1, a1, acme):
    for number in range(20):
        someone = person(f"p{number}@acme.example", f"Person {number:02}", acme, "member")
        actions.join_bridge(bridge, by=someone, now=after(4))
    client.force_login(a1)
    assert "9 more" in words(client.get(url(p1)))
    assert "Person 19" in words(client.get(url(p1)))


def test_without_a_template_the_page_says_that_there_is_no_conference(client, p1, a1):
    SupportPlan.objects.update(conference_template="")
    actions.open_bridge(p1, by=a1, now=after(2), channel="bridge")
    client.force_login(a1)
    assert "No conference is set up for this plan" in words(client.get(url(p1)))


def test_the_live_timeline_is_short_and_newest_first(client, bridge, p1, a1):
    for number in range(bridge_view.SHOWN + 5):
        note(bridge, a1, f"Note {number:02}.")
    client.force_login(a1)
    text = words(client.get(url(p1)))
    newest = bridge_view.SHOWN + 4
    assert text.index(f"Note {newest:02}.") < text.index(f"Note {newest - 1:02}.")
    assert "Note 04." not in text
    assert "reported it as P1" not in text


# --- doors ---


def test_a_stranger_finds_no_bridge_anywhere(client, bridge, p1, b1):
    step = BridgeStep.objects.create(
        bridge=bridge, text="x", owner=b1, due_at=after(50), agreed_by=b1, agreed_at=after(4)
    )
    client.force_login(b1)
    nouns = (*POSTS, f"steps/{step.pk}/completion")
    for address in (url(p1), live_url(p1), *(url(p1, noun) for noun in nouns)):
        assert client.get(address).status_code == 404, address
        assert client.post(address, {"text": "x"}).status_code in (404, 405), address
    assert not Message.objects.filter(text="x").exists()
    assert not bridge.presences.filter(person=b1).exists()


def test_an_anonymous_visitor_signs_in_first(client, bridge, p1):
    for noun in ("", "live", *POSTS):
        assert client.get(url(p1, noun)).url == f"/accounts/login/?next={url(p1, noun)}"
        assert client.post(url(p1, noun)).status_code == 302


def test_who_comes_back_from_signing_in_lands_on_the_page(client, bridge, p1, g1):
    client.force_login(g1)
    for noun in POSTS[:-1]:
        assert client.get(url(p1, noun)).url == url(p1), noun


def test_a_step_of_another_incident_is_not_finished(client, bridge, p1, a1, b1, g1):
    theirs = incident(b1, T0)
    SupportPlan.objects.update(has_bridge=True)
    other = actions.open_bridge(theirs, by=g1, now=after(2), channel="bridge")
    step = actions.agree_step(
        other, text="Theirs", owner=g1, due_at=after(50), by=g1, now=after(3), channel="bridge"
    )
    client.force_login(a1)
    assert client.post(url(p1, f"steps/{step.pk}/completion")).status_code == 404
    step.refresh_from_db()
    assert step.done_at is None
    page = client.get(url(p1), {"past": other.pk})
    assert CANARY not in page.content.decode()
    assert "Theirs" not in page.content.decode()


def test_a_viewer_joins_and_reads_but_finds_no_form(client, bridge, p1, a1, a3, g1):
    step = actions.agree_step(
        bridge, text="Drain A", owner=g1, due_at=after(50), by=g1, now=after(3), channel="bridge"
    )
    client.force_login(a1)  # the parts rendered for a writer are not what a viewer is given
    assert f"steps/{step.pk}/completion/" in client.get(live_url(p1)).content.decode()
    client.force_login(a3)
    page = client.get(url(p1)).content.decode()
    assert "<textarea" not in page
    assert f"steps/{step.pk}/completion/" not in page
    assert f"steps/{step.pk}/completion/" not in client.get(live_url(p1)).content.decode()
    assert client.post(url(p1, "presence")).status_code == 302
    before = Message.objects.count()
    for noun in ("opening", "notes", "side-notes", "decisions", "steps", "parts", "closing"):
        assert client.post(url(p1, noun), {"text": "x", "summary": "x"}).status_code == 403, noun
    assert client.post(url(p1, f"steps/{step.pk}/completion")).status_code == 403
    assert Message.objects.count() == before
    assert Bridge.objects.get().closed_at is None


def test_only_staff_side_note_and_close(client, bridge, p1, a2):
    client.force_login(a2)
    page = client.get(url(p1)).content.decode()
    assert "side-note" not in page.lower()
    assert "/bridge/closing/" not in page
    assert client.get(url(p1, "closing")).status_code == 403
    assert client.post(url(p1, "closing"), {"summary": "x"}).status_code == 403
    assert client.post(url(p1, "side-notes"), {"text": "x"}).status_code == 403
    assert not Message.objects.filter(text="x").exists()


def test_a_customer_is_offered_the_staff_they_met_and_no_other(client, bridge, p1, a1, g1, g2, b1):
    client.force_login(a1)
    page = client.get(url(p1)).content.decode()
    assert str(g1) in page
    assert str(g2) not in page
    assert CANARY not in page
    wrong = client.post(url(p1, "steps"), {"text": "x", "owner": g2.pk, "due_at": "2026-03-03T14:00"})
    assert wrong.status_code == 400
    client.force_login(g1)
    assert str(g2) in client.get(url(p1)).content.decode()
    assert CANARY not in client.get(url(p1)).content.decode()


# --- what is done ---


def test_each_side_notes_decides_and_agrees_from_the_page(client, bridge, p1, a1, g1):
    client.force_login(a1)
    assert client.post(url(p1, "notes"), {"text": "It is the disk."}).url == url(p1) + "#note-text"
    assert client.post(url(p1, "decisions"), {"text": "Swap it."}).status_code == 302
    step = {"text": "Swap disk 3", "owner": g1.pk, "due_at": "2026-03-03T13:45"}
    assert client.post(url(p1, "steps"), step).status_code == 302
    made = BridgeStep.objects.get()
    assert (made.owner, made.due_at) == (g1, after(45))  # typed in Istanbul, stored in UTC
    client.force_login(g1)
    assert client.post(url(p1, f"steps/{made.pk}/completion")).status_code == 302
    made.refresh_from_db()
    assert made.done_by == g1
    kinds = list(p1.messages.order_by("pk").values_list("kind", "channel"))
    assert kinds == [("bridge_note", "bridge"), ("decision", "bridge")]


def test_parts_are_given_by_staff_and_taken_by_the_customer_s_writers(client, bridge, p1, a1, a2, g1, g2):
    client.force_login(g1)
    assert client.post(url(p1, "parts"), {"role": "scribe", "person": g2.pk}).status_code == 302
    wrong = client.post(url(p1, "parts"), {"role": "communications", "person": a2.pk})
    assert wrong.status_code == 400
    assert "This part is for support staff" in words(wrong)
    client.force_login(a2)
    assert "Take the part" in words(client.get(url(p1)))
    assert client.post(url(p1, "parts"), {"role": "customer_lead", "person": a2.pk}).status_code == 302
    assert "Give the part" in words(client.get(url(p1)))
    assert client.post(url(p1, "parts"), {"role": "customer_lead", "person": a1.pk}).status_code == 302
    assert client.post(url(p1, "parts"), {"role": "scribe", "person": a2.pk}).status_code == 403
    seats = dict(bridge.seats.filter(until_at=None).values_list("role", "person"))
    assert seats == {"customer_lead": a1.pk, "scribe": g2.pk}


@pytest.mark.parametrize(
    ("noun", "data", "error"),
    [
        ("notes", {"text": "  "}, "This field is required."),
        ("decisions", {"text": ""}, "This field is required."),
        ("steps", {"text": "Keep me typed", "owner": "", "due_at": ""}, "This field is required."),
        (
            "steps",
            {"text": "Keep me typed", "owner": "ME", "due_at": "2020-01-01T10:00"},
            "Choose a time in the future.",
        ),
        ("steps", {"text": "Keep me typed", "owner": "ME", "due_at": "soon"}, "Enter a valid date/time."),
        (
            "steps",
            {"text": "Keep me typed", "owner": "99999", "due_at": "2026-03-03T14:00"},
            "Select a valid",
        ),
        ("parts", {"role": "king", "person": "ME"}, "Select a valid"),
        ("notes", {"text": "x" * 50_001}, "at most"),
    ],
)
def test_bad_input_is_said_beside_its_field_and_kept(client, bridge, p1, a1, noun, data, error):
    client.force_login(a1)
    typed = {name: str(a1.pk) if value == "ME" else value for name, value in data.items()}
    answer = client.post(url(p1, noun), typed)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert error in page
    if "Keep me" in data.get("text", ""):
        assert 'value="Keep me typed"' in page
        assert 'id="write-step" open' in page
    assert not Message.objects.exists()
    assert not BridgeStep.objects.exists()


def test_what_comes_after_the_closing_is_not_lost(client, bridge, p1, a1, g1):
    actions.close_bridge(bridge, summary="Rolled back.", by=g1, now=after(4), channel="bridge")
    client.force_login(a1)
    answer = client.post(url(p1, "notes"), {"text": "One more thing"})
    assert answer.status_code == 409
    assert "One more thing</textarea>" in answer.content.decode()
    assert "Not sent" in words(answer)
    assert client.post(url(p1, "presence")).status_code == 409
    assert client.post(url(p1, "leaving")).status_code == 302
    assert not Message.objects.filter(text="One more thing").exists()


def test_what_is_sent_to_no_bridge_is_not_lost(client, p1, a1):
    client.force_login(a1)
    for noun in ("notes", "decisions", "steps"):
        answer = client.post(url(p1, noun), {"text": "Anybody there?", "owner": a1.pk, "due_at": "x"})
        assert answer.status_code == 409, noun
        assert "Anybody there?" in answer.content.decode()
        assert "No bridge is open." in words(answer)
    for noun in ("presence", "parts"):
        assert client.post(url(p1, noun), {"role": "customer_lead", "person": a1.pk}).status_code == 409
    assert not Message.objects.exists()


def test_two_who_write_at_once_are_both_heard(client, bridge, p1, a1, g1):
    """A form of before another's note is not stale: minutes are not edits of one text."""
    client.force_login(a1)
    client.get(url(p1))
    note(bridge, g1, "Meanwhile.")
    assert client.post(url(p1, "notes"), {"text": "And I."}).status_code == 302


# --- opening, closing, and the past ---


def test_the_page_opens_the_bridge_where_the_plan_has_it(client, p1, a1):
    client.force_login(a1)
    assert "Open the live bridge" in words(client.get(url(p1)))
    assert "Open the live bridge" in words(client.get(p1.get_absolute_url()))
    assert client.post(url(p1, "opening")).url == url(p1)
    assert Bridge.objects.get().opened_by == a1
    card = words(client.get(p1.get_absolute_url()))
    assert "Open, with 1 person, since Tue 3 Mar 2026, 13:05 UTC+3" in card
    client.post(url(p1, "opening"))
    assert Bridge.objects.count() == 1


def test_without_it_in_the_plan_nothing_is_offered(client, a1, a3, g1):
    made = incident(a1, T0)
    for reader in (a1, a3):
        client.force_login(reader)
        assert "bridge" not in client.get(made.get_absolute_url()).content.decode().lower()
        page = client.get(url(made))
        assert "Open the live bridge" not in words(page)
        assert client.post(url(made, "opening")).status_code == 403
    client.force_login(g1)
    assert "Open the live bridge" not in words(client.get(f"/admin/incidents/incident/{made.pk}/change/"))
    assert not Bridge.objects.exists()


def test_a_viewer_or_a_p2_opens_none(client, p1, a1, a3):
    lower = incident(a1, T0, level="P2")
    client.force_login(a1)
    assert "Live bridge" not in words(client.get(lower.get_absolute_url()))
    assert "A bridge opens from a P1 only" in words(client.get(url(lower)))
    assert client.post(url(lower, "opening")).status_code == 409
    client.force_login(a3)
    assert "Live bridge" not in words(client.get(p1.get_absolute_url()))
    assert client.post(url(p1, "opening")).status_code == 403


def test_the_desk_opens_it_and_leads_to_it(client, p1, g1):
    client.force_login(g1)
    desk = f"/admin/incidents/incident/{p1.pk}/change/"
    assert url(p1, "opening") in client.get(desk).content.decode()
    client.post(url(p1, "opening"))
    assert f'href="{url(p1)}"' in client.get(desk).content.decode()
    assert "bridge open" in words(client.get("/admin/incidents/incident/"))
    assert "bridge open" in words(client.get("/admin/incidents/incident/", {"q": p1.reference}))


def test_lists_say_that_a_bridge_is_open(client, bridge, p1, a1, g1):
    client.force_login(a1)
    for address in ("/", "/incidents/"):
        assert "bridge open" in words(client.get(address)), address
    actions.close_bridge(bridge, summary="Over.", by=g1, now=after(4), channel="bridge")
    for address in ("/", "/incidents/"):
        assert "bridge open" not in words(client.get(address)), address


def test_staff_close_it_with_the_drafted_summary(client, bridge, p1, a1, g1):
    actions.decide_on_bridge(bridge, text="We roll back.", by=a1, now=after(4), channel="bridge")
    actions.side_note(bridge, text=SECRET, by=g1, now=after(4), channel="bridge")
    client.force_login(g1)
    draft = client.get(url(p1, "closing"))
    assert "We roll back." in draft.content.decode()
    assert SECRET not in draft.content.decode()
    empty = client.post(url(p1, "closing"), {"summary": " "})
    assert empty.status_code == 400
    assert Bridge.objects.get().closed_at is None
    assert client.post(url(p1, "closing"), {"summary": "It is **back**."}).url == url(p1)
    again = client.post(url(p1, "closing"), {"summary": "Twice"})
    assert again.status_code == 409
    assert "Twice</textarea>" in again.content.decode()
    for reader in (a1, g1):
        client.force_login(reader)
        page = words(client.get(url(p1)))
        assert "It is back ." in page
        assert "2 people" in page or "1 person" in page
        assert "Summary of the past bridge" in words(client.get(p1.get_absolute_url()))
    assert client.get(url(p1, "closing")).url == url(p1)


def test_past_bridges_stay_to_be_read(client, bridge, p1, a1, g1):
    actions.close_bridge(bridge, summary="First end.", by=g1, now=after(3), channel="bridge")
    second = actions.open_bridge(p1, by=g1, now=after(4), channel="bridge")
    client.force_login(a1)
    assert f"?past={bridge.pk}" in client.get(url(p1)).content.decode()
    past = client.get(url(p1), {"past": bridge.pk})
    assert "First end." in words(past)
    assert "Go to the bridge" in words(past)
    assert "js/bridge.js" not in past.content.decode()
    for odd in ("x", "99999", "-1", "", "٣", "9" * 30):
        assert client.get(url(p1), {"past": odd}).status_code == 200
    actions.close_bridge(second, summary="Second end.", by=g1, now=after(5), channel="bridge")
    assert "Second end." in words(client.get(url(p1)))


# --- live ---


def test_the_live_answer_says_what_the_page_cannot_show(client, p1, a1, a2, g1):
    client.force_login(a2)
    assert client.get(live_url(p1, "bridge=0&open=0&here=0")).status_code == 200
    opened = actions.open_bridge(p1, by=a1, now=after(5), channel="bridge")
    pk = opened.pk
    assert "The bridge is open." in words(client.get(live_url(p1, "bridge=0&open=0&here=0")))
    actions.join_bridge(opened, by=a2, now=after(5))
    here = live_url(p1, f"bridge={pk}&open=1&here=1")
    assert 'id="bridge-notice" data-part></div>' in client.get(here).content.decode()
    actions.leave_bridge(opened, by=a2, now=after(5))
    assert "You have left the bridge" in words(client.get(here))
    actions.close_bridge(opened, summary="Over.", by=g1, now=after(6), channel="bridge")
    closed = client.get(here)
    assert "The bridge is closed. Read its summary" in words(closed)
    assert f'href="{url(p1)}"' in closed.content.decode()


def etag_of(client, p1, query="bridge=1&open=1&here=1"):
    return client.get(live_url(p1, query)).headers["ETag"]


def poll(client, p1, etag):
    return client.get(live_url(p1), headers={"If-None-Match": etag})


def test_unchanged_is_304_and_each_change_is_not(client, bridge, p1, a1, a2, g1, clock):
    client.force_login(a1)
    step = None

    def changes():
        nonlocal step
        yield lambda: note(bridge, g1, "New.", 5)
        yield lambda: actions.join_bridge(bridge, by=a2, now=NOW)
        yield lambda: actions.leave_bridge(bridge, by=a2, now=NOW)
        given = {"role": "scribe", "person": g1}
        yield lambda: actions.give_part(bridge, **given, by=g1, now=NOW, channel="bridge")
        owed = {"owner": g1, "due_at": after(50)}
        step = actions.agree_step(bridge, text="x", **owed, by=g1, now=NOW, channel="bridge")
        yield lambda: actions.finish_step(step, by=g1, now=NOW, channel="bridge")
        yield lambda: actions.assign(p1, assignee=g1, by=g1, now=NOW, channel="admin")
        yield lambda: clock.move_to(NOW + timedelta(minutes=1))
        closing = {"summary": "Over.", "by": g1, "channel": "bridge"}
        yield lambda: actions.close_bridge(bridge, **closing, now=after(6))

    for change in changes():
        etag = etag_of(client, p1)
        assert poll(client, p1, etag).status_code == 304
        change()
        assert poll(client, p1, etag).status_code == 200


def test_an_etag_is_one_reader_s_in_one_language(client, bridge, p1, a1, a2):
    actions.join_bridge(bridge, by=a2, now=after(4))
    found = set()
    for reader, language in ((a1, "en"), (a1, "tr"), (a2, "en")):
        User.objects.filter(pk=reader.pk).update(language=language)
        client.force_login(reader)
        found.add(etag_of(client, p1))
    assert len(found) == 3
    client.force_login(a1)
    assert etag_of(client, p1, "bridge=0&open=0&here=0") not in found


def test_readers_of_two_zones_read_two_times(client, bridge, p1, a1, a2):
    for reader, zone in ((a1, "Europe/Istanbul"), (a2, "Europe/Berlin")):
        User.objects.filter(pk=reader.pk).update(time_zone=zone)
    for reader, shown in ((a1, "13:02 UTC+3"), (a2, "11:02 CET")):
        client.force_login(reader)
        assert shown in words(client.get(live_url(p1)))


def test_the_server_counts_who_watches_as_there_at_most_once_a_minute(client, bridge, p1, a1, clock):
    client.force_login(a1)

    def seen():
        return bridge.presences.get(person=a1).seen_at

    before = seen()
    clock.move_to(before + timedelta(seconds=59))
    client.get(live_url(p1))
    assert seen() == before
    clock.move_to(before + timedelta(seconds=61))
    poll(client, p1, '"stale"')
    assert seen() == before + timedelta(seconds=61)


# --- side-notes ---


def everything(client, p1):
    """What a customer gets of the incident and its bridge, with the ETags: nothing of it may move."""
    cache.clear()
    answers = [
        client.get(url(p1)),
        client.get(live_url(p1)),
        client.get(p1.get_absolute_url()),
        client.get("/incidents/"),
    ]
    bodies = [re.sub(r'value="\w{64}"', "", answer.content.decode()) for answer in answers]
    return bodies, answers[1].headers["ETag"], re.findall(r'data-etag="([^"]+)"', bodies[0])


@pytest.mark.parametrize("who", ["a1", "a3"])
def test_a_side_note_is_in_no_byte_of_a_customer_s_answer(client, bridge, p1, g1, g2, who, request, clock):
    client.force_login(request.getfixturevalue(who))
    note(bridge, g1, "For all.", 4)
    before = everything(client, p1)
    etag = before[1]
    actions.side_note(bridge, text=SECRET, by=g1, now=NOW, channel="bridge")
    clock.shift(timedelta(seconds=20))  # within the minute: the clocks' own steps are not at stake
    actions.side_note(bridge, text=SECRET, by=g1, now=NOW + timedelta(seconds=20), channel="bridge")
    clock.move_to(NOW)
    assert everything(client, p1) == before
    assert poll(client, p1, etag).status_code == 304
    assert SECRET not in str(everything(client, p1))


def test_staff_read_side_notes_as_internal_and_at_once(client, bridge, p1, g1, g2, a1):
    client.force_login(g2)
    etag = etag_of(client, p1)
    client.post(url(p1, "presence"))
    client.force_login(g1)
    assert client.post(url(p1, "side-notes"), {"text": SECRET}).status_code == 302
    client.force_login(g2)
    live = poll(client, p1, etag)
    assert live.status_code == 200
    assert "item-internal" in live.content.decode()
    assert re.search(rf"Internal .*{SECRET}", words(live))
    client.force_login(a1)  # the parts rendered for staff are not what a customer is given
    assert SECRET not in client.get(live_url(p1)).content.decode()


def test_a_customer_in_staff_s_language_and_zone_is_given_their_own_parts(client, bridge, p1, a1, g1):
    User.objects.update(language="en", time_zone="Europe/Istanbul")
    actions.side_note(bridge, text=SECRET, by=g1, now=NOW, channel="bridge")
    note(bridge, g1, "The newest event is public.", 5)
    for reader, reads in ((g1, True), (a1, False), (g1, True)):
        client.force_login(reader)
        assert (SECRET in client.get(live_url(p1)).content.decode()) is reads


# --- what people write is inert ---

XSS = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.mark.parametrize("who", ["a1", "g1"])
def test_what_people_write_is_inert(client, p1, a1, a2, g1, who, request):
    User.objects.filter(pk=a1.pk).update(name=XSS)
    a1.refresh_from_db()
    bridge = actions.open_bridge(p1, by=a1, now=after(2), channel="bridge")
    note(bridge, a1, f"{XSS} [x](javascript:alert(1))")
    actions.decide_on_bridge(bridge, text=XSS, by=a1, now=after(4), channel="bridge")
    actions.agree_step(bridge, text=XSS, owner=a1, due_at=after(50), by=a1, now=after(4), channel="bridge")
    client.force_login(request.getfixturevalue(who))
    for address in (url(p1), live_url(p1)):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert 'href="javascript' not in page
    typed = client.post(url(p1, "steps"), {"text": XSS, "owner": "", "due_at": ""}).content.decode()
    assert "<script>alert" not in typed
    actions.close_bridge(bridge, summary=XSS, by=g1, now=NOW, channel="bridge")
    assert "<script>alert" not in client.get(url(p1)).content.decode()


# --- what it costs ---


def count(call, status=200):
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert call().status_code == status
    return len(captured)


@pytest.mark.parametrize("who", ["a1", "g1"])
def test_the_page_makes_the_same_queries_with_few_and_with_many(
    client, bridge, p1, a1, g1, acme, who, request
):
    client.force_login(request.getfixturevalue(who))
    counts, rows = [], 0
    for size in (3, 12, 40):
        for number in range(rows, size):
            someone = person(f"p{number}@acme.example", f"Person {number:02}", acme, "member")
            actions.join_bridge(bridge, by=someone, now=after(4))
            note(bridge, someone, f"Note {number}")
            actions.decide_on_bridge(bridge, text="So.", by=someone, now=after(4), channel="bridge")
            actions.side_note(bridge, text="Hm.", by=g1, now=after(4), channel="bridge")
            step = {"owner": someone, "due_at": after(50), "by": someone, "now": after(4)}
            actions.agree_step(bridge, text=f"Step {number}", **step, channel="bridge")
        rows = size
        client.get(url(p1))
        counts.append((count(lambda: client.get(url(p1))), count(lambda: client.get(live_url(p1)))))
    few, some, many = counts
    assert few >= some >= many, counts  # with few, the opening itself is among what is shown


@pytest.mark.parametrize("who", ["a1", "g1"])
def test_a_poll_that_finds_nothing_new_costs_six_queries(client, bridge, p1, who, request):
    client.force_login(request.getfixturevalue(who))
    etag = etag_of(client, p1)
    assert count(lambda: poll(client, p1, etag), 304) <= 6


def test_what_one_viewer_was_shown_is_not_asked_for_again_for_the_next(client, bridge, p1, a1, a2):
    client.force_login(a1)
    client.get(live_url(p1))
    client.force_login(a2)
    client.get("/incidents/")
    with CaptureQueriesContext(connection) as captured:
        assert client.get(live_url(p1)).status_code == 200
    assert len(captured) <= 6


def test_a_former_writer_finds_no_form(client, bridge, p1, a1):
    client.force_login(a1)
    Membership.objects.filter(user=a1).update(role="viewer")
    client.force_login(a1)  # with the role, the session of before is over
    assert "<textarea" not in client.get(url(p1)).content.decode()
    Membership.objects.filter(user=a1).delete()
    client.force_login(a1)
    assert client.get(url(p1)).status_code == 404
    assert client.get(live_url(p1)).status_code == 404
