"""Who is on call: shifts as data."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.models.accounts import TypedModelMeta


class Shift(models.Model):
    """One person's duty in one role over [from_at, until_at), with a backup who hears next."""

    class Role(models.TextChoices):
        ON_CALL = "on_call", _("On call")
        DUTY_MANAGER = "duty_manager", _("Duty manager")
        HEAD_OF_SUPPORT = "head_of_support", _("Head of support")

    role = models.CharField(_("role"), max_length=20, choices=Role.choices, default=Role.ON_CALL)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="shifts", verbose_name=_("person")
    )
    backup = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="backup_shifts",
        verbose_name=_("backup"),
    )
    from_at = models.DateTimeField(_("from"))
    until_at = models.DateTimeField(_("until"))

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["from_at", "role"]
        verbose_name = _("shift")
        verbose_name_plural = _("rota")
        indexes = [models.Index(fields=["role", "until_at"], name="shift_by_role")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(until_at__gt=models.F("from_at")), name="shift_ends_after_it_begins"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.person}"

    def clean(self) -> None:
        """Two people cannot hold one role at once; and whoever is on duty must work here."""
        if self.from_at and self.until_at and self.until_at <= self.from_at:
            raise ValidationError({"until_at": _("The shift must end after it begins.")})
        for name in ("person", "backup"):
            someone = getattr(self, name) if getattr(self, f"{name}_id") else None
            if someone is not None and not someone.is_agent:
                raise ValidationError({name: _("Only support staff can be on duty.")})
            if someone is not None and someone.is_limited:
                words = _("Whoever is on duty is called for every customer. Choose somebody without limits.")
                raise ValidationError({name: words})
        if self.backup_id and self.backup_id == self.person_id:
            raise ValidationError({"backup": _("The backup must be somebody else.")})
        if self.from_at and self.until_at and self.overlapping().exists():
            raise ValidationError({"from_at": _("Somebody has this role in this time already.")})

    def overlapping(self) -> models.QuerySet[Shift]:
        others = Shift.objects.filter(role=self.role).exclude(pk=self.pk)
        return others.filter(from_at__lt=self.until_at, until_at__gt=self.from_at)
