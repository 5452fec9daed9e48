"""Answers to invitations as calendar programs send them: one person's token, one event, one answer a version."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime, timedelta
from email.message import EmailMessage

import icalendar
import pytest
from django.conf import settings
from django.core import mail
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from incidents.intake import invitation_answers as answers
from incidents.intake import itip, senders
from incidents.models import InboundMessage, Incident
from maintenance import actions, ical
from maintenance.actions.invitations import answer_invitation
from maintenance.models import Consent, Freeze, Invitation
from portal.models import Membership, OutboxMessage
from portal.verbs import Refused
from tests.conftest import T0
from tests.mails import FAIL, PASS, arrive, written
from tests.maintenance import stories
from tests.maintenance.world import DAY, DECISION, END, HOUR, START, announced, by

State, Outcome = InboundMessage.State, InboundMessage.Outcome
SOON = T0 + HOUR
LEFT = "This invitation is not theirs any more."


@pytest.fixture
def window(acme, nordwind, a1, a2, a3, b1, g1, g2):
    return announced(g1, g2)


def calendar(
    window,
    attendee,
    partstat: str = "ACCEPTED",
    *,
    sequence: int | str | None = 0,
    method: str = "REPLY",
    uid: str = "",
    at: datetime = SOON,
    more: str = "",
) -> str:
    lines = [
        "BEGIN:VCALENDAR",
        "PRODID:-//Example//Calendar//EN",
        "VERSION:2.0",
        f"METHOD:{method}",
        "BEGIN:VEVENT",
        f"UID:{uid or window.uid}",
        f'ATTENDEE;CN="Somebody, of: Acme";PARTSTAT={partstat}:MAILTO:{getattr(attendee, "email", attendee)}',
        f"DTSTAMP:{at:%Y%m%dT%H%M%SZ}",
        *([] if sequence is None else [f"SEQUENCE:{sequence}"]),
        *([more] if more else []),
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines)


def reply(
    sender,
    text: str | bytes,
    *,
    to: str,
    method: str = "REPLY",
    charset: str = "utf-8",
    kind: str = "text/calendar",
    **more,
) -> bytes:
    """The mail that a calendar program sends: some words, and the answer beside them."""
    made: EmailMessage = email.message_from_bytes(
        written(sender, "A has accepted this invitation.", to=to, subject="Accepted: work", **more),
        policy=email.policy.default,
    )
    content = text if isinstance(text, bytes) else text.encode()
    main, sub = kind.split("/")
    params = {"charset": charset, "method": method} if method else {}
    made.add_attachment(content, maintype=main, subtype=sub, params=params)
    return made.as_bytes()


def address(window, person) -> str:
    return ical.reply_address(window.invitations.get(person=person))


def answer_of(window, person) -> tuple[str, int | None]:
    found = window.invitations.get(person=person)
    return found.answer, found.answered_sequence


def events(window) -> int:
    return window.events.filter(kind="invitation_answered").count()


@pytest.mark.parametrize("partstat", ["ACCEPTED", "TENTATIVE", "DECLINED"])
def test_an_answer_is_recorded_with_who_when_and_to_which_version(window, a1, partstat):
    message = arrive(reply(a1, calendar(window, a1, partstat), to=address(window, a1)), at=SOON)
    assert (message.state, message.outcome, message.state_reason) == (State.DONE, Outcome.ANSWERED, "")
    found = window.invitations.get(person=a1)
    assert (found.answer, found.answered_sequence, found.answered_at) == (partstat.lower(), 0, SOON)
    event = window.events.get(kind="invitation_answered")
    assert (event.by, event.channel, event.payload) == (
        a1,
        "calendar",
        {"invitation": found.pk, "answer": partstat.lower(), "sequence": 0},
    )
    assert not Incident.objects.exists()


@pytest.mark.parametrize("kind", ["text/calendar", "application/ics"])
@pytest.mark.parametrize("method", ["REPLY", "reply", ""])
def test_however_the_program_labels_it(window, a1, kind, method):
    arrive(reply(a1, calendar(window, a1), to=address(window, a1), kind=kind, method=method), at=SOON)
    assert answer_of(window, a1) == ("accepted", 0)


def test_without_a_sequence_it_answers_the_first_version(window, a1):
    arrive(reply(a1, calendar(window, a1, sequence=None), to=address(window, a1)), at=SOON)
    assert answer_of(window, a1) == ("accepted", 0)


def test_a_viewer_answers_for_themselves(window, a3):
    arrive(reply(a3, calendar(window, a3), to=address(window, a3)), at=SOON)
    assert answer_of(window, a3) == ("accepted", 0)


# --- order ---


def test_the_same_again_changes_nothing(window, a1):
    raw = reply(a1, calendar(window, a1), to=address(window, a1))
    again = reply(a1, calendar(window, a1, at=SOON + HOUR), to=address(window, a1))
    for sent in (raw, raw, again):
        message = arrive(sent, at=SOON)
        assert (message.state, message.outcome) == (State.DONE, Outcome.ANSWERED)
    assert message.state_reason == answers.NO_NEWS
    assert events(window) == 1
    assert window.invitations.get(person=a1).answered_at == SOON


def test_an_older_version_never_overrides_a_newer(window, a1, g1):
    first = reply(
        a1, calendar(window, a1, "DECLINED", sequence=0, at=SOON + 9 * HOUR), to=address(window, a1)
    )
    move(window, g1)
    arrive(reply(a1, calendar(window, a1, "ACCEPTED", sequence=1, at=SOON), to=address(window, a1)), at=SOON)
    message = arrive(first, at=SOON + 10 * HOUR)
    assert (message.state, message.state_reason) == (State.DONE, answers.NO_NEWS)
    assert answer_of(window, a1) == ("accepted", 1)
    assert events(window) == 1


def test_a_late_answer_to_the_version_before_is_recorded_as_such(window, acme, a1, g1):
    mail = reply(a1, calendar(window, a1), to=address(window, a1))
    move(window, g1)
    consent = Consent.objects.create(window=window, organisation=acme, reason="freeze", asked_at=T0)
    arrive(mail, at=SOON)
    assert answer_of(window, a1) == ("accepted", 0)
    consent.refresh_from_db()
    assert consent.state == Consent.State.OPEN


def test_of_two_answers_to_one_version_the_one_written_later_holds(window, a1):
    to = address(window, a1)
    later = reply(a1, calendar(window, a1, "DECLINED", at=SOON + 2 * HOUR), to=to)
    earlier = reply(a1, calendar(window, a1, "ACCEPTED", at=SOON + HOUR), to=to)
    arrive(later, at=SOON + 3 * HOUR)
    message = arrive(earlier, at=SOON + 4 * HOUR)
    assert message.state_reason == answers.NO_NEWS
    assert answer_of(window, a1) == ("declined", 0)
    arrive(reply(a1, calendar(window, a1, "TENTATIVE", at=SOON + 5 * HOUR), to=to), at=SOON + 6 * HOUR)
    assert answer_of(window, a1) == ("tentative", 0)


def test_a_clock_that_is_wrong_is_believed_only_within_reason(window, a1):
    to = address(window, a1)
    arrive(reply(a1, calendar(window, a1, at=T0 + 900 * DAY), to=to), at=SOON)
    assert window.invitations.get(person=a1).answered_at == SOON
    arrive(reply(a1, calendar(window, a1, "DECLINED", at=T0 - 900 * DAY), to=to), at=SOON + HOUR)
    assert answer_of(window, a1) == ("accepted", 0)


def move(window, g1):
    return actions.move_window(
        window,
        starts_at=START + DAY,
        ends_at=END + DAY,
        rollback_decision_at=DECISION + DAY,
        reason="The hall is closed.",
        **by(g1, T0 + timedelta(minutes=1)),
    )


# --- whose it is ---


def held(message, reason: str) -> None:
    assert (message.state, message.state_reason) == (State.HELD, reason)
    assert not Incident.objects.exists()


def nothing_recorded(window) -> None:
    assert set(window.invitations.values_list("answer", flat=True)) == {Invitation.Answer.NEEDS_ACTION}
    assert events(window) == 0


@pytest.mark.parametrize("verdict", ["", PASS, FAIL])
def test_a_token_is_one_persons(window, a1, a2, b1, g1, verdict):
    to = address(window, a1)
    for sender in (a2, b1, g1, "nobody@elsewhere.example"):
        for attendee in (a1, sender):
            raw = reply(sender, calendar(window, attendee), to=to, verdict=verdict)
            held(arrive(raw, at=SOON), answers.NO_INVITATION)
    nothing_recorded(window)


def test_whoever_answers_in_anothers_name_is_held(window, a1, a2):
    held(arrive(reply(a1, calendar(window, a2), to=address(window, a1)), at=SOON), answers.OTHER_ATTENDEE)
    both = calendar(window, a1, more=f"ATTENDEE;PARTSTAT=DECLINED:mailto:{a2.email}")
    held(arrive(reply(a1, both, to=address(window, a1)), at=SOON), answers.OTHER_ATTENDEE)
    nothing_recorded(window)


def test_two_senders_are_none(window, a1, a2):
    raw = reply(a1, calendar(window, a1), to=address(window, a1))
    raw = raw.replace(b"From: a1@acme.example", b"From: a1@acme.example, a2@acme.example")
    held(arrive(raw, at=SOON), answers.NO_INVITATION)
    nothing_recorded(window)


def test_a_forged_sender_is_held(window, a1):
    raw = reply(a1, calendar(window, a1), to=address(window, a1), verdict=FAIL)
    held(arrive(raw, at=SOON), senders.FAILED)
    nothing_recorded(window)


@pytest.mark.parametrize("token", ["0" * 48, "", "x", "0" * 40])
def test_an_invented_address_is_held(window, a1, token):
    to = f"maintenance+{token}@{settings.MAIL_DOMAIN}"
    held(arrive(reply(a1, calendar(window, a1), to=to, verdict=PASS), at=SOON), answers.NO_INVITATION)
    nothing_recorded(window)


def test_an_answer_to_another_event_is_held(window, a1, g1, g2):
    other = announced(g1, g2, starts_at=START + DAY, ends_at=END + DAY, rollback_decision_at=DECISION + DAY)
    held(arrive(reply(a1, calendar(other, a1), to=address(window, a1)), at=SOON), answers.OTHER_EVENT)
    nothing_recorded(window)
    nothing_recorded(other)


def test_a_version_that_was_never_sent_is_held(window, a1):
    message = arrive(reply(a1, calendar(window, a1, sequence=1), to=address(window, a1)), at=SOON)
    held(message, "It answers a version of the invitation that was never sent.")
    nothing_recorded(window)


@pytest.mark.parametrize("how", ["inactive", "left", "closed"])
def test_whoever_left_answers_nothing(window, acme, a1, how):
    to = address(window, a1)
    if how == "inactive":
        a1.is_active = False
        a1.save()
    elif how == "left":
        Membership.objects.filter(user=a1).delete()
    else:
        acme.is_active = False
        acme.save()
    for raw in (
        reply(a1, calendar(window, a1), to=to, verdict=PASS),
        reply(a1, calendar(window, a1), to=settings.SUPPORT_EMAIL, verdict=PASS),
    ):
        held(arrive(raw, at=SOON), senders.INACTIVE if how == "inactive" else LEFT)
    nothing_recorded(window)


# --- programs that answer to the service's own address ---


def test_a_proven_sender_is_matched_by_event_and_attendee(window, a1):
    raw = reply(a1, calendar(window, a1), to=settings.SUPPORT_EMAIL, verdict=PASS)
    assert arrive(raw, at=SOON).outcome == Outcome.ANSWERED
    assert answer_of(window, a1) == ("accepted", 0)


def test_what_is_not_proven_is_held(window, a1, a2, b1):
    to = settings.SUPPORT_EMAIL
    held(arrive(reply(a1, calendar(window, a1), to=to), at=SOON), senders.UNPROVEN)
    held(arrive(reply(a1, calendar(window, a1), to=to, verdict=FAIL), at=SOON), senders.FAILED)
    held(arrive(reply(a2, calendar(window, a1), to=to, verdict=PASS), at=SOON), answers.OTHER_ATTENDEE)
    window.invitations.filter(person=b1).delete()
    held(arrive(reply(b1, calendar(window, b1), to=to, verdict=PASS), at=SOON), answers.NOT_INVITED)
    nothing_recorded(window)


def test_an_answer_to_somebody_elses_event_is_no_business_of_ours(window, a1):
    raw = reply(a1, calendar(window, a1, uid="other@acme.example"), to=settings.SUPPORT_EMAIL, verdict=PASS)
    message = arrive(raw, at=SOON)
    assert (message.state, message.outcome) == (State.DONE, Outcome.AUTOMATIC)
    nothing_recorded(window)


# --- what is no plain answer ---


def test_another_time_is_a_persons_to_decide(window, a1):
    raw = reply(a1, calendar(window, a1, method="COUNTER"), to=address(window, a1), method="COUNTER")
    held(arrive(raw, at=SOON), answers.OTHER_TIME)
    nothing_recorded(window)


@pytest.mark.parametrize("partstat", ["NEEDS-ACTION", "DELEGATED", "X-MAYBE", "ACCEPTED;X=1"])
def test_only_three_answers_are_answers(window, a1, partstat):
    message = arrive(reply(a1, calendar(window, a1, partstat), to=address(window, a1)), at=SOON)
    if partstat == "ACCEPTED;X=1":
        assert answer_of(window, a1) == ("accepted", 0)
        return
    held(message, answers.OTHER_ANSWER)
    nothing_recorded(window)


def test_words_are_held_and_open_nothing(window, a1):
    raw = written(a1, "Could you do it an hour later?", to=address(window, a1), verdict=PASS)
    held(arrive(raw, at=SOON), answers.NO_ANSWER)
    nothing_recorded(window)


def test_words_in_answer_to_a_notice_are_held_wherever_they_go(window, a1):
    notice = OutboxMessage.objects.create(
        kind="maintenance_announced",
        recipient=a1,
        subject_key=window.reference,
        message_id=f"<1@{settings.MAIL_DOMAIN}>",
        dedupe_key="notice",
    )
    raw = written(a1, "Could you do it an hour later?", verdict=PASS, In_Reply_To=notice.message_id)
    held(arrive(raw, at=SOON), answers.NO_ANSWER)


def test_a_report_of_its_own_opens_an_incident_as_ever(window, a1):
    message = arrive(written(a1, "Nothing works.", verdict=PASS), at=SOON)
    assert message.outcome == Outcome.OPENED


def test_an_absence_notice_is_known_as_one(window, a1):
    raw = written(a1, "I am away.", to=address(window, a1), Auto_Submitted="auto-replied")
    message = arrive(raw, at=SOON)
    assert (message.state, message.outcome) == (State.DONE, Outcome.AUTOMATIC)
    assert not Incident.objects.exists()
    nothing_recorded(window)


def event_lines(count: int) -> str:
    return "".join(f"BEGIN:VEVENT\r\nUID:{n}\r\nEND:VEVENT\r\n" for n in range(count))


HEAD, TAIL = "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n", "END:VCALENDAR\r\n"
BOMB = (
    "BEGIN:VTIMEZONE\r\nTZID:Bomb\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nTZOFFSETFROM:+0000\r\n"
    "TZOFFSETTO:+0100\r\nRRULE:FREQ=SECONDLY\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)
MALFORMED = {
    "nothing": ("", itip.UNREADABLE),
    "no calendar": ("hello\r\n", itip.UNREADABLE),
    "no event": (HEAD + TAIL, itip.NO_EVENT),
    "two events": (HEAD + event_lines(2) + TAIL, itip.SEVERAL_EVENTS),
    "ten thousand events": (HEAD + event_lines(10_000) + TAIL, itip.TOO_LARGE),
    "two megabytes": (HEAD + "X-A:" + "x" * 2_000_000 + "\r\n" + TAIL, itip.TOO_LARGE),
    "many lines that are short enough": (HEAD + ("X-A:" + "x" * 900 + "\r\n") * 400 + TAIL, itip.TOO_LARGE),
    "a long line": (HEAD + "X-A:" + "x" * 100_000 + "\r\n" + TAIL, itip.TOO_LARGE),
    "a long fold": (HEAD + "X-A:" + "\r\n x" * 40_000 + "\r\n" + TAIL, itip.TOO_LARGE),
    "never closed": (HEAD + "BEGIN:VEVENT\r\nUID:1\r\n", itip.UNREADABLE),
    "closed wrongly": (HEAD + "BEGIN:VEVENT\r\nUID:1\r\nEND:VTODO\r\n" + TAIL, itip.UNREADABLE),
    "nested": (HEAD + "BEGIN:X\r\n" * 1_000 + "END:X\r\n" * 1_000 + TAIL, itip.UNREADABLE),
    "two calendars": ((HEAD + event_lines(1) + TAIL) * 2, itip.UNREADABLE),
    "no uid": (HEAD + "BEGIN:VEVENT\r\nEND:VEVENT\r\n" + TAIL, itip.UNREADABLE),
    "two uids": (HEAD + "BEGIN:VEVENT\r\nUID:1\r\nUID:2\r\nEND:VEVENT\r\n" + TAIL, itip.UNREADABLE),
    "no name": (HEAD + "BEGIN:VEVENT\r\nATTENDEE;=:x\r\nUID:1\r\nEND:VEVENT\r\n" + TAIL, itip.UNREADABLE),
    "a huge sequence": (
        HEAD + "BEGIN:VEVENT\r\nUID:1\r\nSEQUENCE:" + "9" * 400 + "\r\nEND:VEVENT\r\n" + TAIL,
        itip.UNREADABLE,
    ),
    "another method": ("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n" + event_lines(1) + TAIL, itip.OTHER_METHOD),
    "no method": ("BEGIN:VCALENDAR\r\n" + event_lines(1) + TAIL, itip.OTHER_METHOD),
    "bytes": (b"\x00\xff\xfe" * 1_000, itip.UNREADABLE),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_calendar_is_kept_with_its_reason(window, a1, name):
    text, reason = MALFORMED[name]
    message = arrive(reply(a1, text, to=address(window, a1)), at=SOON)
    held(message, reason)
    with message.raw.open("rb") as stored:
        assert stored.read()
    nothing_recorded(window)


@pytest.mark.parametrize("charset", ["utf-8", "x-no-such", "utf-16", "idna", "unicode_escape", "\0"])
def test_a_charset_that_is_none_or_wrong_stops_nothing(window, a1, charset):
    text = calendar(window, a1, more="COMMENT:Grüße")
    raw = reply(a1, text.encode(), to=address(window, a1), charset=charset or "utf-8")
    message = arrive(raw, at=SOON)
    assert message.state in (State.DONE, State.HELD)
    if charset != "utf-16":
        assert answer_of(window, a1) == ("accepted", 0)


def test_a_bomb_is_never_worked_out(window, a1):
    text = calendar(window, a1, more="RRULE:FREQ=SECONDLY").replace("BEGIN:VEVENT", BOMB + "BEGIN:VEVENT")
    arrive(reply(a1, text, to=address(window, a1)), at=SOON)
    assert answer_of(window, a1) == ("accepted", 0)


# --- consent ---


@pytest.fixture
def frozen(acme, nordwind, a1, a2, a3, b1, g1, g2):
    """An announced window that overlaps a freeze of Acme's and one of Nordwind's."""
    for organisation, person in ((acme, a2), (nordwind, b1)):
        Freeze.objects.create(
            organisation=organisation, starts_at=START, ends_at=END, reason="Quarter", entered_by=person
        )
    return announced(g1, g2)


def states(window) -> dict[str, tuple[str, str, str]]:
    return {
        row.organisation.name: (row.state, getattr(row.decided_by, "email", ""), row.channel)
        for row in window.consents.all()
    }


def test_accepting_consents_for_ones_own_organisation_only(frozen, a1):
    arrive(reply(a1, calendar(frozen, a1), to=address(frozen, a1)), at=SOON)
    assert states(frozen) == {"Acme": ("given", a1.email, "calendar"), "Nordwind": ("open", "", "")}
    assert frozen.consents.get(organisation__name="Acme").decided_at == SOON


def test_declining_refuses_with_the_words_that_came_along(frozen, a1):
    text = calendar(frozen, a1, "DECLINED", more="COMMENT:Not in the quarter\\, please.")
    arrive(reply(a1, text, to=address(frozen, a1)), at=SOON)
    assert states(frozen)["Acme"] == ("refused", a1.email, "calendar")
    assert frozen.consents.get(organisation__name="Acme").words == "Not in the quarter, please."


def test_declining_without_words_refuses_all_the_same(frozen, a1):
    arrive(reply(a1, calendar(frozen, a1, "DECLINED"), to=address(frozen, a1)), at=SOON)
    assert frozen.consents.get(organisation__name="Acme").words == "The invitation was declined."


def test_changing_ones_mind_changes_ones_own_decision_only(frozen, a1, a2):
    to = address(frozen, a1)
    arrive(reply(a1, calendar(frozen, a1, "DECLINED"), to=to), at=SOON)
    arrive(reply(a1, calendar(frozen, a1, at=SOON + HOUR), to=to), at=SOON + HOUR)
    assert states(frozen)["Acme"] == ("given", a1.email, "calendar")
    arrive(reply(a2, calendar(frozen, a2, "DECLINED"), to=address(frozen, a2)), at=SOON + 2 * HOUR)
    assert states(frozen)["Acme"] == ("given", a1.email, "calendar")
    assert answer_of(frozen, a2) == ("declined", 0)


@pytest.mark.parametrize("partstat", ["ACCEPTED", "DECLINED"])
def test_a_viewer_consents_to_nothing(frozen, a3, partstat):
    arrive(reply(a3, calendar(frozen, a3, partstat), to=address(frozen, a3)), at=SOON)
    assert answer_of(frozen, a3) == (partstat.lower(), 0)
    assert states(frozen)["Acme"] == ("open", "", "")


def test_perhaps_is_no_consent(frozen, a1):
    arrive(reply(a1, calendar(frozen, a1, "TENTATIVE"), to=address(frozen, a1)), at=SOON)
    assert states(frozen)["Acme"] == ("open", "", "")


def test_a_consent_is_to_the_times_that_were_answered(frozen, a1, g1):
    """Moved within the freeze: the acceptance of the earlier times consents to nothing."""
    mail = reply(a1, calendar(frozen, a1), to=address(frozen, a1))
    actions.move_window(
        frozen,
        starts_at=START + HOUR / 2,
        ends_at=END,
        rollback_decision_at=DECISION,
        reason="A later train.",
        **by(g1, T0 + timedelta(minutes=1)),
    )
    arrive(mail, at=SOON)
    assert states(frozen)["Acme"][0] == "open"
    arrive(reply(a1, calendar(frozen, a1, sequence=1), to=address(frozen, a1)), at=SOON)
    assert states(frozen)["Acme"] == ("given", a1.email, "calendar")


def test_after_the_end_an_answer_is_recorded_and_decides_nothing(window, a1):
    message = arrive(reply(a1, calendar(window, a1), to=address(window, a1)), at=END + DAY)
    assert message.outcome == Outcome.ANSWERED
    assert answer_of(window, a1) == ("accepted", 0)


LINES = st.sampled_from(
    [
        "BEGIN:VCALENDAR",
        "END:VCALENDAR",
        "BEGIN:VEVENT",
        "END:VEVENT",
        "METHOD:REPLY",
        "UID:1",
        "SEQUENCE:-1",
        "ATTENDEE;PARTSTAT=:x",
        'ATTENDEE;CN="',
        " folded",
        "DTSTAMP:20260231T000000Z",
        "BEGIN:",
    ]
)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.lists(LINES | st.text(max_size=30), max_size=20), st.text(max_size=20))
def test_whatever_a_calendar_says_it_is_read_or_refused(lines, charset):
    raw = "\r\n".join(lines).encode("utf-8", "replace")
    found = itip.read_answer(raw, method="REPLY", charset=charset)
    assert found.problem or (found.uid and found.sequence >= 0)


def test_whoever_changed_their_organisation_answers_for_the_one_they_hear_for(acme, nordwind, a1, g1, g2, b1):
    """Invited in Acme's name, and of Nordwind by now: what Nordwind was asked is theirs to decide."""
    Freeze.objects.create(
        organisation=nordwind, starts_at=START, ends_at=END, reason="Quarter", entered_by=b1
    )
    window = announced(g1, g2)
    Membership.objects.filter(user=a1).update(organisation=nordwind)
    arrive(reply(a1, calendar(window, a1), to=address(window, a1)), at=SOON)
    assert states(window) == {"Nordwind": ("given", a1.email, "calendar")}


