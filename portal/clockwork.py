"""The clockwork's schedule, for Celery's beat: where nobody takes its wake-ups, it gives no more of them.

Several may run at once, each with a schedule file of its own: the rows decide, so that a second wake-up for the
same work finds none. After a silence of the workers they find a few wake-ups, and not one for each second.
"""

from __future__ import annotations

import time
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry
from celery.schedules import crontab

ENOUGH = 20  # waiting in one queue; each of its entries is among so many
LOOK_SECONDS = 5.0


class Clockwork(PersistentScheduler):
    """Asks the broker every few seconds how many wake-ups wait in each queue."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.seen: dict[str, tuple[float, int]] = {}
        super().__init__(*args, **kwargs)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Leave out a wake-up of every few seconds where enough wait; the rare ones are always given."""
        is_rare = isinstance(entry.schedule, crontab)
        if is_rare or self.waiting(self.app.conf.task_routes[entry.task]["queue"]) < ENOUGH:
            super().apply_entry(entry, producer=producer)

    def waiting(self, queue: str) -> int:
        """How many wake-ups wait there, as of a few seconds ago; 0 where that cannot be told."""
        looked_at, count = self.seen.get(queue, (float("-inf"), 0))
        now = time.monotonic()
        if now - looked_at > LOOK_SECONDS:
            count = self.look(queue)
            self.seen[queue] = (now, count)
        return count

    def look(self, queue: str) -> int:
        broker = self.connection
        try:
            with broker.channel() as channel:
                found = channel.queue_declare(queue, passive=True)  # type: ignore[attr-defined]
                return int(found.message_count)
        except broker.channel_errors:  # an empty queue is none at some brokers
            return 0
        except broker.connection_errors:  # whoever gives the wake-up says that the broker is away
            return 0
