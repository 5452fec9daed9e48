"""What becomes of incidents when somebody leaves their organisation: handed over, and watched no more."""

from __future__ import annotations

from incidents import actions
from portal import offboarding
from portal.models import Organisation, User
from portal.offboarding import Leaving


def open_work(person: User, organisation: Organisation) -> int:
    return len(actions.reported_and_open(person, organisation))


def leave(leaving: Leaving) -> None:
    person, organisation, by, now = leaving.person, leaving.organisation, leaving.by, leaving.now
    channel = leaving.channel
    actions.transfer_incidents(person, organisation, to=leaving.to, by=by, now=now, channel=channel)
    actions.stop_watching(person, organisation, by=by, now=now, channel=channel)


def register() -> None:
    """Make it known to the kernel. For the app's ready()."""
    offboarding.register(offboarding.Room(open_work, leave))
