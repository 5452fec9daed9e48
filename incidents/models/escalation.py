"""Pages that went out because a clock ran low or out, and escalations that a customer asked for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from incidents.models.agreement import Involved
from incidents.models.clock import Clock
from incidents.models.incident import Incident
from incidents.models.message import Message
from portal.models.accounts import TypedModelMeta


class Escalation(models.Model):
    """One page of one step for one clock. `step_key` names the step in words that outlive its row."""

    clock = models.ForeignKey(Clock, models.CASCADE, related_name="escalations")
    step_key = models.CharField(_("step"), max_length=60)
    number = models.PositiveSmallIntegerField(_("page"))
    role = models.CharField(_("who"), max_length=20, choices=Involved.choices)
    due_at = models.DateTimeField(_("due at"))
    paged_at = models.DateTimeField(_("paged at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("escalation")
        verbose_name_plural = _("escalations")
        constraints = [models.UniqueConstraint(fields=["clock", "step_key", "number"], name="one_page_each")]

    def __str__(self) -> str:
        return f"{self.clock} {self.step_key} #{self.number}"


class CustomerEscalationQuerySet(models.QuerySet["CustomerEscalation"]):
    def unanswered(self) -> CustomerEscalationQuerySet:
        return self.filter(answered_at=None)


class CustomerEscalation(models.Model):
    """The customer presses “Escalate”: a duty manager is named and paged, and answers in words."""

    incident = models.ForeignKey(
        Incident, models.PROTECT, related_name="customer_escalations", verbose_name=_("incident")
    )
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    reason = models.ForeignKey(Message, models.PROTECT, related_name="+", verbose_name=_("reason"))
    at = models.DateTimeField(_("at"))
    duty_manager = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("duty manager"),
        help_text=_("Who was on duty, and paged."),
    )
    answer_due_at = models.DateTimeField(_("answer due at"))
    raised_at = models.DateTimeField(_("head of support paged at"), null=True, blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    answer = models.ForeignKey(Message, models.PROTECT, null=True, blank=True, related_name="+")

    objects = CustomerEscalationQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("escalation by the customer")
        verbose_name_plural = _("escalations by the customer")
        constraints = [
            models.UniqueConstraint(
                fields=["incident"], name="one_open_escalation", condition=models.Q(answered_at=None)
            )
        ]
        indexes = [
            models.Index(
                fields=["answer_due_at"],
                name="escalation_unanswered",
                condition=models.Q(answered_at=None, raised_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.incident.reference} {self.at:%Y-%m-%d %H:%M}"
