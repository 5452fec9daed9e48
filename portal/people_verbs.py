"""What managers do with the people of their organisation. Each verb is one transaction, and stands in the audit.

An invitation is bound to one address, used once, and expires. Nothing that a manager is told depends on
whether the address has an account here; only its owner reads that, in the mail.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal import audit, offboarding, outbox
from portal.models import (
    ApiToken,
    ChatIdentity,
    Invitation,
    Membership,
    Organisation,
    OutboxMessage,
    StatusSubscription,
    Team,
    User,
    Visibility,
)
from portal.models.accounts import Role
from portal.models.people import digest_of
from portal.people_rules import (
    check,
    check_last_manager,
    check_membership,
    check_not_raised,
    validate_login_address,
)
from portal.verbs import Refused, required

KIND = "invitation"
MOST_OPEN = 100  # invitations of one organisation
MOST_A_DAY = 50  # mails of one organisation
MOST_TEAMS = 50
GONE = "gone"


# --- invitations ---


@transaction.atomic
def invite(
    organisation: Organisation,
    *,
    email: str,
    by: User,
    now: datetime,
    role: str = Role.MEMBER,
    visibility: str = Visibility.ALL,
    team: Team | None = None,
    request: HttpRequest | None = None,
) -> Invitation:
    """Ask somebody, at one address, to join. Refused for a colleague, and for whoever is asked already."""
    now, locked = now.replace(microsecond=0), _locked(organisation, by)
    address = validate_login_address(email)
    check_membership(Membership(organisation=locked, role=role, visibility=visibility, team=team))
    if Membership.objects.filter(organisation=locked, user__email__iexact=address).exists():
        raise Refused(_("This person belongs to the organisation already."), kind="state", field="email")
    pending = Invitation.objects.filter(organisation=locked, accepted_at=None, withdrawn_at=None)
    if pending.open(now).filter(email=address).exists():
        raise Refused(
            _("They are invited already. Renew that invitation instead."), kind="state", field="email"
        )
    _check_limits(locked, now)
    pending.filter(email=address).update(withdrawn_at=now)  # an expired one
    made = Invitation(organisation=locked, email=address, role=role, visibility=visibility, team=team)
    made.invited_by, made.created_at = by, now
    nonce = made.renew(now)
    made.save()
    _send(made, nonce, now)
    _note("invitation_sent", made, by, now, request, role=role, visibility=visibility)
    return made


def _check_limits(organisation: Organisation, now: datetime) -> None:
    """An organisation's invitations are no way to send mail to the world."""
    if Invitation.objects.filter(organisation=organisation).open(now).count() >= MOST_OPEN:
        raise Refused(
            _("%(most)s invitations are open already. Withdraw one first.") % {"most": MOST_OPEN},
            kind="state",
        )
    sent = OutboxMessage.objects.filter(dedupe_key__startswith=f"{KIND}:{organisation.pk}:")
    if sent.filter(created_at__gt=now - timedelta(days=1)).count() >= MOST_A_DAY:
        raise Refused(
            _("%(most)s invitations were sent within a day. Go on tomorrow.") % {"most": MOST_A_DAY},
            kind="state",
        )


def _send(invitation: Invitation, nonce: str, now: datetime) -> None:
    """The row holds the nonce; its token is made when the mail is rendered, and is kept nowhere."""
    outbox.enqueue(
        KIND,
        None,
        now=now,
        address=invitation.email,
        dedupe_key=f"{KIND}:{invitation.organisation_id}:{invitation.pk}:{nonce}",
        facts={"invitation": invitation.pk, "nonce": nonce},
    )


@transaction.atomic
def renew(
    invitation: Invitation, *, by: User, now: datetime, request: HttpRequest | None = None
) -> Invitation:
    """Another mail with a new link and seven more days; the old link is dead."""
    now = now.replace(microsecond=0)
    locked = _locked_invitation(invitation, by)
    _check_limits(locked.organisation, now)
    nonce = locked.renew(now)
    locked.save()
    _send(locked, nonce, now)
    _note("invitation_renewed", locked, by, now, request)
    return locked


@transaction.atomic
def withdraw(
    invitation: Invitation, *, by: User, now: datetime, request: HttpRequest | None = None
) -> Invitation:
    """Its link is dead, and a mail that waits is not sent."""
    now = now.replace(microsecond=0)
    locked = _locked_invitation(invitation, by)
    locked.withdrawn_at = now
    locked.save()
    _note("invitation_withdrawn", locked, by, now, request)
    return locked


