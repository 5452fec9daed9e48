"""The RCA: owed by rule, written once, reviewed by a second person, published as one copy per organisation.

The row and its parts are the working text, changed by verbs only. A publication freezes it as a version,
and each reader's cut of it as a copy: customers read copies and the live state of the prevention actions.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incidents.models.incident import Incident
from maintenance.models import MaintenanceWindow
from portal.models import Organisation, User
from portal.models.accounts import TypedModelMeta
from portal.timeline import Payload, Payloads, TimelineEvent, declaring


class RCAQuerySet(models.QuerySet["RCA"]):
    def visible_to(self, user: User) -> RCAQuerySet:
        """RCAs of which a copy was published to an organisation of `user`; all of them for staff.

        Limited staff see those of the incidents that they look after: the text about a window, or about an
        outage, is written of many customers, and they read the copies of theirs."""
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        if user.is_agent:
            return self.filter(incident__in=Incident.objects.visible_to(user))
        return self.filter(pk__in=RCACopy.objects.visible_to(user).values("version__rca"))


class RCA(models.Model):
    """The analysis of one incident or of one maintenance window. Texts are Markdown."""

    class Status(models.TextChoices):
        OWED = "owed", _("Owed")
        DRAFT = "draft", _("Draft")
        IN_REVIEW = "in_review", _("In review")
        PUBLISHED = "published", _("Published")

    incident = models.OneToOneField(
        Incident, models.PROTECT, null=True, blank=True, related_name="rca", verbose_name=_("incident")
    )
    window = models.OneToOneField(
        MaintenanceWindow,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="rca",
        verbose_name=_("maintenance window"),
    )
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.OWED)
    due_at = models.DateTimeField(
        _("due at"),
        null=True,
        blank=True,
        help_text=_("For a maintenance window. An incident's is on its clock."),
    )
    owed_since = models.DateTimeField(_("owed since"), default=timezone.now)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("author"),
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("reviewer"),
    )
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True, blank=True)
    summary = models.TextField(_("summary"), blank=True)
    impact = models.TextField(_("impact"), blank=True)
    detection = models.TextField(_("detection"), blank=True)
    root_cause = models.TextField(_("root cause"), blank=True)
    contributing_factors = models.TextField(_("contributing factors"), blank=True)
    went_well = models.TextField(_("what went well"), blank=True)
    went_badly = models.TextField(_("what went badly"), blank=True)
    first_published_at = models.DateTimeField(_("first published at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    revision = models.PositiveIntegerField(_("revision"), default=0, editable=False)

    objects = RCAQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-pk"]
        verbose_name = _("RCA")
        verbose_name_plural = _("RCAs")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(incident__isnull=False, window__isnull=True)
                | models.Q(incident__isnull=True, window__isnull=False),
                name="rca_has_one_subject",
            ),
        ]
        indexes = [
            models.Index(fields=["-id"], name="rca_unpublished", condition=~models.Q(status="published")),
        ]

    TEXTS = (
        "summary",
        "impact",
        "detection",
        "root_cause",
        "contributing_factors",
        "went_well",
        "went_badly",
    )

    def __str__(self) -> str:
        return f"RCA {self.reference}"

    @property
    def subject(self) -> Incident | MaintenanceWindow:
        found = self.incident or self.window
        if found is None:
            raise TypeError(f"RCA {self.pk} is about nothing")
        return found

    @property
    def reference(self) -> str:
        """The reference of what it is about: INC-1042 or MW-17."""
        return self.subject.reference


class RCAMoment(models.Model):
    """One line of the RCA's timeline: taken from the facts, or written by hand."""

    rca = models.ForeignKey(RCA, models.CASCADE, related_name="moments", verbose_name=_("RCA"))
    at = models.DateTimeField(_("at"))
    text = models.CharField(_("what happened"), max_length=500)
    event = models.BigIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("The event of the timeline that it was taken from."),
    )

    class Meta(TypedModelMeta):
        ordering = ["at", "pk"]
        verbose_name = _("moment")
        verbose_name_plural = _("timeline")

    def __str__(self) -> str:
        return self.text


class RCARedaction(models.Model):
    """Words that one organisation must not read, or (without one) nobody."""

    rca = models.ForeignKey(RCA, models.CASCADE, related_name="redactions", verbose_name=_("RCA"))
    organisation = models.ForeignKey(
        Organisation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("for organisation"),
        help_text=_("Empty: for every organisation."),
    )
    words = models.CharField(_("words"), max_length=300)
    instead = models.CharField(_("shown instead"), max_length=300, default="█████", blank=True)

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("redaction")
        verbose_name_plural = _("redactions")

    def __str__(self) -> str:
        return self.words


