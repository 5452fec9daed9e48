"""The persisted result of `incidents.sla`: open rows are rewritten by verbs, closed rows never change."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from incidents.models.agreement import ClockKind, Level
from incidents.models.incident import Incident
from portal.models import User
from portal.models.accounts import TypedModelMeta


class ClockQuerySet(models.QuerySet["Clock"]):
    def visible_to(self, user: User) -> ClockQuerySet:
        return self.filter(incident__in=Incident.objects.visible_to(user))


class Clock(models.Model):
    """One promise of one incident. `attention_at` is when a sweep must look next, null when never."""

    Kind = ClockKind

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        PAUSED = "paused", _("Paused")
        MET = "met", _("Met")
        BREACHED = "breached", _("Breached")
        REPLACED = "replaced", _("Replaced")
        CANCELLED = "cancelled", _("Cancelled")

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="clocks")
    kind = models.CharField(_("kind"), max_length=20, choices=ClockKind.choices)
    level = models.CharField(_("level"), max_length=2, choices=Level.choices)
    cycle = models.PositiveIntegerField(_("cycle"))
    ordinal = models.PositiveIntegerField(_("ordinal"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    started_at = models.DateTimeField(_("started at"))
    due_at = models.DateTimeField(_("due at"), null=True)
    first_due_at = models.DateTimeField(_("first due at"), null=True)
    met_at = models.DateTimeField(_("met at"), null=True)
    breached_at = models.DateTimeField(_("breached at"), null=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    receipts = models.JSONField(_("receipts"), null=True)
    attention_at = models.DateTimeField(null=True, editable=False)
    warned_percent = models.PositiveSmallIntegerField(default=0, editable=False)
    is_breach_told = models.BooleanField(default=False, editable=False)

    objects = ClockQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("clock")
        verbose_name_plural = _("clocks")
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "kind", "cycle", "level", "ordinal"], name="one_clock_each"
            )
        ]
        indexes = [
            models.Index(
                fields=["attention_at"],
                name="clock_attention",
                condition=models.Q(attention_at__isnull=False),
            ),
            models.Index(
                fields=["breached_at"],
                name="clock_breached",
                condition=models.Q(breached_at__isnull=False),
            ),
            models.Index(
                fields=["incident"],
                name="clock_rca_runs",
                condition=models.Q(kind="rca", ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.get_kind_display()} {self.level} #{self.ordinal}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.RUNNING, self.State.PAUSED)
