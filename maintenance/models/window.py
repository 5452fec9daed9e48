"""A maintenance window: the row is the summary of its timeline, changed by verbs only (`maintenance.actions`)."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.models import Organisation, Service, User
from portal.models.accounts import TypedModelMeta, validate_time_zone
from portal.models.service_impact import Impact

REFERENCE = re.compile(r"MW-([1-9]\d{0,17})", re.ASCII)


class Status(models.TextChoices):
    DRAFT = "draft", _("Draft")
    PROPOSED = "proposed", _("Proposed")
    APPROVED = "approved", _("Approved")
    ANNOUNCED = "announced", _("Announced")
    IN_PROGRESS = "in_progress", _("In progress")
    OVERRUN = "overrun", _("Overrun")
    ROLLING_BACK = "rolling_back", _("Rolling back")
    VERIFYING = "verifying", _("Verifying")
    COMPLETED = "completed", _("Completed")
    ROLLED_BACK = "rolled_back", _("Rolled back")
    CANCELLED = "cancelled", _("Cancelled")


INTERNAL = (Status.DRAFT, Status.PROPOSED, Status.APPROVED)
RUNNING = (Status.IN_PROGRESS, Status.OVERRUN, Status.ROLLING_BACK, Status.VERIFYING)
OVER = (Status.COMPLETED, Status.ROLLED_BACK, Status.CANCELLED)


class Decision(models.TextChoices):
    GO_ON = "go_on", _("Go on")
    ROLL_BACK = "roll_back", _("Roll back")


def new_uid() -> str:
    """The UID of the calendar event: globally unique, and the same for the window's whole life."""
    return f"{secrets.token_hex(16)}@{settings.MAIL_DOMAIN}"


class WindowQuerySet(models.QuerySet["MaintenanceWindow"]):
    def visible_to(self, user: User) -> WindowQuerySet:
        """Announced windows (also cancelled since) that involve an organisation of `user`; staff see all.

        Staff who are limited read them as the customers do whom they look after."""
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        involved = WindowOrganisation.objects.filter(organisation__in=Organisation.objects.visible_to(user))
        return self.filter(announced_at__isnull=False, pk__in=involved.values("window"))

    def by_reference(self, reference: str) -> WindowQuerySet:
        """The window with a reference such as MW-17, or none."""
        match = REFERENCE.fullmatch(reference)
        number = int(match[1]) if match else 0
        return self.filter(pk=number) if 0 < number < 2**62 else self.none()

    def running(self) -> WindowQuerySet:
        return self.filter(status__in=RUNNING)

    def under_way(self, at: datetime) -> WindowQuerySet:
        """Those whose work was under way at `at`, also where nobody has noted yet that it is time to start.

        Not those that wait for a consent: they do not start.
        """
        started = models.Q(started_at__lte=at) & (models.Q(ended_at=None) | models.Q(ended_at__gt=at))
        is_time = models.Q(status=Status.ANNOUNCED, starts_at__lte=at, ends_at__gt=at)
        is_time &= ~models.Q(consents__state__in=["open", "refused"])
        return self.filter(started | is_time)

    def upcoming(self) -> WindowQuerySet:
        return self.filter(status=Status.ANNOUNCED)


