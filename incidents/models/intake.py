"""What comes in: mails and alarms are rows first, and the sources that alarms come from."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from simple_history.models import HistoricalRecords

from incidents.models.agreement import Level
from incidents.models.incident import Incident
from portal.models import Endpoint, Organisation, OutboxMessage, Service
from portal.models.accounts import TypedModelMeta
from portal.uploads import random_name


def digest_of(token: str) -> str:
    """What is stored of a source's token: nobody reads the token out of a backup."""
    return hashlib.sha256(token.encode()).hexdigest()


class AlarmSource(models.Model):
    """A monitoring that may report: for one organisation, or for one service and all who use it."""

    class Kind(models.TextChoices):
        ALERTMANAGER = "alertmanager", "Prometheus Alertmanager"
        GRAFANA = "grafana", "Grafana"
        GENERIC = "generic", _("Generic JSON")

    name = models.CharField(_("name"), max_length=120, unique=True)
    kind = models.CharField(_("format"), max_length=20, choices=Kind.choices)
    organisation = models.ForeignKey(
        Organisation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="alarm_sources",
        verbose_name=_("of organisation"),
    )
    service = models.ForeignKey(
        Service,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="alarm_sources",
        verbose_name=_("of service"),
        help_text=_("Then one parent incident, and one for each organisation that uses the service."),
    )
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    token_hint = models.CharField(_("token ends in"), max_length=4, blank=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    level_rules = models.JSONField(
        _("level rules"),
        default=list,
        blank=True,
        help_text=_(
            "The first that fits decides: [{“label”: “severity”, “equals”: “critical”, “level”: “P1”}, …]."
            " An empty level is recorded and opens nothing. Without rules, severity decides."
        ),
    )
    default_level = models.CharField(
        _("level otherwise"), max_length=2, choices=Level.choices, default=Level.P2, blank=True
    )
    storm_threshold = models.PositiveSmallIntegerField(
        _("different alarms that make a storm"), default=5, help_text=_("From then on one incident has all.")
    )
    storm_minutes = models.PositiveSmallIntegerField(_("within so many minutes"), default=5)
    heartbeat_minutes = models.PositiveIntegerField(
        _("silent for so many minutes is an alarm"), null=True, blank=True
    )
    last_seen_at = models.DateTimeField(_("last heard of at"), null=True, blank=True, editable=False)
    silent_since = models.DateTimeField(_("silent since"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    history = HistoricalRecords(excluded_fields=["token_digest", "last_seen_at", "silent_since"])

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("alarm source")
        verbose_name_plural = _("alarm sources")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(organisation=None, service__isnull=False)
                | models.Q(organisation__isnull=False, service=None),
                name="alarm_source_has_one_owner",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if (self.organisation_id is None) == (self.service_id is None):
            raise ValidationError(_("A source belongs to one organisation or to one service: choose one."))
        rules = self.level_rules
        if not isinstance(rules, list) or not all(_is_level_rule(rule) for rule in rules):
            raise ValidationError({"level_rules": _("Each rule needs label, equals and level.")})

    def make_token(self) -> str:
        """A new token, shown this once; the old one is dead when the row is saved."""
        token = secrets.token_urlsafe(32)
        self.token_digest, self.token_hint = digest_of(token), token[-4:]
        return token


def _is_level_rule(rule: object) -> bool:
    return (
        isinstance(rule, dict)
        and {"label", "equals", "level"} == set(rule)
        and all(isinstance(value, str) for value in rule.values())
        and rule["level"] in ("", *Level.values)
    )


class Alarm(models.Model):
    """One alarm of one source, by its fingerprint: counted, not repeated."""

    class Status(models.TextChoices):
        FIRING = "firing", _("Firing")
        RESOLVED = "resolved", _("Resolved")

    source = models.ForeignKey(AlarmSource, models.PROTECT, related_name="alarms", verbose_name=_("source"))
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    incident = models.ForeignKey(
        Incident, models.PROTECT, null=True, blank=True, related_name="alarms", verbose_name=_("incident")
    )
    is_current = models.BooleanField(
        _("current"), default=True, help_text=_("An earlier life of the same fingerprint is not.")
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.FIRING)
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    level = models.CharField(_("level"), max_length=2, choices=Level.choices, blank=True)
    labels = models.JSONField(_("labels"), default=dict, blank=True)
    count = models.PositiveIntegerField(_("received"), default=1)
    flap_count = models.PositiveIntegerField(_("fired again after it had resolved"), default=0)
    first_at = models.DateTimeField(_("first received at"))
    last_at = models.DateTimeField(_("last received at"))
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("alarm")
        verbose_name_plural = _("alarms")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "fingerprint"],
                name="one_current_alarm_each",
                condition=models.Q(is_current=True),
            )
        ]
        indexes = [models.Index(fields=["source", "first_at"], name="alarm_storms")]

    def __str__(self) -> str:
        return self.title


