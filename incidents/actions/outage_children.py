"""Who is under an outage: gathered, opened for those that reported nothing, and taken out again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from incidents.actions.base import Refused, acting, required
from incidents.actions.opening import TITLE_LENGTH, open_incident
from incidents.actions.outage import WENT_WRONG, Outcome, for_each, hand_on, is_outage
from incidents.actions.updates import discard, pending_update
from incidents.defaults import vendor_organisation
from incidents.models import Incident, StatusUpdate
from incidents.models.timeline import OutageJoined, OutageLeft
from incidents.outage_words import Words
from portal.access import CONCERNS_OTHERS
from portal.models import Organisation, Service, User
from portal.models.service_impact import Impact

logger = logging.getLogger(__name__)


def open_parent(
    children: Sequence[Incident],
    *,
    by: User,
    now: datetime,
    channel: str,
    title: str,
    description: str = "",
    level: str,
    services: Iterable[Service],
    impact: str = Impact.DEGRADED,
) -> tuple[Incident, Outcome]:
    """Open the vendor's own incident and gather the children under it. Raises Refused for the parent alone."""
    services = list(services)
    if not services:
        raise Refused(_("Choose the services that are affected."), field="services")
    parent = open_incident(
        organisation=vendor_organisation(now),
        reporter=None,
        by=by,
        now=now,
        channel=channel,
        title=title,
        description=description,
        claimed_level=level,
        services=services,
        impact=impact,
    )
    return parent, attach_children(parent, children, by=by, now=now, channel=channel)


def attach_children(
    parent: Incident, children: Iterable[Incident], *, by: User, now: datetime, channel: str
) -> Outcome:
    """Put incidents of customers under the parent; each gets the latest update at once, and only once."""

    def step(child: Incident) -> bool:
        return _attach(parent, child, by=by, now=now, channel=channel)

    outcome = for_each(children, step)
    outcome.left += _catch_up(parent, outcome.done, now=now)
    return outcome


def _catch_up(parent: Incident, joined: list[Incident], *, now: datetime) -> list[tuple[Incident, str]]:
    """Give those who joined what was written last, and what is pending; whom it did not reach."""
    latest = parent.status_updates.filter(state=StatusUpdate.State.PUBLISHED).order_by("-pk").first()
    pending = pending_update(parent)
    left = []
    for update in filter(None, (latest, pending)):
        words = Words(update.summary, update.impact, update.next_steps)
        left += for_each(joined, partial(hand_on, update, now=now, words=words)).left
    return left


def _attach(parent: Incident, child: Incident, *, by: User, now: datetime, channel: str) -> bool:
    with acting("join_outage", child, by=by, now=now, channel=channel) as act:
        _check_by(by)
        _check_parent(Incident.objects.select_for_update(of=("self",)).get(pk=parent.pk))
        if act.incident.parent_id == parent.pk:
            return False
        _check_child(parent, act.incident)
        act.incident.parent_id = parent.pk
        act.record(OutageJoined(parent=parent.pk))
    return True


def _check_by(by: User | None) -> None:
    """An outage is of many customers: who is limited to some neither gathers them nor takes one out."""
    if by is not None and by.is_limited:
        raise Refused(str(CONCERNS_OTHERS), kind="permission")


def _check_parent(parent: Incident) -> None:
    if not is_outage(parent):
        raise Refused(_("Only an outage of our own can have incidents under it. Open one first."))
    if not parent.is_unresolved:
        raise Refused(_("The outage is resolved. Open another one, or reopen it first."), kind="state")


def _check_child(parent: Incident, child: Incident) -> None:
    if is_outage(child):
        raise Refused(_("An outage of our own cannot be under another one."))
    if child.parent_id:
        raise Refused(_("It is under another outage. Take it out there first."), kind="state")
    used = Service.objects.used_by(child.organisation)
    if not used.filter(pk__in=parent.services.values("pk")).exists():
        raise Refused(_("Its organisation uses none of the services of this outage."))


def unreached_organisations(parent: Incident) -> QuerySet[Organisation]:
    """The active customers that use a service of the outage and have no open incident under it."""
    users = Organisation.objects.filter(subscriptions__service__in=parent.services.values("pk"))
    under = parent.children.unresolved().values("organisation")
    found = Organisation.objects.filter(pk__in=users.values("pk"), is_active=True, is_vendor=False)
    return found.exclude(pk__in=under).order_by("name")


def open_children(
    parent: Incident,
    organisations: Iterable[Organisation],
    *,
    by: User,
    now: datetime,
    channel: str,
    title: str,
) -> Outcome:
    """Open an incident under the outage for organisations that reported none; each gets the latest update.

    Each reads the title without the names of others. One that has an open incident under it is left alone.
    """
    title = required(title, "title", _("Give the incident a title: what is broken?"))
    words = Words(title)
    outcome = Outcome()
    for organisation in organisations:
        try:
            child = _opened(parent, organisation, words, title, by=by, now=now, channel=channel)
        except Refused as refused:
            outcome.unopened.append((organisation, refused.reason))
        except Exception:
            logger.exception("no incident for organisation %s under %s", organisation.pk, parent.reference)
            outcome.unopened.append((organisation, str(WENT_WRONG)))
        else:
            outcome.done += [child] if child else []
    outcome.left += _catch_up(parent, outcome.done, now=now)
    return outcome


def _opened(
    parent: Incident, organisation: Organisation, words: Words, title: str, **common: Any
) -> Incident | None:
    """`organisation`'s own incident, with the services of the outage that it uses; None where it has one."""
    unsaved = Incident(organisation=organisation, parent=parent)
    with transaction.atomic():
        _check_parent(Incident.objects.select_for_update(of=("self",)).get(pk=parent.pk))
        if not unreached_organisations(parent).filter(pk=organisation.pk).exists():
            return None
        return open_incident(
            organisation=organisation,
            reporter=None,
            title=words.told(title, unsaved)[:TITLE_LENGTH],
            claimed_level=parent.level,
            services=Service.objects.used_by(organisation).filter(pk__in=parent.services.values("pk")),
            impact=parent.impact,
            parent=parent,
            **common,
        )


def detach_child(parent: Incident, child: Incident, *, by: User, now: datetime, channel: str) -> Incident:
    """Take a child out: it keeps what it was told, and drops what is still pending for it."""
    with acting("leave_outage", child, by=by, now=now, channel=channel) as act:
        _check_by(by)
        if act.incident.parent_id != parent.pk:
            raise Refused(_("It is not under this outage."), kind="state")
        pending = pending_update(act.incident)
        if pending and pending.of_id:
            discard(act, pending)
        act.incident.parent = None
        act.record(OutageLeft(parent=parent.pk))
    return child
