"""Every sentence of the design about working time, as tables of hand-computed literals.

Times are written with their local offset, so that the reader can check them against a wall clock.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from portal import business_time
from portal.business_time import Calendar, HorizonError, Segment, SpecialDay

H = 3600


def t(text):
    return datetime.fromisoformat(text)


def hours(*pairs):
    """hours(9, 18) or hours(8, 12, 13, 17.5): spans from hours of the day."""
    return tuple((int(o * H), int(c * H)) for o, c in zip(pairs[::2], pairs[1::2], strict=True))


def calendar(zone, weekday, *special_days, weekend=(), covers=("2026-01-01", "2028-12-31")):
    first, last = map(date.fromisoformat, covers)
    days = {special.day: special for special in special_days}
    return Calendar(zone, (weekday,) * 5 + (weekend,) * 2, days, first, last)


def daily(zone, *pairs, covers=("2026-01-01", "2028-12-31")):
    return calendar(zone, hours(*pairs), weekend=hours(*pairs), covers=covers)


def special(day, name, *pairs):
    return SpecialDay(date.fromisoformat(day), name, hours(*pairs))


CHRISTMAS = (
    special("2026-12-24", "Christmas Eve", 9, 13),
    special("2026-12-25", "Christmas Day"),
    special("2026-12-26", "Boxing Day"),
    special("2026-12-31", "New Year's Eve", 9, 13),
    special("2027-01-01", "New Year's Day"),
)
# Monday is 2026-07-06 (+02:00). In 2026, 24 December is a Thursday (+01:00).
OFFICE = calendar("Europe/Berlin", hours(9, 18), *CHRISTMAS)
LUNCH = calendar("Europe/Berlin", hours(8, 12, 13, 17.5))
THREE = calendar("Europe/Berlin", hours(6, 8, 10, 12, 14, 15))
LATE = calendar("Europe/Berlin", hours(14, 24))
NIGHT = calendar("Europe/Berlin", hours(0, 2, 22, 24))
ALWAYS = business_time.always_open("Europe/Berlin")
FULL = daily("Europe/Berlin", 0, 24)
NEVER = calendar("Europe/Berlin", ())


# add


@pytest.mark.parametrize(
    ("cal", "start", "seconds", "due"),
    [
        pytest.param(OFFICE, "2026-07-06T09:00+02:00", 4 * H, "2026-07-06T13:00+02:00", id="within a day"),
        pytest.param(OFFICE, "2026-07-06T16:00+02:00", 4 * H, "2026-07-07T11:00+02:00", id="over night"),
        pytest.param(OFFICE, "2026-07-06T14:00+02:00", 4 * H, "2026-07-06T18:00+02:00", id="due at close"),
        pytest.param(
            OFFICE, "2026-07-06T14:00+02:00", 4 * H + 1, "2026-07-07T09:00:01+02:00", id="one second over"
        ),
        pytest.param(OFFICE, "2026-07-06T17:59:59+02:00", 1, "2026-07-06T18:00+02:00", id="last second"),
        pytest.param(
            OFFICE, "2026-07-06T18:00+02:00", 1, "2026-07-07T09:00:01+02:00", id="received at close"
        ),
        pytest.param(OFFICE, "2026-07-06T20:00+02:00", H, "2026-07-07T10:00+02:00", id="received at night"),
        pytest.param(OFFICE, "2026-07-06T06:00+02:00", H, "2026-07-06T10:00+02:00", id="received early"),
        pytest.param(
            OFFICE, "2026-07-06T08:59:59+02:00", 1, "2026-07-06T09:00:01+02:00", id="just too early"
        ),
        pytest.param(OFFICE, "2026-07-10T17:00+02:00", 2 * H, "2026-07-13T10:00+02:00", id="over a weekend"),
        pytest.param(OFFICE, "2026-07-11T12:00+02:00", 9 * H, "2026-07-13T18:00+02:00", id="from Saturday"),
        pytest.param(OFFICE, "2026-07-06T09:00+02:00", 45 * H, "2026-07-10T18:00+02:00", id="a full week"),
        pytest.param(
            OFFICE,
            "2026-07-06T09:00+02:00",
            45 * H + 1,
            "2026-07-13T09:00:01+02:00",
            id="a week and a second",
        ),
        pytest.param(OFFICE, "2026-07-11T12:00+02:00", 0, "2026-07-11T12:00+02:00", id="nothing, closed"),
        pytest.param(OFFICE, "2026-07-06T12:00+02:00", 0, "2026-07-06T12:00+02:00", id="nothing, open"),
        pytest.param(OFFICE, "2026-12-23T17:00+01:00", 2 * H, "2026-12-24T10:00+01:00", id="into a half day"),
        pytest.param(
            OFFICE, "2026-12-23T17:00+01:00", 5 * H, "2026-12-24T13:00+01:00", id="half day's close"
        ),
        pytest.param(OFFICE, "2026-12-24T12:00+01:00", 4 * H, "2026-12-28T12:00+01:00", id="over holidays"),
        pytest.param(OFFICE, "2026-12-25T10:00+01:00", H, "2026-12-28T10:00+01:00", id="on a holiday"),
        pytest.param(OFFICE, "2026-12-31T12:00+01:00", 2 * H, "2027-01-04T10:00+01:00", id="into next year"),
        pytest.param(LUNCH, "2026-07-06T11:00+02:00", H, "2026-07-06T12:00+02:00", id="due at lunch"),
        pytest.param(LUNCH, "2026-07-06T11:00+02:00", 2 * H, "2026-07-06T14:00+02:00", id="over lunch"),
        pytest.param(LUNCH, "2026-07-06T12:30+02:00", H, "2026-07-06T14:00+02:00", id="received at lunch"),
        pytest.param(LUNCH, "2026-07-06T16:30+02:00", H, "2026-07-06T17:30+02:00", id="close at half past"),
        pytest.param(LUNCH, "2026-07-06T11:30+02:00", 5 * H + H // 2, "2026-07-07T08:30+02:00", id="both"),
        pytest.param(THREE, "2026-07-06T07:00+02:00", 4 * H, "2026-07-06T15:00+02:00", id="three spans"),
        pytest.param(THREE, "2026-07-06T07:00+02:00", 3 * H, "2026-07-06T12:00+02:00", id="second of three"),
        pytest.param(LATE, "2026-07-06T23:00+02:00", H, "2026-07-07T00:00+02:00", id="due at 24:00"),
        pytest.param(LATE, "2026-07-06T23:00+02:00", H + 1, "2026-07-07T14:00:01+02:00", id="past 24:00"),
        pytest.param(LATE, "2026-07-10T23:00+02:00", H, "2026-07-11T00:00+02:00", id="Friday 24:00"),
        pytest.param(NIGHT, "2026-07-06T23:00+02:00", 2 * H, "2026-07-07T01:00+02:00", id="spans that touch"),
        pytest.param(
            NIGHT, "2026-07-10T23:00+02:00", 2 * H, "2026-07-13T01:00+02:00", id="Friday's night ends"
        ),
        pytest.param(ALWAYS, "2026-07-11T23:50+02:00", 900, "2026-07-12T00:05+02:00", id="around the clock"),
        pytest.param(ALWAYS, "2026-03-29T01:30+01:00", 2 * H, "2026-03-29T04:30+02:00", id="24×7 is elapsed"),
        pytest.param(ALWAYS, "2026-10-25T01:30+02:00", 4 * H, "2026-10-25T04:30+01:00", id="24×7 in autumn"),
    ],
)
def test_add(cal, start, seconds, due):
    assert business_time.add(cal, t(start), seconds) == t(due)
    assert business_time.between(cal, t(start), t(due)) == seconds


def test_answers_are_in_utc():
    start = t("2026-07-06T16:00+02:00")
    answers = [
        business_time.add(OFFICE, start, 0),
        business_time.add(OFFICE, start, 1),
        business_time.add(ALWAYS, start, 1),
        business_time.next_opening(OFFICE, start),
        business_time.close_of_day(OFFICE, date(2026, 7, 6)),
        business_time.end_of_release_day(OFFICE, date(2026, 7, 5)),
        business_time.close_of_same_business_day(ALWAYS, start),
        business_time.close_of_nth_business_day(OFFICE, start, 1),
        business_time.segments(OFFICE, start, start + timedelta(hours=1))[0].start,
    ]
    assert [answer.tzinfo for answer in answers] == [UTC] * len(answers)


# between, is_open_at, next_opening


@pytest.mark.parametrize(
    ("cal", "start", "end", "seconds"),
    [
        pytest.param(OFFICE, "2026-07-06T09:00+02:00", "2026-07-06T09:00+02:00", 0, id="empty"),
        pytest.param(OFFICE, "2026-07-06T09:00+02:00", "2026-07-06T09:00:01+02:00", 1, id="a second"),
        pytest.param(OFFICE, "2026-07-06T17:00+02:00", "2026-07-07T10:00+02:00", 2 * H, id="over night"),
        pytest.param(OFFICE, "2026-07-06T18:00+02:00", "2026-07-07T09:00+02:00", 0, id="only closed time"),
        pytest.param(OFFICE, "2026-07-11T00:00+02:00", "2026-07-13T09:00+02:00", 0, id="a weekend"),
        pytest.param(OFFICE, "2026-07-06T00:00+02:00", "2026-07-13T00:00+02:00", 45 * H, id="a week"),
        pytest.param(OFFICE, "2026-12-21T00:00+01:00", "2026-12-28T00:00+01:00", 31 * H, id="Christmas week"),
        pytest.param(LUNCH, "2026-07-06T11:30+02:00", "2026-07-06T13:30+02:00", H, id="around lunch"),
        pytest.param(LATE, "2026-07-06T12:00+02:00", "2026-07-07T12:00+02:00", 10 * H, id="until 24:00"),
        pytest.param(ALWAYS, "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", 23 * H, id="24×7 in spring"),
        pytest.param(FULL, "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00", 25 * H, id="25 hours"),
        pytest.param(NEVER, "2026-07-06T00:00+02:00", "2026-07-13T00:00+02:00", 0, id="never open"),
    ],
)
def test_between(cal, start, end, seconds):
    assert business_time.between(cal, t(start), t(end)) == seconds


@pytest.mark.parametrize(
    ("cal", "at", "opening"),
    [
        pytest.param(OFFICE, "2026-07-06T09:00+02:00", "2026-07-06T09:00+02:00", id="at the opening"),
        pytest.param(OFFICE, "2026-07-06T17:59:59+02:00", "2026-07-06T17:59:59+02:00", id="last second"),
        pytest.param(OFFICE, "2026-07-06T18:00+02:00", "2026-07-07T09:00+02:00", id="at close"),
        pytest.param(OFFICE, "2026-07-06T08:59:59+02:00", "2026-07-06T09:00+02:00", id="a second early"),
        pytest.param(OFFICE, "2026-07-10T18:00+02:00", "2026-07-13T09:00+02:00", id="Friday's close"),
        pytest.param(OFFICE, "2026-12-24T13:00+01:00", "2026-12-28T09:00+01:00", id="three reasons in a row"),
        pytest.param(LUNCH, "2026-07-06T12:00+02:00", "2026-07-06T13:00+02:00", id="lunch"),
        pytest.param(NIGHT, "2026-07-07T00:00+02:00", "2026-07-07T00:00+02:00", id="spans that touch"),
        pytest.param(ALWAYS, "2026-07-12T00:00+02:00", "2026-07-12T00:00+02:00", id="24×7"),
    ],
)
def test_next_opening(cal, at, opening):
    assert business_time.next_opening(cal, t(at)) == t(opening)
    assert business_time.is_open_at(cal, t(at)) is (at == opening)


# closes of days


@pytest.mark.parametrize(
    ("cal", "day", "close", "release"),
    [
        pytest.param(OFFICE, "2026-07-06", "2026-07-06T18:00+02:00", None, id="a weekday"),
        pytest.param(OFFICE, "2026-07-11", None, "2026-07-12T00:00+02:00", id="Saturday"),
        pytest.param(OFFICE, "2026-12-24", "2026-12-24T13:00+01:00", None, id="half day"),
        pytest.param(OFFICE, "2026-12-25", None, "2026-12-26T00:00+01:00", id="holiday"),
        pytest.param(OFFICE, "2026-03-29", None, "2026-03-30T00:00+02:00", id="closed day of 23 hours"),
        pytest.param(LUNCH, "2026-07-06", "2026-07-06T17:30+02:00", None, id="last of several spans"),
        pytest.param(LATE, "2026-07-06", "2026-07-07T00:00+02:00", None, id="24:00"),
        pytest.param(ALWAYS, "2026-07-11", "2026-07-12T00:00+02:00", None, id="24×7"),
        pytest.param(ALWAYS, "2026-10-25", "2026-10-26T00:00+01:00", None, id="24×7, 25 hours"),
        pytest.param(OFFICE, "2028-02-29", "2028-02-29T18:00+01:00", None, id="leap day"),
    ],
)
def test_close_of_a_day_and_release_date(cal, day, close, release):
    day = date.fromisoformat(day)
    assert business_time.close_of_day(cal, day) == (close and t(close))
    assert business_time.end_of_release_day(cal, day) == t(release or close)


@pytest.mark.parametrize(
    ("cal", "receipt", "close"),
    [
        pytest.param(OFFICE, "2026-07-06T10:00+02:00", "2026-07-06T18:00+02:00", id="during the day"),
        pytest.param(OFFICE, "2026-07-06T03:00+02:00", "2026-07-06T18:00+02:00", id="before the opening"),
        pytest.param(OFFICE, "2026-07-06T17:59:59+02:00", "2026-07-06T18:00+02:00", id="a second before"),
        pytest.param(OFFICE, "2026-07-06T18:00+02:00", "2026-07-07T18:00+02:00", id="exactly at close"),
        pytest.param(OFFICE, "2026-07-06T23:00+02:00", "2026-07-07T18:00+02:00", id="at night"),
        pytest.param(OFFICE, "2026-07-10T18:00+02:00", "2026-07-13T18:00+02:00", id="Friday's close"),
        pytest.param(OFFICE, "2026-07-11T12:00+02:00", "2026-07-13T18:00+02:00", id="Saturday"),
        pytest.param(OFFICE, "2026-12-23T18:00+01:00", "2026-12-24T13:00+01:00", id="eve of a half day"),
        pytest.param(OFFICE, "2026-12-24T12:59:59+01:00", "2026-12-24T13:00+01:00", id="half day"),
        pytest.param(OFFICE, "2026-12-24T13:00+01:00", "2026-12-28T18:00+01:00", id="half day's close"),
        pytest.param(OFFICE, "2026-12-25T10:00+01:00", "2026-12-28T18:00+01:00", id="holiday"),
        pytest.param(LUNCH, "2026-07-06T12:30+02:00", "2026-07-06T17:30+02:00", id="lunch is not the close"),
        pytest.param(LATE, "2026-07-06T23:59:59+02:00", "2026-07-07T00:00+02:00", id="before 24:00"),
        pytest.param(LATE, "2026-07-07T00:00+02:00", "2026-07-08T00:00+02:00", id="at 24:00"),
        pytest.param(ALWAYS, "2026-07-06T12:00+02:00", "2026-07-07T00:00+02:00", id="24×7"),
        pytest.param(ALWAYS, "2026-07-06T23:59:59+02:00", "2026-07-07T00:00+02:00", id="24×7, last second"),
        pytest.param(ALWAYS, "2026-07-06T00:00+02:00", "2026-07-07T00:00+02:00", id="24×7, at 00:00"),
        pytest.param(ALWAYS, "2026-07-05T22:30+00:00", "2026-07-07T00:00+02:00", id="24×7, the local date"),
        pytest.param(ALWAYS, "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00", id="24×7, 23 hours"),
    ],
)
def test_same_business_day(cal, receipt, close):
    assert business_time.close_of_same_business_day(cal, t(receipt)) == t(close)


@pytest.mark.parametrize(
    ("cal", "start", "n", "close"),
    [
        pytest.param(OFFICE, "2026-07-06T10:00+02:00", 5, "2026-07-13T18:00+02:00", id="five from Monday"),
        pytest.param(OFFICE, "2026-07-06T03:00+02:00", 1, "2026-07-07T18:00+02:00", id="today never counts"),
        pytest.param(OFFICE, "2026-07-06T23:00+02:00", 1, "2026-07-07T18:00+02:00", id="nor after close"),
        pytest.param(OFFICE, "2026-07-05T23:30+00:00", 1, "2026-07-07T18:00+02:00", id="the local date"),
        pytest.param(OFFICE, "2026-07-10T12:00+02:00", 1, "2026-07-13T18:00+02:00", id="from Friday"),
        pytest.param(OFFICE, "2026-07-11T12:00+02:00", 5, "2026-07-17T18:00+02:00", id="from Saturday"),
        pytest.param(OFFICE, "2026-12-23T12:00+01:00", 1, "2026-12-24T13:00+01:00", id="a half day counts"),
        pytest.param(OFFICE, "2026-12-23T12:00+01:00", 2, "2026-12-28T18:00+01:00", id="over holidays"),
        pytest.param(OFFICE, "2026-12-23T12:00+01:00", 5, "2026-12-31T13:00+01:00", id="five at Christmas"),
        pytest.param(OFFICE, "2026-12-23T12:00+01:00", 6, "2027-01-04T18:00+01:00", id="into next year"),
        pytest.param(OFFICE, "2026-12-25T12:00+01:00", 1, "2026-12-28T18:00+01:00", id="from a holiday"),
        pytest.param(OFFICE, "2028-02-28T12:00+01:00", 1, "2028-02-29T18:00+01:00", id="leap day"),
        pytest.param(OFFICE, "2028-02-28T12:00+01:00", 2, "2028-03-01T18:00+01:00", id="after leap day"),
        pytest.param(ALWAYS, "2026-07-06T10:00+02:00", 5, "2026-07-12T00:00+02:00", id="24×7"),
        pytest.param(FULL, "2026-07-06T10:00+02:00", 5, "2026-07-12T00:00+02:00", id="24×7 with a horizon"),
    ],
)
def test_nth_business_day(cal, start, n, close):
    assert business_time.close_of_nth_business_day(cal, t(start), n) == t(close)


# segments


def rows(cal, start, end):
    found = business_time.segments(cal, t(start), t(end))
    assert all(segment.is_open is (segment.reason == "") for segment in found)
    return [(segment.start, segment.end, segment.reason) for segment in found]


def chain(*parts):
    """chain(start, reason, next start, reason, …, end) as rows."""
    return [(t(a), t(b), why) for a, why, b in zip(parts[::2], parts[1::2], parts[2::2], strict=False)]


def test_segments_name_each_reason():
    assert rows(OFFICE, "2026-12-24T12:00+01:00", "2026-12-28T10:00+01:00") == chain(
        "2026-12-24T12:00+01:00",
        "",
        "2026-12-24T13:00+01:00",
        "Christmas Eve",
        "2026-12-24T18:00+01:00",
        "closed hours",
        "2026-12-25T00:00+01:00",
        "Christmas Day",
        "2026-12-26T00:00+01:00",
        "Boxing Day",
        "2026-12-27T00:00+01:00",
        "closed hours",
        "2026-12-28T09:00+01:00",
        "",
        "2026-12-28T10:00+01:00",
    )


def test_segments_merge_equal_neighbours():
    assert rows(OFFICE, "2026-07-10T17:00+02:00", "2026-07-13T09:30+02:00") == chain(
        "2026-07-10T17:00+02:00",
        "",
        "2026-07-10T18:00+02:00",
        "closed hours",
        "2026-07-13T09:00+02:00",
        "",
        "2026-07-13T09:30+02:00",
    )
    assert rows(NIGHT, "2026-07-06T23:00+02:00", "2026-07-07T03:00+02:00") == chain(
        "2026-07-06T23:00+02:00", "", "2026-07-07T02:00+02:00", "closed hours", "2026-07-07T03:00+02:00"
    )


def test_a_holiday_of_two_days_with_one_name_is_one_segment():
    days = (special("2026-07-07", "Works outing"), special("2026-07-08", "Works outing"))
    cal = calendar("Europe/Berlin", hours(9, 18), *days)
    assert rows(cal, "2026-07-07T12:00+02:00", "2026-07-08T12:00+02:00") == chain(
        "2026-07-07T12:00+02:00", "Works outing", "2026-07-08T12:00+02:00"
    )


def test_a_special_day_can_open_a_sunday_and_lengthen_a_day():
    days = (special("2026-07-12", "Release Sunday", 10, 12), special("2026-07-06", "Long Monday", 7, 20))
    cal = calendar("Europe/Berlin", hours(9, 18), *days)
    assert business_time.close_of_day(cal, date(2026, 7, 12)) == t("2026-07-12T12:00+02:00")
    assert business_time.add(cal, t("2026-07-06T06:00+02:00"), 13 * H) == t("2026-07-06T20:00+02:00")
    assert rows(cal, "2026-07-12T09:00+02:00", "2026-07-12T13:00+02:00") == chain(
        "2026-07-12T09:00+02:00",
        "closed hours",
        "2026-07-12T10:00+02:00",
        "",
        "2026-07-12T12:00+02:00",
        "closed hours",
        "2026-07-12T13:00+02:00",
    )


def test_segments_of_special_cases():
    monday, tuesday = "2026-07-06T00:00+02:00", "2026-07-07T00:00+02:00"
    assert business_time.segments(OFFICE, t(monday), t(monday)) == []
    assert business_time.segments(ALWAYS, t(monday), t(monday)) == []
    assert business_time.segments(ALWAYS, t(monday), t(tuesday)) == [Segment(t(monday), t(tuesday), True, "")]
    assert rows(NEVER, monday, tuesday) == chain(monday, "closed hours", tuesday)
    whole = business_time.segments(FULL, t("2026-01-01T00:00+01:00"), t("2029-01-01T00:00+01:00"))
    assert len(whole) == 1


def test_segments_end_at_a_boundary_without_an_empty_one():
    assert rows(OFFICE, "2026-07-06T09:00+02:00", "2026-07-06T18:00+02:00") == chain(
        "2026-07-06T09:00+02:00", "", "2026-07-06T18:00+02:00"
    )


# when the clocks change


@pytest.mark.parametrize(
    ("zone", "pairs", "day", "opening", "close"),
    [
        # spring in Berlin: 02:00 +01:00 is followed by 03:00 +02:00 at 01:00 UTC
        ("Europe/Berlin", (1, 5), "2026-03-29", "2026-03-29T00:00Z", "2026-03-29T03:00Z"),
        ("Europe/Berlin", (2.5, 4), "2026-03-29", "2026-03-29T01:00Z", "2026-03-29T02:00Z"),
        ("Europe/Berlin", (1, 2.5), "2026-03-29", "2026-03-29T00:00Z", "2026-03-29T01:00Z"),
        ("Europe/Berlin", (2, 3.25), "2026-03-29", "2026-03-29T01:00Z", "2026-03-29T01:15Z"),
        # autumn in Berlin: 02:00 to 03:00 occurs twice, first until 01:00 UTC
        ("Europe/Berlin", (1, 5), "2026-10-25", "2026-10-24T23:00Z", "2026-10-25T04:00Z"),
        ("Europe/Berlin", (2.5, 4), "2026-10-25", "2026-10-25T00:30Z", "2026-10-25T03:00Z"),
        ("Europe/Berlin", (1, 2.5), "2026-10-25", "2026-10-24T23:00Z", "2026-10-25T01:30Z"),
        ("Europe/Berlin", (2.25, 2.75), "2026-10-25", "2026-10-25T00:15Z", "2026-10-25T01:45Z"),
        ("Europe/Berlin", (2, 3), "2026-10-25", "2026-10-25T00:00Z", "2026-10-25T02:00Z"),
        # the break from 02:15 to 02:45 lies wholly in the doubled hour: last close, first opening
        ("Europe/Berlin", (1, 2.25, 2.75, 5), "2026-10-25", "2026-10-24T23:00Z", "2026-10-25T04:00Z"),
        ("America/New_York", (1, 5), "2026-03-08", "2026-03-08T06:00Z", "2026-03-08T09:00Z"),
        ("America/New_York", (1, 5), "2026-11-01", "2026-11-01T05:00Z", "2026-11-01T10:00Z"),
        ("America/New_York", (0, 24), "2026-11-01", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        # Lord Howe moves by 30 minutes
        ("Australia/Lord_Howe", (1, 3), "2026-04-05", "2026-04-04T14:00Z", "2026-04-04T16:30Z"),
        ("Australia/Lord_Howe", (1.75, 3), "2026-04-05", "2026-04-04T14:45Z", "2026-04-04T16:30Z"),
        ("Australia/Lord_Howe", (1, 1.75), "2026-04-05", "2026-04-04T14:00Z", "2026-04-04T15:15Z"),
        ("Australia/Lord_Howe", (1, 3), "2026-10-04", "2026-10-03T14:30Z", "2026-10-03T16:00Z"),
        ("Australia/Lord_Howe", (2.25, 3), "2026-10-04", "2026-10-03T15:30Z", "2026-10-03T16:00Z"),
        # Casablanca goes back for Ramadan
        ("Africa/Casablanca", (1, 5), "2024-03-10", "2024-03-10T00:00Z", "2024-03-10T05:00Z"),
        ("Africa/Casablanca", (1, 5), "2024-04-14", "2024-04-14T01:00Z", "2024-04-14T04:00Z"),
        # the southern hemisphere: back in April, forward in spring
        ("Australia/Sydney", (1, 5), "2026-04-05", "2026-04-04T14:00Z", "2026-04-04T19:00Z"),
        ("Australia/Sydney", (1, 5), "2026-10-04", "2026-10-03T15:00Z", "2026-10-03T18:00Z"),
        # Santiago skips midnight in September and repeats 23:00 to 24:00 in April
        ("America/Santiago", (20, 24), "2026-09-05", "2026-09-06T00:00Z", "2026-09-06T04:00Z"),
        ("America/Santiago", (0.5, 2), "2026-09-06", "2026-09-06T04:00Z", "2026-09-06T05:00Z"),
        ("America/Santiago", (0, 1.5), "2026-09-06", "2026-09-06T04:00Z", "2026-09-06T04:30Z"),
        ("America/Santiago", (20, 24), "2026-04-04", "2026-04-04T23:00Z", "2026-04-05T04:00Z"),
        ("America/Santiago", (20, 23.5), "2026-04-04", "2026-04-04T23:00Z", "2026-04-05T03:30Z"),
        ("America/Santiago", (23.5, 24), "2026-04-04", "2026-04-05T02:30Z", "2026-04-05T04:00Z"),
        # on the Azores midnight occurs twice in October: 24:00 is the first
        ("Atlantic/Azores", (20, 24), "2026-10-24", "2026-10-24T20:00Z", "2026-10-25T00:00Z"),
        ("Atlantic/Azores", (0, 2), "2026-10-25", "2026-10-25T00:00Z", "2026-10-25T03:00Z"),
        # the ends of the world
        ("Pacific/Kiritimati", (9, 18), "2026-07-06", "2026-07-05T19:00Z", "2026-07-06T04:00Z"),
        ("Pacific/Pago_Pago", (9, 18), "2026-07-06", "2026-07-06T20:00Z", "2026-07-07T05:00Z"),
        ("Asia/Kathmandu", (9, 18), "2026-07-06", "2026-07-06T03:15Z", "2026-07-06T12:15Z"),
        ("Europe/Berlin", (9, 18), "2028-02-29", "2028-02-29T08:00Z", "2028-02-29T17:00Z"),
    ],
)
def test_a_day_on_which_the_clocks_change(zone, pairs, day, opening, close):
    """That day alone is open, so what the calendar counts is that day's span and nothing else."""
    day, opening, close = date.fromisoformat(day), t(opening), t(close)
    cal = Calendar(
        zone, ((),) * 7, {day: SpecialDay(day, "open", hours(*pairs))}, date(2024, 1, 1), date(2028, 12, 31)
    )
    length = int((close - opening).total_seconds())
    before, after = opening - timedelta(days=2), close + timedelta(days=2)
    assert [(s.start, s.end) for s in business_time.segments(cal, before, after) if s.is_open] == [
        (opening, close)
    ]
    assert business_time.next_opening(cal, before) == opening
    assert business_time.add(cal, before, length) == close
    assert business_time.close_of_day(cal, day) == close
    assert business_time.close_of_same_business_day(cal, before) == close