def _locked_invitation(invitation: Invitation, by: User) -> Invitation:
    organisation = _locked(invitation.organisation, by)
    locked = Invitation.objects.select_for_update(of=("self",)).get(pk=invitation.pk)
    locked.organisation = organisation
    if locked.accepted_at or locked.withdrawn_at:
        raise Refused(_("It is used or withdrawn already. Invite them again."), kind="state")
    return locked


def find_open(token: str, now: datetime) -> Invitation | None:
    """The invitation that a token opens now; None for an invented, used, withdrawn or expired one alike."""
    rows = Invitation.objects.open(now).filter(token_digest=digest_of(token), organisation__is_active=True)
    return rows.select_related("organisation", "invited_by", "team").first()


@transaction.atomic
def accept(token: str, *, by: User, now: datetime, request: HttpRequest | None = None) -> Membership:
    """The owner of the address joins, once. Who belongs there by now keeps the role that they have."""
    now = now.replace(microsecond=0)
    locked = _locked_open(token, now)
    if by.email.lower() != locked.email or by.is_staff or not by.is_active:
        raise Refused(_("This invitation is for another address."), kind="permission")
    membership = Membership.objects.filter(user=by, organisation=locked.organisation_id).first()
    if membership is None:
        membership = _joined(locked, by)
    locked.accepted_at, locked.accepted_by = now, by
    locked.save()
    _note("invitation_accepted", locked, by, now, request, membership=membership.pk, role=membership.role)
    return membership


def _locked_open(token: str, now: datetime) -> Invitation:
    """The invitation that a token opens, locked, so that it is used once."""
    rows = Invitation.objects.select_for_update(of=("self",)).open(now)
    found = rows.filter(token_digest=digest_of(token), organisation__is_active=True).first()
    if found is None:
        raise Refused(_("This invitation is not open any more."), kind="state", field=GONE)
    return found


def _joined(invitation: Invitation, person: User) -> Membership:
    """A membership as invited; whose team was removed meanwhile sees their own incidents."""
    of_no_team = invitation.visibility == Visibility.TEAM and invitation.team is None
    made = Membership(
        user=person,
        organisation=invitation.organisation,
        role=invitation.role,
        team=invitation.team,
        visibility=Visibility.OWN if of_no_team else invitation.visibility,
    )
    _keep(made, person)
    return made


@transaction.atomic
def join(token: str, *, name: str, password: str, now: datetime, request: HttpRequest | None = None) -> User:
    """A new person with the invited address joins. The caller has checked the password's strength."""
    found = find_open(token, now.replace(microsecond=0))
    if found is None or User.objects.filter(email__iexact=found.email).exists():
        raise Refused(_("This invitation is not open any more."), kind="state", field=GONE)
    words = required(name, "name", _("Give your name."))[:150]
    person = User.objects.create_user(found.email, password, name=words)
    accept(token, by=person, now=now, request=request)
    return person


# --- members ---

COLUMNS = ("role", "visibility", "team", "is_p1_contact", "is_escalation_contact")


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
    before = {name: getattr(locked, name) for name in COLUMNS}
    was_manager = locked.role == Role.MANAGER
    role = given.get("role", locked.role)
    if role in Role.values:
        check_not_raised(locked, role, by)
    for name, value in given.items():
        setattr(locked, name, value)
    check_membership(locked)
    if was_manager and locked.role != Role.MANAGER:
        check_last_manager(locked, by, reason)
        _withdraw_all_of(locked, now)
    changed = {name: getattr(locked, name) for name in COLUMNS if getattr(locked, name) != before[name]}
    if changed:
        _keep(locked, by, reason)
        facts = {f"{name}_from": _plain(before[name]) for name in changed}
        facts |= {f"{name}_to": _plain(value) for name, value in changed.items()}
        _record("membership_changed", locked.organisation, f"membership/{locked.pk}", by, now, request, facts
                | {"person": locked.user_id})  # fmt: skip
    return locked


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, Team) else value


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
    """They belong there no more, from this moment: `to` takes over what they leave open.

    What they wrote stays. Tokens, subscriptions and names in the channel that are of this organisation are
    dead; with the last organisation all tokens and sessions are.
    """
    now, locked = now.replace(microsecond=0), _locked_membership(membership, by)
    person, organisation = locked.user, locked.organisation
    if locked.role == Role.MANAGER:
        check_last_manager(locked, by, reason)
    if to is not None and (to.pk == person.pk or not _is_writer(to, organisation)):
        raise Refused(_("Choose a manager or member of the organisation."), field="to")
    offboarding.leave(offboarding.Leaving(person, organisation, to, by, now, channel))
    _withdraw_all_of(locked, now)
    ApiToken.objects.filter(user=person, organisation=organisation).delete()
    StatusSubscription.objects.filter(person=person, organisation=organisation).delete()
    ChatIdentity.objects.filter(person=person, endpoint__organisation=organisation).delete()
    key = locked.pk
    locked._history_user = by  # type: ignore[attr-defined]
    locked.delete()
    if not person.is_staff and not person.memberships.exists():
        _end_access(person)
    facts = {"person": person.pk, "role": locked.role, "to": to.pk if to else None}
    _record("membership_removed", organisation, f"membership/{key}", by, now, request, facts)


