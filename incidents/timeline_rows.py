"""The rows that the events of a timeline name, fetched once per kind for one reader."""

from __future__ import annotations

from typing import Any

from incidents.delivery_words import of_updates
from incidents.models import (
    ActionPlan,
    Alarm,
    ArticleVersion,
    Attachment,
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
from incidents.standard import Situation, update_form
from portal.models import Team, User
from portal.standard_form import StandardForm


class Named:
    """What the sentences of events name, of one incident or of many; `incident` is that of the event at hand."""

    incident: Incident
    inbound: dict[int, InboundMessage]

    def __init__(self, events: list[IncidentEvent], user: User) -> None:
        self._name(events, user)
        self.inbound = rows_of(events, InboundMessage.objects.all(), "inbound")

    def _name(self, events: list[IncidentEvent], user: User) -> None:
        self.releases = rows_of(events, Release.objects.all(), "release")
        self.incidents = rows_of(events, Incident.objects.visible_to(user), "duplicate_of")
        self.alarms = rows_of(events, Alarm.objects.all(), "alarm")
        agreed = [event.payload["step"] for event in events if event.kind.startswith("bridge_step_")]
        self.bridge_steps = BridgeStep.objects.select_related("owner").in_bulk(agreed) if agreed else {}
        people = {event.payload.get("engineer") for event in events}
        people |= {event.payload.get("assignee_to") for event in events}
        for event in events:
            people |= {*event.payload.get("people", ()), *event.payload.get("escalated_to", ())}
            people |= {event.payload.get("person"), event.payload.get("person_id")}
            people.add(event.payload.get("person_to"))
            if event.kind == "reporter_changed":
                people.add(event.payload["to_id"])
        moved = {event.payload["to_id"] for event in events if event.kind == "team_changed"}
        self.teams = Team.objects.in_bulk(moved - {None})
        self.people = User.objects.in_bulk(people - {None})


def rows_of(events: list[IncidentEvent], queryset: Any, name: str) -> dict[int, Any]:
    """The rows that the events name by this fact, by id."""
    wanted = {event.payload.get(name) for event in events} - {None}
    return queryset.in_bulk(wanted) if wanted else {}


class Rows(Named):
    """The same with all that belongs to the events of one incident."""

    def __init__(self, events: list[IncidentEvent], incident: Incident, user: User) -> None:
        self.incident = incident

        def rows(queryset: Any, name: str) -> dict[int, Any]:
            return rows_of(events, queryset, name)

        self.messages = rows(Message.objects.visible_to(user).select_related("author"), "message")
        self.updates = rows(StatusUpdate.objects.filter(incident=incident), "status_update")
        self.forms = self._forms()
        self.deliveries = of_updates(incident) if user.is_agent and self.updates else {}
        self.plans = rows(ActionPlan.objects.prefetch_related("steps"), "action_plan")
        self.validations = rows(LevelValidation.objects.all(), "validation")
        self.contests = rows(Contest.objects.all(), "contest")
        self.versions = rows(ArticleVersion.objects.select_related("article"), "article_version")
        self.bridges = self._unsummed(events)
        self.attachments: dict[int | None, list[Attachment]] = {}
        for attachment in Attachment.objects.visible_to(user).filter(incident=incident):
            self.attachments.setdefault(attachment.message_id, []).append(attachment)
        self._name(events, user)
        self.inbound = InboundMessage.objects.in_bulk(self._mails(events)) if user.is_agent else {}

    def _forms(self) -> dict[int, StandardForm]:
        """Each update in the standard format."""
        if not self.updates:
            return {}
        situation = Situation.of(self.incident)
        return {pk: update_form(update, situation) for pk, update in self.updates.items()}

    def _unsummed(self, events: list[IncidentEvent]) -> dict[int, Bridge]:
        """The bridges that closed by themselves: nobody wrote their summary."""
        closed = [e for e in events if e.kind == "bridge_closed" and e.payload["message"] is None]
        ids = [event.payload["bridge"] for event in closed]
        bridges = Bridge.objects.select_related("incident__organisation", "opened_by")
        return bridges.in_bulk(ids) if ids else {}

    def _mails(self, events: list[IncidentEvent]) -> set[int]:
        named = {event.payload.get("inbound") for event in events}
        return (named | {message.inbound_id for message in self.messages.values()}) - {None}
