"""A window as calendars read it: invitations (RFC 5545, 5546) and the feed, both with the MAINTNOTE properties
of the network industry (draft-gunter-calext-maintenance-notifications-00).

One window is one UID for its whole life; SEQUENCE is the window's own. Each text is made for one person, in
their language and zone, and names only the services that their organisation uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from icalendar import Calendar, Event, vCalAddress, vDuration

from maintenance.models import (
    Consent,
    Invitation,
    MaintenanceWindow,
    Status,
    WindowOrganisation,
    WindowService,
)
from maintenance.zones import vtimezone
from portal.channels.base import CalendarPart, one_line
from portal.mails import reading_as
from portal.middleware import choices, zone_info
from portal.models import Organisation, User
from portal.models.service_impact import Impact

REQUEST, CANCEL, PUBLISH = "REQUEST", "CANCEL", "PUBLISH"
REFRESH = timedelta(minutes=15)
HISTORY = timedelta(days=730)  # how far back a feed goes; the pages have all of it
UTC_NAMES = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"})
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # all but tab and line feed


def part(
    window: MaintenanceWindow, *, person: User, organisation: Organisation, method: str, now: datetime
) -> CalendarPart:
    """The invitation of one person, or its cancellation: `method` is "REQUEST" or "CANCEL".

    `now` becomes DTSTAMP. Raises Invitation.DoesNotExist for somebody who was never invited.
    """
    invitation = window.invitations.get(person=person)
    cut = cuts([window], [organisation])[window.pk]
    with reading_as(person, organisation):
        event = _event(window, cut, stamp=now, is_cancelled=method == CANCEL)
        event["ORGANIZER"] = _address(reply_address(invitation), settings.SUPPORT_BRAND)
        event["ATTENDEE"] = _attendee(window, invitation, method)
        made = _calendar([event], method)
    return CalendarPart(method, made.to_ical().decode())


def reply_address(invitation: Invitation) -> str:
    """Where answers to this one invitation go."""
    return f"maintenance+{invitation.token}@{settings.MAIL_DOMAIN}"


def single(window: MaintenanceWindow, *, person: User) -> str:
    """One window as a file that somebody who may see it imports by hand; nobody is invited by it."""
    with _reading_alone(person):
        return _calendar(_published([window], person), PUBLISH).to_ical().decode()


def feed(person: User, now: datetime) -> str:
    """Every announced window that the person may see and that ended after now - HISTORY.

    Nothing else in it depends on `now`: an unchanged feed is the same bytes.
    """
    windows = MaintenanceWindow.objects.visible_to(person).filter(announced_at__isnull=False)
    recent = list(windows.filter(ends_at__gt=now - HISTORY).order_by("starts_at", "pk"))
    with _reading_alone(person):
        made = _calendar(_published(recent, person), PUBLISH)
        name = _("Maintenance · %(brand)s") % {"brand": settings.SUPPORT_BRAND}
        made.add("X-WR-TIMEZONE", timezone.get_current_timezone_name())
    for key in ("NAME", "X-WR-CALNAME"):
        made.add(key, one_line(name))
    made.add("REFRESH-INTERVAL", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    made.add("X-PUBLISHED-TTL", vDuration(REFRESH))
    return made.to_ical().decode()


# --- what of a window is whose ---


@dataclass(frozen=True)
class Cut:
    """What of one window its readers may know: their affected services, their account, their missing consent."""

    affected: Sequence[WindowService]
    account: str
    lacks_consent: bool


def cuts(
    windows: Sequence[MaintenanceWindow], organisations: Sequence[Organisation] | None
) -> dict[int, Cut]:
    """The windows by their ids, cut to what the organisations may know; None means staff, who know all.

    Three queries, however many windows.
    """
    affected: dict[int, list[WindowService]] = {window.pk: [] for window in windows}
    rows = WindowService.objects.filter(window__in=affected)
    if organisations is not None:
        rows = rows.filter(service__subscriptions__organisation__in=organisations)
    for row in rows.select_related("service").distinct().order_by("service__position", "service__name"):
        affected[row.window_id].append(row)
    theirs = {"window__in": affected, "organisation__in": organisations or []}
    involved = WindowOrganisation.objects.filter(**theirs).order_by("-organisation__name")
    accounts = dict(involved.values_list("window", "organisation__slug"))
    missing = (Consent.State.OPEN, Consent.State.REFUSED)
    lacking = set(Consent.objects.filter(**theirs, state__in=missing).values_list("window", flat=True))
    return {pk: Cut(found, accounts.get(pk, ""), pk in lacking) for pk, found in affected.items()}


# --- the parts of a calendar ---


def _calendar(events: Sequence[Event], method: str) -> Calendar:
    made = Calendar()
    made.add("PRODID", f"-//{one_line(settings.SUPPORT_BRAND, 100)}//Maintenance windows 1//EN")
    made.add("VERSION", "2.0")
    made.add("CALSCALE", "GREGORIAN")
    made.add("METHOD", method)
    local = [event.DTSTART for event in events if event["DTSTART"].params.get("TZID")]
    if local:
        years = [at.year for at in local]
        made.add_component(vtimezone(timezone.get_current_timezone_name(), min(years), max(years) + 1))
    for event in events:
        made.add_component(event)
    return made


@contextmanager
def _reading_alone(person: User) -> Iterator[None]:
    """In the person's own language and zone, whoever asks in whatever session."""
    zone, language = choices(person)
    with translation.override(language), timezone.override(zone_info(zone)):
        yield


