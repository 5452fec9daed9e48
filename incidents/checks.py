"""What Django's checks say about the settings of this room."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from incidents.conference import template_problem


@checks.register
def check_conference(app_configs: Any, **_options: Any) -> list[checks.CheckMessage]:
    """A conference template that no address can be made from is ignored: say so at the start."""
    template = settings.BRIDGE_CONFERENCE_URL
    problem = template_problem(template) if template else ""
    if not problem:
        return []
    return [
        checks.Warning(
            f"BRIDGE_CONFERENCE_URL is ignored: {problem}",
            hint="Bridges have no conference.",
            id="incidents.W001",
        )
    ]
