"""A person's own settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from portal.models import User
from portal.models.accounts import time_zones


class LongSelect(forms.Select):
    """A choice among hundreds: its options are written at once, not each by a template of its own."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        chosen = self.format_value(value)
        options = format_html_join(
            "\n",
            '<option value="{}"{}>{}</option>',
            (
                (key, mark_safe(" selected") if str(key) in chosen else "", label)
                for key, label in self.choices
            ),
        )
        own = self.build_attrs(self.attrs, attrs)
        return format_html('<select name="{}"{}>\n{}\n</select>', name, flatatt(own), options)


class ProfileForm(forms.ModelForm):
    """Name, language, zone and what to be mailed about."""

    daily_summary_hour = forms.IntegerField(
        label=_("Hour of the daily summary"),
        min_value=0,
        max_value=23,
        help_text=_("0 to 23, in your time zone."),
    )

    class Meta:
        model = User
        fields = [
            "name",
            "language",
            "time_zone",
            "hears_all_incidents",
            "hears_maintenance",
            "hears_announcements",
            "has_daily_summary",
            "daily_summary_hour",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = [("", _("My organisation's"))] + [(z, z) for z in sorted(time_zones())]
        self.fields["time_zone"] = forms.ChoiceField(
            label=_("Time zone"),
            choices=zones,
            required=False,
            help_text=_("Pages and mails use it."),
            widget=LongSelect,
        )
