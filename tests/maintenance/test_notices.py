"""Who gets what, and who does not: scenario 4 by its mails."""

from collections import Counter
from datetime import timedelta

import icalendar
import pytest
import time_machine
from django.core import mail
from jsonschema import Draft202012Validator

from maintenance import actions, notify
from maintenance.models import Invitation, MaintenancePlan
from maintenance.sweep import sweep
from portal import outbox
from portal.models import Endpoint, Membership, OutboxMessage
from portal.standard_form import schema
from tests import factories
from tests.conftest import T0
from tests.factories import CANARY
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

MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.usefixtures("cast")


@pytest.fixture(autouse=True)
def _no_pagers(settings):
    settings.SUPPORT_COUNTRY = ""


def queued(prefix="maintenance_"):
    """(kind, recipient's e-mail) of what was queued, how often."""
    rows = OutboxMessage.objects.filter(kind__startswith=prefix).select_related("recipient")
    return Counter((row.kind.removeprefix(prefix), row.person.email.partition("@")[0]) for row in rows)


def sent(at):
    """Deliver what is queued at `at`; the mails of this delivery by recipient."""
    before = len(mail.outbox)
    with time_machine.travel(at, tick=False):
        outbox.sweep(at)
    return mail.outbox[before:]


def to(mails, person):
    return [m for m in mails if m.to == [person.email]]


def calendar_of(message):
    """(METHOD of the part's type, the event)."""
    [(text, kind)] = [
        (part[0], part[1]) for part in message.alternatives if part[1].startswith("text/calendar")
    ]
    parsed = icalendar.Calendar.from_ical(text)
    [event] = parsed.walk("VEVENT")
    assert kind == f"text/calendar; method={parsed['METHOD']}"
    return str(parsed["METHOD"]), event


def started(g1, g2, at=START):
    window = announced(g1, g2)
    sweep(at)
    window.refresh_from_db()
    return window


# --- announced: to whom it concerns, and nobody else ---


def test_the_announcement_goes_to_whom_it_concerns(g1, g2):
    announced(g1, g2)
    assert queued() == Counter({("announced", name): 1 for name in ("a1", "a2", "a3", "c1")})
    assert not queued("maintenance_") - queued("maintenance_")


def test_its_mail_says_when_in_the_readers_zone_and_invites(a1, c1, g1, g2):
    a1.time_zone = "America/New_York"
    a1.save()
    window = announced(g1, g2)
    mails = sent(T0)
    [mine] = to(mails, a1)
    assert mine.subject.startswith(f"[{window.reference}] Maintenance from Tue 10 Mar 2026, 06:00 EDT")
    assert "to Tue 10 Mar 2026, 08:00 EDT" in mine.body
    assert "Inference API: Outage" in mine.body
    assert "It is taken back if" in mine.body
    method, event = calendar_of(mine)
    assert (method, event["UID"], event["SEQUENCE"]) == ("REQUEST", window.uid, 0)
    assert event["DTSTART"].dt == START
    token = Invitation.objects.get(person=a1).token
    assert mine.reply_to == [f"maintenance+{token}@example.com"] or token in mine.reply_to[0]
    headers = mine.message()
    assert headers["Auto-Submitted"] == "auto-generated"
    assert f"/maintenance/{window.reference}/" in mine.body


def test_a_window_of_two_services_is_cut_to_what_each_uses(acme, nordwind, a1, b1, c1, g1, g2):
    """Nordwind uses the Vector Store alone, Cloudia the Inference API alone, Acme both."""
    Membership.objects.get(user=c1).organisation.subscriptions.filter(service__name="Vector Store").delete()
    announced(g1, g2, services=[(service(), "outage"), (service("Vector Store"), "degraded")])
    mails = sent(T0)
    bodies = {person: to(mails, person)[0].message().as_string() for person in (a1, b1, c1)}
    assert "Inference API" not in bodies[b1]
    assert "Vector Store" in bodies[b1]
    assert "Vector Store" not in bodies[c1]
    assert "Inference API" in bodies[a1]
    assert "Vector Store" in bodies[a1]
    for person, body in bodies.items():
        names = {"Acme", "Cloudia", "Nordwind"} - {Membership.objects.get(user=person).organisation.name}
        assert not [name for name in names if name in body]
        assert CANARY not in body or person == b1


