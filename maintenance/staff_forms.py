"""The staff's forms: one per verb, with the verb's inputs, and the form of a window before its approval.

Wall times in them are of the window's own zone, which each of them names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from maintenance import actions
from maintenance.audiences import staff
from maintenance.forms import LOCAL, MomentField, moment_field, text_field
from maintenance.models import (
    Consent,
    Decision,
    MaintenanceWindow,
    RollbackCondition,
    WindowStep,
)
from portal.access import looked_after
from portal.middleware import zone_info
from portal.models import Organisation, Service, User
from portal.models.accounts import time_zones
from portal.models.service_impact import Impact

CUSTOMERS_READ_IT = _("Customers read it.")
INTERNAL = _("Internal: no customer reads it.")


def wall_time(at: datetime | None, zone: str) -> str:
    """The time as a form of that zone shows it."""
    return at.astimezone(zone_info(zone)).strftime(LOCAL) if at else ""


class ZonedForm(forms.Form):
    """A form whose wall times are of one zone, and say so."""

    zone = "UTC"

    def full_clean(self) -> None:
        with timezone.override(zone_info(self.zone)):
            super().full_clean()

    def name_zone(self) -> None:
        for field in self.fields.values():
            if isinstance(field, MomentField):
                words = _now("Wall time in %(zone)s.") % {"zone": self.zone}
                field.help_text = f"{field.help_text} {words}".strip()


class VerbForm(ZonedForm):
    """A verb's inputs, with the revision that its page was made from.

    `part` is the row that the verb is about, where it is not the window itself.
    """

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)

    def __init__(self, *args: Any, window: MaintenanceWindow, part: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.window, self.part, self.zone = window, part, window.time_zone
        self.name_zone()

    def inputs(self) -> dict[str, Any]:
        """What the verb takes, by its own names."""
        return dict(self.cleaned_data)


class EmptyForm(VerbForm):
    pass


class ReasonForm(VerbForm):
    reason = text_field(_("Reason"), help_text=CUSTOMERS_READ_IT)


class InternalReasonForm(VerbForm):
    reason = text_field(_("Reason"), help_text=INTERNAL)


class MoveForm(ReasonForm):
    starts_at = moment_field(_("New start"))
    ends_at = moment_field(_("New end"))
    rollback_decision_at = moment_field(_("New rollback decision time"))
    field_order = ["starts_at", "ends_at", "rollback_decision_at", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("starts_at", "ends_at", "rollback_decision_at"):
            self.fields[name].initial = wall_time(getattr(self.window, name), self.zone)


class TickForm(VerbForm):
    is_done = forms.TypedChoiceField(
        label=_("The step is"),
        choices=[("yes", _("Done")), ("no", _("Not done"))],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
    )


class ConditionForm(VerbForm):
    measured = forms.CharField(
        label=_("Measured"), max_length=100, help_text=_("Such as: 0.4 %. Customers read it.")
    )
    is_met = forms.TypedChoiceField(
        label=_("The condition is"),
        choices=[("no", _("Within the limit")), ("yes", _("Met: roll back"))],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
    )


class DecisionForm(VerbForm):
    decision = forms.ChoiceField(label=_("Decision"), choices=Decision.choices, widget=forms.RadioSelect)
    reason = text_field(_("Reason"), help_text=_("Customers read it if the work is rolled back."))


class ExtensionForm(InternalReasonForm):
    until = moment_field(_("New end"))
    reason = text_field(
        _("Why"), help_text=_("A colleague approves it; then customers read it with the new end.")
    )
    field_order = ["until", "reason"]


class CompleteForm(VerbForm):
    outcome = text_field(_("How did it end?"), help_text=CUSTOMERS_READ_IT)


class PostForm(VerbForm):
    text = text_field(_("Progress"), help_text=_("Markdown works: **bold**, lists, `code`."))
    is_public = forms.BooleanField(
        label=_("Customers read it"), required=False, initial=True, help_text=_("Otherwise it is internal.")
    )
    next_update_at = moment_field(_("Next update"), required=False, help_text=_("When customers hear next."))


class ConsentForm(VerbForm):
    """The vendor's own decision on an overlap."""

    words = text_field(_("Reason"), help_text=INTERNAL)


