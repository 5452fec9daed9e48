"""One outage, many customers: a parent of the vendor's own, and each organisation's own incident under it.

What a person does once for the parent is done for each child by the child's own verb, in a transaction of
its own: one that a rule forbids is named and left, and never stops the others. Nothing is done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.actions.base import Act, Refused, acting, required
from incidents.actions.ending import resolve, restore
from incidents.actions.updates import (
    discard_status_update,
    latest_next_update,
    pending_update,
    publish,
    publish_scheduled,
    publish_status_update,
    release_held_update,
    schedule,
    schedule_status_update,
)
from incidents.models import Incident, StatusUpdate
from incidents.outage_words import Words, own_services
from portal.mails import language_of
from portal.models import Organisation, User

logger = logging.getLogger(__name__)
State = StatusUpdate.State
ADDITION_LENGTH = 5_000
WENT_WRONG = gettext_lazy("Something went wrong here; it is logged. Do it by hand.")


@dataclass
class Outcome:
    """For whom it was done, and whom a rule left out, each with the reason."""

    done: list[Incident] = field(default_factory=list)
    left: list[tuple[Incident, str]] = field(default_factory=list)
    unopened: list[tuple[Organisation, str]] = field(default_factory=list)  # no incident could be opened


def for_each(incidents: Iterable[Incident], step: Callable[[Incident], bool]) -> Outcome:
    """The step for each on its own; False means that there was nothing to do."""
    outcome = Outcome()
    for incident in incidents:
        try:
            with transaction.atomic():
                if step(incident):
                    outcome.done.append(incident)
        except Refused as refused:
            outcome.left.append((incident, refused.reason))
        except Exception:
            logger.exception("%s failed under its outage", incident.reference)
            outcome.left.append((incident, str(WENT_WRONG)))
    return outcome


def unresolved_children(parent: Incident) -> list[Incident]:
    """The children that still hear what is written for the outage."""
    found = parent.children.unresolved().select_related("organisation", "policy_version", "calendar_version")
    return list(found.order_by("organisation__name", "pk"))


def is_outage(incident: Incident) -> bool:
    """Whether the incident can have children: it is the vendor's own."""
    return incident.organisation.is_vendor


# --- one update, written once ---


def publish_for_all(
    parent: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    additions: Mapping[int, str] | None = None,
    publish_at: datetime | None = None,
    **written: Any,
) -> tuple[StatusUpdate, Outcome]:
    """Publish (or, with `publish_at`, schedule) an update on the parent and on each unresolved child.

    `written` is what `publish_status_update` takes; `additions` are words for one child alone, by its id.
    Raises Refused, with nothing written, where the parent's own rules forbid it.
    """
    additions = additions or {}
    if any(len(text) > ADDITION_LENGTH for text in additions.values()):
        raise Refused(_("Keep what you add for one customer below 5,000 characters."), field="additions")
    if publish_at:
        schedule_status_update(parent, by=by, now=now, channel=channel, publish_at=publish_at, **written)
    else:
        publish_status_update(parent, by=by, now=now, channel=channel, **written)
    update = parent.status_updates.order_by("-pk")[0]
    return update, hand_on_to_all(update, now=now, additions=additions)


def hand_on_to_all(
    update: StatusUpdate, *, now: datetime, additions: Mapping[int, str] | None = None
) -> Outcome:
    """Give each unresolved child its own copy of the parent's update; those that have one are left alone."""
    words = Words(update.summary, update.impact, update.next_steps, *(additions or {}).values())

    def step(child: Incident) -> bool:
        return hand_on(update, child, now=now, words=words, addition=(additions or {}).get(child.pk, ""))

    return for_each(unresolved_children(update.incident), step)


def hand_on(
    update: StatusUpdate, child: Incident, *, now: datetime, addition: str = "", words: Words | None = None
) -> bool:
    """The child's own copy, published now or scheduled like the parent's; False if it has one already."""
    verb = "publish_status_update" if update.state == State.PUBLISHED else "schedule_status_update"
    with acting(verb, child, by=update.author, now=now, channel=update.channel) as act:
        if act.incident.parent_id != update.incident_id:
            raise Refused(_("It is not under this outage."), kind="state")
        if act.incident.status_updates.filter(of=update).exclude(state=State.DISCARDED).exists():
            return False
        copy = copy_of(
            update, act, addition, words or Words(update.summary, update.impact, update.next_steps, addition)
        )
        if update.state == State.PUBLISHED:
            copy.next_update_at = fitting(act.incident, act.now, told_in(update))
            publish(act, copy)
        else:
            _schedule_copy(act, copy)
    return True