def test_each_reads_of_its_own_consents_alone(a2, c1, g1, g2, cloudia):
    actions.enter_freeze(cloudia, starts_at=START, ends_at=END, reason="secret launch", **by(c1, T0))
    announced(g1, g2, START - DAY)
    mails = sent(START - DAY)
    [mine], [theirs] = to(mails, a2), to(mails, c1)
    assert "Your consent is asked" in mine.body
    assert "Less notice than promised" in mine.body
    assert "secret launch" not in mine.message().as_string()
    assert "secret launch" in theirs.body


def test_nobody_else_hears(a1, a2, a3, c1, acme, g1, g2):
    a1.hears_maintenance = False
    a1.save()
    a2.is_active = False
    a2.save()
    announced(g1, g2)
    assert {name for _kind, name in queued()} == {"a3", "c1"}


def test_whoever_does_not_want_to_hear_any_more_is_not_written_to(a1, a2, c1, g1, g2, cloudia):
    window = announced(g1, g2)
    cloudia.is_active = False
    cloudia.save()
    a1.hears_maintenance = False
    a1.save()
    later = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    actions.move_window(window, **later, reason="x", **by(g1, T0 + HOUR))
    assert (queued()[("moved", "a1")], queued()[("moved", "a2")]) == (0, 1)
    assert queued()[("moved", "c1")] == 0


def test_whoever_left_meanwhile_is_not_written_to(a1, a2, a3, c1, g1, g2, cloudia):
    announced(g1, g2)
    Membership.objects.filter(user=a1).delete()
    a2.hears_maintenance = False
    a2.save()
    a3.is_active = False
    a3.save()
    cloudia.is_active = False
    cloudia.save()
    assert [m for m in sent(T0) if not m.to[0].endswith("@briqmind.example")] == []
    assert set(
        OutboxMessage.objects.filter(kind="maintenance_announced").values_list("state", flat=True)
    ) == {"dropped"}


def test_whoever_moved_to_an_organisation_that_does_not_use_it_hears_nothing(a1, nordwind, g1, g2):
    announced(g1, g2)
    Membership.objects.filter(user=a1).update(organisation=nordwind)
    assert to(sent(T0), a1) == []


# --- moved twice: one mail per change, each with its own times and version ---


def test_each_move_is_one_mail_with_its_own_version(a1, g1, g2):
    window = announced(g1, g2)
    sent(T0)
    later = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    back = {"starts_at": START, "ends_at": END, "rollback_decision_at": DECISION}
    actions.move_window(window, **later, reason="a holiday", **by(g1, T0 + HOUR))
    actions.move_window(window, **back, reason="no holiday", **by(g1, T0 + 2 * HOUR))
    mails = to(sent(T0 + 3 * HOUR), a1)  # both go out late, and neither swallows the other
    facts = [calendar_of(m)[1] for m in mails]
    assert [(event["SEQUENCE"], event["DTSTART"].dt) for event in facts] == [(1, START + DAY), (2, START)]
    assert {event["UID"] for event in facts} == {window.uid}
    assert "a holiday" in mails[0].body
    assert "no holiday" in mails[1].body
    assert queued()[("moved", "a1")] == 2


# --- reminders ---


def test_each_reminder_is_given_once(a1, g1, g2):
    announced(g1, g2, T0 - DAY)
    for minutes in range(0, 7 * 24 * 60 + 1, 31):
        sweep(T0 + minutes * MINUTE)
    assert queued()[("reminder", "a1")] == 3
    for _again in range(10):
        sweep(START - MINUTE)
    assert queued()[("reminder", "a1")] == 3


def test_what_passed_before_the_announcement_is_not_recalled(a1, g1, g2):
    window = announced(g1, g2, START - 2 * HOUR)
    sweep(START - 2 * HOUR)
    assert queued()[("reminder", "a1")] == 0
    sweep(START - HOUR)
    assert queued()[("reminder", "a1")] == 1
    assert window.events.get(kind="reminded").payload["minutes"] == 60