def test_nobody_else_answers(window, a1, a2, g1):
    """The verb itself asks, whichever door it is called from."""
    invitation = window.invitations.get(person=a1)
    for person in (a2, g1, None):
        with pytest.raises(Refused) as refused:
            answer_invitation(
                invitation, answer="accepted", sequence=0, by=person, now=SOON, channel="portal"
            )
        assert refused.value.kind == "permission"
    with pytest.raises(Refused):
        answer_invitation(invitation, answer="needs_action", sequence=0, by=a1, now=SOON, channel="portal")
    nothing_recorded(window)


def test_a_program_answers_the_very_invitation_that_it_got(window, a1):
    """From our mail to theirs, each address and number taken from what was sent."""
    [text] = stories.calendars_mailed(a1, T0)
    [got] = icalendar.Calendar.from_ical(text).walk("VEVENT")
    made, event = icalendar.Calendar(), icalendar.Event()
    made.add("PRODID", "-//Example//Calendar//EN")
    made.add("VERSION", "2.0")
    made.add("METHOD", "REPLY")
    for name in ("UID", "SEQUENCE", "ORGANIZER", "DTSTART", "DTEND", "SUMMARY", "ATTENDEE"):
        event[name] = got[name]
    event.add("DTSTAMP", SOON)
    event["ATTENDEE"].params["PARTSTAT"] = "ACCEPTED"
    made.add_component(event)
    to = str(got["ORGANIZER"]).removeprefix("mailto:")
    assert [sent.reply_to for sent in mail.outbox if sent.to == [a1.email]] == [[to]]
    message = arrive(reply(a1, made.to_ical(), to=to), at=SOON)
    assert (message.outcome, answer_of(window, a1)) == (Outcome.ANSWERED, ("accepted", 0))
    [attendee] = [
        event["ATTENDEE"] for event in icalendar.Calendar.from_ical(part_for(window, a1)).walk("VEVENT")
    ]
    assert attendee.params["PARTSTAT"] == "ACCEPTED"


def part_for(window, person) -> str:
    of = Membership.objects.get(user=person).organisation
    return ical.part(window, person=person, organisation=of, method="REQUEST", now=SOON).text


def test_of_two_organisations_the_one_consents_in_whose_name_they_were_invited(frozen, nordwind, a1):
    Membership.objects.create(user=a1, organisation=nordwind, role="manager")
    arrive(reply(a1, calendar(frozen, a1), to=address(frozen, a1)), at=SOON)
    assert (states(frozen)["Acme"][0], states(frozen)["Nordwind"][0]) == ("given", "open")


def test_nobody_answers_before_they_were_invited(window, a1):
    arrive(reply(a1, calendar(window, a1, at=T0 - 900 * DAY), to=address(window, a1)), at=SOON)
    assert window.invitations.get(person=a1).answered_at == T0
