"""The record of every opening of the one door through which append-only rows may go."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import TypedModelMeta


class Purge(models.Model):
    """While a row with `closed_at` null is visible to a transaction, its triggers let deletions pass."""

    reason = models.CharField(_("reason"), max_length=200)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("by")
    )
    opened_at = models.DateTimeField(_("opened at"))
    closed_at = models.DateTimeField(_("closed at"), null=True)

    class Meta(TypedModelMeta):
        ordering = ["-opened_at"]
        verbose_name = _("purge")
        verbose_name_plural = _("purges")

    def __str__(self) -> str:
        return f"{self.opened_at:%Y-%m-%d} {self.reason}"


class PurgedRow(models.Model):
    """One row that went through the door: its table and id, and the purge that let it out.

    The triggers write these, so that nothing leaves unrecorded, whatever deleted it. What the row said is
    gone; its digest stays in the seal of its batch.
    """

    table = models.CharField(_("table"), max_length=60)
    row_id = models.BigIntegerField(_("row"))
    purge = models.ForeignKey(Purge, models.PROTECT, related_name="rows", verbose_name=_("purge"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("purged row")
        verbose_name_plural = _("purged rows")
        constraints = [models.UniqueConstraint(fields=["table", "row_id"], name="one_purge_per_row")]

    def __str__(self) -> str:
        return f"{self.table} {self.row_id}"
