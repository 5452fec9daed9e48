"""Where the second channel ends: a chat room or a pager that takes signed webhooks."""

from __future__ import annotations

import base64
import secrets

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.channels import guard
from portal.models.accounts import Organisation, TypedModelMeta


def new_secret() -> str:
    """A Standard Webhooks secret: 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Endpoint(models.Model):
    """An address for signed webhooks: of one person, of one organisation, or (neither) of the whole team."""

    name = models.CharField(_("name"), max_length=120)
    url = models.URLField(_("address"), max_length=500)
    secret = models.CharField(_("secret"), max_length=100, default=new_secret, editable=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="endpoints",
        verbose_name=_("pager of"),
    )
    organisation = models.ForeignKey(
        Organisation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="endpoints",
        verbose_name=_("room of organisation"),
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    history = HistoricalRecords(excluded_fields=["secret"])

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(person=None) | models.Q(organisation=None), name="endpoint_has_one_owner"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an address that no webhook may go to. What a name resolves to is checked at each call."""
        if self.person_id is not None and self.organisation_id is not None:
            raise ValidationError(_("An endpoint belongs to a person or to an organisation, not to both."))
        try:
            guard.check(self.url)
        except guard.Refused as error:
            raise ValidationError({"url": str(error)}) from error

    @property
    def origin(self) -> str:
        """The address without its path, which often is a secret; "—" for one that leads nowhere."""
        try:
            return guard.check(self.url).origin
        except guard.Refused:
            return "—"
