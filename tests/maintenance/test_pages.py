"""The customer's pages of maintenance: what each reader sees, and what they may answer."""

from datetime import timedelta
from html.parser import HTMLParser

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from maintenance import actions
from maintenance.models import Consent, Freeze, MaintenanceWindow, WindowOrganisation
from maintenance.models.timeline import PAYLOADS
from maintenance.sweep import sweep
from maintenance.timeline_view import SENTENCES
from portal.models import Membership, Organisation, Service, ServiceSubscription
from tests.conftest import T0
from tests.factories import incident
from tests.maintenance.world import (
    DAY,
    DECISION,
    END,
    HOUR,
    START,
    announced,
    approved,
    by,
    check_all,
    draft,
    kinds,
    service,
)

LIST, FREEZES = "/maintenance/", "/maintenance/freezes/"
LATER = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}

pytestmark = pytest.mark.usefixtures("cast")


@pytest.fixture(autouse=True)
def clock(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0 + timedelta(minutes=5), tick=False) as traveller:
        yield traveller


def page(client, user, address):
    client.force_login(user)
    return client.get(address)


def text(client, user, address):
    answer = page(client, user, address)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.content.decode()


def swept(window, at):
    sweep(at)
    window.refresh_from_db()
    return window


def late(g1, g2, **fields):
    """A window announced with less notice than an outage needs: both organisations are asked."""
    return announced(g1, g2, T0 + 4 * DAY, **fields)


def own(window, name):
    return Consent.objects.get(window=window, organisation__name=name)


# --- the list ---


def test_a_window_is_nowhere_before_its_announcement(client, a1, g1, g2):
    drafted, ready = draft(g1, title="Draft of ours"), approved(g1, g2, title="Approved of ours")
    for address in (LIST, "/", "/incidents/"):
        shown = text(client, a1, address)
        assert "of ours" not in shown
    assert "No maintenance is announced" in text(client, a1, LIST)
    for window in (drafted, ready):
        for noun in ("", "now/", "timeline/"):
            assert page(client, a1, f"/maintenance/{window.reference}/{noun}").status_code == 404


def test_the_list_shows_what_runs_first_then_what_comes_then_what_is_over(client, a1, g1, g2, clock):
    over = announced(g1, g2, title="Cancelled one")
    actions.cancel(over, reason="no", **by(g1, T0))
    announced(
        g1,
        g2,
        title="Later one",
        starts_at=START + DAY,
        ends_at=END + DAY,
        rollback_decision_at=DECISION + DAY,
    )
    running = announced(g1, g2, title="Running one")
    swept(running, START)
    clock.move_to(START + timedelta(minutes=1))
    shown = text(client, a1, LIST).split("</form>")[-1]
    order = [
        shown.index(words)
        for words in ("Running now", "Running one", "Upcoming", "Later one", "Past", "Cancelled one")
    ]
    assert order == sorted(order)
    assert "decided by" in shown


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"Running", "Upcoming", "Over"}),
        ("?show=running", {"Running"}),
        ("?show=upcoming", {"Upcoming"}),
        ("?show=past", {"Over"}),
        ("?service=inference-api", {"Running", "Upcoming", "Over"}),
        ("?service=vector-store", set()),
        ("?show=nonsense", {"Running", "Upcoming", "Over"}),
    ],
)
def test_the_filter_stands_in_the_address(client, a1, g1, g2, clock, query, expected):
    actions.cancel(announced(g1, g2, title="Title Over"), reason="no", **by(g1, T0))
    announced(
        g1,
        g2,
        title="Title Upcoming",
        starts_at=START + DAY,
        ends_at=END + DAY,
        rollback_decision_at=DECISION + DAY,
    )
    swept(announced(g1, g2, title="Title Running"), START)
    clock.move_to(START + timedelta(minutes=1))
    shown = text(client, a1, LIST + query)
    main = shown[shown.index("<form") :]
    assert {name for name in ("Running", "Upcoming", "Over") if f"Title {name}" in main} == expected
    if not expected:
        assert "No maintenance fits these filters" in shown


@pytest.mark.parametrize("address", [LIST, "/", "/incidents/"])
def test_lists_make_the_same_queries_at_1_3_and_50_windows(client, a1, g1, g2, clock, address):
    counts, rows = [], 0
    client.force_login(a1)
    for size in (1, 3, 50):
        for number in range(rows, size):
            _row(g1, number, status=["announced", "in_progress", "completed"][number % 3])
        rows = size
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        counts.append(len(captured))
    # At one row two of the three sections are empty, and prefetch nothing.
    assert counts[1] == counts[2], counts


