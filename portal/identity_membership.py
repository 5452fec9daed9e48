"""A person's place in an organisation, as an identity provider gives and takes it.

The last manager of an organisation keeps that role, and the membership, whatever the groups say: without a
manager nobody of the organisation could put the groups right. Both are noted in the audit.
"""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest

from portal.audit import record
from portal.models import Membership, Organisation, Team, User
from portal.models.accounts import Role, Visibility


def set_membership(
    person: User,
    organisation: Organisation,
    role: str,
    *,
    visibility: Visibility,
    by: User | None,
    now: datetime,
    team: Team | None = None,
    request: HttpRequest | None = None,
) -> Membership:
    """The membership with this role, made or changed; in the caller's transaction.

    `visibility` and `team` hold for a new membership, and for one that was a manager's until now.
    """
    present = _locked(person, organisation)
    if present is None:
        sees = Visibility.ALL if role == Role.MANAGER else visibility
        made = Membership(user=person, organisation=organisation, role=role, visibility=sees, team=team)
        made.save()
        _note("membership_added", made, {"role": role}, by, now, request)
        return made
    if present.role == role:
        return present
    before = present.role
    if before == Role.MANAGER and is_last_manager(present):
        _note("last_manager_kept", present, {"role": role}, by, now, request)
        return present
    if role == Role.MANAGER:
        present.visibility = Visibility.ALL
    elif before == Role.MANAGER:
        present.visibility = visibility
    present.role = role
    present.save()
    _note("membership_changed", present, {"role": role, "before": before}, by, now, request)
    return present


def end_membership(
    person: User,
    organisation: Organisation,
    *,
    by: User | None,
    now: datetime,
    request: HttpRequest | None = None,
) -> bool:
    """Whether the membership is over; the last manager's is not."""
    present = _locked(person, organisation)
    if present is None:
        return True
    if present.role == Role.MANAGER and is_last_manager(present):
        _note("last_manager_kept", present, {"role": ""}, by, now, request)
        return False
    _note("membership_removed", present, {"before": present.role}, by, now, request)
    present.delete()
    return True


def is_last_manager(membership: Membership) -> bool:
    """Whether no other active person manages the organisation."""
    others = Membership.objects.filter(
        organisation=membership.organisation, role=Role.MANAGER, user__is_active=True
    )
    return not others.exclude(pk=membership.pk).exists()


def _locked(person: User, organisation: Organisation) -> Membership | None:
    """The row; the organisation is locked first, so that two last managers do not go at once."""
    Organisation.objects.select_for_update().get(pk=organisation.pk)
    rows = Membership.objects.filter(user=person, organisation=organisation)
    return rows.select_for_update(of=("self",)).first()


def _note(
    kind: str,
    membership: Membership,
    facts: dict[str, str],
    by: User | None,
    now: datetime,
    request: HttpRequest | None,
) -> None:
    record(
        kind,
        by=by,
        now=now,
        organisation=membership.organisation,
        subject=f"person/{membership.user_id}",
        facts={name: str(value) for name, value in facts.items()},
        request=request,
    )
