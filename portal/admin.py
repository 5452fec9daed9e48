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
from django.core.cache import caches
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import InvalidPage
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import sites

from portal import (
    announcement_desk,
    audit_desk,
    calendars,
    endpoint_desk,
    identity_desk,
    impersonation,
    privacy_desk,
    second_factor,
    sessions,
)
from portal.access import is_agent, person_of
from portal.admin_base import HistoryAdmin, RoleAdmin, RoleTabularInline
from portal.audit import record, record_of_person
from portal.models import (
    BusinessCalendar,
    CalendarVersion,
    Membership,
    Organisation,
    OwnDay,
    Service,
    ServiceSubscription,
    SpecialDate,
    StaffLimit,
    Team,
    User,
)

__all__ = [
    "announcement_desk",
    "audit_desk",
    "endpoint_desk",
    "identity_desk",
    "privacy_desk",
]  # their pages register themselves


def to_the_desk(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The admin has no sign-in of its own: it would ask for no second factor, and count no failures."""
    if not is_agent(person_of(request)):
        raise PermissionDenied
    return redirect("admin:index")


def has_desk(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_agent


# What somebody finds is asked for anew each time: rights may have changed, and results are no JSON for Redis.
sites.cache = caches["nothing"]
search_desk = admin.site.search  # type: ignore[attr-defined]  # the theme's


def search(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The desk's search. A page that is no number, or is beyond the last, is not found."""
    try:
        return search_desk(request, extra_context)
    except (ValueError, InvalidPage) as error:
        raise Http404 from error


admin.site.search = search  # type: ignore[attr-defined]
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
    autocomplete_fields = ["user"]
    fields = ["user", "role", "visibility", "team", "is_p1_contact", "is_escalation_contact"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("user", "organisation")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The teams of this organisation; a new organisation has none yet."""
        if db_field.name == "team":
            match = request.resolver_match
            named = match.kwargs.get("object_id", "") if match else ""
            kwargs["queryset"] = Team.objects.filter(organisation=int(named) if named.isdecimal() else None)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class TeamInline(RoleTabularInline):
    model = Team


class SubscriptionInline(RoleTabularInline):
    model = ServiceSubscription
    autocomplete_fields = ["service"]


@admin.register(Organisation)
class OrganisationAdmin(HistoryAdmin):
    list_display = ["name", "time_zone", "language", "is_active"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [TeamInline, MembershipInline, SubscriptionInline]


@admin.register(Service)
class ServiceAdmin(HistoryAdmin):
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
            "is_limited",
            "is_active",
            "language",
            "time_zone",
            "hears_all_incidents",
            "has_daily_summary",
            "daily_summary_hour",
        ]

    def clean_email(self) -> str:
        return self.cleaned_data["email"].strip().lower()


class LimitInline(RoleTabularInline):
    """Whom a limited member of the staff looks after."""

    model = StaffLimit
    fk_name = "user"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The vendor's own organisation holds what concerns many customers: nobody looks after that alone."""
        if db_field.name == "organisation":
            kwargs["queryset"] = Organisation.objects.filter(is_vendor=False)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _allowed(self, request: HttpRequest, verb: str) -> bool:
        return super()._allowed(request, verb) and (verb == "view" or not person_of(request).is_limited)

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_add_permission(request, obj) and obj != person_of(request)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and obj != person_of(request)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and obj != person_of(request)


@admin.register(User)
class UserAdmin(RoleAdmin):
    """People. Only administrators change them, and nobody grants themselves anything here.

    Whoever is limited changes nobody: they could make an account without limits, or lift their own.
    """

    form = PersonForm
    inlines = [LimitInline]
    change_form_before_template = "admin/portal/user/_look_as.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(impersonation.start_page)
        return [path("<int:pk>/look-as/", view, name="portal_user_look_as"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        user = self.get_object(request, object_id)
        may = user is not None and not impersonation.refusal(person_of(request), user)
        more = {"look_as": user if may else None}
        return super().change_view(request, object_id, form_url, more | (extra_context or {}))

    list_display = ["name", "email", "staff_role", "is_active"]
    list_filter = ["staff_role", "is_active"]
    search_fields = ["name", "email"]

    def _allowed(self, request: HttpRequest, verb: str) -> bool:
        return super()._allowed(request, verb) and (verb == "view" or not person_of(request).is_limited)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and not is_above(obj, request)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        own = ["email", "staff_role", "is_staff", "is_limited", "is_active"]
        return own if obj == person_of(request) else []

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[Any]:
        return self.inlines if obj and obj.is_staff else []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            sessions.end_all(obj)  # so that none lives again when the person does
        if "email" in form.changed_data:  # a new password could still be asked for at the address of before
            EmailAddress.objects.filter(user=obj).exclude(email=obj.email).delete()
        record_person_change(request, obj, form, change)


def record_person_change(request: HttpRequest, person: User, form: Any, change: bool) -> None:
    """People have no history of their own: the audit says who changed which columns of whom on the desk."""
    facts: dict[str, Any] = {"person": person.pk, "fields": form.changed_data, "is_new": not change}
    if "staff_role" in form.changed_data:
        facts |= {"role_from": form.initial.get("staff_role", ""), "role_to": person.staff_role}
    about: dict[str, Any] = {"by": person_of(request), "now": timezone.now(), "request": request}
    about |= {"subject": f"person/{person.pk}", "facts": facts}
    if person.is_staff or facts.get("role_from"):
        record("staff_changed", **about)
    else:
        record_of_person("person_changed", person, **about)


def is_above(user: User | None, request: HttpRequest) -> bool:
    """Whether the user outranks whoever asks: only a superuser touches a superuser."""
    return user is not None and user.is_superuser and not person_of(request).is_superuser


@admin.register(Authenticator)
class SecondFactorAdmin(RoleAdmin):
    """Second factors, so that a lost one can be removed. Nobody reads their secrets."""

    fields = ["user", "type", "created_at", "last_used_at"]
    list_display = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["user__name", "user__email"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_above(obj and obj.user, request)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Note it in the audit, and tell the person."""
        about: dict[str, Any] = {"by": person_of(request), "now": timezone.now(), "request": request}
        about |= {"subject": f"person/{obj.user_id}", "facts": {"person": obj.user_id, "type": obj.type}}
        second_factor.remove(obj)
        record_of_person("factor_reset_by_staff", obj.user, **about)


class VersionInline(RoleTabularInline):
    model = CalendarVersion
    fields = ["number", "time_zone", "country", "covers_until", "created_at"]
    readonly_fields = fields
    show_change_link = True


@admin.register(BusinessCalendar)
class BusinessCalendarAdmin(HistoryAdmin):
    list_display = ["name"]
    search_fields = ["name"]
    inlines = [VersionInline]


class OwnDayInline(RoleTabularInline):
    model = OwnDay


class SpecialDateInline(RoleTabularInline):
    model = SpecialDate


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
