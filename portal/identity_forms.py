"""The forms about how an organisation signs in. The verbs check what is in them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.models import IdentityProvider, Organisation
from portal.models.accounts import Role, Visibility

OF_ROLE = {
    "manager_groups": Role.MANAGER,
    "member_groups": Role.MEMBER,
    "viewer_groups": Role.VIEWER,
}
ONE_EACH = gettext_lazy("One in each line, as your identity provider writes it.")


class AddressForm(forms.Form):
    """Who wants to sign in by their organisation."""

    email = forms.EmailField(
        label=gettext_lazy("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )


class OfOrganisationForm(forms.Form):
    """Asks for the organisation, where somebody looks after several."""

    organisation = forms.ModelChoiceField(
        label=gettext_lazy("Organisation"), queryset=Organisation.objects.none()
    )

    def __init__(self, *args: Any, organisations: QuerySet[Organisation] | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.only = None
        if organisations is None or organisations.count() == 1:
            self.only = organisations.get() if organisations is not None else None
            del self.fields["organisation"]
        else:
            self.fields["organisation"].queryset = organisations  # type: ignore[attr-defined]

    def chosen(self) -> Organisation:
        found: Organisation = self.only or self.cleaned_data["organisation"]
        return found


class DomainForm(OfOrganisationForm):
    domain = forms.CharField(
        label=gettext_lazy("Mail domain"),
        max_length=253,
        help_text=gettext_lazy("What stands after the @ in your addresses, such as example.com."),
    )


def _groups(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label, required=False, help_text=ONE_EACH, max_length=20_000, widget=forms.Textarea({"rows": 3})
    )


class ProviderForm(OfOrganisationForm):
    """An identity provider. Its secret is written and never shown: empty keeps the one that is set."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        help_text=gettext_lazy("For yourselves, such as “Company login”."),
    )
    server_url = forms.CharField(
        label=gettext_lazy("Issuer"),
        max_length=500,
        help_text=gettext_lazy("The address that your identity provider calls its issuer; https."),
        widget=forms.URLInput(attrs={"inputmode": "url", "placeholder": "https://login.example.com"}),
    )
    client_id = forms.CharField(label=gettext_lazy("Client ID"), max_length=200)
    client_secret = forms.CharField(
        label=gettext_lazy("Client secret"),
        required=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    groups_claim = forms.CharField(
        label=gettext_lazy("Claim that names groups"), required=False, max_length=100, initial="groups"
    )
    manager_groups = _groups(gettext_lazy("Groups of managers"))
    member_groups = _groups(gettext_lazy("Groups of members"))
    viewer_groups = _groups(gettext_lazy("Groups of viewers"))
    default_role = forms.ChoiceField(
        label=gettext_lazy("Role without a group"),
        required=False,
        initial=Role.VIEWER,
        choices=[*Role.choices, ("", gettext_lazy("None: whoever has no group does not come in"))],
    )
    default_visibility = forms.ChoiceField(
        label=gettext_lazy("New people see"),
        choices=[(Visibility.ALL, Visibility.ALL.label), (Visibility.OWN, Visibility.OWN.label)],
        initial=Visibility.ALL,
        help_text=gettext_lazy("Managers see all incidents."),
    )
    joins_people = forms.BooleanField(
        label=gettext_lazy("Add people at their first sign-in"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Otherwise only who was added or invited before may come in by it."),
    )
    is_required = forms.BooleanField(
        label=gettext_lazy("The only way in"),
        required=False,
        help_text=gettext_lazy(
            "People of your verified mail domains then have no password here. If your identity provider fails, "
            "nobody of them comes in until our staff switch this off: ask us by phone."
        ),
    )

    def __init__(self, *args: Any, provider: IdentityProvider | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if provider is not None:
            self.fields["client_secret"].help_text = (
                _("Set, and not shown. Leave it empty to keep it.") if provider.client_secret else ""
            )
        if provider is None or provider.last_used_at is None:
            self.fields["is_required"].help_text = _("Possible when somebody has signed in by it once.")

    def groups(self) -> dict[str, str]:
        """The role of each group; of a group that stands twice the higher one."""
        found: dict[str, str] = {}
        for field, role in reversed(OF_ROLE.items()):
            for line in self.cleaned_data[field].splitlines():
                if line.strip():
                    found[line.strip()] = role
        return found

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in VALUES}


VALUES = [
    *["name", "server_url", "client_id", "client_secret", "groups_claim", "default_role"],
    *["default_visibility", "joins_people", "is_required"],
]


def values_of(provider: IdentityProvider) -> dict[str, Any]:
    """What the form begins with: all but the secret."""
    found = {name: getattr(provider, name) for name in VALUES if name != "client_secret"}
    rows = list(provider.group_roles.order_by("group"))
    for field, role in OF_ROLE.items():
        found[field] = "\n".join(row.group for row in rows if row.role == role)
    return found
