"""The demo's second half: maintenance past and to come, what went wrong in it, and what was announced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from incidents import actions as actions_of_incidents
from incidents.models import RCA
from incidents.overruns import owe_rcas
from maintenance import actions
from maintenance.models import MaintenanceWindow
from maintenance.sweep import sweep
from portal import announcing
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
        self.explained()
        self.frozen()
        self.upcoming()
        self.waiting_for_approval()
        self.announcements()

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
        start = self.at_night(-11)
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

    # --- what went wrong, and what prevents it ---

    def explained(self) -> None:
        """The RCA of the window that was rolled back."""
        closed = self.at_night(-20) + timedelta(hours=3)
        owe_rcas(closed)
        of_window = RCA.objects.get(window__isnull=False)
        self.publish(
            of_window,
            closed + 3 * Day,
            {
                "impact": "About one agent run in thirty failed for 50 minutes, and had to be started again.",
                "root_cause": "The new queue held a connection per run. At night's load its pool was exhausted, "
                "so runs timed out while they waited for one.",
                "contributing_factors": "The load test before it used half of the runs of a usual night.",
                "went_well": "The limit of the rollback condition was right: the rollback began a minute after it.",
            },
            [
                ("prevent", "One connection for many runs, with a limit per organisation", "deniz", -4),
                ("detect", "Alarm on runs that wait for a connection for more than 2 s", "elif", -9),
                ("mitigate", "Load tests at twice the runs of the busiest night", "deniz", 6),
            ],
        )
        first, second, _third = of_window.actions.order_by("number")
        actions_of_incidents.close_action(
            second,
            evidence="The alarm is live since then, and fired in the drill.",
            **self.staff("elif", self.now - 10 * Day),
        )
        actions_of_incidents.move_action(
            first,
            due_on=(self.now + 5 * Day).date(),
            reason="The limit per organisation needs a second review.",
            **self.staff("deniz", self.now - 5 * Day),
        )

    def publish(
        self, rca: RCA, at: datetime, texts: dict[str, str], acts: list[tuple[str, str, str, int]]
    ) -> None:
        """Written by Deniz, read by Elif, published by the duty manager. Due days count from today."""
        actions_of_incidents.draft_rca(rca, **self.staff("deniz", at - 2 * Day))
        actions_of_incidents.save_rca(
            rca,
            texts=texts,
            actions=[
                actions_of_incidents.ActionInput(
                    kind=kind,
                    text=text,
                    owner=self.people[owner],
                    due_on=(self.now + days * Day).date(),
                )
                for kind, text, owner, days in acts
            ],
            **self.staff("deniz", at - 1 * Day),
        )
        actions_of_incidents.submit_rca(rca, **self.staff("deniz", at - 1 * Day))
        actions_of_incidents.approve_rca(rca, **self.staff("elif", at - timedelta(hours=3)))
        actions_of_incidents.publish_rca(rca, **self.staff("mert", at))

    def announcements(self) -> None:
        """One that everybody read days ago, and a pinned one."""
        for days, title, text, is_pinned in [
            (15, "Invoices move to the console", "From next month you find them under **Usage**.", False),
            (
                2,
                "A third region opens on 1 March",
                "It serves all models from its first day.\n\n- Nothing changes for you\n- Ask us if you want to move",
                True,
            ),
        ]:
            at = self.now - days * Day
            written = announcing.write(by=self.people["elif"], now=at, title=title, text=text, audience="all")
            announcing.publish(written, by=self.people["mert"], now=at)
            if is_pinned:
                announcing.pin(written, by=self.people["mert"], now=at)
