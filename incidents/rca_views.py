"""The customer's page of an RCA: of an incident, or of a maintenance window. Before publication it says when it is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from incidents import actions, present, views
from incidents.forms import MARKDOWN_HELP, text_field
from incidents.models import RCA, Channel, Incident, RCAComment, RCACopy
from incidents.rca_document import context_of, file_name, pdf_of
from incidents.rca_reading import copies_for_incident, copies_for_window, reading
from maintenance.models import MaintenanceWindow
from portal import access, pdf
from portal.access import person_of
from portal.audit import record


class CommentForm(forms.Form):
    text = text_field(gettext_lazy("Your comment"), help_text=MARKDOWN_HELP)


@dataclass(frozen=True)
class Subject:
    """What an RCA is about, as the reader found it, with the copies that they may read, newest first."""

    of: Incident | MaintenanceWindow
    copies: list[RCACopy]

    @property
    def room(self) -> str:
        return "window_rca" if isinstance(self.of, MaintenanceWindow) else "rca"

    def url(self, noun: str = "") -> str:
        return reverse(f"incidents:{self.room}{noun}", args=[self.of.reference])

    @property
    def back(self) -> str:
        """The page of what the RCA is about."""
        if isinstance(self.of, Incident):
            return self.of.get_absolute_url()
        return f"{reverse('maintenance:list')}{self.of.reference}/"

    def chosen(self, request: HttpRequest) -> RCACopy:
        """The version that the address asks for, else the latest. Http404 where there is none."""
        wanted = request.GET.get("version", "")
        found = [copy for copy in self.copies if not wanted or str(copy.version.number) == wanted]
        if not found:
            raise Http404
        return found[0]


def incident_subject(request: HttpRequest, reference: str) -> Subject:
    incident = views.get_incident(request, reference)
    return Subject(incident, copies_for_incident(incident, person_of(request)))


def window_subject(request: HttpRequest, reference: str) -> Subject:
    user = person_of(request)
    window = get_object_or_404(MaintenanceWindow.objects.visible_to(user).by_reference(reference))
    asked = request.GET.get("organisation", "")
    return Subject(window, copies_for_window(window, user, asked))


# --- reading ---


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rca(request: HttpRequest, reference: str) -> HttpResponse:
    """GET: the RCA, or when it is due. POST asks for one where the promise gives it on request."""
    if request.method == "POST":
        return views.rca(request, reference)
    subject = incident_subject(request, reference)
    if subject.copies:
        return rca_page(request, subject)
    assert isinstance(subject.of, Incident)
    clocks = present.current_clocks(present.clock_views(subject.of, timezone.now()))
    clock = next((view for view in clocks if view.kind == "rca"), None)
    if clock is None and actions.can_request_rca(subject.of):
        return views.rca(request, reference)
    context = {"subject": subject, "clock": clock, "due_at": clock.due_at if clock else None}
    return render(request, "incidents/rca_owed.html", context)


@login_required
@require_safe
def window_rca(request: HttpRequest, reference: str) -> HttpResponse:
    subject = window_subject(request, reference)
    if subject.copies:
        return rca_page(request, subject)
    owed = get_object_or_404(RCA, window=subject.of.pk)
    context = {"subject": subject, "clock": None, "due_at": owed.due_at}
    return render(request, "incidents/rca_owed.html", context)


def rca_page(
    request: HttpRequest, subject: Subject, form: CommentForm | None = None, status: int = 200
) -> HttpResponse:
    copy = subject.chosen(request)
    user, organisation = person_of(request), copy.organisation
    comments = RCAComment.objects.filter(rca=copy.version.rca, organisation=organisation)
    context = context_of(reading(copy, timezone.localdate(), person_of(request))) | {
        "subject": subject,
        "copy": copy,
        "is_latest": copy.pk == subject.copies[0].pk,
        "comments": comments.select_related("author").order_by("pk"),
        "comment_form": form or CommentForm(),
        "may_write": access.may_write(user, organisation),
        "pdf_url": f"{subject.url('_pdf')}?version={copy.version.number}",
        "comments_url": subject.url("_comments"),
        "acceptance_url": subject.url("_acceptance"),
        "has_pdf": pdf.is_available(),
    }
    return render(request, "incidents/rca.html", context, status=status)


def document(request: HttpRequest, subject: Subject) -> HttpResponse:
    copy = subject.chosen(request)
    found = reading(copy, timezone.localdate(), person_of(request))
    try:
        content = pdf_of(found)
    except pdf.Unavailable:
        context = {"subject": subject, "page_url": f"{subject.url()}?version={copy.version.number}"}
        return render(request, "incidents/rca_no_pdf.html", context, status=503)
    facts = {"rca": copy.version.rca_id, "version": copy.version.number}
    about: dict[str, Any] = {"by": person_of(request), "now": timezone.now()}
    about["organisation"] = copy.organisation
    record("rca_exported", subject=f"rca/{copy.version.rca_id}", facts=facts, request=request, **about)
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{file_name(found)}"'
    return response


@login_required
@require_safe
def rca_pdf(request: HttpRequest, reference: str) -> HttpResponse:
    return document(request, incident_subject(request, reference))


@login_required
@require_safe
def window_rca_pdf(request: HttpRequest, reference: str) -> HttpResponse:
    return document(request, window_subject(request, reference))


# --- what readers say ---


def comment(request: HttpRequest, subject: Subject) -> HttpResponse:
    """POST comments; a GET, of a mail's scanner say, only leads to the page."""
    copy = subject.chosen(request)
    if request.method != "POST":
        return redirect(subject.url())
    form = CommentForm(request.POST)
    if not form.is_valid():
        return rca_page(request, subject, form, 400)
    return done(
        request,
        subject,
        _("Your comment is on the page, and the people who wrote the RCA have been told."),
        lambda: actions.comment_rca(
            copy.version.rca,
            by=person_of(request),
            now=timezone.now(),
            channel=Channel.PORTAL,
            organisation=copy.organisation,
            text=form.cleaned_data["text"],
        ),
        form,
    )


