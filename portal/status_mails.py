"""Mail to people who asked to hear when the state of a service changes for an organisation of theirs.

The row of a subscription says which state its person was told last. The clockwork compares it with the
present one; what changed and changed back in between is nobody's mail, and the last true state wins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from portal import outbox, service_state
from portal.channels.base import Rendered
from portal.heartbeat import beat
from portal.mails import render_mail
from portal.models import (
    Membership,
    Organisation,
    OutboxMessage,
    Service,
    ServiceImpact,
    ServiceSubscription,
    StatusSubscription,
    User,
)
from portal.models.service_impact import Impact
from portal.service_state import State

logger = logging.getLogger(__name__)

KIND = "service_status_changed"
Queue = OutboxMessage.State


# --- who wants it ---


def subscribe(person: User, organisation: Organisation, service: Service, *, now: datetime) -> None:
    """From now on the person hears of changes; the present state is the one that they know."""
    now = now.replace(microsecond=0)
    state = service_state.present_state(organisation, service, now)
    StatusSubscription.objects.get_or_create(
        person=person,
        organisation=organisation,
        service=service,
        defaults={"told_impact": state.impact, "told_is_planned": state.is_planned, "told_at": now},
    )


def unsubscribe(person: User, organisation: Organisation, service: Service) -> None:
    StatusSubscription.objects.filter(person=person, organisation=organisation, service=service).delete()


def entitled() -> Any:
    """Subscriptions of active people who are still members, of active organisations that use the service."""
    member = Membership.objects.filter(
        user=OuterRef("person"), organisation=OuterRef("organisation"), organisation__is_active=True
    )
    used = ServiceSubscription.objects.filter(
        service=OuterRef("service"), organisation=OuterRef("organisation"), service__is_active=True
    )
    return StatusSubscription.objects.filter(Exists(member), Exists(used), person__is_active=True)


# --- the clockwork ---


def tell_status(now: datetime) -> int:
    """Queue a mail for each subscription whose state is another one than was told last; how many."""
    now = now.replace(microsecond=0)
    count = 0
    for pk in list(differing(now)):
        try:
            count += tell(pk, now)
        except Exception:  # one subscription's trouble is not the others'
            logger.exception("status subscription %s is left to a later sweep", pk)
    beat("status", now)
    return count


def differing(now: datetime) -> Iterable[int]:
    """Ids of the subscriptions that must be told, by two queries: where something is felt, or was told."""
    felt = ServiceImpact.objects.filter(
        Q(until_at=None) | Q(until_at__gt=now),
        service=OuterRef("service"),
        organisation=OuterRef("organisation"),
        from_at__lte=now,
    )
    rows = entitled().filter(Exists(felt) | Q(told_is_planned=True) | ~Q(told_impact=Impact.NONE))
    found = list(rows.order_by("pk"))
    impacts = service_state.impacts_of(
        {row.organisation_id for row in found}, now, now + timedelta(seconds=1)
    )
    for row in found:
        state = service_state.state_at(impacts.get((row.organisation_id, row.service_id), []), now)
        if (state.impact, state.is_planned) != (row.told_impact, row.told_is_planned):
            yield row.pk


def tell(pk: int, now: datetime) -> bool:
    """Look again under lock, note what is told now, and queue the mail; False if there is nothing to tell."""
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        lock = StatusSubscription.objects.select_for_update(skip_locked=skip, of=("self",) if skip else ())
        row = lock.filter(pk=pk).first()
        if row is None:
            return False
        state = service_state.present_state(row.organisation, row.service, now)
        told = {"impact": row.told_impact, "is_planned": row.told_is_planned}
        new = facts_of(state)
        if told == new:
            return False
        row.told_impact, row.told_is_planned, row.told_at = state.impact, state.is_planned, now
        row.save(update_fields=["told_impact", "told_is_planned", "told_at"])
        return outbox.enqueue(
            KIND,
            row.person,
            now=now,
            dedupe_key=f"{KIND}:{pk}:{now.isoformat()}:{state.word}:{state.impact}",
            collapse_key=f"{KIND}:{pk}",
            facts=new | {"subscription": pk, "before": told},
        )


def facts_of(state: State) -> dict[str, Any]:
    return {"impact": state.impact, "is_planned": state.is_planned}


# --- the mail ---


def why_not(message: OutboxMessage) -> str:
    """Why it may not be sent any more, or ""."""
    row = entitled().filter(pk=message.facts["subscription"], person=message.recipient_id).first()
    if row is None:
        return "the person is not subscribed, or no member, any more"
    state = service_state.present_state(row.organisation, row.service, timezone.now())
    stated = {name: message.facts[name] for name in ("impact", "is_planned")}
    if facts_of(state) != stated:
        return "the state has changed again"
    return "the person knows this state" if known_state(message) == stated else ""


def known_state(message: OutboxMessage) -> dict[str, Any] | None:
    """The state that the person was really told before this message; None while an earlier one may arrive."""
    earlier = OutboxMessage.objects.filter(collapse_key=message.collapse_key, pk__lt=message.pk)
    sent = earlier.filter(state=Queue.SENT).order_by("-pk").first()
    if sent is not None:
        earlier = earlier.filter(pk__gt=sent.pk)
    unsure = earlier.exclude(state=Queue.QUEUED, attempts=0).exclude(state=Queue.DROPPED, attempts__lte=1)
    if unsure.exists():
        return None
    if sent is not None:
        return {name: sent.facts[name] for name in ("impact", "is_planned")}
    return (earlier.order_by("pk").first() or message).facts["before"]


def render(message: OutboxMessage) -> Rendered:
    """The state of the moment at which it goes out, with the time since when it has been so."""
    row = StatusSubscription.objects.select_related("organisation", "service").get(
        pk=message.facts["subscription"]
    )
    state = service_state.present_state(row.organisation, row.service, timezone.now())
    url = f"{settings.SITE_URL}/status/{row.service.slug}/"
    context = {
        "service": row.service,
        "state": state,
        "impact_word": Impact(state.impact).label,
        "since": state.since or row.told_at,
        "url": url,
        "stop_url": f"{url}subscription/",
    }
    person = message.person
    return render_mail(KIND, context, recipient=person, organisation=row.organisation, url=url)


STATUS_CHANGED = outbox.MessageKind(name=KIND, render=render, why_not=why_not)
