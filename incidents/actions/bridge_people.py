"""The people on a live bridge: who is there, and who has which part."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from incidents.actions.base import Refused
from incidents.actions.bridge_base import BridgeAct, is_writer, on_bridge
from incidents.models import Bridge, BridgePresence, BridgeRole, BridgeSeat, Channel
from incidents.models.bridge_timeline import (
    BridgeRoleGiven,
)
from portal.access import looks_after
from portal.models import User


def join_bridge(bridge: Bridge, *, by: User, now: datetime) -> BridgePresence:
    """Be there from now on, also to read only; who is there already stays. Refused when it is closed."""
    with on_bridge("attend_bridge", bridge, by=by, now=now, channel=Channel.BRIDGE) as at:
        return arrive(at, by)


def arrive(at: BridgeAct, person: User) -> BridgePresence:
    """The person's present stay, begun now unless there is one."""
    stay, is_new = BridgePresence.objects.get_or_create(
        bridge=at.bridge,
        person=person,
        left_at=None,
        defaults={"joined_at": at.now, "seen_at": at.now},
    )
    if is_new:
        at.roster_changed()
    return stay


def leave_bridge(bridge: Bridge, *, by: User, now: datetime) -> None:
    """Be there no more. Who has left, or whose bridge is closed, has left: nothing changes."""
    if bridge.presences.filter(person=by, left_at=None).exists():
        with on_bridge("attend_bridge", bridge, by=by, now=now, channel=Channel.BRIDGE) as at:
            stays = at.bridge.presences.filter(person=by, left_at=None)
            if stays.update(left_at=at.now, seen_at=at.now):
                at.roster_changed()


def give_part(bridge: Bridge, *, role: str, person: User, by: User, now: datetime, channel: str) -> None:
    """Hand a part to somebody; whoever had it has it no more.

    Staff give the staff's parts to staff. The customer's lead is a manager or member of the organisation:
    anyone of them takes it, staff or the present lead give it.
    """
    with on_bridge("give_bridge_role", bridge, by=by, now=now, channel=channel) as at:
        _check_part(at, role, person, by)
        seat(at, role, person, by)


def _check_part(at: BridgeAct, role: str, person: User, by: User) -> None:
    if role not in BridgeRole.values:
        raise Refused(_("Choose one of the parts offered."), field="role")
    if role != BridgeRole.CUSTOMER_LEAD:
        if not by.is_agent:
            raise Refused(_("Only support staff can do this."), kind="permission")
        if not looks_after(person, at.act.incident.organisation_id):
            raise Refused(_("This part is for support staff. Choose one of them."), field="person")
        return
    if not is_writer(person, at.act.incident):
        raise Refused(
            _("The customer's lead is a manager or member of the organisation. Choose one of them."),
            field="person",
        )
    is_lead = at.bridge.seats.filter(role=role, person=by, until_at=None).exists()
    if not (by.is_agent or by.pk == person.pk or is_lead):
        raise Refused(
            _("Take the part yourself, or ask the present lead or support staff to give it."),
            kind="permission",
        )


def seat(at: BridgeAct, role: str, person: User, by: User) -> None:
    """Give a part that was checked; giving it to whoever has it changes nothing."""
    before = at.bridge.seats.filter(role=role, until_at=None).first()
    if before and before.person_id == person.pk:
        return
    if before:
        at.bridge.seats.filter(pk=before.pk).update(until_at=at.now)
    BridgeSeat.objects.create(bridge=at.bridge, role=role, person=person, given_by=by, from_at=at.now)
    at.act.record(
        BridgeRoleGiven(
            bridge=at.bridge.pk,
            role=role,
            person_from=before.person_id if before else None,
            person_to=person.pk,
        )
    )
    at.roster_changed()
