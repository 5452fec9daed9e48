"""Who is involved on both sides of an incident: the roles of the communication plan, as people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from django.db.models import QuerySet

from incidents import oncall
from incidents.models import Incident, Involved
from incidents.sight import may_see, who_may_see
from portal.access import looks_after, with_limits
from portal.models import Membership, StaffRole, User

# --- the customer's side: only active people who are members, and may see it, at this moment ---


def reporters(incident: Incident) -> list[User]:
    """Who reported it, and who watches it; where nobody reported it (an alarm) the P1 contacts, or else the managers."""
    if incident.reporter_id:
        named = who_may_see(incident).filter(pk=incident.reporter_id)
    else:
        contacts = p1_contacts(incident)
        named = contacts if contacts.exists() else managers(incident)
    return list(dict.fromkeys([*named, *watchers(incident)]))


def watchers(incident: Incident) -> QuerySet[User]:
    """They hear what the reporter hears."""
    return who_may_see(incident).filter(watched__incident=incident.pk)


def managers(incident: Incident) -> QuerySet[User]:
    return who_may_see(incident, role=Membership.Role.MANAGER)


def participants(incident: Incident) -> QuerySet[User]:
    return who_may_see(incident).filter(pk__in=incident.messages.filter(is_public=True).values("author"))


def subscribers(incident: Incident) -> QuerySet[User]:
    return who_may_see(incident).filter(hears_all_incidents=True)


def p1_contacts(incident: Incident) -> QuerySet[User]:
    return who_may_see(incident, is_p1_contact=True)


def escalation_contacts(incident: Incident) -> QuerySet[User]:
    """Those named for it; where nobody is, the managers."""
    named = who_may_see(incident, is_escalation_contact=True)
    return named if named.exists() else managers(incident)


# --- the vendor's side ---


def owners(incident: Incident, now: datetime) -> list[User]:
    """The assignee, or whoever is on call while nobody has it."""
    if incident.assignee and looks_after(incident.assignee, incident.organisation_id):
        return [incident.assignee]
    return oncall.on_duty("on_call", now)


def backups(incident: Incident, now: datetime) -> list[User]:
    """The backup of whoever is on call; a duty manager where none is named."""
    backup = oncall.backup_of("on_call", now)
    return [backup] if backup else oncall.on_duty("duty_manager", now)


def duty_managers() -> QuerySet[User]:
    return oncall.staff().filter(staff_role=StaffRole.DUTY_MANAGER)


def team(incident: Incident) -> QuerySet[User]:
    """The staff, without those who look after other organisations only."""
    everybody = User.objects.filter(is_active=True, is_staff=True).exclude(staff_role="")
    return with_limits(everybody, incident.organisation_id).order_by("pk")


ROLES: dict[str, Callable[[Incident, datetime], Iterable[User]]] = {
    Involved.REPORTER: lambda incident, now: reporters(incident),
    Involved.PARTICIPANTS: lambda incident, now: participants(incident),
    Involved.P1_CONTACTS: lambda incident, now: p1_contacts(incident),
    Involved.SUBSCRIBERS: lambda incident, now: subscribers(incident),
    Involved.ESCALATION_CONTACTS: lambda incident, now: escalation_contacts(incident),
    Involved.ROOM: lambda incident, now: (),
    Involved.OWNER: owners,
    Involved.ON_CALL: lambda incident, now: oncall.on_duty("on_call", now),
    Involved.BACKUP: backups,
    Involved.DUTY_MANAGER: lambda incident, now: oncall.on_duty("duty_manager", now),
    Involved.HEAD_OF_SUPPORT: lambda incident, now: oncall.on_duty("head_of_support", now),
    Involved.TEAM: lambda incident, now: team(incident),
}


def people(role: str, incident: Incident, now: datetime) -> list[User]:
    """Who has a role of the plan in this incident at `now`."""
    return list(ROLES[role](incident, now))


def next_in_line(incident: Incident, now: datetime, missed: Iterable[User]) -> list[User]:
    """Who must hear when those on `missed` cannot be reached: the first role with anybody else in it."""
    gone = {person.pk for person in missed}
    for role in (Involved.OWNER, Involved.ON_CALL, Involved.BACKUP, Involved.DUTY_MANAGER,
                 Involved.HEAD_OF_SUPPORT, Involved.TEAM):  # fmt: skip
        left = [person for person in people(role, incident, now) if person.pk not in gone]
        if left:
            return left
    return []


def why_not_involved(person: User, incident: Incident) -> str:
    """Why a person may not hear of the incident now, or "": whoever may see it may."""
    if may_see(person, incident):
        return ""
    if person.is_agent or person.memberships.filter(organisation=incident.organisation_id).exists():
        return "the recipient may not see the incident"
    return "the recipient does not belong to the organisation any more"