def test_nor_when_another_organisation_is_reminded(acme, a1, c1, g1, g2):
    from incidents.defaults import plan_for

    of = plan_for(acme, T0)
    of.maintenance_plan = MaintenancePlan.objects.create(name="Early", reminder_minutes=[24 * 60])
    of.save()
    announced(g1, g2, START - 2 * HOUR)
    sweep(START - HOUR)
    assert (queued()[("reminder", "a1")], queued()[("reminder", "c1")]) == (0, 1)


def test_after_an_outage_of_ours_only_the_newest_reminder_is_given(a1, g1, g2):
    announced(g1, g2, T0 - DAY)
    sweep(START - 30 * MINUTE)
    sweep(START - 29 * MINUTE)
    assert queued()[("reminder", "a1")] == 1


def test_each_organisation_is_reminded_by_its_own_plan(acme, a1, c1, g1, g2):
    from incidents.defaults import plan_for

    plan = MaintenancePlan.objects.create(name="Often", reminder_minutes=[30], tells_start=False)
    of = plan_for(acme, T0)
    of.maintenance_plan = plan
    of.save()
    announced(g1, g2)
    sweep(START - DAY)
    assert (queued()[("reminder", "a1")], queued()[("reminder", "c1")]) == (0, 1)
    sweep(START - HOUR)
    assert (queued()[("reminder", "a1")], queued()[("reminder", "c1")]) == (0, 2)
    sweep(START - 30 * MINUTE)
    assert (queued()[("reminder", "a1")], queued()[("reminder", "c1")]) == (1, 2)
    sweep(START)
    assert (queued()[("started", "a1")], queued()[("started", "c1")]) == (0, 1)


def test_a_moved_window_is_recalled_for_its_new_start(a1, g1, g2):
    window = announced(g1, g2, T0)
    sweep(START - DAY)
    later = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    actions.move_window(window, **later, reason="x", **by(g1, START - 2 * HOUR))
    sweep(START - HOUR)  # no reminder of the old start
    assert queued()[("reminder", "a1")] == 1
    sweep(START)
    assert queued()[("reminder", "a1")] == 2
    assert window.events.filter(kind="started").count() == 0


def test_a_reminder_that_is_late_is_not_sent(a1, g1, g2):
    announced(g1, g2)
    sent(T0)
    sweep(START - HOUR)
    sweep(START)
    assert [m.subject.split("] ")[1].split(":")[0] for m in to(sent(START), a1)] == ["Started"]


@pytest.mark.parametrize("change", ["moved", "cancelled"])
def test_nor_is_one_of_a_window_that_was_changed_before_it_went_out(a1, g1, g2, change):
    window = announced(g1, g2)
    sent(T0)
    sweep(START - DAY)
    if change == "moved":
        later = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
        actions.move_window(window, **later, reason="x", **by(g1, START - DAY))
    else:
        actions.cancel(window, reason="x", **by(g1, START - DAY))
    assert ["Reminder" in m.subject for m in to(sent(START - DAY), a1)] == [False]


# --- start, decision, end ---


def test_the_start_is_told_once(g1, g2):
    announced(g1, g2)
    for _again in range(3):
        sweep(START)
    assert queued()[("started", "a1")] == 1
    assert queued("staff_maintenance_") == Counter({("proposed", "m1"): 1, ("approved", "g1"): 1})


def test_the_owner_is_asked_and_then_the_duty_manager(g1, g2):
    started(g1, g2)
    sweep(DECISION)
    assert queued("staff_maintenance_")[("decision", "g1")] == 1
    assert queued("staff_maintenance_")[("decision_lapsed", "m1")] == 0
    for late in (10, 11, 30):
        sweep(DECISION + late * MINUTE)
    found = queued("staff_maintenance_")
    assert (found[("decision", "g1")], found[("decision_lapsed", "m1")]) == (1, 1)
    assert not [kind for kind, _name in queued() if kind == "decision"]


