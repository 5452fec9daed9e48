"""Who comes in by an identity provider, as what. One transaction: a refusal leaves nothing half-written.

An identity provider is believed about the verified mail domains of its own organisation, and about nothing
else. The first sign-in binds its subject to one account; from then on the subject decides, and another
subject with the same address is refused. A membership follows the groups when its person has an account
bound to this provider (`is_managed`): that is how the portal knows what the provider looks after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from portal import identity
from portal.audit import record
from portal.identity_membership import end_membership, set_membership
from portal.memberships import Decision
from portal.models import IdentityProvider, Invitation, Membership, Organisation, User
from portal.models.accounts import Role, Visibility

RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.MANAGER: 2}


@dataclass(frozen=True)
class Asserted:
    """What an identity provider says of whoever stands at the door, after its signature was checked."""

    subject: str
    address: str
    name: str = ""
    is_address_denied: bool = False  # it says itself that the address is not verified
    groups: tuple[str, ...] = ()
    amr: tuple[str, ...] = field(default=())


class NotAdmitted(Exception):
    """Refused; `code` names the reason (identity_words.REASONS)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def asserted(claims: dict[str, Any], groups_claim: str) -> Asserted:
    """The claims of an ID token (or a SAML assertion) in our words; what has a wrong type counts as missing."""
    told = claims.get(groups_claim) if groups_claim else None
    groups = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    amr = claims.get("amr")
    said = claims.get("email_verified")
    return Asserted(
        subject=claims["sub"],
        address=_text(claims.get("email")).strip().lower(),
        name=" ".join(_text(claims.get("name")).replace("\0", "").split())[:150],
        is_address_denied=said is not None and said is not True and str(said).lower() != "true",
        groups=tuple(group for group in groups if isinstance(group, str)),
        amr=tuple(str(each)[:20] for each in amr[:10]) if isinstance(amr, list) else (),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def admit(
    provider: IdentityProvider, said: Asserted, *, now: datetime, request: HttpRequest | None = None
) -> User:
    """The person whom this is, with the membership that they have from now on.

    NotAdmitted with the reason, and nothing is changed; but for somebody whose groups give no role any more:
    their membership is over before they are refused.
    """
    try:
        with transaction.atomic():
            person = _admit(provider, said, now, request)
    except IntegrityError as error:  # somebody else made the same account at the same moment
        raise NotAdmitted("again") from error
    if person is None:
        raise NotAdmitted("no_role")
    return person


def _admit(
    provider: IdentityProvider, said: Asserted, now: datetime, request: HttpRequest | None
) -> User | None:
    locked = IdentityProvider.objects.select_for_update().select_related(None).get(pk=provider.pk)
    if not identity.active_providers().filter(pk=locked.pk).exists():
        raise NotAdmitted("switched_off")
    organisation = locked.organisation
    _check_address(said, organisation)
    account = SocialAccount.objects.filter(provider=locked.key, uid=said.subject).select_related("user")
    bound = account.first()
    person = bound.user if bound else User.objects.filter(email__iexact=said.address).first()
    if person is not None:
        _check_person(person, said, locked, is_bound=bound is not None)
    role = role_of(locked, said.groups)
    is_managed = bound is not None
    if person is not None and _has_lost_all(locked, person, role, is_managed):
        end_membership(person, organisation, _decided(now, request))
        return None
    person = _with_membership(locked, person, said, role, now, request)
    if bound is None:
        SocialAccount.objects.create(user=person, provider=locked.key, uid=said.subject)
        _note("identity_bound", person, locked, now, request)
    locked.last_used_at = now.replace(microsecond=0)
    locked.save(update_fields=["last_used_at"])
    return person


def _check_address(said: Asserted, organisation: Organisation) -> None:
    """A proper address of the organisation's own verified domains, which its provider does not deny."""
    try:
        validate_email(said.address)
    except ValidationError as error:
        raise NotAdmitted("no_address") from error
    if said.is_address_denied:
        raise NotAdmitted("address_unverified")
    if identity.domain_of(said.address) not in identity.domains_of(organisation):
        raise NotAdmitted("foreign_domain")


def _check_person(person: User, said: Asserted, provider: IdentityProvider, *, is_bound: bool) -> None:
    """Whether this account may be entered by this provider at all."""
    if person.is_staff or person.is_superuser or person.staff_role:
        raise NotAdmitted("staff")
    if not person.is_active or person.erased_at is not None:
        raise NotAdmitted("inactive")
    if identity.domain_of(person.email) not in identity.domains_of(provider.organisation):
        raise NotAdmitted("foreign_account")  # a bound account whose address belongs elsewhere by now
    if is_bound and person.email.lower() != said.address and _is_anothers(said.address, person):
        raise NotAdmitted("anothers_address")
    if not is_bound and SocialAccount.objects.filter(user=person, provider=provider.key).exists():
        raise NotAdmitted("another_subject")


def _is_anothers(address: str, person: User) -> bool:
    return User.objects.filter(email__iexact=address).exclude(pk=person.pk).exists()


def role_of(provider: IdentityProvider, groups: Sequence[str]) -> str:
    """The highest role that the groups mean, else the role without a group; "" for none."""
    rows = provider.group_roles.filter(group__in=groups).values_list("role", flat=True)
    found = sorted(rows, key=lambda role: RANK[Role(role)])
    return found[-1] if found else provider.default_role


def _has_lost_all(provider: IdentityProvider, person: User, role: str, is_managed: bool) -> bool:
    """Whether a membership that this provider manages has no ground any more."""
    if role or not is_managed:
        return False
    return Membership.objects.filter(user=person, organisation=provider.organisation).exists()


def _with_membership(
    provider: IdentityProvider,
    person: User | None,
    said: Asserted,
    role: str,
    now: datetime,
    request: HttpRequest | None,
) -> User:
    """The person, made if need be, as a member of the organisation in the role of the groups."""
    organisation = provider.organisation
    present = Membership.objects.filter(user=person, organisation=organisation).first() if person else None
    invitation = None if present else _invitation(organisation, said.address, now)
    if not role:
        raise NotAdmitted("no_role")
    if present is None and invitation is None:
        _check_joining(provider, person)
    if person is None:
        person = User.objects.create_user(
            said.address, None, name=said.name or said.address.partition("@")[0]
        )
        _note("person_joined", person, provider, now, request)
    if invitation is not None:
        _accept(invitation, person, now)
    if present is None or provider.group_roles.exists():
        chosen = role
        if invitation is not None and not provider.group_roles.exists():
            chosen = invitation.role
        sees = invitation.visibility if invitation else provider.default_visibility
        team = invitation.team if invitation else None
        set_membership(
            person,
            organisation,
            chosen,
            _decided(now, request),
            visibility=Visibility(sees),
            team=team,
        )
    return person


def _decided(now: datetime, request: HttpRequest | None) -> Decision:
    """By the provider alone, at the sign-in."""
    return Decision(None, now.replace(microsecond=0), channel="identity", request=request)


def _check_joining(provider: IdentityProvider, person: User | None) -> None:
    """Whether somebody who was neither added nor invited may come in.

    An account that has a place in another organisation does not fall to this one's provider by itself: a
    manager of this organisation adds or invites it first.
    """
    if not provider.joins_people:
        raise NotAdmitted("not_invited")
    if person is not None and Membership.objects.filter(user=person).exists():
        raise NotAdmitted("elsewhere")


def _invitation(organisation: Organisation, address: str, now: datetime) -> Invitation | None:
    rows = Invitation.objects.open(now).filter(organisation=organisation, email__iexact=address)
    return rows.select_for_update(of=("self",)).first()


def _accept(invitation: Invitation, person: User, now: datetime) -> None:
    """The provider shows whose the address is, as the link of the invitation's mail would."""
    invitation.accepted_at, invitation.accepted_by = now.replace(microsecond=0), person
    invitation.save(update_fields=["accepted_at", "accepted_by"])


def _note(
    kind: str, person: User, provider: IdentityProvider, now: datetime, request: HttpRequest | None
) -> None:
    record(
        kind,
        by=person,
        now=now,
        organisation=provider.organisation,
        subject=f"person/{person.pk}",
        facts={"identity_provider": provider.pk},
        request=request,
    )
