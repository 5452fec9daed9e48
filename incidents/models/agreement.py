"""What was promised: SLA policies in versions, communication plans, and each organisation's plan."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from incidents import sla
from incidents.conference import template_problem
from maintenance.models import MaintenancePlan
from portal.models import BusinessCalendar, Organisation
from portal.models.accounts import TypedModelMeta


class Level(models.TextChoices):
    P1 = "P1", "P1"
    P2 = "P2", "P2"
    P3 = "P3", "P3"


class ClockKind(models.TextChoices):
    FIRST_RESPONSE = "first_response", _("First response")
    TARGET_ACTION = "target_action", _("Target action")
    STATUS_UPDATE = "status_update", _("Status update")
    RCA = "rca", _("RCA")


class SLAPolicy(models.Model):
    """A named set of targets. Edit it by making a new version."""

    name = models.CharField(_("name"), max_length=120, unique=True)

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("SLA policy")
        verbose_name_plural = _("SLA policies")

    def __str__(self) -> str:
        return self.name

    @property
    def current_version(self) -> SLAPolicyVersion:
        version = self.versions.order_by("-number").first()
        if version is None:
            raise SLAPolicyVersion.DoesNotExist(f"Policy {self} has no version yet.")
        return version


class SLAPolicyVersion(models.Model):
    """The targets as they were agreed. Incidents keep the version that they were opened under."""

    policy = models.ForeignKey(SLAPolicy, models.PROTECT, related_name="versions", verbose_name=_("policy"))
    number = models.PositiveIntegerField(_("version"), default=1)
    note = models.CharField(_("what changed"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta(TypedModelMeta):
        ordering = ["policy__name", "-number"]
        verbose_name = _("SLA policy version")
        verbose_name_plural = _("SLA policy versions")
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="sla_policy_version_number")]

    def __str__(self) -> str:
        return f"{self.policy.name} v{self.number}"


class SLATarget(models.Model):
    """One target: for a level and a kind of clock, the rule by which it falls due."""

    class Rule(models.TextChoices):
        WITHIN_MINUTES = "within_minutes", _("Within so many minutes")
        SAME_BUSINESS_DAY = "same_business_day", _("Within the same business day")
        BUSINESS_DAYS = "business_days", _("Within so many business days")
        PLANNED_RELEASE = "planned_release", _("By the planned release, or a documented solution")

    class Deliverable(models.TextChoices):
        INTERVENTION = "intervention", _("Active intervention by a named engineer")
        ACTION_PLAN = "action_plan", _("Action plan")
        RELEASE_OR_SOLUTION = "release_or_solution", _("Planned release or documented solution")

    version = models.ForeignKey(
        SLAPolicyVersion, models.CASCADE, related_name="targets", verbose_name=_("policy version")
    )
    level = models.CharField(_("level"), max_length=2, choices=Level.choices)
    kind = models.CharField(_("clock"), max_length=20, choices=ClockKind.choices)
    rule = models.CharField(_("rule"), max_length=20, choices=Rule.choices)
    amount = models.PositiveIntegerField(
        _("minutes or business days"), default=0, help_text=_("Minutes or days, as the rule says.")
    )
    is_around_the_clock = models.BooleanField(_("around the clock"), default=False)
    deliverable = models.CharField(
        _("met by"),
        max_length=20,
        choices=Deliverable.choices,
        blank=True,
        help_text=_("Only for target actions."),
    )
    is_on_request = models.BooleanField(_("only on request"), default=False)
    warn_percents = models.JSONField(
        _("warn at percent of the budget"), default=list, blank=True, help_text=_("Such as [50, 80].")
    )

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["level", "kind"]
        verbose_name = _("SLA target")
        verbose_name_plural = _("SLA targets")
        constraints = [models.UniqueConstraint(fields=["version", "level", "kind"], name="one_target_each")]

    def __str__(self) -> str:
        return f"{self.level} {self.get_kind_display()}: {self.get_rule_display()}"

    def clean(self) -> None:
        if self.rule in (self.Rule.WITHIN_MINUTES, self.Rule.BUSINESS_DAYS) and not self.amount:
            raise ValidationError({"amount": _("Say how many minutes or business days.")})
        if (self.kind == ClockKind.TARGET_ACTION) != bool(self.deliverable):
            raise ValidationError(
                {"deliverable": _("A target action, and only a target action, is met by a deliverable.")}
            )
        percents = self.warn_percents
        if not isinstance(percents, list) or any(
            not isinstance(percent, int) or not 0 < percent < 100 for percent in percents
        ):
            raise ValidationError({"warn_percents": _("Use whole percents from 1 to 99, such as [50, 80].")})

    def as_pure(self) -> sla.Target:
        return sla.Target(
            rule=sla.Rule(self.rule),
            amount=self.amount,
            is_around_the_clock=self.is_around_the_clock,
            deliverable=sla.Deliverable(self.deliverable) if self.deliverable else None,
            is_on_request=self.is_on_request,
            warn_percents=tuple(self.warn_percents),
        )


class CommunicationPlan(models.Model):
    """How the customer is kept informed, and when a resolved incident closes by itself."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    reminder_days = models.PositiveSmallIntegerField(_("days from resolution to the reminder"), default=3)
    close_days = models.PositiveSmallIntegerField(_("days from resolution to closing"), default=5)
    escalation_answer_minutes = models.PositiveSmallIntegerField(
        _("minutes in which a duty manager answers the customer's escalation"),
        default=30,
        help_text=_("Then the head of support is paged."),
    )

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["name"]
        verbose_name = _("communication plan")
        verbose_name_plural = _("communication plans")

    def __str__(self) -> str:
        return self.name


