"""The staff door of maintenance: a GET changes nothing, a stale form loses nothing, each verb by its people."""

from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from incidents.defaults import plan_for
from maintenance import actions, desk, draft_desk
from maintenance.admin import VIEWS
from maintenance.desk import audience
from maintenance.models import Freeze, MaintenancePlan, MaintenanceWindow, WindowEvent
from maintenance.staff_forms import STAFF_VERBS
from maintenance.sweep import sweep
from portal.models import Organisation, OutboxMessage, Service, ServiceSubscription
from tests.conftest import T0
from tests.factories import organisation, person
from tests.incidents.test_stranger import Writes
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
    service,
)

DESK = "admin:maintenance_maintenancewindow_"
LIST = "/admin/maintenance/maintenancewindow/"

pytestmark = pytest.mark.usefixtures("cast")


@pytest.fixture(autouse=True)
def clock(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0 + timedelta(minutes=5), tick=False) as traveller:
        yield traveller


def page_of(window):
    return reverse(f"{DESK}change", args=[window.pk])


def to(window, verb, part=None):
    if part is not None:
        return reverse(f"{DESK}do_part", args=[window.pk, verb, part.pk])
    return reverse(f"{DESK}do", args=[window.pk, verb])


def use(client, user, window, verb, part=None, **data):
    client.force_login(user)
    answer = client.post(to(window, verb, part), data)
    window.refresh_from_db()
    return answer


def text(client, user, address):
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.content.decode()


def swept(window, at):
    sweep(at)
    window.refresh_from_db()
    return window


@pytest.fixture
def running(g1, g2, clock):
    window = swept(announced(g1, g2), START)
    clock.move_to(START + timedelta(minutes=1))
    return window


# --- the form ---


def form(owner, **more):
    return {
        "title": "Upgrade",
        "description": "We upgrade.",
        "time_zone": "Europe/Istanbul",
        "starts_at": "2026-03-10T13:00",
        "ends_at": "2026-03-10T15:00",
        "rollback_decision_at": "2026-03-10T14:00",
        "owner": owner.pk,
        f"impact_{service().pk}": "outage",
        "steps": "Drain\n\n Upgrade \n",
        "conditions": "Error rate | more than 2 %",
    } | more


def test_a_draft_is_written_with_its_services_steps_and_conditions(client, g1):
    client.force_login(g1)
    answer = client.post(reverse(f"{DESK}add"), form(g1))
    made = MaintenanceWindow.objects.get()
    assert (answer.status_code, answer.url) == (302, page_of(made))
    assert made.starts_at.isoformat() == "2026-03-10T10:00:00+00:00"  # the window's own wall time
    assert [(row.service.name, row.impact) for row in made.affected.all()] == [("Inference API", "outage")]
    assert [step.text for step in made.steps.all()] == ["Drain", "Upgrade"]
    assert [(row.measure, row.limit) for row in made.conditions.all()] == [("Error rate", "more than 2 %")]
    assert (made.status, made.author, made.owner) == ("draft", g1, g1)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ends_at": "2026-03-10T12:00"}, "ends_at"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"starts_at": "9999-12-31T23:59"}, "starts_at"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "Europe/Berlin", "starts_at": "2026-03-29T02:30"}, "starts_at"),  # no such wall time
        ({"conditions": "No limit named"}, "conditions"),
        ({"title": ""}, "title"),
        ({"owner": "987654"}, "owner"),
    ],
)
def test_a_wrong_draft_is_refused_beside_its_field(client, g1, wrong, field):
    client.force_login(g1)
    with Writes.noted() as writes:
        answer = client.post(reverse(f"{DESK}add"), form(g1) | wrong)
    assert (answer.status_code, writes) == (400, [])
    assert field in answer.context["form"].errors
    assert f'href="#id_{field}"' in answer.content.decode()


def test_the_form_offers_staff_as_owners_and_no_customer(client, g1, a1):
    client.force_login(g1)
    assert client.post(reverse(f"{DESK}add"), form(g1) | {"owner": a1.pk}).status_code == 400
    assert "Ada One" not in text(client, g1, reverse(f"{DESK}add"))


