"""What a time collides with, who must consent, and what is written of who did."""

from datetime import timedelta

import pytest

from incidents.actions import resolve
from incidents.defaults import plan_for
from maintenance import actions
from maintenance.models import Consent, Freeze, MaintenancePlan, WindowEvent
from maintenance.overlaps import overlaps, short_notices
from maintenance.sweep import sweep
from portal.models import OutboxMessage
from portal.verbs import Refused
from tests.conftest import T0
from tests.factories import CANARY, incident
from tests.maintenance.world import (
    DAY,
    DECISION,
    END,
    HOUR,
    START,
    announced,
    approved,
    by,
    draft,
    kinds,
    service,
)

MINUTE = timedelta(minutes=1)
State = Consent.State
pytestmark = pytest.mark.usefixtures("cast")


def found(starts_at=START, ends_at=END, services=None, exclude=None, now=T0):
    return overlaps(starts_at, ends_at, services or [service()], now, exclude)


def freeze(of, who, starts_at=START, ends_at=END, at=T0, **more):
    return actions.enter_freeze(
        of,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=more.pop("reason", "quarter end"),
        **more,
        **by(who, at),
    )


# --- freezes ---


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "is_found"),
    [
        (START - HOUR, START, False),
        (START - HOUR, START + MINUTE, True),
        (START + MINUTE, END - MINUTE, True),
        (END - MINUTE, END + HOUR, True),
        (END, END + HOUR, False),
    ],
)
def test_a_freeze_overlaps_to_the_second(acme, a2, starts_at, ends_at, is_found):
    made = freeze(acme, a2, starts_at, ends_at)
    assert [(one.reason, one.about, one.organisation) for one in found()] == (
        [("freeze", str(made.pk), acme)] if is_found else []
    )


def test_a_freeze_of_one_service_stands_in_the_way_of_that_one(acme, a2):
    freeze(acme, a2, service=service("Vector Store"))
    assert found() == []
    assert len(found(services=[service(), service("Vector Store")])) == 1


def test_a_freeze_of_somebody_who_does_not_use_it_does_not(nordwind, b1):
    freeze(nordwind, b1)
    assert found() == []


def test_its_words_name_the_organisation_for_staff(acme, a2):
    freeze(acme, a2)
    assert "Acme" in found()[0].words
    assert "quarter end" in found()[0].words


def test_a_withdrawn_one_stands_no_more(acme, a2):
    made = freeze(acme, a2)
    actions.withdraw_freeze(made, **by(a2, T0))
    assert found() == []
    with pytest.raises(Refused, match="already"):
        actions.withdraw_freeze(made, **by(a2, T0))


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("ends_at", {"ends_at": START}),
        ("ends_at", {"starts_at": T0 - DAY, "ends_at": T0}),
        ("reason", {"reason": " "}),
        ("reason", {"reason": "x" * 301}),
    ],
)
def test_a_freeze_that_cannot_be_says_why(acme, a2, field, more):
    with pytest.raises(Refused) as refused:
        freeze(acme, a2, **more)
    assert (refused.value.field, Freeze.objects.count()) == (field, 0)


def test_a_viewer_and_a_stranger_enter_none(acme, a3, b1, g1):
    for who in (a3, b1):
        with pytest.raises(Refused) as refused:
            freeze(acme, who)
        assert refused.value.kind == "permission"
    made = freeze(acme, g1)
    for who in (a3, b1):
        with pytest.raises(Refused) as refused:
            actions.withdraw_freeze(made, **by(who, T0))
        assert refused.value.kind == "permission"


def test_of_a_service_that_it_does_not_use_there_is_none(nordwind, b1):
    with pytest.raises(Refused) as refused:
        freeze(nordwind, b1, service=service())
    assert refused.value.field == "service"


def test_each_reads_its_own_freezes(acme, cloudia, a2, c1, g1):
    freeze(acme, a2)
    freeze(cloudia, c1)
    assert Freeze.objects.visible_to(a2).count() == 1
    assert Freeze.objects.visible_to(g1).count() == 2


# --- other windows and open P1s ---


def test_another_window_on_the_service_overlaps(g1, g2):
    draft(g1)  # a draft is in nobody's way
    assert found() == []
    other = announced(g1, g2)
    assert [(one.reason, one.about, one.organisation) for one in found()] == [
        ("other_window", other.reference, None)
    ]
    assert found(exclude=other) == []
    assert found(services=[service("Vector Store")]) == []
    assert found(END, END + HOUR) == []
    actions.cancel(other, reason="x", **by(g1, T0))
    assert found() == []


def test_an_open_p1_on_the_service_overlaps_until_it_is_over(a1, g1):
    assert found() == []
    incident(a1, T0, level="P2")
    assert found() == []
    made = incident(a1, T0)
    assert [(one.reason, one.about) for one in found()] == [("open_p1", made.reference)]
    assert found(services=[service("Vector Store")]) == []
    resolve(made, cause="x", remedy="y", by=g1, now=T0 + HOUR, channel="admin")
    assert found() == []