class Topic(models.TextChoices):
    """What a message is about, in the words of the communication plan."""

    RECEIPT = "receipt", _("It is reported, or reported again")
    LEVEL = "level", _("A verdict on the level")
    ANSWER = "answer", _("Answers and questions of an engineer")
    STATUS_UPDATE = "status_update", _("Status updates")
    PROGRESS = "progress", _("Intervention, action plan, release")
    SOLUTION = "solution", _("Restored, resolved, closed")
    RCA = "rca", _("RCA and its prevention actions")
    LATENESS = "lateness", _("Something promised is late")
    CUSTOMER_WROTE = "customer_wrote", _("The customer wrote, confirmed or withdrew")
    ALARM = "alarm", _("An alarm joined, resolved or flapped")


class Involved(models.TextChoices):
    """Who is involved on both sides. `CUSTOMER_ROLES` are the customer's."""

    REPORTER = "reporter", _("The reporter")
    PARTICIPANTS = "participants", _("Whoever wrote in it")
    P1_CONTACTS = "p1_contacts", _("P1 contacts")
    SUBSCRIBERS = "subscribers", _("Colleagues who want to hear of everything")
    ESCALATION_CONTACTS = "escalation_contacts", _("Escalation contacts")
    ROOM = "room", _("The organisation's own channel")
    OWNER = "owner", _("The owner, or whoever is on call while there is none")
    ON_CALL = "on_call", _("On call")
    BACKUP = "backup", _("The backup of whoever is on call")
    DUTY_MANAGER = "duty_manager", _("Duty manager")
    HEAD_OF_SUPPORT = "head_of_support", _("Head of support")
    TEAM = "team", _("The whole team")


CUSTOMER_ROLES = (
    Involved.REPORTER,
    Involved.PARTICIPANTS,
    Involved.P1_CONTACTS,
    Involved.SUBSCRIBERS,
    Involved.ESCALATION_CONTACTS,
    Involved.ROOM,
)
CHANNELS = ("email", "webhook")


def validate_channels(value: object) -> None:
    """Raise ValidationError unless `value` names one or two different channels."""
    if (
        not isinstance(value, list)
        or not value
        or len(set(map(str, value))) < len(value)
        or any(name not in CHANNELS for name in value)
    ):
        raise ValidationError(_("Name the channels in order, such as [“email”, “webhook”]."))


def email_only() -> list[str]:
    return ["email"]


class Hearing(models.Model):
    """A role that hears, and by which channels: all of them, or the next one when the one before fails."""

    level = models.CharField(_("level"), max_length=2, choices=Level.choices)
    role = models.CharField(_("who"), max_length=20, choices=Involved.choices)
    channels = models.JSONField(_("channels, in order"), default=email_only, validators=[validate_channels])
    is_every_channel = models.BooleanField(
        _("by all of them at once"),
        default=False,
        help_text=_("Otherwise by the first; by the next one as soon as it fails."),
    )

    class Meta(TypedModelMeta):
        abstract = True


class CommunicationRule(Hearing):
    """Who of either side hears about a topic at a level, and how."""

    plan = models.ForeignKey(
        CommunicationPlan, models.CASCADE, related_name="rules", verbose_name=_("communication plan")
    )
    topic = models.CharField(_("about"), max_length=20, choices=Topic.choices)

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["level", "topic", "pk"]
        verbose_name = _("communication rule")
        verbose_name_plural = _("communication rules")
        constraints = [
            models.UniqueConstraint(fields=["plan", "level", "topic", "role"], name="one_rule_each")
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.get_topic_display()}: {self.get_role_display()}"


