"""Who was invited to a window, what they answered, and each person's private calendar feed."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from maintenance.models.window import MaintenanceWindow
from portal.models import Organisation
from portal.models.accounts import TypedModelMeta


def new_token() -> str:
    """192 random bits, in characters that survive a mail address in any case."""
    return secrets.token_hex(24)


class Invitation(models.Model):
    """One person's invitation to a window, kept for ever: a cancellation goes to everyone ever invited."""

    class Answer(models.TextChoices):
        NEEDS_ACTION = "needs_action", _("Not answered")
        ACCEPTED = "accepted", _("Accepted")
        TENTATIVE = "tentative", _("Tentative")
        DECLINED = "declined", _("Declined")

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="invitations", verbose_name=_("maintenance window")
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("person")
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    invited_at = models.DateTimeField(_("invited at"))
    answer = models.CharField(_("answer"), max_length=12, choices=Answer.choices, default=Answer.NEEDS_ACTION)
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    answered_sequence = models.PositiveIntegerField(
        _("answered version"), null=True, blank=True, help_text=_("The SEQUENCE that the answer is about.")
    )

    class Meta(TypedModelMeta):
        ordering = ["person__name"]
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [models.UniqueConstraint(fields=["window", "person"], name="one_invitation_each")]

    def __str__(self) -> str:
        return f"{self.person} · {self.window}"


class CalendarFeed(models.Model):
    """A person's private feed. Only a digest of its token is kept: it is shown once, and rotated at will."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="calendar_feed", verbose_name=_("person")
    )
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"))

    class Meta(TypedModelMeta):
        verbose_name = _("calendar feed")
        verbose_name_plural = _("calendar feeds")

    def __str__(self) -> str:
        return str(self.person)

    @staticmethod
    def digest(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()