def _published(windows: Sequence[MaintenanceWindow], person: User) -> list[Event]:
    """For whoever reads it, and not for them alone: without attendees, as RFC 5546 §3.2.1 asks."""
    organisations = None if person.is_unlimited else list(Organisation.objects.visible_to(person))
    cut = cuts(windows, organisations)
    events = []
    for window in windows:
        event = _event(window, cut[window.pk], stamp=window.last_changed_at, is_cancelled=False)
        event["ORGANIZER"] = _address(settings.SUPPORT_EMAIL, settings.SUPPORT_BRAND)
        events.append(event)
    return events


def _event(window: MaintenanceWindow, cut: Cut, *, stamp: datetime, is_cancelled: bool) -> Event:
    is_cancelled = is_cancelled or window.status == Status.CANCELLED
    event = Event()
    event.add("UID", window.uid)
    event.add("SEQUENCE", window.sequence)
    event.add("DTSTAMP", stamp.astimezone(UTC))
    event.add("LAST-MODIFIED", window.last_changed_at.astimezone(UTC))
    _add_times(event, window)
    event.add("STATUS", "CANCELLED" if is_cancelled else "CONFIRMED")
    event.add("TRANSP", "TRANSPARENT")
    event.add("SUMMARY", _summary(window, is_cancelled=is_cancelled))
    event.add("DESCRIPTION", _description(window, cut.affected))
    event.add("URL", page_of(window))
    _add_maintnote(event, window, cut, is_cancelled=is_cancelled)
    return event


def page_of(window: MaintenanceWindow) -> str:
    return f"{settings.SITE_URL}{window.get_absolute_url()}"


def _add_times(event: Event, window: MaintenanceWindow) -> None:
    """Wall time of the reader's zone; UTC where that could mean another instant.

    The hour that comes twice when clocks are set back is the first one by RFC 5545, and programs differ.
    """
    zone = timezone.get_current_timezone()
    times = [at.astimezone(zone) for at in (window.starts_at, true_end(window))]
    if timezone.get_current_timezone_name() in UTC_NAMES or any(comes_twice(at) for at in times):
        times = [at.astimezone(UTC) for at in times]
    event.add("DTSTART", times[0])
    event.add("DTEND", times[1])


def comes_twice(at: datetime) -> bool:
    """Whether its wall time is that of another instant as well."""
    return at.utcoffset() != at.replace(fold=1 - at.fold).utcoffset()


