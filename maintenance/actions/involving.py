"""Whom a window concerns, and who is invited: written at the announcement, and added to until the start."""

from __future__ import annotations

from maintenance import audiences
from maintenance.actions.act import Act
from maintenance.models import Invitation, WindowOrganisation
from maintenance.models.timeline import Invited
from maintenance.overlaps import users_of


def involve(act: Act) -> list[Invitation]:
    """Add the organisations that use an affected service by now, and invite their people who want to hear.

    Whoever is there stays. After the announcement the new ones are an event, so that they are told.
    """
    window = act.window
    services = [row.service for row in window.affected.select_related("service")]
    there = set(window.involved.values_list("organisation", flat=True))
    for organisation in users_of(services):
        if organisation.pk not in there:
            WindowOrganisation.objects.create(window=window, organisation=organisation, since=act.now)
    invited = _invite(act)
    if invited and window.events.filter(kind="announced").exists():
        act.record_due(Invited(people=[invitation.person_id for invitation in invited]), at=act.now)
    return invited


def _invite(act: Act) -> list[Invitation]:
    window = act.window
    there = set(window.invitations.values_list("person", flat=True))
    added = []
    for row in (
        window.involved.filter(organisation__is_active=True).select_related("organisation").order_by("pk")
    ):
        for person in audiences.listeners(row.organisation):
            if person.pk not in there:
                there.add(person.pk)
                added.append(
                    Invitation.objects.create(
                        window=window, person=person, organisation=row.organisation, invited_at=act.now
                    )
                )
    return added
