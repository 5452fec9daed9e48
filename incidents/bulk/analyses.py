"""The RCA of a seeded P1: owed as soon as its clock starts, and published within the promise, mostly."""

from __future__ import annotations

import json
from typing import Any

from incidents.bulk import words
from incidents.bulk.story import Story
from incidents.clockwork import iso
from incidents.models import RCA, PreventionAction, RCACopy, RCAEvent, RCAVersion
from incidents.models.rca_timeline import RCAOwed, RCAVersionPublished
from portal.timeline import Payload


def publish_rca(story: Story) -> None:
    """Written, read by a second person and published at the story's present instant."""
    rca, version = story.ids.next(RCA), story.ids.next(RCAVersion)
    reviewer = story.random.choice(story.setting.world.managers)
    texts = dict.fromkeys(RCA.TEXTS, "") | {
        "summary": words.text(story.random, words.DETAILS, 2, 4),
        "root_cause": f"{story.row['cause']} {words.text(story.random, words.DETAILS, 2, 5)}",
        "went_well": words.text(story.random, words.ANSWERS, 1, 2),
    }
    action = _action(story, rca)
    content = {"texts": texts, "moments": [], "actions": [action], "redactions": []}
    people = {"author_id": story.agent, "reviewer_id": reviewer}
    owed = {"owed_since": story.row["resolved_at"], "created_at": story.row["resolved_at"], "revision": 4}
    published = {"status": "published", "first_published_at": story.at, "reviewed_at": story.at}
    story.rows.add(RCA, id=rca, incident_id=story.pk, **people, **owed, **published, **texts)
    _version(story, version, rca, people, content)
    _event(story, rca, RCAOwed(clock="rca/1/P1/1"), None)
    _event(story, rca, RCAVersionPublished(version=version), reviewer)
    story.record("rca_published", reviewer, rca_version=version, number=1)


def _version(story: Story, pk: int, rca: int, people: dict[str, int], content: dict[str, Any]) -> None:
    story.rows.add(
        RCAVersion,
        id=pk,
        rca_id=rca,
        number=1,
        published_at=story.at,
        published_by_id=people["reviewer_id"],
        content=json.dumps(content),
        **people,
    )
    story.rows.add(
        RCACopy,
        id=story.ids.next(RCACopy),
        version_id=pk,
        organisation_id=story.customer.pk,
        incident_id=story.pk,
        content=json.dumps(_facts(story) | content),
    )


def _facts(story: Story) -> dict[str, Any]:
    return {
        "title": "A P1 of the history",
        "reference": story.reference,
        "organisation": "",
        "level": story.level,
        "is_major": False,
        "opened_at": iso(story.row["opened_at"]),
        "restored_at": iso(story.row["restored_at"]),
        "resolved_at": iso(story.row["resolved_at"]),
        "services": [],
        "promised": [],
        "note": "",
    }


def _action(story: Story, rca: int) -> dict[str, Any]:
    """One prevention action, done or still open; as a version keeps it."""
    due = story.at.date()
    text = story.random.choice(words.REMEDIES)
    is_done = story.random.random() < 0.95
    values = {"rca_id": rca, "number": 1, "kind": "prevent", "text": text, "owner_id": story.agent}
    values |= {"due_on": due, "first_due_on": due}
    if is_done:
        values |= {"state": "done", "evidence": words.text(story.random, words.NOTES, 1, 1)}
        values |= {"closed_at": story.at, "closed_by_id": story.agent}
    story.rows.add(PreventionAction, id=story.ids.next(PreventionAction), **values)
    return {"number": 1, "kind": "prevent", "text": text, "owner": "", "due_on": due.isoformat()}


def owe_rca(story: Story) -> None:
    """The row of an RCA whose clock still runs."""
    rca = story.ids.next(RCA)
    since = story.row["resolved_at"]
    story.rows.add(RCA, id=rca, incident_id=story.pk, status="owed", owed_since=since, created_at=since)
    _event(story, rca, RCAOwed(clock=f"rca/{story.cycle}/{story.level}/1"), story.agent)


def _event(story: Story, rca: int, facts: Payload, by: int | None) -> None:
    story.rows.add(
        RCAEvent,
        id=story.ids.next(RCAEvent),
        rca_id=rca,
        kind=facts.kind,
        by_id=by,
        channel="admin",
        at=story.at,
        recorded_at=story.at,
        payload=json.dumps(facts.as_json()),
        is_public=facts.is_public,
    )
