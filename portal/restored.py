"""A restored copy of the database mails nobody, and takes no mail from a mailbox, until somebody releases it.

Else a backup that is tried out on another machine would send customers what the original has sent already,
and take their new mails away from it. Where the database stands is known by what a restoration changes and
normal running does not: on PostgreSQL the cluster's identifier and the numbers of the database and of the
outbox's table (a dump that is read anew, also into the same place, changes one of them; a failover to a
standby changes none); on SQLite the machine, the file's path and its inode.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from django.db import connection
from django.utils.translation import gettext as _

from portal.models import OutboxMessage
from portal.models.home import Home

MACHINE = Path("/etc/machine-id")
_POSTGRESQL = """
    SELECT (SELECT system_identifier FROM pg_control_system())::text,
           (SELECT oid FROM pg_database WHERE datname = current_database())::text,
           %s::regclass::oid::text
"""


def hold_reason(now: datetime) -> str:
    """Why nothing may go out of this database, in the active language; "" where it is the one it was.

    The first call in a new database makes it the home.
    """
    mark = mark_of_database()
    home, _is_new = Home.objects.get_or_create(pk=1, defaults={"mark": mark, "adopted_at": now})
    if home.mark == mark:
        return ""
    return _(
        "This database is a restored copy, or was moved. Nothing is sent or fetched until it is released: "
        "run manage.py release_outbox where this copy takes the place of the original."
    )


def release(now: datetime) -> None:
    """Make this database the home: from now on its messages go out."""
    Home.objects.update_or_create(pk=1, defaults={"mark": mark_of_database(), "adopted_at": now})


def drop_waiting() -> int:
    """Do not send what waits in a restored copy: the original has sent it. Says how many."""
    State = OutboxMessage.State
    return OutboxMessage.objects.filter(state__in=[State.QUEUED, State.CLAIMED]).update(
        state=State.DROPPED,
        state_reason="it was waiting when the backup was made",
        lease=None,
        lease_until=None,
    )


def mark_of_database() -> str:
    """A digest of where the database stands."""
    parts = {"postgresql": mark_on_postgresql, "sqlite": mark_on_sqlite}[connection.vendor]()
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def mark_on_postgresql() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRESQL, [OutboxMessage._meta.db_table])
        return list(cursor.fetchone())


def mark_on_sqlite() -> list[str]:
    path = Path(str(connection.settings_dict["NAME"])).resolve()
    if not path.exists():  # in memory: a copy of it cannot be
        return [str(path)]
    machine = MACHINE.read_text().strip() if MACHINE.exists() else ""
    return [machine, str(path), str(path.stat().st_ino)]
