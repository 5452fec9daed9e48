"""The whole API against its own OpenAPI document, by schemathesis: every operation, check and phase.

`make test-schema` runs it in this process; the seed is printed, and SCHEMA_SEED=… repeats it. SCHEMA_EXAMPLES (50)
says how many examples the fuzzing and stateful phases give each operation (the coverage phase adds its own),
SCHEMA_WHO (a2,g1,anonymous) for whom. No check and no operation is left out; `allowed` says which refusals of what
the document allows are none of its faults, and each run prints how often they were met.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import pytest
import schemathesis
from django.utils import timezone
from hypothesis import strategies as st
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.run import PhaseName
from schemathesis.specs.openapi.formats import rfc3339_values
from schemathesis.transport.wsgi import WSGITransport

from portal.api_reference import METHODS, document
from tests.schema import allowed, world
from tests.schema.inside import Inside, without_sockets

pytestmark = [
    pytest.mark.schema,
    # what the engine and its test client leave behind is not ours
    pytest.mark.filterwarnings("ignore"),
]
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "50"))
SEED = int(os.environ.get("SCHEMA_SEED", random.SystemRandom().randrange(10**9)))
SHOWN = 1500


@pytest.fixture
def filled(a1, a2, b1, g1, g2, m1, acme, nordwind, settings):
    """Two organisations with something of everything that an address names."""
    settings.SUPPORT_COUNTRY = ""
    settings.ALLOWED_HOSTS = ["*"]
    logging.disable(logging.WARNING)  # of thousands of refusals
    cast = {"a1": a1, "a2": a2, "b1": b1, "g1": g1, "g2": g2, "m1": m1}
    world.fill(timezone.now().replace(microsecond=0), cast, acme, nordwind)
    yield
    logging.disable(logging.NOTSET)


@dataclass
class Run:
    """What a run came to: cases by operation, checks by name and, of each kind of failure, one example."""

    cases: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    skipped: set[str] = field(default_factory=set)
    allowed: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def note(self, event: events.EngineEvent) -> None:
        if isinstance(event, events.ScenarioFinished):
            self.count(event)
        elif isinstance(event, events.NonFatalError):
            self.fail(f"error {event.label}", str(event.value))
        elif isinstance(event, events.FatalError):
            raise event.exception

    def count(self, event: events.ScenarioFinished) -> None:
        for node in event.recorder.cases.values():
            self.cases[node.value.operation.label] += 1
        for checks in event.recorder.checks.values():
            self.checks.update(check.name for check in checks)
        if event.skip_reason and event.phase == PhaseName.FUZZING:
            self.skipped.add(f"{event.label}: {event.skip_reason}")
        for key, words in failed(event).items():
            self.fail(key, words)

    def fail(self, key: str, words: str) -> None:
        if key not in self.failures:
            self.failures[key] = words
            print(f"{key}\n{words[:SHOWN]}\n", file=sys.stderr, flush=True)  # at once, for a run is long


def speak_of_this_century() -> None:
    """Let half of the generated times and dates be of the years that the API takes; by chance one in fifty is."""
    days = (st.dates() | st.dates(date(2000, 1, 1), date(2199, 12, 31))).map(str)
    schemathesis.openapi.format("date", days)
    schemathesis.openapi.format("date-time", st.builds("{}T{}".format, days, rfc3339_values("full-time")))


def run(app: Inside) -> Run:
    config = schemathesis.Config.from_dict(
        {
            "seed": SEED,
            "workers": 1,
            "headers": {"Authorization": f"Bearer {app.secret}"} if app.secret else {},
            "generation": {"max-examples": EXAMPLES, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_dict(document(), config=config)
    schema.app = app
    found = Run()

    @schema.hook
    def filter_failure(context, failure, case, response):
        why = allowed.reason(failure, response)
        found.allowed.update([why] if why else [])
        return not why

    for event in from_schema(schema).execute():
        found.note(event)
    return found


def failed(event: events.ScenarioFinished) -> dict[str, str]:
    """Of each check that failed, by operation, check and what was answered, its words and the request."""
    found = {}
    for case_id, checks in event.recorder.checks.items():
        interaction = event.recorder.interactions.get(case_id)
        answer = interaction.response if interaction else None
        for check in checks:
            if check.status == Status.FAILURE and check.failure_info is not None:
                failure = check.failure_info.failure
                said = "" if answer is None else f"{answer.status_code} {allowed.in_short(answer)}"
                key = f"{event.recorder.label} · {check.name} · {failure.title} · {said}"
                found[key] = f"{failure.message}\n{check.failure_info.code_sample}"
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("who", os.environ.get("SCHEMA_WHO", "a2,g1,anonymous").split(","))
def test_the_api_holds_what_its_document_says(who, filled, request, monkeypatch):
    monkeypatch.setattr(WSGITransport, "send", without_sockets(WSGITransport.send))
    speak_of_this_century()
    began = time.monotonic()
    app = Inside(None if who == "anonymous" else request.getfixturevalue(who))
    found = run(app)
    took = time.monotonic() - began
    fewest = min(found.cases.values())
    print(
        f"\nseed {SEED}, as {who}: {len(found.cases)} operations, {fewest} to {max(found.cases.values())} examples"
        f" each, {sum(found.cases.values())} in all, {app.requests} requests ({app.seconds:.0f} s of"
        f" {took:.0f} s), {sum(found.checks.values())} checks of {len(found.checks)} kinds,"
        f" {len(found.failures)} failures",
        *(f"  allowed {times} times: {why}" for why, times in found.allowed.most_common()),
        sep="\n",
        file=sys.stderr,
    )
    assert not found.failures, f"{len(found.failures)} failures as {who}, seed {SEED}: {list(found.failures)}"
    assert not found.skipped
    assert len(found.cases) == sum(m in METHODS for path in document()["paths"].values() for m in path)
    assert fewest >= min(EXAMPLES, 50)
