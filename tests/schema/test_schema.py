"""The whole API against its own OpenAPI document, by schemathesis: every operation, check and phase.

`make test-schema` runs it; the seed is printed, and SCHEMA_SEED=… repeats it. SCHEMA_EXAMPLES (50) says how many
examples each operation gets, SCHEMA_WHO (a1,g1,anonymous) for whom.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter

import pytest
import schemathesis
from schemathesis.engine import Status, events, from_schema

from incidents.defaults import plan_for
from portal import tokens
from portal.api_reference import document
from portal.models import ApiToken, Endpoint
from tests.conftest import T0
from tests.factories import article, incident

pytestmark = [
    pytest.mark.schema,
    # what the engine and its test client leave behind is not ours
    pytest.mark.filterwarnings("ignore"),
]
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "50"))
SEED = int(os.environ.get("SCHEMA_SEED", random.SystemRandom().randrange(10**9)))
SHOWN = 60
# What a request may get that the document allows: 400 where it names what is not there (a cursor, a service, an
# address of a webhook) or breaks a rule between fields, 412 and 422 where its conditions do not hold.
HEADERS = {"Connection": "close"}  # the server of tests does not read what a refused request still sends
EXPECTED = ["2xx", "3xx", "400", "401", "403", "404", "409", "412", "422", "429"]


@pytest.fixture
def world(a1, a2, b1, g1, m1, acme, nordwind, settings):
    """Two organisations with something of everything that an address names."""
    settings.SUPPORT_COUNTRY = ""
    settings.ALLOWED_HOSTS = ["*"]
    for organisation in (acme, nordwind):
        plan_for(organisation, T0)
    for number in range(3):
        incident(a1, T0, title=f"Ours {number}")
    incident(b1, T0, title="Theirs")
    article(g1, T0, "how-to")
    Endpoint.objects.create(
        name="Hooks", url="https://hooks.example.com/x", use="webhooks", organisation=acme
    )
    tokens.create(a1, name="another", scope="read", days=9, now=T0, by=a1)


def secret_of(who: str, request) -> str | None:
    if who == "anonymous":
        return None
    return ApiToken.objects.create(user=request.getfixturevalue(who))[1]


def run(secret: str | None, address: str) -> tuple[Counter, dict[str, str]]:
    """How many scenarios had which end, and of each failure one example."""
    config = schemathesis.Config.from_dict(
        {
            "seed": SEED,
            "workers": 1,
            "base-url": address,
            "headers": HEADERS | ({"Authorization": f"Bearer {secret}"} if secret else {}),
            "generation": {"max-examples": EXAMPLES, "database": "none"},
            "checks": {
                "positive_data_acceptance": {"expected-statuses": EXPECTED},
                "negative_data_rejection": {"expected-statuses": [*EXPECTED[2:], "405", "406", "415"]},
            },
        }
    )
    found = schemathesis.openapi.from_dict(document(), config=config)
    ends, failures = Counter(), {}
    for event in from_schema(found).execute():
        if isinstance(event, events.ScenarioFinished):
            ends[event.status] += 1
            fresh = {key: words for key, words in failed(event).items() if key not in failures}
            failures |= fresh
            for key, words in fresh.items():  # at once, for a run is long
                print(f"{key}\n{words[:1500]}\n", file=sys.stderr, flush=True)
        elif isinstance(event, events.NonFatalError):
            failures[f"error {event.label}"] = str(event.value)
            print(f"error {event.label}: {event.value}", file=sys.stderr, flush=True)
        elif isinstance(event, events.FatalError):
            raise event.exception
    return ends, failures


def failed(event) -> dict[str, str]:
    """Of each check that failed, by operation and check, its words and the request."""
    found = {}
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.status == Status.FAILURE and check.failure_info is not None:
                failure = check.failure_info.failure
                key = f"{event.recorder.label} · {check.name} · {failure.title}"
                found[key] = f"{failure.message}\n{check.failure_info.code_sample}"
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", os.environ.get("SCHEMA_WHO", "a1,g1,anonymous").split(","))
def test_the_api_holds_what_its_document_says(who, world, request, live_server):
    ends, failures = run(secret_of(who, request), live_server.url)
    print(
        f"\nseed {SEED}, {EXAMPLES} examples, as {who}: {dict(ends)}, {len(failures)} failures",
        file=sys.stderr,
    )
    assert not failures, f"{len(failures)} failures as {who}, seed {SEED}: {list(failures)[:SHOWN]}"
