"""The kernel on the staff desk: people, organisations, services, calendars."""

from __future__ import annotations

from datetime import date
from importlib import import_module
from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import announcement_desk, calendars, endpoint_desk, privacy_desk
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
from portal.models import (
    BusinessCalendar,
    CalendarVersion,
    Membership,
    Organisation,
    OwnDay,
    Service,
    ServiceSubscription,
    SpecialDate,
    StaffRole,
    User,
)

__all__ = ["announcement_desk", "endpoint_desk", "privacy_desk"]  # their pages register themselves


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
for app in (
    "django.contrib.auth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
):
    import_module(f"{app}.admin")
admin.site.unregister(
    [Group, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken, UserSession]
)


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
