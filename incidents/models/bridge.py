"""The live bridge: where both sides work on one P1 together, who holds which part, who was there, what was agreed.

What is said there is a `Message`, what happens an `IncidentEvent`: the bridge is a view of the incident's own
timeline, with the people in it.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from incidents.models.incident import Incident
from incidents.models.message import Message
from portal.models import User
from portal.models.accounts import TypedModelMeta


class BridgeQuerySet(models.QuerySet["Bridge"]):
    def visible_to(self, user: User) -> BridgeQuerySet:
        return self.filter(incident__in=Incident.objects.visible_to(user))

    def open(self) -> BridgeQuerySet:
        return self.filter(closed_at=None)


class Bridge(models.Model):
    """One opening of the bridge of one incident; at most one is open at a time."""

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="bridges", verbose_name=_("incident"))
    conference_url = models.CharField(_("conference"), max_length=500, blank=True)
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("opened by")
    )
    opened_at = models.DateTimeField(_("opened at"))
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("closed by"),
        help_text=_("Empty where it closed by itself."),
    )
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    summary = models.ForeignKey(
        Message, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("summary")
    )
    attention_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text=_("When the clockwork looks next at who is there; null when closed."),
    )
    roster_revision = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("Rises when people, parts or steps change.")
    )

    objects = BridgeQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("bridge")
        verbose_name_plural = _("bridges")
        constraints = [
            models.UniqueConstraint(
                fields=["incident"], name="one_open_bridge", condition=models.Q(closed_at=None)
            )
        ]
        indexes = [
            models.Index(
                fields=["attention_at"],
                name="bridge_attention",
                condition=models.Q(attention_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.incident.reference} {self.opened_at:%Y-%m-%d %H:%M}"


class BridgeRole(models.TextChoices):
    """The parts that people have on a bridge. The customer's lead is of the customer, the others are staff."""

    INCIDENT_LEAD = "incident_lead", _("Incident lead")
    COMMUNICATIONS = "communications", _("Communications")
    SCRIBE = "scribe", _("Scribe")
    CUSTOMER_LEAD = "customer_lead", _("Customer's lead")


class BridgeSeat(models.Model):
    """Who holds a part, from when to when: a part is handed on, not overwritten."""

    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="seats")
    role = models.CharField(_("part"), max_length=20, choices=BridgeRole.choices)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("person")
    )
    given_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    from_at = models.DateTimeField(_("from"))
    until_at = models.DateTimeField(_("until"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("part on a bridge")
        verbose_name_plural = _("parts on a bridge")
        constraints = [
            models.UniqueConstraint(
                fields=["bridge", "role"], name="one_holder_each", condition=models.Q(until_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.person}"


class BridgePresence(models.Model):
    """One stay of one person. Whoever is not heard of for a while has left when last heard of."""

    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="presences")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("person")
    )
    joined_at = models.DateTimeField(_("joined at"))
    seen_at = models.DateTimeField(_("last seen at"))
    left_at = models.DateTimeField(_("left at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("presence on a bridge")
        verbose_name_plural = _("presences on a bridge")
        constraints = [
            models.UniqueConstraint(
                fields=["bridge", "person"], name="one_stay_at_a_time", condition=models.Q(left_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.joined_at:%H:%M}"


class BridgeStep(models.Model):
    """What was agreed on the bridge to be done: by whom, and by when."""

    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="steps")
    text = models.CharField(_("step"), max_length=300)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("owner")
    )
    due_at = models.DateTimeField(_("due at"))
    agreed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    agreed_at = models.DateTimeField(_("agreed at"))
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)

    class Meta(TypedModelMeta):
        ordering = ["due_at", "pk"]
        verbose_name = _("step agreed on a bridge")
        verbose_name_plural = _("steps agreed on a bridge")

    def __str__(self) -> str:
        return self.text
