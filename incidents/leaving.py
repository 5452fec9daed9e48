"""What becomes of incidents when somebody leaves their organisation: handed over, and watched no more."""

from __future__ import annotations

from incidents import actions
from portal import offboarding
from portal.models import Organisation, User
from portal.offboarding import Leaving


def open_work(person: User, organisation: Organisation) -> int:
    return len(actions.reported_and_open(person, organisation))


def leave(leaving: Leaving) -> None:
    by = {"by": leaving.by, "now": leaving.now, "channel": leaving.channel}
    actions.transfer_incidents(leaving.person, leaving.organisation, to=leaving.to, **by)
    actions.stop_watching(leaving.person, leaving.organisation, **by)


def register() -> None:
    """Make it known to the kernel. For the app's ready()."""
    offboarding.register(offboarding.Room(open_work, leave))
