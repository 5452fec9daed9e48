"""When the clockwork must look at a window next, and which reminders are due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from maintenance.models import MaintenancePlan, MaintenanceWindow, Status
from maintenance.models.window import RUNNING
from maintenance.rules import DECISION_GRACE
from portal.models import Organisation

SECOND = timedelta(seconds=1)
WORKING = (Status.IN_PROGRESS, Status.OVERRUN)


def next_attention(window: MaintenanceWindow, now: datetime) -> datetime | None:
    """The next instant at which something is due by itself; None when nothing ever is.

    It lies after `now`, but for a start that waited for a consent which has just been given.
    """
    if (
        window.status == Status.ANNOUNCED
        and window.starts_at <= now
        and not window.consents.unsettled().exists()
    ):
        return now
    moments = [at for at in _moments(window, now) if at > now]
    return min(moments, default=None)


def _moments(window: MaintenanceWindow, now: datetime) -> Iterator[datetime]:
    if window.status == Status.ANNOUNCED:
        yield window.starts_at
        yield window.ends_at
        yield from (at for at, _minutes, _who in reminder_times(window))
    if window.status in RUNNING:
        yield window.ends_at
    if window.status in WORKING and not window.decision:
        if window.decision_asked_at:
            yield window.decision_asked_at + DECISION_GRACE
        elif has_open_steps(window):  # a tick may be taken back after the decision time
            yield max(window.rollback_decision_at, now + SECOND)


def has_open_steps(window: MaintenanceWindow) -> bool:
    return window.steps.filter(done_at=None).exists()


def reminder_times(window: MaintenanceWindow) -> list[tuple[datetime, int, Organisation]]:
    """Each reminder that the plans name: when, how many minutes before the start, and whom."""
    organisations = [row.organisation for row in window.involved.select_related("organisation")]
    plans = MaintenancePlan.objects.of_each(organisations)
    return [
        (window.starts_at - timedelta(minutes=minutes), minutes, organisation)
        for organisation in organisations
        for minutes in plans[organisation.pk].reminder_minutes
    ]


def due_reminders(window: MaintenanceWindow, now: datetime) -> dict[int, list[Organisation]]:
    """Minutes before the start -> whom to remind now.

    Of several that have passed only the last counts; none whose time had passed when the present times
    were told, and none that was given.
    """
    told_at = _told_at(window)
    last: dict[Organisation, int] = {}
    for at, minutes, organisation in reminder_times(window):
        if told_at < at <= now:
            last[organisation] = min(minutes, last.get(organisation, minutes))
    found: dict[int, list[Organisation]] = {}
    given = list(_given(window))
    for organisation, minutes in last.items():
        if not any(pk == organisation.pk and before <= minutes for pk, before in given):
            found.setdefault(minutes, []).append(organisation)
    return found


def _told_at(window: MaintenanceWindow) -> datetime:
    told = window.events.filter(kind__in=["announced", "moved"]).order_by("-pk").first()
    return told.at if told else window.starts_at


def _given(window: MaintenanceWindow) -> Iterable[tuple[int, int]]:
    """(organisation, minutes) of the reminders of the present start."""
    for event in window.events.filter(kind="reminded"):
        facts = event.payload
        if datetime.fromisoformat(facts["starts_at"]) == window.starts_at:
            yield from ((pk, facts["minutes"]) for pk in facts["organisations"])
