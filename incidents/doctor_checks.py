"""What the doctor looks at for incidents: the clocks' lag, the mailbox, and the tables of the search."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from incidents import figures
from incidents.intake import mailbox
from portal.doctor import FAIL, OK, WARN, Check, Verdict, register_check

SEARCH_PREFIXES = ("incidents_search", "portal_search")


def clocks(now: datetime) -> Iterator[Verdict]:
    lag, limit = figures.lag(now), settings.READY_MAX_SWEEP_AGE_SECONDS
    todo = "" if lag <= limit else "Start worker and clockwork; manage.py sweep does one pass by hand."
    yield Verdict(OK if lag <= limit else FAIL, f"the clock that waits longest waits for {lag:.0f} s", todo)


def imap(now: datetime) -> Iterator[Verdict]:
    """Sign in to the mailbox and choose its folder; no mail is fetched or moved."""
    if settings.IMAP_URL:
        url = urlsplit(settings.IMAP_URL)
        with mailbox.opened(url) as box:
            waiting = len(mailbox.waiting(box))
        state = WARN if waiting >= mailbox.BATCH else OK
        todo = "See whether the worker polls it (heartbeat “mailbox”)." if state == WARN else ""
        yield Verdict(state, f"{url.hostname} lets us in; {waiting} mails wait", todo)


def search(now: datetime) -> Iterator[Verdict]:
    """The tables of the search, where this version has any: an empty one finds nothing."""
    with connection.cursor() as cursor:
        names = [name for name in connection.introspection.table_names(cursor) if name.startswith(SEARCH_PREFIXES)]
    if names:
        yield Verdict(OK, f"there: {', '.join(sorted(names)[:3])}")


def register() -> None:
    register_check(Check("clocks", clocks, "See to the database first."))
    register_check(Check("mailbox", imap, "Mend IMAP_URL, or ask whoever runs the mail server."))
    register_check(Check("search", search, "See to the database first."))
