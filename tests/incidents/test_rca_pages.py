"""The customer's page of an RCA: before publication a due time, then the text, its versions, PDF, comments, acceptance."""

import io

import pytest
import time_machine
from pypdf import PdfReader

from incidents import actions
from incidents.models import RCA, RCAComment, RCACopy
from portal import pdf
from tests.incidents.rca_world import (
    MomentInput,
    at,
    published,
    rca_of,
    resolved,
    revised,
    window_for,
    written,
)

needs_pango = pytest.mark.skipif(not pdf.is_available(), reason="needs libpango")


@pytest.fixture(autouse=True)
def _later():
    with time_machine.travel(at(600), tick=False):
        yield


def page(client, user, path, **more):
    client.force_login(user)
    return client.get(path, more)


def test_before_publication_only_the_due_time_is_seen(client, a1, g1, g2):
    made = resolved(a1, g1)
    path = f"/incidents/{made.reference}/rca/"
    written(rca_of(made), g1, texts={"root_cause": "secret-draft"})
    said = page(client, a1, path)
    assert said.status_code == 200
    text = said.content.decode()
    assert "RCA due by" in text
    assert "Tue 10 Mar 2026" in text
    for hidden in ("secret-draft", "Alarm 30 days", "Draft"):
        assert hidden not in text
    for noun in ("pdf/",):
        assert client.get(path + noun).status_code == 404
    assert client.post(f"{path}comments/", {"text": "x"}).status_code == 404
    assert client.post(f"{path}acceptance/", {"version": "1"}).status_code == 404
    assert client.get(path, {"version": "1"}).status_code == 200  # nothing to choose from yet


def test_the_page_of_a_p2_asks_for_it(client, a1, g1):
    made = resolved(a1, g1, level="P2")
    path = f"/incidents/{made.reference}/rca/"
    assert "Ask for an RCA" in page(client, a1, path).content.decode()
    assert client.post(path).status_code == 302
    assert RCA.objects.get().incident == made
    assert "RCA due by" in client.get(path).content.decode()


def test_where_none_is_owed_the_page_says_so(client, a1, g1):
    made = resolved(a1, g1)
    actions.reopen(made, by=a1, now=at(90), channel="portal", reason="Again.")
    said = page(client, a1, f"/incidents/{made.reference}/rca/").content.decode()
    assert "No RCA is owed" in said


def test_the_page_shows_the_whole_copy(client, a1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    said = page(client, a1, f"/incidents/{made.reference}/rca/").content.decode()
    for shown in (
        "RCA, version 1",
        "Nobody watched it.",
        "All requests failed.",
        "Reported as P1",
        "Alarm 30 days before expiry",
        "Gül One",
        "Gus Two",
        "Fri 20 Mar 2026",
        "Intervention (P1)",
        "0 of 1 in time",
        "Accept version 1",
    ):
        assert shown in said, shown
    assert "Read the RCA" in client.get(made.get_absolute_url()).content.decode()


def test_versions_stay_readable(client, a1, g1, g2):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2)
    revised(rca, g1, g2, at(400), texts={"root_cause": "Nobody owned it."})
    path = f"/incidents/{made.reference}/rca/"
    latest = page(client, a1, path).content.decode()
    assert "Nobody owned it." in latest
    assert "We found more." in latest
    assert "Nobody watched it." not in latest
    first = client.get(path, {"version": "1"}).content.decode()
    assert "Nobody watched it." in first
    assert "This is an earlier version." in first
    assert "Accept version" not in first
    for version in ("3", "x", "-1"):
        assert client.get(path, {"version": version}).status_code == 404


def test_an_unpublished_revision_is_not_seen(client, a1, g1, g2):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2)
    actions.revise_rca(rca, by=g1, now=at(300), channel="admin")
    actions.save_rca(
        rca,
        by=g1,
        now=at(301),
        channel="admin",
        texts={"root_cause": "secret-draft"},
        moments=[MomentInput(at(1), "secret-draft")],
        actions=[actions.ActionInput("detect", "secret-draft")],
    )
    said = page(client, a1, f"/incidents/{made.reference}/rca/").content.decode()
    assert "secret-draft" not in said
    assert "Nobody watched it." in said