@pytest.mark.parametrize(
    ("zone", "day", "pairs"),
    [("Europe/Berlin", "2026-03-29", (2.25, 2.75)), ("America/Santiago", "2026-09-06", (0, 0.5))],
)
def test_a_span_that_never_occurs_makes_a_closed_day(zone, day, pairs):
    cal, day = daily(zone, *pairs), date.fromisoformat(day)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    assert business_time.close_of_day(cal, day) is None
    evening = noon - timedelta(hours=18)
    assert business_time.between(cal, evening, noon) == 0
    assert business_time.segments(cal, evening, noon) == [Segment(evening, noon, False, "closed hours")]
    yesterday = noon - timedelta(days=1)
    second_day = business_time.close_of_day(cal, day + timedelta(days=1))
    assert business_time.close_of_nth_business_day(cal, yesterday, 1) == second_day


@pytest.mark.parametrize(
    ("zone", "start", "seconds", "due"),
    [
        ("Europe/Berlin", "2026-03-27T17:00+01:00", 2 * H, "2026-03-30T10:00+02:00"),
        ("Europe/Berlin", "2026-10-23T17:00+02:00", 2 * H, "2026-10-26T10:00+01:00"),
        ("America/New_York", "2026-03-06T17:00-05:00", 2 * H, "2026-03-09T10:00-04:00"),
        ("America/New_York", "2026-10-30T17:00-04:00", 2 * H, "2026-11-02T10:00-05:00"),
        ("Australia/Lord_Howe", "2026-04-03T17:00+11:00", 2 * H, "2026-04-06T10:00+10:30"),
        ("Africa/Casablanca", "2024-03-08T17:00+01:00", 2 * H, "2024-03-11T10:00+00:00"),
        ("Australia/Sydney", "2026-10-02T17:00+10:00", 2 * H, "2026-10-05T10:00+11:00"),
        ("America/Santiago", "2026-09-04T17:00-04:00", 2 * H, "2026-09-07T10:00-03:00"),
        ("Pacific/Kiritimati", "2026-07-10T17:00+14:00", 2 * H, "2026-07-13T10:00+14:00"),
        ("Pacific/Pago_Pago", "2026-07-10T17:00-11:00", 2 * H, "2026-07-13T10:00-11:00"),
        ("Europe/Berlin", "2028-02-28T17:00+01:00", 2 * H, "2028-02-29T10:00+01:00"),
        ("Europe/Berlin", "2028-02-29T17:00+01:00", 2 * H, "2028-03-01T10:00+01:00"),
    ],
)
def test_office_hours_stay_on_the_wall_clock(zone, start, seconds, due):
    cal = calendar(zone, hours(9, 18), covers=("2024-01-01", "2028-12-31"))
    assert business_time.add(cal, t(start), seconds) == t(due)


