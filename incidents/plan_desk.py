"""The communication plan as staff edit it: for each level who hears what, and who is called when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.models import CommunicationPlan, CommunicationRule, EscalationStep
from incidents.models.agreement import CUSTOMER_ROLES, ClockKind, Hearing, Involved, Level, Topic
from incidents.models.plans import Rule
from portal.admin_base import CarefulFormSet, RoleTabularInline, SelectWidget

# How a role is reached: what staff choose, as the columns that say the same.
WAYS: dict[str, tuple[Any, list[str], bool]] = {
    "email": (gettext_lazy("E-mail"), ["email"], False),
    "webhook": (gettext_lazy("Webhook"), ["webhook"], False),
    "email-webhook": (gettext_lazy("E-mail, then webhook if it fails"), ["email", "webhook"], False),
    "webhook-email": (gettext_lazy("Webhook, then e-mail if it fails"), ["webhook", "email"], False),
    "both": (gettext_lazy("Both at once"), ["email", "webhook"], True),
}
# What each side hears of at all; a rule for the other side would never be used.
ONLY_STAFF = (Topic.CUSTOMER_WROTE, Topic.ALARM)
BOTH_SIDES = (Topic.RECEIPT,)
TO_CUSTOMER = tuple(topic for topic in Topic if topic not in ONLY_STAFF)


def way_of(channels: list[str], is_every_channel: bool) -> str:
    """The choice that says the same as the two columns."""
    return "both" if is_every_channel and len(channels) > 1 else "-".join(channels)


def silent_topics(rules: Iterable[Rule]) -> list[tuple[str, str]]:
    """The (level, topic) pairs of which nobody on the customer's side hears, in the plan's order.

    An organisation's own channel is nobody: several share a plan, and not each of them has one.
    """
    told = {
        (rule.level, rule.topic)
        for rule in rules
        if rule.role in CUSTOMER_ROLES and rule.role != Involved.ROOM
    }
    return [(level, topic) for level in Level for topic in TO_CUSTOMER if (level, topic) not in told]


def silence_words(rules: Iterable[Rule]) -> list[str]:
    """Each silent topic as a warning that says what to do."""
    rules = list(rules)
    in_rooms = {(rule.level, rule.topic) for rule in rules if rule.role == Involved.ROOM}
    nobody = _(
        "%(level)s: nobody on the customer's side hears of “%(topic)s”. Add a rule, such as for the reporter."
    )
    no_person = _(
        "%(level)s: of “%(topic)s” only the organisation's own channel hears, and nobody where there is none."
        " Add a rule, such as for the reporter."
    )
    return [
        (no_person if (level, topic) in in_rooms else nobody) % {"level": level, "topic": Topic(topic).label}
        for level, topic in silent_topics(rules)
    ]


class HearingForm(forms.ModelForm):
    """A rule or a step of one level; its channels are one choice."""

    way = forms.ChoiceField(
        label=gettext_lazy("channels"),
        choices=[(name, label) for name, (label, _channels, _every) in WAYS.items()],
        initial="email",
        widget=SelectWidget,
    )

    def __init__(self, *args: Any, level: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.level = level
        if "way" in self.fields:
            self.fields["way"].widget.attrs["aria-label"] = str(self.fields["way"].label)
        if "level" in self.fields:  # not in a form that is only read
            self.fields["level"].required = False
        self.initial["level"] = level
        if self.instance.pk:
            self.initial["way"] = way_of(self.instance.channels, self.instance.is_every_channel)

    def clean_level(self) -> str:
        """The level is that of the table in which the row stands, whatever was sent."""
        return self.level

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "way" in data:
            _label, channels, is_every_channel = WAYS[data["way"]]
            self.instance.channels, self.instance.is_every_channel = list(channels), is_every_channel
        return data


class RuleForm(HearingForm):
    class Meta:
        model = CommunicationRule
        fields = ["level", "topic", "role", "way"]
        widgets: ClassVar[dict[str, Any]] = {"level": forms.HiddenInput}

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        topic, role = data.get("topic"), data.get("role")
        if not topic or not role or topic in BOTH_SIDES:
            return data
        if role in CUSTOMER_ROLES and topic in ONLY_STAFF:
            self.add_error("role", _("The customer is not told of this. Choose somebody of our side."))
        if role not in CUSTOMER_ROLES and topic not in ONLY_STAFF:
            self.add_error("role", _("This is told to the customer. Choose somebody of the customer's side."))
        return data


class StepForm(HearingForm):
    class Meta:
        model = EscalationStep
        fields = ["level", "kind", "percent", "after_minutes", "role", "way", "repeat_minutes", "max_pages",
                  "stop", "makes_major"]  # fmt: skip
        widgets: ClassVar[dict[str, Any]] = {"level": forms.HiddenInput}
        labels: ClassVar[dict[str, Any]] = {
            "percent": gettext_lazy("% of its time"),
            "after_minutes": gettext_lazy("min late"),
            "repeat_minutes": gettext_lazy("again every … min"),
            "max_pages": gettext_lazy("times at most"),
            "makes_major": gettext_lazy("makes it major"),
        }

    def __init__(self, *args: Any, level: str, **kwargs: Any) -> None:
        super().__init__(*args, level=level, **kwargs)
        for name in {"after_minutes", "max_pages"} & set(self.fields):
            self.fields[name].required = False

    def clean_after_minutes(self) -> int:
        """Empty: at the breach itself."""
        return self.cleaned_data["after_minutes"] or 0

    def clean_max_pages(self) -> int:
        """Empty: once."""
        return self.cleaned_data["max_pages"] or 1

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        is_early = data.get("percent") is not None or data.get("after_minutes")
        if data.get("role") in CUSTOMER_ROLES and (is_early or data.get("repeat_minutes")):
            self.add_error(
                "role",
                _("The customer is told once, at the breach: leave percent, minutes and repetition empty."),
            )
        return data


class LevelFormSet(CarefulFormSet):
    """The rows of one level."""

    level = ""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return super().get_form_kwargs(index) | {"level": self.level}


class RuleFormSet(LevelFormSet):
    def clean(self) -> None:
        """Refuse what somebody else added meanwhile; Django checks only the rows of this page."""
        super().clean()
        shown = [form.instance.pk for form in self.forms if form.instance.pk]
        others = CommunicationRule.objects.filter(plan=self.instance, level=self.level).exclude(pk__in=shown)
        taken = set(others.values_list("topic", "role"))
        for form in self.forms:
            data = form.cleaned_data if form.is_valid() else {}
            if (data.get("topic"), data.get("role")) in taken and not data.get("DELETE"):
                raise ValidationError(
                    _("“%(rule)s” is in the plan already. Open the page again to see it.")
                    % {"rule": form.instance}
                )


class StepFormSet(LevelFormSet):
    def clean(self) -> None:
        """A page is remembered by its moment and role: two steps of the same would be one."""
        super().clean()
        seen: set[tuple[Any, ...]] = set()
        for form in self.forms:
            data = form.cleaned_data if form.is_valid() else {}
            if not data or data.get("DELETE"):
                continue
            key = tuple(data[name] for name in ("kind", "percent", "after_minutes", "role"))
            if key in seen:
                raise ValidationError(
                    _(
                        "Two steps page the same people of the same clock at the same moment. Keep one of them."
                    )
                )
            seen.add(key)


class LevelInline(RoleTabularInline):
    """One level's rows, as a tab of the plan's page."""

    level = ""
    tab = True
    hide_title = True
    subject = ""  # the column whose declared order is that of the rows
    subjects: ClassVar[list[str]] = []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hearing]:
        places = [When(**{self.subject: value}, then=Value(n)) for n, value in enumerate(self.subjects)]
        return super().get_queryset(request).filter(level=self.level).order_by(Case(*places), "pk")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = list(super().get_fields(request, obj))
        return fields if self.has_change_permission(request, obj) else fields[1:]  # the tab says the level

    @admin.display(description=gettext_lazy("channels"))
    def way(self, row: Hearing) -> str:
        """The channels for whoever may only read."""
        return str(WAYS[way_of(row.channels, row.is_every_channel)][0])

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        formset.level = self.level
        return formset


class RuleInline(LevelInline):
    model = CommunicationRule
    form = RuleForm
    formset = RuleFormSet
    fields = ["level", "topic", "role", "way"]
    subject, subjects = "topic", Topic.values


class StepInline(LevelInline):
    model = EscalationStep
    form = StepForm
    formset = StepFormSet
    fields = StepForm.Meta.fields
    subject, subjects = "kind", ClockKind.values


def of_level(inline: type[LevelInline], level: str, title: Any) -> type[LevelInline]:
    """The inline for one level."""
    texts = {"level": level, "verbose_name_plural": title}
    return type(f"{level}{inline.__name__}", (inline,), texts)


INLINES = [
    of_level(RuleInline, "P1", gettext_lazy("P1: who hears")),
    of_level(StepInline, "P1", gettext_lazy("P1: escalation")),
    of_level(RuleInline, "P2", gettext_lazy("P2: who hears")),
    of_level(StepInline, "P2", gettext_lazy("P2: escalation")),
    of_level(RuleInline, "P3", gettext_lazy("P3: who hears")),
    of_level(StepInline, "P3", gettext_lazy("P3: escalation")),
]


def plan_warnings(plan: CommunicationPlan) -> list[str]:
    """What of a plan leaves the customer unheard; nothing for a plan without rules, which is the standard."""
    rows = plan.rules.values_list("level", "topic", "role")
    rules = [Rule(level, topic, role) for level, topic, role in rows]
    return silence_words(rules) if rules else []
