"""Filing an incident, by a customer or on a customer's behalf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, finish, required
from incidents.actions.impacts import feel_impact
from incidents.actions.writing import attach
from incidents.defaults import plan_for
from incidents.models import Alarm, Channel, InboundMessage, Incident, Level, Status
from incidents.models.timeline import Opened
from maintenance.models import MaintenanceWindow
from portal import access
from portal.calendars import extend_horizon
from portal.models import Organisation, Service, User
from portal.models.service_impact import Impact

TITLE_LENGTH = 200
TEXT_LENGTH = 50_000


def open_incident(
    *,
    organisation: Organisation,
    reporter: User | None,
    by: User | None,
    now: datetime,
    channel: str,
    title: str,
    description: str = "",
    claimed_level: str,
    services: Iterable[Service] = (),
    impact: str = Impact.DEGRADED,
    files: Sequence[UploadedFile] = (),
    received_at: datetime | None = None,
    inbound: InboundMessage | None = None,
    alarm: Alarm | None = None,
    parent: Incident | None = None,
    window: MaintenanceWindow | None = None,
) -> Incident:
    """File an incident under the organisation's promise of now; clocks count from the receipt.

    `by` is the reporter, or an agent on the reporter's behalf; nobody where an `alarm` reports. What the
    vendor itself tells of (its own outage, and an incident under it) has no reporter.
    `received_at` is our own acceptance when it lies before `now` (a mail's INTERNALDATE), `inbound` the
    mail that it came by. `parent` is the vendor's own incident where one outage concerns several
    organisations. `window` is the one whose overrun opens it; what a person reports while work on their
    services is under way bears that window by itself, and is otherwise as ever. Raises Refused.
    """
    now = now.replace(microsecond=0)
    received = min((received_at or now).replace(microsecond=0), now)
    title = _single_line(required(title, "title", _("Give the incident a title: what is broken?")))
    services = list(services)
    _check_people(organisation, reporter, by, channel, parent)
    _check(organisation, title, description, claimed_level, impact, services)
    with transaction.atomic():
        plan = plan_for(organisation, now)
        calendar_version = plan.calendar.current_version
        extend_horizon(calendar_version, now)
        incident = Incident.objects.create(
            organisation=organisation,
            reporter=reporter,
            team=access.team_of(reporter, organisation),
            title=title,
            description=description.replace("\0", "").strip(),
            impact=impact,
            claimed_level=claimed_level,
            level=claimed_level,
            channel=channel,
            parent=parent,
            window=window if alarm else _window_at(organisation, services, received),
            policy_version=plan.policy_version,
            calendar_version=calendar_version,
            opened_at=received,
            last_changed_at=now,
            computed_at=now,
        )
        incident.services.set(services)
        act = Act(incident, by, now, channel)
        if files:
            attach(act, files)
        feel_impact(incident, received, services)
        act.record(
            Opened(
                status_to=Status.REPORTED,
                level=claimed_level,
                policy_version=plan.policy_version_id,
                calendar_version=calendar_version.pk,
                on_behalf=by != reporter,
                alarm=alarm.pk if alarm else None,
                inbound=inbound.pk if inbound else None,
            ),
            at=received,
        )
        finish(act)
    return incident


def _window_at(
    organisation: Organisation, services: Sequence[Service], at: datetime
) -> MaintenanceWindow | None:
    """The maintenance that was under way at `at` for the organisation, on one of the services if any is named."""
    rows = MaintenanceWindow.objects.under_way(at).filter(involved__organisation=organisation)
    if services:
        rows = rows.filter(affected__service__in=services)
    return rows.order_by("starts_at", "pk").first()


def _single_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _check(
    organisation: Organisation,
    title: str,
    description: str,
    level: str,
    impact: str,
    services: Sequence[Service],
) -> None:
    if len(title) > TITLE_LENGTH:
        raise Refused(_("Shorten the title to 200 characters; details go below."), field="title")
    if len(description) > TEXT_LENGTH:
        raise Refused(
            _("Shorten the description to 50,000 characters, or attach a file."), field="description"
        )
    if level not in Level.values:
        raise Refused(_("Choose P1, P2 or P3."), field="claimed_level")
    if impact not in Impact.values:
        raise Refused(_("Choose one of the impacts offered."), field="impact")
    known = Service.objects.all() if organisation.is_vendor else Service.objects.used_by(organisation)
    used = set(known.values_list("pk", flat=True)) if services else set()
    if any(service.pk not in used for service in services):
        raise Refused(_("Choose among the services that the organisation uses."), field="services")


def _check_people(
    organisation: Organisation,
    reporter: User | None,
    by: User | None,
    channel: str,
    parent: Incident | None,
) -> None:
    if not organisation.is_active:
        raise Refused(_("This organisation is not active any more."), field="organisation")
    if by is None and reporter is None and channel == Channel.ALARM:
        return
    if by is not None and by.is_limited and not access.looks_after(by, organisation.pk):
        raise Refused(str(access.CONCERNS_OTHERS), kind="permission")
    is_ours = organisation.is_vendor or parent is not None
    if is_ours and reporter is None and by is not None and by.is_agent:
        return
    if by is None or reporter is None:
        raise Refused(_("Say who reports it."), kind="permission", field="reporter")
    if by.is_agent:
        if access.membership(reporter, organisation) is None or not reporter.is_active:
            raise Refused(_("The reporter must be a person of the organisation."), field="reporter")
        return
    if by != reporter:
        raise Refused(_("You can only report for yourself."), kind="permission", field="reporter")
    if not access.may_write(by, organisation):
        raise Refused(
            _("Viewers can read but not report. Ask a manager of your organisation for the member role."),
            kind="permission",
        )
