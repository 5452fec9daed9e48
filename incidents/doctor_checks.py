"""What the doctor looks at for incidents: how late clocks and inbox are, and the mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents import figures
from incidents.intake import mailbox
from portal.doctor import FAILS, LOOK, OK, Check, Verdict, register_check
from portal.templatetags.portal_tags import duration


def clocks(now: datetime) -> Iterator[Verdict]:
    lag, limit = figures.lag(now), settings.READY_MAX_SWEEP_AGE_SECONDS
    seen = _("the clock that waits longest for a sweep waits for %(time)s") % {"time": duration(round(lag))}
    todo = _("Start workers and clockwork. One pass by hand: manage.py sweep.")
    yield Verdict(OK, seen) if lag <= limit else Verdict(FAILS, seen, todo)


def inbox(now: datetime) -> Iterator[Verdict]:
    age, limit = figures.unread_seconds(now), settings.READY_MAX_OUTBOX_LAG_SECONDS
    seen = _("the oldest message that came in waits for %(time)s") % {"time": duration(round(age))}
    todo = _("See whether a worker of the queue “mail” runs, and what its log says.")
    yield Verdict(OK, seen) if age <= limit else Verdict(FAILS, seen, todo)


def imap(now: datetime) -> Iterator[Verdict]:
    """Sign in to the mailbox and choose its folder; no mail is fetched or moved."""
    if settings.IMAP_URL:
        url = urlsplit(settings.IMAP_URL)
        with mailbox.opened(url) as box:
            waiting = len(mailbox.waiting(box))
        state = LOOK if waiting >= mailbox.BATCH else OK
        todo = "See whether the worker polls it (heartbeat “mailbox”)." if state == LOOK else ""
        yield Verdict(state, f"{url.hostname} lets us in; {waiting} mails wait", todo)


def register() -> None:
    database_first = gettext_lazy("See to the database first.")
    register_check(Check("clocks", clocks, database_first, is_cheap=True))
    register_check(Check("inbox", inbox, database_first, is_cheap=True))
    register_check(Check("mailbox", imap, "Mend IMAP_URL, or ask whoever runs the mail server."))
