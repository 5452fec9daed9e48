"""Where a webhook for somebody goes."""

from __future__ import annotations

from portal.models import Endpoint, Organisation, User


def endpoint_of(person: User) -> Endpoint | None:
    """A person's own pager; for staff without one the team's; None where there is neither."""
    active = Endpoint.objects.filter(is_active=True)
    own = active.filter(person=person).order_by("pk").first()
    if own or not person.is_agent:
        return own
    return active.filter(person=None, organisation=None).order_by("pk").first()


def room_of(organisation: Organisation) -> Endpoint | None:
    """The organisation's own room, if it has one."""
    return Endpoint.objects.filter(is_active=True, organisation=organisation).order_by("pk").first()
