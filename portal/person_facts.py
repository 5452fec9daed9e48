"""What every request asks of its person, read with the person's own row: no query more.

The marks are numbers that differ when what they stand for differs: a session whose marks are still the same need
not look again.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Case, Exists, F, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from portal.models import Membership, User

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)  # recovery codes stand in for one of these
FACTS = ("is_asked_for_factor", "factors_mark", "roles_mark")


def with_facts(people: QuerySet[User]) -> QuerySet[User]:
    """People with FACTS: whether an organisation asks for a second factor, and a mark each of factors and roles."""
    own = Membership.objects.filter(user=OuterRef("pk")).order_by()
    asking = own.filter(organisation__is_active=True, organisation__requires_second_factor=True)
    factors = Authenticator.objects.filter(user=OuterRef("pk"), type__in=FACTORS).order_by()
    weight = Case(
        When(role=Membership.Role.MANAGER, then=3), When(role=Membership.Role.MEMBER, then=2), default=1
    )
    return people.annotate(
        is_asked_for_factor=Exists(asking),
        factors_mark=_sum(factors, F("pk") * F("pk")),
        roles_mark=_sum(own, F("pk") * F("pk") * weight),
    )


def _sum(rows: QuerySet[Any], expression: Any) -> Coalesce:
    total = rows.values("user").annotate(total=Sum(expression)).values("total")
    return Coalesce(Subquery(total), Value(0))


def facts_of(user: User) -> dict[str, Any]:
    """FACTS of one person; a query only where the row was read without them."""
    if all(hasattr(user, name) for name in FACTS):
        return {name: getattr(user, name) for name in FACTS}
    return with_facts(User.objects.filter(pk=user.pk)).values(*FACTS).get()
