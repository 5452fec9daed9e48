"""What people wrote: replies, questions, notes, status updates, action plans, and their files."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incidents.models.incident import Channel, Incident
from portal.models import User
from portal.models.accounts import TypedModelMeta
from portal.uploads import random_name


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: User) -> MessageQuerySet:
        incidents = Incident.objects.visible_to(user)
        if user.is_authenticated and user.is_agent:
            return self.filter(incident__in=incidents)
        return self.filter(incident__in=incidents, is_public=True)


class Message(models.Model):
    """A text that a person wrote, in Markdown. Internal notes are not public."""

    class Kind(models.TextChoices):
        REPLY = "reply", _("Reply")
        QUESTION = "question", _("Question")
        NOTE = "note", _("Internal note")
        SOLUTION = "solution", _("Documented solution")
        RESOLUTION = "resolution", _("Resolution")
        REASON = "reason", _("Reason")
        BRIDGE_NOTE = "bridge_note", _("Note on the bridge")
        DECISION = "decision", _("Decision")
        BRIDGE_SUMMARY = "bridge_summary", _("Summary of the bridge")

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    text = models.TextField(_("text"))
    is_public = models.BooleanField(_("public"), default=True)
    is_from_staff = models.BooleanField(_("from staff"), default=False)
    channel = models.CharField(_("channel"), max_length=20, choices=Channel.choices)
    received_at = models.DateTimeField(_("received at"))
    inbound = models.ForeignKey(
        "incidents.InboundMessage",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="messages",
        verbose_name=_("the mail it came by"),
    )

    objects = MessageQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [models.Index(fields=["incident", "id"], name="message_by_incident")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.incident.reference}"


class LevelValidation(models.Model):
    """The vendor's verdict on the level, with its reason; a lowering can be contested once."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="validations")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    level_from = models.CharField(_("from"), max_length=2)
    level_to = models.CharField(_("to"), max_length=2)
    was_validated = models.CharField(max_length=2, blank=True)
    reason = models.TextField(_("reason"))
    at = models.DateTimeField(_("at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("level validation")
        verbose_name_plural = _("level validations")

    def __str__(self) -> str:
        return f"{self.incident.reference} {self.level_from} → {self.level_to}"

    @property
    def is_lowering(self) -> bool:
        return self.level_to > self.level_from


class Contest(models.Model):
    """The customer's objection to a lowering; a duty manager decides."""

    validation = models.OneToOneField(LevelValidation, models.CASCADE, related_name="contest")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.TextField(_("reason"))
    at = models.DateTimeField(_("at"))
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(_("decided at"), null=True)
    is_upheld = models.BooleanField(_("upheld"), null=True)
    decision_reason = models.TextField(_("reason of the decision"), blank=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("contest")
        verbose_name_plural = _("contests")

    def __str__(self) -> str:
        return f"{self.validation}"


class StatusUpdateQuerySet(models.QuerySet["StatusUpdate"]):
    def visible_to(self, user: User) -> StatusUpdateQuerySet:
        incidents = Incident.objects.visible_to(user)
        if user.is_authenticated and user.is_agent:
            return self.filter(incident__in=incidents)
        return self.filter(incident__in=incidents, state="published")


class StatusUpdate(models.Model):
    """A status update in the standard form; written by a person, published now or at its time."""

    class State(models.TextChoices):
        SCHEDULED = "scheduled", _("Scheduled")
        HELD = "held", _("Held: something changed after it was written")
        PUBLISHED = "published", _("Published")
        DISCARDED = "discarded", _("Discarded")

    class Condition(models.TextChoices):
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        IN_PROGRESS = "in_progress", _("In progress")
        WAITING_FOR_CUSTOMER = "waiting_for_customer", _("Waiting for customer")
        RESTORED = "restored", _("Service restored")

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="status_updates")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    condition = models.CharField(_("state"), max_length=20, choices=Condition.choices)
    summary = models.TextField(_("summary"))
    impact = models.TextField(_("impact"), blank=True)
    next_steps = models.TextField(_("next steps"), blank=True)
    next_update_at = models.DateTimeField(_("next update at"), null=True, blank=True)
    next_update_minutes = models.PositiveIntegerField(null=True, editable=False)
    of = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="copies",
        verbose_name=_("one of"),
        help_text=_("The update of the parent incident that it was written once in."),
    )
    state = models.CharField(_("publication"), max_length=10, choices=State.choices)
    channel = models.CharField(_("channel"), max_length=20, choices=Channel.choices)
    written_at = models.DateTimeField(_("written at"))
    written_after_event = models.BigIntegerField(default=0, editable=False)
    publish_at = models.DateTimeField(_("publish at"), null=True, blank=True)
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    accepted_at = models.DateTimeField(_("accepted by a channel at"), null=True, blank=True)
    held_reason = models.CharField(_("why it is held"), max_length=300, blank=True)

    objects = StatusUpdateQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("status update")
        verbose_name_plural = _("status updates")
        constraints = [
            models.UniqueConstraint(
                fields=["incident"],
                name="one_pending_update_each",
                condition=models.Q(state__in=["scheduled", "held"]),
            )
        ]
        indexes = [
            models.Index(fields=["publish_at"], name="update_due", condition=models.Q(state="scheduled")),
            models.Index(
                fields=["published_at"],
                name="update_unaccepted",
                condition=models.Q(state="published", accepted_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.incident.reference} {self.summary[:60]}"


class ActionPlan(models.Model):
    """The deliverable of a P2: steps, each with owner and date, and a next review."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="action_plans")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    summary = models.TextField(_("summary"), blank=True)
    next_review_at = models.DateTimeField(_("next review at"))
    filed_at = models.DateTimeField(_("filed at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("action plan")
        verbose_name_plural = _("action plans")

    def __str__(self) -> str:
        return f"{self.incident.reference} {self.filed_at:%Y-%m-%d}"


class ActionPlanStep(models.Model):
    plan = models.ForeignKey(ActionPlan, models.CASCADE, related_name="steps")
    text = models.CharField(_("step"), max_length=500)
    owner = models.CharField(_("owner"), max_length=150)
    due_on = models.DateField(_("date"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("step")
        verbose_name_plural = _("steps")

    def __str__(self) -> str:
        return self.text


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def visible_to(self, user: User) -> AttachmentQuerySet:
        incidents = Incident.objects.visible_to(user)
        if user.is_authenticated and user.is_agent:
            return self.filter(incident__in=incidents)
        return self.filter(incident__in=incidents).filter(
            models.Q(message=None) | models.Q(message__is_public=True)
        )


def upload_path(attachment: Attachment, filename: str) -> str:
    """A random name: nothing of what the sender called the file reaches the file system."""
    return f"incidents/{random_name()}"


class Attachment(models.Model):
    """A file that belongs to an incident, and maybe to one of its messages."""

    class Scan(models.TextChoices):
        NOT_ASKED = "not_asked", _("Not scanned: no scanner is set up")
        WAITING = "waiting", _("Held until it is scanned")
        CLEAN = "clean", _("Clean")
        INFECTED = "infected", _("Held: the scanner found something in it")

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="attachments")
    message = models.ForeignKey(Message, models.CASCADE, null=True, blank=True, related_name="attachments")
    file = models.FileField(_("file"), upload_to=upload_path, max_length=200)
    name = models.CharField(_("name"), max_length=200)
    content_type = models.CharField(_("content type"), max_length=100)
    size = models.PositiveBigIntegerField(_("size in bytes"))
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField(_("uploaded at"))
    scan = models.CharField(_("scan"), max_length=10, choices=Scan.choices, default=Scan.NOT_ASKED)
    scanned_at = models.DateTimeField(_("scanned at"), null=True, blank=True)
    scan_note = models.CharField(_("what the scanner found"), max_length=200, blank=True)

    objects = AttachmentQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")

    def __str__(self) -> str:
        return self.name

    @property
    def is_servable(self) -> bool:
        """The one rule of every way out: the file is there, and no scanner has still to look at it or objects.

        What came before a scanner was set up stays readable until its turn comes.
        """
        return bool(self.file) and self.scan in (self.Scan.NOT_ASKED, self.Scan.CLEAN)

    @property
    def why_not(self) -> str:
        """Why it is not served, in one calm line; "" for a file that is."""
        if not self.file:
            return gettext("This file was removed.")
        if self.scan == self.Scan.WAITING and self.scan_note:
            return gettext("This file is held: our scanner could not look at it yet. It is tried again.")
        if self.scan == self.Scan.WAITING:
            return gettext("This file is being scanned. Come back in a moment.")
        if self.scan == self.Scan.INFECTED:
            return gettext("This file is held: our scanner found something in it. Please send a clean copy.")
        return ""


def new_reply_token() -> str:
    return secrets.token_hex(16)


class ReplyAddress(models.Model):
    """The 128-bit token in a Reply-To: bound to one incident and one recipient."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="reply_addresses")
    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    token = models.CharField(max_length=32, unique=True, default=new_reply_token, editable=False)

    class Meta(TypedModelMeta):
        verbose_name = _("reply address")
        verbose_name_plural = _("reply addresses")
        constraints = [
            models.UniqueConstraint(fields=["incident", "recipient"], name="one_reply_address_each")
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} · {self.recipient_id}"

    @property
    def address(self) -> str:
        return f"reply+{self.token}@{settings.MAIL_DOMAIN}"
