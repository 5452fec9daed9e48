"""Alarm sources and their alarms on the staff desk. A source's token is shown once, and stored as a digest."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.models import Alarm, AlarmSource
from portal.admin_base import HistoryAdmin, RoleAdmin
from portal.templatetags.portal_tags import moment


@admin.register(AlarmSource)
class AlarmSourceAdmin(HistoryAdmin):
    """Who may report alarms, for whom, and when they were last heard of."""

    list_display = ["name", "kind", "owner", "is_active", "last_seen_at", "silence"]
    list_filter = ["kind", "is_active"]
    list_select_related = ["organisation", "service"]
    search_fields = ["name"]
    autocomplete_fields = ["organisation", "service"]
    readonly_fields = ["token_hint", "last_seen_at", "silent_since"]
    actions = ["make_token"]

    class Media:
        css = {"all": ["css/tokens.css", "css/labels.css"]}

    @admin.display(description=gettext_lazy("of"))
    def owner(self, source: AlarmSource) -> str:
        return str(source.organisation or source.service)

    @admin.display(description=gettext_lazy("silence"))
    def silence(self, source: AlarmSource) -> str | SafeString:
        if source.silent_since is None:
            return "—"
        words = _("Silent since %(when)s") % {"when": moment(source.silent_since)}
        return format_html('<span class="label label-breached">{}</span>', words)

    @admin.action(description=gettext_lazy("Make a new token"))
    def make_token(self, request: HttpRequest, queryset: Any) -> None:
        """The old token is dead at once."""
        for source in queryset:
            token = source.make_token()
            source.save(update_fields=["token_digest", "token_hint"])
            show_token(request, source, token)

    def save_model(self, request: HttpRequest, obj: AlarmSource, form: Any, change: bool) -> None:
        token = "" if change else obj.make_token()
        super().save_model(request, obj, form, change)
        if token:
            show_token(request, obj, token)


def show_token(request: HttpRequest, source: AlarmSource, token: str) -> None:
    """The one time that it is shown."""
    said = _("Token of %(source)s, shown this once: %(token)s") % {"source": source.name, "token": token}
    messages.warning(request, said)


@admin.register(Alarm)
class AlarmAdmin(RoleAdmin):
    """Every alarm: how often it came, whether it fires, and what it opened."""

    list_display = ["title", "source", "status", "level", "count", "flap_count", "last_at", "incident"]
    list_filter = ["status", "level", "source", "is_current"]
    list_select_related = ["source", "incident"]
    search_fields = ["title", "fingerprint"]
