"""The staff's forms of an RCA: its text with moments, redactions and actions, and one form per verb."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BaseFormSet, formset_factory
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incidents import actions
from incidents.actions import ActionInput, MomentInput, RedactionInput
from incidents.forms import MARKDOWN_HELP, text_field
from incidents.models import RCA, Incident, PreventionAction
from incidents.rca_reading import actions_of, readers_of
from incidents.standard_rca import TEXT_LABELS
from portal.models import Organisation, User

HELP = {
    "summary": _("Three sentences for whoever reads nothing else."),
    "impact": _("What the customer felt, of which services, how long. Needed for the review."),
    "detection": _("How we noticed, and how long that took."),
    "root_cause": _("Why it could happen, not only what broke. Needed for the review."),
}
SECONDS = "%Y-%m-%dT%H:%M:%S"
SPARE_ROWS = 3


def agents() -> Any:
    return User.objects.filter(is_active=True, is_staff=True).exclude(staff_role="").order_by("name")


def day_input() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


# --- the text ---


class TextsForm(forms.Form):
    """The seven texts, with the revision that the page was made from."""

    revision = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in RCA.TEXTS:
            help_text = HELP.get(name, MARKDOWN_HELP)
            self.fields[name] = text_field(TEXT_LABELS[name], required=False, help_text=help_text)


class MomentField(forms.DateTimeField):
    """A local time in the reader's zone; in the hour that the clock shows twice, the first of the two."""

    def to_python(self, value: Any) -> datetime | None:
        with timezone.override(UTC):
            typed = super().to_python(value)
        return timezone.make_aware(typed.replace(tzinfo=None)) if typed else None


class MomentRow(forms.Form):
    at = MomentField(
        label=_("When"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format=SECONDS),
    )
    text = forms.CharField(label=_("What happened"), max_length=500)

    def clean(self) -> dict[str, Any]:
        """A time that nobody touched stays the instant that it was, also where the clock shows it twice."""
        data = super().clean() or {}
        was = self.initial.get("at")
        if was and self.data.get(self.add_prefix("at")) == timezone.localtime(was).strftime(SECONDS):
            data["at"] = was
        return data


