"""The private feed: by its address alone, for its owner's eyes only, dead the moment that they leave."""

from __future__ import annotations

import io
import logging

import icalendar
import pytest
import time_machine
from django.conf import settings
from django.test import Client

from maintenance.actions import invitations
from maintenance.models import CalendarFeed
from portal.logs import HideTokens
from portal.models import Membership, Service, ServiceSubscription
from tests.conftest import T0
from tests.factories import CANARY
from tests.maintenance.world import DAY, DECISION, END, START, announced, draft

PAGE = "/maintenance/calendar/"


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(T0, tick=False):
        yield


@pytest.fixture
def window(acme, g1, g2):
    return announced(g1, g2)


@pytest.fixture
def path(window, a1):
    return f"/calendar/{invitations.rotate_feed(a1, now=T0)}.ics"


def uids(answer) -> set[str]:
    return {str(event["UID"]) for event in icalendar.Calendar.from_ical(answer.content).walk("VEVENT")}


def test_a_program_reads_it_without_a_session(client, window, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8; method=PUBLISH"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert not answer.cookies
    assert uids(answer) == {window.uid}
    head = client.head(path)
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])


def test_what_is_unchanged_is_not_sent_again(client, window, path, g1):
    tag = client.get(path).headers["ETag"]
    again = client.get(path, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Cache-Control"] == "private, no-cache"
    window.title = "Another title"
    window.save()
    assert client.get(path, headers={"if-none-match": tag}).status_code == 200


def test_reading_changes_nothing(client, path, a1):
    before = CalendarFeed.objects.values().get()
    assert client.get(path).content == client.get(path).content
    assert CalendarFeed.objects.values().get() == before


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_nothing_but_reading(client, path, method):
    assert client.generic(method, path).status_code == 405
    assert Client(enforce_csrf_checks=True).generic(method, path).status_code == 405


def test_a_draft_is_in_no_feed(client, window, path, g1):
    draft(g1, title=CANARY)
    staff = f"/calendar/{invitations.rotate_feed(g1, now=T0)}.ics"
    for address in (path, staff):
        answer = client.get(address)
        assert uids(answer) == {window.uid}
        assert CANARY not in answer.content.decode()


def dead(what: str, person) -> None:
    match what:
        case "rotated":
            invitations.rotate_feed(person, now=T0)
        case "revoked":
            invitations.revoke_feed(person)
        case "left":
            Membership.objects.filter(user=person).delete()
        case "organisation closed":
            membership = Membership.objects.get(user=person)
            membership.organisation.is_active = False
            membership.organisation.save()
        case "inactive":
            person.is_active = False
            person.save()


@pytest.mark.parametrize("what", ["rotated", "revoked", "left", "organisation closed", "inactive"])
def test_a_dead_token_is_like_one_that_never_was(client, path, a1, what):
    tag = client.get(path).headers["ETag"]
    dead(what, a1)
    never = client.get(f"/calendar/{'x' * 43}.ics")
    for headers in ({}, {"if-none-match": tag}, {"if-none-match": "*"}):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 404
        assert "ETag" not in answer.headers
        assert answer.content.decode().replace(path, "") == never.content.decode().replace(
            f"/calendar/{'x' * 43}.ics", ""
        )


def test_a_former_agent_reads_nothing(client, window, g1):
    path = f"/calendar/{invitations.rotate_feed(g1, now=T0)}.ics"
    assert uids(client.get(path)) == {window.uid}
    g1.staff_role, g1.is_staff = "", False
    g1.save()
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "token",
    ["", "x", "..", "%00", "%0d%0a", "a" * 5_000, "%F0%9F%98%80", "%ff", "' OR 1=1 --", "%2e%2e%2fadmin"],
)
def test_a_guess_finds_nothing(client, path, token):
    assert client.get(f"/calendar/{token}.ics").status_code == 404


def test_the_session_of_somebody_else_changes_nothing(client, path, b1, g1):
    plain = client.get(path).content
    for reader in (b1, g1):
        client.force_login(reader)
        assert client.get(path).content == plain


def test_only_a_digest_is_kept(path, a1):
    token = path.removeprefix("/calendar/").removesuffix(".ics")
    assert len(token) >= 43  # 256 bits
    row = CalendarFeed.objects.values().get()
    assert token not in str(row)
    assert row["token_digest"] == CalendarFeed.digest(token)


