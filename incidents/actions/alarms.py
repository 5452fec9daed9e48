"""What an alarm does to an incident that is there already. No person acts: `by` is None.

Each takes the receipt (`received_at`), which lies before `now` when the workers slept.
"""

from __future__ import annotations

from datetime import datetime

from incidents.actions.base import Act, acting
from incidents.actions.ending import reopen_within
from incidents.models import Alarm, Channel, Incident
from incidents.models.timeline import AlarmFiredAgain, AlarmJoined, AlarmResolved


def join_alarm(incident: Incident, *, alarm: Alarm, now: datetime, received_at: datetime) -> Incident:
    """Another alarm is part of this incident: of a storm."""
    with acting("join_alarm", incident, by=None, now=now, channel=Channel.ALARM) as act:
        act.record(AlarmJoined(alarm=alarm.pk), at=_receipt(act, received_at))
    return incident


def note_alarm_resolved(
    incident: Incident, *, alarm: Alarm, now: datetime, received_at: datetime
) -> Incident:
    """The source says that it is over. A person resolves the incident, or does not: its clocks run on."""
    with acting("note_alarm_resolved", incident, by=None, now=now, channel=Channel.ALARM) as act:
        act.record(AlarmResolved(alarm=alarm.pk), at=_receipt(act, received_at))
    return incident


def note_alarm_fired_again(
    incident: Incident, *, alarm: Alarm, now: datetime, received_at: datetime
) -> Incident:
    """It fires again after its source had called it resolved."""
    with acting("note_alarm_fired_again", incident, by=None, now=now, channel=Channel.ALARM) as act:
        facts = AlarmFiredAgain(alarm=alarm.pk, flap_count=alarm.flap_count)
        act.record(facts, at=_receipt(act, received_at))
    return incident


def reopen_for_alarm(incident: Incident, *, now: datetime, received_at: datetime) -> Incident:
    """It fires though the incident was resolved: a new cycle from the receipt, not before the resolution."""
    with acting("reopen_for_alarm", incident, by=None, now=now, channel=Channel.ALARM) as act:
        resolved_at = act.incident.resolved_at or received_at
        reopen_within(act, None, at=max(_receipt(act, received_at), resolved_at))
    return incident


def _receipt(act: Act, received_at: datetime) -> datetime:
    return min(received_at.replace(microsecond=0), act.now)
