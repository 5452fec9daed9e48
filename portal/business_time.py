"""Working-time arithmetic: add(), between(), segments() and the closes of business days.

Pure: no Django, no input or output, no hidden present. Datetimes go in aware (naive: ValueError) and
come out in UTC; durations are whole seconds, and a fraction of a second is dropped. An instant before
00:00 of the first or after 24:00 of the last covered local day is a `HorizonError`.

Spans are local wall time, so a business day keeps its hours when the clocks change:

* A wall time that occurs twice is, as an opening, its first occurrence and, as a closing, its last.
* A wall time that never occurs is the instant at which the clock jumps; a span that lies wholly inside
  the jump has no length, and a day without any other span is a closed day.
* 00:00 is the first instant of its local day and 24:00 the first instant of the next one, also where
  midnight itself is skipped (Santiago) or occurs twice (Azores).

Spans that touch or, by these rules, overlap are one stretch of open time. 24×7 is elapsed UTC time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache, partial
from itertools import accumulate, islice, pairwise
from math import floor
from zoneinfo import ZoneInfo

Span = tuple[int, int]  # seconds after local midnight, [open, close), 0 <= open < close <= 86400

DAY_SECONDS = 86400
CLOSED_HOURS = "closed hours"
_OPEN = ""  # the reason of an open stretch
_END = "\0"  # stands on the last edge; no name that a person can type
_ONE_DAY = timedelta(days=1)
_FULL_WEEK: tuple[tuple[Span, ...], ...] = (((0, DAY_SECONDS),),) * 7


class HorizonError(ValueError):
    """The question reaches outside the days that the calendar has materialised."""


@dataclass(frozen=True)
class SpecialDay:
    """A local date whose spans replace the week's: () is closed all day, anything else a half day.

    `name` stands in receipts as the reason. ValueError for an empty name or impossible spans.
    """

    day: date
    name: str
    spans: tuple[Span, ...]

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError(f"The special day {self.day} needs a name.")
        object.__setattr__(self, "spans", _checked_spans(self.spans, f"{self.name} ({self.day})"))


@dataclass(frozen=True)
class Calendar:
    """Opening hours in the local wall time of `zone` (an IANA name), Monday first.

    `special_days` is keyed by local date; `covers_from` and `covers_until` are the first and the last
    local date that may be asked about. Equal calendars share one index, built on first use.
    ValueError, in plain words, for anything that cannot be a calendar.
    """

    zone: str
    week: tuple[tuple[Span, ...], ...]
    special_days: Mapping[date, SpecialDay] = field(hash=False)
    covers_from: date
    covers_until: date

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{self.zone!r} is not a time zone.") from error
        if len(self.week) != 7:
            raise ValueError(f"A week has seven days, not {len(self.week)}.")
        if self.covers_from > self.covers_until:
            raise ValueError(f"The calendar ends on {self.covers_until}, before {self.covers_from}.")
        for day, special in self.special_days.items():
            if day != special.day:
                raise ValueError(f"{special.name} is on {special.day} but is filed under {day}.")
        week = tuple(_checked_spans(spans, f"Weekday {n}") for n, spans in enumerate(self.week, 1))
        object.__setattr__(self, "week", week)
        object.__setattr__(self, "special_days", dict(self.special_days))

    @cached_property
    def is_always_open(self) -> bool:
        """Is this 24×7 without a horizon, as `always_open` makes it?"""
        return self == always_open(self.zone)

    @cached_property
    def _tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @cached_property
    def _index(self) -> _Index:
        return _ALWAYS if self.is_always_open else _build_index(self)

    def _piece(self, instant: int) -> int:
        """The number of the piece that `instant` lies in, or of the last edge: the end of the horizon."""
        if not self._index.edges[0] <= instant <= self._index.edges[-1]:
            raise self._horizon_error(f"{self._local_date(instant)} lies")
        return bisect_right(self._index.edges, instant) - 1

    def _counted_until(self, instant: int) -> int:
        """Open seconds from the beginning of the horizon until `instant`."""
        index, piece = self._index, self._piece(instant)
        return index.counted[piece] + (instant - index.edges[piece]) * (index.reasons[piece] == _OPEN)

    def _instant(self, day: date, second: int, is_closing: bool = False) -> int:
        """The instant of a wall time by the rules at the top of this file."""
        if second == DAY_SECONDS:
            day, second, is_closing = day + _ONE_DAY, 0, False
        wall = datetime.combine(day, time.min, self._tz) + timedelta(seconds=second)
        first, last = int(wall.timestamp()), int(wall.replace(fold=1).timestamp())
        if last < first:  # the wall time never occurs, and the jump lies between the two readings
            local = partial(datetime.fromtimestamp, tz=self._tz)
            return last + bisect_left(range(last, first), wall, key=local)
        return last if is_closing else first

    def _local_date(self, instant: int) -> date:
        return datetime.fromtimestamp(instant, self._tz).date()

    def _horizon_error(self, what: str) -> HorizonError:
        return HorizonError(f"{what} outside the days {self.covers_from} to {self.covers_until}.")


@dataclass(frozen=True)
class Segment:
    """A stretch [start, end) in UTC that counted (`is_open`, reason "") or did not (the reason why)."""

    start: datetime
    end: datetime
    is_open: bool
    reason: str


def always_open(zone: str) -> Calendar:
    """The 24×7 calendar of an IANA `zone`: every day 00:00-24:00, no special day, no horizon."""
    return Calendar(zone, _FULL_WEEK, {}, date.min, date.max)


def add(calendar: Calendar, start: datetime, seconds: int) -> datetime:
    """The UTC instant at which `seconds` of open time have passed since `start`.

    A budget that ends exactly at closing time ends at the close; 0 is `start`, also in closed time.
    ValueError for negative seconds or a naive start, HorizonError if the covered days do not suffice.
    """
    if seconds < 0:
        raise ValueError(f"A budget cannot be negative ({seconds} seconds).")
    begin, index = _stamp(start), calendar._index
    target = calendar._counted_until(begin) + seconds
    if seconds == 0:
        return _utc(begin)
    edge = bisect_left(index.counted, target)
    if edge == len(index.counted):
        raise calendar._horizon_error(f"{seconds} seconds of open time after {start} end")
    return _utc(index.edges[edge] - (index.counted[edge] - target))


def between(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Open seconds in [start, end). ValueError if end < start or naive, HorizonError outside."""
    begin, finish = _range(start, end)
    return calendar._counted_until(finish) - calendar._counted_until(begin)


