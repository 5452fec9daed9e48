"""API tokens: made by their person in the portal, shown once, revoked by them or by a manager."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal import audit
from portal.access import may_write
from portal.models import ApiToken, Organisation, Service, User
from portal.verbs import Refused, required

MOST = 50  # living tokens of one person
MOST_DAYS = 365
KEPT = timedelta(days=30)  # after it expired a token is still listed
ID_LENGTH = 16
Scope = ApiToken.Scope


def id_of(token: ApiToken) -> str:
    """How pages, the API and the audit name it: the beginning of the digest, which opens nothing."""
    return str(token.digest[:ID_LENGTH])


def own(user: User) -> QuerySet[ApiToken]:
    rows = ApiToken.objects.filter(user=user).select_related("organisation", "service", "user")
    return rows.order_by("-created", "digest")


def managed(user: User) -> QuerySet[ApiToken]:
    """Tokens of others that are bound to an organisation which the user manages."""
    rows = ApiToken.objects.filter(organisation__in=Organisation.objects.managed_by(user).values("pk"))
    rows = rows.exclude(user=user).select_related("organisation", "service", "user")
    return rows.order_by("user__name", "-created", "digest")


def revocable_by(user: User) -> QuerySet[ApiToken]:
    bound = Organisation.objects.managed_by(user).values("pk")
    return ApiToken.objects.filter(Q(user=user) | Q(organisation__in=bound)).select_related("organisation")


@transaction.atomic
def create(
    user: User,
    *,
    name: str,
    scope: str,
    days: int,
    now: datetime,
    by: User | None,
    organisation: Organisation | None = None,
    service: Service | None = None,
    most_days: int = MOST_DAYS,
    request: HttpRequest | None = None,
) -> tuple[ApiToken, str]:
    """The token and its secret, which is not kept. Refused for what the person may not give away."""
    name = required(name, "name", _("Say what the token is for."))[:100]
    if not 1 <= days <= most_days:
        raise Refused(_("It may live for 1 to %(most)s days.") % {"most": most_days}, field="days")
    _check_bounds(user, scope, organisation, service)
    User.objects.select_for_update().get(pk=user.pk)  # so that two at once do not both find room
    if ApiToken.objects.filter(user=user, expiry__gt=now).count() >= MOST:
        raise Refused(
            _("There are %(most)s tokens already. Revoke one first.") % {"most": MOST}, kind="state"
        )
    made, secret = ApiToken.objects.create(
        user, expiry=timedelta(days=days), name=name, scope=scope, organisation=organisation, service=service
    )
    facts = {"scope": scope, "days": days, "person": user.pk, "service": service.pk if service else None}
    subject = f"token/{id_of(made)}"
    _note("token_created", made, by=by, now=now, subject=subject, facts=facts, request=request)
    return made, secret


def _check_bounds(user: User, scope: str, organisation: Organisation | None, service: Service | None) -> None:
    if scope not in Scope.values:
        raise Refused(_("Choose what the token may do."), field="scope")
    if organisation and not Organisation.objects.visible_to(user).filter(pk=organisation.pk).exists():
        raise Refused(_("Choose an organisation of yours."), field="organisation")
    if service and not Service.objects.visible_to(user).filter(pk=service.pk).exists():
        raise Refused(_("Choose a service that your organisation uses."), field="service")
    if scope != Scope.ALARMS:
        return
    if organisation is None:
        raise Refused(_("Alarms are reported for one organisation: choose it."), field="organisation")
    if service is not None:
        raise Refused(_("An alarm says itself which service it is about. Choose none."), field="service")
    if not may_write(user, organisation):
        raise Refused(_("Only members and managers report for the organisation."), kind="permission")


@transaction.atomic
def revoke(token: ApiToken, *, by: User, now: datetime, request: HttpRequest | None = None) -> None:
    """Dead from now on. Refused for whoever neither owns it nor manages what it is bound to."""
    found = revocable_by(by).select_for_update(of=("self",)).filter(pk=token.pk).first()
    if found is None:
        raise Refused(
            _("Only its person, or a manager of its organisation, revokes a token."), kind="permission"
        )
    facts, subject = {"scope": found.scope, "person": found.user_id}, f"token/{id_of(found)}"
    _note("token_revoked", found, by=by, now=now, subject=subject, facts=facts, request=request)
    found.delete()


def _note(kind: str, token: ApiToken, **about: Any) -> None:
    """In the audit of the organisation that the token is bound to, or else of each of its person's."""
    if token.organisation is not None:
        audit.record(kind, organisation=token.organisation, **about)
    else:
        audit.record_of_person(kind, token.user, **about)


def purge(now: datetime) -> int:
    """Delete what expired a month ago; returns how many."""
    gone, _by_model = ApiToken.objects.filter(expiry__lt=now - KEPT).delete()
    return gone
