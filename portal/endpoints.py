"""Which endpoint is whose: a person's pager, the team's, an organisation's own channel."""

from __future__ import annotations

from portal.models import Endpoint, Organisation, User


def endpoint_of(person: User) -> Endpoint | None:
    """The person's own active pager, else (for staff only) the team's; None without either."""
    active = Endpoint.objects.filter(is_active=True).order_by("pk")
    own = active.filter(person=person).first()
    if own is None and person.is_agent:
        return active.filter(person=None, organisation=None).first()
    return own


def channel_of(organisation: Organisation) -> Endpoint | None:
    """The organisation's own channel, if it is active; or None."""
    active = Endpoint.objects.filter(is_active=True, use=Endpoint.Use.CHANNEL, organisation=organisation)
    return active.order_by("pk").first()