def segments(calendar: Calendar, start: datetime, end: datetime) -> list[Segment]:
    """What each second of [start, end) was: contiguous UTC stretches, equal neighbours merged; [] if none.

    A closed stretch is named after the special day if that day is closed all day, or if the week's
    hours would have been open then; otherwise its reason is "closed hours".
    ValueError if end < start or naive, HorizonError outside the covered days.
    """
    begin, finish = _range(start, end)
    index, first, last = calendar._index, calendar._piece(begin), calendar._piece(finish)
    cuts = [begin, *index.edges[first + 1 : last + 1]]
    cuts += [finish] if cuts[-1] < finish else []
    return [
        Segment(_utc(opening), _utc(close), reason == _OPEN, reason)
        for (opening, close), reason in zip(pairwise(cuts), index.reasons[first:], strict=False)
    ]


def is_open_at(calendar: Calendar, at: datetime) -> bool:
    """Does the second that begins at `at` count? ValueError if naive, HorizonError outside."""
    reason = calendar._index.reasons[calendar._piece(_stamp(at))]
    if reason == _END:
        raise calendar._horizon_error(f"{at} lies")
    return reason == _OPEN


def next_opening(calendar: Calendar, at: datetime) -> datetime:
    """`at` (in UTC) if open, else the next opening. HorizonError if none is covered, ValueError if naive."""
    instant, index = _stamp(at), calendar._index
    piece = calendar._piece(instant)
    if index.reasons[piece] == _OPEN:
        return _utc(instant)
    opening = bisect_right(index.counted, index.counted[piece]) - 1
    if opening == len(index.edges) - 1:
        raise calendar._horizon_error(f"The next opening after {at} lies")
    return _utc(index.edges[opening])


def close_of_day(calendar: Calendar, day: date) -> datetime | None:
    """UTC end of the last span of the local date `day`; None on a closed day. HorizonError outside."""
    if not calendar.covers_from <= day <= calendar.covers_until:
        raise calendar._horizon_error(f"{day} lies")
    special = calendar.special_days.get(day)
    for opening, closing in reversed(special.spans if special else calendar.week[day.weekday()]):
        close = calendar._instant(day, closing, is_closing=True)
        if close > calendar._instant(day, opening):
            return _utc(close)
    return None


def end_of_release_day(calendar: Calendar, day: date) -> datetime:
    """UTC close of the local date `day`; its 24:00 on a closed day. HorizonError outside."""
    return close_of_day(calendar, day) or _utc(calendar._instant(day, DAY_SECONDS))


