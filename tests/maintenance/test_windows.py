"""The life of a window: each verb in its statuses, by whom, and what is written of it."""

from datetime import timedelta

import pytest

from maintenance import actions, rules
from maintenance.models import Consent, Invitation, MaintenanceWindow, RollbackCondition, WindowEvent
from maintenance.sweep import sweep
from portal.models import ServiceImpact
from portal.verbs import Refused
from tests.conftest import T0
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

MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("cast")


# --- the rules, as a table ---

IN = {
    "draft": lambda g1, g2: draft(g1),
    "proposed": lambda g1, g2: actions.propose(draft(g1), **by(g1, T0)),
    "approved": approved,
    "announced": announced,
    "in_progress": lambda g1, g2: _swept(announced(g1, g2), START),
    "overrun": lambda g1, g2: _swept(announced(g1, g2), END),
    "rolling_back": lambda g1, g2: actions.order_rollback(
        _swept(announced(g1, g2), START), reason="bad", **by(g1, START)
    ),
    "verifying": lambda g1, g2: actions.begin_verification(_swept(announced(g1, g2), START), **by(g1, START)),
    "completed": lambda g1, g2: _completed(announced(g1, g2), g1),
    "rolled_back": lambda g1, g2: _rolled_back(announced(g1, g2), g1),
    "cancelled": lambda g1, g2: actions.cancel(announced(g1, g2), reason="no", **by(g1, T0)),
}


def _swept(window, at):
    sweep(at)
    window.refresh_from_db()
    return window


def _completed(window, g1):
    _swept(window, START)
    check_all(window, g1, START)
    actions.begin_verification(window, **by(g1, START))
    return actions.complete(window, outcome="Fine.", **by(g1, START))


def _rolled_back(window, g1):
    _swept(window, START)
    actions.order_rollback(window, reason="bad", **by(g1, START))
    actions.begin_verification(window, **by(g1, START))
    return actions.complete(window, outcome="As before.", **by(g1, START))


def _late(window):
    return max(START, window.last_changed_at)


FORM = {
    "title": "x", "description": "x", "time_zone": "UTC", "starts_at": START, "ends_at": END,
    "rollback_decision_at": DECISION, "services": [], "steps": [], "conditions": [],
}  # fmt: skip
TIMES = {"starts_at": START + DAY, "ends_at": END + DAY, "rollback_decision_at": DECISION + DAY}

VERBS = {
    "change_window": lambda w, u, at: actions.change_window(w, **FORM, owner=u, **by(u, at)),
    "propose": lambda w, u, at: actions.propose(w, **by(u, at)),
    "return_to_draft": lambda w, u, at: actions.return_to_draft(w, reason="no", **by(u, at)),
    "approve": lambda w, u, at: actions.approve(w, **by(u, at)),
    "announce": lambda w, u, at: actions.announce(w, **by(u, at)),
    "move_window": lambda w, u, at: actions.move_window(w, **TIMES, reason="x", **by(u, at)),
    "cancel": lambda w, u, at: actions.cancel(w, reason="x", **by(u, at)),
    "tick_step": lambda w, u, at: actions.tick_step(w.steps.all()[0], is_done=True, **by(u, at)),
    "check_condition": lambda w, u, at: actions.check_condition(
        w.conditions.all()[0], measured="1", is_met=False, **by(u, at)
    ),
    "decide": lambda w, u, at: actions.decide(w, decision="go_on", reason="x", **by(u, at)),
    "ask_extension": lambda w, u, at: actions.ask_extension(w, until=END + DAY, reason="x", **by(u, at)),
    "approve_extension": lambda w, u, at: actions.approve_extension(_asking(w), **by(u, at)),
    "refuse_extension": lambda w, u, at: actions.refuse_extension(_asking(w), reason="x", **by(u, at)),
    "order_rollback": lambda w, u, at: actions.order_rollback(w, reason="x", **by(u, at)),
    "begin_verification": lambda w, u, at: actions.begin_verification(w, **by(u, at)),
    "complete": lambda w, u, at: actions.complete(_checked(w), outcome="x", **by(u, at)),
    "post": lambda w, u, at: actions.post(w, text="x", is_public=False, **by(u, at)),
    "post_publicly": lambda w, u, at: actions.post(w, text="x", **by(u, at)),
}


