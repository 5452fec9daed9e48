"""An RCA from its debt to its publication, by the product's own verbs; times are offsets from T0."""

from __future__ import annotations

from datetime import date, timedelta

from incidents import actions
from incidents.actions import ActionInput, MomentInput, RedactionInput
from incidents.defaults import plan_for, vendor_organisation
from incidents.models import RCA, Incident
from maintenance.models import MaintenanceWindow, WindowOrganisation
from portal.models import Service
from tests.conftest import T0
from tests.factories import incident

DUE = date(2026, 3, 20)


def at(minutes: float = 0, **more):
    return T0 + timedelta(minutes=minutes, **more)


def resolved(by, staff, level: str = "P1", now=T0, **fields) -> Incident:
    made = incident(by, now, level=level, **fields)
    actions.start_intervention(made, by=staff, now=now + timedelta(minutes=5), channel="admin")
    actions.resolve(
        made,
        by=staff,
        now=now + timedelta(minutes=60),
        channel="admin",
        cause="A certificate expired.",
        remedy="It was renewed.",
    )
    return made


def rca_of(made) -> RCA:
    return RCA.objects.get(incident=made.parent_id or made.pk)


def one_action(owner, **more):
    given = {"kind": "prevent", "text": "Alarm 30 days before expiry", "owner": owner, "due_on": DUE} | more
    return ActionInput(**given)


def written(rca: RCA, author, now=None, *, acts=None, texts=None, redactions=None, moments=None) -> RCA:
    """Drafted and saved: a text that may be submitted."""
    now = now or at(120)
    actions.draft_rca(rca, by=author, now=now, channel="admin")
    actions.save_rca(
        rca,
        by=author,
        now=now,
        channel="admin",
        texts={"impact": "All requests failed.", "root_cause": "Nobody watched it."} | (texts or {}),
        actions=acts if acts is not None else [one_action(author)],
        redactions=redactions,
        moments=moments,
        revision=rca.revision,
    )
    return rca


def approved(rca: RCA, author, reviewer, now=None, **more) -> RCA:
    now = now or at(180)
    written(rca, author, now, **more)
    actions.submit_rca(rca, by=author, now=now, channel="admin")
    actions.approve_rca(rca, by=reviewer, now=now, channel="admin")
    return rca


def published(rca: RCA, author, reviewer, now=None, **more) -> RCA:
    now = now or at(240)
    approved(rca, author, reviewer, now, **more)
    actions.publish_rca(rca, by=reviewer, now=now, channel="admin")
    return rca


def revised(rca: RCA, author, reviewer, now, note="We found more.", **save) -> RCA:
    actions.revise_rca(rca, by=author, now=now, channel="admin")
    if save:
        actions.save_rca(rca, by=author, now=now, channel="admin", **save)
    actions.submit_rca(rca, by=author, now=now, channel="admin")
    actions.approve_rca(rca, by=reviewer, now=now, channel="admin")
    actions.publish_rca(rca, by=reviewer, now=now, channel="admin", note=note)
    return rca


def window_for(organisation, g1, m1):
    window = MaintenanceWindow.objects.create(
        title="Move the database",
        description="x",
        status="rolled_back",
        starts_at=T0,
        ends_at=at(120),
        rollback_decision_at=at(60),
        owner=g1,
        author=m1,
        announced_at=at(-9000),
        started_at=T0,
        overrun_at=at(120),
        rollback_ordered_at=at(130),
        ended_at=at(180),
        outcome="Rolled back; nothing is lost.",
    )
    WindowOrganisation.objects.create(window=window, organisation=organisation, since=T0)
    window.posts.create(author=g1, text="Half of the steps are done.\nMore.", at=at(70))
    window.posts.create(author=g1, text="Internal words.", at=at(71), is_public=False)
    window.affected.create(service=Service.objects.order_by("pk")[0], impact="outage")
    return window


def family(a1, b1, g1):
    """A parent with a child of Acme and one of Nordwind, all resolved."""
    vendor = vendor_organisation(T0)
    service = Service.objects.order_by("pk")[0]

    def opened(organisation, parent=None):
        plan_for(organisation, T0)
        return actions.open_incident(
            organisation=organisation,
            reporter=None,
            by=None,
            now=T0,
            channel="alarm",
            title="API down",
            claimed_level="P1",
            services=[service],
            parent=parent,
        )

    parent = opened(vendor)
    return parent, [opened(who.memberships.get().organisation, parent) for who in (a1, b1)]


def solve(made, staff, now):
    actions.resolve(made, by=staff, now=now, channel="admin", cause="A cable.", remedy="Replaced.")


__all__ = ["DUE", "MomentInput", "RedactionInput", "approved", "at", "one_action", "published", "rca_of"]
__all__ += ["family", "resolved", "revised", "solve", "window_for", "written"]
