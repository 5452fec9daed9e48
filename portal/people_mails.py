"""The mail that invites somebody. What it says differs only for the owner of the address, who reads it."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from portal.channels.base import Rendered
from portal.invitation_verbs import KIND
from portal.mails import reading_as, render_mail
from portal.message_kinds import MessageKind
from portal.models import Invitation, OutboxMessage, User


def _invitation(message: OutboxMessage) -> Invitation:
    rows = Invitation.objects.select_related("organisation", "invited_by", "team")
    return rows.get(pk=message.facts["invitation"])


def why_not(message: OutboxMessage) -> str:
    """Why an invitation may not be sent any more, or ""."""
    found = _invitation(message)
    if not Invitation.objects.open(timezone.now()).filter(pk=found.pk).exists():
        return "the invitation is used, withdrawn or expired"
    if not found.token(message.facts["nonce"]):
        return "the invitation was renewed meanwhile"
    if not found.organisation.is_active:
        return "the organisation is not active any more"
    owner = User.objects.filter(email__iexact=found.email).first()
    return "" if owner is None or owner.is_active else "the recipient is not active any more"


def render(message: OutboxMessage) -> Rendered:
    """In the language of the owner, or else of the organisation. Its link stands in the mail only."""
    found = _invitation(message)
    owner = User.objects.filter(email__iexact=found.email).first()
    token = found.token(message.facts["nonce"])
    with reading_as(owner, found.organisation):
        context = {
            "invitation": found,
            "has_account": owner is not None,
            "url": f"{settings.SITE_URL}/invitations/{token}/",
        }
        return render_mail(KIND, context, recipient=owner, organisation=found.organisation, secret=token)


INVITATION = MessageKind(name=KIND, render=render, why_not=why_not)