def test_a_page_goes_by_the_second_channel_too(g1, g2):
    Endpoint.objects.create(name="Pager", url="https://pager.example/x", person=g1)
    started(g1, g2)
    sweep(DECISION)
    pages = OutboxMessage.objects.filter(kind="staff_maintenance_decision")
    assert sorted(pages.values_list("channel", flat=True)) == ["email", "webhook"]
    assert set(pages.values_list("priority", flat=True)) == {OutboxMessage.Priority.URGENT}


def test_an_answered_question_is_not_sent_any_more(g1, g2):
    window = started(g1, g2)
    sent(START)
    sweep(DECISION)
    actions.decide(window, decision="go_on", reason="x", **by(g1, DECISION + MINUTE))
    assert to(sent(DECISION + 2 * MINUTE), g1) == []


def test_an_overrun_is_told_once_to_customers_owner_and_duty_manager(a1, b1, g1, g2):
    window = started(g1, g2)
    sent(START)
    for late in (0, 1, 5, 600):
        sweep(END + late * MINUTE)
    assert [queued()[("overrun", name)] for name in ("a1", "a2", "a3", "c1", "b1")] == [1, 1, 1, 1, 0]
    found = queued("staff_maintenance_")
    assert (found[("overrun", "g1")], found[("overrun", "m1")], found[("overrun", "g2")]) == (1, 1, 0)
    [mine] = [m for m in to(sent(END), a1) if "Overrun" in m.subject]
    assert "was to end by Tue 10 Mar 2026, 12:00 UTC" in mine.body or "was to end by" in mine.body
    assert not [part for part in mine.alternatives if part[1].startswith("text/calendar")]
    assert window.reference in mine.subject


def test_six_hours_without_workers_are_one_current_notice_with_true_times(a1, g1, g2):
    window = announced(g1, g2)
    sent(T0)
    sweep(END + 4 * HOUR)  # the sweep of its start would have been six hours ago
    window.refresh_from_db()
    assert (window.started_at, window.overrun_at, window.status) == (START, END, "overrun")
    assert {kind for kind, _name in queued()} == {"announced", "overrun"}
    assert queued()[("overrun", "a1")] == 1
    assert {kind for kind, name in queued("staff_maintenance_") if name == "m1"} == {"proposed", "overrun"}
    before = OutboxMessage.objects.count()
    for _again in range(10):
        sweep(END + 4 * HOUR + MINUTE)
    assert OutboxMessage.objects.count() == before
    window.refresh_from_db()
    assert window.events.filter(kind="overran").count() == 1


def test_what_waited_while_the_mail_server_was_away_says_how_it_stands(a1, g1, g2):
    started(g1, g2)
    sent(T0)
    sweep(START)
    sweep(END)
    told = [m.subject.split("] ")[1].split(":")[0] for m in to(sent(END + HOUR), a1)]
    assert "Started" not in told
    assert told.count("Overrun") == 1


def test_the_extension_is_told_with_the_new_end_and_version(a1, g1, g2):
    window = started(g1, g2)
    sent(START)
    actions.ask_extension(window, until=END + 90 * MINUTE, reason="slow disks", **by(g1, END - HOUR))
    assert queued()[("extended", "a1")] == 0
    assert queued("staff_maintenance_")[("extension", "m1")] == 1
    assert queued("staff_maintenance_")[("extension", "g1")] == 0
    actions.approve_extension(window, **by(g2, END - MINUTE))
    [mine] = to(sent(END - MINUTE), a1)
    method, event = calendar_of(mine)
    assert (method, event["SEQUENCE"], event["DTEND"].dt) == ("REQUEST", 1, END + 90 * MINUTE)
    assert "slow disks" in mine.body


