"""Status updates in the standard form: published now, scheduled, held when the world moved on."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from incidents import sla
from incidents.actions.base import Act, Refused, acting, required
from incidents.models import Incident, StatusUpdate
from incidents.models.facts import ON_THE_BRIDGE, promise_for
from incidents.models.timeline import (
    StatusUpdateAccepted,
    StatusUpdateDiscarded,
    StatusUpdateHeld,
    StatusUpdatePublished,
    StatusUpdateScheduled,
)
from portal import business_time
from portal.models import User

# What makes a scheduled update stale: a customer's words, a level or a state after it was written.
STALE_MAKERS = (
    "customer_replied",
    "customer_escalated",
    "level_validated",
    "contest_decided",
    "acknowledged",
    "intervention_started",
    "question_asked",
    "restored",
    "resolved",
    "reopened",
    "withdrawn",
    "marked_duplicate",
)


def latest_next_update(incident: Incident, published_at: datetime) -> datetime | None:
    """The latest time that an update published then may name as the next one; None without an interval."""
    promise = promise_for(incident.policy_version, incident.calendar_version)
    target = promise.target(incident.level, sla.Kind.STATUS_UPDATE)
    if target is None:
        return None
    return business_time.add(promise.calendar(target), published_at, target.amount * 60)


def publish_status_update(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    condition: str,
    summary: str,
    impact: str = "",
    next_steps: str = "",
    next_update_at: datetime | None = None,
    revision: int | None = None,
) -> Incident:
    """Publish an update now. It counts once a channel of the plan has accepted it (rule 7)."""
    with acting("publish_status_update", incident, by=by, now=now, channel=channel, revision=revision) as act:
        update = _written(act, condition, summary, impact, next_steps)
        update.next_update_at = next_update_within(act.incident, act.now, next_update_at)
        publish(act, update)
    return incident


def schedule_status_update(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    publish_at: datetime,
    condition: str,
    summary: str,
    impact: str = "",
    next_steps: str = "",
    next_update_at: datetime | None = None,
    revision: int | None = None,
) -> Incident:
    """Write an update for later; one may be pending. It counts when it is really published."""
    with acting(
        "schedule_status_update", incident, by=by, now=now, channel=channel, revision=revision
    ) as act:
        if pending_update(act.incident):
            raise Refused(
                _("An update is pending already. Publish or discard it before you schedule another."),
                kind="state",
            )
        publish_at = publish_at.replace(microsecond=0)
        if publish_at <= act.now:
            raise Refused(_("Choose a time in the future, or publish now."), field="publish_at")
        update = _written(act, condition, summary, impact, next_steps)
        update.next_update_at = next_update_within(act.incident, publish_at, next_update_at)
        schedule(act, update, publish_at)
    return incident


def schedule(act: Act, update: StatusUpdate, publish_at: datetime) -> None:
    """Keep a written update for later, with what was known when it was written."""
    update.state, update.publish_at = StatusUpdate.State.SCHEDULED, publish_at
    update.save()
    event = act.record(StatusUpdateScheduled(status_update=update.pk, publish_at=publish_at.isoformat()))
    update.written_after_event = event.pk
    update.save(update_fields=["written_after_event"])


def pending_update(incident: Incident) -> StatusUpdate | None:
    pending = (StatusUpdate.State.SCHEDULED, StatusUpdate.State.HELD)
    return incident.status_updates.filter(state__in=pending).first()


def _written(act: Act, condition: str, summary: str, impact: str, next_steps: str) -> StatusUpdate:
    if condition not in StatusUpdate.Condition.values:
        raise Refused(_("Choose one of the states offered."), field="condition")
    summary = required(summary, "summary", _("Say in one or two sentences where things stand."))
    if max(len(summary), len(impact), len(next_steps)) > 10_000:
        raise Refused(_("Keep each part of an update below 10,000 characters."), field="summary")
    assert act.by is not None
    return StatusUpdate(
        incident=act.incident,
        author=act.by,
        condition=condition,
        summary=summary,
        impact=impact.replace("\0", "").strip(),
        next_steps=next_steps.replace("\0", "").strip(),
        channel=act.channel,
        written_at=act.now,
    )


def next_update_within(incident: Incident, published_at: datetime, told: datetime | None) -> datetime | None:
    """The stated next update, or the plan's interval; Refused when it is past or later than the plan's."""
    latest = latest_next_update(incident, published_at)
    if told is None:
        return latest
    told = told.replace(microsecond=0)
    if told <= published_at:
        raise Refused(_("The next update must lie after this one."), field="next_update_at")
    if latest and told > latest:
        raise Refused(
            _("The plan promises the next update by %(time)s at the latest.")
            % {"time": latest.strftime("%Y-%m-%d %H:%M UTC")},
            field="next_update_at",
        )
    return told


def publish(act: Act, update: StatusUpdate) -> None:
    update.state, update.published_at = StatusUpdate.State.PUBLISHED, act.now
    update.save()
    act.answer()
    next_update = update.next_update_at.isoformat() if update.next_update_at else None
    act.record(
        StatusUpdatePublished(
            status_update=update.pk, next_update_at=next_update, **act.stay_or_acknowledge()
        )
    )


def release_held_update(
    incident: Incident, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> Incident:
    """Publish the pending update now, after its author or a colleague has read it again."""
    with acting("release_held_update", incident, by=by, now=now, channel=channel, revision=revision) as act:
        update = _the_pending(act.incident)
        publish_later_told(act, update)
    return incident


def publish_later_told(act: Act, update: StatusUpdate) -> None:
    """Publish a pending update; a next time that no longer fits becomes the plan's interval."""
    latest = latest_next_update(act.incident, act.now)
    told = update.next_update_at
    if told is None or told <= act.now or (latest and told > latest):
        update.next_update_at = latest
    publish(act, update)


