"""Something of everything that an address names, by the product's own verbs, in the states that its verbs need.

Times are around the present, for the engine asks now: a window under way ends an hour from now.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from incidents import actions
from incidents.defaults import plan_for
from incidents.models import RCA, Incident, SupportPlan
from maintenance import actions as maintenance
from portal import announcing, invitation_verbs, tokens
from portal.models import Endpoint, Organisation, Team, User
from tests import factories
from tests.incidents import rca_world
from tests.maintenance import world as windows

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PORTAL = {"channel": "portal"}


def fill(now: datetime, cast: dict[str, User], acme: Organisation, nordwind: Organisation) -> None:
    """Two organisations; what `cast` names is theirs and the staff's."""
    for organisation in (acme, nordwind):
        plan_for(organisation, now - 30 * DAY)
    SupportPlan.objects.update(has_bridge=True, has_dedicated_channel=True)
    work(now, cast, acme)  # before the incidents, for an open P1 forbids it
    incidents(now, cast)
    rcas(now, cast)
    rooms(now, cast, acme)


def incidents(now: datetime, cast: dict[str, User]) -> None:
    """Fresh ones, one on a bridge with a step, one with a release that is planned, and a stranger's."""
    a1, g1 = cast["a1"], cast["g1"]
    for number in range(3):
        factories.incident(a1, now - HOUR, title=f"Ours {number}")
    factories.incident(cast["b1"], now - HOUR, title="Theirs")
    called = factories.incident(a1, now - HOUR, title="On a bridge")
    bridge = actions.open_bridge(called, by=g1, now=now - 50 * MINUTE, channel="bridge")
    due = now + HOUR
    actions.agree_step(
        bridge, text="Fail over", owner=g1, due_at=due, by=g1, now=now - MINUTE, channel="bridge"
    )
    planned = factories.incident(a1, now - DAY, level="P3", title="To be released")
    day = (now + 5 * DAY).date()
    actions.plan_release(planned, version="2.1", planned_on=day, by=g1, now=now - HOUR, **PORTAL)


def rcas(now: datetime, cast: dict[str, User]) -> None:
    """One that is published, one that waits for its review, and one of a window that was rolled back."""
    a1, g1, g2 = cast["a1"], cast["g1"], cast["g2"]
    rca_world.published(rca_of(a1, g1, now), g1, g2, now - HOUR)
    rca_world.written(rca_of(a1, g1, now), g2, now - HOUR)
    window = rca_world.window_for(a1.memberships.get().organisation, g1, cast["m1"])
    rca_world.published(RCA.objects.create(window=window, due_at=now + DAY), g1, g2, now - HOUR)


def rca_of(reporter: User, staff: User, now: datetime) -> RCA:
    made: Incident = rca_world.resolved(reporter, staff, now=now - DAY)
    return rca_world.rca_of(made)


def work(now: datetime, cast: dict[str, User], acme: Organisation) -> None:
    """A window to be approved, one that waits for a consent, and one under way."""
    g1, g2, start = cast["g1"], cast["g2"], now + 10 * DAY
    maintenance.enter_freeze(
        acme,
        starts_at=start - HOUR,
        ends_at=start + 5 * HOUR,
        reason="The close of the year",
        by=cast["a2"],
        now=now - 10 * DAY,
        **PORTAL,
    )
    when = {"starts_at": start, "ends_at": start + 2 * HOUR, "rollback_decision_at": start + HOUR}
    windows.announced(g1, g2, now - DAY, **when)
    later = {name: moment + 5 * DAY for name, moment in when.items()}
    maintenance.propose(windows.draft(g2, now - DAY, **later), **windows.by(g2, now - DAY))
    when = {"starts_at": now - HOUR, "ends_at": now + HOUR, "rollback_decision_at": now + HOUR / 2}
    running = windows.announced(g1, g2, now - 9 * DAY, **when)
    maintenance.start(running, **windows.by(g1, now - HOUR / 2))


def rooms(now: datetime, cast: dict[str, User], acme: Organisation) -> None:
    """An article, announcements in each state, webhooks, a dedicated channel, a team, an invitation, a token."""
    a1, a2, g1, m1 = cast["a1"], cast["a2"], cast["g1"], cast["m1"]
    factories.article(g1, now - DAY, "how-to")
    for is_out in (True, False):
        words = {"title": "A new region", "text": "We **open** one.", "audience": "all"}
        made = announcing.write(by=g1, now=now - DAY, **words)
        if is_out:
            announcing.publish(made, by=m1, now=now - DAY)
    Endpoint.objects.create(
        name="Hooks", url="https://hooks.example.com/x", use="webhooks", organisation=acme
    )
    factories.channel(acme, "slack", access_token="xoxb", room_id="C02")
    Team.objects.create(organisation=acme, name="Night shift")
    invitation_verbs.invite(acme, email="new@acme.example", role="member", by=a2, now=now)
    tokens.create(a1, name="another", scope="read", days=9, now=now, by=a1)
