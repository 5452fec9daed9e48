"""The forms of the live bridge's page. The verbs check the rules again; forms put an error beside its field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from incidents.forms import MARKDOWN_HELP, text_field
from incidents.models import BridgeRole
from incidents.staff_forms import moment_field
from portal.models import User

Sides = tuple[list[User], list[User]]  # (staff, the customer's people)


def short_text_field(label: Any, help_text: Any = "") -> forms.CharField:
    field = text_field(label, help_text=help_text)
    field.widget.attrs["rows"] = 3
    return field


class PersonField(forms.TypedChoiceField):
    """One of the people offered, under the name of their side; cleans to the person."""

    def offer(self, sides: Sides, organisation: Any) -> None:
        staff, customers = sides
        by_key = {str(person.pk): person for person in [*staff, *customers]}
        self.coerce = by_key.__getitem__
        grouped = ((settings.SUPPORT_BRAND, staff), (str(organisation), customers))
        self.choices = [(name, _choices(people)) for name, people in grouped if people]


def _choices(people: Iterable[User]) -> list[tuple[str, str]]:
    return [(str(person.pk), str(person)) for person in people]


class NoteForm(forms.Form):
    text = short_text_field(_("Note for both sides"), MARKDOWN_HELP)


class SideNoteForm(forms.Form):
    text = short_text_field(_("Side-note"), _("For support staff only; the customer sees nothing of it."))


class DecisionForm(forms.Form):
    text = short_text_field(_("What was decided?"), _("Both sides read it; it goes into the summary."))


class StepForm(forms.Form):
    text = forms.CharField(label=_("What is to be done?"), max_length=300)
    owner = PersonField(label=_("Owner"))
    due_at = moment_field(_("Due"), required=True)

    def __init__(self, *args: Any, sides: Sides, organisation: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = self.fields["owner"]
        assert isinstance(owner, PersonField)
        owner.offer(sides, organisation)
        self.fields["due_at"].help_text = _("In your time: %(zone)s.") % {"zone": zone}


class PartForm(forms.Form):
    """Who gets a part. A customer gives their own side's lead only; who does not have it can take it."""

    role = forms.ChoiceField(label=_("Part"), choices=BridgeRole.choices)
    person = PersonField(label=_("Person"))

    def __init__(
        self, *args: Any, sides: Sides, organisation: Any, taker: User | None, is_staff: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        person = self.fields["person"]
        assert isinstance(person, PersonField)
        if not is_staff:
            sides = ([], sides[1])
            self._fix("role", BridgeRole.CUSTOMER_LEAD)
        person.offer(sides, organisation)
        if taker is not None:
            self._fix("person", str(taker.pk))

    def _fix(self, name: str, value: str) -> None:
        self.fields[name].widget = forms.HiddenInput()
        self.initial[name] = value


class SummaryForm(forms.Form):
    summary = text_field(
        _("Summary"), help_text=_("Drafted from what both sides read; change it. The customer reads it.")
    )
