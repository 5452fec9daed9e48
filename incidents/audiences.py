"""Who is involved on both sides of an incident: small questions that `notify` composes."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from incidents.models import Incident
from portal.models import StaffRole, User


def customers(incident: Incident) -> QuerySet[User]:
    """The reporter, colleagues who wrote in it or asked to hear of all, and for a P1 its contacts.

    Only active people who are members of the organisation at this moment.
    """
    involved = Q(pk=incident.reporter_id) | Q(pk__in=incident.messages.values("author"))
    wanted = Q(hears_all_incidents=True)
    if "P1" in (incident.level, incident.claimed_level):
        wanted |= Q(memberships__is_p1_contact=True, memberships__organisation=incident.organisation_id)
    return (
        User.objects.filter(is_active=True, memberships__organisation=incident.organisation_id)
        .filter(involved | wanted)
        .distinct()
        .order_by("pk")
    )


def staff() -> QuerySet[User]:
    """Everybody who works for the vendor."""
    return User.objects.filter(is_active=True, is_staff=True).exclude(staff_role="").order_by("pk")


def owners(incident: Incident) -> QuerySet[User]:
    """The assignee, or all agents while nobody has it."""
    if incident.assignee and incident.assignee.is_active:
        return User.objects.filter(pk=incident.assignee.pk)
    return staff()


def duty_managers() -> QuerySet[User]:
    return staff().filter(staff_role=StaffRole.DUTY_MANAGER)


def owners_and_duty_managers(incident: Incident) -> QuerySet[User]:
    return (owners(incident) | duty_managers()).distinct()


def is_still_involved(person: User, incident: Incident) -> bool:
    """Whether a person may hear of the incident now: staff, or still a member of its organisation."""
    if person.is_agent:
        return True
    return person.is_active and person.memberships.filter(organisation=incident.organisation_id).exists()