def test_a_draft_is_changed_and_a_stale_form_keeps_its_text(client, g1):
    window = draft(g1)
    client.force_login(g1)
    address = reverse(f"{DESK}edit", args=[window.pk])
    shown = text(client, g1, address)
    assert "Drain the nodes\nUpgrade them" in shown
    assert 'value="2026-03-10T13:00"' in shown
    data = form(g1, revision=window.revision, title="Another title")
    assert client.post(address, data).status_code == 302
    window.refresh_from_db()
    assert window.title == "Another title"
    answer = client.post(address, data | {"title": "A third title"})
    shown = answer.content.decode()
    assert answer.status_code == 409
    assert "A third title" in shown
    assert f'name="revision" value="{window.revision}"' in shown
    window.refresh_from_db()
    assert window.title == "Another title"
    data |= {"title": "A third title", "revision": window.revision}
    assert client.post(address, data).status_code == 302


def test_an_announced_window_is_not_edited(client, g1, g2):
    window = announced(g1, g2)
    client.force_login(g1)
    address = reverse(f"{DESK}edit", args=[window.pk])
    assert client.post(address, form(g1, title="Quietly")).status_code == 409
    window.refresh_from_db()
    assert window.title != "Quietly"
    assert "Change the draft" not in text(client, g1, page_of(window))


def test_a_new_attempt_starts_from_the_window_before_and_without_its_times(client, g1, g2):
    before = actions.cancel(announced(g1, g2), reason="no", **by(g1, T0))
    address = f"{reverse(f'{DESK}add')}?previous={before.pk}"
    shown = text(client, g1, address)
    assert f"New attempt of {before.reference}" in shown
    assert "Drain the nodes" in shown
    assert "2026-03-10T13:00" not in shown
    assert client.post(address, form(g1)).status_code == 302
    made = MaintenanceWindow.objects.exclude(pk=before.pk).get()
    assert made.previous_attempt == before
    assert made.uid != before.uid


# --- what the times meet ---


def test_overlaps_and_notice_are_shown_while_one_types(client, a1, acme, g1, g2):
    announced(g1, g2, title="Neighbour")
    actions.enter_freeze(acme, starts_at=START, ends_at=END, reason="Year-end", **by(a1, T0))
    asked = {name: value for name, value in form(g1).items() if name not in ("title", "steps")}
    client.force_login(g1)
    with Writes.noted() as writes:
        answer = client.get(reverse(f"{DESK}check"), asked)
    shown = answer.content.decode()
    assert (answer.status_code, writes) == (200, [])
    assert "<html" not in shown
    for words in ("Acme asked for no maintenance", "Year-end", "on Inference API from", "announce it by"):
        assert words in shown, words
    assert "Thu 5 Mar 2026, 13:00" in shown  # five days before


def test_short_notice_is_shown_while_one_types(client, g1):
    client.force_login(g1)
    asked = form(g1, starts_at="2026-03-04T13:00", ends_at="2026-03-04T15:00")
    shown = client.get(reverse(f"{DESK}check"), asked).content.decode()
    assert "Acme is promised notice" in shown
    assert "Nordwind" not in shown


def test_the_notice_needed_is_of_what_each_organisation_feels(client, g1, nordwind):
    """Nordwind is promised a month before an outage, and is not touched by this one."""
    plan = plan_for(nordwind, T0)
    plan.maintenance_plan = MaintenancePlan.objects.create(name="Month", outage_notice_minutes=30 * 24 * 60)
    plan.save()
    client.force_login(g1)
    asked = form(g1) | {f"impact_{service('Vector Store').pk}": "none"}
    shown = client.get(reverse(f"{DESK}check"), asked).content.decode()
    assert "Thu 5 Mar 2026, 13:00" in shown
    assert "Nordwind" not in shown
    asked[f"impact_{service('Vector Store').pk}"] = "outage"
    assert "Nordwind is promised notice" in client.get(reverse(f"{DESK}check"), asked).content.decode()


