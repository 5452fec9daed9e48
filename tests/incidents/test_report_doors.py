"""The report as page, CSV, PDF and by the API: to one's own organisation alone, and safe in any spreadsheet."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pypdf import PdfReader
from rest_framework.test import APIClient

from incidents import actions, report, report_view
from incidents.models import Incident, MonthlyReport
from portal import pdf
from portal.models import ApiToken, Organisation
from tests.conftest import T0
from tests.factories import CANARY, incident, person

PAGE = "/reports/2026-03/"
NOW = T0 + timedelta(hours=3)
needs_pango = pytest.mark.skipif(not pdf.is_available(), reason="libpango is not installed")


@pytest.fixture(autouse=True)
def _in_march(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def both(acme, nordwind, a1, a2, a3, b1, g1):
    """Both organisations with an incident; all that is Nordwind's bears the canary."""
    Organisation.objects.filter(pk=nordwind.pk).update(name=f"Nordwind {CANARY}")
    mine = incident(a1, T0, title="=cmd|' /C calc'!A0")
    actions.reply(mine, by=g1, now=T0 + timedelta(minutes=20), channel="admin", text="We look.")
    incident(b1, T0, title=f"{CANARY} down")
    return mine


def rows_of(answer):
    text = answer.content.decode()
    assert text.startswith("\ufeff")
    assert "\n" not in text.replace("\r\n", "")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


# --- who ---


@pytest.mark.parametrize("who", ["a1", "a2", "a3"])
def test_every_role_of_the_organisation_reads_its_report(client, both, who, request):
    client.force_login(request.getfixturevalue(who))
    for address in ("/reports/", PAGE, f"{PAGE}?organisation=acme", f"{PAGE}csv/"):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert CANARY not in answer.content.decode()
    shown = client.get(PAGE).content.decode()
    assert both.reference in shown
    assert "This month is not over" in shown
    assert "Targets met and missed" in shown


def test_a_stranger_finds_nothing_of_another_organisation(client, both, a1, nordwind):
    client.force_login(a1)
    for noun in ("", "csv/", "pdf/"):
        for slug in (nordwind.slug, "no-such"):
            assert client.get(f"{PAGE}{noun}?organisation={slug}").status_code == 404
    for address in ("/reports/all/", "/reports/all/2026-03/", "/reports/all/2026-03/csv/"):
        assert client.get(address).status_code == 404


@pytest.mark.parametrize("month", ["2026-04", "2025-01", "2026-13", "0001-01", "9999-12", "now", "2026-3"])
def test_a_month_that_cannot_be_reported_is_404(client, both, a1, g1, month):
    client.force_login(a1)
    assert client.get(f"/reports/{month}/").status_code == 404
    client.force_login(g1)
    if month != "2025-01":
        assert client.get(f"/reports/all/{month}/").status_code == 404


def test_somebody_of_two_organisations_chooses(client, both, a1, nordwind):
    client.force_login(a1)
    a1.memberships.create(organisation=nordwind, role="viewer")
    assert CANARY in client.get(f"{PAGE}?organisation=nordwind").content.decode()
    mine = client.get(f"{PAGE}?organisation=acme").content.decode()
    assert f"{CANARY} down" not in mine
    a1.memberships.filter(organisation=nordwind).delete()
    client.force_login(a1)
    assert client.get(f"{PAGE}?organisation=nordwind").status_code == 404


def test_somebody_of_none_reads_an_empty_page(client, db):
    from portal.models import User

    client.force_login(User.objects.create_user("n@none.example", "x", name="None"))
    assert "No reports yet" in client.get("/reports/").content.decode()
    assert client.get(PAGE).status_code == 404


# --- staff ---


def test_staff_read_all_of_them_in_one(client, both, g1):
    client.force_login(g1)
    shown = client.get("/reports/all/2026-03/").content.decode()
    assert "Acme" in shown
    assert CANARY in shown
    assert client.get("/reports/all/").url == "/reports/all/2026-03/"
    organisations = {row["organisation"] for row in rows_of(client.get("/reports/all/2026-03/csv/"))}
    assert organisations == {"Acme", f"Nordwind {CANARY}"}
    assert client.get(f"{PAGE}?organisation=nordwind").status_code == 200
    assert "/reports/all/" in client.get("/admin/").content.decode()


def test_the_pages_of_all_make_the_same_queries_for_2_and_8(client, both, g1):
    client.force_login(g1)

    def count(address):
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    before = count("/reports/all/2026-03/")
    for number in range(6):
        of = Organisation.objects.create(name=f"More {number}", slug=f"more-{number}")
        incident(person(f"m{number}@more.example", "M", of, "member"), T0)
    assert count("/reports/all/2026-03/") == before


# --- CSV ---


