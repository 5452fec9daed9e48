"""The end of an incident, and its return: restored, resolved, confirmed, closed, reopened, withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, acting, required
from incidents.actions.impacts import end_impact, feel_impact
from incidents.actions.writing import attach, write
from incidents.defaults import plan_for
from incidents.models import ClosedAs, Incident, Message, Status
from incidents.models.timeline import (
    Closed,
    ClosingReminded,
    Confirmed,
    MarkedDuplicate,
    RCARequested,
    Reopened,
    Resolved,
    Restored,
    Withdrawn,
)
from portal.calendars import extend_horizon
from portal.models import User


def restore(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    text: str = "",
    revision: int | None = None,
) -> Incident:
    """The service works again (a workaround, say). Updates go on until the incident is resolved."""
    with acting("restore", incident, by=by, now=now, channel=channel, revision=revision) as act:
        if act.incident.restored_at:
            raise Refused(_("The service is recorded as restored already."), kind="state")
        act.incident.restored_at = act.now
        end_impact(act.incident, act.now)
        message = write(act, Message.Kind.REPLY, text) if text.strip() else None
        act.record(Restored(message=message.pk if message else None))
    return incident


def resolve(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    cause: str,
    remedy: str,
    revision: int | None = None,
) -> Incident:
    """Solved, with cause and what was done. The customer confirms, or it closes after the plan's days.

    An incident that its solution resolved already can be given its cause and remedy once.
    """
    with acting("resolve", incident, by=by, now=now, channel=channel, revision=revision) as act:
        cause = required(cause, "cause", _("Name the cause: the customer will read it."))
        remedy = required(remedy, "remedy", _("Say what was done: the customer will read it."))
        _check_solved(act)
        message = write(act, Message.Kind.RESOLUTION, f"{cause}\n\n{remedy}")
        finish_incident(act, message, cause, remedy)
    return incident


def _check_solved(act: Act) -> None:
    if act.incident.status == Status.RESOLVED and act.incident.cause:
        raise Refused(_("The incident is resolved already. Reply to it, or reopen it first."), kind="state")
    if is_bound_to_solution(act.incident) and not has_solution(act.incident):
        raise Refused(
            _(
                "A %(level)s is solved by a shipped release or a documented solution. Ship or document one"
                " first; or mark it as a duplicate; or let the customer withdraw it."
            )
            % {"level": act.incident.level},
            kind="state",
        )


def has_solution(incident: Incident) -> bool:
    """Whether this cycle has a shipped release or a documented solution."""
    started = incident.events.filter(kind__in=["opened", "reopened"]).order_by("-pk")[0].at
    shipped = incident.releases.filter(shipped_at__gte=started, withdrawn_at=None).exists()
    return shipped or incident.solutions.filter(cycle=incident.cycle).exists()


def finish_incident(act: Act, message: Message, cause: str = "", remedy: str = "") -> None:
    """Resolved from now on: by cause and remedy, or by a solution that speaks for itself."""
    incident = act.incident
    plan = plan_for(incident.organisation, act.now).communication_plan
    extend_horizon(incident.calendar_version, act.now)
    incident.cause, incident.remedy = cause, remedy
    incident.resolved_at = incident.resolved_at or act.now
    incident.restored_at = incident.restored_at or act.now
    incident.waiting_since = None
    incident.reminder_due_at = act.now + timedelta(days=plan.reminder_days)
    incident.closing_due_at = act.now + timedelta(days=plan.close_days)
    end_impact(incident, act.now)
    act.answer()
    act.record(Resolved(message=message.pk, **act.move(Status.RESOLVED)))


def is_bound_to_solution(incident: Incident) -> bool:
    """Whether the level promises a release or a documented solution (P3): nothing less solves it."""
    targets = incident.policy_version.targets
    return targets.filter(level=incident.level, deliverable="release_or_solution").exists()


def confirm(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    text: str = "",
    revision: int | None = None,
) -> Incident:
    """The organisation's own people confirm the solution, and the incident is closed."""
    with acting("confirm", incident, by=by, now=now, channel=channel, revision=revision) as act:
        message = write(act, Message.Kind.REPLY, text) if text.strip() else None
        facts = _closed(act, ClosedAs.CONFIRMED)
        act.record(Confirmed(message=message.pk if message else None, **facts))
    return incident


def _closed(act: Act, how: str) -> dict[str, str]:
    incident = act.incident
    incident.closed_at, incident.closed_as = act.now, how
    incident.closing_due_at = incident.reminder_due_at = None
    return act.move(Status.CLOSED)


