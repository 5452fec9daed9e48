"""`verify_clocks` is green after any sequence of verbs, and red when a derived column is altered."""

import random
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from incidents import actions, clockwork, proof
from incidents.bridge_sweep import sweep_bridges
from incidents.models import Clock, Incident, SupportPlan
from incidents.sweep import sweep
from tests.conftest import T0
from tests.factories import article, incident

ALTERATIONS = {
    "state": lambda row: "cancelled" if row.state != "cancelled" else "met",
    "started_at": lambda row: row.started_at + timedelta(seconds=1),
    "due_at": lambda row: (row.due_at or T0) + timedelta(seconds=1),
    "first_due_at": lambda row: (row.first_due_at or T0) + timedelta(seconds=1),
    "met_at": lambda row: (row.met_at or T0) + timedelta(seconds=1),
    "breached_at": lambda row: (row.breached_at or T0) + timedelta(seconds=1),
    "ended_at": lambda row: (row.ended_at or T0) + timedelta(seconds=1),
    "receipts": lambda row: [{"from": "x"}],
}


def random_life(rng, made, people, solution):
    """Use random verbs at random times; what a rule refuses is simply not done."""
    a1, a2, g1, m1 = people
    now = T0
    SupportPlan.objects.update(has_bridge=True)

    def on_bridge(use, at):
        bridge = actions.open_bridge_of(made)
        if bridge is None:
            bridge = actions.open_bridge(made, by=rng.choice([a1, g1]), **at)
        use(bridge)

    moves = [
        lambda at: actions.reply(made, text="x", by=rng.choice([a1, g1]), **at),
        lambda at: actions.validate_level(
            made, level=rng.choice(["P1", "P2", "P3"]), reason="r", by=g1, **at
        ),
        lambda at: actions.contest_lowering(made, reason="r", by=a2, **at),
        lambda at: actions.escalate(made, reason="r", by=a2, **at),
        lambda at: actions.answer_escalation(made, text="t", by=m1, **at),
        lambda at: actions.decide_contest(made, is_upheld=rng.random() < 0.6, reason="r", by=m1, **at),
        lambda at: actions.ask_customer(made, text="q", by=g1, **at),
        lambda at: actions.start_intervention(made, by=g1, **at),
        lambda at: actions.publish_status_update(made, condition="in_progress", summary="s", by=g1, **at),
        lambda at: actions.file_action_plan(
            made,
            steps=[{"text": "t", "owner": "o", "due_on": T0.date()}],
            next_review_at=at["now"] + timedelta(days=1),
            by=g1,
            **at,
        ),
        lambda at: actions.document_solution(made, article=solution, text="see", by=g1, **at),
        lambda at: actions.plan_release(
            made, version="1", planned_on=(at["now"] + timedelta(days=4)).date(), by=g1, **at
        ),
        lambda at: actions.resolve(made, cause="c", remedy="r", by=g1, **at),
        lambda at: actions.reopen(made, reason="again", by=a1, **at),
        lambda at: sweep(at["now"]),
        lambda at: on_bridge(
            lambda bridge: rng.choice([actions.note_on_bridge, actions.decide_on_bridge])(
                bridge, text="n", by=rng.choice([a1, g1]), **at
            ),
            at,
        ),
        lambda at: on_bridge(
            lambda bridge: actions.agree_step(
                bridge, text="s", owner=a2, due_at=at["now"] + timedelta(hours=1), by=g1, **at
            ),
            at,
        ),
        lambda at: on_bridge(
            lambda bridge: actions.close_bridge(bridge, summary="s", by=rng.choice([g1, None]), **at), at
        ),
        lambda at: sweep_bridges(at["now"]),
    ]
    for _ in range(18):
        now += timedelta(seconds=rng.choice([1, 59, 299, 300, 301, 1800, 7200, 40_000, 200_000]))
        try:
            rng.choice(moves)({"now": now, "channel": "portal"})
        except actions.Refused:
            continue
    sweep(now + timedelta(hours=1))


