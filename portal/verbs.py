"""What the verbs of every room share: how they refuse, and what they ask of a text."""

from __future__ import annotations


class Refused(Exception):
    """A verb that its rule forbids. `reason` says what is wrong and what to do instead.

    `kind` is "permission", "state", "invalid" or "stale"; `field` names the offending input, if one does.
    """

    def __init__(self, reason: str, *, kind: str = "invalid", field: str = "") -> None:
        super().__init__(reason)
        self.reason = str(reason)
        self.kind = kind
        self.field = field

    @property
    def status(self) -> int:
        """The HTTP status that fits the refusal."""
        return {"permission": 403, "state": 409, "stale": 409, "invalid": 400}[self.kind]


def required(text: str | None, field: str, reason: str) -> str:
    """The stripped text; Refused when nothing is left of it."""
    stripped = (text or "").replace("\0", "").strip()
    if not stripped:
        raise Refused(reason, field=field)
    return stripped
