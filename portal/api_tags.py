"""Conditional requests (RFC 9110): 304 for what the caller has, 412 for what changed under their hands.

A tag is made of the revision that the reader was shown, where the object has one, and a digest of what they
were shown: what they may not see moves neither. `If-Match` holds when the revision is the present one (the
time that runs meanwhile is no change), and without a revision when the whole tag is.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from django.utils.http import parse_etags
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

REVISION = re.compile(r'"r([0-9]{1,9})-[0-9a-f]{16}"')


def tag_of(data: Any, facts: Any = None) -> str:
    """The strong tag of what is answered; `facts` stands for it where it holds what merely passes."""
    shown = json.loads(JSONRenderer().render(data if facts is None else facts) or b"null")
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]
    revision = data.get("revision") if isinstance(data, dict) else None
    return f'"r{revision}-{digest}"' if isinstance(revision, int) else f'"{digest}"'


def revision_in(tag: str) -> int | None:
    """The revision that a tag names."""
    found = REVISION.fullmatch(tag)
    return int(found[1]) if found else None


def holds(header: str, present: str) -> bool:
    """Whether `If-Match` holds of the object whose tag is `present`. Weak tags never match."""
    given = parse_etags(header)
    if "*" in given or present in given:
        return True
    revision = revision_in(present)
    return revision is not None and any(revision_in(tag) == revision for tag in given)


def not_modified(request: Request, response: Response) -> bool:
    """Whether the caller has this very answer, by `If-None-Match`."""
    asked = request._request
    if asked.method not in ("GET", "HEAD") or "If-None-Match" not in asked.headers:
        return False
    known = parse_etags(asked.headers["If-None-Match"])
    tag = response.headers["ETag"]
    return "*" in known or any(each.removeprefix("W/") == tag for each in known)
