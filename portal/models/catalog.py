"""The service catalogue, and which organisation uses which service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from portal.models.accounts import Organisation, TypedModelMeta

if TYPE_CHECKING:
    from portal.models.accounts import User


class ServiceQuerySet(models.QuerySet["Service"]):
    def visible_to(self, user: User) -> ServiceQuerySet:
        """Active services that an organisation of `user` subscribes to; all of them for staff who are not limited."""
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        organisations = Organisation.objects.visible_to(user)
        return self.filter(
            is_active=True,
            pk__in=ServiceSubscription.objects.filter(organisation__in=organisations).values("service"),
        )

    def used_by(self, organisation: Organisation) -> ServiceQuerySet:
        return self.filter(is_active=True, subscriptions__organisation=organisation)


class Service(models.Model):
    """Something the vendor runs and customers depend on."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    slug = models.SlugField(_("short name"), max_length=80, unique=True)
    description = models.CharField(_("description"), max_length=300, blank=True)
    position = models.PositiveSmallIntegerField(_("position"), default=100)
    is_active = models.BooleanField(_("active"), default=True)
    is_public = models.BooleanField(
        _("on the public status page"),
        default=False,
        help_text=_("Shows what concerns the service as a whole, and nothing of any customer."),
    )

    objects = ServiceQuerySet.as_manager()

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["position", "name"]
        verbose_name = _("service")
        verbose_name_plural = _("services")

    def __str__(self) -> str:
        return self.name


class ServiceSubscription(models.Model):
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="subscriptions", verbose_name=_("organisation")
    )
    service = models.ForeignKey(
        Service, models.CASCADE, related_name="subscriptions", verbose_name=_("service")
    )

    class Meta(TypedModelMeta):
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.UniqueConstraint(fields=["organisation", "service"], name="one_subscription_each"),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} · {self.service}"