@pytest.mark.parametrize(
    ("zone", "receipt", "close"),
    [
        ("America/Santiago", "2026-09-05T12:00-04:00", "2026-09-06T04:00Z"),
        ("America/Santiago", "2026-09-06T04:00Z", "2026-09-07T03:00Z"),
        ("America/Santiago", "2026-04-04T23:30-03:00", "2026-04-05T04:00Z"),
        ("America/Santiago", "2026-04-04T23:30-04:00", "2026-04-05T04:00Z"),
        ("Atlantic/Azores", "2026-10-24T23:59:59+00:00", "2026-10-25T00:00Z"),
        ("Atlantic/Azores", "2026-10-25T00:30+00:00", "2026-10-26T01:00Z"),
        ("Atlantic/Azores", "2026-10-25T00:30-01:00", "2026-10-26T01:00Z"),
        ("Pacific/Kiritimati", "2026-07-06T00:00+14:00", "2026-07-06T10:00Z"),
        ("Pacific/Pago_Pago", "2026-07-06T23:00-11:00", "2026-07-07T11:00Z"),
    ],
)
def test_local_midnight_around_the_clock(zone, receipt, close):
    for cal in (business_time.always_open(zone), daily(zone, 0, 24)):
        assert business_time.close_of_same_business_day(cal, t(receipt)) == t(close)


