"""What calendars are told, read back by two parsers that share nothing: icalendar and vobject."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
import vobject
from dateutil import tz
from django.conf import settings as django_settings
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance import ical
from maintenance.models import Consent, Invitation, MaintenanceWindow, Status, WindowService
from maintenance.zones import vtimezone
from portal.models import Membership, Service, ServiceSubscription
from tests import factories
from tests.conftest import T0
from tests.maintenance import made, stories

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def event_of(text: str) -> icalendar.Event:
    (event,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    return event


def read_by_vobject(text: str):
    """Each zone is what the text says of it: a reader that knew the names would take its own rules."""
    known = vars(vobject.icalendar)["__tzidMap"]
    for name in set(known) - {"UTC"}:
        del known[name]
    for block in re.findall(r"BEGIN:VTIMEZONE.*?END:VTIMEZONE", text.replace("\r\n ", ""), re.DOTALL):
        told = tz.tzical(io.StringIO(block))
        vobject.icalendar.registerTzid(told.keys()[0], told.get())
    return vobject.readOne(text)


def read_twice(text: str) -> tuple[str, int, datetime, datetime, str, str]:
    """UID, SEQUENCE, start and end in UTC, STATUS and METHOD: the same by both parsers, or the test fails."""
    calendar = icalendar.Calendar.from_ical(text)
    event = event_of(text)
    ours = (
        str(event["UID"]),
        int(event["SEQUENCE"]),
        event.DTSTART.astimezone(UTC),
        event.DTEND.astimezone(UTC),
        str(event["STATUS"]),
        str(calendar["METHOD"]),
    )
    other = read_by_vobject(text)
    theirs = (
        other.vevent.uid.value,
        int(other.vevent.sequence.value),
        other.vevent.dtstart.value.astimezone(UTC),
        other.vevent.dtend.value.astimezone(UTC),
        other.vevent.status.value,
        other.method.value,
    )
    assert ours == theirs
    return ours


@pytest.fixture
def window(acme, nordwind, a1, a3, b1, g1):
    return made.announced(
        g1, [acme, nordwind], starts_at=T0 + 7 * DAY, ends_at=T0 + 7 * DAY + 2 * HOUR, at=T0
    )


def part(window, person, now=T0, method="REQUEST") -> str:
    organisation = Membership.objects.get(user=person).organisation
    made_part = ical.part(window, person=person, organisation=organisation, method=method, now=now)
    assert made_part.method == method
    return made_part.text


@pytest.mark.parametrize(("zone", "start"), stories.STARTS)
def test_a_window_that_moves_twice_is_extended_and_closed_stays_one_event(acme, a1, g1, g2, zone, start):
    """Rows 2, 3, 7 and 8 of scenario 4, across the change of clocks, as the mails have it."""
    a1.time_zone = zone
    a1.save()
    window, agreed = stories.moved_extended_closed(g1, g2, start)
    told = stories.calendars_mailed(a1, window.ended_at)
    assert sorted(read_twice(text) for text in told) == [
        (window.uid, number, begin, end, "CONFIRMED", "REQUEST") for number, (begin, end) in enumerate(agreed)
    ]
    zones = {str(event_of(text)["DTSTART"].params.get("TZID", "UTC")) for text in told}
    assert zones <= {zone, "UTC"}


@pytest.mark.parametrize(("zone", "start"), stories.STARTS)
def test_a_cancelled_window_is_cancelled_in_calendars(acme, a1, g1, g2, zone, start):
    a1.time_zone = zone
    a1.save()
    window = stories.cancelled(g1, g2, start)
    first, last = sorted(stories.calendars_mailed(a1, T0 + HOUR), key=read_twice)
    assert read_twice(first) == (window.uid, 0, start, start + HOUR, "CONFIRMED", "REQUEST")
    assert read_twice(last) == (window.uid, 1, start, start + HOUR, "CANCELLED", "CANCEL")
    assert str(event_of(last)["X-MAINTNOTE-STATUS"]) == "CANCELLED"


@pytest.mark.parametrize(
    "zone", [*stories.CHANGES, "Africa/Casablanca", "Asia/Jerusalem", "Asia/Kathmandu", "America/Sao_Paulo"]
)
def test_the_zone_is_told_so_that_a_stranger_to_it_reads_each_hour_right(zone):
    """vobject knows no zone but from the VTIMEZONE: each half hour that is near a change, in three years."""
    calendar = icalendar.Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", "test")
    calendar.add_component(vtimezone(zone, 2026, 2028))
    event = icalendar.Event()
    event.add("UID", "1")
    event.add("DTSTART", datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)))
    calendar.add_component(event)
    told = read_by_vobject(calendar.to_ical().decode()).vevent.dtstart.value.tzinfo
    days = [datetime(2026, 1, 1, tzinfo=UTC) + number * DAY for number in range(3 * 365)]
    for day in days:
        is_near = (day - DAY).astimezone(ZoneInfo(zone)).utcoffset() != (day + DAY).astimezone(
            ZoneInfo(zone)
        ).utcoffset()
        for at in [day + number * HOUR / 2 for number in range(48 if is_near else 1)]:
            local = at.astimezone(ZoneInfo(zone))
            if not local.fold:
                assert local.replace(tzinfo=told).astimezone(UTC) == at


@pytest.mark.parametrize("minutes", [-1, 0, 30, 59, 60, 119, 120])
def test_an_hour_that_comes_twice_is_told_in_utc(acme, a1, g1, minutes):
    """RFC 5545 means the first by it, and many programs take the second."""
    a1.time_zone = "Europe/Berlin"
    a1.save()
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC) + timedelta(minutes=minutes)
    window = made.announced(g1, [acme], starts_at=start, ends_at=start + 5 * HOUR, at=T0)
    text = part(window, a1)
    assert ("TZID" in text) == (not 0 <= minutes < 120)
    assert read_twice(text)[2:4] == (start, start + 5 * HOUR)


def test_zones_with_rules_are_told_by_rules_without_an_end():
    rules = {
        str(rule["RRULE"].to_ical().decode()) for rule in vtimezone("Europe/Berlin", 2026, 2027).subcomponents
    }
    assert rules == {"FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10"}
    (istanbul,) = vtimezone("Europe/Istanbul", 2026, 2027).subcomponents
    assert istanbul.TZOFFSETTO.total_seconds() == 3 * 3600


def test_the_invitation_is_one_persons(window, acme, a1):
    invitation = window.invitations.get(person=a1)
    text = part(window, a1, now=T0 + HOUR)
    event = event_of(text)
    assert event["ORGANIZER"] == f"mailto:maintenance+{invitation.token}@{django_settings.MAIL_DOMAIN}"
    assert event["ORGANIZER"].params["CN"] == django_settings.SUPPORT_BRAND
    assert event["ATTENDEE"] == "mailto:a1@acme.example"
    assert event["ATTENDEE"].params["ROLE"] == "REQ-PARTICIPANT"
    assert event["ATTENDEE"].params["PARTSTAT"] == "NEEDS-ACTION"
    assert event["ATTENDEE"].params["RSVP"] == "TRUE"
    assert event["DTSTART"].params["TZID"] == "Europe/Istanbul"
    assert event["DTSTAMP"].dt == T0 + HOUR
    assert event["LAST-MODIFIED"].dt == T0
    assert (event["STATUS"], event["TRANSP"]) == ("CONFIRMED", "TRANSPARENT")
    assert event["URL"] == f"{django_settings.SITE_URL}/maintenance/{window.reference}/"
    assert text.count("BEGIN:VTIMEZONE") == 1
    assert "PRODID:" in text
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert text.replace("\r\n", "").count("\n") == 0


def test_nobody_who_was_not_invited_gets_an_invitation(window, acme, a2):
    with pytest.raises(Invitation.DoesNotExist):
        part(window, a2)


@pytest.mark.parametrize(
    ("answer", "answered", "status", "said"),
    [
        ("accepted", 0, Status.ANNOUNCED, "ACCEPTED"),
        ("tentative", 0, Status.ANNOUNCED, "TENTATIVE"),
        ("declined", 0, Status.ANNOUNCED, "DECLINED"),
        ("accepted", None, Status.ANNOUNCED, "ACCEPTED"),
    ],
)
def test_what_was_answered_is_told(window, a1, answer, answered, status, said):
    window.invitations.filter(person=a1).update(answer=answer, answered_sequence=answered)
    assert event_of(part(window, a1))["ATTENDEE"].params["PARTSTAT"] == said


def test_an_answer_to_other_times_is_asked_for_again_before_the_start_only(window, a1):
    window.invitations.filter(person=a1).update(answer="accepted", answered_sequence=0)
    made.moved(window, T0, HOUR)
    attendee = event_of(part(window, a1))["ATTENDEE"]
    assert (attendee.params["PARTSTAT"], attendee.params["RSVP"]) == ("NEEDS-ACTION", "TRUE")
    made.changed(window, T0, status=Status.COMPLETED, ended_at=window.ends_at)
    attendee = event_of(part(window, a1))["ATTENDEE"]
    assert (attendee.params["PARTSTAT"], attendee.params["RSVP"]) == ("ACCEPTED", "FALSE")


def test_only_the_services_of_the_organisation_are_named(window, acme, nordwind, a1, b1):
    secret = Service.objects.create(name=f"Ledger {factories.CANARY}", slug="ledger-canary-7f3a")
    ServiceSubscription.objects.create(organisation=nordwind, service=secret)
    WindowService.objects.create(window=window, service=secret, impact="degraded")
    WindowService.objects.create(
        window=window, service=Service.objects.get(name="Vector Store"), impact="reduced_redundancy"
    )
    WindowService.objects.filter(window=window, service__name="Inference API").update(impact="none")
    for text in (part(window, a1), ical.feed(a1, T0), ical.single(window, person=a1)):
        unfolded = text.replace("\r\n ", "")
        assert factories.CANARY not in unfolded
        assert "nordwind" not in unfolded.lower()
        event = event_of(text)
        assert [
            (str(named), named.params["X-MAINTNOTE-OBJECT-IMPACT"])
            for named in event["X-MAINTNOTE-OBJECT-ID"]
        ] == [
            ("inference-api", "NO-IMPACT"),
            ("vector-store", "REDUCED-REDUNDANCY"),
        ]
        assert event["X-MAINTNOTE-IMPACT"] == "REDUCED-REDUNDANCY"
        assert event["X-MAINTNOTE-ACCOUNT"] == "acme"
    assert "ledger-canary-7f3a" in part(window, b1).replace("\r\n ", "")


def test_maintnote_says_what_the_network_industry_reads(window, acme, a1):
    event = event_of(part(window, a1))
    assert event["X-MAINTNOTE-PROVIDER"] == django_settings.MAIL_DOMAIN
    assert event["X-MAINTNOTE-MAINTENANCE-ID"] == window.reference
    assert event["X-MAINTNOTE-STATUS"] == "CONFIRMED"
    consent = Consent.objects.create(window=window, organisation=acme, reason="short_notice", asked_at=T0)
    assert event_of(part(window, a1))["X-MAINTNOTE-STATUS"] == "TENTATIVE"
    assert event_of(part(window, a1))["STATUS"] == "CONFIRMED"
    Consent.objects.filter(pk=consent.pk).update(state="given")
    for status, said in [
        (Status.ANNOUNCED, "CONFIRMED"),
        (Status.IN_PROGRESS, "IN-PROCESS"),
        (Status.OVERRUN, "IN-PROCESS"),
        (Status.ROLLING_BACK, "IN-PROCESS"),
        (Status.VERIFYING, "IN-PROCESS"),
        (Status.ROLLED_BACK, "COMPLETED"),
        (Status.COMPLETED, "COMPLETED"),
    ]:
        made.changed(window, T0, status=status)
        event = event_of(part(window, a1))
        assert (event["X-MAINTNOTE-STATUS"], event["STATUS"]) == (said, "CONFIRMED")


def test_a_consent_of_another_organisation_shows_in_nothing(window, nordwind, a1):
    before = part(window, a1)
    Consent.objects.create(window=window, organisation=nordwind, reason="freeze", asked_at=T0)
    assert part(window, a1) == before


@pytest.mark.parametrize(
    "evil",
    [
        "Up\r\nATTENDEE:mailto:evil@example.com\r\nSTATUS:CANCELLED",
        "Up\nEND:VEVENT\nBEGIN:VEVENT\nUID:evil",
        "Up\rMETHOD:CANCEL",
        "Up\u2028UID:evil\u2029UID:evil\x85UID:evil\x0bUID:evil\x0cUID:evil",
        "a,b;c\\d:e\"f'g^h, \\n not a line",
        "x" * 5_000,
        "é" * 2_500 + "😀" * 1_000,
        "שלום عالم \u202eevil\u202c",
        "\x00\x01\x07\x1b[31m red \x7f",
        "\ud800 alone",
    ],
)
def test_no_text_breaks_out_of_its_line(window, acme, a1, evil):
    expected = read_twice(part(window, a1))
    window.title = window.description = window.outcome = evil
    window.status = Status.COMPLETED
    a1.name = evil
    invitation = window.invitations.get(person=a1)
    invitation.person = a1
    for text in (
        ical._calendar([event_with(window, invitation)], "REQUEST").to_ical().decode(),
        ical.single(window, person=a1),
    ):
        assert read_twice(text)[:4] == expected[:4]
        own = ("ATTENDEE", "UID", "METHOD", "STATUS")
        assert sum(line.startswith(own) for line in text.split("\r\n")) <= len(own)
        assert text.count("\r\nUID:") == 1
        assert text.count("\r\nBEGIN:VEVENT") == 1
        assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
        assert len(text.splitlines()) == text.count("\r\n")
    summary = str(event_of(text)["SUMMARY"])
    assert read_by_vobject(text).vevent.summary.value == summary
    assert len(summary) >= len(" ".join(evil.split())) - 20


def event_with(window, invitation):
    """The invitation of a person whose row could not hold such a name."""
    event = ical._event(window, ical.cuts([window], None)[window.pk], stamp=T0, is_cancelled=False)
    event["ATTENDEE"] = ical._attendee(window, invitation, "REQUEST")
    return event


def test_the_feed_is_what_the_person_may_see(window, acme, nordwind, a1, b1, g1):
    other = made.announced(
        g1, [nordwind], starts_at=T0 + DAY, ends_at=T0 + DAY + HOUR, at=T0, title=factories.CANARY
    )
    text = ical.feed(a1, T0)
    (event,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert (str(event["UID"]), int(event["SEQUENCE"])) == (window.uid, 0)
    assert factories.CANARY not in text
    assert "ATTENDEE" not in text
    assert not any(token in text for token in window.invitations.values_list("token", flat=True))
    assert {str(e["UID"]) for e in icalendar.Calendar.from_ical(ical.feed(b1, T0)).walk("VEVENT")} == {
        window.uid,
        other.uid,
    }


def test_what_is_not_announced_is_in_no_feed(window, a1, g1):
    for status in (Status.DRAFT, Status.PROPOSED, Status.APPROVED):
        made.changed(window, T0, status=status, announced_at=None)
        for reader in (a1, g1):
            assert "BEGIN:VEVENT" not in ical.feed(reader, T0)


def test_a_feed_is_the_same_bytes_until_something_changes(window, a1, g1):
    for reader in (a1, g1):
        assert ical.feed(reader, T0) == ical.feed(reader, T0 + HOUR)
    assert event_of(ical.feed(a1, T0 + HOUR))["DTSTAMP"].dt == window.last_changed_at
    before = ical.feed(a1, T0)
    made.moved(window, T0 + DAY, HOUR)
    assert event_of(ical.feed(a1, T0))["SEQUENCE"] == 1
    assert ical.feed(a1, T0) != before


def test_the_feed_keeps_what_was_cancelled_and_drops_what_is_long_over(window, a1):
    made.changed(window, T0, status=Status.CANCELLED)
    assert event_of(ical.feed(a1, T0))["STATUS"] == "CANCELLED"
    assert "BEGIN:VEVENT" not in ical.feed(a1, window.ends_at + ical.HISTORY + DAY)


def test_the_feed_asks_for_a_fresh_look_and_speaks_the_readers_language(window, a1):
    calendar = icalendar.Calendar.from_ical(ical.feed(a1, T0))
    assert calendar["METHOD"] == "PUBLISH"
    assert calendar["REFRESH-INTERVAL"].params["VALUE"] == "DURATION"
    assert calendar["X-PUBLISHED-TTL"] == "PT15M"
    assert calendar["X-WR-TIMEZONE"] == "Europe/Istanbul"


# --- whatever is written, whenever it is ---


def made_up(**fields) -> MaintenanceWindow:
    """A window that no table holds."""
    times = {"starts_at": T0, "ends_at": T0 + HOUR, "last_changed_at": T0} | fields
    return MaintenanceWindow(pk=17, status=Status.COMPLETED, uid="17@x", **{"ended_at": None} | times)


def calendar_of(window: MaintenanceWindow, **address) -> str:
    event = ical._event(window, ical.Cut([], "acme", False), stamp=T0, is_cancelled=False)
    event["ATTENDEE"] = ical._address("a1@acme.example", address.get("name", "Ada"))
    return ical._calendar([event], "REQUEST").to_ical().decode()


@settings(max_examples=300, deadline=None)
@given(title=st.text(), description=st.text(), outcome=st.text(), name=st.text())
def test_any_text_stays_in_its_place(title, description, outcome, name):
    window = made_up(title=title, description=description, outcome=outcome)
    text = calendar_of(window, name=name)
    assert read_twice(text)[:4] == ("17@x", 0, T0, T0 + HOUR)
    assert len(text.splitlines()) == text.count("\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(
        sorted(set(stories.CHANGES) | {"Africa/Casablanca", "America/Santiago", "Asia/Tehran"})
    ),
    seconds=st.integers(0, 12 * 365 * 86400),
    lasts=st.integers(1, 3 * 86400),
)
def test_any_instant_is_the_same_second_for_everybody(zone, seconds, lasts):
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    end = start + timedelta(seconds=lasts)
    with timezone.override(zone):
        text = calendar_of(made_up(title="x", starts_at=start, ends_at=end))
    assert read_twice(text)[2:4] == (start, end)


def test_the_feed_shows_the_true_end_and_of_a_cancelled_one_the_agreed_end(acme, a1, g1, g2):
    start = T0 + 7 * DAY
    window, agreed = stories.moved_extended_closed(g1, g2, start)
    called_off = stories.cancelled(g1, g2, start + DAY)
    told = {
        str(event["UID"]): (
            event.DTSTART.astimezone(UTC),
            event.DTEND.astimezone(UTC),
            int(event["SEQUENCE"]),
        )
        for event in icalendar.Calendar.from_ical(ical.feed(a1, T0)).walk("VEVENT")
    }
    assert told == {
        window.uid: (*agreed[-1], 4),
        called_off.uid: (start + DAY, start + DAY + HOUR, 1),
    }
