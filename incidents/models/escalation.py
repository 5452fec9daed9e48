"""The pages that went out because a clock ran low or out: each link of a chain, each time, once."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from incidents.models.agreement import Involved
from incidents.models.clock import Clock
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