def _row(owner, number, status):
    acme = Organisation.objects.get(name="Acme")
    made = MaintenanceWindow.objects.create(
        title=f"Row {number}", description="x", status=status, starts_at=START, ends_at=END,
        rollback_decision_at=DECISION, owner=owner, author=owner, announced_at=T0,
        ended_at=END if status == "completed" else None,
    )  # fmt: skip
    made.affected.create(service=service(), impact="outage")
    WindowOrganisation.objects.create(window=made, organisation=acme, since=T0)
    return made


# --- one window ---


def test_the_first_line_is_the_state_and_the_next_promise_with_its_time(client, a1, g1, g2, clock):
    window = announced(g1, g2)
    first = text(client, a1, window.get_absolute_url()).split('class="headline"')[1].split("</p>")[0]
    assert "Announced" in first
    assert "starts" in first
    assert "Tue 10 Mar 2026, 13:00 UTC+3" in first
    assert str(g1) in first
    swept(window, START)
    clock.move_to(START + timedelta(minutes=1))
    first = text(client, a1, window.get_absolute_url()).split('class="headline"')[1].split("</p>")[0]
    assert "In progress" in first
    assert "go on or roll back: decided by" in first
    actions.post(window, text="Half done", next_update_at=START + HOUR / 2, **by(g1, START))
    first = text(client, a1, window.get_absolute_url()).split('class="headline"')[1].split("</p>")[0]
    assert "next update by" in first


def test_the_page_tells_the_whole_window(client, a1, g1, g2, clock):
    window = announced(g1, g2)
    swept(window, START)
    actions.tick_step(window.steps.first(), is_done=True, **by(g1, START))
    actions.check_condition(window.conditions.get(), measured="0.3 %", is_met=False, **by(g1, START))
    actions.post(window, text="The first node is **done**.", **by(g1, START))
    clock.move_to(START + timedelta(minutes=1))
    shown = text(client, a1, window.get_absolute_url())
    for words in [
        "Inference API", "Outage", "Drain the nodes", "1 of 2 done", "Error rate of the API over 5 minutes",
        "more than 2 %", "Within the limit", "0.3 %", "Rollback decision", str(g1), "<strong>done</strong>",
        "We upgrade the <strong>nodes</strong>", "the work started",
    ]:  # fmt: skip
        assert words in shown, words


def test_times_are_shown_in_the_readers_zone_and_the_windows_own(client, a1, g1, g2):
    a1.time_zone = "America/New_York"
    a1.save()
    window = announced(g1, g2)
    shown = text(client, a1, window.get_absolute_url())
    assert "Tue 10 Mar 2026, 06:00 EDT" in shown
    assert "Tue 10 Mar 2026, 13:00 UTC+3, Europe/Istanbul" in shown
    a1.time_zone = "Europe/Istanbul"
    a1.save()
    assert ", Europe/Istanbul</span>" not in text(client, a1, window.get_absolute_url())


def test_a_customer_reads_only_of_services_that_they_use(client, a1, c1, g1, g2, cloudia):
    secret = Service.objects.create(name="Secret Cluster", slug="secret")
    ServiceSubscription.objects.create(organisation=cloudia, service=secret)
    window = announced(g1, g2, services=[(service(), "degraded"), (secret, "outage")])
    running = swept(window, START)
    for address in (
        LIST,
        running.get_absolute_url(),
        f"{running.get_absolute_url()}now/",
        "/",
        "/incidents/",
    ):
        assert "Secret Cluster" not in text(client, a1, address), address
    assert "Secret Cluster" in text(client, c1, running.get_absolute_url())


def test_nobody_reads_what_is_internal(client, a1, g1, g2, clock):
    window = swept(announced(g1, g2), START)
    clock.move_to(START + timedelta(minutes=1))
    actions.post(window, text="hush-hush", is_public=False, **by(g1, START))
    actions.ask_extension(window, until=END + HOUR, reason="hush-extension", **by(g1, START))
    for noun in ("", "timeline/", "now/"):
        shown = text(client, a1, window.get_absolute_url() + noun)
        assert "hush" not in shown
        assert "Internal" not in shown
    assert "hush-hush" in text(client, g1, f"{window.get_absolute_url()}timeline/")


