"""The customer's people of an incident: who watches it, whose it is, and which team sees it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from incidents.actions.base import Act, Refused, acting
from incidents.models import Incident, Status, Watcher
from incidents.models.people_timeline import ReporterChanged, TeamChanged, WatcherAdded, WatcherRemoved
from portal import access
from portal.models import Organisation, Team, User


def watch(
    incident: Incident, *, by: User, now: datetime, channel: str, revision: int | None = None
) -> Incident:
    """Hear what its reporter hears, from now on; whoever watches already goes on doing so."""
    with acting("watch", incident, by=by, now=now, channel=channel, revision=revision) as act:
        _add(act, by, by)
    return incident


def add_watcher(
    incident: Incident,
    *,
    person: User,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> Incident:
    """A colleague hears and sees it from now on. Never somebody from outside the organisation."""
    with acting("add_watcher", incident, by=by, now=now, channel=channel, revision=revision) as act:
        _check_colleague(act.incident, person)
        _add(act, person, by)
    return incident


def _add(act: Act, person: User, by: User) -> None:
    _watcher, is_new = Watcher.objects.get_or_create(
        incident=act.incident, person=person, defaults={"added_by": by, "added_at": act.now}
    )
    if is_new:
        act.record(WatcherAdded(person_id=person.pk))


def _check_colleague(incident: Incident, person: User) -> None:
    """The same words for a stranger as for an address that nobody has."""
    found = access.membership(person, incident.organisation) if person.is_active else None
    if found is None or person.is_agent:
        raise Refused(_("Choose somebody of the organisation."), field="person")


def remove_watcher(
    incident: Incident,
    *,
    person: User,
    by: User | None,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> Incident:
    """Not to hear of it any more: by oneself, by whoever added them, by a manager or staff."""
    with acting("remove_watcher", incident, by=by, now=now, channel=channel, revision=revision) as act:
        found = Watcher.objects.filter(incident=act.incident, person=person).first()
        if found is None:
            raise Refused(_("This person does not watch the incident."), kind="state", field="person")
        if by is not None and not _may_remove(by, found):
            raise Refused(_("Only they, whoever added them, or a manager can do this."), kind="permission")
        found.delete()
        act.record(WatcherRemoved(person_id=person.pk))
    return incident


def _may_remove(by: User, watcher: Watcher) -> bool:
    is_theirs = by.pk in (watcher.person_id, watcher.added_by_id)
    return is_theirs or by.is_agent or access.may_manage(by, watcher.incident.organisation)


def change_reporter(
    incident: Incident,
    *,
    person: User,
    by: User | None,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> Incident:
    """Hand it over to a colleague who can answer: a manager or member of the organisation."""
    with acting("change_reporter", incident, by=by, now=now, channel=channel, revision=revision) as act:
        _check_colleague(act.incident, person)
        if not access.may_write(person, act.incident.organisation):
            raise Refused(_("Choose a manager or member: viewers cannot answer."), field="person")
        before = act.incident.reporter_id
        if before == person.pk:
            raise Refused(_("It is theirs already."), kind="state", field="person")
        act.incident.reporter = person
        act.record(ReporterChanged(from_id=before, to_id=person.pk))
    return incident


def move_to_team(
    incident: Incident,
    *,
    team: Team | None,
    by: User,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> Incident:
    """Another team of the organisation sees it from now on; none: only those who see all, or watch it."""
    with acting("move_to_team", incident, by=by, now=now, channel=channel, revision=revision) as act:
        if team is not None and team.organisation_id != act.incident.organisation_id:
            raise Refused(_("Choose a team of this organisation."), field="team")
        before, after = act.incident.team_id, team.pk if team else None
        if before == after:
            raise Refused(_("It belongs there already."), kind="state", field="team")
        act.incident.team = team
        act.record(TeamChanged(from_id=before, to_id=after))
    return incident


# --- when somebody leaves their organisation ---


def reported_and_open(person: User, organisation: Organisation) -> list[Incident]:
    """What they reported that is not closed: it needs somebody who answers."""
    rows = Incident.objects.filter(organisation=organisation, reporter=person).exclude(status=Status.CLOSED)
    return list(rows.order_by("pk"))


@transaction.atomic
def transfer_incidents(
    person: User, organisation: Organisation, *, to: User | None, by: User | None, now: datetime, channel: str
) -> int:
    """Hand what they reported and is not closed over to `to`; how many.

    Refused where somebody decides (`by`) and names nobody. By itself (an identity provider), with nobody left
    who could answer, the incidents stay as they are.
    """
    found = reported_and_open(person, organisation)
    if found and to is None and by is None:
        return 0
    if found and to is None:
        raise Refused(_("Say who takes over the open incidents."), field="to")
    for incident in found:
        assert to is not None
        change_reporter(incident, person=to, by=by, now=now, channel=channel)
    return len(found)


@transaction.atomic
def stop_watching(
    person: User, organisation: Organisation, *, by: User | None, now: datetime, channel: str
) -> None:
    """They watch nothing of the organisation any more."""
    for row in Watcher.objects.filter(person=person, incident__organisation=organisation).order_by("pk"):
        remove_watcher(row.incident, person=person, by=by, now=now, channel=channel)