def _asking(window):
    """Somebody else asked for an extension before."""
    from portal.models import User

    asker = User.objects.get(email="m1@briqmind.example")
    MaintenanceWindow.objects.filter(pk=window.pk).update(extension_until=END + DAY, extension_by=asker)
    post = window.posts.create(author=asker, text="more time", is_public=False, at=T0)
    payload = {"until": (END + DAY).isoformat(), "post": post.pk}
    WindowEvent.objects.create(
        window=window,
        kind="extension_asked",
        by=asker,
        channel="portal",
        at=T0,
        recorded_at=T0,
        payload=payload,
    )
    return window


def _checked(window):
    window.conditions.update(state="clear")
    return window


@pytest.mark.parametrize("status", IN)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_works_in_its_statuses_and_says_otherwise_what_to_do(verb, status, g1, g2, m1):
    window = IN[status](g1, g2)
    assert window.status == status
    at = T0 if status in ("draft", "proposed", "approved", "announced") else _late(window)
    user = {"approve": g2, "approve_extension": g1}.get(verb, g1)
    events = WindowEvent.objects.count()
    if status in rules.RULES[verb].statuses:
        VERBS[verb](window, user, at)
        assert WindowEvent.objects.count() > events
        return
    assert actions.may(verb, window, user)
    if verb.endswith("_extension") and verb != "ask_extension":
        _asking(window)
        events += 2
    with pytest.raises(Refused) as refused:
        VERBS[verb](window, user, at)
    assert (refused.value.kind, bool(refused.value.reason)) == ("state", True)
    window.refresh_from_db()
    assert window.status == status
    assert WindowEvent.objects.exclude(kind="extension_asked").count() <= events


@pytest.mark.parametrize("verb", VERBS)
def test_a_customer_uses_no_verb_of_the_staff(verb, a2, g1, g2):
    window = announced(g1, g2)
    before = WindowEvent.objects.count()
    assert actions.may(verb, window, a2)
    with pytest.raises(Refused) as refused:
        VERBS[verb](window, a2, T0)
    assert refused.value.kind == "permission" or verb == "change_window"  # there the owner is checked first
    assert WindowEvent.objects.exclude(kind="extension_asked").count() == before


def test_nobody_drafts_but_staff(a2, g1):
    with pytest.raises(Refused, match="support staff"):
        actions.draft_window(**FORM, owner=g1, **by(a2, T0))


# --- two people ---


def test_the_author_does_not_approve(g1, g2):
    window = actions.propose(draft(g1), **by(g1, T0))
    assert "Another person" in actions.may("approve", window, g1)
    with pytest.raises(Refused, match="Another person than the author"):
        actions.approve(window, **by(g1, T0))
    actions.approve(window, **by(g2, T0))
    assert (window.status, window.approved_by) == ("approved", g2)


def test_nor_does_whoever_changed_it(g1, g2, m1):
    window = actions.propose(draft(g1), **by(g1, T0))
    fields = FORM | {"title": "Other", "services": [(service(), "outage")]}
    actions.change_window(window, **fields, owner=g1, **by(g2, T0))
    with pytest.raises(Refused, match="Another person"):
        actions.approve(window, **by(g2, T0))
    events = window.events.get(kind="changed").payload["fields"]
    assert events == ["conditions", "description", "steps", "time_zone", "title"]


def test_whoever_asks_for_an_extension_does_not_approve_it(g1, g2):
    window = _swept(announced(g1, g2), START)
    actions.ask_extension(window, until=END + HOUR, reason="slow disks", **by(g1, START))
    with pytest.raises(Refused, match="Another person"):
        actions.approve_extension(window, **by(g1, START))
    actions.approve_extension(window, **by(g2, START))
    assert (window.ends_at, window.sequence, window.extension_until) == (END + HOUR, 1, None)


def test_a_refused_extension_leaves_the_end(g1, g2):
    window = _swept(announced(g1, g2), START)
    with pytest.raises(Refused, match="Nobody asks"):
        actions.approve_extension(window, **by(g2, START))
    with pytest.raises(Refused, match="after the one"):
        actions.ask_extension(window, until=END, reason="x", **by(g1, START))
    actions.ask_extension(window, until=END + HOUR, reason="x", **by(g1, START))
    actions.refuse_extension(window, reason="no", **by(g2, START))
    assert (window.ends_at, window.sequence, window.extension_until) == (END, 0, None)