def test_what_moved_stands_on_the_page_with_both_times_and_the_reason(client, a1, g1, g2):
    window = announced(g1, g2)
    actions.move_window(window, **LATER, reason="A part is late", **by(g1, T0))
    shown = text(client, a1, window.get_absolute_url())
    moved = shown[shown.index("What changed") :]
    before, after = "Tue 10 Mar 2026, 13:00 – 15:00 UTC+3", "Wed 11 Mar 2026, 13:00 – 15:00 UTC+3"
    for words in (f"moved from {before} to {after}", "A part is late"):
        assert words in moved


def test_a_post_that_is_internal_is_read_nowhere_whatever_names_it(client, a1, g1, g2):
    window = announced(g1, g2)
    actions.move_window(window, **LATER, reason="hush-hush", **by(g1, T0))
    assert "hush-hush" in text(client, a1, window.get_absolute_url())
    window.posts.update(is_public=False)
    for noun in ("", "timeline/"):
        assert "hush-hush" not in text(client, a1, window.get_absolute_url() + noun)


def test_an_extension_is_a_change_of_the_end_only(client, a1, g1, g2, clock):
    window = swept(announced(g1, g2), START)
    actions.ask_extension(window, until=END + HOUR, reason="A node is slow", **by(g1, START))
    actions.approve_extension(window, **by(g2, START))
    clock.move_to(START + timedelta(minutes=1))
    shown = text(client, a1, window.get_absolute_url())
    assert "the end moved from Tue 10 Mar 2026, 15:00 UTC+3 to Tue 10 Mar 2026, 16:00 UTC+3" in shown
    assert "A node is slow" in shown


def test_an_overrun_is_unmistakable(client, a1, g1, g2, clock):
    window = swept(announced(g1, g2), START)
    swept(window, END)
    clock.move_to(END + timedelta(minutes=5))
    first = text(client, a1, window.get_absolute_url()).split('class="headline"')[1].split("</p>")[0]
    assert "Overrun" in first
    assert "was to end" in first
    assert "label-breached" in first


def test_a_finished_window_says_its_true_end_and_a_new_attempt_is_linked(client, a1, g1, g2, clock):
    window = swept(announced(g1, g2), START)
    check_all(window, g1, START)
    actions.begin_verification(window, **by(g1, START + HOUR))
    actions.complete(window, outcome="All nodes are new.", **by(g1, START + HOUR))
    clock.move_to(START + 2 * HOUR)
    shown = text(client, a1, window.get_absolute_url())
    for words in ("Completed", "All nodes are new.", "True end", "nothing is owed any more"):
        assert words in shown
    again = draft(
        g1,
        START,
        previous_attempt=window,
        starts_at=START + 9 * DAY,
        ends_at=END + 9 * DAY,
        rollback_decision_at=DECISION + 9 * DAY,
    )
    assert again.reference not in text(client, a1, window.get_absolute_url())
    actions.propose(again, **by(g1, START))
    actions.approve(again, **by(g2, START))
    actions.announce(again, **by(g1, START))
    assert f"/maintenance/{again.reference}/" in text(client, a1, window.get_absolute_url())
    assert f"/maintenance/{window.reference}/" in text(client, a1, again.get_absolute_url())


def test_my_answer_to_the_invitation_stands_on_the_page(client, a1, a2, g1, g2):
    window = announced(g1, g2)
    window.invitations.filter(person=a1).update(answer="accepted", answered_at=T0)
    assert "Accepted, Tue 3 Mar 2026, 13:00" in " ".join(
        text(client, a1, window.get_absolute_url()).split()
    ).replace('<time datetime="2026-03-03T10:00:00+00:00">', "")
    assert "Accepted" not in text(client, a2, window.get_absolute_url())


def test_every_kind_of_event_has_its_sentence():
    assert set(SENTENCES) == set(PAYLOADS)


