"""Who is concerned by a window, on both sides, as it is at this moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from django.db.models import QuerySet

from maintenance.models import Invitation, MaintenanceWindow, WindowService
from portal.models import Membership, Organisation, StaffRole, User

# --- the customers' side ---


def organisation_of(window: MaintenanceWindow, person: User) -> Organisation | None:
    """The involved, active organisation in whose name a person hears of the window; None when there is none
    any more. Where there are several, the one that they were invited with."""
    theirs = Organisation.objects.filter(
        is_active=True,
        memberships__user=person,
        pk__in=window.involved.values("organisation"),
    ).order_by("pk")
    invited = Invitation.objects.filter(window=window, person=person).values_list("organisation", flat=True)
    return theirs.filter(pk__in=invited).first() or theirs.first()


def hearing(window: MaintenanceWindow) -> dict[User, Organisation]:
    """Everybody who was invited and still belongs to an active organisation that it concerns -> in whose
    name they hear. Whether they want to hear is theirs to say: `hears_maintenance`."""
    invitations = window.invitations.select_related("person").order_by("pk")
    members = Membership.objects.filter(
        user__in=invitations.values("person"),
        organisation__in=window.involved.values("organisation"),
        organisation__is_active=True,
    ).select_related("organisation")
    by_person: dict[int, dict[int, Organisation]] = {}
    for member in members.order_by("organisation"):
        by_person.setdefault(member.user_id, {})[member.organisation_id] = member.organisation
    found = {}
    for invitation in invitations:
        theirs = by_person.get(invitation.person_id, {})
        if theirs and invitation.person.is_active and not invitation.person.is_agent:
            found[invitation.person] = theirs.get(invitation.organisation_id) or next(iter(theirs.values()))
    return found


def may_hear(window: MaintenanceWindow, person: User) -> bool:
    """Whether a person of the customers' side may still be written to about the window."""
    return person.is_active and not person.is_agent and organisation_of(window, person) is not None


def listeners(organisation: Organisation) -> QuerySet[User]:
    """The people of an organisation who hear of maintenance."""
    people = User.objects.filter(
        is_active=True, hears_maintenance=True, memberships__organisation=organisation
    )
    return people.exclude(is_staff=True).distinct().order_by("pk")


def affected_of(window: MaintenanceWindow, organisations: Iterable[Organisation]) -> QuerySet[WindowService]:
    """The affected services that these organisations use: what they read of the window."""
    rows = window.affected.filter(service__subscriptions__organisation__in=[o.pk for o in organisations])
    return rows.select_related("service").distinct()


# --- the vendor's side ---


def staff() -> QuerySet[User]:
    """But for those who look after some organisations only: a window concerns many."""
    return (
        User.objects.filter(is_active=True, is_staff=True, is_limited=False)
        .exclude(staff_role="")
        .order_by("pk")
    )


def everybody_in(role: str, now: datetime) -> list[User]:
    """Everybody of a staff role; the whole staff where nobody has it: somebody hears."""
    return list(staff().filter(staff_role=role)) or list(staff())


OnDuty = Callable[[str, datetime], list[User]]
_rota: list[OnDuty] = [everybody_in]


def ask_rota(on_duty: OnDuty) -> None:
    """Let `on_duty(role, now)` say who has a role now. The rota lives in the room above; for its ready()."""
    _rota[0] = on_duty


def duty_managers(now: datetime) -> list[User]:
    """The duty manager on duty at `now`."""
    return _rota[0](StaffRole.DUTY_MANAGER, now)


def is_duty_manager(user: User) -> bool:
    return user.has_staff_role(StaffRole.DUTY_MANAGER)


def leaders(window: MaintenanceWindow, now: datetime) -> list[User]:
    """The owner, and the duty manager on duty; each once."""
    owner = [window.owner] if window.owner.is_unlimited else []
    return owner + [person for person in duty_managers(now) if person != window.owner]


def next_in_line(window: MaintenanceWindow, now: datetime, paged: Collection[int]) -> list[User]:
    """Who must hear when those who were paged cannot be reached: the first role with anybody else in it."""
    owner = [window.owner] if window.owner.is_unlimited else []
    head = _rota[0](StaffRole.HEAD_OF_SUPPORT, now)
    for people in (owner, duty_managers(now), head, staff()):
        left = [person for person in people if person.pk not in paged]
        if left:
            return left
    return []
