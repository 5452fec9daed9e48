"""URL converters."""

from __future__ import annotations


class WindowConverter:
    """A maintenance window's reference, such as MW-17."""

    regex = r"MW-[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
