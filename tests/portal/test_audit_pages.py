"""Who reads which part of the audit: managers their organisation's, heads of support all, members nothing."""

import csv
import io
import json
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from rest_framework.test import APIClient

from portal import audit_rows
from portal.audit import record
from portal.models import ApiToken, AuditEntry, StaffLimit
from tests.conftest import T0
from tests.factories import CANARY, incident

LIST = "/admin/portal/auditentry/"
API = "/api/v1/audit-entries/"


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=True):
        yield


@pytest.fixture
def acts(rf, a1, a2, b1, g1, acme, nordwind):
    """One of each sort, of two organisations."""
    home = rf.get("/", REMOTE_ADDR="192.0.2.7")
    desk = rf.get("/", REMOTE_ADDR="198.51.100.9")
    desk.impersonator = g1
    own = {"now": T0, "organisation": acme}
    record("signed_in", by=a1, subject=f"person/{a1.pk}", request=home, **own)
    record("attachment_read", by=a2, facts={"attachment": 7, "note": CANARY}, request=desk, **own)
    record("settings_changed", by=g1, facts={"model": "incidents.secretplan"}, **own)
    record("staff_limited", by=g1, **own)
    record("token_created", by=b1, now=T0, organisation=nordwind, subject=f"token/{CANARY}")
    record("retention_ran", by=None, now=T0, facts={"kind": "origins"})


def read(answer):
    return b"".join(answer.streaming_content).decode() if answer.streaming else answer.content.decode()


def test_a_manager_reads_what_concerns_the_organisation(client, acts, a2, g1):
    client.force_login(a2)
    answer = client.get("/audit/")
    page = read(answer)
    assert [row.entry.kind for row in answer.context["rows"]][:2] == ["attachment_read", "signed_in"]
    assert "192.0.2.7" in page  # where their own people came from
    assert f"<strong>{g1}</strong>" in page
    assert f"looking at the portal as {a2}" in page
    for hidden in ("198.51.100.9", "secretplan", CANARY, "retention_ran"):
        assert hidden not in page, hidden


@pytest.mark.parametrize("path", ["/audit/", "/audit/csv/", "/audit/jsonl/"])
def test_members_and_viewers_are_refused_and_staff_have_their_own_page(client, acts, a1, a3, h1, path):
    for user in (a1, a3):
        client.force_login(user)
        assert client.get(path).status_code == 403
    assert not AuditEntry.objects.filter(kind="audit_exported").exists()
    client.force_login(h1)
    assert client.get("/audit/").url == LIST


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_holds_the_same_part_and_is_recorded(client, acts, a2, acme, form):
    client.force_login(a2)
    text = read(client.get(f"/audit/{form}/?group=sign-in"))
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["kind"], row["at"], row["address"]) for row in rows] == [
        ("signed_in", "2026-03-03T10:00:00Z", "192.0.2.7")
    ]
    text = read(client.get(f"/audit/{form}/"))
    for hidden in ("198.51.100.9", "secretplan", CANARY):
        assert hidden not in text, hidden
    entry = AuditEntry.objects.filter(kind="audit_exported").earliest("pk")
    assert (entry.by, entry.organisation) == (a2, acme)
    assert entry.facts == {"format": form, "filters": {"group": "sign-in"}}


def test_no_cell_is_a_formula(client, a2, acme):
    a2.name = "=HYPERLINK(1)"
    a2.save()
    record("signed_in", by=a2, now=T0, organisation=acme, subject="+1")
    client.force_login(a2)
    row = next(
        csv.DictReader(io.StringIO(read(client.get("/audit/csv/?subject=%2B1")).removeprefix("\ufeff")))
    )
    assert (row["by"], row["subject"]) == ("'=HYPERLINK(1)", "'+1")


