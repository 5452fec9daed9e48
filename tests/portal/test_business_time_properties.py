"""Working time against random calendars around clock changes, and against a slow second opinion."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from portal import business_time
from portal.business_time import Calendar, HorizonError, SpecialDay

QUARTER = 900
# a zone, and a local date on or next to which its clocks change (the last three never do)
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Casablanca", date(2024, 3, 10)),
    ("America/Santiago", date(2026, 4, 4)),
    ("America/Santiago", date(2026, 9, 6)),
    ("Atlantic/Azores", date(2026, 10, 25)),
    ("America/Nuuk", date(2026, 3, 28)),
    ("Pacific/Kiritimati", date(2028, 2, 29)),
    ("Pacific/Pago_Pago", date(2026, 12, 31)),
    ("UTC", date(2026, 7, 6)),
]
modest = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def spans(step):
    """Up to three spans a day whose ends are multiples of `step` seconds; some touch, some end at 24:00."""
    ends = st.lists(st.integers(0, 86400 // step), min_size=0, max_size=6, unique=True).map(sorted)
    apart = ends.map(
        lambda cuts: tuple((a * step, b * step) for a, b in zip(cuts[::2], cuts[1::2], strict=False))
    )
    touching = ends.map(lambda cuts: tuple((a * step, b * step) for a, b in pairwise(cuts)))
    return st.one_of(apart, apart, touching, st.just(((0, 86400),)))


@st.composite
def calendars(draw, step=1):
    zone, change = draw(st.sampled_from(CHANGES))
    first, last = change - timedelta(days=5), change + timedelta(days=5)
    days = draw(st.lists(st.dates(first, last), max_size=4, unique=True))
    names = st.sampled_from(["Holiday", "Day off", "Fair"])
    specials = {day: SpecialDay(day, draw(names), draw(st.one_of(st.just(()), spans(step)))) for day in days}
    return Calendar(zone, tuple(draw(spans(step)) for _ in range(7)), specials, first, last)


def horizon(calendar):
    """The first and the last instant that may be asked, found without the code under test."""
    slots = list(quarters(calendar.zone, calendar.covers_from, calendar.covers_until))
    return slots[0][0], slots[-1][0] + timedelta(seconds=QUARTER)


@lru_cache
def quarters(zone, first, last):
    """Every quarter of an hour from 00:00 of `first` to 24:00 of `last`: (instant, wall time)."""
    found, at = [], datetime.combine(first - timedelta(days=1), time.min, UTC) - timedelta(hours=2)
    while at.date() <= last + timedelta(days=2):
        wall = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        found.append((at, wall))
        at += timedelta(seconds=QUARTER)
    begin = next(n for n, (_, wall) in enumerate(found) if wall.date() >= first)
    end = next(n for n, (_, wall) in enumerate(found) if wall.date() > last)
    return found[begin:end]


@st.composite
def questions(draw, instants=2, step=1):
    calendar = draw(calendars(step))
    first, last = horizon(calendar)
    offsets = st.integers(0, int((last - first).total_seconds()))
    return calendar, *sorted(first + timedelta(seconds=draw(offsets)) for _ in range(instants))


def due(calendar, start, seconds):
    try:
        return business_time.add(calendar, start, seconds)
    except HorizonError:
        assume(False)


@modest
@given(questions(1), st.integers(0, 5 * 86400))
def test_between_undoes_add(question, seconds):
    calendar, start = question
    assert business_time.between(calendar, start, due(calendar, start, seconds)) == seconds


@modest
@given(questions(1), st.integers(1, 3 * 86400))
def test_a_due_time_is_the_earliest_and_its_last_second_counts(question, seconds):
    calendar, start = question
    end = due(calendar, start, seconds)
    assert business_time.is_open_at(calendar, end - timedelta(seconds=1))
    assert business_time.between(calendar, start, end - timedelta(seconds=1)) == seconds - 1


@modest
@given(questions(1), st.integers(0, 2 * 86400), st.integers(0, 2 * 86400))
def test_add_grows_with_the_budget_and_can_be_split(question, one, two):
    calendar, start = question
    whole, part = due(calendar, start, one + two), due(calendar, start, one)
    assert start <= part <= whole
    assert business_time.add(calendar, part, two) == whole


@modest
@given(questions(2), st.integers(0, 3 * 86400))
def test_add_grows_with_the_start(question, seconds):
    calendar, early, late = question
    assert due(calendar, early, seconds) <= due(calendar, late, seconds)


@modest
@given(questions(3))
def test_between_is_additive(question):
    calendar, a, b, c = question
    between = business_time.between
    assert between(calendar, a, b) + between(calendar, b, c) == between(calendar, a, c)


@modest
@given(questions(2))
def test_segments_account_for_every_second(question):
    calendar, start, end = question
    found = business_time.segments(calendar, start, end)
    assert [start, *(s.end for s in found)] == [*(s.start for s in found), end]
    assert all(s.start < s.end for s in found)
    assert all(s.is_open is (s.reason == "") for s in found)
    assert all(one.reason != two.reason for one, two in pairwise(found))
    counted = sum((s.end - s.start).total_seconds() for s in found if s.is_open)
    assert counted == business_time.between(calendar, start, end)


@modest
@given(questions(1))
def test_next_opening_is_open_and_nothing_counts_before_it(question):
    calendar, at = question
    try:
        opening = business_time.next_opening(calendar, at)
    except HorizonError:
        assert business_time.between(calendar, at, horizon(calendar)[1]) == 0
    else:
        assert business_time.is_open_at(calendar, opening)
        assert business_time.between(calendar, at, opening) == 0


@modest
@given(questions(2), st.integers(0, 2 * 86400))
def test_a_full_week_inside_its_horizon_is_24x7(question, seconds):
    other, start, end = question
    full = Calendar(other.zone, (((0, 86400),),) * 7, {}, other.covers_from, other.covers_until)
    always = business_time.always_open(other.zone)
    assert business_time.between(full, start, end) == business_time.between(always, start, end)
    assert business_time.segments(full, start, end) == business_time.segments(always, start, end)
    assert due(full, start, seconds) == business_time.add(always, start, seconds)
    assume(start < horizon(full)[1])
    same_day = business_time.close_of_same_business_day
    assert same_day(full, start) == same_day(always, start)


# The second opinion looks at every quarter of an hour. It knows no fold and no offset, only what the
# wall clock showed: an opening is the first quarter that shows its time or a later one; a closing is
# the last quarter that shows its time, or else the first that shows a later one.


@dataclass
class Opinion:
    calendar: Calendar

    def __post_init__(self):
        margin = timedelta(days=1)
        self.slots = quarters(
            self.calendar.zone, self.calendar.covers_from - margin, self.calendar.covers_until + margin
        )
        self.latest = list(accumulate((wall for _, wall in self.slots), max))
        self.shown = {wall: n for n, (_, wall) in enumerate(self.slots)}
        days = (self.calendar.covers_until - self.calendar.covers_from).days + 1
        self.days = [self.calendar.covers_from + timedelta(days=n) for n in range(days)]
        self.open = set()
        self.closes = []
        for day in self.days:
            special = self.calendar.special_days.get(day)
            spans = special.spans if special else self.calendar.week[day.weekday()]
            ranges = [r for r in self.ranges(day, spans) if r]
            self.open.update(*ranges)
            if ranges:
                self.closes.append((day, self.slots[max(r.stop for r in ranges)][0]))

    def ranges(self, day, spans):
        for opening, closing in spans:
            midnight = datetime.combine(day, time.min)
            opens, closes = (midnight + timedelta(seconds=s) for s in (opening, closing))
            first = bisect_left(self.latest, opens)
            last = bisect_left(self.latest, closes)
            if closing < 86400:
                last = self.shown.get(closes, last)
            yield range(first, last)

    def reasons(self, n, day):
        """What a receipt may say of slot `n` on local date `day`."""
        special = self.calendar.special_days.get(day)
        if n in self.open:
            return {""}
        if special is None:
            return {"closed hours"}
        if not special.spans:
            return {special.name}
        midnight = datetime.combine(day, time.min)
        limits = [bisect_left(self.latest, midnight + timedelta(days=d)) for d in (0, 1)]
        if limits[1] - limits[0] != 96:  # in a doubled hour either reason is as true as the other
            return {special.name, "closed hours"}
        usual = self.ranges(day, self.calendar.week[day.weekday()])
        return {special.name} if any(n in r for r in usual) else {"closed hours"}


@settings(modest, max_examples=80)
@given(calendars(step=QUARTER), st.data())
def test_agrees_with_the_second_opinion(calendar, data):
    opinion = Opinion(calendar)
    first, last = horizon(calendar)
    covered = [(n, at, wall) for n, (at, wall) in enumerate(opinion.slots) if first <= at < last]
    pieces = business_time.segments(calendar, first, last)
    starts = [piece.start for piece in pieces]
    for n, at, wall in covered:
        piece = pieces[bisect_left(starts, at + timedelta(seconds=1)) - 1]
        assert piece.reason in opinion.reasons(n, wall.date()), (at, wall)
        assert business_time.is_open_at(calendar, at) is (n in opinion.open)
    assert business_time.between(calendar, first, last) == QUARTER * len(opinion.open)
    assert business_time.between(calendar, first, last) == sum(
        int((piece.end - piece.start).total_seconds()) for piece in pieces if piece.is_open
    )
    n, at, wall = data.draw(st.sampled_from(covered))
    check_closes(calendar, opinion, at, wall.date())
    budget = data.draw(st.integers(1, 200))
    counted = [m for m, _, _ in covered if m >= n and m in opinion.open]
    assume(len(counted) >= budget)
    expected = opinion.slots[counted[budget - 1]][0] + timedelta(seconds=QUARTER)
    assert business_time.add(calendar, at, budget * QUARTER) == expected


def check_closes(calendar, opinion, at, today):
    by_day = dict(opinion.closes)
    for day in opinion.days:
        assert business_time.close_of_day(calendar, day) == by_day.get(day)
    after_receipt = [close for _, close in opinion.closes if close > at]
    after_today = [close for day, close in opinion.closes if day > today]
    if after_receipt:
        assert business_time.close_of_same_business_day(calendar, at) == after_receipt[0]
    else:
        with pytest.raises(HorizonError):
            business_time.close_of_same_business_day(calendar, at)
    for n, close in enumerate(after_today, 1):
        assert business_time.close_of_nth_business_day(calendar, at, n) == close
