"""The forms about channels and webhooks. The verbs check what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.endpoint_verbs import FOR_CHANNELS, FORGETTABLE, WITH_BOT, Invalid, writers_of
from portal.endpoint_words import grouped_events
from portal.models import Endpoint, Organisation, User
from portal.verbs import Refused
from portal.webhook_events import ALL, EVENTS

Use = Endpoint.Use
KEEP = _("Set, and not shown. Leave it empty to keep it.")


def text_field(
    label: Any,
    length: int,
    help_text: Any = "",
    *,
    required: bool = False,
    widget: type[forms.Widget] = forms.TextInput,
) -> forms.CharField:
    """A line that no browser completes or corrects."""
    quiet = widget(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(
        label=label, max_length=length, help_text=help_text, required=required, widget=quiet
    )


def event_choices() -> list[tuple[Any, list[tuple[str, Any]]]]:
    return [(group, [(event.name, event.label) for event in events]) for group, events in grouped_events()]


class EndpointForm(forms.Form):
    """A channel or webhooks: what both have, and then what each has of its own."""

    name = text_field(
        _("Name"), 120, _("So that you know it again: such as “Ops room” or “Ticket system”."), required=True
    )
    url = text_field(_("Address"), 500)

    def __init__(self, *args: Any, use: str, endpoint: Endpoint | None = None, **kwargs: Any) -> None:
        self.use, self.endpoint = use, endpoint
        super().__init__(*args, **kwargs)
        if use == Use.CHANNEL:
            self._ask_of_channel()
        else:
            self._ask_of_webhooks()
        self.fields["url"].required = endpoint is None
        if endpoint is not None:
            self._keep_secrets(endpoint)

    def _ask_of_channel(self) -> None:
        self.fields["url"].help_text = _(
            "Begins with https://. Its path is a secret, and never shown again. With a bot it is "
            "https://slack.com/api/chat.postMessage for Slack, https://YOUR-SERVER/api/v4/posts for Mattermost."
        )
        if self.endpoint is None or self.endpoint.service in WITH_BOT:
            password = forms.PasswordInput
            room = _("Of the channel that a bot writes to, such as C02ABCDEF. Only with an access token.")
            token = _("Of a bot in Slack or Mattermost. With it, each incident has a thread of its own.")
            signing = _(
                "The signing secret of the Slack app, or the token of Mattermost's outgoing webhook (and behind it, "
                "after a space, that of a slash command). With it, what your people write there becomes replies."
            )
            self.fields["access_token"] = text_field(_("Access token"), 300, token, widget=password)
            self.fields["room_id"] = text_field(_("Channel ID"), 120, room)
            self.fields["signing_secret"] = text_field(_("Signing secret"), 200, signing, widget=password)
        for name, label in [
            ("hears_maintenance", _("Maintenance that touches your services")),
            ("hears_announcements", _("Announcements")),
        ]:
            self.fields[name] = forms.BooleanField(label=label, required=False, initial=True)

    def _ask_of_webhooks(self) -> None:
        self.fields["url"].help_text = _(
            "Begins with https://, and can be reached from the internet. Its path is never shown again."
        )
        self.fields["hears_all"] = forms.BooleanField(
            label=_("Everything, also what is added later"), required=False
        )
        self.fields["events"] = forms.MultipleChoiceField(
            label=_("Events"), choices=event_choices(), required=False, widget=forms.CheckboxSelectMultiple
        )

    def _keep_secrets(self, endpoint: Endpoint) -> None:
        """Say of what is set that it is; nothing of it is shown."""
        for name in ("url", *FORGETTABLE):
            if name in self.fields and getattr(endpoint, name):
                self.fields[name].help_text = KEEP
        for name in FORGETTABLE:
            if name in self.fields and getattr(endpoint, name):
                label = (
                    _("Forget the access token") if name == "access_token" else _("Forget the signing secret")
                )
                self.fields[f"forget_{name}"] = forms.BooleanField(label=label, required=False)

    def event_groups(self) -> list[tuple[Any, list[tuple[str, Any, bool]]]]:
        """For the page: of each group its events, and whether each is chosen."""
        chosen = self["events"].value() or []
        return [
            (group, [(event.name, event.label, event.name in chosen) for event in events])
            for group, events in grouped_events()
        ]

    def given(self) -> dict[str, Any]:
        """What the verbs take, of valid input."""
        data = dict(self.cleaned_data)
        if data.pop("hears_all", False):
            data["events"] = [ALL]
        forget = [name for name in FORGETTABLE if data.pop(f"forget_{name}", False)]
        return data | ({"forget": forget} if forget else {})


class NewEndpointForm(EndpointForm):
    """A new one, of one of the organisations that the person manages."""

    def __init__(self, *args: Any, organisations: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.use == Use.CHANNEL:
            services = [(value, Endpoint.Service(value).label) for value in FOR_CHANNELS]
            self.fields["service"] = forms.ChoiceField(
                label=_("Service"), choices=services, widget=forms.RadioSelect
            )
        field = forms.ModelChoiceField(organisations, label=_("Organisation"))
        if len(organisations) == 1:
            field.widget, field.initial = forms.HiddenInput(), organisations[0].pk
        self.fields["organisation"] = field
        self.order_fields(["organisation", "service"])


def values_of(endpoint: Endpoint) -> dict[str, Any]:
    """What a form begins with; no secret."""
    return {
        "name": endpoint.name,
        "room_id": endpoint.room_id,
        "hears_maintenance": endpoint.hears_maintenance,
        "hears_announcements": endpoint.hears_announcements,
        "hears_all": ALL in endpoint.events,
        "events": [name for name in endpoint.events if name in EVENTS],
    }


class PersonForm(forms.Form):
    """Who somebody in the channel is."""

    external_id = text_field(_("ID in the channel"), 120, required=True)
    external_name = text_field(_("Name in the channel"), 150)
    person = forms.ModelChoiceField(User.objects.none(), label=_("Writes as"))

    def __init__(self, *args: Any, organisation: Organisation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].queryset = writers_of(organisation)  # type: ignore[attr-defined]


def attempt(form: forms.Form, verb: Callable[[], Any]) -> int:
    """Use a verb; its refusal goes to the form, beside the fields. 0, or the HTTP status of the refusal."""
    try:
        verb()
    except Refused as refused:
        errors = refused.errors if isinstance(refused, Invalid) else {refused.field: [refused.reason]}
        for field, reasons in errors.items():
            form.add_error(field if field in form.fields else None, reasons)
        return refused.status
    return 0
