"""The forms about people of an organisation. The verbs check what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext_lazy as _

from portal.models import Membership, Organisation, Team, User, Visibility
from portal.models.accounts import Role
from portal.verbs import Refused

SEES = _("Managers see all incidents.")
NAME = _("Such as “Payments”. Its people can see each other's incidents.")


def attempt(form: forms.Form, verb: Callable[[], Any]) -> bool:
    """Use the verb; False with its refusal on the form."""
    try:
        verb()
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return False
    return True


class PlaceForm(forms.Form):
    """What somebody is in an organisation: role, what they see, team."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.MEMBER)
    visibility = forms.ChoiceField(
        label=_("Sees"), choices=Visibility.choices, initial=Visibility.ALL, help_text=SEES
    )
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), required=False)

    def __init__(self, *args: Any, organisation: Organisation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = organisation.teams.all()
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]
        if not teams.exists():
            del self.fields["team"]
            self.fields["visibility"].choices = [  # type: ignore[attr-defined]
                choice for choice in Visibility.choices if choice[0] != Visibility.TEAM
            ]


class InviteForm(PlaceForm):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label=_("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    field_order = ["email", "role", "visibility", "team"]


class MemberForm(PlaceForm):
    """What is changed of a membership. `reason` is for staff who lower the last manager."""

    is_p1_contact = forms.BooleanField(
        label=_("P1 contact"), required=False, help_text=_("Hears of every P1. Sees all incidents.")
    )
    is_escalation_contact = forms.BooleanField(
        label=_("Escalation contact"),
        required=False,
        help_text=_("Hears when a promise is broken. Sees all incidents."),
    )
    reason = forms.CharField(label=_("Reason"), required=False, max_length=100)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not by.is_agent:
            del self.fields["reason"]


class RemovalForm(forms.Form):
    """Who takes over what they leave open."""

    to = forms.ModelChoiceField(User.objects.none(), label=_("Who takes over their open incidents?"))
    reason = forms.CharField(label=_("Reason"), required=False, max_length=100)

    def __init__(self, *args: Any, membership: Membership, work: int, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        writers = Membership.objects.filter(
            organisation=membership.organisation_id, role__in=(Role.MANAGER, Role.MEMBER)
        )
        people = User.objects.filter(pk__in=writers.values("user"), is_active=True)
        self.fields["to"].queryset = people.exclude(pk=membership.user_id)  # type: ignore[attr-defined]
        if not work:
            del self.fields["to"]
        if not by.is_agent:
            del self.fields["reason"]


class TeamForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120, help_text=NAME)


class JoinForm(forms.Form):
    """Somebody new: how they are called, and by what they sign in."""

    name = forms.CharField(
        label=_("Your name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=_("At least 12 characters, and not a common one."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=_("The same password again"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        password = data.get("password")
        if password and "again" in data and password != data["again"]:
            self.add_error("again", _("The two passwords differ."))
        if password:
            try:
                validate_password(password, User(email=self.email, name=data.get("name", "")))
            except forms.ValidationError as error:
                self.add_error("password", error)
        return data
