"""Properties of the figures, among them a comparison with a count of every single second."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portal.uptime import RANK, WORST_FIRST, Segment, Span, cut, figures, figures_of, segments

START = datetime(2026, 3, 1, tzinfo=UTC)
LENGTH = 120


def second(number):
    return START + timedelta(seconds=number)


@st.composite
def spans(draw):
    first = draw(st.integers(-20, LENGTH + 20))
    last = draw(st.none() | st.integers(first, LENGTH + 40))
    return Span(
        draw(st.sampled_from(WORST_FIRST)),
        second(first),
        None if last is None else second(last),
        draw(st.booleans()),
    )


many = st.lists(spans(), max_size=8)
END = second(LENGTH)


def truth_at(found, now):
    """The rule, word by word, for one instant."""
    felt = [each for each in found if each.from_at <= now and (each.until_at is None or each.until_at > now)]
    unplanned = max((RANK[each.impact] for each in felt if not each.is_planned), default=0)
    planned = max((RANK[each.impact] for each in felt if each.is_planned), default=0)
    if planned and planned >= unplanned:
        return WORST_FIRST[3 - planned], True
    return WORST_FIRST[3 - unplanned], False


@given(many)
def test_every_second_is_what_the_rule_says(found):
    parts = segments(found, START, END)
    by_second = [(part.impact, part.is_planned) for part in parts for _ in range(part.seconds)]
    assert by_second == [truth_at(found, second(number)) for number in range(LENGTH)]


@given(many)
def test_segments_cover_the_period_without_gap_or_overlap(found):
    parts = segments(found, START, END)
    assert [part.start for part in parts] == [START, *(part.end for part in parts[:-1])]
    assert parts[-1].end == END
    assert all(part.start < part.end for part in parts)
    kinds = [(part.impact, part.is_planned) for part in parts]
    assert all(kind != after for kind, after in itertools.pairwise(kinds))


@given(many)
def test_the_figures_sum_to_the_length(found):
    made = figures(found, START, END)
    assert made.length_seconds == LENGTH
    assert made.uptime_seconds + made.downtime_seconds + made.planned["outage"] == LENGTH
    assert made.availability is None or 0 <= made.availability <= 1
    assert made.planned["none"] == 0


@given(many.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_spans_is_irrelevant(pair):
    found, shuffled = pair
    assert segments(found, START, END) == segments(shuffled, START, END)


@given(many, spans(), st.integers(0, LENGTH))
def test_splitting_a_span_changes_nothing(found, whole, number):
    middle = min(max(second(number), whole.from_at), whole.until_at or END)
    halves = [
        Span(whole.impact, whole.from_at, middle, whole.is_planned),
        Span(whole.impact, middle, whole.until_at, whole.is_planned),
    ]
    assert segments([*found, *halves], START, END) == segments([*found, whole], START, END)
    assert segments([*found, whole, whole], START, END) == segments([*found, whole], START, END)


@given(many, st.lists(st.integers(0, LENGTH), max_size=5))
def test_the_parts_of_a_period_sum_to_it(found, numbers):
    bounds = [START, *(second(number) for number in sorted(numbers)), END]
    pieces = list(cut(segments(found, START, END), bounds))
    assert len(pieces) == len(bounds) - 1
    for first, last, piece in zip(bounds, bounds[1:], pieces, strict=False):
        assert figures_of(piece) == figures(found, first, last)
    joined = [part for piece in pieces for part in piece]
    assert all(isinstance(part, Segment) for part in joined)
    assert figures_of(joined) == figures(found, START, END)
