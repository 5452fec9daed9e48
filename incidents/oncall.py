"""Who is on duty in a role, where the rota has gaps, and the two clicks of a swap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from incidents.models import Shift
from portal.models import StaffRole, User

Role = Shift.Role
STAFF_ROLE_OF = {Role.DUTY_MANAGER: StaffRole.DUTY_MANAGER, Role.HEAD_OF_SUPPORT: StaffRole.HEAD_OF_SUPPORT}


class RotaError(Exception):
    """A change of the rota that cannot be; the reason is for whoever asked."""


@dataclass(frozen=True)
class Gap:
    """A stretch [from_at, until_at) in which nobody has the role."""

    role: str
    from_at: datetime
    until_at: datetime


def shift_at(role: str, now: datetime) -> Shift | None:
    """The shift that holds at `now`, if there is one."""
    shifts = Shift.objects.filter(role=role, from_at__lte=now, until_at__gt=now)
    return shifts.select_related("person", "backup").order_by("pk").first()


def on_duty(role: str, now: datetime) -> list[User]:
    """Who has the role at `now`: the shift's person; without one everybody of that staff role.

    Nobody stays unheard: a gap in the rota, or somebody who works here no more, widens the circle up to
    the whole staff.
    """
    shift = shift_at(role, now)
    if shift and shift.person.is_unlimited:
        return [shift.person]
    staff_role = STAFF_ROLE_OF.get(Role(role))
    people = list(staff().filter(staff_role=staff_role)) if staff_role else []
    return people or list(staff())


def backup_of(role: str, now: datetime) -> User | None:
    """The backup of whoever has the role at `now`."""
    shift = shift_at(role, now)
    return shift.backup if shift and shift.backup and shift.backup.is_unlimited else None


def staff() -> QuerySet[User]:
    """Everybody who works for the vendor, but for those who look after some organisations only: who is on
    duty is called for any of them."""
    return (
        User.objects.filter(is_active=True, is_staff=True, is_limited=False)
        .exclude(staff_role="")
        .order_by("pk")
    )


def gaps(role: str, from_at: datetime, until_at: datetime) -> list[Gap]:
    """Where nobody has the role between two instants, in order."""
    found, at = [], from_at
    shifts = Shift.objects.filter(role=role, from_at__lt=until_at, until_at__gt=from_at).order_by("from_at")
    for shift in shifts:
        if shift.from_at > at:
            found.append(Gap(role, at, shift.from_at))
        at = max(at, shift.until_at)
    if at < until_at:
        found.append(Gap(role, at, until_at))
    return found


def lock_rota() -> None:
    """Hold the rota until the transaction ends, so that a check and the change after it are one.

    TransactionManagementError outside of a transaction. On SQLite the transaction holds the database anyway.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("The rota is locked within a transaction.")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {Shift._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")


def hand_over(shift: Shift, *, to: User, now: datetime) -> Shift:
    """Give what is left of a shift to somebody else; what has passed stays as it was.

    A backup who takes over leaves their place to the one they relieve. Raises RotaError.
    """
    with transaction.atomic():
        lock_rota()
        shift = Shift.objects.select_related("person", "backup").get(pk=shift.pk)
        if shift.until_at <= now:
            raise RotaError(_("This shift is over. Choose one that has not ended."))
        if not to.is_agent:
            raise RotaError(_("Only support staff can be on duty."))
        if to.is_limited:
            raise RotaError(
                _("%(name)s looks after some organisations only. Choose somebody else.") % {"name": to}
            )
        if to == shift.person:
            raise RotaError(_("%(name)s has this shift already.") % {"name": to})
        backup = shift.person if to == shift.backup else shift.backup
        if shift.from_at >= now:
            shift.person, shift.backup = to, backup
            shift.save()
            return shift
        until_at, shift.until_at = shift.until_at, now
        shift.save()
        return Shift.objects.create(role=shift.role, person=to, backup=backup, from_at=now, until_at=until_at)