@needs_pango
def test_the_pdf_says_what_the_page_says(client, a1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    answer = page(client, a1, f"/incidents/{made.reference}/rca/pdf/")
    assert answer["Content-Type"] == "application/pdf"
    assert f"RCA-{made.reference}-v1.pdf" in answer["Content-Disposition"]
    reader = PdfReader(io.BytesIO(answer.content))
    said = " ".join(" ".join(part.extract_text() for part in reader.pages).split())
    for shown in (
        made.reference,
        "Nobody watched it.",
        "All requests failed.",
        "Alarm 30 days before expiry",
        "Gül One",
        "Confidential: for Acme only",
        "Fri 20 Mar 2026",
        "UTC",
        "0 of 1 in time",
        f"1 / {len(reader.pages)}",
    ):
        assert shown in said, shown


def test_without_a_library_the_page_is_offered_instead(client, a1, g1, g2, monkeypatch):
    def missing():
        raise pdf.Unavailable("no libpango")

    monkeypatch.setattr(pdf, "_library", missing)
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    path = f"/incidents/{made.reference}/rca/"
    assert "makes no PDFs" in page(client, a1, path).content.decode()
    answer = client.get(f"{path}pdf/")
    assert answer.status_code == 503
    assert "Open the page for printing" in answer.content.decode()


# --- what readers say ---


def test_members_comment_and_accept_and_viewers_do_not(client, a1, a2, a3, b1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    path = f"/incidents/{made.reference}/rca/"
    for user, status in ((a3, 403), (b1, 404), (a1, 302)):
        client.force_login(user)
        assert client.post(f"{path}comments/", {"text": "Why no alarm?"}).status_code == status
    assert client.post(f"{path}comments/", {"text": " "}).status_code == 400
    assert [row.author for row in RCAComment.objects.all()] == [a1]
    for user, status in ((a3, 403), (b1, 404), (a2, 302), (a1, 409)):
        client.force_login(user)
        assert client.post(f"{path}acceptance/", {"version": "1"}).status_code == status
    copy = RCACopy.objects.get()
    assert (copy.accepted_by, copy.accepted_at) == (a2, at(600))
    said = client.get(path).content.decode()
    assert "Why no alarm?" in said
    assert "Ali Two accepted version 1" in said
    assert "composer" not in page(client, a3, path).content.decode()


def test_a_get_accepts_nothing(client, a1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    client.force_login(a1)
    for noun in ("acceptance", "comments"):
        assert client.get(f"/incidents/{made.reference}/rca/{noun}/", {"version": "1"}).status_code == 302
    assert not RCAComment.objects.exists()
    assert RCACopy.objects.get().accepted_at is None


def test_an_old_version_is_not_accepted(client, a1, g1, g2):
    made = resolved(a1, g1)
    rca = published(rca_of(made), g1, g2)
    revised(rca, g1, g2, at(400))
    client.force_login(a1)
    path = f"/incidents/{made.reference}/rca/acceptance/"
    assert client.post(path, {"version": "1"}).status_code == 409
    assert client.post(path, {"version": "9"}).status_code == 404
    assert client.post(path, {"version": "2"}).status_code == 302
    assert [c.accepted_by for c in RCACopy.objects.order_by("version__number")] == [None, a1]


# --- windows ---


def test_the_page_of_a_window(client, acme, a1, b1, g1, g2, m1):
    window = window_for(acme, g1, m1)
    path = f"/maintenance/{window.reference}/rca/"
    assert page(client, a1, path).status_code == 404  # none is owed
    rca = RCA.objects.create(window=window, due_at=at(0, days=7))
    owed = client.get(path).content.decode()
    assert "RCA due by" in owed
    assert "Tue 10 Mar 2026" in owed
    published(rca, g1, g2)
    assert "Nobody watched it." in client.get(path).content.decode()
    assert client.post(f"{path}comments/", {"text": "Thanks."}).status_code == 302
    assert client.post(f"{path}acceptance/", {"version": "1"}).status_code == 302
    for noun in ("", "pdf/"):
        assert page(client, b1, path + noun).status_code == 404
    for noun in ("comments/", "acceptance/"):
        assert client.post(path + noun, {"text": "x", "version": "1"}).status_code == 404


def test_whoever_left_reads_nothing_more(client, a1, g1, g2):
    made = resolved(a1, g1)
    published(rca_of(made), g1, g2)
    path = f"/incidents/{made.reference}/rca/"
    assert page(client, a1, path).status_code == 200
    a1.memberships.all().delete()
    client.force_login(a1)
    assert client.get(path).status_code == 404
