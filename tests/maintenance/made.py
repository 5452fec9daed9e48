"""Windows as the verbs leave them, row by row: for tests of what calendars say, whoever changed them."""

from __future__ import annotations

from datetime import datetime, timedelta

from maintenance.models import Invitation, MaintenanceWindow, Status, WindowOrganisation, WindowService
from portal.models import Membership, Organisation, Service, User


def announced(
    owner: User,
    organisations: list[Organisation],
    *,
    starts_at: datetime,
    ends_at: datetime,
    at: datetime,
    impacts: dict[str, str] | None = None,
    **fields,
) -> MaintenanceWindow:
    """An announced window of the named services (name -> impact), every member of the organisations invited."""
    window = MaintenanceWindow.objects.create(
        title=fields.pop("title", "Storage upgrade"),
        description=fields.pop("description", "We replace the storage of the cluster."),
        status=fields.pop("status", Status.ANNOUNCED),
        starts_at=starts_at,
        ends_at=ends_at,
        rollback_decision_at=starts_at + (ends_at - starts_at) / 2,
        announced_at=at,
        last_changed_at=at,
        owner=owner,
        author=owner,
        **fields,
    )
    for name, impact in (impacts or {"Inference API": "outage"}).items():
        WindowService.objects.create(window=window, service=Service.objects.get(name=name), impact=impact)
    for organisation in organisations:
        WindowOrganisation.objects.create(window=window, organisation=organisation, since=at)
        for member in Membership.objects.filter(organisation=organisation).order_by("pk"):
            invite(window, member.user, organisation, at)
    return window


def invite(window: MaintenanceWindow, person: User, organisation: Organisation, at: datetime) -> Invitation:
    return Invitation.objects.create(window=window, person=person, organisation=organisation, invited_at=at)


def changed(window: MaintenanceWindow, at: datetime, **fields) -> MaintenanceWindow:
    """The window after a change that calendars are told of."""
    fields |= {"sequence": window.sequence + 1, "last_changed_at": at}
    for name, value in fields.items():
        setattr(window, name, value)
    window.save(update_fields=list(fields))
    return window


def moved(window: MaintenanceWindow, at: datetime, by: timedelta) -> MaintenanceWindow:
    return changed(window, at, starts_at=window.starts_at + by, ends_at=window.ends_at + by)
