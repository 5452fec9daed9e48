"""The outbox: a message is a row first, and mail second."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import TypedModelMeta, User
from portal.models.endpoints import Endpoint


def new_message_id() -> str:
    return f"<{uuid.uuid4().hex}@{settings.MAIL_DOMAIN}>"


class OutboxMessage(models.Model):
    """One message to one recipient by one channel. The row decides; the broker only nudges."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        CLAIMED = "claimed", _("Being sent")
        SENT = "sent", _("Sent")
        SET_ASIDE = "set_aside", _("Set aside")
        DROPPED = "dropped", _("Not sent: no longer due")

    class Priority(models.IntegerChoices):
        URGENT = 0, _("Urgent")
        NORMAL = 5, _("Normal")
        LOW = 9, _("Low")

    kind = models.CharField(_("kind"), max_length=60)
    channel = models.CharField(_("channel"), max_length=20, default="email")
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="messages",
        verbose_name=_("recipient"),
    )
    endpoint = models.ForeignKey(
        Endpoint,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="messages",
        verbose_name=_("endpoint"),
        help_text=_("Where a webhook goes; empty for e-mail."),
    )
    next_channels = models.JSONField(
        _("next channels"),
        default=list,
        blank=True,
        help_text=_("What is tried as well once this channel fails, in order."),
    )
    instead = models.JSONField(
        _("told instead"),
        default=list,
        blank=True,
        help_text=_(
            "Of a message to an organisation's channel: the people who get it by e-mail if the channel fails."
        ),
    )
    subject_key = models.CharField(
        _("about"), max_length=60, blank=True, help_text=_("What the message is about, such as INC-1042.")
    )
    facts = models.JSONField(_("facts"), default=dict, blank=True)
    dedupe_key = models.CharField(_("dedupe key"), max_length=200, unique=True)
    collapse_key = models.CharField(_("collapse key"), max_length=200, blank=True)
    is_automatic = models.BooleanField(_("automatic"), default=True)
    priority = models.PositiveSmallIntegerField(
        _("priority"), choices=Priority.choices, default=Priority.NORMAL
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.QUEUED)
    state_reason = models.TextField(_("reason"), blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    next_attempt_at = models.DateTimeField(_("next attempt at"), default=timezone.now)
    lease = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    message_id = models.CharField(_("Message-ID"), max_length=200, default=new_message_id, editable=False)
    address = models.EmailField(_("sent to"), blank=True)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    text = models.TextField(_("text"), blank=True)
    html = models.TextField(_("HTML"), blank=True)
    headers = models.JSONField(_("headers"), default=dict, blank=True)
    answer = models.TextField(_("server's answer"), blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    unreached_at = models.DateTimeField(
        _("did not arrive"),
        null=True,
        blank=True,
        help_text=_("When it was set aside, or bounced after it was sent."),
    )
    is_unreached_handled = models.BooleanField(default=False, editable=False)
    request_id = models.CharField(
        _("request"),
        max_length=64,
        blank=True,
        default="",
        db_default="",  # code from before the column writes rows without it
        editable=False,
        help_text=_("The id of the request that caused it, as it stands in the logs."),
    )

    class Meta(TypedModelMeta):
        ordering = ["-created_at", "-pk"]
        verbose_name = _("outbox message")
        verbose_name_plural = _("outbox")
        indexes = [
            models.Index(
                fields=["next_attempt_at", "priority"],
                name="outbox_due",
                condition=models.Q(state__in=["queued", "claimed"]),
            ),
            models.Index(
                fields=["collapse_key"],
                name="outbox_collapse",
                condition=models.Q(state__in=["queued", "claimed"]),
            ),
            models.Index(fields=["subject_key", "recipient"], name="outbox_thread"),
            models.Index(fields=["state", "-created_at"], name="outbox_state"),
            models.Index(fields=["message_id"], name="outbox_message_id"),
            models.Index(
                fields=["endpoint", "-id"],
                name="outbox_by_endpoint",
                condition=models.Q(endpoint__isnull=False),
            ),
            models.Index(
                fields=["unreached_at"],
                name="outbox_unreached",
                condition=models.Q(unreached_at__isnull=False, is_unreached_handled=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recipient__isnull=False)
                | models.Q(endpoint__isnull=False)
                | ~models.Q(address=""),
                name="outbox_goes_somewhere",
            )
        ]

    @property
    def person(self) -> User:
        """The recipient of a message to a person; TypeError for one to an organisation's room."""
        if self.recipient is None:
            raise TypeError(f"message {self.pk} goes to a room, not to a person")
        return self.recipient

    def __str__(self) -> str:
        return f"{self.kind} → {self.whom}"

    @property
    def whom(self) -> str:
        """Whom the message is for, in words: a person, an endpoint, or the address of somebody who is invited."""
        return str(self.recipient or self.endpoint or self.address)


class DeliveryAttempt(models.Model):
    """One call of an endpoint for one message: what went out when, and what was answered."""

    message = models.ForeignKey(OutboxMessage, models.CASCADE, related_name="deliveries")
    at = models.DateTimeField(_("at"))
    milliseconds = models.PositiveIntegerField(_("took (ms)"))
    is_accepted = models.BooleanField(_("accepted"))
    answer = models.CharField(_("answer"), max_length=500, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("delivery attempt")
        verbose_name_plural = _("delivery attempts")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.answer}"