def test_the_check_makes_the_same_queries_for_1_3_and_50_organisations(client, g1, acme):
    client.force_login(g1)
    counts, rows = [], 0
    for size in (1, 3, 50):
        for number in range(rows, size):
            made = Organisation.objects.create(name=f"Org {number}", slug=f"org-{number}")
            ServiceSubscription.objects.create(organisation=made, service=service())
        rows = size
        asked = form(g1, starts_at="2026-03-04T13:00", ends_at="2026-03-04T15:00")
        client.get(reverse(f"{DESK}check"), asked)
        with CaptureQueriesContext(connection) as captured:
            shown = client.get(reverse(f"{DESK}check"), asked).content.decode()
        assert shown.count("is promised notice") == size + 2  # Acme and Cloudia use it, too
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


def test_the_announcement_makes_the_same_queries_for_1_3_and_50_organisations(client, g1, g2, clock):
    window = approved(g1, g2)
    clock.move_to(T0 + 4 * DAY)
    client.force_login(g1)
    counts, rows = [], 0
    for size in (1, 3, 50):
        for number in range(rows, size):
            made = organisation(f"Org{number}")
            person(f"p{number}@org.example", f"P {number}", made, "member")
        rows = size
        client.get(to(window, "announce"))
        with CaptureQueriesContext(connection) as captured:
            shown = client.get(to(window, "announce")).content.decode()
        assert f"{4 + size} people in {2 + size} organisations" in shown
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


def test_the_check_says_what_is_missing_and_survives_anything(client, g1):
    client.force_login(g1)
    for query in ({}, {"starts_at": "x"}, {"starts_at": "9999-12-31T23:59", "ends_at": "0001-01-01T00:00"}):
        answer = client.get(reverse(f"{DESK}check"), query)
        assert answer.status_code == 200
        assert "Choose a start, an end and an affected service" in answer.content.decode()
    for wrong in ("x", "987654", "9" * 30):
        assert client.get(reverse(f"{DESK}check"), {"window": wrong}).status_code == 404


def test_without_scripts_the_same_is_checked_by_a_button_and_nothing_is_saved(client, a1, acme, g1):
    actions.enter_freeze(acme, starts_at=START, ends_at=END, reason="Year-end", **by(a1, T0))
    client.force_login(g1)
    with Writes.noted() as writes:
        answer = client.post(reverse(f"{DESK}add"), form(g1, title="", check="1"))
    shown = answer.content.decode()
    assert (answer.status_code, writes) == (200, [])
    assert "Year-end" in shown
    assert 'id="errors"' not in shown
    assert "Drain" in shown


def test_a_window_is_no_overlap_of_itself(client, g1):
    window = draft(g1)
    actions.propose(window, **by(g1, T0))
    client.force_login(g1)
    asked = form(g1)
    assert "on Inference API from" in client.get(reverse(f"{DESK}check"), asked).content.decode()
    asked |= {"window": window.pk}
    assert "on Inference API from" not in client.get(reverse(f"{DESK}check"), asked).content.decode()


# --- verbs ---


def test_a_get_of_every_verb_changes_nothing(client, g1, g2, running):
    client.force_login(g1)
    parts = {
        "tick_step": running.steps.first(),
        "check_condition": running.conditions.first(),
    }
    before = (WindowEvent.objects.count(), OutboxMessage.objects.count())
    for name, verb in STAFF_VERBS.items():
        if verb.part is not None and name not in parts:
            continue
        address = to(running, name, parts.get(name))
        for query in ("", "?fragment=1"):
            answer = client.get(address + query)
            assert answer.status_code == 200, name
            assert ("<html" in answer.content.decode()) == (not query)
    assert (WindowEvent.objects.count(), OutboxMessage.objects.count()) == before


