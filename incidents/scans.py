"""Files on their way through the scanner: held until it has looked at them, and for ever if it objects.

The clockwork asks in small batches, at once after an upload and every few seconds besides. A scanner that is
away costs time and no file: everything goes through once it is back. Which files came before there was a scanner
is looked at last, a few at a time, and they stay readable meanwhile.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from incidents.models import Attachment
from portal import audit, outbox, scanning
from portal.channels.base import Rendered
from portal.heartbeat import beat
from portal.mails import render_mail
from portal.models import OutboxMessage, StaffRole, User

logger = logging.getLogger(__name__)

Scan = Attachment.Scan
BATCH, OLD_BATCH = 50, 20
AGAIN = timedelta(hours=1)  # for a file that the scanner could not take: its limits may have been raised
INFECTED, SILENT = "file_infected", "scanner_silent"
ROLES = [StaffRole.DUTY_MANAGER, StaffRole.HEAD_OF_SUPPORT, StaffRole.ADMINISTRATOR]


def due(now: datetime) -> QuerySet[Attachment]:
    """What waits for the scanner, the oldest first; what it could not take is tried again each hour."""
    waiting = Attachment.objects.filter(scan=Scan.WAITING).exclude(file="")
    return waiting.filter(Q(scanned_at=None) | Q(scanned_at__lte=now - AGAIN)).order_by(
        F("scanned_at").asc(nulls_first=True), "pk"
    )


def sweep(now: datetime) -> dict[str, int]:
    """Have scanned what is due, and some of what came before there was a scanner; what was found, counted."""
    done: dict[str, int] = {}
    if not scanning.is_configured():
        return done
    beat("scans", now)
    if scanning.is_time_to_ask(now):
        done = _look(now)
    tell_of_silence(now)
    return done


def _look(now: datetime) -> dict[str, int]:
    old = Attachment.objects.filter(scan=Scan.NOT_ASKED).exclude(file="").order_by("pk")
    done: dict[str, int] = {}
    for attachment in [*due(now)[:BATCH], *old[:OLD_BATCH]]:
        try:
            said = _scan(attachment, now)
        except scanning.Away as error:
            logger.warning("the scanner does not answer (%s); files stay held", error)
            break
        done[said] = done.get(said, 0) + 1
    return done


def _scan(attachment: Attachment, now: datetime) -> str:
    """Have one file scanned; the state it is in now. Away if nobody answers."""
    scanning.note_asked(now)
    try:
        with attachment.file.open("rb") as stored:
            found = scanning.scan(stored)
    except FileNotFoundError:
        found = scanning.Found(trouble=_("the file is not there"))
    scanning.note_answered(now)
    state = Scan.CLEAN if found.is_clean else Scan.INFECTED if found.infection else Scan.WAITING
    note = found.infection or found.trouble
    rows = Attachment.objects.filter(pk=attachment.pk, scan__in=[Scan.WAITING, Scan.NOT_ASKED])
    changed = rows.update(scan=state, scanned_at=timezone.now().replace(microsecond=0), scan_note=note[:200])
    if changed and state == Scan.INFECTED:
        facts = {"attachment": attachment.pk}
        _tell(INFECTED, f"{INFECTED}:{attachment.pk}", now, facts, about=attachment)
    return str(state)


# --- who hears of it ---


def silent_since(now: datetime) -> datetime | None:
    """Since when files wait that nobody has looked at, if that is longer than ten minutes."""
    if not scanning.is_configured():
        return None
    waiting = Attachment.objects.filter(scan=Scan.WAITING, scanned_at=None).exclude(file="")
    oldest = waiting.order_by("uploaded_at").values_list("uploaded_at", flat=True).first()
    return oldest if oldest and now - oldest >= scanning.SILENT_AFTER else None


def tell_of_silence(now: datetime) -> None:
    """Staff hear, at most once an hour, that files are held because nobody scans them."""
    since = silent_since(now)
    if since is not None:
        _tell(SILENT, f"{SILENT}:{now:%Y-%m-%d-%H}", now, {"since": since.isoformat()})


def _tell(
    kind: str, key: str, now: datetime, facts: dict[str, Any], *, about: Attachment | None = None
) -> None:
    """Queue a notice for whoever decides; of a file only those who may see its incident."""
    for person in User.objects.filter(is_active=True, is_staff=True, staff_role__in=ROLES).order_by("pk"):
        if about is not None and not _may_see(person, about):
            continue
        outbox.enqueue(kind, person, now=now, dedupe_key=f"{key}:{person.pk}", facts=facts)


def render_infected(message: OutboxMessage) -> Rendered:
    attachment = Attachment.objects.select_related("incident").get(pk=message.facts["attachment"])
    context = {"attachment": attachment, "incident": attachment.incident}
    return render_mail(INFECTED, context, recipient=message.person)


def render_silent(message: OutboxMessage) -> Rendered:
    since = datetime.fromisoformat(message.facts["since"])
    held = Attachment.objects.filter(scan=Scan.WAITING).exclude(file="").count()
    return render_mail(SILENT, {"since": since, "held": held}, recipient=message.person)


def _may_see(person: User, attachment: Attachment) -> bool:
    return Attachment.objects.visible_to(person).filter(pk=attachment.pk).exists()


def _why_not(message: OutboxMessage) -> str:
    return "" if message.person.is_agent else "the recipient is not staff any more"


def _why_not_infected(message: OutboxMessage) -> str:
    attachment = Attachment.objects.get(pk=message.facts["attachment"])
    is_known = _may_see(message.person, attachment)
    return _why_not(message) or ("" if is_known else "the recipient may not see the incident any more")


def _why_not_silent(message: OutboxMessage) -> str:
    return _why_not(message) or ("" if silent_since(timezone.now()) else "the scanner answers again")


def register() -> None:
    """Make the two notices known to the outbox."""
    outbox.register(outbox.MessageKind(name=INFECTED, render=render_infected, why_not=_why_not_infected))
    outbox.register(outbox.MessageKind(name=SILENT, render=render_silent, why_not=_why_not_silent))


# --- what an administrator may do ---


def remove_file(attachment: Attachment, *, by: User, now: datetime) -> bool:
    """Delete a held file for good; the row stays, and says so. False for a file that is not held as infected."""
    if not by.has_staff_role(StaffRole.ADMINISTRATOR):
        return False
    rows = Attachment.objects.filter(pk=attachment.pk, scan=Scan.INFECTED).exclude(file="")
    if not rows.update(file=""):
        return False
    attachment.file.storage.delete(str(attachment.file.name))
    audit.record("infected_file_removed", by=by, now=now, subject=f"attachment/{attachment.pk}")
    return True
