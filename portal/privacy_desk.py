"""Erasure, export and retention on the staff desk: for administrators, asked for twice, previewed before."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from portal import privacy_verbs, retention
from portal.access import person_of
from portal.admin_base import HistoryAdmin, RoleAdmin
from portal.models import Erasure, RetentionRule, StaffRole, User
from portal.privacy import TABLES
from portal.privacy_views import download
from portal.verbs import Refused


class FindForm(forms.Form):
    email = forms.EmailField(label=gettext_lazy("E-mail address of the person"))


class ErasureForm(forms.Form):
    """What an erasure is asked for with. The address is typed, so that nobody is forgotten by a slip."""

    typed = forms.CharField(
        label=gettext_lazy("Type the person's e-mail address"),
        help_text=gettext_lazy("This cannot be undone."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        help_text=gettext_lazy("Who asked for it, and when. Do not write the name: the reason is kept."),
    )
    also = forms.CharField(
        label=gettext_lazy("Further names"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("One a line, such as a nickname or a former name; replaced everywhere, too."),
    )
    are_files_deleted = forms.BooleanField(
        label=gettext_lazy("Delete the files that the person attached"),
        required=False,
        help_text=gettext_lazy("Otherwise they stay as records of their incidents. Nobody looks into files."),
    )

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person

    def clean_typed(self) -> str:
        typed = self.cleaned_data["typed"].strip().lower()
        if typed != self.person.email.lower():
            raise forms.ValidationError(_("This is not the address of this person."))
        return typed

    def clean_also(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["also"].splitlines() if line.strip()][:20]


def administrators_only(request: HttpRequest) -> User:
    """Who asks; PermissionDenied for anybody below an unlimited administrator, and while looking as somebody else."""
    user = person_of(request)
    is_looked_at = getattr(request, "impersonator", None) is not None
    if not user.has_staff_role(StaffRole.ADMINISTRATOR) or user.is_limited or is_looked_at:
        raise PermissionDenied
    return user


def for_administrators(view: Callable[..., Any]) -> Callable[..., HttpResponse]:
    """A page for administrators who have said who they are within the last minutes. Others get 403, not a form."""
    asked = reauthentication_required(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        administrators_only(request)
        return asked(request, *args, **kwargs)

    return guarded


@admin.register(Erasure)
class ErasureAdmin(RoleAdmin):
    """Whom we have forgotten; and the way to forget, or to hand out the data of, one more."""

    list_display = ["at", "person", "by", "reason"]
    list_select_related = ["person", "by"]
    change_list_template = "admin/portal/erasure/list.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("find/", wrap(find), name="portal_erasure_find"),
            path("person/<int:pk>/", wrap(for_administrators(erasure)), name="portal_erasure_person"),
            path("person/<int:pk>/data/", wrap(for_administrators(data)), name="portal_erasure_data"),
            *super().get_urls(),
        ]


@require_http_methods(["GET", "POST"])
def find(request: HttpRequest) -> HttpResponse:
    """Whose data it is about."""
    administrators_only(request)
    form = FindForm(request.POST or None)
    if form.is_valid():
        person = User.objects.filter(email=form.cleaned_data["email"].strip().lower()).first()
        if person is not None:
            return redirect("admin:portal_erasure_person", person.pk)
        form.add_error("email", _("Nobody here has this address."))
    return render(
        request, "admin/portal/erasure/find.html", {"form": form}, status=400 if form.errors else 200
    )


@require_http_methods(["GET", "POST"])
def erasure(request: HttpRequest, pk: int) -> HttpResponse:
    """What an erasure would change, counted; and the erasure itself, after the address was typed."""
    by = administrators_only(request)
    person = get_object_or_404(User, pk=pk)
    form = ErasureForm(request.POST or None, person=person)
    if request.method == "POST" and form.is_valid():
        answer = _erase(request, form, by)
        if answer is not None:
            return answer
    context = {"person": person, "form": form, "erased": Erasure.objects.filter(person=person).first()}
    context |= _preview(person, by) if context["erased"] is None else {}
    return render(request, "admin/portal/erasure/person.html", context, status=400 if form.errors else 200)


def _erase(request: HttpRequest, form: ErasureForm, by: User) -> HttpResponse | None:
    """The way on after it is done; None, with the form saying why, if it was refused."""
    given = {name: value for name, value in form.cleaned_data.items() if name != "typed"}
    try:
        privacy_verbs.erase(form.person, by=by, now=timezone.now(), **given)
    except Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, refused.reason)
        return None
    messages.success(request, _("Erased. What was changed is counted below."))
    return redirect("admin:portal_erasure_person", form.person.pk)


def _preview(person: User, by: User) -> dict[str, Any]:
    try:
        counts = privacy_verbs.preview(person, by=by, now=timezone.now())
    except Refused as refused:
        return {"refusal": refused.reason}
    named = [(TABLES[label].model._meta.verbose_name, label, count) for label, count in counts.items()]
    return {"counts": sorted(named, key=lambda row: str(row[0])), "total": sum(counts.values())}


@require_POST
def data(request: HttpRequest, pk: int) -> FileResponse:
    """One person's data, for who asked staff for it."""
    by = administrators_only(request)
    return download(request, get_object_or_404(User, pk=pk), by=by)


# --- retention ---


class RuleForm(forms.Form):
    keep_days = forms.IntegerField(
        label=gettext_lazy("Days kept"),
        required=False,
        min_value=1,
        max_value=retention.MOST_DAYS,
        help_text=gettext_lazy("Empty: for ever. What is older is removed in the next night."),
    )


@admin.register(RetentionRule)
class RetentionAdmin(HistoryAdmin):
    """How long each kind is kept, and what each rule would remove now."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "kind/<slug:kind>/",
                wrap(for_administrators(self.rule_view)),
                name="portal_retentionrule_kind",
            ),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """All rules on one page. Counting writes nothing."""
        administrators_only(request)
        now = timezone.now()
        rows = [
            (retention.KINDS[rule.kind], rule, retention.preview(rule, now)) for rule in retention.rules()
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Retention"),
            "rows": rows,
            "for_ever": retention.FOR_EVER,
        }
        return render(request, "admin/portal/retention/list.html", context)

    def rule_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        """One rule: another number of days, with what it would remove, and what it was before."""
        by = administrators_only(request)
        if kind not in retention.KINDS:
            raise Http404
        rule = next(rule for rule in retention.rules() if rule.kind == kind)
        form = RuleForm(request.POST or None, initial={"keep_days": rule.keep_days})
        tried = None
        if request.method == "POST" and form.is_valid():
            if "preview" in request.POST:
                tried = retention.preview(rule, timezone.now(), keep_days=form.cleaned_data["keep_days"])
            elif self._changed(request, form, kind, by):
                return redirect("admin:portal_retentionrule_changelist")
        history = RetentionRule.history.filter(kind=kind).select_related("history_user")[:20]
        context = {
            "kind": retention.KINDS[kind],
            "rule": rule,
            "form": form,
            "tried": tried,
            "history": history,
        }
        return render(
            request, "admin/portal/retention/rule.html", context, status=400 if form.errors else 200
        )

    def _changed(self, request: HttpRequest, form: RuleForm, kind: str, by: User) -> bool:
        try:
            retention.change_rule(kind, keep_days=form.cleaned_data["keep_days"], by=by, now=timezone.now())
        except Refused as refused:
            form.add_error("keep_days", refused.reason)
            return False
        messages.success(request, _("Changed. It counts from the next night."))
        return True
