"""URL converters."""

from __future__ import annotations


class ReferenceConverter:
    """An incident's reference, such as INC-1042."""

    regex = r"INC-[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