def accept(request: HttpRequest, subject: Subject) -> HttpResponse:
    """POST accepts for the organisation; a GET only leads to the page."""
    if request.method != "POST":
        subject.chosen(request)
        return redirect(subject.url())
    wanted = request.POST.get("version", "")
    copy = get_object_or_404(
        RCACopy.objects.visible_to(person_of(request)).select_related("version__rca", "organisation"),
        pk__in=[row.pk for row in subject.copies if str(row.version.number) == wanted],
    )
    return done(
        request,
        subject,
        _("Version %(number)s is accepted for %(name)s.")
        % {"number": copy.version.number, "name": copy.organisation.name},
        lambda: actions.accept_rca(copy, by=person_of(request), now=timezone.now(), channel=Channel.PORTAL),
    )


def done(
    request: HttpRequest,
    subject: Subject,
    words: str,
    verb: Callable[[], Any],
    form: CommentForm | None = None,
) -> HttpResponse:
    """Use the verb and go back to the page, or show there why it was refused."""
    try:
        verb()
    except actions.Refused as refused:
        if form is not None:
            form.add_error(None, refused.reason)
        else:
            messages.error(request, refused.reason)
        return rca_page(request, subject, form, refused.status)
    messages.success(request, words)
    return redirect(subject.url())


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rca_comments(request: HttpRequest, reference: str) -> HttpResponse:
    return comment(request, incident_subject(request, reference))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def window_rca_comments(request: HttpRequest, reference: str) -> HttpResponse:
    return comment(request, window_subject(request, reference))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rca_acceptance(request: HttpRequest, reference: str) -> HttpResponse:
    return accept(request, incident_subject(request, reference))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def window_rca_acceptance(request: HttpRequest, reference: str) -> HttpResponse:
    return accept(request, window_subject(request, reference))
