"""One pass of the clockwork over incidents: its cost grows with what is due, not with what is open.

Each step takes due rows in small batches, locks one incident at a time, recomputes the truth, then
acts. Running it twice, late, or in several processes changes nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

from django.db import connection, transaction

from incidents import actions
from incidents.actions.base import Act, finish
from incidents.actions.escalating import watch
from incidents.clockwork import recompute
from incidents.models import Clock, CustomerEscalation, Incident, Status, StatusUpdate
from incidents.models.incident import UNRESOLVED
from portal import outbox, webhook_events
from portal.heartbeat import beat
from portal.models import OutboxMessage

logger = logging.getLogger(__name__)
BATCH = 100
ACCEPTANCE_WINDOW = timedelta(days=2)
HAND_ON_WINDOW = timedelta(minutes=30)


def sweep(now: datetime) -> dict[str, int]:
    """Do everything that is due at `now`; returns how many incidents each step touched."""
    now = now.replace(microsecond=0)
    done = {
        "accepted": note_acceptances(now),
        "unreached": pass_on_unreached(now),
        "published": publish_due_updates(now),
        "handed on": hand_on_updates(now),
        "clocks": look_at_clocks(now),
        "escalations": raise_escalations(now),
        "reminded": remind_resolved(now),
        "closed": close_unanswered(now),
    }
    beat("clocks", now)
    return done


def each(ids: Iterable[int], step: Callable[[int], bool]) -> int:
    """Run the step for each id on its own: one that fails is logged and never stops the others."""
    count = 0
    for pk in ids:
        try:
            count += step(pk)
        except Exception:
            logger.exception("sweep step %s failed for id %s", step, pk)
    return count


def _locked(pk: int) -> Incident | None:
    """The incident under lock; None when another process holds it (it will look again)."""
    skip = connection.features.has_select_for_update_skip_locked
    return (
        Incident.objects.select_for_update(skip_locked=skip, of=("self",) if skip else ())
        .filter(pk=pk)
        .first()
    )


def look_at_clocks(now: datetime) -> int:
    """Warn and breach what is due. Batches until nothing is left."""
    total = 0
    seen: set[int] = set()
    while True:
        due = Clock.objects.filter(attention_at__lte=now).order_by("attention_at")
        ids = [pk for pk in due.values_list("incident_id", flat=True)[: BATCH * 4] if pk not in seen]
        ids = list(dict.fromkeys(ids))[:BATCH]
        if not ids:
            return total
        seen.update(ids)
        total += each(ids, lambda pk: attend(pk, now))


def attend(incident_pk: int, now: datetime) -> bool:
    """Recompute one incident's clocks, then record and announce new warnings and breaches."""
    with transaction.atomic():
        incident = _locked(incident_pk)
        if incident is None:
            return False
        now = max(now, incident.computed_at)
        ledger = recompute(incident, now)
        act = Act(incident, None, now, "clockwork")
        watch(act, ledger)
        finish(act)
    return bool(act.events)


def pass_on_unreached(now: datetime) -> int:
    """Whoever is next in line hears of messages that did not arrive: bounced, or set aside.

    Those about maintenance windows are passed on by maintenance.
    """
    rows = outbox.unhandled_unreached().exclude(subject_key__startswith="MW-").order_by("unreached_at")
    return each(list(rows.values_list("pk", flat=True)[:BATCH]), lambda pk: pass_on(pk, now))


def pass_on(message_pk: int, now: datetime) -> bool:
    message = OutboxMessage.objects.select_related("recipient").get(pk=message_pk)
    incident = Incident.objects.by_reference(message.subject_key).first()
    if incident is None or message.kind in webhook_events.EVENTS:  # a machine: its organisation sees the log
        return bool(OutboxMessage.objects.filter(pk=message_pk).update(is_unreached_handled=True))
    actions.note_unreached(message, incident, now=now)
    return True


def note_acceptances(now: datetime) -> int:
    """Record, for published updates, that a channel accepted them: the outbox knows."""
    waiting = StatusUpdate.objects.filter(
        state=StatusUpdate.State.PUBLISHED, accepted_at=None, published_at__gte=now - ACCEPTANCE_WINDOW
    )
    return each(list(waiting.values_list("pk", flat=True)), lambda pk: note_acceptance(pk, now))


