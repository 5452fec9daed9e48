"""Figures of service status: tables of what each instant counts as, and exactness to the second."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from portal import uptime
from portal.uptime import Segment, Span, cut, figures, segments

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=1)


def at(hours, seconds=0):
    return START + timedelta(hours=hours, seconds=seconds)


def span(impact, first, last, is_planned=False):
    return Span(impact, at(first), None if last is None else at(last), is_planned)


def told(parts):
    """Segments as (hour, hour, impact, planned)."""
    hours = [[(each - START) / timedelta(hours=1) for each in (part.start, part.end)] for part in parts]
    return [(*pair, part.impact, part.is_planned) for pair, part in zip(hours, parts, strict=True)]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], [(0, 24, "none", False)]),
        ([("outage", 2, 3)], [(0, 2, "none", False), (2, 3, "outage", False), (3, 24, "none", False)]),
        ([("outage", 2, None)], [(0, 2, "none", False), (2, 24, "outage", False)]),
        ([("none", 2, 3)], [(0, 24, "none", False)]),
        ([("none", 2, 3, True)], [(0, 24, "none", False)]),
        ([("outage", -5, 30)], [(0, 24, "outage", False)]),
        ([("outage", -5, 0), ("outage", 24, 30), ("outage", 3, 3)], [(0, 24, "none", False)]),
        # neighbours of the same kind are one
        ([("outage", 2, 3), ("outage", 3, 4)], [(0, 2, "none", False), (2, 4, "outage", False), (4, 24, "none", False)]),
        # the worst counts
        (
            [("degraded", 2, 6), ("outage", 3, 4)],
            [(0, 2, "none", False), (2, 3, "degraded", False), (3, 4, "outage", False),
             (4, 6, "degraded", False), (6, 24, "none", False)],
        ),
        # a fault that a window had agreed to is planned; one that is worse is not
        ([("degraded", 0, 24), ("outage", 0, 24, True)], [(0, 24, "outage", True)]),
        ([("outage", 0, 24), ("outage", 0, 24, True)], [(0, 24, "outage", True)]),
        ([("outage", 0, 24), ("degraded", 0, 24, True)], [(0, 24, "outage", False)]),
        (
            [("outage", 0, 2, True), ("outage", 2, 5)],
            [(0, 2, "outage", True), (2, 5, "outage", False), (5, 24, "none", False)],
        ),
    ],
)  # fmt: skip
def test_what_each_instant_counts_as(spans, expected):
    assert told(segments([span(*each) for each in spans], START, END)) == expected


def test_figures_keep_planned_time_apart():
    found = figures(
        [span("outage", 1, 2), span("degraded", 2, 4), span("outage", 10, 14, True), span("degraded", 20, 21, True)],
        START,
        END,
    )  # fmt: skip
    hour = 3600
    assert found.unplanned == {
        "outage": hour,
        "degraded": 2 * hour,
        "reduced_redundancy": 0,
        "none": 16 * hour,
    }
    assert found.planned == {"outage": 4 * hour, "degraded": hour, "reduced_redundancy": 0, "none": 0}
    assert (found.length_seconds, found.agreed_seconds) == (24 * hour, 20 * hour)
    assert (found.downtime_seconds, found.uptime_seconds, found.planned_seconds) == (
        hour,
        19 * hour,
        5 * hour,
    )
    assert found.availability == Fraction(19, 20)


def test_a_single_second_counts():
    found = figures([Span("outage", at(1), at(1, 1))], START, END)
    assert (found.downtime_seconds, found.availability) == (1, Fraction(86399, 86400))


def test_no_agreed_time_has_no_availability():
    assert figures([span("outage", 0, 24, True)], START, END).availability is None
    assert figures([], START, START).availability is None
    assert segments([span("outage", 0, 24)], START, START) == []


def test_maintenance_does_not_hide_a_fault():
    assert figures([span("outage", 0, 4, True), span("degraded", 5, 6)], START, END).worst == (
        "degraded",
        False,
    )
    assert figures([span("degraded", 0, 4, True)], START, END).worst == ("degraded", True)
    assert figures([], START, END).worst == ("none", False)


def test_elapsed_seconds_across_a_change_of_the_clocks():
    berlin = ZoneInfo("Europe/Berlin")
    day, night = datetime(2026, 3, 29, tzinfo=berlin), datetime(2026, 3, 30, tzinfo=berlin)
    found = figures([Span("outage", day.replace(hour=1), day.replace(hour=4))], day, night)
    assert (found.length_seconds, found.downtime_seconds) == (23 * 3600, 2 * 3600)


def test_fractions_of_a_second_are_cut_and_never_lost():
    odd = Span("outage", at(1) + timedelta(microseconds=900_000), at(2) + timedelta(microseconds=100_000))
    assert figures([odd], START, END).downtime_seconds == 3600


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="cannot end"):
        segments([], END, START)
    with pytest.raises(ValueError, match="no zone"):
        segments([], datetime(2026, 1, 1), END)
    with pytest.raises(ValueError, match="no impact"):
        segments([span("sad", 1, 2)], START, END)


def test_cutting_into_days_loses_nothing():
    parts = segments([span("outage", 5, 30), span("degraded", 29, 50)], START, at(72))
    bounds = [at(0), at(24), at(48), at(72)]
    days = list(cut(parts, bounds))
    assert [told(day) for day in days] == [
        [(0, 5, "none", False), (5, 24, "outage", False)],
        [(24, 30, "outage", False), (30, 48, "degraded", False)],
        [(48, 50, "degraded", False), (50, 72, "none", False)],
    ]
    assert list(cut([], bounds)) == [[], [], []]
    assert next(iter(cut([Segment(at(0), at(24), uptime.NONE, False)], [at(1), at(1), at(2)]))) == []


def test_a_percentage_is_never_rounded_up():
    assert uptime.percent(Fraction(1)) == 100
    assert uptime.percent(Fraction(86399, 86400)) == Decimal("99.998")
    assert uptime.percent(Fraction(7_775_999, 7_776_000)) == Decimal("99.999")
    assert uptime.percent(Fraction(0)) == 0
