"""The incident's append-only timeline. Each kind of event declares its payload; payloads hold ids and facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from incidents.models.incident import Incident, IncidentQuerySet
from portal.models import User
from portal.timeline import Payload as Payload
from portal.timeline import Payloads, StatusChange, TimelineEvent, declaring

PAYLOADS: Payloads = {}
payload = declaring(PAYLOADS)


@payload
@dataclass(frozen=True, kw_only=True)
class Opened(StatusChange):
    kind = "opened"
    level: str
    policy_version: int
    calendar_version: int
    on_behalf: bool = False
    alarm: int | None = None
    inbound: int | None = None


@payload
@dataclass(frozen=True, kw_only=True)
class LevelValidated(Payload):
    kind = "level_validated"
    level_from: str
    level_to: str
    validation: int


@payload
@dataclass(frozen=True, kw_only=True)
class LoweringContested(Payload):
    kind = "lowering_contested"
    validation: int
    contest: int


@payload
@dataclass(frozen=True, kw_only=True)
class ContestDecided(Payload):
    kind = "contest_decided"
    validation: int
    contest: int
    is_upheld: bool
    level_from: str
    level_to: str


@payload
@dataclass(frozen=True, kw_only=True)
class CustomerEscalated(StatusChange):
    """The customer pressed “Escalate”, which ends waiting for them; `people` are the duty managers who were paged."""

    kind = "customer_escalated"
    escalation: int
    message: int
    people: list[int]
    answer_due_at: str


@payload
@dataclass(frozen=True, kw_only=True)
class EscalationRaised(Payload):
    """No duty manager answered in time: `people`, the head of support, were paged."""

    kind = "escalation_raised"
    escalation: int
    people: list[int]


@payload
@dataclass(frozen=True, kw_only=True)
class EscalationAnswered(StatusChange):
    kind = "escalation_answered"
    escalation: int
    message: int


@payload
@dataclass(frozen=True, kw_only=True)
class StaffReplied(StatusChange):
    kind = "staff_replied"
    message: int


@payload
@dataclass(frozen=True, kw_only=True)
class CustomerReplied(StatusChange):
    kind = "customer_replied"
    message: int
    is_human: bool = True


@payload
@dataclass(frozen=True, kw_only=True)
class NoteAdded(Payload):
    kind = "note_added"
    is_public = False
    message: int


@payload
@dataclass(frozen=True, kw_only=True)
class FilesAttached(Payload):
    kind = "files_attached"
    attachments: list[int]


@payload
@dataclass(frozen=True, kw_only=True)
class Acknowledged(StatusChange):
    kind = "acknowledged"


@payload
@dataclass(frozen=True, kw_only=True)
class Assigned(Payload):
    kind = "assigned"
    assignee_from: int | None
    assignee_to: int | None


@payload
@dataclass(frozen=True, kw_only=True)
class InterventionStarted(StatusChange):
    kind = "intervention_started"
    engineer: int


@payload
@dataclass(frozen=True, kw_only=True)
class ActionPlanFiled(StatusChange):
    kind = "action_plan_filed"
    action_plan: int


@payload
@dataclass(frozen=True, kw_only=True)
class QuestionAsked(StatusChange):
    kind = "question_asked"
    message: int


@payload
@dataclass(frozen=True, kw_only=True)
class StatusUpdateScheduled(Payload):
    kind = "status_update_scheduled"
    is_public = False
    status_update: int
    publish_at: str


@payload
@dataclass(frozen=True, kw_only=True)
class StatusUpdateHeld(Payload):
    kind = "status_update_held"
    is_public = False
    status_update: int


@payload
@dataclass(frozen=True, kw_only=True)
class StatusUpdateDiscarded(Payload):
    kind = "status_update_discarded"
    is_public = False
    status_update: int


@payload
@dataclass(frozen=True, kw_only=True)
class StatusUpdatePublished(StatusChange):
    kind = "status_update_published"
    status_update: int
    next_update_at: str | None


@payload
@dataclass(frozen=True, kw_only=True)
class StatusUpdateAccepted(Payload):
    """A channel of the plan accepted the update at the event's `at`."""

    kind = "status_update_accepted"
    is_public = False
    status_update: int
    channel: str


@payload
@dataclass(frozen=True, kw_only=True)
class ReleasePlanned(StatusChange):
    kind = "release_planned"
    release: int
    release_on: str


@payload
@dataclass(frozen=True, kw_only=True)
class ReleaseMoved(Payload):
    kind = "release_moved"
    release: int
    release_from: str
    release_on: str


@payload
@dataclass(frozen=True, kw_only=True)
class ReleaseShipped(Payload):
    kind = "release_shipped"
    release: int


@payload
@dataclass(frozen=True, kw_only=True)
class ReleaseWithdrawn(Payload):
    kind = "release_withdrawn"
    release: int


@payload
@dataclass(frozen=True, kw_only=True)
class SolutionDocumented(StatusChange):
    kind = "solution_documented"
    message: int
    article_version: int


@payload
@dataclass(frozen=True, kw_only=True)
class Restored(Payload):
    kind = "restored"
    message: int | None = None


@payload
@dataclass(frozen=True, kw_only=True)
class Resolved(StatusChange):
    kind = "resolved"
    message: int


@payload
@dataclass(frozen=True, kw_only=True)
class Confirmed(StatusChange):
    kind = "confirmed"
    message: int | None = None


