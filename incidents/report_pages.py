"""The pages of the monthly report: the months, one month as page, CSV and PDF, and for staff all organisations."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from incidents import report, report_view
from incidents.report_mail import pdf_of
from portal import pdf
from portal.access import is_agent, person_of
from portal.mails import language_of
from portal.models import Organisation

MONTHS_SHOWN = 36
OLDEST = date(2000, 1, 1)


def organisations_of(request: HttpRequest) -> Any:
    """The customers whose reports the signed-in person may read."""
    return Organisation.objects.visible_to(person_of(request)).filter(is_vendor=False)


def asked(request: HttpRequest, month: str) -> tuple[Organisation, date]:
    """The organisation and month of the address; 404 for what is not theirs, or no month that can be reported."""
    found = organisations_of(request)
    slug = request.GET.get("organisation", "").replace("\0", "")
    organisation = found.filter(slug=slug).first() if slug else found.order_by("name").first()
    first = report.month_of(month)
    if organisation is None or first not in report.months_of(organisation, timezone.now()):
        raise Http404
    assert first is not None
    return organisation, first


@login_required
@require_safe
def months(request: HttpRequest) -> HttpResponse:
    """Each organisation of the reader with its months; for staff the months of all."""
    now = timezone.now()
    organisations = list(organisations_of(request).order_by("name"))
    if is_agent(person_of(request)):
        organisations = organisations[:200]
    lists = [
        (one, [(month, f"{month:%Y-%m}") for month in report.months_of(one, now)[:MONTHS_SHOWN]])
        for one in organisations
    ]
    newest = max((pages[0][0] for _one, pages in lists), default=None)
    context = {"lists": lists, "newest": newest, "is_staff_reader": is_agent(person_of(request))}
    return render(request, "incidents/reports/months.html", context)


@login_required
@require_safe
def month(request: HttpRequest, month: str) -> HttpResponse:
    return page(request, *asked(request, month))


def page(request: HttpRequest, organisation: Organisation, first: date, notice: str = "") -> HttpResponse:
    content = report.report_of(organisation, first, timezone.now())
    context = {
        "report": report_view.shown(content),
        "organisation": organisation,
        "has_several": organisations_of(request).count() > 1,
        "query": f"?organisation={organisation.slug}",
        "has_pdf": pdf.is_available(),
        "notice": notice,
    }
    with timezone.override(organisation.time_zone):
        return render(request, "incidents/reports/month.html", context)


@login_required
@require_safe
def month_csv(request: HttpRequest, month: str) -> HttpResponse:
    organisation, first = asked(request, month)
    content = report.report_of(organisation, first, timezone.now())
    return download(
        report_view.csv_of([content]), "text/csv; charset=utf-8", f"{organisation.slug}-{month}.csv"
    )


@login_required
@require_safe
def month_pdf(request: HttpRequest, month: str) -> HttpResponse:
    organisation, first = asked(request, month)
    content = report.report_of(organisation, first, timezone.now())
    try:
        made = pdf_of(content, organisation, language_of(person_of(request), organisation))
    except pdf.Unavailable:
        return page(request, organisation, first, _("This machine cannot make PDFs. Print the page instead."))
    return download(made, "application/pdf", f"{organisation.slug}-{month}.pdf")


def download(content: str | bytes, content_type: str, name: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    return answer


# --- for staff: all organisations ---


def contents_of_all(request: HttpRequest, month: str) -> list[dict[str, Any]]:
    """The reports of every customer for the month; 404 for whoever is not staff."""
    first = report.month_of(month)
    now = timezone.now()
    if not is_agent(person_of(request)) or first is None or not OLDEST <= first <= now.date():
        raise Http404
    seen = Organisation.objects.visible_to(person_of(request))
    active = seen.filter(is_active=True, is_vendor=False, created_at__lte=now)
    return report.reports_of(active.order_by("name"), first, now)


@login_required
@require_safe
def all_organisations(request: HttpRequest, month: str) -> HttpResponse:
    contents = contents_of_all(request, month)
    rows = [summary(content, month) for content in contents]
    first = date.fromisoformat(f"{month}-01")
    context = {
        "rows": rows,
        "month": month,
        "first": first,
        "before": f"{report.month_before(first):%Y-%m}",
        "after": f"{report.next_month(first):%Y-%m}"
        if report.next_month(first) <= timezone.now().date()
        else "",
    }
    return render(request, "incidents/reports/all.html", context)


def summary(content: dict[str, Any], month: str) -> dict[str, Any]:
    """One organisation's line among all of them."""
    shown = report_view.shown(content)
    kinds = {row["kind"]: row for row in shown["targets"]["kinds"]}
    shares = [row["availability_percent"] for row in content["services"] if row["availability_percent"]]
    slug = content["organisation"]["slug"]
    return {
        "report": shown,
        "kinds": kinds,
        "lowest": min(shares, key=float, default=None),
        "url": f"{reverse('incidents:report', args=[month])}?organisation={slug}",
    }


@login_required
@require_safe
def all_csv(request: HttpRequest, month: str) -> HttpResponse:
    made = report_view.csv_of(contents_of_all(request, month))
    return download(made, "text/csv; charset=utf-8", f"reports-{month}.csv")


@login_required
@require_safe
def latest(request: HttpRequest) -> HttpResponse:
    """The present month of all organisations; the desk links here."""
    if not is_agent(person_of(request)):
        raise Http404
    return redirect("incidents:report_all", f"{timezone.localdate():%Y-%m}")
