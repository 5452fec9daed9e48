"""The kernel on the staff desk: people, organisations, services, calendars, the outbox."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import calendars, outbox
from portal.access import person_of
from portal.admin_base import (
    ADMINISTRATOR_WRITES,
    HEAD_WRITES,
    READ_ONLY,
    HistoryAdmin,
    RoleAdmin,
    RoleTabularInline,
    rights,
)
from portal.models import (
    BusinessCalendar,
    CalendarVersion,
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

# The admin has no sign-in of its own: a second factor that it did not ask for would not hold.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = gettext_lazy("Staff desk")


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
    list_display = ["name", "description", "position", "is_active"]
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

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Nobody raises themselves, and only a superuser touches a superuser."""
        if obj is None:
            return []
        if obj == person_of(request) or (obj.is_superuser and not person_of(request).is_superuser):
            return ["email", "staff_role", "is_staff", "is_active"]
        return []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)


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

    class Meta:
        model = CalendarVersion
        fields = ["calendar", "time_zone", "week", "country", "subdivision", "half_day_until"]


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
            **{name: form.cleaned_data[name] for name in VersionForm.Meta.fields[1:]},
        )
        obj.__dict__.update(made.__dict__)


@admin.register(OutboxMessage)
class OutboxAdmin(RoleAdmin):
    """Every message: what was sent to whom, and what could not be sent and why."""

    roles = READ_ONLY
    list_display = ["created_at", "kind", "recipient", "subject", "state", "state_reason", "sent_at"]
    list_filter = ["state", "kind", "is_automatic"]
    search_fields = ["subject_key", "subject", "recipient__email"]
    list_select_related = ["recipient"]
    actions = ["send_again"]

    @admin.action(description=gettext_lazy("Send again what was set aside"))
    def send_again(self, request: HttpRequest, queryset: Any) -> None:
        if not person_of(request).has_staff_role(StaffRole.DUTY_MANAGER):
            messages.error(request, _("Only a duty manager sends again."))
            return
        with transaction.atomic():
            done = sum(outbox.requeue(message, now=timezone.now()) for message in queryset)
        messages.success(request, _("%(count)s messages are queued again.") % {"count": done})
