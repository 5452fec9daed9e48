"""One incident's life as rows: each method is a verb, and writes what that verb writes.

The timeline is the truth: columns that the clocks derive are not set here but replayed from it (`clocks.py`).
A verb that would lie after `now` raises `NotYet`, so a life that begins shortly before now stays unfinished.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

from incidents.bulk import words
from incidents.bulk.setting import Event, NotYet, Setting
from incidents.models import (
    ActionPlan,
    ActionPlanStep,
    DocumentedSolution,
    Incident,
    LevelValidation,
    Message,
    Release,
    StatusUpdate,
)
from incidents.models.incident import REFERENCE_OFFSET
from incidents.models.timeline import PAYLOADS, IncidentEvent
from incidents.revisions import QUIET

REMINDER, CLOSING = timedelta(days=3), timedelta(days=5)


class Story:
    """A life in the making. `at` is the instant that it has reached."""

    def __init__(self, setting: Setting, pk: int, level: str, opened_at: datetime) -> None:
        self.setting, self.random, self.rows, self.ids = setting, setting.random, setting.rows, setting.ids
        self.pk, self.level, self.at = pk, level, opened_at
        self.agent = self.random.choice(setting.world.agents)
        self.customer = setting.customer
        self.writer, self.team = self.random.choice(self.customer.writers)
        self.channel = self.random.choices(("portal", "mail", "api", "alarm"), (60, 25, 10, 5))[0]
        self.events: list[Event] = []
        self.status = ""
        self.cycle = 1
        self.row: dict[str, Any] = {"opened_at": opened_at, "revision": 0}

    # --- time and facts ---

    def wait(self, least: float, most: float) -> None:
        """Let some minutes pass, anything from `least` to `most`. NotYet when that reaches beyond the present."""
        self.at += timedelta(seconds=int(60 * (least + self.random.random() * (most - least))))
        if self.at >= self.setting.now:
            raise NotYet

    def record(self, kind: str, by: int | None, door: str = "admin", /, **payload: Any) -> Event:
        event = Event(self.ids.next(IncidentEvent), kind, by, door, self.at, self.at, payload)
        self.events.append(event)
        if kind not in QUIET:
            self.row["revision"] += 1
            self.row["last_changed_at"] = self.at
        return event

    def move(self, to: str) -> dict[str, str]:
        before, self.status = self.status, to
        return {"status_from": before, "status_to": to}

    def say(self, kind: str, text: str, by: int, *, channel: str = "admin", is_public: bool = True) -> int:
        pk = self.ids.next(Message)
        self.rows.add(
            Message,
            id=pk,
            incident_id=self.pk,
            author_id=by,
            kind=kind,
            text=text,
            is_public=is_public,
            is_from_staff=channel == "admin",
            channel=channel,
            received_at=self.at,
        )
        return pk

    def _answer(self) -> None:
        if self.row.get("first_response_at") is None:
            self.row["first_response_at"] = self.at

    def _acknowledge(self) -> str:
        """A public word acknowledges what is only reported, and leaves any other status."""
        if self.status != "reported":
            return self.status
        self.row["acknowledged_at"] = self.at
        return "acknowledged"

    # --- verbs ---

    def open(self) -> None:
        self.record(
            "opened",
            None if self.channel == "alarm" else self.writer,
            self.channel,
            **self.move("reported"),
            level=self.level,
            policy_version=self.customer.policy_version,
            calendar_version=self.customer.calendar_version,
            on_behalf=False,
            alarm=None,
            inbound=None,
        )

    def validate(self, to: str) -> None:
        pk = self.ids.next(LevelValidation)
        self.rows.add(
            LevelValidation,
            id=pk,
            incident_id=self.pk,
            by_id=self.agent,
            level_from=self.level,
            level_to=to,
            was_validated=self.row.get("validated_level", ""),
            reason=words.text(self.random, words.ANSWERS, 1, 2),
            at=self.at,
        )
        self.record("level_validated", self.agent, level_from=self.level, level_to=to, validation=pk)
        self.level = self.row["validated_level"] = to

    def assign(self, to: int) -> None:
        before = self.row.get("assignee_id")
        if before != to:
            self.row["assignee_id"] = to
            self.record("assigned", self.agent, assignee_from=before, assignee_to=to)

    def staff_reply(self) -> None:
        message = self.say("reply", words.text(self.random, words.ANSWERS, 1, 4), self.agent)
        self._answer()
        self.record("staff_replied", self.agent, message=message, **self.move(self._acknowledge()))

    def note(self) -> None:
        text = words.text(self.random, words.NOTES, 1, 2)
        self.record("note_added", self.agent, message=self.say("note", text, self.agent, is_public=False))

    def ask(self) -> None:
        message = self.say("question", words.text(self.random, words.ANSWERS, 1, 2), self.agent)
        self._answer()
        self.row["acknowledged_at"] = self.row.get("acknowledged_at") or self.at
        self.row["waiting_since"] = self.row.get("waiting_since") or self.at
        self.record("question_asked", self.agent, message=message, **self.move("waiting_for_customer"))

    def customer_reply(self) -> None:
        channel = self.random.choice(("portal", "mail"))
        text = words.text(self.random, words.REPLIES, 1, 3)
        message = self.say("reply", text, self.writer, channel=channel)
        to = self.status
        if to == "waiting_for_customer":
            to = "in_progress" if self._is_worked_on() else "acknowledged"
            self.row["waiting_since"] = None
        facts = self.move(to)
        self.record("customer_replied", self.writer, channel, message=message, is_human=True, **facts)

    def _is_worked_on(self) -> bool:
        return bool(self.row.get("intervention_started_at")) or bool(self.ids.used.get(ActionPlan))

    def intervene(self) -> None:
        self.row["intervention_started_at"], self.row["intervention_by_id"] = self.at, self.agent
        self.assign(self.agent)
        self.record("intervention_started", self.agent, engineer=self.agent, **self.move("in_progress"))

    def plan(self) -> None:
        pk = self.ids.next(ActionPlan)
        review = self.at + timedelta(days=2)
        summary = words.text(self.random, words.ANSWERS, 1, 2)
        self.rows.add(
            ActionPlan,
            id=pk,
            incident_id=self.pk,
            author_id=self.agent,
            summary=summary,
            next_review_at=review,
            filed_at=self.at,
        )
        for remedy in self.random.sample(words.REMEDIES, 2):
            step = {"plan_id": pk, "text": remedy, "owner": "Platform", "due_on": review.date()}
            self.rows.add(ActionPlanStep, id=self.ids.next(ActionPlanStep), **step)
        self._answer()
        self.row["acknowledged_at"] = self.row.get("acknowledged_at") or self.at
        self.record("action_plan_filed", self.agent, action_plan=pk, **self.move("in_progress"))

    def update(self, next_minutes: int) -> None:
        """A status update, and the fact that a channel accepted it half a minute later."""
        pk = self.ids.next(StatusUpdate)
        told = self.at + timedelta(minutes=next_minutes)
        accepted = self.at + timedelta(seconds=self.random.randrange(5, 50))
        if accepted + timedelta(seconds=20) >= self.setting.now:
            raise NotYet
        self._answer()
        facts = self.move(self._acknowledge())
        self.rows.add(StatusUpdate, id=pk, accepted_at=accepted, **self._update_values(told))
        self.record(
            "status_update_published",
            self.agent,
            status_update=pk,
            next_update_at=told.isoformat(),
            **facts,
        )
        event = self.record("status_update_accepted", None, "clockwork", status_update=pk, channel="email")
        event.at, event.recorded_at = accepted, accepted + timedelta(seconds=15)
        self.at = event.recorded_at

    def _update_values(self, told: datetime) -> dict[str, Any]:
        return {
            "incident_id": self.pk,
            "author_id": self.agent,
            "condition": "acknowledged" if self.status == "acknowledged" else "in_progress",
            "summary": words.text(self.random, words.ANSWERS, 1, 3),
            "next_steps": self.random.choice(words.REMEDIES),
            "next_update_at": told,
            "state": "published",
            "channel": "admin",
            "written_at": self.at,
            "published_at": self.at,
        }

    def plan_release(self, on: date) -> int:
        pk = self.ids.next(Release)
        self.row["acknowledged_at"] = self.row.get("acknowledged_at") or self.at
        facts = self.move("in_progress")
        self.record("release_planned", self.agent, release=pk, release_on=on.isoformat(), **facts)
        return pk

    def keep_release(self, pk: int, on: date, shipped_at: datetime | None) -> None:
        """The release's row, once it is known whether it has shipped."""
        version = f"{self.random.randrange(2, 9)}.{self.random.randrange(40)}"
        times = {"planned_on": on, "first_planned_on": on, "shipped_at": shipped_at}
        self.rows.add(Release, id=pk, incident_id=self.pk, version=version, **times)

    def ship(self, release: int) -> None:
        message = self.say("reply", words.text(self.random, words.ANSWERS, 1, 1), self.agent)
        self.record("release_shipped", self.agent, release=release)
        self._resolved(message)

    def document_solution(self) -> None:
        message = self.say("solution", words.text(self.random, words.ANSWERS, 2, 4), self.agent)
        version = self.random.choice(self.setting.world.article_versions)
        self.rows.add(
            DocumentedSolution,
            id=self.ids.next(DocumentedSolution),
            incident_id=self.pk,
            article_version_id=version,
            by_id=self.agent,
            at=self.at,
            cycle=self.cycle,
        )
        self._answer()
        self.row["acknowledged_at"] = self.row.get("acknowledged_at") or self.at
        facts = self.move("in_progress")
        self.record("solution_documented", self.agent, message=message, article_version=version, **facts)
        self._resolved(message)

    def resolve(self) -> None:
        cause, remedy = self.random.choice(words.CAUSES), self.random.choice(words.REMEDIES)
        self.row["cause"], self.row["remedy"] = cause, remedy
        self._resolved(self.say("resolution", f"{cause}\n\n{remedy}", self.agent))

    def _resolved(self, message: int) -> None:
        row = self.row
        row["resolved_at"] = self.at
        row["restored_at"] = row.get("restored_at") or self.at
        row["waiting_since"] = None
        row["reminder_due_at"], row["closing_due_at"] = self.at + REMINDER, self.at + CLOSING
        self._answer()
        self.record("resolved", self.agent, message=message, **self.move("resolved"))

    def confirm(self) -> None:
        self._closed("confirmed")
        self.record("confirmed", self.writer, "portal", message=None, **self.move("closed"))

    def close_unanswered(self) -> None:
        """Reminded after three days, closed after five, each half a minute after its time."""
        resolved = self.row["resolved_at"]
        self.at = resolved + REMINDER
        self.wait(0.5, 0.5)
        self.record("closing_reminded", None, "clockwork")
        self.row["reminder_due_at"] = None
        self.at = resolved + CLOSING
        self.wait(0.5, 0.5)
        self._closed("unanswered")
        self.record("closed", None, "clockwork", **self.move("closed"))

    def withdraw(self) -> None:
        text = words.text(self.random, words.REPLIES, 1, 1)
        message = self.say("reason", text, self.writer, channel="portal")
        self._closed("withdrawn")
        self.record("withdrawn", self.writer, "portal", message=message, **self.move("closed"))

    def _closed(self, how: str) -> None:
        self.row |= {"closed_at": self.at, "closed_as": how, "closing_due_at": None, "reminder_due_at": None}

    def reopen(self) -> None:
        """The customer writes that it is back: another cycle."""
        message = self.say(
            "reply", words.text(self.random, words.REPLIES, 1, 2), self.writer, channel="portal"
        )
        for name in (
            "resolved",
            "closed",
            "restored",
            "intervention_started",
            "acknowledged",
            "first_response",
        ):
            self.row[f"{name}_at"] = None
        self.row |= {"intervention_by_id": None, "waiting_since": None, "closed_as": ""}
        self.row |= {"closing_due_at": None, "reminder_due_at": None}
        self.cycle += 1
        facts = self.move("reported")
        self.record("reopened", self.writer, "portal", message=message, cycle=self.cycle, **facts)

    # --- what is read of it ---

    @property
    def reference(self) -> str:
        return f"INC-{self.pk + REFERENCE_OFFSET}"

    def write_events(self) -> None:
        """Its timeline as rows."""
        for event in self.events:
            self.rows.add(
                IncidentEvent,
                id=event.pk,
                incident_id=self.pk,
                kind=event.kind,
                by_id=event.by,
                channel=event.channel,
                at=event.at,
                recorded_at=event.recorded_at,
                payload=json.dumps(event.payload),
                is_public=PAYLOADS[event.kind].is_public,
            )

    def write_row(self, computed_at: datetime, derived: dict[str, Any]) -> None:
        """Its own row: `derived` is what the clocks say of it."""
        is_alarm = self.channel == "alarm"
        self.rows.add(
            Incident,
            id=self.pk,
            organisation_id=self.customer.pk,
            reporter_id=None if is_alarm else self.writer,
            team_id=None if is_alarm else self.team,
            title=words.title(self.random)[:200],
            description=words.description(self.random),
            impact=self.row.pop("impact"),
            claimed_level=self.events[0].payload["level"],
            status=self.status,
            channel=self.channel,
            policy_version_id=self.customer.policy_version,
            calendar_version_id=self.customer.calendar_version,
            computed_at=computed_at,
            **self.row,
            **derived,
        )
