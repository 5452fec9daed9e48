"""What never stands in a log: addresses that open something to whoever reads them."""

from __future__ import annotations

import logging
import re

# A private calendar's, and the link that sets a new password.
SECRET_PATHS = re.compile(
    r"(/calendar/)[^/\s\"'?#]+(\.ics)"
    r"|(/password/reset/key/[0-9A-Za-z]+-)(?!set-password/)[^/\s\"'?#]+"
)


class HideTokens(logging.Filter):
    """Takes the tokens of private addresses out of a record, and lets it through."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if SECRET_PATHS.search(text):
            record.msg, record.args = SECRET_PATHS.sub(r"\1\3…\2", text), ()
        return True
