"""The RCA that a window owes which overran or was taken back."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db.models import Q

from incidents.defaults import plan_for
from incidents.models import RCA, SupportPlan
from maintenance.models import MaintenanceWindow, Status
from portal.business_time import close_of_nth_business_day
from portal.calendars import as_calendar, extend_horizon
from portal.models import Organisation

logger = logging.getLogger(__name__)
BUSINESS_DAYS = 5  # where the policy promises no RCA for a P1


def owe_rcas(now: datetime) -> int:
    """Write the RCA of each window that is over and overran or was rolled back; how many were missing."""
    over = MaintenanceWindow.objects.filter(status__in=[Status.COMPLETED, Status.ROLLED_BACK], rca=None)
    owing = over.filter(Q(overrun_at__isnull=False) | Q(rollback_ordered_at__isnull=False))
    return sum(_owe_safely(window, now) for window in owing.order_by("pk"))


def _owe_safely(window: MaintenanceWindow, now: datetime) -> bool:
    try:
        due_at = due_of(window, now)
        defaults = {"due_at": due_at, "owed_since": window.ended_at, "created_at": now}
        return RCA.objects.get_or_create(window=window, defaults=defaults)[1]
    except Exception:
        logger.exception("the RCA of window %s is left to the next sweep", window.pk)
        return False


def due_of(window: MaintenanceWindow, now: datetime) -> datetime:
    """The close of the promised business day after the end, in the vendor's calendar or, without a vendor's
    support plan, in that of the first organisation that the window concerned."""
    assert window.ended_at is not None
    plan = SupportPlan.objects.filter(organisation__is_vendor=True).first()
    if plan is None:
        concerned = Organisation.objects.filter(pk__in=window.involved.values("organisation"))
        plan = plan_for(concerned.order_by("pk")[0], now)
    target = plan.policy_version.targets.filter(kind="rca", level="P1", rule="business_days").first()
    version = plan.calendar.current_version
    extend_horizon(version, now)
    days = target.amount if target is not None and target.amount else BUSINESS_DAYS
    return close_of_nth_business_day(as_calendar(version), window.ended_at, days)
