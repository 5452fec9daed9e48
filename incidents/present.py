"""Clocks as people read them: one view-model for page, mail, API and staff desk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from incidents import oncall, sla
from incidents import receipts as papers
from incidents.clockwork import receipt_json
from incidents.models import Alarm, CustomerEscalation, Incident, Shift
from incidents.models.facts import replay
from maintenance.models import MaintenanceWindow
from portal.models import Endpoint, User

LABELS = {
    "first_response": gettext_lazy("First response"),
    "status_update": gettext_lazy("Next update"),
    "rca": gettext_lazy("RCA"),
}
KIND_LABELS = LABELS | {"target_action": gettext_lazy("Target action")}
TARGET_LABELS = {
    sla.Deliverable.INTERVENTION: gettext_lazy("Intervention"),
    sla.Deliverable.ACTION_PLAN: gettext_lazy("Action plan"),
    sla.Deliverable.RELEASE_OR_SOLUTION: gettext_lazy("Release or documented solution"),
}
CHANNELS = {"email": gettext_lazy("e-mail"), "webhook": gettext_lazy("webhook")}
SERVICES = {
    Endpoint.Service.WEBHOOK: gettext_lazy("webhook"),
    Endpoint.Service.APPRISE: gettext_lazy("pager"),
}
# The vendor's roles within a sentence.
STAFF_ROLES = {
    "owner": gettext_lazy("the owner"),
    "on_call": gettext_lazy("whoever is on call"),
    "backup": gettext_lazy("the backup"),
    "duty_manager": gettext_lazy("the duty manager"),
    "head_of_support": gettext_lazy("the head of support"),
    "team": gettext_lazy("the whole support team"),
}
ROLE_NAMES = {
    "owner": gettext_lazy("owner"),
    "on_call": gettext_lazy("on call"),
    "backup": gettext_lazy("backup"),
    "duty_manager": gettext_lazy("duty manager"),
    "head_of_support": gettext_lazy("head of support"),
    "team": gettext_lazy("whole team"),
}
STATE_WORDS = {
    "running": gettext_lazy("Running"),
    "paused": gettext_lazy("Paused"),
    "met": gettext_lazy("Met"),
    "breached": gettext_lazy("Breached"),
    "replaced": gettext_lazy("Replaced"),
    "cancelled": gettext_lazy("Cancelled"),
}


@dataclass(frozen=True)
class ReceiptView:
    start: datetime
    end: datetime
    seconds: int
    is_counted: bool
    reason: str
    reason_text: str
    question: int | None


@dataclass(frozen=True)
class ClockView:
    """One clock, ready to be shown. Times are UTC; templates show them in the reader's zone."""

    kind: str
    label: str
    level: str
    cycle: int
    ordinal: int
    state: str
    state_word: str
    is_owed: bool
    is_warned: bool
    started_at: datetime
    due_at: datetime | None
    met_at: datetime | None
    breached_at: datetime | None
    ended_at: datetime | None
    percent: int
    warn_percents: list[int]
    remaining_seconds: int | None
    note: str
    receipts: list[ReceiptView] = field(default_factory=list)

    @property
    def remaining_text(self) -> str:
        return duration_text(self.remaining_seconds) if self.remaining_seconds is not None else ""


