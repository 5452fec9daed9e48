"""What the history holds besides incidents: maintenance windows, announcements, and entries of the audit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from django.db import models, transaction

from incidents.bulk import words
from incidents.bulk.tables import Rows
from incidents.bulk.world import Customer, World
from incidents.clockwork import iso
from maintenance.models import (
    MaintenanceWindow,
    RollbackCondition,
    WindowEvent,
    WindowOrganisation,
    WindowService,
    WindowStep,
)
from maintenance.models.plan import standard_reminders
from maintenance.models.timeline import PAYLOADS
from portal.models import Announcement, AuditEntry, ServiceImpact

CHUNK = 20_000
UPCOMING = 20
HOUR = timedelta(hours=1)


class Numbered(Rows):
    """Rows that are given the next free id of their table."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[type[models.Model], count[int]] = {}

    def put(self, model: type[models.Model], **values: Any) -> int:
        if model not in self.numbers:
            top = model._default_manager.aggregate(top=models.Max("pk"))["top"] or 0
            self.numbers[model] = count(top + 1)
        pk = next(self.numbers[model])
        self.add(model, id=pk, **values)
        return pk


class Around:
    """Writes the rest of a history of so many incidents, from `began` to `now`."""

    def __init__(self, world: World, random: Random, began: datetime, now: datetime) -> None:
        self.world, self.random, self.began, self.now = world, random, began, now
        self.rows, self.written = Numbered(), Counter[str]()
        self.services = sorted({service for customer in world.customers for service in customer.services})

    def write(self, incidents: int) -> Counter[str]:
        """One window for 350 incidents and one entry of the audit for eight; returns rows by table."""
        self._each(max(5, min(3_000, incidents // 350)), self._window)
        for n in range(UPCOMING):
            self._window(self.now - timedelta(hours=9 * n + 1))
        self._flush()
        self._each(min(60, incidents // 100), self._announcement)
        self._each(incidents // 8, self._entry)
        return self.written

    def _each(self, number: int, put: Callable[[datetime], None]) -> None:
        """Put that many, evenly over the years."""
        for n in range(number):
            put(self.began + (self.now - self.began) * (n / number))
            if n % CHUNK == CHUNK - 1:
                self._flush()
        self._flush()

    def _flush(self) -> None:
        with transaction.atomic():
            self.written += Counter(self.rows.write())

    # --- maintenance windows ---

    def _window(self, at: datetime) -> None:
        """A window that was announced at `at`; of the last weeks some are still to come."""
        starts = (at + timedelta(days=self.random.randint(8, 20))).replace(minute=0, second=0, microsecond=0)
        ends, service = starts + self.random.randint(1, 4) * HOUR, self.random.choice(self.services)
        is_over = ends < self.now - HOUR
        if not is_over and starts <= self.now + HOUR:  # nothing runs at the end of the history
            starts, ends = starts + timedelta(days=2), ends + timedelta(days=2)
        pk = self.rows.put(MaintenanceWindow, **self._window_values(at, starts, ends, is_over))
        impact = self.random.choice(("reduced_redundancy", "degraded", "none"))
        self._parts(pk, service, impact, ends if is_over else None)
        involved = self._involved(service)
        for customer in involved:
            self.rows.put(WindowOrganisation, window_id=pk, organisation_id=customer.pk, since=at)
        if is_over and impact != "none":
            self._felt(pk, service, impact, involved, (starts, ends))
        self._events(pk, at, starts, ends, is_over)

    def _involved(self, service: int) -> list[Customer]:
        """Some of those who use the service; once in twenty windows, many of them."""
        users = [customer for customer in self.world.customers if service in customer.services]
        most = 400 if self.random.random() < 0.05 else 25
        return self.random.sample(users, min(len(users), most))

    def _window_values(self, at: datetime, starts: datetime, ends: datetime, is_over: bool) -> dict[str, Any]:
        owner = self.random.choice(self.world.agents)
        values: dict[str, Any] = {
            "title": f"Maintenance: {self.random.choice(words.THINGS)}",
            "description": words.text(self.random, words.REMEDIES, 1, 3),
            "status": "completed" if is_over else "announced",
            "starts_at": starts,
            "ends_at": ends,
            "first_starts_at": starts,
            "first_ends_at": ends,
            "rollback_decision_at": ends - HOUR / 2,
            "owner_id": owner,
            "author_id": owner,
            "approved_by_id": self.random.choice(self.world.managers),
            "uid": f"history.{starts:%Y%m%d%H}.{self.random.getrandbits(64):x}@vendor.example",
        }
        values |= dict.fromkeys(("approved_at", "announced_at", "created_at", "last_changed_at"), at)
        if is_over:
            values |= {
                "started_at": starts,
                "ended_at": ends,
                "last_changed_at": ends,
                "outcome": "As planned.",
            }
        else:
            moments = [starts, *(starts - timedelta(minutes=n) for n in standard_reminders())]
            values["attention_at"] = min(moment for moment in moments if moment > self.now)
        return values

    def _parts(self, pk: int, service: int, impact: str, done_at: datetime | None) -> None:
        self.rows.put(WindowService, window_id=pk, service_id=service, impact=impact)
        self.rows.put(
            RollbackCondition, window_id=pk, position=1, measure="Error rate of the API", limit="more than 2 %",
            state="clear" if done_at else "unchecked",
        )  # fmt: skip
        for position in (1, 2):
            text = self.random.choice(words.REMEDIES)
            self.rows.put(WindowStep, window_id=pk, position=position, text=text, done_at=done_at)

    def _felt(
        self, pk: int, service: int, impact: str, involved: list[Customer], span: tuple[datetime, datetime]
    ) -> None:
        for customer in involved:
            self.rows.put(
                ServiceImpact,
                service_id=service,
                organisation_id=customer.pk,
                impact=impact,
                from_at=span[0],
                until_at=span[1],
                source=f"MW-{pk}",
                is_planned=True,
            )

    def _events(self, pk: int, at: datetime, starts: datetime, ends: datetime, is_over: bool) -> None:
        timed = {"starts_at": iso(starts), "ends_at": iso(ends), "sequence": 0}
        self._event(pk, "drafted", at, previous_attempt=None, status_from="", status_to="draft")
        self._event(pk, "announced", at, status_from="approved", status_to="announced", **timed)
        if is_over:
            self._event(pk, "started", starts, status_from="announced", status_to="in_progress")
            self._event(pk, "ended", ends, status_from="in_progress", status_to="completed", **timed)

    def _event(self, pk: int, kind: str, at: datetime, **payload: Any) -> None:
        self.rows.put(
            WindowEvent,
            window_id=pk,
            kind=kind,
            channel="admin",
            at=at,
            recorded_at=at,
            payload=json.dumps(payload),
            is_public=PAYLOADS[kind].is_public,
        )

    # --- announcements and audit ---

    def _announcement(self, at: datetime) -> None:
        self.rows.put(
            Announcement,
            title=words.title(self.random)[:200],
            text=words.text(self.random, words.REMEDIES, 2, 4),
            audience="all",
            author_id=self.random.choice(self.world.agents),
            created_at=at,
            published_at=at,
            expires_at=at + timedelta(days=90),
        )

    def _entry(self, at: datetime) -> None:
        customer = self.random.choice(self.world.customers)
        person = self.random.choice(customer.readers)
        kind = self.random.choices(
            ("signed_in", "sign_in_failed", "session_ended", "password_changed"), (80, 12, 6, 2)
        )[0]
        self.rows.put(
            AuditEntry,
            kind=kind,
            at=at.replace(microsecond=0),
            by_id=person,
            organisation_id=customer.pk,
            subject=f"person/{person}",
            facts=json.dumps({"methods": ["password"]} if kind == "signed_in" else {}),
        )