# --- notice ---


@pytest.mark.parametrize(
    ("impact", "promised"),
    [
        ("none", timedelta()),
        ("reduced_redundancy", 2 * DAY),
        ("degraded", 3 * DAY),
        ("outage", 5 * DAY),
    ],
)
def test_the_notice_that_a_plan_promises_is_by_impact(acme, impact, promised):
    affected = [(service(), impact)]
    assert short_notices(START, affected, START - promised) == []
    late = short_notices(START, affected, START - promised + timedelta(seconds=1))
    assert {one.organisation.name for one in late} == ({"Acme", "Cloudia"} if promised else set())


def test_it_is_each_organisations_own_plan_and_its_worst_service(acme, cloudia):
    of = plan_for(acme, T0)
    of.maintenance_plan = MaintenancePlan.objects.create(name="Long", outage_notice_minutes=10 * 24 * 60)
    of.save()
    cloudia.subscriptions.filter(service__name="Vector Store").delete()
    affected = [(service(), "degraded"), (service("Vector Store"), "outage")]
    late = short_notices(START, affected, START - 4 * DAY)
    assert [one.organisation for one in late if one.organisation != cloudia] != []
    assert cloudia not in [one.organisation for one in late]
    assert acme in [one.organisation for one in late]
    assert short_notices(START, affected, START - 9 * DAY)[0].organisation == acme


# --- consents ---


def consent(window, **fields):
    return window.consents.get(**fields)


def test_what_concerns_the_vendor_is_decided_before_the_announcement(a1, g1, g2, m1):
    other = announced(g1, g2)
    window = approved(g1, g2)
    open_ = consent(window)
    assert (open_.organisation, open_.reason, open_.about) == (None, "other_window", other.reference)
    with pytest.raises(Refused, match="overlaps other work"):
        actions.announce(window, **by(g1, T0))
    with pytest.raises(Refused, match="approver of the window or a duty manager"):
        actions.give_consent(open_, words="x", **by(g1, T0))
    with pytest.raises(Refused) as refused:
        actions.give_consent(open_, words="x", **by(a1, T0))
    assert refused.value.kind == "permission"
    with pytest.raises(Refused, match="Say why"):
        actions.give_consent(open_, words=" ", **by(g2, T0))
    actions.give_consent(open_, words="they do not touch", **by(g2, T0 + MINUTE))
    assert (open_.state, open_.decided_by, open_.decided_at) == (State.GIVEN, g2, T0 + MINUTE)
    actions.announce(window, **by(g1, T0 + HOUR))
    assert window.status == "announced"


def test_what_stands_in_the_way_since_the_approval_is_found_at_the_announcement(a1, g1, g2):
    window = approved(g1, g2)
    made = incident(a1, T0 + MINUTE)
    with pytest.raises(Refused, match="overlaps"):
        actions.announce(window, **by(g1, T0 + HOUR))
    assert consent(window).about == made.reference  # written down, so that somebody can decide on it
    resolve(made, cause="x", remedy="y", by=g1, now=T0 + HOUR, channel="admin")
    actions.announce(window, **by(g1, T0 + 2 * HOUR))
    assert consent(window).state == State.RESOLVED


def test_a_refused_overlap_keeps_it_from_being_announced(g1, g2, m1):
    announced(g1, g2)
    window = approved(g1, g2)
    actions.refuse_consent(consent(window), words="no", **by(m1, T0))
    with pytest.raises(Refused, match="overlaps"):
        actions.announce(window, **by(g1, T0))


def test_customers_are_asked_at_the_announcement_and_not_before(acme, a2, g1, g2):
    made = freeze(acme, a2)
    window = approved(g1, g2)
    assert not window.consents.exists()
    actions.announce(window, **by(g1, T0))
    asked = consent(window)
    assert (asked.organisation, asked.reason, asked.about, asked.state) == (
        acme,
        "freeze",
        str(made.pk),
        State.OPEN,
    )


def test_a_manager_or_member_consents_and_it_is_recorded(acme, a1, a2, a3, b1, c1, g1, m1, g2):
    window = announced(g1, g2, START - DAY)
    mine = consent(window, organisation=acme)
    at = START - HOUR
    for stranger in (a3, b1, c1, g1, m1):
        with pytest.raises(Refused) as refused:
            actions.give_consent(mine, **by(stranger, at))
        assert refused.value.kind == "permission"
        with pytest.raises(Refused) as refused:
            actions.refuse_consent(mine, words="x", **by(stranger, at))
        assert refused.value.kind == "permission"
    assert not WindowEvent.objects.filter(kind__in=["consent_given", "consent_refused"]).exists()
    actions.give_consent(mine, words="fine", **by(a1, at, "calendar"))
    facts = (mine.state, mine.decided_by, mine.decided_at, mine.channel, mine.words)
    assert facts == (State.GIVEN, a1, at, "calendar", "fine")
    event = window.events.get(kind="consent_given")
    assert (event.by, event.at, event.channel, event.payload) == (a1, at, "calendar", {"consent": mine.pk})
    with pytest.raises(Refused, match="has been decided"):
        actions.give_consent(mine, **by(a2, at))