def test_the_life_of_a_window_by_the_desk_alone(client, g1, g2, clock):
    client.force_login(g1)
    client.post(reverse(f"{DESK}add"), form(g1))
    window = MaintenanceWindow.objects.get()
    assert use(client, g1, window, "propose").status_code == 302
    assert use(client, g1, window, "approve").status_code == 403  # its author
    assert use(client, g2, window, "approve").status_code == 302
    answer = use(client, g1, window, "announce")
    assert (answer.status_code, window.status) == (302, "announced")
    times = {"starts_at": "2026-03-11T13:00", "ends_at": "2026-03-11T15:00"}
    times |= {"rollback_decision_at": "2026-03-11T14:00", "reason": "A part is late"}
    assert use(client, g1, window, "move_window", **times).status_code == 302
    assert window.starts_at == START + DAY
    assert use(client, g1, window, "start").status_code == 409  # too early
    clock.move_to(START + DAY)
    assert use(client, g1, window, "start").status_code == 302
    for step in window.steps.all():
        assert use(client, g1, window, "tick_step", step, is_done="yes").status_code == 302
    [condition] = window.conditions.all()
    data = {"measured": "0.2 %", "is_met": "no"}
    assert use(client, g1, window, "check_condition", condition, **data).status_code == 302
    answer = use(client, g1, window, "post", text="Half", is_public="on", next_update_at="2026-03-11T13:30")
    assert (answer.status_code, window.next_update_at) == (302, START + DAY + HOUR / 2)
    assert (
        use(client, g1, window, "ask_extension", until="2026-03-11T16:00", reason="Slow").status_code == 302
    )
    assert use(client, g1, window, "approve_extension").status_code == 403
    assert use(client, g2, window, "approve_extension").status_code == 302
    assert window.ends_at == END + DAY + HOUR
    assert use(client, g1, window, "begin_verification").status_code == 302
    assert use(client, g1, window, "complete", outcome="").status_code == 400
    assert use(client, g1, window, "complete", outcome="All new").status_code == 302
    assert (window.status, window.outcome) == ("completed", "All new")
    assert set(window.events.exclude(channel="clockwork").values_list("channel", flat=True)) == {"admin"}


def test_decisions_and_the_rollback(client, g1, g2, m1, running):
    assert use(client, g2, running, "decide", decision="go_on", reason="Fine").status_code == 403
    assert use(client, g1, running, "decide", decision="", reason="Fine").status_code == 400
    assert use(client, m1, running, "decide", decision="go_on", reason="Fine").status_code == 302
    assert running.decision == "go_on"
    assert use(client, g1, running, "order_rollback", reason="").status_code == 400
    assert use(client, g1, running, "order_rollback", reason="Too slow").status_code == 302
    assert running.status == "rolling_back"


def test_an_extension_that_waits_is_shown_and_may_be_refused(client, g1, g2, running):
    use(client, g1, running, "ask_extension", until="2026-03-10T16:00", reason="A slow node")
    shown = text(client, g2, page_of(running))
    assert "asks for an extension until Tue 10 Mar 2026, 16:00 UTC+3" in shown
    assert "A slow node" in shown
    assert running.pk in [w.pk for w in VIEWS["approval"][1](MaintenanceWindow.objects.all(), START)]
    assert use(client, g2, running, "refuse_extension", reason="No").status_code == 302
    assert running.extension_until is None
    assert use(client, g2, running, "approve_extension").status_code == 409


def test_a_stale_form_shows_what_came_and_keeps_the_text(client, g1, g2, running):
    stale = running.revision
    actions.post(running, text="Meanwhile this", **by(g2, START))
    answer = use(client, g1, running, "order_rollback", reason="My long reason", revision=stale)
    shown = answer.content.decode()
    assert (answer.status_code, running.status) == (409, "in_progress")
    for words in ("My long reason", "Meanwhile this", f'name="revision" value="{running.revision}"'):
        assert words in shown
    answer = use(client, g1, running, "order_rollback", reason="My long reason", revision=running.revision)
    assert answer.status_code == 302


