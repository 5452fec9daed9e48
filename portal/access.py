"""Role predicates: who a person is to an organisation. Querysets' `visible_to(user)` builds on them.

A signed-in stranger gets 404 (the queryset hides the object), a colleague without the role 403.
"""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.request import Request

from portal.models import Membership, Organisation, StaffRole, Team, User

WRITERS = (Membership.Role.MANAGER, Membership.Role.MEMBER)


def person_of(request: HttpRequest | Request) -> User:
    """The signed-in person of a request behind `login_required`; TypeError for an anonymous one."""
    if not isinstance(request.user, User):
        raise TypeError("an anonymous visitor reached a page that needs a person")
    return request.user


def membership(user: User, organisation: Organisation) -> Membership | None:
    """The user's membership in the organisation, or None."""
    return Membership.objects.filter(user=user, organisation=organisation).select_related("team").first()


def team_of(user: User | None, organisation: Organisation) -> Team | None:
    """The team of the user in the organisation, if there is one."""
    found = membership(user, organisation) if user else None
    return found.team if found else None


def may_write(user: User, organisation: Organisation) -> bool:
    """Whether the user may file and answer for the organisation (manager or member)."""
    return Membership.objects.filter(user=user, organisation=organisation, role__in=WRITERS).exists()


def may_manage(user: User, organisation: Organisation) -> bool:
    return Membership.objects.filter(
        user=user, organisation=organisation, role=Membership.Role.MANAGER
    ).exists()


def is_agent(user: User) -> bool:
    return user.is_authenticated and user.is_agent


def is_duty_manager(user: User) -> bool:
    return user.is_authenticated and user.has_staff_role(StaffRole.DUTY_MANAGER)