# --- what an approval asks for ---


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("services", {"services": []}),
        ("steps", {"steps": ["  "]}),
        ("conditions", {"conditions": [("", "")]}),
        ("rollback_decision_at", {"rollback_decision_at": END + MINUTE}),
        ("rollback_decision_at", {"rollback_decision_at": START - MINUTE}),
    ],
)
def test_an_approval_asks_for_the_whole_plan(g1, g2, field, fields):
    window = actions.propose(draft(g1, **fields), **by(g1, T0))
    with pytest.raises(Refused) as refused:
        actions.approve(window, **by(g2, T0))
    assert refused.value.field == field
    assert kinds(window) == ["drafted", "proposed"]


def test_and_for_an_owner_who_still_works_here(g1, g2, m1):
    window = actions.propose(draft(g1, owner=m1), **by(g1, T0))
    m1.is_active = False
    m1.save()
    with pytest.raises(Refused) as refused:
        actions.approve(window, **by(g2, T0))
    assert refused.value.field == "owner"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("title", {"title": " "}),
        ("title", {"title": "x" * 201}),
        ("description", {"description": ""}),
        ("ends_at", {"ends_at": START}),
        ("time_zone", {"time_zone": "Mars/Olympus"}),
        ("services", {"services": "twice"}),
        ("services", {"services": "odd impact"}),
        ("conditions", {"conditions": [("Errors", "")]}),
        ("steps", {"steps": ["x" * 501]}),
        ("owner", {"owner": "a customer"}),
    ],
)
def test_a_draft_that_cannot_be_says_why(a1, g1, field, fields):
    odd = {"twice": [(service(), "outage"), (service(), "none")], "odd impact": [(service(), "fatal")]}
    if fields.get("services") in odd:
        fields = {"services": odd[fields["services"]]}
    fields = fields | ({"owner": a1} if "owner" in fields else {})
    with pytest.raises(Refused) as refused:
        draft(g1, **fields)
    assert (refused.value.field, MaintenanceWindow.objects.count()) == (field, 0)


def test_a_stale_form_is_refused(g1, g2):
    window = announced(g1, g2)
    actions.move_window(window, **TIMES, reason="x", **by(g1, T0 + HOUR))
    with pytest.raises(Refused) as refused:
        actions.cancel(window, reason="x", revision=0, **by(g1, T0 + HOUR))
    assert refused.value.kind == "stale"


# --- rows 1 and 2: nobody reads it before; afterwards those whom it concerns ---


def test_a_draft_is_nobodys_but_the_staffs(acme, a1, a2, c1, b1, g1, g2):
    for window in (draft(g1), actions.propose(draft(g1), **by(g1, T0)), approved(g1, g2)):
        window.involved.create(organisation=acme, since=T0)  # not even whom it is going to concern
        for user in (a1, a2, c1, b1):
            assert not MaintenanceWindow.objects.visible_to(user).exists()
            assert not WindowEvent.objects.visible_to(user).filter(window=window).exists()


def test_the_announcement_writes_down_whom_it_concerns(acme, cloudia, a1, a2, a3, b1, c1, g1, g2):
    a3.hears_maintenance = False
    a3.save()
    window = announced(g1, g2)
    assert {row.organisation for row in window.involved.all()} == {acme, cloudia}
    assert {row.person for row in window.invitations.all()} == {a1, a2, c1}
    assert (window.sequence, window.announced_at, window.first_starts_at) == (0, T0, START)
    assert all(len(row.token) == 48 for row in window.invitations.all())
    seen = {user: MaintenanceWindow.objects.visible_to(user).count() for user in (a1, a3, c1, b1)}
    assert seen == {a1: 1, a3: 1, c1: 1, b1: 0}
    read = WindowEvent.objects.visible_to(a1).values_list("kind", flat=True)
    assert list(read) == ["announced"]


