"""Lives of windows by the product's own verbs, and the calendars in the mails that they caused."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime, timedelta

import time_machine
from django.core import mail

from maintenance import actions
from maintenance.models import MaintenanceWindow
from portal import outbox
from portal.models import User
from tests.conftest import T0
from tests.maintenance.world import announced, by, check_all

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

# Zone -> an instant in whose hour the clocks are set back, and one in whose hour they are set forward.
CHANGES = {
    "Europe/Berlin": ("2026-10-25T00:00+00:00", "2026-03-29T00:30+00:00"),
    "America/New_York": ("2026-11-01T05:00+00:00", "2027-03-14T06:30+00:00"),
    "Australia/Lord_Howe": ("2026-04-04T14:30+00:00", "2026-10-03T15:00+00:00"),
    "Europe/Istanbul": ("2026-10-25T00:00+00:00", "2026-03-29T00:30+00:00"),  # none since 2016
}
STARTS = [(zone, datetime.fromisoformat(at)) for zone, both in CHANGES.items() for at in both]


def moved_extended_closed(
    author: User, approver: User, start: datetime
) -> tuple[MaintenanceWindow, list[tuple[datetime, datetime]]]:
    """Announced, moved twice, extended while it runs, completed; and the start and end agreed each time."""
    window = announced(author, approver, **times(start))
    agreed = [(start, start + HOUR)]
    for number, to in enumerate((start + 30 * MINUTE, start + 15 * MINUTE), 1):
        at = T0 + number * HOUR
        actions.move_window(window, **times(to), reason="Moved.", **by(author, at))
        agreed.append((to, to + HOUR))
    start = start + 15 * MINUTE
    late = start + 150 * MINUTE
    actions.ask_extension(window, until=late, reason="Slow.", **by(author, start + 40 * MINUTE))
    actions.approve_extension(window, **by(approver, start + 41 * MINUTE))
    check_all(window, author, start + 42 * MINUTE)
    actions.begin_verification(window, **by(author, start + 43 * MINUTE))
    end = start + 47 * MINUTE + timedelta(seconds=13)
    actions.complete(window, outcome="All is well.", **by(author, end))
    return window, [*agreed, (start, late), (start, end)]


def cancelled(author: User, approver: User, start: datetime) -> MaintenanceWindow:
    window = announced(author, approver, **times(start))
    return actions.cancel(window, reason="Not needed any more.", **by(author, T0 + HOUR))


def times(start: datetime) -> dict[str, datetime]:
    return {
        "starts_at": start,
        "ends_at": start + HOUR,
        "rollback_decision_at": start + 45 * MINUTE,
    }


def calendars_mailed(person: User, at: datetime) -> list[str]:
    """Deliver what is queued; the iCalendar texts in the mails to the person, as a mail program finds them."""
    with time_machine.travel(at, tick=False):
        outbox.sweep(at)
    found = []
    for sent in mail.outbox:
        if sent.to == [person.email]:
            raw = email.message_from_bytes(sent.message().as_bytes(), policy=email.policy.default)
            found += [calendar_in(raw)] if any(kind(part) for part in raw.walk()) else []
    return found


def kind(part) -> bool:
    return part.get_content_type() == "text/calendar"


def calendar_in(raw) -> str:
    """The one invitation in a mail; the same file is attached for programs that do not know invitations."""
    [part] = [part for part in raw.walk() if kind(part)]
    [attached] = [part for part in raw.walk() if part.get_filename() == "invite.ics"]
    text = lines(part.get_payload(decode=True))
    assert lines(attached.get_payload(decode=True)) == text
    assert f"METHOD:{part.get_param('method')}\r\n" in text
    return text


def lines(content: bytes) -> str:
    return content.decode().replace("\r\n", "\n").replace("\n", "\r\n")