def _schedule_copy(act: Act, copy: StatusUpdate) -> None:
    if pending_update(act.incident):
        raise Refused(
            _("It has a pending update of its own. It gets this one once it is published."), kind="state"
        )
    assert copy.of is not None
    publish_at = max(copy.of.publish_at or act.now, act.now)
    copy.next_update_at = fitting(act.incident, publish_at, told_in(copy.of))
    schedule(act, copy, publish_at)


def told_in(update: StatusUpdate) -> datetime | None:
    """The next update that its author named; None where it is only the interval of the parent's own plan."""
    at = update.published_at or update.publish_at or update.written_at
    told = update.next_update_at
    return None if told == latest_next_update(update.incident, at) else told


def fitting(incident: Incident, published_at: datetime, told: datetime | None) -> datetime | None:
    """The next update as told for the outage, but no later than this organisation's own plan promises."""
    latest = latest_next_update(incident, published_at)
    if told is None or told <= published_at:
        return latest
    return min(told, latest) if latest else told


def copy_of(update: StatusUpdate, act: Act, addition: str, words: Words) -> StatusUpdate:
    """The update as the organisation of the act's incident reads it; not saved."""
    child = act.incident
    parts = [words.told(update.summary, child), words.told(addition, child).replace("\0", "").strip()]
    return StatusUpdate(
        incident=child,
        author=update.author,
        of=update,
        condition=update.condition,
        summary="\n\n".join(filter(None, parts)),
        impact=impact_for(update, child, words),
        next_steps=words.told(update.next_steps, child),
        channel=update.channel,
        written_at=act.now,
    )


def impact_for(update: StatusUpdate, child: Incident, words: Words) -> str:
    """The impact in the parent's words, and which of the organisation's own services are meant."""
    services = ", ".join(service.name for service in own_services(update.incident, child))
    with translation.override(language_of(None, child.organisation)):
        named = _("Your services: %(services)s.") % {"services": services} if services else ""
    return "\n\n".join(filter(None, [words.told(update.impact, child), named]))


def release_for_all(parent: Incident, *, by: User, now: datetime, channel: str) -> Outcome:
    """Publish the parent's pending update now, and its copies: a child where something changed holds its own."""
    update = pending_update(parent)
    release_held_update(parent, by=by, now=now, channel=channel)
    assert update is not None  # or the verb would have refused
    copies = update.copies.filter(state=State.SCHEDULED).select_related(
        "incident__organisation", "author", "of"
    )
    waiting = {copy.incident_id: copy for copy in copies}
    children = [copy.incident for copy in waiting.values()]
    return for_each(children, lambda child: publish_scheduled(waiting[child.pk], now=now))


def discard_for_all(parent: Incident, *, by: User, now: datetime, channel: str) -> Outcome:
    """Drop the parent's pending update and every copy of it that was not published yet."""
    update = pending_update(parent)
    discard_status_update(parent, by=by, now=now, channel=channel)
    assert update is not None  # or the verb would have refused
    copies = update.copies.filter(state__in=[State.SCHEDULED, State.HELD])
    children = Incident.objects.filter(pk__in=copies.values("incident")).select_related("organisation")

    def step(child: Incident) -> bool:
        discard_status_update(child, by=by, now=now, channel=channel)
        return True

    return for_each(children, step)


# --- the end, for all of them ---


def restore_all(parent: Incident, *, by: User, now: datetime, channel: str, text: str = "") -> Outcome:
    """The service works again for everybody: one act, each child its own event and mail."""
    words = Words(text)

    def step(incident: Incident) -> bool:
        if Incident.objects.get(pk=incident.pk).restored_at:
            return False
        told = words.told(text, incident) if incident.parent_id else text
        restore(incident, by=by, now=now, channel=channel, text=told)
        return True

    return for_each([parent, *unresolved_children(parent)], step)


def resolve_all(
    parent: Incident, *, by: User, now: datetime, channel: str, cause: str, remedy: str
) -> Outcome:
    """Solved for everybody: cause and remedy written once; those that a rule forbids are named and left."""
    cause = required(cause, "cause", _("Name the cause: the customer will read it."))
    remedy = required(remedy, "remedy", _("Say what was done: the customer will read it."))
    words = Words(cause, remedy)

    def step(incident: Incident) -> bool:
        if not Incident.objects.get(pk=incident.pk).is_unresolved:
            return False
        is_child = incident.parent_id is not None
        resolve(
            incident,
            by=by,
            now=now,
            channel=channel,
            cause=words.told(cause, incident) if is_child else cause,
            remedy=words.told(remedy, incident) if is_child else remedy,
        )
        return True

    return for_each([*unresolved_children(parent), parent], step)
