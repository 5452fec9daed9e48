"""What an alarm does, by verbs, in one transaction with its stored row.

First it opens an incident; then it is counted. Its source calls it resolved: that is shown, and a person
decides. It fires again: that is noted, and reopens what was resolved. Many different ones at once are one
storm. An alarm that is worse than what it opened opens again, for nobody promised to look at the milder one
as fast. While its service is under maintenance it is recorded there, and opens nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property

from django.db import connection, transaction

from incidents import actions
from incidents.intake.alarms import formats, incident_texts, windows
from incidents.intake.alarms.formats import Alert
from incidents.intake.alarms.levels import is_worse, level_of
from incidents.intake.alarms.opening import open_for_alarm
from incidents.intake.alarms.reception import AT_ONCE, current_alarms, is_any_unread
from incidents.intake.inbox import Result, Unacceptable
from incidents.models import Alarm, AlarmSource, InboundMessage, Incident, Status

Outcome = InboundMessage.Outcome

JOINED_SHOWN = 20
TIMES_SHOWN = 4  # the first, and three flaps
QUIET = timedelta(minutes=10)
LOOKED_AT = 50  # of the newest alarms, to find the storm that they are part of


class OutOfTurn(Exception):
    """A resolve came to be read before the alarm that it may be about: it is read again later."""


def handle(message: InboundMessage, now: datetime) -> Result:
    """Read one stored request. Raises Unacceptable when it can never be read, OutOfTurn when not yet."""
    # Not the key: rows that refer to the source can still be stored while this one is read.
    locked = AlarmSource.objects.select_for_update(of=("self",), no_key=True)
    source = locked.select_related("organisation", "service").get(pk=message.source_id or 0)
    if source.organisation and not source.organisation.is_active:
        raise Unacceptable("The organisation is not active any more.")
    try:
        alerts = formats.read(source.kind, message.payload)
    except formats.Malformed as error:
        raise Unacceptable(str(error)) from error
    reading = Reading(source, message, now, alerts)
    for alert in alerts:
        reading.take(alert)
    if len(alerts) > AT_ONCE and not connection.features.has_select_for_update:
        transaction.on_commit(let_others_write)
    return Result(outcome=reading.outcome, incident=reading.incident)


def let_others_write() -> None:
    """Between two large rows: a writer who waits for SQLite looks only every 0.1 s whether it is free."""
    time.sleep(0.1)


class Reading:
    """One stored request being read: the locked source and the present alarms of its fingerprints."""

    def __init__(
        self, source: AlarmSource, message: InboundMessage, now: datetime, alerts: list[Alert]
    ) -> None:
        self.source, self.message = source, message
        self.now = now.replace(microsecond=0)
        self.at = min(message.received_at, self.now)
        self.alarms = current_alarms(source, alerts)
        self.incidents: dict[int, Incident] = {}
        self.outcome: str = Outcome.RECORDED
        self.incident: Incident | None = None

    def take(self, alert: Alert) -> None:
        """Let one alert do what it does."""
        alarm = self.alarms.get(alert.fingerprint)
        if not alert.is_firing:
            self.resolve(alarm)
            return
        level = level_of(alert, self.source.level_rules, self.source.default_level)
        if alarm is not None and not self.is_over(alarm) and not is_worse(level, alarm.level):
            self.fire_again(alarm, alert)
            return
        if alarm is not None:
            Alarm.objects.filter(pk=alarm.pk).update(is_current=False)
        self.start(alert, level)

    def incident_of(self, alarm: Alarm) -> Incident | None:
        """The alarm's incident, or the one that staff closed it as a duplicate of.

        One object for all alarms of a storm, for verbs change it.
        """
        incident = alarm.incident
        while incident is not None and incident.status == Status.CLOSED and incident.duplicate_of is not None:
            incident = incident.duplicate_of
        if incident is None:
            return None
        if incident != alarm.incident:
            alarm.incident = incident
            alarm.save(update_fields=["incident"])
        return self.incidents.setdefault(incident.pk, incident)

    def is_over(self, alarm: Alarm) -> bool:
        incident = self.incident_of(alarm)
        return incident is not None and incident.status == Status.CLOSED

    # --- it starts ---

    def start(self, alert: Alert, level: str) -> None:
        alarm = Alarm.objects.create(
            source=self.source,
            fingerprint=alert.fingerprint,
            title=alert.title,
            description=alert.description,
            level=level,
            labels=dict(alert.labels),
            first_at=self.at,
            last_at=self.at,
        )
        self.alarms[alert.fingerprint] = alarm
        if level:
            self.hear(alert, alarm)

    def hear(self, alert: Alert, alarm: Alarm) -> None:
        """It is recorded on a window that covers it; else it opens an incident, also that of an overrun."""
        if windows.record(self.source, alarm, self.message, self.at, self.now):
            return
        overrun = windows.open_outlasting(self.source, alarm, self.now)
        if overrun is not None:
            self.outcome, self.incident = Outcome.OPENED, overrun
            self.incidents[overrun.pk] = overrun
            return
        alarm.incident = self.incident_for(alert, alarm)
        alarm.save(update_fields=["incident"])

    def incident_for(self, alert: Alert, alarm: Alarm) -> Incident:
        """The storm that takes it, else a new incident: its own, or the one of a storm that begins."""
        if self.storm is not None and not is_worse(alarm.level, self.storm.claimed_level):
            if self.storm.events.filter(kind="alarm_joined").count() < JOINED_SHOWN:
                actions.join_alarm(self.storm, alarm=alarm, now=self.now, received_at=self.at)
            return self.storm
        lately = self.levels_of_late()
        is_storm = self.storm is not None or len(lately) >= self.source.storm_threshold
        level = min([alarm.level, *lately]) if is_storm else alarm.level
        texts = incident_texts.storm(self.source) if is_storm else incident_texts.of(alert)
        incident = open_for_alarm(
            self.source, alarm, alert, texts=texts, level=level, now=self.now, received_at=self.at
        )
        self.outcome, self.incident = Outcome.OPENED, incident
        self.incidents[incident.pk] = incident
        if is_storm:
            actions.join_alarm(incident, alarm=alarm, now=self.now, received_at=self.at)
            self.storm = incident
        return incident

    def levels_of_late(self) -> list[str]:
        """The levels of the newest alarms that opened something within the storm's minutes."""
        since = self.at - timedelta(minutes=self.source.storm_minutes)
        late = Alarm.objects.filter(source=self.source, first_at__gt=since, incident__isnull=False)
        return list(late.order_by("-first_at").values_list("level", flat=True)[: self.source.storm_threshold])

    @cached_property
    def storm(self) -> Incident | None:
        """The unresolved storm that something joined within the storm's minutes: it takes all further ones."""
        since = self.at - timedelta(minutes=self.source.storm_minutes)
        late = Alarm.objects.filter(source=self.source, first_at__gt=since, incident__isnull=False)
        pks = set(late.order_by("-first_at").values_list("incident", flat=True)[:LOOKED_AT])
        storms = Incident.objects.unresolved().filter(pk__in=pks, events__kind="alarm_joined")
        found = storms.order_by("-pk").first()
        return self.incidents.setdefault(found.pk, found) if found else None

    # --- it repeats ---

    def fire_again(self, alarm: Alarm, alert: Alert) -> None:
        """Count it. What had resolved flaps; what a person had resolved is open again."""
        incident = self.incident_of(alarm)
        was_resolved = alarm.status == Alarm.Status.RESOLVED
        is_late = was_resolved and alarm.resolved_at is not None and self.at < alarm.resolved_at
        alarm.count += 1
        if not is_late:
            alarm.last_at = max(alarm.last_at, self.at)
            alarm.status, alarm.resolved_at = Alarm.Status.FIRING, None
            alarm.flap_count += was_resolved
        alarm.save(update_fields=["count", "last_at", "status", "resolved_at", "flap_count"])
        if incident is None and alarm.level and not is_late:
            self.hear(alert, alarm)
        if incident is None or is_late:
            return
        if incident.status == Status.RESOLVED:
            self.outcome, self.incident = Outcome.REOPENED, incident
            self.bring_back(alarm, incident)
        elif was_resolved and self.is_told(incident, "alarm_fired_again"):
            self.bring_back(alarm, incident)

    def bring_back(self, alarm: Alarm, incident: Incident) -> None:
        """Reopen what was resolved of the incident and its children; note it where they are open still."""
        for one in self.family(incident):
            if one.status == Status.RESOLVED:
                actions.reopen_for_alarm(one, now=self.now, received_at=self.at)
            elif one.is_unresolved:
                actions.note_alarm_fired_again(one, alarm=alarm, now=self.now, received_at=self.at)

    # --- its source says that it is over ---

    def resolve(self, alarm: Alarm | None) -> None:
        """Note it; an incident ends by a person. What is unknown, or older than what fired since, is nothing."""
        if alarm is None and is_any_unread(self.source, before=self.message):
            raise OutOfTurn("an earlier request of the source is not read yet")
        if alarm is None or alarm.status == Alarm.Status.RESOLVED or self.at < alarm.last_at:
            return
        alarm.status, alarm.resolved_at = Alarm.Status.RESOLVED, self.at
        alarm.save(update_fields=["status", "resolved_at"])
        incident = self.incident_of(alarm)
        if incident is None and alarm.level:
            windows.record(self.source, alarm, self.message, self.at, self.now)
        if incident is None or self.is_any_firing(incident) or not self.is_told(incident, "alarm_resolved"):
            return
        for one in self.family(incident):
            if one.is_unresolved:
                actions.note_alarm_resolved(one, alarm=alarm, now=self.now, received_at=self.at)

    def is_any_firing(self, incident: Incident) -> bool:
        return incident.alarms.filter(status=Alarm.Status.FIRING, is_current=True).exists()

    def is_told(self, incident: Incident, kind: str) -> bool:
        """Whether the timeline says it: the first times always, then once in ten minutes. The rest is counted."""
        told = incident.events.filter(kind=kind).order_by("-pk").values_list("at", flat=True)[:TIMES_SHOWN]
        return len(told) < TIMES_SHOWN or self.at - told[0] >= QUIET

    def family(self, incident: Incident) -> Iterable[Incident]:
        return [incident, *incident.children.all()]