class OverrideForm(VerbForm):
    reason = text_field(_("Reason"), help_text=_("The organisation reads it."))


@dataclass(frozen=True)
class StaffVerb:
    """A verb as the desk offers it. `part` is the kind of row that it is about, if not the window."""

    name: str
    title: Any
    button: Any
    form: type[VerbForm]
    tells: bool = False  # whether the customers' people hear of it
    part: Any = None

    @property
    def verb(self) -> Callable[..., Any]:
        return getattr(actions, self.name)


STAFF_VERBS = {
    verb.name: verb
    for verb in [
        StaffVerb("propose", _("Propose"), _("Propose it for approval"), EmptyForm),
        StaffVerb("approve", _("Approve"), _("Approve"), EmptyForm),
        StaffVerb("return_to_draft", _("Return to draft"), _("Return it"), InternalReasonForm),
        StaffVerb("announce", _("Announce"), _("Announce"), EmptyForm, tells=True),
        StaffVerb("move_window", _("Move"), _("Move it"), MoveForm, tells=True),
        StaffVerb("start", _("Start"), _("Start the work"), EmptyForm, tells=True),
        StaffVerb("decide", _("Decide: go on or roll back"), _("Decide"), DecisionForm),
        StaffVerb("ask_extension", _("Ask for an extension"), _("Ask a colleague"), ExtensionForm),
        StaffVerb("approve_extension", _("Approve the extension"), _("Approve"), EmptyForm, tells=True),
        StaffVerb("refuse_extension", _("Refuse the extension"), _("Refuse"), InternalReasonForm),
        StaffVerb("order_rollback", _("Order the rollback"), _("Roll back"), ReasonForm, tells=True),
        StaffVerb("begin_verification", _("Begin the verification"), _("Begin"), EmptyForm, tells=True),
        StaffVerb("complete", _("Close the window"), _("Close it"), CompleteForm, tells=True),
        StaffVerb("cancel", _("Cancel the window"), _("Cancel it"), ReasonForm, tells=True),
        StaffVerb("post", _("Post"), _("Post"), PostForm, tells=True),
        StaffVerb("tick_step", _("Tick a step"), _("Record"), TickForm, part=WindowStep),
        StaffVerb("check_condition", _("Check a rollback condition"), _("Record"), ConditionForm, part=RollbackCondition),
        StaffVerb("give_consent", _("Go on nevertheless"), _("Go on nevertheless"), ConsentForm, part=Consent),
        StaffVerb("refuse_consent", _("Refuse"), _("Refuse"), ConsentForm, part=Consent),
        StaffVerb("override_consent", _("Override the missing consent"), _("Override"), OverrideForm, part=Consent),
    ]
}  # fmt: skip


# --- a window before its approval ---

NOT_AFFECTED = ""


