"""Role predicates: who a person is to an organisation. Querysets' `visible_to(user)` builds on them.

A signed-in stranger gets 404 (the queryset hides the object), a colleague without the role 403.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from portal import rights
from portal.models import Membership, Organisation, StaffLimit, StaffRole, Team, User

# What staff hear who are limited to some organisations, of what concerns others as well.
CONCERNS_OTHERS = _("This concerns customers whom you do not look after. Ask a colleague.")

WRITERS = (Membership.Role.MANAGER, Membership.Role.MEMBER)


def person_of(request: HttpRequest | Request) -> User:
    """The signed-in person of a request behind `login_required`; TypeError for an anonymous one."""
    if not isinstance(request.user, User):
        raise TypeError("an anonymous visitor reached a page that needs a person")
    return request.user


def is_looked_at(request: HttpRequest) -> bool:
    """Whether staff look at the portal as the person: then opening a page is not the person's doing."""
    return getattr(request, "impersonator", None) is not None


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


# --- the staff's rights: `portal/rights.py` is the table ---


def has_role(user: User, least: str) -> bool:
    """Whether the person's staff role is `least` or a higher one; “-” is nobody's."""
    return least != rights.NOBODY and user.has_staff_role(least)


def looks_after(user: User, organisation: int) -> bool:
    """Whether the person is of the staff, and not limited to organisations other than this one (by its id)."""
    if not user.is_agent or not user.is_limited:
        return user.is_agent
    return Organisation.objects.visible_to(user).filter(pk=organisation).exists()


def with_limits(staff: QuerySet[User], organisation: int) -> QuerySet[User]:
    """Those of the staff who look after an organisation (by its id)."""
    limits = StaffLimit.objects.filter(organisation=organisation, organisation__is_vendor=False)
    return staff.filter(Q(is_limited=False) | Q(pk__in=limits.values("user")))


def may_use(user: User, page: str, verb: str) -> bool:
    """Whether the person may use a verb of the desk at all. Whose own it is (an owner's, say), its rule tells."""
    found = rights.of_verb(page, verb)
    return has_role(user, found.least) or (found.is_own and user.is_agent)


def looked_after(rows: QuerySet[Any], user: User, of: str = "") -> QuerySet[Any]:
    """Those of the rows that the member of the staff may see; `of` as in the table, else the model's own row."""
    if not user.is_limited:
        return rows
    of = of or rights.of_model(rows.model._meta.label_lower).of
    if of == rights.ALL:
        return rows
    if of == rights.UNLIMITED:
        return rows.none()
    if of == rights.VISIBLE:
        seen = rows.model._default_manager.visible_to(user)
    else:
        seen = rows.model._base_manager.filter(_theirs(of, user))
    return rows.filter(pk__in=seen.values("pk"))


def _theirs(of: str, user: User) -> Q:
    """The condition that one of the paths leads to an organisation that the person looks after."""
    own = Organisation.objects.visible_to(user).values("pk")
    found = Q()
    for path in of.split("|"):
        found |= Q(**{f"{path.rstrip('?')}__in": own})
        if path.endswith("?"):
            found |= Q(**{f"{path.rstrip('?')}__isnull": True})
    return found
