"""A person's place in an organisation: changed, kept and ended in one way, whoever decides it.

A manager, staff and an identity provider each have rules of their own about who may decide what; those are
the callers'. What follows from the decision is here: history, audit, invitations that die with the role, open
work that is handed over, tokens and sessions that end. All within the caller's transaction, which has locked
the organisation first, so that two last managers do not go at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.usersessions.models import UserSession
from django.http import HttpRequest

from portal import audit, offboarding
from portal.models import ApiToken, ChatIdentity, Invitation, Membership, StatusSubscription, Team, User
from portal.models.accounts import Role

COLUMNS = ("role", "visibility", "team", "is_p1_contact", "is_escalation_contact")
WRITERS = (Role.MANAGER, Role.MEMBER)


@dataclass(frozen=True)
class Decision:
    """Who decided, when, through which door and why; `by` None is the identity provider."""

    by: User | None
    now: datetime
    channel: str = "portal"
    reason: str = ""
    request: HttpRequest | None = None


def facts_of(membership: Membership) -> dict[str, Any]:
    """What can be changed of it, to be compared by `keep` later."""
    return {name: getattr(membership, name) for name in COLUMNS}


def keep(membership: Membership, before: dict[str, Any], decision: Decision) -> None:
    """Save what differs from `before`; whoever manages no more has no invitation open any more."""
    after = facts_of(membership)
    changed = [name for name in COLUMNS if after[name] != before[name]]
    if not changed:
        return
    if before["role"] == Role.MANAGER and membership.role != Role.MANAGER:
        withdraw_invitations_of(membership, decision.now)
    save(membership, decision)
    facts = {f"{name}_from": _plain(before[name]) for name in changed}
    facts |= {f"{name}_to": _plain(after[name]) for name in changed}
    note("membership_changed", membership, decision, **facts)


def save(row: Membership | Team, decision: Decision) -> None:
    """Save with who and why in its history."""
    row._history_user = decision.by  # type: ignore[union-attr]
    row._change_reason = decision.reason[:100]  # type: ignore[union-attr]
    row.save()


def end(membership: Membership, *, to: User | None, decision: Decision) -> None:
    """They belong there no more, from this moment: `to` takes over what they leave open.

    What they wrote stays. Tokens, subscriptions and names in the channel that are of this organisation are
    dead; with the last organisation all tokens and sessions are. Refused where `to` is needed and is None.
    """
    person, organisation = membership.user, membership.organisation
    offboarding.leave(
        offboarding.Leaving(person, organisation, to, decision.by, decision.now, decision.channel)
    )
    withdraw_invitations_of(membership, decision.now)
    ApiToken.objects.filter(user=person, organisation=organisation).delete()
    StatusSubscription.objects.filter(person=person, organisation=organisation).delete()
    ChatIdentity.objects.filter(person=person, endpoint__organisation=organisation).delete()
    note("membership_removed", membership, decision, role=membership.role, to=to.pk if to else None)
    membership._history_user = decision.by  # type: ignore[attr-defined]
    membership.delete()
    if not person.is_staff and not person.memberships.exists():
        _end_access(person)


def has_other_manager(membership: Membership) -> bool:
    """Whether another active person manages the organisation."""
    others = Membership.objects.filter(
        organisation=membership.organisation_id, role=Role.MANAGER, user__is_active=True
    )
    return others.exclude(pk=membership.pk).exists()


def writers_beside(membership: Membership) -> list[User]:
    """Who else can take over open work: managers first, then members; who has been there longest first."""
    rows = Membership.objects.filter(organisation=membership.organisation_id, user__is_active=True)
    others = rows.filter(role__in=WRITERS).exclude(pk=membership.pk).select_related("user").order_by("pk")
    return [each.user for each in sorted(others, key=lambda row: row.role != Role.MANAGER)]


def withdraw_invitations_of(membership: Membership, now: datetime) -> None:
    """Nobody invites themselves again through another address on the way out."""
    sent = Invitation.objects.filter(
        organisation=membership.organisation_id, invited_by=membership.user_id, accepted_at=None
    )
    sent.filter(withdrawn_at=None).update(withdrawn_at=now)


def note(kind: str, membership: Membership, decision: Decision, **facts: Any) -> None:
    """Write it into the audit."""
    audit.record(
        kind,
        by=decision.by,
        now=decision.now,
        organisation=membership.organisation,
        subject=f"membership/{membership.pk}",
        facts={"person": membership.user_id} | facts,
        request=decision.request,
    )


def _end_access(person: User) -> None:
    """Nobody's any more: no token opens anything, and every browser is signed out."""
    ApiToken.objects.filter(user=person).delete()
    for session in UserSession.objects.filter(user=person):
        session.end()


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, Team) else value