def test_the_rollback_is_three_notices_and_the_calendar_shows_the_true_end(a1, g1, g2):
    window = started(g1, g2)
    sent(START)
    actions.order_rollback(window, reason="errors", **by(g1, DECISION))
    actions.begin_verification(window, **by(g1, END - 10 * MINUTE))
    actions.complete(window, outcome="All as before.", **by(g1, END - 3 * MINUTE))
    mails = to(sent(END), a1)
    assert [m.subject.split("] ")[1].split(":")[0] for m in mails] == [
        "Rolling back",
        "Verifying",
        "Rolled back",
    ]
    states = [m.body.split("State: ")[1].splitlines()[0] for m in mails]  # as it was, though they go out late
    assert states == ["Rolling back", "Verifying", "Rolled back"]
    assert ["The work ended: " in m.body for m in mails] == [False, False, True]
    assert ["All as before." in m.body for m in mails] == [False, False, True]
    method, event = calendar_of(mails[-1])
    assert (method, event["STATUS"], event["DTEND"].dt) == ("REQUEST", "CONFIRMED", END - 3 * MINUTE)
    assert event["SEQUENCE"] == 1
    assert "All as before." in mails[-1].body


def test_a_plan_without_word_of_the_end_hears_only_of_a_bad_one(acme, a1, c1, g1, g2):
    from incidents.defaults import plan_for

    of = plan_for(acme, T0)
    of.maintenance_plan = MaintenancePlan.objects.create(name="Quiet", tells_end=False)
    of.save()
    window = started(g1, g2)
    check_all(window, g1, START)
    actions.begin_verification(window, **by(g1, START + HOUR))
    actions.complete(window, outcome="Fine.", **by(g1, START + HOUR))
    assert (queued()[("ended", "a1")], queued()[("ended", "c1")]) == (0, 1)
    other = started(g1, g2)
    actions.order_rollback(other, reason="errors", **by(g1, START + HOUR))
    actions.begin_verification(other, **by(g1, START + HOUR))
    actions.complete(other, outcome="As before.", **by(g1, START + HOUR))
    assert queued()[("ended", "a1")] == 1


def test_whoever_ends_it_late_tells_the_end_and_not_the_overrun_first(a1, g1, g2):
    window = started(g1, g2)
    check_all(window, g1, START)
    actions.begin_verification(window, **by(g1, START))
    actions.complete(window, outcome="Fine.", **by(g1, END + HOUR))
    assert window.overrun_at == END
    assert (queued()[("overrun", "a1")], queued()[("ended", "a1")]) == (0, 1)
    assert queued("staff_maintenance_")[("overrun", "m1")] == 0


def test_progress_is_from_a_person(a1, g1, g2):
    window = started(g1, g2)
    sent(START)
    actions.post(window, text="Half of the nodes are done.", next_update_at=START + HOUR, **by(g1, START))
    actions.post(window, text="internal doubts", is_public=False, **by(g1, START))
    [mine] = to(sent(START), a1)
    assert mine.from_email.startswith("Gül One") or "One" in mine.from_email
    assert "Half of the nodes are done." in mine.body
    assert "Next update: by" in mine.body
    assert "internal doubts" not in mine.message().as_string()
    assert mine.message()["Auto-Submitted"] is None


# --- cancelled ---


def test_the_cancellation_goes_to_everyone_ever_invited(a1, a2, a3, c1, g1, g2):
    window = announced(g1, g2)
    sent(T0)
    a1.hears_maintenance = False  # it is in their calendar nevertheless
    a1.save()
    Membership.objects.filter(user=a3).delete()
    actions.cancel(window, reason="not needed", **by(g1, T0 + HOUR))
    mails = [m for m in sent(T0 + HOUR) if "Cancelled" in m.subject]
    assert sorted(m.to[0] for m in mails) == sorted([a1.email, a2.email, c1.email])
    method, event = calendar_of(to(mails, a1)[0])
    assert (method, event["SEQUENCE"], event["STATUS"], event["UID"]) == (
        "CANCEL",
        1,
        "CANCELLED",
        window.uid,
    )
    assert "not needed" in mails[0].body


def test_nobody_hears_of_the_end_of_a_draft(g1, g2):
    actions.cancel(approved(g1, g2), reason="x", **by(g1, T0))
    assert queued() == Counter()


