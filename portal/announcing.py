"""Announcements: the verbs, who gets one, the clockwork that publishes what is due, and the mail.

Agents write drafts; duty managers let them out. What was published is not rewritten: withdraw it, and
write another. Whom an announcement is addressed to is never told to those who read it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portal import outbox
from portal.access import CONCERNS_OTHERS, is_agent, is_duty_manager
from portal.channels.base import EMAIL, WEBHOOK, Rendered
from portal.endpoints import channels_of, is_channel_of
from portal.heartbeat import beat
from portal.mails import render_mail
from portal.models import (
    Announcement,
    AnnouncementReading,
    Endpoint,
    Membership,
    Organisation,
    OutboxMessage,
    Service,
    User,
)
from portal.verbs import Refused, required
from portal.webhook_events import Happened, publish_all

logger = logging.getLogger(__name__)

KIND = "announcement"
PUBLISHED = "announcement.published"  # as webhooks know it
TITLE_LENGTH = 200


# --- who ---


def addressed(announcement: Announcement) -> QuerySet[Organisation]:
    """The organisations that it goes to."""
    return addressed_by(announcement.audience, announcement.services.all(), announcement.organisations.all())


def addressed_by(audience: str, services: Any, organisations: Any) -> QuerySet[Organisation]:
    """Active customers: all, those that use one of the services, or those among the organisations."""
    customers = Organisation.objects.filter(is_active=True, is_vendor=False)
    if audience == Announcement.Audience.SERVICES:
        return customers.filter(subscriptions__service__in=services).distinct()
    if audience == Announcement.Audience.ORGANISATIONS:
        return customers.filter(pk__in=[each.pk for each in organisations])
    return customers


def readers(organisations: QuerySet[Organisation]) -> QuerySet[User]:
    """The active people of the organisations."""
    members = Membership.objects.filter(organisation__in=organisations)
    return User.objects.filter(is_active=True, pk__in=members.values("user")).order_by("pk")


def hearers(organisations: QuerySet[Organisation]) -> QuerySet[User]:
    """Those of them who want announcements by mail."""
    return readers(organisations).filter(hears_announcements=True)


@dataclass(frozen=True)
class Reach:
    """Who will get an announcement if it is published now."""

    organisations: list[Organisation]
    by_mail: int
    in_portal: int


def reach(announcement: Announcement) -> Reach:
    organisations = addressed(announcement)
    return Reach(list(organisations), hearers(organisations).count(), readers(organisations).count())


# --- rules ---


def state_of(announcement: Announcement, now: datetime) -> str:
    """draft, scheduled, published, expired or withdrawn."""
    if announcement.withdrawn_at:
        return "withdrawn"
    if announcement.published_at is None:
        return "scheduled" if announcement.publish_at else "draft"
    is_over = announcement.expires_at is not None and announcement.expires_at <= now
    return "expired" if is_over else "published"


STATES = {
    "edit": ("draft",),
    "schedule": ("draft", "scheduled"),
    "unschedule": ("scheduled",),
    "publish": ("draft", "scheduled"),
    "pin": ("draft", "scheduled", "published"),
    "unpin": ("draft", "scheduled", "published"),
    "expire": ("published",),
    "withdraw": ("draft", "scheduled", "published", "expired"),
}
BY_AGENTS = ("edit",)


def may(verb: str, announcement: Announcement, user: User | None, now: datetime) -> str:
    """ "" if `user` (None: the clockwork) may use the verb now, else the translated reason."""
    refused = _refusal(verb, announcement, user, now)
    return refused.reason if refused else ""


def _refusal(verb: str, announcement: Announcement, user: User | None, now: datetime) -> Refused | None:
    if user is not None and not is_agent(user):
        return Refused(_("Only staff may do this."), kind="permission")
    if user is not None and user.is_limited:
        return Refused(str(CONCERNS_OTHERS), kind="permission")
    is_own_draft = verb == "withdraw" and announcement.published_at is None and announcement.author == user
    if user is not None and not (verb in BY_AGENTS or is_own_draft or is_duty_manager(user)):
        return Refused(_("A duty manager does this. Ask one to look at your draft."), kind="permission")
    if state_of(announcement, now) not in STATES[verb]:
        return Refused(_state_words(verb, announcement, now), kind="state")
    if verb in ("pin", "unpin") and announcement.is_pinned == (verb == "pin"):
        return Refused(_("It is so already."), kind="state")
    return None


def _state_words(verb: str, announcement: Announcement, now: datetime) -> str:
    state = state_of(announcement, now)
    if state == "withdrawn":
        return _("It was withdrawn. Write another one.")
    if verb == "edit" and state == "scheduled":
        return _("It is scheduled. Take it off the schedule first.")
    if state in ("published", "expired"):
        return _("It was published already. Withdraw it, and write another one.")
    return _("It is not published yet.")


# --- verbs ---


@contextmanager
def changing(
    verb: str, announcement: Announcement, *, by: User | None, now: datetime, revision: int | None = None
) -> Iterator[Announcement]:
    """Lock the row, check the rule and the revision, and save what the verb changed: one transaction."""
    with transaction.atomic():
        locked = Announcement.objects.select_for_update().get(pk=announcement.pk)
        refused = _refusal(verb, locked, by, now)
        if refused:
            raise refused
        if revision is not None and revision != locked.revision:
            words = _("Somebody changed it while you were writing. Look at it again, then save.")
            raise Refused(words, kind="stale")
        yield locked
        locked.revision += 1
        locked.save()
    announcement.__dict__.update(locked.__dict__)


def checked(
    *,
    title: str,
    text: str,
    audience: str,
    services: Collection[Service] = (),
    organisations: Collection[Organisation] = (),
    expires_at: datetime | None = None,
    now: datetime,
) -> dict[str, Any]:
    """The columns of a draft. Refused where something is missing."""
    title = " ".join(required(title, "title", _("Give it a title.")).split())
    text = required(text, "text", _("Write what you want to say."))
    if len(title) > TITLE_LENGTH:
        raise Refused(_("The title is too long: use at most 200 characters."), field="title")
    if audience not in Announcement.Audience.values:
        raise Refused(_("Choose whom it is addressed to."), field="audience")
    if audience == Announcement.Audience.SERVICES and not services:
        raise Refused(_("Choose at least one service."), field="services")
    if audience == Announcement.Audience.ORGANISATIONS and not organisations:
        raise Refused(_("Choose at least one organisation."), field="organisations")
    if expires_at is not None and expires_at <= now:
        raise Refused(_("“Shown until” is over already: choose a time to come."), field="expires_at")
    return {"title": title, "text": text, "audience": audience, "expires_at": expires_at}


def write(*, by: User, now: datetime, **given: Any) -> Announcement:
    """A draft. Takes title, text, audience, services, organisations, expires_at."""
    now = now.replace(microsecond=0)
    if not is_agent(by):
        raise Refused(_("Only staff may do this."), kind="permission")
    with transaction.atomic():
        made = Announcement.objects.create(**checked(now=now, **given), author=by, created_at=now)
        _address(made, given)
    return made


def edit(
    announcement: Announcement, *, by: User, now: datetime, revision: int | None = None, **given: Any
) -> None:
    """Change a draft. Takes what `write` takes."""
    now = now.replace(microsecond=0)
    with changing("edit", announcement, by=by, now=now, revision=revision) as locked:
        for name, value in checked(now=now, **given).items():
            setattr(locked, name, value)
        _address(locked, given)


def _address(announcement: Announcement, given: dict[str, Any]) -> None:
    """Only what the audience asks for is kept."""
    Audience = Announcement.Audience
    is_for = announcement.audience
    announcement.services.set(given.get("services", ()) if is_for == Audience.SERVICES else ())
    announcement.organisations.set(given.get("organisations", ()) if is_for == Audience.ORGANISATIONS else ())


def schedule(announcement: Announcement, *, publish_at: datetime, by: User, now: datetime) -> None:
    now, publish_at = now.replace(microsecond=0), publish_at.replace(microsecond=0)
    with changing("schedule", announcement, by=by, now=now) as locked:
        if publish_at <= now:
            words = _("That time is over: choose a time to come, or publish it now.")
            raise Refused(words, field="publish_at")
        if locked.expires_at and locked.expires_at <= publish_at:
            raise Refused(_("It would be over before it is published."), field="publish_at")
        locked.publish_at = publish_at


def unschedule(announcement: Announcement, *, by: User, now: datetime) -> None:
    """A draft again."""
    with changing("unschedule", announcement, by=by, now=now.replace(microsecond=0)) as locked:
        locked.publish_at = None


def publish(announcement: Announcement, *, by: User | None, now: datetime) -> int:
    """Show it, and queue a mail for everybody who wants it; how many. `by` None is the clockwork.

    Channels of the organisations hear of it once each, and so do their webhooks.
    """
    now = now.replace(microsecond=0)
    with changing("publish", announcement, by=by, now=now) as locked:
        if locked.expires_at and locked.expires_at <= now:
            raise Refused(_("“Shown until” is over already: choose a time to come."), field="expires_at")
        locked.published_at = now
        to = addressed(locked)
        for room in channels_of(to):
            if room.hears_announcements:
                _queue(locked, room, now)
        happened = Happened(PUBLISHED, f"announcement-{locked.pk}", {KIND: locked.pk})
        publish_all(to, [happened], now=now)
        return sum(_queue(locked, person, now) for person in hearers(to))


def _queue(announcement: Announcement, to: User | Endpoint, now: datetime) -> bool:
    person, room = (to, None) if isinstance(to, User) else (None, to)
    return outbox.enqueue(
        KIND,
        person,
        now=now,
        dedupe_key=f"{KIND}:{announcement.pk}:{person.pk if person else f'endpoint-{to.pk}'}",
        facts={KIND: announcement.pk},
        is_automatic=False,
        channel=WEBHOOK if room else EMAIL,
        endpoint=room,
    )


def pin(announcement: Announcement, *, by: User, now: datetime) -> None:
    with changing("pin", announcement, by=by, now=now.replace(microsecond=0)) as locked:
        locked.is_pinned = True


def unpin(announcement: Announcement, *, by: User, now: datetime) -> None:
    with changing("unpin", announcement, by=by, now=now.replace(microsecond=0)) as locked:
        locked.is_pinned = False


def expire(announcement: Announcement, *, by: User, now: datetime) -> None:
    """It is over as of now, and stays readable among the earlier ones."""
    now = now.replace(microsecond=0)
    with changing("expire", announcement, by=by, now=now) as locked:
        locked.expires_at = now


def withdraw(announcement: Announcement, *, by: User, now: datetime) -> None:
    """Nobody reads it any more, and mails that wait are not sent."""
    now = now.replace(microsecond=0)
    with changing("withdraw", announcement, by=by, now=now) as locked:
        locked.withdrawn_at = now


def note_reading(announcement: Announcement, person: User, now: datetime) -> None:
    """A customer has opened it; the first time counts."""
    is_known = announcement.readings.filter(person=person).exists()
    if not (person.is_agent or is_known):
        row = AnnouncementReading(announcement=announcement, person=person, at=now.replace(microsecond=0))
        AnnouncementReading.objects.bulk_create([row], ignore_conflicts=True)


# --- the clockwork ---


def publish_due(now: datetime) -> int:
    """Publish what is due, each once; how many."""
    now = now.replace(microsecond=0)
    due = Announcement.objects.filter(publish_at__lte=now, published_at=None, withdrawn_at=None)
    count = 0
    for pk in list(due.order_by("publish_at", "pk").values_list("pk", flat=True)):
        try:
            count += _publish_one(pk, now)
        except Exception:  # one announcement's trouble is not the others'
            logger.exception("announcement %s is left to a later sweep", pk)
    beat("announcements", now)
    return count


def _publish_one(pk: int, now: datetime) -> bool:
    """False when another process has it, or when it is not due any more."""
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        row = Announcement.objects.select_for_update(skip_locked=skip).filter(pk=pk).first()
        if row is None or state_of(row, now) != "scheduled" or not row.publish_at or row.publish_at > now:
            return False
        if row.expires_at and row.expires_at <= now:
            logger.warning("announcement %s was over before it could be published", pk)
            Announcement.objects.filter(pk=pk).update(withdrawn_at=now)
            return False
        publish(row, by=None, now=now)
    return True


# --- the mail ---


def why_not(message: OutboxMessage) -> str:
    """Why it may not be sent any more, or ""."""
    found = Announcement.objects.filter(pk=message.facts[KIND]).first()
    reason = is_over(found)
    if reason or found is None:
        return reason
    if message.recipient is None:
        return _why_not_there(message.endpoint, found)
    if not readers(addressed(found)).filter(pk=message.person.pk).exists():
        return "the person is no member of an addressed organisation any more"
    return "" if message.person.hears_announcements else "the person does not want announcements any more"


def is_over(announcement: Announcement | None) -> str:
    """Why nobody hears of it any more, or ""."""
    if announcement is None or announcement.withdrawn_at:
        return "the announcement was withdrawn"
    if announcement.expires_at and announcement.expires_at <= timezone.now():
        return "the announcement is over"
    return ""


def _why_not_there(room: Endpoint | None, announcement: Announcement) -> str:
    """Why an organisation's own channel does not hear of it any more, or ""."""
    if room is None or room.organisation_id is None or not is_channel_of(room, room.organisation_id):
        return "the channel is not an organisation's any more"
    if not addressed(announcement).filter(pk=room.organisation_id).exists():
        return "the organisation is not addressed any more"
    return "" if room.hears_announcements else "the channel does not hear announcements any more"


def render(message: OutboxMessage) -> Rendered:
    found = Announcement.objects.get(pk=message.facts[KIND])
    url = f"{settings.SITE_URL}{found.get_absolute_url()}"
    person = message.recipient
    if person is None:
        home = message.endpoint.organisation if message.endpoint else None
    else:
        home = Organisation.objects.visible_to(person).order_by("memberships__pk").first()
    context = {"announcement": found, "url": url}
    return render_mail(KIND, context, recipient=person, organisation=home, url=url)


ANNOUNCED = outbox.MessageKind(name=KIND, render=render, why_not=why_not)