def test_people_who_join_before_the_start_are_invited_then(acme, g1, g2):
    from tests import factories

    window = announced(g1, g2)
    late = factories.person("late@acme.example", "Late Four", acme, "member")
    sweep(START - DAY)
    assert Invitation.objects.filter(window=window, person=late).exists()
    assert "invited" in kinds(window)
    before = Invitation.objects.count()
    sweep(START - HOUR)
    assert Invitation.objects.count() == before


def test_its_start_must_be_ahead(g1, g2):
    window = approved(g1, g2)
    with pytest.raises(Refused, match="start has passed"):
        actions.announce(window, **by(g1, START))


# --- row 3 ---


def test_moved_and_moved_back_keeps_the_uid_and_raises_the_sequence(g1, g2):
    window = announced(g1, g2)
    uid = window.uid
    actions.move_window(window, **TIMES, reason="holiday", **by(g1, T0 + HOUR))
    back = {"starts_at": START, "ends_at": END, "rollback_decision_at": DECISION}
    actions.move_window(window, **back, reason="no holiday", **by(g1, T0 + 2 * HOUR))
    assert (window.uid, window.sequence, window.starts_at) == (uid, 2, START)
    moved = window.events.filter(kind="moved").order_by("pk")
    assert [event.payload["sequence"] for event in moved] == [1, 2]
    assert window.first_starts_at == START


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("starts_at", {"starts_at": T0}),
        ("starts_at", {"starts_at": START, "ends_at": END, "rollback_decision_at": DECISION}),
        ("ends_at", {"ends_at": START}),
        ("rollback_decision_at", {"rollback_decision_at": START}),
        ("reason", {"reason": " "}),
    ],
)
def test_a_move_that_cannot_be_says_why(g1, g2, field, fields):
    window = announced(g1, g2)
    with pytest.raises(Refused) as refused:
        actions.move_window(window, **(TIMES | {"reason": "x"} | fields), **by(g1, T0 + HOUR))
    assert refused.value.field == field
    window.refresh_from_db()
    assert (window.sequence, window.starts_at) == (0, START)


# --- row 5: the start ---


def test_it_starts_at_its_start_however_late_somebody_looks(acme, cloudia, g1, g2):
    window = announced(g1, g2)
    sweep(START - timedelta(seconds=1))
    window.refresh_from_db()
    assert (window.status, window.is_running) == ("announced", False)
    sweep(START + 7 * MINUTE)
    window.refresh_from_db()
    assert (window.status, window.started_at) == ("in_progress", START)
    assert window.is_running
    assert window.covers(START + 7 * MINUTE)
    event = window.events.get(kind="started")
    assert (event.by, event.at, event.recorded_at) == (None, START, START + 7 * MINUTE)
    rows = ServiceImpact.objects.order_by("organisation__name").values_list(
        "organisation__name", "service__name", "impact", "from_at", "until_at", "is_planned", "source"
    )
    expected = ("Inference API", "outage", START, None, True, window.reference)
    assert list(rows) == [("Acme", *expected), ("Cloudia", *expected)]


def test_a_person_starts_it_from_its_start_on(g1, g2):
    window = announced(g1, g2)
    with pytest.raises(Refused, match="not earlier"):
        actions.start(window, **by(g1, START - timedelta(seconds=1)))
    actions.start(window, **by(g1, START + MINUTE))
    assert (window.status, window.events.get(kind="started").by) == ("in_progress", g1)


def test_whoever_acts_settles_first_what_was_due_before(g1, g2):
    window = announced(g1, g2)
    actions.post(window, text="Half done.", **by(g1, DECISION + 5 * MINUTE))
    assert kinds(window)[4:] == ["started", "decision_asked", "posted"]
    assert window.events.get(kind="decision_asked").at == DECISION


def test_no_impact_is_felt_of_none(g1, g2):
    _swept(announced(g1, g2, services=[(service(), "none")]), START)
    assert not ServiceImpact.objects.exists()


def test_the_vendors_own_organisation_feels_it_for_the_public_page(g1, g2):
    from incidents.defaults import vendor_organisation

    vendor = vendor_organisation(T0)
    window = _swept(announced(g1, g2), START)
    assert vendor not in {row.organisation for row in window.involved.all()}
    assert ServiceImpact.objects.filter(organisation=vendor, is_planned=True).count() == 1


# --- row 6: the decision ---


