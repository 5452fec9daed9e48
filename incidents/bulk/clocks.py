"""The clocks of a seeded life: replayed by the real `sla`, with what a sweep would have noted about them by now."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from incidents import receipts, sla
from incidents.bulk.story import Story
from incidents.clockwork import Chain, attention, derived, summary
from incidents.models import Clock, Escalation, SLAPolicyVersion
from incidents.models.facts import as_fact, promise_for, promise_key
from incidents.models.plans import STANDARD_STEPS
from portal.models import CalendarVersion

A_DAY = timedelta(days=1)


@lru_cache(maxsize=256)
def _promise(policy_version: int, calendar_version: int) -> sla.Promise:
    return promise_for(
        SLAPolicyVersion.objects.prefetch_related("targets").get(pk=policy_version),
        CalendarVersion.objects.get(pk=calendar_version),
    )


def forget_promises() -> None:
    """Only a database whose ids start again (a test's) needs it."""
    _promise.cache_clear()


def replay(story: Story, until: datetime) -> sla.Ledger:
    """The life's ledger at `until`, from its events as they will stand in the timeline."""
    versions = story.customer.policy_version, story.customer.calendar_version
    facts = [fact for event in story.events if (fact := as_fact(event))]
    return sla.replay(facts, {promise_key(*versions): _promise(*versions)}, until)


def write_clocks(story: Story, ledger: sla.Ledger, computed_at: datetime) -> dict[str, Any]:
    """Write the ledger's clocks; returns the columns of the incident's own row that follow from it.

    What breached is told and who had to be paged was paged, so a sweep at `computed_at` finds nothing due.
    """
    chain = Chain(STANDARD_STEPS, {}, is_acted_on=story.status != "reported")
    for clock in ledger.clocks:
        pk, due, warned = story.ids.next(Clock), None, 0
        if clock.ended_at is None or clock.ended_at > story.setting.now - A_DAY:
            row = Clock(pk=pk, is_breach_told=clock.breached_at is not None)
            _note_the_past(story, chain, row, clock, ledger, computed_at)
            due, warned = attention(row, clock, ledger, chain, computed_at), row.warned_percent
        values = derived(clock, ledger)
        values["receipts"] = None if values["receipts"] is None else json.dumps(values["receipts"])
        story.rows.add(
            Clock,
            id=pk,
            incident_id=story.pk,
            kind=str(clock.kind),
            level=clock.level,
            cycle=clock.cycle,
            ordinal=clock.ordinal,
            attention_at=due,
            warned_percent=warned,
            is_breach_told=clock.breached_at is not None,
            **values,
        )
    return summary(ledger)


def _note_the_past(
    story: Story, chain: Chain, row: Clock, clock: sla.Clock, ledger: sla.Ledger, now: datetime
) -> None:
    """The warnings and pages that are behind."""
    passed = [percent for percent, at in receipts.warnings(clock, ledger.pauses) if at <= now]
    row.warned_percent = max(passed, default=0)
    pages = chain.pages(row, clock, ledger, now)
    for page in pages:
        story.rows.add(
            Escalation,
            id=story.ids.next(Escalation),
            clock_id=row.pk,
            step_key=page.step.key,
            number=page.number,
            role=page.step.role,
            due_at=page.due_at,
            paged_at=page.due_at + timedelta(seconds=20),
        )
    chain.paged[row.pk] = {(page.step.key, page.number) for page in pages}