def test_a_part_belongs_to_its_window(client, g1, g2, running):
    later = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    other = draft(g1, **later)
    for verb, part in [("tick_step", other.steps.first()), ("check_condition", other.conditions.first())]:
        data = {"is_done": "yes", "measured": "1", "is_met": "no"}
        assert use(client, g1, running, verb, part, **data).status_code == 404
    assert use(client, g1, running, "tick_step").status_code == 404
    assert use(client, g1, running, "propose", running.steps.first()).status_code == 404
    assert use(client, g1, running, "no_such_verb").status_code == 404


def test_the_verbs_offered_are_those_that_work(client, g1, g2, running):
    shown = text(client, g1, page_of(running))
    for name, is_there in [
        ("order_rollback", True),
        ("ask_extension", True),
        ("decide", True),
        ("approve_extension", False),
        ("cancel", False),
        ("announce", False),
    ]:
        assert (f'href="{to(running, name)}"' in shown) is is_there, name
    assert f'href="{to(running, "decide")}"' not in text(client, g2, page_of(running))


# --- who would hear ---


def test_the_announcement_says_how_many_would_hear_and_what_is_short(client, g1, g2, a1, a2, clock):
    window = approved(g1, g2)
    clock.move_to(T0 + 4 * DAY)
    shown = text(client, g1, to(window, "announce"))
    assert "Hears of it: 4 people in 2 organisations." in shown
    assert "and tell 4 people" in shown
    assert "Acme is promised notice" in shown
    a1.hears_maintenance = False
    a1.save()
    assert audience(window).people == 3
    use(client, g1, window, "announce")
    sent = OutboxMessage.objects.filter(kind="maintenance_announced").count()
    assert (sent, audience(window).people) == (3, 3)
    a2.hears_maintenance = False  # who was invited is told of a cancellation all the same
    a2.save()
    assert (audience(window).people, audience(window, "cancel").people) == (2, 3)


def test_an_internal_post_tells_nobody(client, g1, g2, running):
    before = OutboxMessage.objects.count()
    answer = use(client, g1, running, "post", text="hush")
    assert (answer.status_code, OutboxMessage.objects.count()) == (302, before)
    assert "are told" not in text(client, g1, page_of(running))


# --- consents ---


def test_consents_and_answers_are_shown_and_a_duty_manager_overrides(client, g1, g2, m1):
    window = announced(g1, g2, T0 + 4 * DAY)
    asked = window.consents.get(organisation__name="Acme")
    assert f"{to(window, 'override_consent', asked)}" not in text(client, g1, page_of(window))
    shown = text(client, m1, page_of(window))
    assert f"{to(window, 'override_consent', asked)}" in shown
    assert "Less notice than promised" in shown
    assert "Not answered: <strong>4</strong>" in shown
    assert use(client, g1, window, "override_consent", asked, reason="Must be").status_code == 403
    assert use(client, m1, window, "override_consent", asked, reason="").status_code == 400
    assert use(client, m1, window, "override_consent", asked, reason="Must be").status_code == 302
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by, asked.words) == ("overridden", m1, "Must be")


def test_an_overlap_with_other_work_is_decided_by_the_approver_with_a_reason(client, g1, g2):
    announced(g1, g2, title="Neighbour")
    window = approved(g1, g2)
    asked = window.consents.get(organisation=None)
    assert f"{to(window, 'give_consent', asked)}" not in text(client, g1, page_of(window))
    assert f"{to(window, 'give_consent', asked)}" in text(client, g2, page_of(window))
    assert use(client, g1, window, "announce").status_code == 409
    assert use(client, g1, window, "give_consent", asked, words="ok").status_code == 403
    assert use(client, g2, window, "give_consent", asked, words="").status_code == 400
    assert use(client, g2, window, "give_consent", asked, words="Same team").status_code == 302
    assert use(client, g1, window, "announce").status_code == 302


# --- the list ---