def _the_pending(incident: Incident) -> StatusUpdate:
    update = pending_update(incident)
    if update is None:
        raise Refused(_("No update is pending."), kind="state")
    return update


def discard_status_update(
    incident: Incident, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> Incident:
    """Drop the pending update; nobody hears of it."""
    with acting("discard_status_update", incident, by=by, now=now, channel=channel, revision=revision) as act:
        discard(act, _the_pending(act.incident))
    return incident


def discard(act: Act, update: StatusUpdate) -> None:
    update.state = StatusUpdate.State.DISCARDED
    update.save(update_fields=["state"])
    act.record(StatusUpdateDiscarded(status_update=update.pk))


def publish_scheduled(update: StatusUpdate, *, now: datetime) -> bool:
    """The clockwork's turn: publish a scheduled update that is due, as its author, or hold it.

    Returns True when something was done; False when another process was faster.
    """
    with acting("publish_scheduled_update", update.incident, by=None, now=now, channel="clockwork") as act:
        fresh = pending_update(act.incident)
        if fresh is None or fresh.pk != update.pk or fresh.state != StatusUpdate.State.SCHEDULED:
            return False
        reason = why_held(fresh)
        act.by = fresh.author
        if fresh.of and fresh.of.state == StatusUpdate.State.DISCARDED:
            discard(act, fresh)
        elif reason:
            _hold(act, fresh, reason)
        else:
            publish_later_told(act, fresh)
    return True


def why_held(update: StatusUpdate) -> str:
    """What changed after the update was written, or ""."""
    later = update.incident.events.filter(pk__gt=update.written_after_event)
    said = Q(kind__in=ON_THE_BRIDGE, payload__is_from_customer=True)
    event = later.filter(Q(kind__in=STALE_MAKERS) | said).order_by("pk").first()
    if event is None:
        return ""
    if event.kind in ("customer_replied", "customer_escalated", *ON_THE_BRIDGE):
        return gettext_noop("The customer wrote after this update was written.")
    if event.kind in ("level_validated", "contest_decided"):
        return gettext_noop("The level changed after this update was written.")
    return gettext_noop("The state changed after this update was written.")


def _hold(act: Act, update: StatusUpdate, reason: str) -> None:
    update.state, update.held_reason = StatusUpdate.State.HELD, reason
    update.save(update_fields=["state", "held_reason"])
    act.record(StatusUpdateHeld(status_update=update.pk))


def record_delivery(update: StatusUpdate, *, at: datetime, now: datetime, via: str) -> None:
    """A channel accepted a published update at `at`: the verdict on its interval may fall now."""
    with acting("record_delivery", update.incident, by=None, now=now, channel="clockwork") as act:
        claimed = StatusUpdate.objects.filter(pk=update.pk, accepted_at=None).update(accepted_at=at)
        if claimed:
            act.record(
                StatusUpdateAccepted(status_update=update.pk, channel=via), at=at.replace(microsecond=0)
            )