def test_a_window_that_never_started_is_called_off_and_told_once(a1, g1, g2):
    announced(g1, g2, START - DAY)
    sweep(START)
    assert queued("staff_maintenance_")[("start_held", "g1")] == 1
    assert queued("staff_maintenance_")[("start_held", "m1")] == 1
    for late in range(3):
        sweep(END + late * MINUTE)
    assert queued()[("cancelled", "a1")] == 1
    assert queued("staff_maintenance_")[("called_off", "m1")] == 1


# --- consents ---


def test_an_override_is_told_to_that_organisation(a1, a2, c1, g1, g2, m1):
    window = announced(g1, g2, START - DAY)
    consent = window.consents.get(organisation__name="Cloudia")
    actions.override_consent(consent, reason="a hole must be closed", **by(m1, START - HOUR))
    assert {name for kind, name in queued() if kind == "consent_overridden"} == {"c1"}
    [theirs] = [m for m in to(sent(START - HOUR), c1) if "without your consent" in m.subject]
    assert "a hole must be closed" in theirs.body


def test_the_owner_hears_what_was_answered(a2, c1, g1, g2, m1):
    window = announced(g1, g2, START - DAY)
    mine, theirs = (window.consents.get(organisation__name=name) for name in ("Acme", "Cloudia"))
    actions.give_consent(mine, **by(a2, START - HOUR))
    actions.refuse_consent(theirs, words="quarter end", **by(c1, START - HOUR))
    found = queued("staff_maintenance_")
    assert (found[("consent_given", "g1")], found[("consent_refused", "g1")]) == (1, 1)
    assert found[("consent_refused", "m1")] == 1


# --- form and rendering ---


def _days_later(days):
    later = timedelta(days=days)
    return {
        "starts_at": START + later, "ends_at": END + later, "rollback_decision_at": DECISION + later
    }  # fmt: skip


def test_every_kind_renders_in_both_languages_with_a_valid_form(g1, g2, m1, a2, c1, acme, cloudia):
    """One life in which everything happens; then every queued message is rendered."""
    late = START - DAY
    window = announced(g1, g2, late)
    mine, theirs = (window.consents.get(organisation__name=name) for name in ("Acme", "Cloudia"))
    actions.give_consent(mine, **by(a2, late))
    actions.refuse_consent(theirs, words="no", **by(c1, late))
    sweep(START)
    actions.override_consent(theirs, reason="must be", **by(m1, START + MINUTE))
    other = announced(g1, g2, T0, **_days_later(3))
    actions.move_window(other, **_days_later(5), reason="x", **by(g1, T0 + HOUR))
    freeze = {"starts_at": START + 5 * DAY, "ends_at": END + 5 * DAY, "reason": "f"}
    actions.enter_freeze(acme, **freeze, **by(a2, T0 + HOUR))
    factories.person("late@acme.example", "Late Four", acme, "member")
    actions.cancel(announced(g1, g2, T0, **_days_later(8)), reason="x", **by(g1, T0 + HOUR))
    actions.return_to_draft(actions.propose(draft(g1), **by(g1, T0)), reason="x", **by(g2, T0))
    sweep(START + 2 * MINUTE)
    window.refresh_from_db()
    sweep(DECISION)
    sweep(DECISION + 10 * MINUTE)
    actions.post(window, text="News", **by(g1, DECISION))
    actions.check_condition(window.conditions.all()[0], measured="3 %", is_met=True, **by(g2, DECISION))
    actions.ask_extension(window, until=END + HOUR, reason="x", **by(g1, DECISION))
    actions.refuse_extension(window, reason="x", **by(g2, DECISION))
    actions.ask_extension(window, until=END + HOUR, reason="x", **by(g1, DECISION))
    actions.approve_extension(window, **by(g2, DECISION))
    sweep(END + HOUR)
    actions.ask_extension(window, until=END + 2 * HOUR, reason="x", **by(g1, END + HOUR))
    actions.approve_extension(window, **by(g2, END + HOUR))
    sweep(END + 3 * HOUR)
    actions.order_rollback(window, reason="x", **by(g1, END + 3 * HOUR))
    actions.begin_verification(window, **by(g1, END + 3 * HOUR))
    actions.complete(window, outcome="x", **by(g1, END + 3 * HOUR))
    announced(g1, g2, START + 19 * DAY, **_days_later(20))
    sweep(START + 20 * DAY)
    sweep(END + 20 * DAY)
    known = {name for notices in notify.NOTICES.values() for name in (n.mail for n in notices)}
    found = set(OutboxMessage.objects.values_list("kind", flat=True))
    assert (known | {notify.CALLED_OFF.mail}) - found == set()
    validator = Draft202012Validator(schema())
    for language in ("en", "tr"):
        for message in OutboxMessage.objects.select_related("recipient"):
            message.recipient.language = language
            message.recipient.save()
            message.refresh_from_db()
            rendered = notify.render(message)
            validator.validate(rendered.form)
            assert rendered.form["kind"] == "maintenance_notice"
            assert rendered.subject.startswith("[MW-")
            for text in (rendered.subject, rendered.text, rendered.html):
                assert "None" not in text
                assert "{{" not in text


