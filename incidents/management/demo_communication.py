"""The demo's second half: maintenance past and to come, what went wrong in it, and what was announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from maintenance import actions
from maintenance.models import MaintenanceWindow
from maintenance.sweep import sweep
from portal.models import Organisation, Service, User

Day = timedelta(days=1)
STEPS = [
    "Take a snapshot and verify that it restores",
    "Move the traffic to the second region",
    "Upgrade the first region, node by node",
    "Move the traffic back and watch it for 15 minutes",
]
CONDITIONS = [
    ("Share of failed requests over 5 minutes", "more than 1 %"),
    ("95th percentile of the answer time over 5 minutes", "more than 2 s"),
]


class Communication:
    """Loads windows, freezes and announcements by the verbs, each at its own time."""

    def __init__(self, people: dict[str, User], services: list[Service], now: datetime) -> None:
        self.people, self.services, self.now = people, services, now

    def load(self) -> None:
        """Everything that lies behind first, then what is to come."""
        self.rolled_back()
        self.completed()
        self.frozen()
        self.upcoming()
        self.waiting_for_approval()

    def staff(self, who: str, at: datetime) -> dict[str, Any]:
        return {"by": self.people[who], "now": at, "channel": "admin"}

    def at_night(self, days: int) -> datetime:
        """22:00 UTC, so many days from today (negative: ago)."""
        return (self.now + days * Day).replace(hour=22, minute=0)

    def drafted(
        self,
        title: str,
        text: str,
        services: list[tuple[int, str]],
        starts_at: datetime,
        written_at: datetime,
    ) -> MaintenanceWindow:
        return actions.draft_window(
            title=title,
            description=text,
            time_zone="Europe/Istanbul",
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=3),
            rollback_decision_at=starts_at + timedelta(hours=2),
            owner=self.people["deniz"],
            services=[(self.services[n], impact) for n, impact in services],
            steps=STEPS,
            conditions=CONDITIONS,
            **self.staff("deniz", written_at),
        )

    def announced(self, *about: Any) -> MaintenanceWindow:
        window = self.drafted(*about)
        written_at = about[-1]
        actions.propose(window, **self.staff("deniz", written_at + timedelta(hours=1)))
        actions.approve(window, **self.staff("elif", written_at + timedelta(hours=3)))
        actions.announce(window, **self.staff("elif", written_at + timedelta(hours=4)))
        return window

    def completed(self) -> None:
        start = self.at_night(-9)
        window = self.announced(
            "Upgrade of the vector store's storage",
            "We move the indexes to faster disks. Searches go on; new rows appear a few seconds later.",
            [(2, "reduced_redundancy")],
            start,
            start - 8 * Day,
        )
        sweep(start)
        self.tick(window, start, len(STEPS))
        self.check(window, start + timedelta(minutes=100), "0.02 %", "0.4 s")
        actions.begin_verification(window, **self.staff("deniz", start + timedelta(minutes=105)))
        actions.complete(
            window,
            outcome="All indexes are on the new disks. Searches are about a third faster.",
            **self.staff("deniz", start + timedelta(minutes=130)),
        )

    def rolled_back(self) -> None:
        start = self.at_night(-20)
        window = self.announced(
            "New queue for agent runs",
            "Runs that are under way wait up to ten minutes while the queue changes.",
            [(3, "degraded")],
            start,
            start - 9 * Day,
        )
        sweep(start)
        self.tick(window, start, 2)
        actions.post(
            window,
            text="The second region runs on the new queue. We see more waiting runs than expected and are looking.",
            next_update_at=start + timedelta(minutes=100),
            **self.staff("deniz", start + timedelta(minutes=70)),
        )
        self.check(window, start + timedelta(minutes=118), "3.4 %", "0.9 s", is_met=True)
        actions.decide(
            window,
            decision="roll_back",
            reason="Failed runs are above the agreed limit. We go back to the old queue.",
            **self.staff("deniz", start + timedelta(minutes=119)),
        )
        actions.begin_verification(window, **self.staff("deniz", start + timedelta(minutes=150)))
        actions.complete(
            window,
            outcome="The old queue is back and no run was lost. We will announce a new attempt.",
            **self.staff("deniz", start + timedelta(minutes=170)),
        )

    def tick(self, window: MaintenanceWindow, start: datetime, count: int) -> None:
        for n, step in enumerate(window.steps.order_by("position")[:count], start=1):
            at = start + timedelta(minutes=n * 100 / len(STEPS))
            actions.tick_step(step, is_done=True, **self.staff("deniz", at.replace(second=0, microsecond=0)))

    def check(
        self, window: MaintenanceWindow, at: datetime, failed: str, time: str, *, is_met: bool = False
    ) -> None:
        first, second = window.conditions.order_by("position")
        actions.check_condition(first, measured=failed, is_met=is_met, **self.staff("deniz", at))
        actions.check_condition(second, measured=time, is_met=False, **self.staff("deniz", at))

    def frozen(self) -> None:
        start = self.at_night(5)
        actions.enter_freeze(
            Organisation.objects.get(slug="nordwind"),
            service=None,
            starts_at=start - timedelta(hours=4),
            ends_at=start + 2 * Day,
            reason="Peak of our season: no changes, please.",
            by=self.people["bruno"],
            now=self.now - 6 * Day,
            channel="portal",
        )

    def upcoming(self) -> None:
        """Announced; it overlaps Nordwind's freeze, so Nordwind is asked."""
        self.announced(
            "Certificates of the Inference API",
            "We change the certificates of all entry points. Open streams are closed once, within ten minutes.",
            [(0, "degraded"), (3, "reduced_redundancy")],
            self.at_night(5),
            self.now - 4 * Day,
        )

    def waiting_for_approval(self) -> None:
        window = self.drafted(
            "New queue for agent runs, second attempt",
            "The queue was fixed and tested under twice the load.",
            [(3, "degraded")],
            self.at_night(13),
            self.now - timedelta(hours=5),
        )
        actions.propose(window, **self.staff("deniz", self.now - timedelta(hours=4)))
