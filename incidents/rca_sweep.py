"""What time does to RCAs: owners of prevention actions are reminded, and of a window's RCA that is due."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from incidents import oncall, rca_notify
from incidents.models import RCA, PreventionAction
from incidents.sweep import each
from portal.mails import zone_of
from portal.models import User

FIRST, SECOND = timedelta(days=7), timedelta(days=1)
BATCH = 500


def sweep_rca(now: datetime) -> dict[str, int]:
    """Remind whom it concerns; returns how many of each. Running it again changes nothing more."""
    now = now.replace(microsecond=0)
    return {"actions reminded": remind_owners(now), "RCAs reminded": remind_of_windows(now)}


def reminder_of(due: date, today: date) -> date | None:
    """The day of the latest reminder that is due: 7 days before, 1 day before, and each day after; or None."""
    if today > due:
        return today
    if today >= due - SECOND:
        return due - SECOND
    return due - FIRST if today >= due - FIRST else None


def remind_owners(now: datetime) -> int:
    soon = now.date() + FIRST + timedelta(days=1)  # it may be tomorrow already where the owner is
    due = PreventionAction.objects.filter(
        state__in=["open", "in_progress"], first_due_on__isnull=False, due_on__lte=soon
    ).exclude(reminded_on__gt=now.date())
    ids = list(due.order_by("due_on", "pk").values_list("pk", flat=True)[:BATCH])
    return each(ids, lambda pk: remind_owner(pk, now))


def remind_owner(pk: int, now: datetime) -> bool:
    """Remind the owner of one action, once for each day that asks for it."""
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        rows = PreventionAction.objects.select_for_update(skip_locked=skip, of=("self",) if skip else ())
        action = rows.filter(pk=pk).first()
        if action is None or not action.is_open or action.due_on is None:
            return False
        today = timezone.localdate(now, zone_of(action.owner))
        day = reminder_of(action.due_on, today)
        if day is None or (action.reminded_on and action.reminded_on >= day):
            return False
        action.reminded_on = today
        action.save(update_fields=["reminded_on"])
        key = f"action-due:{action.pk}:{action.due_on}:{day}"
        facts = {"action": action.pk, "due_on": str(action.due_on)}
        rca_notify.remind(action.rca, _owners(action.owner, now), key, facts, now)
    return True


def _owners(owner: User | None, now: datetime) -> list[User]:
    """The owner; where they work here no more, the head of support must find another."""
    return [owner] if owner and owner.is_agent else oncall.on_duty("head_of_support", now)


def remind_of_windows(now: datetime) -> int:
    """The RCA of a window has no clock: its owner hears 1 day before it is due, and each day after."""
    due = RCA.objects.filter(
        window__isnull=False, first_published_at=None, due_at__lte=now + SECOND
    ).select_related("window__owner", "author")
    return each(
        list(due.order_by("due_at", "pk").values_list("pk", flat=True)[:BATCH]), lambda pk: _remind(pk, now)
    )


def _remind(pk: int, now: datetime) -> bool:
    rca = RCA.objects.select_related("window__owner", "author").get(pk=pk)
    assert rca.window is not None
    assert rca.due_at is not None
    late = (now - rca.due_at).days + 1 if now > rca.due_at else 0
    people = [rca.author or rca.window.owner, *(oncall.on_duty("head_of_support", now) if late else [])]
    key = f"rca-due:{rca.pk}:{late}"
    return rca_notify.remind(rca, [person for person in people if person.is_agent], key, {}, now)