def test_a_closed_day_is_closed_through_its_doubled_midnight():
    sunday = special("2026-10-25", "Quiet Sunday")
    cal = calendar("Atlantic/Azores", hours(9, 24), sunday, weekend=hours(9, 24))
    assert rows(cal, "2026-10-24T23:00Z", "2026-10-26T02:00Z") == chain(
        "2026-10-24T23:00Z",
        "",
        "2026-10-25T00:00Z",
        "Quiet Sunday",
        "2026-10-26T01:00Z",
        "closed hours",
        "2026-10-26T02:00Z",
    )


def test_a_date_that_a_zone_left_out_is_a_closed_day():
    """Samoa went from 29 to 31 December 2011."""
    cal = daily("Pacific/Apia", 0, 24, covers=("2011-12-28", "2012-01-02"))
    assert business_time.close_of_day(cal, date(2011, 12, 30)) is None
    start = t("2011-12-29T12:00-10:00")
    assert business_time.close_of_nth_business_day(cal, start, 1) == t("2012-01-01T00:00+14:00")
    assert business_time.between(cal, start, t("2011-12-31T12:00+14:00")) == 24 * H


# the horizon

YEAR = calendar("Europe/Berlin", hours(9, 18), covers=("2026-01-01", "2026-12-31"))
FIRST, LAST = t("2026-01-01T00:00+01:00"), t("2027-01-01T00:00+01:00")
SECOND = timedelta(seconds=1)


