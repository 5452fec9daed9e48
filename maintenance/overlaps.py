"""What a time collides with: freezes, other windows, an open P1, and the notice that the plans promise.

For staff: the findings name organisations. The same answer is shown while somebody types and is written
as consents that somebody must give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from maintenance.models import Consent, Freeze, MaintenancePlan, MaintenanceWindow, Status
from maintenance.models.window import RUNNING
from portal.models import Organisation, Service, ServiceImpact, ServiceSubscription
from portal.models.service_impact import Impact
from portal.templatetags.portal_tags import duration, moment

Reason = Consent.Reason
IN_THE_WAY = (Status.PROPOSED, Status.APPROVED, Status.ANNOUNCED, *RUNNING)
Affected = Sequence[tuple[Service, str]]  # service, value of Impact


@dataclass(frozen=True)
class Overlap:
    """One conflict. `about` tells it from others of its reason; without an organisation the vendor decides."""

    reason: str
    about: str
    organisation: Organisation | None
    service: Service | None
    starts_at: datetime
    ends_at: datetime | None
    words: str

    @property
    def key(self) -> tuple[int | None, str, str]:
        return (self.organisation.pk if self.organisation else None, self.reason, self.about)


def overlaps(
    starts_at: datetime,
    ends_at: datetime,
    services: Iterable[Service],
    now: datetime,
    exclude: MaintenanceWindow | None = None,
) -> list[Overlap]:
    """What maintenance of `services` over [starts_at, ends_at) collides with at `now`; `exclude` is itself."""
    services = list(services)
    return [
        *_freezes(starts_at, ends_at, services),
        *_windows(starts_at, ends_at, services, exclude),
        *_open_p1s(services),
    ]


def conflicts(window: MaintenanceWindow, now: datetime) -> list[Overlap]:
    """Everything that must be resolved or consented to before the window: overlaps, and short notice."""
    affected = [(row.service, row.impact) for row in window.affected.select_related("service")]
    found = overlaps(window.starts_at, window.ends_at, [s for s, _impact in affected], now, exclude=window)
    return found + short_notices(window.starts_at, affected, now)


def users_of(services: Iterable[Service]) -> list[Organisation]:
    """The active organisations that use one of the services: those whom its maintenance concerns."""
    rows = Organisation.objects.filter(
        is_active=True, is_vendor=False, subscriptions__service__in=[service.pk for service in services]
    )
    return list(rows.distinct().order_by("pk"))


def _freezes(starts_at: datetime, ends_at: datetime, services: Sequence[Service]) -> Iterator[Overlap]:
    standing = Freeze.objects.standing().between(starts_at, ends_at)
    rows = standing.filter(organisation__in=users_of(services)).select_related("organisation", "service")
    for freeze in rows.order_by("pk"):
        used = Service.objects.filter(subscriptions__organisation=freeze.organisation_id)
        touched = used.filter(pk__in=[service.pk for service in services]).order_by("position", "name")
        if freeze.service_id:
            touched = touched.filter(pk=freeze.service_id)
        service = touched.first()
        if service is None:
            continue
        words = _("%(organisation)s asked for no maintenance from %(from)s to %(until)s: %(reason)s") % {
            "organisation": freeze.organisation,
            "from": moment(freeze.starts_at),
            "until": moment(freeze.ends_at),
            "reason": freeze.reason,
        }
        yield Overlap(
            Reason.FREEZE,
            str(freeze.pk),
            freeze.organisation,
            service,
            freeze.starts_at,
            freeze.ends_at,
            words,
        )


def _windows(
    starts_at: datetime, ends_at: datetime, services: Sequence[Service], exclude: MaintenanceWindow | None
) -> Iterator[Overlap]:
    rows = MaintenanceWindow.objects.filter(
        status__in=IN_THE_WAY,
        starts_at__lt=ends_at,
        ends_at__gt=starts_at,
        affected__service__in=[service.pk for service in services],
    )
    if exclude is not None:
        rows = rows.exclude(pk=exclude.pk)
    for other in rows.distinct().order_by("starts_at", "pk"):
        touched = other.affected.filter(service__in=[s.pk for s in services]).select_related("service")
        service = touched[0].service
        words = _("%(reference)s on %(service)s from %(from)s to %(until)s") % {
            "reference": other.reference,
            "service": service,
            "from": moment(other.starts_at),
            "until": moment(other.ends_at),
        }
        yield Overlap(
            Reason.OTHER_WINDOW, other.reference, None, service, other.starts_at, other.ends_at, words
        )


def _open_p1s(services: Sequence[Service]) -> Iterator[Overlap]:
    """One for each service: the oldest, which is the parent's where one outage concerns many."""
    for service in services:
        impact = (
            ServiceImpact.objects.open().filter(service=service, level="P1").order_by("from_at", "pk").first()
        )
        if impact is None:
            continue
        words = _("%(reference)s is an open P1 on %(service)s since %(from)s") % {
            "reference": impact.source,
            "service": service,
            "from": moment(impact.from_at),
        }
        yield Overlap(Reason.OPEN_P1, impact.source, None, service, impact.from_at, None, words)


def short_notices(starts_at: datetime, affected: Affected, now: datetime) -> list[Overlap]:
    """Whom a start at `starts_at`, announced at `now`, gives less notice than their plan promises."""
    found = []
    users = users_of(service for service, _impact in affected)
    plans = MaintenancePlan.objects.of_each(users)
    used = _used(users)
    for organisation in users:
        theirs = [(service, impact) for service, impact in affected if service.pk in used[organisation.pk]]
        promised, service = _promised(plans[organisation.pk], theirs)
        if service is None or starts_at - now >= promised:
            continue
        words = _("%(organisation)s is promised notice of %(promised)s, and gets %(given)s") % {
            "organisation": organisation,
            "promised": duration(int(promised.total_seconds())),
            "given": duration(max(0, int((starts_at - now).total_seconds()))),
        }
        found.append(Overlap(Reason.SHORT_NOTICE, "", organisation, service, starts_at, None, words))
    return found


def _used(organisations: Sequence[Organisation]) -> dict[int, set[int]]:
    """The services that each organisation uses, by their ids."""
    found: dict[int, set[int]] = {organisation.pk: set() for organisation in organisations}
    rows = ServiceSubscription.objects.filter(organisation__in=organisations)
    for organisation, service in rows.values_list("organisation", "service"):
        found[organisation].add(service)
    return found


def _promised(plan: MaintenancePlan, affected: Affected) -> tuple[timedelta, Service | None]:
    """The longest notice that the plan promises for what is felt, and of which service."""
    longest: tuple[timedelta, Service | None] = (timedelta(), None)
    for service, impact in affected:
        promised = timedelta(minutes=plan.notice_minutes(Impact(impact)))
        if promised > longest[0]:
            longest = (promised, service)
    return longest
