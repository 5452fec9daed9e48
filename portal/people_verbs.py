"""What managers do with the people and teams of their organisation. Each verb is one transaction, and stands
in the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal import audit, memberships
from portal.memberships import COLUMNS, Decision
from portal.models import Invitation, Membership, Organisation, Team, User
from portal.models.accounts import Role
from portal.people_rules import check, check_last_manager, check_membership, check_not_raised
from portal.verbs import Refused, required

MOST_TEAMS = 50


@transaction.atomic
def change_membership(
    membership: Membership,
    *,
    by: User,
    now: datetime,
    reason: str = "",
    request: HttpRequest | None = None,
    **given: Any,
) -> Membership:
    """Role, what they see, team, contact: what is given is changed. TypeError for any other name."""
    if not set(given) <= set(COLUMNS):
        raise TypeError(f"a membership has no {sorted(set(given) - set(COLUMNS))}")
    now, locked = now.replace(microsecond=0), _locked_membership(membership, by)
    before = memberships.facts_of(locked)
    role = given.get("role", locked.role)
    if role in Role.values:
        check_not_raised(locked, role, by)
    for name, value in given.items():
        setattr(locked, name, value)
    check_membership(locked)
    if before["role"] == Role.MANAGER and locked.role != Role.MANAGER:
        check_last_manager(locked, by, reason)
    memberships.keep(locked, before, Decision(by, now, reason=reason, request=request))
    return locked


@transaction.atomic
def remove_from_organisation(
    membership: Membership,
    *,
    by: User,
    now: datetime,
    to: User | None = None,
    reason: str = "",
    channel: str = "portal",
    request: HttpRequest | None = None,
) -> None:
    """They belong there no more, from this moment: `to` takes over what they leave open."""
    now, locked = now.replace(microsecond=0), _locked_membership(membership, by)
    if locked.role == Role.MANAGER:
        check_last_manager(locked, by, reason)
    if to is not None and to not in memberships.writers_beside(locked):
        raise Refused(_("Choose a manager or member of the organisation."), field="to")
    memberships.end(locked, to=to, decision=Decision(by, now, channel, reason, request))


# --- teams ---


@transaction.atomic
def make_team(
    organisation: Organisation, *, name: str, by: User, now: datetime, request: HttpRequest | None = None
) -> Team:
    locked = locked_organisation(organisation, by)
    if locked.teams.count() >= MOST_TEAMS:
        raise Refused(_("There are %(most)s teams already.") % {"most": MOST_TEAMS}, kind="state")
    made, decision = Team(organisation=locked), Decision(by, now, request=request)
    _name_team(made, name, decision)
    note("team_made", locked, f"team/{made.pk}", decision, {})
    return made


@transaction.atomic
def rename_team(
    team: Team, *, name: str, by: User, now: datetime, request: HttpRequest | None = None
) -> Team:
    locked, decision = _locked_team(team, by), Decision(by, now, request=request)
    _name_team(locked, name, decision)
    note("team_changed", locked.organisation, f"team/{locked.pk}", decision, {})
    return locked


@transaction.atomic
def remove_team(team: Team, *, by: User, now: datetime, request: HttpRequest | None = None) -> None:
    """Its incidents are of no team then. Refused while people are in it, or invited to it."""
    locked = _locked_team(team, by)
    invited = Invitation.objects.filter(team=locked).open(now)
    if locked.memberships.exists() or invited.exists():
        raise Refused(_("There are people in this team. Move them to another one first."), kind="state")
    key = locked.pk
    locked._history_user = by  # type: ignore[attr-defined]
    locked.delete()
    note("team_removed", locked.organisation, f"team/{key}", Decision(by, now, request=request), {})


def _name_team(team: Team, name: str, decision: Decision) -> None:
    words = " ".join(required(name, "name", _("Give the team a name.")).split())
    if len(words) > 120:
        raise Refused(_("Shorten the name to 120 characters."), field="name")
    if Team.objects.filter(organisation=team.organisation, name__iexact=words).exclude(pk=team.pk).exists():
        raise Refused(_("There is a team of this name already."), field="name")
    team.name = words
    memberships.save(team, decision)


# --- what the verbs share ---


def locked_organisation(organisation: Organisation, by: User) -> Organisation:
    """The organisation, locked: two managers at once lower each other one after the other."""
    locked = Organisation.objects.select_for_update().get(pk=organisation.pk)
    check(locked, by)
    return locked


def _locked_membership(membership: Membership, by: User) -> Membership:
    organisation = locked_organisation(membership.organisation, by)
    rows = Membership.objects.select_for_update(of=("self",)).select_related("user", "team")
    locked = rows.filter(pk=membership.pk).first()
    if locked is None:
        raise Refused(_("They do not belong to the organisation any more."), kind="state")
    locked.organisation = organisation
    return locked


def _locked_team(team: Team, by: User) -> Team:
    organisation = locked_organisation(team.organisation, by)
    locked = Team.objects.select_for_update(of=("self",)).filter(pk=team.pk).first()
    if locked is None:
        raise Refused(_("The team is gone already."), kind="state")
    locked.organisation = organisation
    return locked


def note(
    kind: str, organisation: Organisation, subject: str, decision: Decision, facts: dict[str, Any]
) -> None:
    """Write it into the audit."""
    audit.record(
        kind,
        by=decision.by,
        now=decision.now,
        organisation=organisation,
        subject=subject,
        facts=facts,
        request=decision.request,
    )