def test_the_csv_has_every_figure_and_no_formula(client, both, a1):
    client.force_login(a1)
    rows = rows_of(client.get(f"{PAGE}csv/"))
    titles = [row["value"] for row in rows if row["measure"] == "title"]
    assert titles == ["'=cmd|' /C calc'!A0"]
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t")), row
    missed = [row for row in rows if row["section"] == "target kind" and row["measure"] == "missed"]
    assert {row["about"]: row["value"] for row in missed}["first_response"] == "1"
    due = next(row for row in rows if row["section"] == "target" and row["measure"] == "due_at")
    assert datetime.fromisoformat(due["value"]).utcoffset() == timedelta(hours=3)
    assert datetime.fromisoformat(due["value"]).astimezone(UTC) == T0 + timedelta(minutes=15)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "\n=1"])
def test_no_text_is_a_formula(text):
    assert report_view.safe_cell(text) == f"'{text}"
    assert report_view.safe_cell(5) == 5
    assert report_view.safe_cell("a=b") == "a=b"


def test_quotes_commas_and_lines_survive(both, a1, client):
    Incident.objects.filter(pk=both.pk).update(title='a "b", c\nd')
    client.force_login(a1)
    rows = rows_of_raw(client.get(f"{PAGE}csv/"))
    assert 'a "b", c\nd' in [row["value"] for row in rows]


def rows_of_raw(answer):
    text = answer.content.decode().removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --- PDF ---


@needs_pango
def test_the_pdf_says_what_the_page_says(client, both, a1):
    client.force_login(a1)
    answer = client.get(f"{PAGE}pdf/")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    reader = PdfReader(io.BytesIO(answer.content))
    text = "\n".join(page.extract_text() for page in reader.pages)
    for words in (
        "Service report March 2026",
        "Acme",
        both.reference,
        "This month is not over",
        "Availability",
    ):
        assert words in " ".join(text.split()), words
    assert CANARY not in text
    assert CANARY.encode() not in answer.content
    assert reader.metadata.title == "Service report March 2026 · Acme"


def test_without_the_library_the_page_says_what_to_do(client, both, a1, monkeypatch):
    def missing(*args):
        raise pdf.Unavailable("libpango")

    monkeypatch.setattr(pdf, "_library", missing)
    client.force_login(a1)
    assert f"{PAGE}pdf/" not in client.get(PAGE).content.decode()
    answer = client.get(f"{PAGE}pdf/")
    assert (answer.status_code, "Print the page" in answer.content.decode()) == (200, True)


# --- API ---


def api(user, **token):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.objects.create(user=user, **token)[1]}")
    return client


def test_the_api_gives_months_and_figures_of_ones_own(both, a3, acme):
    client = api(a3)
    months = client.get("/api/v1/reports/").json()["results"]
    assert months == [{"organisation": "acme", "month": "2026-03", "is_running": True}]
    told = client.get("/api/v1/reports/2026-03/").json()
    assert told["organisation"] == "acme"
    expected = report.report_of(acme, report.month_of("2026-03"), NOW)
    assert told["targets"] == expected["targets"]
    assert told["from_at"].endswith("Z")
    for address in ("2026-03/?organisation=nordwind", "2026-04/", "x/"):
        assert client.get(f"/api/v1/reports/{address}").status_code == 404
    assert client.get("/api/v1/reports/?organisation=acme").status_code == 400


def test_a_token_of_one_organisation_reads_that_one_alone(both, a1, acme, nordwind):
    a1.memberships.create(organisation=nordwind, role="viewer")
    both_of = api(a1)
    assert both_of.get("/api/v1/reports/2026-03/").status_code == 400
    assert both_of.get("/api/v1/reports/2026-03/?organisation=nordwind").status_code == 200
    narrow = api(a1, organisation=acme)
    assert narrow.get("/api/v1/reports/2026-03/?organisation=nordwind").status_code == 404
    assert narrow.get("/api/v1/reports/2026-03/").json()["organisation"] == "acme"


def test_the_vendors_own_is_nobodys_report(client, both, g1):
    parent, _ = actions.open_parent(
        [both], by=g1, now=NOW, channel="admin", title="Common", level="P1", services=both.services.all()
    )
    client.force_login(g1)
    assert client.get(f"{PAGE}?organisation={parent.organisation.slug}").status_code == 404
    assert str(parent.organisation) not in {
        row["organisation"] for row in rows_of(client.get("/reports/all/2026-03/csv/"))
    }


def test_a_frozen_month_is_shown_as_it_was_sent(client, both, a1, acme):
    first = report.month_of("2026-03")
    [content] = report.computed([acme], first, NOW)
    content["incidents"]["opened"] = 4711
    MonthlyReport.objects.create(organisation=acme, month=first, content=content, made_at=NOW)
    client.force_login(a1)
    assert "4711" in client.get(PAGE).content.decode()
    assert "4711" in client.get(f"{PAGE}csv/").content.decode()
