"""What solves a P3: a planned release that ships, or a documented solution."""

from __future__ import annotations

from datetime import date, datetime

from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, acting, required
from incidents.actions.ending import finish_incident, is_bound_to_solution, reopen_within
from incidents.actions.writing import write
from incidents.models import Article, DocumentedSolution, Incident, Message, Release, Status
from incidents.models.facts import promise_for
from incidents.models.timeline import (
    ReleaseMoved,
    ReleasePlanned,
    ReleaseShipped,
    ReleaseWithdrawn,
    SolutionDocumented,
)
from portal import business_time
from portal.models import User


def planned_release(incident: Incident) -> Release | None:
    """The release that is planned and neither shipped nor withdrawn."""
    return incident.releases.filter(shipped_at=None, withdrawn_at=None).first()


def _check_date(act: Act, planned_on: date) -> None:
    """Refuse a date whose due time (close of the day) has passed or lies past the calendar's horizon."""
    calendar = promise_for(act.incident.policy_version, act.incident.calendar_version).business
    try:
        due = business_time.end_of_release_day(calendar, planned_on)
    except business_time.HorizonError as error:
        raise Refused(_("Choose a date within the next two years."), field="planned_on") from error
    if due <= act.now:
        raise Refused(_("Choose a date that has not passed yet."), field="planned_on")


def _planned(incident: Incident) -> Release:
    release = planned_release(incident)
    if release is None:
        raise Refused(_("No release is planned for this incident. Plan one first."), kind="state")
    return release


def plan_release(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    version: str,
    planned_on: date,
    revision: int | None = None,
) -> Incident:
    """Plan the release that will solve it: sets the due time of a P3 to the close of that date."""
    with acting("plan_release", incident, by=by, now=now, channel=channel, revision=revision) as act:
        version = required(version, "version", _("Name the version of the release."))[:60]
        if planned_release(act.incident):
            raise Refused(_("A release is planned already. Move or withdraw it."), kind="state")
        _check_date(act, planned_on)
        release = Release.objects.create(
            incident=act.incident, version=version, planned_on=planned_on, first_planned_on=planned_on
        )
        status_from, status_to = _to_work(act).values()
        act.record(
            ReleasePlanned(
                release=release.pk,
                release_on=planned_on.isoformat(),
                status_from=status_from,
                status_to=status_to,
            )
        )
    return incident


def _to_work(act: Act) -> dict[str, str]:
    act.incident.acknowledged_at = act.incident.acknowledged_at or act.now
    waits = act.incident.status == Status.WAITING_FOR_CUSTOMER
    return act.move(Status.WAITING_FOR_CUSTOMER if waits else Status.IN_PROGRESS)


def move_release(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    planned_on: date,
    revision: int | None = None,
) -> Incident:
    """Move the planned release; the customer is told both dates, and the first one stays for reports."""
    with acting("move_release", incident, by=by, now=now, channel=channel, revision=revision) as act:
        release = _planned(act.incident)
        if release.planned_on == planned_on:
            raise Refused(_("The release is planned for that date already."), field="planned_on")
        _check_date(act, planned_on)
        before, release.planned_on = release.planned_on, planned_on
        release.save(update_fields=["planned_on"])
        act.record(
            ReleaseMoved(
                release=release.pk, release_from=before.isoformat(), release_on=planned_on.isoformat()
            )
        )
    return incident


def ship_release(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    text: str = "",
    revision: int | None = None,
) -> Incident:
    """The release is out: meets the target of a P3, resolves it, and asks the customer to confirm."""
    with acting("ship_release", incident, by=by, now=now, channel=channel, revision=revision) as act:
        release = _planned(act.incident)
        release.shipped_at = act.now
        release.save(update_fields=["shipped_at"])
        text = text.strip() or _("Release %(version)s is out.") % {"version": release.version}
        message = write(act, Message.Kind.REPLY, text)
        act.record(ReleaseShipped(release=release.pk))
        if is_bound_to_solution(act.incident):
            finish_incident(act, message)
    return incident


def withdraw_release(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    reason: str,
    revision: int | None = None,
) -> Incident:
    """Take a release back. A shipped one that had solved the incident reopens it."""
    with acting("withdraw_release", incident, by=by, now=now, channel=channel, revision=revision) as act:
        reason = required(reason, "reason", _("Give a reason: the customer will read it."))
        release = act.incident.releases.filter(withdrawn_at=None).order_by("-pk").first()
        if release is None:
            raise Refused(_("There is no release to withdraw."), kind="state")
        release.withdrawn_at = act.now
        release.save(update_fields=["withdrawn_at"])
        message = write(act, Message.Kind.REASON, reason)
        act.record(ReleaseWithdrawn(release=release.pk))
        if not act.incident.is_unresolved:
            reopen_within(act, message)
    return incident


def document_solution(
    incident: Incident,
    *,
    by: User,
    now: datetime,
    channel: str,
    article: Article,
    text: str,
    revision: int | None = None,
) -> Incident:
    """Answer with a published article, kept at its version: meets the target of a P3 and resolves it."""
    with acting("document_solution", incident, by=by, now=now, channel=channel, revision=revision) as act:
        version = article.published_version
        if version is None:
            raise Refused(_("Publish the article before you link it to a public answer."), field="article")
        if article.organisation_id not in (None, act.incident.organisation_id):
            raise Refused(_("This article is not meant for this organisation."), field="article")
        message = write(act, Message.Kind.SOLUTION, text)
        DocumentedSolution.objects.create(
            incident=act.incident, article_version=version, by=by, at=act.now, cycle=act.incident.cycle
        )
        act.answer()
        act.record(SolutionDocumented(message=message.pk, article_version=version.pk, **_to_work(act)))
        if is_bound_to_solution(act.incident):
            finish_incident(act, message)
    return incident
