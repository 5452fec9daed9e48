"""`/audit/`: what concerns an organisation, for its managers, as a page and as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal.access import person_of
from portal.audit import record
from portal.audit_rows import FilterForm, Row, entries_of, in_chunks, page_of, people_of
from portal.audit_seal import newest_seal
from portal.models import AuditQuerySet, Organisation

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS = [
    *["id", "at", "kind", "by", "seen_as", "organisation", "about", "what", "facts", "address", "subject"],
]


def managed(request: HttpRequest) -> list[Organisation]:
    """The organisations whose audit the person reads. 403 for whoever manages none."""
    found = list(Organisation.objects.managed_by(person_of(request)).filter(is_vendor=False).order_by("name"))
    if not found:
        raise PermissionDenied(_("The managers of your organisation read its audit."))
    return found


def filters_of(request: HttpRequest, organisations: list[Organisation]) -> FilterForm:
    return FilterForm(plain_query(request), people=people_of(organisations))


def plain_query(request: HttpRequest) -> dict[str, str]:
    """The query without bytes that no database takes."""
    return {name: str(value).replace("\0", "") for name, value in request.GET.items()}


@login_required
@never_cache
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """The newest acts first. Staff have their own search on the desk."""
    if person_of(request).is_agent:
        return redirect("admin:portal_auditentry_changelist")
    organisations = managed(request)
    form = filters_of(request, organisations)
    rows: list[Row] = []
    older: int | None = None
    if form.is_valid():
        rows, older = page_of(form.narrow(entries_of(organisations)), is_staff=False)
    context = {"form": form, "rows": rows, "seal": newest_seal(), "is_of_several": len(organisations) > 1}
    context |= pages_of(request, older)
    return render(request, "portal/audit/list.html", context, status=200 if form.is_valid() else 400)


def pages_of(request: HttpRequest, older: int | None) -> dict[str, Any]:
    """The query of this page without its place, and the address of the older rows."""
    query = request.GET.copy()
    is_first = not query.pop("before", None)
    plain = query.urlencode()
    query["before"] = str(older or "")
    return {"query": plain, "older": query.urlencode() if older else "", "is_first": is_first}


# --- files ---


@login_required
@never_cache
@require_safe
def audit_csv(request: HttpRequest) -> HttpResponseBase:
    return export(request, "csv", "text/csv; charset=utf-8", csv_lines)


@login_required
@never_cache
@require_safe
def audit_jsonl(request: HttpRequest) -> HttpResponseBase:
    return export(request, "jsonl", "application/jsonl", json_lines)


def export(
    request: HttpRequest, form: str, content_type: str, lines: Callable[[Iterator[list[Row]]], Iterator[str]]
) -> HttpResponseBase:
    """All that the filters leave, streamed. That it was taken is recorded first, for each organisation."""
    organisations = managed(request)
    filters = filters_of(request, organisations)
    if not filters.is_valid():
        return redirect(f"/audit/?{request.GET.urlencode()}")
    entries = filters.narrow(entries_of(organisations))
    facts = {"format": form, "filters": filters.asked()}
    about: dict[str, Any] = {"by": person_of(request), "now": timezone.now(), "facts": facts}
    for organisation in organisations:
        record("audit_exported", organisation=organisation, request=request, **about)
    answer = StreamingHttpResponse(lines(in_chunks_of(entries)), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="audit.{form}"'
    return answer


def in_chunks_of(entries: AuditQuerySet) -> Iterator[list[Row]]:
    """The rows in the reader's language, although it streams when the request is over."""
    language, chunks = translation.get_language(), in_chunks(entries, is_staff=False)
    while True:
        with translation.override(language):
            rows = next(chunks, None)
        if rows is None:
            return
        yield rows


def cells(row: Row) -> dict[str, Any]:
    """One row of the files: times in UTC, words in the reader's language, facts as they are kept."""
    entry = row.entry
    assert entry is not None
    at = row.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = [entry.pk, at, entry.kind, row.who, row.as_whom, row.organisation, row.about, row.sentence]
    return dict(zip(COLUMNS, [*values, row.facts, row.address, entry.subject], strict=True))


def json_lines(chunks: Iterator[list[Row]]) -> Iterator[str]:
    for rows in chunks:
        yield "".join(json.dumps(cells(row), ensure_ascii=False) + "\n" for row in rows)


def csv_lines(chunks: Iterator[list[Row]]) -> Iterator[str]:
    """RFC 4180 with a byte order mark; no cell is taken for a formula."""
    writer = csv.writer(Echo())
    yield "\ufeff" + writer.writerow(COLUMNS)
    for rows in chunks:
        for row in rows:
            told = cells(row) | {"facts": json.dumps(row.facts, ensure_ascii=False)}
            yield writer.writerow([safe_cell(value) for value in told.values()])


def safe_cell(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.lstrip(" ").startswith(DANGEROUS)
    return f"'{value}" if is_formula else value


class Echo:
    """A file that gives back what is written: csv's writer then returns the line."""

    def write(self, text: str) -> str:
        return text
