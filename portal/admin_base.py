"""The one place that imports the admin's theme, and the roles that hold on every page of it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as ChoicesWidget
from unfold.widgets import UnfoldAdminIntegerFieldWidget as NumberWidget
from unfold.widgets import UnfoldAdminPasswordWidget as PasswordWidget
from unfold.widgets import UnfoldAdminSelectWidget as SelectWidget

from portal.access import person_of
from portal.models import StaffRole

__all__ = [
    "ChoicesWidget",
    "NumberWidget",
    "PasswordWidget",
    "SelectWidget",
]  # the theme's, for forms of ours

NOBODY = "nobody"


class RoleMixin:
    """Permissions by staff role: the least role that may view, add, change or delete."""

    roles: ClassVar[dict[str, str]] = {}

    def _allowed(self, request: HttpRequest, verb: str) -> bool:
        role = self.roles.get(verb, NOBODY)
        return role != NOBODY and person_of(request).has_staff_role(role)

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


def rights(view: str, write: str = NOBODY, delete: str = NOBODY) -> dict[str, str]:
    return {"view": view, "add": write, "change": write, "delete": delete}


READ_ONLY = rights(StaffRole.AGENT)
HEAD_WRITES = rights(StaffRole.AGENT, StaffRole.HEAD_OF_SUPPORT)
ADMINISTRATOR_WRITES = rights(StaffRole.AGENT, StaffRole.ADMINISTRATOR)


def filtered(entry: Any) -> str:
    """The parameter of one entry of `list_filter`: a column, a column with its filter, or a filter of ours."""
    column = entry[0] if isinstance(entry, tuple | list) else entry
    return column if isinstance(column, str) else column.parameter_name


class DeskMixin(RoleMixin):
    """What every page of the desk holds to: no lookup reaches a hidden column, nothing is deleted in bulk."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Rows are narrowed only by what the list shows: no other column is guessed letter by letter."""
        filters = [filtered(entry) for entry in self.list_filter]  # type: ignore[attr-defined]
        is_shown = lookup.split("__")[0] in [*filters, *self.list_display]  # type: ignore[attr-defined]
        return is_shown and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)  # type: ignore[misc]
        found.pop("delete_selected", None)
        return found


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
        if not object_id.isdecimal():
            raise Http404
        return super().history_view(request, object_id, extra_context)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """An earlier state. Whoever may view it may look; to put it back is a change."""
        if not (object_id.isdecimal() and version_id.isdecimal()):
            raise Http404
        if request.method == "POST" and not self.has_change_permission(request):
            raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)


class RoleTabularInline(RoleMixin, TabularInline):
    extra = 0

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A field of a row has no label of its own, only the column's head: it says its name itself."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            inner = getattr(field.widget, "widget", field.widget)
            inner.attrs.setdefault("aria-label", str(field.label))
        return field


class RoleStackedInline(RoleMixin, StackedInline):
    extra = 0