def test_the_fragment_is_unchanged_until_something_happens(client, a1, g1, g2):
    window = announced(g1, g2)
    address = f"{window.get_absolute_url()}now/"
    tag = page(client, a1, address).headers["ETag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
    actions.post(window, text="Soon", **by(g1, T0))
    fresh = client.get(address, headers={"If-None-Match": tag})
    assert (fresh.status_code, fresh.headers["ETag"] == tag) == (200, False)


def test_a_tick_refreshes_the_fragment(client, a1, g1, g2, clock):
    window = swept(announced(g1, g2), START)
    clock.move_to(START + timedelta(minutes=1))
    address = f"{window.get_absolute_url()}now/"
    tag = page(client, a1, address).headers["ETag"]
    actions.tick_step(window.steps.first(), is_done=True, **by(g1, START))
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_the_page_makes_the_same_queries_at_1_3_and_50_posts(client, a1, g1, g2):
    window = announced(g1, g2)
    client.force_login(a1)
    counts, rows = [], 0
    for size in (1, 3, 50):
        for _number in range(size - rows):
            actions.post(window, text="word", **by(g1, T0))
        rows = size
        client.get(window.get_absolute_url())
        with CaptureQueriesContext(connection) as captured:
            client.get(window.get_absolute_url())
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


# --- consents ---


def test_a_member_gives_consent_by_a_post_with_words(client, a1, g1, g2, clock):
    window = late(g1, g2)
    clock.move_to(T0 + 4 * DAY + HOUR)
    shown = text(client, a1, window.get_absolute_url())
    assert "less notice than your plan promises" in shown
    asked = own(window, "Acme")
    address = f"/maintenance/{window.reference}/consents/{asked.pk}/"
    assert address in shown
    assert page(client, a1, address).status_code == 200
    assert own(window, "Acme").state == "open"
    answer = client.post(address, {f"c{asked.pk}-answer": "give", f"c{asked.pk}-words": "Fine with us"})
    assert (answer.status_code, answer.url) == (302, window.get_absolute_url())
    asked.refresh_from_db()
    found = (asked.state, asked.words, asked.decided_by, asked.channel)
    assert found == ("given", "Fine with us", a1, "portal")
    shown = text(client, a1, window.get_absolute_url())
    assert "Fine with us" in shown
    assert own(window, "Cloudia").state == "open"


def test_a_refusal_needs_a_reason_beside_the_field(client, a1, g1, g2):
    window = late(g1, g2)
    asked = own(window, "Acme")
    address = f"/maintenance/{window.reference}/consents/{asked.pk}/"
    client.force_login(a1)
    answer = client.post(address, {f"c{asked.pk}-answer": "refuse", f"c{asked.pk}-words": " "})
    assert answer.status_code == 400
    shown = answer.content.decode()
    assert "Say why, so that the maintenance can be moved" in shown
    assert 'id="errors"' in shown
    assert f'href="#id_c{asked.pk}-words"' in shown
    assert own(window, "Acme").state == "open"
    answer = client.post(address, {f"c{asked.pk}-answer": "refuse", f"c{asked.pk}-words": "Quarter end"})
    assert answer.status_code == 302
    assert (own(window, "Acme").state, own(window, "Acme").words) == ("refused", "Quarter end")


def test_a_viewer_sees_the_question_and_cannot_answer(client, a3, g1, g2):
    window = late(g1, g2)
    asked = own(window, "Acme")
    address = f"/maintenance/{window.reference}/consents/{asked.pk}/"
    shown = text(client, a3, window.get_absolute_url())
    assert "Managers and members of your organisation can answer" in shown
    assert address not in shown
    assert client.post(address, {f"c{asked.pk}-answer": "give"}).status_code == 403
    assert own(window, "Acme").state == "open"


def test_nobody_sees_or_answers_another_organisations_consent(client, a2, c1, b1, g1, g2):
    window, other = late(g1, g2), late(g1, g2, title="Another", **LATER)
    theirs, mine = own(window, "Cloudia"), own(other, "Acme")
    assert "Cloudia" not in text(client, a2, window.get_absolute_url())
    for user, reference, asked in [
        (a2, window.reference, theirs),
        (b1, window.reference, theirs),
        (a2, window.reference, mine),  # mine, but of another window
    ]:
        client.force_login(user)
        address = f"/maintenance/{reference}/consents/{asked.pk}/"
        assert client.get(address).status_code == 404
        assert client.post(address, {f"c{asked.pk}-answer": "give"}).status_code == 404
    assert {own(window, "Cloudia").state, own(other, "Acme").state} == {"open"}


def test_a_consent_that_came_too_late_is_refused_with_what_to_do(client, a1, g1, g2, clock):
    window = late(g1, g2)
    asked = own(window, "Acme")
    actions.cancel(window, reason="no", **by(g1, T0 + 4 * DAY))
    clock.move_to(T0 + 5 * DAY)
    client.force_login(a1)
    address = f"/maintenance/{window.reference}/consents/{asked.pk}/"
    answer = client.post(address, {f"c{asked.pk}-answer": "give"})
    assert answer.status_code == 409
    assert own(window, "Acme").state == "open"


def test_the_question_names_my_freeze(client, a1, acme, g1, g2):
    times = {"starts_at": START, "ends_at": END}
    actions.enter_freeze(acme, **times, reason="Year-end closing", **by(a1, T0))
    window = announced(g1, g2)
    shown = text(client, a1, window.get_absolute_url())
    assert "Do you agree all the same?" in shown
    assert "Year-end closing" in shown


# --- freezes ---

FREEZE = {"starts_at": "2026-03-20T09:00", "ends_at": "2026-03-21T18:00", "reason": "Quarter end"}


def test_a_member_enters_a_freeze_in_their_own_zone(client, a1, acme):
    client.force_login(a1)
    answer = client.post(FREEZES, FREEZE | {"organisation": acme.pk})
    assert answer.status_code == 302
    made = Freeze.objects.get()
    assert made.starts_at.isoformat() == "2026-03-20T06:00:00+00:00"
    assert (made.organisation, made.service, made.entered_by) == (acme, None, a1)
    shown = text(client, a1, FREEZES)
    assert "Quarter end" in shown
    assert f"/maintenance/freezes/{made.pk}/withdrawal/" in shown


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ends_at": "2026-03-20T08:00"}, "ends_at"),
        ({"starts_at": ""}, "starts_at"),
        ({"starts_at": "never"}, "starts_at"),
        ({"starts_at": "9999-12-31T23:59"}, "starts_at"),
        ({"starts_at": "0001-01-01T00:00"}, "starts_at"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 301}, "reason"),
        ({"starts_at": "2026-01-01T00:00", "ends_at": "2026-01-02T00:00"}, "ends_at"),
        ({"service": "987654"}, "service"),
    ],
)
def test_a_wrong_freeze_is_refused_beside_its_field(client, a1, acme, wrong, field):
    client.force_login(a1)
    answer = client.post(FREEZES, FREEZE | {"organisation": acme.pk} | wrong)
    assert answer.status_code == 400
    assert field in answer.context["form"].errors
    shown = answer.content.decode()
    assert f'href="#id_{field}"' in shown
    assert f'id="id_{field}_error"' in shown
    assert not Freeze.objects.exists()


