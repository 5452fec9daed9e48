"""The customer's forms, and the fields that staff forms share. The verbs check the rules again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from maintenance.models import Status
from maintenance.models.window import OVER, RUNNING
from portal.access import WRITERS
from portal.models import Membership, Organisation, Service, User

LOCAL = "%Y-%m-%dT%H:%M"
YEARS = range(2000, 2200)  # what no zone and no page can break on
SHOWN = {"running": RUNNING, "upcoming": (Status.ANNOUNCED,), "past": OVER}


class MomentField(forms.DateTimeField):
    """A wall time of the active zone; of a century that every zone can show."""

    default_error_messages = {"far": _("Choose a time of this century.")}

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except OverflowError as error:
            raise forms.ValidationError(self.error_messages["far"], code="far") from error
        if found is not None and found.year not in YEARS:
            raise forms.ValidationError(self.error_messages["far"], code="far")
        return found


def moment_field(label: Any, *, required: bool = True, help_text: Any = "") -> MomentField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL)
    return MomentField(label=label, required=required, help_text=help_text, widget=widget)


def text_field(label: Any, *, required: bool = True, help_text: Any = "", rows: int = 4) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows})
    return forms.CharField(
        label=label, required=required, max_length=50_000, help_text=help_text, widget=widget
    )


class FilterForm(forms.Form):
    """The list's filters; the address carries them."""

    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[("", _("All")), ("running", _("Running")), ("upcoming", _("Upcoming")), ("past", _("Past"))],
    )
    service = forms.ModelChoiceField(
        Service.objects.none(), label=_("Service"), required=False, empty_label=_("Any"), to_field_name="slug"
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["service"].queryset = Service.objects.visible_to(user)  # type: ignore[attr-defined]

    @property
    def chosen(self) -> dict[str, Any]:
        return self.cleaned_data if self.is_valid() else {}

    def apply(self, windows: Any) -> Any:
        """Narrow the queryset by the valid filters; invalid ones narrow nothing."""
        if self.chosen.get("show"):
            windows = windows.filter(status__in=SHOWN[self.chosen["show"]])
        if self.chosen.get("service"):
            windows = windows.filter(affected__service=self.chosen["service"])
        return windows


class ConsentForm(forms.Form):
    """Give the consent, with words if one likes, or refuse it with a reason."""

    answer = forms.ChoiceField(
        label=_("Your answer"),
        choices=[("give", _("Give consent")), ("refuse", _("Refuse"))],
        widget=forms.RadioSelect,
    )
    words = text_field(
        _("Your words"),
        required=False,
        help_text=_("Our engineers read them. To refuse, say why."),
        rows=3,
    )


class FreezeForm(forms.Form):
    """A time without maintenance, for one of the person's organisations. Times are in the reader's zone."""

    organisation = forms.ModelChoiceField(Organisation.objects.none(), label=_("Organisation"))
    service = forms.ModelChoiceField(
        Service.objects.none(), label=_("Service"), required=False, empty_label=_("Every service")
    )
    starts_at = moment_field(_("Starts"))
    ends_at = moment_field(_("Ends"))
    reason = forms.CharField(
        label=_("Reason"), max_length=300, help_text=_("Such as: year-end closing. Our planners read it.")
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organisations = writable(user)
        self.fields["organisation"].queryset = organisations  # type: ignore[attr-defined]
        services = Service.objects.filter(is_active=True, subscriptions__organisation__in=organisations)
        self.fields["service"].queryset = services.distinct()  # type: ignore[attr-defined]
        if organisations.count() == 1:
            self.fields["organisation"].widget = forms.HiddenInput()
            self.fields["organisation"].initial = organisations[0].pk


def writable(user: User) -> Any:
    """The organisations that `user` writes for: as a manager or member, while they are active."""
    memberships = Membership.objects.filter(user=user, role__in=WRITERS)
    return Organisation.objects.filter(is_active=True, pk__in=memberships.values("organisation"))
