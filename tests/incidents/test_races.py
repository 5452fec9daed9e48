"""Group C of the attacks: two who act at the same moment. PostgreSQL runs them side by side; SQLite has one writer."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection

from incidents import actions
from incidents.models import Clock, Incident
from tests.conftest import T0
from tests.factories import incident

ROUNDS = 200
NOW = {"now": T0 + timedelta(minutes=3), "channel": "admin"}


def side_by_side(*acts):
    """What each act raised (None where it passed), in the order of the acts."""
    outcomes = [None] * len(acts)
    barrier = threading.Barrier(len(acts))

    def run(number, act, wait):
        try:
            if wait:
                barrier.wait(10)
            act()
        except Exception as error:
            outcomes[number] = error
        finally:
            if wait:
                connection.close()

    if connection.vendor == "sqlite":
        for number, act in enumerate(acts):
            run(number, act, wait=False)
        return outcomes
    threads = [threading.Thread(target=run, args=[number, act, True]) for number, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def rounds(transactional_db, a1):
    """Fewer where no two run side by side: there the order is all that differs."""
    return ROUNDS if connection.vendor == "postgresql" else 3


def fresh(pk):
    return Incident.objects.get(pk=pk)


def test_of_two_who_start_an_intervention_one_does_and_the_other_is_told_who(rounds, a1, g1, g2):
    for _ in range(rounds // 4 + 1):
        made = incident(a1, T0)
        outcomes = side_by_side(
            *(
                lambda by=by, made=made: actions.start_intervention(fresh(made.pk), by=by, **NOW)
                for by in (g1, g2)
            )
        )
        refused = [error for error in outcomes if error is not None]
        assert [type(error) for error in refused] == [actions.Refused]
        after = fresh(made.pk)
        winner = g1 if outcomes[0] is None else g2
        assert (after.intervention_by, after.assignee) == (winner, winner)
        assert made.events.filter(kind="intervention_started").count() == 1


def test_two_who_answer_at_once_are_both_heard_in_order_and_the_first_response_is_one(rounds, a1, g1, g2):
    made = incident(a1, T0)
    for number in range(rounds):
        outcomes = side_by_side(
            lambda n=number: actions.reply(fresh(made.pk), text=f"one {n}", by=g1, **NOW),
            lambda n=number: actions.reply(fresh(made.pk), text=f"two {n}", by=g2, **NOW),
        )
        assert outcomes == [None, None]
    replies = made.messages.filter(kind="reply").order_by("pk")
    assert replies.count() == 2 * rounds
    events = made.events.filter(kind="staff_replied")
    told = [event.payload["message"] for event in events.order_by("pk")]
    assert told == sorted(told) == list(replies.values_list("pk", flat=True))
    first = Clock.objects.get(incident=made, kind="first_response")
    assert (first.state, first.met_at) == ("met", NOW["now"])
    assert fresh(made.pk).first_response_at == NOW["now"]


def test_of_two_forms_with_one_revision_the_second_is_refused_and_loses_nothing(rounds, a1, g1, g2):
    for _ in range(rounds // 4 + 1):
        made = incident(a1, T0)
        read = fresh(made.pk).revision
        outcomes = side_by_side(
            lambda made=made, r=read: actions.validate_level(
                fresh(made.pk), level="P2", reason="Partly.", by=g1, revision=r, **NOW
            ),
            lambda made=made, r=read: actions.assign(fresh(made.pk), assignee=g2, by=g2, revision=r, **NOW),
        )
        refused = [error for error in outcomes if error is not None]
        assert [getattr(error, "kind", error) for error in refused] == ["stale"]
        after = fresh(made.pk)
        assert (after.validated_level == "P2") != (after.assignee == g2)
        assert after.revision == read + 1


def test_level_and_owner_changed_at_once_are_both_kept(rounds, a1, g1, g2):
    for _ in range(rounds // 4 + 1):
        made = incident(a1, T0)
        outcomes = side_by_side(
            lambda made=made: actions.validate_level(
                fresh(made.pk), level="P2", reason="Partly.", by=g1, **NOW
            ),
            lambda made=made: actions.assign(fresh(made.pk), assignee=g2, by=g2, **NOW),
        )
        assert outcomes == [None, None]
        after = fresh(made.pk)
        assert (after.validated_level, after.level, after.assignee) == ("P2", "P2", g2)