def test_replaying_the_sweep_changes_nothing_and_mails_nothing(g1, g2):
    window = announced(g1, g2, T0 - DAY)
    for at in (START - DAY, START, DECISION, DECISION + 10 * MINUTE, END):
        sweep(at)
        before = (window.events.count(), OutboxMessage.objects.count())
        window.refresh_from_db()
        row = {k: v for k, v in vars(window).items() if not k.startswith("_")}
        for _again in range(10):
            assert sweep(at) == 0
        window.refresh_from_db()
        assert (window.events.count(), OutboxMessage.objects.count()) == before
        assert {k: v for k, v in vars(window).items() if not k.startswith("_")} == row


# --- a page that does not arrive ---


@pytest.fixture
def overrun_page(g1, g2):
    """The page about an overrun, by mail to its owner, which did not arrive."""
    started(g1, g2)
    sweep(END)
    page = OutboxMessage.objects.filter(kind="staff_maintenance_overrun", recipient=g1)
    page.update(state="set_aside", unreached_at=END)
    return page.get()


def paged():
    rows = OutboxMessage.objects.filter(kind="staff_maintenance_overrun").order_by("pk")
    return [(str(row.recipient), row.channel) for row in rows]


def test_a_page_that_does_not_arrive_goes_to_the_next_in_line_once(overrun_page, g1, g2, m1):
    assert paged() == [("Gül One", "email"), ("Mia Duty", "email")]
    for minutes in (1, 2):
        sweep(END + minutes * MINUTE)
    assert paged()[2:] == [("Gus Two", "email")]
    row = OutboxMessage.objects.get(kind="staff_maintenance_overrun", recipient=g2)
    assert (row.facts, row.priority) == (overrun_page.facts, overrun_page.priority)
    assert not outbox.unhandled_unreached().exists()
    OutboxMessage.objects.filter(pk=row.pk).update(state="set_aside", unreached_at=END)
    sweep(END + 3 * MINUTE)
    assert len(paged()) == 3  # nobody is left
    assert not outbox.unhandled_unreached().exists()


def test_who_got_it_by_another_channel_was_reached(overrun_page, g1):
    twin = {"kind": overrun_page.kind, "recipient": g1, "facts": overrun_page.facts, "dedupe_key": "twin"}
    OutboxMessage.objects.create(**twin, channel="webhook", state="sent", sent_at=END)
    sweep(END + MINUTE)
    assert {who for who, _channel in paged()} == {"Gül One", "Mia Duty"}


def test_a_customers_mail_that_bounces_pages_nobody(a1, g1, g2):
    announced(g1, g2)
    OutboxMessage.objects.filter(recipient=a1).update(state="sent", unreached_at=T0)
    count = OutboxMessage.objects.count()
    sweep(T0 + MINUTE)
    assert (OutboxMessage.objects.count(), outbox.unhandled_unreached().count()) == (count, 0)


def test_the_sweep_of_incidents_leaves_such_a_page_to_maintenance(overrun_page):
    from incidents.sweep import sweep as sweep_incidents

    sweep_incidents(END + MINUTE)
    assert [row.pk for row in outbox.unhandled_unreached()] == [overrun_page.pk]