def test_the_saved_views_hold_their_windows(client, g1, g2, running):
    later = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    drafted = draft(g1, **later)
    proposed = actions.propose(draft(g1, title="P", **later), **by(g1, START))
    over = actions.cancel(draft(g1, title="O", **later), reason="no", **by(g1, START))
    asking = announced(g1, g2, START, **{k: v + 3 * DAY for k, v in later.items()})
    expected = {
        "open": {running, drafted, proposed, asking},
        "running": {running},
        "approval": {proposed},
        "upcoming": {asking},
        "consents": {asking},
        "drafts": {drafted},
        "over": {over},
        "all": {running, drafted, proposed, over, asking},
    }
    client.force_login(g1)
    for name in VIEWS:
        answer = client.get(f"{LIST}?view={name}")
        assert answer.status_code == 200
        found = {window.pk for window in answer.context["cl"].result_list}
        assert found == {window.pk for window in expected[name]}, name
    assert "was to start" not in client.get(LIST).content.decode()


def test_the_list_is_searched_by_reference_and_words(client, g1, g2):
    window, _other = draft(g1, title="Storage"), draft(g1, title="Network")
    client.force_login(g1)
    for words in (window.reference, window.reference.lower(), "storage"):
        answer = client.get(LIST, {"q": words})
        assert [row.pk for row in answer.context["cl"].result_list] == [window.pk], words


def test_the_list_makes_the_same_queries_at_1_3_and_50_rows(client, g1):
    client.force_login(g1)
    counts, rows = [], 0
    for size in (1, 3, 50):
        for number in range(rows, size):
            draft(g1, title=f"Row {number}")
        rows = size
        client.get(LIST)
        with CaptureQueriesContext(connection) as captured:
            client.get(LIST)
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


def test_the_page_makes_the_same_queries_at_1_3_and_50_of_everything(client, g1, g2, running):
    client.force_login(g1)
    counts, rows = [], 0
    for size in (1, 3, 50):
        for number in range(rows, size):
            running.steps.create(position=number + 9, text="more")
            running.conditions.create(position=number + 9, measure="m", limit="l")
            running.alarms.create(
                service=service(), source="x", fingerprint=str(number), title="t", first_at=T0, last_at=T0
            )
            actions.post(running, text="word", **by(g1, START))
        rows = size
        client.get(page_of(running))
        with CaptureQueriesContext(connection) as captured:
            assert client.get(page_of(running)).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] == counts[2], counts


def test_recorded_alarms_stand_on_the_page(client, g1, g2, running):
    running.alarms.create(
        service=service(), source="prometheus", fingerprint="f", title="API slow", count=3,
        first_at=START, last_at=START,
    )  # fmt: skip
    shown = text(client, g1, page_of(running))
    for words in ("Recorded alarms", "API slow", "firing", "received 3 times"):
        assert words in shown


def test_a_page_of_nothing_is_not_found_and_a_post_to_it_forbidden(client, g1):
    client.force_login(g1)
    for pk in ("987654", "x", "9" * 40, "9" * 5000):
        assert client.get(f"{LIST}{pk}/change/").status_code == 404
    assert client.post(page_of(draft(g1)), {"title": "x"}).status_code == 403


def test_a_customer_never_reaches_the_desk(client, a1, g1, g2):
    window = announced(g1, g2)
    client.force_login(a1)
    for address in (
        LIST,
        page_of(window),
        to(window, "cancel"),
        reverse(f"{DESK}check"),
        reverse(f"{DESK}add"),
    ):
        assert client.get(address).status_code in (302, 403)
        assert client.post(address, {"reason": "x"}).status_code in (302, 403)
    window.refresh_from_db()
    assert window.status == "announced"


def test_the_landing_page_counts_what_runs_and_what_waits(client, g1, g2, running):
    actions.propose(draft(g1), **by(g1, START))
    counts = {view["url"].split("=")[1]: view["count"].number for view in _landing(client, g1)}
    assert counts == {"running": 1, "approval": 1, "upcoming": 0, "consents": 1}


def _landing(client, user):
    client.force_login(user)
    return client.get("/admin/").context["window_views"]