def test_filters_narrow_and_refuse_what_cannot_be(client, acts, a1, a2, b1, acme):
    record("signed_out", by=a1, now=T0 - timedelta(days=3), organisation=acme)
    client.force_login(a2)

    def kinds(query):
        return [row.entry.kind for row in client.get(f"/audit/?{query}").context["rows"]]

    assert kinds("group=sign-in") == ["signed_out", "signed_in"]
    assert kinds(f"person={a1.pk}") == ["signed_out", "signed_in"]
    assert kinds("until=2026-03-01") == ["signed_out"]
    assert kinds("since=2026-03-02&group=sign-in") == ["signed_in"]
    assert kinds(f"subject=person/{a1.pk}") == ["signed_in"]
    for query in ("group=x", f"person={b1.pk}", "since=yesterday", "before=x", "before=99999999999999999999"):
        assert client.get(f"/audit/?{query}").status_code == 400, query
        assert client.get(f"/audit/csv/?{query}").status_code == 302, query
    assert client.get("/audit/?subject=%00").status_code == 200


def test_older_rows_are_a_page_further_and_nothing_is_counted(
    client, a2, acme, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr(audit_rows, "PAGE", 2)
    for n in range(5):
        record("signed_in", by=a2, now=T0, organisation=acme, subject=f"x/{n}")
    client.force_login(a2)
    seen, query = [], "group=sign-in"
    while query:
        with django_assert_max_num_queries(20) as queries:
            answer = client.get(f"/audit/?{query}")
        assert not [q for q in queries if "COUNT(" in q["sql"]]
        seen += [row.entry.subject for row in answer.context["rows"]]
        query = answer.context["older"]
    assert seen == [f"x/{n}" for n in (4, 3, 2, 1, 0)]


# --- staff ---


def test_heads_of_support_search_everything_beside_the_timelines(client, acts, a1, h1, acme):
    made = incident(a1, T0)
    client.force_login(h1)
    page = read(client.get(f"{LIST}?organisation={acme.pk}"))
    for shown in ("198.51.100.9", "secretplan", "not shown to the organisation", made.reference):
        assert shown in page, shown
    assert CANARY not in page.replace(f"note: {CANARY}", "")
    answer = client.get(f"{LIST}?person={a1.email}")
    assert {row.who for row in answer.context["events"]} == {str(a1)}
    assert f"token/{CANARY}" in read(client.get(f"{LIST}?group=tokens"))
    assert client.get(f"{LIST}?person=nobody@x.example").status_code == 400


def test_limited_staff_search_what_they_look_after(client, acts, h1, acme, b1):
    h1.is_limited = True
    h1.save()
    StaffLimit.objects.create(user=h1, organisation=acme)
    client.force_login(h1)
    page = read(client.get(LIST))
    assert "secretplan" in page
    assert f"token/{CANARY}" not in page
    assert "deleted what was past its time" not in page
    assert client.get(f"{LIST}?organisation={b1.memberships.get().organisation_id}").status_code == 400


def test_the_desk_is_closed_below_a_head_of_support(client, acts, g1, m1):
    for user in (g1, m1):
        client.force_login(user)
        assert client.get(LIST).status_code == 403


# --- the API ---


def api(user, **token):
    client = APIClient()
    made = ApiToken.objects.create(user=user, **token)[1]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made}")
    return client


def test_the_api_gives_managers_their_part_and_heads_everything(acts, a1, a2, g1, h1):
    found = api(a2).get(API, {"group": "reads"}).data["results"]
    assert [(row["kind"], row["by"], row["seen_as"], row["address"]) for row in found] == [
        ("attachment_read", g1.email, a2.email, None)
    ]
    assert found[0]["facts"] == {"attachment": 7}
    every = api(a2).get(API, {"page_size": 200}).data["results"]
    assert {row["organisation"] for row in every} == {"acme"}
    assert not {"settings_changed", "staff_limited"} & {row["kind"] for row in every}
    assert api(h1).get(API, {"kind": "staff_limited"}).data["results"][0]["organisation"] == "acme"
    for user in (a1, g1):
        assert api(user).get(API).status_code == 403
    assert APIClient().get(API).status_code == 401
    assert api(a2).get(API, {"nonsense": "1"}).status_code == 400
    assert api(a2).get(API, {"kind": "nonsense"}).status_code == 400


def test_a_token_for_one_organisation_reads_its_audit_only(acts, h1, nordwind):
    found = api(h1, organisation=nordwind).get(API, {"page_size": 200}).data["results"]
    assert {row["organisation"] for row in found} == {"nordwind"}


def test_the_list_has_its_address(client):
    assert reverse("audit") == "/audit/"