def close(
    incident: Incident, *, by: User | None, now: datetime, channel: str, revision: int | None = None
) -> Incident:
    """Close a resolved incident that nobody answered, once its announced closing time has come."""
    with acting("close", incident, by=by, now=now, channel=channel, revision=revision) as act:
        due = act.incident.closing_due_at
        if due is None or due > act.now:
            raise Refused(
                _("The customer still has time to answer; it closes by itself after that."), kind="state"
            )
        act.record(Closed(**_closed(act, ClosedAs.UNANSWERED)))
    return incident


def remind(incident: Incident, *, now: datetime) -> Incident:
    """Tell the customer, once, when the resolved incident will close by itself."""
    with acting("remind", incident, by=None, now=now, channel="clockwork") as act:
        due = act.incident.reminder_due_at
        if due is None or due > act.now:
            raise Refused(_("No reminder is due."), kind="state")
        act.incident.reminder_due_at = None
        act.record(ClosingReminded())
    return incident


def reopen(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    reason: str,
    files: Sequence[UploadedFile] = (),
    revision: int | None = None,
) -> Incident:
    """Down again: a new cycle of clocks from now. The first cycle's facts stay."""
    with acting("reopen", incident, by=by, now=now, channel=channel, revision=revision) as act:
        reason = required(reason, "reason", _("Say what is wrong again."))
        message = write(act, Message.Kind.REPLY, reason)
        attach(act, files, message)
        reopen_within(act, message)
    return incident


def reopen_within(act: Act, message: Message, *, at: datetime | None = None) -> None:
    """Reopen in the act at hand: by its own verb, by a customer's reply, by a withdrawn release.

    The new cycle counts from `at`, the receipt, when that differs from now.
    """
    incident, at = act.incident, at or act.now
    extend_horizon(incident.calendar_version, act.now)
    incident.resolved_at = incident.closed_at = incident.restored_at = None
    incident.intervention_started_at = incident.intervention_by = None
    incident.acknowledged_at = incident.first_response_at = incident.waiting_since = None
    incident.closing_due_at = incident.reminder_due_at = None
    incident.closed_as = ""
    feel_impact(incident, at, incident.services.all())
    act.record(Reopened(message=message.pk, cycle=incident.cycle + 1, **act.move(Status.REPORTED)), at=at)


def withdraw(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    reason: str,
    revision: int | None = None,
) -> Incident:
    """The customer takes the report back: open clocks are cancelled."""
    with acting("withdraw", incident, by=by, now=now, channel=channel, revision=revision) as act:
        reason = required(reason, "reason", _("Say why it is withdrawn."))
        message = write(act, Message.Kind.REASON, reason)
        end_impact(act.incident, act.now)
        act.record(Withdrawn(message=message.pk, **_closed(act, ClosedAs.WITHDRAWN)))
    return incident


def mark_duplicate(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    original: Incident,
    reason: str,
    revision: int | None = None,
) -> Incident:
    """Close it as a duplicate of another incident of the same organisation."""
    with acting("mark_duplicate", incident, by=by, now=now, channel=channel, revision=revision) as act:
        if original.organisation_id != act.incident.organisation_id:
            raise Refused(_("The original must belong to the same organisation."), field="original")
        if original.pk == act.incident.pk or original.duplicate_of_id == act.incident.pk:
            raise Refused(_("An incident cannot be a duplicate of itself."), field="original")
        reason = required(reason, "reason", _("Say why it is the same."))
        message = write(act, Message.Kind.REASON, reason)
        act.incident.duplicate_of = original
        end_impact(act.incident, act.now)
        act.record(
            MarkedDuplicate(duplicate_of=original.pk, message=message.pk, **_closed(act, ClosedAs.DUPLICATE))
        )
    return incident


def request_rca(
    incident: Incident, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> Incident:
    """Ask for an RCA where the promise gives one on request (P2)."""
    with acting("request_rca", incident, by=by, now=now, channel=channel, revision=revision) as act:
        target = act.incident.policy_version.targets.filter(level=act.incident.level, kind="rca").first()
        if target is None:
            raise Refused(_("The plan has no RCA for this level."), kind="state")
        if not target.is_on_request:
            raise Refused(_("An RCA is owed for this level anyway; there is no need to ask."), kind="state")
        cycle_started = act.incident.events.filter(kind__in=["opened", "reopened"]).order_by("-pk")[0]
        if act.incident.events.filter(kind="rca_requested", pk__gt=cycle_started.pk).exists():
            raise Refused(_("The RCA has been requested already."), kind="state")
        extend_horizon(act.incident.calendar_version, act.now)
        act.record(RCARequested())
    return incident


def can_request_rca(incident: Incident) -> bool:
    """Whether the level gives an RCA on request and none was asked for in this cycle."""
    targets = incident.policy_version.targets
    is_on_request = targets.filter(level=incident.level, kind="rca", is_on_request=True).exists()
    return is_on_request and not incident.clocks.filter(kind="rca", cycle=incident.cycle).exists()