class MaintenanceWindow(models.Model):
    """What will be touched, when, by whom, and when it is taken back.

    `starts_at` and `ends_at` are what is agreed now; `first_*` what was announced first. `ended_at` is the
    true end. `overrun_at` is written once: the agreed end that passed while the work was not over.
    """

    Status = Status

    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("what is done"), help_text=_("Markdown; customers read it."))
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.DRAFT)
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )
    starts_at = models.DateTimeField(_("starts at"))
    ends_at = models.DateTimeField(_("ends at"))
    first_starts_at = models.DateTimeField(_("start as first announced"), null=True, blank=True)
    first_ends_at = models.DateTimeField(_("end as first announced"), null=True, blank=True)
    rollback_decision_at = models.DateTimeField(_("rollback decision time"))
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="owned_windows", verbose_name=_("owner")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author")
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("approved by"),
    )
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    announced_at = models.DateTimeField(_("announced at"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    decision_asked_at = models.DateTimeField(_("decision asked at"), null=True, blank=True)
    decision = models.CharField(_("decision"), max_length=10, choices=Decision.choices, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    extension_until = models.DateTimeField(_("extension asked until"), null=True, blank=True)
    extension_reason = models.TextField(_("why the extension"), blank=True)
    extension_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    overrun_at = models.DateTimeField(_("overrun since"), null=True, blank=True)
    rollback_ordered_at = models.DateTimeField(_("rollback ordered at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("true end"), null=True, blank=True)
    outcome = models.TextField(_("outcome"), blank=True, help_text=_("Customers read it."))
    next_update_at = models.DateTimeField(_("next update at"), null=True, blank=True)
    previous_attempt = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="next_attempts",
        verbose_name=_("new attempt of"),
    )
    uid = models.CharField(max_length=200, unique=True, default=new_uid, editable=False)
    sequence = models.PositiveIntegerField(default=0, editable=False)
    attention_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    last_changed_at = models.DateTimeField(_("last changed at"), default=timezone.now, editable=False)
    revision = models.PositiveIntegerField(_("revision"), default=0, editable=False)

    objects = WindowQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-starts_at", "-pk"]
        verbose_name = _("maintenance window")
        verbose_name_plural = _("maintenance windows")
        indexes = [
            models.Index(fields=["starts_at", "ends_at"], name="window_by_time"),
            models.Index(
                fields=["attention_at"],
                name="window_attention",
                condition=models.Q(attention_at__isnull=False),
            ),
            models.Index(fields=["status", "starts_at"], name="window_by_status"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="window_ends_after_its_start"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("maintenance:detail", args=[self.reference])

    @property
    def reference(self) -> str:
        return f"MW-{self.pk}"

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_announced(self) -> bool:
        """Whether customers know of it (also when it was cancelled since)."""
        return self.announced_at is not None

    def covers(self, at: datetime) -> bool:
        """Whether `at` lies in the agreed time: what is told after an overrun does not extend it."""
        return self.starts_at <= at < (self.overrun_at or self.ends_at)


class WindowService(models.Model):
    """A service that the window touches, and what is felt of it meanwhile."""

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="affected", verbose_name=_("maintenance window")
    )
    service = models.ForeignKey(Service, models.PROTECT, related_name="+", verbose_name=_("service"))
    impact = models.CharField(_("impact"), max_length=20, choices=Impact.choices)

    class Meta(TypedModelMeta):
        ordering = ["service__position", "service__name"]
        verbose_name = _("affected service")
        verbose_name_plural = _("affected services")
        constraints = [models.UniqueConstraint(fields=["window", "service"], name="one_impact_each")]

    def __str__(self) -> str:
        return f"{self.service} · {self.get_impact_display()}"


class WindowStep(models.Model):
    """One step of the work, ticked when it is done."""

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="steps", verbose_name=_("maintenance window")
    )
    position = models.PositiveSmallIntegerField(_("position"))
    text = models.CharField(_("step"), max_length=500)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta(TypedModelMeta):
        ordering = ["position", "pk"]
        verbose_name = _("step")
        verbose_name_plural = _("steps")

    def __str__(self) -> str:
        return self.text


class RollbackCondition(models.Model):
    """What makes the work be taken back: something measured against a limit, checked off during the window."""

    class State(models.TextChoices):
        UNCHECKED = "unchecked", _("Not checked yet")
        CLEAR = "clear", _("Within the limit")
        MET = "met", _("Met: roll back")

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="conditions", verbose_name=_("maintenance window")
    )
    position = models.PositiveSmallIntegerField(_("position"))
    measure = models.CharField(
        _("what is measured"), max_length=200, help_text=_("Such as: error rate of the API over 5 minutes.")
    )
    limit = models.CharField(_("limit"), max_length=100, help_text=_("Such as: more than 2 %."))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.UNCHECKED)
    measured = models.CharField(_("measured"), max_length=100, blank=True)
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True)
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta(TypedModelMeta):
        ordering = ["position", "pk"]
        verbose_name = _("rollback condition")
        verbose_name_plural = _("rollback conditions")

    def __str__(self) -> str:
        return f"{self.measure}: {self.limit}"


class WindowPost(models.Model):
    """What a person wrote about the progress; customers read the public ones."""

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="posts", verbose_name=_("maintenance window")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author")
    )
    text = models.TextField(_("text"))
    is_public = models.BooleanField(_("public"), default=True)
    next_update_at = models.DateTimeField(_("next update at"), null=True, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("progress post")
        verbose_name_plural = _("progress posts")

    def __str__(self) -> str:
        return f"{self.author} {self.at:%Y-%m-%d %H:%M}"


class WindowOrganisation(models.Model):
    """An organisation that the window concerns; written when it is announced, and kept for ever."""

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="involved", verbose_name=_("maintenance window")
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    since = models.DateTimeField(_("since"))

    class Meta(TypedModelMeta):
        ordering = ["organisation__name"]
        verbose_name = _("involved organisation")
        verbose_name_plural = _("involved organisations")
        constraints = [
            models.UniqueConstraint(fields=["window", "organisation"], name="one_involvement_each")
        ]

    def __str__(self) -> str:
        return f"{self.window} · {self.organisation}"


class WindowAlarm(models.Model):
    """An alarm of an affected service, recorded on the window instead of opening an incident.

    `source` and `fingerprint` name the alarm in the room above, which alone knows what they mean;
    `inbound` is the stored request that fired it last; `opened` is the incident that it opened afterwards.
    """

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="alarms", verbose_name=_("maintenance window")
    )
    service = models.ForeignKey(Service, models.PROTECT, related_name="+", verbose_name=_("service"))
    organisation = models.ForeignKey(
        Organisation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("organisation"),
        help_text=_("Empty for an alarm of the service as a whole."),
    )
    source = models.CharField(_("source"), max_length=60)
    fingerprint = models.CharField(_("fingerprint"), max_length=128)
    title = models.CharField(_("title"), max_length=200)
    is_firing = models.BooleanField(_("firing"), default=True)
    count = models.PositiveIntegerField(_("count"), default=1)
    first_at = models.DateTimeField(_("first at"))
    last_at = models.DateTimeField(_("last at"))
    inbound = models.BigIntegerField(null=True, blank=True, editable=False)
    opened = models.CharField(_("opened afterwards"), max_length=30, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("recorded alarm")
        verbose_name_plural = _("recorded alarms")
        constraints = [
            models.UniqueConstraint(
                fields=["window", "source", "fingerprint"], name="one_recorded_alarm_each"
            )
        ]

    def __str__(self) -> str:
        return self.title
