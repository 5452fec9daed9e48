"""What every way out shares: the rendered message, what was sent, and how a refusal is told apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

EMAIL = "email"
WEBHOOK = "webhook"

UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True)
class CalendarPart:
    """An iTIP message beside the texts (RFC 6047): `text` is the iCalendar object, `method` its METHOD."""

    method: str
    text: str


@dataclass(frozen=True)
class Attached:
    """A file that goes along with a mail."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Rendered:
    """A message ready to be sent: texts in the recipient's language and zone. `url` is the page it is about.

    `form` is what it says in the standard format, as `StandardForm.as_json` gives it: webhooks carry it.
    `data` is what a webhook for machines says instead of the texts. `thread_id` is the thread of a chat
    room in which it is said, as the service names it; "" opens one. `secret` is a part of the texts that goes
    out, and is not kept.
    """

    subject: str
    text: str
    html: str
    headers: dict[str, str] = field(default_factory=dict)
    from_name: str = ""
    reply_to: str = ""
    url: str = ""
    form: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    thread_id: str = ""
    calendar: CalendarPart | None = None
    attached: tuple[Attached, ...] = ()
    secret: str = ""


@dataclass(frozen=True)
class Sent:
    """What was sent, and what the server answered; stored on the row.

    `thread_id` is the thread in which a room reads it, `replaces_thread` the one that was gone.
    """

    address: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    answer: str
    thread_id: str = ""
    replaces_thread: str = ""

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the row."""
        return {name: value for name, value in vars(self).items() if "thread" not in name}


class Temporary(Exception):
    """The channel did not accept the message now; a later attempt may, after `retry_after` seconds at the least."""

    def __init__(self, words: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(words)
        self.retry_after = retry_after


class Permanent(Exception):
    """The channel will never accept this message."""


class Gone(Permanent):
    """The channel will never accept any message: it says that it is no more."""


def one_line(text: str, length: int = 250) -> str:
    """A header's value: no line break of any kind, no control character, bounded."""
    return " ".join(UNSAFE.sub(" ", text).split())[:length].rstrip()


def storable(text: str) -> str:
    """The text without what no database takes: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