def test_the_question_is_asked_once_and_lapses_once(g1, g2):
    window = _swept(announced(g1, g2), DECISION - timedelta(seconds=1))
    assert "decision_asked" not in kinds(window)
    for seconds in (0, 5, 300, 599):
        sweep(DECISION + timedelta(seconds=seconds))
    assert kinds(window).count("decision_asked") == 1
    assert "decision_lapsed" not in kinds(window)
    for seconds in (600, 605, 900):
        sweep(DECISION + timedelta(seconds=seconds))
    assert kinds(window).count("decision_lapsed") == 1
    assert window.events.get(kind="decision_lapsed").at == DECISION + 10 * MINUTE


def test_nor_are_they_repeated_by_whoever_acts_later(g1, g2):
    window = _swept(announced(g1, g2), START)
    for minutes in (0, 5, 10, 15):
        actions.post(window, text="x", is_public=False, **by(g1, DECISION + minutes * MINUTE))
    assert kinds(window).count("decision_asked") == 1
    assert kinds(window).count("decision_lapsed") == 1


def test_nobody_is_asked_when_every_step_is_done(g1, g2):
    window = _swept(announced(g1, g2), START)
    check_all(window, g1, START + MINUTE)
    sweep(DECISION + HOUR - MINUTE)
    assert "decision_asked" not in kinds(window)


def test_a_tick_that_is_taken_back_is_asked_about(g1, g2):
    window = _swept(announced(g1, g2), START)
    check_all(window, g1, START + MINUTE)
    _swept(window, DECISION + MINUTE)
    actions.tick_step(window.steps.all()[0], is_done=False, **by(g1, DECISION + 2 * MINUTE))
    sweep(DECISION + 2 * MINUTE + timedelta(seconds=1))
    assert kinds(window).count("decision_asked") == 1


def test_nor_when_somebody_has_decided(g1, g2):
    window = _swept(announced(g1, g2), START)
    actions.decide(window, decision="go_on", reason="nearly done", **by(g1, START + MINUTE))
    sweep(DECISION + 30 * MINUTE)
    assert "decision_asked" not in kinds(window)


def test_the_owner_or_a_duty_manager_decides(g1, g2, m1):
    window = _swept(announced(g1, g2), DECISION)
    with pytest.raises(Refused, match="owner of the window or a duty manager"):
        actions.decide(window, decision="go_on", reason="x", **by(g2, DECISION))
    with pytest.raises(Refused, match="Say why"):
        actions.decide(window, decision="go_on", reason=" ", **by(m1, DECISION))
    with pytest.raises(Refused, match="Choose"):
        actions.decide(window, decision="maybe", reason="x", **by(m1, DECISION))
    actions.decide(window, decision="roll_back", reason="too slow", **by(m1, DECISION))
    assert (window.status, window.decision, window.rollback_ordered_at) == (
        "rolling_back",
        "roll_back",
        DECISION,
    )
    assert kinds(window)[-2:] == ["decided", "rollback_ordered"]


# --- rows 7 and 7b ---


def test_an_extension_in_time_moves_the_end_of_suppression(g1, g2):
    window = _swept(announced(g1, g2), START)
    actions.ask_extension(window, until=END + 90 * MINUTE, reason="slow", **by(g1, END - HOUR))
    actions.approve_extension(window, **by(g2, END - MINUTE))
    _swept(window, END + 89 * MINUTE)
    assert (window.overrun_at, window.covers(END + 89 * MINUTE)) == (None, True)
    _swept(window, END + 90 * MINUTE)
    assert (window.overrun_at, window.status) == (END + 90 * MINUTE, "overrun")
    assert ServiceImpact.objects.filter(is_planned=True, until_at=END + 90 * MINUTE).count() == 2


@pytest.mark.parametrize("late", [timedelta(), timedelta(seconds=3), timedelta(hours=6)])
def test_an_overrun_happened_at_the_agreed_end_however_late_it_is_seen(g1, g2, late):
    window = _swept(announced(g1, g2), START)
    for _again in range(3):
        _swept(window, END + late)
    assert (window.status, window.overrun_at, window.covers(END)) == ("overrun", END, False)
    assert kinds(window).count("overran") == 1
    rows = ServiceImpact.objects.filter(organisation__name="Acme").order_by("from_at")
    felt = [(row.from_at, row.until_at, row.is_planned) for row in rows]
    assert felt == [(START, END, True), (END, None, False)]


