"""The live bridge as people read it: both sides the same page, cut for the reader, in a constant number of queries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.utils import timezone, translation

from incidents import actions, present
from incidents.models import (
    Bridge,
    BridgePresence,
    BridgeRole,
    BridgeStep,
    Incident,
    IncidentEvent,
    Level,
    Message,
    StatusUpdate,
    SupportPlan,
)
from incidents.models.incident import IncidentQuerySet
from incidents.sight import writers_who_may_see
from incidents.standard import Situation, update_form
from incidents.timeline_view import TimelineItem, timeline_items
from portal.access import WRITERS, with_limits
from portal.models import Membership, User
from portal.standard_form import StandardForm

SHOWN = 40  # entries of the live timeline; the incident's page has them all
NAMED = 12  # people of one side who are named at once; the others are folded
PAST_SHOWN = 10
HEARTBEAT = timedelta(seconds=60)


# --- what a poll asks ---


@dataclass
class Watch:
    """What two small queries tell of a viewer and a bridge: enough to say whether anything changed for them.

    For a customer nothing here moves with what is internal: their last event is the last public one, and
    neither the revision of the incident nor when its clocks were computed is looked at.
    """

    user: User
    pk: int
    is_writer: bool
    bridge: int | None = None
    is_open: bool = False
    roster: int = 0
    last_event: int | None = None
    seen_at: datetime | None = None

    @cached_property
    def incident(self) -> Incident:
        """The whole row, which only an answer with content needs."""
        visible = Incident.objects.visible_to(self.user)
        return visible.select_related("organisation", "assignee", "reporter").get(pk=self.pk)

    @property
    def is_present(self) -> bool:
        return self.seen_at is not None

    def etag_of_region(self, now: datetime) -> str:
        """The same for everybody who reads the same bytes; it changes each minute, for clocks run on."""
        parts = (
            self.pk,
            self.bridge,
            self.roster,
            self.last_event,
            self.user.is_agent,
            self.is_writer,
            int(now.timestamp()) // 60,
            timezone.get_current_timezone_name(),
            translation.get_language(),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def is_due_to_be_noted(self, now: datetime) -> bool:
        """Whether the viewer, who is on the bridge, was last noted a minute ago or more."""
        return self.seen_at is not None and self.seen_at <= now - HEARTBEAT


def watch(user: User, reference: str) -> Watch | None:
    """What a poll needs to know, in two queries; None where the user may not see the incident."""
    roles = Membership.objects.filter(organisation=OuterRef("organisation"), user=user, role__in=WRITERS)
    visible = Incident.objects.visible_to(user).by_reference(reference)
    found = visible.annotate(written_as=Subquery(roles.order_by().values("role")[:1])).values_list(
        "pk", "written_as"
    )
    row = found.first()
    if row is None:
        return None
    pk, written_as = row
    watching = Watch(user, pk, is_writer=user.is_agent or bool(written_as))
    _look_at_bridge(watching)
    return watching


def _look_at_bridge(watching: Watch) -> None:
    events = IncidentEvent.objects.filter(incident=OuterRef("incident")).order_by("-pk")
    if not watching.user.is_agent:
        events = events.filter(is_public=True)
    stays = BridgePresence.objects.filter(bridge=OuterRef("pk"), person=watching.user, left_at=None)
    bridges = Bridge.objects.filter(incident=watching.pk).annotate(
        last_event=Subquery(events.values("pk")[:1]), seen_at=Subquery(stays.values("seen_at")[:1])
    )
    shown = bridges.order_by("-pk").values_list("pk", "closed_at", "roster_revision", "last_event", "seen_at")
    row = shown.first()
    if row is not None:
        watching.bridge, closed_at, watching.roster, watching.last_event, watching.seen_at = row
        watching.is_open = closed_at is None


# --- the people ---


@dataclass(frozen=True)
class Stay:
    """One person on the bridge: since when, or until when they were last there."""

    name: str
    parts: list[str]
    joined_at: datetime
    left_at: datetime | None


@dataclass
class Side:
    """The people of one side: who is here, and who was."""

    name: str
    is_staff: bool
    here: list[Stay] = field(default_factory=list)
    gone: list[Stay] = field(default_factory=list)

    @property
    def named(self) -> list[Stay]:
        return self.here[:NAMED]

    @property
    def folded(self) -> list[Stay]:
        return self.here[NAMED:]


@dataclass(frozen=True)
class Part:
    """A part on the bridge and who has it; nobody yet where `holder` is None."""

    role: str
    label: str
    holder: User | None


def parts_of(bridge: Bridge) -> list[Part]:
    """Every part, with its present holder; of a closed bridge the last one."""
    holders = {seat.role: seat.person for seat in bridge.seats.select_related("person").order_by("pk")}
    return [Part(value, str(label), holders.get(value)) for value, label in BridgeRole.choices]


def sides_of(bridge: Bridge, parts: Iterable[Part], brand: str) -> list[Side]:
    """The customer's side and the vendor's. Each person once: here, or gone when they last left."""
    customer, staff = Side(str(bridge.incident.organisation), False), Side(brand, True)
    labels: dict[int, list[str]] = {}
    for part in parts:
        if part.holder is not None:
            labels.setdefault(part.holder.pk, []).append(part.label)
    latest = {stay.person_id: stay for stay in bridge.presences.select_related("person").order_by("pk")}
    for stay in latest.values():
        side = staff if stay.person.is_staff else customer
        shown = Stay(str(stay.person), labels.get(stay.person_id, []), stay.joined_at, stay.left_at)
        (side.here if stay.left_at is None else side.gone).append(shown)
    for side in (customer, staff):
        side.here.sort(key=lambda stay: (not stay.parts, stay.joined_at))
        side.gone.sort(key=lambda stay: stay.left_at or stay.joined_at, reverse=True)
    return [staff, customer]


def people_to_choose(incident: Incident, bridge: Bridge | None, user: User) -> tuple[list[User], list[User]]:
    """(staff, customer's writers) who can be given something. A customer is offered the staff they meet here."""
    customers = writers_who_may_see(incident).filter(is_staff=False)
    staff = User.objects.filter(is_active=True, is_staff=True).exclude(staff_role="", is_superuser=False)
    staff = with_limits(staff, incident.organisation_id)
    if not user.is_agent:
        met = Q(pk=incident.assignee_id)
        if bridge is not None:
            met |= Q(pk__in=bridge.presences.values("person")) | Q(pk__in=bridge.seats.values("person"))
        staff = staff.filter(met)
    return list(staff.order_by("name", "pk")), list(customers.order_by("name", "pk"))


# --- what is shown ---


def latest_update(incident: Incident) -> StandardForm | None:
    """The status update that holds, in the standard form."""
    published = incident.status_updates.filter(state=StatusUpdate.State.PUBLISHED)
    update = published.order_by("-published_at", "-pk").first()
    if update is None:
        return None
    update.incident = incident
    return update_form(update, Situation.of(incident))


def steps_of(bridge: Bridge) -> list[BridgeStep]:
    """What is to be done by due time, then what is done, newest first."""
    steps = list(bridge.steps.select_related("owner", "done_by").order_by("due_at", "pk"))
    done = sorted((step for step in steps if step.done_at), key=lambda step: step.done_at, reverse=True)  # type: ignore[arg-type, return-value]
    return [step for step in steps if not step.done_at] + done


def decisions_of(bridge: Bridge, user: User) -> list[Message]:
    """The decisions taken on this bridge, oldest first."""
    events = IncidentEvent.objects.visible_to(user).filter(
        incident=bridge.incident_id, kind="bridge_decided", payload__bridge=bridge.pk
    )
    wanted = [event.payload["message"] for event in events.order_by("pk")]
    found = Message.objects.visible_to(user).select_related("author").in_bulk(wanted)
    return [found[pk] for pk in wanted if pk in found]


def live_items(bridge: Bridge, user: User) -> list[TimelineItem]:
    """The newest of what happened since the bridge opened, newest first."""
    items = timeline_items(bridge.incident, user, since=bridge.opened_at, latest=SHOWN)
    return items[::-1]


def region_context(incident: Incident, bridge: Bridge | None, user: User, now: datetime) -> dict[str, Any]:
    """What the live parts of the page show, the same for all who read the same side in one language and zone."""
    views = present.clock_views(incident, now)
    context: dict[str, Any] = {
        "incident": incident,
        "now": now,
        "bridge": bridge,
        "headline": present.headline(incident, views),
        "clocks": present.current_clocks(views),
    }
    if bridge is None:
        return context
    return context | bridge_context(bridge, user) | _open_context(bridge, user)


def _open_context(bridge: Bridge, user: User) -> dict[str, Any]:
    if bridge.closed_at is not None:
        return {"summary": actions.summary_of(bridge)}
    return {"update": latest_update(bridge.incident), "items": live_items(bridge, user)}


def bridge_context(bridge: Bridge, user: User) -> dict[str, Any]:
    """Who was there, with which part, and what was agreed and decided."""
    parts = parts_of(bridge)
    sides = sides_of(bridge, parts, settings.SUPPORT_BRAND)
    return {
        "parts": parts,
        "sides": sides,
        "here_count": sum(len(side.here) for side in sides),
        "steps": steps_of(bridge),
        "decisions": decisions_of(bridge, user),
    }


def past_bridges(incident: Incident) -> list[Bridge]:
    """The closed bridges, newest first."""
    closed = incident.bridges.exclude(closed_at=None).select_related("opened_by", "closed_by", "summary")
    return list(closed.order_by("-pk")[:PAST_SHOWN])


# --- the way in, from an incident's page ---


@dataclass(frozen=True)
class Door:
    """What an incident's page says of its bridge."""

    open: Bridge | None
    count: int
    has_past: bool
    may_open: bool


def door_of(incident: Incident, user: User) -> Door | None:
    """The door to the bridge; None where the plan has none and there never was one, or nothing can be done."""
    latest = (
        incident.bridges.annotate(count=Count("presences", filter=Q(presences__left_at=None)))
        .order_by("-pk")
        .first()
    )
    if latest is not None and latest.closed_at is None:
        return Door(latest, latest.count, False, False)
    may_open = _could_open(incident) and not actions.may("open_bridge", incident, user)
    if latest is None and not may_open:
        return None
    return Door(None, 0, latest is not None, may_open)


def with_open_bridge(incidents: IncidentQuerySet) -> IncidentQuerySet:
    """The incidents, each of which knows whether its bridge is open (`has_open_bridge`), without a query more."""
    return incidents.annotate(has_open_bridge=Exists(Bridge.objects.open().filter(incident=OuterRef("pk"))))


def _could_open(incident: Incident) -> bool:
    if not incident.is_unresolved or incident.level != Level.P1:
        return False
    return SupportPlan.objects.filter(organisation=incident.organisation_id, has_bridge=True).exists()