def close_of_same_business_day(calendar: Calendar, receipt: datetime) -> datetime:
    """UTC close of the first business day whose close lies strictly after `receipt`.

    On 24×7 that is 24:00 of the receipt's local date. ValueError if naive; HorizonError if the receipt
    or that close is not covered.
    """
    today = calendar._local_date(_stamp(receipt))
    return next(close for _, close in _closes(calendar, today) if close > receipt)


def close_of_nth_business_day(calendar: Calendar, start: datetime, n: int) -> datetime:
    """UTC close of the `n`th business day (1 is the next) after the local date of `start`.

    ValueError if n < 1 or start is naive, HorizonError if start or that day is not covered.
    """
    if n < 1:
        raise ValueError(f"Business days are counted from 1, not {n}.")
    today = calendar._local_date(_stamp(start))
    later = (close for day, close in _closes(calendar, today) if day > today)
    return next(islice(later, n - 1, None))


def _closes(calendar: Calendar, day: date) -> Iterator[tuple[date, datetime]]:
    """The business days from `day` on, each with its close; HorizonError at the end of the horizon."""
    while True:
        close = close_of_day(calendar, day)
        if close is not None:
            yield day, close
        day += _ONE_DAY


@dataclass(frozen=True)
class _Index:
    """The covered time, cut into pieces; in seconds since 1970. The last edge ends the horizon."""

    edges: list[int]  # where each piece begins
    reasons: list[str]  # why it does not count; _OPEN if it does
    counted: list[int]  # open seconds before each edge


@lru_cache(maxsize=32)
def _build_index(calendar: Calendar) -> _Index:
    edges: list[int] = []
    reasons: list[str] = []
    day, end = calendar.covers_from, calendar._instant(calendar.covers_from, 0)
    while day <= calendar.covers_until:
        begin, end = end, calendar._instant(day, DAY_SECONDS)
        is_regular = end - begin == DAY_SECONDS  # the clocks do not change, so no look at the zone is needed
        for second, reason, is_closing in _plan(calendar.week[day.weekday()], calendar.special_days.get(day)):
            edge = begin + second if is_regular else calendar._instant(day, second, is_closing)
            _push(edges, reasons, edge, reason)
        day += _ONE_DAY
    _push(edges, reasons, end, _END)
    pieces = zip(pairwise(edges), reasons, strict=False)
    lengths = ((end - begin) * (reason == _OPEN) for (begin, end), reason in pieces)
    return _Index(edges, reasons, list(accumulate(lengths, initial=0)))


@lru_cache(maxsize=1024)
def _plan(usual: tuple[Span, ...], special: SpecialDay | None) -> list[tuple[int, str, bool]]:
    """One local day as (second, reason from there on, is it a closing?); a repeated reason is harmless."""
    spans = special.spans if special else usual
    cuts = {0} | {cut for span in (*spans, *usual) for cut in span if cut < DAY_SECONDS}
    plan = []
    for cut in sorted(cuts):
        reason = CLOSED_HOURS
        if any(opening <= cut < close for opening, close in spans):
            reason = _OPEN
        elif special and (not spans or any(opening <= cut < close for opening, close in usual)):
            reason = special.name
        plan.append((cut, reason, reason != _OPEN and cut > 0))
    return plan


def _push(edges: list[int], reasons: list[str], edge: int, reason: str) -> None:
    """Begin a piece at `edge`: it replaces what would begin there or later and joins an equal neighbour."""
    while edges and edges[-1] >= edge:
        edges.pop()
        reasons.pop()
    if not reasons or reasons[-1] != reason:
        edges.append(edge)
        reasons.append(reason)


def _range(start: datetime, end: datetime) -> tuple[int, int]:
    begin, finish = _stamp(start), _stamp(end)
    if finish < begin:
        raise ValueError(f"The end {end} lies before the start {start}.")
    return begin, finish


def _stamp(at: datetime) -> int:
    if at.utcoffset() is None:
        raise ValueError(f"{at} has no time zone.")
    return floor(at.timestamp())


def _utc(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _checked_spans(spans: Iterable[Span], where: str) -> tuple[Span, ...]:
    checked = tuple((opening, close) for opening, close in spans)
    for opening, close in checked:
        if not 0 <= opening < close <= DAY_SECONDS:
            raise ValueError(f"{where}: {opening}-{close} does not open before it closes, within the day.")
    if any(before[1] > after[0] for before, after in pairwise(checked)):
        raise ValueError(f"{where}: spans stand in order and do not overlap.")
    return checked


_EVER = [_stamp(datetime.min.replace(tzinfo=UTC)), _stamp(datetime.max.replace(tzinfo=UTC))]
_ALWAYS = _Index(_EVER, [_OPEN, _END], [0, _EVER[1] - _EVER[0]])
