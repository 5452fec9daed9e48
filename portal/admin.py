"""The kernel on the staff desk: people, organisations, services, calendars, the outbox."""

from __future__ import annotations

from datetime import date
from importlib import import_module
from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import announcement_desk, calendars, outbox
from portal.access import is_agent, person_of
from portal.admin_base import (
    ADMINISTRATOR_WRITES,
    HEAD_WRITES,
    READ_ONLY,
    HistoryAdmin,
    RoleAdmin,
    RoleTabularInline,
    rights,
)
from portal.channels.base import WEBHOOK
from portal.models import (
    BusinessCalendar,
    CalendarVersion,
    Endpoint,
    Membership,
    Organisation,
    OutboxMessage,
    OwnDay,
    Service,
    ServiceSubscription,
    SpecialDate,
    StaffRole,
    User,
)
from portal.models.endpoints import new_secret

__all__ = ["announcement_desk"]  # its pages register themselves


def to_the_desk(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The admin has no sign-in of its own: it would ask for no second factor, and count no failures."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    return redirect("admin:index")


def has_desk(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_agent


admin.site.login = secure_admin_login(to_the_desk)  # type: ignore[method-assign]
admin.site.has_permission = has_desk  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = admin.site.index_title = gettext_lazy("Staff desk")

# Rights are roles, addresses belong to their people, and second factors have a page of ours below.
for app in ("django.contrib.auth", "allauth.account", "allauth.mfa"):
    import_module(f"{app}.admin")
admin.site.unregister([Group, EmailAddress, Authenticator])


class MembershipInline(RoleTabularInline):
    model = Membership
    roles = rights(StaffRole.AGENT, StaffRole.HEAD_OF_SUPPORT, StaffRole.HEAD_OF_SUPPORT)
    autocomplete_fields = ["user"]


class SubscriptionInline(RoleTabularInline):
    model = ServiceSubscription
    roles = rights(StaffRole.AGENT, StaffRole.HEAD_OF_SUPPORT, StaffRole.HEAD_OF_SUPPORT)
    autocomplete_fields = ["service"]


@admin.register(Organisation)
class OrganisationAdmin(HistoryAdmin):
    roles = HEAD_WRITES
    list_display = ["name", "time_zone", "language", "is_active"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [MembershipInline, SubscriptionInline]


@admin.register(Service)
class ServiceAdmin(HistoryAdmin):
    roles = HEAD_WRITES
    list_display = ["name", "description", "position", "is_active", "is_public"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}


class PersonForm(forms.ModelForm):
    """A person without a password field: people set it by the link of “Forgot your password?”."""

    class Meta:
        model = User
        fields = [
            "email",
            "name",
            "staff_role",
            "is_staff",
            "is_active",
            "language",
            "time_zone",
            "hears_all_incidents",
            "has_daily_summary",
            "daily_summary_hour",
        ]

    def clean_email(self) -> str:
        return self.cleaned_data["email"].strip().lower()


@admin.register(User)
class UserAdmin(RoleAdmin):
    """People. Only administrators change them, and nobody grants themselves anything here."""

    roles = ADMINISTRATOR_WRITES
    form = PersonForm
    list_display = ["name", "email", "staff_role", "is_active"]
    list_filter = ["staff_role", "is_active"]
    search_fields = ["name", "email"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and not is_above(obj, request)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        return ["email", "staff_role", "is_staff", "is_active"] if obj == person_of(request) else []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:  # a new password could still be asked for at the address of before
            EmailAddress.objects.filter(user=obj).exclude(email=obj.email).delete()


def is_above(user: User | None, request: HttpRequest) -> bool:
    """Whether the user outranks whoever asks: only a superuser touches a superuser."""
    return user is not None and user.is_superuser and not person_of(request).is_superuser


@admin.register(Authenticator)
class SecondFactorAdmin(RoleAdmin):
    """Second factors, so that a lost one can be removed. Nobody reads their secrets."""

    roles = {"view": StaffRole.ADMINISTRATOR, "delete": StaffRole.ADMINISTRATOR}
    fields = ["user", "type", "created_at", "last_used_at"]
    list_display = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["user__name", "user__email"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_above(obj and obj.user, request)


class VersionInline(RoleTabularInline):
    model = CalendarVersion
    roles = READ_ONLY
    fields = ["number", "time_zone", "country", "covers_until", "created_at"]
    readonly_fields = fields
    show_change_link = True


@admin.register(BusinessCalendar)
class BusinessCalendarAdmin(HistoryAdmin):
    roles = HEAD_WRITES
    list_display = ["name"]
    search_fields = ["name"]
    inlines = [VersionInline]


class OwnDayInline(RoleTabularInline):
    model = OwnDay
    roles = rights(StaffRole.AGENT)


class SpecialDateInline(RoleTabularInline):
    model = SpecialDate
    roles = READ_ONLY


class VersionForm(forms.ModelForm):
    """A calendar as it shall be: saving makes a new version, and leaves the old one as it was agreed."""

    day_lines = forms.CharField(
        label=gettext_lazy("Own days"),
        required=False,
        widget=forms.Textarea,
        help_text=gettext_lazy(
            "One a line: date | name | hours, such as 2026-12-24 | Eve | 09:00-13:00. Without hours it is "
            "closed all day. Empty: as in the version before."
        ),
    )

    class Meta:
        model = CalendarVersion
        fields = ["calendar", "time_zone", "week", "country", "subdivision", "half_day_until"]

    def clean_day_lines(self) -> list[calendars.DaySpans] | None:
        """(day, name, spans) of each line; None to keep those of the version before."""
        lines = [line.strip() for line in self.cleaned_data["day_lines"].splitlines() if line.strip()]
        return [self._own_day(line) for line in lines] or None

    def _own_day(self, line: str) -> calendars.DaySpans:
        day, name, hours, *rest = [*(part.strip() for part in line.split("|")), "", ""]
        try:
            if not name or any(rest):
                raise ValueError(line)
            return date.fromisoformat(day), name, hours.replace(",", " ").split()
        except ValueError as error:
            raise ValidationError(
                _("“%(line)s”: write date | name | hours, such as 2026-12-24 | Eve | 09:00-13:00."),
                params={"line": line},
            ) from error

    def clean(self) -> dict[str, Any]:
        """Try the version out: a country without known holidays, say, is an error of the form."""
        data = super().clean() or {}
        if not self.errors:
            with transaction.atomic():
                tried = {name: value for name, value in data.items() if name != "day_lines"}
                calendars.new_version(now=timezone.now(), by=None, own_days=data["day_lines"], **tried)
                transaction.set_rollback(True)
        return data


@admin.register(CalendarVersion)
class CalendarVersionAdmin(RoleAdmin):
    roles = {"view": StaffRole.AGENT, "add": StaffRole.HEAD_OF_SUPPORT}
    form = VersionForm
    list_display = ["__str__", "time_zone", "country", "covers_from", "covers_until"]
    inlines = [OwnDayInline, SpecialDateInline]

    def get_inlines(self, request: HttpRequest, obj: CalendarVersion | None) -> list[Any]:
        return self.inlines if obj else []

    def save_model(self, request: HttpRequest, obj: CalendarVersion, form: Any, change: bool) -> None:
        made = calendars.new_version(
            obj.calendar,
            now=timezone.now(),
            by=person_of(request),
            own_days=form.cleaned_data["day_lines"],
            **{name: form.cleaned_data[name] for name in VersionForm.Meta.fields[1:]},
        )
        obj.__dict__.update(made.__dict__)


@admin.register(Endpoint)
class EndpointAdmin(HistoryAdmin):
    """Where webhooks go. A secret is shown once, to who made it; the rest of an address is one, too."""

    roles = HEAD_WRITES
    list_display = ["name", "origin", "person", "organisation", "is_active"]
    list_filter = ["is_active"]
    list_select_related = ["person", "organisation"]
    search_fields = ["name"]
    autocomplete_fields = ["person", "organisation"]
    actions = ["make_a_new_secret", "send_a_test"]
    SHOWN_ONCE = "endpoint_secret"  # in the session, and so never in a cookie

    @admin.display(description=gettext_lazy("address"))
    def origin(self, endpoint: Endpoint) -> str:
        return endpoint.origin

    def has_write_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[str]:
        address = "url" if self.has_change_permission(request) else "origin"
        return ["name", address, "person", "organisation", "is_active"]

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> list[str]:
        """What waits for an endpoint was meant for its owner: another owner is another endpoint."""
        return ["origin", "person", "organisation"] if obj else ["origin"]

    def set_history_delta_changes(self, request: HttpRequest, *records: Any, **more: Any) -> None:
        if self.has_change_permission(request):
            super().set_history_delta_changes(request, *records, **more)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            self._will_show(request, obj)

    def _will_show(self, request: HttpRequest, endpoint: Endpoint) -> None:
        request.session[self.SHOWN_ONCE] = [str(endpoint), endpoint.secret]

    def _show(self, request: HttpRequest) -> None:
        name, secret = request.session.pop(self.SHOWN_ONCE, (None, None))
        if secret:
            words = _("The secret of “%(name)s” is %(secret)s. Copy it now: it is not shown again.")
            messages.warning(request, words % {"name": name, "secret": secret})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "GET" and self.has_change_permission(request):
            self._show(request)
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "GET" and self.has_change_permission(request):
            self._show(request)
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.action(description=gettext_lazy("Make a new secret"), permissions=["write"])
    def make_a_new_secret(self, request: HttpRequest, queryset: Any) -> None:
        """One at a time, for it is shown once. The old one is dead at once."""
        endpoints = list(queryset[:2])
        if len(endpoints) != 1:
            messages.error(request, _("Choose one endpoint: its new secret is shown once."))
            return
        [endpoint] = endpoints
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret"])
        self._will_show(request, endpoint)

    @admin.action(description=gettext_lazy("Send a test"), permissions=["write"])
    def send_a_test(self, request: HttpRequest, queryset: Any) -> None:
        now = timezone.now()
        with transaction.atomic():
            for endpoint in queryset:
                outbox.enqueue(
                    "endpoint_test",
                    None,
                    now=now,
                    dedupe_key=f"endpoint_test:{now.isoformat()}:endpoint-{endpoint.pk}",
                    channel=WEBHOOK,
                    endpoint=endpoint,
                )
        messages.success(request, _("A test is on its way: the outbox shows what became of it."))


@admin.register(OutboxMessage)
class OutboxAdmin(RoleAdmin):
    """Every message: what was sent to whom, and what could not be sent and why."""

    roles = READ_ONLY
    list_display = [
        *["created_at", "kind", "channel", "recipient", "endpoint", "subject"],
        *["state", "state_reason", "sent_at", "unreached_at"],
    ]
    list_filter = ["state", "channel", ("unreached_at", admin.EmptyFieldListFilter), "kind", "is_automatic"]
    search_fields = ["subject_key", "subject", "recipient__email"]
    list_select_related = ["recipient", "endpoint"]
    actions = ["send_again"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        return person_of(request).has_staff_role(StaffRole.DUTY_MANAGER)

    @admin.action(description=gettext_lazy("Send again what was set aside"), permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            done = sum(outbox.requeue(message, now=timezone.now()) for message in queryset)
        messages.success(request, _("%(count)s messages are queued again.") % {"count": done})