def _is_writer(person: User, organisation: Organisation) -> bool:
    rows = Membership.objects.filter(user=person, organisation=organisation, user__is_active=True)
    return rows.filter(role__in=(Role.MANAGER, Role.MEMBER)).exists()


def _end_access(person: User) -> None:
    """Nobody's any more: no token opens anything, and every browser is signed out."""
    ApiToken.objects.filter(user=person).delete()
    for session in UserSession.objects.filter(user=person):
        session.end()


def _withdraw_all_of(membership: Membership, now: datetime) -> None:
    """Nobody invites themselves again through another address on the way out."""
    sent = Invitation.objects.filter(
        organisation=membership.organisation_id, invited_by=membership.user_id, accepted_at=None
    )
    sent.filter(withdrawn_at=None).update(withdrawn_at=now)


# --- teams ---


@transaction.atomic
def make_team(
    organisation: Organisation, *, name: str, by: User, now: datetime, request: HttpRequest | None = None
) -> Team:
    locked = _locked(organisation, by)
    if locked.teams.count() >= MOST_TEAMS:
        raise Refused(_("There are %(most)s teams already.") % {"most": MOST_TEAMS}, kind="state")
    made = Team(organisation=locked)
    _name_team(made, name, by)
    _record("team_made", locked, f"team/{made.pk}", by, now, request, {})
    return made


@transaction.atomic
def rename_team(
    team: Team, *, name: str, by: User, now: datetime, request: HttpRequest | None = None
) -> Team:
    locked = _locked_team(team, by)
    _name_team(locked, name, by)
    _record("team_changed", locked.organisation, f"team/{locked.pk}", by, now, request, {})
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
    _record("team_removed", locked.organisation, f"team/{key}", by, now, request, {})


def _name_team(team: Team, name: str, by: User) -> None:
    words = " ".join(required(name, "name", _("Give the team a name.")).split())
    if len(words) > 120:
        raise Refused(_("Shorten the name to 120 characters."), field="name")
    if Team.objects.filter(organisation=team.organisation, name__iexact=words).exclude(pk=team.pk).exists():
        raise Refused(_("There is a team of this name already."), field="name")
    team.name = words
    _keep(team, by)


# --- what the verbs share ---


def _locked(organisation: Organisation, by: User) -> Organisation:
    """The organisation, locked: two managers at once lower each other one after the other."""
    locked = Organisation.objects.select_for_update().get(pk=organisation.pk)
    check(locked, by)
    return locked


def _locked_membership(membership: Membership, by: User) -> Membership:
    organisation = _locked(membership.organisation, by)
    rows = Membership.objects.select_for_update(of=("self",)).select_related("user", "team")
    locked = rows.filter(pk=membership.pk).first()
    if locked is None:
        raise Refused(_("They do not belong to the organisation any more."), kind="state")
    locked.organisation = organisation
    return locked


def _locked_team(team: Team, by: User) -> Team:
    organisation = _locked(team.organisation, by)
    locked = Team.objects.select_for_update(of=("self",)).filter(pk=team.pk).first()
    if locked is None:
        raise Refused(_("The team is gone already."), kind="state")
    locked.organisation = organisation
    return locked


def _keep(row: Membership | Team, by: User, reason: str = "") -> None:
    row._history_user = by  # type: ignore[union-attr]
    row._change_reason = reason[:100]  # type: ignore[union-attr]
    row.save()


def _note(
    kind: str, invitation: Invitation, by: User, now: datetime, request: HttpRequest | None, **facts: Any
) -> None:
    _record(kind, invitation.organisation, f"invitation/{invitation.pk}", by, now, request, facts)


def _record(
    kind: str,
    organisation: Organisation,
    subject: str,
    by: User,
    now: datetime,
    request: HttpRequest | None,
    facts: dict[str, Any],
) -> None:
    audit.record(
        kind, by=by, now=now, organisation=organisation, subject=subject, facts=facts, request=request
    )
