"""The facts of the live bridge, as events of the incident's timeline."""

from __future__ import annotations

from dataclasses import dataclass

from incidents.models.timeline import payload
from portal.timeline import Payload, StatusChange


@payload
@dataclass(frozen=True, kw_only=True)
class BridgeOpened(Payload):
    kind = "bridge_opened"
    bridge: int


@payload
@dataclass(frozen=True, kw_only=True)
class BridgeRoleGiven(Payload):
    kind = "bridge_role_given"
    bridge: int
    role: str
    person_from: int | None
    person_to: int


@payload
@dataclass(frozen=True, kw_only=True)
class BridgeNoted(StatusChange):
    """A note of a person on the bridge. Minutes meet no target; a customer's words end waiting for them."""

    kind = "bridge_noted"
    bridge: int
    message: int
    is_from_customer: bool


@payload
@dataclass(frozen=True, kw_only=True)
class BridgeDecided(StatusChange):
    """A decision taken on the bridge, in words; the same rules as for a note."""

    kind = "bridge_decided"
    bridge: int
    message: int
    is_from_customer: bool


@payload
@dataclass(frozen=True, kw_only=True)
class BridgeStepAgreed(Payload):
    kind = "bridge_step_agreed"
    bridge: int
    step: int


@payload
@dataclass(frozen=True, kw_only=True)
class BridgeStepDone(Payload):
    kind = "bridge_step_done"
    bridge: int
    step: int


@payload
@dataclass(frozen=True, kw_only=True)
class BridgeClosed(Payload):
    """The bridge is closed; its summary is a public message, or there was nothing to sum up."""

    kind = "bridge_closed"
    bridge: int
    message: int | None