def duration_text(seconds: int) -> str:
    """Seconds as “3 h 20 min”; the sign is dropped."""
    minutes, rest = divmod(abs(int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 72:
        days = hours // 24
        return ngettext("%(count)s day", "%(count)s days", days) % {"count": days}
    if hours:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return _("%(minutes)s min") % {"minutes": minutes}
    return _("%(seconds)s s") % {"seconds": rest}


PAST_SHOWN = 40


def clock_views(incident: Incident, now: datetime) -> list[ClockView]:
    """The clocks still owed at `now`, by due time, then the newest past ones (40 at most; the API has all)."""
    now = now.replace(microsecond=0)
    ledger = replay(incident, max(now, incident.computed_at))
    far = datetime.max.replace(tzinfo=now.tzinfo)
    owed = sorted((c for c in ledger.clocks if c.is_owed), key=lambda clock: clock.due_at or far)
    past = [clock for clock in reversed(ledger.clocks) if not clock.is_owed][:PAST_SHOWN]
    return [view_of(clock, ledger, now) for clock in [*owed, *past]]


def current_clocks(views: Iterable[ClockView]) -> list[ClockView]:
    """The clocks still owed, in the order of their due times."""
    return [view for view in views if view.is_owed]


def view_of(clock: sla.Clock, ledger: sla.Ledger, now: datetime) -> ClockView:
    percent = papers.percent_used(clock, ledger.pauses, now)
    passed = [p for p, at in papers.warnings(clock, ledger.pauses) if at <= now]
    running = clock.state == sla.State.RUNNING
    due = clock.due_at
    return ClockView(
        kind=str(clock.kind),
        label=label_of(clock),
        level=clock.level,
        cycle=clock.cycle,
        ordinal=clock.ordinal,
        state=str(clock.state),
        state_word=str(STATE_WORDS[str(clock.state)]),
        is_owed=clock.is_owed,
        is_warned=running and bool(passed),
        started_at=clock.started_at,
        due_at=due,
        met_at=clock.met_at,
        breached_at=clock.breached_at,
        ended_at=clock.ended_at,
        percent=percent,
        warn_percents=list(clock.target.warn_percents),
        remaining_seconds=int((due - now).total_seconds()) if due and clock.is_owed else None,
        note=note_of(clock),
        receipts=[receipt_view(r) for r in papers.receipts(clock, ledger.pauses, now)],
    )


def label_of(clock: sla.Clock) -> str:
    if clock.kind == sla.Kind.TARGET_ACTION and clock.target.deliverable:
        return str(TARGET_LABELS[clock.target.deliverable])
    if clock.kind == sla.Kind.STATUS_UPDATE and clock.breached_at is not None:
        return _("Status update")  # the next one is another clock
    return str(LABELS.get(str(clock.kind), clock.kind))


def note_of(clock: sla.Clock) -> str:
    if clock.state == sla.State.PAUSED:
        return _("Paused: it waits for the customer's answer and cannot be due before the time shown.")
    if clock.due_at is None:
        return _("No due time until a release is planned, or a solution is documented.")
    if clock.pending:
        return _("An update is on its way; it counts once a channel has accepted it.")
    return ""


def receipt_view(receipt: papers.Receipt) -> ReceiptView:
    return ReceiptView(
        start=receipt.start,
        end=receipt.end,
        seconds=receipt.seconds,
        is_counted=receipt.is_counted,
        reason=receipt.reason,
        reason_text=reason_text(receipt),
        question=receipt.question,
    )


def reason_text(receipt: papers.Receipt) -> str:
    if receipt.is_counted:
        return _("counted")
    known = {"closed hours": _("closed hours"), "waiting for customer": _("waiting for the customer")}
    return known.get(receipt.reason, receipt.reason)


def clock_json(clock: sla.Clock, ledger: sla.Ledger, now: datetime) -> dict[str, Any]:
    """A clock as the API gives it (design §5)."""
    return {
        "kind": str(clock.kind),
        "level": clock.level,
        "cycle": clock.cycle,
        "ordinal": clock.ordinal,
        "state": str(clock.state),
        "started_at": clock.started_at,
        "due_at": clock.due_at,
        "met_at": clock.met_at,
        "breached_at": clock.breached_at,
        "receipts": [receipt_json(r) for r in papers.receipts(clock, ledger.pauses, now)],
    }


def clocks_json(incident: Incident, now: datetime) -> list[dict[str, Any]]:
    """All clocks of the incident as the API gives them, in the order in which they started to exist."""
    now = now.replace(microsecond=0)
    ledger = replay(incident, max(now, incident.computed_at))
    return [clock_json(clock, ledger, max(now, incident.computed_at)) for clock in ledger.clocks]


def headline(incident: Incident, views: Iterable[ClockView]) -> dict[str, Any]:
    """The first line of an incident: state in words, owner, the next promise with its time."""
    views = list(views)
    upcoming = next(iter(current_clocks(views)), None)
    return {
        "status_word": incident.get_status_display(),
        "owner": incident.assignee.get_full_name() if incident.assignee else _("no owner yet"),
        "clock": upcoming,
        "owes_rca": incident.is_major and owes_rca(incident, views),
    }


def window_of(incident: Incident, user: User) -> MaintenanceWindow | None:
    """The maintenance window during which it was reported, if the user may see that window."""
    if incident.window_id is None:
        return None
    return MaintenanceWindow.objects.visible_to(user).filter(pk=incident.window_id).first()


def owes_rca(incident: Incident, views: Iterable[ClockView]) -> bool:
    """Whether the RCA of a major incident is still to come: its clock runs, or will with the resolution."""
    clocks = [view for view in views if view.kind == sla.Kind.RCA and view.cycle == incident.cycle]
    if clocks:
        return any(view.is_owed for view in clocks)
    targets = incident.policy_version.targets.filter(level=incident.level, kind=sla.Kind.RCA)
    return incident.is_unresolved and targets.exists()


def listed(words: Sequence[Any]) -> str:
    """“a”, “a and b”, “a, b and c”; "" for nothing."""
    if len(words) < 2:
        return "".join(map(str, words))
    *before, last = map(str, words)
    return _("%(before)s and %(last)s") % {"before": ", ".join(before), "last": last}


def moment_words(key: str, kind: str) -> str:
    """The moment of a step, by its key and its clock: “80 % of First response”, “First response late”."""
    when, _colon, _role = key.partition(":")
    clock = KIND_LABELS[kind]
    if when.endswith("%"):
        return _("%(percent)s %% of %(clock)s") % {"percent": when[:-1], "clock": clock}
    if when in ("+0", ""):
        return _("%(clock)s late") % {"clock": clock}
    return _("%(clock)s late by %(minutes)s min") % {"clock": clock, "minutes": when[1:]}


def service_word(endpoint: Endpoint) -> str:
    """What listens there: “Slack”, “Microsoft Teams”, “webhook”."""
    service = Endpoint.Service(endpoint.service)
    return str(SERVICES.get(service, service.label))


def channel_word(channel: str, endpoint: Endpoint | None = None) -> str:
    """A channel as people call it; where it ends at a known endpoint, by that endpoint's service."""
    if channel == "webhook" and endpoint is not None:
        return service_word(endpoint)
    return str(CHANNELS.get(channel, channel))


def channel_words(channels: Sequence[str], *, is_every: bool, endpoint: Endpoint | None = None) -> str:
    """“e-mail”, “e-mail and Slack at once”, “e-mail, or Slack if that fails”."""
    names = [channel_word(name, endpoint) for name in channels]
    if len(names) == 1:
        return names[0]
    both = {"first": names[0], "second": names[1]}
    if is_every:
        return _("%(first)s and %(second)s at once") % both
    return _("%(first)s, or %(second)s if that fails") % both


# --- the customer's escalation ---


@dataclass(frozen=True)
class EscalationView:
    """An escalation that waits for its answer: who has it, and by when they answer."""

    by: str
    at: datetime
    who: str
    answer_due_at: datetime
    is_raised: bool


def duty_managers_words(now: datetime) -> str:
    """Who is duty manager at `now`, by name; everybody who is paged instead where the rota has a gap."""
    return listed(oncall.on_duty(Shift.Role.DUTY_MANAGER, now))


def escalation_of(incident: Incident, now: datetime) -> EscalationView | None:
    """The escalation that nobody has answered yet; None without one."""
    waiting = CustomerEscalation.objects.unanswered().filter(incident=incident)
    found = waiting.select_related("by", "duty_manager").first()
    if found is None:
        return None
    return EscalationView(
        by=str(found.by),
        at=found.at,
        who=str(found.duty_manager or duty_managers_words(now)),
        answer_due_at=found.answer_due_at,
        is_raised=found.raised_at is not None,
    )


# --- alarms ---

ALARMS_SHOWN = 30


@dataclass(frozen=True)
class AlarmView:
    """One alarm as its reader may see it: of the vendor's own monitoring, customers read no word."""

    title: str
    source: str
    count: int
    flap_count: int
    last_at: datetime
    status_word: str


@dataclass(frozen=True)
class AlarmsView:
    """The alarms of an incident: those that fire first, then the newest; and whether their source says it is over."""

    shown: list[AlarmView]
    count: int
    is_over: bool

    @property
    def others(self) -> int:
        return self.count - len(self.shown)


def alarms_of(incident: Incident, user: User) -> AlarmsView:
    """The alarms of the incident, or of the parent that an alarm opened for several organisations."""
    alarms = Alarm.objects.filter(incident=incident.parent_id or incident.pk)
    rows = list(alarms.select_related("source").order_by("status", "-last_at", "-pk")[:ALARMS_SHOWN])
    count = len(rows) if len(rows) < ALARMS_SHOWN else alarms.count()
    # "firing" sorts before "resolved": where the first is resolved, all of them are.
    is_over = bool(rows) and rows[0].status == Alarm.Status.RESOLVED and incident.is_unresolved
    return AlarmsView([_alarm_view(alarm, incident, user) for alarm in rows], count, is_over)


def _alarm_view(alarm: Alarm, incident: Incident, user: User) -> AlarmView:
    is_readable = user.is_unlimited or alarm.source.organisation_id == incident.organisation_id
    return AlarmView(
        title=alarm.title if is_readable else _("Alarm of our monitoring"),
        source=alarm.source.name if is_readable else "",
        count=alarm.count,
        flap_count=alarm.flap_count,
        last_at=alarm.last_at,
        status_word=_alarm_status(alarm),
    )


def _alarm_status(alarm: Alarm) -> str:
    if alarm.is_current or alarm.status == Alarm.Status.RESOLVED:
        return alarm.get_status_display()
    return _("Went on in another incident")
