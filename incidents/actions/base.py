"""What every verb shares: lock, rule, fact, clocks, messages; one transaction, true together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from incidents import notify, rules, search_index
from incidents.actions.impacts import note_level
from incidents.actions.rca_owing import owe, published_already
from incidents.clockwork import recompute
from incidents.models import Incident, IncidentEvent, Status
from incidents.models.timeline import Payload
from incidents.revisions import QUIET, revision_for
from incidents.sight import may_see
from portal import access
from portal.models import Membership, StaffRole, User
from portal.verbs import Refused as Refused
from portal.verbs import required as required


def actor_of(user: User | None, incident: Incident) -> rules.Actor:
    """What `user` is to the incident; None is the clockwork."""
    if user is None:
        return rules.Actor(is_clockwork=True)
    if access.looks_after(user, incident.organisation_id):
        return rules.Actor(
            is_agent=True,
            is_duty_manager=user.has_staff_role(StaffRole.DUTY_MANAGER),
            is_head_of_support=user.has_staff_role(StaffRole.HEAD_OF_SUPPORT),
        )
    if not may_see(user, incident):
        return rules.Actor()
    found = access.membership(user, incident.organisation)
    return rules.Actor(
        is_writer=found is not None and found.role in access.WRITERS,
        is_reader=found is not None,
        is_manager=found is not None and found.role == Membership.Role.MANAGER,
    )


def may(verb: str, incident: Incident, user: User) -> str:
    """ "" if `user` may use the verb on the incident now, else the translated reason."""
    refusal = _refusal(verb, incident, actor_of(user, incident))
    return _(refusal) if refusal else ""


def allowed(verbs: Iterable[str], incident: Incident, user: User) -> dict[str, bool]:
    """For each of the verbs whether `user` may use it on the incident now."""
    actor = actor_of(user, incident)
    return {verb: not _refusal(verb, incident, actor) for verb in verbs}


def _refusal(verb: str, incident: Incident, actor: rules.Actor) -> str:
    return rules.permission_refusal(verb, actor) or rules.state_refusal(verb, incident.status)


@dataclass
class Act:
    """A verb at work: the locked incident, who acts, when and through which door."""

    incident: Incident
    by: User | None
    now: datetime
    channel: str
    events: list[IncidentEvent] = field(default_factory=list)
    is_quiet: bool = False  # whether nobody but staff may notice that anything happened

    def record(self, facts: Payload, *, at: datetime | None = None) -> IncidentEvent:
        """Append one event. `at` is the receipt when it differs from now."""
        event = IncidentEvent.objects.create(
            incident=self.incident,
            kind=facts.kind,
            by=self.by,
            channel=self.channel,
            at=at or self.now,
            recorded_at=self.now,
            payload=facts.as_json(),
            is_public=facts.is_public,
        )
        self.events.append(event)
        return event

    def move(self, to: str) -> dict[str, str]:
        """Set the status; returns both ends for the event's payload."""
        status_from, self.incident.status = self.incident.status, to
        return {"status_from": status_from, "status_to": to}

    def stay_or_acknowledge(self) -> dict[str, str]:
        """A person's public message acknowledges a reported incident and leaves any other status."""
        if self.incident.status == Status.REPORTED:
            self.incident.acknowledged_at = self.incident.acknowledged_at or self.now
            return self.move(Status.ACKNOWLEDGED)
        return self.move(self.incident.status)

    def answer(self) -> None:
        """Note the first response of the first cycle (the clocks judge it from the facts)."""
        if self.incident.first_response_at is None:
            self.incident.first_response_at = self.now


@contextmanager
def acting(
    verb: str,
    incident: Incident,
    *,
    by: User | None,
    now: datetime,
    channel: str,
    revision: int | None = None,
) -> Iterator[Act]:
    """Lock the incident, check rule and revision, then recompute clocks and queue messages at the end."""
    now = now.replace(microsecond=0)
    with transaction.atomic():
        locked = Incident.objects.select_for_update(of=("self",)).get(pk=incident.pk)
        _check(verb, locked, by, revision)
        act = Act(locked, by, max(now, locked.computed_at), channel)
        yield act
        finish(act)
    incident.__dict__.update(locked.__dict__)


def _check(verb: str, incident: Incident, by: User | None, revision: int | None) -> None:
    refusal = rules.permission_refusal(verb, actor_of(by, incident))
    if refusal:
        raise Refused(_(refusal), kind="permission")
    if revision is not None and revision != revision_for(by, incident):
        raise Refused(
            _("Somebody changed the incident while you were writing. Read what is new, then send again."),
            kind="stale",
        )
    refusal = rules.state_refusal(verb, incident.status)
    if refusal:
        raise Refused(_(refusal), kind="state")


def finish(act: Act) -> None:
    """Clocks, summary row, search row and messages of an act, in its transaction."""
    incident = act.incident
    if not act.is_quiet and any(event.kind not in QUIET for event in act.events):
        incident.revision += 1
        incident.last_changed_at = act.now
    level = incident.level
    ledger = recompute(incident, act.now)
    published = published_already(incident, ledger)
    if published:
        act.record(published)
        ledger = recompute(incident, act.now)
    incident.save()
    owe(incident, ledger, by=act.by, now=act.now, channel=act.channel)
    if incident.level != level:
        note_level(incident)
    if search_index.tells_of_texts(act.events):
        search_index.keep([incident.pk])
    notify.announce(incident, act.events, act.now)