def test_an_extension_after_the_end_plans_nothing(g1, g2):
    window = _swept(announced(g1, g2), END)
    actions.ask_extension(window, until=END + HOUR, reason="x", **by(g1, END + MINUTE))
    actions.approve_extension(window, **by(g2, END + 2 * MINUTE))
    assert (window.ends_at, window.overrun_at) == (END + HOUR, END)
    assert not window.covers(END + 5 * MINUTE)
    assert ServiceImpact.objects.filter(until_at=None, is_planned=False).count() == 2
    assert window.events.get(kind="extended").payload["is_planned"] is False
    _swept(window, END + 2 * HOUR)
    _swept(window, END + 3 * HOUR)
    assert kinds(window).count("expected_end_passed") == 1
    assert kinds(window).count("overran") == 1


def test_an_end_that_passed_while_it_was_asked_for_is_not_approved(g1, g2):
    window = _swept(announced(g1, g2), START)
    actions.ask_extension(window, until=END + HOUR, reason="x", **by(g1, END - MINUTE))
    with pytest.raises(Refused, match="has passed"):
        actions.approve_extension(window, **by(g2, END + HOUR))


def test_verifying_past_the_end_overruns_and_keeps_its_status(g1, g2):
    window = _swept(announced(g1, g2), START)
    actions.begin_verification(window, **by(g1, END - MINUTE))
    _swept(window, END)
    assert (window.status, window.overrun_at) == ("verifying", END)


def test_work_that_ends_at_the_very_second_is_in_time(g1, g2):
    window = _swept(announced(g1, g2), START)
    check_all(window, g1, START)
    actions.begin_verification(window, **by(g1, END - MINUTE))
    actions.complete(window, outcome="Fine.", **by(g1, END))
    assert (window.status, window.overrun_at, window.ended_at) == ("completed", None, END)


# --- row 8 ---


def test_rolled_back_and_verified_it_is_closed_as_rolled_back(g1, g2):
    window = _swept(announced(g1, g2), START)
    actions.order_rollback(window, reason="errors", **by(g1, DECISION))
    actions.begin_verification(window, **by(g1, END + 10 * MINUTE))
    with pytest.raises(Refused, match="already"):
        actions.order_rollback(window, reason="x", **by(g1, END + 11 * MINUTE))
    actions.complete(window, outcome="As before.", **by(g1, END + 17 * MINUTE))
    assert (window.status, window.ended_at, window.sequence) == ("rolled_back", END + 17 * MINUTE, 1)
    rows = ServiceImpact.objects.filter(organisation__name="Cloudia").order_by("from_at")
    felt = [(row.from_at, row.until_at, row.is_planned) for row in rows]
    assert felt == [(START, END, True), (END, END + 17 * MINUTE, False)]
    assert window.attention_at is None


def test_completing_asks_for_the_conditions(g1, g2):
    window = _swept(announced(g1, g2), START)
    actions.begin_verification(window, **by(g1, START + HOUR))
    with pytest.raises(Refused, match="Check every rollback condition"):
        actions.complete(window, outcome="x", **by(g1, START + HOUR))
    [condition] = window.conditions.all()
    actions.check_condition(condition, measured="5 %", is_met=True, **by(g1, START + HOUR))
    assert condition.state == RollbackCondition.State.MET
    with pytest.raises(Refused, match="is met"):
        actions.complete(window, outcome="x", **by(g1, START + HOUR))
    actions.decide(window, decision="go_on", reason="false alarm", **by(g1, START + HOUR))
    with pytest.raises(Refused, match="how it ended"):
        actions.complete(window, outcome=" ", **by(g1, START + HOUR))
    actions.complete(window, outcome="Fine.", **by(g1, START + HOUR))
    assert window.status == "completed"


def test_ticking_twice_writes_once(g1, g2):
    window = _swept(announced(g1, g2), START)
    step = window.steps.all()[0]
    for _twice in range(2):
        actions.tick_step(step, is_done=True, **by(g1, START))
    assert (step.done_at, step.done_by, kinds(window).count("step_ticked")) == (START, g1, 1)
    actions.tick_step(step, is_done=False, **by(g1, START))
    assert (step.done_at, step.done_by) == (None, None)