def test_they_may_change_their_mind_before_the_start(acme, a2, g1, g2):
    window = announced(g1, g2, START - DAY)
    mine = consent(window, organisation=acme)
    with pytest.raises(Refused, match="Say why"):
        actions.refuse_consent(mine, words="", **by(a2, START - HOUR))
    actions.refuse_consent(mine, words="not now", **by(a2, START - HOUR))
    actions.give_consent(mine, **by(a2, START - HOUR))
    actions.refuse_consent(mine, words="not now", **by(a2, START - HOUR))
    assert mine.state == State.REFUSED
    assert [kind for kind in kinds(window) if kind.startswith("consent_")][-3:] == [
        "consent_refused",
        "consent_given",
        "consent_refused",
    ]


def test_after_the_end_nobody_consents(acme, a2, g1, g2):
    window = announced(g1, g2, START - DAY)
    sweep(END)
    with pytest.raises(Refused, match="nothing to consent to"):
        actions.give_consent(consent(window, organisation=acme), **by(a2, END))


def test_the_vendors_own_is_not_overridden(g1, g2, m1):
    announced(g1, g2)
    window = approved(g1, g2)
    actions.give_consent(consent(window), words="fine", **by(m1, T0))
    actions.announce(window, **by(g1, T0))
    with pytest.raises(Refused, match="not overridden"):
        actions.override_consent(consent(window), reason="x", **by(m1, T0))


def test_each_reads_its_own_consents(acme, cloudia, a2, b1, c1, g1, g2):
    freeze(cloudia, c1, reason=CANARY)
    window = announced(g1, g2, START - DAY)
    assert {row.organisation for row in Consent.objects.visible_to(a2)} == {acme}
    assert {row.reason for row in Consent.objects.visible_to(c1)} == {"short_notice", "freeze"}
    assert not Consent.objects.visible_to(b1).exists()
    read = WindowEvent.objects.visible_to(a2).filter(window=window)
    assert not [event for event in read if "consent" in event.kind]


def test_a_move_asks_anew_resolves_and_finds(acme, a2, g1, g2):
    """Out of one freeze into another, with notice that is long enough by then."""
    first = freeze(acme, a2)
    window = announced(g1, g2, START - 6 * DAY)
    actions.give_consent(consent(window), **by(a2, START - 6 * DAY))
    second = freeze(acme, a2, START + DAY, END + DAY, at=START - 6 * DAY)
    times = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}
    actions.move_window(window, **times, reason="x", **by(g1, START - 6 * DAY))
    states = {row.about: row.state for row in window.consents.all()}
    assert states == {str(first.pk): State.RESOLVED, str(second.pk): State.OPEN}


def test_a_given_consent_is_asked_again_for_other_times(acme, a2, g1, g2):
    made = freeze(acme, a2, START - DAY, END + DAY)
    window = announced(g1, g2)
    actions.give_consent(consent(window), words="ok", **by(a2, T0))
    times = {"starts_at": START + HOUR, "ends_at": END + HOUR, "rollback_decision_at": DECISION + HOUR}
    actions.move_window(window, **times, reason="x", **by(g1, T0 + HOUR))
    again = consent(window, about=str(made.pk))
    assert (again.state, again.decided_by, again.words) == (State.OPEN, None, "")
    assert window.events.get(kind="consent_given").by == a2  # who had, is told for ever


def test_a_freeze_entered_over_an_announced_window_needs_consent(acme, a2, g1, g2):
    window = announced(g1, g2)
    assert not window.consents.exists()
    made = freeze(acme, a2, at=T0 + HOUR)
    assert consent(window).state == State.OPEN
    told = OutboxMessage.objects.filter(kind="staff_maintenance_consent_asked")
    assert [message.recipient for message in told] == [g1]
    actions.withdraw_freeze(made, **by(a2, T0 + 2 * HOUR))
    assert consent(window).state == State.RESOLVED
    sweep(START)
    window.refresh_from_db()
    assert window.status == "in_progress"


def test_a_freeze_that_comes_too_late_is_entered_and_stops_nothing(acme, a2, g1, g2):
    window = announced(g1, g2)
    freeze(acme, a2, at=START + MINUTE)
    window.refresh_from_db()
    sweep(START + 2 * MINUTE)
    window.refresh_from_db()
    assert (window.status, Freeze.objects.count(), window.consents.count()) == ("in_progress", 1, 0)


def test_a_freeze_says_nothing_of_windows_to_others(nordwind, b1, g1, g2):
    window = announced(g1, g2)
    freeze(nordwind, b1, at=T0 + HOUR)
    assert not window.consents.exists()


def test_what_is_shown_while_typing_asks_little_however_many_there_are(django_assert_max_num_queries):
    from tests.factories import organisation

    for number in range(20):
        organisation(f"Org {number}")
    with django_assert_max_num_queries(10):
        assert len(short_notices(START, [(service(), "outage")], START - DAY)) == 22
        found()