class WindowForm(ZonedForm):
    """All that a window says. Each service has a field `impact_<id>`; steps and conditions come a line each."""

    title = forms.CharField(label=_("What is done?"), max_length=200)
    description = text_field(
        _("Details"), help_text=_("Customers read it. Markdown works: **bold**, lists, `code`."), rows=6
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone of the window"),
        help_text=_("The wall times below are of this zone. Readers see theirs as well."),
    )
    starts_at = moment_field(_("Start"))
    ends_at = moment_field(_("End"))
    rollback_decision_at = moment_field(
        _("Rollback decision time"),
        help_text=_("If not all steps are done by then, the owner decides: go on or roll back."),
    )
    owner = forms.ModelChoiceField(User.objects.none(), label=_("Owner"), help_text=_("Leads the work."))
    steps = text_field(_("Steps"), help_text=_("One a line, in their order."), rows=6)
    conditions = text_field(
        _("Rollback conditions"),
        help_text=_(
            "One a line: what is measured | limit, such as: Error rate over 5 minutes | more than 2 %"
        ),
    )
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)

    def __init__(self, *args: Any, window: MaintenanceWindow | None, reader: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.window = window
        self.fields["owner"].queryset = staff()  # type: ignore[attr-defined]
        zones: Any = self.fields["time_zone"]
        zones.choices = [(name, name) for name in sorted(time_zones())]
        self.services = list(Service.objects.filter(is_active=True))
        for service in self.services:
            self.fields[f"impact_{service.pk}"] = forms.ChoiceField(
                label=service.name,
                required=False,
                choices=[(NOT_AFFECTED, _("not affected")), *Impact.choices],
            )
        self.zone = self._zone(reader)

    def _zone(self, reader: User) -> str:
        given = self.data.get("time_zone") if self.is_bound else self.initial.get("time_zone")
        return given if given in time_zones() else reader.time_zone or timezone.get_current_timezone_name()

    def rest(self) -> Iterator[Any]:
        """The visible fields but for the impacts, which have a table."""
        return (field for field in self.visible_fields() if not field.name.startswith("impact_"))

    def impacts(self) -> Iterator[Any]:
        return (self[f"impact_{service.pk}"] for service in self.services)

    def affected(self) -> list[tuple[Service, str]]:
        """The services with an impact, as far as the form says so yet."""
        found = [(service, self.cleaned_data.get(f"impact_{service.pk}")) for service in self.services]
        return [(service, impact) for service, impact in found if impact]

    def clean_steps(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["steps"].splitlines() if line.strip()]

    def clean_conditions(self) -> list[tuple[str, str]]:
        lines = [line.strip() for line in self.cleaned_data["conditions"].splitlines() if line.strip()]
        return [self._condition(line, number) for number, line in enumerate(lines, start=1)]

    def _condition(self, line: str, number: int) -> tuple[str, str]:
        measure, _bar, limit = (part.strip() for part in line.rpartition("|"))
        if not measure or not limit:
            raise ValidationError(_now("Line %(n)s: write what is measured | limit.") % {"n": number})
        return measure, limit

    def inputs(self) -> dict[str, Any]:
        """What `draft_window` and `change_window` take; the revision is for the latter."""
        kept = {name: value for name, value in self.cleaned_data.items() if not name.startswith("impact_")}
        return kept | {"services": self.affected()}


def initial_of(window: MaintenanceWindow) -> dict[str, Any]:
    """The form's values of a window, also for the draft of a new attempt."""
    moments = ("starts_at", "ends_at", "rollback_decision_at")
    return {
        "title": window.title,
        "description": window.description,
        "time_zone": window.time_zone,
        "owner": window.owner_id,
        "steps": "\n".join(step.text for step in window.steps.all()),
        "conditions": "\n".join(f"{row.measure} | {row.limit}" for row in window.conditions.all()),
        "revision": window.revision,
        **{name: wall_time(getattr(window, name), window.time_zone) for name in moments},
        **{f"impact_{row.service_id}": row.impact for row in window.affected.all()},
    }


class StaffFreezeForm(ZonedForm):
    """A freeze that a customer asked for by telephone, say. Wall times are of the reader's zone."""

    organisation = forms.ModelChoiceField(
        Organisation.objects.filter(is_active=True, is_vendor=False), label=_("Organisation")
    )
    service = forms.ModelChoiceField(
        Service.objects.filter(is_active=True),
        label=_("Service"),
        required=False,
        empty_label=_("Every service"),
    )
    starts_at = moment_field(_("Starts"))
    ends_at = moment_field(_("Ends"))
    reason = forms.CharField(label=_("Reason"), max_length=300)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("organisation", "service"):
            field: Any = self.fields[name]
            field.queryset = looked_after(field.queryset, user)
        self.zone = timezone.get_current_timezone_name()
        self.name_zone()