def test_both_ends_of_the_horizon_may_be_asked():
    assert business_time.between(YEAR, FIRST, LAST) == 261 * 9 * H
    assert business_time.add(YEAR, FIRST, 0) == FIRST
    assert business_time.add(YEAR, LAST, 0) == LAST
    assert business_time.add(YEAR, t("2026-12-31T17:00+01:00"), H) == t("2026-12-31T18:00+01:00")
    assert business_time.add(FULL, t("2028-12-31T23:00+01:00"), H) == t("2029-01-01T00:00+01:00")
    assert business_time.segments(YEAR, LAST, LAST) == []
    assert not business_time.is_open_at(YEAR, LAST - SECOND)
    assert business_time.close_of_day(YEAR, date(2026, 12, 31)) == t("2026-12-31T18:00+01:00")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: business_time.add(YEAR, FIRST - SECOND, 1),
        lambda: business_time.add(YEAR, FIRST - SECOND, 0),
        lambda: business_time.add(YEAR, LAST + SECOND, 0),
        lambda: business_time.add(YEAR, t("2026-12-31T17:00+01:00"), H + 1),
        lambda: business_time.add(YEAR, LAST, 1),
        lambda: business_time.between(YEAR, FIRST - SECOND, FIRST),
        lambda: business_time.between(YEAR, FIRST, LAST + SECOND),
        lambda: business_time.segments(YEAR, FIRST - SECOND, FIRST),
        lambda: business_time.segments(YEAR, LAST, LAST + SECOND),
        lambda: business_time.is_open_at(YEAR, FIRST - SECOND),
        lambda: business_time.is_open_at(YEAR, LAST),
        lambda: business_time.next_opening(YEAR, FIRST - SECOND),
        lambda: business_time.next_opening(YEAR, t("2026-12-31T18:00+01:00")),
        lambda: business_time.next_opening(YEAR, LAST),
        lambda: business_time.close_of_day(YEAR, date(2025, 12, 31)),
        lambda: business_time.close_of_day(YEAR, date(2027, 1, 1)),
        lambda: business_time.end_of_release_day(YEAR, date(2027, 1, 2)),
        lambda: business_time.close_of_same_business_day(YEAR, FIRST - SECOND),
        lambda: business_time.close_of_same_business_day(YEAR, t("2026-12-31T18:00+01:00")),
        lambda: business_time.close_of_same_business_day(YEAR, LAST),
        lambda: business_time.close_of_nth_business_day(YEAR, FIRST - SECOND, 1),
        lambda: business_time.close_of_nth_business_day(YEAR, t("2026-12-31T10:00+01:00"), 1),
        lambda: business_time.close_of_nth_business_day(YEAR, LAST, 1),
    ],
)
def test_past_the_horizon_is_an_error(ask):
    with pytest.raises(HorizonError, match="2026-01-01 to 2026-12-31"):
        ask()