@pytest.mark.parametrize("seed", range(12))
def test_replay_equals_live_under_random_verbs(seed, a1, a2, g1, m1):
    rng = random.Random(seed)
    made = incident(a1, T0, rng.choice(["P1", "P2", "P3"]))
    random_life(rng, made, (a1, a2, g1, m1), article(g1, T0))
    out = StringIO()
    call_command("verify_clocks", stdout=out)
    assert "1 incidents replayed, 0 differences." in out.getvalue()


def test_any_altered_column_of_any_row_turns_it_red(a1, a2, g1, m1):
    rng = random.Random(4)
    for _ in range(3):
        random_life(rng, incident(a1, T0), (a1, a2, g1, m1), article(g1, T0, f"s{rng.random()}"[2:]))
    rows = list(Clock.objects.all())
    for _ in range(20):
        row = rng.choice(rows)
        for name, alter in ALTERATIONS.items():
            if name == "receipts" and row.ended_at is None:
                continue
            before = getattr(row, name)
            Clock.objects.filter(pk=row.pk).update(**{name: alter(row)})
            with pytest.raises(CommandError):
                call_command("verify_clocks", row.incident.reference, stdout=StringIO())
            Clock.objects.filter(pk=row.pk).update(**{name: before})
    made = Incident.objects.order_by("pk")[0]
    Incident.objects.filter(pk=made.pk).update(next_due_at=T0 - timedelta(days=400))
    with pytest.raises(CommandError):
        call_command("verify_clocks", stdout=StringIO())


def test_a_sweep_while_it_proves_is_no_difference(a1, monkeypatch):
    """The proof of a live product: the clockwork moves on between the rows of incidents and those of clocks."""
    incident(a1, T0), incident(a1, T0)
    read, looked_again = proof._clocks, []

    def clocks_after_a_sweep(first, last):
        sweep(T0 + timedelta(hours=6))
        return read(first, last)

    def differences(made):
        looked_again.append(made.reference)
        return clockwork.differences(made)

    monkeypatch.setattr(proof, "_clocks", clocks_after_a_sweep)
    monkeypatch.setattr(proof, "differences", differences)
    out = StringIO()
    call_command("verify_clocks", stdout=out)
    assert "2 incidents replayed, 0 differences." in out.getvalue()
    assert len(looked_again) == 2


def test_every_batch_is_proven(a1, monkeypatch):
    monkeypatch.setattr(proof, "BATCH", 2)
    made = [incident(a1, T0) for _ in range(5)]
    Incident.objects.filter(pk=made[-1].pk).update(next_due_at=T0)
    Clock.objects.filter(incident=made[2], kind="first_response").delete()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_clocks", stdout=out)
    assert "5 incidents replayed, 2 differences." in out.getvalue()
    assert f"{made[2].reference} first_response/1/P1/1: missing" in out.getvalue()


def test_sweeping_again_changes_nothing_and_mails_nothing(a1, g1):
    from portal.models import OutboxMessage

    made = incident(a1, T0)
    sweep(T0 + timedelta(hours=6))
    rows = list(made.clocks.order_by("pk").values())
    messages, events = OutboxMessage.objects.count(), made.events.count()
    for _ in range(10):
        sweep(T0 + timedelta(hours=6))
    assert list(made.clocks.order_by("pk").values()) == rows
    assert (OutboxMessage.objects.count(), made.events.count()) == (messages, events)


def test_breaches_are_at_the_due_second_however_late_anybody_looked(a1):
    made = incident(a1, T0)
    sweep(T0 + timedelta(hours=6))
    breached = {
        row.kind: row.breached_at for row in made.clocks.filter(kind__in=["first_response", "target_action"])
    }
    assert breached == {
        "first_response": T0 + timedelta(minutes=15),
        "target_action": T0 + timedelta(hours=4),
    }
    updates = list(
        made.clocks.filter(kind="status_update", state="breached").values_list("breached_at", flat=True)
    )
    assert updates == [T0 + timedelta(minutes=30 * n) for n in range(1, 12)]
