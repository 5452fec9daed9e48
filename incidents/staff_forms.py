"""The staff's forms: one per verb. Their fields are the verb's inputs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from incidents import actions
from incidents.forms import MARKDOWN_HELP, files_field, text_field
from incidents.models import Article, Incident, Level, SLAPolicyVersion, StatusUpdate
from portal.access import looked_after, with_limits
from portal.forms import LongSelect
from portal.models import CalendarVersion, Membership, Organisation, Service, User
from portal.models.service_impact import Impact


def agents(incident: Incident | None = None) -> Any:
    """The staff; with an incident those who look after its organisation."""
    found = User.objects.filter(is_active=True, is_staff=True).exclude(staff_role="")
    return with_limits(found, incident.organisation_id) if incident else found


def moment_field(label: Any, *, required: bool = False, help_text: Any = "") -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, required=required, help_text=help_text, widget=widget)


def day_field(label: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))


class VerbForm(forms.Form):
    """A verb's inputs, with the revision that its page was made from."""

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self, *args: Any, incident: Incident | None = None, user: User | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.incident, self.user = incident, user
        for field in self.fields.values():
            if user is not None and isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
                field.queryset = looked_after(field.queryset, user)

    def inputs(self) -> dict[str, Any]:
        """What the verb takes, by its own names."""
        data = {name: value for name, value in self.cleaned_data.items() if name != "seen"}
        if "attachments" in data:
            data["files"] = data.pop("attachments")
        return data


class EmptyForm(VerbForm):
    pass


class TextForm(VerbForm):
    text = text_field(_("Text"), help_text=MARKDOWN_HELP)
    attachments = files_field()


class AnswerForm(VerbForm):
    text = text_field(_("Text"), help_text=MARKDOWN_HELP)


class OptionalTextForm(VerbForm):
    text = text_field(_("Text for the customer"), required=False)


class ReasonForm(VerbForm):
    reason = text_field(_("Reason"), help_text=_("The customer reads it."))


class LevelForm(ReasonForm):
    level = forms.ChoiceField(label=_("Level"), choices=Level.choices, widget=forms.RadioSelect)
    field_order = ["level", "reason"]


class DecisionForm(ReasonForm):
    is_upheld = forms.TypedChoiceField(
        label=_("Decision"),
        choices=[("yes", _("Uphold: as if it had never been lowered")), ("no", _("The lower level stays"))],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
    )
    field_order = ["is_upheld", "reason"]