def test_the_desk_asks_who_comes_itself_too(rf, a1, acme, g1, g2):
    """Not only the admin's own door, which somebody may forget to wrap around a new page."""
    window = announced(g1, g2)
    freeze = actions.enter_freeze(acme, starts_at=START, ends_at=END, reason="r", **by(a1, T0))
    request = rf.get("/")
    request.user = a1
    for view, args in [
        (desk.window_page, [window.pk]),
        (desk.use_verb, [window.pk, "cancel"]),
        (desk.timeline, [window.pk]),
        (desk.now_fragment, [window.pk]),
        (draft_desk.add_page, []),
        (draft_desk.edit_page, [window.pk]),
        (draft_desk.check, []),
        (draft_desk.freeze_page, []),
        (draft_desk.freeze_detail, [str(freeze.pk)]),
    ]:
        with pytest.raises(PermissionDenied):
            view(request, *args)


# --- freezes and plans ---


def test_staff_enter_and_withdraw_a_freeze_for_a_customer(client, acme, g1):
    client.force_login(g1)
    g1.time_zone = "Europe/Istanbul"
    g1.save()
    address = reverse("admin:maintenance_freeze_add")
    data = {
        "organisation": acme.pk,
        "starts_at": "2026-03-20T09:00",
        "ends_at": "2026-03-20T18:00",
        "reason": "Q",
    }
    assert client.post(address, data | {"reason": ""}).status_code == 400
    assert client.post(address, data | {"ends_at": "2026-03-20T08:00"}).status_code == 400
    assert client.post(address, data).status_code == 302
    made = Freeze.objects.get()
    assert (made.starts_at.hour, made.entered_by, made.organisation) == (6, g1, acme)
    assert "Q" in text(client, g1, reverse("admin:maintenance_freeze_changelist"))
    withdrawal = reverse("admin:maintenance_freeze_withdrawal", args=[made.pk])
    assert client.get(withdrawal).status_code == 405
    assert client.post(withdrawal).status_code == 302
    assert client.post(withdrawal).status_code == 409
    assert Freeze.objects.get().withdrawn_by == g1
    page = reverse("admin:maintenance_freeze_change", args=[made.pk])
    assert "Withdraw it" not in text(client, g1, page)
    assert client.get(reverse("admin:maintenance_freeze_changelist")).context["cl"].result_count == 0


def test_a_plan_is_written_by_the_head_of_support_and_wrong_reminders_are_refused(client, g1, h1):
    data = {
        "name": "Bank",
        "none_notice_minutes": "0",
        "reduced_redundancy_notice_minutes": "1440",
        "degraded_notice_minutes": "4320",
        "outage_notice_minutes": "14400",
        "reminder_minutes": "[1440, 60]",
        "tells_start": "on",
    }
    address = reverse("admin:maintenance_maintenanceplan_add")
    client.force_login(g1)
    assert client.post(address, data).status_code == 403
    client.force_login(h1)
    for wrong in ("[60, 60]", "[0]", '["x"]', '{"a": 1}', "60"):
        answer = client.post(address, data | {"reminder_minutes": wrong})
        assert (answer.status_code, MaintenancePlan.objects.count()) == (200, 0), wrong
    assert client.post(address, data).status_code == 302
    assert MaintenancePlan.objects.get().notice_minutes("outage") == 14400
    assert client.post(address, data | {"name": "Quiet", "reminder_minutes": "{}"}).status_code == 302
    assert MaintenancePlan.objects.get(name="Quiet").reminder_minutes == []


def test_an_inactive_service_is_not_offered(client, g1):
    Service.objects.create(name="Retired", slug="retired", is_active=False)
    assert "Retired" not in text(client, g1, reverse(f"{DESK}add"))


def test_a_met_condition_is_recorded(client, g1, g2, running):
    check_all(running, g1, START)
    [condition] = running.conditions.all()
    assert (
        use(client, g1, running, "check_condition", condition, measured="9 %", is_met="yes").status_code
        == 302
    )
    condition.refresh_from_db()
    assert (condition.state, condition.measured) == ("met", "9 %")
    assert "Met: roll back" in text(client, g1, page_of(running))