class PreventionAction(models.Model):
    """What will prevent, detect or mitigate it next time: owned, dated, and closed only with evidence."""

    class Kind(models.TextChoices):
        PREVENT = "prevent", _("Prevent")
        DETECT = "detect", _("Detect")
        MITIGATE = "mitigate", _("Mitigate")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        IN_PROGRESS = "in_progress", _("In progress")
        DONE = "done", _("Done")
        DROPPED = "dropped", _("Dropped")

    rca = models.ForeignKey(RCA, models.CASCADE, related_name="actions", verbose_name=_("RCA"))
    number = models.PositiveSmallIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    text = models.CharField(_("action"), max_length=500)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="prevention_actions",
        verbose_name=_("owner"),
    )
    due_on = models.DateField(_("due on"), null=True, blank=True)
    first_due_on = models.DateField(_("due date as first published"), null=True, blank=True, editable=False)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.OPEN)
    evidence = models.TextField(_("evidence"), blank=True, help_text=_("What shows that it is done."))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    reminded_on = models.DateField(null=True, blank=True, editable=False)

    class Meta(TypedModelMeta):
        ordering = ["rca", "number"]
        verbose_name = _("prevention action")
        verbose_name_plural = _("prevention actions")
        indexes = [
            models.Index(
                fields=["due_on"],
                name="action_due",
                condition=models.Q(state__in=["open", "in_progress"]),
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["rca", "number"], name="action_number")]

    def __str__(self) -> str:
        return self.text

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.OPEN, self.State.IN_PROGRESS)


class RCAVersion(models.Model):
    """A publication: the whole text as it was, never changed again."""

    rca = models.ForeignKey(RCA, models.PROTECT, related_name="versions", verbose_name=_("RCA"))
    number = models.PositiveSmallIntegerField(_("version"))
    note = models.CharField(_("what changed"), max_length=300, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author")
    )
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("reviewer")
    )
    published_at = models.DateTimeField(_("published at"))
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("published by")
    )
    content = models.JSONField(_("content"), help_text=_("Unredacted: for staff."))

    class Meta(TypedModelMeta):
        ordering = ["rca", "-number"]
        verbose_name = _("RCA version")
        verbose_name_plural = _("RCA versions")
        constraints = [models.UniqueConstraint(fields=["rca", "number"], name="rca_version_number")]

    def __str__(self) -> str:
        return f"{self.rca} v{self.number}"


class RCACopyQuerySet(models.QuerySet["RCACopy"]):
    def visible_to(self, user: User) -> RCACopyQuerySet:
        if not user.is_active:  # nor is anybody anonymous
            return self.none()
        if user.is_unlimited:
            return self
        # Where it is about an incident, whoever may not see that incident does not read its analysis.
        own = self.filter(organisation__in=Organisation.objects.visible_to(user))
        incidents = Incident.objects.visible_to(user)
        return own.filter(models.Q(incident=None) | models.Q(incident__in=incidents.values("pk")))


class RCACopy(models.Model):
    """One organisation's cut of a version: redacted, with its own services, and accepted by its people."""

    version = models.ForeignKey(
        RCAVersion, models.PROTECT, related_name="copies", verbose_name=_("RCA version")
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    incident = models.ForeignKey(
        Incident,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="rca_copies",
        verbose_name=_("incident"),
        help_text=_("The organisation's own incident; empty for a maintenance window."),
    )
    content = models.JSONField(_("content"))
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("accepted by"),
    )

    objects = RCACopyQuerySet.as_manager()

    class Meta(TypedModelMeta):
        ordering = ["-version__number"]
        verbose_name = _("RCA copy")
        verbose_name_plural = _("RCA copies")
        constraints = [models.UniqueConstraint(fields=["version", "organisation"], name="one_rca_copy_each")]

    def __str__(self) -> str:
        return f"{self.version} · {self.organisation}"


class RCAComment(models.Model):
    """What a customer, or staff in answer, wrote about a published RCA; read by that organisation alone."""

    rca = models.ForeignKey(RCA, models.PROTECT, related_name="comments", verbose_name=_("RCA"))
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("author")
    )
    text = models.TextField(_("text"))
    at = models.DateTimeField(_("at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("comment")
        verbose_name_plural = _("comments")

    def __str__(self) -> str:
        return f"{self.author} {self.at:%Y-%m-%d %H:%M}"


class Recurrence(models.Model):
    """That an incident is one which a prevention action should have prevented."""

    incident = models.ForeignKey(
        Incident, models.PROTECT, related_name="recurrences", verbose_name=_("incident")
    )
    action = models.ForeignKey(
        PreventionAction, models.PROTECT, related_name="recurrences", verbose_name=_("prevention action")
    )
    linked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("linked by")
    )
    linked_at = models.DateTimeField(_("linked at"))

    class Meta(TypedModelMeta):
        ordering = ["pk"]
        verbose_name = _("recurrence")
        verbose_name_plural = _("recurrences")
        constraints = [models.UniqueConstraint(fields=["incident", "action"], name="one_recurrence_each")]

    def __str__(self) -> str:
        return f"{self.incident.reference} · {self.action}"


# --- its timeline ---


@dataclass(frozen=True, kw_only=True)
class RCAPayload(Payload):
    """The facts of one event of an RCA. `is_public` says whether readers of a copy may see it."""

    is_public = False


RCA_PAYLOADS: Payloads = {}
rca_payload = declaring(RCA_PAYLOADS)


class RCAEvent(TimelineEvent):
    """One fact about an RCA: who drafted, reviewed and published it, and what became of each action."""

    payloads = RCA_PAYLOADS

    rca = models.ForeignKey(RCA, models.PROTECT, related_name="events", verbose_name=_("RCA"))

    class Meta(TimelineEvent.Meta):
        abstract = False
        verbose_name = _("event of an RCA")
        verbose_name_plural = _("events of RCAs")
        indexes = [models.Index(fields=["rca", "id"], name="rca_event_by_rca")]
