"""Refusals that no document could tell a generator to expect, each with its reason, and nothing wider.

The checks keep the statuses that the library gives them. What they find is dropped only if the answer itself says
that it is one of these; how often that was, is printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

CHANGED = "412: If-Match names a state, and a generator knows none"
REUSED = "422: the generator gave one Idempotency-Key to two requests"
BODYLESS = "400: OpenAPI 3.0 has no word for the body of a DELETE"
# Of a 400 for what the document allows: words of an error, and why no schema could say it.
RULES = [
    (re.compile(words), f"400: {why}")
    for words, why in (
        ("^This is no cursor of this list", "a cursor is signed by the API"),
        (
            "does not exist|^There is no such (?!parameter)|^No such person|^Choose somebody of",
            "it names what is not there",
        ),
        ("^There is a team of this name already", "it names what is there already"),
        ("^Say for which organisation", "who belongs to several must say for which"),
        (
            "^Choose a (time|date) of this century|choose a time to come|must be in the future|a time in the future|^Choose a date within"
            "|^The next update must lie after|^The plan promises the next update",
            "a time in bounds, of which no format speaks",
        ),
        ("^Say who takes over", "incidents of theirs are open"),
        (
            "^The end must come after the start|^Give the new date, or is_shipped|^Give a state, a new date|^Only Slack and Mattermost use"
            "|^Choose at least one event|^This service cannot be used|^With an access token, say",
            "a rule between two fields",
        ),
        (
            "^The host (must|is)|^Webhooks do not go to|^The address must|^This is not an address",
            "which addresses may be asked is the guard's to say",
        ),
        ("is of a kind that we do not take|^The file is empty|submitted file is empty", "it is about a file"),
    )
]


def reason(failure: Any, response: Any) -> str:
    """Why this failure is none; "" if it is one."""
    if not isinstance(failure, RejectedPositiveData | AcceptedNegativeData):
        return ""
    kind = problem(response).get("type", "").partition("#problem-")[2]
    sent = response.request.headers
    if response.status_code == 412 and "If-Match" in sent and kind == "changed":
        return CHANGED
    if isinstance(failure, AcceptedNegativeData):
        return ""
    if response.status_code == 422 and "Idempotency-Key" in sent and kind == "idempotency-key":
        return REUSED
    if response.status_code != 400:
        return ""
    said = [words for _field, words in errors(response)]
    if response.request.method == "DELETE" and said and set(said) == {"This field is required."}:
        return BODYLESS
    return rule(response)


def rule(response: Any) -> str:
    """The rule that its errors are of, if each of them is of one."""
    reasons = [
        next((why for words, why in RULES if words.search(said)), "") for _field, said in errors(response)
    ]
    return reasons[0] if reasons and all(reasons) else ""


def errors(response: Any) -> list[tuple[str, str]]:
    return list(_flat("", problem(response).get("errors", {})))


def in_short(response: Any) -> str:
    """What an answer says is wrong, without the names that a generator made up."""
    return "; ".join(sorted(f"{name}: {said[:90]}" for name, said in errors(response)))


def _flat(name: str, found: Any) -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _flat(f"{name}.{key}".strip("."), value)
    elif isinstance(found, list):
        for value in found:
            yield from _flat(name, value)
    else:
        yield name, str(found)


def problem(response: Any) -> dict[str, Any]:
    try:
        found = json.loads(response.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