def test_a_feed_holds_nothing_of_another_organisation(client, path, window, nordwind, b1, g1, g2):
    for service in ("Inference API", "Vector Store"):
        nordwind.subscriptions.filter(service__name=service).delete()
    own = Service.objects.create(name=f"Only {CANARY}", slug=f"only-{CANARY}")
    ServiceSubscription.objects.create(organisation=nordwind, service=own)
    theirs = announced(g1, g2, title=f"Work {CANARY}", services=[(own, "outage")], **later(1))
    both = [(own, "outage"), (window.affected.get().service, "degraded")]
    shared = announced(g1, g2, title="Shared work", services=both, **later(2))
    answer = client.get(path)
    assert uids(answer) == {window.uid, shared.uid}
    assert CANARY not in answer.content.decode().replace("\r\n ", "")
    theirs_feed = client.get(f"/calendar/{invitations.rotate_feed(b1, now=T0)}.ics")
    assert uids(theirs_feed) == {theirs.uid, shared.uid}


def later(days: int) -> dict:
    shift = days * DAY
    return {"starts_at": START + shift, "ends_at": END + shift, "rollback_decision_at": DECISION + shift}


# --- the page ---


def test_the_address_is_shown_once_and_replaced_at_will(client, a1, window):
    client.force_login(a1)
    assert "You have no address yet" in client.get(PAGE).content.decode()
    shown = client.post(PAGE, {"do": "make"})
    address = shown.context["address"]
    assert address.startswith(f"{settings.SITE_URL}/calendar/")
    assert f">{address}</textarea>" in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]
    later = client.get(PAGE).content.decode()
    assert address not in later
    assert "Only a fingerprint of it is kept" in later
    first = address.removeprefix(settings.SITE_URL)
    assert client.get(first).status_code == 200
    second = client.post(PAGE, {"do": "make"}).context["address"].removeprefix(settings.SITE_URL)
    assert (client.get(first).status_code, client.get(second).status_code) == (404, 200)
    assert client.post(PAGE, {"do": "revoke"}, follow=True).status_code == 200
    assert client.get(second).status_code == 404


def test_reading_the_page_makes_no_address(client, a1):
    client.force_login(a1)
    client.get(PAGE)
    client.get(f"{PAGE}?do=make")
    assert client.post(PAGE).status_code == 400
    assert not CalendarFeed.objects.exists()


def test_one_window_as_a_file(client, a1, a3, b1, g1, window, nordwind):
    path = f"/maintenance/{window.reference}/calendar.ics"
    assert client.get(path).status_code == 302
    for reader in (a1, a3, g1):
        client.force_login(reader)
        answer = client.get(path)
        assert uids(answer) == {window.uid}
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{window.reference}.ics"'
        assert "ATTENDEE" not in answer.content.decode()
    client.force_login(a1)
    assert client.get("/maintenance/MW-987654/calendar.ics").status_code == 404
    for reader in (a1, g1):
        client.force_login(reader)
        assert client.get(f"/maintenance/{draft(g1).reference}/calendar.ics").status_code == 404


def test_the_file_of_a_window_is_for_those_whom_it_concerns(client, b1, window, nordwind):
    window.involved.filter(organisation=nordwind).delete()
    client.force_login(b1)
    assert client.get(f"/maintenance/{window.reference}/calendar.ics").status_code == 404


def test_the_profile_asks_what_to_hear_of(client, a1):
    client.force_login(a1)
    fields = {"name": a1.name, "language": "", "time_zone": "", "daily_summary_hour": 8}
    assert client.post("/profile/", fields).status_code == 302
    a1.refresh_from_db()
    assert (a1.hears_maintenance, a1.hears_announcements) == (False, False)
    client.post("/profile/", fields | {"hears_maintenance": "on", "hears_announcements": "on"})
    a1.refresh_from_db()
    assert (a1.hears_maintenance, a1.hears_announcements) == (True, True)


# --- the logs ---


def test_no_token_stands_in_a_log(client, path, a1):
    """Django logs what it does not find, and what goes wrong, by the address: for whatever handler there is."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in ("django", "django.request", "django.server")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        client.get(path)
        invitations.revoke_feed(a1)
        client.get(path)
        client.post(path)
        loggers[2].info('"%s" %s', f"GET {path} HTTP/1.1", 200)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert path.removeprefix("/calendar/").removesuffix(".ics") not in stream.getvalue()
    assert stream.getvalue().count("/calendar/….ics") >= 3


def test_a_log_of_any_other_name_hides_it_where_all_logs_go(path):
    record = logging.LogRecord("gunicorn.error", logging.WARNING, "", 1, "GET %s failed", (path,), None)
    assert HideTokens().filter(record)
    assert record.getMessage() == "GET /calendar/….ics failed"
    plain = logging.LogRecord("x", logging.WARNING, "", 1, "100 %", None, None)
    assert HideTokens().filter(plain)
    assert plain.getMessage() == "100 %"
