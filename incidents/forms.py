"""The customer's forms. The verbs check the rules again; forms put an error beside its field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from incidents.actions.writing import MAX_FILES
from incidents.models import Level, Status
from incidents.search import BEST_FIRST, search
from portal.models import Membership, Organisation, Service, User
from portal.models.service_impact import Impact
from portal.uploads import validate_upload


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Several files, each within size and kind; cleans to a list."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        files = data if isinstance(data, list | tuple) else [data] if data else []
        if len(files) > MAX_FILES:
            raise ValidationError(_("Attach at most 10 files at a time."))
        for file in files:
            validate_upload(file)
        return list(files)


FILES_HELP = _("Up to 10 files of 25 MB: pictures, PDF, logs, office documents, .zip.")
MARKDOWN_HELP = _("Markdown works: **bold**, lists, `code`.")


def text_field(label: Any, *, required: bool = True, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label, required=required, max_length=50_000, help_text=help_text, widget=forms.Textarea
    )


def files_field() -> ManyFilesField:
    return ManyFilesField(label=_("Files"), required=False, help_text=FILES_HELP)


class OpenForm(forms.Form):
    """File an incident for one of the person's organisations."""

    organisation = forms.ModelChoiceField(Organisation.objects.none(), label=_("Organisation"))
    title = forms.CharField(label=_("What is broken?"), max_length=200)
    claimed_level = forms.ChoiceField(
        label=_("Level"), choices=Level.choices, widget=forms.RadioSelect, help_text=_("How bad is it?")
    )
    services = forms.ModelMultipleChoiceField(
        Service.objects.none(),
        label=_("Affected services"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    impact = forms.ChoiceField(label=_("Impact"), choices=Impact.choices, initial=Impact.DEGRADED)
    description = text_field(
        _("What happens, since when, for whom?"), required=False, help_text=MARKDOWN_HELP
    )
    attachments = files_field()
    token = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        memberships = Membership.objects.filter(user=user, role__in=["manager", "member"])
        organisations = Organisation.objects.filter(pk__in=memberships.values("organisation"), is_active=True)
        self.fields["organisation"].queryset = organisations  # type: ignore[attr-defined]
        self.fields["services"].queryset = Service.objects.visible_to(user)  # type: ignore[attr-defined]
        if organisations.count() == 1:
            self.fields["organisation"].widget = forms.HiddenInput()
            self.fields["organisation"].initial = organisations[0].pk


class ReplyForm(forms.Form):
    text = text_field(_("Your message"), help_text=MARKDOWN_HELP)
    attachments = files_field()


class ContestForm(forms.Form):
    reason = text_field(_("Why is the higher level right?"))


class EscalateForm(forms.Form):
    reason = text_field(_("What worries you, and what do you need?"))


class ConfirmForm(forms.Form):
    text = text_field(_("A word for the engineers"), required=False)


class ReopenForm(forms.Form):
    reason = text_field(_("What is wrong again?"))
    attachments = files_field()


class WithdrawForm(forms.Form):
    reason = text_field(_("Why do you withdraw it?"))


class FilterForm(forms.Form):
    """The list's filters; the address carries them."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[
            ("open", _("Open")),
            ("mine", _("Reported by me")),
            ("waiting", _("Waiting for us")),
            ("finished", _("Resolved and closed")),
            ("all", _("All")),
        ],
    )
    level = forms.ChoiceField(label=_("Level"), required=False, choices=[("", _("Any")), *Level.choices])
    service = forms.ModelChoiceField(
        Service.objects.none(), label=_("Service"), required=False, empty_label=_("Any"), to_field_name="slug"
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["service"].queryset = Service.objects.visible_to(user)  # type: ignore[attr-defined]

    @property
    def order(self) -> tuple[str, ...]:
        """What was searched for stands best first; what is open by what is due next, the rest newest first."""
        chosen = self.cleaned_data if self.is_valid() else {}
        if chosen.get("q"):
            return BEST_FIRST
        if (chosen.get("show") or "open") == "open":
            return ("next_due_at", "-pk")
        return ("-pk",)

    def apply(self, incidents: Any) -> Any:
        """Narrow the queryset by the valid filters; invalid ones narrow nothing."""
        chosen = self.cleaned_data if self.is_valid() else {}
        show = chosen.get("show") or "open"
        if show == "open":
            incidents = incidents.unresolved()
        elif show == "mine":
            incidents = incidents.filter(reporter=self.user)
        elif show == "waiting":
            incidents = incidents.filter(status__in=[Status.WAITING_FOR_CUSTOMER, Status.RESOLVED])
        elif show == "finished":
            incidents = incidents.filter(status__in=[Status.RESOLVED, Status.CLOSED])
        if chosen.get("level"):
            incidents = incidents.filter(level=chosen["level"])
        if chosen.get("service"):
            incidents = incidents.filter(services=chosen["service"])
        return search(incidents, chosen.get("q", ""), self.user)
