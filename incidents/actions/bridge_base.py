"""What the verbs of the live bridge share: the incident's lock protects the bridge and everything on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, acting
from incidents.models import Bridge, BridgePresence, Incident
from incidents.sight import writers_who_may_see
from portal.access import looks_after
from portal.models import User

SILENCE = timedelta(minutes=3)  # who is not heard of for so long has left
ABANDONED = timedelta(minutes=30)  # nobody there for so long: the bridge of a resolved incident closes
HEARTBEAT = timedelta(seconds=60)  # how often "seen" is written down at most


@dataclass
class BridgeAct:
    """A verb at work on an open bridge, under the lock of its incident."""

    act: Act
    bridge: Bridge

    @property
    def now(self) -> datetime:
        return self.act.now

    def roster_changed(self) -> None:
        """People, parts or steps are others now: whoever watches reads them anew."""
        count_roster(self.bridge)


def count_roster(bridge: Bridge) -> None:
    """The next revision of people, parts and steps; one UPDATE, so that two at once both count."""
    Bridge.objects.filter(pk=bridge.pk).update(roster_revision=F("roster_revision") + 1)


@contextmanager
def on_bridge(
    verb: str, bridge: Bridge, *, by: User | None, now: datetime, channel: str
) -> Iterator[BridgeAct]:
    """Lock the incident and check the rule; Refused when the bridge is closed. `by` was seen there just now."""
    with acting(verb, bridge.incident, by=by, now=now, channel=channel) as act:
        fresh = Bridge.objects.get(pk=bridge.pk, incident=act.incident)
        fresh.incident = act.incident
        if fresh.closed_at is not None:
            raise Refused(_closed_words(act.incident), kind="state")
        yield BridgeAct(act, fresh)
        if by is not None:
            note_presence(fresh, by, act.now)
    bridge.refresh_from_db()


def _closed_words(incident: Incident) -> str:
    if incident.is_unresolved:
        return _("The bridge is closed. Open it again, or reply to the incident.")
    return _("The bridge is closed. Reply to the incident instead.")


def note_presence(bridge: Bridge, person: User, now: datetime) -> None:
    """Note that somebody on the bridge is there still: at most one UPDATE a minute, without a lock."""
    now = now.replace(microsecond=0)
    stay = BridgePresence.objects.filter(bridge=bridge, person=person, left_at=None)
    stay.filter(seen_at__lte=now - HEARTBEAT).update(seen_at=now)


def may_act_for(person: User, incident: Incident) -> bool:
    """Whether somebody takes part in the work: staff, or a manager or member of the organisation."""
    if not person.is_active:
        return False
    return looks_after(person, incident.organisation_id) or is_writer(person, incident)


def is_writer(person: User, incident: Incident) -> bool:
    """Whether the person is, now, a manager or member of the incident's organisation who may see it."""
    return not person.is_agent and writers_who_may_see(incident).filter(pk=person.pk).exists()