def inbound_path(message: InboundMessage, filename: str) -> str:
    """A random name: nothing of what the sender says reaches the file system."""
    return f"inbound/{random_name()}"


class InboundMessage(models.Model):
    """The outbox's twin: one mail, alarm or channel's message as it came in. The row decides; the broker only nudges."""

    class Kind(models.TextChoices):
        MAIL = "mail", _("E-mail")
        ALARM = "alarm", _("Alarm")
        CHAT = "chat", _("Dedicated channel")

    class State(models.TextChoices):
        RECEIVED = "received", _("Received")
        CLAIMED = "claimed", _("Being read")
        DONE = "done", _("Done")
        HELD = "held", _("Held for staff")
        REFUSED = "refused", _("Refused")
        SET_ASIDE = "set_aside", _("Set aside")

    class Outcome(models.TextChoices):
        OPENED = "opened", _("Opened an incident")
        REPLIED = "replied", _("Became a reply")
        REOPENED = "reopened", _("Reopened an incident")
        NOTED = "noted", _("Became an internal note")
        BOUNCED = "bounced", _("Says that a mail of ours did not arrive")
        DELAYED = "delayed", _("Says that a mail of ours is late")
        DELIVERED = "delivered", _("Says that a mail of ours arrived")
        AUTOMATIC = "automatic", _("An automatic answer")
        LOOP = "loop", _("A mail of our own")
        ANSWERED = "answered", _("Answered an invitation")
        RECORDED = "recorded", _("Alarms recorded")
        DISCARDED = "discarded", _("Discarded by staff")
        IGNORED = "ignored", _("Not meant for support: nothing of it is kept")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    via = models.CharField(_("came by"), max_length=10)  # pipe, imap, http, slack, mattermost
    endpoint = models.ForeignKey(
        Endpoint,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("channel"),
        help_text=_("The dedicated channel in which it was written."),
    )
    source = models.ForeignKey(
        AlarmSource, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("source")
    )
    raw = models.FileField(_("as it came"), upload_to=inbound_path, max_length=200, blank=True)
    payload = models.JSONField(_("as it came, where that is JSON"), null=True, blank=True)
    size = models.PositiveBigIntegerField(_("size in bytes"), default=0)
    dedupe_key = models.CharField(_("dedupe key"), max_length=100, unique=True)
    received_at = models.DateTimeField(_("received at"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.RECEIVED)
    state_reason = models.TextField(_("reason"), blank=True)
    outcome = models.CharField(_("what became of it"), max_length=10, choices=Outcome.choices, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), default=timezone.now)
    lease = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    sender = models.CharField(pgettext_lazy("mail", "from"), max_length=320, blank=True)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    incident = models.ForeignKey(
        Incident, models.PROTECT, null=True, blank=True, related_name="inbound", verbose_name=_("incident")
    )
    about = models.ForeignKey(
        OutboxMessage,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("about our message"),
        help_text=_("The message of ours that a delivery report is about."),
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["-received_at", "-pk"]
        verbose_name = _("inbound message")
        verbose_name_plural = _("inbox")
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="inbox_due",
                condition=models.Q(state__in=["received", "claimed"]),
            ),
            models.Index(fields=["state", "-received_at"], name="inbox_state"),
            models.Index(fields=["sender", "-received_at"], name="inbox_sender"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.sender} {self.subject}".strip()
