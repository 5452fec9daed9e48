"""What every way out shares: the rendered message, and how a refusal is told apart."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rendered:
    """A message ready to be sent: texts in the recipient's language and zone."""

    subject: str
    text: str
    html: str
    headers: dict[str, str] = field(default_factory=dict)
    from_name: str = ""
    reply_to: str = ""


class Temporary(Exception):
    """The channel did not accept the message now; a later attempt may."""


class Permanent(Exception):
    """The channel will never accept this message."""
