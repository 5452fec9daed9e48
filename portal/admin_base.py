"""The one place that imports the admin's theme, and the roles that hold on every page of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as ChoicesWidget
from unfold.widgets import UnfoldAdminIntegerFieldWidget as NumberWidget
from unfold.widgets import UnfoldAdminPasswordWidget as PasswordWidget
from unfold.widgets import UnfoldAdminSelectWidget as SelectWidget

from portal import rights
from portal.access import has_role, looked_after, person_of
from portal.keyset import Count, count_of

__all__ = [
    "ChoicesWidget",
    "NumberWidget",
    "PasswordWidget",
    "SelectWidget",
]  # the theme's, for forms of ours

MOST_DIGITS = 18  # of an id that a database can hold


class RoleMixin:
    """Permissions by staff role, as `portal/rights.py` has them for the model, or for these rows of a page."""

    def row_of_rights(self) -> rights.Row:
        page = getattr(self, "parent_model", None)
        label = self.model._meta.label_lower  # type: ignore[attr-defined]
        return rights.of_inline(page._meta.label_lower, label) if page else rights.of_model(label)

    def _allowed(self, request: HttpRequest, verb: str) -> bool:
        row, user = self.row_of_rights(), person_of(request)
        hides_all = user.is_limited and row.of == rights.UNLIMITED
        return has_role(user, row.least[verb]) and not hides_all

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "view")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "delete")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._allowed(request, "view")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that this member of the staff may see."""
        rows = super().get_queryset(request)  # type: ignore[misc]
        return looked_after(rows, person_of(request), self.row_of_rights().of)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **self._choices(db_field, request, kwargs))  # type: ignore[misc]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **self._choices(db_field, request, kwargs))  # type: ignore[misc]

    def _choices(self, db_field: Any, request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
        """Who is limited chooses among what they may see, by name as by a crafted id."""
        target = db_field.remote_field.model
        rows = given.get("queryset")
        rows = target._default_manager.all() if rows is None else rows
        return given | {"queryset": looked_after(rows, person_of(request))}


class BoundedPaginator(Paginator):
    """Counts up to a bound, and leads no further: whoever wants other rows narrows the list.

    A list of a million rows would be counted and skipped through for each page, for nobody.
    """

    template_name = "admin/_bounded_pages.html"

    @cached_property
    def counted(self) -> Count:
        return count_of(self.object_list)  # type: ignore[arg-type]

    @cached_property
    def count(self) -> int:
        return self.counted.number


class OwnChoicesFilter(admin.RelatedFieldListFilter):
    """A list's filter by a relation: its choices are what the reader may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        seen = looked_after(field.remote_field.model._default_manager.all(), person_of(request))
        ordering = self.field_admin_ordering(field, request, model_admin)
        limit = {"pk__in": seen.values("pk")}
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to=limit)


class OneOfManyFilter(AutocompleteSelectFilter):
    """A list's filter by a relation to a table that no page can offer whole: found as one types.

    What is offered is what the reader may see (the admin's completions ask our rights), and so is the name of
    what an address has chosen.
    """

    def value(self) -> str | None:
        found = super().value()
        is_id = isinstance(found, str) and found.isdecimal() and len(found) <= MOST_DIGITS
        return found if is_id else None

    def choices(self, changelist: Any) -> Iterator[Any]:
        for each in super().choices(changelist):
            field = each["form"].fields[self.lookup_kwarg]
            field.queryset = looked_after(field.queryset.all(), person_of(self.request))
            yield each


def filtered(entry: Any) -> str:
    """The parameter of one entry of `list_filter`: a column, a column with its filter, or a filter of ours."""
    column = entry[0] if isinstance(entry, tuple | list) else entry
    return column if isinstance(column, str) else column.parameter_name


class DeskMixin(RoleMixin):
    """What every page of the desk holds to: no lookup reaches a hidden column, nothing is deleted in bulk."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_max_show_all = 200

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """A column that leads to another model offers no names that the reader may not know."""
        found = super().get_list_filter(request)  # type: ignore[misc]
        return [(entry, OwnChoicesFilter) if self._is_relation(entry) else entry for entry in found]

    def _is_relation(self, entry: Any) -> bool:
        if not isinstance(entry, str) or "__" in entry:
            return False
        return bool(self.model._meta.get_field(entry).is_relation)  # type: ignore[attr-defined]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Rows are narrowed only by what the list shows: no other column is guessed letter by letter."""
        filters = [filtered(entry) for entry in self.list_filter]  # type: ignore[attr-defined]
        is_shown = lookup.split("__")[0] in [*filters, *self.list_display]  # type: ignore[attr-defined]
        return is_shown and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Those that the person's role may use; another one is none, also in a crafted POST."""
        found = super().get_actions(request)  # type: ignore[misc]
        page, user = self.model._meta.label_lower, person_of(request)  # type: ignore[attr-defined]
        return {name: one for name, one in found.items() if has_role(user, rights.of_action(page, name))}

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, *_args: Any) -> HttpResponse:
        """What is not there, or not for this reader, is not found, as everywhere else in the portal."""
        raise Http404


class RoleAdmin(DeskMixin, ModelAdmin):
    """A themed ModelAdmin whose permissions are roles."""

    list_filter_submit = True
    warn_unsaved_form = True


class HistoryAdmin(DeskMixin, SimpleHistoryAdmin, ModelAdmin):
    """The same for configuration whose every change is kept."""

    list_filter_submit = True
    warn_unsaved_form = True

    def has_view_history_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._check_seen(request, object_id)
        return super().history_view(request, object_id, extra_context)

    def _check_seen(self, request: HttpRequest, object_id: str) -> None:
        """Of what somebody may not see they see no earlier state either, nor of what is gone by now."""
        user = person_of(request)
        is_number = object_id.isdecimal() and len(object_id) <= MOST_DIGITS
        if not is_number or (user.is_limited and self.get_object(request, object_id) is None):
            raise Http404

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """An earlier state. Whoever may view it may look; to put it back is a change."""
        self._check_seen(request, object_id)
        if not version_id.isdecimal() or len(version_id) > MOST_DIGITS:
            raise Http404
        if request.method == "POST" and not self.has_change_permission(request):
            raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)


class CarefulFormSet(forms.BaseInlineFormSet):
    """The rows of a page. More rows sent than there are is a request that no page of ours makes."""

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        try:
            return super()._construct_form(i, **kwargs)  # type: ignore[misc]
        except IndexError as error:
            raise BadRequest("more rows than there are") from error


class RoleTabularInline(RoleMixin, TabularInline):
    extra = 0
    formset = CarefulFormSet

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A field of a row has no label of its own, only the column's head: it says its name itself."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            inner = getattr(field.widget, "widget", field.widget)
            inner.attrs.setdefault("aria-label", str(field.label))
        return field


class RoleStackedInline(RoleMixin, StackedInline):
    extra = 0
