"""Plain functions that make what tests need, by the product's own verbs where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from incidents import actions
from incidents.defaults import plan_for
from incidents.desk import write_version
from incidents.models import Article, Incident, SupportPlan
from portal.models import Endpoint, Membership, Organisation, Service, ServiceSubscription, User

CANARY = "canary-7f3a"
PASSWORD = "correct-horse-9"


def organisation(name: str) -> Organisation:
    found = Organisation.objects.create(name=name, slug=name.lower())
    for label in ("Inference API", "Vector Store"):
        service, _ = Service.objects.get_or_create(name=label, slug=label.lower().replace(" ", "-"))
        ServiceSubscription.objects.create(organisation=found, service=service)
    return found


def person(email: str, name: str, of: Organisation, role: str, *, is_p1_contact: bool = False) -> User:
    user = User.objects.create_user(email, PASSWORD, name=name)
    Membership.objects.create(user=user, organisation=of, role=role, is_p1_contact=is_p1_contact)
    return user


def agent(email: str, name: str, role: str = "agent", **fields) -> User:
    return User.objects.create_user(email, PASSWORD, name=name, is_staff=True, staff_role=role, **fields)


def incident(by: User, now: datetime, level: str = "P1", title: str = "API down", **fields) -> Incident:
    of = by.memberships.get().organisation
    plan_for(of, now)
    return actions.open_incident(
        organisation=fields.pop("organisation", of),
        reporter=by,
        by=by,
        now=now,
        channel="portal",
        title=title,
        claimed_level=level,
        services=fields.pop("services", None) or list(Service.objects.used_by(of)[:1]),
        **fields,
    )


def article(
    author: User, now: datetime, slug: str = "fix", *, is_published: bool = True, **fields
) -> Article:
    made = Article.objects.create(slug=slug, **fields)
    write_version(
        made, by=author, now=now, title=f"How to {slug}", text="Do **this**.", is_published=is_published
    )
    return made


def channel(of: Organisation, service: str = "webhook", **fields) -> Endpoint:
    """The organisation's own channel, under a plan that has one."""
    plan_for(of, timezone.now())
    SupportPlan.objects.filter(organisation=of).update(has_dedicated_channel=True)
    fields = {"name": f"{of}'s room", "url": f"https://{of.slug}.example/hook"} | fields
    return Endpoint.objects.create(organisation=of, use="channel", service=service, **fields)


def webhooks(of: Organisation, events: Sequence[str] = ("*",), **fields) -> Endpoint:
    """The organisation's webhooks, for the events named."""
    fields = {"name": f"{of}'s machine", "url": f"https://{of.slug}.example/machine"} | fields
    return Endpoint.objects.create(organisation=of, use="webhooks", events=list(events), **fields)


def clock(incident: Incident, kind: str, **more):
    """The newest clock row of a kind."""
    return incident.clocks.filter(kind=kind, **more).order_by("-pk").first()
