"""What is kept how long, and whom we have forgotten."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.models.accounts import TypedModelMeta


class RetentionRule(models.Model):
    """How many days rows of one kind are kept. The kinds are declared in `portal/retention.py`."""

    kind = models.CharField(_("kind"), max_length=60, unique=True)
    keep_days = models.PositiveIntegerField(
        _("days kept"), null=True, blank=True, help_text=_("Empty: for ever.")
    )

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["kind"]
        verbose_name = _("retention rule")
        verbose_name_plural = _("retention rules")

    def __str__(self) -> str:
        return self.kind


class Erasure(models.Model):
    """That a person was erased: when, by whom and why; never who they were."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="erasure", verbose_name=_("person")
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("erased by")
    )
    reason = models.CharField(_("reason"), max_length=200)
    at = models.DateTimeField(_("at"))
    counts = models.JSONField(_("what was changed"), default=dict)

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d} #{self.person_id}"
