"""What the vendor has to say that is no incident and no maintenance: written, addressed, scheduled, read."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.models.accounts import Organisation, TypedModelMeta, User
from portal.models.catalog import Service


class AnnouncementQuerySet(models.QuerySet["Announcement"]):
    def visible_to(self, user: User) -> AnnouncementQuerySet:
        """Those that are published and addressed to an organisation of `user`; all of them for staff who are not limited."""
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        return self.published().addressed_to(Organisation.objects.visible_to(user))

    def published(self) -> AnnouncementQuerySet:
        return self.filter(published_at__isnull=False, withdrawn_at=None)

    def addressed_to(self, organisations: models.QuerySet[Organisation]) -> AnnouncementQuerySet:
        """Those addressed to everybody, to one of these organisations, or to users of a service of theirs."""
        Audience = self.model.Audience
        return self.filter(
            models.Q(models.Exists(organisations), audience=Audience.ALL)
            | models.Q(
                audience=Audience.ORGANISATIONS,
                pk__in=Announcement.organisations.through.objects.filter(
                    organisation__in=organisations
                ).values("announcement"),
            )
            | models.Q(
                audience=Audience.SERVICES,
                pk__in=Announcement.services.through.objects.filter(
                    service__subscriptions__organisation__in=organisations
                ).values("announcement"),
            )
        )

    def unread_by(self, user: User) -> AnnouncementQuerySet:
        return self.exclude(pk__in=AnnouncementReading.objects.filter(person=user).values("announcement"))

    def current(self, now: datetime) -> AnnouncementQuerySet:
        """Published and not expired at `now`, pinned first."""
        live = self.published().filter(models.Q(expires_at=None) | models.Q(expires_at__gt=now))
        return live.order_by("-is_pinned", "-published_at", "-pk")


class Announcement(models.Model):
    """A text for all, for the users of services, or for some organisations. Changed by verbs only."""

    class Audience(models.TextChoices):
        ALL = "all", _("All organisations")
        SERVICES = "services", _("Organisations that use a service")
        ORGANISATIONS = "organisations", _("Some organisations")

    title = models.CharField(_("title"), max_length=200)
    text = models.TextField(_("text"), help_text=_("Markdown."))
    audience = models.CharField(_("addressed to"), max_length=20, choices=Audience.choices)
    services = models.ManyToManyField(Service, blank=True, related_name="+", verbose_name=_("services"))
    organisations = models.ManyToManyField(
        Organisation, blank=True, related_name="+", verbose_name=_("organisations")
    )
    is_pinned = models.BooleanField(_("pinned"), default=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    publish_at = models.DateTimeField(
        _("publish at"), null=True, blank=True, help_text=_("Empty: it is a draft until you publish it.")
    )
    published_at = models.DateTimeField(_("published at"), null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("shown until"), null=True, blank=True)
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True, editable=False)
    revision = models.PositiveIntegerField(_("revision"), default=0, editable=False)

    objects = AnnouncementQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")
        indexes = [
            models.Index(
                fields=["publish_at"],
                name="announcement_due",
                condition=models.Q(publish_at__isnull=False, published_at=None, withdrawn_at=None),
            ),
            models.Index(fields=["-published_at"], name="announcement_published"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("announcement", args=[self.pk])


class AnnouncementReading(models.Model):
    """That a person has read an announcement."""

    announcement = models.ForeignKey(Announcement, models.CASCADE, related_name="readings")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(_("read at"))

    class Meta(TypedModelMeta):
        verbose_name = _("reading")
        verbose_name_plural = _("readings")
        constraints = [
            models.UniqueConstraint(fields=["announcement", "person"], name="one_reading_each"),
        ]

    def __str__(self) -> str:
        return f"{self.person} · {self.announcement}"
