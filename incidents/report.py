"""The monthly report: what was promised to an organisation, and how it was kept, in a calendar month of its zone.

Figures come from timelines, replayed clocks, service impacts and windows; none is counted up anywhere. A month
that was mailed is a frozen row, and everybody reads that. Many organisations are read in one go: the number of
queries does not grow with incidents or organisations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from incidents import sla
from incidents.models import Clock, Incident, IncidentEvent, MonthlyReport, SLAPolicyVersion, SupportPlan
from incidents.models.facts import as_fact, promise_for, promise_key
from incidents.models.rca import RCA, PreventionAction, RCACopy
from incidents.report_figures import Case, Period, figures
from maintenance.models import MaintenancePlan, WindowOrganisation
from portal import uptime
from portal.models import CalendarVersion, Organisation, Service, ServiceImpact, ServiceSubscription
from portal.standard_form import instant

# The clockwork's own bookkeeping, which an unattended P1 gathers by the thousand: no rule reads it.
NO_FACTS = (
    "clock_warned",
    "clock_breached",
    "escalated",
    "lateness_told",
    "not_reached",
    "status_update_scheduled",
    "alarm_joined",
    "alarm_resolved",
    "alarm_fired_again",
)


def month_of(text: str) -> date | None:
    """The first day of “2026-10”; None for anything else."""
    try:
        return date.fromisoformat(f"{text}-01") if len(text) == len("2026-10") else None
    except ValueError:
        return None


def next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def period_of(organisation: Organisation, month: date, now: datetime) -> Period:
    """The month in the organisation's zone, as far as it is over at `now`."""
    zone = ZoneInfo(organisation.time_zone)
    start, end = (datetime.combine(day, time.min, zone) for day in (month, next_month(month)))
    return Period(start, end, min(end, now.replace(microsecond=0)))


def months_of(organisation: Organisation, now: datetime) -> list[date]:
    """The months that can be reported, the present one first."""
    zone = ZoneInfo(organisation.time_zone)
    month = now.astimezone(zone).date().replace(day=1)
    oldest = Incident.objects.filter(organisation=organisation).order_by("opened_at").first()
    since = min(filter(None, [organisation.created_at, oldest.opened_at if oldest else None]))
    first = since.astimezone(zone).date().replace(day=1)
    found = [month]
    while found[-1] > first:
        found.append(month_before(found[-1]))
    return found


# --- one report, or many ---


def report_of(organisation: Organisation, month: date, now: datetime) -> dict[str, Any]:
    """The report as it was sent, or else as it stands at `now`. JSON: times in UTC (ISO 8601), whole seconds."""
    return reports_of([organisation], month, now)[0]


def reports_of(organisations: Iterable[Organisation], month: date, now: datetime) -> list[dict[str, Any]]:
    """The reports of several organisations, in their order: frozen ones as they were sent."""
    organisations = list(organisations)
    rows = MonthlyReport.objects.filter(organisation__in=organisations, month=month)
    frozen = {row.organisation_id: row.content for row in rows}
    fresh = [one for one in organisations if one.pk not in frozen]
    made = {content["organisation"]["id"]: content for content in computed(fresh, month, now)}
    return [(frozen | made)[one.pk] for one in organisations]


def computed(organisations: Sequence[Organisation], month: date, now: datetime) -> list[dict[str, Any]]:
    """The reports as the facts have them at `now`."""
    if not organisations:
        return []
    periods = {one.pk: period_of(one, month, now) for one in organisations}
    cases, services = _cases(organisations, periods, now), _services(organisations, periods)
    window_rcas = _window_rcas(organisations)
    actions, windows = _actions(organisations, periods), _windows(organisations, periods)
    return [
        _plain(
            _head(one, month, periods[one.pk], now)
            | figures(cases[one.pk], periods[one.pk], window_rcas[one.pk])
            | {
                "services": services[one.pk],
                "actions": actions[one.pk],
                "maintenance": windows[one.pk],
            }
        )
        for one in organisations
    ]


def _head(organisation: Organisation, month: date, period: Period, now: datetime) -> dict[str, Any]:
    return {
        "format": "1",
        "organisation": {"id": organisation.pk, "name": organisation.name, "slug": organisation.slug},
        "month": f"{month:%Y-%m}",
        "time_zone": organisation.time_zone,
        "from_at": period.start,
        "until_at": period.until,
        "ends_at": period.end,
        "is_running": period.is_running,
        "made_at": now.replace(microsecond=0),
    }


