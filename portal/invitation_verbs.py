"""Invitations to an organisation. Each verb is one transaction, and stands in the audit.

An invitation is bound to one address, used once, and expires. Nothing that a manager is told depends on
whether the address has an account here; only its owner reads that, in the mail.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal import memberships, outbox
from portal.memberships import Decision
from portal.models import Invitation, Membership, Organisation, OutboxMessage, Team, User, Visibility
from portal.models.accounts import Role
from portal.models.people import digest_of
from portal.people_rules import check_membership, login_address
from portal.people_verbs import locked_organisation, note
from portal.verbs import Refused, required

KIND = "invitation"
MOST_OPEN = 100  # invitations of one organisation
MOST_A_DAY = 50  # mails of one organisation
GONE = "gone"


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
    now, locked = now.replace(microsecond=0), locked_organisation(organisation, by)
    address = login_address(email)
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
    organisation = locked_organisation(invitation.organisation, by)
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
        membership = _joined(locked, by, now)
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


def _joined(invitation: Invitation, person: User, now: datetime) -> Membership:
    """A membership as invited; whose team was removed meanwhile sees their own incidents."""
    of_no_team = invitation.visibility == Visibility.TEAM and invitation.team is None
    made = Membership(
        user=person,
        organisation=invitation.organisation,
        role=invitation.role,
        team=invitation.team,
        visibility=Visibility.OWN if of_no_team else invitation.visibility,
    )
    memberships.save(made, Decision(person, now))
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


def _note(
    kind: str, invitation: Invitation, by: User, now: datetime, request: HttpRequest | None, **facts: Any
) -> None:
    note(
        kind,
        invitation.organisation,
        f"invitation/{invitation.pk}",
        Decision(by, now, request=request),
        facts,
    )