def test_the_error_says_which_date():
    with pytest.raises(HorizonError, match="2027-01-05 lies outside the days 2026-01-01 to 2026-12-31"):
        business_time.between(YEAR, FIRST, t("2027-01-05T12:00+01:00"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda at: business_time.add(NEVER, at, 1),
        lambda at: business_time.next_opening(NEVER, at),
        lambda at: business_time.close_of_same_business_day(NEVER, at),
        lambda at: business_time.close_of_nth_business_day(NEVER, at, 1),
    ],
)
def test_a_calendar_that_never_opens_ends_at_its_horizon(ask):
    with pytest.raises(HorizonError):
        ask(t("2026-07-06T12:00+02:00"))


def test_always_open_has_no_horizon():
    start = t("1975-01-01T00:00Z")
    assert business_time.add(ALWAYS, start, 100 * 365 * 86400) == start + timedelta(days=36500)
    assert business_time.between(ALWAYS, start, t("2975-01-01T00:00Z")) == 365243 * 86400
    assert business_time.is_open_at(ALWAYS, t("2975-01-01T00:00Z"))
    assert business_time.close_of_day(ALWAYS, date(2975, 1, 1)) == t("2975-01-02T00:00+01:00")


def test_only_always_open_is_always_open():
    assert ALWAYS.is_always_open
    assert not FULL.is_always_open
    assert not OFFICE.is_always_open


