"""How the API reads what is sent to it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.parsers import JSONParser


class TextParser(JSONParser):
    """JSON whose every text can be stored: half a character (a lone surrogate) is refused, not stored."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """RequestDataTooBig for more than DATA_UPLOAD_MAX_MEMORY_SIZE, as of a form."""
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        sent = stream.read() if most is None else stream.read(most + 1)
        if most is not None and len(sent) > most:
            raise RequestDataTooBig
        data = super().parse(BytesIO(sent), media_type, parser_context)
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise exceptions.ParseError(
                _("A text holds half a character (a lone surrogate). Send it as valid Unicode.")
            ) from error
        return data
