"""A person's place in an organisation, as an identity provider gives and takes it.

The last manager of an organisation keeps that role, and the membership, whatever the groups say: without a
manager nobody of the organisation could put the groups right. Both are noted in the audit.
"""

from __future__ import annotations

from portal import memberships
from portal.memberships import Decision
from portal.models import Membership, Organisation, Team, User
from portal.models.accounts import Role, Visibility


def set_membership(
    person: User,
    organisation: Organisation,
    role: str,
    decision: Decision,
    *,
    visibility: Visibility,
    team: Team | None = None,
) -> Membership:
    """The membership with this role, made or changed; in the caller's transaction.

    `visibility` and `team` hold for a new membership, and `visibility` for one that was a manager's until
    now; but a contact goes on seeing all, for how else would they hear of it?
    """
    present = _locked(person, organisation)
    if present is None:
        sees = Visibility.ALL if role == Role.MANAGER else visibility
        made = Membership(user=person, organisation=organisation, role=role, visibility=sees, team=team)
        memberships.save(made, decision)
        memberships.note("membership_added", made, decision, role=role)
        return made
    before = memberships.facts_of(present)
    if role != Role.MANAGER and _is_last_manager(present):
        memberships.note("last_manager_kept", present, decision, role=role)
        return present
    if role == Role.MANAGER:
        present.visibility = Visibility.ALL
    elif present.role == Role.MANAGER and not (present.is_p1_contact or present.is_escalation_contact):
        present.visibility = visibility
    present.role = role
    memberships.keep(present, before, decision)
    return present


def end_membership(person: User, organisation: Organisation, decision: Decision) -> bool:
    """Whether the membership is over; the last manager's is not.

    Nobody is there to say who takes over what the person leaves open: the manager does who has been there
    longest, else the member, so that no customer's incident is left without anybody who can answer.
    """
    present = _locked(person, organisation)
    if present is None:
        return True
    if _is_last_manager(present):
        memberships.note("last_manager_kept", present, decision, role="")
        return False
    heirs = memberships.writers_beside(present)
    memberships.end(present, to=heirs[0] if heirs else None, decision=decision)
    return True


def _is_last_manager(membership: Membership) -> bool:
    return membership.role == Role.MANAGER and not memberships.has_other_manager(membership)


def _locked(person: User, organisation: Organisation) -> Membership | None:
    """The row; the organisation is locked first, so that two last managers do not go at once."""
    Organisation.objects.select_for_update().get(pk=organisation.pk)
    rows = Membership.objects.filter(user=person, organisation=organisation)
    return rows.select_for_update(of=("self",)).select_related("user", "organisation").first()
