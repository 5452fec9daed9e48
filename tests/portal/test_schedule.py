"""Which queue a wake-up waits in, and for how long: nothing slow stands before a mail or a clock."""

from __future__ import annotations

import re

import pytest
from celery import current_app
from django.conf import settings

from portal import schedule
from portal.management.commands.run import Command

OURS = re.compile(r"(portal|incidents|maintenance)\.")


@pytest.fixture(scope="module")
def tasks():
    current_app.loader.import_default_modules()
    return {name for name in current_app.tasks if OURS.match(name)}


def queue_of(task):
    return current_app.amqp.router.route({}, task)["queue"].name


def test_every_task_has_a_queue_of_its_own_choice(tasks):
    assert tasks == set(schedule.routes())
    assert {queue_of(task) for task in tasks} == {queue.name for queue in settings.CELERY_TASK_QUEUES}


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("incidents.tasks.sweep_incidents", "clocks"),
        ("portal.tasks.sweep_outbox", "mail"),
        ("portal.tasks.deliver_outbox", "mail"),
        ("portal.tasks.sweep_webhooks", "webhooks"),
        ("incidents.tasks.poll_mailbox", "slow"),
        ("incidents.tasks.send_monthly_reports", "slow"),
    ],
)
def test_what_may_hang_waits_in_no_queue_of_mails_or_clocks(task, queue):
    assert queue_of(task) == queue


def test_every_task_of_the_clockwork_exists(tasks):
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= tasks


def test_a_wake_up_that_waited_too_long_is_thrown_away():
    """Not before the next one is there, nor because two machines' clocks differ by some seconds."""
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        period = entry["schedule"] if isinstance(entry["schedule"], float) else 0
        assert max(60, period) <= entry["options"]["expires"] <= 3600, name


def test_the_one_worker_of_make_run_serves_every_queue():
    worker = next(child for child in Command().children(8000) if child.name == "worker")
    assert "-Q" not in worker.command