def test_nobody_enters_a_freeze_for_others_nor_on_their_services(client, a1, acme, nordwind):
    only = Service.objects.create(name="Only theirs", slug="only")
    ServiceSubscription.objects.create(organisation=nordwind, service=only)
    client.force_login(a1)
    for data in ({"organisation": nordwind.pk}, {"organisation": acme.pk, "service": only.pk}):
        answer = client.post(FREEZES, FREEZE | data)
        assert answer.status_code == 400
        assert "Only theirs" not in answer.content.decode()
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    assert client.post(FREEZES, FREEZE | {"organisation": acme.pk, "service": only.pk}).status_code == 400
    assert not Freeze.objects.exists()


def test_a_viewer_reads_freezes_and_writes_none(client, a1, a3, acme):
    made = actions.enter_freeze(acme, starts_at=START, ends_at=END, reason="Closing", **by(a1, T0))
    shown = text(client, a3, FREEZES)
    assert "Closing" in shown
    assert "withdrawal" not in shown
    assert client.post(FREEZES, FREEZE | {"organisation": acme.pk}).status_code == 403
    assert client.post(f"{FREEZES}{made.pk}/withdrawal/").status_code == 403
    assert Freeze.objects.get().withdrawn_at is None


def test_a_freeze_is_withdrawn_by_a_post_and_a_stranger_finds_none(client, a1, a2, c1, acme):
    made = actions.enter_freeze(acme, starts_at=START, ends_at=END, reason="Closing", **by(a1, T0))
    address = f"{FREEZES}{made.pk}/withdrawal/"
    client.force_login(c1)
    assert client.get(address).status_code == 404
    assert client.post(address).status_code == 404
    assert "Closing" not in text(client, c1, FREEZES)
    assert page(client, a2, address).status_code == 200
    assert Freeze.objects.get().withdrawn_at is None
    assert client.post(address).status_code == 302
    assert Freeze.objects.get().withdrawn_by == a2
    again = client.post(address)
    assert again.status_code == 409
    assert "withdrawn already" in again.content.decode()


