"""Announcements on the staff desk: agents write drafts, duty managers let them out.

A draft is a form. What becomes of it are verbs, each with a page that says who will get it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from portal import announcing
from portal.access import looked_after, person_of
from portal.admin_base import RoleAdmin
from portal.models import Announcement
from portal.verbs import Refused

STATE_WORDS = {
    "draft": (gettext_lazy("Draft"), "paused"),
    "scheduled": (gettext_lazy("Scheduled"), "maintenance"),
    "published": (gettext_lazy("Published"), "met"),
    "expired": (gettext_lazy("Over"), "paused"),
    "withdrawn": (gettext_lazy("Withdrawn"), "cancelled"),
}


class NoInput(forms.Form):
    """A verb that takes nothing but the click."""


class ScheduleForm(forms.Form):
    publish_at = forms.DateTimeField(
        label=gettext_lazy("Publish at"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=gettext_lazy("In your time zone."),
    )


@dataclass(frozen=True)
class DeskVerb:
    name: str
    title: Any
    effect: Any
    verb: Callable[..., Any]
    form: type[forms.Form] = NoInput
    has_reach: bool = False


VERBS = {
    each.name: each
    for each in [
        DeskVerb(
            "publish",
            gettext_lazy("Publish now"),
            gettext_lazy("It is shown in the portal and mailed at once. It cannot be rewritten afterwards."),
            announcing.publish,
            has_reach=True,
        ),
        DeskVerb(
            "schedule",
            gettext_lazy("Schedule"),
            gettext_lazy("It goes out by itself at that time, to whoever is addressed then."),
            announcing.schedule,
            ScheduleForm,
            has_reach=True,
        ),
        DeskVerb(
            "unschedule",
            gettext_lazy("Take off the schedule"),
            gettext_lazy("It is a draft again."),
            announcing.unschedule,
        ),
        DeskVerb(
            "pin",
            gettext_lazy("Pin"),
            gettext_lazy("It stands on its readers' home page until it is over or unpinned."),
            announcing.pin,
        ),
        DeskVerb(
            "unpin",
            gettext_lazy("Unpin"),
            gettext_lazy("It leaves its readers' home page, and stays in the list."),
            announcing.unpin,
        ),
        DeskVerb(
            "expire",
            gettext_lazy("End it now"),
            gettext_lazy("It stands among the earlier ones from now on."),
            announcing.expire,
        ),
        DeskVerb(
            "withdraw",
            gettext_lazy("Withdraw"),
            gettext_lazy("Nobody can read it any more, and mails that wait are not sent. What was mailed stays mailed."),
            announcing.withdraw,
        ),
    ]
}  # fmt: skip


class DraftForm(forms.ModelForm):
    """A draft; the verb's own rules are the form's."""

    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)  # the revision that is edited

    class Meta:
        model = Announcement
        fields = ["title", "text", "audience", "services", "organisations", "expires_at"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen"].initial = self.instance.revision

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        seen = data.pop("seen", None)
        if self.errors:
            return data
        if seen is not None and seen != self.instance.revision:
            self.add_error(
                None, _("Somebody changed it while you were writing. Look at it again, then save.")
            )
        try:
            announcing.checked(**data, now=timezone.now())
        except Refused as refused:
            self.add_error(refused.field or None, refused.reason)
        return data


@admin.register(Announcement)
class AnnouncementAdmin(RoleAdmin):
    form = DraftForm
    list_display = ["title", "state", "audience", "is_pinned", "published_at", "author"]
    list_filter = ["audience", "is_pinned"]
    list_select_related = ["author"]
    search_fields = ["title", "text"]
    autocomplete_fields = ["services", "organisations"]
    view_on_site = False  # a draft is on no page; what is out is linked above its form
    change_form_before_template = "admin/portal/announcement/_state.html"

    class Media:
        css = {"all": ["css/tokens.css", "css/labels.css", "css/desk.css"]}

    def has_change_permission(self, request: HttpRequest, obj: Announcement | None = None) -> bool:
        """A draft is changed by whoever may write; what is on its way or out is only looked at."""
        allowed = super().has_change_permission(request, obj)
        is_draft = obj is None or announcing.state_of(obj, timezone.now()) == "draft"
        return allowed and is_draft

    @admin.display(description=gettext_lazy("state"))
    def state(self, announcement: Announcement) -> SafeString:
        return label_of(announcement)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(use_verb)
        own = path("<int:pk>/do/<slug:verb>/", view, name="portal_announcement_do")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = Announcement.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        more = desk_context(request, found) if found else {}
        return super().change_view(request, object_id, form_url, more | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Announcement, form: Any, change: bool) -> None:
        by, now = person_of(request), timezone.now()
        if change:
            announcing.edit(Announcement.objects.get(pk=obj.pk), by=by, now=now, **form.cleaned_data)
        else:
            obj.__dict__.update(announcing.write(by=by, now=now, **form.cleaned_data).__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The verb has written the audience, and only as far as it is asked for."""


def label_of(announcement: Announcement) -> SafeString:
    word, look = STATE_WORDS[announcing.state_of(announcement, timezone.now())]
    return format_html('<span class="label label-{}">{}</span>', look, word)


def desk_context(request: HttpRequest, found: Announcement) -> dict[str, Any]:
    """What stands above the form: the state, who gets it, and the verbs that may be used now."""
    user, now = person_of(request), timezone.now()
    offered = [verb for verb in VERBS.values() if not announcing.may(verb.name, found, user, now)]
    return {
        "announcement": found,
        "label": label_of(found),
        "reach": announcing.reach(found),
        "verbs": offered,
        "refusal": announcing.may("publish", found, user, now),
        "readings": found.readings.count(),
    }


@require_http_methods(["GET", "POST"])
def use_verb(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """GET says what the verb would do and whom it reaches; POST uses it."""
    found = get_object_or_404(looked_after(Announcement.objects.all(), person_of(request)), pk=pk)
    if verb not in VERBS:
        raise Http404
    offered = VERBS[verb]
    form = offered.form(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            done = offered.verb(found, by=person_of(request), now=timezone.now(), **form.cleaned_data)
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
            return verb_page(request, found, offered, form, refused.status)
        messages.success(request, done_words(offered, done))
        return redirect("admin:portal_announcement_change", pk)
    return verb_page(request, found, offered, form, 400 if form.errors else 200)


def done_words(verb: DeskVerb, done: Any) -> str:
    if verb.name != "publish":
        return _("%(verb)s: done.") % {"verb": verb.title}
    words = ngettext(
        "Published; %(count)s mail is on its way.", "Published; %(count)s mails are on their way.", done
    )
    return words % {"count": done}


def verb_page(
    request: HttpRequest, found: Announcement, verb: DeskVerb, form: forms.Form, code: int
) -> HttpResponse:
    refusal = announcing.may(verb.name, found, person_of(request), timezone.now())
    context = {
        "announcement": found,
        "verb": verb,
        "form": form,
        "reach": announcing.reach(found) if verb.has_reach else None,
        "refusal": "" if form.is_bound else refusal,
    }
    return render(request, "admin/portal/announcement/verb.html", context, status=code)