def test_a_post_may_name_the_next_word(g1, g2):
    window = _swept(announced(g1, g2), START)
    with pytest.raises(Refused, match="future"):
        actions.post(window, text="x", next_update_at=START, **by(g1, START))
    with pytest.raises(Refused, match="Write a text"):
        actions.post(window, text=" ", **by(g1, START))
    actions.post(window, text="Half.", next_update_at=START + HOUR, **by(g1, START))
    actions.post(window, text="Between us.", is_public=False, **by(g1, START))
    assert window.next_update_at == START + HOUR
    assert list(window.posts.values_list("is_public", flat=True)) == [True, False]


# --- rows 9 and 10 ---


def test_a_new_attempt_is_a_new_uid(g1, g2):
    first = _rolled_back(announced(g1, g2), g1)
    second = draft(g1, END, previous_attempt=first, starts_at=START + 9 * DAY, ends_at=END + 9 * DAY)
    assert (second.previous_attempt, second.uid != first.uid) == (first, True)
    with pytest.raises(Refused, match="follows a window that is over"):
        draft(g1, END, previous_attempt=second)


def test_a_cancellation_raises_the_sequence_once_it_was_announced(g1, g2):
    secret = actions.cancel(draft(g1), reason="x", **by(g1, T0))
    known = actions.cancel(announced(g1, g2), reason="x", **by(g1, T0 + HOUR))
    assert (secret.sequence, known.sequence) == (0, 1)
    assert known.attention_at is None
    with pytest.raises(Refused):
        actions.cancel(known, reason="x", **by(g1, T0 + HOUR))


# --- consents that keep it from starting ---


def test_without_consent_it_waits_and_is_called_off_at_its_end(acme, cloudia, g1, g2):
    window = announced(g1, g2, START - DAY)  # five days were promised
    assert {row.organisation for row in window.consents.all()} == {acme, cloudia}
    for late in range(3):
        _swept(window, START + late * MINUTE)
        actions.post(window, text="We wait.", is_public=False, **by(g1, START + late * MINUTE))
    assert (window.status, kinds(window).count("start_held")) == ("announced", 1)
    assert not ServiceImpact.objects.exists()
    _swept(window, END + HOUR)
    assert (window.status, window.started_at, window.sequence) == ("cancelled", None, 1)
    event = window.events.get(kind="cancelled")
    assert (event.by, event.at, event.payload["because"]) == (None, END, "never_started")


def test_the_last_consent_lets_it_start_then(a2, c1, g1, g2):
    window = announced(g1, g2, START - DAY)
    _swept(window, START)
    mine, theirs = (window.consents.get(organisation__name=name) for name in ("Acme", "Cloudia"))
    actions.give_consent(mine, **by(a2, START + MINUTE))
    _swept(window, START + 2 * MINUTE)
    assert window.status == "announced"
    with pytest.raises(Refused, match="consent is missing"):
        actions.start(window, **by(g1, START + 2 * MINUTE))
    actions.give_consent(theirs, **by(c1, START + 3 * MINUTE))
    _swept(window, START + 3 * MINUTE)
    assert (window.status, window.started_at) == ("in_progress", START + 3 * MINUTE)


def test_a_duty_manager_overrides_with_a_reason(a2, c1, g1, g2, m1):
    window = announced(g1, g2, START - DAY)
    mine, theirs = (window.consents.get(organisation__name=name) for name in ("Acme", "Cloudia"))
    actions.give_consent(mine, **by(a2, T0 + 6 * DAY))
    actions.refuse_consent(theirs, words="quarter end", **by(c1, T0 + 6 * DAY))
    with pytest.raises(Refused, match="duty manager"):
        actions.override_consent(theirs, reason="security", **by(g1, START - HOUR))
    with pytest.raises(Refused, match="Say why"):
        actions.override_consent(theirs, reason=" ", **by(m1, START - HOUR))
    actions.override_consent(theirs, reason="security", **by(m1, START - HOUR))
    assert (theirs.state, theirs.decided_by, theirs.words) == (Consent.State.OVERRIDDEN, m1, "security")
    assert _swept(window, START).status == "in_progress"