def note_acceptance(update_pk: int, now: datetime) -> bool:
    """Record the first acceptance of one update; with nobody to mail, its page is the channel."""
    update = StatusUpdate.objects.select_related("incident").get(pk=update_pk)
    messages = OutboxMessage.objects.filter(
        subject_key=update.incident.reference, kind="status_update", facts__status_update=update.pk
    )
    first = messages.filter(state=OutboxMessage.State.SENT).order_by("sent_at").first()
    if first is None and messages.exists():
        return False
    at = first.sent_at if first and first.sent_at else update.published_at
    assert at is not None
    actions.record_delivery(update, at=at, now=now, via=first.channel if first else "portal")
    return True


def publish_due_updates(now: datetime) -> int:
    due = StatusUpdate.objects.filter(state=StatusUpdate.State.SCHEDULED, publish_at__lte=now)
    return each(list(due.values_list("pk", flat=True)), lambda pk: publish_due(pk, now))


def publish_due(update_pk: int, now: datetime) -> bool:
    update = StatusUpdate.objects.select_related("incident", "author").get(pk=update_pk)
    return actions.publish_scheduled(update, now=now)


def hand_on_updates(now: datetime) -> int:
    """An update of an outage reaches every child, also where the process died on its way to them."""
    fresh = StatusUpdate.objects.filter(
        state=StatusUpdate.State.PUBLISHED,
        published_at__gt=now - HAND_ON_WINDOW,
        incident__organisation__is_vendor=True,
    )
    latest = dict(fresh.order_by("incident", "pk").values_list("incident", "pk"))
    return sum(
        each(_without_copy(parent, update), partial(_hand_on, update, now))
        for parent, update in latest.items()
    )


def _without_copy(parent: int, update: int) -> list[int]:
    """The unresolved children that were there when the update was written and have no copy of any kind."""
    copies = StatusUpdate.objects.filter(of=update)
    children = Incident.objects.unresolved().filter(parent=parent).exclude(pk__in=copies.values("incident"))
    return list(children.values_list("pk", flat=True))


def _hand_on(update_pk: int, now: datetime, child_pk: int) -> bool:
    update = StatusUpdate.objects.select_related("incident", "author").get(pk=update_pk)
    child = Incident.objects.select_related("organisation").get(pk=child_pk)
    try:
        return actions.hand_on(update, child, now=now)
    except actions.Refused as refused:
        logger.info("%s does not get update %s: %s", child.reference, update_pk, refused.reason)
        return False


def raise_escalations(now: datetime) -> int:
    """The head of support hears of escalations that no duty manager answered in time."""
    due = CustomerEscalation.objects.unanswered().filter(
        raised_at=None, answer_due_at__lte=now, incident__status__in=UNRESOLVED
    )
    ids = due.order_by("answer_due_at", "pk").values_list("pk", flat=True)[:BATCH]
    return each(list(ids), lambda pk: _raise(pk, now))


def _raise(pk: int, now: datetime) -> bool:
    found = CustomerEscalation.objects.select_related("incident").get(pk=pk)
    return actions.raise_escalation(found, now=now)


def remind_resolved(now: datetime) -> int:
    due = Incident.objects.filter(status=Status.RESOLVED, reminder_due_at__lte=now, closing_due_at__gt=now)
    return each(list(due.values_list("pk", flat=True)[:BATCH]), lambda pk: _remind(pk, now))


def _remind(pk: int, now: datetime) -> bool:
    try:
        actions.remind(Incident.objects.get(pk=pk), now=now)
    except actions.Refused:
        return False
    return True


def close_unanswered(now: datetime) -> int:
    due = Incident.objects.filter(status=Status.RESOLVED, closing_due_at__lte=now)
    return each(list(due.values_list("pk", flat=True)[:BATCH]), lambda pk: _close(pk, now))


def _close(pk: int, now: datetime) -> bool:
    try:
        actions.close(Incident.objects.get(pk=pk), by=None, now=now, channel="clockwork")
    except actions.Refused:
        return False
    return True
