"""The monthly report: every figure again, from events, stored clocks and impacts, to the second."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from statistics import median_low
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents import actions, report
from incidents.clockwork import recompute
from incidents.models import (
    RCA,
    Clock,
    Incident,
    IncidentEvent,
    MonthlyReport,
    PreventionAction,
    RCACopy,
    RCAVersion,
    Release,
)
from incidents.sweep import sweep
from maintenance.models import MaintenanceWindow, WindowOrganisation, WindowService
from portal import outbox
from portal.calendars import new_version
from portal.models import Organisation, Service, ServiceImpact
from tests.factories import article, incident, organisation, person

ISTANBUL = ZoneInfo("Europe/Istanbul")
MARCH = date(2026, 3, 1)
START = datetime(2026, 3, 1, tzinfo=ISTANBUL)
END = datetime(2026, 4, 1, tzinfo=ISTANBUL)
LATER = datetime(2026, 4, 2, 6, 0, tzinfo=UTC)


def on(day, hour, minute=0, second=0, month=3):
    return datetime(2026, month, day, hour, minute, second, tzinfo=ISTANBUL)


def do(verb, made, user, at, **data):
    with time_machine.travel(at, tick=False):
        return verb(made, by=user, now=at, channel="portal", **data)


def filed(user, at, **data):
    with time_machine.travel(at, tick=False):
        return incident(user, at, **data)


def delivered(at):
    """The outbox and the sweep at the instant: an update counts once a channel accepted it."""
    with time_machine.travel(at, tick=False):
        outbox.sweep(at)
        sweep(at)


@pytest.fixture
def acme(acme):
    Organisation.objects.filter(pk=acme.pk).update(time_zone="Europe/Istanbul", created_at=on(1, 9, month=1))
    acme.refresh_from_db()
    return acme


@pytest.fixture(autouse=True)
def _no_holidays(settings):
    settings.SUPPORT_COUNTRY = ""


@pytest.fixture
def holiday(acme, a1, h1):
    """The calendar with a closed day by name, before anything is filed."""
    from incidents.defaults import plan_for

    calendar = plan_for(acme, on(1, 8, month=2)).calendar
    new_version(calendar, now=on(1, 9, month=2), by=h1, own_days=[(date(2026, 3, 5), "Founders' day", [])])


@pytest.fixture
def march(holiday, acme, a1, a2, g1, h1):
    """A month with everything in it."""
    old = filed(a1, on(27, 10, month=2), level="P3", title="From before")
    do(actions.reply, old, g1, on(27, 11, month=2), text="We look.")
    kept = filed(a1, on(3, 13), level="P1", impact="outage", title="Kept")
    do(actions.reply, kept, g1, on(3, 13, 6, 30), text="On it.")
    do(actions.start_intervention, kept, g1, on(3, 13, 12))
    do(actions.publish_status_update, kept, g1, on(3, 13, 20), condition="in_progress", summary="x")
    delivered(on(3, 13, 20, 5))
    do(actions.restore, kept, g1, on(3, 13, 44))
    do(actions.publish_status_update, kept, g1, on(3, 13, 45), condition="restored", summary="y")
    delivered(on(3, 13, 45, 5))
    do(actions.resolve, kept, g1, on(3, 14), cause="c", remedy="r")
    late = filed(a1, on(10, 9), level="P1", title="Late")
    do(actions.reply, late, g1, on(10, 9, 20, 15), text="Sorry.")
    do(actions.validate_level, late, g1, on(10, 9, 25), level="P2", reason="Partly.")
    do(actions.ask_customer, late, g1, on(10, 16), text="Which region?")
    do(actions.reply, late, a1, on(11, 10), text="eu-1")
    do(actions.file_action_plan, late, g1, on(13, 9, 30), summary="", next_review_at=on(13, 15),
       steps=[{"text": "a", "owner": "b", "due_on": date(2026, 3, 13)}])  # fmt: skip
    do(actions.resolve, late, g1, on(13, 11), cause="c", remedy="r")
    gone = filed(a2, on(20, 10), level="P2", title="Gone")
    do(actions.withdraw, gone, a2, on(20, 10, 5), reason="mine")
    do(actions.reopen, kept, a1, on(25, 8), reason="again")
    open_still = filed(a1, on(31, 23, 50), level="P2", title="Open still")
    elsewhere = filed(a1, on(1, 0, 30, month=4), level="P1", title="April's")
    do(actions.resolve, kept, g1, on(25, 8, 40), cause="c", remedy="r")
    for made in Incident.objects.all():
        with time_machine.travel(LATER, tick=False):
            recompute(made, LATER)
            made.save()
    return {"old": old, "kept": kept, "late": late, "gone": gone, "open": open_still, "april": elsewhere}


def made(acme, now=LATER, month=MARCH):
    return report.report_of(acme, month, now)


# --- recomputed from what is stored ---


def rows_of_march():
    """Stored clocks whose verdict fell in March: breached at the due time, else met."""
    for row in Clock.objects.order_by("started_at", "pk"):
        at = row.breached_at or (row.met_at if row.state == "met" else None)
        if at and START <= at < END:
            yield row


def test_met_and_missed_are_those_of_the_stored_clocks(march, acme):
    counted = Counter((row.kind, row.breached_at is not None) for row in rows_of_march())
    told = {
        (row["kind"], is_missed): row["missed" if is_missed else "met"]
        for row in made(acme)["targets"]["kinds"]
        for is_missed in (True, False)
    }
    assert {key: count for key, count in told.items() if count} == dict(counted)
    assert counted["first_response", True] == 2  # Late's, and Kept's second one
    assert counted["rca", True] == 1


def test_each_target_has_the_times_and_the_receipts_of_its_stored_clock(march, acme):
    found = made(acme)["targets"]["rows"]
    expected = [row for row in rows_of_march() if row.kind != "status_update"]
    assert len(found) == len(expected) > 5
    by_key = {(row["reference"], row["kind"], row["level"], row["started_at"]): row for row in found}
    for row in expected:
        told = by_key[row.incident.reference, row.kind, row.level, report.instant(row.started_at)]
        verdict = row.breached_at or row.met_at
        assert told["due_at"] == report.instant(row.due_at)
        assert told["is_missed"] == (row.breached_at is not None)
        assert told["met_at"] == report.instant(row.met_at if row.met_at and row.met_at < END else None)
        over = min(row.ended_at or END, END)
        assert told["late_seconds"] == (int((over - verdict).total_seconds()) if row.breached_at else 0)
        sums = told["counted_seconds"] + sum(part["seconds"] for part in told["uncounted"])
        assert sums == int((verdict - row.started_at).total_seconds())
        assert told["counted_seconds"] == cut_receipts(row, verdict)[""], told


def cut_receipts(row, verdict):
    """Seconds by reason ("" counted) of the receipts that were stored, up to the verdict."""
    sums = Counter()
    for receipt in row.receipts or present_receipts(row):
        start, end = (datetime.fromisoformat(receipt[name]) for name in ("from", "until"))
        seconds = int((min(end, verdict) - start).total_seconds())
        if seconds > 0:
            sums["" if receipt["counted"] else receipt["reason"]] += seconds
    return sums


def present_receipts(row):
    from incidents import present
    from incidents.clockwork import iso

    for clock in present.clocks_json(row.incident, LATER):
        key = (clock["kind"], clock["cycle"], clock["level"], clock["ordinal"])
        if key == (row.kind, row.cycle, row.level, row.ordinal):
            assert iso(clock["started_at"]) == iso(row.started_at)
            return clock["receipts"]
    raise AssertionError(row)


def test_closed_hours_a_holiday_by_name_and_the_customers_silence_stand_in_the_receipts(march, acme):
    [row] = [
        row
        for row in made(acme)["targets"]["rows"]
        if row["reference"] == march["late"].reference
        and row["kind"] == "target_action"
        and row["level"] == "P2"
    ]
    seconds = {part["reason"]: part["seconds"] for part in row["uncounted"]}
    assert set(seconds) >= {"waiting for customer"}
    stored = march["late"].clocks.get(kind="target_action", level="P2")
    assert seconds == {
        k: v for k, v in cut_receipts(stored, stored.breached_at or stored.met_at).items() if k
    }
    rca = next(row for row in made(acme)["targets"]["rows"] if row["kind"] == "rca")
    reasons = {part["reason"]: part["seconds"] for part in rca["uncounted"]}
    assert reasons["Founders' day"] == 24 * 3600  # a Thursday, closed all day
    assert rca["due_at"] == report.instant(on(11, 18))
    assert rca["counted_seconds"] == 5 * 9 * 3600 + 4 * 3600
    assert sum(reasons.values()) + rca["counted_seconds"] == int((on(11, 18) - on(3, 14)).total_seconds())


def test_incidents_are_counted_from_their_events(march, acme):
    told = made(acme)["incidents"]
    events = list(IncidentEvent.objects.order_by("pk"))
    in_march = Counter(event.kind for event in events if START <= event.at < END)
    assert told["opened"] == in_march["opened"] == 4
    assert told["reopened"] == in_march["reopened"] == 1
    assert told["resolved"] == in_march["resolved"] == 3
    assert told["withdrawn"] == in_march["withdrawn"] == 1
    assert told["open_at_start"] == 1
    assert told["open_at_end"] == told["open_at_start"] + 4 + 1 - 3 - 1
    assert told["levels"] == [
        {"level": "P1", "claimed": 2, "validated": 1},
        {"level": "P2", "claimed": 2, "validated": 3},
        {"level": "P3", "claimed": 0, "validated": 0},
    ]
    rows = {row["reference"]: row for row in told["rows"]}
    assert march["april"].reference not in rows
    assert rows[march["open"].reference]["is_open"]
    assert rows[march["late"].reference]["level"] == "P2"
    assert rows[march["kept"].reference]["ended_at"] == report.instant(on(25, 8, 40))


def test_durations_are_the_differences_of_events(march, acme):
    told = {row["what"]: row for row in made(acme)["durations"]}
    responses = [6 * 60 + 30, 20 * 60 + 15, 40 * 60]
    assert told["first_response"] == {
        "what": "first_response",
        "count": 3,
        "median_seconds": median_low(responses),
        "longest_seconds": max(responses),
    }
    assert (told["intervention"]["count"], told["intervention"]["longest_seconds"]) == (1, 12 * 60)
    resolved = [3600, int((on(13, 11) - on(10, 9)).total_seconds()), 40 * 60]
    assert told["resolved"]["count"] == 3
    assert told["resolved"]["median_seconds"] == sorted(resolved)[1]
    assert told["resolved"]["longest_seconds"] == max(resolved)
    assert told["restored"]["median_seconds"] == sorted([44 * 60, *resolved[1:]])[1]


def test_the_cadence_is_that_of_the_intervals(march, acme):
    rows = [row for row in rows_of_march() if row.kind == "status_update"]
    missed = sum(row.breached_at is not None for row in rows)
    told = made(acme)
    assert told["cadence"] == {"kept": len(rows) - missed, "missed": missed}
    kept = next(row for row in told["incidents"]["rows"] if row["reference"] == march["kept"].reference)
    own = [row for row in rows if row.incident == march["kept"]]
    assert kept["intervals_kept"] == sum(row.breached_at is None for row in own) == 2
    assert kept["intervals_missed"] == sum(row.breached_at is not None for row in own) == 1


def test_as_claimed_judges_as_if_no_level_had_been_changed(march, acme):
    """Late was a P1 until 09:25: its intervention never came, and was due at 13:00."""
    kinds = {row["kind"]: row for row in made(acme)["targets"]["kinds"]}
    target = kinds["target_action"]
    of_late = [
        row for row in rows_of_march() if row.kind == "target_action" and row.incident == march["late"]
    ]
    assert [row.level for row in of_late] == ["P2"]
    assert target["claimed_missed"] + target["claimed_met"] >= 1
    assert kinds["status_update"]["claimed_missed"] > kinds["status_update"]["missed"]
    assert kinds["rca"]["claimed_missed"] == kinds["rca"]["missed"] + 1  # a P1 owes one, a P2 only on request


# --- months ---


def test_a_verdict_belongs_to_one_month_only(march, acme):
    totals = Counter()
    for month in (date(2026, 2, 1), MARCH, date(2026, 4, 1)):
        for row in made(acme, month=month)["targets"]["kinds"]:
            totals[row["kind"]] += row["met"] + row["missed"]
    judged = [row for row in Clock.objects.all() if row.breached_at or row.state == "met"]
    assert totals == Counter(row.kind for row in judged)


def test_a_month_that_still_runs_says_so_and_reaches_until_now(march, acme):
    now = on(10, 12)
    told = made(acme, now=now)
    assert (told["is_running"], told["until_at"]) == (True, report.instant(now))
    assert not made(acme)["is_running"]
    assert told["services"][0]["agreed_seconds"] == int((now - START).total_seconds())


def test_the_month_is_that_of_the_organisations_zone(march, acme):
    Organisation.objects.filter(pk=acme.pk).update(time_zone="Pacific/Auckland")
    acme.refresh_from_db()
    told = made(acme)
    assert told["from_at"] == "2026-02-28T11:00:00Z"
    assert told["until_at"] == "2026-03-31T11:00:00Z"
    assert march["open"].reference not in str(told["incidents"]["rows"])


# --- availability, RCAs, maintenance ---


def impact(acme, kind, start, end, *, is_planned=False, service="inference-api"):
    ServiceImpact.objects.create(
        service=Service.objects.get(slug=service), organisation=acme, impact=kind, from_at=start, until_at=end,
        source="INC-1", is_planned=is_planned,
    )  # fmt: skip


def test_availability_is_counted_from_the_impacts_planned_time_apart(acme, nordwind, a1):
    impact(acme, "outage", on(28, 23, month=2), on(1, 1))  # one hour of it in March
    impact(acme, "outage", on(5, 10), on(5, 10, 30, 15))
    impact(acme, "degraded", on(5, 10, 20), on(5, 11))
    impact(acme, "outage", on(8, 2), on(8, 4), is_planned=True)
    impact(acme, "outage", on(31, 23), None)
    impact(nordwind, "outage", on(9, 2), on(9, 4))
    told = {row["name"]: row for row in made(acme)["services"]}
    row = told["Inference API"]
    down = 3600 + 30 * 60 + 15 + 3600
    agreed = int((END - START).total_seconds()) - 2 * 3600
    assert (row["downtime_seconds"], row["planned_seconds"]) == (down, 7200)
    assert row["degraded_seconds"] == 29 * 60 + 45
    assert (row["agreed_seconds"], row["uptime_seconds"]) == (agreed, agreed - down)
    assert row["availability_percent"] == f"{(agreed - down) * 10**6 // agreed / 10**4:.4f}"
    assert told["Vector Store"]["availability_percent"] == "100.0000"


def test_a_second_of_downtime_is_never_rounded_up_to_a_hundred(acme, a1):
    impact(acme, "outage", on(5, 10), on(5, 10, 0, 1))
    row = made(acme)["services"][0]
    assert row["downtime_seconds"] == 1
    assert float(row["availability_percent"]) < 100


def test_prevention_actions_of_published_rcas_alone(march, acme, nordwind, g1, g2):
    def published(of, at, what):
        incident = march[what] if of == acme else filed_for(nordwind)
        rca, _ = RCA.objects.update_or_create(incident=incident, defaults={"author": g1})
        version = RCAVersion.objects.create(rca=rca, number=1, author=g1, reviewer=g2, published_at=at,
                                            published_by=g2, content={})  # fmt: skip
        RCACopy.objects.create(version=version, organisation=of, incident=rca.incident, content={})
        return rca

    def filed_for(of):
        return filed(person("z@z.example", "Z", of, "member"), on(4, 4))

    rca = published(acme, on(9, 12), "kept")
    other = published(nordwind, on(9, 12), "")
    later = published(acme, on(2, 12, month=4), "late")
    common = {"kind": "prevent", "owner": g1, "text": "secret"}
    rows = [
        {"due_on": date(2026, 3, 20)},  # overdue
        {"due_on": date(2026, 5, 1), "first_due_on": date(2026, 3, 10)},  # moved
        {"due_on": date(2026, 3, 20), "state": "done", "closed_at": on(19, 9)},
        {
            "due_on": date(2026, 3, 20),
            "state": "done",
            "closed_at": on(1, 9, month=4),
        },  # open in March, overdue
        {"due_on": date(2026, 3, 20), "state": "dropped", "closed_at": on(19, 9)},
    ]
    for number, row in enumerate(rows, 1):
        PreventionAction.objects.create(rca=rca, number=number, **common, **row)
    for foreign in (other, later):
        PreventionAction.objects.create(rca=foreign, number=1, due_on=date(2026, 3, 2), **common)
    assert made(acme)["actions"] == {"open": 3, "done": 1, "overdue": 2, "moved": 1}
    assert "secret" not in str(made(acme))


def window(acme, g1, start, **more):
    fields = {
        "title": "Upgrade", "description": "x", "status": "completed", "starts_at": start, "ends_at": start + timedelta(hours=2),
        "first_starts_at": start, "rollback_decision_at": start + timedelta(hours=1), "owner": g1, "author": g1,
        "announced_at": start - timedelta(days=6), "ended_at": start + timedelta(hours=2),
    }  # fmt: skip
    row = MaintenanceWindow.objects.create(**{**fields, **more})
    WindowOrganisation.objects.create(window=row, organisation=acme, since=row.announced_at or start)
    return row


def test_maintenance_says_notice_overrun_and_rollback(acme, nordwind, a1, g1):
    good = window(acme, g1, on(8, 2))
    WindowService.objects.create(
        window=good, service=Service.objects.get(slug="inference-api"), impact="outage"
    )
    short = window(acme, g1, on(9, 2), announced_at=on(8, 2), status="rolled_back",
                   overrun_at=on(9, 4), ended_at=on(9, 4, 20, 5))  # fmt: skip
    WindowService.objects.create(
        window=short, service=Service.objects.get(slug="inference-api"), impact="degraded"
    )
    foreign = Service.objects.create(name="Foreign", slug="foreign")
    WindowService.objects.create(window=short, service=foreign, impact="outage")
    window(nordwind, g1, on(10, 2))
    window(acme, g1, on(10, 2), announced_at=None)
    rows = made(acme)["maintenance"]
    assert [row["reference"] for row in rows] == [good.reference, short.reference]
    assert (rows[0]["notice_seconds"], rows[0]["promised_notice_seconds"]) == (6 * 86400, 5 * 86400)
    assert (rows[0]["is_notice_kept"], rows[0]["overrun_seconds"], rows[0]["is_rolled_back"]) == (
        True,
        0,
        False,
    )
    assert (rows[1]["impact"], rows[1]["notice_seconds"], rows[1]["is_notice_kept"]) == (
        "degraded",
        86400,
        False,
    )
    assert (rows[1]["overrun_seconds"], rows[1]["is_rolled_back"]) == (20 * 60 + 5, True)


def test_rcas_are_counted_from_their_clocks(march, acme):
    told = made(acme)["rcas"]
    clocks = [row for row in Clock.objects.filter(kind="rca") if row.state not in ("cancelled", "replaced")]
    due = [row for row in clocks if row.due_at and START <= row.due_at < END]
    assert told["due"] == len(due)
    assert told["owed"] == sum(row.met_at is None and row.started_at < END for row in clocks)
    assert (told["published"], told["in_time"]) == (0, 0)
    assert all(row["is_late"] for row in told["rows"])


def test_the_rca_of_a_window_counts_for_those_it_concerned(acme, nordwind, a1, g1, g2):
    def owed(of, due, *published):
        row = window(of, g1, on(2, 2), status="rolled_back")
        rca = RCA.objects.create(window=row, author=g1, due_at=due, owed_since=on(2, 4))
        for number, at in enumerate(published, 1):
            version = RCAVersion.objects.create(rca=rca, number=number, author=g1, reviewer=g2, published_at=at,
                                                published_by=g2, content={})  # fmt: skip
            RCACopy.objects.create(version=version, organisation=of, content={})
        return row

    in_time = owed(acme, on(9, 18), on(9, 18), on(20, 9))
    late = owed(acme, on(9, 18), on(9, 18, 0, 1))
    never = owed(acme, on(9, 18))
    owed(acme, on(9, 18, month=4))
    owed(nordwind, on(9, 18))
    told = made(acme)["rcas"]
    assert {name: told[name] for name in ("due", "published", "in_time", "owed")} == {
        "due": 3, "published": 2, "in_time": 1, "owed": 2,
    }  # fmt: skip
    assert [(row["reference"], row["is_late"]) for row in told["rows"]] == [
        (in_time.reference, False),
        (late.reference, True),
        (never.reference, True),
    ]


# --- frozen, and many at once ---


def test_what_was_sent_is_what_everybody_reads(march, acme, g1):
    MonthlyReport.objects.create(
        organisation=acme,
        month=MARCH,
        content=made(acme) | {"cadence": {"kept": 77, "missed": 0}},
        made_at=LATER,
    )
    filed(Incident.objects.get(pk=march["old"].pk).reporter, on(30, 10))
    assert made(acme)["cadence"] == {"kept": 77, "missed": 0}


def queries(call):
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def test_many_incidents_and_organisations_take_as_many_queries_as_few(march, acme, a1, a2, g1):
    few = queries(lambda: made(acme))
    for number in range(30):
        one = filed(a1, on(2 + number % 20, 10), level="P2")
        do(actions.resolve, one, g1, on(2 + number % 20, 11), cause="c", remedy="r")
    assert queries(lambda: made(acme)) == few
    before = queries(lambda: report.reports_of([acme], MARCH, LATER))
    others = [organisation(f"Other {number}") for number in range(5)]
    for other in others:
        filed(person(f"x@{other.slug.replace(' ', '')}.example", "X", other, "member"), on(5, 5))
    assert queries(lambda: report.reports_of([acme, *others], MARCH, LATER)) <= before + 2


def test_an_empty_month_is_a_report_too(acme, a1):
    told = made(acme, month=date(2026, 2, 1))
    assert (told["incidents"]["opened"], told["targets"]["rows"], told["maintenance"]) == (0, [], [])


def test_a_documented_solution_given_its_cause_later_is_resolved_once(acme, a1, g1):
    one = filed(a1, on(4, 10), level="P3")
    do(actions.document_solution, one, g1, on(4, 12), article=article(g1, on(4, 9)), text="Do this.")
    do(actions.resolve, one, g1, on(5, 12), cause="c", remedy="r")
    assert one.events.filter(kind="resolved").count() == 2
    told = made(acme)
    assert told["incidents"]["resolved"] == 1
    assert [row["count"] for row in told["durations"]] == [1, 0, 1, 1]
    assert Release.objects.count() == 0
