"""The rota on the staff desk: who is on duty for the next two weeks, where nobody is, and the swap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from incidents import oncall
from incidents.models import Shift
from portal import rights
from portal.access import has_role, is_duty_manager, person_of
from portal.admin_base import HistoryAdmin, NumberWidget
from portal.models import User
from portal.templatetags.portal_tags import moment

SHOWN = timedelta(days=14)
WARNED = timedelta(days=7)
MOST_WEEKS = 52
INSTEAD = {
    Shift.Role.ON_CALL: gettext_lazy("Where nobody is on call, the whole team is paged."),
    Shift.Role.DUTY_MANAGER: gettext_lazy("Where nobody is named, every duty manager is paged."),
    Shift.Role.HEAD_OF_SUPPORT: gettext_lazy("Where nobody is named, every head of support is paged."),
}


# --- the rota as it is shown ---


@dataclass(frozen=True)
class RotaRow:
    """One stretch of a role: a shift, or a gap with the address of a form that fills it."""

    from_at: datetime
    until_at: datetime
    shift: Shift | None = None
    is_now: bool = False
    may_hand_over: bool = False
    fill_url: str = ""


@dataclass(frozen=True)
class RoleRota:
    role: str
    label: str
    instead: Any
    rows: list[RotaRow]


def rota(now: datetime, user: User) -> list[RoleRota]:
    """The next two weeks of each role, with what `user` may do about them."""
    until = now + SHOWN
    shifts = Shift.objects.filter(until_at__gt=now, from_at__lt=until).select_related("person", "backup")
    found: dict[str, list[Shift]] = {role: [] for role in Shift.Role.values}
    for shift in shifts:
        found[shift.role].append(shift)
    return [
        RoleRota(role, str(Shift.Role(role).label), INSTEAD[Shift.Role(role)], _rows(role, held, now, user))
        for role, held in found.items()
    ]


def _rows(role: str, shifts: list[Shift], now: datetime, user: User) -> list[RotaRow]:
    rows = [
        RotaRow(shift.from_at, shift.until_at, shift, shift.from_at <= now, may_hand_over(user, shift))
        for shift in shifts
    ]
    for gap in oncall.gaps(role, now, now + SHOWN):
        url = fill_url(gap) if is_duty_manager(user) else ""
        rows.append(RotaRow(gap.from_at, gap.until_at, is_now=gap.from_at <= now, fill_url=url))
    return sorted(rows, key=lambda row: row.from_at)


@dataclass(frozen=True)
class ComingGap:
    """A gap of the next days, as the landing page warns of it."""

    label: str
    from_at: datetime
    until_at: datetime
    is_now: bool
    fill_url: str


def coming_gaps(now: datetime, user: User) -> list[ComingGap]:
    """Where nobody is on duty in the next seven days: on call, and in each role that has ever had a shift."""
    kept = {Shift.Role.ON_CALL.value, *Shift.objects.order_by().values_list("role", flat=True).distinct()}
    gaps = [gap for role in Shift.Role if role in kept for gap in oncall.gaps(role, now, now + WARNED)]
    may_fill = is_duty_manager(user)
    return [
        ComingGap(
            label=str(Shift.Role(gap.role).label),
            from_at=gap.from_at,
            until_at=gap.until_at,
            is_now=gap.from_at <= now,
            fill_url=fill_url(gap) if may_fill else "",
        )
        for gap in gaps
    ]


def fill_url(gap: oncall.Gap) -> str:
    """The form of a new shift that fills just this gap."""
    filled = {"role": gap.role, "from_at": gap.from_at.isoformat(), "until_at": gap.until_at.isoformat()}
    return f"{reverse('admin:incidents_shift_add')}?{urlencode(filled)}"


def may_hand_over(user: User, shift: Shift) -> bool:
    """A duty manager hands over any shift, an agent their own."""
    least = rights.of_verb("incidents.shift", "hand_over").least
    return has_role(user, least) or (user.is_agent and shift.person_id == user.pk)


# --- the swap ---


class HandOverForm(forms.Form):
    to = forms.ModelChoiceField(User.objects.none(), label=gettext_lazy("Who takes over"))

    def __init__(self, *args: Any, shift: Shift, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = oncall.staff().exclude(pk=shift.person_id).order_by("name")
        self.fields["to"].queryset = others  # type: ignore[attr-defined]


def hand_over(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks who takes over what is left of a shift (`?to=` chooses the backup, say); POST does it."""
    shift = get_object_or_404(Shift.objects.select_related("person", "backup"), pk=pk)
    if not may_hand_over(person_of(request), shift):
        raise PermissionDenied
    given = request.POST if request.method == "POST" else None
    form = HandOverForm(given, shift=shift, initial={"to": request.GET.get("to")})
    now, status = timezone.now(), 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                made = oncall.hand_over(shift, to=form.cleaned_data["to"], now=now)
            except oncall.RotaError as error:
                form.add_error("to", str(error))
                status = 409
            else:
                messages.success(request, handed_over_words(made))
                return redirect("admin:incidents_shift_changelist")
    context = {
        "shift": shift,
        "form": form,
        "now": now,
        "has_begun": shift.from_at <= now,
        "is_over": shift.until_at <= now,
    }
    return render(request, "admin/incidents/shift/hand_over.html", context, status=status)