class EscalationStep(Hearing):
    """One link of an escalation chain: at a share of a clock's budget, or so long after its breach."""

    class Stop(models.TextChoices):
        ACKNOWLEDGED = "acknowledged", _("Somebody acknowledges or answers it")
        DELIVERED = "delivered", _("What was promised is delivered")

    plan = models.ForeignKey(
        CommunicationPlan, models.CASCADE, related_name="steps", verbose_name=_("communication plan")
    )
    kind = models.CharField(_("clock"), max_length=20, choices=ClockKind.choices)
    percent = models.PositiveSmallIntegerField(
        _("at percent of the budget"), null=True, blank=True, help_text=_("Empty: at the breach.")
    )
    after_minutes = models.PositiveSmallIntegerField(_("minutes after the breach"), default=0)
    repeat_minutes = models.PositiveSmallIntegerField(
        _("repeated every so many minutes"), null=True, blank=True, help_text=_("Empty: not repeated.")
    )
    max_pages = models.PositiveSmallIntegerField(_("pages at most"), default=1)
    stop = models.CharField(_("until"), max_length=12, choices=Stop.choices, default=Stop.ACKNOWLEDGED)
    makes_major = models.BooleanField(
        _("makes it a major incident"), default=False, help_text=_("Then an RCA is owed.")
    )

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["level", "kind", "pk"]
        verbose_name = _("escalation step")
        verbose_name_plural = _("escalation steps")

    def __str__(self) -> str:
        return f"{self.level} {self.get_kind_display()}: {self.get_role_display()}"

    def clean(self) -> None:
        if self.percent is not None and not 0 < self.percent < 100:
            raise ValidationError({"percent": _("Use a whole percent from 1 to 99, or leave it empty.")})
        if self.percent is not None and self.after_minutes:
            raise ValidationError(
                {"after_minutes": _("Minutes count after the breach: leave percent empty.")}
            )
        if (self.max_pages > 1) != bool(self.repeat_minutes):
            raise ValidationError({"max_pages": _("A repeated page needs its minutes, and its cap.")})


class SupportPlan(models.Model):
    """What one organisation has: a policy version, a calendar, a communication plan, and what it bought beyond."""

    organisation = models.OneToOneField(
        Organisation, models.CASCADE, related_name="support_plan", verbose_name=_("organisation")
    )
    policy_version = models.ForeignKey(
        SLAPolicyVersion, models.PROTECT, related_name="support_plans", verbose_name=_("SLA policy version")
    )
    calendar = models.ForeignKey(
        BusinessCalendar,
        models.PROTECT,
        related_name="support_plans",
        verbose_name=_("business calendar"),
    )
    communication_plan = models.ForeignKey(
        CommunicationPlan,
        models.PROTECT,
        related_name="support_plans",
        verbose_name=_("communication plan"),
    )
    maintenance_plan = models.ForeignKey(
        MaintenancePlan,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="support_plans",
        verbose_name=_("maintenance plan"),
        help_text=_("Empty: the standard notice periods and reminders."),
    )
    has_dedicated_channel = models.BooleanField(_("dedicated channel"), default=False)
    has_bridge = models.BooleanField(_("live incident bridge"), default=False)
    conference_template = models.CharField(
        _("address of the bridge's conference"),
        max_length=300,
        blank=True,
        help_text=_(
            "Such as https://meet.example.com/{key}: {key} is random for each bridge, {reference} the"
            " incident's. Empty: the installation's own."
        ),
    )

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["organisation__name"]
        verbose_name = _("support plan")
        verbose_name_plural = _("support plans")

    def __str__(self) -> str:
        return f"{self.organisation} · {self.policy_version}"

    def clean(self) -> None:
        problem = template_problem(self.conference_template) if self.conference_template else ""
        if problem:
            raise ValidationError({"conference_template": gettext(problem)})


class CannedText(models.Model):
    """A text that staff write often, offered by the composer."""

    title = models.CharField(_("title"), max_length=120, unique=True)
    text = models.TextField(_("text"))

    history = HistoricalRecords()

    class Meta(TypedModelMeta):
        ordering = ["title"]
        verbose_name = _("canned text")
        verbose_name_plural = _("canned texts")

    def __str__(self) -> str:
        return self.title
