"""The incident's row: the summary of its timeline, changed by verbs only (`incidents.actions`)."""

from __future__ import annotations

import re

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incidents.models.agreement import Level, SLAPolicyVersion
from maintenance.models import MaintenanceWindow
from portal.models import (
    CalendarVersion,
    Membership,
    Organisation,
    Service,
    Team,
    User,
    Visibility,
)
from portal.models.accounts import TypedModelMeta
from portal.models.service_impact import Impact

REFERENCE_OFFSET = 1000
REFERENCE = re.compile(r"INC-([1-9]\d{0,17})", re.ASCII)


def reference_of(pk: int) -> str:
    """What the incident with this id is called: INC-1042."""
    return f"INC-{pk + REFERENCE_OFFSET}"


class Status(models.TextChoices):
    REPORTED = "reported", _("Reported")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    IN_PROGRESS = "in_progress", _("In progress")
    WAITING_FOR_CUSTOMER = "waiting_for_customer", _("Waiting for customer")
    RESOLVED = "resolved", _("Resolved")
    CLOSED = "closed", _("Closed")


UNRESOLVED = (
    Status.REPORTED,
    Status.ACKNOWLEDGED,
    Status.IN_PROGRESS,
    Status.WAITING_FOR_CUSTOMER,
)


class Channel(models.TextChoices):
    PORTAL = "portal", _("Portal")
    API = "api", _("API")
    MAIL = "mail", _("E-mail")
    CHAT = "chat", _("Dedicated channel")
    BRIDGE = "bridge", _("Live bridge")
    ALARM = "alarm", _("Alarm")
    TELEPHONE = "telephone", _("Telephone")
    ADMIN = "admin", _("Staff desk")
    CLOCKWORK = "clockwork", _("Clockwork")


class ClosedAs(models.TextChoices):
    CONFIRMED = "confirmed", _("Confirmed by the customer")
    UNANSWERED = "unanswered", _("Closed after the reminder")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    DUPLICATE = "duplicate", _("Duplicate")


class IncidentQuerySet(models.QuerySet["Incident"]):
    def visible_to(self, user: User) -> IncidentQuerySet:
        """Those of the user's organisations, as far as each membership sees; all for staff; none for a stranger.

        Whoever sees only a part sees what they reported or watch, and maybe the incidents of their team.
        Staff who are limited see those of the organisations that they look after.
        """
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        # Which they are, not how they are found: a database reads the newest of an organisation from its index
        # only where it knows whose they are.
        organisations = list(Organisation.objects.visible_to(user).values_list("pk", flat=True))
        own = self.filter(organisation__in=organisations)
        if user.is_agent:
            return own
        memberships = Membership.objects.filter(user=user)
        whole = memberships.filter(visibility=Visibility.ALL)
        of_team = memberships.filter(visibility=Visibility.TEAM, team__isnull=False)
        return own.filter(
            models.Q(organisation__in=whole.values("organisation"))
            | models.Q(reporter=user)
            | models.Q(team__in=of_team.values("team"))
            | models.Q(pk__in=user.watched.values("incident"))
        )

    def by_reference(self, reference: str) -> IncidentQuerySet:
        """The incident with a reference such as INC-1042, or none."""
        match = REFERENCE.fullmatch(reference)
        number = int(match[1]) - REFERENCE_OFFSET if match else 0
        return self.filter(pk=number) if 0 < number < 2**62 else self.none()

    def unresolved(self) -> IncidentQuerySet:
        return self.filter(status__in=UNRESOLVED)


