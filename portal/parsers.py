"""How the API reads what is sent to it."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.parsers import JSONParser


class TextParser(JSONParser):
    """JSON whose every text can be stored: half a character (a lone surrogate) is refused, not stored."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        data = super().parse(stream, media_type, parser_context)
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise exceptions.ParseError(
                _("A text holds half a character (a lone surrogate). Send it as valid Unicode.")
            ) from error
        return data
