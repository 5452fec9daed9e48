"""What the tables of maintenance hold of people, and what is done with it (see `portal/privacy.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.utils.translation import gettext as _

from maintenance.models import MaintenanceWindow
from maintenance.models.window import OVER
from portal import privacy
from portal.models import User
from portal.privacy import plain, table


def declare() -> None:
    """For the room's ready()."""
    _windows()
    _people()
    privacy.register(privacy.Room(duties=duties))


def duties(person: User, now: datetime) -> Iterable[str]:
    """What a member of staff must hand over before they can be forgotten."""
    for window in MaintenanceWindow.objects.filter(owner=person).exclude(status__in=OVER).order_by("pk"):
        yield _("owns %(window)s") % {"window": window.reference}


def _windows() -> None:
    table(
        "maintenance.MaintenanceWindow",
        who="owner author approved_by decided_by extension_by",
        scrub="title description extension_reason outcome",
        plain="time_zone uid",
    )
    table("maintenance.WindowStep", who="done_by", scrub="text")
    table("maintenance.RollbackCondition", who="checked_by", scrub="measure limit measured")
    table(
        "maintenance.WindowPost", own="author", export="window.reference text at", who="author", scrub="text"
    )
    table("maintenance.WindowAlarm", scrub="title", plain="source fingerprint opened")
    plain("maintenance.WindowService maintenance.WindowOrganisation maintenance.MaintenancePlan")
    # Append-only, and ids and facts only.
    table("maintenance.WindowEvent", who="by", plain="kind channel payload")


def _people() -> None:
    table(
        "maintenance.Invitation",
        own="person",
        export="window.reference invited_at answer answered_at",
        who="person",
        plain="token",
    )
    table(
        "maintenance.CalendarFeed",
        own="person",
        export="created_at",
        goes="person token_digest",
        deleted=True,
    )
    table(
        "maintenance.Freeze",
        own="entered_by",
        export="organisation reason entered_at",
        who="entered_by withdrawn_by",
        scrub="reason",
    )
    table(
        "maintenance.Consent",
        own="decided_by",
        export="window.reference state words decided_at",
        who="decided_by",
        scrub="words",
        plain="about channel",
    )
