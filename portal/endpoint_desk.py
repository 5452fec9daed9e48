"""Endpoints on the staff desk: pagers, dedicated channels, webhooks; and the outbox with what was answered.

A secret is shown once, to who made it. An address and tokens are written and never shown: of an address its
origin is, for the rest of it is often a secret, too.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import endpoint_verbs, endpoint_words, outbox
from portal.access import person_of
from portal.admin_base import (
    ChoicesWidget,
    HistoryAdmin,
    PasswordWidget,
    RoleAdmin,
    RoleTabularInline,
)
from portal.channels.base import EMAIL, WEBHOOK
from portal.endpoint_forms import event_choices
from portal.message_kinds import KINDS
from portal.models import DeliveryAttempt, Endpoint, OutboxMessage
from portal.webhook_events import ALL, EVENTS

STATES: dict[str, Q] = {
    "failing": Q(is_active=True, failing_since__isnull=False),
    "disabled": Q(is_active=False, removed_at=None, disabled_at__isnull=False),
    "off": Q(is_active=False, removed_at=None, disabled_at=None),
    "removed": Q(removed_at__isnull=False),
}
STATE_WORDS = [
    ("failing", gettext_lazy("Failing")),
    ("disabled", gettext_lazy("Switched off by itself")),
    ("off", gettext_lazy("Switched off")),
    ("removed", gettext_lazy("Removed")),
]


class StateFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "works"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return STATE_WORDS

    def queryset(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> QuerySet[Endpoint]:
        return queryset.filter(STATES[self.value() or ""]) if self.value() in STATES else queryset


class EndpointForm(forms.ModelForm):
    """An empty address or token keeps the one that is set."""

    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        required=False,
        widget=ChoicesWidget,
        help_text=gettext_lazy("Of webhooks only."),
    )

    class Meta:
        model = Endpoint
        fields = [
            *["name", "use", "service", "url", "person", "organisation", "access_token", "room_id"],
            *["signing_secret", "events", "hears_maintenance", "hears_announcements", "is_active"],
        ]
        widgets = {"access_token": PasswordWidget, "signing_secret": PasswordWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = {
            name: getattr(self.instance, name)
            for name in endpoint_verbs.SECRET
            if name in self.fields and self.instance.pk
        }
        for name, value in self.kept.items():
            self.initial[name] = ""
            if value:
                self.fields[name].required = False
                self.fields[name].help_text = _("Set, and not shown. Leave it empty to keep it.")
        if "events" in self.fields:
            everything = (ALL, _("Everything, also what is added later"))
            self.fields["events"].choices = [everything, *event_choices()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.replaced = [name for name in endpoint_verbs.SECRET if data.get(name)]
        for name, value in self.kept.items():
            data[name] = data.get(name) or value
        if "events" in data:
            data["events"] = [ALL] if ALL in data["events"] else [e for e in EVENTS if e in data["events"]]
        return data

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        for field, reason in self._problems().items():
            self.add_error(field if field in self.fields else None, reason)

    def _problems(self) -> dict[str, str]:
        """What does not fit together; and a second channel of one organisation."""
        others = Endpoint.objects.filter(
            organisation=self.instance.organisation_id, use=Endpoint.Use.CHANNEL, removed_at=None
        )
        is_second = others.exclude(pk=self.instance.pk).exists()
        if self.instance.use == Endpoint.Use.CHANNEL and is_second:
            return {"use": _("The organisation has a dedicated channel already.")}
        return endpoint_verbs.problems(self.instance)


@admin.register(Endpoint)
class EndpointAdmin(HistoryAdmin):
    """Where webhooks go. Heads of support look after all of them, managers (in the portal) after their own."""

    form = EndpointForm
    list_display = ["name", "use", "service", "origin", "person", "organisation", "state"]
    list_filter = ["use", "service", StateFilter, "is_active"]
    list_select_related = ["person", "organisation"]
    search_fields = ["name"]
    autocomplete_fields = ["person", "organisation"]
    actions = ["make_a_new_secret", "send_a_test"]
    SHOWN_ONCE = "endpoint_secret"  # in the session, and so never in a cookie
    FACTS = [
        *["origin", "state", "last_success_at", "failing_since", "disabled_at", "disabled_reason"],
        *["removed_at", "created_at", "created_by"],
    ]

    @admin.display(description=gettext_lazy("address"))
    def origin(self, endpoint: Endpoint) -> str:
        return endpoint.origin

    @admin.display(description=gettext_lazy("state"))
    def state(self, endpoint: Endpoint) -> str:
        return str(endpoint_words.state_of(endpoint).label)

    def has_change_permission(self, request: HttpRequest, obj: Endpoint | None = None) -> bool:
        is_there = obj is None or obj.removed_at is None
        return super().has_change_permission(request, obj) and is_there

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[str]:
        fields: list[str] = list(EndpointForm.Meta.fields)
        if not self.has_change_permission(request, obj):
            fields = [name for name in fields if name not in endpoint_verbs.SECRET]
        return [*fields, *self.FACTS] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[str]:
        """What waits for an endpoint was meant for its owner: another owner is another endpoint."""
        return [*self.FACTS, "use", "service", "person", "organisation"] if obj else self.FACTS

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        if "is_active" in form.changed_data and obj.is_active:
            endpoint_verbs.forgive(obj)
        if not change:
            obj.created_by, obj.created_at = person_of(request), timezone.now().replace(microsecond=0)
        endpoint_verbs.note_replaced(obj, form.replaced if change else ())
        super().save_model(request, obj, form, change)
        if not change:
            self._will_show(request, obj, obj.secret)

    def _will_show(self, request: HttpRequest, endpoint: Endpoint, secret: str) -> None:
        request.session[self.SHOWN_ONCE] = [str(endpoint), secret]

    def _show(self, request: HttpRequest) -> None:
        name, secret = request.session.pop(self.SHOWN_ONCE, (None, None))
        if secret:
            words = _("The secret of “%(name)s” is %(secret)s. Copy it now: it is not shown again.")
            messages.warning(request, words % {"name": name, "secret": secret})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "GET":  # of whoever made it, in their own session
            self._show(request)
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "GET":  # of whoever made it, in their own session
            self._show(request)
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.action(description=gettext_lazy("Make a new secret"))
    def make_a_new_secret(self, request: HttpRequest, queryset: Any) -> None:
        """One at a time, for it is shown once. For a day the old one signs along."""
        endpoints = list(queryset.filter(removed_at=None)[:2])
        if len(endpoints) != 1:
            messages.error(request, _("Choose one endpoint: its new secret is shown once."))
            return
        with transaction.atomic():
            locked = Endpoint.objects.select_for_update().get(pk=endpoints[0].pk)
            secret = locked.rotate(timezone.now().replace(microsecond=0))
            endpoint_verbs.note_replaced(locked, ["secret"])
            locked.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
        self._will_show(request, locked, secret)
        messages.info(request, _("For 24 hours webhooks are signed by the old secret, too."))

    @admin.action(description=gettext_lazy("Send a test"))
    def send_a_test(self, request: HttpRequest, queryset: Any) -> None:
        now = timezone.now()
        with transaction.atomic():
            for endpoint in queryset.filter(removed_at=None):
                outbox.enqueue(
                    "endpoint_test",
                    None,
                    now=now,
                    dedupe_key=f"endpoint_test:{now.isoformat()}:endpoint-{endpoint.pk}",
                    channel=WEBHOOK,
                    endpoint=endpoint,
                )
        messages.success(request, _("A test is on its way: the outbox shows what became of it."))


class AttemptInline(RoleTabularInline):
    """What was answered, call by call."""

    model = DeliveryAttempt
    fields = ["at", "milliseconds", "is_accepted", "answer"]
    readonly_fields = fields


class KindFilter(admin.SimpleListFilter):
    """Among the kinds that the product knows: what stands in millions of rows is not gathered for a page."""

    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(KINDS)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class ChannelFilter(admin.SimpleListFilter):
    """By mail or by webhook."""

    title = gettext_lazy("channel")
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(EMAIL, EMAIL), (WEBHOOK, WEBHOOK)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(channel=self.value()) if self.value() else queryset


@admin.register(OutboxMessage)
class OutboxAdmin(RoleAdmin):
    """Every message: what was sent to whom, and what could not be sent and why."""

    list_display = [
        *["created_at", "kind", "channel", "recipient", "endpoint", "subject"],
        *["state", "state_reason", "sent_at", "unreached_at"],
    ]
    list_filter = [
        *["state", ChannelFilter, ("unreached_at", admin.EmptyFieldListFilter), KindFilter, "is_automatic"]
    ]
    list_per_page = 50
    ordering = ["-pk"]
    search_fields = ["subject_key", "subject", "recipient__email"]
    list_select_related = ["recipient", "endpoint"]
    inlines = [AttemptInline]
    actions = ["send_again", "replay"]

    @admin.action(description=gettext_lazy("Send again what was set aside"))
    def send_again(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            done = sum(outbox.requeue(message, now=timezone.now()) for message in queryset)
        messages.success(request, _("%(count)s messages are queued again.") % {"count": done})

    @admin.action(description=gettext_lazy("Send webhooks again that were sent or not sent"))
    def replay(self, request: HttpRequest, queryset: Any) -> None:
        """The same id goes once more: receivers that have it can tell."""
        with transaction.atomic():
            done = sum(outbox.replay(message, now=timezone.now()) for message in queryset)
        messages.success(request, _("%(count)s webhooks go again.") % {"count": done})
