"""When customers must not be touched, and where that, or a promise of notice, was waived: by whom and when."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from maintenance.models.window import MaintenanceWindow
from portal.models import Organisation, Service, User
from portal.models.accounts import TypedModelMeta


class FreezeQuerySet(models.QuerySet["Freeze"]):
    def visible_to(self, user: User) -> FreezeQuerySet:
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        return self.filter(organisation__in=Organisation.objects.visible_to(user))

    def standing(self) -> FreezeQuerySet:
        return self.filter(withdrawn_at=None)

    def between(self, starts_at: datetime, ends_at: datetime) -> FreezeQuerySet:
        """Those that overlap [starts_at, ends_at)."""
        return self.filter(starts_at__lt=ends_at, ends_at__gt=starts_at)


class Freeze(models.Model):
    """A time in which an organisation wants no maintenance, on one service or on all of its services."""

    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="freezes", verbose_name=_("organisation")
    )
    service = models.ForeignKey(
        Service,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("service"),
        help_text=_("Empty: every service."),
    )
    starts_at = models.DateTimeField(_("starts at"))
    ends_at = models.DateTimeField(_("ends at"))
    reason = models.CharField(_("reason"), max_length=300)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("entered by")
    )
    entered_at = models.DateTimeField(_("entered at"), default=timezone.now, editable=False)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True)

    objects = FreezeQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["starts_at", "pk"]
        verbose_name = _("freeze")
        verbose_name_plural = _("freezes")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="freeze_ends_after_its_start"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} · {self.reason}"


class ConsentQuerySet(models.QuerySet["Consent"]):
    def visible_to(self, user: User) -> ConsentQuerySet:
        """A customer reads what their organisations are asked for; staff read all."""
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        return self.filter(
            window__in=MaintenanceWindow.objects.visible_to(user),
            organisation__in=Organisation.objects.visible_to(user),
        )

    def open(self) -> ConsentQuerySet:
        return self.filter(state=Consent.State.OPEN)

    def unsettled(self) -> ConsentQuerySet:
        """Those that keep a window from starting: nobody has decided, or somebody refused."""
        return self.filter(state__in=[Consent.State.OPEN, Consent.State.REFUSED])


class Consent(models.Model):
    """One conflict of a window that somebody must consent to, unless it is resolved by moving the window.

    `organisation` decides (its managers and members); without one it is the vendor's own to decide.
    `about` tells conflicts of a reason apart: a freeze's id, MW-17, INC-1042; empty for the notice.
    """

    class Reason(models.TextChoices):
        SHORT_NOTICE = "short_notice", _("Less notice than promised")
        FREEZE = "freeze", _("Overlaps a freeze")
        OTHER_WINDOW = "other_window", _("Overlaps another maintenance window")
        OPEN_P1 = "open_p1", _("An open P1 on the service")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        GIVEN = "given", _("Given")
        REFUSED = "refused", _("Refused")
        OVERRIDDEN = "overridden", _("Overridden")
        RESOLVED = "resolved", _("No longer needed")

    window = models.ForeignKey(
        MaintenanceWindow, models.CASCADE, related_name="consents", verbose_name=_("maintenance window")
    )
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("organisation"),
    )
    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices)
    about = models.CharField(_("about"), max_length=40, blank=True)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.OPEN)
    asked_at = models.DateTimeField(_("asked at"))
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    channel = models.CharField(_("channel"), max_length=20, blank=True)
    words = models.TextField(_("words"), blank=True)

    objects = ConsentQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        indexes = [models.Index(fields=["window", "state"], name="consent_by_window")]

    def __str__(self) -> str:
        return f"{self.window.reference} · {self.get_reason_display()} · {self.get_state_display()}"
