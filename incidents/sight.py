"""Who of an organisation may see an incident: `Incident.visible_to`, asked from the other side.

Whoever may not see an incident does not hear of it, write in it, or get a part in it, by whatever door.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from incidents.models import Incident, Watcher
from portal.access import WRITERS
from portal.models import Membership, User, Visibility


def who_may_see(incident: Incident, **membership: object) -> QuerySet[User]:
    """The active people of its organisation who may see it now, by id; no staff.

    `membership` narrows by columns of the membership in this organisation, such as `is_p1_contact=True`.
    """
    watching = Watcher.objects.filter(incident=incident.pk).values("person")
    own = Q(user=incident.reporter_id) | Q(user__in=watching)
    seeing = Q(visibility=Visibility.ALL) | own
    if incident.team_id is not None:
        seeing |= Q(visibility=Visibility.TEAM, team=incident.team_id)
    rows = Membership.objects.filter(
        seeing, organisation=incident.organisation_id, organisation__is_active=True, **membership
    )
    return User.objects.filter(is_active=True, pk__in=rows.values("user")).order_by("pk")


def writers_who_may_see(incident: Incident) -> QuerySet[User]:
    """Those of them who may also write for the organisation: its managers and members."""
    return who_may_see(incident, role__in=WRITERS)


def may_see(person: User, incident: Incident) -> bool:
    """Whether a person may see the incident now; staff as far as they look after its organisation."""
    return Incident.objects.visible_to(person).filter(pk=incident.pk).exists()
