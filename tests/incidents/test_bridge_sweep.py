"""What time does to a bridge: the silent have left, the abandoned closes by itself, and again changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command

from incidents import actions, tasks
from incidents.bridge_sweep import sweep_bridges
from incidents.models import Bridge, SupportPlan
from incidents.timeline_view import timeline_items
from portal.models import OutboxMessage
from tests import factories
from tests.conftest import T0

BY_PAGE = {"channel": "bridge"}


def after(minutes: float):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture
def p1(a1):
    made = factories.incident(a1, T0)
    SupportPlan.objects.filter(organisation=made.organisation).update(has_bridge=True)
    return made


@pytest.fixture
def bridge(p1, g1):
    return actions.open_bridge(p1, by=g1, now=after(2), **BY_PAGE)


def resolve(p1, g1, minutes):
    actions.resolve(p1, by=g1, now=after(minutes), channel="admin", cause="Disk", remedy="New disk")


def test_who_is_silent_has_left_when_last_seen(bridge, a1, g1):
    actions.join_bridge(bridge, by=a1, now=after(3))
    actions.note_presence(bridge, a1, after(4.5))
    revision = Bridge.objects.get().roster_revision
    assert sweep_bridges(after(5)) == {"bridges": 1}
    left = {stay.person: stay.left_at for stay in bridge.presences.all()}
    assert left == {a1: None, g1: after(2)}
    assert Bridge.objects.get().roster_revision == revision + 1
    sweep_bridges(after(7.4))
    assert bridge.presences.get(person=a1).left_at is None
    sweep_bridges(after(7.5))
    assert bridge.presences.get(person=a1).left_at == after(4.5)


def test_nothing_is_due_before_anybody_can_be_silent(bridge, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert sweep_bridges(after(4.9)) == {"bridges": 0}


def test_closed_bridges_cost_nothing(bridge, g1, django_assert_num_queries):
    actions.close_bridge(bridge, summary="Done", by=g1, now=after(3), **BY_PAGE)
    with django_assert_num_queries(1):
        sweep_bridges(after(5000))


def test_an_unresolved_incident_keeps_its_bridge(bridge):
    for minutes in (10, 60, 600):
        sweep_bridges(after(minutes))
    bridge.refresh_from_db()
    assert bridge.closed_at is None
    assert bridge.attention_at == after(601)


def test_the_bridge_of_a_resolved_incident_closes_when_nobody_is_there(p1, bridge, g1):
    resolve(p1, g1, 5)
    sweep_bridges(after(31.9))
    bridge.refresh_from_db()
    assert bridge.closed_at is None
    assert sweep_bridges(after(33)) == {"bridges": 1}
    bridge.refresh_from_db()
    assert (bridge.closed_at, bridge.closed_by, bridge.summary, bridge.attention_at) == (
        after(33),
        None,
        None,
        None,
    )
    assert not bridge.seats.filter(until_at=None).exists()
    event = p1.events.last()
    assert (event.kind, event.by, event.payload["message"]) == ("bridge_closed", None, None)
    call_command("verify_clocks")


def test_one_who_is_there_keeps_it_open(p1, bridge, g1, a1):
    resolve(p1, g1, 5)
    actions.join_bridge(bridge, by=a1, now=after(6))
    actions.note_presence(bridge, a1, after(39))
    sweep_bridges(after(40))
    bridge.refresh_from_db()
    assert bridge.closed_at is None


def test_sweeping_again_changes_nothing(p1, bridge, g1):
    resolve(p1, g1, 5)
    sweep_bridges(after(40))
    before = (p1.events.count(), OutboxMessage.objects.count(), Bridge.objects.values().get())
    for minutes in (40, 41, 500):
        assert sweep_bridges(after(minutes)) == {"bridges": 0}
    assert (p1.events.count(), OutboxMessage.objects.count(), Bridge.objects.values().get()) == before


def test_a_second_process_that_is_late_does_nothing(p1, bridge, g1, monkeypatch):
    """Both have read that it is due; the first has closed it when the second gets the lock."""
    from incidents import bridge_sweep

    resolve(p1, g1, 5)
    found = []

    def each_twice(ids, step):
        found.extend([step(pk) for pk in ids for _ in range(2)])
        return sum(found)

    monkeypatch.setattr(bridge_sweep, "each", each_twice)
    sweep_bridges(after(40))
    assert found == [True, False]
    assert p1.events.filter(kind="bridge_closed").count() == 1


def test_one_that_fails_does_not_stop_the_others(p1, bridge, g1, a2, monkeypatch, caplog):
    other = actions.open_bridge(factories.incident(a2, T0), by=g1, now=after(2), **BY_PAGE)
    from incidents import bridge_sweep

    good = bridge_sweep._note_silent

    def bad(found, now):
        if found.pk == bridge.pk:
            raise RuntimeError("broken")
        return good(found, now)

    monkeypatch.setattr(bridge_sweep, "_note_silent", bad)
    assert sweep_bridges(after(6)) == {"bridges": 1}
    assert other.presences.get().left_at == after(2)
    assert "broken" in caplog.text


def test_where_nobody_wrote_a_summary_the_timeline_shows_the_facts(p1, bridge, a1, g1):
    actions.decide_on_bridge(bridge, text="Fail over", by=g1, now=after(3), **BY_PAGE)
    actions.side_note(bridge, text="They pay late", by=g1, now=after(4), **BY_PAGE)
    resolve(p1, g1, 5)
    sweep_bridges(after(40))
    for reader in (a1, g1):
        item = timeline_items(p1, reader)[-1]
        assert "Fail over" in item.reason
        assert "pay late" not in item.reason
        assert item.who == "Clockwork"


def test_the_command_and_the_beat_sweep_bridges_too(bridge, capsys, monkeypatch, settings):
    monkeypatch.setattr("django.utils.timezone.now", lambda: after(6))
    call_command("sweep")
    assert "bridges: 1" in capsys.readouterr().out
    entry = settings.CELERY_BEAT_SCHEDULE["bridges"]
    assert (entry["task"], entry["schedule"]) == ("incidents.tasks.sweep_bridges", 15.0)
    assert tasks.sweep_bridges() == {"bridges": 0}