def _plain(value: Any) -> Any:
    """The value as JSON keeps it."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return instant(value) if isinstance(value, datetime | date) else value


# --- incidents and their clocks ---


def _cases(
    organisations: Sequence[Organisation], periods: dict[int, Period], now: datetime
) -> dict[int, list[Case]]:
    start = min(period.start for period in periods.values())
    until = max(period.until for period in periods.values())
    late = Clock.objects.filter(
        Q(met_at__gte=start) | Q(breached_at__gte=start) | Q(due_at__gte=start),
        incident__organisation__in=organisations,
    )
    touched = Q(closed_at=None) | Q(closed_at__gte=start) | Q(pk__in=late.values("incident"))
    incidents = Incident.objects.filter(touched, organisation__in=organisations, opened_at__lt=until)
    events: dict[int, list[IncidentEvent]] = defaultdict(list)
    wanted = IncidentEvent.objects.filter(incident__in=incidents.order_by().values("pk"))
    for event in wanted.exclude(kind__in=NO_FACTS).order_by("pk"):
        events[event.incident_id].append(event)
    promises = _promises(event for of_one in events.values() for event in of_one)
    found: dict[int, list[Case]] = defaultdict(list)
    for incident in incidents.order_by("pk"):
        found[incident.organisation_id].append(_case(incident, events[incident.pk], promises, now))
    return found


def _promises(events: Iterable[IncidentEvent]) -> dict[str, sla.Promise]:
    """Every promise that the events name, each version read once."""
    named = {
        (event.payload["policy_version"], event.payload["calendar_version"])
        for event in events
        if event.kind in ("opened", "promise_changed")
    }
    policies = SLAPolicyVersion.objects.prefetch_related("targets").in_bulk({pk for pk, _ in named})
    calendars = CalendarVersion.objects.select_related("calendar").in_bulk({pk for _, pk in named})
    return {
        promise_key(policy, calendar): promise_for(policies[policy], calendars[calendar])
        for policy, calendar in named
    }


def _case(
    incident: Incident, events: list[IncidentEvent], promises: dict[str, sla.Promise], now: datetime
) -> Case:
    facts = [fact for event in events if (fact := as_fact(event))]
    at = max(now.replace(microsecond=0), incident.computed_at)
    ledger = sla.replay(facts, promises, at)
    plain = sla.as_claimed(facts)
    claimed = ledger if len(plain) == len(facts) else sla.replay(plain, promises, at)
    return Case(incident.reference, incident.title, incident.claimed_level, facts, ledger, claimed)


# --- availability ---


def _services(
    organisations: Sequence[Organisation], periods: dict[int, Period]
) -> dict[int, list[dict[str, Any]]]:
    """The availability of every service that each organisation uses, or felt an impact of in the month."""
    start = min(period.start for period in periods.values())
    until = max(period.until for period in periods.values())
    impacts = ServiceImpact.objects.filter(organisation__in=organisations, from_at__lt=until)
    spans: dict[tuple[int, int], list[uptime.Span]] = defaultdict(list)
    for row in impacts.filter(Q(until_at=None) | Q(until_at__gt=start)):
        span = uptime.Span(row.impact, row.from_at, row.until_at, row.is_planned)
        if span.from_at < periods[row.organisation_id].until and (
            span.until_at is None or span.until_at > periods[row.organisation_id].start
        ):
            spans[row.organisation_id, row.service_id].append(span)
    used = set(
        ServiceSubscription.objects.filter(organisation__in=organisations).values_list(
            "organisation", "service"
        )
    )
    services = Service.objects.in_bulk({service for _, service in used | set(spans)})
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for service in sorted(services.values(), key=lambda one: (one.position, one.name)):
        for one in organisations:
            if (one.pk, service.pk) in used or (one.pk, service.pk) in spans:
                found[one.pk].append(_service(service, spans[one.pk, service.pk], periods[one.pk]))
    return found


def _service(service: Service, spans: list[uptime.Span], period: Period) -> dict[str, Any]:
    sums = uptime.figures(spans, period.start, period.until)
    share = sums.availability
    return {
        "name": service.name,
        # Cut, never rounded up: a service that was down for a second was not up for 100 %.
        "availability_percent": _cut(share.numerator * 10**6 // share.denominator) if share else None,
        "agreed_seconds": sums.agreed_seconds,
        "uptime_seconds": sums.uptime_seconds,
        "downtime_seconds": sums.downtime_seconds,
        "degraded_seconds": sums.unplanned["degraded"] + sums.unplanned["reduced_redundancy"],
        "planned_seconds": sums.planned_seconds,
    }


def _cut(millionths: int) -> str:
    """Millionths as percent with four places, such as “99.9977”."""
    return f"{millionths // 10**4}.{millionths % 10**4:04d}"


# --- what followed, and what was planned ---


def _window_rcas(organisations: Sequence[Organisation]) -> dict[int, list[dict[str, Any]]]:
    """The RCAs that are owed for windows of each organisation, published when its own copy was."""
    owed = RCA.objects.filter(window__isnull=False, due_at__isnull=False).select_related("window")
    copies = RCACopy.objects.filter(organisation__in=organisations, version__rca__in=owed.values("pk"))
    published: dict[tuple[int, int], datetime] = {}
    newest_first = copies.order_by("-version__published_at")
    for rca, organisation, at in newest_first.values_list(
        "version__rca", "organisation", "version__published_at"
    ):
        published[rca, organisation] = at
    involved = WindowOrganisation.objects.filter(
        organisation__in=organisations, window__in=owed.order_by().values("window")
    ).values_list("window", "organisation")
    concerned: dict[int, list[int]] = defaultdict(list)
    for window, organisation in involved:
        concerned[window].append(organisation)
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in owed.filter(window__in=list(concerned)).order_by("pk"):
        for organisation in concerned[one.window_id or 0]:
            found[organisation].append(
                {
                    "reference": one.reference,
                    "owed_since": one.owed_since,
                    "due_at": one.due_at,
                    "published_at": published.get((one.pk, organisation)),
                }
            )
    return found


def _actions(organisations: Sequence[Organisation], periods: dict[int, Period]) -> dict[int, dict[str, int]]:
    """Prevention actions of the RCAs that each organisation has read, as they stood at the end of its month."""
    copies = RCACopy.objects.filter(organisation__in=organisations)
    read: dict[int, dict[int, datetime]] = defaultdict(dict)
    first = copies.order_by("-version__published_at").values_list(
        "version__rca", "organisation", "version__published_at"
    )
    for rca, organisation, published_at in first:
        read[rca][organisation] = published_at
    found = {one.pk: dict.fromkeys(("open", "done", "overdue", "moved"), 0) for one in organisations}
    for action in PreventionAction.objects.filter(rca__in=copies.values("version__rca")):
        for organisation, published_at in read[action.rca_id].items():
            period = periods[organisation]
            if published_at < period.until:
                for name in _states(action, period):
                    found[organisation][name] += 1
    return found


def _states(action: PreventionAction, period: Period) -> Iterable[str]:
    is_closed = action.closed_at is not None and action.closed_at < period.until
    if not is_closed:
        yield "open"
        last_day = (period.until - timedelta(seconds=1)).astimezone(period.start.tzinfo).date()
        if (
            action.due_on
            and action.due_on <= last_day
            and (action.due_on < last_day or not period.is_running)
        ):
            yield "overdue"
    elif period.holds(action.closed_at) and action.state == PreventionAction.State.DONE:
        yield "done"
    if action.first_due_on and action.due_on and action.due_on > action.first_due_on and not is_closed:
        yield "moved"


def _windows(
    organisations: Sequence[Organisation], periods: dict[int, Period]
) -> dict[int, list[dict[str, Any]]]:
    """The windows that were to start in each organisation's month, with the notice that it was given."""
    start = min(period.start for period in periods.values())
    until = max(period.until for period in periods.values())
    involved = WindowOrganisation.objects.filter(
        organisation__in=organisations,
        window__announced_at__isnull=False,
        window__starts_at__gte=start,
        window__starts_at__lt=until,
    )
    used: dict[int, set[int]] = defaultdict(set)
    subscriptions = ServiceSubscription.objects.filter(organisation__in=organisations)
    for organisation, service in subscriptions.values_list("organisation", "service"):
        used[organisation].add(service)
    supported = SupportPlan.objects.filter(organisation__in=organisations).select_related("maintenance_plan")
    plans = {plan.organisation_id: plan.maintenance_plan for plan in supported}
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = involved.select_related("window").prefetch_related("window__affected__service")
    for row in rows.order_by("window__starts_at", "window"):
        if periods[row.organisation_id].holds(row.window.starts_at):
            plan = plans.get(row.organisation_id) or MaintenancePlan()
            found[row.organisation_id].append(
                _window(row, plan, used[row.organisation_id], periods[row.organisation_id])
            )
    return found


def _window(row: WindowOrganisation, plan: MaintenancePlan, used: set[int], period: Period) -> dict[str, Any]:
    window = row.window
    impacts = [part.impact for part in window.affected.all() if part.service_id in used] or [uptime.NONE]
    impact = max(impacts, key=lambda one: uptime.RANK[one])
    announced = max(filter(None, [window.announced_at, row.since]))
    first_start = window.first_starts_at or window.starts_at
    given = max(0, int((first_start - announced).total_seconds()))
    over = min(window.ended_at or period.until, period.until)
    overrun = int((over - window.overrun_at).total_seconds()) if window.overrun_at else 0
    return {
        "reference": window.reference,
        "title": window.title,
        "status": window.status,
        "impact": impact,
        "starts_at": window.starts_at,
        "ends_at": window.ends_at,
        "ended_at": window.ended_at,
        "notice_seconds": given,
        "promised_notice_seconds": plan.notice_minutes(impact) * 60,
        "is_notice_kept": given >= plan.notice_minutes(impact) * 60,
        "overrun_seconds": max(0, overrun),
        "is_rolled_back": window.status == window.Status.ROLLED_BACK,
    }