def true_end(window: MaintenanceWindow) -> datetime:
    """When it ended; the agreed end while it has not, and of one that never was."""
    is_done = window.ended_at is not None and window.status != Status.CANCELLED
    return window.ended_at if is_done and window.ended_at else window.ends_at


def _summary(window: MaintenanceWindow, *, is_cancelled: bool) -> str:
    words = {"reference": window.reference, "title": window.title}
    text = (
        _("Cancelled: %(reference)s %(title)s") if is_cancelled else _("Maintenance %(reference)s: %(title)s")
    )
    return one_line(text % words, 10_000)


def _description(window: MaintenanceWindow, affected: Iterable[WindowService]) -> str:
    services = "\n".join(f"- {row.service.name}: {row.get_impact_display()}" for row in affected)
    blocks = [
        f"{_('State')}: {window.get_status_display()}",
        window.description,
        f"{_('Affected services')}:\n{services}" if services else "",
        f"{_('Outcome')}: {window.outcome}" if window.is_over and window.outcome else "",
        page_of(window),
    ]
    text = "\n\n".join(block.strip() for block in blocks if block.strip())
    return UNSAFE.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


# --- who ---


def _address(email: str, name: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{one_line(email, 320)}")
    if name:
        address.params["CN"] = one_line(name, 150)
    return address


def _attendee(window: MaintenanceWindow, invitation: Invitation, method: str) -> vCalAddress:
    address = _address(invitation.person.email, invitation.person.name)
    address.params["CUTYPE"] = "INDIVIDUAL"
    address.params["ROLE"] = "REQ-PARTICIPANT"
    address.params["PARTSTAT"] = partstat(window, invitation)
    if method == REQUEST:
        address.params["RSVP"] = "FALSE" if window.is_over else "TRUE"
    return address


def partstat(window: MaintenanceWindow, invitation: Invitation) -> str:
    """What the person answered. Before the start, an answer to other times counts as none (RFC 5546 §3.2.2.1)."""
    is_old = (invitation.answered_sequence or 0) < window.sequence
    if is_old and window.status == Status.ANNOUNCED:
        return "NEEDS-ACTION"
    return Invitation.Answer(invitation.answer).name.replace("_", "-")


# --- MAINTNOTE ---


IMPACTS = {
    Impact.NONE: "NO-IMPACT",
    Impact.REDUCED_REDUNDANCY: "REDUCED-REDUNDANCY",
    Impact.DEGRADED: "DEGRADED",
    Impact.OUTAGE: "OUTAGE",
}


def _add_maintnote(event: Event, window: MaintenanceWindow, cut: Cut, *, is_cancelled: bool) -> None:
    event.add("X-MAINTNOTE-PROVIDER", settings.MAIL_DOMAIN)
    if cut.account:
        event.add("X-MAINTNOTE-ACCOUNT", cut.account)
    event.add("X-MAINTNOTE-MAINTENANCE-ID", window.reference)
    for row in cut.affected:
        impact = {"X-MAINTNOTE-OBJECT-IMPACT": IMPACTS[Impact(row.impact)]}
        event.add("X-MAINTNOTE-OBJECT-ID", row.service.slug, parameters=impact)
    event.add("X-MAINTNOTE-IMPACT", worst_impact(cut.affected))
    status = "CANCELLED" if is_cancelled else maintnote_status(window, lacks_consent=cut.lacks_consent)
    event.add("X-MAINTNOTE-STATUS", status)


def worst_impact(affected: Iterable[WindowService]) -> str:
    order = list(IMPACTS)
    worst = max((order.index(Impact(row.impact)) for row in affected), default=0)
    return IMPACTS[order[worst]]


def maintnote_status(window: MaintenanceWindow, *, lacks_consent: bool) -> str:
    """TENTATIVE while an organisation's own consent is missing: then the window does not start."""
    if window.status in (Status.COMPLETED, Status.ROLLED_BACK):
        return "COMPLETED"
    if window.is_running:
        return "IN-PROCESS"
    return "TENTATIVE" if lacks_consent else "CONFIRMED"
