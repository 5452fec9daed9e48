"""Windows for tests, made by the product's own verbs. Acme and Cloudia use the service, Nordwind does not."""

from __future__ import annotations

from datetime import datetime, timedelta

from maintenance import actions
from maintenance.models import MaintenanceWindow
from portal.models import Organisation, Service, User
from tests.conftest import T0

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = T0 + 7 * DAY  # and it lasts two hours, with the decision after one
END = START + 2 * HOUR
DECISION = START + HOUR


def service(name: str = "Inference API") -> Service:
    return Service.objects.get(name=name)


def by(user: User | None, at: datetime, channel: str = "portal") -> dict:
    return {"by": user, "now": at, "channel": channel}


def draft(author: User, at: datetime = T0, **fields) -> MaintenanceWindow:
    """A whole draft on the Inference API."""
    whole = {
        "title": "Upgrade of the inference cluster",
        "description": "We upgrade the **nodes** one by one.",
        "time_zone": "Europe/Istanbul",
        "starts_at": START,
        "ends_at": END,
        "rollback_decision_at": DECISION,
        "owner": author,
        "steps": ["Drain the nodes", "Upgrade them"],
        "conditions": [("Error rate of the API over 5 minutes", "more than 2 %")],
    }
    if "services" not in fields:
        fields["services"] = [(service(), "outage")]
    return actions.draft_window(**(whole | fields), **by(author, at, "admin"))


def approved(author: User, approver: User, at: datetime = T0, **fields) -> MaintenanceWindow:
    made = draft(author, at, **fields)
    actions.propose(made, **by(author, at))
    return actions.approve(made, **by(approver, at))


def announced(author: User, approver: User, at: datetime = T0, **fields) -> MaintenanceWindow:
    return actions.announce(approved(author, approver, at, **fields), **by(author, at))


def check_all(window: MaintenanceWindow, by_whom: User, at: datetime) -> None:
    """Every step ticked and every condition clear."""
    for step in window.steps.all():
        actions.tick_step(step, is_done=True, **by(by_whom, at))
    for condition in window.conditions.all():
        actions.check_condition(condition, measured="0.1 %", is_met=False, **by(by_whom, at))


def without(organisation: Organisation, name: str = "Inference API") -> None:
    """The organisation stops using a service."""
    organisation.subscriptions.filter(service__name=name).delete()


def kinds(window: MaintenanceWindow) -> list[str]:
    return list(window.events.order_by("pk").values_list("kind", flat=True))
