"""Work that may be slow waits apart, and no wake-up outlives its use."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from celery import current_app
from django.conf import settings

from portal import outbox, stopping, turns
from portal.celery import app
from portal.clockwork import ENOUGH, Clockwork
from portal.schedule import CLOCKS, SLOW


def our_tasks() -> list[str]:
    app.loader.import_default_modules()
    return list(settings.CELERY_TASK_ROUTES)


def test_whatever_hangs_leaves_threads_to_the_others() -> None:
    """Each kind of work may hold so many threads; the one worker of `run` has more than all of theirs together."""
    names = {app.tasks[task].run.work_name for task in our_tasks()}
    assert sum(turns.HOLDS[name] for name in names) < settings.CELERY_WORKER_CONCURRENCY


def test_who_comes_while_all_turns_are_taken_does_other_work() -> None:
    entered, leave = threading.Event(), threading.Event()

    def hang() -> str:
        entered.set()
        assert leave.wait(5)
        return "done"

    work = turns.in_turns("a test")(hang)
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(work()))
    thread.start()
    assert entered.wait(5)
    assert work() == turns.OTHERS
    leave.set()
    thread.join()
    assert said == ["done"]
    assert work() == "done"


@pytest.fixture
def clockwork(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Clockwork:
    scheduler = Clockwork(app, schedule_filename=str(tmp_path / "schedule"))
    given: list[str] = []
    monkeypatch.setattr(Clockwork, "apply_async", lambda self, entry, **more: given.append(entry.name))
    scheduler.given = given  # type: ignore[attr-defined]
    yield scheduler
    scheduler.close()


def test_where_nobody_takes_wake_ups_only_the_rare_ones_are_given(
    clockwork: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = {SLOW: ENOUGH, CLOCKS: ENOUGH - 1}
    monkeypatch.setattr(clockwork, "look", lambda queue: lengths.get(queue, 0))
    for name in ("mailbox", "calendars", "clocks"):
        clockwork.apply_entry(clockwork.schedule[name])
    assert clockwork.given == ["calendars", "clocks"]


def test_the_broker_says_how_many_wait_there(clockwork: Any, tmp_path: Any) -> None:
    with current_app.connection_for_write() as connection:
        queue = connection.SimpleQueue("length")
        for _ in range(3):
            queue.put({})
        assert clockwork.look("length") == 3
        queue.clear()
        queue.close()
    assert clockwork.look("length") == 0


def test_a_worker_that_is_to_end_begins_no_more_mails(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed: list[str] = []
    monkeypatch.setattr(outbox, "claim", lambda now: claimed.append("mails") or [])
    monkeypatch.setattr(outbox, "claim_webhooks", lambda *a: claimed.append("webhooks") or [])
    monkeypatch.setattr(stopping, "is_asked", lambda: True)
    from django.utils import timezone

    outbox.sweep(timezone.now())
    assert claimed == []
    monkeypatch.setattr(stopping, "is_asked", lambda: False)
    outbox.sweep(timezone.now())
    assert claimed == ["webhooks", "mails", "webhooks"]