# what cannot be asked or built

NAIVE, AWARE = datetime(2026, 7, 6, 12), t("2026-07-06T12:00+02:00")


@pytest.mark.parametrize("cal", [OFFICE, ALWAYS], ids=["office", "24×7"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda cal: business_time.add(cal, NAIVE, 1),
        lambda cal: business_time.add(cal, NAIVE, 0),
        lambda cal: business_time.between(cal, NAIVE, AWARE),
        lambda cal: business_time.between(cal, AWARE, NAIVE),
        lambda cal: business_time.segments(cal, NAIVE, AWARE),
        lambda cal: business_time.segments(cal, AWARE, NAIVE),
        lambda cal: business_time.is_open_at(cal, NAIVE),
        lambda cal: business_time.next_opening(cal, NAIVE),
        lambda cal: business_time.close_of_same_business_day(cal, NAIVE),
        lambda cal: business_time.close_of_nth_business_day(cal, NAIVE, 1),
    ],
)
def test_naive_datetimes_are_refused(ask, cal):
    with pytest.raises(ValueError, match="no time zone"):
        ask(cal)


@pytest.mark.parametrize("cal", [OFFICE, ALWAYS], ids=["office", "24×7"])
def test_backward_questions_are_refused(cal):
    with pytest.raises(ValueError, match="negative"):
        business_time.add(cal, AWARE, -1)
    with pytest.raises(ValueError, match="before the start"):
        business_time.between(cal, AWARE, AWARE - SECOND)
    with pytest.raises(ValueError, match="before the start"):
        business_time.segments(cal, AWARE, AWARE - SECOND)
    with pytest.raises(ValueError, match="counted from 1"):
        business_time.close_of_nth_business_day(cal, AWARE, 0)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (((9 * H, 9 * H),), "opens? before it closes"),
        (((18 * H, 9 * H),), "opens? before it closes"),
        (((-1, 9 * H),), "within the day"),
        (((9 * H, 86401),), "within the day"),
        (((9 * H, 13 * H), (12 * H, 18 * H)), "do not overlap"),
        (((13 * H, 18 * H), (9 * H, 12 * H)), "in order"),
    ],
)
def test_impossible_spans_are_refused(spans, message):
    with pytest.raises(ValueError, match=message):
        calendar("Europe/Berlin", spans)
    with pytest.raises(ValueError, match=message):
        SpecialDay(date(2026, 12, 24), "Christmas Eve", spans)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zone": "Europe/Atlantis"}, "'Europe/Atlantis' is not a time zone"),
        ({"zone": ""}, "'' is not a time zone"),
        ({"week": ((),) * 6}, "seven days, not 6"),
        ({"covers_from": date(2027, 1, 1)}, "ends on 2026-12-31, before 2027-01-01"),
        ({"special_days": {date(2026, 5, 2): special("2026-05-01", "May Day")}}, "filed under 2026-05-02"),
    ],
)
def test_impossible_calendars_are_refused(changes, message):
    good = {
        "zone": "Europe/Berlin",
        "week": ((),) * 7,
        "special_days": {},
        "covers_from": date(2026, 1, 1),
        "covers_until": date(2026, 12, 31),
    }
    Calendar(**good)
    with pytest.raises(ValueError, match=message):
        Calendar(**good | changes)


def test_a_special_day_needs_a_name():
    with pytest.raises(ValueError, match="needs a name"):
        special("2026-05-01", " ")


def test_spans_that_touch_are_allowed():
    cal = calendar("Europe/Berlin", hours(9, 12, 12, 18))
    assert rows(cal, "2026-07-06T09:00+02:00", "2026-07-06T18:00+02:00") == chain(
        "2026-07-06T09:00+02:00", "", "2026-07-06T18:00+02:00"
    )


def test_a_calendar_keeps_its_own_days():
    days = {}
    cal = Calendar("Europe/Berlin", (hours(9, 18),) * 7, days, date(2026, 1, 1), date(2026, 12, 31))
    days[date(2026, 7, 6)] = special("2026-07-06", "Late change")
    assert business_time.close_of_day(cal, date(2026, 7, 6)) == t("2026-07-06T18:00+02:00")


def test_calendars_that_differ_only_in_holidays_do_not_share_an_index():
    plain, other = calendar("Europe/Berlin", hours(9, 18)), OFFICE
    assert business_time.is_open_at(plain, t("2026-12-25T10:00+01:00"))
    assert not business_time.is_open_at(other, t("2026-12-25T10:00+01:00"))
