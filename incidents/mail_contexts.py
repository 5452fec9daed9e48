"""What each mail about an incident needs to know, gathered when it is sent."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from incidents import present
from incidents.bridge_summary import summary_of
from incidents.models import (
    ActionPlan,
    Alarm,
    ArticleVersion,
    Bridge,
    BridgeStep,
    Contest,
    InboundMessage,
    Incident,
    IncidentEvent,
    LevelValidation,
    Message,
    Release,
    StatusUpdate,
)
from incidents.standard import update_form
from portal.models import OutboxMessage, User


def context_of(incident: Incident, event: IncidentEvent, recipient: User | None) -> dict[str, Any]:
    """The context of every mail about an event; rows that the event names are looked up by id."""
    facts = event.payload
    now = timezone.now()
    views = present.clock_views(incident, now)
    update = _one(StatusUpdate, facts.get("status_update"))
    path = (
        f"/admin/incidents/incident/{incident.pk}/change/"
        if recipient and recipient.is_agent
        else incident.get_absolute_url()
    )
    return {
        "incident": incident,
        "event": event,
        "by": event.by,
        "now": now,
        "url": f"{settings.SITE_URL}{path}",
        "clocks": [view for view in present.current_clocks(views) if view.kind != "rca"],
        "rca_clock": next((v for v in present.current_clocks(views) if v.kind == "rca"), None),
        "clock": _clock_named(facts.get("clock"), views),
        "percent": str(facts.get("step", "")).split("%")[0],
        "message": _one(Message, facts.get("message")),
        "update": update,
        "form": update_form(update) if update else None,
        "plan": _one(ActionPlan, facts.get("action_plan")),
        "validation": _one(LevelValidation, facts.get("validation")),
        "contest": _one(Contest, facts.get("contest")),
        "release": _one(Release, facts.get("release")),
        "release_from": _day(facts.get("release_from")),
        "release_on": _day(facts.get("release_on")),
        "article_version": _one(ArticleVersion, facts.get("article_version")),
        "engineer": _one(User, facts.get("engineer")),
        "late_clocks": [view for name in facts.get("clocks", ()) if (view := _clock_named(name, views))],
        "escalated_to": _names(facts.get("escalated_to")),
        "next_word_at": _moment(facts.get("next_word_at")),
        "number": facts.get("number"),
        "unreached": _one(OutboxMessage, facts.get("outbox")),
        "alarm": _one(Alarm, facts.get("alarm")),
        "inbound": _one(InboundMessage, facts.get("inbound")),
        "original": _one(Incident, facts.get("duplicate_of")),
        **_bridge_context(incident, facts, recipient),
    }


def _bridge_context(incident: Incident, facts: dict[str, Any], recipient: User | None) -> dict[str, Any]:
    """The live bridge that an event is about, which is one page for both sides.

    The conference is for people: who reads along in a room is known to nobody.
    """
    bridge = _one(Bridge, facts.get("bridge"))
    if bridge is None:
        return {}
    return {
        "bridge": bridge,
        "url": f"{settings.SITE_URL}{incident.get_absolute_url()}bridge/",
        "conference_url": bridge.conference_url if recipient else "",
        "step": _one(BridgeStep, facts.get("step")),
        "bridge_summary": summary_of(bridge),
    }


def _one(model: type, pk: int | None) -> Any:
    return model._default_manager.filter(pk=pk).first() if pk else None  # type: ignore[attr-defined]


def _names(pks: list[int] | None) -> list[str]:
    return [str(person) for person in User.objects.filter(pk__in=pks or ()).order_by("name")]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _clock_named(name: str | None, views: list[present.ClockView]) -> present.ClockView | None:
    """The clock that an event of the clockwork is about."""
    for view in views:
        if name == f"{view.kind}/{view.cycle}/{view.level}/{view.ordinal}":
            return view
    return None


def is_public_still(event: IncidentEvent) -> bool:
    """Whether the text that the event is about may still be read by the customer."""
    named = event.payload.get("message")
    message = _one(Message, named)
    return message.is_public if message else named is None