class Incident(models.Model):
    """What a customer reported, under the promise that held when it was received."""

    Status = Status
    Channel = Channel

    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="incidents", verbose_name=_("organisation")
    )
    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reported_incidents",
        verbose_name=_("reporter"),
        help_text=_("Empty where an alarm reported it."),
    )
    team = models.ForeignKey(
        Team,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="incidents",
        verbose_name=_("team"),
        help_text=_("The customer's team whose people see it; the reporter's, unless somebody moved it."),
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="assigned_incidents",
        verbose_name=_("assignee"),
    )
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    services = models.ManyToManyField(
        Service, blank=True, related_name="incidents", verbose_name=_("services")
    )
    impact = models.CharField(_("impact"), max_length=20, choices=Impact.choices, default=Impact.DEGRADED)
    claimed_level = models.CharField(_("claimed level"), max_length=2, choices=Level.choices)
    validated_level = models.CharField(_("validated level"), max_length=2, choices=Level.choices, blank=True)
    level = models.CharField(_("level"), max_length=2, choices=Level.choices)
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.REPORTED)
    channel = models.CharField(_("channel"), max_length=20, choices=Channel.choices)
    cycle = models.PositiveIntegerField(_("cycle"), default=1)
    policy_version = models.ForeignKey(
        SLAPolicyVersion, models.PROTECT, related_name="+", verbose_name=_("SLA policy version")
    )
    calendar_version = models.ForeignKey(
        CalendarVersion, models.PROTECT, related_name="+", verbose_name=_("calendar version")
    )
    opened_at = models.DateTimeField(_("opened at"))
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True, blank=True)
    first_response_at = models.DateTimeField(_("first response at"), null=True, blank=True)
    intervention_started_at = models.DateTimeField(_("intervention started at"), null=True, blank=True)
    intervention_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    waiting_since = models.DateTimeField(_("waiting for the customer since"), null=True, blank=True)
    restored_at = models.DateTimeField(_("restored at"), null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    closed_as = models.CharField(_("closed as"), max_length=20, choices=ClosedAs.choices, blank=True)
    cause = models.TextField(_("cause"), blank=True)
    remedy = models.TextField(_("what was done"), blank=True)
    duplicate_of = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="duplicates",
        verbose_name=_("duplicate of"),
    )
    parent = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="children",
        verbose_name=_("parent incident"),
        help_text=_("The vendor's own incident, where one outage concerns several organisations."),
    )
    window = models.ForeignKey(
        MaintenanceWindow,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="incidents",
        verbose_name=_("maintenance window"),
        help_text=_("The window in which it was reported, or whose overrun opened it."),
    )
    major_at = models.DateTimeField(_("major incident since"), null=True, blank=True)
    next_due_at = models.DateTimeField(_("next due at"), null=True, blank=True)
    next_update_at = models.DateTimeField(_("next update at"), null=True, blank=True)
    is_update_breached = models.BooleanField(default=False, editable=False)
    last_changed_at = models.DateTimeField(_("last changed at"))
    closing_due_at = models.DateTimeField(_("closes by itself at"), null=True, blank=True)
    reminder_due_at = models.DateTimeField(_("reminder due at"), null=True, blank=True)
    computed_at = models.DateTimeField(_("clocks computed at"))
    revision = models.PositiveIntegerField(_("revision"), default=0)

    objects = IncidentQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        indexes = [
            models.Index(fields=["organisation", "-id"], name="incident_by_organisation"),
            models.Index(
                fields=["next_due_at", "id"],
                name="incident_queue",
                condition=models.Q(
                    status__in=["reported", "acknowledged", "in_progress", "waiting_for_customer"]
                ),
            ),
            models.Index(
                fields=["organisation", "next_due_at"],
                name="incident_open_of",
                condition=models.Q(
                    status__in=["reported", "acknowledged", "in_progress", "waiting_for_customer"]
                ),
            ),
            models.Index(
                fields=["organisation", "last_changed_at"],
                name="incident_waits_for",
                condition=models.Q(status__in=["waiting_for_customer", "resolved"]),
            ),
            models.Index(
                fields=["organisation", "-closed_at"],
                name="incident_closed_of",
                condition=models.Q(status="closed"),
            ),
            models.Index(fields=["-id"], name="incident_major", condition=models.Q(major_at__isnull=False)),
            models.Index(
                fields=["closing_due_at"], name="incident_closing", condition=models.Q(status="resolved")
            ),
            models.Index(
                fields=["reminder_due_at"], name="incident_reminder", condition=models.Q(status="resolved")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("incidents:detail", args=[self.reference])

    @property
    def reference(self) -> str:
        return reference_of(self.pk)

    @property
    def is_unresolved(self) -> bool:
        return self.status in UNRESOLVED

    @property
    def is_validated(self) -> bool:
        return bool(self.validated_level)

    @property
    def is_major(self) -> bool:
        """Whether a promise was broken so badly that an RCA is owed whatever the level says."""
        return self.major_at is not None

    @property
    def is_closed(self) -> bool:
        return self.status == Status.CLOSED


class Watcher(models.Model):
    """Somebody of the organisation who follows an incident: hears what its reporter hears, and may read it."""

    incident = models.ForeignKey(
        Incident, models.CASCADE, related_name="watchers", verbose_name=_("incident")
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="watched", verbose_name=_("person")
    )
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("added by")
    )
    added_at = models.DateTimeField(_("added at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("watcher")
        verbose_name_plural = _("watchers")
        constraints = [models.UniqueConstraint(fields=["incident", "person"], name="watches_once")]

    def __str__(self) -> str:
        return f"{self.person} · {self.incident_id}"
