"""The doctor's cheap checks of the kernel, from the same figures as `/metrics`; the page of operation shows them, too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal import claims, figures, restored
from portal.doctor import FAILS, LOOK, OK, Check, Verdict, register_check
from portal.models import CalendarVersion, OutboxMessage
from portal.templatetags.portal_tags import duration

Verdicts = Iterator[Verdict]

SKEW_LOOK, SKEW_FAILS = 1.0, 5.0  # seconds between this machine's clock and another
MONTH = timedelta(days=30.4)
HORIZON_LOOK, HORIZON_FAILS = 20, 6  # months that calendars reach ahead; 24 are kept by the clockwork
GIB = 1024**3
FREE_LOOK, FREE_FAILS = 2 * GIB, GIB // 4  # bytes


def graded(value: float, look: float, fails: float) -> str:
    """The state of what is the better the larger it is."""
    return FAILS if value < fails else LOOK if value < look else OK


def heartbeats(now: datetime) -> Verdicts:
    late = [beat for beat in figures.beats(now) if beat.is_late]
    if late:
        names = ", ".join(f"{beat.name} ({_ago(beat.beat_at, now)})" for beat in late)
        todo = _("Start workers and clockwork, and read their logs. One pass by hand: manage.py sweep.")
        yield Verdict(FAILS, _("late: %(names)s") % {"names": names}, todo)
    else:
        yield Verdict(OK, _("every sweep ran in time"))


def _ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return _("never ran")
    return _("%(time)s ago") % {"time": duration(round((now - at).total_seconds()))}


def copy(now: datetime) -> Verdicts:
    """Whether this database is a restored copy, which is held until it is released."""
    held = restored.hold_reason(now)
    if held:
        yield Verdict(FAILS, held, _("Run manage.py release_outbox only where it replaces the original."))
    else:
        yield Verdict(OK, _("this database is where it was; messages go out"))


def outbox(now: datetime) -> Verdicts:
    lag, limit = claims.lag(now), settings.READY_MAX_OUTBOX_LAG_SECONDS
    todo = _("See whether workers run, and what the mail server answers: manage.py doctor asks it.")
    seen = _("the oldest due message waits for %(time)s") % {"time": duration(round(lag))}
    yield Verdict(OK, seen) if lag <= limit else Verdict(FAILS, seen, todo)
    states = [one for one in figures.waiting(now) if one.state == OutboxMessage.State.SET_ASIDE]
    if count := sum(one.count for one in states):
        words = ngettext("%(count)s message was set aside", "%(count)s messages were set aside", count)
        todo = _("Read their reasons on the desk (Outbox, “set aside”), mend them, and send them again.")
        yield Verdict(LOOK, words % {"count": count}, todo)


def seals(now: datetime) -> Verdicts:
    age = figures.unsealed_seconds(now)
    seen = _("the oldest entry of the audit without a seal is %(time)s old") % {"time": duration(round(age))}
    todo = _("Look for “audit: … is busy” in the log of the worker of the queue “slow”.")
    yield Verdict(OK, seen) if age <= 15 * 60 else Verdict(LOOK, seen, todo)


def receivers(now: datetime) -> Verdicts:
    count = figures.failing_endpoints()
    words = ngettext("%(count)s receiver takes nothing", "%(count)s receivers take nothing", count)
    todo = _("Read what they answer on the desk (Channels and webhooks).")
    if count:
        yield Verdict(LOOK, words % {"count": count}, todo)
    else:
        yield Verdict(OK, _("every receiver in use takes what is sent"))


def time(now: datetime) -> Verdicts:
    """This machine's clock beside the database's: every promise is counted by one of them."""
    if connection.vendor == "sqlite":
        yield Verdict(OK, _("the database has this machine's clock"))
        return
    skew = clock_skew()
    seen = _("this machine and the database differ by %(count)s s") % {"count": f"{skew:.1f}"}
    yield skew_verdict(skew, seen)


def skew_verdict(skew: float, seen: str) -> Verdict:
    todo = _("Have all machines follow the same time server (chrony, systemd-timesyncd).")
    state = graded(-skew, -SKEW_LOOK, -SKEW_FAILS)
    return Verdict(state, seen, "" if state == OK else todo)


def clock_skew() -> float:
    """Seconds between this machine's clock and PostgreSQL's, less what the question took."""
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute("SELECT clock_timestamp()")
        theirs = cursor.fetchone()[0]
    after = datetime.now(UTC)
    return max(0.0, (before - theirs).total_seconds(), (theirs - after).total_seconds())


def holidays(now: datetime) -> Verdicts:
    nearest = CalendarVersion.objects.order_by("covers_until", "pk").first()
    if nearest is None:
        yield Verdict(LOOK, _("there is no calendar"), _("Make one on the desk (Business calendars)."))
        return
    months = (nearest.covers_until - now.date()) / MONTH
    state = graded(months, HORIZON_LOOK, HORIZON_FAILS)
    todo = _("The clockwork extends calendars each night: read what its log says of the country.")
    facts = {"calendar": nearest, "day": nearest.covers_until, "count": round(months)}
    seen = _("the shortest calendar (%(calendar)s) reaches to %(day)s, %(count)s months ahead") % facts
    yield Verdict(state, seen, "" if state == OK else todo)


def space(now: datetime) -> Verdicts:
    folder = Path(settings.MEDIA_ROOT).resolve()
    there = next(each for each in (folder, *folder.parents) if each.exists())  # the first upload makes it
    free = shutil.disk_usage(there).free
    state = graded(free, FREE_LOOK, FREE_FAILS)
    todo = _("Make room where MEDIA_ROOT is: without it no file is taken, and no mail is stored.")
    yield Verdict(
        state,
        _("%(count)s GiB are free for uploads") % {"count": f"{free / GIB:.1f}"},
        "" if state == OK else todo,
    )


def register() -> None:
    """Look at these, in this order."""
    database_first = gettext_lazy("See to the database first.")
    folder = gettext_lazy("Have the folder MEDIA_ROOT exist, for the user that runs web and worker.")
    for name, look, todo in (
        ("heartbeats", heartbeats, database_first),
        ("restored copy", copy, database_first),
        ("outbox", outbox, database_first),
        ("receivers", receivers, database_first),
        ("audit", seals, database_first),
        ("time", time, database_first),
        ("holidays", holidays, database_first),
        ("space", space, folder),
    ):
        register_check(Check(name, look, todo, is_cheap=True))
