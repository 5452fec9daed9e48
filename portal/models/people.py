"""People of an organisation: teams, and invitations to join."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import Organisation, Role, Team, TypedModelMeta, Visibility

INVITATION_LASTS = timedelta(days=7)


def digest_of(token: str) -> str:
    """What is stored of a token that opens something: nobody reads the token out of a backup."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_of(nonce: str, key: str) -> str:
    """The token (256 bits) of a nonce under a secret key."""
    made = salted_hmac("portal.invitation", nonce, secret=key, algorithm="sha256").digest()
    return urlsafe_b64encode(made).decode().rstrip("=")


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self, now: datetime) -> InvitationQuerySet:
        return self.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=now)


class Invitation(models.Model):
    """One person asked, at one address, to join an organisation: used once, until it expires."""

    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="invitations", verbose_name=_("organisation")
    )
    email = models.EmailField(_("e-mail"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    visibility = models.CharField(
        _("sees"), max_length=10, choices=Visibility.choices, default=Visibility.ALL
    )
    team = models.ForeignKey(
        Team, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("team")
    )
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("invited by")
    )
    created_at = models.DateTimeField(_("invited at"))
    expires_at = models.DateTimeField(_("expires at"))
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("accepted by")
    )
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "email"],
                name="one_open_invitation_each",
                condition=models.Q(accepted_at=None, withdrawn_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.organisation}"

    def renew(self, now: datetime) -> str:
        """A new token and a new end; the old token is dead when the row is saved. Returns the token's nonce.

        The token is made of the nonce by a key that the database does not hold, where the mail is rendered.
        """
        nonce = secrets.token_hex(16)
        self.token_digest = digest_of(token_of(nonce, settings.SECRET_KEY))
        self.expires_at = now + INVITATION_LASTS
        return nonce

    def token(self, nonce: str) -> str:
        """The token of a nonce; "" once it is not this invitation's token any more."""
        for key in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
            token = token_of(nonce, key)
            if digest_of(token) == self.token_digest:
                return token
        return ""
