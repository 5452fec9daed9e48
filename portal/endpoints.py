"""Which endpoint is whose: a person's pager, the team's, an organisation's own channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from portal.models import Endpoint, Organisation, User


def endpoint_of(person: User) -> Endpoint | None:
    """The person's own active pager, else (for staff only) the team's; None without either."""
    active = Endpoint.objects.filter(is_active=True).order_by("pk")
    own = active.filter(person=person).first()
    if own is None and person.is_agent:
        return active.filter(person=None, organisation=None).first()
    return own


def endpoints_of(people: Iterable[User]) -> dict[int, Endpoint]:
    """The same for many people, by their ids: two queries at most."""
    asked = list(people)
    active = Endpoint.objects.filter(is_active=True).order_by("-pk")
    found = {row.person_id: row for row in active.filter(person__in=asked) if row.person_id is not None}
    if any(person.is_agent and person.pk not in found for person in asked):
        of_team = active.filter(person=None, organisation=None).last()
        if of_team is not None:
            found = {person.pk: of_team for person in asked if person.is_agent} | found
    return found


def channel_of(organisation: Organisation) -> Endpoint | None:
    """The organisation's own channel, if it is active and its plan has one; or None."""
    return next(iter(channels_of([organisation])), None)


def channels_of(organisations: Iterable[Any]) -> list[Endpoint]:
    """The own channel of each of the organisations (or of a query of them) that has one: one query."""
    rows = open_channels().filter(organisation__in=organisations).select_related("organisation")
    return list({row.organisation_id: row for row in rows.order_by("-pk")}.values())[::-1]


def is_channel_of(endpoint: Endpoint, organisation: int | None) -> bool:
    """Whether it is (still) a channel of this organisation, under a plan that has one."""
    return open_channels().filter(pk=endpoint.pk, organisation=organisation).exists()


def open_channels() -> QuerySet[Endpoint]:
    """The active channels of active organisations whose plan has one.

    `support_plan` is the relation by which the room above, incidents, points to an organisation."""
    return Endpoint.objects.filter(
        is_active=True,
        removed_at=None,
        use=Endpoint.Use.CHANNEL,
        organisation__is_active=True,
        organisation__support_plan__has_dedicated_channel=True,
    )
