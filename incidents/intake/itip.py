"""What a calendar program answers to an invitation (RFC 5546, RFC 6047), read line by line. PURE.

Only what an answer says is looked at. Zones, rules and whatever else it brings along are never worked out,
so that nothing in it can take long, and nothing that is sent here can make it fail.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from icalendar.parser import Contentline

from incidents.intake import charsets
from incidents.intake.parsed import CalendarAnswer

METHODS = ("REPLY", "COUNTER")
KINDS = ("text/calendar", "application/ics")
MAX_BYTES = 256 * 1024
MAX_LINES = 5_000
MAX_LINE = 10_000
MAX_DEPTH = 5
_WANTED = re.compile(r"(METHOD|UID|SEQUENCE|DTSTAMP|ATTENDEE|COMMENT|RECURRENCE-ID)[;:]", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)

TOO_LARGE = "Its calendar is too large for an answer."
UNREADABLE = "Its calendar cannot be read."
NO_EVENT = "Its calendar names no event."
SEVERAL_EVENTS = "Its calendar names more than one event."
OTHER_METHOD = "Its calendar says another method than its mail."


class Malformed(Exception):
    """Why a calendar is no answer."""


def method_of(data: bytes, said: str = "") -> str:
    """The METHOD in upper case: as the Content-Type says it, else as the calendar does; "" for none."""
    if not said:
        match = re.search(rb"^METHOD:([A-Z]{3,20})", data[:5_000], re.MULTILINE | re.IGNORECASE)
        said = match.group(1).decode("ascii") if match else ""
    return said.strip().upper()


def read_answer(data: bytes, *, method: str, charset: str = "") -> CalendarAnswer:
    """The answer in a calendar of `method`; its `problem` says why there is none to take."""
    try:
        return _read(data, method, charset)
    except Malformed as error:
        return CalendarAnswer(method=method, problem=str(error))


def _read(data: bytes, method: str, charset: str) -> CalendarAnswer:
    if len(data) > MAX_BYTES:
        raise Malformed(TOO_LARGE)
    head, events = _properties(charsets.decode(data, charset)[0])
    if len(events) != 1:
        raise Malformed(SEVERAL_EVENTS if events else NO_EVENT)
    (event,) = events
    if [value.strip().upper() for _name, _params, value in head if _name == "METHOD"] != [method]:
        raise Malformed(OTHER_METHOD)
    uids = [value.strip() for name, _params, value in event if name == "UID"]
    if len(uids) != 1 or any(name == "RECURRENCE-ID" for name, _params, _value in event):
        raise Malformed(UNREADABLE)
    return CalendarAnswer(
        method=method,
        uid=uids[0],
        sequence=_sequence([value for name, _params, value in event if name == "SEQUENCE"]),
        attendees=tuple(
            (_address(value), str(params.get("PARTSTAT", "NEEDS-ACTION")).upper())
            for name, params, value in event
            if name == "ATTENDEE"
        ),
        written_at=_instant(next((value for name, _params, value in event if name == "DTSTAMP"), "")),
        comment="\n".join(value for name, _params, value in event if name == "COMMENT").strip(),
    )


Property = tuple[str, dict[str, object], str]


def _properties(text: str) -> tuple[list[Property], list[list[Property]]]:
    """What the one calendar says of itself, and what each of its events says."""
    head: list[Property] = []
    events: list[list[Property]] = []
    stack: list[str] = []
    calendars = 0
    for line in _lines(text):
        name, _, value = line.partition(":")
        if name.upper() == "BEGIN":
            stack.append(value.strip().upper())
            calendars += stack == ["VCALENDAR"]
            if stack == ["VCALENDAR", "VEVENT"]:
                events.append([])
            if len(stack) > MAX_DEPTH or calendars > 1 or stack[0] != "VCALENDAR":
                raise Malformed(UNREADABLE)
        elif name.upper() == "END":
            if not stack or stack.pop() != value.strip().upper():
                raise Malformed(UNREADABLE)
        elif stack == ["VCALENDAR"]:
            head += _property(line)
        elif stack == ["VCALENDAR", "VEVENT"]:
            events[-1] += _property(line)
    if stack or not calendars:
        raise Malformed(UNREADABLE)
    return head, events


def _lines(text: str) -> Iterator[str]:
    """The content lines, unfolded."""
    lines = text.replace("\n ", "").replace("\n\t", "").split("\n")
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines):
        raise Malformed(TOO_LARGE)
    return (line for line in lines if line.strip())


def _property(line: str) -> list[Property]:
    """The property of a line, if it is one that matters here."""
    if not _WANTED.match(line):
        return []
    try:
        name, params, value = Contentline(line).parts()
    except ValueError as error:
        raise Malformed(UNREADABLE) from error
    return [(name.upper(), dict(params), value)]


def _sequence(values: list[str]) -> int:
    """RFC 5545 §3.8.7.4: without one it is 0."""
    if not values:
        return 0
    if len(values) > 1 or not _NUMBER.fullmatch(values[0].strip()):
        raise Malformed(UNREADABLE)
    return int(values[0])


def _address(value: str) -> str:
    return re.sub(r"^mailto:", "", value.strip(), flags=re.IGNORECASE).strip().lower()


def _instant(value: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.strptime(value.strip(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return None