def handed_over_words(shift: Shift) -> str:
    words = _("%(role)s from %(from)s until %(until)s: %(name)s.") % {
        "role": shift.get_role_display(),
        "from": moment(shift.from_at),
        "until": moment(shift.until_at),
        "name": shift.person,
    }
    backup = _("Backup: %(name)s.") % {"name": shift.backup} if shift.backup else _("There is no backup.")
    return f"{words} {backup}"


# --- one shift, or several weeks of it ---


class ShiftForm(ModelForm):
    weeks = forms.IntegerField(
        label=gettext_lazy("Repeat weekly, this many times"),
        min_value=1,
        max_value=MOST_WEEKS,
        initial=1,
        required=False,
        widget=NumberWidget,
        help_text=gettext_lazy(
            "1: only this shift. More: the same weekday and hour of each following week. All of them are "
            "added, or none."
        ),
    )

    class Meta:
        model = Shift
        fields = ["role", "person", "backup", "from_at", "until_at"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = _("In %(zone)s.") % {"zone": timezone.get_current_timezone_name()}
        for name in {"from_at", "until_at"} & set(self.fields):
            self.fields[name].help_text = zone

    def clean(self) -> dict[str, Any]:
        """Hold the rota while it is checked and changed; make the weeks that follow, and check them too."""
        data = super().clean() or {}
        oncall.lock_rota()
        self.following: list[Shift] = []
        needed = ("role", "person", "from_at", "until_at")
        if (data.get("weeks") or 1) > 1 and all(data.get(name) for name in needed):
            self.following = self._following(data)
        return data

    def _following(self, data: dict[str, Any]) -> list[Shift]:
        if data["until_at"] > weeks_later(data["from_at"], 1):
            self.add_error("weeks", _("A shift that is longer than a week cannot be repeated weekly."))
            return []
        made = [
            Shift(
                role=data["role"],
                person=data["person"],
                backup=data.get("backup"),
                from_at=weeks_later(data["from_at"], number),
                until_at=weeks_later(data["until_at"], number),
            )
            for number in range(1, data["weeks"])
        ]
        for shift in made:
            taken = shift.overlapping().select_related("person").first()
            if taken:
                self.add_error("weeks", taken_words(shift, taken))
                return []
        return made


def weeks_later(at: datetime, weeks: int) -> datetime:
    """The same hour on the wall so many weeks later, also across a change of the clocks."""
    wall = timezone.localtime(at).replace(tzinfo=None) + timedelta(weeks=weeks)
    return timezone.make_aware(wall)


def taken_words(shift: Shift, taken: Shift) -> str:
    return _("From %(from)s %(name)s has this role already. Nothing was added: repeat it fewer times.") % {
        "from": moment(max(shift.from_at, taken.from_at)),
        "name": taken.person,
    }


class ShiftAdmin(HistoryAdmin):
    """The rota, with its gaps. What has passed stays as it was."""

    form = ShiftForm
    list_display = ["begins", "ends", "role", "person", "backup"]
    list_display_links = ["begins"]
    list_filter = ["role"]
    list_select_related = ["person", "backup"]
    list_before_template = "admin/incidents/shift/_rota.html"
    ordering = ["-from_at"]

    @admin.display(description=gettext_lazy("from"), ordering="from_at")
    def begins(self, shift: Shift) -> str:
        return moment(shift.from_at)

    @admin.display(description=gettext_lazy("until"), ordering="until_at")
    def ends(self, shift: Shift) -> str:
        return moment(shift.until_at)

    def has_change_permission(self, request: HttpRequest, obj: Shift | None = None) -> bool:
        is_over = obj is not None and obj.until_at <= timezone.now()
        return super().has_change_permission(request, obj) and not is_over

    def has_delete_permission(self, request: HttpRequest, obj: Shift | None = None) -> bool:
        has_begun = obj is not None and obj.from_at <= timezone.now()
        return super().has_delete_permission(request, obj) and not has_begun

    def get_fields(self, request: HttpRequest, obj: Shift | None = None) -> list[str]:
        return [*ShiftForm.Meta.fields, *([] if obj else ["weeks"])]

    def get_urls(self) -> list[URLPattern]:
        wrapped = self.admin_site.admin_view(hand_over)
        return [path("<int:pk>/hand-over/", wrapped, name="incidents_shift_hand_over"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        now = timezone.now()
        shown = {"rota": rota(now, person_of(request)), "now": now}
        return super().changelist_view(request, shown | (extra_context or {}))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What a link that fills a gap says of the shift."""
        given: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        for name in ("from_at", "until_at"):
            given[name] = _moment_of(given.get(name, ""))
        return given

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("person", "backup"):
            kwargs["queryset"] = oncall.staff().order_by("name")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Shift, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        for shift in form.following:
            shift.save()
        if form.following:
            count = len(form.following)
            told = ngettext("%(count)s further week was added.", "%(count)s further weeks were added.", count)
            messages.success(request, told % {"count": count})


def _moment_of(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found and timezone.is_aware(found) else None
