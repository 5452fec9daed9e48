"""Organisations' own channels that hear of a window: what the organisation's people hear, once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from maintenance.models import Consent, MaintenancePlan, MaintenanceWindow, Status, WindowEvent
from portal.endpoints import channels_of, is_channel_of
from portal.models import Endpoint, Organisation

Which = Callable[[MaintenanceWindow, WindowEvent, Collection[Organisation]], Collection[int]]


def hearing(window: MaintenanceWindow, event: WindowEvent, mail: str) -> list[Endpoint]:
    """The channels of those whom the mail concerns, one each; none before the announcement.

    A channel that does not want to hear of maintenance still hears that it is called off.
    """
    if window.announced_at is None:
        return []
    found = channels_of(window.involved.values("organisation"))
    found = [room for room in found if room.hears_maintenance or mail == "maintenance_cancelled"]
    organisations = [room.organisation for room in found if room.organisation is not None]
    if mail in ONLY and found:
        named = ONLY[mail](window, event, organisations)
        return [room for room in found if room.organisation_id in named]
    return found


def organisation_of(room: Endpoint | None, window: MaintenanceWindow) -> Organisation | None:
    """The organisation that reads of the window in the channel; None if it is not (any more) to."""
    if room is None or room.organisation_id is None or not is_channel_of(room, room.organisation_id):
        return None
    return Organisation.objects.filter(
        is_active=True, pk__in=window.involved.values("organisation"), endpoints=room
    ).first()


# --- mails that only some of those hear whom the window concerns ---


def _since_then(window: MaintenanceWindow, event: WindowEvent, of: Any) -> Collection[int]:
    """Those whom it concerns only since the event."""
    return window.involved.filter(since__gte=event.at).values_list("organisation", flat=True)


def _named(window: MaintenanceWindow, event: WindowEvent, of: Any) -> Collection[int]:
    return event.payload["organisations"]


def _told_of_start(window: MaintenanceWindow, event: WindowEvent, of: Any) -> Collection[int]:
    return [pk for pk, plan in MaintenancePlan.objects.of_each(of).items() if plan.tells_start]


def _told_of_end(window: MaintenanceWindow, event: WindowEvent, of: Any) -> Collection[int]:
    is_as_agreed = window.status == Status.COMPLETED and window.overrun_at is None
    plans = MaintenancePlan.objects.of_each(of)
    return [pk for pk, plan in plans.items() if plan.tells_end or not is_as_agreed]


def _asked(window: MaintenanceWindow, event: WindowEvent, of: Any) -> Collection[int]:
    return [pk for pk in [Consent.objects.get(pk=event.payload["consent"]).organisation_id] if pk]


ONLY: dict[str, Which] = {
    "maintenance_invited": _since_then,
    "maintenance_reminder": _named,
    "maintenance_started": _told_of_start,
    "maintenance_ended": _told_of_end,
    "maintenance_consent_overridden": _asked,
}