class RedactionRow(forms.Form):
    words = forms.CharField(label=_("Words"), max_length=300)
    organisation = forms.ModelChoiceField(
        Organisation.objects.none(), label=_("For"), required=False, empty_label=_("every organisation")
    )
    instead = forms.CharField(label=_("Shown instead"), max_length=300, required=False, initial="█████")

    def __init__(self, *args: Any, readers: list[Organisation], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = Organisation.objects.filter(pk__in=[reader.pk for reader in readers])
        self.fields["organisation"].queryset = found.order_by("name")  # type: ignore[attr-defined]

    def has_changed(self) -> bool:
        """A row whose words are empty is a spare one, whatever stands in the other columns."""
        return bool(self.data.get(self.add_prefix("words"), "").strip()) or bool(self.initial.get("words"))


class ActionRow(forms.Form):
    number = forms.IntegerField(widget=forms.HiddenInput, required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=PreventionAction.Kind.choices)
    text = forms.CharField(label=_("Action"), max_length=500)
    owner = forms.ModelChoiceField(User.objects.none(), label=_("Owner"), required=False)
    due_on = forms.DateField(label=_("Due on"), required=False, widget=day_input())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = agents()  # type: ignore[attr-defined]

    def has_changed(self) -> bool:
        return bool(self.data.get(self.add_prefix("text"), "").strip()) or bool(self.initial.get("text"))


def rows_of(form: type[forms.Form]) -> type[BaseFormSet]:
    return formset_factory(form, extra=SPARE_ROWS, can_delete=True, max_num=300, absolute_max=400)


MomentRows, RedactionRows, ActionRows = rows_of(MomentRow), rows_of(RedactionRow), rows_of(ActionRow)


class Editor:
    """The whole working text as one form. `data` is what was posted, or None to show what stands there."""

    def __init__(self, rca: RCA, data: Any = None) -> None:
        self.rca = rca
        texts = {name: getattr(rca, name) for name in RCA.TEXTS}
        self.texts = TextsForm(data, initial={"revision": rca.revision, **texts})
        readers = readers_of(rca)
        self.moments = MomentRows(
            data, prefix="moments", initial=[{"at": row.at, "text": row.text} for row in rca.moments.all()]
        )
        self.redactions = RedactionRows(
            data,
            prefix="redactions",
            initial=list(rca.redactions.values("words", "organisation", "instead")),
            form_kwargs={"readers": readers},
        )
        self.open = [action for action in actions_of(rca) if action.first_due_on is None]
        self.promised = [action for action in actions_of(rca) if action.first_due_on is not None]
        self.actions = ActionRows(data, prefix="actions", initial=[_row(action) for action in self.open])
        self.formsets = (self.moments, self.redactions, self.actions)

    def is_valid(self) -> bool:
        return all([self.texts.is_valid(), *(formset.is_valid() for formset in self.formsets)])

    def inputs(self) -> dict[str, Any]:
        """What `save_rca` takes."""
        texts = dict(self.texts.cleaned_data)
        return {
            "revision": texts.pop("revision"),
            "texts": texts,
            "moments": [MomentInput(row["at"], row["text"]) for row in _kept(self.moments)],
            "redactions": [
                RedactionInput(row["words"], row["organisation"], row["instead"] or "█████")
                for row in _kept(self.redactions)
            ],
            "actions": [
                ActionInput(row["kind"], row["text"], row["owner"], row["due_on"], row["number"])
                for row in _kept(self.actions)
            ],
        }


def _row(action: PreventionAction) -> dict[str, Any]:
    values = {name: getattr(action, name) for name in ("number", "kind", "text", "due_on")}
    return values | {"owner": action.owner_id}


def _kept(formset: BaseFormSet) -> list[dict[str, Any]]:
    rows = [form.cleaned_data for form in formset.forms if form.has_changed() or form.initial]
    return [row for row in rows if row and not row.get("DELETE")]


# --- verbs ---


class RCAVerbForm(forms.Form):
    """A verb's inputs, with the revision that its page was made from."""

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def inputs(self) -> dict[str, Any]:
        return dict(self.cleaned_data)


class ReturnForm(RCAVerbForm):
    reason = text_field(_("What should the author change?"))


class PublishForm(RCAVerbForm):
    note = forms.CharField(
        label=_("What this version changes"),
        max_length=300,
        required=False,
        help_text=_("Needed from the second version on; its readers see it."),
    )


class AnswerForm(forms.Form):
    organisation = forms.ModelChoiceField(Organisation.objects.none(), label=_("To"), to_field_name="slug")
    text = text_field(_("Answer"), help_text=MARKDOWN_HELP)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        seen = Organisation.objects.visible_to(user)
        self.fields["organisation"].queryset = seen  # type: ignore[attr-defined]


class StartForm(RCAVerbForm):
    pass


class MoveForm(RCAVerbForm):
    due_on = forms.DateField(label=_("New due date"), widget=day_input())
    reason = text_field(
        _("Why does it move?"), help_text=_("Customers read it, and keep seeing the first date.")
    )


class HandOverForm(RCAVerbForm):
    owner = forms.ModelChoiceField(User.objects.none(), label=_("New owner"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = agents()  # type: ignore[attr-defined]


class CloseForm(RCAVerbForm):
    evidence = text_field(
        _("Evidence"),
        help_text=_("What shows that it is done: a report, a test, a measured value. Customers read it."),
    )


class DropForm(RCAVerbForm):
    reason = text_field(_("Why will it not be done?"), help_text=_("Customers read it."))


class RecurrenceForm(forms.Form):
    """Which published action should have prevented an incident: by the RCA's reference and its number."""

    reference = forms.CharField(label=_("RCA of"), max_length=30, help_text=_("Such as INC-1042."))
    number = forms.IntegerField(label=_("Prevention action no."), min_value=1, max_value=10_000)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        seen = Incident.objects.visible_to(self.user)
        earlier = seen.by_reference(data.get("reference", "").strip().upper()).first()
        found = PreventionAction.objects.filter(
            rca__in=RCA.objects.visible_to(self.user),
            rca__incident=(earlier.parent_id or earlier.pk) if earlier else None,
            number=data.get("number") or 0,
        ).select_related("rca")
        data["action"] = found.first()
        if data["action"] is None:
            raise ValidationError(_("That RCA has no such action."))
        return data


@dataclass(frozen=True)
class RCAVerb:
    """A verb as the desk offers it."""

    name: str
    title: Any
    button: Any
    form: type[RCAVerbForm]
    hint: Any = ""

    @property
    def verb(self) -> Any:
        return getattr(actions, self.name)


def _by_name(*verbs: RCAVerb) -> dict[str, RCAVerb]:
    return {verb.name: verb for verb in verbs}


VERBS = _by_name(
    RCAVerb("draft_rca", _("Begin the draft"), _("Fill it in from the timeline"), StartForm,
            _("Moments, impact, detection, promises, cause: what the timeline knows is filled in. You are its author.")),
    RCAVerb("submit_rca", _("Submit for review"), _("Submit"), StartForm,
            _("It needs a root cause, the impact, and a prevention action with owner and due date.")),
    RCAVerb("approve_rca", _("Approve"), _("I have read it and answer for it"), StartForm,
            _("Whoever wrote none of it approves it.")),
    RCAVerb("return_rca", _("Return to the author"), _("Return it"), ReturnForm),
    RCAVerb("publish_rca", _("Publish"), _("Publish"), PublishForm),
    RCAVerb("revise_rca", _("Begin a new version"), _("Begin"), StartForm,
            _("What is published stays readable until the new version is reviewed and published.")),
)  # fmt: skip
ACTION_VERBS = _by_name(
    RCAVerb("start_action", _("Start"), _("Somebody works on it"), StartForm),
    RCAVerb("move_action", _("Move"), _("Move it and tell its readers"), MoveForm),
    RCAVerb("hand_over_action", _("Hand over"), _("Hand it over"), HandOverForm),
    RCAVerb("close_action", _("Close with evidence"), _("It is done: tell its readers"), CloseForm),
    RCAVerb("drop_action", _("Drop"), _("Drop it and tell its readers"), DropForm),
)