@payload
@dataclass(frozen=True, kw_only=True)
class Closed(StatusChange):
    kind = "closed"


@payload
@dataclass(frozen=True, kw_only=True)
class ClosingReminded(Payload):
    kind = "closing_reminded"


@payload
@dataclass(frozen=True, kw_only=True)
class Reopened(StatusChange):
    kind = "reopened"
    message: int | None
    cycle: int


@payload
@dataclass(frozen=True, kw_only=True)
class Withdrawn(StatusChange):
    kind = "withdrawn"
    message: int


@payload
@dataclass(frozen=True, kw_only=True)
class MarkedDuplicate(StatusChange):
    kind = "marked_duplicate"
    duplicate_of: int
    message: int


@payload
@dataclass(frozen=True, kw_only=True)
class RCARequested(Payload):
    kind = "rca_requested"


@payload
@dataclass(frozen=True, kw_only=True)
class RCAPublished(Payload):
    """A version of the RCA is there to be read: what its clock waits for."""

    kind = "rca_published"
    rca_version: int
    number: int


@payload
@dataclass(frozen=True, kw_only=True)
class ClockWarned(Payload):
    kind = "clock_warned"
    is_public = False
    clock: str
    percent: int


@payload
@dataclass(frozen=True, kw_only=True)
class ClockBreached(Payload):
    kind = "clock_breached"
    is_public = False
    clock: str
    due_at: str


@payload
@dataclass(frozen=True, kw_only=True)
class Escalated(Payload):
    """Staff were paged by one step of a chain, for one clock."""

    kind = "escalated"
    is_public = False
    clock: str
    step: str
    role: str
    number: int
    due_at: str
    people: list[int]
    channels: list[str]
    is_every_channel: bool


@payload
@dataclass(frozen=True, kw_only=True)
class LatenessTold(Payload):
    """The customer was told that something promised is late, to whom it went, and when the next word comes."""

    kind = "lateness_told"
    clocks: list[str]
    due_at: str
    escalated_to: list[int]
    next_word_at: str | None


@payload
@dataclass(frozen=True, kw_only=True)
class DeclaredMajor(Payload):
    """From now on an RCA is owed, whatever the level: a person's reason, or the clock that broke."""

    kind = "declared_major"
    message: int | None = None
    clock: str = ""


@payload
@dataclass(frozen=True, kw_only=True)
class NotReached(Payload):
    """A message did not arrive: `outbox` bounced or was refused; `people` were paged instead."""

    kind = "not_reached"
    is_public = False
    outbox: int
    person: int | None
    people: list[int]


@payload
@dataclass(frozen=True, kw_only=True)
class MailHeld(Payload):
    """A mail, or a message of the channel, that belongs here is held for staff, who decide."""

    kind = "mail_held"
    is_public = False
    inbound: int


@payload
@dataclass(frozen=True, kw_only=True)
class AutomaticMailReceived(Payload):
    """A machine answered a mail of ours: nobody's words, and so no fact for the clocks."""

    kind = "automatic_mail_received"
    is_public = False
    inbound: int


@payload
@dataclass(frozen=True, kw_only=True)
class AlarmJoined(Payload):
    """Another alarm is part of this incident."""

    kind = "alarm_joined"
    alarm: int


@payload
@dataclass(frozen=True, kw_only=True)
class AlarmResolved(Payload):
    """The source says that it is over; the incident stays until a person resolves it."""

    kind = "alarm_resolved"
    alarm: int


@payload
@dataclass(frozen=True, kw_only=True)
class AlarmFiredAgain(Payload):
    """It fired again after its source had called it resolved."""

    kind = "alarm_fired_again"
    alarm: int
    flap_count: int


@payload
@dataclass(frozen=True, kw_only=True)
class OutageJoined(Payload):
    """It is one of several that one outage of the vendor's concerns: staff write once for all of them."""

    kind = "outage_joined"
    is_public = False
    parent: int


@payload
@dataclass(frozen=True, kw_only=True)
class OutageLeft(Payload):
    kind = "outage_left"
    is_public = False
    parent: int


@payload
@dataclass(frozen=True, kw_only=True)
class PromiseChanged(Payload):
    kind = "promise_changed"
    policy_version_from: int
    policy_version: int
    calendar_version_from: int
    calendar_version: int


@payload
@dataclass(frozen=True, kw_only=True)
class ClockCorrected(Payload):
    kind = "clock_corrected"
    is_public = False
    key: list[Any]
    old: dict[str, Any]
    new: dict[str, Any]
    reason: str


class EventQuerySet(models.QuerySet["IncidentEvent"]):
    def visible_to(self, user: User) -> EventQuerySet:
        """Events of the user's incidents; customers read only the public ones."""
        incidents: IncidentQuerySet = Incident.objects.visible_to(user)
        if user.is_authenticated and user.is_agent:
            return self.filter(incident__in=incidents)
        return self.filter(incident__in=incidents, is_public=True)


class IncidentEvent(TimelineEvent):
    """One fact about an incident."""

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="events", verbose_name=_("incident"))

    payloads = PAYLOADS

    objects = EventQuerySet.as_manager()

    class Meta(TimelineEvent.Meta):
        abstract = False
        verbose_name = _("event")
        verbose_name_plural = _("timeline")
        indexes = [models.Index(fields=["incident", "id"], name="event_by_incident")]
