"""Refusals that no document could tell a generator to expect, each with its reason, and nothing wider.

The checks keep the statuses that the library gives them. What they find is dropped only if the answer itself says
that it is one of these; how often that was, is printed.
"""

from __future__ import annotations

import json
from typing import Any

from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

CHANGED = "412: If-Match names a state, and a generator knows none"
REUSED = "422: the generator gave one Idempotency-Key to two requests"


def reason(failure: Any, response: Any) -> str:
    """Why this failure is none; "" if it is one."""
    if not isinstance(failure, RejectedPositiveData | AcceptedNegativeData):
        return ""
    sent = response.request.headers
    said = problem(response)
    kind = said.get("type", "").rpartition("-")[2]
    if response.status_code == 412 and "If-Match" in sent and kind == "changed":
        return CHANGED
    if isinstance(failure, AcceptedNegativeData):
        return ""
    if response.status_code == 422 and "Idempotency-Key" in sent and kind == "key":
        return REUSED
    return ""


def problem(response: Any) -> dict[str, Any]:
    try:
        found = json.loads(response.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