def test_the_freezes_make_the_same_queries_at_1_3_and_50_rows(client, a1, acme):
    client.force_login(a1)
    counts, rows = [], 0
    for size in (1, 3, 50):
        for _number in range(size - rows):
            Freeze.objects.create(organisation=acme, starts_at=START, ends_at=END, reason="r", entered_by=a1)
            Freeze.objects.create(
                organisation=acme, starts_at=START, ends_at=END, reason="r", entered_by=a1, withdrawn_at=T0
            )
        rows = size
        client.get(FREEZES)
        with CaptureQueriesContext(connection) as captured:
            client.get(FREEZES)
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


# --- banners and tags ---


def test_home_and_incidents_show_what_runs_now_on_my_services(client, a1, b1, g1, g2, clock):
    window = announced(g1, g2)
    mine = incident(a1, T0, level="P3")
    assert "banner-maintenance" not in text(client, a1, "/")
    assert window.reference in text(client, a1, "/")  # it is upcoming
    assert window.reference not in text(client, b1, "/")
    swept(window, START)
    clock.move_to(START + timedelta(minutes=1))
    for address in ("/", "/incidents/", mine.get_absolute_url()):
        shown = text(client, a1, address)
        assert shown.count('class="banner banner-maintenance"') == 1, address
        assert window.reference in shown
    for address in ("/", "/incidents/", LIST):
        assert window.reference not in text(client, b1, address)
    assert "Upcoming maintenance" not in text(client, a1, "/")


def test_an_incidents_banner_is_of_its_own_organisation(client, a1, b1, g1, g2, nordwind, clock):
    """Somebody of two organisations reads on an incident of one only what concerns it."""
    window = swept(announced(g1, g2), START)
    clock.move_to(START + timedelta(minutes=1))
    theirs = incident(b1, T0, level="P3")
    Membership.objects.create(user=a1, organisation=nordwind, role="member")
    assert window.reference not in text(client, a1, theirs.get_absolute_url())
    assert window.reference in text(client, a1, "/")


def test_an_incident_during_a_window_says_so_to_whom_the_window_is_visible(client, a1, b1, g1, g2):
    window = announced(g1, g2)
    mine, theirs = incident(a1, T0, level="P3"), incident(b1, T0, level="P3")
    for made in (mine, theirs):
        made.window = window
        made.save()
    assert f"during {window.reference}" in text(client, a1, mine.get_absolute_url())
    assert window.reference not in text(client, b1, theirs.get_absolute_url())
    assert f"during {window.reference}" in text(client, g1, f"/admin/incidents/incident/{mine.pk}/change/")


# --- the markup ---


class Outline(HTMLParser):
    """What a reader of the screen needs: names of controls and tables, one h1, ids that are unique."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.labels, self.inputs, self.h1, self.handlers = [], set(), [], 0, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label":
            self.labels.add(given.get("for"))
        if tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "submit"):
            self.inputs.append(given.get("id"))
        self.h1 += tag == "h1"
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("kind", ["list", "window", "consent", "freezes"])
def test_pages_are_named_and_labelled_and_hold_no_inline_code(client, a1, g1, g2, kind):
    window = late(g1, g2)
    address = {
        "list": LIST,
        "window": window.get_absolute_url(),
        "consent": f"{window.get_absolute_url()}consents/{own(window, 'Acme').pk}/",
        "freezes": FREEZES,
    }[kind]
    html = text(client, a1, address)
    outline = Outline(html)
    assert outline.h1 == 1
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.inputs) <= outline.labels
    assert outline.handlers == []
    assert "<script>" not in html


def test_texts_of_people_are_inert(client, a1, acme, g1, g2):
    bad = "<img src=x onerror=alert(1)>"
    actions.enter_freeze(acme, starts_at=START, ends_at=END, reason=bad, **by(a1, T0))
    window = announced(g1, g2, title=bad, description=bad, steps=[bad], conditions=[(bad, bad)])
    actions.post(window, text=bad, **by(g1, T0))
    for address in (LIST, window.get_absolute_url(), FREEZES, "/"):
        assert "<img src=x" not in text(client, a1, address)


def test_the_timeline_tells_public_kinds_only(client, a1, g1, g2):
    window = late(g1, g2)
    assert "consent_asked" in kinds(window)
    shown = text(client, a1, f"{window.get_absolute_url()}timeline/")
    assert "asked for consent" not in shown
    assert "announced it for" in shown
