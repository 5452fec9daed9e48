"""Where webhooks and chat messages end: pagers of people, dedicated channels and webhooks of organisations."""

from __future__ import annotations

import base64
import secrets
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.channels import guard, pagers
from portal.models.accounts import Organisation, TypedModelMeta, User
from portal.models.fields import SecretField

ROTATION = timedelta(hours=24)


def new_secret() -> str:
    """A Standard Webhooks secret: 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def visible_to(self, user: User) -> EndpointQuerySet:
        """What is not removed: of the organisations that the user sees; for staff without limits all of them."""
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        present = self.filter(removed_at=None)
        if user.is_unlimited:
            return present
        return present.filter(organisation__in=Organisation.objects.visible_to(user).values("pk"))


class Endpoint(models.Model):
    """One address outside: a pager of a person or (neither owner) of the whole team, or an organisation's.

    An organisation's own channel hears what its plan names; its webhooks hear the events that its managers
    choose. A secret is shown once.
    """

    class Use(models.TextChoices):
        PAGER = "pager", _("Pager")
        CHANNEL = "channel", _("Dedicated channel")
        WEBHOOKS = "webhooks", _("Webhooks")

    class Service(models.TextChoices):
        """What listens at the other end, and so how a message to it is written."""

        WEBHOOK = "webhook", _("Webhook (Standard Webhooks)")
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"
        MATTERMOST = "mattermost", "Mattermost"
        APPRISE = "apprise", _("Pager or SMS service")

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    use = models.CharField(_("used as"), max_length=10, choices=Use.choices, default=Use.PAGER)
    service = models.CharField(_("service"), max_length=12, choices=Service.choices, default=Service.WEBHOOK)
    name = models.CharField(_("name"), max_length=120)
    url = SecretField(_("address"), max_length=500)
    secret = SecretField(_("secret"), default=new_secret, editable=False)
    previous_secret = SecretField(blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    access_token = SecretField(
        _("access token"),
        max_length=300,
        blank=True,
        help_text=_("Of a bot in Slack or Mattermost: with it, each incident has a thread of its own."),
    )
    room_id = models.CharField(
        _("channel ID"), max_length=120, blank=True, help_text=_("Needed with an access token.")
    )
    signing_secret = SecretField(
        _("signing secret"),
        max_length=200,
        blank=True,
        help_text=_(
            "Of the app in Slack, or the token in Mattermost: what is written there becomes replies."
        ),
    )
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
        verbose_name=_("of organisation"),
    )
    events = models.JSONField(
        _("events"), default=list, blank=True, help_text=_("Of webhooks: which events; [“*”] for all.")
    )
    hears_maintenance = models.BooleanField(_("maintenance"), default=True)
    hears_announcements = models.BooleanField(_("announcements"), default=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("created by"),
    )
    last_success_at = models.DateTimeField(_("last accepted at"), null=True, blank=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    disabled_at = models.DateTimeField(
        _("switched off at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("By itself, after it failed for too long."),
    )
    disabled_reason = models.TextField(_("why it is switched off"), blank=True, editable=False)
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True, editable=False)

    objects = EndpointQuerySet.as_manager()

    history = HistoricalRecords(
        excluded_fields=[
            "url",
            "secret",
            "previous_secret",
            "previous_secret_until",
            "access_token",
            "signing_secret",
            "last_success_at",
            "failing_since",
        ]
    )

    class Meta(TypedModelMeta):
        ordering = ["name", "pk"]
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(person=None) | models.Q(organisation=None), name="endpoint_has_one_owner"
            ),
            models.CheckConstraint(
                condition=models.Q(use="pager", organisation=None)
                | (~models.Q(use="pager") & models.Q(organisation__isnull=False)),
                name="endpoint_use_fits_owner",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an address that nothing may go to. What a name resolves to is checked at each call."""
        if self.person_id is not None and self.organisation_id is not None:
            raise ValidationError(_("An endpoint belongs to a person or to an organisation, not to both."))
        if (self.use == self.Use.PAGER) != (self.organisation_id is None):
            raise ValidationError(
                {"use": _("Channels and webhooks belong to an organisation, pagers to nobody or a person.")}
            )
        if self.use not in USES.get(self.service, frozenset()):
            raise ValidationError({"service": _("This service cannot be used for that.")})
        if self.access_token and not self.room_id:
            raise ValidationError({"room_id": _("With an access token, say which channel to post in.")})
        try:
            (pagers if self.service == self.Service.APPRISE else guard).check(self.url)
        except guard.Refused as error:
            raise ValidationError({"url": str(error)}) from error

    @property
    def origin(self) -> str:
        """The address without its path, which often is a secret; "—" for one that leads nowhere."""
        if self.service == self.Service.APPRISE:
            return pagers.origin_of(self.url)
        try:
            return guard.check(self.url).origin
        except guard.Refused:
            return "—"

    def rotate(self, now: datetime) -> str:
        """A new secret; webhooks are signed by the old one, too, for a day. The caller saves the row."""
        self.previous_secret, self.previous_secret_until = self.secret, now + ROTATION
        self.secret = new_secret()
        return self.secret

    def signing_secrets(self, now: datetime) -> list[str]:
        """What a webhook sent at `now` is signed with, the newest first."""
        is_kept = self.previous_secret_until is not None and now < self.previous_secret_until
        return [self.secret, self.previous_secret] if is_kept else [self.secret]


_ROOM = frozenset({Endpoint.Use.CHANNEL})
USES: dict[str, frozenset[Endpoint.Use]] = {
    Endpoint.Service.WEBHOOK: frozenset(Endpoint.Use),
    Endpoint.Service.SLACK: _ROOM,
    Endpoint.Service.TEAMS: _ROOM,
    Endpoint.Service.MATTERMOST: _ROOM,
    Endpoint.Service.APPRISE: frozenset({Endpoint.Use.PAGER}),
}


class ChatThread(models.Model):
    """The thread in which a channel reads about one subject, as the service at the other end names it."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="threads")
    subject_key = models.CharField(_("about"), max_length=60)
    thread_id = models.CharField(_("thread"), max_length=120)
    created_at = models.DateTimeField(_("created at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("chat thread")
        verbose_name_plural = _("chat threads")
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "subject_key"], name="one_chat_thread_each")
        ]
        indexes = [models.Index(fields=["endpoint", "thread_id"], name="chat_thread_by_id")]

    def __str__(self) -> str:
        return f"{self.subject_key} · {self.endpoint}"


class ChatIdentity(models.Model):
    """Who somebody in a channel is: their id there, and the person here whose words they write."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="identities")
    external_id = models.CharField(_("ID in the channel"), max_length=120)
    external_name = models.CharField(_("name in the channel"), max_length=150, blank=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chat_identities", verbose_name=_("person")
    )
    created_at = models.DateTimeField(_("created at"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("created by")
    )

    class Meta(TypedModelMeta):
        ordering = ["external_name", "pk"]
        verbose_name = _("chat identity")
        verbose_name_plural = _("chat identities")
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "external_id"], name="one_chat_identity_each")
        ]

    def __str__(self) -> str:
        return f"{self.external_name or self.external_id} = {self.person}"
