"""Filters of lists that refuse what no row can hold, instead of failing on it."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field

YEARS = range(2000, 2200)  # what no zone, calendar or page can break on
MOST_ID = 2**63 - 1


class MomentFilterField(django_filters.fields.IsoDateTimeField):
    """A moment of a century that every zone can show."""

    def clean(self, value: Any) -> Any:
        if value == "":  # asked for, and no time: to leave it out would silently show everything
            raise forms.ValidationError(_("Give a time, such as 2026-03-04T10:00:00Z."))
        try:
            found = super().clean(value)
        except OverflowError as error:
            raise forms.ValidationError(_("Choose a time of this century.")) from error
        if found is not None and found.year not in YEARS:
            raise forms.ValidationError(_("Choose a time of this century."))
        return found


class MomentFilter(django_filters.IsoDateTimeFilter):
    field_class = MomentFilterField


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MOST_ID})
class IdFilter(django_filters.Filter):
    """A whole number that a key could be."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, min_value=1, max_value=MOST_ID, **kwargs)

    field_class = forms.IntegerField


class TextFilter(django_filters.CharFilter):
    """A text that a column could hold."""

    def __init__(self, *args: Any, max_length: int = 254, **kwargs: Any) -> None:
        super().__init__(*args, max_length=max_length, **kwargs)