class AssignForm(VerbForm):
    assignee = forms.ModelChoiceField(User.objects.none(), label=_("Owner"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["assignee"].queryset = agents(self.incident)  # type: ignore[attr-defined]


class InterventionForm(VerbForm):
    engineer = forms.ModelChoiceField(
        User.objects.none(), label=_("Engineer"), required=False, empty_label=_("Myself")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["engineer"].queryset = agents(self.incident)  # type: ignore[attr-defined]


STEP = re.compile(r"^(?P<text>.+?)\s*\|\s*(?P<owner>.+?)\s*\|\s*(?P<due>\d{4}-\d{2}-\d{2})$")


class ActionPlanForm(VerbForm):
    summary = text_field(_("Summary"), required=False)
    steps = text_field(
        _("Steps"),
        help_text=_("One a line: what | owner | date, such as: Roll back node 3 | Deniz | 2026-12-01"),
    )
    next_review_at = moment_field(_("Next review"), required=True)

    def clean_steps(self) -> list[dict[str, Any]]:
        lines = [line.strip() for line in self.cleaned_data["steps"].splitlines() if line.strip()]
        return [self._step(line, number) for number, line in enumerate(lines, start=1)]

    def _step(self, line: str, number: int) -> dict[str, Any]:
        match = STEP.match(line)
        if not match:
            raise ValidationError(_("Line %(n)s: write what | owner | date.") % {"n": number})
        try:
            due_on = date.fromisoformat(match["due"])
        except ValueError as error:
            raise ValidationError(_("Line %(n)s: there is no such date.") % {"n": number}) from error
        return {"text": match["text"], "owner": match["owner"], "due_on": due_on}


class StatusUpdateForm(VerbForm):
    condition = forms.ChoiceField(
        label=_("State"),
        choices=StatusUpdate.Condition.choices,
        initial=StatusUpdate.Condition.IN_PROGRESS,
    )
    summary = text_field(_("Summary"))
    impact = text_field(_("Impact"), required=False)
    next_steps = text_field(_("Next steps"), required=False)
    next_update_at = moment_field(_("Next update"), help_text=_("Empty: the plan's interval."))


class ScheduledUpdateForm(StatusUpdateForm):
    publish_at = moment_field(_("Publish at"), required=True)
    field_order = ["publish_at", "condition", "summary", "impact", "next_steps", "next_update_at"]


class PlanReleaseForm(VerbForm):
    version = forms.CharField(label=_("Version"), max_length=60)
    planned_on = day_field(_("Planned date"))


class MoveReleaseForm(VerbForm):
    planned_on = day_field(_("New date"))


class SolutionForm(VerbForm):
    article = forms.ModelChoiceField(Article.objects.none(), label=_("Article"))
    text = text_field(_("Answer"), help_text=MARKDOWN_HELP)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = Article.objects.published()
        self.fields["article"].queryset = looked_after(found, self.user) if self.user else found  # type: ignore[attr-defined]


class ResolveForm(VerbForm):
    cause = text_field(_("Cause"))
    remedy = text_field(_("What was done"))


class DuplicateForm(ReasonForm):
    original = forms.CharField(label=_("Duplicate of"), max_length=30, help_text=_("Such as INC-1042."))
    field_order = ["original", "reason"]

    def clean_original(self) -> Incident:
        seen = Incident.objects.visible_to(self.user) if self.user else Incident.objects.all()
        found = seen.by_reference(self.cleaned_data["original"].strip().upper()).first()
        if found is None:
            raise ValidationError(_("There is no such incident."))
        return found


class PromiseForm(VerbForm):
    policy_version = forms.ModelChoiceField(SLAPolicyVersion.objects.all(), label=_("SLA policy version"))
    calendar_version = forms.ModelChoiceField(
        CalendarVersion.objects.select_related("calendar"), label=_("Calendar version")
    )


class StaffOpenForm(forms.Form):
    """File on behalf of a customer, by telephone say."""

    organisation = forms.ModelChoiceField(
        Organisation.objects.filter(is_active=True), label=_("Organisation"), widget=LongSelect
    )
    reporter = forms.EmailField(label=_("Reporter's e-mail address"))
    title = forms.CharField(label=_("What is broken?"), max_length=200)
    claimed_level = forms.ChoiceField(
        label=_("Level that the customer claims"), choices=Level.choices, widget=forms.RadioSelect
    )
    services = forms.ModelMultipleChoiceField(
        Service.objects.filter(is_active=True),
        label=_("Affected services"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    impact = forms.ChoiceField(label=_("Impact"), choices=Impact.choices, initial=Impact.DEGRADED)
    description = text_field(_("What happens, since when, for whom?"), required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("organisation", "services"):
            field: Any = self.fields[name]
            field.queryset = looked_after(field.queryset, user)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("organisation") and data.get("reporter"):
            membership = Membership.objects.filter(
                organisation=data["organisation"], user__email=data["reporter"].lower(), user__is_active=True
            ).first()
            if membership is None:
                raise ValidationError({"reporter": _("No such person in this organisation.")})
            data["reporter"] = membership.user
        return data


@dataclass(frozen=True)
class StaffVerb:
    """A verb as the desk offers it."""

    name: str
    title: Any
    button: Any
    form: type[VerbForm]
    event: str = ""  # the kind of event whose audience the button counts

    @property
    def verb(self) -> Callable[..., Any]:
        return getattr(actions, self.name)


STAFF_VERBS = {
    verb.name: verb
    for verb in [
        StaffVerb("reply", _("Public reply"), _("Send"), TextForm, "staff_replied"),
        StaffVerb("publish_status_update", _("Status update"), _("Publish"), StatusUpdateForm, "status_update_published"),
        StaffVerb("add_note", _("Internal note"), _("Keep the note"), TextForm),
        StaffVerb("ask_customer", _("Ask the customer"), _("Ask"), TextForm, "question_asked"),
        StaffVerb("validate_level", _("Validate the level"), _("Validate"), LevelForm, "level_validated"),
        StaffVerb("decide_contest", _("Decide the contest"), _("Decide"), DecisionForm, "contest_decided"),
        StaffVerb("answer_escalation", _("Answer the escalation"), _("Send"), AnswerForm, "escalation_answered"),
        StaffVerb("acknowledge", _("Acknowledge"), _("Acknowledge"), EmptyForm),
        StaffVerb("assign", _("Assign"), _("Assign"), AssignForm),
        StaffVerb("start_intervention", _("Start the intervention"), _("Start"), InterventionForm, "intervention_started"),
        StaffVerb("file_action_plan", _("File the action plan"), _("File"), ActionPlanForm, "action_plan_filed"),
        StaffVerb("schedule_status_update", _("Schedule an update"), _("Schedule"), ScheduledUpdateForm, "status_update_published"),
        StaffVerb("release_held_update", _("Publish the pending update"), _("Publish"), EmptyForm, "status_update_published"),
        StaffVerb("discard_status_update", _("Discard the pending update"), _("Discard"), EmptyForm),
        StaffVerb("plan_release", _("Plan a release"), _("Plan"), PlanReleaseForm, "release_planned"),
        StaffVerb("move_release", _("Move the release"), _("Move"), MoveReleaseForm, "release_moved"),
        StaffVerb("ship_release", _("Ship the release"), _("It is out"), OptionalTextForm, "release_shipped"),
        StaffVerb("withdraw_release", _("Withdraw the release"), _("Withdraw"), ReasonForm, "release_withdrawn"),
        StaffVerb("document_solution", _("Document a solution"), _("Send"), SolutionForm, "solution_documented"),
        StaffVerb("restore", _("Service restored"), _("Record"), OptionalTextForm, "restored"),
        StaffVerb("resolve", _("Resolve"), _("Resolve"), ResolveForm, "resolved"),
        StaffVerb("reopen", _("Reopen"), _("Reopen"), ReasonForm, "reopened"),
        StaffVerb("withdraw", _("Withdraw for the customer"), _("Withdraw"), ReasonForm, "withdrawn"),
        StaffVerb("mark_duplicate", _("Mark as duplicate"), _("Close as duplicate"), DuplicateForm, "marked_duplicate"),
        StaffVerb("request_rca", _("Request an RCA"), _("Request"), EmptyForm, "rca_requested"),
        StaffVerb("declare_major", _("Declare a major incident"), _("Declare it"), ReasonForm, "declared_major"),
        StaffVerb("change_promise", _("Move to another agreement"), _("Move the clocks"), PromiseForm, "promise_changed"),
    ]
}  # fmt: skip
COMPOSER = ("reply", "publish_status_update", "ask_customer", "add_note")
