"""One line of the log for each outcome of a message: by the request's id it leads from a request to its mail."""

from __future__ import annotations

import logging

from portal.models import OutboxMessage

logger = logging.getLogger(__name__)


def note_outcome(message: OutboxMessage, state: str, done: int) -> int:
    """Say what became of the message, if this was what decided it (`done` is 1); returns `done`.

    Whom it is for and what the other side answered stay on the row: they are personal.
    """
    if done:
        facts = {"outbox_id": message.pk, "kind": message.kind, "channel": message.channel}
        logger.info("message", extra=facts | {"state": str(state), "attempts": message.attempts})
    return done
